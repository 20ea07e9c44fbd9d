"""Precision and recall of the causes on simulated meetings stay above their bars."""

import pytest

from roomtone.causes import explain
from tests.scenarios.after import AFTER
from tests.scenarios.before import BEFORE
from tests.scenarios.hard import HARD
from tests.scenarios.judge import Tally, compare, judge, judge_demonstration
from tests.scenarios.stage import Scenario, play
from tests.scenarios.weak import judge_weak, weakened

EVERY = (*BEFORE, *AFTER, *HARD)
SEEDS = (31, 32)
PRECISION_MIN = 0.95
RECALL_MIN = 0.9


def bars(tally: Tally) -> None:
    assert tally.precision() >= PRECISION_MIN, tally.mistakes
    assert tally.recall() >= RECALL_MIN, tally.mistakes
    assert not tally.false_on_clean, tally.mistakes


@pytest.mark.parametrize("half", [BEFORE, AFTER, HARD], ids=["before", "after", "hard"])
def test_scenarios_are_explained(half: tuple[Scenario, ...]) -> None:
    tally = judge(half, SEEDS)
    assert tally.right.total() >= len(half)
    bars(tally)


def test_the_demonstrations_meetings_are_explained() -> None:
    bars(judge_demonstration(range(31, 36)))


def test_every_family_has_scenarios_and_names_are_different() -> None:
    families = {truth.family for scenario in EVERY for truth in scenario.expected}
    wanted = {"uplink", "downlink", "server", "site", "cpu", "bandwidth", "device", "path"}
    assert wanted <= families
    assert len({scenario.name for scenario in EVERY}) == len(EVERY) >= 24
    assert sum(not scenario.expected for scenario in EVERY) >= 10


def test_the_judge_sees_a_missed_trouble_a_false_finding_and_a_second_one() -> None:
    scenario = BEFORE[0]
    sessions = play(scenario, SEEDS[0])
    (finding,) = explain(sessions)
    nothing, twice = Tally(), Tally()
    compare(nothing, scenario, sessions, [], 0)
    compare(twice, scenario, sessions, [finding, finding], 0)
    assert (nothing.recall(), nothing.precision()) == (0.0, 1.0)
    assert (twice.recall(), twice.precision()) == (1.0, 0.5)


@pytest.mark.parametrize("name", ["uplink alone", "downlink alone", "bandwidth collapse"])
def test_half_of_a_trouble_is_found_and_a_seventh_of_it_is_called_nothing_else(name: str) -> None:
    (scenario,) = (one for one in EVERY if one.name == name)
    bars(judge_weak(scenario, range(31, 33), 0.5))
    faint = judge_weak(scenario, range(31, 33), 0.15)
    assert set(faint.false) <= {scenario.expected[0].family}


def test_a_weakened_meeting_lies_between_the_calm_one_and_the_whole_trouble() -> None:
    scenario = BEFORE[0]
    parts = (0.0, 0.5, 1.0)
    made = [weakened(scenario, SEEDS[0], part)[2].audioOut[0].packetLoss for part in parts]
    assert made[-1] == play(scenario, SEEDS[0])[2].audioOut[0].packetLoss
    none, half, whole = (column[15] or 0.0 for column in made)
    assert none < half < whole
