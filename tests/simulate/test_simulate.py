"""Simulated meetings: the same for the same seed, and of a kind that a person would believe."""

import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise

import msgspec
import pytest

from roomtone.ingest import parse_sessions
from roomtone.model import (
    COLUMNS,
    RESOURCE_COLUMNS,
    STREAM_KINDS,
    Column,
    MediaSession,
    MediaSessions,
    Stream,
    StreamKind,
    column_of,
    epoch_ms,
    sample_count,
    streams_of,
)
from roomtone.simulate import SimulatedMeeting, meeting, meetings, piece
from roomtone.simulate.script import TROUBLE_KINDS, Trouble, TroubleKind

START_MS = epoch_ms("2026-11-20T09:00:00Z")
NOW_MS = epoch_ms("2026-11-24T09:00:00Z")
DIGEST = """
import hashlib, msgspec
from roomtone.simulate import meetings
made = meetings(seed=7, count=3, participants=4, minutes=30, start_ms=1795400000000)
print(hashlib.sha256(b"".join(msgspec.json.encode(m.sessions) for m in made)).hexdigest())
"""


def made(
    count: int = 9, *, seed: int = 1, participants: int = 6, minutes: int = 40
) -> list[SimulatedMeeting]:
    return list(
        meetings(
            seed=seed, count=count, participants=participants, minutes=minutes, start_ms=START_MS
        )
    )


def with_trouble(kind: TroubleKind) -> tuple[SimulatedMeeting, Trouble]:
    simulated = made()[TROUBLE_KINDS.index(kind)]
    return simulated, next(trouble for trouble in simulated.troubles if trouble.kind == kind)


def entries(
    sessions: list[MediaSession], *kinds: StreamKind
) -> Iterator[tuple[StreamKind, Stream]]:
    for session in sessions:
        for kind in kinds or STREAM_KINDS:
            for entry in streams_of(session, kind):
                yield kind, entry


def test_the_same_seed_gives_the_same_meetings_in_every_process() -> None:
    digests = {
        subprocess.run(
            [sys.executable, "-c", DIGEST],
            env=os.environ | {"PYTHONHASHSEED": hash_seed},
            capture_output=True,
            check=True,
        ).stdout
        for hash_seed in ("1", "2")
    }
    assert len(digests) == 1


def test_another_seed_gives_other_meetings() -> None:
    assert made(1, seed=1)[0].news.id != made(1, seed=2)[0].news.id
    assert made(1, seed=1)[0].sessions != made(1, seed=2)[0].sessions


def test_titles_say_that_nobody_met() -> None:
    assert all(str(item.news.title).startswith("Simulated: ") for item in made(12))


def test_nine_meetings_show_every_trouble_and_one_is_calm() -> None:
    scripts = [{trouble.kind for trouble in item.troubles} for item in made(9)]
    assert set().union(*scripts) == set(TROUBLE_KINDS)
    assert scripts[8] == {"mute"}


@pytest.mark.parametrize("participants", [1, 2, 7, 60])
@pytest.mark.parametrize("minutes", [1, 2, 45])
def test_ingest_takes_every_meeting(participants: int, minutes: int) -> None:
    for item in made(9, participants=participants, minutes=minutes):
        body = msgspec.json.encode(MediaSessions(items=item.sessions))
        taken = parse_sessions(body, NOW_MS).sessions
        assert len({session.participantSessionId for session in taken}) == participants
        assert len({session.webexUserEmail for session in taken}) == participants


@pytest.mark.parametrize(
    ("column", "decimals", "kind"),
    [
        ("packetLoss", 2, float),
        ("latency", 1, float),
        ("jitter", 1, float),
        ("frameRate", 2, float),
        ("mediaBitRate", 0, int),
        ("resolutionHeight", 0, int),
    ],
)
def test_values_are_rounded_as_the_measuring_rounds(
    column: Column, decimals: int, kind: type
) -> None:
    values = [
        value
        for item in made()
        for _, entry in entries(item.sessions)
        for value in column_of(entry, column)
        if value is not None
    ]
    assert len(values) > 1000
    assert all(type(value) is kind and value == round(value, decimals) for value in values)


def test_a_muted_microphone_sends_too_little_to_know_its_loss() -> None:
    simulated, mute = with_trouble("mute")
    assert isinstance(mute.target, int)
    (entry,) = simulated.sessions[mute.target].audioOut
    assert all(entry.packetLoss[at] is None for at in range(mute.first, mute.last))
    assert all(
        rate is not None and rate < 1000 for rate in entry.mediaBitRate[mute.first : mute.last]
    )
    assert entry.packetLoss[0] is not None


def test_a_fall_back_to_tcp_starts_new_entries_of_unknown_loss() -> None:
    simulated, trouble = with_trouble("TCP fall-back")
    assert isinstance(trouble.target, int)
    session = simulated.sessions[trouble.target]
    for kind in ("videoIn", "videoOut", "audioIn", "audioOut"):
        udp, tcp = streams_of(session, kind)
        assert (udp.transportType, tcp.transportType) == ("UDP", "TCP")
        assert udp.packetLoss
        assert tcp.packetLoss == []
        assert epoch_ms(tcp.startTime) - epoch_ms(udp.endTime) == 60_000
        assert len(tcp.latency) == sample_count(tcp)


def test_a_late_joiner_joins_late_and_waits_long() -> None:
    simulated, trouble = with_trouble("late joiner")
    assert isinstance(trouble.target, int)
    joins = [epoch_ms(str(session.joinTime)) for session in simulated.sessions]
    late = joins.pop(trouble.target)
    assert late - START_MS > max(joins) - START_MS + 5 * 60_000
    assert float(simulated.sessions[trouble.target].joinMeetingTime) >= 9


def mean(entry: Stream, column: Column, span: range) -> float:
    values = column_of(entry, column)
    return statistics.fmean(
        value for at in span if at < len(values) and (value := values[at]) is not None
    )


@pytest.mark.parametrize(
    ("trouble", "kind", "column", "factor_min", "factor_max"),
    [
        ("bad uplink", "audioOut", "packetLoss", 10, 1000),
        ("bad uplink", "audioOut", "latency", 1.5, 20),
        ("bad uplink", "videoOut", "mediaBitRate", 0.05, 0.7),
        ("bad uplink", "videoOut", "resolutionHeight", 0.1, 0.7),
        ("CPU starvation", "videoOut", "frameRate", 0.1, 0.6),
        ("CPU starvation", "audioIn", "latency", 0.7, 1.4),
        ("Wi-Fi site", "audioIn", "packetLoss", 5, 1000),
        ("Wi-Fi site", "audioOut", "jitter", 1.3, 20),
        ("server region", "audioIn", "latency", 1.8, 20),
        ("layout change", "videoIn", "resolutionHeight", 0.2, 0.3),
        ("layout change", "videoIn", "frameRate", 0.9, 1.1),
        ("layout change", "videoOut", "resolutionHeight", 1, 1),
    ],
)
def test_a_trouble_shows_where_it_should_and_while_it_lasts(
    trouble: TroubleKind, kind: StreamKind, column: Column, factor_min: float, factor_max: float
) -> None:
    simulated, script = with_trouble(trouble)
    hit = [
        session
        for index, session in enumerate(simulated.sessions)
        if script.hits(index, simulated.people[index])
    ]
    assert hit
    for session in hit:
        (entry,) = streams_of(session, kind)
        during = mean(entry, column, range(script.first, script.last))
        before = mean(entry, column, range(script.first))
        assert factor_min <= during / before <= factor_max


def test_a_starved_processor_reports_itself() -> None:
    for seed in range(1, 20):
        simulated = made(2, seed=seed)[1]
        script = next(item for item in simulated.troubles if item.kind == "CPU starvation")
        assert isinstance(script.target, int)
        for entry in simulated.sessions[script.target].resources:
            busy = entry.systemAverageCPU[script.first : script.last]
            assert all(value is not None and value > 85 for value in busy)
            return
    raise AssertionError("no client of twenty reads its CPU")


def test_a_bad_uplink_is_heard_by_the_others_only_while_that_person_speaks() -> None:
    heard: set[int] = set()
    for seed in range(1, 9):
        simulated = made(1, seed=seed)[0]
        script = simulated.troubles[0]
        others = [s for at, s in enumerate(simulated.sessions) if at != script.target]
        last = min(script.last, *(len(s.audioIn[0].packetLoss) for s in others))
        for at in range(script.first, last):
            heard.add(sum((s.audioIn[0].packetLoss[at] or 0) > 4 for s in others))
    assert {0, len(others)} <= heard, "a server forwards gaps, to everyone"


def test_loss_delay_and_jitter_move_together() -> None:
    pairs: list[tuple[float, float]] = []
    for item in made():
        for _, entry in entries(item.sessions, "audioOut"):
            pairs += [
                (latency, jitter)
                for latency, jitter in zip(entry.latency, entry.jitter, strict=True)
                if latency is not None and jitter is not None and latency < 140
            ]
    latencies, jitters = zip(*pairs, strict=True)
    assert statistics.correlation(latencies, jitters) > 0.5


def test_one_interval_remembers_the_one_before() -> None:
    (entry,) = made()[8].sessions[0].audioIn
    latencies = [value for value in entry.latency if value is not None]
    assert statistics.correlation(latencies[:-1], latencies[1:]) > 0.3


@pytest.mark.parametrize("step_ms", [60_000, 17_000, 600_000])
@pytest.mark.parametrize("index", range(9))
def test_the_pieces_of_a_session_make_the_whole(index: int, step_ms: int) -> None:
    item = meeting(seed=3, index=index, participants=5, minutes=30, start_ms=START_MS)
    ends = range(START_MS - 1, START_MS + 31 * 60_000 + step_ms, step_ms)
    for session in item.sessions:
        parts = [piece(session, from_ms=a, to_ms=b) for a, b in pairwise(ends)]
        told = [part for part in parts if part is not None]
        assert told[-1].leaveTime == session.leaveTime
        assert all(part.leaveTime is msgspec.UNSET for part in told[:-1])
        for kind in STREAM_KINDS:
            for name in COLUMNS:
                assert joined(told, kind, name) == joined([session], kind, name)
        for resource in RESOURCE_COLUMNS:
            got = [
                value
                for part in told
                for entry in part.resources
                for value in getattr(entry, resource)
            ]
            assert got == [v for entry in session.resources for v in getattr(entry, resource)]


def joined(parts: list[MediaSession], kind: StreamKind, name: Column) -> list[float | int | None]:
    return [
        value
        for part in parts
        for entry in streams_of(part, kind)
        for value in column_of(entry, name)
    ]


def test_a_piece_says_nothing_before_the_join_and_after_the_end() -> None:
    item = made(1)[0]
    session = item.sessions[0]
    assert piece(session, from_ms=0, to_ms=START_MS - 1) is None
    end_ms = epoch_ms(str(session.leaveTime))
    assert piece(session, from_ms=end_ms, to_ms=end_ms + 600_000) is None


def test_a_thousand_people_have_a_thousand_addresses() -> None:
    sessions = made(1, participants=1000, minutes=2)[0].sessions
    assert len({session.webexUserEmail for session in sessions}) == 1000
