"""/v1/meetings/{id}/events: a meeting as it goes, as server-sent events."""

import asyncio
from typing import Final, Protocol

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from roomtone.api.endpoint import Endpoint, Parameter, id_parameter
from roomtone.api.meetings import get_meeting
from roomtone.api.qualities import READ_ALL, READ_ANONYMOUS
from roomtone.api.wire import Ready, header_of, principal_of, services_of, valid_meeting_id
from roomtone.auth import authenticate
from roomtone.cache import RawHeaders
from roomtone.errors import NotFound, RoomtoneError, Unauthorized
from roomtone.live import Chunk, Watcher
from roomtone.services import Services

PATH: Final = "/v1/meetings/{meetingId:path}/events"
LAST_PART: Final = "/events"
STREAM_TYPE: Final = "text/event-stream"
HEARTBEAT_S: Final = 15.0
SEND_S_MAX: Final = 30.0
"""A watcher who takes longer to read what was sent is let go."""
STOP_S_MAX: Final = 2.0
"""A server that stops lets a watcher have so long to read the end."""
ABORT_S_MAX: Final = 1.0
HEARTBEAT: Final = b": still here\n\n"
HEADERS: Final[RawHeaders] = [
    (b"content-type", STREAM_TYPE.encode()),
    (b"cache-control", b"private, no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),  # nginx sends on what it gets at once
]


class Connection(Protocol):
    """What protocol.py puts into the scope: the connection that the request came on."""

    def is_closing(self) -> bool:
        """Whether it is closing, or closed."""

    def abort(self) -> None:
        """End it now."""


async def watch_meeting(request: Request) -> ASGIApp:
    """Server-sent events: first all that there is, then what changes, until the meeting ends."""
    if not request.scope["raw_path"].endswith(LAST_PART.encode()):
        # The last part of a meeting's own id, with its slash percent-encoded.
        request.path_params["meetingId"] += LAST_PART
        return await get_meeting(request)
    services = services_of(request)
    principal = principal_of(request, READ_ALL, READ_ANONYMOUS)
    meeting_id = valid_meeting_id(request.path_params["meetingId"])
    principal.require_meeting(meeting_id)
    if request.method == "HEAD":
        if not services.store.version(principal.org, meeting_id):
            raise NotFound("No such meeting.")
        return Ready(200, list(HEADERS), b"")
    watcher = await services.live.admit(
        principal.org,
        meeting_id,
        hidden=READ_ALL not in principal.scopes,
        guest=bool(principal.meeting),
        last_event_id=(header_of(request, b"last-event-id") or b"").decode("latin-1"),
    )
    if watcher is None:
        return Ready(204, [], b"")
    return Watching(services, watcher, principal.org, meeting_id)


class Watching:
    """An ASGI application: sends what a watcher is told, until either end has enough."""

    def __init__(self, services: Services, watcher: Watcher, org: str, meeting_id: str) -> None:
        self._services = services
        self._watcher = watcher
        self._org = org
        self._meeting_id = meeting_id
        self._is_whole = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until it ends, the client has gone, or the server has waited for it long enough."""
        scope["stream"] = True
        connection: Connection | None = scope.get("connection")
        sending = asyncio.create_task(self._send(scope, send, connection))
        gone = asyncio.create_task(_gone(receive))
        tasks = (sending, gone, asyncio.create_task(self._stopped()))
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if connection is not None and not self._is_whole:
                connection.abort()
                await asyncio.wait((gone,), timeout=ABORT_S_MAX)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._services.live.leave(self._org, self._meeting_id, self._watcher)
        if not sending.cancelled():
            sending.result()

    async def _stopped(self) -> None:
        await self._watcher.stopping.wait()
        await asyncio.sleep(STOP_S_MAX)

    async def _send(self, scope: Scope, send: Send, connection: Connection | None) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
        while not self._is_whole:
            data, last = await self._next()
            if not self._may_read(scope):
                data, last = self._watcher.cut("token"), True
            # A request behind this one on the same connection hides from us that it was closed.
            if connection is not None and connection.is_closing():
                return
            try:
                async with asyncio.timeout(SEND_S_MAX):
                    await send({"type": "http.response.body", "body": data, "more_body": not last})
            except TimeoutError:
                self._watcher.cut("slow")
                return
            self._is_whole = last

    async def _next(self) -> Chunk:
        """What to send: something new, or a sign of life."""
        try:
            async with asyncio.timeout(HEARTBEAT_S):
                return await self._watcher.next()
        except TimeoutError:
            return Chunk(HEARTBEAT, last=False)

    def _may_read(self, scope: Scope) -> bool:
        """Whether the token is still valid."""
        header = next((value for key, value in scope["headers"] if key == b"authorization"), None)
        try:
            authenticate(self._services.store, header, self._services.now_ms())
        except Unauthorized:
            return False
        except RoomtoneError:
            pass  # the store cannot say it now: it is asked again
        return True


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def endpoints() -> list[Endpoint]:
    """The endpoint of this file."""
    last_event_id = Parameter(
        name="Last-Event-ID",
        schema={"type": "string", "maxLength": 64},
        description="The id of the last event that was read, to be told only what came after it.",
        place="header",
    )
    return [
        Endpoint(
            method="GET",
            path=PATH,
            handler=watch_meeting,
            summary="A meeting as it goes: who joins and leaves, verdicts, findings",
            scopes=(READ_ALL, READ_ANONYMOUS),
            parameters=(id_parameter("path"), last_event_id),
            answers={200: STREAM_TYPE, 204: None},
            errors=(400, 401, 403, 404, 410, 429, 503, 504),
        )
    ]
