"""Random packets, counted as a receiver counts, against loss reckoned from the packets."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roomtone.measure import Report
from tests.measure.calls import fold, inbound, measure, report

PACKETS_MIN = 50


def sent(seed: int, loss: float, late: float, seconds: int, per_s: int) -> list[tuple[float, str]]:
    """(when due, fate) of each packet; a late one is counted as lost first, and comes 2 s later."""
    dice = random.Random(seed)
    fates = ["lost", "late", "well"]
    weights = [loss, late, 1 - loss - late]
    return [(n / per_s, dice.choices(fates, weights)[0]) for n in range(seconds * per_s)]


def counters_at(packets: list[tuple[float, str]], at_s: float) -> tuple[int, int, int]:
    """(received, lost, retransmitted) by then; every lost packet brings 2 retransmissions."""
    due = [(when, fate) for when, fate in packets if when < at_s]
    came_late = sum(fate == "late" and when < at_s - 2 for when, fate in due)
    gone = sum(fate == "lost" for _, fate in due)
    missing = gone + sum(fate == "late" for _, fate in due) - came_late
    return len(due) - missing + 2 * gone, missing, 2 * gone


def reports_of(packets: list[tuple[float, str]], times: list[int]) -> list[Report]:
    found = []
    for at_s in times:
        received, lost, again = counters_at(packets, at_s)
        entry = inbound(received, lost, kind="video", retransmittedPacketsReceived=again)
        found.append(report(at_s, entry))
    return found


@settings(max_examples=80, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    loss=st.floats(0, 0.3),
    late=st.floats(0, 0.2),
    per_s=st.integers(1, 60),
    period_s=st.sampled_from([1, 2, 5, 10]),
)
def test_loss_is_that_of_the_packets_due(
    seed: int, loss: float, late: float, per_s: int, period_s: int
) -> None:
    """Reports at the intervals' edges: lost there and then, less those that came late after all."""
    interval_s, first_s, seconds = 10, 10, 50
    packets = sent(seed, loss, late, seconds, per_s)
    cells = fold([measure(*reports_of(packets, list(range(first_s, seconds + 1, period_s))))])
    for start_s in range(first_s, seconds, interval_s):
        before, after = (counters_at(packets, at) for at in (start_s, start_s + interval_s))
        expected = per_s * interval_s
        lost = after[1] - before[1]
        told = cells.get(("videoIn", 1000 * start_s), {}).get("packetLoss")
        percent = 100 * max(lost, 0) / expected
        assert told == (pytest.approx(percent, abs=0.0051) if expected >= PACKETS_MIN else None)
