"""Care for SQLite's file: copies of it, what is wrong inside it, no trace of what was erased."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import apsw

from roomtone.errors import Conflict
from roomtone.store import block, sqlite_fleet
from roomtone.store.sqlite_files import (
    BUSY_MS_MAX,
    MEDIUM_ERRORS,
    PROGRESS_STEPS,
    connect,
    fetch,
)
from roomtone.store.sqlite_rows import ROW_BYTES, block_of, write_block

PAGES_PER_STEP: Final = 256

_OTHERS: Final = """
DELETE FROM live WHERE id / 128 IN (SELECT key FROM session WHERE org <> ?1);
DELETE FROM measure WHERE session IN (SELECT key FROM session WHERE org <> ?1);
DELETE FROM detail WHERE session IN (SELECT key FROM session WHERE org <> ?1);
DELETE FROM source WHERE org <> ?1;
DELETE FROM fleet_column WHERE part IN (SELECT key FROM fleet_part WHERE org <> ?1);
DELETE FROM fleet_part WHERE org <> ?1;
DELETE FROM fleet_value WHERE org <> ?1;
DELETE FROM fleet WHERE org <> ?1;
DELETE FROM setting WHERE org <> ?1;
DELETE FROM verdict WHERE org <> ?1;
DELETE FROM session WHERE org <> ?1;
DELETE FROM meeting WHERE org <> ?1;
DELETE FROM removed WHERE org <> ?1;
DELETE FROM org WHERE key <> ?1;
"""


def backup(
    source: Path, target: Path, *, org: str | None, progress: Callable[[float], None] | None
) -> None:
    """Copy the file as it is at one moment; it appears under its name when it is complete."""
    if target.exists():
        raise Conflict(f"{target.name} exists already")
    partial = target.with_name(f".{target.name}.partial")
    try:
        _copy(source, partial, progress)
        _finish(partial, org, progress)
        os.link(partial, target)
    finally:
        for name in (partial.name, f"{partial.name}-wal", f"{partial.name}-shm"):
            partial.with_name(name).unlink(missing_ok=True)


def _copy(source: Path, partial: Path, progress: Callable[[float], None] | None) -> None:
    read, write = connect(source), apsw.Connection(str(partial))
    try:
        # a transaction held open keeps the copy to one moment, whatever is written meanwhile
        read.execute("BEGIN; SELECT 1 FROM org").fetchall()
        with write.backup("main", read, "main") as copying:
            while not copying.done:
                copying.step(PAGES_PER_STEP)
                if progress is not None:
                    pages = max(copying.page_count, 1)
                    progress(1 - copying.remaining / pages)
    finally:
        write.close()
        read.close()


def _finish(partial: Path, org: str | None, progress: Callable[[float], None] | None) -> None:
    db = connect(partial)

    def go_on() -> bool:
        if progress is not None:
            progress(1.0)
        return False

    try:
        db.set_progress_handler(go_on, PROGRESS_STEPS)
        # one file without companions, and on the disk before it gets its name
        db.execute("PRAGMA journal_mode = DELETE; PRAGMA synchronous = FULL").fetchall()
        if org is not None:
            row = db.execute("SELECT key FROM org WHERE name = ?", (org,)).fetchone()
            key = -1 if row is None else int(row[0])
            with db:
                for statement in _OTHERS.strip().split("\n"):
                    db.execute(statement, (key,))
                db.execute("DELETE FROM token WHERE org <> ?", (org,))
                _rewrite_blocks(db, go_on)
            db.execute("VACUUM")
    finally:
        db.close()
    with partial.open("rb") as file:
        os.fsync(file.fileno())


def _rewrite_blocks(db: apsw.Connection, go_on: Callable[[], bool]) -> None:
    """Write the blocks that sessions have into new rows, and remove the old ones."""
    last = fetch(db, "SELECT ifnull(max(id), 0) FROM block")[0][0]
    first = last + 1
    at = first * ROW_BYTES
    for (key,) in fetch(db, "SELECT key FROM session WHERE block IS NOT NULL ORDER BY key"):
        data = block_of(db, key)
        assert data is not None, "it was there a moment ago"
        go_on()
        write_block(db, key, data, at=at)
        at += len(data)
    db.execute("DELETE FROM block WHERE id < ?", (first,))


def scrub(db: apsw.Connection) -> None:
    """Rewrite the file so that nothing erased is left in it; what is in the way leaves a chore.

    The rewriting and the emptying of the log are two chores: a long read stops only the second,
    and to rewrite the file again for every attempt would fill the disk.
    """
    try:
        if _has_chore(db, "scrub"):
            db.execute("VACUUM")
            db.execute("UPDATE OR REPLACE chore SET name = 'truncate'")
        db.set_busy_timeout(0)  # all posts wait for this
        truncated = db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        if truncated[0] == 0:
            db.execute("DELETE FROM chore WHERE name = 'truncate'")
    except MEDIUM_ERRORS:
        return
    finally:
        db.set_busy_timeout(BUSY_MS_MAX)


def _has_chore(db: apsw.Connection, name: str) -> bool:
    return bool(fetch(db, "SELECT 1 FROM chore WHERE name = ?", name))


def check(db: apsw.Connection) -> list[str]:
    """What is wrong, in words."""
    return [*_wrong_in_file(db), *_wrong_in_sessions(db), *sqlite_fleet.wrong(db)]


def _wrong_in_file(db: apsw.Connection) -> Iterator[str]:
    for (text,) in db.execute("PRAGMA integrity_check"):
        if text != "ok":
            yield f"file: {text}"
    for table, row, parent, _ in db.execute("PRAGMA foreign_key_check"):
        yield f"{table} row {row} points to no row of {parent}"
    if db.execute("SELECT 1 FROM chore").fetchone():
        yield "traces of erased data may be left in the files; a server that runs removes them"


def _wrong_in_sessions(db: apsw.Connection) -> Iterator[str]:
    for (key,) in db.execute(
        "SELECT key FROM session s WHERE sealed = 0 AND NOT EXISTS"
        " (SELECT 1 FROM live WHERE id BETWEEN s.key * 128 AND s.key * 128 + 127)"
    ):
        yield f"session {key} has nothing in it"
    for key, meeting in fetch(
        db,
        "SELECT s.key, m.id FROM session s JOIN meeting m ON m.key = s.meeting WHERE s.sealed = 1",
    ):
        data = block_of(db, key)
        if data is None:
            yield f"session {key} is sealed but has no block"
            continue
        try:
            block.decode(data, meeting)
        except block.Damaged as error:
            yield f"block of session {key}: {error}"
