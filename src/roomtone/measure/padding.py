"""What a sender's padding hides: where sent video may be inflated, and what is certain.

Chromium tests the path with padding, old packets sent again over RTX, and counts it in packetsSent
and bytesSent but not in retransmitted*: no counter tells it apart. Docs: decisions/0009.
"""

import bisect
from collections.abc import Sequence
from typing import Final

from msgspec import Struct, field

from roomtone.measure.snapshot import Row

HOLD_MS: Final = 10_000
"""Padding to win back the rate went on for up to 6 s after a loss in all calls recorded; it goes
out on any stream of the connection that lost, whichever that was."""
DOUBT_POINTS_MAX: Final = 1.0
"""Loss is told if it is certain within so many percentage points."""
BIT_RATE_MIN: Final = 140_000
"""Probes come without a loss too, at up to 13 kbit/s: more than a tenth of a thinner stream."""


def may_hide(row: Row) -> bool:
    """Whether a stream's count of what was sent may hold padding.

    So it may for video, unless the far end tells what it received: that says a sender of the other
    family (Firefox, aiortc), which count no padding. A sender without a report yet may be any.
    """
    if row.kind not in ("videoOut", "shareOut"):
        return False
    return row.remote is None or row.remote.received is None


class Losses(Struct):
    """What the far end had reported lost of one stream, cumulative, and when each report came."""

    at_ms: list[float] = field(default_factory=list)
    lost: list[float] = field(default_factory=list)
    begun: bool = False
    sending_until_ms: float = 0.0

    def quiet(self, start_ms: float, end_ms: float) -> bool:
        """Whether nothing was lost from `HOLD_MS` before a span until a report after its end."""
        after = bisect.bisect_left(self.at_ms, end_ms)
        if after == len(self.at_ms):
            if self.sending_until_ms > start_ms:
                return False
            after -= 1
        before = bisect.bisect_right(self.at_ms, start_ms - HOLD_MS) - 1
        if after <= before:
            return True
        known = self.lost[before] if before >= 0 else 0.0 if self.begun else self.lost[0]
        return self.lost[after] == known


class Quiet(Struct):
    """Which spans are quiet for every outgoing stream of a connection."""

    losses: list[Losses]
    known: dict[tuple[float, float], bool] = field(default_factory=dict)

    def __call__(self, start_ms: float, end_ms: float) -> bool:
        """Whether a span is; streams share their spans, which are looked at once."""
        span = (start_ms, end_ms)
        if span not in self.known:
            self.known[span] = all(one.quiet(start_ms, end_ms) for one in self.losses)
        return self.known[span]


def losses(chain: Sequence[tuple[int, Row]]) -> Losses:
    """The far end's reports along one stream's chain; with none at first, the stream has begun."""
    found = Losses(begun=bool(chain) and chain[0][1].remote is None)
    packets = 0.0
    for at_ms, row in chain:
        if row.packets != packets:
            packets, found.sending_until_ms = row.packets, at_ms
        if row.remote is None or row.remote.lost is None:
            continue
        when = min(row.remote.at_ms, float(at_ms))
        if not found.at_ms or when > found.at_ms[-1]:
            found.at_ms.append(when)
            found.lost.append(row.remote.lost)
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
