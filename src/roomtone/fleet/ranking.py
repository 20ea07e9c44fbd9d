"""What stands out: values and pairs of values whose sessions are poor more often than expected.

One line is chosen at a time, the one that explains most for what it costs to name it; its sessions
are put aside before the next is looked for, so that nothing is told twice and what only travels
with a cause is not told at all. Formulas and sources: docs/fleet.md.
"""

import math
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from roomtone.errors import Invalid
from roomtone.fleet.cube import (
    BEFORE_POOR,
    BEFORE_TOTAL,
    DEPTH_MAX,
    NOW_POOR,
    NOW_TOTAL,
    Cube,
    Floats,
    Table,
    Where,
    by_meeting,
    only_frequent,
    tables_of,
)
from roomtone.fleet.evidence import (
    Priors,
    are_new,
    gains,
    one_sided,
    over,
    references,
    surprise,
)
from roomtone.fleet.meetings import Clusters, Effects
from roomtone.fleet.rates import (
    Count,
    Estimate,
    Interval,
    benjamini_hochberg,
    fisher,
    newcombe,
    risk_ratio,
    shrunk,
    wilson,
)

FINDINGS_MAX: Final = 100
CHECKS_MAX: Final = 150
"""Cells that are looked at closely for one line."""
ALIKE_MIN: Final = 0.9
ALIKE_TOLD_MAX: Final = 5
NESTED_MIN: Final = 0.95
BAD_Z_MIN: Final = 2.33
"""One-sided 1 %."""
DIFFERENT_Z_MIN: Final = 3.09
"""One-sided 0.1 %, as a pair is the best of many: less is no difference from what is around it."""


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What a line has to fulfil. `margin` is in 0..1, of the difference's lower bound."""

    sessions_min: int = 30
    poor_min: int = 5
    meetings_min: int = 5
    margin: float = 0.01
    false_discovery_rate: float = 0.05
    depth: int = 2
    findings_max: int = 10


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One line: a cell and how it differs from what was expected of it.

    `now` and what follows leave out sessions that an earlier line has explained; `whole` does not.
    `expected` is the rate of `reference`, whose size is an effective one. `alike` are cells of so
    nearly the same sessions that these figures cannot tell which is meant.
    """

    where: tuple[tuple[str, str], ...]
    now: Count
    whole: Count
    interval: Interval
    reference: Count
    new: bool
    difference: Estimate
    ratio: Estimate
    excess: float
    explanatory_power: float | None
    surprise: float
    design_effect: float
    p: float
    p_adjusted: float
    alike: tuple[tuple[tuple[str, str], ...], ...] = ()

    @property
    def expected(self) -> float:
        """0..1."""
        return self.reference.rate or 0.0


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """The lines, worst first, beside the whole; `before` None when it is one against the rest."""

    now: Count
    before: Count | None
    change: Estimate | None
    cells: int
    findings: list[Finding] = field(default_factory=list)


def rank(cube: Cube, rules: Rules = Rules()) -> Ranking:
    """The values and pairs that explain why the rate of poor sessions rose, or is high.

    With a time before, a cell is held against its own rate then, times the rise of all others;
    without, or where it is new, against all others now.
    """
    _check(rules)
    sums = [float(figure) for figure in cube.measures.sum(axis=1)]
    now, before = (
        Count(sums[NOW_POOR], sums[NOW_TOTAL]),
        Count(sums[BEFORE_POOR], sums[BEFORE_TOTAL]),
    )
    search = _Search(cube, rules)
    first = search.cells
    findings: list[Finding] = []
    while len(findings) < rules.findings_max and (found := search.next()) is not None:
        findings.append(found)
    return Ranking(
        now=now,
        before=before if cube.has_before else None,
        change=newcombe(now, before) if cube.has_before else None,
        cells=first,
        findings=findings,
    )


def _check(rules: Rules) -> None:
    if not 1 <= rules.depth <= DEPTH_MAX:
        raise Invalid(f"depth must be 1 to {DEPTH_MAX}")
    if not 1 <= rules.findings_max <= FINDINGS_MAX:
        raise Invalid(f"there can be 1 to {FINDINGS_MAX} lines")
    if rules.sessions_min < 1 or rules.poor_min < 1:
        raise Invalid("sessions_min and poor_min must be at least 1")
    if not 0 <= rules.margin < 1 or not 0 < rules.false_discovery_rate < 1:
        raise Invalid("margin and false_discovery_rate must be between 0 and 1")


@dataclass(frozen=True, kw_only=True)
class _Cells:
    """The cells that have enough sessions, all tables in a row."""

    table: NDArray[np.intp]
    place: NDArray[np.intp]
    order: NDArray[np.intp]
    sums: Floats
    reference: Floats
    new: NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class _Checked:
    """A cell that was looked at closely."""

    where: Where
    now: Count
    reference: Count
    new: bool
    design_effect: float
    worth: float
    p: float
    difference: Estimate


class _Search:
    """What is left to explain."""

    def __init__(self, cube: Cube, rules: Rules) -> None:
        self._rules = rules
        self._cube = by_meeting(
            only_frequent(cube, poor_min=rules.poor_min, total_min=rules.sessions_min)
        )
        self._tables: list[Table] = list(tables_of(self._cube, depth=rules.depth))
        meetings = self._cube.meetings
        self._clusters = None if meetings is None else Clusters(self._cube, meetings)
        self._priors = Priors(self._tables)
        self._left = np.ones(cube.measures.shape[1], dtype=np.bool_)
        self._sums = cube.measures.sum(axis=1)
        self._all_poor = float(self._sums[NOW_POOR])
        self._to_explain = self._rise()
        self.cells = len(self._eligible().table)

    def _rise(self) -> float:
        """Poor sessions over what the rate before would have made; all of them without one."""
        if not self._cube.has_before:
            return self._all_poor
        before_poor, before_total = self._sums[BEFORE_POOR], self._sums[BEFORE_TOTAL]
        return float(self._all_poor - self._sums[NOW_TOTAL] * before_poor / before_total)

    def _eligible(self) -> _Cells:
        places = [
            table.eligible(poor_min=self._rules.poor_min, total_min=self._rules.sessions_min)
            for table in self._tables
        ]
        tables = [np.full(len(found), number) for number, found in enumerate(places)]
        orders = [
            np.full(len(found), len(table.dimensions))
            for table, found in zip(self._tables, places, strict=True)
        ]
        nothing = np.zeros(0, dtype=np.intp)
        order = np.concatenate([nothing, *orders])
        sums = np.concatenate(
            [np.zeros((4, 0))]
            + [table.sums[:, found] for table, found in zip(self._tables, places, strict=True)],
            axis=1,
        )
        rates = [rate[found] for rate, found in zip(self._priors.rates, places, strict=True)]
        weight = np.array([0.0, *self._priors.sessions.values()])[order]
        priors = np.array([np.concatenate([np.zeros(0), *rates]) * weight, weight])
        return _Cells(
            table=np.concatenate([nothing, *tables]),
            place=np.concatenate([nothing, *places]),
            order=order,
            sums=sums,
            reference=self._references(sums, self._sums, priors, order == 1),
            new=are_new(sums),
        )

    def _references(
        self, cells: Floats, whole: Floats, priors: Floats, single: NDArray[np.bool_]
    ) -> Floats:
        if self._cube.has_before:
            return references(cells, whole, priors, single)
        return np.maximum(whole[:2, None] - cells[:2], 0.0)

    def next(self) -> Finding | None:
        """The line that explains most of what is left; None when nothing stands out any more."""
        cells = self._eligible()
        if not len(cells.table):
            return None
        gain = gains(cells.sums[:2], cells.reference) / 2
        price = np.log(np.maximum(np.bincount(cells.order), 1))[cells.order]
        naive = [one_sided(2 * value) for value in gain]
        checked: dict[int, _Checked] = {}
        for index in np.argsort(price - gain, kind="stable")[:CHECKS_MAX]:
            if gain[index] <= price[index] or naive[index] > self._rules.false_discovery_rate:
                break
            found = self._looked_at(cells, int(index), float(price[index]))
            if found is not None:
                checked[int(index)] = found
        ps = [1.0] * len(naive)
        for index, found in checked.items():
            ps[index] = found.p
        adjusted = benjamini_hochberg(ps)
        passed = {
            index: found
            for index, found in checked.items()
            if adjusted[index] <= self._rules.false_discovery_rate
        }
        if not passed:
            return None
        best = max(passed, key=lambda index: passed[index].worth)
        best = self._wider(self._behind(best, passed), passed)
        return self._told(passed[best], adjusted[best], list(passed.values()))

    def _behind(self, best: int, passed: dict[int, _Checked]) -> int:
        """The cell that the best one only travels with: without it the best is well, but not it
        without the best."""
        own = self._cube.rows_of(passed[best].where) & self._left
        behind = []
        for index, other in passed.items():
            rows = self._cube.rows_of(other.where) & self._left
            if index != best and self._z(own & ~rows) < BAD_Z_MIN <= self._z(rows & ~own):
                behind.append(index)
        return max(behind, key=lambda index: passed[index].worth, default=best)

    def _z(self, rows: NDArray[np.bool_]) -> float:
        """How clearly some rows are over what is expected of them; 0 of too few."""
        sums = self._cube.measures[:, rows].sum(axis=1)
        if sums[NOW_TOTAL] < self._rules.sessions_min:
            return 0.0
        gap, variance = self._over(sums, self._sums, 1.0)
        return gap / math.sqrt(variance)

    def _wider(self, best: int, passed: dict[int, _Checked]) -> int:
        """The cell around the best one, if the rest of it is as bad: it says the same shorter."""
        own = passed[best]
        inside = self._cube.rows_of(own.where) & self._left
        around = [
            index
            for index, other in passed.items()
            if index != best
            and len(other.where) <= len(own.where)
            and (-len(other.where), other.now.total) > (-len(own.where), own.now.total)
            and self._holds(other, inside, own)
        ]
        return max(around, key=lambda index: passed[index].worth, default=best)

    def _holds(self, wide: _Checked, inside: NDArray[np.bool_], own: _Checked) -> bool:
        """Whether `wide` has the sessions of the other, and the rest of it is no less bad."""
        measures = self._cube.measures
        rows = self._cube.rows_of(wide.where) & self._left
        shared = float(measures[NOW_TOTAL, rows & inside].sum())
        if shared < NESTED_MIN * own.now.total:
            return False
        narrow = measures[:, inside].sum(axis=1)
        rest = measures[:, rows & ~inside].sum(axis=1)
        if rest[NOW_TOTAL] < self._rules.sessions_min:
            return len(wide.where) < len(own.where)
        # Neither part may be in what the other is held against.
        gap, variance = self._over(narrow, self._sums - rest, own.design_effect)
        gap_rest, variance_rest = self._over(rest, self._sums - narrow, wide.design_effect)
        return gap - gap_rest < DIFFERENT_Z_MIN * math.sqrt(variance + variance_rest)

    def _over(self, cell: Floats, whole: Floats, design_effect: float) -> tuple[float, float]:
        reference = self._references(cell[:, None], whole, np.zeros((2, 1)), np.ones(1, np.bool_))
        now = Count(float(cell[NOW_POOR]), float(cell[NOW_TOTAL]))
        against = Count(float(reference[0, 0]), float(reference[1, 0]))
        return over(shrunk(now, design_effect), against)

    def _looked_at(self, cells: _Cells, index: int, price: float) -> _Checked | None:
        """A cell with its meetings taken into account; None when it is not clearly worse."""
        where = self._tables[cells.table[index]].where(int(cells.place[index]))
        now = Count(float(cells.sums[NOW_POOR, index]), float(cells.sums[NOW_TOTAL, index]))
        against = Count(float(cells.reference[0, index]), float(cells.reference[1, index]))
        new = bool(cells.new[index])
        if newcombe(now, against).low <= self._rules.margin:
            return None  # nor would it be with fewer sessions
        effects = Effects(self._rules.meetings_min, 1.0, 1.0)
        if self._clusters is not None:
            effects = self._clusters.effects(
                where,
                self._left,
                sessions=now.total + float(cells.sums[BEFORE_TOTAL, index]),
                others=new or not self._cube.has_before,
            )
        if effects.meetings < self._rules.meetings_min:
            return None
        own, other = shrunk(now, effects.now), shrunk(against, effects.reference)
        difference = newcombe(own, other)
        gain = float(gains(np.array([own]).T, np.array([other]).T)[0])
        if difference.low <= self._rules.margin or gain / 2 <= price:
            return None
        return _Checked(
            where=where,
            now=now,
            reference=other,
            new=new and self._cube.has_before,
            design_effect=effects.now,
            worth=gain / 2 - price,
            p=fisher(own, other),
            difference=difference,
        )

    def _told(self, best: _Checked, p_adjusted: float, others: list[_Checked]) -> Finding:
        """The cell as a line; its sessions are put aside."""
        inside = self._cube.rows_of(best.where)
        whole = self._cube.measures[:2, inside].sum(axis=1)
        expected = best.reference.rate or 0.0
        excess = best.now.poor - expected * best.now.total
        finding = Finding(
            where=self._cube.named(best.where),
            now=best.now,
            whole=Count(float(whole[0]), float(whole[1])),
            interval=wilson(shrunk(best.now, best.design_effect)),
            reference=best.reference,
            new=best.new,
            difference=best.difference,
            ratio=risk_ratio(shrunk(best.now, best.design_effect), best.reference),
            excess=excess,
            explanatory_power=excess / self._to_explain if self._to_explain > 0 else None,
            surprise=surprise(
                expected=expected * best.now.total / (self._all_poor - excess or 1.0),
                seen=best.now.poor / self._all_poor,
            ),
            design_effect=best.design_effect,
            p=best.p,
            p_adjusted=p_adjusted,
            alike=self._alike(best, inside & self._left, others),
        )
        self._put_aside(inside & self._left)
        return finding

    def _alike(
        self, best: _Checked, inside: NDArray[np.bool_], others: list[_Checked]
    ) -> tuple[tuple[tuple[str, str], ...], ...]:
        """Cells of nearly the same sessions, the more alike the earlier."""
        sessions = self._cube.measures[NOW_TOTAL]
        found = []
        for other in others:
            size = other.now.total / best.now.total
            if other is best or len(other.where) > len(best.where):
                continue
            if not ALIKE_MIN <= size <= 1 / ALIKE_MIN:
                continue
            rows = self._cube.rows_of(other.where) & self._left
            either = float(sessions[inside | rows].sum())
            share = float(sessions[inside & rows].sum()) / either
            if share >= ALIKE_MIN:
                found.append((-share, self._cube.named(other.where)))
        return tuple(where for _, where in sorted(found)[:ALIKE_TOLD_MAX])

    def _put_aside(self, rows: NDArray[np.bool_]) -> None:
        self._left &= ~rows
        codes = [column[rows] for column in self._cube.codes]
        measures = -self._cube.measures[:, rows]
        self._sums = self._sums + measures.sum(axis=1)
        for table in self._tables:
            table.take(codes, measures)
