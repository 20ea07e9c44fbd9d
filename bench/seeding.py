"""Stores filled by the calls that the server makes: whole sealed meetings, or minute by minute."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec
from msgspec import UNSET

from bench import data
from bench.load import BenchError
from roomtone import ingest, score, scoring, simulate
from roomtone.app import UPKEEP_EVERY_S
from roomtone.model import (
    STREAM_KINDS,
    MediaSession,
    StreamKind,
    epoch_ms,
    sample_count,
    streams_of,
)
from roomtone.services import wall_clock_ms
from roomtone.store import Store, open_store

ORG: Final = "bench"
SILENCE_MS: Final = 300_000
DAY_MS: Final = 24 * 3600 * 1000
SEAL_LIMIT: Final = 500
IDLE_STEPS: Final = round(60 / UPKEEP_EVERY_S)
HOUR_MS: Final = 3_600_000
KINDS_4: Final[tuple[StreamKind, ...]] = ("videoIn", "videoOut", "audioIn", "audioOut")


@dataclass(frozen=True, kw_only=True)
class Shape:
    """Ended meetings of one shape, numbered from `first`, that began two hours ago."""

    meetings: int
    participants: int
    minutes: int
    kinds: tuple[StreamKind, ...] = STREAM_KINDS
    first: int = 0
    start_ms: int = field(default_factory=lambda: wall_clock_ms() // 60_000 * 60_000 - 2 * HOUR_MS)

    @property
    def numbers(self) -> range:
        """The meetings' numbers."""
        return range(self.first, self.first + self.meetings)

    @property
    def stream_samples(self) -> int:
        """Stream-samples in one meeting."""
        return self.participants * len(self.kinds) * self.minutes

    def ids(self) -> list[str]:
        """The meetings' ids."""
        return [data.meeting_id(number) for number in self.numbers]


def put(store: Store, sessions: list[MediaSession]) -> None:
    """Commit sessions by way of their JSON, as a post does."""
    body = msgspec.json.encode({"items": sessions})
    now_ms = wall_clock_ms()
    with store.transaction():
        ingest.put_sessions(ORG, ingest.parse_sessions(body, now_ms).sessions, now_ms)(store)


def seal(store: Store) -> None:
    """Seal all that is due."""
    sealed = 1
    while sealed:
        with store.transaction():
            sealed = store.seal(wall_clock_ms(), silence_ms=SILENCE_MS, limit=SEAL_LIMIT)


def idle(store: Store) -> None:
    """What a minute of upkeep does when nothing is due: it gives free pages back."""
    for _ in range(IDLE_STEPS):
        with store.transaction():
            store.seal(wall_clock_ms(), silence_ms=SILENCE_MS, limit=SEAL_LIMIT)


def keep_scores(folder: Path) -> None:
    """End all meetings, and keep their scores, as upkeep does."""
    store = open_store(folder)
    try:
        ended = 1
        while ended:
            with store.transaction():
                store.seal(wall_clock_ms() + DAY_MS, silence_ms=SILENCE_MS, limit=SEAL_LIMIT)
            stale = store.stale(None, model=score.VERSION, limit=SEAL_LIMIT)
            for one in stale:
                made = scoring.made_of(store, one)
                assert made is not None
                with store.transaction():
                    assert store.put_scores(one.org, one.meeting, made)
            ended = len(stale)
        idle(store)
    finally:
        store.close()


def whole(shape: Shape, meeting: int) -> list[MediaSession]:
    """All sessions of one meeting, each in one piece that ends with its leave time."""
    return [
        data.session(
            meeting=meeting,
            participant=participant,
            start_ms=shape.start_ms,
            samples=shape.minutes,
            kinds=shape.kinds,
            ended=True,
        )
        for participant in range(shape.participants)
    ]


def fill_sealed(folder: Path, *shapes: Shape) -> None:
    """A store with ended, sealed meetings."""
    store = open_store(folder)
    try:
        for shape in shapes:
            for meeting in shape.numbers:
                put(store, whole(shape, meeting))
        seal(store)
    finally:
        store.close()


def fill_by_the_minute(folder: Path, batches: Iterable[list[MediaSession]]) -> None:
    """Sessions that are lived through: a batch grows minute by minute, is sealed; then the next."""
    store = open_store(folder)
    try:
        for batch in batches:
            moments = [epoch_ms(text) for session in batch for text in times_of(session)]
            # a minute more than the last leave time: it may cut a sample's interval
            for to_ms in range(min(moments), max(moments) + 2 * data.MINUTE_MS, data.MINUTE_MS):
                pieces = [
                    simulate.piece(session, from_ms=to_ms - data.MINUTE_MS, to_ms=to_ms)
                    for session in batch
                ]
                put(store, [piece for piece in pieces if piece is not None])
            seal(store)
        idle(store)
    finally:
        store.close()


def times_of(session: MediaSession) -> tuple[str, str]:
    """When an ended session began and when it ended."""
    assert session.joinTime is not UNSET
    assert session.leaveTime is not UNSET
    return session.joinTime, session.leaveTime


def stream_samples(sessions: Iterable[MediaSession]) -> int:
    """How many stream-samples sessions have."""
    return sum(
        sample_count(stream)
        for session in sessions
        for kind in STREAM_KINDS
        for stream in streams_of(session, kind)
    )


def stored_stream_samples(folder: Path, meetings: list[str]) -> int:
    """How many stream-samples a store gives back."""
    store = open_store(folder)
    try:
        return sum(
            stream_samples(store.sessions(ORG, meeting, offset=0, limit=1_000, deadline=1e18))
            for meeting in meetings
        )
    finally:
        store.close()


def expect_stored(folder: Path, meetings: list[str], *, at_least: int) -> None:
    """Every acknowledged stream-sample is in the store, or the run does not count."""
    stored = stored_stream_samples(folder, meetings)
    if stored < at_least:
        raise BenchError(f"{at_least} stream-samples were acknowledged, {stored} are stored")
