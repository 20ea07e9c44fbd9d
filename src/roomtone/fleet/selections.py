"""Parts of a fleet beside each other: strata of two of them, and rows for what stands out."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from roomtone.errors import Invalid
from roomtone.fleet.compare import Comparison, Limits, compare
from roomtone.fleet.cube import Cube, Floats
from roomtone.fleet.dimensions import UNKNOWN, Dimension
from roomtone.fleet.groups import tallies
from roomtone.fleet.rates import Tally, benjamini_hochberg
from roomtone.fleet.sessions import POOR, UNCLASSIFIED, Sessions

WITHIN_MAX: Final = 3
STRATA_MAX: Final = 20_000
COMPARED_MAX: Final = 100
"""Values that are compared one by one, those with most sessions."""
SMOOTHING: Final = 0.3
"""Ours: the weight of the last period in an exponentially weighted mean of those before."""

LIMITS: Final = Limits()

Rows = NDArray[np.bool_]
Key = tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Compared:
    """One value's comparison; `p_adjusted` after Benjamini and Hochberg over all values."""

    value: str
    comparison: Comparison
    p_adjusted: float | None


def compared(
    sessions: Sessions,
    first: Rows,
    second: Rows,
    *,
    within: Sequence[Dimension],
    names: tuple[str, str],
    limits: Limits = LIMITS,
) -> Comparison:
    """The second of two parts beside the first, within strata of these dimensions."""
    return compare(
        strata(sessions, first, second, within), names=names, by=tuple(within), limits=limits
    )


def compared_by(
    sessions: Sessions,
    first: Rows,
    second: Rows,
    dimension: Dimension,
    *,
    within: Sequence[Dimension],
    names: tuple[str, str],
    limits: Limits = LIMITS,
) -> list[Compared]:
    """The same for each value of a dimension, the clearest difference first."""
    found = []
    for value, rows in _largest(sessions, dimension, first | second):
        sides = first[rows], second[rows]
        one = compared(sessions.rows(rows), *sides, within=within, names=names, limits=limits)
        found.append((value, one))
    telling = [one for _, one in found if one.verdict != "not enough data"]
    ps = dict(
        zip(map(id, telling), benjamini_hochberg([one.pooled.p for one in telling]), strict=True)
    )
    lines = [
        Compared(value=value, comparison=one, p_adjusted=ps.get(id(one))) for value, one in found
    ]
    return sorted(lines, key=lambda line: (line.p_adjusted is None, line.p_adjusted or 0.0))


def _largest(
    sessions: Sessions, dimension: Dimension, inside: Rows
) -> Iterator[tuple[str, NDArray[np.intp]]]:
    """The values with most rows `inside`, and the numbers of those rows."""
    chosen = np.flatnonzero(inside)
    codes = sessions.columns[dimension][chosen]
    counts = np.bincount(codes, minlength=1)
    ends = np.cumsum(counts)
    rows = chosen[np.argsort(codes, kind="stable")]
    texts = sessions.texts(dimension)
    for code in np.argsort(-counts, kind="stable")[:COMPARED_MAX].tolist():
        if counts[code]:
            yield texts[code], rows[ends[code] - counts[code] : ends[code]]


def strata(
    sessions: Sessions, first: Rows, second: Rows, within: Sequence[Dimension]
) -> list[tuple[Key, Tally, Tally]]:
    """The tallies of both in every stratum, by the values that make it."""
    if len(within) > WITHIN_MAX:
        raise Invalid(f"within: expected up to {WITHIN_MAX} dimensions.")
    numbers = np.zeros(len(sessions), dtype=np.int64)
    for name in within:
        numbers = numbers * 2**16 + sessions.columns[name]
    found, places = np.unique(numbers, return_inverse=True)
    if len(found) > STRATA_MAX:
        raise Invalid(f"within: more than {STRATA_MAX:,} strata; name fewer dimensions.")
    sides = [_tallies(sessions, rows, places, len(found)) for rows in (first, second)]
    keys = [_key(sessions, within, int(number)) for number in found]
    return list(zip(keys, *sides, strict=True))


def _tallies(sessions: Sessions, rows: Rows, places: NDArray[np.intp], size: int) -> list[Tally]:
    part = sessions.where(rows)
    chosen = places if len(part) == len(sessions) else places[rows]
    return tallies(part, chosen.astype(np.uint16), size=size)[1]


def _key(sessions: Sessions, within: Sequence[Dimension], number: int) -> Key:
    found: list[str] = []
    for name in reversed(within):
        number, code = divmod(number, 2**16)
        found.append(sessions.values[name].get(code, UNKNOWN))
    return tuple(reversed(found))


# -- what stands out


def cube_of(
    sessions: Sessions, dimensions: Sequence[Dimension], *, from_ms: int, span_ms: int
) -> Cube:
    """Rows for ranking.rank: from `from_ms` on they are now, earlier ones are before.

    Of the periods of `span_ms` before, the last weighs SMOOTHING, each earlier one (1 - SMOOTHING)
    times the one behind it: an exponentially weighted mean (Roberts 1959) of counts. All weights
    are scaled so that the sessions before count as many as tell as much (Kish 1965).
    """
    verdict = sessions.columns["verdict"]
    told = sessions.where(verdict != UNCLASSIFIED)
    now, weights = weights_of(told.columns["joinMs"], from_ms, span_ms)
    poor = told.columns["verdict"] == POOR
    measures: Floats = np.array([poor & now, now, poor * weights, weights], dtype=np.float64)
    values = []
    for name in dimensions:
        texts = told.texts(name)
        size = int(told.columns[name].max(initial=0)) + 1
        values.append(tuple(texts.get(code, UNKNOWN) for code in range(size)))
    return Cube(
        dimensions=tuple(dimensions),
        values=tuple(values),
        codes=tuple(told.columns[name].astype(np.int32) for name in dimensions),
        measures=measures,
        meetings=np.unique(told.meeting, return_inverse=True)[1].astype(np.int32),
        has_before=bool((weights > 0).any()),
    )


def weights_of(joined: NDArray[np.int64], from_ms: int, span_ms: int) -> tuple[Rows, Floats]:
    """Which rows are now, and what each row before weighs."""
    now: Rows = joined >= from_ms
    age = (from_ms - 1 - joined) // span_ms
    weights: Floats = np.where(now, 0.0, (1 - SMOOTHING) ** np.maximum(age, 0))
    total, squares = float(weights.sum()), float((weights**2).sum())
    return now, weights * (total / squares) if squares else weights


def design_effects(sessions: Sessions, from_ms: int) -> tuple[float, float]:
    """Of the sessions that joined from a time on, and of those before, without weights."""
    now = sessions.columns["joinMs"] >= from_ms
    one, two = (sessions.where(rows) for rows in (now, ~now))
    return _whole(one).design_effect, _whole(two).design_effect


def _whole(sessions: Sessions) -> Tally:
    return tallies(sessions, np.zeros(len(sessions), dtype=np.uint16), size=1)[1][0]


def sampled(sessions: Sessions, sessions_max: int) -> tuple[Sessions, int]:
    """Every so manieth meeting, so that at most about so many sessions are left, and which."""
    every = -(-len(sessions) // sessions_max)
    if every <= 1:
        return sessions, 1
    numbers = np.unique(sessions.meeting, return_inverse=True)[1]
    return sessions.where(numbers % every == 0), every
