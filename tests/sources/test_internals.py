"""webrtc-internals dumps: series back into reports, with and without times, whole and broken."""

import copy
import json
from typing import Any

import pytest

from roomtone.errors import Invalid
from roomtone.model import STREAM_KINDS, Column, column_of, epoch_ms, streams_of
from roomtone.sources import Taken, internals
from roomtone.sources.recording import Unused
from tests.sources.dumps import INTERNALS, INTERVAL_S, whole

DUMP: dict[str, Any] = json.loads(INTERNALS)
VIDEO = "IT01V3941994766"


def read(dump: Any) -> Taken:
    return internals.read(json.dumps(dump).encode(), interval_s=INTERVAL_S)


def changed() -> dict[str, Any]:
    return copy.deepcopy(DUMP)


def series(dump: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = dump["PeerConnections"]["6-1"]["stats"][name]
    return found


def test_without_times_of_points_figures_are_those_of_even_spacing() -> None:
    """Chromium before 117: 1.7 ms is how far its own timer was off here."""
    dump = changed()
    for connection in dump["PeerConnections"].values():
        stats = connection["stats"]
        for name in [name for name in stats if name.endswith("-timestamp")]:
            del stats[name]
    [old], [new] = read(dump).sessions, read(DUMP).sessions
    rates: list[Column] = ["frameRate", "mediaBitRate"]
    means: list[Column] = ["latency", "jitter"]
    for kind in STREAM_KINDS:
        for one, other in zip(streams_of(old, kind), streams_of(new, kind), strict=True):
            assert epoch_ms(one.startTime) == pytest.approx(epoch_ms(other.startTime), abs=2)
            # An interval whose loss is unknown was not covered by all of the streams.
            whole_ones = [at for at, loss in enumerate(other.packetLoss) if loss is not None]
            assert len(whole_ones) >= 2
            for at in whole_ones:
                assert one.packetLoss[at] in (other.packetLoss[at], None)
                for name in rates:
                    mine, told = column_of(one, name), column_of(other, name)
                    assert mine[at : at + 1] == pytest.approx(told[at : at + 1], rel=0.005)
            assert one.resolutionHeight == other.resolutionHeight
            # When RTCP came is not known then: it counts from the report on that told of it.
            for name in means:
                assert column_of(one, name) == pytest.approx(column_of(other, name), abs=0.3)


def test_a_field_that_came_later_or_left_early_is_put_where_it_was() -> None:
    dump = changed()
    for name, cut in (("jitter", slice(2, None)), ("frameHeight", slice(0, 5))):
        one = series(dump, f"{VIDEO}-{name}")
        times = json.loads(series(dump, f"{VIDEO}-timestamp")["values"])[cut]
        one["values"] = json.dumps(json.loads(one["values"])[cut])
        one["startTime"] = internals_time(times[0])
        one["endTime"] = internals_time(times[-1])
    things = internals.things_of(connection(dump), Unused())
    [video] = [thing for thing in things if thing.id == VIDEO]
    assert video.columns["jitter"] == [None, None, 0, 0, 0, 0.001, 0]
    assert video.columns["frameHeight"] == [360] * 5 + [None] * 2


def test_a_field_with_gaps_is_left_out_and_counted() -> None:
    dump = changed()
    one = series(dump, f"{VIDEO}-packetsLost")
    one["values"] = "[0,0,0,0,0,0]"
    taken = read(dump)
    assert "1 field: with gaps: unknown at which times it has its values" in taken.unused
    before = whole(read(DUMP).sessions)
    after = whole(taken.sessions)
    assert {kind: after[kind] for kind in STREAM_KINDS if kind != "videoIn"} == {
        kind: before[kind] for kind in STREAM_KINDS if kind != "videoIn"
    }


def test_a_far_ends_entry_is_in_the_reports_that_refer_to_it() -> None:
    things = {t.id: t for t in internals.things_of(connection(DUMP), Unused())}
    audio, video = things["RIA3066712623"], things["RIV570766822"]
    own = things["OT01A3066712623"].times
    assert audio.times == own[2:]
    assert video.times == own


def test_a_far_ends_entry_without_its_stream_is_left_out_and_counted() -> None:
    dump = changed()
    series(dump, "RIA3066712623-localId")["values"] = '["gone"]'
    taken = read(dump)
    assert "1 entry of type remote-inbound-rtp: its points fit no report" in taken.unused


def test_devices_belong_to_the_page_that_asked() -> None:
    dump = changed()
    for request in dump["getUserMedia"]:
        request["rid"] = 99
    [session] = read(dump).sessions
    assert session.camera == session.microphone == ""


def test_a_connection_that_was_closed_has_its_end() -> None:
    dump = changed()
    for connection_ in dump["PeerConnections"].values():
        connection_["updateLog"].append(
            {"type": "close", "value": "", "timestamp": 1_795_411_620_000.5}
        )
    [session] = read(dump).sessions
    assert session.leaveTime == "2026-11-23T05:27:00.000Z"


def test_the_same_call_dumped_again_later_is_the_same_session() -> None:
    early = changed()
    for connection_ in early["PeerConnections"].values():
        for name, one in connection_["stats"].items():
            values = json.loads(one["values"])
            if len(values) == 7 and not name.startswith("R"):
                one["values"] = json.dumps(values[:4])
    early_session, late_session = (read(dump).sessions[0] for dump in (early, DUMP))
    assert early_session.participantSessionId == late_session.participantSessionId


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"{}", "no webrtc-internals dump"),
        (INTERNALS[:100_000], "cut short"),
        (b'{"PeerConnections": 5}', "no webrtc-internals dump"),
        (b'{"PeerConnections": {}}', "nothing to measure"),
        (b'{"PeerConnections": {"1-1": {"stats": {}}}}', "nothing to measure"),
        (b'{"PeerConnections": {"1-1": 5}}', "nothing to measure"),
        (b'{"PeerConnections": {"1": ' + b"[" * 100_000, "nested too deeply|cut short"),
        (
            json.dumps({"PeerConnections": {str(n): {} for n in range(300)}}).encode(),
            "more than 200",
        ),
    ],
)
def test_what_is_no_dump_is_named(text: bytes, said: str) -> None:
    with pytest.raises(Invalid, match=said):
        internals.read(text)


def test_more_points_than_the_page_could_keep_are_refused() -> None:
    dump = changed()
    series(dump, f"{VIDEO}-packetsLost")["values"] = json.dumps([0] * 20_000)
    with pytest.raises(Invalid, match="10,000 points"):
        read(dump)


def connection(dump: dict[str, Any]) -> internals.Connection:
    found: internals.Connection = internals.decoded(
        json.dumps(dump["PeerConnections"]["6-1"]).encode(), internals.Connection
    )
    return found


def internals_time(at_ms: float) -> str:
    """As JavaScript writes a Date: cut to whole ms."""
    return f"2026-11-23T05:26:{int(at_ms) % 60_000 / 1000:06.3f}Z"
