"""Media sessions as tables: one row a sample, one row a sample of resources.

The libraries are extras (`roomtone[arrow]`, `[pandas]`, `[polars]`), imported when they are asked
for. What is unknown is null in each of them, never 0 and never NaN.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from msgspec import UNSET

from roomtone.errors import RoomtoneError
from roomtone.model import (
    COLUMNS,
    RESOURCE_COLUMNS,
    STREAM_KINDS,
    MediaSession,
    Resources,
    Stream,
    column_of,
    epoch_ms,
    sample_count,
    streams_of,
)

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow

WHO: Final = (
    "meetingInstanceId",
    "participantSessionId",
    "participantId",
    "webexUserName",
    "webexUserEmail",
)
SAMPLE_COLUMNS: Final[dict[str, str]] = {
    **dict.fromkeys((*WHO, "stream"), "text"),
    "entry": "int",
    "time": "time",
    "samplingInterval": "float",
    "codec": "text",
    "transportType": "text",
    **dict.fromkeys(COLUMNS, "float"),
}
"""The columns of the first table; `entry` is the place in the stream's array, `time` a start."""
RESOURCES_COLUMNS: Final[dict[str, str]] = {
    **dict.fromkeys(WHO, "text"),
    "entry": "int",
    "sample": "int",
    "time": "time",
    "samplingInterval": "float",
    **dict.fromkeys(RESOURCE_COLUMNS, "float"),
}
"""Of the second; `time` is null where the sender of the resources did not say it."""

Data = dict[str, list[Any]]


class ArrowTables(NamedTuple):
    """As pyarrow has tables."""

    samples: "pyarrow.Table"
    resources: "pyarrow.Table"


class PandasTables(NamedTuple):
    """As pandas has them: nullable dtypes, times in UTC."""

    samples: "pandas.DataFrame"
    resources: "pandas.DataFrame"


class PolarsTables(NamedTuple):
    """As polars has them."""

    samples: "polars.DataFrame"
    resources: "polars.DataFrame"


def to_arrow(sessions: Iterable[MediaSession]) -> ArrowTables:
    """Tables of pyarrow; RoomtoneError when it is not installed."""
    try:
        import pyarrow as pa
    except ImportError:
        raise _missing("arrow") from None
    types = {
        "text": pa.string(), "int": pa.int32(), "float": pa.float64(),
        "time": pa.timestamp("ms", tz="UTC"),
    }  # fmt: skip

    def table(data: Data, columns: dict[str, str]) -> "pyarrow.Table":
        return pa.table({name: pa.array(data[name], types[kind]) for name, kind in columns.items()})

    samples, resources = _data(sessions)
    return ArrowTables(table(samples, SAMPLE_COLUMNS), table(resources, RESOURCES_COLUMNS))


def to_polars(sessions: Iterable[MediaSession]) -> PolarsTables:
    """DataFrames of polars; RoomtoneError when it is not installed."""
    try:
        import polars as pl
    except ImportError:
        raise _missing("polars") from None
    types: dict[str, polars.DataType | type[polars.DataType]] = {
        "text": pl.String, "int": pl.Int32, "float": pl.Float64,
        "time": pl.Datetime("ms", "UTC"),
    }  # fmt: skip

    def frame(data: Data, columns: dict[str, str]) -> "polars.DataFrame":
        return pl.DataFrame(data, schema={name: types[kind] for name, kind in columns.items()})

    samples, resources = _data(sessions)
    return PolarsTables(frame(samples, SAMPLE_COLUMNS), frame(resources, RESOURCES_COLUMNS))


def to_pandas(sessions: Iterable[MediaSession]) -> PandasTables:
    """DataFrames of pandas; RoomtoneError when it is not installed."""
    try:
        import pandas as pd
    except ImportError:
        raise _missing("pandas") from None
    types = {"text": "string", "int": "Int32", "float": "Float64"}

    def column(values: list[Any], kind: str) -> Any:
        if kind == "time":
            times = pd.Series(values, dtype="Int64").astype("datetime64[ms]")
            return times.dt.tz_localize("UTC")
        return pd.Series(values, dtype=types[kind])

    def frame(data: Data, columns: dict[str, str]) -> "pandas.DataFrame":
        return pd.DataFrame({name: column(data[name], kind) for name, kind in columns.items()})

    samples, resources = _data(sessions)
    return PandasTables(frame(samples, SAMPLE_COLUMNS), frame(resources, RESOURCES_COLUMNS))


def _missing(extra: str) -> RoomtoneError:
    return RoomtoneError(f"this needs: pip install 'roomtone[{extra}]'")


def _data(sessions: Iterable[MediaSession]) -> tuple[Data, Data]:
    """Both tables as plain columns; times in ms since 1970."""
    samples: Data = {name: [] for name in SAMPLE_COLUMNS}
    resources: Data = {name: [] for name in RESOURCES_COLUMNS}
    for session in sessions:
        who = [getattr(session, name) for name in WHO]
        for kind in STREAM_KINDS:
            for index, entry in enumerate(streams_of(session, kind)):
                _extend(samples, _sample_rows(entry, [*who, kind, index]))
        for index, part in enumerate(session.resources):
            _extend(resources, _resources_rows(part, [*who, index]))
    return samples, resources


def _extend(data: Data, rows: Iterator[Sequence[Any]]) -> None:
    for row in rows:
        for column, value in zip(data.values(), row, strict=True):
            column.append(value)


def _sample_rows(entry: Stream, head: list[Any]) -> Iterator[list[Any]]:
    start_ms, interval_s = epoch_ms(entry.startTime), entry.samplingInterval
    columns = [column_of(entry, name) for name in COLUMNS]
    for at in range(sample_count(entry)):
        time_ms = round(start_ms + at * interval_s * 1000)
        row = [*head, time_ms, float(interval_s), entry.codec, entry.transportType]
        yield row + [_number(column, at) for column in columns]


def _resources_rows(part: Resources, head: list[Any]) -> Iterator[list[Any]]:
    timed = part.startTime is not UNSET and part.samplingInterval is not UNSET
    interval_s = None if part.samplingInterval is UNSET else float(part.samplingInterval)
    columns: list[list[int | float | None]] = [getattr(part, name) for name in RESOURCE_COLUMNS]
    for at in range(max(map(len, columns))):
        time_ms = None
        if timed:
            assert part.startTime is not UNSET
            time_ms = round(epoch_ms(part.startTime) + at * (interval_s or 0) * 1000)
        yield [*head, at, time_ms, interval_s, *(_number(column, at) for column in columns)]


def _number(column: Sequence[int | float | None], at: int) -> float | None:
    value = column[at] if at < len(column) else None
    return None if value is None else float(value)
