"""Columns of numbers in few bits, exactly: whole ones, in a code small and quick to read.

A column becomes whole numbers: floats times a power of ten, or hundreds where all are round, if
that is exact. Of them codes are made in one of four ways: numbers less their minimum; steps from
one to the next; differences to the column before; a flag for each that is the minimum, and the
others less theirs. bits.py says how codes are kept. A column that equals an earlier one only says
so. Null has a bit in a bitmap. A column that fits none of this is kept as MessagePack.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import accumulate, compress
from math import copysign
from operator import add, itemgetter, sub
from typing import Any, Final, NamedTuple

import msgspec

from roomtone.store import bits

Values = list[int | float | None]

DECIMALS_MAX: Final = 4
BITS_MAX: Final = 48
TABLE_SIZE: Final = 16_384
DISTANCE_MAX: Final = 255
NEW_BITS: Final = 48
"""What one more shape among a session's columns costs, in time to read it too."""
FLAGGED_BITS: Final = 60
"""What it is worth not to have to put a column's numbers in their places one by one."""

WHOLE, DECIMAL, MIXED, ODD = range(4)
_HUNDREDS: Final = 5
_SAME: Final = ODD | 4
_STEPS, _NULLS, _FLAGS = 32, 64, 128
_BESIDE: Final = _STEPS | _FLAGS
_KIND: Final = 31
_DIGITS: Final = bytes.maketrans(b"01", b"\x00\x01")
_OPPOSITE: Final = bytes.maketrans(b"\x00\x01", b"\x01\x00")
_TABLES: Final[dict[int, Sequence[int | float]]] = {
    DECIMAL | decimals << 2: [value / 10**decimals for value in range(TABLE_SIZE)]
    for decimals in range(3)
} | {WHOLE | _HUNDREDS << 2: [*range(0, 100 * TABLE_SIZE, 100)]}

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode


def pack(values: list[Any]) -> bytes:
    """Plain values as bytes: MessagePack, or JSON where a whole number exceeds 64 bits."""
    try:
        return _encode(values)
    except OverflowError:
        return json.dumps(values).encode()


def unpack(data: bytes) -> Any:
    """The opposite of `pack`: a list in MessagePack never starts with a bracket."""
    return json.loads(data) if data[:1] == b"[" else _decode(data)


def scaled(values: Sequence[int | float]) -> tuple[int, int, list[int]] | None:
    """(kind, decimals, whole numbers) that say the values exactly; None when nothing does."""
    types = set(map(type, values))
    if types == {int}:
        if any(value % 100 for value in values):
            return WHOLE, 0, [int(value) for value in values]
        return WHOLE, _HUNDREDS, [int(value) // 100 for value in values]
    for decimals in range(DECIMALS_MAX + 1):
        factor = 10**decimals
        try:
            whole = [round(value * factor) for value in values]
        except OverflowError:
            return None
        if max(whole) >> BITS_MAX or min(whole) < 0:
            return None
        if all(number / factor == value for number, value in zip(whole, values, strict=True)):
            return _typed(values, types, decimals, whole)
    return None


def _typed(
    values: Sequence[int | float], types: set[type], decimals: int, whole: list[int]
) -> tuple[int, int, list[int]] | None:
    if any(copysign(1, value) < 0 for value in values):
        return None
    if types == {float}:
        return DECIMAL, decimals, whole
    factor = 10**decimals
    # as JavaScript writes numbers: whole ones without a point
    if all(
        (number % factor == 0) == (type(value) is int)
        for number, value in zip(whole, values, strict=True)
    ):
        return MIXED, decimals, whole
    return None


class _Way(NamedTuple):
    """One way to make codes of a column; `cost` in bits, `shape` as bits.py says."""

    cost: int
    flags: int
    shape: int
    numbers: tuple[int, ...]
    mask: bytes
    codes: list[int]


def _ways(whole: list[int], beside: list[int]) -> Iterator[_Way]:
    least = min(whole)
    plain = [number - least for number in whole]
    for cost, shape in bits.choices(plain):
        yield _Way(cost, 0, shape, (least,), b"", plain)
    if not any(plain):
        return
    steps = bits.zigzag(map(sub, whole[1:], whole))
    for cost, shape in bits.choices(steps):
        yield _Way(cost, _STEPS, shape, (), b"", steps)
    if beside:
        signed = bits.zigzag(map(sub, whole, beside))
        for cost, shape in bits.choices(signed):
            yield _Way(cost, _BESIDE, shape, (), b"", signed)
    others = [code for code in plain if code]
    second = min(others)
    codes = [code - second for code in others]
    mask = _bitmap(not code for code in plain)
    more = 8 * (len(mask) + len(pack([second])))
    for cost, shape in bits.choices(codes):
        yield _Way(cost + more, _FLAGS, shape, (least, second + least), mask, codes)


def _bitmap(flags: Iterable[bool]) -> bytes:
    text = "".join("1" if flag else "0" for flag in flags)
    return int(text[::-1], 2).to_bytes((len(text) + 7) // 8, "little")


class Packer:
    """Columns in, in order; bytes out, with what is needed to read them again."""

    def __init__(self) -> None:
        self._modes = bytearray()
        self._shapes = bytearray()
        self._numbers: list[int] = []
        self._masks: list[bytes] = []
        self._odd: list[bytes] = []
        self._columns: list[list[int]] = []
        self._seen: dict[bytes, int] = {}
        self._last: tuple[tuple[int, int], list[int]] = (0, 0), []
        self._met: set[tuple[int, int]] = set()
        self._end = 0

    def add(self, values: Values) -> None:
        """Add a column that is not empty."""
        name = pack(values)  # 1 and 1.0, 0.0 and -0.0 are equal, but not the same
        index = len(self._modes)
        distance = index - self._seen.get(name, index)
        self._seen[name] = index
        if 0 < distance <= DISTANCE_MAX:
            self._put(_SAME, distance, [])
            return
        known = [value for value in values if value is not None]
        found = scaled(known) if known else None
        if found is None or max(found[2]) >> BITS_MAX or min(found[2]) < 0:
            self._put(ODD, 0, [])
            self._odd.append(name)
            return
        kind, decimals, whole = found
        mode = kind | decimals << 2
        if len(known) < len(values):
            self._masks.append(_bitmap(value is None for value in values))
            mode |= _NULLS
        beside = self._last[1]
        if self._last[0] != (kind, decimals) or len(beside) != len(whole):
            beside = []
        self._last = (kind, decimals), whole
        best = min(_ways(whole, beside), key=self._cost)
        self._met.add((best.flags, best.shape))
        if best.flags == _STEPS:
            self._numbers.append(whole[0] - self._end)
            self._end = whole[-1]
        self._numbers += best.numbers
        if best.flags == _FLAGS:
            self._masks.append(best.mask)
        self._put(mode | best.flags, best.shape, best.codes)

    def _cost(self, way: _Way) -> int:
        cost = way.cost + (0 if (way.flags, way.shape) in self._met else NEW_BITS)
        return cost + FLAGGED_BITS if way.flags == _FLAGS and way.shape else cost

    def _put(self, mode: int, shape: int, codes: list[int]) -> None:
        self._modes.append(mode)
        self._shapes.append(shape)
        self._columns.append(codes)

    def packed(self) -> tuple[list[Any], bytes, bytes]:
        """(what `unpacked_columns` needs, as plain values; the codes' low bits; their rests)."""
        shapes = [
            shape | bits.SIGNED if mode & _STEPS else shape
            for mode, shape in zip(self._modes, self._shapes, strict=True)
        ]
        texts = (bytes(self._modes), bytes(self._shapes))
        return [*texts, self._numbers, self._masks, self._odd], *bits.write(self._columns, shapes)


class _Plan:
    """What has to be known of the columns before their codes can be read; all by column."""

    def __init__(self, lengths: Sequence[int], modes: bytes, shapes: bytes) -> None:
        self.counts = [*lengths]
        """How many codes there are."""
        self.shapes = bytearray(shapes)
        self.bases = [0] * len(modes)
        """What is to be added to each code."""
        self.firsts: dict[int, int] = {}
        self.nulls: dict[int, bytes] = {}
        self.flags: dict[int, bytes] = {}


def _planned(
    lengths: Sequence[int], modes: bytes, shapes: bytes, numbers: list[int], masks: list[bytes]
) -> _Plan:
    plan = _Plan(lengths, modes, shapes)
    counts, kinds, bases = plan.counts, plan.shapes, plan.bases
    number, mask = iter(numbers).__next__, iter(masks).__next__
    for index, mode in enumerate(modes):
        if mode & 3 == ODD:
            counts[index] = 0
            continue
        if mode & _NULLS:
            plan.nulls[index] = text = _flags(mask(), counts[index])
            counts[index] -= text.count(1)
        if not mode & _BESIDE:
            bases[index] = number()
        elif mode & _BESIDE == _STEPS:
            plan.firsts[index] = number()
            kinds[index] |= bits.SIGNED
            counts[index] -= 1
        elif mode & _BESIDE == _BESIDE:
            kinds[index] |= bits.SIGNED
        else:
            plan.flags[index] = text = _flags(mask(), counts[index])
            counts[index] -= text.count(1)
            plan.firsts[index], bases[index] = number(), number()
    return plan


class Packed(NamedTuple):
    """The lengths of columns, nulls counted, and what `Packer.packed` gave."""

    lengths: Sequence[int]
    parameters: list[Any]
    low: bytes
    rests: bytes


def unpacked_columns(several: Sequence[Packed]) -> list[list[Values]]:
    """Of each the columns in the order in which they were added."""
    plans = [_planned(packed.lengths, *packed.parameters[:4]) for packed in several]
    written = [
        bits.Written(packed.low, packed.rests, plan.counts, plan.shapes, plan.bases)
        for packed, plan in zip(several, plans, strict=True)
    ]
    return [
        _columns(packed.parameters, plan, codes)
        for packed, plan, codes in zip(several, plans, bits.read(written), strict=True)
    ]


def _columns(parameters: list[Any], plan: _Plan, codes: list[list[int]]) -> list[Values]:
    modes, shapes, _, _, odd = parameters
    next_odd = iter(odd)
    columns: list[Values] = []
    whole: list[Any] = []
    end = 0
    for index, mode in enumerate(modes):
        if mode & 3 == ODD:
            columns.append(
                unpack(next(next_odd)) if mode == ODD else columns[index - shapes[index]].copy()
            )
            continue
        way, kind = mode & _BESIDE, mode & _KIND
        whole, before = codes[index], whole
        if way == _STEPS:
            whole = [*accumulate(whole, initial=end + plan.firsts[index])]
            end = whole[-1]
        elif way == _BESIDE:
            whole = [*map(add, whole, before)]
        elif way == _FLAGS:
            whole = _with(whole, plan.flags[index], plan.firsts[index])
        column: list[Any] = _converted(kind, whole) if kind else whole
        columns.append(_with(column, plan.nulls[index], None) if mode & _NULLS else column)
    return columns


def _flags(mask: bytes, count: int) -> bytes:
    """A byte for each bit, 0 or 1."""
    digits = bin(int.from_bytes(mask, "little") | 1 << count)[:2:-1]
    return digits.encode().translate(_DIGITS)


def _with(others: list[Any], flags: bytes, filler: Any) -> list[Any]:
    """Values with the filler in the places of ones; what is rarer is put in its places."""
    places = range(len(flags))
    if 2 * len(others) > len(flags):
        column = [*others]
        for place in compress(places, flags):
            column.insert(place, filler)
        return column
    column = [filler] * len(flags)
    for place, other in zip(compress(places, flags.translate(_OPPOSITE)), others, strict=True):
        column[place] = other
    return column


def _converted(kind: int, whole: list[Any]) -> list[Any]:
    """Whole numbers as what they stand for, by a mode's bits for it."""
    table = _TABLES.get(kind)
    if table is not None and len(whole) > 1:
        with suppress(IndexError):
            return [*itemgetter(*whole)(table)]  # half of what a look-up for each takes
    decimals = kind >> 2
    if kind & 3 == WHOLE:
        return [number * 100 for number in whole] if decimals else whole
    factor = 10**decimals
    if kind & 3 == MIXED:
        return [number / factor if number % factor else number // factor for number in whole]
    return [number / factor for number in whole]
