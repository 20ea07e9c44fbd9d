"""Sessions as arrays, one interval after the other: what all of the scoring reads.

All audio comes first, then all video and share; in these the sessions follow each other, and what
one kind of stream of one session has is one run. Formulas then cost their overhead once for a
meeting, not once for each stream.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from roomtone.model import (
    AUDIO_KINDS,
    COLUMNS,
    NUMBER_MAX,
    SHARE_KINDS,
    VIDEO_KINDS,
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
from roomtone.score.groups import Groups

Mask = NDArray[np.bool_]
SEEN: Final = (*VIDEO_KINDS, *SHARE_KINDS)
SCREEN: Final = frozenset(SHARE_KINDS)


class Run(Struct, gc=False):
    """One kind of stream of one session, the `owner`th, and where it stands in the arrays."""

    owner: int
    kind: StreamKind
    first: int
    last: int

    @property
    def span(self) -> slice:
        """Its intervals."""
        return slice(self.first, self.last)


class Piece(Struct, gc=False):
    """One entry, of the `run`th run."""

    run: int
    entry: Stream
    first: int
    last: int

    @property
    def span(self) -> slice:
        """Its intervals."""
        return slice(self.first, self.last)


class Table(Struct):
    """The columns of some sessions; NaN is unknown. Units are the model's.

    `start_ms` and `length_ms` are of each interval, and so are `piece`, `run` and `owner`: the
    numbers of its entry, its run and its session. The first `audio` intervals, `heard` runs and
    `voices` entries are of audio.
    """

    sessions: int
    pieces: list[Piece]
    runs: list[Run]
    audio: int
    heard: int
    voices: int
    columns: dict[Column, Values]
    start_ms: Values
    length_ms: Values
    piece: Groups
    run: Groups
    owner: Groups

    @property
    def size(self) -> int:
        """How many intervals there are."""
        return len(self.start_ms)


def table(sessions: Sequence[MediaSession]) -> Table:
    """All entries of sessions, as arrays."""
    pieces: list[Piece] = []
    runs: list[Run] = []
    _lay_out(sessions, AUDIO_KINDS, pieces, runs)
    heard, voices = len(runs), len(pieces)
    audio = pieces[-1].last if pieces else 0
    _lay_out(sessions, SEEN, pieces, runs)
    counts = [piece.last - piece.first for piece in pieces]
    piece = np.repeat(np.arange(len(pieces)), counts)
    run = np.array([one.run for one in pieces], dtype=np.intp)[piece]
    lengths = [one.entry.samplingInterval * 1000 for one in pieces]
    starts = [
        epoch_ms(one.entry.startTime) - one.first * length
        for one, length in zip(pieces, lengths, strict=True)
    ]
    length_ms = np.array(lengths, dtype=np.float64)[piece]
    return Table(
        sessions=len(sessions),
        pieces=pieces,
        runs=runs,
        audio=audio,
        heard=heard,
        voices=voices,
        columns={name: _column(pieces, name) for name in COLUMNS},
        start_ms=np.array(starts, dtype=np.float64)[piece] + np.arange(len(piece)) * length_ms,
        length_ms=length_ms,
        piece=piece,
        run=run,
        owner=np.array([one.owner for one in runs], dtype=np.intp)[run],
    )


def _lay_out(
    sessions: Sequence[MediaSession],
    kinds: tuple[StreamKind, ...],
    pieces: list[Piece],
    runs: list[Run],
) -> None:
    """Give the entries of these kinds their places, behind those that have one."""
    at = pieces[-1].last if pieces else 0
    for owner, session in enumerate(sessions):
        for kind in kinds:
            entries = streams_of(session, kind)
            if not entries:
                continue
            run = Run(owner, kind, at, at)
            for entry in entries:
                count = sample_count(entry)
                pieces.append(Piece(len(runs), entry, at, at + count))
                at += count
            run.last = at
            runs.append(run)


def _column(pieces: list[Piece], name: Column) -> Values:
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
