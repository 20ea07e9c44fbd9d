"""`roomtone rescore`: what is stale is scored, and whoever is cut off goes on."""

import contextlib
import os
import pty
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import structs

from roomtone import score, scoring
from roomtone.fleet.sessions import FleetQuery, Sessions
from roomtone.ingest import normalise
from roomtone.model import MeetingNews, epoch_ms
from roomtone.simulate import meeting
from roomtone.store import Store, open_store
from roomtone.store.verdicts import VerdictQuery
from tests.cli.running import RUN_S_MAX, clean_environment, one_line, roomtone

START_MS = epoch_ms("2026-11-02T09:00:00Z")
DAY_MS = 86_400_000
MEETINGS = 40
BEGUN_S_MAX = 30


def fill(folder: Path, *, count: int, participants: int = 3, org: str = "acme") -> None:
    """Ended meetings, all of them with the same sessions' figures."""
    store = open_store(folder)
    made = meeting(seed=3, index=1, participants=participants, minutes=30, start_ms=START_MS)
    with store.transaction():
        for at in range(count):
            store.put_meeting(org, MeetingNews(id=f"m{at}"), START_MS)
            for session in made.sessions:
                name = f"{session.participantSessionId}-{at}"
                copy = structs.replace(
                    session, meetingInstanceId=f"m{at}", participantSessionId=name
                )
                normalise(copy, START_MS)
                store.put_session(org, copy, START_MS)
    with store.transaction():
        while store.seal(START_MS + DAY_MS, silence_ms=1, limit=1_000):
            pass
    store.close()


def left(store: Store, org: str | None = None) -> int:
    return store.stale_count(org, model=score.VERSION)


def rows(store: Store) -> Sessions:
    """The rows of all sessions."""
    query = FleetQuery(from_ms=0, to_ms=1 << 45, figures=("minutesPoor", "packetLoss"))
    return store.fleet("acme", query, deadline=time.monotonic() + 60)


def test_every_ended_meeting_is_scored_once(tmp_path: Path) -> None:
    fill(tmp_path, count=2)
    fill(tmp_path, count=1, org="zeta")
    said = [roomtone("rescore", "--data", tmp_path, *more) for more in (["--org", "zeta"], [], [])]
    assert [one.stdout for one in said] == [
        "scored 1 meeting\n",
        "scored 2 meetings\n",
        "scored 0 meetings\n",
    ]
    store = open_store(tmp_path)
    (first, second) = store.judged(
        "acme", VerdictQuery(from_ms=0, to_ms=1 << 45), deadline=time.monotonic() + 60
    )
    assert first.row is not None
    assert second.row is not None
    assert sum(first.row.counts.values()) == 3
    assert structs.replace(first.row, findings=[]) == structs.replace(second.row, findings=[])
    assert [one.text for one in first.row.findings] == [one.text for one in second.row.findings]
    assert len(rows(store)) == 2 * 3
    store.close()


def test_a_person_at_a_terminal_sees_how_far_it_is(tmp_path: Path) -> None:
    fill(tmp_path, count=2)
    command = [sys.executable, "-m", "roomtone", "rescore", "--data", str(tmp_path)]
    shown = []
    for _ in range(2):
        ours, theirs = pty.openpty()
        env = clean_environment(TERM="xterm", COLUMNS="80")
        result = subprocess.run(
            command, env=env, stdout=subprocess.PIPE, stderr=theirs, timeout=RUN_S_MAX
        )
        os.close(theirs)
        assert result.returncode == 0
        shown.append(b"".join(written_to(ours)).decode())
        os.close(ours)
    assert "2/2" in shown[0]
    assert shown[1] == "", "no bar where nothing is to be done"


def written_to(terminal: int) -> Iterator[bytes]:
    """All that was written to a terminal whose other end is closed."""
    with contextlib.suppress(OSError):  # how its end is told
        while data := os.read(terminal, 65_536):
            yield data


def test_one_that_is_killed_goes_on_with_what_is_left(tmp_path: Path) -> None:
    fill(tmp_path, count=MEETINGS, participants=12)
    store = open_store(tmp_path)
    command = [sys.executable, "-m", "roomtone", "rescore", "--data", str(tmp_path)]
    with subprocess.Popen(command, env=clean_environment(), stdout=subprocess.PIPE) as process:
        deadline = time.monotonic() + BEGUN_S_MAX
        while left(store) == MEETINGS:
            assert time.monotonic() < deadline, "nothing was scored"
        process.kill()
    still = left(store)
    assert 0 < still < MEETINGS
    assert roomtone("rescore", "--data", tmp_path).stdout == f"scored {still} meetings\n"
    assert left(store) == 0
    assert store.check() == []
    store.close()


def test_other_thresholds_score_anew_what_is_shown_and_nothing_that_was_measured(
    tmp_path: Path,
) -> None:
    fill(tmp_path, count=2)
    assert roomtone("rescore", "--data", tmp_path).returncode == 0
    store = open_store(tmp_path)
    version = store.version("acme", "m0")
    before = rows(store)
    with store.transaction():
        strict = b'{"lossPercent": {"good": 0.0, "poor": 0.001}, "activeSMin": 0}'
        store.put_setting("acme", scoring.THRESHOLDS, strict)
    assert roomtone("rescore", "--data", tmp_path).stdout == "scored 2 meetings\n"
    after = rows(store)
    assert sum(after.columns["minutesPoor"]) > sum(before.columns["minutesPoor"])
    assert sorted(after.columns["packetLoss"]) == sorted(before.columns["packetLoss"])
    assert store.version("acme", "m0") == version
    store.close()


def test_a_misspelt_organisation_is_an_error(tmp_path: Path) -> None:
    fill(tmp_path, count=1)
    result = roomtone("rescore", "--data", tmp_path, "--org", "amce")
    assert result.returncode == 2
    assert "--org is amce" in one_line(result)


def test_a_meeting_that_cannot_be_scored_keeps_no_other_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fill(tmp_path, count=1)

    def broken(*_: object) -> None:
        raise ZeroDivisionError("a bug")

    store = open_store(tmp_path)
    monkeypatch.setattr(scoring, "values_of", broken)
    (stale,) = store.stale(None, model=score.VERSION, limit=9)
    made = scoring.made_of(store, stale)
    assert made is not None
    assert (made.meeting.verdict, made.sessions) == ("unclassified", [])
    with store.transaction():
        assert store.put_scores("acme", "m0", made)
    assert left(store) == 0
    assert {record.getMessage() for record in caplog.records} == {"scoring failed"}
    store.close()
