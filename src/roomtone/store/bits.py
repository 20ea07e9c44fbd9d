"""Columns of small whole numbers in few bits, read without a loop over bits (pure).

Of every code the lowest bits are kept as they are, and the rest, which is 0 or little more, in a
byte of its own; the bytes of all rests go through deflate's Huffman coding together. Reading is
quick because a few operations on one large int spread the low bits of all columns of one shape to
machine words, put the rests above them and give them their signs.
"""

import sys
import zlib
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import accumulate
from typing import Final, NamedTuple

REST_BITS: Final = 8
RARE_BITS: Final = 9
"""What a rest costs at most: Huffman's codes for rare ones are not much longer."""
FIELDS_MAX: Final = 2_048
"""So many codes are spread at once: more would make the masks larger, and no code cheaper."""
MASKS_CACHED_MAX: Final = 1_024

WIDTH: Final = 63
RESTS: Final = 64
SIGNED: Final = 128
"""A column's shape: its low bits, plus RESTS if it has rests, plus SIGNED if its codes have signs
(0, -1, 1, -2 .. are coded as 0, 1, 2, 3 ..)."""
_BARE: Final = -15
"""zlib's word for deflate without a header and a checksum."""
_WORDS: Final = ((8, "B", "b"), (16, "H", "h"), (32, "I", "i"), (64, "Q", "q"))
_BYTE: Final = 8
_FEWER: Final = [bytes(range(1 << bits)) for bits in range(_BYTE + 1)]
_DIGITS: Final = bytes.maketrans(b"01", b"\x00\x01")


def zigzag(numbers: Iterable[int]) -> list[int]:
    """Numbers with a sign as ones without."""
    return [2 * number if number >= 0 else -2 * number - 1 for number in numbers]


def choices(codes: Sequence[int]) -> list[tuple[int, int]]:
    """(bits it takes, shape) of the ways to code a column that may be the best.

    Rests are taken to cost as many bits as they are large, and one more: it is what Huffman's code
    gives when each is half as frequent as the one before, and that the choice brings about.
    """
    ordered = sorted(codes)
    count, width = len(codes), ordered[-1].bit_length()
    ways = [(count * width, width)]
    sums = [0, *accumulate(ordered)]
    middle = ordered[count // 2].bit_length()
    for low in range(max(0, middle - 3, width - REST_BITS), min(width, middle + 2)):
        common = bisect_left(ordered, RARE_BITS << low)
        # what cutting off the low bits takes from each is half of their range in the mean
        rests = max(0, sums[common] - (common * ((1 << low) - 1) >> 1)) >> low
        rests += RARE_BITS * (count - common)
        ways.append((count * (low + 1) + rests, low | RESTS))
    return ways


def _groups(shapes: Sequence[int], counts: Sequence[int]) -> list[tuple[int, list[int]]]:
    """The columns of each shape; one of which nothing is kept is in none."""
    found: dict[int, list[int]] = {}
    for index, shape in enumerate(shapes):
        if shape & ~SIGNED and counts[index]:
            if shape in found:
                found[shape].append(index)
            else:
                found[shape] = [index]
    return sorted(found.items())


def write(columns: Sequence[Sequence[int]], shapes: Sequence[int]) -> tuple[bytes, bytes]:
    """(low bits, rests) of codes; those with a sign come as `zigzag` makes them."""
    low: list[str] = []
    rests = bytearray()
    for shape, members in _groups(shapes, [len(codes) for codes in columns]):
        width = shape & WIDTH
        codes = [code for index in members for code in columns[index]]
        if width:
            mask, form = (1 << width) - 1, f"0{width}b"
            low += [format(code & mask, form) for code in codes]
        if shape & RESTS:
            rests += bytes(code >> width for code in codes)
    text = "0" + "".join(reversed(low))
    return int(text, 2).to_bytes((len(text) + 6) // 8, "little"), _huffman(bytes(rests))


def _huffman(rests: bytes) -> bytes:
    if not rests:
        return b""
    coder = zlib.compressobj(9, zlib.DEFLATED, _BARE, 9, zlib.Z_HUFFMAN_ONLY)
    return coder.compress(rests) + coder.flush()


class Written(NamedTuple):
    """What `write` gave, and what the columns are; a base is added to each code of its column.

    Codes with a sign have no base: 0.
    """

    low: bytes
    rests: bytes
    counts: Sequence[int]
    shapes: Sequence[int]
    bases: Sequence[int]


class _Group:
    """The codes of one shape out of several `Written`, and where they belong."""

    __slots__ = ("bases", "low", "members", "rests", "size")

    def __init__(self) -> None:
        self.low = 0
        self.size = 0
        self.rests = b""
        self.bases: list[tuple[int, int]] = []
        self.members: list[tuple[list[list[int]], int, int]] = []


def read(several: Sequence[Written]) -> list[list[list[int]]]:
    """The columns that `write` was given, plus their bases; those with a sign have it again.

    What several have in common is done at once: it takes a third less time than one by one.
    """
    found: list[list[list[int]]] = []
    groups: dict[int, _Group] = {}
    for written in several:
        columns = [
            [] if shape & ~SIGNED else [base] * count
            for count, shape, base in zip(
                written.counts, written.shapes, written.bases, strict=True
            )
        ]
        found.append(columns)
        _collect(written, columns, groups)
    for shape, group in groups.items():
        codes = _codes(group.low, group.rests, group.size, shape, group.bases)
        start = 0
        for columns, index, count in group.members:
            stop = start + count
            columns[index] = codes[start:stop]
            start = stop
    return found


def _collect(written: Written, columns: list[list[int]], groups: dict[int, _Group]) -> None:
    """Put codes to those of their shapes."""
    low, rests, counts, shapes, bases = written
    number = int.from_bytes(low, "little")
    if rests:
        rests = zlib.decompress(rests, _BARE)
    at = 0
    for shape, members in _groups(shapes, counts):
        group = groups.get(shape)
        if group is None:
            group = groups[shape] = _Group()
        mine = [(columns, index, counts[index]) for index in members]
        size = sum([counts[index] for index in members])
        width = shape & WIDTH
        if width:
            bits = size * width
            group.low |= (number & (1 << bits) - 1) << group.size * width
            number >>= bits
        if shape & RESTS:
            group.rests += rests[at : at + size]
            at += size
        if not shape & SIGNED:
            group.bases += [(bases[index], counts[index]) for index in members]
        group.members += mine
        group.size += size
    if at != len(rests):
        raise ValueError("as many rests as codes that have one")


def _codes(
    low: int, rests: bytes, size: int, shape: int, bases: list[tuple[int, int]]
) -> list[int]:
    """Codes of one shape as a list, plus (base, how often) each."""
    width = shape & WIDTH
    need = width + REST_BITS if rests else width
    if width < _BYTE < need and not rests.translate(None, _FEWER[_BYTE - width]):
        need = _BYTE  # no rest has so many bits that its code would not fit
    if bases and (most := max(bases)[0]):
        need = max(need, most.bit_length()) + 1
    else:
        bases = []
    word, plain, with_sign = _WORDS[max(0, (need - 1).bit_length() - 3)]
    if size <= FIELDS_MAX:
        octets = _spread(low, rests, size, shape, word)
    else:
        data = low.to_bytes((size * width + 7) // 8, "little")
        octets = b"".join(
            _spread(
                int.from_bytes(data[at * width // 8 : (at + FIELDS_MAX) * width // 8], "little"),
                rests[at : at + FIELDS_MAX],
                min(FIELDS_MAX, size - at),
                shape,
                word,
            )
            for at in range(0, size, FIELDS_MAX)
        )
    if bases:
        length = word // 8
        added = b"".join([base.to_bytes(length, "little") * count for base, count in bases])
        total = int.from_bytes(octets, "little") + int.from_bytes(added, "little")
        octets = total.to_bytes(len(octets), "little")
    words = array(with_sign if shape & SIGNED else plain, octets)
    if sys.byteorder == "big":
        words.byteswap()
    return words.tolist()


def _spread(number: int, rests: bytes, size: int, shape: int, word: int) -> bytes:
    """Codes as words of `word` bits, little-endian."""
    width = shape & WIDTH
    octets = size * word // 8
    levels = (size - 1).bit_length()
    if width == 1:
        text = bin(number | 1 << size)[:2:-1]
        number = int.from_bytes(_wide(text.encode().translate(_DIGITS), word), "little")
    else:
        for mask, shift in _masks(levels, width, word):
            low = number & mask
            number = low | (number ^ low) << shift
    if rests:
        number |= int.from_bytes(_wide(rests, word), "little") << width
    if shape & SIGNED:
        ones = number & _ones(levels, word)
        number = (number ^ ones) >> 1 ^ ((ones << word) - ones)
    return number.to_bytes(octets, "little")


def _wide(octets: bytes, word: int) -> bytes | bytearray:
    """Each byte as a word."""
    if word == _BYTE:
        return octets
    words = bytearray(len(octets) * word // 8)
    words[:: word // 8] = octets
    return words


@lru_cache(MASKS_CACHED_MAX)
def _masks(levels: int, width: int, word: int) -> list[tuple[int, int]]:
    """(mask, shift) of the steps that move 2 ** levels fields of `width` bits apart to `word`.

    Each step halves blocks of neighbours and moves the upper halves to where they belong.
    """
    steps: list[tuple[int, int]] = []
    for level in reversed(range(levels if width else 0)):
        half = 1 << level
        block = (1 << half * width) - 1
        mask = sum(block << start * word for start in range(0, 1 << levels, 2 * half))
        steps.append((mask, half * (word - width)))
    return steps


@lru_cache(MASKS_CACHED_MAX)
def _ones(levels: int, word: int) -> int:
    """The lowest bit of each of 2 ** levels words."""
    return sum(1 << at * word for at in range(1 << levels))
