"""From intervals that are bad to spans of time: two of three, short gaps bridged."""

from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from roomtone.causes import limits

Values = NDArray[np.float64]
Mask = NDArray[np.bool_]
Cells = NDArray[np.intp]
WINDOW: Final = 3


class Span(Struct, gc=False):
    """Intervals first..last-1 of the grid: those that are bad, and how many are known."""

    first: int
    last: int
    bad: Cells
    known: int

    @property
    def cells(self) -> slice:
        """All of its intervals."""
        return slice(self.first, self.last)


def spans(
    bad: Mask, known: Mask, *, step_s: float, cells_min: int = limits.BAD_CELLS_MIN
) -> list[Span]:
    """The spans of one row. Unknown intervals are left out: they neither break nor make one.

    A bad interval counts when another one is bad among its two neighbours on either side.
    """
    seen = np.flatnonzero(known | bad)
    at = np.flatnonzero(bad[seen])
    if len(at) < cells_min:
        return []
    steps = np.diff(at)
    near = steps < WINDOW
    kept = at[np.append(near, False) | np.insert(near, 0, False)]
    if len(kept) < cells_min:
        return []
    found = []
    for part in _runs(kept, seen, step_s):
        if len(part) >= cells_min:
            cells = seen[part]
            count = int(part[-1] - part[0]) + 1
            found.append(Span(int(cells[0]), int(cells[-1]) + 1, cells, count))
    return found


def _runs(kept: Cells, seen: Cells, step_s: float) -> list[Cells]:
    """Cut where it was fine for long: longer than two intervals and a third of the bad before."""
    gaps = np.diff(kept) - 1
    gaps_s = np.diff(seen[kept]) * step_s
    breaks = [0]
    for at in np.flatnonzero(gaps > limits.GAP_CELLS_MAX).tolist():
        if gaps[at] > limits.GAP_PART * (at + 1 - breaks[-1]) or gaps_s[at] > limits.GAP_S_MAX:
            breaks.append(at + 1)
    return np.split(kept, breaks[1:])


def closed(bad: Mask) -> Mask:
    """Rows without single bad intervals, and with what is between two that are near each other.

    People at one place do not lose in the very same intervals, so each one's are closed first.
    """
    before, after = np.zeros_like(bad), np.zeros_like(bad)
    for shift in range(1, WINDOW):
        before[:, shift:] |= bad[:, :-shift]
        after[:, :-shift] |= bad[:, shift:]
    found: Mask = (bad & (before | after)) | (before & after)
    return found


def sustained(values: Values, *, least: float) -> Mask:
    """Where the mean of so many known intervals together is at least `least`, row by row.

    All intervals of such a window count that are not below half of it.
    """
    width = limits.SUSTAINED_CELLS
    found = np.zeros(values.shape, dtype=np.bool_)
    if values.shape[-1] < width:
        return found
    known = ~np.isnan(values)
    sums = np.where(known, values, 0.0).cumsum(axis=-1)
    counts = known.cumsum(axis=-1)
    total = sums[..., width - 1 :].copy()
    total[..., 1:] -= sums[..., :-width]
    full = counts[..., width - 1 :].copy()
    full[..., 1:] -= counts[..., :-width]
    high = (total >= least * full - 1e-9) & (full >= width - 1)
    for shift in range(width):
        found[..., shift : shift + high.shape[-1]] |= high
    return found & (values >= least / 2)
