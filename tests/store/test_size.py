"""A session has a largest size, whatever is sent, however often, and in which pieces."""

from pathlib import Path

import pytest

from roomtone.errors import Conflict
from roomtone.model import SAMPLES_MAX, MediaSession, Resources, Stream
from roomtone.store import Store, open_store, size, sqlite_age, sqlite_write
from roomtone.store.size import SESSION_SAMPLES_MAX, size_of
from roomtone.store.sqlite_rows import packed
from tests.store.support import at, exact, piece, put, read, read_one, seal

CRUMBS = 1_000
FULL = SESSION_SAMPLES_MAX // SAMPLES_MAX


def wide(part: int, samples: int = SAMPLES_MAX) -> MediaSession:
    """A piece with samples from SAMPLES_MAX * part on, of one minute each."""
    made = piece(None)
    start = at(SAMPLES_MAX * part - 10**7)
    made.audioIn = [Stream(startTime=start, latency=[*range(samples)])]
    return made


def crumbs(part: int, entries: int = CRUMBS) -> MediaSession:
    """A piece with entries that do not touch."""
    made = piece(None)
    first = part * entries
    made.videoIn = [Stream(startTime=at(2 * n), jitter=[n]) for n in range(first, first + entries)]
    return made


def fill(store: Store) -> None:
    for part in range(FULL):
        put(store, wide(part))


def test_a_session_takes_so_many_samples_and_then_only_what_is_none(store: Store) -> None:
    fill(store)
    kept = exact(read(store))
    for more in (piece(0), wide(0, samples=1)):
        for _ in range(2):
            with pytest.raises(Conflict, match=f"at most {SESSION_SAMPLES_MAX} stream-samples"):
                put(store, more)
    assert exact(read(store)) == kept
    put(store, piece(None, leaveTime=at(9)))
    assert read_one(store).leaveTime == at(9)


def test_a_sealed_session_that_is_full_stays_full(store: Store) -> None:
    fill(store)
    assert seal(store, now=99) == 1
    with pytest.raises(Conflict):
        put(store, piece(0), now=100)
    put(store, piece(None, networkType="wifi"), now=101)
    with pytest.raises(Conflict):
        put(store, piece(0), now=102)
    assert read_one(store).networkType == "wifi"


def test_what_is_sent_again_does_not_make_a_session_larger(store: Store) -> None:
    for _ in range(2 * FULL):
        put(store, wide(0))
    put(store, *(wide(part) for part in range(1, FULL)))
    with pytest.raises(Conflict):
        put(store, piece(0))


def test_a_session_takes_so_many_entries(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(size, "SESSION_ENTRIES_MAX", 4 * CRUMBS)  # a fifth of what it is
    for module in (size, sqlite_write):
        monkeypatch.setattr(module, "WEIGHT_MAX", 4 * CRUMBS * size.ENTRY_WEIGHT)
    for part in range(4):
        put(store, crumbs(part))
    with pytest.raises(Conflict, match=f"at most {4 * CRUMBS} entries"):
        put(store, crumbs(4 * CRUMBS, entries=1))
    assert len(read_one(store).videoIn) == 4 * CRUMBS


def test_a_piece_that_is_too_large_alone_makes_no_session_and_no_meeting(store: Store) -> None:
    whole = wide(0)
    whole.audioIn = [entry for part in range(FULL + 1) for entry in wide(part).audioIn]
    with pytest.raises(Conflict):
        put(store, whole)
    assert store.meeting("acme", whole.meetingInstanceId) is None
    assert store.counts("acme").sessions == 0
    put(store, piece(0))
    assert len(read(store)) == 1


def test_a_store_that_was_opened_again_knows_how_large_its_sessions_are(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    try:
        fill(store)
    finally:
        store.close()
    for _ in range(2):
        store = open_store(tmp_path)
        try:
            with pytest.raises(Conflict):
                put(store, piece(0), now=1)
            put(store, piece(None, networkType="wifi"), now=1)
            with pytest.raises(Conflict):
                put(store, piece(0), now=1)
            assert seal(store, now=99) == 1  # the second time it is one that was sealed before
        finally:
            store.close()


def resources(entries: int, **fields: object) -> MediaSession:
    made = piece(None)
    made.resources = [Resources(**fields) for _ in range(entries)]  # type: ignore[arg-type]
    return made


@pytest.mark.parametrize(
    "light",
    [
        resources(1_000),
        resources(1_000, samplingInterval=1),
        resources(10, systemMaxCPU=[0] * 10_000),
        wide(0),
        crumbs(0),
        piece(None),
    ],
)
def test_a_packed_piece_has_more_bytes_than_weight(light: MediaSession) -> None:
    """So that to add up bytes is enough for as long as they are few."""
    assert len(packed(light)) > size_of(light).weight


def test_large_sessions_are_sealed_in_steps_until_none_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_age, "SEAL_BYTES_MAX", 50_000)
    store = open_store(tmp_path)
    try:
        for name in "abc":
            made = wide(0)
            made.participantSessionId = name
            put(store, made)
        assert [seal(store, now=99) for _ in range(3)] == [2, 1, 0]
    finally:
        store.close()
