"""Files of getStats reports in the forms that people write, and measured like the page's own."""

import json
from typing import Any

import pytest

from roomtone.errors import Invalid
from roomtone.model import STREAM_KINDS, streams_of
from roomtone.sources import Taken, reports
from tests.measure.calls import advance
from tests.measure.truth import PEERS, SERIES, read_json, reports_of

A = SERIES["A"]
Form = Any


def read(document: Any) -> Taken:
    return reports.read([json.dumps(document).encode()])


def by_id(stats: list[dict[str, Any]]) -> dict[str, Any]:
    return {entry["id"]: entry for entry in stats}


def test_the_recorded_call_from_its_file_is_what_its_reports_measure() -> None:
    """Those are held against the relay's log in tests/measure/test_truth.py."""
    sessions = read(SERIES).sessions
    assert [session.webexUserName for session in sessions] == ["A", "B"]
    assert len({session.meetingInstanceId for session in sessions}) == 1
    for peer, session in zip(PEERS, sessions, strict=True):
        told = advance(b"", reports_of(peer), interval_s=60)[1]
        for kind in STREAM_KINDS:
            assert streams_of(session, kind) == told.streams.get(kind, []), (peer, kind)


FORMS: list[Form] = [
    pytest.param([one["r"] for one in A], id="lists of entries"),
    pytest.param([by_id(one["r"]) for one in A], id="objects by id"),
    pytest.param([{"timestamp": one["t"], "stats": one["r"]} for one in A], id="timestamp, stats"),
    pytest.param([{"time": one["t"], "report": by_id(one["r"])} for one in A], id="time, report"),
    pytest.param({"reports of A": A}, id="one name"),
]


@pytest.mark.parametrize("form", FORMS)
def test_every_form_measures_the_same_but_for_when_a_report_was_taken(form: Form) -> None:
    """The entries' own time is up to 2 ms before the one that the page wrote beside them."""
    [session] = read(form).sessions
    told = advance(b"", reports_of("A"), interval_s=60)[1]
    for kind, [stream] in told.streams.items():
        [mine] = streams_of(session, kind)
        assert mine.packetLoss == pytest.approx(stream.packetLoss, abs=0.02)
        assert mine.mediaBitRate == pytest.approx(stream.mediaBitRate, rel=0.001)
        assert mine.latency == pytest.approx(stream.latency, abs=1)
        assert mine.jitter == pytest.approx(stream.jitter, abs=0.1)


def test_lines_are_reports() -> None:
    lines = [json.dumps(one).encode() for one in A]
    [session] = reports.read(lines).sessions
    [whole] = read(A).sessions
    assert session == whole


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("getstats-chromium156-audio-video-share", 2),
        ("getstats-h264-loopback", 2),
        ("getstats-firefox153esr-loopback", 2),
        ("getstats-aiortc-loopback", 1),
    ],
)
def test_one_report_alone_is_a_participant_without_figures(name: str, count: int) -> None:
    taken = read(read_json(name))
    assert len(taken.sessions) == count
    for session in taken.sessions:
        assert not any(streams_of(session, kind) for kind in STREAM_KINDS)
    noted = f"{count} report{'s' if count > 1 else ''}: no figures: "
    assert any(line.startswith(noted) for line in taken.unused)


def test_a_user_agent_beside_the_reports_is_the_client() -> None:
    taken = read(read_json("getstats-firefox153esr-loopback"))
    assert {(s.clientType, s.clientVersion, s.osType) for s in taken.sessions} == {
        ("Firefox", "153.0", "linux")
    }
    assert "1 value of 'log': no report" in taken.unused


@pytest.mark.parametrize(
    ("name", "latency_ms"),
    [("getstats-firefox153esr-loopback", 1.1), ("getstats-aiortc-loopback", 0.7)],
)
def test_what_other_clients_write_is_measured(name: str, latency_ms: float) -> None:
    """Their report again and again, with 50 more packets received each second."""
    sample = read_json(name)
    first = sample["A"] if isinstance(sample, dict) else sample
    start_ms = 1_795_411_655_950
    rows = [
        {"t": start_ms + 1000 * n, "r": [later(entry, n) for entry in first]} for n in range(61)
    ]
    [session] = read(rows).sessions
    [stream] = session.audioIn
    assert stream.packetLoss == [0.0]
    assert stream.latency == [] or stream.latency == [pytest.approx(latency_ms, abs=0.2)]
    assert stream.startTime == "2026-11-23T05:27:35.950Z"


def later(entry: dict[str, Any], seconds: int) -> dict[str, Any]:
    moved = {k: v + 50 * seconds for k, v in entry.items() if k.startswith("packetsReceived")}
    return {k: v for k, v in entry.items() if k != "timestamp"} | moved


def test_a_bad_entry_and_a_report_without_time_are_counted_and_the_others_used() -> None:
    series = json.loads(json.dumps(A))
    series[5]["r"].append({"id": "x", "type": "inbound-rtp", "ssrc": -5})
    series[6]["r"].append({"id": "x", "type": "inbound-rtp", "ssrc": -5})
    series.insert(9, {"t": 12.5, "r": [{"id": "P", "type": "transport", "timestamp": 12.5}]})
    series.insert(9, "nonsense")
    taken = read(series)
    [session], [clean] = taken.sessions, read(A).sessions
    assert session == clean
    assert "2 entries of type inbound-rtp: Expected `int` >= 0 - at `$.ssrc`" in taken.unused
    assert "1 report: without a time in ms since 1970" in taken.unused
    assert "1 item: no report" in taken.unused


def test_reports_of_a_monotonic_clock_alone_are_refused_not_dated() -> None:
    series = [[{"id": "T", "type": "transport", "timestamp": 1000.0 * n}] for n in range(5)]
    with pytest.raises(Invalid, match="nothing to measure"):
        read(series)


def test_the_same_reports_have_the_same_ids_and_others_have_others() -> None:
    one, again, other = (read(series).sessions[0] for series in (A, A, SERIES["B"]))
    assert one == again
    assert one.participantSessionId != other.participantSessionId
    assert one.meetingInstanceId != other.meetingInstanceId
