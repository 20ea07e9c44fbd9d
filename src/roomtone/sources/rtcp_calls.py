"""RTCP of calls, seen in passing -> what each end saw of its streams (`measure.Seen`).

An agent between the ends sees every report, so that one end's report on a stream is put beside the
other's count of what it sent. RTCP does not tell what a stream is: its clock rate does.
"""

from collections import OrderedDict
from typing import Final, NamedTuple

from msgspec import Struct, field

from roomtone.measure import Remote, Row, Seen, Snapshot
from roomtone.model import MediaSession, StreamKind
from roomtone.sources.hep import Packet, Unusable
from roomtone.sources.rtcp import Block, Sent
from roomtone.sources.sip import minted_id

CALLS_MAX: Final = 5_000
STREAMS_MAX: Final = 64
"""SSRCs of a call that are known; others are not measured."""
STREAMS_ALL_MAX: Final = 20_000
"""SSRCs of all calls; above it the call that was heard of longest ago is forgotten."""
ENDS_MAX: Final = 256
"""Addresses and names of a call that are known, however often its ends move."""
HELD_MAX: Final = 64
HELD_MS_MAX: Final = 30_000
"""So long a report waits for the clock rates of its streams; then it goes without them."""
MOVED_MS: Final = 30_000
"""A stream that was silent for so long may go on from another address."""
CARRY_MS: Final = 60_000
PASSED_MAX: Final = 16
TRIP_MS_MAX: Final = 60_000
CLOCK_RATES: Final = (
    8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 90_000,
)  # fmt: skip
VIDEO_RATE: Final = 90_000
RATE_TOLERANCE: Final = 0.03
RATE_SPAN_S_MIN: Final = 0.5
NTP_SECOND: Final = 2**32
DLSR_SECOND: Final = 2**16

Address = tuple[str, int]


class Told(NamedTuple):
    """A participant's session, without figures, and what was seen of it."""

    session: MediaSession
    seen: list[Seen]


class _Carried(NamedTuple):
    at_ms: float
    row: Row


class _Trip(NamedTuple):
    at_ms: float
    ms: float


class _Stream(Struct):
    """What is known of one SSRC: whose it is, its clock, and what was last said of it.

    `passed`: when sender reports were seen, by the middle 32 bits of their NTP time, which the far
    end gives back as `lsr`. `rows`: what its sender's last reports said, of this and of others.
    """

    heard_ms: int
    owner: Address | None = None
    at_ms: float = 0.0
    clock: int = 0
    sent: Sent | None = None
    remote: Remote | None = None
    passed: dict[int, float] = field(default_factory=dict)
    rows: dict[tuple[StreamKind, int], _Carried] = field(default_factory=dict)


class _Held(NamedTuple):
    taken_ms: int
    packet: Packet


class _Call(Struct):
    streams: dict[int, _Stream] = field(default_factory=dict)
    ends: dict[Address | tuple[str, str], str] = field(default_factory=dict)
    held: list[_Held] = field(default_factory=list)
    trips: dict[tuple[int, int], _Trip] = field(default_factory=dict)


class Calls:
    """The calls that were last heard of. It is memory alone: a restart learns them anew."""

    def __init__(self) -> None:
        self._calls: OrderedDict[str, _Call] = OrderedDict()
        self._waiting: set[str] = set()
        self._streams = 0

    def take(self, packet: Packet, now_ms: int) -> None:
        """Take in a report; Unusable when another address sent the same stream first."""
        call = self._call(packet.meeting)
        before = len(call.streams)
        stream = _stream(call, packet.report.ssrc, now_ms)
        if stream is None:
            raise Unusable("too_many")
        for block in packet.report.blocks():
            _stream(call, block.source_ssrc, now_ms)
        self._bound(len(call.streams) - before)
        _own(stream, packet)
        if packet.report.sender_information is not None:
            _learn(stream, packet.report.sender_information, packet.at_ms)
        call.held.append(_Held(now_ms, packet))
        self._waiting.add(packet.meeting)

    def ripe(self, now_ms: int, *, everything: bool = False) -> list[Told]:
        """What can be measured now, a participant an entry: no report waits for a clock any more.

        With `everything`, nothing waits any longer.
        """
        found: dict[str, Told] = {}
        for meeting in list(self._waiting):
            call = self._calls.get(meeting, _Call())
            call.held.sort(key=lambda held: held.packet.at_ms)
            while call.held and (everything or _is_ripe(call, call.held[0], now_ms)):
                packet = call.held.pop(0).packet
                told = found.setdefault(_end_of(call, packet), Told(_session(call, packet), []))
                told.seen.append(_seen(call, packet))
            if not call.held:
                self._waiting.discard(meeting)
        return list(found.values())

    def _call(self, meeting: str) -> _Call:
        call = self._calls.get(meeting)
        if call is None:
            call = self._calls[meeting] = _Call()
        else:
            self._calls.move_to_end(meeting)
        return call

    def _bound(self, grown: int) -> None:
        """Forget the calls that were heard of longest ago, when there are too many or too large."""
        self._streams += grown
        while len(self._calls) > CALLS_MAX or self._streams > STREAMS_ALL_MAX:
            _, call = self._calls.popitem(last=False)
            self._streams -= len(call.streams)


def _stream(call: _Call, ssrc: int, now_ms: int) -> _Stream | None:
    """The stream, new or known; None when the call has too many."""
    stream = call.streams.get(ssrc)
    if stream is None and len(call.streams) < STREAMS_MAX:
        stream = call.streams[ssrc] = _Stream(now_ms)
    return stream


def _own(stream: _Stream, packet: Packet) -> None:
    """Note who sends a stream; Unusable for the copy that a relay passes on."""
    address = (packet.address, packet.port)
    if stream.owner is None or packet.at_ms - stream.at_ms > MOVED_MS:
        stream.owner = address
    if stream.owner != address:
        raise Unusable("relayed")
    stream.at_ms = max(stream.at_ms, packet.at_ms)


def _learn(stream: _Stream, sent: Sent, at_ms: float) -> None:
    """Learn a stream's clock rate from two of its sender reports: d RTP time / d NTP time."""
    stream.passed[sent.ntp() >> 16 & 0xFFFF_FFFF] = at_ms
    if len(stream.passed) > PASSED_MAX:
        del stream.passed[next(iter(stream.passed))]
    known = stream.sent
    if known is None or known.ntp() < sent.ntp():
        stream.sent = sent
    if known is not None:
        before, after = sorted((known, sent), key=Sent.ntp)
        seconds = (after.ntp() - before.ntp()) / NTP_SECOND
        if seconds >= RATE_SPAN_S_MIN:
            ticks = (after.rtp_timestamp - before.rtp_timestamp) % 2**32
            stream.clock = clock_rate(ticks / seconds) or stream.clock


def clock_rate(ticks_per_s: float) -> int:
    """The RTP clock rate in use that this is, in Hz; 0 when it is near none."""
    nearest = min(CLOCK_RATES, key=lambda rate: abs(rate - ticks_per_s))
    return nearest if abs(nearest - ticks_per_s) <= RATE_TOLERANCE * nearest else 0


def _is_ripe(call: _Call, held: _Held, now_ms: int) -> bool:
    if len(call.held) > HELD_MAX or now_ms - held.taken_ms >= HELD_MS_MAX:
        return True
    report = held.packet.report
    named = [block.source_ssrc for block in report.blocks()]
    if report.sender_information is not None:
        named.append(report.ssrc)
    streams = (call.streams.get(ssrc) for ssrc in named)
    return all(
        stream is None or stream.clock or now_ms - stream.heard_ms >= HELD_MS_MAX
        for stream in streams
    )


def _end_of(call: _Call, packet: Packet) -> str:
    """The id of the participant who sent it: of one address, and one CNAME or else one port."""
    address: Address = (packet.address, packet.port)
    known = call.ends.get(address)
    if known is None:
        cname = packet.report.cname()
        named = (packet.address, cname) if cname else address
        if len(call.ends) >= ENDS_MAX:
            call.ends.clear()
        minted = minted_id([packet.meeting, packet.report.ssrc])
        known = call.ends[address] = call.ends.setdefault(named, minted)
    return known


def _session(call: _Call, packet: Packet) -> MediaSession:
    end = _end_of(call, packet)
    return MediaSession(
        meetingInstanceId=packet.meeting,
        participantId=end,
        participantSessionId=end,
        localIP=packet.address,
    )


def _seen(call: _Call, packet: Packet) -> Seen:
    """One report as a snapshot of its sender: what it sent, and what it hears.

    Who was silent since the last report is left out of a report: its counters stand still.
    """
    ssrc, at_ms = packet.report.ssrc, packet.at_ms
    stream = call.streams[ssrc]
    rows: dict[tuple[StreamKind, int], Row] = {}
    for block in packet.report.blocks():
        source = call.streams.get(block.source_ssrc)
        if source is not None:
            row = _row_in(block, source, packet.transport)
            rows[row.kind, row.ssrc] = row
            source.remote = _remote(call, packet, block, row)
    if packet.report.sender_information is not None:
        row = _row_out(ssrc, stream, packet.report.sender_information, packet.transport)
        rows[row.kind, row.ssrc] = row
    told = {key: _Carried(at_ms, row) for key, row in rows.items()}
    for key, carried in stream.rows.items():
        if key not in rows and 0 <= at_ms - carried.at_ms <= CARRY_MS:
            told[key] = carried
            rows[key] = carried.row
    stream.rows = told
    return Seen(f"{ssrc}", Snapshot(round(at_ms), list(rows.values())))


def _row_in(block: Block, source: _Stream, transport: str) -> Row:
    """Expected is the growth of the highest sequence number; received what was not lost of it."""
    return Row(
        kind="videoIn" if source.clock == VIDEO_RATE else "audioIn",
        ssrc=block.source_ssrc,
        packets=float(block.highest_seq_no - block.lost()),
        lost=float(block.lost()),
        jitter_ms=1000 * block.ia_jitter / source.clock if source.clock else None,
        transport=transport,
    )


def _row_out(ssrc: int, stream: _Stream, sent: Sent, transport: str) -> Row:
    return Row(
        kind="videoOut" if stream.clock == VIDEO_RATE else "audioOut",
        ssrc=ssrc,
        packets=float(sent.packets),
        bytes=float(sent.octets),
        transport=transport,
        remote=stream.remote,
    )


def _remote(call: _Call, packet: Packet, block: Block, heard: Row) -> Remote:
    """What the sender of the packet says of another's stream, as that one's far end report."""
    return Remote(
        at_ms=packet.at_ms,
        lost=heard.lost,
        received=heard.packets,
        jitter_ms=heard.jitter_ms,
        rtt_s=_round_trip_s(call, packet, block),
    )


def _round_trip_s(call: _Call, packet: Packet, block: Block) -> float | None:
    """From end to end: agent to one end and back, and agent to the other and back.

    A leg is the time between seeing a sender report and seeing the answer to it, both on the
    agent's clock, less the answerer's delay (RFC 3550, 6.4.1). None until both were seen lately.
    """
    source = call.streams[block.source_ssrc]
    passed_ms = source.passed.get(block.lsr) if block.lsr else None
    if passed_ms is None:
        return None
    leg_ms = packet.at_ms - passed_ms - 1000 * block.dlsr / DLSR_SECOND
    if not 0 <= leg_ms <= TRIP_MS_MAX:
        return None
    call.trips[packet.report.ssrc, block.source_ssrc] = _Trip(packet.at_ms, leg_ms)
    back = call.trips.get((block.source_ssrc, packet.report.ssrc))
    if back is None or abs(packet.at_ms - back.at_ms) > TRIP_MS_MAX:
        return None
    return (leg_ms + back.ms) / 1000
