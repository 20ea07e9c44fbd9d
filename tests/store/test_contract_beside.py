"""What is kept beside sessions: details, and what sources remember; the same in every engine."""

from pathlib import Path

import pytest

from roomtone.store import SOURCE_STATE_KEPT_MS, Store, open_store
from tests.store.support import M1, MINUTE, S1, T0, piece, put, seal

DAY = SOURCE_STATE_KEPT_MS / MINUTE


def keep(store: Store, key: str, state: bytes, *, now: float = 0, org: str = "acme") -> None:
    with store.transaction():
        store.put_source_state(org, key, state, T0 + round(now * MINUTE))


def kept(store: Store, key: str, org: str = "acme") -> bytes:
    with store.transaction():
        return store.source_state(org, key)


def test_a_sessions_detail_stays_when_it_is_sealed_and_tells_its_meeting(store: Store) -> None:
    assert store.detail("acme", S1) is None
    put(store, piece(0))
    found = store.detail("acme", S1)
    assert found is not None
    assert (found.meeting, found.data) == (M1, b"")
    with store.transaction():
        store.put_detail("acme", S1, b"one")
        store.put_detail("acme", S1, b"two")
    seal(store, now=99)
    found = store.detail("acme", S1)
    assert found is not None
    assert found.data == b"two"
    assert store.detail("zeta", S1) is None


def test_a_detail_goes_with_its_meeting(store: Store) -> None:
    put(store, piece(0))
    with store.transaction():
        store.put_detail("acme", S1, b"one")
    seal(store, now=99)
    seal(store, now=199)
    with store.transaction():
        assert store.purge("acme", before_ms=T0 + 500 * MINUTE, limit=9) == 1
    assert store.detail("acme", S1) is None


def test_a_source_remembers_by_organisation_and_key(store: Store) -> None:
    keep(store, "janus:a", b"1")
    keep(store, "janus:a", b"2")
    keep(store, "janus:a", b"other", org="zeta")
    assert kept(store, "janus:a") == b"2"
    assert kept(store, "janus:b") == b""
    keep(store, "janus:a", b"")
    assert kept(store, "janus:a") == b""
    assert kept(store, "janus:a", "zeta") == b"other"


def test_what_a_source_did_not_put_for_a_day_is_forgotten(store: Store) -> None:
    keep(store, "old", b"1")
    keep(store, "young", b"1", now=5)
    seal(store, now=DAY + 1)
    assert (kept(store, "old"), kept(store, "young")) == (b"", b"1")


def test_erasing_a_person_forgets_what_sources_remember_of_them(store: Store) -> None:
    put(store, piece(0, webexUserEmail="ada@example.com"))
    keep(store, "a", b"... Ada@Example.com ...")
    keep(store, "b", b"somebody else")
    with store.transaction():
        store.erase("acme", "ada@example.com")
    assert (kept(store, "a"), kept(store, "b")) == (b"", b"somebody else")


@pytest.mark.parametrize("org", [None, "acme"])
def test_a_backup_holds_what_is_beside(sqlite: Store, folder: Path, org: str | None) -> None:
    put(sqlite, piece(0))
    put(sqlite, piece(0), org="zeta")
    with sqlite.transaction():
        sqlite.put_detail("acme", S1, b"one")
        sqlite.put_detail("zeta", S1, b"two")
    keep(sqlite, "a", b"1")
    keep(sqlite, "a", b"2", org="zeta")
    target = folder / "copy" / "roomtone.db"
    target.parent.mkdir()
    sqlite.backup(target, org=org)
    again = open_store(target.parent)
    mine, theirs = again.detail("acme", S1), again.detail("zeta", S1)
    assert mine is not None
    assert mine.data == b"one"
    assert (theirs is None) == (org == "acme")
    assert kept(again, "a", "zeta") == (b"" if org else b"2")
    again.close()
