"""Columns of numbers in few bits, exactly: whole ones, in a code small and quick to read.

A column becomes whole numbers: floats times a power of ten, or hundreds where all are round, if
that is exact. Of them codes are made in one of four ways: numbers less their minimum; steps from
one to the next; differences to the column before; a flag for each that is the minimum, and the
others less theirs. bits.py says how codes are kept. A column that equals an earlier one only says
so. Null has a bit in a bitmap. A column that fits none of this is kept as MessagePack. unpack.py
reads all of it.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from math import copysign
from operator import sub
from typing import Any, Final, NamedTuple

import msgspec

from roomtone.store import bits
from roomtone.store.jsontext import DECIMAL, DECIMALS_MAX, HUNDREDS, MIXED, WHOLE

Values = list[int | float | None]

BITS_MAX: Final = 48
DISTANCE_MAX: Final = 255
NEW_BITS: Final = 48
"""What one more shape among a session's columns costs, in time to read it too."""
FLAGGED_BITS: Final = 60
"""What it is worth not to have to put a column's numbers in their places one by one."""

ODD: Final = 3
"""Of a mode's lowest bits: kept as MessagePack. Else what a number stands for, see jsontext.py."""
SAME: Final = ODD | 4
KIND: Final = 31
STEPS, NULLS, FLAGS = 32, 64, 128
BESIDE: Final = STEPS | FLAGS

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
        return WHOLE, HUNDREDS, [int(value) // 100 for value in values]
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
        yield _Way(cost, STEPS, shape, (), b"", steps)
    if beside:
        signed = bits.zigzag(map(sub, whole, beside))
        for cost, shape in bits.choices(signed):
            yield _Way(cost, BESIDE, shape, (), b"", signed)
    others = [code for code in plain if code]
    second = min(others)
    codes = [code - second for code in others]
    mask = _bitmap(not code for code in plain)
    more = 8 * (len(mask) + len(pack([second])))
    for cost, shape in bits.choices(codes):
        yield _Way(cost + more, FLAGS, shape, (least, second + least), mask, codes)


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
            self._put(SAME, distance, [])
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
            mode |= NULLS
        beside = self._last[1]
        if self._last[0] != (kind, decimals) or len(beside) != len(whole):
            beside = []
        self._last = (kind, decimals), whole
        best = min(_ways(whole, beside), key=self._cost)
        self._met.add((best.flags, best.shape))
        if best.flags == STEPS:
            self._numbers.append(whole[0] - self._end)
            self._end = whole[-1]
        self._numbers += best.numbers
        if best.flags == FLAGS:
            self._masks.append(best.mask)
        self._put(mode | best.flags, best.shape, best.codes)

    def _cost(self, way: _Way) -> int:
        cost = way.cost + (0 if (way.flags, way.shape) in self._met else NEW_BITS)
        return cost + FLAGGED_BITS if way.flags == FLAGS and way.shape else cost

    def _put(self, mode: int, shape: int, codes: list[int]) -> None:
        self._modes.append(mode)
        self._shapes.append(shape)
        self._columns.append(codes)

    def packed(self) -> tuple[list[Any], bytes, bytes]:
        """(what unpack.py needs, as plain values; the codes' low bits; their rests)."""
        shapes = [
            shape | bits.SIGNED if mode & STEPS else shape
            for mode, shape in zip(self._modes, self._shapes, strict=True)
        ]
        texts = (bytes(self._modes), bytes(self._shapes))
        return [*texts, self._numbers, self._masks, self._odd], *bits.write(self._columns, shapes)
