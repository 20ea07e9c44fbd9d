"""A receiver's count is taken for what was sent only when RTCP brought the same one."""

import itertools

import pytest

from roomtone.measure import Carried, Measured
from tests.measure.calls import START_MS, Entry, advance, only, origin_of, outbound, remote, report

PERIOD_S = 5
PERIODS = 24
JITTER_S = 0.004
SENT = 250
CLAIMED = 25
"""Packets a period: sent, and lost as another session of the meeting says."""


def claims(
    *, lost: float = CLAIMED, expected: float = SENT, jitter_ms: float | None = None
) -> list[Carried]:
    """What the other says that it received of SSRC 2."""
    at_ms = [START_MS + 1000.0 * PERIOD_S * number for number in range(PERIODS + 1)]
    return [
        Carried(low, high, lost, expected, lost * (number + 1), None, jitter_ms)
        for number, (low, high) in enumerate(itertools.pairwise(at_ms))
    ]


def heard(number: int, lost_a_period: float, *, swings: bool = False) -> Entry:
    """A report of the far end, which is told from the one before by its round trip's number."""
    jitter_s = 0.4 if swings and number % 12 == 2 else JITTER_S
    return remote(lost_a_period * number, roundTripTimeMeasurements=number, jitter=jitter_s)


def told(lost_a_period: float | None, claimed: list[Carried], *, swings: bool = False) -> Measured:
    """A sender whose RTCP brings so many losses a period; None: it brings none."""
    reports = [
        report(
            PERIOD_S * number,
            outbound(SENT * (number + 1)),
            *([] if lost_a_period is None else [heard(number, lost_a_period, swings=swings)]),
        )
        for number in range(PERIODS + 1)
    ]
    return advance(b"", reports, interval_s=60, far={2: claimed})[1]


@pytest.mark.parametrize(
    ("lost_a_period", "loss", "origin"),
    [
        pytest.param(CLAIMED, [10.0, 10.0], "receiver", id="RTCP brought the same"),
        pytest.param(0, [0.0, 0.0], "reported", id="RTCP brought none: the way ended before"),
        pytest.param(CLAIMED / 5, [2.0, 2.0], "reported", id="RTCP brought another count"),
        pytest.param(None, [], None, id="no RTCP came: anybody could say so"),
    ],
)
def test_a_count_that_rtcp_does_not_show_is_not_believed(
    lost_a_period: float | None, loss: list[float], origin: str | None
) -> None:
    found = told(lost_a_period, claims())
    if not loss:
        assert all(stream.packetLoss == [] for stream in found.streams.get("audioOut", []))
        return
    assert only(found, "audioOut", "packetLoss") == loss
    assert origin_of(found, "audioOut", "packetLoss") == origin


@pytest.mark.parametrize(
    "claimed",
    [
        pytest.param(claims(lost=0, expected=10), id="of a few packets only"),
        pytest.param(claims(lost=0, expected=5_000), id="of more packets than were sent"),
    ],
)
def test_a_count_of_another_number_of_packets_is_not_believed(claimed: list[Carried]) -> None:
    assert origin_of(told(0, claimed), "audioOut", "packetLoss") == "reported"


@pytest.mark.parametrize(
    ("read_ms", "jitter"),
    [
        pytest.param(7.0, [7.0, 7.0], id="as a receiver reads it"),
        pytest.param(9_000.0, [4.0, 4.0], id="another one altogether"),
        pytest.param(None, [4.0, 4.0], id="not read"),
    ],
)
def test_jitter_is_what_the_receiver_read_if_that_can_be(
    read_ms: float | None, jitter: list[float]
) -> None:
    assert only(told(0, claims(lost=0, jitter_ms=read_ms)), "audioOut", "jitter") == jitter


def every_third(jitter_ms: float) -> list[Carried]:
    """A receiver that read 7 ms, but in every third span."""
    found = claims(lost=0, jitter_ms=7.0)
    for span in found[::3]:
        span.jitter_ms = jitter_ms
    return found


def test_a_jitter_that_swings_is_the_receivers_in_every_span() -> None:
    found = only(told(0, every_third(400.0), swings=True), "audioOut", "jitter")
    assert found == [138.0, 138.0], "the mean of what was read, with nothing of what was reported"


def test_who_is_right_most_of_the_time_cannot_say_anything_in_between() -> None:
    found = only(told(0, every_third(9_000.0)), "audioOut", "jitter")
    assert found == [6.0, 6.0], "7 ms as read, and 4 as reported where that cannot be"
