"""A copy of an organisation's data over HTTP: made in a file beside, sent, removed."""

import asyncio
import threading
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from roomtone.api.admin import ADMIN
from roomtone.api.endpoint import Endpoint
from roomtone.api.wire import Ready, principal_of, services_of
from roomtone.cache import RawHeaders
from roomtone.errors import TooMany, Unavailable
from roomtone.services import Services

SQLITE_TYPE: Final = "application/vnd.sqlite3"
BACKUPS_MAX: Final = 2
"""Made or sent at once: each takes the disk and a processor for as long as it is made."""
AGAIN_S: Final = 60
SEND_S_MAX: Final = 3_600.0
"""Whoever reads more slowly does not keep the file, and others, any longer."""
CHUNK_BYTES: Final = 64 * 1024
HEADERS: Final[RawHeaders] = [
    (b"content-type", SQLITE_TYPE.encode()),
    (b"content-disposition", b'attachment; filename="roomtone.db"'),
    (b"cache-control", b"no-store"),
    # Each is made anew, so that parts of two do not fit together; Range is not heard.
    (b"accept-ranges", b"none"),
]


async def get_backup(request: Request) -> ASGIApp:
    """A consistent copy of the organisation's data: an SQLite file that `roomtone serve` opens."""
    services = services_of(request)
    principal = principal_of(request, ADMIN)
    if request.method == "HEAD":
        return Ready(200, list(HEADERS), b"")
    if services.backups >= BACKUPS_MAX:
        raise TooMany("Other backups are being made; ask again later.", retry_after=AGAIN_S)
    making = Making(services)
    try:
        await making.make(principal.org)
    except BaseException:
        making.end()
        raise
    return making


class Making:
    """One backup from its beginning until it is sent: an ASGI application once it is made."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._folder = TemporaryDirectory(prefix="roomtone-backup-", ignore_cleanup_errors=True)
        self._file = Path(self._folder.name) / "roomtone.db"
        self._over = threading.Event()
        self._idle = threading.Lock()
        services.backups += 1

    async def make(self, org: str) -> None:
        """Write the file, in a thread that gives up as soon as nobody waits for it any more."""
        await run_in_threadpool(self._make, org)

    def _make(self, org: str) -> None:
        try:
            with self._idle:
                self._services.store.backup(self._file, org=org, progress=self._watch)
        finally:
            # Asked behind the lock: whoever found it taken relies on this.
            if self._over.is_set():
                self._folder.cleanup()

    def _watch(self, _part: float) -> None:
        if self._over.is_set():
            raise Unavailable("The server is stopping.")

    def end(self) -> None:
        """Remove the file: now, or when the thread that writes it has given up."""
        self._services.backups -= 1
        self._over.set()
        if self._idle.acquire(blocking=False):
            self._folder.cleanup()
            self._idle.release()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the file, and remove it however that ends."""
        try:
            async with asyncio.timeout(SEND_S_MAX):
                await self._send(send)
        finally:
            self.end()

    async def _send(self, send: Send) -> None:
        with self._file.open("rb") as file:
            left = self._file.stat().st_size
            headers = [*HEADERS, (b"content-length", str(left).encode())]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            while left:
                chunk = await run_in_threadpool(file.read, CHUNK_BYTES)
                left -= len(chunk)
                body = {"type": "http.response.body", "body": chunk, "more_body": left > 0}
                await send(body)


def endpoints() -> list[Endpoint]:
    """The endpoint of this file."""
    return [
        Endpoint(
            method="GET",
            path="/v1/roomtone/backup",
            handler=get_backup,
            summary="A copy of the organisation's data",
            scopes=(ADMIN,),
            answers={200: SQLITE_TYPE},
            errors=(401, 403, 429, 503),
        ),
    ]
