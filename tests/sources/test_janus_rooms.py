"""Rooms in which everybody watches all others: nothing of anybody's streams is lost."""

from itertools import chain
from typing import Any

import pytest

from roomtone.measure.state import CONNECTIONS_MAX
from roomtone.model import StreamKind, epoch_ms
from roomtone.sources import janus_state
from tests.sources.janus_calls import Call, Event, event, publishes, recorded, stats, watches
from tests.sources.janus_rooms import LOST_EVERY, OCTETS, PACKETS_S, Room, Style, batches

HEADER = 12


def called(room: Room, last_s: int) -> Call:
    """A call from its beginning to a time at which everybody still is there."""
    found = Call()
    for batch in batches(chain(room.begin(), room.ticks(2, last_s))):
        found.take(batch)
    return found


def minutes(found: Call, kind: StreamKind, column: str) -> list[Any]:
    """What the first of the room was told of, but for the first minute and the last."""
    values: dict[int, Any] = {}
    for stream in found.streams[found.header("P0").participantSessionId, kind]:
        start_ms = epoch_ms(stream.startTime)
        for number, value in enumerate(getattr(stream, column)):
            at_ms = start_ms + 60_000 * number
            values[at_ms] = values.get(at_ms) if value is None else value
    return [values[at_ms] for at_ms in sorted(values)][1:-1]


def bits_per_s(media: str, streams: int) -> int:
    return 8 * streams * PACKETS_S[media] * (OCTETS[media] - HEADER)


@pytest.mark.parametrize(
    ("style", "period_s", "length_s"),
    [
        ("one handle", 1, 180),
        ("one handle", 10, 900),
        ("a handle each", 5, 600),
        ("combined", 2, 600),
    ],
)
def test_a_room_of_thirty_is_measured_whole_however_its_clients_watch(
    style: Style, period_s: int, length_s: int
) -> None:
    found = called(Room(30, style, 1, period_s), length_s)
    whole = length_s // 60 - 2
    for media in ("audio", "video"):
        incoming: StreamKind = "audioIn" if media == "audio" else "videoIn"
        outgoing: StreamKind = "audioOut" if media == "audio" else "videoOut"
        losses = minutes(found, incoming, "packetLoss")
        assert losses == [pytest.approx(100 / LOST_EVERY, abs=0.2)] * whole
        assert minutes(found, incoming, "latency") == [pytest.approx(42, abs=0.5)] * whole
        assert minutes(found, incoming, "jitter") == [pytest.approx(6, abs=0.2)] * whole
        rates = minutes(found, incoming, "mediaBitRate")
        assert rates == [pytest.approx(bits_per_s(media, 29), rel=0.005)] * whole
        assert minutes(found, outgoing, "packetLoss") == [0] * whole
        assert minutes(found, outgoing, "mediaBitRate") == [bits_per_s(media, 1)] * whole
    assert "too_many" not in found.fates


def test_the_largest_room_is_measured_and_of_larger_ones_what_is_known_whole() -> None:
    for size, told in ((101, True), (102, False)):
        found = called(Room(size, "combined", 1, 10), 240)
        assert ("audioIn" in found.kinds("P0")) is told
        assert ("too_many" in found.fates) is not told
        assert minutes(found, "videoOut", "mediaBitRate") == [bits_per_s("video", 1)] * 2
    assert janus_state.INCOMING_MAX + janus_state.OUTGOING_MAX <= CONNECTIONS_MAX


def test_whoever_lets_go_of_some_feeds_is_measured_again() -> None:
    room = Room(102, "a handle each", 1, 10)
    found = called(room, 60)
    gone = [
        event(2, 61, {"name": "detached"}, session_id=1, handle_id=1_000_000 + handle)
        for handle in range(90, 102)
    ]
    found.take(gone)
    kept = {1_000_000 + handle for handle in range(90)}
    for batch in batches(
        one
        for one in room.ticks(70, 330)
        if one["handle_id"] in kept or one["handle_id"] % 1_000_000 == 0
    ):
        found.take(batch)
    assert (
        minutes(found, "audioIn", "mediaBitRate")
        == [pytest.approx(bits_per_s("audio", 89), rel=0.01)] * 2
    )


@pytest.mark.parametrize(
    ("name", "kind", "column", "expected", "within"),
    [
        ("alice-cam", "audioOut", "packetLoss", 4.83, 0.2),
        ("alice-cam", "videoOut", "packetLoss", 4.84, 0.1),
        ("alice-cam", "videoIn", "packetLoss", 4.64, 0.5),
        ("alice-cam", "audioIn", "packetLoss", 4.4, 0.5),
        ("alice-cam", "videoIn", "latency", 160, 10),
        ("alice-cam", "audioOut", "jitter", 13.1, 1.5),
        ("bob-cam", "audioIn", "packetLoss", 0, 0.5),
        ("bob-cam", "videoIn", "packetLoss", 0, 0.5),
    ],
)
def test_counters_every_other_second_are_enough(
    name: str, kind: StreamKind, column: str, expected: float, within: float
) -> None:
    found = Call().take(thinned(recorded(), 2))
    (value,) = getattr(found.stream(name, kind), column)
    assert value == pytest.approx(expected, abs=within)


def thinned(events: list[Event], period_s: int) -> list[Event]:
    """As Janus would have told with a longer `stats_period`: each handle's every nth time.

    What it tells once more when a handle hangs up stays.
    """
    ticks: dict[int, list[int]] = {}
    for one in events:
        if one["type"] == 32 and one["subtype"] == 3:
            known = ticks.setdefault(one["handle_id"], [])
            if not known or one["timestamp"] - known[-1] > 100_000:
                known.append(one["timestamp"])
    kept: list[Event] = []
    for one in events:
        if one["type"] == 32 and one["subtype"] == 3:
            times = ticks[one["handle_id"]]
            number = sum(at_us <= one["timestamp"] for at_us in times)
            if number % period_s and number < len(times):
                continue
        kept.append(one)
    return kept


def test_counters_of_the_future_do_not_stop_those_of_others() -> None:
    events = [publishes(11, 0, display="Ada"), watches(21, 11, 1, display="Bob")]
    ahead = stats(11, 200, media="video", packets_received=5, bytes_received=500)
    rest = [stats(11, s, packets_received=50 * s, bytes_received=5000 * s) for s in range(2, 190)]
    found = Call().take([*events, ahead]).take(rest)
    assert found.stream("Ada", "audioOut").packetLoss == [0, 0, 0]


def test_a_state_that_grows_too_large_is_halved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(janus_state, "STATE_BYTES_MAX", 20_000)
    long = "x" * 120
    events = [publishes(10 * n + 1, n, display=long, opaque_id=f"{long}:mic") for n in range(200)]
    found = Call().take(events)
    known = janus_state.unpack(found.state)
    assert 0 < len(known.handles) < 100
    assert max(known.handles) == 10 * 199 + 1
