"""Columns of numbers in few bytes, exactly: scaled whole numbers in planes of bytes (pure).

A column becomes whole numbers (floats times a power of ten, if that is exact) less their minimum
or, where it is smaller, their differences. Of a number's bytes only the highest is predictable:
highest bytes go through LZMA together (its adaptive coding needs no tables, which for a few dozen
values would be larger than what they save), lower bytes are kept as they are. Null has a bit in a
bitmap. A column that fits none of this is kept as MessagePack.
"""

import json
import lzma
import sys
from array import array
from collections.abc import Iterable, Sequence
from itertools import accumulate, count, pairwise, repeat
from math import copysign
from operator import add
from typing import Any, Final

import msgspec

Values = list[int | float | None]

DECIMALS_MAX: Final = 4
BITS_MAX: Final = 48
RESULT_BYTES_MAX: Final = 64 * 1024 * 1024
TABLE_BITS_MAX: Final = 9
TABLE_SIZE: Final = 16_384

WHOLE, DECIMAL, MIXED, ODD = range(4)
_DELTA, _NULLS = 32, 64
_FILTERS: Final = [{"id": lzma.FILTER_LZMA1, "lc": 0, "lp": 0, "pb": 0, "dict_size": 4096}]
_TABLES: Final = [[value / 10**decimals for value in range(TABLE_SIZE)] for decimals in range(3)]

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
        return WHOLE, 0, [int(value) for value in values]
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


class Packer:
    """Columns in, in order; bytes out, with what is needed to read them again."""

    def __init__(self) -> None:
        self.modes = bytearray()
        self.widths = bytearray()
        self.numbers: list[int] = []
        self.nulls: list[bytes] = []
        self.odd: list[bytes] = []
        self._columns: list[list[int]] = []

    def add(self, values: Values) -> None:
        """Add a column that is not empty."""
        known = [value for value in values if value is not None]
        found = scaled(known) if known else None
        if found is None or max(found[2]) >> BITS_MAX:
            self._put(ODD, [])
            self.odd.append(pack(values))
            return
        kind, decimals, whole = found
        mode = kind | decimals << 2
        if len(known) < len(values):
            self.nulls.append(_bitmap(values))
            mode |= _NULLS
        self._put(*self._smaller(mode, whole))

    def _smaller(self, mode: int, whole: list[int]) -> tuple[int, list[int]]:
        base = min(whole)
        plain = [number - base for number in whole]
        steps = [after - before for before, after in pairwise(whole)]
        least = min(steps, default=0)
        delta = [0, *(step - least for step in steps)]
        if 2 * max(delta) >= max(plain):
            self.numbers.append(base)
            return mode, plain
        self.numbers += (whole[0], least)
        return mode | _DELTA, delta

    def _put(self, mode: int, column: list[int]) -> None:
        self.modes.append(mode)
        self.widths.append(max(column, default=0).bit_length())
        self._columns.append(column)

    def parameters(self) -> list[Any]:
        """What `unpacked_columns` needs beside the planes, as plain values."""
        return [bytes(self.modes), bytes(self.widths), self.numbers, self.nulls, self.odd]

    def planes(self) -> tuple[bytes, bytes]:
        """(highest bytes, compressed; lower bytes, as they are)."""
        high: list[bytes] = []
        low: list[bytes] = []
        for index in _by_predictability(self.widths):
            width = (self.widths[index] + 7) // 8
            data = array("Q", self._columns[index])
            if sys.byteorder == "big":
                data.byteswap()
            octets = data.tobytes()
            high.append(octets[width - 1 :: 8])
            low.extend(octets[plane::8] for plane in range(width - 1))
        packed = lzma.compress(b"".join(high), lzma.FORMAT_RAW, filters=_FILTERS) if high else b""
        return packed, b"".join(low)


def _by_predictability(widths: Iterable[int]) -> list[int]:
    """Columns that have planes, those with the emptiest highest byte first."""
    found = [((width - 1) % 8, index) for index, width in enumerate(widths) if width]
    return [index for _, index in sorted(found)]


def _bitmap(values: Values) -> bytes:
    bits = sum(1 << index for index, value in enumerate(values) if value is None)
    return bits.to_bytes((len(values) + 7) // 8, "little")


def unpacked_columns(
    lengths: Sequence[int], parameters: list[Any], high: bytes, low: bytes
) -> list[Values]:
    """The columns in the order in which they were added; lengths count nulls too."""
    modes, widths, numbers, nulls, odd = parameters
    next_null, next_odd, next_number = iter(nulls), iter(odd), iter(numbers)
    masks = [next(next_null) if mode & _NULLS else b"" for mode in modes]
    counts = list(lengths)
    for index, mask in enumerate(masks):
        if mask:
            counts[index] -= int.from_bytes(mask, "little").bit_count()
    codes = _codes(counts, widths, high, low)
    columns: list[Values] = []
    for index, mode in enumerate(modes):
        if mode & 3 == ODD:
            columns.append(unpack(next(next_odd)))
            continue
        base = next(next_number)
        found: Iterable[int] = codes[index] or repeat(0, counts[index])
        if mode & _DELTA:
            least = next(next_number)
            found = map(add, accumulate(found), count(0, least)) if least else accumulate(found)
        width = TABLE_BITS_MAX + 1 if mode & _DELTA else widths[index]
        column = _numbers(mode, base, found, width)
        columns.append(
            _with_nulls(column, masks[index], lengths[index]) if masks[index] else column
        )
    return columns


def _codes(counts: list[int], widths: bytes, high: bytes, low: bytes) -> list[Sequence[int] | None]:
    found: list[Sequence[int] | None] = [None] * len(counts)
    order = _by_predictability(widths)
    total = sum(counts[index] for index in order)
    top = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=_FILTERS).decompress(high, total)
    at_high = at_low = 0
    for index in order:
        number = counts[index]
        plane = top[at_high : at_high + number]
        at_high += number
        width = (widths[index] + 7) // 8
        if width == 1:
            found[index] = plane
            continue
        size = 2 if width == 2 else 4 if width <= 4 else 8
        octets = bytearray(number * size)
        for octet in range(width - 1):
            octets[octet::size] = low[at_low : at_low + number]
            at_low += number
        octets[width - 1 :: size] = plane
        data = array("H" if size == 2 else "I" if size == 4 else "Q", bytes(octets))
        if sys.byteorder == "big":
            data.byteswap()
        found[index] = data
    return found


def _numbers(mode: int, base: int, codes: Iterable[int], width: int) -> Values:
    kind, decimals = mode & 3, mode >> 2 & 7
    if kind == WHOLE:
        return list(map(add, codes, repeat(base))) if base else list(codes)
    if kind == MIXED:
        factor = 10**decimals
        whole = map(add, codes, repeat(base))
        return [number / factor if number % factor else number // factor for number in whole]
    top = base + (1 << width)
    if width <= TABLE_BITS_MAX and decimals < len(_TABLES) and top <= TABLE_SIZE:
        return list(map(_TABLES[decimals][base:top].__getitem__, codes))
    factor = 10**decimals
    return [(code + base) / factor for code in codes]


def _with_nulls(known: Values, mask: bytes, length: int) -> Values:
    bits = int.from_bytes(mask, "little")
    values = iter(known)
    return [None if bits >> index & 1 else next(values) for index in range(length)]
