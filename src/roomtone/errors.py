"""Every deliberate error of Roomtone and the HTTP status that a caller gets for it.

An error's text is written for the person who reads it on the other side of the wire: it names the
rule that was broken and never an internal.
"""


class RoomtoneError(Exception):
    """A deliberate error: `status` is its HTTP status, `retry_after` whole seconds or None."""

    status = 500
    retry_after: int | None = None

    def __init__(self, message: str, *, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        if retry_after is not None:
            self.retry_after = retry_after


class Invalid(RoomtoneError):
    """The request breaks a rule; the text carries the JSON path or the parameter's name."""

    status = 400


class Unauthorized(RoomtoneError):
    """No token, or one that is unknown, expired or revoked."""

    status = 401


class Forbidden(RoomtoneError):
    """A valid token that lacks a scope, or that is bound to another meeting."""

    status = 403


class NotFound(RoomtoneError):
    """Unknown here, or another organisation's: the two look the same."""

    status = 404


class Conflict(RoomtoneError):
    """Contradicts what is stored: a session that is already in another meeting."""

    status = 409


class Gone(RoomtoneError):
    """It was here; retention or a purge has removed it."""

    status = 410


class TooLarge(RoomtoneError):
    """The body, or what it unpacks to, is over the limit."""

    status = 413


class UnsupportedMedia(RoomtoneError):
    """A POST whose content type or content encoding is not one that the path takes."""

    status = 415


class Locked(RoomtoneError):
    """Asked before the availability delay has passed (only with Webex's limits on)."""

    status = 423
    retry_after = 60


class TooMany(RoomtoneError):
    """The queue is full, or a documented rate limit of Webex is on and was reached."""

    status = 429
    retry_after = 1


class Unavailable(RoomtoneError):
    """The store cannot write or read now (disk full, locked, read-only); nothing was kept."""

    status = 503
    retry_after = 5


class TimedOut(RoomtoneError):
    """A read ran over its time limit."""

    status = 504
