"""Scored sessions as columns of numbers: what a store gives for questions about a fleet."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from roomtone.fleet.dimensions import DIMENSIONS, UNKNOWN, Dimension
from roomtone.fleet.sketch import (
    BUCKET_MIN,
    MOS_BUCKETS,
    MOS_MAX,
    MOS_MIN,
    VALUE_MAX,
    ZERO_BUCKET,
    Buckets,
    Histogram,
    Sketch,
)
from roomtone.score import Verdict

SESSIONS_MAX: Final = 2_000_000
"""In one answer; each takes some 40 bytes of memory while it is made."""
CODE_MAX: Final = 65_534
OTHER_CODE: Final = 65_535
OTHER: Final = "(other)"
"""A value that came when CODE_MAX others of its dimension were there."""

VERDICTS: Final[tuple[Verdict, ...]] = ("good", "fair", "poor", "unclassified")
POOR: Final = VERDICTS.index("poor")
UNCLASSIFIED: Final = VERDICTS.index("unclassified")

Sum = Literal["minutes", "minutesPoor", "minutesFair"]
Figure = Literal["audioMos", "videoMos", "packetLoss", "latency", "jitter", "joinTime"]
SUMS: Final[tuple[Sum, ...]] = get_args(Sum)
FIGURES: Final[tuple[Figure, ...]] = get_args(Figure)
BUCKETS: Final[Mapping[Figure, type[Buckets]]] = {
    name: Histogram if name.endswith("Mos") else Sketch for name in FIGURES
}

COLUMNS: Final[Mapping[str, str]] = {
    "joinMs": "<i8",
    "verdict": "u1",
    **dict.fromkeys(SUMS, "<f4"),
    **dict.fromkeys(FIGURES, "<u2"),
    **dict.fromkeys(DIMENSIONS, "<u2"),
}
"""A session in numbers: when, how, and by what; FIGURES are places, see `place_of`."""
RECORD: Final = np.dtype(list(COLUMNS.items()))

Column = NDArray[Any]


def place_of(figure: Figure, value: float | None) -> int:
    """The bucket of a value as a small whole number; 0 when it is unknown, or can be no value."""
    least, most = (MOS_MIN, MOS_MAX) if BUCKETS[figure] is Histogram else (0.0, VALUE_MAX)
    if value is None or not least <= value <= most:
        return 0
    bucket = BUCKETS[figure].bucket_of(value)
    if BUCKETS[figure] is Histogram:
        return bucket + 1
    return 1 if bucket == ZERO_BUCKET else bucket - BUCKET_MIN + 2


def value_at(figure: Figure, place: int) -> float:
    """The value that a place stands for."""
    if BUCKETS[figure] is Histogram:
        assert 1 <= place <= MOS_BUCKETS + 1
        return Histogram.value_of(place - 1)
    return Sketch.value_of(ZERO_BUCKET if place == 1 else place - 2 + BUCKET_MIN)


@dataclass(frozen=True, kw_only=True)
class Sessions:
    """Columns of as many rows as there are sessions; the sessions of a meeting follow each other.

    `meeting` numbers the meetings. `columns` are some of COLUMNS; a dimension's holds codes, of
    which `values` has the texts: `values[dimension][code]`, code 0 is UNKNOWN.
    """

    meeting: NDArray[np.int64]
    columns: Mapping[str, Column]
    values: Mapping[Dimension, Mapping[int, str]]

    def __len__(self) -> int:
        return len(self.meeting)

    def where(self, inside: NDArray[np.bool_]) -> "Sessions":
        """Some of the rows."""
        return self if inside.all() else self.rows(np.flatnonzero(inside))

    def rows(self, chosen: NDArray[np.intp]) -> "Sessions":
        """The rows of these numbers, which must grow."""
        return replace(
            self,
            meeting=self.meeting[chosen],
            columns={name: column[chosen] for name, column in self.columns.items()},
        )

    def between(self, from_ms: int, to_ms: int) -> NDArray[np.bool_]:
        """Which joined in [from_ms, to_ms)."""
        joined = self.columns["joinMs"]
        made: NDArray[np.bool_] = (joined >= from_ms) & (joined < to_ms)
        return made

    def having(self, wanted: Mapping[Dimension, Collection[str]]) -> NDArray[np.bool_]:
        """Which have, in every dimension that is named, one of the values."""
        inside = np.ones(len(self), dtype=np.bool_)
        for dimension, texts in wanted.items():
            codes = [code for code, text in self.texts(dimension).items() if text in texts]
            inside &= np.isin(self.columns[dimension], np.array(codes, dtype=np.uint16))
        return inside

    def texts(self, dimension: Dimension) -> dict[int, str]:
        """The values of a dimension by their codes, UNKNOWN too."""
        return {**self.values[dimension], 0: UNKNOWN}


@dataclass(frozen=True, kw_only=True)
class FleetQuery:
    """Which sessions: joined in [from_ms, to_ms). With these columns, beside joinMs and verdict."""

    from_ms: int
    to_ms: int
    dimensions: Sequence[Dimension] = ()
    figures: Sequence[Sum | Figure] = ()
    sessions_max: int = SESSIONS_MAX

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of all columns that are wanted, each once."""
        return tuple(dict.fromkeys(("joinMs", "verdict", *self.figures, *self.dimensions)))
