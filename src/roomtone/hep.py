"""HEP3 over UDP: datagrams in, measured sessions out, a burst of them in one write."""

import asyncio
import contextlib
import errno
import socket
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from roomtone import measure
from roomtone.config import Settings
from roomtone.errors import Invalid, RoomtoneError, TooMany, Unavailable
from roomtone.ingest import TIME_MS_MIN
from roomtone.observe import log
from roomtone.seeing import put_seen
from roomtone.services import Services
from roomtone.sources.hep import Unusable, read
from roomtone.sources.rtcp_calls import Calls, Told
from roomtone.store import Store

QUEUE_DATAGRAMS_MAX: Final = 8_192
DATAGRAMS_S_MAX: Final = 5_000
TURN_DATAGRAMS_MAX: Final = 64
"""So many are read before others have their turn: 20 us each."""
BURST_DATAGRAMS_MAX: Final = 1_024
GATHER_S: Final = 0.25
TICK_S: Final = 5.0
RETRY_S: Final = 1.0
RECEIVE_BYTES: Final = 4 * 2**20


def listen(settings: Settings) -> socket.socket | None:
    """A bound UDP socket, or None when hep_port is 0; Invalid says which setting to change."""
    if not settings.hep_port:
        return None
    family = socket.AF_INET6 if ":" in settings.hep_host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_DGRAM)
    bound.settimeout(0)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
    try:
        bound.bind((settings.hep_host, settings.hep_port))
    except OSError as error:
        bound.close()
        reason = "it is in use" if error.errno == errno.EADDRINUSE else error.strerror
        where = f"--hep-host {settings.hep_host} --hep-port {settings.hep_port}"
        raise Invalid(f"cannot listen on {where}: {reason}") from None
    return bound


class _Inbox(asyncio.DatagramProtocol):
    """Datagrams that wait, of which there are never too many: what is over is dropped, counted."""

    def __init__(self, drop: Callable[[], None]) -> None:
        self.waiting: deque[bytes] = deque()
        self.arrived = asyncio.Event()
        self._drop = drop
        self._second = 0
        self._count = 0

    def datagram_received(self, data: bytes, addr: Any) -> None:
        """Keep one, or drop it: too many wait, or came in this second."""
        del addr
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._count = second, 0
        self._count += 1
        if self._count > DATAGRAMS_S_MAX or len(self.waiting) >= QUEUE_DATAGRAMS_MAX:
            self._drop()
            return
        self.waiting.append(data)
        self.arrived.set()

    def error_received(self, exc: Exception) -> None:
        """Nothing is ever sent from here, so that what comes back is not for us."""


class Listener:
    """Takes HEP for as long as the server lives: one of `create_app`'s `background`."""

    def __init__(self, bound: socket.socket) -> None:
        self._bound = bound
        self._calls = Calls()
        self._told: list[Told] = []

    async def __call__(self, services: Services) -> None:
        """Measure and store what comes; when cancelled, what has come already."""
        fates = services.metrics.hep_packets
        loop = asyncio.get_running_loop()
        transport, inbox = await loop.create_datagram_endpoint(
            lambda: _Inbox(fates.labels("dropped").inc), sock=self._bound
        )
        log.info("listening for HEP", extra={"fields": {"address": _shown(self._bound)}})
        try:
            while True:
                await self._wait(inbox)
                try:
                    await self._read(inbox, services)
                    self._told = self._calls.ripe(services.now_ms())
                    await self._store(services)
                except Exception:  # noqa: BLE001 one burst must not end all that come after it
                    log.exception("HEP failed")
                    self._told = []
        finally:
            transport.abort()
            while inbox.waiting:
                await self._read(inbox, services)
            await self._store_last(services)

    async def _wait(self, inbox: _Inbox) -> None:
        """Until something came and its neighbours with it, or a tick went by."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(inbox.arrived.wait(), TICK_S)
            await asyncio.sleep(GATHER_S)
        inbox.arrived.clear()
        if inbox.waiting:
            inbox.arrived.set()

    async def _read(self, inbox: _Inbox, services: Services) -> None:
        """Read a burst, and let others have their turns meanwhile."""
        fates, now_ms = services.metrics.hep_packets, services.now_ms()
        for count in range(1, BURST_DATAGRAMS_MAX + 1):
            if not inbox.waiting:
                inbox.arrived.clear()
                return
            fates.labels(self._take(inbox.waiting.popleft(), services, now_ms)).inc()
            if count % TURN_DATAGRAMS_MAX == 0:
                await asyncio.sleep(0)

    def _take(self, datagram: bytes, services: Services, now_ms: int) -> str:
        """Take one in; its fate."""
        try:
            packet = read(datagram, key=services.settings.hep_key)
            if not TIME_MS_MIN <= packet.at_ms <= now_ms + measure.AHEAD_MS_MAX:
                return "wrong_time"
            self._calls.take(packet, now_ms)
        except Unusable as reason:
            return reason.fate
        return "taken"

    async def _store(self, services: Services) -> None:
        """Write what is ripe in one job, again until it is written."""
        while self._told:
            try:
                await _put(services, self._told)
                self._told = []
            except (TooMany, Unavailable) as error:
                log.warning("HEP put off", extra={"fields": {"reason": error.message}})
                await asyncio.sleep(RETRY_S)

    async def _store_last(self, services: Services) -> None:
        """Write what is there, ripe or not; what was being written may be written twice."""
        told = self._told + self._calls.ripe(services.now_ms(), everything=True)
        if told:
            try:
                await _put(services, told)
            except (TooMany, Unavailable) as error:
                log.warning("HEP lost", extra={"fields": {"reason": error.message}})


class _Written(NamedTuple):
    measured: int
    late: int
    repeated: int
    refused: int


async def _put(services: Services, told: list[Told]) -> None:
    written = await services.writer.run(_job(services, told))
    fates = services.metrics.hep_reports
    for fate, count in written._asdict().items():
        fates.labels(fate).inc(count)


def _job(services: Services, told: list[Told]) -> Callable[[Store], _Written]:
    """The write of a burst; a session that is refused does not keep the others back."""
    settings, now_ms = services.settings, services.now_ms()

    def job(store: Store) -> _Written:
        late = repeated = refused = 0
        for session, seen in told:
            put = put_seen(
                settings.hep_org,
                session,
                seen,
                now_ms,
                interval_s=settings.interval_s,
                drop_raw_addresses=settings.drop_raw_addresses,
            )
            try:
                with store.transaction():
                    measured = put(store)
            except Unavailable:
                raise
            except RoomtoneError:  # removed by retention, or too large
                refused += len(seen)
            else:
                late, repeated = late + measured.late, repeated + measured.repeated
        count = sum(len(one.seen) for one in told)
        return _Written(count - late - repeated - refused, late, repeated, refused)

    return job


def _shown(bound: socket.socket) -> str:
    host, port = bound.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
