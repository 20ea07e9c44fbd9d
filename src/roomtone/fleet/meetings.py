"""How much less the sessions of a cell tell for coming from few meetings."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from roomtone.fleet.cube import BEFORE_POOR, NOW_POOR, Codes, Cube, Floats, Where
from roomtone.fleet.rates import Tally


class Effects(NamedTuple):
    """Meetings now, and the design effects of a cell and of what it is held against."""

    meetings: int
    now: float
    reference: float


class Clusters:
    """Design effects of cells; what was found is kept while a cell's rows stay the same.

    The rows of a meeting follow each other (`cube.by_meeting`).
    """

    def __init__(self, cube: Cube, meetings: Codes) -> None:
        self._cube = cube
        self._meetings = meetings
        self._kept: dict[tuple[Where, float, bool], Effects] = {}
        self._whole: tuple[int, float] | None = None

    def effects(
        self, where: Where, left: NDArray[np.bool_], *, sessions: float, others: bool
    ) -> Effects:
        """Of a cell's rows that are `left`, `sessions` in both times; `others` when held
        against all others now, else against its own rows before."""
        key = (where, sessions, others)
        found = self._kept.get(key)
        if found is None:
            inside = self._cube.rows_of(where) & left
            now = self._tally(inside, NOW_POOR)
            effect = 1.0 if others else self._tally(inside, BEFORE_POOR).design_effect
            found = self._kept[key] = Effects(now.meetings, now.design_effect, effect)
        if others:
            # All of them instead of all others: a cell is seldom so large that it matters.
            return found._replace(reference=self._of_all(left))
        return found

    def _of_all(self, left: NDArray[np.bool_]) -> float:
        count = int(np.count_nonzero(left))
        if self._whole is None or self._whole[0] != count:
            self._whole = (count, self._tally(left, NOW_POOR).design_effect)
        return self._whole[1]

    def _tally(self, inside: NDArray[np.bool_], poor: int) -> Tally:
        """Those rows by meeting."""
        rows = np.flatnonzero(inside)
        if not len(rows):
            return Tally()
        meetings = self._meetings[rows]
        starts = np.flatnonzero(np.diff(meetings, prepend=-1))
        x: Floats = np.add.reduceat(self._cube.measures[poor, rows], starts)
        n: Floats = np.add.reduceat(self._cube.measures[poor + 1, rows], starts)
        return Tally(
            int(np.count_nonzero(n)),
            *(float(figure) for figure in (x.sum(), n.sum(), x @ x, x @ n, n @ n)),
        )
