"""Rows of scored sessions as records of numbers, the same in every engine."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from roomtone.fleet.dimensions import DIMENSIONS, UNKNOWN, Dimension
from roomtone.fleet.sessions import (
    FIGURES,
    RECORD,
    VERDICTS,
    Figure,
    FleetQuery,
    Sessions,
    place_of,
)
from roomtone.store.verdicts import SessionRow

_FIELD: Final[Mapping[Figure, str]] = {
    "audioMos": "audio_mos",
    "videoMos": "video_mos",
    "packetLoss": "packet_loss",
    "latency": "latency",
    "jitter": "jitter",
    "joinTime": "join_s",
}

Records = NDArray[Any]
Value = tuple[Dimension, str]
Code = tuple[Dimension, int]


def values_in(rows: Iterable[SessionRow]) -> Counter[Value]:
    """In how many of the rows each value is; UNKNOWN is none."""
    return Counter(
        (name, row.values[name])
        for row in rows
        for name in DIMENSIONS
        if row.values.get(name, UNKNOWN) != UNKNOWN
    )


def record_of(row: SessionRow, code_of: Mapping[Value, int]) -> tuple[Any, ...]:
    """A row in the order of RECORD."""
    return (
        row.join_ms,
        VERDICTS.index(row.verdict),
        row.minutes,
        row.minutes_poor,
        row.minutes_fair,
        *(place_of(name, getattr(row, _FIELD[name])) for name in FIGURES),
        *(code_of.get((name, row.values.get(name, UNKNOWN)), 0) for name in DIMENSIONS),
    )


def records_of(data: bytes) -> Records:
    """Records out of their bytes."""
    return np.frombuffer(data, RECORD)


def codes_in(records: Records) -> Counter[Code]:
    """In how many records each code is; 0 is none."""
    found: Counter[Code] = Counter()
    for name in DIMENSIONS:
        codes, counts = np.unique(records[name], return_counts=True)
        for code, count in zip(codes.tolist(), counts.tolist(), strict=True):
            if code:
                found[name, code] = count
    return found


def sessions_of(
    query: FleetQuery,
    sizes: Sequence[int] | NDArray[Any],
    columns: Mapping[str, Sequence[NDArray[Any]]],
    texts: Callable[[Dimension], Mapping[int, str]],
) -> Sessions:
    """What is asked for, out of pieces of columns that hold at least that.

    `sizes`: how many rows each meeting has, one meeting behind the other.
    """
    whole = Sessions(
        meeting=np.repeat(np.arange(len(sizes)), sizes),
        columns={
            name: np.concatenate([np.zeros(0, RECORD[name]), *columns[name]])
            for name in query.columns
        },
        values={name: texts(name) for name in dict.fromkeys(query.dimensions)},
    )
    return whole.where(whole.between(query.from_ms, query.to_ms))
