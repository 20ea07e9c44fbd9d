"""Scored sessions in SQLite: a meeting's records in a row, and runs of rows again as columns."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple

import apsw
import numpy as np
import zstandard
from numpy.typing import NDArray

from roomtone.errors import TooLarge
from roomtone.fleet.dimensions import Dimension
from roomtone.fleet.sessions import (
    CODE_MAX,
    COLUMNS,
    OTHER,
    OTHER_CODE,
    RECORD,
    FleetQuery,
    Sessions,
)
from roomtone.store.fleet_rows import (
    Code,
    Records,
    Value,
    codes_in,
    record_of,
    records_of,
    sessions_of,
    values_in,
)
from roomtone.store.sqlite_files import fetch
from roomtone.store.verdicts import SessionRow

PART_SESSIONS_MIN: Final = 8_192
PART_SESSIONS_MAX: Final = 16_384
"""Some 10 ms to make, in which posts wait."""
LEVEL: Final = 3
SIZE: Final = "<u4"
ID_MAX: Final = 2**63 - 1
MEETINGS: Final = "meetings"
"""Beside COLUMNS: how many sessions of each meeting there are, one behind the other."""

_USE: Final = (
    "UPDATE fleet_value SET uses = uses + ?4 WHERE org = ?1 AND dimension = ?2 AND text = ?3"
    " RETURNING code"
)
_NEW: Final = "INSERT INTO fleet_value (org, dimension, code, text, uses) VALUES (?, ?, ?, ?, ?)"
_DROP: Final = (
    "UPDATE fleet_value SET uses = uses - ?4 WHERE org = ?1 AND dimension = ?2 AND code = ?3"
    " RETURNING uses"
)
_FORGET: Final = "DELETE FROM fleet_value WHERE org = ? AND dimension = ? AND code = ?"
_LAST: Final = (
    "SELECT ifnull(max(code), 0) FROM fleet_value WHERE org = ? AND dimension = ? AND code <= ?"
)
_CODES: Final = "SELECT code FROM fleet_value WHERE org = ? AND dimension = ? AND code <= ?"
_PART: Final = "SELECT key FROM fleet_part WHERE org = ?1 AND first_id <= ?2 AND last_id >= ?2"
_PARTS: Final = (
    "SELECT key, first_id, last_id, sessions, first_ms, last_ms FROM fleet_part WHERE org = ?"
    " ORDER BY first_id"
)
_LOOSE: Final = "SELECT records FROM fleet WHERE org = ?1 AND id BETWEEN ?2 AND ?3 ORDER BY id"
_LOOSE_BYTES: Final = (
    "SELECT ifnull(sum(length(records)), 0) FROM fleet WHERE org = ?1 AND id BETWEEN ?2 AND ?3"
)


Gaps = dict[Dimension, Iterator[int]]
"""The codes that are free between others, for the dimensions in which they were needed."""


class Part(NamedTuple):
    """A run of rows that is there as columns, too."""

    key: int
    first_id: int
    last_id: int
    sessions: int
    first_ms: int
    last_ms: int


class Span(NamedTuple):
    """Ids of rows, both ends included."""

    first_id: int
    last_id: int


# -- writing


def put_rows(db: apsw.Connection, org: int, meeting: int, rows: Sequence[SessionRow]) -> None:
    """Put a meeting's rows in the place of those that may be there."""
    gaps: Gaps = {}
    code_of = {value: _use(db, org, value, count, gaps) for value, count in values_in(rows).items()}
    # after the new ones, so that a value which stays keeps its code
    forget_meeting(db, meeting)
    if rows:
        records = np.array([record_of(row, code_of) for row in rows], RECORD)
        db.execute(
            "INSERT INTO fleet (org, meeting, records) VALUES (?, ?, ?)",
            (org, meeting, records.tobytes()),
        )


def _use(db: apsw.Connection, org: int, value: Value, count: int, gaps: Gaps) -> int:
    dimension, text = value
    found = db.execute(_USE, (org, dimension, text, count)).fetchone()
    if found is not None:
        return int(found[0])
    code = _free(db, org, dimension, gaps)
    if code == OTHER_CODE and text != OTHER:
        return _use(db, org, (dimension, OTHER), count, gaps)
    db.execute(_NEW, (org, dimension, code, text, count))
    return code


def _free(db: apsw.Connection, org: int, dimension: Dimension, gaps: Gaps) -> int:
    last = int(fetch(db, _LAST, org, dimension, CODE_MAX)[0][0])
    if last < CODE_MAX:
        return last + 1
    if dimension not in gaps:  # it takes some ten milliseconds: once for all rows of a meeting
        used = {code for (code,) in fetch(db, _CODES, org, dimension, CODE_MAX)}
        gaps[dimension] = (code for code in range(1, CODE_MAX + 1) if code not in used)
    return next(gaps[dimension], OTHER_CODE)


def _unused(db: apsw.Connection, org: int, codes: Counter[Code]) -> None:
    for (dimension, code), count in codes.items():
        left = fetch(db, _DROP, org, dimension, code, count)
        if left and not left[0][0]:
            db.execute(_FORGET, (org, dimension, code))


def forget_meeting(db: apsw.Connection, meeting: int) -> None:
    """Remove a meeting's rows, and the texts that nobody else uses."""
    for row, org, data in fetch(
        db, "SELECT id, org, records FROM fleet WHERE meeting = ?", meeting
    ):
        _unused(db, org, codes_in(records_of(data)))
        _dissolve(db, org, row)
        db.execute("DELETE FROM fleet WHERE id = ?", (row,))


def _dissolve(db: apsw.Connection, org: int, row: int) -> None:
    for (part,) in fetch(db, _PART, org, row):
        db.execute("DELETE FROM fleet_column WHERE part = ?", (part,))
        db.execute("DELETE FROM fleet_part WHERE key = ?", (part,))


# -- parts


def settle(db: apsw.Connection) -> int:
    """Make one part out of rows that are in none; return of how many sessions, 0 when none is due.

    Rows between two parts are due whatever their number, those behind the last when they are many.
    """
    for (org,) in fetch(db, "SELECT key FROM org ORDER BY key"):
        parts = _parts(db, org)
        for span in _between(parts):
            behind_all = span.last_id == ID_MAX
            found = _loose(db, org, span, sessions_max=PART_SESSIONS_MAX)
            sessions = sum(len(data) for _, data in found) // RECORD.itemsize
            if found and (not behind_all or sessions >= PART_SESSIONS_MIN):
                _pack(db, org, found)
                return sessions
    return 0


def _parts(db: apsw.Connection, org: int) -> list[Part]:
    return [Part(*row) for row in fetch(db, _PARTS, org)]


def _between(parts: Iterable[Part]) -> Iterator[Span]:
    """The ids that are in no part."""
    first = 0
    for part in parts:
        if first < part.first_id:
            yield Span(first, part.first_id - 1)
        first = part.last_id + 1
    yield Span(first, ID_MAX)


def _loose(
    db: apsw.Connection, org: int, span: Span, *, sessions_max: int
) -> list[tuple[int, bytes]]:
    """(id, records) of the first rows of a span, of about so many sessions."""
    found: list[tuple[int, bytes]] = []
    left = sessions_max * RECORD.itemsize
    for row in db.execute(
        "SELECT id, records FROM fleet WHERE org = ? AND id BETWEEN ? AND ? ORDER BY id",
        (org, *span),
    ):
        found.append(row)
        left -= len(row[1])
        if left <= 0:
            break
    return found


def _pack(db: apsw.Connection, org: int, found: list[tuple[int, bytes]]) -> None:
    records = records_of(b"".join([data for _, data in found]))
    joined = records["joinMs"]
    times = (int(joined.min()), int(joined.max()))
    db.execute(
        "INSERT INTO fleet_part (org, first_id, last_id, sessions, first_ms, last_ms)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (org, found[0][0], found[-1][0], len(records), *times),
    )
    part = db.last_insert_rowid()
    press = zstandard.ZstdCompressor(level=LEVEL).compress
    columns = {name: np.ascontiguousarray(records[name]) for name in COLUMNS}
    columns[MEETINGS] = _sizes(data for _, data in found)
    for name, column in columns.items():
        db.execute(
            "INSERT INTO fleet_column (part, name, data) VALUES (?, ?, ?)",
            (part, name, press(column.tobytes())),
        )


def _sizes(meetings: Iterable[bytes]) -> NDArray[Any]:
    """How many sessions each meeting has."""
    return np.array([len(data) // RECORD.itemsize for data in meetings], SIZE)


# -- reading


def sessions(db: apsw.Connection, org: str, query: FleetQuery) -> Sessions:
    """What the query asks for; TooLarge when that is more than its `sessions_max`."""
    found = fetch(db, "SELECT key FROM org WHERE name = ?", org)
    key = int(found[0][0]) if found else -1
    parts = _parts(db, key)
    spans = list(_between(parts))
    wanted = [p for p in parts if p.last_ms >= query.from_ms and p.first_ms < query.to_ms]
    loose = sum(int(fetch(db, _LOOSE_BYTES, key, *span)[0][0]) for span in spans)
    if sum(part.sessions for part in wanted) + loose // RECORD.itemsize > query.sessions_max:
        raise TooLarge(
            f"There are more than {query.sessions_max:,} sessions in that time; ask for less of it."
        )
    rows = [data for span in spans for (data,) in fetch(db, _LOOSE, key, *span)]
    records = records_of(b"".join(rows))
    pieces = {name: [*_columns(db, name, wanted), records[name]] for name in query.columns}
    sizes = np.concatenate([*_columns(db, MEETINGS, wanted), _sizes(rows)])
    return sessions_of(query, sizes, pieces, lambda dimension: _texts(db, key, dimension))


def _columns(db: apsw.Connection, name: str, parts: Iterable[Part]) -> Iterator[Any]:
    """A column of each part."""
    kind = SIZE if name == MEETINGS else COLUMNS[name]
    unpress = zstandard.ZstdDecompressor().decompress
    for part in parts:
        ((data,),) = fetch(
            db, "SELECT data FROM fleet_column WHERE part = ? AND name = ?", part.key, name
        )
        yield np.frombuffer(unpress(data), kind)


def _texts(db: apsw.Connection, org: int, dimension: Dimension) -> dict[int, str]:
    found = fetch(
        db, "SELECT code, text FROM fleet_value WHERE org = ? AND dimension = ?", org, dimension
    )
    return {int(code): str(text) for code, text in found}


# -- care


def wrong(db: apsw.Connection) -> Iterator[str]:
    """What is wrong, in words."""
    for org, name in fetch(db, "SELECT key, name FROM org ORDER BY key"):
        uses: Counter[Code] = Counter()
        for (data,) in db.execute("SELECT records FROM fleet WHERE org = ?", (org,)):
            uses.update(codes_in(records_of(data)))
        told = {
            (dimension, code): count
            for dimension, code, count in fetch(
                db, "SELECT dimension, code, uses FROM fleet_value WHERE org = ?", org
            )
        }
        if told != uses:
            yield f"the values of {name}'s scored sessions are counted wrongly"
        yield from _wrong_parts(db, org)


def _wrong_parts(db: apsw.Connection, org: int) -> Iterator[str]:
    for part in _parts(db, org):
        rows = fetch(db, _LOOSE, org, part.first_id, part.last_id)
        records: Records = records_of(b"".join([data for (data,) in rows]))
        expected = {name: records[name] for name in COLUMNS}
        expected[MEETINGS] = _sizes(data for (data,) in rows)
        try:
            same = all(
                np.array_equal(next(_columns(db, name, [part])), column)
                for name, column in expected.items()
            )
        except (zstandard.ZstdError, ValueError):
            same = False
        if not same:
            yield f"part {part.key} of scored sessions is not what they are"
