"""Findings keep their ids while a meeting goes on, and are open while the trouble lasts."""

import itertools
from collections import Counter
from collections.abc import Sequence

import msgspec
import pytest

from roomtone.causes import FAMILIES, Finding
from roomtone.live.changes import FindingChanged, changes
from roomtone.live.follow import Ages, Edge, same
from roomtone.model import epoch_ms
from tests.live.replay import looks
from tests.scenarios.after import AFTER
from tests.scenarios.before import BEFORE
from tests.scenarios.stage import Scenario

NINE = epoch_ms("2026-11-24T09:00:00Z")
MINUTE_MS = 60_000
REPLACED = {
    "satellite",  # poor without a reason until five minutes show that it is the way
    "two cameras of one model",  # one camera until the second is as bad
}


def told(scenario: Scenario) -> list[FindingChanged]:
    pairs = itertools.pairwise(looks(scenario))
    events = [event for before, after in pairs for event in changes(before, after, "")]
    return [event.data for event in events if isinstance(event.data, FindingChanged)]


@pytest.mark.parametrize("scenario", [*BEFORE, *AFTER], ids=lambda one: one.name)
def test_every_trouble_of_a_scenario_opens_once_and_closes_once(scenario: Scenario) -> None:
    events = told(scenario)
    counts = Counter((event.finding.id, event.change) for event in events)
    withdrawn = {key for key, change in counts if change == "withdrawn"}
    for key in {event.finding.id for event in events}:
        assert counts[key, "opened"] == 1
        assert counts[key, "closed"] == (key not in withdrawn)
    assert bool(withdrawn) == (scenario.name in REPLACED)
    if scenario.expected:
        assert events


def finding(
    start: int = 0, end: int = 5, name: str = "", family: str = "uplink", **more: object
) -> Finding:
    """From and until in minutes past nine."""
    times = {"start": f"2026-11-24T09:{start:02}:00.000Z", "end": f"2026-11-24T09:{end:02}:00.000Z"}
    given = {"owner": "P1", "session": "S1", "family": family, "id": name or f"{family}-{start}"}
    rest = {"minutes": 2.0, "confidence": 0.8, "text": "", "advice": ""}
    assert family in FAMILIES
    return msgspec.convert(given | times | rest | more, Finding)


@pytest.mark.parametrize(
    ("known", "found", "names"),
    [
        pytest.param([], [finding()], ["uplink-0"], id="new"),
        pytest.param([finding()], [finding(end=9)], ["uplink-0"], id="goes on"),
        pytest.param([finding(2)], [finding(1)], ["uplink-2"], id="began earlier"),
        pytest.param([finding(1)], [finding(3)], ["uplink-1"], id="began later"),
        pytest.param([finding(1, 3)], [finding(7, 9)], ["uplink-7"], id="another time"),
        pytest.param([finding(2)], [finding(1, family="cpu")], ["cpu-1"], id="another cause"),
        pytest.param([finding(2)], [finding(1, owner="P2")], ["uplink-1"], id="another's"),
        pytest.param([finding(2)], [finding(1, session="S2")], ["uplink-1"], id="other session"),
        pytest.param(
            [finding(2, direction="both")],
            [finding(1, family="downlink", direction="both")],
            ["uplink-2"],
            id="a line that is bad both ways",
        ),
        pytest.param(
            [finding(2, direction="up")],
            [finding(1, family="downlink", direction="down")],
            ["downlink-1"],
            id="a line that is bad the other way",
        ),
        pytest.param(
            [finding(1, 4)],
            [finding(0, 2), finding(1, 9)],
            ["uplink-0", "uplink-1"],
            id="its own id goes before likeness",
        ),
        pytest.param(
            [finding(1, 4), finding(6, 9)],
            [finding(0, 9)],
            ["uplink-1"],
            id="two that were one",
        ),
        pytest.param(
            [finding(0, 9, name="a")],
            [finding(1, 4), finding(6, 9)],
            ["a", "uplink-6"],
            id="one that was two",
        ),
    ],
)
def test_a_finding_is_known_again(
    known: Sequence[Finding], found: Sequence[Finding], names: list[str]
) -> None:
    assert [one.id for one in same({one.id: one for one in known}, found)] == names


def edge(minutes: float, step_ms: float = MINUTE_MS) -> Edge:
    return Edge(round(NINE + minutes * MINUTE_MS), step_ms)


@pytest.mark.parametrize(
    ("edges", "present", "session", "lasts"),
    [
        pytest.param({"S1": edge(5)}, {"S1"}, "S1", True, id="at its end"),
        pytest.param({"S1": edge(7)}, {"S1"}, "S1", True, id="two intervals fine"),
        pytest.param({"S1": edge(8)}, {"S1"}, "S1", False, id="three intervals fine"),
        pytest.param({"S1": edge(6, 10_000)}, {"S1"}, "S1", True, id="six of 10 s fine"),
        pytest.param({"S1": edge(6.5, 10_000)}, {"S1"}, "S1", False, id="nine of 10 s fine"),
        pytest.param({"S1": edge(5), "S2": edge(20)}, {"S1", "S2"}, "S1", True, id="posts late"),
        pytest.param({"S1": edge(5), "S2": edge(6)}, {"S2"}, "S1", False, id="has left"),
        pytest.param({"S1": edge(5), "S2": edge(6)}, {"S1", "S2"}, "", True, id="of many"),
        pytest.param({"S1": edge(5), "S2": edge(9)}, {"S1", "S2"}, "", False, id="of many, over"),
        pytest.param({"S1": edge(5)}, set(), "", False, id="everybody has left"),
        pytest.param({"S1": Edge(0, 0)}, {"S1"}, "S1", False, id="without samples"),
    ],
)
def test_a_trouble_lasts_until_three_intervals_were_fine(
    edges: dict[str, Edge], present: set[str], session: str, *, lasts: bool
) -> None:
    assert Ages(edges, present).lasts(finding(session=session)) is lasts
