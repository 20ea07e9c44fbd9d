"""How much a cell's rate says: what it is held against, and by how much it is over that."""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from roomtone.fleet.cube import BEFORE_POOR, BEFORE_TOTAL, NOW_POOR, NOW_TOTAL, Floats, Table
from roomtone.fleet.rates import Count

PRIOR_SESSIONS_MIN: Final = 10.0
PRIOR_SESSIONS_MAX: Final = 200.0
"""Ours: not even fleets in which all cells look alike tell more than this of one cell."""
PRIOR_RATE_MAX: Final = 0.95
NEW_SHARE_MAX: Final = 0.1
"""Ours: with fewer sessions before than this share of those now, a value is a new one."""


class Priors:
    """What the others tell of a cell's rate before: as so many sessions of such a rate.

    Of a value, the rate of all; of a pair, what its two values make of that rate together. How
    many sessions that is worth is told by how far cells were from it: empirical Bayes, a
    beta-binomial by moments (Kleinman 1973).
    """

    def __init__(self, tables: Sequence[Table]) -> None:
        self.rates: list[Floats] = []
        self.sessions: dict[int, float] = {}
        self._single: dict[int, Floats] = {}
        if not tables:
            return
        poor, total = tables[0].sums[BEFORE_POOR].sum(), tables[0].sums[BEFORE_TOTAL].sum()
        self._all = float(poor / total) if total else 0.0
        for order in range(1, len(tables[-1].dimensions) + 1):
            own = [table for table in tables if len(table.dimensions) == order]
            rates = [self._rate(table) for table in own]
            self.sessions[order] = _sessions(own, rates)
            self.rates += rates
            if order == 1:
                self._keep(own)

    def _rate(self, table: Table) -> Floats:
        rate = np.full(len(table.cells), self._all)
        if len(table.dimensions) > 1 and self._all:
            for dimension, codes in zip(table.dimensions, table.digits(), strict=True):
                rate *= self._single[dimension][codes] / self._all
        made: Floats = np.minimum(rate, PRIOR_RATE_MAX)
        return made

    def _keep(self, singles: Sequence[Table]) -> None:
        weight = self.sessions[1]
        for table in singles:
            poor, total = table.sums[BEFORE_POOR], table.sums[BEFORE_TOTAL]
            smooth = (poor + weight * self._all) / (total + weight)
            self._single[table.dimensions[0]] = smooth


def _sessions(tables: Sequence[Table], rates: Sequence[Floats]) -> float:
    """1 / correlation - 1, of what is alike in the sessions of a cell beside the expected rate."""
    over, sessions = 0.0, 0.0
    for table, rate in zip(tables, rates, strict=True):
        poor, total = table.sums[BEFORE_POOR], table.sums[BEFORE_TOTAL]
        telling = table.known() & (total > 1) & (rate > 0)
        expected = total * rate
        distance = (poor - expected)[telling] ** 2 / (expected * (1 - rate))[telling]
        over += float((distance - 1).sum())
        sessions += float((total[telling] - 1).sum())
    correlation = over / sessions if sessions else 1.0
    if correlation <= 1 / (PRIOR_SESSIONS_MAX + 1):
        return PRIOR_SESSIONS_MAX
    return max(1 / correlation - 1, PRIOR_SESSIONS_MIN)


def references(cells: Floats, whole: Floats, priors: Floats, single: NDArray[np.bool_]) -> Floats:
    """What each cell is held against, as (poor, total).

    Without a time before, and for a value that is new: all others now. Else the cell's own rate
    before, with what the others tell of it, times the rise of all others; of as many sessions as
    make it as uncertain as these are. What is new and not `single` is held against nothing.
    """
    cells = np.maximum(cells, 0.0)
    rest = np.maximum(whole[:, None] - cells, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        rest_now = (rest[NOW_POOR] + 0.5) / (rest[NOW_TOTAL] + 0.5)
        rest_before = (rest[BEFORE_POOR] + 0.5) / (rest[BEFORE_TOTAL] + 0.5)
        poor, total = cells[BEFORE_POOR] + priors[0], cells[BEFORE_TOTAL] + priors[1]
        rate = np.minimum(poor / total * rest_now / rest_before, 1.0)
        own = 1 / (poor + 0.5)
        rise = 1 / (rest[NOW_POOR] + 0.5) + 1 / (rest[BEFORE_POOR] + 0.5)
        size = total * own / (own + rise)
    instead = np.where(single, rest[:2], 0.0)
    return np.nan_to_num(np.where(are_new(cells), instead, np.array([rate * size, size])))


def are_new(cells: Floats) -> NDArray[np.bool_]:
    """Which cells were hardly there before."""
    made: NDArray[np.bool_] = cells[BEFORE_TOTAL] < NEW_SHARE_MAX * cells[NOW_TOTAL]
    return made


def gains(cells: Floats, reference: Floats) -> Floats:
    """Twice the logarithm of the likelihood ratio: two rates, the cell's higher, against one.

    Kulldorff's scan statistic (1997) for counts of cases; 0 where the cell's rate is not higher.
    """
    own, other = _likelihood(*cells), _likelihood(*reference)
    gain = 2 * (own + other - _likelihood(*(cells + reference)))
    higher = cells[0] * reference[1] > reference[0] * cells[1]
    made: Floats = np.where(higher & (reference[1] > 0), np.maximum(gain, 0.0), 0.0)
    return made


def _likelihood(poor: Floats, total: Floats) -> Floats:
    good = np.maximum(total - poor, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = [np.where(x > 0, x * np.log(x / total), 0.0) for x in (poor, good)]
    made: Floats = terms[0] + terms[1]
    return made


def one_sided(gain: float) -> float:
    """The p of a chi-square of one degree of freedom, when only one direction counts.

    It is too small where counts are: it sorts out, and `rates.fisher` decides.
    """
    return 0.5 * math.erfc(math.sqrt(max(gain, 0.0) / 2))


def over(now: Count, reference: Count) -> tuple[float, float]:
    """Rate over the expected one, and its variance (with half a poor session of one more each)."""
    value, variance = 0.0, 0.0
    for sign, (poor, total) in ((1, now), (-1, reference)):
        rate = (poor + 0.5) / (total + 1)
        value += sign * rate
        variance += rate * (1 - rate) / (total + 1)
    return value, variance


def surprise(*, expected: float, seen: float) -> float:
    """Adtributor's: a cell's part of the Jensen-Shannon divergence, of shares of all poor ones."""
    middle = (expected + seen) / 2
    parts = (share * math.log(share / middle) if share > 0 else 0.0 for share in (expected, seen))
    return sum(parts) / 2
