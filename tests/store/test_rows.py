"""Blocks in rows: neighbours are read at once, and right whatever was deleted between them."""

from typing import Any

import apsw
import pytest

from roomtone.store.sqlite_rows import ROW_BYTES, blocks_at, delete_block, write_block

SIZES = (5 * ROW_BYTES // 2, 2 * ROW_BYTES, 100, 2 * ROW_BYTES)


@pytest.mark.parametrize("gone", [(), (0,), (1,), (2,), (1, 2), (0, 1, 2)])
def test_blocks_are_read_whatever_was_deleted_between_them(gone: tuple[int, ...]) -> None:
    db = apsw.Connection(":memory:")
    db.execute("CREATE TABLE block (id INTEGER PRIMARY KEY, used INTEGER, data BLOB)")
    db.execute("CREATE TABLE session (key INTEGER PRIMARY KEY, block INTEGER, block_bytes INTEGER)")
    blocks = [bytes([65 + key]) * size for key, size in enumerate(SIZES)]
    for key, data in enumerate(blocks):
        db.execute("INSERT INTO session (key) VALUES (?)", (key,))
        write_block(db, key, data, at=sum(SIZES[:key]))
    for key in gone:
        delete_block(db, key)
    places: list[Any] = db.execute("SELECT block, block_bytes FROM session ORDER BY key").fetchall()
    expected = [None if key in gone else data for key, data in enumerate(blocks)]
    assert blocks_at(db, places) == expected
    assert blocks_at(db, places[::-1]) == expected[::-1]
