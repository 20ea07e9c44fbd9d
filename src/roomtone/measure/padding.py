"""What a sender's padding hides, and what is certain of sent video all the same.

Browsers test the path with padding, old packets sent again over RTX, and count it in packetsSent
and bytesSent but not in retransmitted*: no counter tells it apart (docs/decisions/0009).
"""

import bisect
from collections.abc import Iterable, Sequence
from typing import Final

from msgspec import Struct, field

from roomtone.measure.snapshot import Row

Chain = Sequence[tuple[float, Row]]
"""A stream's rows with their times in ms, at least one."""
HOLD_MS: Final = 10_000.0
"""Padding to win back the rate went on for up to 6 s after a loss in all calls recorded; it goes
out on any stream of the connection, whichever had lost."""
DOUBT_POINTS_MAX: Final = 1.0
"""Loss is told if it is certain within so many percentage points."""
BIT_RATE_MIN: Final = 140_000
"""Probes come without a loss too, at up to 13 kbit/s: more than a tenth of a thinner stream."""


def hides_loss(row: Row) -> bool:
    """Whether a loss has to be reckoned from a count of what was sent that may hold padding.

    Where the far end's report says what was received, as Firefox's does, it need not.
    """
    return row.pads and (row.remote is None or row.remote.received is None)


class Quiet(Struct):
    """When a connection's outgoing streams lose, or send again what others have overtaken.

    Spans in ascending order that do not overlap.
    """

    lows_ms: list[float] = field(default_factory=list)
    highs_ms: list[float] = field(default_factory=list)

    def __call__(self, start_ms: float, end_ms: float) -> bool:
        """Whether nothing was lost or sent again in a span, nor in `HOLD_MS` before it."""
        first = bisect.bisect_right(self.highs_ms, start_ms)
        return first == len(self.lows_ms) or self.lows_ms[first] >= end_ms


class Losing(Struct, array_like=True):
    """When one stream lost, as the far end reports it, each span with `HOLD_MS` after it.

    Between two reports it lost at any time. What was sent after the last report may have been lost.
    A stream without a report at first begins there, with nothing lost. What the far end asked for
    again was late at least: on a road that loses nothing and changes the order, padding was up to
    eight times the media.
    """

    known_ms: float
    lost: float | None
    again: float
    packets: float = 0.0
    sending_ms: float = 0.0
    spans: list[tuple[float, float]] = field(default_factory=list)

    def follow(self, chain: Chain) -> None:
        """Take in rows that follow; the first may be the last that is known."""
        known_ms, lost, again, packets = self.known_ms, self.lost, self.again, self.packets
        before_ms = chain[0][0]
        for at_ms, row in chain:
            if row.packets != packets:
                packets, self.sending_ms = row.packets, at_ms
            if row.retransmitted != again:
                self.spans.append((before_ms, at_ms + HOLD_MS))
                again = row.retransmitted
            before_ms, remote = at_ms, row.remote
            if remote is None or remote.lost is None:
                continue
            heard_ms = remote.at_ms
            if heard_ms > at_ms:
                heard_ms = at_ms
            if heard_ms < known_ms:
                heard_ms = known_ms
            if remote.lost != lost:
                if lost is not None:
                    self.spans.append((known_ms, heard_ms + HOLD_MS))
                lost = remote.lost
            known_ms = heard_ms
        self.known_ms, self.lost, self.again, self.packets = known_ms, lost, again, packets


def losing(chain: Chain) -> Losing:
    """Of a stream that begins."""
    at_ms, row = chain[0]
    return Losing(at_ms, 0.0 if row.remote is None else None, row.retransmitted)


def quiet(streams: Iterable[Losing]) -> Quiet:
    """What all outgoing streams of a connection tell together."""
    spans: list[tuple[float, float]] = []
    for one in streams:
        spans += one.spans
        if one.sending_ms > one.known_ms:
            spans.append((one.known_ms, one.sending_ms))
    found = Quiet()
    for low_ms, high_ms in sorted(spans):
        if found.lows_ms and low_ms <= found.highs_ms[-1]:
            found.highs_ms[-1] = max(found.highs_ms[-1], high_ms)
        else:
            found.lows_ms.append(low_ms)
            found.highs_ms.append(high_ms)
    return found


def certain(lost: float, expected: float, fewest: float) -> bool:
    """Whether lost / expected is the loss within `DOUBT_POINTS_MAX`, if padding hides in it.

    Of `expected` packets, at least `fewest` were media (one for each frame), so that the loss is
    at least lost / expected and at most lost / fewest.
    """
    if lost <= 0:
        return True
    if fewest <= 0:
        return False
    return 100 * lost / fewest - 100 * lost / expected <= DOUBT_POINTS_MAX
