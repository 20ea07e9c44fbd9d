"""Janus' events: the recorded call against its wire, and every trap that the counters set."""

import itertools
import math
from typing import Any

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from roomtone.model import COLUMNS, StreamKind, epoch_ms
from tests.sources.janus_calls import (
    Call,
    Event,
    event,
    joined,
    publishes,
    recorded,
    stats,
    watches,
)

RECORDED = recorded()
SECONDS = range(2, 64)


@pytest.fixture(scope="module")
def call() -> Call:
    return Call().take(RECORDED)


# On the wire: audio up 4.83 %, bob's video down to alice 4.64 %; a round trip of 160 ms.
@pytest.mark.parametrize(
    ("name", "kind", "column", "expected", "within"),
    [
        ("alice-cam", "audioOut", "packetLoss", 4.83, 0.2),
        ("alice-cam", "videoOut", "packetLoss", 4.84, 0.1),
        ("alice-cam", "shareOut", "packetLoss", 4.77, 0.1),
        ("alice-cam", "videoIn", "packetLoss", 4.64, 0.1),
        ("alice-cam", "audioIn", "packetLoss", 4.4, 0.2),
        ("alice-cam", "audioIn", "latency", 160, 10),
        ("alice-cam", "videoIn", "latency", 160, 10),
        ("alice-cam", "audioOut", "jitter", 13.1, 0.5),
        ("bob-cam", "audioIn", "packetLoss", 0, 0.1),
        ("bob-cam", "videoIn", "packetLoss", 0, 0.2),
        ("bob-cam", "shareIn", "packetLoss", 0, 0.2),
        ("bob-cam", "audioOut", "packetLoss", 0, 0),
        ("bob-cam", "videoOut", "packetLoss", 0, 0),
        ("bob-cam", "audioIn", "latency", 7, 5),
    ],
)
def test_figures_of_the_recorded_call_agree_with_its_wire(
    call: Call, name: str, kind: StreamKind, column: str, expected: float, within: float
) -> None:
    (value,) = getattr(call.stream(name, kind), column)
    assert value == pytest.approx(expected, abs=within)


def test_a_viewer_is_sent_what_was_published(call: Call) -> None:
    for viewer, publisher in (("alice-cam", "bob-cam"), ("bob-cam", "alice-cam")):
        for media in ("audio", "video"):
            (sent,) = call.stream(viewer, f"{media}In").mediaBitRate  # type: ignore[arg-type]
            (came,) = call.stream(publisher, f"{media}Out").mediaBitRate  # type: ignore[arg-type]
            assert sent == pytest.approx(came, rel=0.03)


def test_handles_of_a_participant_are_one_session_with_what_the_room_knows(call: Call) -> None:
    assert len(call.headers) == 2
    assert len(call.meetings) == 1
    alice = call.header("alice-cam")
    assert alice.meetingInstanceId == call.meetings[0]
    assert alice.participantId == "alice"
    assert alice.localIP == "10.77.0.1"
    assert alice.publicIP == ""
    assert alice.joinTime == "2026-11-23T05:08:47.420Z"
    assert alice.leaveTime == "2026-11-23T05:09:38.894Z"
    assert alice.joinMeetingTime == "0.695"
    assert call.kinds("alice-cam") == {"audioIn", "videoIn", "audioOut", "videoOut", "shareOut"}
    assert call.kinds("bob-cam") == {"audioIn", "videoIn", "shareIn", "audioOut", "videoOut"}


def test_a_stream_has_its_codec_and_transport_and_nothing_that_janus_does_not_say(
    call: Call,
) -> None:
    found = call.stream("alice-cam", "shareOut")
    assert (found.codec, found.transportType) == ("VP8", "UDP")
    assert found.resolutionHeight == found.frameRate == found.latency == []


@pytest.mark.parametrize("size", [1, 2, 7, 100])
def test_it_does_not_matter_where_batches_are_cut(call: Call, size: int) -> None:
    cut = Call()
    for start in range(0, len(RECORDED), size):
        cut.take(RECORDED[start : start + size])
    assert cut.meetings == call.meetings
    assert cut.headers == call.headers
    assert cut.streams == call.streams


def test_batches_sent_again_change_nothing(call: Call) -> None:
    again = Call()
    for start in range(0, len(RECORDED), 50):
        for _ in range(2):
            again.take(RECORDED[start : start + 50])
    again.take(RECORDED)
    assert again.meetings == call.meetings
    assert again.headers == call.headers
    assert again.streams == call.streams


def test_what_is_remembered_holds_no_address(call: Call) -> None:
    told = [one.localIP or one.publicIP for one in call.headers.values()]
    assert all(told)
    state = zstandard.decompress(call.state, max_output_size=2**24)
    assert not [address for address in told if address.encode() in state]


def test_an_event_that_is_none_does_not_lose_the_batch(call: Call) -> None:
    bad: list[Any] = [
        {},
        {"type": "32", "timestamp": 1, "event": {}},
        event(32, 0, {"media": "audio", "lost": -1}, subtype=3, session_id=1, handle_id=1),
        event(64, 0, {"data": {"room": [1]}}, session_id=1, handle_id=1),
        event(1, 1e6, {"name": "created"}, session_id=1),
        event(2, -1.7e9, {"name": "attached"}, session_id=1, handle_id=1),
    ]
    found = Call().take([*bad, *RECORDED])
    assert found.fates["bad"] == len(bad)
    assert found.streams == call.streams


def stats_of(events: list[Event]) -> list[dict[str, Any]]:
    return [one["event"] for one in events if one["type"] == 32 and one["subtype"] == 3]


def a_call(**publisher: Any) -> list[Event]:
    """Handle 11 publishes to handle 21 for a minute: 50 audio packets a second; nothing is lost."""
    events = [publishes(11, 0, display="Ada", opaque_id="ada:mic"), watches(21, 11, 1)]
    for s in SECONDS:
        events.append(stats(11, s, packets_received=50 * s, bytes_received=5000 * s, **publisher))
        events.append(
            stats(21, s + 0.4, packets_sent=50 * s, bytes_sent=5000 * s, jitter_remote=s % 9, rtt=s)
        )
    return events


def ending(found: Call) -> dict[str, list[Any]]:
    (streams,) = [one for (_, kind), one in found.streams.items() if kind == "audioIn"]
    (stream,) = streams
    return {column: getattr(stream, column) for column in COLUMNS}


def test_counters_that_fall_to_zero_at_the_end_change_no_figure() -> None:
    ends = [event(1, 65, {"name": "destroyed"}, session_id=session) for session in (1, 2)]
    whole = Call(interval_s=10).take([*a_call(), *ends])
    zero: dict[str, Any] = {"packets_received": 0, "packets_sent": 0, "lost": 0}
    last = [stats(11, 64, **zero), stats(21, 64.4, **zero)]
    reports_only = stats(21, 64.5, packets_sent=3200, bytes_sent=320_000, lost_by_remote=0)
    found = Call(interval_s=10).take([*a_call(), *last, reports_only, *ends])
    assert found.streams == whole.streams


@pytest.mark.parametrize(
    ("change", "loss"),
    [
        pytest.param({}, 0, id="nothing lost"),
        pytest.param({"lost_by_remote": lambda s: 5 * s}, 10, id="own link loses 5 of 50"),
        pytest.param({"lost_by_remote": lambda s: 2**24 - s}, 0, id="late ones make it negative"),
        pytest.param({"lost_by_remote": lambda s: 0, "rtt": lambda s: 0,
                      "jitter_remote": lambda s: 0}, None, id="no report ever"),
        pytest.param({"nacks_received": lambda s: s, "packets_sent": lambda s: 60 * s,
                      "lost_by_remote": lambda s: 5 * s}, 10, id="a sixth was sent again"),
    ],
)  # fmt: skip
def test_a_viewers_loss_is_what_its_own_link_lost(change: dict[str, Any], loss: Any) -> None:
    events = a_call()
    for one in events:
        if one.get("handle_id") == 21 and one["type"] == 32:
            s = one["event"]["packets-sent"] // 50
            one["event"] |= {name.replace("_", "-"): make(s) for name, make in change.items()}
    (*_, last) = ending(Call(interval_s=60).take(events))["packetLoss"] or [None]
    assert last == (None if loss is None else pytest.approx(loss, abs=0.1))


def test_gaps_that_the_sfu_passes_on_are_the_publishers() -> None:
    events = a_call()
    for one in events:
        if one["type"] == 32:
            body = one["event"]
            s = (body.get("packets-received") or body["packets-sent"]) // 50
            body["lost" if one["handle_id"] == 11 else "lost-by-remote"] = 4 * s
    found = Call().take(events)
    assert ending(found)["packetLoss"] == [0]
    assert found.stream("Ada", "audioOut").packetLoss == [pytest.approx(100 * 4 / 54, abs=0.01)]


@pytest.mark.parametrize(
    "events",
    [
        pytest.param([one for one in a_call() if one.get("handle_id") != 11], id="unknown"),
        pytest.param([one for one in a_call() if one["type"] != 32 or one["handle_id"] != 11],
                     id="known, its counters not"),
    ],
)  # fmt: skip
def test_without_the_publishers_counters_a_viewers_loss_is_unknown(events: list[Event]) -> None:
    found = ending(Call().take(events))
    assert found["packetLoss"] == []
    assert found["latency"] != [] != found["mediaBitRate"]


def test_a_viewer_who_paused_has_no_loss_that_nobody_measured() -> None:
    events = a_call()
    for one in events:
        if one["type"] == 32 and one["handle_id"] == 21:
            sent = min(one["event"]["packets-sent"], 50 * 20)
            one["event"] |= {"packets-sent": sent, "bytes-sent": 100 * sent}
    found = Call(interval_s=10).take(events)
    assert ending(found)["packetLoss"] == [0, 0]


def test_a_layer_of_simulcast_is_a_stream_of_its_own_and_a_viewers_loss_unknown() -> None:
    events = [publishes(11, 0, display="Ada"), watches(21, 11, 1, display="Bob")]
    for s in SECONDS:
        for layer, media in enumerate(("video", "video-sim1", "video-sim2")):
            octets = 50 * s * (112 << layer)
            events.append(stats(11, s, media=media, packets_received=50 * s, bytes_received=octets))
        heard = {"jitter_remote": s % 9, "rtt": s, "nacks_received": s}
        sent: dict[str, Any] = {"packets_sent": 60 * s, "bytes_sent": 6000 * s} | heard
        events.append(stats(21, s + 0.4, media="video", **sent))
    found = Call().take(events)
    bit_rate = 8 * 50 * sum((112 << layer) - 12 for layer in range(3))
    assert found.stream("Ada", "videoOut").mediaBitRate == [pytest.approx(bit_rate, rel=0.01)]
    assert found.stream("Bob", "videoIn").packetLoss == []
    assert found.stream("Bob", "videoIn").mediaBitRate == []


@pytest.mark.parametrize(
    ("opaque_id", "description", "kind"),
    [
        ("ada:camera", "", "videoOut"),
        ("ada:share", "", "shareOut"),
        ("ada:screen", "", "shareOut"),
        ("shareholder:camera", "", "videoOut"),
        ("ada:camera", "my screen", "shareOut"),
        ("ada:share", "my camera", "videoOut"),
    ],
)
def test_a_shared_screen_is_told_by_a_word(
    opaque_id: str, description: str, kind: StreamKind
) -> None:
    streams = [
        {"mid": "1", "type": "video"} | ({"description": description} if description else {})
    ]
    events = [
        publishes(11, 0, display="Ada", opaque_id=opaque_id),
        joined(11, 1, event="published", id=1011, streams=streams),
        *(stats(11, s, media="video", packets_received=50 * s) for s in SECONDS),
    ]
    assert Call().take(events).kinds("Ada") == {kind}


def test_the_loss_of_what_comes_over_tcp_is_unknown() -> None:
    pair = {"candidates": {"remote": {"address": "192.0.2.7", "type": "srflx", "transport": "tcp"}}}
    place = event(16, 1, pair, subtype=4, session_id=1, handle_id=11)
    first, *rest = a_call(lost=0)
    found = Call().take([first, place, *rest])
    assert found.stream("Ada", "audioOut").transportType == "TCP"
    assert found.stream("Ada", "audioOut").packetLoss == []


def test_counters_of_all_streams_in_one_event_are_taken_apart() -> None:
    events = a_call()
    for one in events:
        if one["type"] == 32:
            one["event"] = [one["event"]]
    assert Call().take(events).streams == Call().take(a_call()).streams


def test_a_room_in_use_again_is_a_new_meeting_and_one_with_a_pause_is_not() -> None:
    found = Call().take([publishes(11, 0), publishes(21, 250), publishes(31, 800)])
    assert len(found.meetings) == len(set(found.meetings)) == 2


def test_rooms_and_servers_are_apart() -> None:
    elsewhere = publishes(31, 0) | {"emitter": "sfu-2"}
    other_room = publishes(21, 0, room="lounge")
    found = [Call().take([one]).meetings for one in (publishes(11, 0), elsewhere, other_room)]
    assert len(set(itertools.chain(*found))) == 3


@pytest.mark.parametrize(
    ("meeting_id", "expected"), [("m1", "m1"), ("daily-{room}", "daily-1"), ("{room}", "1")]
)
def test_the_meetings_id_can_be_chosen(meeting_id: str, expected: str) -> None:
    found = Call(meeting_id=meeting_id).take([publishes(11, 0, display="Ada")])
    assert found.header("Ada").meetingInstanceId == expected
    assert found.meetings == []


def test_whoever_comes_back_is_a_new_session_of_the_same_participant() -> None:
    gone = event(2, 5, {"name": "detached"}, session_id=1, handle_id=11)
    events = [publishes(11, 0, opaque_id="ada:mic"), gone, publishes(12, 9, opaque_id="ada:mic")]
    sessions = list(Call().take(events).headers.values())
    assert [one.participantId for one in sessions] == ["ada", "ada"]
    assert [one.leaveTime != "" and isinstance(one.leaveTime, str) for one in sessions] == [
        True,
        False,
    ]


@pytest.mark.parametrize(
    "end",
    [
        event(1, 9, {"name": "destroyed"}, session_id=1),
        event(1, 9, {"name": "timeout"}, session_id=1),
        event(256, 9, {"status": "shutdown", "signum": 15}, subtype=2),
        event(64, 9, {"data": {"event": "leaving", "room": 1, "id": 1011}}),
    ],
)
def test_the_end_of_a_session_a_server_or_a_stay_is_a_leave_time(end: Event) -> None:
    found = Call().take([publishes(11, 0, display="Ada"), end]).header("Ada")
    assert isinstance(found.leaveTime, str)
    assert isinstance(found.joinTime, str)
    assert epoch_ms(found.leaveTime) - epoch_ms(found.joinTime) == 9000


def some_events() -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(0, len(RECORDED) - 1), max_size=700)


@settings(max_examples=40, deadline=None)
@given(st.lists(some_events(), min_size=1, max_size=3))
def test_no_choice_order_or_repetition_of_events_makes_up_a_figure(
    batches: list[list[int]],
) -> None:
    found = Call(interval_s=10)
    for batch in batches:
        found.take(RECORDED[index] for index in batch)
    assert "bad" not in found.fates
    for (name, kind), streams in found.streams.items():
        header = found.headers[name]
        clean = header.participantId == "bob" and kind.endswith("Out")
        for stream in streams:
            for column in COLUMNS:
                for value in getattr(stream, column):
                    assert value is None or (value >= 0 and math.isfinite(value))
            assert all(loss is None or loss <= (0 if clean else 40) for loss in stream.packetLoss)
            assert all(jitter is None or jitter < 200 for jitter in stream.jitter)
            assert stream.resolutionHeight == stream.frameRate == []


COUNTERS = [name for name, value in stats_of(RECORDED)[0].items() if isinstance(value, int)]
CHANGES = st.tuples(
    st.integers(0, len(RECORDED) - 1),
    st.sampled_from(COUNTERS),
    st.one_of(st.integers(0, 2**53), st.sampled_from([0, 2**16 - 1, 2**24 - 1, 2**31, 2**32 - 1])),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(CHANGES, min_size=1, max_size=60))
def test_counters_that_jump_give_no_negative_and_no_impossible_value(
    changes: list[tuple[int, str, int]],
) -> None:
    events = list(RECORDED)
    for index, counter, value in changes:
        if events[index]["type"] == 32:
            changed = events[index]["event"] | {counter: value}
            events[index] = events[index] | {"event": changed}
    for streams in Call(interval_s=10).take(events).streams.values():
        for stream in streams:
            for column in COLUMNS:
                for number in getattr(stream, column):
                    assert number is None or (number >= 0 and math.isfinite(number))
            assert all(loss is None or loss <= 100 for loss in stream.packetLoss)
