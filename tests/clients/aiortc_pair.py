"""Two aiortc peers in this process, and a road between them that delays and drops on purpose."""

import asyncio
import struct
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from aiortc import RTCPeerConnection, VideoStreamTrack
from aiortc.mediastreams import AudioStreamTrack, MediaStreamError, MediaStreamTrack
from aiortc.rtp import RtpPacket, is_rtcp

CONNECT_S_MAX = 20
RTP_VERSION = 2
EVERY = 20
"""One packet of so many is dropped: 5 %."""


@dataclass
class Road:
    """What a peer sends, on its way: every 20th packet of its media streams is lost.

    Retransmissions have an SSRC of their own and pass. `late_s`: by how much at most a packet took
    longer than `delay_s`, as this process has more to do than to carry packets.
    """

    media: frozenset[int]
    delay_s: float
    drops: bool
    sent: Counter[int] = field(default_factory=Counter)
    dropped: Counter[int] = field(default_factory=Counter)
    others: Counter[int] = field(default_factory=Counter)
    late_s: float = 0.0

    def lead(self, ice: Any) -> None:
        """Put the road behind an ICE transport."""
        real, loop = ice._send, asyncio.get_running_loop()

        async def send(data: bytes) -> None:
            if not self._is_lost(data):
                due = loop.time() + self.delay_s
                loop.call_at(due, lambda: asyncio.ensure_future(arrive(data, due)))

        async def arrive(data: bytes, due: float) -> None:
            self.late_s = max(self.late_s, loop.time() - due)
            with suppress(ConnectionError):
                await real(data)

        ice._send = send

    def _is_lost(self, data: bytes) -> bool:
        if data[0] >> 6 != RTP_VERSION or is_rtcp(data):
            return False
        sequence, ssrc = struct.unpack_from(">xxH4xI", data)
        if ssrc not in self.media:
            self.others[ssrc] += 1
            return False
        self.sent[ssrc] += 1
        lost = self.drops and sequence % EVERY == 7
        self.dropped[ssrc] += lost
        return bool(lost)

    def percent(self, ssrc: int) -> float:
        return 100 * self.dropped[ssrc] / self.sent[ssrc]


@dataclass
class Arrivals:
    """RFC 3550 jitter in ms as a receiver computes it: in order, at each new timestamp."""

    rate: int
    jitter: float = 0.0
    values: list[float] = field(default_factory=list)
    _last: tuple[float, int] | None = None
    _highest: int | None = None

    def watch(self, receiver: Any) -> None:
        real = receiver._handle_rtp_packet

        async def handle(packet: RtpPacket, arrival_time_ms: int) -> None:
            self._add(packet, time.time())
            await real(packet, arrival_time_ms=arrival_time_ms)

        receiver._handle_rtp_packet = handle

    def _add(self, packet: RtpPacket, now: float) -> None:
        if self._highest is not None and (packet.sequence_number - self._highest) % 65536 > 32768:
            return
        self._highest = packet.sequence_number
        if self._last is not None and packet.timestamp != self._last[1]:
            transit = (now - self._last[0]) - (packet.timestamp - self._last[1]) / self.rate
            self.jitter += (abs(transit) - self.jitter) / 16
            self.values.append(1000 * self.jitter)
        self._last = now, packet.timestamp


@dataclass
class Pair:
    """Connected peers and the roads from each to the other."""

    a: RTCPeerConnection
    b: RTCPeerConnection
    roads: dict[str, Road]
    arrivals: Arrivals


async def _drain(track: MediaStreamTrack) -> None:
    with suppress(MediaStreamError):
        while True:
            await track.recv()


def ssrc_of(pc: RTCPeerConnection, kind: str) -> int:
    return next(int(one._ssrc) for one in pc.getSenders() if one.kind == kind)


@asynccontextmanager
async def pair(*, delay_s: float, video: bool = True) -> AsyncIterator[Pair]:
    """A call of two with audio (and video); only packets from `a` to `b` are lost."""
    a, b = RTCPeerConnection(), RTCPeerConnection()
    tasks: list[asyncio.Task[None]] = []
    connected = asyncio.Event()
    for peer in (a, b):
        peer.on("track", lambda track: tasks.append(asyncio.create_task(_drain(track))))
        peer.addTrack(AudioStreamTrack())
        if video:
            peer.addTrack(VideoStreamTrack())

    def changed() -> None:
        if a.connectionState == b.connectionState == "connected":
            connected.set()

    a.on("connectionstatechange", changed)
    b.on("connectionstatechange", changed)
    await a.setLocalDescription(await a.createOffer())
    await b.setRemoteDescription(a.localDescription)
    roads, arrivals = {}, Arrivals(rate=48_000)
    for name, peer in (("a", a), ("b", b)):
        media = frozenset(one._ssrc for one in peer.getSenders())
        roads[name] = Road(media, delay_s, drops=name == "a")
        roads[name].lead(peer.getSenders()[0].transport.transport)
    arrivals.watch(next(one for one in b.getReceivers() if one.track.kind == "audio"))
    await b.setLocalDescription(await b.createAnswer())
    await a.setRemoteDescription(b.localDescription)
    try:
        await asyncio.wait_for(connected.wait(), CONNECT_S_MAX)
        yield Pair(a, b, roads, arrivals)
    finally:
        await a.close()
        await b.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
