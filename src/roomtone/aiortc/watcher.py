"""Samples a connection and posts the reports, in a task; it never throws into its host."""

import asyncio
import inspect
import json
import logging
import random
import sys
import time
import uuid
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, Self

import httpx2

from roomtone.agent.computer import OS_TYPES, os_version
from roomtone.aiortc.stats import report_of
from roomtone.client.http import CONNECT_S_MAX, base_of, refusal
from roomtone.model import iso_ms

if TYPE_CHECKING:
    from aiortc import RTCPeerConnection

POST_S_MAX: Final = 30.0
POST_BYTES: Final = 64_000
REPORTS_MAX: Final = 500
RETRY_S: Final = 2.0
RETRY_S_MAX: Final = 300.0
RETRY_AFTER_S_MAX: Final = 86_400.0
STOP_S: Final = 10.0
LAST_TRIES_MAX: Final = 8
STATE_EVENT: Final = "connectionstatechange"
LATER: Final = frozenset({408, 429})

logger: Final = logging.getLogger("roomtone.aiortc")

Token = str | Callable[[], str | Awaitable[str]]
Role = Literal["camera", "share", "microphone"]


class _Report(NamedTuple):
    number: int
    text: bytes


class _Refused(Exception):
    """The server will not take it, now or later."""


class _Later(Exception):
    """Not now; after so many seconds, if the server said so."""

    def __init__(self, why: str, after_s: float | None = None) -> None:
        super().__init__(why)
        self.after_s = after_s


def watch(
    pc: "RTCPeerConnection",
    *,
    url: str,
    token: Token,
    meeting_id: str,
    participant: Mapping[str, str] | None = None,
    session: Mapping[str, str] | None = None,
    tracks: Mapping[str, Role] | None = None,
    sample_every_s: float = 10.0,
    post_every_s: float = 60.0,
    buffer_bytes_max: int = 512_000,
    addresses: bool = True,
    on_problem: Callable[[str], None] | None = None,
    transport: httpx2.AsyncBaseTransport | None = None,
) -> "Watcher":
    """Begin to watch a connection, in the running event loop; RoomtoneError for a wrong `url`.

    `token` may be a function, also an asynchronous one; it is asked again after a 401.
    `participant` has id, name and email, for an organisation's token. `session` has header fields
    of the media session that the host knows better. `tracks` says what tracks show, by their id.
    """
    who = participant or {}
    header = {
        "clientType": "aiortc",
        "clientVersion": _version(),
        "osType": OS_TYPES.get(sys.platform, "other"),
        "osVersion": os_version(),
        "participantId": who.get("id", ""),
        "webexUserName": who.get("name", ""),
        "webexUserEmail": who.get("email", ""),
    }
    return Watcher(
        pc,
        base=base_of(url),
        token=token,
        meeting_id=meeting_id,
        header=header | dict(session or {}),
        roles=dict(tracks or {}),
        every_s=(sample_every_s, post_every_s),
        buffer_bytes_max=buffer_bytes_max,
        addresses=addresses,
        say=on_problem or (lambda text: logger.warning("%s", text)),
        http=httpx2.AsyncClient(
            timeout=httpx2.Timeout(POST_S_MAX, connect=CONNECT_S_MAX), transport=transport
        ),
    )


class Watcher:
    """What `watch` returns: `await stop()`, or leave `async with`, before the connection closes.

    `session_id` is the participantSessionId, `dropped` how many reports a full buffer lost,
    `buffered` how many bytes wait.
    """

    def __init__(
        self,
        pc: "RTCPeerConnection",
        *,
        base: str,
        token: Token,
        meeting_id: str,
        header: dict[str, str],
        roles: dict[str, Role],
        every_s: tuple[float, float],
        buffer_bytes_max: int,
        addresses: bool,
        say: Callable[[str], None],
        http: httpx2.AsyncClient,
    ) -> None:
        self.session_id = str(uuid.uuid4()).upper()
        self.dropped = self.buffered = 0
        self._pc, self._base, self._http, self._say = pc, base, http, say
        self._token, self._bearer = token, ""
        self._meeting, self._header, self._roles = meeting_id, header, roles
        self._sample_s, self._post_s = every_s
        self._buffer_max, self._addresses = buffer_bytes_max, addresses
        self._waiting: deque[_Report] = deque()
        self._number = self._failures = 0
        self._said = ""
        self._began = time.monotonic()
        self._not_before = 0.0
        self._joined = pc.connectionState == "connected"
        self._header.setdefault("joinTime", iso_ms(time.time_ns() // 1_000_000))
        self._wake = asyncio.Event()
        self._ending = self._dead = False
        pc.add_listener(STATE_EVENT, self._changed)
        self._task = asyncio.get_running_loop().create_task(self._run(), name="roomtone-aiortc")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def stop(self, timeout_s: float = STOP_S) -> None:
        """A last sample, leaveTime, the last posts; gives up after `timeout_s`. Never raises."""
        self._ending = True
        self._wake.set()
        _, running = await asyncio.wait([self._task], timeout=timeout_s)
        if running:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._tell("the last reports were not taken")

    # -- the task

    async def _run(self) -> None:
        post_at = self._began
        try:
            while not self._ending and not self._dead:
                sampled = time.monotonic()
                await self._sample()
                if self._joined and sampled >= post_at and await self._post():
                    post_at = sampled + self._post_s - self._sample_s / 2
                await self._nap(sampled + self._sample_s)
            if self._joined and not self._dead:
                await self._leave()
        finally:
            if self._changed in self._pc.listeners(STATE_EVENT):  # closing removes all of them
                self._pc.remove_listener(STATE_EVENT, self._changed)
            await self._http.aclose()

    async def _nap(self, until: float) -> None:
        try:
            await asyncio.wait_for(self._wake.wait(), max(0.0, until - time.monotonic()))
        except TimeoutError:
            return
        self._wake.clear()

    async def _leave(self) -> None:
        await self._sample()
        self._header.setdefault("leaveTime", iso_ms(time.time_ns() // 1_000_000))
        for _ in range(LAST_TRIES_MAX):
            if await self._post() or self._dead:
                return
            await asyncio.sleep(max(0.0, self._not_before - time.monotonic()))
        self._tell("the last reports were not taken")

    def _changed(self) -> None:
        """The connection is up, broken or closed: a moment to sample."""
        state = self._pc.connectionState
        if state == "connected" and not self._joined:
            self._joined = True
            self._header.setdefault("joinMeetingTime", f"{time.monotonic() - self._began:.3f}")
        if state == "closed":
            self._ending = True
        self._wake.set()

    async def _sample(self) -> None:
        try:
            stats = await report_of(self._pc, addresses=self._addresses)
        except Exception as error:  # noqa: BLE001 another aiortc may raise anything: not at the host
            self._tell(f"no statistics: {error!r}")
            return
        if not any(entry["type"] in ("inbound-rtp", "outbound-rtp") for entry in stats):
            return
        report = {
            "connection": "pc1",
            "timestamp": time.time_ns() // 1_000_000,
            "stats": [_known(entry) for entry in stats],
            "roles": self._roles,
        }
        self._keep(json.dumps(report).encode())

    def _keep(self, text: bytes) -> None:
        self._number += 1
        self._waiting.append(_Report(self._number, text))
        self.buffered += len(text)
        while self.buffered > self._buffer_max and self._waiting:
            self.buffered -= len(self._waiting.popleft().text)
            self.dropped += 1

    async def _post(self) -> bool:
        """Send what waits; whether all of it was taken. Never raises."""
        if time.monotonic() < self._not_before:
            return False
        try:
            while True:
                parcel = self._parcel()
                await self._send(self._body(parcel))
                self._taken(parcel)
                if not self._waiting:
                    return True
        except _Later as later:
            self._later(later)
        except Exception as error:  # noqa: BLE001 so may a host's token function; a refusal, too
            self._dead = True
            self._waiting.clear()
            self.buffered = 0
            self._tell(f"{error}; no more telemetry is sent")
        return False

    def _parcel(self) -> list[_Report]:
        parcel: list[_Report] = []
        size = 0
        for report in self._waiting:
            size += len(report.text)
            if parcel and (size > POST_BYTES or len(parcel) >= REPORTS_MAX):
                break
            parcel.append(report)
        return parcel

    def _body(self, parcel: list[_Report]) -> bytes:
        head = {
            "meetingId": self._meeting,
            "participantSessionId": self.session_id,
            "session": {name: text for name, text in self._header.items() if text},
        }
        reports = b",".join(report.text for report in parcel)
        return json.dumps(head).encode()[:-1] + b', "reports": [' + reports + b"]}"

    def _taken(self, parcel: list[_Report]) -> None:
        self._failures, self._said = 0, ""
        last = parcel[-1].number if parcel else 0
        while self._waiting and self._waiting[0].number <= last:
            self.buffered -= len(self._waiting.popleft().text)

    async def _send(self, body: bytes) -> None:
        """One request; _Later or _Refused when it was not taken."""
        if not self._bearer:
            self._bearer = await self._new_bearer()
        headers = {"Authorization": f"Bearer {self._bearer}", "Content-Type": "application/json"}
        url = f"{self._base}/v1/webrtc/reports"
        try:
            answer = await self._http.post(url, content=body, headers=headers)
        except (httpx2.HTTPError, OSError) as error:
            raise _Later(f"{self._base} does not answer: {error}") from None
        status = answer.status_code
        if answer.is_success:
            return
        why = str(refusal(answer))
        if status == 401 and callable(self._token):
            self._bearer = ""
            raise _Later(why)
        if status >= 500 or status in LATER:
            said = answer.headers.get("Retry-After", "")
            raise _Later(why, float(said) if said.isdecimal() else None)
        raise _Refused(why)

    async def _new_bearer(self) -> str:
        if isinstance(self._token, str):
            return self._token
        try:
            given = self._token()
            return await given if inspect.isawaitable(given) else given
        except (httpx2.HTTPError, OSError) as error:
            raise _Later(f"no token: {error}") from None

    def _later(self, later: _Later) -> None:
        self._failures += 1
        grown_s = min(RETRY_S_MAX, RETRY_S * 2.0 ** min(self._failures - 1, 16))
        wait_s = grown_s * random.uniform(0.5, 1)  # noqa: S311 so that not all come at once
        if later.after_s is not None:
            wait_s = min(later.after_s, RETRY_AFTER_S_MAX)
        self._not_before = time.monotonic() + wait_s
        self._tell(f"{later}; it is tried again")

    def _tell(self, text: str) -> None:
        if text == self._said:
            return
        self._said = text
        try:
            self._say(text)
        except Exception:  # noqa: BLE001 the host's own function failed: nothing to do about it here
            return


def _known(entry: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in entry.items() if value is not None}


def _version() -> str:
    try:
        return version("aiortc")
    except PackageNotFoundError:
        return ""
