"""Sessions by one or two dimensions: how many, how poor and how surely, and quantiles."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from roomtone.errors import Invalid
from roomtone.fleet.dimensions import UNKNOWN, Dimension
from roomtone.fleet.rates import Count, Interval, Tally, wilson
from roomtone.fleet.sessions import (
    FIGURES,
    POOR,
    SUMS,
    UNCLASSIFIED,
    VERDICTS,
    Figure,
    Sessions,
    Sum,
    value_at,
)

BY_MAX: Final = 2
LINES_MAX: Final = 1_000
DENSE_CELLS_MAX: Final = 2**22
SHARES: Final = (0.05, 0.25, 0.5, 0.75, 0.95)
MEDIAN: Final = SHARES.index(0.5)
WORST: Final = SHARES.index(0.95)

Metric = Literal[
    "poor_rate", "sessions", "minutes", "minutesPoor",
    "audioMos", "videoMos", "packetLoss", "latency", "jitter", "joinTime",
]  # fmt: skip
METRICS: Final[tuple[Metric, ...]] = get_args(Metric)
Numbers = NDArray[np.int64]
Quantiles = tuple[float | None, ...]


@dataclass(frozen=True, kw_only=True)
class Line:
    """The sessions that have these values. `interval` has taken meetings for clusters.

    `poor` of `classified` sessions; `quantiles` at SHARES, None where nothing is known.
    """

    values: tuple[str, ...]
    sessions: int
    meetings: int
    verdicts: Mapping[str, int]
    sums: Mapping[Sum, float]
    count: Count
    interval: Interval
    design_effect: float
    quantiles: Mapping[Figure, Quantiles]


@dataclass(frozen=True, kw_only=True)
class Groups:
    """All sessions as one line, then by the dimensions; `others` are those of no line.

    `cells` is how many combinations of values there are.
    """

    whole: Line
    cells: int
    lines: list[Line] = field(default_factory=list)
    others: Line | None = None


def grouped(
    sessions: Sessions,
    by: Sequence[Dimension],
    *,
    metric: Metric = "poor_rate",
    lines_max: int = LINES_MAX,
    sessions_min: int = 1,
) -> Groups:
    """Sessions by up to two dimensions, the worst by the metric first.

    At most LINES_MAX cells are looked at, those with most sessions.
    """
    if len(by) > BY_MAX or len(set(by)) < len(by):
        raise Invalid(f"by: expected up to {BY_MAX} different dimensions.")
    cells, number_of = _numbered(sessions, by)
    counts = np.bincount(cells, minlength=len(number_of))
    there = int(np.count_nonzero(counts))
    chosen = np.argsort(-counts, kind="stable")[: min(there, LINES_MAX)]
    chosen = chosen[counts[chosen] >= sessions_min]
    place = np.full(len(number_of), len(chosen))
    place[chosen] = np.arange(len(chosen))
    sums = _Sums(sessions, place[cells].astype(np.uint16), size=len(chosen) + 1)
    values = [_values(sessions, by, int(number_of[cell])) for cell in chosen]
    badness = sums.badness(metric)
    order = sorted(range(len(chosen)), key=lambda at: (-badness[at], values[at]))
    left = sorted({*order[lines_max:], len(chosen)})
    return Groups(
        whole=sums.together(range(len(chosen) + 1)),
        cells=there,
        lines=[sums.line(at, values[at]) for at in order[:lines_max]],
        others=sums.together(left) if there > lines_max or there > len(chosen) else None,
    )


def _numbered(sessions: Sessions, by: Sequence[Dimension]) -> tuple[Numbers, Numbers]:
    """Each session's cell as an index, and of each index the codes of its values as digits."""
    sizes = [int(sessions.columns[name].max(initial=0)) + 1 for name in by]
    if np.prod(sizes, dtype=np.float64) <= DENSE_CELLS_MAX:
        dense = np.zeros(len(sessions), dtype=np.int64)
        for size, dimension in zip(sizes, by, strict=True):
            dense = dense * size + sessions.columns[dimension]
        digits = np.arange(int(np.prod(sizes)))
        if len(by) == BY_MAX:
            digits = digits // sizes[1] * 2**16 + digits % sizes[1]
        return dense, digits
    numbers = np.zeros(len(sessions), dtype=np.int64)
    for dimension in by:
        numbers = numbers * 2**16 + sessions.columns[dimension]
    found, inverse = np.unique(numbers, return_inverse=True)
    return inverse, found


def _values(sessions: Sessions, by: Sequence[Dimension], number: int) -> tuple[str, ...]:
    found: list[str] = []
    for dimension in reversed(by):
        number, code = divmod(number, 2**16)
        found.append(sessions.values[dimension].get(code, UNKNOWN))
    return tuple(reversed(found))


class _Sums:
    """All figures of all places, a place being a cell or, the last one, what is in no cell."""

    def __init__(self, sessions: Sessions, places: NDArray[np.uint16], *, size: int) -> None:
        self._sessions, self._places, self._size = sessions, places, size
        wide = places.astype(np.int64)
        kinds = wide * len(VERDICTS) + sessions.columns["verdict"]
        counts = np.bincount(kinds, minlength=size * len(VERDICTS))
        self._verdicts = counts.reshape(size, len(VERDICTS))
        self._sums = {
            name: np.bincount(wide, weights=sessions.columns[name], minlength=size) for name in SUMS
        }
        self._histograms = {name: _histogram(sessions, name, wide, size) for name in FIGURES}
        self._quantiles = {name: _quantiles(name, *self._histograms[name]) for name in FIGURES}
        self._meetings, self._tallies = tallies(sessions, places, size=size)

    def badness(self, metric: Metric) -> list[float]:
        """What places are ordered by; of rates the lower bound, so that 1 of 1 is not first."""
        if metric == "poor_rate":
            bounds = [(tally.total, wilson(tally.effective).low) for tally in self._tallies]
            return [low if total else -1.0 for total, low in bounds]
        if metric == "sessions":
            return [float(count) for count in self._verdicts.sum(axis=1)]
        if metric == "minutes" or metric == "minutesPoor":
            return [float(figure) for figure in self._sums[metric]]
        downward = metric in ("audioMos", "videoMos")
        found = [table[MEDIAN if downward else WORST] for table in self._quantiles[metric]]
        sign = -1 if downward else 1
        return [-math.inf if figure is None else sign * figure for figure in found]

    def line(self, at: int, values: tuple[str, ...]) -> Line:
        """The line of a cell."""
        quantiles = {name: table[at] for name, table in self._quantiles.items()}
        return self._line([at], values, self._meetings[at], self._tallies[at], quantiles)

    def together(self, places: Sequence[int]) -> Line:
        """Several places as one; a meeting that is in more than one of them counts once."""
        inside = np.zeros(self._size, dtype=np.bool_)
        inside[list(places)] = True
        only = {"verdict": self._sessions.columns["verdict"]}
        part = replace(self._sessions, columns=only).where(inside[self._places])
        meetings, found = tallies(part, np.zeros(len(part), dtype=np.uint16), size=1)
        quantiles = {
            name: _quantiles(name, first, counts[list(places)].sum(axis=0)[None])[0]
            for name, (first, counts) in self._histograms.items()
        }
        return self._line(list(places), (), meetings[0], found[0], quantiles)

    def _line(
        self,
        places: list[int],
        values: tuple[str, ...],
        meetings: int,
        tally: Tally,
        quantiles: Mapping[Figure, Quantiles],
    ) -> Line:
        verdicts = self._verdicts[places].sum(axis=0)
        return Line(
            values=values,
            sessions=int(verdicts.sum()),
            meetings=meetings,
            verdicts=dict(zip(VERDICTS, verdicts.tolist(), strict=True)),
            sums={name: float(column[places].sum()) for name, column in self._sums.items()},
            count=tally.counted,
            interval=wilson(tally.effective),
            design_effect=tally.design_effect,
            quantiles=quantiles,
        )


def _histogram(sessions: Sessions, name: Figure, places: Numbers, size: int) -> tuple[int, Numbers]:
    """The number of the first bucket that has any, and how many are in which: (size, buckets)."""
    column = sessions.columns[name]
    known = column[column > 0]
    if not len(known):
        return 1, np.zeros((size, 1), dtype=np.int64)
    first = int(known.min())
    # what is unknown is counted in a bucket before the first, and dropped
    width = int(known.max()) - first + 2
    buckets = np.maximum(column, first - 1) - np.uint16(first - 1)
    counts = np.bincount(places * width + buckets, minlength=size * width)
    return first, counts.reshape(size, width)[:, 1:]


def _quantiles(name: Figure, first: int, counts: Numbers) -> list[Quantiles]:
    """Of each row, at SHARES: the value of rank floor(share * (total - 1)), as in sketch.py."""
    above = np.cumsum(counts, axis=1)
    totals = above[:, -1]
    values = [value_at(name, first + bucket) for bucket in range(counts.shape[1])]
    columns = []
    for share in SHARES:
        ranks = np.floor(share * (totals - 1))
        at = (above <= ranks[:, None]).sum(axis=1).tolist()
        columns.append([values[k] if n else None for k, n in zip(at, totals.tolist(), strict=True)])
    return list(zip(*columns, strict=True))


def tallies(
    sessions: Sessions, places: NDArray[np.uint16], *, size: int
) -> tuple[list[int], list[Tally]]:
    """How many meetings are in each place, and its classified sessions counted by meeting."""
    where, meeting, verdict = places, sessions.meeting, sessions.columns["verdict"]
    if size > 1:
        order = np.argsort(places, kind="stable")  # of 16 bits it is a radix sort
        where, meeting, verdict = places[order], meeting[order], verdict[order]
    starts = _starts(where, meeting)
    meetings, found = [0] * size, [Tally()] * size
    if not len(starts):
        return meetings, found
    poor, total = (
        np.add.reduceat(chosen, starts, dtype=np.int64)
        for chosen in (verdict == POOR, verdict != UNCLASSIFIED)
    )
    of = where[starts]
    cells = _starts(of)
    columns = (total > 0, poor, total, poor * poor, poor * total, total * total)
    sums = [np.add.reduceat(column, cells, dtype=np.int64).tolist() for column in columns]
    counts = np.diff(cells, append=len(of)).tolist()
    for at, count, (known, *row) in zip(
        of[cells].tolist(), counts, zip(*sums, strict=True), strict=True
    ):
        meetings[at] = count
        found[at] = Tally(known, *map(float, row))
    return meetings, found


def _starts(*columns: NDArray[Any]) -> Numbers:
    """Where a run of equal rows begins."""
    begins = np.ones(len(columns[0]), dtype=np.bool_)
    begins[1:] = False
    for column in columns:
        begins[1:] |= column[1:] != column[:-1]
    return np.flatnonzero(begins)
