"""What only a store in files can do, and how it fails: durability, erasure, backup, bad media."""

import itertools
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw
import pytest

from roomtone.errors import Conflict, TimedOut, Unavailable
from roomtone.model import MediaSession
from roomtone.store import Store, Token, open_store, sqlite_care, sqlite_read
from roomtone.store.sqlite import SQLiteStore
from roomtone.store.sqlite_files import FILE_NAME, migrate
from roomtone.store.sqlite_rows import PIECES_MAX
from tests.store.support import (
    M1,
    M2,
    S1,
    S2,
    T0,
    announce,
    at,
    everything,
    exact,
    piece,
    put,
    read,
    read_one,
    seal,
    soon,
)

Reopen = Callable[[], Store]


def engine(store: Store) -> SQLiteStore:
    assert isinstance(store, SQLiteStore)
    return store


def writer(store: Store) -> apsw.Connection:
    return engine(store)._writer.db


def all_bytes(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir())


def test_what_was_committed_is_there_after_opening_again(sqlite: Store, reopen: Reopen) -> None:
    announce(sqlite, title="kept")
    put(sqlite, piece(0), piece(0, session=S2, webexUserName="Ann"))
    seal(sqlite, now=9)
    put(sqlite, piece(2), now=9)
    before = exact(read(sqlite)), sqlite.version("acme", M1), exact(sqlite.meeting("acme", M1))
    again = reopen()
    assert (
        exact(read(again)),
        again.version("acme", M1),
        exact(again.meeting("acme", M1)),
    ) == before
    put(again, piece(1), now=9)
    assert len(read(sqlite)[0].audioIn) == 1


def test_a_commit_is_synchronous_and_erases_for_good(sqlite: Store) -> None:
    db = writer(sqlite)
    assert db.pragma("journal_mode") == "wal"
    assert db.pragma("synchronous") == 2
    assert db.pragma("secure_delete") == 1
    assert db.pragma("foreign_keys") == 1


def test_two_processes_may_write_the_same_sessions(sqlite: Store, reopen: Reopen) -> None:
    other = reopen()
    put(sqlite, piece(0))
    put(other, piece(1))
    put(sqlite, piece(2))
    seal(other, now=9)
    put(sqlite, piece(3), now=9)
    with other.transaction():
        assert other.erase("acme", "nobody@example.com") == 0
    put(sqlite, piece(4, session=S2), now=9)
    seal(sqlite, now=99)
    with other.transaction():
        assert other.purge(None, before_ms=1 << 45, limit=9) == 1
    put(sqlite, piece(0, meeting=M2))
    assert read_one(other, meeting=M2).audioIn[0].latency == [40]
    assert sqlite.check() == []


def test_repeated_pieces_do_not_pile_up(sqlite: Store) -> None:
    for _ in range(5 * PIECES_MAX):
        put(sqlite, piece(0, 3))
    ((rows,),) = writer(sqlite).execute("SELECT count(*) FROM live").fetchall()
    assert isinstance(rows, int)
    assert rows <= PIECES_MAX
    assert read_one(sqlite).audioIn[0].latency == [40, 41, 42]


def test_migrations_may_run_again(sqlite: Store, reopen: Reopen) -> None:
    put(sqlite, piece(0))
    writer(sqlite).pragma("user_version", 0)
    migrate(writer(sqlite))
    assert read_one(reopen()).audioIn[0].latency == [40]


def test_a_file_of_a_later_version_is_refused(sqlite: Store, folder: Path) -> None:
    writer(sqlite).pragma("user_version", 9_999)
    with pytest.raises(Unavailable, match="later version"):
        open_store(folder)


@pytest.mark.parametrize("kind", ["a file", "not a database"])
def test_a_folder_that_cannot_be_used_is_unavailable(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "data"
    if kind == "a file":
        folder.write_text("in the way")
    else:
        folder.mkdir()
        (folder / FILE_NAME).write_bytes(b"not a database" * 1000)
    with pytest.raises(Unavailable):
        open_store(folder)


# -- a failing medium


def _run(db: apsw.Connection, sql: str) -> None:
    db.execute(sql).fetchall()


def spoil(store: Store, fault: str) -> Callable[[], None]:
    """Make the medium fail; return how to repair it."""
    db = writer(store)
    if fault == "full":
        db.execute(f"PRAGMA max_page_count = {db.pragma('page_count')}").fetchall()
        return lambda: _run(db, "PRAGMA max_page_count = 1000000")
    if fault == "read-only":
        db.pragma("query_only", True)
        return lambda: _run(db, "PRAGMA query_only = OFF")
    db.set_busy_timeout(1)
    other = apsw.Connection(str(engine(store).path))
    other.execute("BEGIN EXCLUSIVE")
    return other.close


FAULTS = pytest.mark.parametrize("fault", ["full", "read-only", "locked"])


def big(store: Store) -> None:
    for n in range(50):
        store.put_session("acme", piece(n * 200, 100, session=f"big {n}"), T0)


@FAULTS
def test_a_failing_medium_keeps_nothing_and_recovers(
    sqlite: Store, fault: str, reopen: Reopen
) -> None:
    put(sqlite, piece(0))
    before = exact(read(sqlite)), sqlite.version("acme", M1)
    repair = spoil(sqlite, fault)
    for _ in range(2):
        with pytest.raises(Unavailable), sqlite.transaction():
            big(sqlite)
    assert (exact(read(sqlite)), sqlite.version("acme", M1)) == before
    repair()
    with sqlite.transaction():
        big(sqlite)
    assert len(read(sqlite)) == len(read(reopen())) == 51
    assert sqlite.check() == []


def test_an_error_caught_inside_a_transaction_still_spoils_it(sqlite: Store) -> None:
    put(sqlite, piece(0))
    repair = spoil(sqlite, "full")
    with pytest.raises(Unavailable), sqlite.transaction():  # noqa: PT012 that is what is tested
        sqlite.put_session("acme", piece(1), T0)
        with pytest.raises(Unavailable), sqlite.transaction():
            big(sqlite)
        with pytest.raises(Unavailable):
            sqlite.put_session("acme", piece(2), T0)
    repair()
    assert read_one(sqlite).audioIn[0].latency == [40]
    put(sqlite, piece(1))
    assert read_one(sqlite).audioIn[0].latency == [40, 41]


def test_a_folder_that_is_gone_is_not_ready(sqlite: Store, folder: Path) -> None:
    sqlite.ping()
    folder.rename(folder.with_name("moved"))
    with pytest.raises(Unavailable):
        sqlite.ping()


def test_a_long_read_is_interrupted_at_its_deadline(
    sqlite: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def endless(db: apsw.Connection, *_: Any) -> list[Any]:
        return db.execute(
            "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT max(x) FROM n"
        ).fetchall()

    monkeypatch.setattr(sqlite_read, "meetings", endless)
    with pytest.raises(TimedOut):
        sqlite.meetings("acme", everything(), deadline=soon() - 59.9)
    monkeypatch.undo()
    assert sqlite.meetings("acme", everything(), deadline=soon()) == []


def test_readers_in_many_threads_see_whole_commits(sqlite: Store) -> None:
    put(sqlite, piece(0), piece(0, session=S2))
    torn: list[object] = []
    stop = threading.Event()

    def watch() -> None:
        while not stop.is_set():
            first, second = read(sqlite)
            if first.audioIn != second.audioIn:
                torn.append((first, second))

    threads = [threading.Thread(target=watch) for _ in range(4)]
    for thread in threads:
        thread.start()
    for n in range(1, 100):
        put(sqlite, piece(n), piece(n, session=S2), now=n)
        if n % 30 == 0:
            seal(sqlite, now=n + 10)
    stop.set()
    for thread in threads:
        thread.join()
    assert torn == []


# -- erasure and copies


def person(n: int) -> dict[str, Any]:
    return {
        "webexUserName": f"Zaphod Beeblebrox {n}",
        "webexUserEmail": "zaphod@heartofgold.example",
        "localIP": "10.77.66.55",
    }


def test_nothing_of_an_erased_person_remains_in_the_files(sqlite: Store, folder: Path) -> None:
    announce(sqlite, hostEmail="Zaphod@heartofgold.example", hostDisplayName="Zaphod Beeblebrox")
    for n in range(40):
        put(sqlite, *(piece(k, session=f"s{n}", **person(n)) for k in range(n)), now=n)
        seal(sqlite, now=n)
    header = json.dumps({"webexUserEmail": "zaphod@heartofgold.example", "osType": "mac"})
    collector = Token(
        hash=b"h",
        org="acme",
        kind="collector",
        scopes=frozenset(),
        created_ms=0,
        participant=header.encode(),
        label="for Zaphod@heartofgold.example",
    )
    with sqlite.transaction():
        sqlite.put_token(collector)
        sqlite.put_measure_state("acme", "s39", b"\x00zaphod@heartofgold.example")
    assert b"eeblebrox" in all_bytes(folder)
    with sqlite.transaction():
        assert sqlite.erase("acme", "zaphod@HEARTOFGOLD.example") == 40
    left = all_bytes(folder).lower()
    for trace in (b"eeblebrox", b"zaphod", b"heartofgold", b"10.77.66.55"):
        assert trace not in left
    kept = sqlite.token(b"h")
    assert kept is not None
    assert json.loads(kept.participant) == {"osType": "mac"}
    assert sqlite.check() == []
    assert all(session.webexUserName == "" for session in read(sqlite))


def test_an_e_mail_that_was_corrected_is_erased_from_the_pieces_before(
    sqlite: Store, folder: Path
) -> None:
    put(sqlite, piece(0, webexUserEmail="typo@example.com"))
    put(sqlite, piece(1, webexUserEmail="right@example.com"))
    with sqlite.transaction():
        assert sqlite.erase("acme", "typo@example.com") == 0
    assert b"typo@example.com" not in all_bytes(folder)
    assert read_one(sqlite).webexUserEmail == "right@example.com"


def test_an_erasure_that_readers_hold_up_costs_posts_nothing_and_is_finished_by_upkeep(
    sqlite: Store, folder: Path
) -> None:
    put(sqlite, piece(0, **person(1)))
    reader = apsw.Connection(str(engine(sqlite).path))
    reader.execute("BEGIN; SELECT * FROM live").fetchall()
    with sqlite.transaction():
        assert sqlite.erase("acme", person(1)["webexUserEmail"]) == 1
    statements: list[str] = []
    writer(sqlite).trace_v2(apsw.SQLITE_TRACE_STMT, lambda event: statements.append(event["sql"]))
    put(sqlite, piece(1))
    seal(sqlite, now=1)
    assert any("COMMIT" in sql for sql in statements)
    assert not any("VACUUM" in sql for sql in statements), "each rewrites the file into the log"
    assert any("traces" in text for text in sqlite.check())
    reader.close()
    seal(sqlite, now=2)
    assert b"eeblebrox" not in all_bytes(folder)
    assert sqlite.check() == []


def test_an_erasure_that_was_cut_off_before_the_files_were_rewritten_is_finished_by_upkeep(
    sqlite: Store, folder: Path, reopen: Reopen, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(sqlite, piece(0, **person(1)))
    with monkeypatch.context() as cut:
        cut.setattr(sqlite_care, "scrub", lambda db: None)
        with sqlite.transaction():
            assert sqlite.erase("acme", person(1)["webexUserEmail"]) == 1
    assert b"eeblebrox" in all_bytes(folder)
    again = reopen()
    seal(again, now=1)
    assert b"eeblebrox" not in all_bytes(folder)
    assert again.check() == []


def test_a_backup_opens_and_holds_the_same(sqlite: Store, tmp_path: Path) -> None:
    put(sqlite, *(piece(n, session=f"s{n}") for n in range(30)))
    seal(sqlite, now=20)
    target = tmp_path / "restored" / FILE_NAME
    target.parent.mkdir()
    seen: list[float] = []
    sqlite.backup(target, org=None, progress=seen.append)
    assert seen[-1] == 1
    assert seen == sorted(seen)
    assert [path.name for path in target.parent.iterdir()] == [FILE_NAME]
    put(sqlite, piece(99))
    restored = open_store(target.parent)
    try:
        assert len(read(restored)) == 30
        assert exact(read(restored)) == exact(read(sqlite)[:30])
        put(restored, piece(1, session="later"))
        assert restored.check() == []
    finally:
        restored.close()
    with pytest.raises(Conflict):
        sqlite.backup(target, org=None)


def test_a_backup_of_one_organisation_holds_nothing_of_another(
    sqlite: Store, tmp_path: Path
) -> None:
    put(sqlite, piece(0, webexUserName="Ours"))
    put(sqlite, piece(0, webexUserName="Zaphod Beeblebrox"), org="umbrella")
    put(sqlite, piece(0, session=S2, meeting=M2), org="umbrella")
    seal(sqlite, now=9)
    put(sqlite, piece(1, webexUserName="Zaphod Beeblebrox"), org="umbrella", now=9)
    with sqlite.transaction():
        sqlite.put_token(
            Token(
                hash=b"h",
                org="umbrella",
                kind="access",
                scopes=frozenset(),
                created_ms=0,
                label="Zaphod",
            )
        )
    target = tmp_path / "copy" / FILE_NAME
    target.parent.mkdir()
    sqlite.backup(target, org="acme")
    data = target.read_bytes()
    assert b"Zaphod" not in data
    assert b"umbrella" not in data
    copy = open_store(target.parent)
    try:
        assert copy.organisations() == ["acme"]
        assert read_one(copy).webexUserName == "Ours"
        assert copy.check() == []
    finally:
        copy.close()


@pytest.mark.parametrize("at", [0, 1, 2, 5])
def test_a_backup_ends_when_its_progress_raises_and_leaves_nothing(
    sqlite: Store, tmp_path: Path, at: int
) -> None:
    put(sqlite, *(long_piece(n) for n in range(20)))
    seal(sqlite, now=9)
    calls = itertools.count()

    def progress(_part: float) -> None:
        if next(calls) == at:
            raise KeyError("enough")

    copy = tmp_path / "copy"
    copy.mkdir()
    with pytest.raises(KeyError, match="enough"):
        sqlite.backup(copy / "roomtone.db", org="acme", progress=progress)
    assert list(copy.iterdir()) == []


def test_a_backup_shows_one_moment_while_others_write(
    sqlite: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_care, "PAGES_PER_STEP", 16)
    put(sqlite, *(piece(0, 500, session=f"s{n}") for n in range(60)))
    target = tmp_path / "copy" / FILE_NAME
    target.parent.mkdir()
    steps: list[float] = []

    def write_between(done: float) -> None:
        steps.append(done)
        put(sqlite, piece(len(steps), session=S1))

    sqlite.backup(target, org=None, progress=write_between)
    assert len(steps) > 1
    copy = open_store(target.parent)
    try:
        assert copy.counts("acme").sessions == 60
        assert copy.check() == []
    finally:
        copy.close()


def test_check_names_what_is_wrong(sqlite: Store) -> None:
    put(sqlite, piece(0), piece(0, session=S2), piece(0, session="third"))
    seal(sqlite, now=9)
    db = writer(sqlite)
    db.execute("UPDATE session SET block = 7 WHERE key = 1")
    db.execute("UPDATE session SET block = NULL WHERE key = 2")
    db.execute("PRAGMA foreign_keys = OFF; UPDATE session SET meeting = 77 WHERE key = 3")
    told = " / ".join(sqlite.check())
    assert "block of session 1" in told
    assert "session 2 is sealed but has no block" in told
    assert "session row 3 points to no row of meeting" in told


def long_piece(n: int, meeting: str = M1) -> MediaSession:
    made = piece(0, 3_000, meeting=meeting, session=f"long {meeting} {n}", **person(n))
    made.audioIn[0].mediaBitRate = [(n + 1) * k * 7_919 % 100_003 for k in range(3_000)]
    return made


def test_blocks_share_rows_and_leave_them_when_they_go(sqlite: Store, folder: Path) -> None:
    db = writer(sqlite)
    for n in range(4):
        put(sqlite, long_piece(n), long_piece(n, meeting=M2), now=10 * n)
        seal(sqlite, now=10 * n + 9)
    kept = exact(read(sqlite))
    before = db.execute("SELECT count(*) FROM block").fetchone()
    put(sqlite, piece(0, session="long M2 late", meeting=M2), long_piece(0, meeting=M2), now=50)
    seal(sqlite, now=59)
    with sqlite.transaction():
        db.execute("UPDATE meeting SET state = 'ended', end_ms = 0 WHERE id = ?", (M2,))
        assert sqlite.purge("acme", before_ms=1, limit=9) == 1
    after = db.execute("SELECT count(*) FROM block").fetchone()
    assert before is not None
    assert after is not None
    assert after[0] < before[0] * 0.8
    assert exact(read(sqlite)) == kept
    ((used, held),) = db.execute(
        "SELECT (SELECT sum(used) FROM block), (SELECT sum(block_bytes) FROM session)"
    )
    assert used == held
    with sqlite.transaction():
        assert sqlite.erase("acme", person(1)["webexUserEmail"]) == 4
    assert b"eeblebrox" not in all_bytes(folder)
    assert sqlite.check() == []


def test_sealing_makes_a_store_smaller(sqlite: Store, folder: Path) -> None:
    for minute in range(40):
        pieces = [piece(minute, session=f"s{n}", webexUserName=f"Person {n}") for n in range(50)]
        put(sqlite, *pieces, now=minute)
    live = writer(sqlite).pragma("page_count")
    assert isinstance(live, int)
    while seal(sqlite, now=99):
        pass
    for _ in range(20):
        seal(sqlite, now=99)
    sealed = writer(sqlite).pragma("page_count")
    assert isinstance(sealed, int)
    assert sealed < live / 2
    assert len(read(sqlite)) == 50
    assert at(40) == read(sqlite)[0].leaveTime
