"""Bearer tokens: what they may do (scopes), how they are made, and whom a request comes from."""

import hashlib
import secrets
from typing import Final

from msgspec import Struct, json

from roomtone.errors import Forbidden, NotFound, Unauthorized
from roomtone.store import Store, Token

SCOPES: Final[dict[str, str]] = {
    "analytics:read_all": "read meeting qualities, everything in them",
    "analytics:read_anonymous": "read meeting qualities without names, addresses and device labels",
    "meeting:admin_schedule_read": "list the organisation's meetings",
    "meeting:admin_participants_read": "list the participants of the organisation's meetings",
    "telemetry:write": "send telemetry, announce meetings, mint collectors' tokens",
    "roomtone:admin": "erase, purge and back up the organisation's data; change its thresholds",
}
TOKEN_PREFIX: Final = "rt_"  # noqa: S105 what every token begins with
TOKEN_LENGTH_MAX: Final = 256
COLLECTOR_SCOPE: Final = "collector:report"
"""Held only by collectors' tokens; `roomtone token create` does not give it."""


class BoundParticipant(Struct, kw_only=True):
    """Whom a collector's token speaks for."""

    participantId: str
    webexUserName: str = ""
    webexUserEmail: str = ""


class Principal(Struct, kw_only=True, frozen=True):
    """Who asks: an organisation, what it allows, and for a collector the one meeting and person."""

    org: str
    scopes: frozenset[str]
    token_hash: bytes
    created_ms: int
    label: str = ""
    meeting: str = ""
    participant: BoundParticipant | None = None

    def require(self, *any_of: str) -> None:
        """Forbidden, naming the scopes of which one is needed, when none is held."""
        if self.scopes.isdisjoint(any_of):
            raise Forbidden(f"This needs a token with scope {' or '.join(any_of)}.")

    def require_organisation(self) -> None:
        """Forbidden when the token is bound to one meeting, as that of a test call is."""
        if self.meeting:
            raise Forbidden("This token may read one meeting only.")

    def require_meeting(self, meeting_id: str) -> None:
        """NotFound when the token is bound to another meeting: it must not learn which exist."""
        if self.meeting and self.meeting != meeting_id:
            raise NotFound("No such meeting.")


def new_token() -> str:
    """A fresh bearer token with 256 bits of chance."""
    return TOKEN_PREFIX + secrets.token_urlsafe(32)


def hash_token(token: str) -> bytes:
    """SHA-256 of a token: all that is ever stored. A token is random, so it needs no salt."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


def authenticate(store: Store, header: bytes | None, now_ms: int) -> Principal:
    """The principal of an `Authorization` header; Unauthorized says in one line what is wrong."""
    if header is None:
        raise Unauthorized("This needs an Authorization header with a bearer token.")
    scheme, _, text = header.decode("latin-1").partition(" ")
    text = text.strip()
    if scheme.lower() != "bearer" or not 0 < len(text) <= TOKEN_LENGTH_MAX:
        raise Unauthorized("The Authorization header must be: Bearer TOKEN.")
    token = store.token(hash_token(text))
    if token is None or token.kind == "refresh":
        raise Unauthorized("The token is not known here.")
    if token.revoked_ms is not None and token.revoked_ms <= now_ms:
        raise Unauthorized("The token was revoked.")
    if token.expires_ms is not None and token.expires_ms <= now_ms:
        raise Unauthorized("The token has expired.")
    return principal(token)


def principal(token: Token) -> Principal:
    """What a stored token allows."""
    bound = json.decode(token.participant, type=BoundParticipant) if token.participant else None
    return Principal(
        org=token.org,
        scopes=token.scopes,
        token_hash=token.hash,
        created_ms=token.created_ms,
        label=token.label,
        meeting=token.meeting,
        participant=bound,
    )
