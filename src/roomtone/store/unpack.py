"""Columns as pack.py wrote them, read many at once: whole numbers first, then their JSON (pure).

Everything is an array over the columns or over the values of all columns, one column after another,
and each step is one operation on such an array: what a single number costs is a few nanoseconds.
"""

import zlib
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
from msgspec import json
from numpy.typing import NDArray

from roomtone.store import bits, jsontext
from roomtone.store.jsontext import Flags, Ints
from roomtone.store.pack import BESIDE, FLAGS, KIND, NULLS, ODD, SAME, STEPS, Values, unpack

_FRONT: Final = 16
"""Bytes before the codes: what has none may be looked for a little before its column's first."""
_BACK: Final = 8

_encode = json.Encoder().encode
plain = json.Decoder(Values).decode
"""A column of `json_columns` as a list."""


class Packed(NamedTuple):
    """The lengths of columns, nulls counted, and what `Packer.packed` gave."""

    lengths: Sequence[int]
    parameters: list[Any]
    low: bytes
    rests: bytes


class _Columns:
    """What is known of the columns that are kept in bits, of all sessions; all by column."""

    def __init__(self, several: Sequence[Packed]) -> None:
        modes = np.frombuffer(b"".join([packed.parameters[0] for packed in several]), np.uint8)
        shapes = np.frombuffer(b"".join([packed.parameters[1] for packed in several]), np.uint8)
        lengths: list[int] = []
        numbers: list[int] = []
        for packed in several:
            lengths += packed.lengths
            numbers += packed.parameters[2]
        kept = (modes & ODD != ODD).nonzero()[0]
        sessions = np.arange(len(several)).repeat([len(packed.lengths) for packed in several])
        self.session = sessions.take(kept)
        self.firsts: Ints = self.session.searchsorted(np.arange(len(several) + 1))
        """Each session's first column, and the end of the last."""
        self.modes = modes.take(kept)
        self.lengths: Ints = np.array(lengths, np.int64).take(kept)
        self.starts: Ints = _ends(self.lengths)
        """Each column's first value, and the end of the last."""
        ways = self.modes & BESIDE
        self.steps: Flags = ways == STEPS
        self.beside: Flags = ways == BESIDE
        self.flagged: Flags = ways == FLAGS
        self.signed: Flags = self.modes & STEPS != 0
        self.shapes = shapes.take(kept) | self.signed * np.uint8(bits.SIGNED)
        at = _ends(1 - self.beside.astype(np.int64) + self.flagged)
        if at[-1] != len(numbers):
            raise ValueError("as many numbers as the columns have")
        values = np.array([*numbers, 0, 0], np.int64)
        self.first: Ints = values.take(at[:-1])
        """What steps start from; what flags mean."""
        self.base: Ints = values.take(at[:-1] + self.flagged) * ~self.signed
        """What is to be added to each code."""

    def spread(self, values: NDArray[Any]) -> NDArray[Any]:
        """A value of each column for each of its values."""
        return values.repeat(self.lengths)


class _Marks:
    """Which values have a code, and which one of their column's it is."""

    def __init__(self, columns: _Columns, masks: Sequence[bytes]) -> None:
        self.rank: Ints = np.arange(columns.starts[-1], dtype=np.int64)
        """The code's number in its column, for each value; -1 or -2 for one before the first."""
        self.rank -= columns.spread(columns.starts[:-1] + columns.steps)
        self.counts: Ints = columns.lengths - columns.steps
        """How many codes a column has: of the first value there is no step."""
        self.present: Flags | None = None
        """False where null; None where nothing is."""
        self.same = np.empty(0, np.int64)
        """Where the values are that equal their column's `first`, and those firsts."""
        self.firsts = self.same
        if masks:
            self._read(columns, masks)

    def _read(self, columns: _Columns, masks: Sequence[bytes]) -> None:
        null = columns.modes & NULLS != 0
        marked = (columns.flagged | null).nonzero()[0]
        null, flagged = null.take(marked), columns.flagged.take(marked)
        lengths, steps = columns.lengths.take(marked), columns.steps.take(marked)
        bounds = _ends(lengths)
        places = _ranges(columns.starts.take(marked), bounds)
        coded = np.ones(len(places), np.bool_)
        nulls, flags = _sorted(masks, null, flagged)
        known = lengths
        if nulls:
            coded[null.repeat(lengths)] = ~_bitmaps(nulls, lengths.compress(null))
            self.present = np.ones(len(self.rank), np.bool_)
            self.present[places] = coded
            known = np.diff(_ends(coded).take(bounds))
        if flags:
            same = (flagged.repeat(lengths) & coded).nonzero()[0]
            same = same.compress(_bitmaps(flags, known.compress(flagged)))
            coded[same] = False
            self.same = places.take(same)
            self.firsts = columns.first.take(marked).repeat(lengths).take(same)
        ends = _ends(coded)
        before = ends.take(bounds)
        self.rank[places] = ends[1:] - (before[:-1] + 1 + steps).repeat(lengths)
        self.counts[marked] = np.diff(before) - steps


def _sorted(
    masks: Sequence[bytes], null: Flags, flagged: Flags
) -> tuple[Sequence[bytes], Sequence[bytes]]:
    """(bitmaps of nulls, bitmaps of flags): they come column by column, a column's nulls first."""
    if not null.any():
        return (), masks
    of_flags = np.stack((null, flagged), axis=1).ravel().nonzero()[0] & 1
    found: tuple[list[bytes], list[bytes]] = [], []
    for mask, is_flag in zip(masks, of_flags.tolist(), strict=True):
        found[is_flag].append(mask)
    return found


def _ends(sizes: NDArray[Any]) -> Ints:
    """0, then where each ends if one comes after another."""
    ends = np.empty(len(sizes) + 1, np.int64)
    ends[0] = 0
    sizes.cumsum(out=ends[1:])
    return ends


def _ranges(starts: Ints, bounds: Ints) -> Ints:
    """start, start + 1 .. of each, one after another, so many that each fills its bounds."""
    steps = (starts - bounds[:-1]).repeat(bounds[1:] - bounds[:-1])
    steps += np.arange(len(steps))
    return steps


def _bitmaps(masks: Sequence[bytes], sizes: Ints) -> Flags:
    """The first bits of each mask, so many, one after another."""
    found = np.unpackbits(np.frombuffer(b"".join(masks), np.uint8), bitorder="little")
    starts = _ends((sizes + 7) >> 3)
    if starts[-1] * 8 != len(found):
        raise ValueError("as many bits as there are values")
    chosen: Flags = found.take(_ranges(starts[:-1] * 8, _ends(sizes))) != 0
    return chosen


def _codes(several: Sequence[Packed], columns: _Columns, marks: _Marks) -> Ints:
    """Each value's code with its rest and its sign; any number where there is none."""
    width = (columns.shapes & bits.WIDTH).astype(np.int64)
    rested = columns.shapes & bits.RESTS != 0
    order = (columns.session << 8 | columns.shapes).argsort(kind="stable")
    spread = columns.spread
    wide = spread(width)
    parts = [packed.low for packed in several]
    at = spread(_places(columns, order, marks.counts * width, parts, unit=8))
    at += marks.rank * wide
    octets = b"".join([bytes(_FRONT), *parts, bytes(_BACK)])
    words = np.ndarray((len(octets) - _BACK + 1,), "<i8", octets, 0, (1,))  # one at every byte
    codes: Ints = words.take(at >> 3)
    at &= 7
    codes >>= at
    codes &= spread((1 << width) - 1)
    parts = [zlib.decompress(p.rests, bits.BARE) if p.rests else b"" for p in several]
    if any(parts):
        at = spread(_places(columns, order, marks.counts * rested, parts, unit=1))
        at += marks.rank
        if not rested.all():
            at *= spread(rested)  # the byte before the first is 0
        rests = np.frombuffer(b"".join([bytes(_FRONT), *parts]), np.uint8).astype(np.int64)
        codes |= rests.take(at) << wide
    signed = spread(columns.signed.astype(np.int64))
    ones = codes & signed
    codes >>= signed
    codes ^= -ones
    codes += spread(columns.base)
    return codes


def _places(columns: _Columns, order: Ints, sizes: Ints, parts: list[bytes], *, unit: int) -> Ints:
    """Where each column's codes begin behind _FRONT bytes and the sessions' parts, in units."""
    ends = _ends(sizes.take(order))
    bounds = ends.take(columns.firsts)
    octets = _ends(np.array([len(part) for part in parts]))
    starts = unit * octets - bounds
    if (starts[1:] - starts[:-1]).max() >= unit or (starts[1:] < starts[:-1]).any():
        raise ValueError("as many bytes as the codes take")
    places = np.empty(len(sizes), np.int64)
    places[order] = ends[:-1]
    places += (starts[:-1] + unit * _FRONT).take(columns.session)
    return places


def _whole(codes: Ints, columns: _Columns, marks: _Marks) -> Ints:
    """Whole numbers out of codes; any where there is null."""
    codes[marks.same] = marks.firsts
    if columns.steps.any():
        _walk(codes, columns, marks.present)
    starts = columns.starts.tolist()
    for column in columns.beside.nonzero()[0].tolist():
        mine, before = slice(*starts[column : column + 2]), slice(*starts[column - 1 : column + 1])
        if marks.present is None:
            codes[mine] += codes[before]
        else:
            codes[mine][marks.present[mine]] += codes[before][marks.present[before]]
    return codes


def _walk(codes: Ints, columns: _Columns, present: Flags | None) -> None:
    """Sum up steps. They go on from one such column to the next, so that one sum does for all."""
    steps = columns.steps
    bounds = _ends(columns.lengths.compress(steps))
    places = _ranges(columns.starts[:-1].compress(steps), bounds)
    taken = codes.take(places)
    if present is None:
        starts = bounds[:-1]
    else:
        there = present.take(places)
        taken *= there
        seen = _ends(there)
        starts = seen.searchsorted(seen.take(bounds[:-1]), "right") - 1
    taken[starts] = columns.first.compress(steps)
    sums = _ends(taken)
    sessions = bounds.take(_ends(steps).take(columns.firsts))
    taken = sums[1:] - sums.take(sessions[:-1]).repeat(sessions[1:] - sessions[:-1])
    codes[places] = taken


def json_columns(several: Sequence[Packed]) -> list[list[msgspec.Raw]]:
    """Of each session the columns as JSON, in the order in which they were added.

    ValueError, TypeError, IndexError, OverflowError or zlib.error for what no `Packer` gave.
    """
    columns = _Columns(several)
    texts: list[msgspec.Raw] = []
    if len(columns.modes):
        marks = _Marks(columns, [mask for packed in several for mask in packed.parameters[3]])
        numbers = _whole(_codes(several, columns, marks), columns, marks)
        texts = jsontext.columns(
            numbers, columns.starts, columns.lengths, columns.modes & KIND, marks.present
        )
    firsts = columns.firsts.tolist()
    return [
        _with_odd(packed.parameters, texts[first:stop])
        for packed, first, stop in zip(several, firsts, firsts[1:], strict=False)
    ]


def _with_odd(parameters: list[Any], found: list[msgspec.Raw]) -> list[msgspec.Raw]:
    """All columns: those that are kept in bits with the others between them."""
    modes, shapes, _, _, odd = parameters
    if len(found) == len(modes):
        return found
    kept, others = iter(found), iter(odd)
    columns: list[msgspec.Raw] = []
    for index, mode in enumerate(modes):
        if mode & ODD != ODD:
            columns.append(next(kept))
        elif mode == SAME:
            columns.append(columns[index - shapes[index]])
        else:
            columns.append(msgspec.Raw(_encode(unpack(next(others)))))
    return columns
