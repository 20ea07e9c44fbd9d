"""Readings of a second become average and maximum of an interval."""

import pytest
from msgspec import UNSET

from roomtone.agent import Intervals, Reading
from roomtone.model import epoch_ms

NOON_MS = epoch_ms("2026-11-24T12:00:00Z")


def at(second: float) -> int:
    return NOON_MS + round(second * 1000)


def test_an_interval_has_average_and_maximum() -> None:
    intervals = Intervals(60)
    for second in range(1, 61):
        assert (
            intervals.add(Reading(1.0, second / 2, 100 if second == 7 else 10), at(second)) is None
        )
    ended = intervals.add(Reading(1.0, 1, 1), at(61))
    assert ended is not None
    assert (ended.startTime, ended.samplingInterval) == ("2026-11-24T12:00:00.000Z", 60)
    assert ended.processAverageCPU == [15.25]
    assert ended.processMaxCPU == [30]
    assert ended.systemAverageCPU == [11.5]
    assert ended.systemMaxCPU == [100]


def test_an_average_weighs_a_reading_by_its_time() -> None:
    intervals = Intervals(60)
    intervals.add(Reading(3.0, None, 10), at(3))
    intervals.add(Reading(1.0, None, 50), at(4))
    ended = intervals.end()
    assert ended is not None
    assert ended.systemAverageCPU == [20]


def test_what_nobody_measured_is_an_empty_column() -> None:
    intervals = Intervals(60)
    intervals.add(Reading(1.0, None, 10), at(1))
    ended = intervals.end()
    assert ended is not None
    assert (ended.processAverageCPU, ended.processMaxCPU) == ([], [])


def test_without_a_reading_there_is_no_interval() -> None:
    assert Intervals(60).end() is None
    intervals = Intervals(60)
    intervals.add(Reading(1.0, None, None), at(1))
    assert intervals.end() is None


def test_a_computer_that_slept_has_no_figure_for_the_time() -> None:
    intervals = Intervals(60)
    intervals.add(Reading(1.0, None, 10), at(1))
    ended = intervals.add(Reading(3600.0, None, 99), at(3601))
    assert ended is not None
    assert ended.systemMaxCPU == [10]
    assert intervals.add(Reading(1.0, None, 20), at(3602)) is None
    last = intervals.end()
    assert last is not None
    assert (last.startTime, last.systemMaxCPU) == ("2026-11-24T13:00:00.000Z", [20])


@pytest.mark.parametrize("start", [0, 17.4, 59.9])
def test_intervals_of_a_restarted_agent_lie_where_those_before_lay(start: float) -> None:
    intervals = Intervals(60)
    intervals.add(Reading(0.1, None, 1), at(start))
    ended = intervals.end()
    assert ended is not None
    assert ended.startTime is not UNSET
    assert epoch_ms(ended.startTime) % 60_000 == 0


def test_a_clock_that_is_set_back_begins_an_earlier_interval() -> None:
    intervals = Intervals(60)
    intervals.add(Reading(1.0, None, 1), at(61))
    ended = intervals.add(Reading(1.0, None, 2), at(30))
    again = intervals.end()
    assert ended is not None
    assert again is not None
    assert (ended.systemMaxCPU, again.systemMaxCPU) == ([1], [2])
    assert again.startTime == "2026-11-24T12:00:00.000Z"
