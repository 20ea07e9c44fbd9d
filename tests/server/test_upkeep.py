"""The task that seals and removes lives on, whatever the store throws at it."""

import threading

import pytest
from starlette.testclient import TestClient

from roomtone import app
from roomtone.config import Settings
from roomtone.errors import Unavailable
from roomtone.store.memory import MemoryStore

SEALED_AGAIN_S_MAX = 20


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
    assert [record.getMessage() for record in caplog.records] == [
        "upkeep put off",
        "upkeep failed",
        "upkeep failed",
    ]
