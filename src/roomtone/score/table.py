"""A session's entries as arrays, one interval after the other: what all of the scoring reads.

Entries stand in the order of KINDS, so audio comes first and a kind is one slice.
"""

from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from roomtone.model import (
    COLUMNS,
    NUMBER_MAX,
    Column,
    MediaSession,
    Stream,
    StreamKind,
    column_of,
    epoch_ms,
    sample_count,
    streams_of,
)
from roomtone.score.emodel import PERCENT_MAX, Values, within

Mask = NDArray[np.bool_]
KINDS: Final[tuple[StreamKind, ...]] = (
    "audioIn", "audioOut", "videoIn", "videoOut", "shareIn", "shareOut",
)  # fmt: skip


class Piece(Struct, gc=False):
    """One entry: its kind and where its intervals stand in the arrays."""

    kind: StreamKind
    entry: Stream
    first: int
    last: int


class Table(Struct):
    """The columns of a session; NaN is unknown. Units are the model's.

    `start_ms` and `length_ms` are of each interval; `audio` is how many of them are of audio.
    """

    pieces: list[Piece]
    spans: dict[StreamKind, slice]
    audio: int
    columns: dict[Column, Values]
    start_ms: Values
    length_ms: Values

    @property
    def size(self) -> int:
        """How many intervals there are."""
        return len(self.start_ms)

    def repeated(self, values: list[float]) -> Values:
        """A value per entry as one per interval."""
        return np.repeat(np.array(values, dtype=np.float64), self.counts())

    def counts(self) -> list[int]:
        """How many intervals each entry has."""
        return [piece.last - piece.first for piece in self.pieces]


def table(session: MediaSession) -> Table:
    """All entries of a session, as arrays."""
    pieces: list[Piece] = []
    spans: dict[StreamKind, slice] = {}
    at = audio = 0
    for kind in KINDS:
        first = at
        for entry in streams_of(session, kind):
            count = sample_count(entry)
            pieces.append(Piece(kind, entry, at, at + count))
            at += count
        if at > first:
            spans[kind] = slice(first, at)
        if kind == "audioOut":
            audio = at
    made = Table(pieces, spans, audio, {}, np.empty(0), np.empty(0))
    made.columns = {name: column(pieces, name) for name in COLUMNS}
    made.length_ms = made.repeated([piece.entry.samplingInterval * 1000 for piece in pieces])
    starts = made.repeated(
        [
            epoch_ms(piece.entry.startTime) - piece.first * piece.entry.samplingInterval * 1000
            for piece in pieces
        ]
    )
    made.start_ms = starts + np.arange(at) * made.length_ms
    return made


def column(pieces: list[Piece], name: Column) -> Values:
    """One column of all entries; a percentage above 100 and what is negative become NaN."""
    values: list[int | float | None] = []
    for piece in pieces:
        values += column_of(piece.entry, name)
        values += [None] * (piece.last - len(values))
    most = PERCENT_MAX if name == "packetLoss" else NUMBER_MAX
    return within(np.array(values, dtype=np.float64), most)


def listed(values: Values) -> list[float | None]:
    """An array as a list; NaN, which alone is not itself, becomes None."""
    found: list[float | None] = values.tolist()
    return [None if value != value else value for value in found]
