"""Somebody is told of their own trouble, in words for them, and of nobody else's."""

from typing import get_args

import pytest

from roomtone.causes import FAMILIES
from roomtone.live.advice import OTHERS, OWN, SHARED, Said, said
from roomtone.live.state import LiveFinding, Now
from roomtone.model import StreamKind
from roomtone.score import Figure
from tests.live.replay import looks
from tests.live.test_changes import finding, meeting, person
from tests.scenarios.before import BEFORE

POOR = Now("poor", "audioIn", "packetLoss")


def told(now: Now, *findings: LiveFinding) -> Said:
    state = meeting(person(), person(participantSessionId="S2", participantId="P2"))
    state.findings = {one.finding.id: one for one in findings}
    state.nows = {"S1": now, "S2": Now()}
    return said(state, "S1", "P1")


def trouble(family: str, **fields: object) -> LiveFinding:
    is_open = bool(fields.pop("open", True))
    given = {"id": family, "family": family, "confidence": 0.5, **fields}
    return LiveFinding(open=is_open, finding=finding(**given))


@pytest.mark.parametrize("family", sorted(OWN.keys() - SHARED))
def test_ones_own_trouble_is_told_as_ones_own(family: str) -> None:
    found = told(POOR, trouble(family))
    assert found.family == family
    assert found.text.startswith("Your ")
    assert found.advice


@pytest.mark.parametrize("family", sorted(SHARED))
def test_what_one_shares_with_others_is_not_ones_own(family: str) -> None:
    found = told(POOR, trouble(family, session="", owner="x", suffered=["P2", "P1"]))
    assert found.family == family
    assert not found.text.startswith("Your ")


def test_somebody_elses_trouble_is_told_without_a_word_of_them() -> None:
    ada = trouble("uplink", session="S2", owner="P2", suffered=["P1"], text="Ask Ada")
    assert told(POOR, ada) == OTHERS
    assert "Ada" not in str(OTHERS)


@pytest.mark.parametrize(
    ("now", "findings"),
    [
        pytest.param(Now("good"), [trouble("uplink")], id="good again"),
        pytest.param(Now(), [trouble("uplink")], id="muted"),
        pytest.param(Now("good"), [], id="good"),
    ],
)
def test_who_has_it_good_is_told_nothing(now: Now, findings: list[LiveFinding]) -> None:
    assert told(now, *findings) == Said()


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(trouble("uplink", open=False), id="over"),
        pytest.param(trouble("uplink", session="S2", owner="P2"), id="another's"),
        pytest.param(trouble("unknown"), id="without a reason"),
        pytest.param(trouble("site", session="", suffered=["P2"]), id="of a site of others"),
    ],
)
def test_what_does_not_concern_one_is_no_reason(other: LiveFinding) -> None:
    assert told(POOR, other).family == ""


def test_the_surest_is_told() -> None:
    found = told(POOR, trouble("cpu", confidence=0.9), trouble("uplink"))
    assert found.family == "cpu"


@pytest.mark.parametrize("kind", get_args(StreamKind))
@pytest.mark.parametrize("figure", [one for one in get_args(Figure) if one])
def test_before_a_cause_is_known_something_is_said_all_the_same(
    kind: StreamKind, figure: Figure
) -> None:
    found = told(Now("fair", kind, figure))
    assert found.text
    assert found.family == ""
    if kind.endswith("In") and figure != "latency":
        assert "Your connection" not in found.text, "it may be the sender's"


def test_there_are_words_for_every_family_with_a_reason() -> None:
    assert OWN.keys() == set(FAMILIES) - {"unknown"}


@pytest.mark.parametrize(
    ("name", "index", "family"),
    [
        ("uplink alone", 2, "uplink"),
        ("downlink alone", 3, "downlink"),
        ("CPU, another program", 3, "cpu"),
        ("egress of a site", 0, "site"),
    ],
)
def test_a_simulated_trouble_is_told_to_whose_it_is(name: str, index: int, family: str) -> None:
    scenario = next(one for one in BEFORE if one.name == name)
    families = []
    for state in looks(scenario, every=4):
        people = list(state.participants.values())
        who = people[index]
        families.append(said(state, who.participantSessionId, who.participantId).family)
    assert set(families) - {""} == {family}
