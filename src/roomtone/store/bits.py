"""Columns of small whole numbers in few bits (pure); unpack.py reads them.

Of every code the lowest bits are kept as they are, and the rest, which is 0 or little more, in a
byte of its own; the bytes of all rests go through deflate's Huffman coding together. Columns of one
shape lie together, so that a reader finds each code without looking at the ones before it.
"""

import zlib
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Final

REST_BITS: Final = 8
RARE_BITS: Final = 9
"""What a rest costs at most: Huffman's codes for rare ones are not much longer."""

WIDTH: Final = 63
RESTS: Final = 64
SIGNED: Final = 128
"""A column's shape: its low bits, plus RESTS if it has rests, plus SIGNED if its codes have signs
(0, -1, 1, -2 .. are coded as 0, 1, 2, 3 ..)."""
BARE: Final = -15
"""zlib's word for deflate without a header and a checksum."""


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
    coder = zlib.compressobj(9, zlib.DEFLATED, BARE, 9, zlib.Z_HUFFMAN_ONLY)
    return coder.compress(rests) + coder.flush()
