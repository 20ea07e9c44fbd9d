"""Generated histories of packets: `measure` against the plain model, and against the packets.

Some examples in an ordinary run; ROOMTONE_EXAMPLES=10000 is the long one.
"""

import os
import random

import pytest
from hypothesis import assume, given, note, settings
from hypothesis import strategies as st

from roomtone.measure import Report
from tests.measure import model
from tests.measure.calls import Cells, fold, posts, report
from tests.measure.histories import Call, Counters, Sampled, arrivals, sampled

EXAMPLES = int(os.environ.get("ROOMTONE_EXAMPLES", "40"))
many = settings(max_examples=EXAMPLES, deadline=None)
PACKETS_MIN = 50

parts = st.sampled_from([0.0, 0.0, 0.01, 0.05, 0.2, 0.6])
spans = st.tuples(st.integers(0, 200_000), st.integers(500, 80_000))
breaks = st.tuples(st.integers(0, 200_000), st.sampled_from(["ssrc", "restart"]))
calls = st.builds(
    Call,
    seed=st.integers(0, 2**32),
    length_ms=st.integers(5_000, 200_000),
    per_s=st.integers(1, 60),
    loss=parts,
    late=parts,
    twice=parts,
    again=st.sampled_from([0.0, 0.5, 1.0]),
    silences=st.lists(spans, max_size=3).map(tuple),
    breaks=st.lists(breaks, max_size=3).map(tuple),
)
unbroken_calls = st.builds(
    Call,
    seed=st.integers(0, 2**32),
    length_ms=st.integers(20_000, 200_000),
    per_s=st.integers(10, 60),
    loss=st.sampled_from([0.0, 0.01, 0.05, 0.2]),
    late=parts,
    twice=parts,
    again=st.sampled_from([0.0, 0.5, 1.0]),
)
BEGUN_MS = 4_000
"""By then, packets have come."""
intervals = st.sampled_from([1, 7.5, 10, 60])


@st.composite
def looks(draw: st.DrawFn, length_ms: int, *, missing: bool = True) -> list[int]:
    """When a client looks: any times, some of them missing."""
    usual_ms = draw(st.integers(300, 10_000))
    dice = random.Random(draw(st.integers(0, 2**32)))
    left_out = draw(st.sampled_from([0.0, 0.0, 0.1])) if missing else 0.0
    times: list[int] = []
    at_ms = draw(st.integers(0, 2_000))
    while at_ms <= length_ms + 2_000 and len(times) < 80:
        times.append(at_ms)
        at_ms += min(round(usual_ms * dice.uniform(0.2, 2.0)) + 1, 10_000)
        if dice.random() < left_out:
            at_ms += dice.randint(1, 100_000)
    return times


def reports_of(seen: Sampled) -> list[Report]:
    return [
        report(at_ms / 1000, *(one.entry(ssrc) for ssrc, one in counters.items()))
        for at_ms, counters in seen
    ]


def agree(cells: Cells, seen: Sampled, interval_s: float) -> None:
    """Every value is the model's, and null is where the model knows none."""
    expected = model.sums(seen, 1000 * interval_s)
    known = {
        at_ms for (_, at_ms), cell in cells.items() if {"packetLoss", "mediaBitRate"} & set(cell)
    }
    assert known <= {round(low) for low in expected}
    for low, cell in expected.items():
        told = cells.get(("videoIn", round(low)), {})
        rate = cell.bits_per_s(1000 * interval_s)
        step = 50.01 if rate is not None and rate >= 999 else 0.51
        assert told.get("mediaBitRate") == (None if rate is None else pytest.approx(rate, abs=step))
        if abs(cell.expected - PACKETS_MIN) < 1e-3:
            continue  # which side of the limit it is depends on the last digit
        enough = cell.loss_ms >= 500 * interval_s and cell.expected > PACKETS_MIN
        percent = min(max(100 * cell.lost / cell.expected, 0), 100) if cell.expected else 0
        assert told.get("packetLoss") == (pytest.approx(percent, abs=0.0051) if enough else None)


@many
@given(calls, intervals, st.data())
def test_every_value_is_that_of_the_plain_model(
    call: Call, interval_s: float, data: st.DataObject
) -> None:
    seen = sampled(call, data.draw(looks(call.length_ms)))
    note(f"{call} {interval_s}")
    agree(fold(posts([reports_of(seen)], interval_s=interval_s)), seen, interval_s)


@many
@given(calls, intervals, st.data())
def test_a_call_in_order_tells_the_same_however_it_is_cut(
    call: Call, interval_s: float, data: st.DataObject
) -> None:
    """What was told before all was there may stay where all of it leaves the value unknown.

    The client looks all the time: after a gap that follows a run too short to tell anything, the
    phase depends on whether one post holds both.
    """
    reports = reports_of(sampled(call, data.draw(looks(call.length_ms, missing=False))))
    told = values(fold(posts(cut(reports, data), interval_s=interval_s)))
    assert values(fold(posts([reports], interval_s=interval_s))) <= told


@many
@given(unbroken_calls, intervals, st.data())
def test_a_call_tells_the_same_in_any_order(
    call: Call, interval_s: float, data: st.DataObject
) -> None:
    """All but the first two reports, which set the phase, shuffled and some of them repeated.

    Without restarts: one that only sparse reports show begins a run with a phase of its own, and
    that stays when the reports between come.
    """
    reports = reports_of(watched(call, data))
    dice = random.Random(data.draw(st.integers(0, 2**32)))
    late = [*reports[2:], *dice.choices(reports, k=len(reports) // 4)]
    dice.shuffle(late)
    several = posts([reports[:2], *cut(late, data)], interval_s=interval_s)
    told = values(fold(several))
    assert sum(one.repeated for one in several) == len(late) - len(reports) + 2
    assert values(fold(posts([reports], interval_s=interval_s))) <= told


@many
@given(calls, intervals, st.data())
def test_a_call_that_is_posted_again_tells_nothing_new(
    call: Call, interval_s: float, data: st.DataObject
) -> None:
    reports = reports_of(sampled(call, data.draw(looks(call.length_ms))))
    _, *others = posts([reports, *cut(reports, data)], interval_s=interval_s)
    assert not any(one.streams for one in others)
    assert sum(one.repeated + one.late for one in others) == len(reports)


def values(cells: Cells) -> set[tuple[int, str, object]]:
    """What is known: (time, column, value)."""
    return {
        (at_ms, column, value)
        for (_, at_ms), cell in cells.items()
        for column, value in cell.items()
        if isinstance(value, int | float)
    }


def cut(reports: list[Report], data: st.DataObject) -> list[list[Report]]:
    """The same in posts of 1 to 12."""
    dice = random.Random(data.draw(st.integers(0, 2**32)))
    found, rest = [], reports
    while rest:
        size = dice.randint(1, 12)
        found.append(rest[:size])
        rest = rest[size:]
    return found


def watched(call: Call, data: st.DataObject) -> Sampled:
    """Three reports or more, all of them between the stream's beginning and its last packet."""
    times = data.draw(looks(call.length_ms, missing=False))
    end_ms = max(one.at_ms for one in arrivals(call) if not one.rtx)
    seen = [one for one in sampled(call, times) if BEGUN_MS <= one[0] <= end_ms]
    while len(seen) > 2 and media(seen[-1]) == media(seen[-2]):
        seen.pop()
    assume(len(seen) > 2 and all(told for _, told in seen))
    return seen


def media(look: tuple[int, dict[int, Counters]]) -> list[int]:
    """Packets received by then, without those that were sent again."""
    return [one.received - one.again for one in look[1].values()]


@many
@given(unbroken_calls, st.integers(1, 8), st.data())
def test_the_bits_of_all_intervals_are_those_of_the_packets(
    call: Call, count: int, data: st.DataObject
) -> None:
    """Nothing is unknown from the first report to the last; without what was sent again."""
    seen = watched(call, data)
    start_ms, end_ms = seen[0][0], seen[-1][0]
    whole_s = (end_ms - start_ms) / 1000
    [told] = posts([reports_of(seen)], interval_s=whole_s / count)
    [stream] = told.streams["videoIn"]
    rates = [rate for rate in stream.mediaBitRate if rate is not None]
    assert len(rates) == count
    came = [one for one in arrivals(call) if start_ms < one.at_ms <= end_ms and not one.rtx]
    bits = 8 * sum(one.octets for one in came)
    assert sum(rates) * whole_s / count == pytest.approx(bits, abs=50.01 * whole_s)


@many
@given(unbroken_calls, st.data())
def test_the_loss_of_a_whole_call_is_that_of_its_packets(call: Call, data: st.DataObject) -> None:
    seen = watched(call, data)
    start_ms, end_ms = seen[0][0], seen[-1][0]
    came = [one for one in arrivals(call) if not one.rtx]
    first, last = (
        max(one.number for one in came if one.at_ms <= at_ms) for at_ms in (start_ms, end_ms)
    )
    expected = last - first
    assume(expected >= PACKETS_MIN)
    lost = expected - sum(start_ms < one.at_ms <= end_ms for one in came)
    [told] = posts([reports_of(seen)], interval_s=(end_ms - start_ms) / 1000)
    [stream] = told.streams["videoIn"]
    percent = min(max(100 * lost / expected, 0), 100)
    assert stream.packetLoss == [pytest.approx(percent, abs=0.0051)]
