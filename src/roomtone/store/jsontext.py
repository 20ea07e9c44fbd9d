"""Many columns of whole numbers as the JSON of what they stand for, without a Python number each.

A value's text and the comma after it fill at most eight bytes of a 64-bit cell, zeros behind them.
Cells are taken from tables or put together out of two entries, all at once; then the zeros are
deleted. A column with a value that has no cell is written one value after another.
"""

from functools import cache
from typing import Any, Final

import msgspec
import numpy as np
from msgspec import json
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]
Cells = NDArray[np.uint64]

WHOLE, DECIMAL, MIXED = range(3)
"""What a number stands for: itself; a float, it times a power of ten; such a one, or a whole number
written without a point, as JavaScript does."""
HUNDREDS: Final = 5
"""Among the decimals of a WHOLE one: it is a number of hundreds."""
KINDS_MAX: Final = 32
DECIMALS_MAX: Final = 4

_HALF: Final = 10_000
"""Whole numbers are put together out of their last four digits and what stands before them."""
_LONG_MAX: Final = 999 * _HALF + _HALF - 1
_LONG_MOST: Final = np.zeros(KINDS_MAX, np.uint64)
_LONG_MOST[WHOLE], _LONG_MOST[WHOLE | HUNDREDS << 2] = _LONG_MAX, _LONG_MAX // 100
_CELL: Final = "<u8"
_NULL: Final = 0
_SIZES: Final = {WHOLE: _HALF, WHOLE | HUNDREDS << 2: 65_536} | {
    kind | decimals << 2: 16_384
    for kind in (DECIMAL, MIXED)
    for decimals in range(DECIMALS_MAX + 1)
}
"""So many numbers of each kind have a cell in the table."""

_encode = json.Encoder().encode


def meant(kind: int, number: int) -> int | float:
    """What a number stands for, by its kind: 2 bits as above, the decimals in 3 bits more."""
    decimals = kind >> 2
    if kind & 3 == WHOLE:
        return number * 100 if decimals == HUNDREDS else number
    factor: int = 10**decimals
    if kind & 3 == MIXED and not number % factor:
        return number // factor
    return number / factor


class _Tables:
    """Cells by number: of all kinds in one table, and the parts of whole numbers."""

    def __init__(self) -> None:
        parts = [_cells(b"null,")]
        self.offsets = np.zeros(KINDS_MAX, np.int64)
        """Where a kind's cells begin."""
        self.sizes = np.zeros(KINDS_MAX, np.uint64)
        """The first number of a kind that has no cell in the table."""
        at = 1
        for kind, size in _SIZES.items():
            values = [meant(kind, number) for number in range(size)]
            parts.append(_cells(b"%b," % _encode(values)[1:-1]))
            self.offsets[kind], self.sizes[kind] = at, size
            at += size
        self.cells: Cells = np.concatenate(parts)
        self.last = _cells(b"".join([b"%04d," % number for number in range(_HALF)]))
        before = [b"", *(b"%d" % number for number in range(1, _LONG_MAX // _HALF + 1))]
        self.before: Cells = np.array(before, "S8").view(_CELL)
        """The digits before the last four."""
        self.bits = np.array([8 * len(digits) for digits in before], np.uint64)


_tables = cache(_Tables)


def _cells(text: bytes) -> Cells:
    """A cell of each piece of text that ends with a comma."""
    stops = np.flatnonzero(np.frombuffer(text, np.uint8) == ord(",")) + 1
    starts = np.concatenate(([0], stops[:-1]))
    octets = text + bytes(8)
    words = np.ndarray((len(octets) - 7,), _CELL, octets, 0, (1,))  # one at every byte
    unused = 8 * (8 - (stops - starts)).astype(np.uint64)
    cells: Cells = words.take(starts) << unused >> unused
    return cells


def columns(
    numbers: Ints,
    starts: Ints,
    lengths: Ints,
    kinds: NDArray[np.integer],
    present: Flags | None,
) -> list[msgspec.Raw]:
    """Each column's values as JSON; null where `present` is false.

    `numbers` holds the columns one after another, none of them empty; what is not present counts
    too, with any number. `starts` also has the end of the last. ValueError for a number below 0.
    """
    tables = _tables()
    if present is not None:
        numbers = numbers * present
    # as numbers without a sign, those below 0 are the largest
    most = np.maximum.reduceat(numbers.view(np.uint64), starts[:-1])
    large = most >= tables.sizes.take(kinds)
    at = numbers + tables.offsets.take(kinds).repeat(lengths)
    found: Cells
    if large.any():
        long = large & (most <= _LONG_MOST.take(kinds))
        at *= (~large).repeat(lengths)
        found = tables.cells.take(at)
        places = long.repeat(lengths).nonzero()[0]
        times = np.where(kinds, 100, 1).repeat(lengths).take(places)
        found[places] = _long(numbers.take(places) * times)
        large &= ~long
    else:
        found = tables.cells.take(at)
    if present is not None:
        found[~present] = tables.cells[_NULL]
    texts = _joined(found, starts[1:] - 1)
    for column in large.nonzero()[0].tolist():
        mine = slice(starts[column], starts[column + 1])
        texts[column] = _written(
            int(kinds[column]), numbers[mine], None if present is None else present[mine]
        )
    return texts


def _long(values: Ints) -> Cells:
    """Cells of whole numbers of up to seven digits."""
    tables = _tables()
    before = values // _HALF
    last = values - before * _HALF
    long = tables.last.take(last) << tables.bits.take(before) | tables.before.take(before)
    return np.where(before, long, tables.cells.take(last + tables.offsets[WHOLE]))


def _joined(cells: Cells, last: Ints) -> list[msgspec.Raw]:
    """The columns' texts; `last` is where the last value of each stands."""
    ends = cells.take(last).view(np.uint8)
    ends[ends == ord(",")] = ord("\n")
    cells[last] = ends.view(_CELL)
    text = cells.tobytes().translate(None, b"\0").replace(b"\n", b"]\n[")
    return list(map(msgspec.Raw, b"".join((b"[", text)).split(b"\n")))[:-1]


def _written(kind: int, numbers: Ints, present: Flags | None) -> msgspec.Raw:
    if numbers.min() < 0:
        raise ValueError("a number below 0")
    values: list[Any] = [meant(kind, number) for number in numbers.tolist()]
    if present is not None:
        values = [v if there else None for v, there in zip(values, present.tolist(), strict=True)]
    return msgspec.Raw(_encode(values))
