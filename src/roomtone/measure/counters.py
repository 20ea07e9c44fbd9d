"""Cumulative counters -> differences over a span of time: wraps, resets, silence, far-end reports.

All differences are between neighbouring snapshots of one (connection, direction, SSRC). A pair that
contradicts itself (a restart, a counter that went back) is dropped whole.
"""

import itertools
from collections.abc import Iterable, Sequence
from typing import Final

from msgspec import Struct, structs

from roomtone.measure import padding
from roomtone.measure.gaps import SETTLE_MS
from roomtone.measure.plausible import (
    FRAMES_PER_S_MAX,
    OCTETS_PER_PACKET_MAX,
    any_dipped,
    dipped,
    dipped_below,
    jumped,
    takes_back,
    too_many,
)
from roomtone.measure.snapshot import Remote, Row
from roomtone.model import StreamKind

WRAP_BITS: Final = (16, 24, 32)
OCTETS_WRAP_BITS: Final = (32,)
WRAP_RATE_FACTOR: Final = 4.0
WRAP_ALLOWANCE: Final = 100.0
OVER_TCP: Final = frozenset({"TCP", "TLS"})

Key = tuple[str, StreamKind, int]
"""(connection, kind, SSRC)."""


class Flow(Struct, gc=False):
    """What one stream carried from `start_ms` to `end_ms`, by this end's own count.

    `packets` and `bits` are net of retransmissions (webrtc-stats counts these in packetsReceived,
    packetsSent and bytes* too, and leaves RTP headers out of bytes*). `bits` is None too where
    padding may be among them; of a stream that `pads`, a later report may show that it was. `lost`
    and `expected` are None where this end cannot know them (outgoing, or over TCP).
    `bits_of_receiver`: far.py took the bits from the receiver's count.
    """

    start_ms: float
    end_ms: float
    packets: float
    bits: float | None
    frames: float | None
    height: float | None
    jitter_ms: float | None
    lost: float | None
    expected: float | None
    codec: str
    transport: str
    pads: bool = False
    bits_of_receiver: bool = False


class Heard(Struct, gc=False):
    """What the far end's reports said of an outgoing stream between two of them.

    `expected` packets at most, and at least `fewest`; they differ in an estimate only. `counted`:
    it is no report, but what the far end counted and sent itself (far.py).
    """

    start_ms: float
    end_ms: float
    lost: float | None
    expected: float | None
    fewest: float
    jitter_ms: float | None
    estimated: bool
    counted: bool = False


def delta(
    before: float,
    after: float,
    *,
    rate: float | None,
    seconds: float,
    wraps: tuple[int, ...] = WRAP_BITS,
) -> float | None:
    """after - before of a counter that only grows; None when it was reset.

    A smaller value is a wrap (RTP sequence numbers at 16 bits, RTCP's cumulative loss at 24, octet
    counts at 32 and no less: RFC 3550, 6.4.1) only if the step that it makes fits the stream's
    `rate` (per second, None if unknown) over that time; else it is a restart.
    """
    if after >= before:
        return after - before
    if rate is None:
        return None
    plausible = WRAP_RATE_FACTOR * rate * seconds + WRAP_ALLOWANCE
    for bits in wraps:
        step = after - before + 2.0**bits
        if before < 2.0**bits and 0 <= step <= plausible:
            return step
    return None


class Rates(Struct):
    """A stream's latest packets and bytes per second, to judge a wrap by; None at first."""

    packets: float | None = None
    bytes: float | None = None


def flow(
    before: Row, after: Row, start_ms: int, end_ms: int, rates: Rates, earlier: Row | None = None
) -> Flow | None:
    """The difference of two rows of a stream; None when the counters do not fit together.

    `earlier` is the row before the two: it tells a counter that was wrong once from one that began
    anew.
    """
    seconds = (end_ms - start_ms) / 1000
    if earlier is not None and any_dipped(earlier, before, after):
        return None
    counted = packets_between(before.packets, after.packets, rates, seconds)
    again = packets_between(before.retransmitted, after.retransmitted, rates, seconds)
    if counted is None or again is None or again > counted or jumped(counted, seconds):
        return None
    rates.packets = counted / seconds
    packets = counted - again
    bits = None
    if before.bytes is not None and after.bytes is not None:
        octets = octets_between(before.bytes, after.bytes, rates, seconds)
        octets_again = octets_between(
            before.retransmitted_bytes, after.retransmitted_bytes, rates, seconds
        )
        if octets is None or octets_again is None or octets_again > octets:
            return None
        if octets > OCTETS_PER_PACKET_MAX * counted:
            return None
        rates.bytes = octets / seconds
        bits = 8 * (octets - octets_again)
    lost = lost_between(before, after, packets, rates.packets, seconds)
    frames = frames_between(before, after, seconds)
    if earlier is not None and before.packets >= earlier.packets:  # no restart
        lost = None if dipped_below(earlier, before, after) else lost
        frames = None if dipped(earlier.frames, before.frames, after.frames) else frames
    return Flow(  # by position: names cost half as much again
        start_ms,
        end_ms,
        packets,
        bits,
        frames,
        after.height,
        after.jitter_ms if packets else None,
        lost,
        None if lost is None else max(lost + packets, 0.0),
        after.codec,
        after.transport,
        after.pads,
    )


def packets_between(before: float, after: float, rates: Rates, seconds: float) -> float | None:
    """The difference of a counter of packets."""
    if after >= before:
        return after - before
    return delta(before, after, rate=rates.packets, seconds=seconds)


def octets_between(before: float, after: float, rates: Rates, seconds: float) -> float | None:
    """The difference of a counter of octets."""
    if after >= before:
        return after - before
    return delta(before, after, rate=rates.bytes, seconds=seconds, wraps=OCTETS_WRAP_BITS)


def frames_between(before: Row, after: Row, seconds: float) -> float | None:
    """Frames sent or decoded; None where the counter is unknown, went back or jumped."""
    frames = grown(before.frames, after.frames)
    if frames is None or (frames > FRAMES_PER_S_MAX and frames > FRAMES_PER_S_MAX * seconds):
        return None
    return frames


def grown(before: float | None, after: float | None) -> float | None:
    """after - before, None where either is unknown or the counter went back."""
    if before is None or after is None or after < before:
        return None
    return after - before


def lost_between(
    before: Row, after: Row, packets: float, rate: float, seconds: float
) -> float | None:
    """Packets lost between two rows of an incoming stream; None: unknown, or over TCP.

    Negative when late packets were counted as lost before (RFC 3550, 6.4.1, allows it): it takes
    from the losses of the same interval. More late ones than packets: the counter was reset.
    """
    if before.lost is None or after.lost is None or after.transport in OVER_TCP:
        return None
    lost: float | None = after.lost - before.lost
    if lost is not None and lost < -packets:
        lost = delta(before.lost, after.lost, rate=rate, seconds=seconds)
    return None if lost is None or jumped(lost, seconds) else lost


def flows(
    chain: Sequence[tuple[int, Row]], limit_ms: int, quiet: padding.Quiet, settled_ms: float = 0.0
) -> list[Flow]:
    """Differences along one stream's unbroken chain of (time, row).

    What begins before `settled_ms` is known to have flowed, and how much is not.

    Time in which no packet came counts (with 0 bit/s) if the stream went on within `limit_ms`, and
    is no part of the stream otherwise: it was stopped. Bits of a span that is not `quiet` are
    unknown where padding may hide in them.
    """
    found: list[Flow] = []
    silent: list[Flow] = []
    rates = Rates()
    earlier = last = None
    for (start_ms, before), (end_ms, after) in itertools.pairwise(chain):
        assert end_ms > start_ms, "snapshots of a connection have times of their own"
        piece = flow(before, after, start_ms, end_ms, rates, earlier)
        fell = after.packets < before.packets or (after.bytes or 0.0) < (before.bytes or 0.0)
        if (told := silent or found) and (fell or incomplete(piece, after)):
            piece = None if takes_back(told, start_ms, last, before, after) else piece
        earlier, last = (before if incomplete(piece, after) else None), before
        if piece and piece.packets and piece.pads and not quiet(start_ms, end_ms):
            piece.bits = None
        if piece and start_ms < settled_ms:
            piece = unsettled(piece)
        if piece is None:
            silent, rates = [], Rates()
        elif not piece.packets and not piece.bits:
            silent.append(piece)
        else:
            if silent and silent[-1].end_ms - silent[0].start_ms <= limit_ms:
                found += silent
            silent = []
            found.append(piece)
    return found


def unsettled(piece: Flow) -> Flow:
    """The same without figures."""
    return structs.replace(
        piece, bits=None, frames=None, jitter_ms=None, lost=None, expected=None, pads=False
    )


def incomplete(piece: Flow | None, after: Row) -> bool:
    """Whether a counter of the later row did not fit: only then the next pair has to be doubted."""
    if piece is None:
        return True
    return (piece.frames is None and after.frames is not None) or (
        piece.lost is None and after.lost is not None
    )


class Point(Struct, gc=False):
    """One distinct report of the far end, with what had been sent when it came (net of RTX).

    `hides`: padding may be among `sent`; the frames then are what was sent at least.
    """

    at_ms: float
    sent: float
    frames: float | None
    remote: Remote
    hides: bool
    transport: str


def points(
    chain: Sequence[tuple[int, Row]], limit_ms: int, settled_ms: float = 0.0
) -> list[list[Point]]:
    """The distinct reports of the far end along a chain, in runs that no reset interrupts, nor a
    silence of more than `limit_ms`. Reports before `settled_ms`, or so soon after a silence, are
    left out.

    What had been sent by then is interpolated between the two snapshots around the report.
    """
    runs: list[list[Point]] = [[]]
    last: Remote | None = None
    for index, (at_ms, row) in enumerate(chain):
        remote = row.remote
        sent, frames = row.packets - row.retransmitted, row.frames
        earlier = chain[index - 1] if index else None
        if earlier is not None and row.packets < earlier[1].packets:
            runs.append([])
        if remote is None or (last is not None and same_report(last, remote)):
            continue
        if last is not None and remote.at_ms - last.at_ms > limit_ms:
            runs.append([])
            settled_ms = remote.at_ms + SETTLE_MS
        last = remote
        if remote.at_ms < settled_ms:
            continue
        when = remote.at_ms if remote.at_ms < at_ms else float(at_ms)
        if earlier is None:
            when = float(at_ms)
        else:
            start_ms, before = earlier
            if when < start_ms:
                when = float(start_ms)
            share = (at_ms - when) / (at_ms - start_ms)
            grew = sent - (before.packets - before.retransmitted)
            if grew > 0:
                sent -= share * grew
            if frames is not None and before.frames is not None and frames > before.frames:
                frames -= share * (frames - before.frames)
        hides = padding.hides_loss(row)
        runs[-1].append(Point(when, sent, frames, remote, hides, row.transport))
    return runs


def same_report(one: Remote, other: Remote) -> bool:
    """Whether two snapshots show the same report of the far end."""
    if one.rtt_count != other.rtt_count or one.lost != other.lost:
        return False
    return abs(one.at_ms - other.at_ms) < 1.0 or (
        one.received == other.received
        and one.jitter_ms == other.jitter_ms
        and one.rtt_s == other.rtt_s
    )


def heard(runs: Iterable[Sequence[Point]], limit_ms: int) -> list[Heard]:
    """Losses and jitter that the far end reported, over the spans its reports cover.

    With its own count of packets received (Firefox, aiortc): dLost / (dLost + dReceived). Without
    (Chromium): dLost / dSent, net of what was sent again. In Chromium's video that may hold padding
    (`padding`), so that it is an estimate, and the loss at least.
    """
    found: list[Heard] = []
    for run in runs:
        for before, after in itertools.pairwise(run):
            if not 0 < after.at_ms - before.at_ms <= limit_ms:
                continue
            lost, expected = heard_loss(before, after)
            fewest = expected or 0.0
            if after.hides:
                fewest = min(fewest, grown(before.frames, after.frames) or 0.0)
            found.append(  # by position: names cost half as much again
                Heard(
                    before.at_ms,
                    after.at_ms,
                    lost,
                    expected,
                    fewest,
                    after.remote.jitter_ms,
                    after.hides,
                )
            )
    return found


def heard_loss(before: Point, after: Point) -> tuple[float | None, float | None]:
    """(lost, expected) between two reports; None: unknown, or over TCP."""
    if before.remote.lost is None or after.remote.lost is None or after.transport in OVER_TCP:
        return None, None
    lost = after.remote.lost - before.remote.lost
    received = grown(before.remote.received, after.remote.received)
    sent = after.sent - before.sent
    if sent < 0:
        sent = 0.0
    seconds = (after.at_ms - before.at_ms) / 1000
    if too_many(lost, sent) or jumped(sent, seconds) or jumped(received or 0.0, seconds):
        return None, None
    if received is not None:
        return lost, max(lost + received, 0.0)
    if lost < -sent:
        return None, None
    return lost, sent
