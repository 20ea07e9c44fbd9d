"""Sessions as columns of numbers, counted by every value and by every pair of values at once."""

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Final

import numpy as np
from numpy.typing import NDArray

from roomtone.errors import Invalid, TooLarge
from roomtone.fleet.dimensions import UNKNOWN

ROWS_MAX: Final = 2_000_000
DIMENSIONS_MAX: Final = 32
VALUES_MAX: Final = 50_000
"""Different values in one dimension: more are an id, which explains nothing."""
DEPTH_MAX: Final = 3
DENSE_CELLS_MAX: Final = 2**18
"""Tables of more cells keep only those that have sessions."""

Codes = NDArray[np.int32]
Floats = NDArray[np.float64]
Where = tuple[tuple[int, int], ...]
"""A cell: (number of the dimension, code of the value) of each, in order."""

NOW_POOR, NOW_TOTAL, BEFORE_POOR, BEFORE_TOTAL = range(4)


@dataclass(frozen=True, kw_only=True)
class Cube:
    """Rows as columns. `values[d][code]` names a value, code 0 is UNKNOWN.

    `measures` are four: poor and total now, poor and total before; `meetings` None when the rows
    do not tell which belong together.
    """

    dimensions: tuple[str, ...]
    values: tuple[tuple[str, ...], ...]
    codes: tuple[Codes, ...]
    measures: Floats
    meetings: Codes | None
    has_before: bool

    def rows_of(self, where: Where) -> NDArray[np.bool_]:
        """Which rows are in a cell."""
        inside = np.ones(self.measures.shape[1], dtype=np.bool_)
        for dimension, code in where:
            inside &= self.codes[dimension] == code
        return inside

    def named(self, where: Where) -> tuple[tuple[str, str], ...]:
        """A cell by names: (dimension, value) of each."""
        return tuple((self.dimensions[d], self.values[d][code]) for d, code in where)


class CubeBuilder:
    """Takes rows one by one, in about 100 bytes each."""

    def __init__(self, dimensions: Sequence[str]) -> None:
        if not 0 < len(dimensions) <= DIMENSIONS_MAX:
            raise Invalid(f"{len(dimensions)} dimensions; there must be 1 to {DIMENSIONS_MAX}")
        if len(set(dimensions)) < len(dimensions):
            raise Invalid("a dimension is named twice")
        self.dimensions = tuple(dimensions)
        self._known: list[dict[str, int]] = [{UNKNOWN: 0} for _ in dimensions]
        self._codes = [array("i") for _ in dimensions]
        self._measures = [array("d") for _ in range(4)]
        self._meetings: dict[str, int] = {}
        self._meeting = array("i")
        self._before = False

    def add(
        self,
        values: Sequence[str],
        *,
        poor: float,
        total: float = 1.0,
        before: bool = False,
        meeting: str = "",
    ) -> None:
        """`poor` of `total` sessions that have these values, in the order of the dimensions."""
        if not 0 <= poor <= total < float("inf"):
            raise Invalid(f"{poor:g} of {total:g} is no rate")
        if len(self._meeting) == ROWS_MAX:
            raise TooLarge(f"more than {ROWS_MAX:,} rows")
        for number, value in enumerate(values):
            self._codes[number].append(self._code(number, value))
        ours = (0.0, 0.0, poor, total) if before else (poor, total, 0.0, 0.0)
        for column, figure in zip(self._measures, ours, strict=True):
            column.append(figure)
        self._before |= before
        self._meeting.append(self._meetings.setdefault(meeting, len(self._meetings)))

    def _code(self, number: int, value: str) -> int:
        known = self._known[number]
        code = known.get(value)
        if code is None:
            if len(known) > VALUES_MAX:
                name = self.dimensions[number]
                raise TooLarge(f"{name} has more than {VALUES_MAX:,} different values")
            code = known[value] = len(known)
        return code

    def cube(self) -> Cube:
        """What was added, so far."""
        told = len(self._meetings) > 1 or "" not in self._meetings
        return Cube(
            dimensions=self.dimensions,
            values=tuple(tuple(known) for known in self._known),
            codes=tuple(np.array(column, dtype=np.int32) for column in self._codes),
            measures=np.array([np.array(column) for column in self._measures]),
            meetings=np.array(self._meeting, dtype=np.int32) if told else None,
            has_before=self._before,
        )


class Table:
    """Sums of the four measures by the values of one to three dimensions.

    A cell has a whole number: the codes of its values as digits.
    """

    def __init__(self, dimensions: tuple[int, ...], sizes: Sequence[int]) -> None:
        self.dimensions = dimensions
        self._radices = [sizes[dimension] for dimension in dimensions]
        cells = int(np.prod(self._radices, dtype=np.float64))
        self._dense = len(dimensions) == 1 or cells <= DENSE_CELLS_MAX
        self.cells = np.arange(cells if self._dense else 0, dtype=np.int64)
        self.sums: Floats = np.zeros((4, len(self.cells)))

    def fill(self, codes: Sequence[Codes], measures: Floats) -> None:
        """Count all rows."""
        numbers = self._numbers(codes)
        if not self._dense:
            self.cells = np.unique(numbers)
            self.sums = np.zeros((4, len(self.cells)))
        self.take(codes, measures, numbers)

    def take(
        self, codes: Sequence[Codes], measures: Floats, numbers: NDArray[np.int64] | None = None
    ) -> None:
        """Count these rows, too; their cells are known."""
        numbers = self._numbers(codes) if numbers is None else numbers
        places = numbers if self._dense else np.searchsorted(self.cells, numbers)
        for number, measure in enumerate(measures):
            if measure.any():
                found = np.bincount(places, weights=measure, minlength=len(self.cells))
                self.sums[number] += found

    def _numbers(self, codes: Sequence[Codes]) -> NDArray[np.int64]:
        numbers = np.zeros(len(codes[0]), dtype=np.int64)
        for dimension, radix in zip(self.dimensions, self._radices, strict=True):
            numbers = numbers * radix + codes[dimension]
        return numbers

    def digits(self) -> list[NDArray[np.int64]]:
        """The codes of each cell's values, dimension by dimension."""
        rest, found = self.cells, []
        for radix in reversed(self._radices):
            rest, codes = np.divmod(rest, radix)
            found.append(codes)
        return found[::-1]

    def known(self) -> NDArray[np.bool_]:
        """Of each cell, whether every value is known."""
        known = np.ones(len(self.cells), dtype=np.bool_)
        for codes in self.digits():
            known &= codes > 0
        return known

    def eligible(self, *, poor_min: float, total_min: float) -> NDArray[np.intp]:
        """Places of the cells with enough now, in which every value is known."""
        enough = (self.sums[NOW_POOR] >= poor_min) & (self.sums[NOW_TOTAL] >= total_min)
        return np.flatnonzero(enough & self.known())

    def where(self, place: int) -> Where:
        """The cell at a place, by its dimensions and codes."""
        number, found = int(self.cells[place]), []
        for dimension, radix in zip(
            reversed(self.dimensions), reversed(self._radices), strict=True
        ):
            number, code = divmod(number, radix)
            found.append((dimension, code))
        return tuple(reversed(found))


def only_frequent(cube: Cube, *, poor_min: float, total_min: float) -> Cube:
    """The same rows; values too rare to be told, and so in no cell that is, become UNKNOWN.

    The rule of Apriori (Agrawal and Srikant 1994): no pair has more sessions than its values.
    """
    values, codes = [], []
    for names, column in zip(cube.values, cube.codes, strict=True):
        sums = [
            np.bincount(column, weights=cube.measures[measure], minlength=len(names))
            for measure in (NOW_POOR, NOW_TOTAL)
        ]
        kept = (sums[0] >= poor_min) & (sums[1] >= total_min)
        kept[0] = False
        codes.append(np.where(kept, np.cumsum(kept), 0).astype(np.int32)[column])
        values.append((UNKNOWN, *(names[code] for code in np.flatnonzero(kept))))
    return replace(cube, values=tuple(values), codes=tuple(codes))


def by_meeting(cube: Cube) -> Cube:
    """The same rows; those of a meeting follow each other."""
    if cube.meetings is None:
        return cube
    order = np.argsort(cube.meetings, kind="stable")
    return replace(
        cube,
        codes=tuple(column[order] for column in cube.codes),
        measures=cube.measures[:, order],
        meetings=cube.meetings[order],
    )


def tables_of(cube: Cube, *, depth: int) -> Iterator[Table]:
    """Tables of every dimension, of every pair, and so on; filled."""
    sizes = [len(names) for names in cube.values]
    telling = [number for number, size in enumerate(sizes) if size > 1]
    for order in range(1, depth + 1):
        for dimensions in combinations(telling, order):
            table = Table(dimensions, sizes)
            table.fill(cube.codes, cube.measures)
            yield table
