"""Posts in the background what a spool keeps: nothing that `post` returned for is lost.

A post may arrive twice, after a crash: every write of Roomtone may be repeated without harm.
"""

import logging
import random
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Self

import httpx2
import msgspec
from msgspec import Raw, Struct

from roomtone.client.http import (
    ANSWER_S_MAX,
    CONNECT_S_MAX,
    QUALITIES,
    base_of,
    bodies,
    body_of,
    refusal,
)
from roomtone.client.spool import BYTES_MAX, Record, Spool
from roomtone.errors import RoomtoneError
from roomtone.model import MediaSession

PAUSE_S_MAX: Final = 60.0
RETRY_AFTER_S_MAX: Final = 3_600.0
CLOSE_S: Final = 10.0
REFUSED: Final = frozenset({400, 409, 410, 413, 415})
"""What is refused so will be refused again; every other error may pass."""

logger: Final = logging.getLogger("roomtone.client")

Token = str | Callable[[], str]


class _Items(Struct):
    items: list[Raw]


class _Later(Exception):
    """Try again, after so many seconds if the server said so."""

    def __init__(self, why: str, *, after_s: float | None = None) -> None:
        super().__init__(why)
        self.after_s = after_s


class Poster:
    """A spool in `folder` and a thread that empties it into a server.

    `token` may be a function: it is asked again after a 401, and later if it raises. `on_problem`
    is called from the thread with one line of text, when something changes: what is refused,
    dropped, or not reachable. `refused` and `sent` count sessions (or whole bodies of `post_body`),
    `dropped` posts that a full spool or a damaged file lost.
    """

    def __init__(
        self,
        url: str,
        *,
        token: Token,
        folder: Path,
        bytes_max: int = BYTES_MAX,
        on_problem: Callable[[str], None] | None = None,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        self._base = base_of(url)
        self._ask_token = token if callable(token) else lambda: token
        self._token = ""
        self._say = on_problem or (lambda text: logger.warning("%s", text))
        self._said = ""
        timeout = httpx2.Timeout(ANSWER_S_MAX, connect=CONNECT_S_MAX)
        self._http = httpx2.Client(timeout=timeout, transport=transport)
        self.spool = Spool(folder, bytes_max=bytes_max)
        self.sent = self.refused = 0
        self._failures = 0
        self._changed = threading.Condition()
        self._closing = self._hurried = self._drained = False
        self._thread = threading.Thread(target=self._run, name="roomtone-poster", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def dropped(self) -> int:
        """Posts that were lost because the spool was full."""
        return self.spool.dropped

    def post(self, sessions: Sequence[MediaSession]) -> None:
        """Keep sessions, or pieces of them, for sending; on return they are on disk."""
        for items in bodies(sessions, bytes_max=self.spool.record_bytes_max - len(QUALITIES) - 64):
            self.post_body(QUALITIES, body_of(items))

    def post_body(self, path: str, body: bytes) -> None:
        """Keep a JSON body for sending to a path; on return it is on disk."""
        before = self.spool.dropped
        self.spool.append(path.encode() + b"\n" + body)
        with self._changed:
            if (lost := self.spool.dropped - before) > 0:
                self._say(f"the spool is full: {lost} of the oldest posts were dropped")
            self._changed.notify_all()

    def flush(self, timeout_s: float) -> bool:
        """Try at once; whether the spool became empty in time."""
        deadline = time.monotonic() + timeout_s
        with self._changed:
            self._hurried = True
            self._changed.notify_all()
            while not self._empty() and self._thread.is_alive():
                left = deadline - time.monotonic()
                if left <= 0 or not self._changed.wait(left):
                    return self._empty()
            return self._empty()

    def close(self, timeout_s: float = CLOSE_S) -> bool:
        """Flush, then stop; what could not be sent stays in the folder. Whether all was sent."""
        if self._closing:
            return self._drained
        done = self.flush(timeout_s)
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(ANSWER_S_MAX)
        self._drained = done
        self._http.close()
        self.spool.close()
        return done

    def _empty(self) -> bool:
        return self.spool.first() is None

    # -- the thread

    def _run(self) -> None:
        while not self._closing:
            try:
                record = self._next()
                if record is not None:
                    self._handle(record)
            except Exception as error:  # noqa: BLE001 so may a token function; this thread must live on
                self._tell(f"{error!r}; it is tried again")
                self._pause(None)

    def _next(self) -> Record | None:
        """The oldest record, waited for; None when it is time to end."""
        with self._changed:
            while not self._closing and (record := self.spool.first()) is None:
                self._changed.notify_all()
                self._changed.wait()
            return None if self._closing else record

    def _handle(self, record: Record) -> None:
        path, _, body = record.data.partition(b"\n")
        try:
            self._deliver(path.decode(), body)
        except _Later as later:
            self._tell(f"{later}; it is tried again")
            self._pause(later.after_s)
            return
        self._failures, self._said = 0, ""
        with self._changed:
            self.spool.done(record)
            self._changed.notify_all()

    def _deliver(self, path: str, body: bytes) -> None:
        """Send a body; what is refused of it is counted, the rest of its sessions lands."""
        items = _items(body) if path == QUALITIES else []
        why = self._send(path, body)
        if why and len(items) > 1:
            whys = [self._send(path, body_of([item])) for item in items]
        else:
            whys = [why] * max(1, len(items))
        for text in filter(None, whys):
            self._say(f"refused, and not sent again: {text}")
        self.refused += sum(map(bool, whys))
        self.sent += whys.count("")

    def _send(self, path: str, body: bytes) -> str:
        """One request: "" when it was taken, why it was refused, or _Later."""
        try:
            self._token = self._token or self._ask_token()
            headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
            answer = self._http.post(self._base + path, content=body, headers=headers)
        except (httpx2.HTTPError, OSError, RoomtoneError) as error:
            raise _Later(f"{self._base} does not answer: {error}") from None
        if answer.is_success:
            return ""
        if answer.status_code in REFUSED:
            return str(refusal(answer))
        if answer.status_code == 401:
            self._token = ""
        raise _Later(str(refusal(answer)), after_s=_retry_after_s(answer))

    def _tell(self, text: str) -> None:
        """Say it once, not at every attempt."""
        if text != self._said:
            self._said = text
            self._say(text)

    def _pause(self, asked_s: float | None) -> None:
        self._failures += 1
        grown_s = min(PAUSE_S_MAX, 0.5 * 2.0 ** min(self._failures - 1, 16))
        pause_s = grown_s * random.uniform(0.5, 1) if asked_s is None else asked_s  # noqa: S311
        deadline = time.monotonic() + pause_s
        with self._changed:
            while not self._closing and not self._hurried:
                left = deadline - time.monotonic()
                if left <= 0:
                    break
                self._changed.wait(left)
            self._hurried = False


def _items(body: bytes) -> list[bytes]:
    return [bytes(item) for item in msgspec.json.decode(body, type=_Items).items]


def _retry_after_s(answer: httpx2.Response) -> float | None:
    said: str = answer.headers.get("Retry-After", "")
    return min(RETRY_AFTER_S_MAX, float(said)) if said.isdecimal() else None
