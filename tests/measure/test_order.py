"""Order, repetition and the cut into posts make no difference; the state does not grow."""

import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from roomtone.measure import Report, Row, Snapshot
from roomtone.measure.shots import Shots
from roomtone.measure.state import (
    CONNECTIONS_MAX,
    ROWS_MAX,
    STREAMS_MAX,
    State,
    forget,
    row_count,
    unpack,
)
from tests.measure.calls import Cells, advance, fold, inbound, outbound, path, posts, remote, report

HORIZON_S = 300.0


def call(seed: int, count: int, period_s: float, connections: int) -> list[Report]:
    """A call of audio both ways and a camera, over one or two connections; counters are random.

    Half an interval of 1 s has 50 packets, and each report brings a round trip, so that no value
    is known while reports are missing that is unknown when all are there.
    """
    dice = random.Random(seed)
    reports = []
    for index in range(connections):
        totals: dict[str, float] = {}

        def grow(name: str, most: float, totals: dict[str, float] = totals) -> float:
            step = dice.uniform(0.8, 1.2) if most > 50 else dice.uniform(0, 1)
            least = 1 if name in ("rn", "sn") else 0
            totals[name] = totals.get(name, 0) + max(round(step * most * period_s), least)
            return totals[name]

        for number in range(count):
            at_s = number * period_s + index * 0.5
            stats = [
                inbound(100 + grow("ar", 200), grow("al", 3), jitter=dice.random() / 50),
                inbound(
                    100 + grow("vr", 200),
                    grow("vl", 9),
                    ssrc=7,
                    kind="video",
                    bytesReceived=grow("vb", 90_000),
                    framesDecoded=grow("vf", 30),
                    frameHeight=dice.choice([180, 360]),
                ),
                outbound(100 + grow("as", 200), bytesSent=grow("ab", 4_000)),
                remote(
                    grow("rl", 3),
                    roundTripTimeMeasurements=grow("rn", 1),
                    totalRoundTripTime=totals["rn"] / 5 + totals["ar"] / 1e5,
                    timestamp=1000 * (at_s + 1000) - dice.randint(0, 900),
                ),
                *path(rtt=(grow("sn", 2) / 9 + totals["ar"] / 1e5, int(totals["sn"]))),
            ]
            for entry in stats:
                entry.setdefault("timestamp", 1000 * (at_s + 1000))
            reports.append(report(at_s, *stats, connection=f"pc{index}"))
    return sorted(reports, key=lambda one: one.timestamp)


def in_order(reports: list[Report], **how: Any) -> Cells:
    return fold(posts([reports], **how))


calls = st.builds(
    call,
    seed=st.integers(0, 2**16),
    count=st.integers(2, 30),
    period_s=st.sampled_from([1.0, 2.0, 10.0]),
    connections=st.sampled_from([1, 1, 2]),
)
intervals = st.sampled_from([1, 7.5, 10, 60])


def cut(reports: list[Report], data: st.DataObject, most: int = 7) -> list[list[Report]]:
    found, rest = [], reports
    while rest:
        size = data.draw(st.integers(1, most))
        found.append(rest[:size])
        rest = rest[size:]
    return found


@settings(max_examples=60, deadline=None)
@given(calls, intervals, st.data())
def test_a_call_cut_into_posts_measures_as_in_one(
    reports: list[Report], interval_s: float, data: st.DataObject
) -> None:
    told = posts(cut(reports, data), interval_s=interval_s)
    assert fold(told) == in_order(reports, interval_s=interval_s)


@settings(max_examples=60, deadline=None)
@given(calls, intervals, st.data())
def test_shuffled_and_repeated_posts_measure_as_in_order(
    reports: list[Report], interval_s: float, data: st.DataObject
) -> None:
    """All but the first two reports of each connection, which set the phase, in any order."""
    first = reports[: 2 * len({one.connection for one in reports})]
    rest = list(range(len(first), len(reports)))
    again = data.draw(st.lists(st.integers(0, len(reports) - 1), max_size=10))
    late = [reports[index] for index in data.draw(st.permutations(rest + again))]
    told = posts([first, *cut(late, data)], interval_s=interval_s)
    assert fold(told) == in_order(reports, interval_s=interval_s)
    assert sum(one.repeated for one in told) == len(late) - len(rest)
    assert not any(one.late for one in told)


@settings(max_examples=60, deadline=None)
@given(calls, intervals, st.data())
def test_every_report_may_come_late_if_no_interval_was_told_before(
    reports: list[Report], interval_s: float, data: st.DataObject
) -> None:
    told = posts([data.draw(st.permutations(reports))], interval_s=interval_s)
    assert fold(told) == in_order(reports, interval_s=interval_s)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 99), st.integers(6, 18), st.integers(4, 12), intervals)
def test_a_post_that_is_missing_for_a_while_leaves_no_trace(
    seed: int, missing_at: int, size: int, interval_s: float
) -> None:
    """A gap of 40 to 120 s ends the run, but keeps its phase, so that the late post fills it."""
    reports = call(seed, 40, 10.0, 1)
    before, rest = reports[:missing_at], reports[missing_at:]
    told = posts([before, rest[size : size + 4], rest[:size], rest], interval_s=interval_s)
    assert fold(told) == in_order(reports, interval_s=interval_s)


@settings(max_examples=60, deadline=None)
@given(calls, intervals)
def test_no_value_is_negative_or_without_coverage(reports: list[Report], interval_s: float) -> None:
    end_ms = reports[-1].timestamp - reports[0].timestamp
    for (_, at_ms), cell in in_order(reports, interval_s=interval_s).items():
        assert all(not isinstance(value, int | float) or value >= 0 for value in cell.values())
        assert at_ms + 500 * interval_s <= end_ms + 1


def test_a_report_older_than_the_horizon_is_ignored_and_counted() -> None:
    reports = call(1, 60, 10.0, 1)
    late = reports[20]
    state, _ = advance(b"", [one for one in reports if one is not late], interval_s=60)
    again, told = advance(state, [late], interval_s=60, horizon_s=HORIZON_S)
    assert (told.late, told.repeated, told.streams) == (1, 0, {})
    assert again == state


def test_intervals_that_are_final_are_not_told_again() -> None:
    """A late report within the horizon only touches intervals whose snapshots are all kept."""
    reports = call(2, 60, 10.0, 1)
    late = reports[31]
    others = [one for one in reports if one is not late]
    told = posts([others[:30], others[30:], [late]], interval_s=60)
    assert fold(told) == in_order(reports, interval_s=60)


def test_a_late_report_does_not_shorten_what_is_known_of_a_run() -> None:
    """Intervals of 7 s: a run taken for a new one would show by its phase."""
    reports = call(4, 28, 10.0, 1)
    others = [one for index, one in enumerate(reports) if index != 5]
    told = posts([others[:25], [reports[5]], others[25:]], interval_s=7)
    assert fold(told) == in_order(reports, interval_s=7)


def test_a_connection_that_was_given_up_does_not_overwrite_what_it_told() -> None:
    def at(name: str, *times: float) -> list[Report]:
        return [
            report(when, inbound(100 + when, bytesReceived=500 * when), connection=name)
            for when in times
        ]

    many = [one for number in range(CONNECTIONS_MAX) for one in at(f"new{number}", 66.0, 67.0)]
    told = posts([at("pc", 0, 10, 20, 30, 40, 50, 60), many, at("pc", 54, 59)], interval_s=10)
    assert fold(told[:1])["audioIn", 50_000]["mediaBitRate"] == 4_000
    assert told[2].late == 0
    assert "audioIn" not in told[2].streams


def test_the_state_of_a_long_call_stays_small() -> None:
    sizes, state = [], b""
    reports = call(3, 1_200, 10.0, 1)
    for first in range(0, len(reports), 6):
        state, _ = advance(state, reports[first : first + 6], interval_s=60)
        sizes.append(len(state))
    assert max(sizes[60:]) < 1.2 * max(sizes[:60])
    assert len(unpack(state).connections["pc0"]) < 60


def test_a_flood_of_streams_and_connections_is_bounded() -> None:
    state = b""
    for number in range(120):
        stats = [inbound(100 + number, ssrc=ssrc) for ssrc in range(300)]
        state, _ = advance(
            state, [report(number, *stats, connection=f"pc{number % 40}")], interval_s=1
        )
    known = unpack(state)
    assert sum(len(shots.open[-1].rows) for shots in known.connections.values()) <= STREAMS_MAX
    assert row_count(known) <= ROWS_MAX


def test_rows_of_one_connection_are_thinned() -> None:
    rows = [Row(kind="audioIn", ssrc=ssrc, packets=1.0) for ssrc in range(STREAMS_MAX // 5)]
    shots = Shots(open=[Snapshot(at_ms=at_ms, rows=rows) for at_ms in range(300)])
    shots.seal(200)
    known = State(connections={"pc": shots})
    forget(known, keep_ms=1_000)
    assert ROWS_MAX / 4 < row_count(known) <= ROWS_MAX
    assert known.connections["pc"].open[-1].at_ms == 299


def test_a_flood_of_small_connections_is_bounded() -> None:
    flood = [
        report(at, inbound(100 + at), connection=f"pc{number}")
        for number in range(CONNECTIONS_MAX + 40)
        for at in (number, number + 1)
    ]
    known = unpack(advance(b"", flood, interval_s=60)[0])
    assert len(known.connections) == CONNECTIONS_MAX
    assert f"pc{CONNECTIONS_MAX + 39}" in known.connections
