"""All streams of a capture: which datagrams are RTP, and what RTCP and SIP beside them say."""

import struct
from collections import Counter
from collections.abc import Collection
from typing import Final

from roomtone.sources import rtcp
from roomtone.sources.capture.sdp import Media, is_sip, media_of
from roomtone.sources.capture.stream import MS_NS, Far, Stream, opened

STREAMS_MAX: Final = 500
CANDIDATES_MAX: Final = 2_000
MEDIA_MAX: Final = 1_000
HALVES_MAX: Final = 2_000
REPORTS_MAX: Final = 4_000
TICKS_MAX: Final = 50_000
"""Ticks of all streams; above it every other one is given up, and they come half as often."""
TICK_NS: Final = 1_000_000_000
STEP_BACK_NS: Final = 1_000_000_000
"""Packets that are older than the newest by less are only out of order."""
GOOD_MIN: Final = 5
"""Packets that go on as RTP does before a stream is believed..."""
GOOD_SHARE: Final = 4
"""... and so many of them for each that does not."""
HEADER: Final = struct.Struct("!BBHII")
RTP_FIRST: Final = 128
RTP_LAST: Final = 191
RTCP_KINDS: Final = range(192, 224)
UNASSIGNED: Final = frozenset((1, 2, 19, 20, 21, 22, 23, 24, 27, 29, 30, *range(64, 96)))
"""Payload types that are nobody's (RFC 3551, table 4 and 5) or that RTCP would have (RFC 5761)."""
HALF_AGE_NS: Final = 30_000_000_000
DLSR_UNIT_NS: Final = 1_000_000_000 / 65_536
HALF_NS_MAX: Final = 60_000_000_000

Ends = tuple[bytes, bytes]


def ends_of(flow: bytes) -> Ends:
    """(source, destination) addresses."""
    half = (len(flow) - 4) // 2
    return flow[:half], flow[half : 2 * half]


def ports_of(flow: bytes) -> tuple[int, int]:
    """(source, destination) ports."""
    return int.from_bytes(flow[-4:-2]), int.from_bytes(flow[-2:])


class Table:
    """Streams as they are found. On `ports` all that can be RTP is; elsewhere it must show."""

    def __init__(self, ports: Collection[int] = (), *, tick_ns: int = TICK_NS) -> None:
        self.ports = frozenset(ports)
        self.streams: dict[bytes, Stream] = {}
        self.waiting: dict[bytes, Stream] = {}
        self.by_end: dict[tuple[int, bytes, bytes], Stream] = {}
        self.media: dict[tuple[bytes, int], Media] = {}
        self.sent: dict[tuple[int, bytes, bytes], dict[int, int]] = {}
        self.halves: dict[Ends, tuple[int, float]] = {}
        self.skipped: Counter[str] = Counter()
        self.tick_ns = tick_ns
        self.tick_count = 0

    def take(self, at_ns: int, flow: bytes, data: bytes, start: int, length: int) -> None:
        """Look at one datagram; `length` is that of its payload on the wire."""
        if start >= len(data):
            return
        first = data[start]  # RFC 7983, 7: 0-3 STUN, 20-63 DTLS, 64-79 TURN channels
        if not RTP_FIRST <= first <= RTP_LAST:
            if 65 <= first <= 90 and is_sip(data[start:]):
                self.learn(data[start : start + length])
            return
        if length < 8 or len(data) < start + 8:
            return
        if data[start + 1] in RTCP_KINDS:
            self.hear(at_ns, flow, data[start : start + length], length)
        elif length >= HEADER.size and len(data) >= start + HEADER.size:
            self.rtp(at_ns, flow, data, start, length)

    def rtp(self, at_ns: int, flow: bytes, data: bytes, start: int, length: int) -> None:
        """Count an RTP packet, if it is one."""
        first, second, seq, stamp, ssrc = HEADER.unpack_from(data, start)
        key = flow + data[start + 8 : start + 12]
        stream = self.streams.get(key) or self.waiting.get(key)
        octets = payload_octets(first, data, start, length)
        payload_type = second & 127
        if stream is None:
            if octets is not None:
                first_packet = (seq, stamp, payload_type)
                self.open(key, opened((flow, ssrc), at_ns, first_packet, octets))
            return
        if octets is None:
            self.skipped["RTP headers longer than their packet"] += 1
            return
        if at_ns >= stream.due_ns:
            self.tick_count += stream.keep_up(at_ns, self.tick_ns)
        elif at_ns < stream.last_ns - STEP_BACK_NS:
            stream.step_back()
        stream.take(at_ns, seq, stamp, payload_type, marker=second > 127, octets=octets)
        if not stream.confirmed:
            if stream.good >= GOOD_MIN and stream.good >= GOOD_SHARE * stream.bad:
                self.believe(key, stream)
        elif self.tick_count > TICKS_MAX:
            self.thin()

    def open(self, key: bytes, stream: Stream) -> None:
        """Give a new stream its place, unless it cannot be RTP."""
        named = not self.ports.isdisjoint(ports_of(stream.flow))
        if stream.payload_type in UNASSIGNED and not named:
            return
        if len(self.streams) >= STREAMS_MAX:
            self.skipped[f"packets that look like RTP, beyond the first {STREAMS_MAX} streams"] += 1
            return
        if len(self.waiting) >= CANDIDATES_MAX:
            del self.waiting[next(iter(self.waiting))]
            self.skipped["streams given up: too many at once to tell RTP from chance"] += 1
        self.waiting[key] = stream
        stream.due_ns = stream.ticks[0].at_ms * MS_NS + self.tick_ns
        self.describe(stream)
        if named:
            self.believe(key, stream)

    def believe(self, key: bytes, stream: Stream) -> None:
        """Make a candidate a stream."""
        del self.waiting[key]
        if len(self.streams) >= STREAMS_MAX:
            self.skipped[f"packets that look like RTP, beyond the first {STREAMS_MAX} streams"] += (
                stream.line.packets
            )
            return
        stream.confirmed = True
        stream.number = len(self.streams)
        self.streams[key] = stream
        self.by_end[stream.ssrc, *ends_of(stream.flow)] = stream

    def thin(self) -> None:
        """Give up every other tick of all streams, but the first and the last."""
        self.tick_ns *= 2
        for stream in self.streams.values():
            stream.thin()
        self.tick_count = sum(len(stream.ticks) for stream in self.streams.values())

    def learn(self, message: bytes) -> None:
        """Take in the SDP of a SIP message, for streams that are there and those to come."""
        for media in media_of(message):
            if len(self.media) < MEDIA_MAX:
                self.media[media.address, media.port] = media
        for stream in (*self.streams.values(), *self.waiting.values()):
            self.describe(stream)

    def describe(self, stream: Stream) -> None:
        """What SDP says of a stream: its receiver's, else its sender's."""
        source, destination = ends_of(stream.flow)
        source_port, destination_port = ports_of(stream.flow)
        for end in ((destination, destination_port), (source, source_port)):
            if (media := self.media.get(end)) is not None:
                stream.learn(media)
                return

    def hear(self, at_ns: int, flow: bytes, payload: bytes, length: int) -> None:
        """Take in RTCP: what a receiver reports on streams here, and half round trips."""
        if len(payload) < length:
            self.skipped["RTCP packets that were cut off"] += 1
            return
        try:
            report = rtcp.read(payload)
        except rtcp.Malformed:
            self.skipped["RTCP packets that are encrypted, malformed or no reports"] += 1
            return
        source, destination = ends_of(flow)
        if report.sender_information is not None:
            self.note_sent(at_ns, (report.ssrc, source, destination), report.sender_information)
        for block in report.blocks():
            stream = self.by_end.get((block.source_ssrc, destination, source))
            if stream is None:
                continue
            stream.far = Far(at_ns // MS_NS, block.lost(), block.highest_seq_no, block.ia_jitter)
            self.half(at_ns, stream, block)

    def note_sent(self, at_ns: int, key: tuple[int, bytes, bytes], sent: rtcp.Sent) -> None:
        """Remember when a sender report passed, by the middle of its NTP time stamp."""
        if key not in self.sent and len(self.sent) >= REPORTS_MAX:
            return
        passed = self.sent.setdefault(key, {})
        passed[sent.ntp() >> 16 & 0xFFFFFFFF] = at_ns
        if len(passed) > 8:
            del passed[next(iter(passed))]

    def half(self, at_ns: int, stream: Stream, block: rtcp.Block) -> None:
        """The way from here to a stream's receiver and back; with the other half, a round trip."""
        source, destination = ends_of(stream.flow)
        passed = self.sent.get((block.source_ssrc, source, destination), {}).get(block.lsr)
        if not block.lsr or passed is None:
            return
        there_ns = at_ns - passed - block.dlsr * DLSR_UNIT_NS
        if not 0 <= there_ns <= HALF_NS_MAX:
            return
        if len(self.halves) < HALVES_MAX or (source, destination) in self.halves:
            self.halves[source, destination] = (at_ns, there_ns)
        other = self.halves.get((destination, source))
        if other is not None and 0 <= at_ns - other[0] <= HALF_AGE_NS:
            rtt_ms = (there_ns + other[1]) / MS_NS
            for one in self.streams.values():
                if ends_of(one.flow) in ((source, destination), (destination, source)):
                    one.rtt_total_ms += rtt_ms
                    one.rtt_count += 1

    def finish(self) -> list[Stream]:
        """The streams that were believed, in the order of their first packets."""
        for stream in self.streams.values():
            stream.end()
        return sorted(self.streams.values(), key=lambda stream: (stream.first_ns, stream.number))


def payload_octets(first: int, data: bytes, start: int, length: int) -> int | None:
    """Octets behind header, CSRCs and extension, net of padding (RFC 3550, 5.1).

    -1: what tells them was not captured; None: they contradict the packet's length.
    """
    size = HEADER.size + 4 * (first & 15)
    if first & 16:
        at = start + size + 2
        if len(data) < at + 2:
            return -1 if length >= size + 4 else None
        size += 4 + 4 * int.from_bytes(data[at : at + 2])
    octets = length - size
    if octets < 0:
        return None
    if not first & 32:
        return octets
    if len(data) < start + length or not octets:
        return -1
    padding = data[start + length - 1]
    zeros = data[start + length - padding : start + length - 1]
    # SRTP encrypts the count, and its tag is last: what does not look like padding tells nothing.
    return octets - padding if 0 < padding <= octets and not any(zeros) else -1
