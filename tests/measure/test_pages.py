"""A state with sealed pages, and a settled time, tells what one without them tells."""

import os
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import roomtone.measure
from roomtone.measure import Measured, Report, Row, counters
from roomtone.measure.state import pack, unpack
from tests.measure import test_histories as histories
from tests.measure import test_order as order
from tests.measure.calls import START_MS, advance, fold, inbound, outbound, remote, report
from tests.measure.histories import Call, sampled

EXAMPLES = int(os.environ.get("ROOMTONE_EXAMPLES", "40"))
many = settings(max_examples=EXAMPLES, deadline=None)


def plain(state: bytes) -> bytes:
    """The same state with all snapshots open, and nothing settled."""
    known = unpack(state)
    known.settled = None
    for shots in known.connections.values():
        shots.reopen(0)
    return pack(known)


def agree(posts: list[list[Report]], interval_s: float) -> None:
    sealed = opened = b""
    told, expected = [], []
    for post in posts:
        sealed, one = advance(sealed, post, interval_s=interval_s)
        told.append(one)
        opened, one = advance(plain(opened), post, interval_s=interval_s)
        expected.append(one)
    assert fold(told) == fold(expected)
    assert [(one.late, one.repeated) for one in told] == [
        (one.late, one.repeated) for one in expected
    ]


def measured_of(posts: list[list[Report]], interval_s: float) -> list[Measured]:
    state, told = b"", []
    for post in posts:
        state, one = advance(state, post, interval_s=interval_s)
        told.append(one)
    return told


@many
@given(histories.calls, histories.intervals, st.data())
def test_a_history_measures_the_same_without_pages(
    call: Call, interval_s: float, data: st.DataObject
) -> None:
    reports = histories.reports_of(sampled(call, data.draw(histories.looks(call.length_ms))))
    agree(histories.cut(reports, data), interval_s)


@many
@given(order.calls, order.intervals, st.data())
def test_shuffled_reports_of_both_ways_measure_the_same_without_pages(
    reports: list[Report], interval_s: float, data: st.DataObject
) -> None:
    rest = data.draw(st.one_of(st.just(reports[2:]), st.permutations(reports[2:])))
    agree(order.cut([*reports[:2], *rest], data), interval_s)


def long_call(count: int) -> list[Report]:
    return order.call(1, count, 10.0, 1)


def test_reports_in_order_open_no_page() -> None:
    reports, state = long_call(42), b""
    for first in range(0, 36, 6):
        state, _ = advance(state, reports[first : first + 6], interval_s=60)
    pages = unpack(state).connections["pc0"].pages
    assert len(pages) > 1
    state, told = advance(state, reports[36:], interval_s=60)
    assert told.streams
    assert unpack(state).connections["pc0"].pages[: len(pages)] == pages


def test_reports_in_order_take_each_pair_of_rows_once(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[float] = []

    def flow(before: Row, after: Row, start_ms: float, *rest: Any) -> counters.Flow | None:
        taken.append(start_ms)
        return known_flow(before, after, start_ms, *rest)

    known_flow = counters.flow
    monkeypatch.setattr(counters, "flow", flow)
    reports, state = [report(10 * n, inbound(100 + 600 * n)) for n in range(60)], b""
    for first in range(0, 60, 6):
        state, told = advance(state, reports[first : first + 6], interval_s=60)
        assert told.streams["audioIn"]
    pairs = [START_MS + 10_000 * n for n in range(59)]
    first_post = pairs[:5]  # of a connection that sends nothing: once more, for its replies
    assert taken == first_post + pairs


def both_ways(number: int) -> Report:
    """A call that sends for a while only; the far ends' reports of both ways bring round trips."""
    measured = {"totalRoundTripTime": 0.03 * number, "roundTripTimeMeasurements": number}
    reply = {"type": "remote-outbound-rtp", "id": "Q1", "localId": "I1", "ssrc": 1} | measured
    sent = [outbound(100 + 600 * number), remote(number, totalRoundTripTime=0.2 * number,
            roundTripTimeMeasurements=number)]  # fmt: skip
    sends = 10 <= number < 30
    return report(10 * number, inbound(100 + 600 * number), reply, *(sent if sends else []))


def test_latency_of_what_comes_in_follows_who_tells_it_without_pages_too() -> None:
    reports = [both_ways(number) for number in range(1, 61)]
    posts = [reports[first : first + 6] for first in range(0, 60, 6)]
    agree(posts, 60)
    told = fold(measured_of(posts, 60))
    latency = [cell.get("latency") for (kind, _), cell in sorted(told.items()) if kind == "audioIn"]
    assert latency[0] == latency[-1] == 30.0
    assert 200.0 in latency


def test_a_late_report_finds_its_place_in_a_sealed_page() -> None:
    reports = long_call(40)
    late = reports.pop(12)
    state, _ = advance(b"", reports, interval_s=60)
    assert late.timestamp < unpack(state).connections["pc0"].pages[-1].times[-1]
    state, told = advance(state, [late], interval_s=60)
    assert (told.late, told.repeated) == (0, 0)
    shots = unpack(state).connections["pc0"]
    assert shots.times() == sorted(round(one.timestamp) for one in [*reports, late])
    _, told = advance(state, [late], interval_s=60)
    assert told.repeated == 1


@pytest.mark.parametrize("state", [b"\x28\xb5\x2f\xfd of zstandard", b"\x01", b"something else"])
def test_a_state_of_another_version_begins_anew(state: bytes) -> None:
    report_of = [report(at_s, inbound(100 + 60 * at_s)) for at_s in (0, 10, 20)]
    seen = [roomtone.measure.seen(one) for one in report_of]
    assert roomtone.measure.advance(state, seen, interval_s=10) == roomtone.measure.advance(
        b"", seen, interval_s=10
    )
