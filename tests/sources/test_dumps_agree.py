"""One call in three files: both dumps of Chromium and its plain getStats reports say the same."""

import json
from typing import Any

import pytest

from roomtone.model import STREAM_KINDS
from roomtone.sources import internals, recording, reports, rtcstats
from tests.sources.dumps import INTERNALS, INTERVAL_S, cells, get_stats, lines, whole


def from_internals() -> dict[str, Any]:
    return whole(internals.read(INTERNALS, interval_s=INTERVAL_S).sessions)


def from_rtcstats() -> dict[str, Any]:
    return whole(rtcstats.read(lines(), interval_s=INTERVAL_S).sessions)


def from_reports() -> dict[str, Any]:
    posts = [{"connection": name, "r": [*report.values()]} for name, report in get_stats()]
    return whole(reports.read([json.dumps(posts).encode()], interval_s=INTERVAL_S).sessions)


def test_both_dumps_of_a_call_are_one_session_with_the_same_figures() -> None:
    one, other = from_internals(), from_rtcstats()
    assert one.pop("clientVersion") == "156.0.8078.79"
    assert other.pop("clientVersion") == "156"  # it knows no more
    assert one == other


def test_the_dumps_figures_are_those_of_the_calls_own_reports() -> None:
    plain, dump = from_reports(), from_rtcstats()
    for name in (*STREAM_KINDS, "participantSessionId", "meetingInstanceId", "joinTime", "localIP"):
        assert plain[name] == dump[name], name


def test_the_figures_are_those_that_the_counters_give_by_hand() -> None:
    """Connection 6-2's camera from its first to its last report, and 6-1's: both are videoIn."""
    told = from_internals()
    received = [
        [report for connection, report in get_stats() if connection == name]
        for name in ("6-1", "6-2")
    ]
    rate = 0.0
    for own in received:
        first, last = (
            next(e for e in one.values() if e["type"] == "inbound-rtp" and e["kind"] == "video")
            for one in (own[0], own[-1])
        )
        octets = last["bytesReceived"] - first["bytesReceived"]
        again = last["retransmittedBytesReceived"] - first["retransmittedBytesReceived"]
        rate += 8000 * (octets - again) / (last["timestamp"] - first["timestamp"])
        assert last["packetsLost"] == 0
    [stream] = told["videoIn"]
    assert sum(stream["mediaBitRate"]) / 3 == pytest.approx(rate, rel=0.002)
    assert stream["packetLoss"] == [0, 0, 0]
    assert stream["resolutionHeight"] == [360, 360, 360]
    assert (stream["codec"], stream["transportType"]) == ("VP8", "UDP")


def test_the_header_says_what_the_dump_is_sure_of() -> None:
    told = from_internals()
    assert (told["clientType"], told["osType"]) == ("Chromium", "linux")
    assert (told["camera"], told["microphone"]) == ("fake_device_0", "Fake Default Audio Input")
    assert told["joinTime"] == "2026-11-23T05:26:53.015Z"
    assert told["osVersion"] == told["networkType"] == ""
    assert "leaveTime" not in told, "nothing in the dump says that the call ended"


@pytest.mark.parametrize("batch", [1, 3, 5])
def test_a_long_recording_is_measured_in_pieces_with_the_same_result(
    batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once = cells(rtcstats.read(lines(), interval_s=INTERVAL_S).sessions)
    monkeypatch.setattr(recording, "BATCH_SEEN", batch)
    pieces = rtcstats.read(lines(), interval_s=INTERVAL_S).sessions
    assert len(pieces) == -(-14 // batch)
    assert cells(pieces) == at_once
    assert len({piece.participantSessionId for piece in pieces}) == 1
