"""Media sessions as Arrow, pandas and polars tables: the same rows, and nulls that stay nulls."""

import builtins
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from roomtone.client import Client, to_arrow, to_pandas, to_polars
from roomtone.errors import RoomtoneError
from roomtone.model import MediaSession, MediaSessions, Resources, Stream
from tests.conftest import DATA, Server

START = "2026-11-24T09:00:00.000Z"
STEP = datetime(2026, 11, 24, 9, 0, 30, tzinfo=UTC)

Rows = list[dict[str, Any]]


def example() -> list[MediaSession]:
    body = (DATA / "meeting-qualities-example.json").read_bytes()
    return msgspec.json.decode(body, type=MediaSessions).items


def one() -> MediaSession:
    """Two samples of audio, of which some values are unknown; CPU with and without times."""
    audio = Stream(
        startTime=START, samplingInterval=30, packetLoss=[0, None], latency=[161.5], codec="Opus"
    )
    timed = Resources(startTime=START, samplingInterval=30, systemMaxCPU=[12, 13.5])
    return MediaSession(
        meetingInstanceId="m1",
        participantSessionId="S1",
        participantId="P1",
        audioIn=[audio],
        resources=[timed, Resources(processMaxCPU=[None, 7])],
    )


def arrow_rows(sessions: list[MediaSession]) -> tuple[Rows, Rows]:
    samples, resources = to_arrow(sessions)
    return samples.to_pylist(), resources.to_pylist()


def polars_rows(sessions: list[MediaSession]) -> tuple[Rows, Rows]:
    samples, resources = to_polars(sessions)
    return samples.to_dicts(), resources.to_dicts()


def pandas_rows(sessions: list[MediaSession]) -> tuple[Rows, Rows]:
    import pandas as pd

    def rows(frame: Any) -> Rows:
        found: Rows = frame.to_dict(orient="records")
        return [
            {
                name: None if value is pd.NA or value is pd.NaT else value
                for name, value in r.items()
            }
            for r in found
        ]

    samples, resources = to_pandas(sessions)
    return rows(samples), rows(resources)


LIBRARIES = pytest.mark.parametrize("rows_of", [arrow_rows, polars_rows, pandas_rows])


@LIBRARIES
def test_a_row_is_a_sample_and_what_is_unknown_is_null(
    rows_of: Callable[[list[MediaSession]], tuple[Rows, Rows]],
) -> None:
    samples, resources = rows_of([one()])
    assert [row["packetLoss"] for row in samples] == [0.0, None]
    assert [row["latency"] for row in samples] == [161.5, None]
    assert [row["jitter"] for row in samples] == [None, None]
    assert samples[1]["time"] == STEP
    assert samples[1]["meetingInstanceId"] == "m1"
    assert (samples[1]["participantSessionId"], samples[1]["stream"]) == ("S1", "audioIn")
    assert (samples[1]["samplingInterval"], samples[1]["codec"]) == (30.0, "Opus")
    assert [row["systemMaxCPU"] for row in resources] == [12.0, 13.5, None, None]
    assert [row["processMaxCPU"] for row in resources] == [None, None, None, 7.0]
    assert resources[1]["time"] == STEP
    assert [row["time"] for row in resources[2:]] == [None, None]
    assert [(row["entry"], row["sample"]) for row in resources] == [(0, 0), (0, 1), (1, 0), (1, 1)]


@LIBRARIES
def test_the_specification_s_example_loses_no_value(
    rows_of: Callable[[list[MediaSession]], tuple[Rows, Rows]],
) -> None:
    sessions = example()
    samples, resources = rows_of(sessions)
    video = [row for row in samples if row["stream"] == "videoIn" and row["entry"] == 0]
    assert [row["packetLoss"] for row in video] == sessions[0].videoIn[0].packetLoss
    cpu = [row["systemMaxCPU"] for row in resources if row["entry"] == 0]
    assert cpu == sessions[0].resources[0].systemMaxCPU


@LIBRARIES
def test_no_sessions_are_tables_without_rows(
    rows_of: Callable[[list[MediaSession]], tuple[Rows, Rows]],
) -> None:
    assert rows_of([]) == ([], [])


def test_the_types_are_the_same_with_and_without_rows() -> None:
    for sessions in ([], [one()]):
        arrow, polars, pandas = (
            to_arrow(sessions)[0],
            to_polars(sessions)[0],
            to_pandas(sessions)[0],
        )
        assert str(arrow.schema.field("jitter").type) == "double"
        assert str(arrow.schema.field("time").type) == "timestamp[ms, tz=UTC]"
        assert str(polars.schema["jitter"]) == "Float64"
        assert str(polars.schema["time"]) == "Datetime(time_unit='ms', time_zone='UTC')"
        assert str(pandas.dtypes["jitter"]) == "Float64"
        assert str(pandas.dtypes["time"]) == "datetime64[ms, UTC]"


@pytest.mark.parametrize(
    ("module", "convert", "extra"),
    [
        ("pyarrow", to_arrow, "arrow"),
        ("polars", to_polars, "polars"),
        ("pandas", to_pandas, "pandas"),
    ],
)
def test_a_missing_library_is_named_with_its_extra(
    module: str, convert: Callable[[list[MediaSession]], object], extra: str, monkeypatch: Any
) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name == module:
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(RoomtoneError, match=rf"pip install 'roomtone\[{extra}\]'"):
        convert([])


def test_a_meeting_is_read_page_after_page(server: Server) -> None:
    sessions = [
        MediaSession(
            meetingInstanceId="m1",
            participantSessionId=f"S{n}",
            audioIn=[Stream(startTime=START, latency=[n])],
        )
        for n in range(250)
    ]
    with Client(server.url, token=server.token()) as client:
        client.post("/v1/meeting/qualities", msgspec.json.encode(MediaSessions(items=sessions)))
        samples, _ = to_polars(client.sessions("m1"))
    assert samples["latency"].to_list() == list(range(250))
