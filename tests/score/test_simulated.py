"""Simulated meetings: calm ones come out good, troubles with whoever had them."""

import pytest

from roomtone import score, simulate
from roomtone.model import epoch_ms
from roomtone.simulate import SimulatedMeeting
from roomtone.simulate.script import TROUBLE_KINDS, TroubleKind

START_MS = epoch_ms("2026-11-20T09:00:00Z")
SEEDS = range(6)


def simulated(seed: int, turn: int) -> SimulatedMeeting:
    """A meeting of six, 40 minutes long; the turn chooses the trouble, the last none."""
    return simulate.meeting(
        seed=seed, index=turn, participants=6, minutes=40, start_ms=START_MS + turn * 3_600_000
    )


def with_trouble(seed: int, kind: TroubleKind) -> tuple[SimulatedMeeting, list[score.SessionScore]]:
    made = simulated(seed, TROUBLE_KINDS.index(kind))
    return made, [score.session(session) for session in made.sessions]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", ["mute", "layout change", "late joiner"])
def test_what_is_no_trouble_makes_nobody_poor(seed: int, kind: TroubleKind) -> None:
    made, scores = with_trouble(seed, kind)
    assert all(one.verdict in ("good", "fair") for one in scores)
    for person, one in zip(made.people, scores, strict=True):
        if person.site.name in ("office", "branch", "overseas"):
            assert one.verdict == "good", one.because


@pytest.mark.parametrize("seed", SEEDS)
def test_a_calm_meeting_is_good(seed: int) -> None:
    made = simulated(seed, len(TROUBLE_KINDS))
    scores = [score.session(session) for session in made.sessions]
    on_the_road = sum(person.site.name == "road" for person in made.people)
    assert score.meeting(scores).counts["poor"] == 0
    assert score.meeting(scores).counts["good"] >= 6 - on_the_road


@pytest.mark.parametrize("seed", SEEDS)
def test_a_bad_uplink_is_poor_for_who_has_it(seed: int) -> None:
    made, scores = with_trouble(seed, "bad uplink")
    trouble = made.troubles[0]
    assert isinstance(trouble.target, int)
    owner = scores[trouble.target]
    assert owner.verdict == "poor"
    assert owner.figure == "packetLoss"
    assert owner.kind in ("audioOut", "videoOut", "shareOut")
    assert owner.minutes_poor == pytest.approx(trouble.last - trouble.first, abs=2)
    for index, one in enumerate(scores):
        if index != trouble.target:  # who hears the owner's gaps is poor in what is received
            assert "poor" not in {one.verdicts["audioOut"], one.verdicts["videoOut"]}


@pytest.mark.parametrize("seed", SEEDS)
def test_a_starved_processor_is_seen_in_pictures_and_not_in_sound(seed: int) -> None:
    made, scores = with_trouble(seed, "CPU starvation")
    target = made.troubles[0].target
    assert isinstance(target, int)
    owner = scores[target]
    assert (owner.verdict, owner.figure) == ("poor", "frameRate")
    assert owner.verdicts["audioOut"] != "poor"
    if owner.device is not None:
        assert owner.device < 75


@pytest.mark.parametrize("seed", SEEDS)
def test_over_tcp_scores_go_on_without_loss(seed: int) -> None:
    made, scores = with_trouble(seed, "TCP fall-back")
    target = made.troubles[0].target
    assert isinstance(target, int)
    before, after = scores[target].streams["audioIn"]
    assert before.grounded
    assert not after.grounded
    assert None not in after.mos
