"""Who applies the events to the snapshot knows what a later snapshot would say, all of it."""

import itertools
import json
from collections.abc import Iterator

import msgspec
import pytest

from roomtone.causes import Finding
from roomtone.live.changes import Event, changes, forgets, written
from roomtone.live.state import LiveFinding, LiveParticipant, State, snapshot
from roomtone.score import VerdictCounts
from tests.live.reader import Known, Told, events_of
from tests.live.replay import looks
from tests.scenarios.after import AFTER
from tests.scenarios.before import BEFORE
from tests.scenarios.stage import Scenario

TIME = "2026-11-24T10:00:00.000Z"
SCENARIOS = [*BEFORE, *AFTER]


def heard(events: Iterator[Event]) -> Iterator[Told]:
    text = b"".join(written(event, "x-1") for event in events).decode()
    return events_of(iter(text.split("\n")))


def all_of(one: State) -> Told:
    (told,) = heard(iter([Event("snapshot", snapshot("m1", one, TIME))]))
    return told


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda one: one.name)
def test_snapshot_and_events_are_as_good_as_a_later_snapshot(scenario: Scenario) -> None:
    known = None
    for before, after in itertools.pairwise(looks(scenario, every=3)):
        known = known or Known.of(all_of(before))
        for event in heard(changes(before, after, TIME)):
            known.hear(event)
        assert known == Known.of(all_of(after))
    assert known is not None


@pytest.mark.parametrize("scenario", SCENARIOS[:3], ids=lambda one: one.name)
def test_nothing_new_is_no_event(scenario: Scenario) -> None:
    for one in looks(scenario, every=10):
        assert list(changes(one, one, TIME)) == []


def person(**fields: object) -> LiveParticipant:
    given = {
        "participantSessionId": "S1",
        "participantId": "P1",
        "webexUserName": "Ada",
        "joinTime": TIME,
        "verdict": "good",
        "because": "",
        "now": "good",
        **fields,
    }
    return msgspec.convert(given, LiveParticipant)


def finding(**fields: object) -> Finding:
    given = {
        "id": "f1",
        "family": "uplink",
        "owner": "P1",
        "session": "S1",
        "start": TIME,
        "end": TIME,
        "minutes": 2.0,
        "confidence": 0.8,
        "text": "t",
        "advice": "a",
        **fields,
    }
    return msgspec.convert(given, Finding)


def meeting(
    *people: LiveParticipant,
    findings: tuple[tuple[bool, Finding], ...] = (),
    state: str = "inProgress",
) -> State:
    return State(
        meeting=state,  # type: ignore[arg-type]
        verdict="good",
        because="",
        counts=VerdictCounts(good=1, fair=0, poor=0, unclassified=0),
        participants={one.participantSessionId: one for one in people},
        findings={one.id: LiveFinding(open=is_open, finding=one) for is_open, one in findings},
    )


LEFT = "2026-11-24T10:30:00.000Z"
CASES: dict[str, tuple[State, State, list[str]]] = {
    "somebody joins": (meeting(), meeting(person()), ["join"]),
    "somebody was there and is gone before anybody looked": (
        meeting(),
        meeting(person(leaveTime=LEFT)),
        ["join", "leave"],
    ),
    "somebody leaves": (meeting(person()), meeting(person(leaveTime=LEFT)), ["leave"]),
    "the end is known better": (
        meeting(person(leaveTime=TIME)),
        meeting(person(leaveTime=LEFT)),
        ["leave"],
    ),
    "somebody comes back": (meeting(person(leaveTime=LEFT)), meeting(person()), ["join"]),
    "somebody has another name": (
        meeting(person()),
        meeting(person(webexUserName="Ada Lovelace")),
        ["join"],
    ),
    "it becomes poor for somebody": (
        meeting(person()),
        meeting(person(verdict="poor", because="x")),
        ["verdict"],
    ),
    "it is poor just now": (meeting(person()), meeting(person(now="poor")), ["verdict"]),
    "a trouble begins": (meeting(), meeting(findings=((True, finding()),)), ["opened"]),
    "a trouble was over when it was seen": (
        meeting(),
        meeting(findings=((False, finding()),)),
        ["opened", "closed"],
    ),
    "a trouble goes on": (
        meeting(findings=((True, finding()),)),
        meeting(findings=((True, finding(minutes=3.0)),)),
        ["updated"],
    ),
    "a trouble is over": (
        meeting(findings=((True, finding()),)),
        meeting(findings=((False, finding(minutes=3.0)),)),
        ["closed"],
    ),
    "a trouble begins again": (
        meeting(findings=((False, finding()),)),
        meeting(findings=((True, finding(minutes=3.0)),)),
        ["opened"],
    ),
    "what is over is known better": (
        meeting(findings=((False, finding()),)),
        meeting(findings=((False, finding(minutes=3.0)),)),
        ["updated"],
    ),
    "it was something else": (
        meeting(findings=((True, finding()),)),
        meeting(findings=((True, finding(id="f2", family="site")),)),
        ["withdrawn", "opened"],
    ),
    "the meeting ends": (meeting(), meeting(state="ended"), ["meeting"]),
}


@pytest.mark.parametrize("case", CASES)
def test_a_change_is_told_by_its_name(case: str) -> None:
    before, after, names = CASES[case]
    told = list(heard(changes(before, after, TIME)))
    assert [one.data.get("change", one.name) for one in told] == names
    assert all(one.data["time"] == TIME for one in told)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (meeting(person()), meeting(person(webexUserName="")), True),
        (meeting(person()), meeting(person(webexUserName="Bob")), False),
        (meeting(person(webexUserName="")), meeting(person(webexUserName="")), False),
        (meeting(), meeting(person(webexUserName="")), False),
    ],
)
def test_a_name_that_is_erased_is_seen(before: State, after: State, *, expected: bool) -> None:
    assert forgets(before, after) is expected


def test_an_event_is_one_line_of_data_whatever_a_name_holds() -> None:
    name = "Eve\n\nevent: end\ndata: {}\r\u2028\u0000"
    (event,) = changes(meeting(), meeting(person(webexUserName=name)), TIME)
    text = written(event, "a-1")
    lines = text.split(b"\n")
    assert [line.partition(b":")[0] for line in lines] == [b"id", b"event", b"data", b"", b""]
    assert b"\r" not in text
    assert json.loads(lines[2][6:])["participant"]["webexUserName"] == name
