"""Cumulative counters -> differences over a span of time: wraps, resets, silence, far-end reports.

All differences are between neighbouring snapshots of one (connection, direction, SSRC). A pair that
contradicts itself (a restart, a counter that went back) is dropped whole.
"""

import itertools
from collections.abc import Sequence
from typing import Final

from msgspec import Struct, field, structs

from roomtone.measure import padding
from roomtone.measure.plausible import (
    FRAMES_PER_S_MAX,
    OCTETS_PER_PACKET_MAX,
    PACKETS_PER_S_MAX,
    any_dipped,
    dipped,
    dipped_below,
    jumped,
    takes_back,
)
from roomtone.measure.snapshot import Row
from roomtone.model import StreamKind

WRAP_BITS: Final = (16, 24, 32)
OCTETS_WRAP_BITS: Final = (32,)
WRAP_RATE_FACTOR: Final = 4.0
WRAP_ALLOWANCE: Final = 100.0
OVER_TCP: Final = frozenset({"TCP", "TLS"})

Key = tuple[str, StreamKind, int]
"""(connection, kind, SSRC)."""


class Flow(Struct, array_like=True, gc=False):
    """What one stream carried from `start_ms` to `end_ms`, by this end's own count.

    `packets` and `bits` are net of retransmissions (webrtc-stats counts these in packetsReceived,
    packetsSent and bytes* too, and leaves RTP headers out of bytes*). `bits` is None too where
    padding may be among them; of a stream that `pads`, a later report may show that it was. `lost`
    and `expected` are None where this end cannot know them (outgoing, or over TCP). `counter` is
    the cumulative loss at the end. `bits_of_receiver`: far.py took the bits from the receiver's
    count.
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
    counter: float | None = None
    bits_of_receiver: bool = False

    def part(self, low_ms: float, high_ms: float) -> "Flow":
        """What falls in a part of its time."""
        share = (high_ms - low_ms) / (self.end_ms - self.start_ms)
        return Flow(
            low_ms,
            high_ms,
            self.packets * share,
            None if self.bits is None else self.bits * share,
            None if self.frames is None else self.frames * share,
            self.height,
            self.jitter_ms,
            None if self.lost is None else self.lost * share,
            None if self.expected is None else self.expected * share,
            self.codec,
            self.transport,
            self.pads,
            self.counter,
            self.bits_of_receiver,
        )


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


class Rates(Struct, array_like=True):
    """A stream's latest packets and bytes per second, to judge a wrap by; None at first."""

    packets: float | None = None
    bytes: float | None = None


def flow(
    before: Row,
    after: Row,
    start_ms: float,
    end_ms: float,
    rates: Rates,
    earlier: Row | None = None,
) -> Flow | None:
    """The difference of two rows of a stream; None when the counters do not fit together.

    `earlier` is the row before the two: it tells a counter that was wrong once from one that began
    anew. Counters that have grown, nearly all, are taken without a call: it would take longer.
    """
    seconds = (end_ms - start_ms) / 1000.0
    if earlier is not None and any_dipped(earlier, before, after):
        return None
    counted: float | None = after.packets - before.packets
    if after.packets < before.packets:
        counted = packets_wrapped(before.packets, after.packets, rates, seconds)
    again: float | None = after.retransmitted - before.retransmitted
    if after.retransmitted < before.retransmitted:
        again = packets_wrapped(before.retransmitted, after.retransmitted, rates, seconds)
    fast = counted is not None and counted > PACKETS_PER_S_MAX and jumped(counted, seconds)
    if counted is None or again is None or again > counted or fast:
        return None
    rates.packets = counted / seconds
    packets = counted - again
    bits = None
    if before.bytes is not None and after.bytes is not None:
        octets: float | None = after.bytes - before.bytes
        if after.bytes < before.bytes:
            octets = octets_wrapped(before.bytes, after.bytes, rates, seconds)
        resent: float | None = after.retransmitted_bytes - before.retransmitted_bytes
        if after.retransmitted_bytes < before.retransmitted_bytes:
            resent = octets_wrapped(
                before.retransmitted_bytes, after.retransmitted_bytes, rates, seconds
            )
        most = OCTETS_PER_PACKET_MAX * counted
        if octets is None or resent is None or not resent <= octets <= most:
            return None
        rates.bytes = octets / seconds
        bits = 8.0 * (octets - resent)
    lost = None if after.lost is None else lost_between(before, after, packets, rates, seconds)
    frames = None if after.frames is None else frames_between(before, after, seconds)
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
        None if lost is None else lost + packets,
        after.codec,
        after.transport,
        after.pads,
        after.lost,
    )


def packets_wrapped(before: float, after: float, rates: Rates, seconds: float) -> float | None:
    """The difference of a counter of packets that is smaller than it was."""
    return delta(before, after, rate=rates.packets, seconds=seconds)


def octets_wrapped(before: float, after: float, rates: Rates, seconds: float) -> float | None:
    """The difference of a counter of octets that is smaller than it was."""
    return delta(before, after, rate=rates.bytes, seconds=seconds, wraps=OCTETS_WRAP_BITS)


def frames_between(before: Row, after: Row, seconds: float) -> float | None:
    """Frames sent or decoded; None where the counter is unknown, went back or jumped."""
    if before.frames is None or after.frames is None or after.frames < before.frames:
        return None
    frames = after.frames - before.frames
    return None if frames > FRAMES_PER_S_MAX and frames > FRAMES_PER_S_MAX * seconds else frames


def grown(before: float | None, after: float | None) -> float | None:
    """after - before, None where either is unknown or the counter went back."""
    if before is None or after is None or after < before:
        return None
    return after - before


def lost_between(
    before: Row, after: Row, packets: float, rates: Rates, seconds: float
) -> float | None:
    """Packets lost between two rows of an incoming stream; None: unknown, or over TCP.

    Negative when late packets were counted as lost before (RFC 3550, 6.4.1, allows it): it takes
    from the losses of the same interval. More late ones than packets: the counter was reset.
    """
    if before.lost is None or after.lost is None or after.transport in OVER_TCP:
        return None
    lost: float | None = after.lost - before.lost
    if lost is not None and lost < -packets:
        lost = packets_wrapped(before.lost, after.lost, rates, seconds)
    return None if lost is None or jumped(lost, seconds) else lost


class Counted(Struct, array_like=True):
    """What was counted along one stream's unbroken chain of rows, and how to go on from its last.

    Time in which no packet came (`silent`) counts, with 0 bit/s, if the stream went on within the
    limit, and is no part of the stream otherwise: it was stopped. `last` is the row before the
    last; `doubted` says that a counter of the last did not fit.
    """

    flows: list[Flow] = field(default_factory=list)
    silent: list[Flow] = field(default_factory=list)
    rates: Rates = field(default_factory=Rates)
    last: Row | None = None
    doubted: bool = False

    def follow(
        self, chain: Sequence[tuple[float, Row]], limit_ms: float, settled_ms: float = 0.0
    ) -> None:
        """Take the differences along (time, row) that follow; the first is the last one known.

        What begins before `settled_ms` is known to have flowed, and how much is not.
        """
        found, silent, rates, last = self.flows, self.silent, self.rates, self.last
        earlier = last if self.doubted else None
        for (start_ms, before), (end_ms, after) in itertools.pairwise(chain):
            assert end_ms > start_ms, "snapshots of a connection have times of their own"
            piece = flow(before, after, start_ms, end_ms, rates, earlier)
            odd = piece is None or incomplete(piece, after)
            if (
                odd
                or after.packets < before.packets
                or (after.bytes or 0.0) < (before.bytes or 0.0)
            ):
                told = silent or found
                if told and takes_back(told, start_ms, last, before, after):
                    piece = None
            # Only where a counter did not fit, the next pair has to be doubted.
            earlier, last = (before if odd or piece is None else None), before
            if piece is None:
                silent, rates = [], Rates()
                continue
            if start_ms < settled_ms:
                piece = unsettled(piece)
            if not piece.packets and not piece.bits:
                if silent and silent[-1].end_ms - silent[0].start_ms > limit_ms:
                    del silent[1:]  # too long to count: its beginning says so
                silent.append(piece)
                continue
            if silent:
                if silent[-1].end_ms - silent[0].start_ms <= limit_ms:
                    found += silent
                silent = []
            found.append(piece)
        self.silent, self.rates, self.last = silent, rates, last
        self.doubted = earlier is not None


def sure_bits(flows: list[Flow], quiet: padding.Quiet) -> list[Flow]:
    """The same, bits unknown where padding may hide in them."""
    if not flows or quiet(flows[0].start_ms, flows[-1].end_ms):
        return flows
    return [
        structs.replace(flow, bits=None)
        if flow.pads and flow.packets and not quiet(flow.start_ms, flow.end_ms)
        else flow
        for flow in flows
    ]


def unsettled(piece: Flow) -> Flow:
    """The same without figures."""
    return structs.replace(
        piece, bits=None, frames=None, jitter_ms=None, lost=None, expected=None, pads=False
    )


def incomplete(piece: Flow, after: Row) -> bool:
    """Whether a counter of the later row did not fit."""
    return (piece.frames is None and after.frames is not None) or (
        piece.lost is None and after.lost is not None
    )
