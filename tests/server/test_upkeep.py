"""The task that seals and removes lives on, whatever the store throws at it."""

import asyncio
import json
import re
import threading
from typing import Any

import pytest
from starlette.testclient import TestClient

from roomtone import app, demo, score
from roomtone.config import Settings
from roomtone.errors import Gone, Unavailable
from roomtone.model import MediaSession, MeetingNews, epoch_ms
from roomtone.observe import JsonLines
from roomtone.services import Services
from roomtone.store.memory import MemoryStore
from roomtone.store.verdicts import Scores, Stale

SEALED_AGAIN_S_MAX = 20
ROUND_S_MAX = 20


class Scored(MemoryStore):
    """A store that says when rows are put, and whose first looks for stale meetings fail."""

    def __init__(self, *failures: Exception) -> None:
        super().__init__()
        self.failures = [*failures]
        self.put = threading.Semaphore(0)

    def stale(self, org: str | None, *, model: int, limit: int) -> list[Stale]:
        if self.failures:
            raise self.failures.pop(0)
        return super().stale(org, model=model, limit=limit)

    def put_scores(self, org: str, meeting_id: str, scores: Scores) -> bool:
        kept = super().put_scores(org, meeting_id, scores)
        self.put.release()
        return kept


def test_ended_meetings_are_scored_and_anew_when_settings_change(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(app, "UPKEEP_EVERY_S", 0.01)
    store = Scored(Unavailable("The disk is full."))
    now_ms = epoch_ms("2026-11-24T09:00:00Z")
    with store.transaction():
        for name in ("a", "b"):
            store.put_meeting("acme", MeetingNews(id=name, start="2026-11-24T08:00:00.000Z"), 0)
    application = app.create_app(Settings(), store, now_ms=lambda: now_ms)
    with TestClient(application) as client:
        for _ in range(2):
            assert store.put.acquire(timeout=ROUND_S_MAX)
        assert client.portal is not None
        writer = application.state.services.writer
        client.portal.call(writer.run, lambda kept: kept.put_setting("acme", "sites", b"subnet"))
        for _ in range(2):
            assert store.put.acquire(timeout=ROUND_S_MAX)
        client.portal.call(writer.run, lambda _: None)  # what was put is committed
        assert store.stale_count(None, model=score.VERSION) == 0
        counted = re.search(
            r"^roomtone_scored_meetings_total (\S+)", client.get("/metrics").text, re.MULTILINE
        )
        assert counted
        assert float(counted[1]) >= 3  # the fourth is put, and perhaps not counted yet
    assert [record.getMessage() for record in caplog.records] == ["scoring put off"]


class Damaged(Scored):
    """A store that cannot read one meeting."""

    def sessions(self, org: str, meeting_id: str, **page: Any) -> list[MediaSession]:
        if meeting_id == "damaged":
            raise Unavailable("The file is damaged.")
        return super().sessions(org, meeting_id, **page)


def test_a_meeting_that_cannot_be_read_keeps_no_other_from_being_scored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(app, "UPKEEP_EVERY_S", 0.01)
    monkeypatch.setattr(app, "SCORE_STEP_MEETINGS", 1)
    store = Damaged()
    with store.transaction():
        for name in ("a", "b", "damaged"):  # the last is scored first
            store.put_meeting("acme", MeetingNews(id=name, start="2026-11-24T08:00:00.000Z"), 0)
    now_ms = epoch_ms("2026-11-24T09:00:00Z")
    with TestClient(app.create_app(Settings(), store, now_ms=lambda: now_ms)):
        for _ in range(2):
            assert store.put.acquire(timeout=ROUND_S_MAX)


class Unsettled(MemoryStore):
    """A store with rows to put in order for three steps."""

    def __init__(self) -> None:
        super().__init__()
        self.left = 3
        self.settled = threading.Event()

    def settle_fleet(self) -> int:
        if self.left:
            self.left -= 1
            return 1
        self.settled.set()
        return 0


def test_rows_are_put_in_order_when_nothing_is_left_to_score() -> None:
    store = Unsettled()
    with TestClient(app.create_app(Settings(), store)):
        assert store.settled.wait(ROUND_S_MAX)
    assert store.left == 0


class Moody(MemoryStore):
    """A store whose sealing fails a few times, each time in another way."""

    def __init__(self) -> None:
        super().__init__()
        self.failures: list[Exception] = [
            Unavailable("The disk is full."),
            OverflowError("a bug"),
            ZeroDivisionError("another"),
        ]
        self.recovered = threading.Event()

    def seal(self, now_ms: int, *, silence_ms: int, limit: int) -> int:
        if self.failures:
            raise self.failures.pop(0)
        self.recovered.set()
        return 0


def test_upkeep_survives_every_failure(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(app, "UPKEEP_EVERY_S", 0.01)
    store = Moody()
    with TestClient(app.create_app(Settings(), store)):
        assert store.recovered.wait(SEALED_AGAIN_S_MAX)
    told = [record.getMessage() for record in caplog.records]
    # what shared a commit with the sealing that failed is put off, too
    assert [event for event in told if event != "scoring put off"] == [
        "upkeep put off",
        "upkeep failed",
        "upkeep failed",
    ]


def test_a_fault_that_ends_the_demonstration_is_one_line_of_the_log_and_the_server_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    broken = threading.Event()

    def pieces(*_args: object, **_times: int) -> None:
        broken.set()
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(demo, "GROW_EVERY_S", 0.01)
    monkeypatch.setattr(demo, "pieces", pieces)
    now_ms = epoch_ms("2026-11-24T10:00:00Z")
    growth = demo.Growth(demo.live_meeting(now_ms, 60), told_ms=now_ms)
    served = app.create_app(Settings(), MemoryStore(), background=[growth], upkeep=False)
    with TestClient(served) as client:
        assert broken.wait(ROUND_S_MAX)
        assert client.get("/health/live").status_code == 200
    (record,) = caplog.records
    (line,) = JsonLines().format(record).splitlines()
    told = json.loads(line)
    assert (told["level"], told["event"], told["task"]) == ("error", "background failed", "Growth")
    assert told["exception"].endswith("ZeroDivisionError: a bug")


def test_what_runs_beside_the_server_is_ended_without_a_word(
    caplog: pytest.LogCaptureFixture,
) -> None:
    begun = threading.Event()

    async def forever(_services: Services) -> None:
        begun.set()
        await asyncio.Event().wait()

    with TestClient(app.create_app(Settings(), MemoryStore(), background=[forever])):
        assert begun.wait(ROUND_S_MAX)
    assert caplog.records == []


def is_removed(store: MemoryStore, meeting: str) -> bool:
    try:
        store.version("acme", meeting)
    except Gone:
        return True
    return False


@pytest.mark.parametrize(("keep", "removed"), [("2d", True), ("", False)])
def test_the_server_removes_what_ended_longer_ago_than_it_may_be_kept(
    keep: str, removed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "UPKEEP_EVERY_S", 0.01)
    now_ms = epoch_ms("2026-11-24T09:00:00Z")
    store = MemoryStore()
    with store.transaction():
        for name, day in (("old", 20), ("young", 23)):
            start, end = f"2026-11-{day}T09:00:00.000Z", f"2026-11-{day}T10:00:00.000Z"
            store.put_meeting("acme", MeetingNews(id=name, start=start, end=end), now_ms - 10**9)
        store.seal(now_ms, silence_ms=1, limit=9)
    rounds = threading.Semaphore(0)
    seal = store.seal

    def noted(now_ms: int, *, silence_ms: int, limit: int) -> int:
        rounds.release()
        return seal(now_ms, silence_ms=silence_ms, limit=limit)

    monkeypatch.setattr(store, "seal", noted)
    application = app.create_app(Settings(keep=keep), store, now_ms=lambda: now_ms)
    with TestClient(application) as client:
        for _ in range(3):  # each round begins so: the first two are over
            assert rounds.acquire(timeout=ROUND_S_MAX)
        assert is_removed(store, "old") == removed
        assert not is_removed(store, "young")
        counted = client.get("/metrics").text
    assert f"roomtone_purged_meetings_total {float(removed)}" in counted
