"""One root of a trouble is one finding, told alike when there is more data, and never a guess."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roomtone import score
from roomtone.causes import FAMILIES, Finding, explain, limits
from roomtone.causes.grid import grid
from roomtone.model import (
    COLUMNS,
    RESOURCE_COLUMNS,
    STREAM_KINDS,
    MediaSession,
    Resources,
    Stream,
    epoch_ms,
    iso_ms,
)
from roomtone.score import Bounds, Thresholds
from roomtone.simulate import piece
from tests.scenarios.after import AFTER
from tests.scenarios.before import BEFORE
from tests.scenarios.hard import HARD
from tests.scenarios.stage import START_MS, Happens, Scenario, play

EVERY = {scenario.name: scenario for scenario in (*BEFORE, *AFTER, *HARD)}


def played(name: str, seed: int = 1) -> list[MediaSession]:
    return play(EVERY[name], seed)


def only(name: str, seed: int = 1) -> Finding:
    (finding,) = explain(played(name, seed))
    return finding


def until(sessions: list[MediaSession], minutes: int) -> list[MediaSession]:
    """What was known of a meeting so many minutes after its start."""
    to_ms = START_MS + minutes * 60_000
    pieces = (piece(session, from_ms=0, to_ms=to_ms) for session in sessions)
    return [part for part in pieces if part is not None]


def test_nothing_is_found_in_nothing() -> None:
    assert explain([]) == []
    assert explain([MediaSession(meetingInstanceId="m")]) == []


def test_a_bad_uplink_is_one_finding_about_its_owner_with_those_who_suffered() -> None:
    sessions = played("uplink alone")
    (finding,) = explain(sessions)
    assert (finding.family, finding.direction) == ("uplink", "up")
    assert finding.owner == sessions[2].participantId
    assert finding.owner not in finding.suffered
    assert set(finding.suffered) <= {session.participantId for session in sessions}
    assert len(finding.suffered) >= 3
    (loss, *_) = finding.evidence
    assert (loss.figure, loss.threshold) == ("packetLoss up", 5.0)
    assert loss.value > loss.threshold
    assert 0 < loss.count <= loss.of <= 20
    assert {rival.family for rival in finding.ruled_out} >= {"cpu", "downlink"}
    name = sessions[2].webexUserName
    assert name in finding.text
    assert name in finding.advice


def test_minutes_are_those_that_were_bad_and_lie_in_the_span() -> None:
    finding = only("uplink alone")
    span = (epoch_ms(finding.end) - epoch_ms(finding.start)) / 60_000
    assert 15 <= finding.minutes <= span <= 21


@pytest.mark.parametrize("name", sorted(EVERY))
def test_findings_have_different_ids_bounded_confidence_and_an_order(name: str) -> None:
    findings = explain(played(name))
    assert len({finding.id for finding in findings}) == len(findings)
    assert [f.start for f in findings] == sorted(f.start for f in findings)
    for finding in findings:
        assert finding.family in FAMILIES
        assert 0 < finding.confidence < 1
        assert all(0 <= part.value <= 1 for part in finding.made_of)
        assert finding.evidence
        assert all(item.count for item in finding.evidence)
        assert finding.text.endswith(".")
        assert "nan" not in finding.text


@pytest.mark.parametrize(
    "name",
    ["uplink alone", "downlink alone", "server of one region", "egress of a site", "broken camera",
     "CPU, another program", "bandwidth collapse", "slow over TCP"],
)  # fmt: skip
def test_a_finding_keeps_its_id_while_the_meeting_goes_on(name: str) -> None:
    sessions = played(name)
    (last,) = explain(sessions)
    begin = (epoch_ms(last.start) - START_MS) // 60_000
    seen = [explain(until(sessions, minutes)) for minutes in range(begin + 7, 41)]
    assert all(len(findings) == 1 for findings in seen)
    assert {findings[0].id for findings in seen} == {last.id}
    ends = [findings[0].end for findings in seen]
    assert ends == sorted(ends)


def test_a_finding_does_not_open_before_there_is_a_trouble() -> None:
    sessions = played("uplink alone")
    assert all(not explain(until(sessions, minutes)) for minutes in range(11))


def test_the_order_of_sessions_changes_nothing() -> None:
    sessions = played("a server, and one bad uplink on it")
    ids = {finding.id for finding in explain(sessions)}
    assert {finding.id for finding in explain(sessions[::-1])} == ids


def test_what_is_explained_is_not_changed() -> None:
    sessions = played("a site, and a CPU elsewhere")
    before = msgspec.json.encode(sessions)
    explain(sessions, scores=[score.session(session) for session in sessions])
    assert msgspec.json.encode(sessions) == before


def test_other_thresholds_find_other_things() -> None:
    sessions = played("uplink alone")
    patient = Thresholds(loss_percent=Bounds(20.0, 40.0), jitter_ms=Bounds(100.0, 200.0))
    found = explain(sessions, thresholds=patient)
    assert "uplink" not in {finding.family for finding in found}


def test_a_load_that_nobody_tells_is_left_open() -> None:
    finding = only("an uplink, neither CPU nor latency known")
    assert "cpu" in {rival.family for rival in finding.left_open}
    assert "cpu" not in {rival.family for rival in finding.ruled_out}
    assert finding.confidence < only("uplink alone").confidence


def test_with_scores_it_says_of_whom_nothing_explains_a_poor_verdict() -> None:
    sessions = played("a hot phone that does not tell its CPU")
    assert explain(sessions) == []
    (finding,) = explain(sessions, scores=[score.session(session) for session in sessions])
    assert (finding.family, finding.owner) == ("unknown", sessions[1].participantId)
    assert finding.confidence == 0
    assert "CPU" in finding.advice


def test_with_scores_nothing_is_unknown_where_a_root_was_found() -> None:
    for name in ("egress of a site", "server of one region", "a server, and one bad uplink on it"):
        sessions = played(name)
        scores = [score.session(session) for session in sessions]
        assert {f.family for f in explain(sessions, scores=scores)} <= {"server", "site", "uplink"}


def test_hundreds_of_findings_are_bounded() -> None:
    script = tuple(Happens(kind="bad uplink", to=i, first=3, last=9) for i in range(230))
    cast = ", ".join(["cable"] * 230 + ["us"] * 300)
    scenario = Scenario(name="many", cast=cast, script=script, minutes=12)
    assert len(explain(play(scenario, 1))) <= limits.FINDINGS_MAX


NUMBERS = st.lists(
    st.none() | st.integers(0, 2**53) | st.floats(0, 2**53, allow_nan=False), max_size=12
)
PERCENTS = st.lists(st.none() | st.floats(0, 100), max_size=12)
STARTS = st.integers(0, 4 * 86_400_000).map(lambda ms: iso_ms(START_MS + ms))
STEPS = st.sampled_from([1, 10, 29.5, 30, 60, 300, 86_400])
STREAMS = st.builds(
    Stream,
    startTime=STARTS,
    samplingInterval=STEPS,
    transportType=st.sampled_from(["", "UDP", "TCP"]),
    **{name: PERCENTS if name == "packetLoss" else NUMBERS for name in COLUMNS},
)
RESOURCES = st.builds(
    Resources,
    startTime=STARTS | st.just(msgspec.UNSET),
    samplingInterval=STEPS | st.just(msgspec.UNSET),
    **dict.fromkeys(RESOURCE_COLUMNS, PERCENTS),
)
SESSIONS = st.builds(
    MediaSession,
    meetingInstanceId=st.just("m"),
    publicIP=st.sampled_from(["", "192.0.2.1", "192.0.2.2", "2001:db8::1", "nonsense"]),
    localIP=st.sampled_from(["", "10.1.2.3", "192.168.1.7", "fe80::1"]),
    serverRegion=st.sampled_from(["", "A", "B"]),
    videoMeshCluster=st.sampled_from(["", "C"]),
    networkType=st.sampled_from(["", "wifi", "ethernet"]),
    camera=st.sampled_from(["", "cam"]),
    participantId=st.sampled_from(["", "p1", "p2", "p3"]),
    resources=st.lists(RESOURCES, max_size=2),
    **{kind: st.lists(STREAMS, max_size=2) for kind in STREAM_KINDS},
)


@settings(max_examples=40, deadline=None)
@given(st.lists(SESSIONS, max_size=5))
def test_any_columns_are_explained_without_a_word_of_nan(sessions: list[MediaSession]) -> None:
    for finding in explain(sessions):
        assert finding.minutes >= 0
        assert "nan" not in msgspec.json.encode(finding).decode()
        assert epoch_ms(finding.start) < epoch_ms(finding.end)


def test_streams_years_apart_stay_on_a_grid_that_is_bounded() -> None:
    sessions = [
        MediaSession(
            meetingInstanceId="m",
            audioIn=[Stream(startTime=when, packetLoss=[1.0] * 5)],
        )
        for when in ("2020-01-01T00:00:00.000Z", "2026-01-01T00:00:00.000Z")
    ]
    made = grid(sessions)
    assert made is not None
    assert made.count * len(sessions) <= limits.CELLS_MAX
    assert explain(sessions) == []
