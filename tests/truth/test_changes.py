"""Steps of the road, codecs, TCP, and connections that end, are replaced, or sleep."""

from collections.abc import Iterator
from typing import Any

import pytest

from roomtone.model import STREAM_KINDS, epoch_ms
from tests.truth.calls import Outcome
from tests.truth.compare import Row, Told
from tests.truth.ledger import Ledger
from tests.truth.rig import SIDES, Side
from tests.truth.runs import CODECS

pytestmark = [
    pytest.mark.browser,
    pytest.mark.rig,
    pytest.mark.timeout(900),
]

Case = tuple[Side, str]
FROM_A: list[Case] = [("a", "audioOut"), ("b", "audioIn"), ("b", "videoIn"), ("b", "shareIn")]
FROM_B: list[Case] = [("b", "audioOut"), ("a", "audioIn"), ("a", "videoIn"), ("a", "shareIn")]
PICTURES = ("videoIn", "videoOut")
SOUNDS = ("audioIn", "audioOut")
LOSS_SEEN_MIN = 1.0
"""Percent that 20 s of a road that loses 5 % do not fall below: of 300 packets 15 are lost, and
3 or fewer in one of 4,000 intervals."""
ROUND_TRIP_MS = 40
EARLY_MS_MAX = 10
LATE_MS_MAX = 300
"""So long may a round trip wait for a browser that is busy or wakes; one that a sleep is counted in
takes seconds."""
SPIKE_RATIO_MAX = 2.0
"""A picture that comes back is sharpened for a while."""
JITTER_MS_MAX = 60
RATE_SLACK = 1.05
HEARD_LATE_S_MAX = 10
"""What was under way, and a sampling period."""
WAKING_LOSS_MAX = 2.0
"""Percent: of what b sends as it wakes, packets are dropped that never reach the road."""


def phases(run: str, outcome: Outcome, side: Side, kind: str) -> Iterator[tuple[str, Row]]:
    """Each full interval's loss, with the phase of the road that it lies in, "" if in two."""
    edges = [at for at, *_ in outcome.changes]
    names = ("clean", "one way", "both ways")
    one = Told(run, outcome, side, kind)
    for (_, (low, high), _, _), row in zip(one.intervals(), one.rows("packetLoss"), strict=True):
        inside = not any(low < edge < high for edge in edges)
        yield names[sum(edge <= low for edge in edges) - 1] if inside else "", row


@pytest.mark.parametrize(("side", "kind"), FROM_A)
@pytest.mark.parametrize("run", ["steps"])
def test_a_step_of_loss_stands_in_its_interval_and_the_one_before_is_clean(
    run: str, outcome: Outcome, side: Side, kind: str
) -> None:
    found = list(phases(run, outcome, side, kind))
    clean = [row for phase, row in found if phase == "clean"]
    assert len(clean) >= 2
    assert all(row.wire == 0 and row.holds for row in clean), clean
    lossy = [row.reported for phase, row in found if phase in ("one way", "both ways")]
    assert len(lossy) >= 4
    assert all(loss is not None and loss > LOSS_SEEN_MIN for loss in lossy)


@pytest.mark.parametrize(("side", "kind"), FROM_B)
@pytest.mark.parametrize("run", ["steps"])
def test_what_goes_the_clean_way_stays_clean_until_that_loses_too(
    run: str, outcome: Outcome, side: Side, kind: str
) -> None:
    found = list(phases(run, outcome, side, kind))
    clean = [row for phase, row in found if phase in ("clean", "one way")]
    assert len(clean) >= 4
    assert all(row.wire == 0 and row.holds for row in clean), clean
    lossy = [row.reported for phase, row in found if phase == "both ways"]
    assert len(lossy) >= 2
    assert all(loss is not None and loss > LOSS_SEEN_MIN for loss in lossy)


@pytest.mark.parametrize("kind", PICTURES)
@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("run", CODECS)
def test_the_codec_is_named_as_the_specification_does(
    run: str, outcome: Outcome, side: Side, kind: str, ledger: Ledger
) -> None:
    codecs = {stream["codec"] for stream in outcome.streams(side, kind)}
    ledger.find(run, f"codec of {kind}, {side}", run, " ".join(sorted(codecs)))


@pytest.mark.parametrize("kind", SOUNDS)
@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("run", ["H.264 BP"])
def test_sound_is_opus(run: str, outcome: Outcome, side: Side, kind: str, ledger: Ledger) -> None:
    codecs = {stream["codec"] for stream in outcome.streams(side, kind)}
    ledger.find(run, f"codec of {kind}, {side}", "Opus", " ".join(sorted(codecs)))


@pytest.mark.parametrize("kind", [*SOUNDS, *PICTURES])
@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("run", ["turn"])
def test_over_a_tcp_relay_the_transport_is_tcp_and_loss_unknown(
    run: str, outcome: Outcome, side: Side, kind: str, ledger: Ledger
) -> None:
    streams = outcome.streams(side, kind)
    assert any(rate for stream in streams for rate in stream["mediaBitRate"])
    transports = " ".join(sorted({stream["transportType"] for stream in streams}))
    ledger.find(run, f"transportType of {kind}, {side}", "TCP", transports)
    losses = {loss for stream in streams for loss in stream["packetLoss"]} - {None}
    ledger.find(run, f"losses told of {kind}, {side}", [], sorted(losses))


def test_values_are_never_negative_nor_spikes_in_this_list() -> None:
    calm: dict[str, Any] = {"packetLoss": [0.0, None], "mediaBitRate": [100, 120, None]}
    assert faults(calm, top_bit_rate=110) == []
    wild: dict[str, Any] = {"packetLoss": [0.2], "latency": [-1], "mediaBitRate": [230]}
    assert len(faults(wild, top_bit_rate=110)) == 3


def faults(stream: dict[str, Any], *, top_bit_rate: float, loss_max: float = 0) -> list[str]:
    """What no figure of a road that loses nothing may be."""
    bounds = {
        "packetLoss": (0, loss_max),
        "latency": (ROUND_TRIP_MS - EARLY_MS_MAX, ROUND_TRIP_MS + LATE_MS_MAX),
        "jitter": (0, JITTER_MS_MAX),
        "mediaBitRate": (0, SPIKE_RATIO_MAX * top_bit_rate),
        "frameRate": (0, 16),
        "resolutionHeight": (0, 720),
    }
    return [
        f"{column}[{place}] is {value}"
        for column, (low, high) in bounds.items()
        for place, value in enumerate(stream.get(column, []))
        if value is not None and not low <= value <= high
    ]


def all_faults(streams: list[dict[str, Any]], **bounds: float) -> list[str]:
    """The faults of all entries."""
    return [fault for stream in streams for fault in faults(stream, **bounds)]


def top_bit_rate(stream: dict[str, Any]) -> float:
    """The highest bit rate of an entry; there is one."""
    rates: list[float] = [rate for rate in stream["mediaBitRate"] if rate is not None]
    return max(rates)


@pytest.mark.parametrize("kind", STREAM_KINDS)
@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("run", ["sleep"])
def test_no_figure_is_negative_or_a_spike_after_a_sleep(
    run: str, outcome: Outcome, side: Side, kind: str, ledger: Ledger
) -> None:
    """A picture that comes back may take many bits, but no more than the wire shows."""
    streams = outcome.streams(side, kind)
    end_s = min(epoch_ms(session["leaveTime"]) for session in outcome.sessions[side]) / 1000
    after = Told(run, outcome, side, kind).wire_rate_max(outcome.marks["awake"], end_s)
    top = max(top_bit_rate(streams[0]), after / SPIKE_RATIO_MAX * RATE_SLACK)
    found = all_faults(streams, top_bit_rate=top, loss_max=WAKING_LOSS_MAX)
    ledger.find(run, f"figures that cannot be, {side} {kind}", [], found)


@pytest.mark.parametrize("kind", STREAM_KINDS)
@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("run", ["reload"])
def test_no_figure_is_negative_or_a_spike_when_a_connection_is_replaced(
    run: str, outcome: Outcome, side: Side, kind: str, ledger: Ledger
) -> None:
    streams = outcome.streams(side, kind)
    found = all_faults(streams, top_bit_rate=top_bit_rate(streams[0]))
    ledger.find(run, f"figures that cannot be, {side} {kind}", [], found)


@pytest.mark.parametrize("run", ["reload"])
def test_who_reloads_has_two_sessions_and_who_replaces_a_connection_one(
    run: str, outcome: Outcome, ledger: Ledger
) -> None:
    ledger.find(run, "sessions of b, who reloads", 2, len(outcome.sessions["b"]))
    ledger.find(run, "sessions of a, who replaces", 1, len(outcome.sessions["a"]))
    first, second = outcome.sessions["b"]
    assert epoch_ms(first["leaveTime"]) / 1000 <= outcome.marks["reloaded"] + 1
    assert epoch_ms(second["joinTime"]) / 1000 >= outcome.marks["reloaded"] - 1


@pytest.mark.parametrize("kind", STREAM_KINDS)
@pytest.mark.parametrize("run", ["reload"])
def test_a_replaced_connection_goes_on_in_the_same_entry(
    run: str, outcome: Outcome, kind: str, ledger: Ledger
) -> None:
    ledger.find(run, f"entries of {kind}, a", 1, len(outcome.streams("a", kind)))
    (stream,) = outcome.streams("a", kind)
    again_ms = 1000 * outcome.marks["connected again"]
    assert epoch_ms(stream["endTime"]) > again_ms


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("run", ["sleep"])
def test_a_sleep_ends_no_session(run: str, outcome: Outcome, side: Side, ledger: Ledger) -> None:
    ledger.find(run, f"sessions of {side}", 1, len(outcome.sessions[side]))


@pytest.mark.parametrize("kind", STREAM_KINDS)
@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("run", ["sleep"])
def test_a_sleep_of_90_s_is_a_gap(
    run: str, outcome: Outcome, side: Side, kind: str, ledger: Ledger
) -> None:
    """A new entry where nothing flowed; nulls where a goes on sending to nobody."""
    asleep_s, awake_s = (outcome.marks[name] for name in ("asleep", "awake"))
    one = Told(run, outcome, side, kind)
    within = [
        entry[column][place]
        for _, (low, high), entry, place in one.intervals()
        if asleep_s + HEARD_LATE_S_MAX < low and high < awake_s
        for column in ("packetLoss", "latency", "jitter")
        if entry[column]
    ]
    ledger.find(run, f"told of the road in the sleep, {side} {kind}", [], list({*within} - {None}))
    sending = side == "a" and kind.endswith("Out")
    streams = outcome.streams(side, kind)
    assert sending or len(streams) == 2
    assert epoch_ms(streams[-1]["endTime"]) / 1000 > awake_s + streams[-1]["samplingInterval"]
