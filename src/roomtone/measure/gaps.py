"""When a client that says nothing has stopped, and when one that is back can be believed."""

import operator
import statistics
from collections.abc import Sequence
from typing import Final

GAP_MS_MIN: Final = 30_000.0
"""Silence of a client up to this long does not end a run of samples..."""
GAP_PERIODS: Final = 3
"""... nor does silence of up to so many of its usual sampling periods..."""
GAP_MS_MAX: Final = 300_000.0
"""... but this long always does."""
SETTLE_MS: Final = 2_000.0
"""A computer that wakes counts at once what had lain in its queues: what was lost while it slept,
and round trips as long as that. Spans that begin so soon after a gap tell nothing of the road."""


def gap_ms(times: Sequence[int]) -> float:
    """How long a connection with snapshots at `times` may be silent within one run."""
    periods: list[int] = list(map(operator.sub, times[1:], times))
    if not periods or GAP_PERIODS * max(periods) <= GAP_MS_MIN:
        return GAP_MS_MIN
    return min(max(GAP_MS_MIN, GAP_PERIODS * statistics.median_low(periods)), GAP_MS_MAX)
