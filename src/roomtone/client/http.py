"""A small HTTP client of a Roomtone server: patient, and it says what the server said.

A busy server (429, 503) and one that is not there for a moment are asked again: every write of
Roomtone may be repeated without harm.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import urlsplit

import httpx2
import msgspec
from msgspec import Raw, Struct

from roomtone.errors import RoomtoneError
from roomtone.model import MediaSession

ATTEMPTS_MAX: Final = 8
SILENCES_MAX: Final = 3
WAIT_S_MAX: Final = 60
CONNECT_S_MAX: Final = 5.0
ANSWER_S_MAX: Final = 60.0
BACKUP_S_MAX: Final = 3_600.0
PAGES_MAX: Final = 100_000
PAGE_SESSIONS: Final = 100
BODY_BYTES_MAX: Final = 4 * 1024 * 1024
"""What is posted at once; half of what a server takes by default."""
QUALITIES: Final = "/v1/meeting/qualities"
ASK_AGAIN: Final = frozenset({429, 503})


class Refused(RoomtoneError):
    """The server answered with an error; `status` is its status."""

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status


class _Page(Struct):
    items: list[Raw]


class _ErrorBody(Struct):
    message: str = ""
    trackingId: str = ""


class Client:
    """Requests to one server with one token. Tests give their own `sleep` and `transport`."""

    def __init__(
        self,
        url: str,
        *,
        token: str,
        sleep: Callable[[float], None] = time.sleep,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        self.base = base_of(url)
        self._sleep = sleep
        timeout = httpx2.Timeout(ANSWER_S_MAX, connect=CONNECT_S_MAX)
        headers = {"Authorization": f"Bearer {token}"}
        self._http = httpx2.Client(headers=headers, timeout=timeout, transport=transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def post(self, path: str, body: bytes) -> bytes:
        """POST JSON and return the body of the answer."""
        headers = {"Content-Type": "application/json"}
        return self._ask("POST", self.base + path, content=body, headers=headers).content

    def get(self, path: str) -> bytes:
        """The body of an answer."""
        return self._ask("GET", self.base + path).content

    def items(self, path: str, params: Mapping[str, str | int]) -> Iterator[bytes]:
        """The items of a list, each as its JSON, page after page by the Link header."""
        url: str | None = self.base + path
        query: Mapping[str, str | int] | None = params
        for _ in range(PAGES_MAX):
            assert url is not None
            answer = self._ask("GET", url, params=query)
            page = msgspec.json.decode(answer.content, type=_Page)
            yield from (bytes(item) for item in page.items)
            url, query = answer.links.get("next", {}).get("url"), None
            if url is None:
                return

    def sessions(self, meeting_id: str) -> Iterator[MediaSession]:
        """The media sessions of a meeting, page after page; Refused (404) for an unknown one."""
        params: dict[str, str | int] = {"meetingId": meeting_id, "max": PAGE_SESSIONS}
        for item in self.items(QUALITIES, params):
            yield msgspec.json.decode(item, type=MediaSession)

    def download(
        self, path: str, target: Path, *, progress: Callable[[float], None] | None = None
    ) -> int:
        """Write the body of an answer to a file that must not exist; return its length in bytes."""
        timeout = httpx2.Timeout(BACKUP_S_MAX, connect=CONNECT_S_MAX)
        with self._http.stream("GET", self.base + path, timeout=timeout) as answer:
            if answer.is_error:
                answer.read()
                raise refusal(answer)
            length = int(answer.headers.get("Content-Length", 0))
            written = 0
            with target.open("xb") as file:
                for chunk in answer.iter_bytes():
                    written += file.write(chunk)
                    if progress is not None and length:
                        progress(written / length)
        return written

    def _ask(self, method: str, url: str, **request: Any) -> httpx2.Response:
        """One request, again while the server is busy or away; Refused or RoomtoneError at last."""
        for attempt in range(ATTEMPTS_MAX):
            last = attempt == ATTEMPTS_MAX - 1
            try:
                answer = self._http.request(method, url, **request)
            except httpx2.TransportError as error:
                if attempt >= SILENCES_MAX - 1:
                    raise RoomtoneError(f"{self.base} does not answer: {error}") from None
                self._sleep(0.5 * 2**attempt)
                continue
            if answer.status_code in ASK_AGAIN and not last:
                self._sleep(wait_s(answer, attempt))
            elif answer.is_error:
                raise refusal(answer)
            else:
                return answer
        raise AssertionError("the last attempt returns or raises")


def base_of(url: str) -> str:
    """A server's address without /v1 and slashes at its end; RoomtoneError if it is none."""
    base = url.rstrip("/").removesuffix("/v1")
    if urlsplit(base).scheme not in {"http", "https"} or not urlsplit(base).netloc:
        raise RoomtoneError(f"{url!r} is no address like http://127.0.0.1:8080")
    return base


def bodies(
    sessions: Sequence[MediaSession], *, bytes_max: int = BODY_BYTES_MAX
) -> Iterator[list[bytes]]:
    """Sessions as JSON, together as long as a body may hold them."""
    items: list[bytes] = []
    length = 0
    for session in sessions:
        item = msgspec.json.encode(session)
        if items and length + len(item) + 1 > bytes_max:
            yield items
            items, length = [], 0
        items.append(item)
        length += len(item) + 1
    if items:
        yield items


def body_of(items: Sequence[bytes]) -> bytes:
    """Items as the body of a POST."""
    return b'{"items":[' + b",".join(items) + b"]}"


def wait_s(answer: httpx2.Response, attempt: int) -> float:
    """How long to leave a busy server alone: what it says, else longer each time."""
    said: str = answer.headers.get("Retry-After", "")
    return min(WAIT_S_MAX, int(said) if said.isdecimal() else 0.5 * 2**attempt)


def refusal(answer: httpx2.Response) -> Refused:
    """The error that an answer tells of, in the server's words."""
    try:
        body = msgspec.json.decode(answer.content, type=_ErrorBody)
    except (msgspec.DecodeError, UnicodeDecodeError):
        body = _ErrorBody()
    text = body.message or answer.reason_phrase
    tracking = f" ({body.trackingId})" if body.trackingId else ""
    return Refused(
        f"the server answered {answer.status_code}: {text}{tracking}", status=answer.status_code
    )
