"""What really happened: the relay's log of a call, by stream and span of time."""

import bisect
import csv
import functools
import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

SRTP_TAG_OCTETS: Final = 10
"""SRTP_AES128_CM_HMAC_SHA1_80, which all browsers here agree on."""
CLOCKS_HZ: Final = {"audio": 48_000, "video": 90_000, "share": 90_000}
JITTER_STEP_MAX: Final = 450_000
"""libwebrtc leaves out a step of more clock units: 5 s of video."""
UNDER_WAY_S_MAX: Final = 1.0
MOMENT_S: Final = 0.1
Span = tuple[float, float]


class Packet(NamedTuple):
    """Times in s since 1970: into the relay, and out of it (or when it would have been)."""

    in_s: float
    out_s: float
    seq: int
    ts: int
    net_octets: int
    dropped: bool


@dataclass(eq=False)
class Wire:
    """All RTP packets by SSRC, in the order in which they were sent, and RTCP's delays by way."""

    streams: dict[int, list[Packet]] = field(default_factory=lambda: defaultdict(list))
    delays: dict[int, list[tuple[float, float]]] = field(default_factory=lambda: defaultdict(list))

    def loss(self, ssrc: int, span: Span) -> tuple[float, int]:
        """(percent, of so many packets) that were due at the far end in the span."""
        due = [packet for packet in self.streams[ssrc] if span[0] <= packet.out_s < span[1]]
        lost = sum(packet.dropped for packet in due)
        return 100 * lost / max(len(due), 1), len(due)

    def overtaken(self, ssrc: int, at_s: float) -> int:
        """Packets that count as lost though they were not yet due: others have overtaken them.

        The most that there were in MOMENT_S before or after: a burst of pictures comes and goes in
        a few milliseconds, and a browser says when it counted no better than that.
        """
        near = [p for p in self.streams[ssrc] if abs(p.in_s - at_s) < UNDER_WAY_S_MAX]
        moments = [p.out_s for p in near if not p.dropped and abs(p.out_s - at_s) < MOMENT_S]
        return max(missing(near, moment) for moment in (at_s, *moments))

    def received_bit_rate(self, ssrc: int, span: Span) -> float:
        """Bit/s of payload that arrived; what was sent again has an SSRC of its own."""
        arrived = (p for p in self.streams[ssrc] if not p.dropped and span[0] <= p.out_s < span[1])
        return rate(arrived, span)

    def sent_bit_rate(self, ssrc: int, span: Span) -> float:
        """Bit/s of payload that was sent."""
        return rate((p for p in self.streams[ssrc] if span[0] <= p.in_s < span[1]), span)

    def frames_per_s(self, ssrc: int, span: Span) -> float:
        """RTP timestamps that were new in a span: the pictures that were sent."""
        stamps = {packet.ts for packet in self.streams[ssrc] if span[0] <= packet.in_s < span[1]}
        return len(stamps) / (span[1] - span[0])

    def round_trip_ms(self, span: Span) -> float:
        """What the relay delayed RTCP by, there and back: the mean over the span."""
        return sum(self.delay_ms(way, span) for way in (0, 1))

    def delay_ms(self, way: int, span: Span) -> float:
        delays = [delay for at, delay in self.delays[way] if span[0] <= at < span[1]]
        return 1000 * sum(delays) / max(len(delays), 1)

    def jitter_ms(
        self, ssrc: int, kind: str, moments: Sequence[tuple[Span, float]], *, cut: bool
    ) -> float:
        """The mean of the jitter at moments, each weighted by the span that it stands for.

        `cut`: in whole ms each, as Chromium tells the jitter of pictures.
        """
        curve = self.jitter_curve(ssrc, CLOCKS_HZ[kind])
        total = weight = 0.0
        for (low, high), at_s in moments:
            place = bisect.bisect_right(curve, at_s, key=lambda point: point[0])
            value = curve[place - 1][1] if place else 0.0
            total += (math.floor(value) if cut else value) * (high - low)
            weight += high - low
        return total / weight

    @functools.cache  # noqa: B019  a few logs in a test run
    def jitter_curve(self, ssrc: int, clock_hz: int) -> list[tuple[float, float]]:
        """RFC 3550, 6.4.1, over packets that came in order, at each new timestamp: (s, ms).

        The packet before is the one that came before in order, of whatever frame, as libwebrtc and
        Firefox take it.
        """
        arrived = sorted((p for p in self.streams[ssrc] if not p.dropped), key=lambda p: p.out_s)
        curve: list[tuple[float, float]] = []
        jitter, before = 0.0, arrived[0]
        for packet in arrived[1:]:
            if not 0 < (packet.seq - before.seq) & 0xFFFF < 0x8000:
                continue
            if packet.ts != before.ts:
                step = (packet.out_s - before.out_s) * clock_hz - difference(packet.ts, before.ts)
                jitter += (min(abs(step), JITTER_STEP_MAX) - jitter) / 16
                curve.append((packet.out_s, 1000 * jitter / clock_hz))
            before = packet
        return curve


def missing(packets: Sequence[Packet], at_s: float) -> int:
    """How many are not due before a moment at which a later one has arrived."""
    arrived = [p.in_s for p in packets if not p.dropped and p.out_s <= at_s]
    newest = max(arrived, default=0.0)
    return sum(p.in_s < newest and p.out_s > at_s for p in packets)


def difference(after: int, before: int) -> int:
    """Of RTP timestamps, which wrap at 32 bits."""
    return (after - before + 2**31) % 2**32 - 2**31


def rate(packets: Iterable[Packet], span: Span) -> float:
    return 8 * sum(packet.net_octets for packet in packets) / (span[1] - span[0])


def read(log: Path) -> Wire:
    """The log of a relay that has ended."""
    wire = Wire()
    with log.open(newline="") as file:
        for row in csv.DictReader(file):
            in_s, out_s = float(row["t_in"]), float(row["t_out"])
            if row["kind"] == "rtcp" and row["dropped"] == "0":
                wire.delays[int(row["way"])].append((out_s, out_s - in_s))
            if row["kind"] != "rtp":
                continue
            net = int(row["octets"]) - int(row["header"]) - SRTP_TAG_OCTETS
            packet = Packet(
                in_s, out_s, int(row["seq"]), int(row["ts"]), net, row["dropped"] == "1"
            )
            wire.streams[int(row["ssrc"])].append(packet)
    for delays in wire.delays.values():
        delays.sort()
    for packets in wire.streams.values():
        packets.sort(key=lambda packet: packet.in_s)
    return wire
