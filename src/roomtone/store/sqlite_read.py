"""SQLite's reading side: each function reads from a connection that is inside one transaction."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Final, NamedTuple

import apsw

from roomtone.errors import Gone
from roomtone.model import MediaSession, Meeting, Participant
from roomtone.store import Counts, MeetingQuery, SessionDetail, Summary, Token, block
from roomtone.store.records import (
    MeetingRecord,
    fits,
    join_ms,
    meeting_of,
    participants_of,
)
from roomtone.store.sqlite_files import fetch, watch
from roomtone.store.sqlite_rows import (
    MEETING_COLUMNS,
    SUMMARY_FIELDS,
    TOKEN_COLUMNS,
    blocks_at,
    meeting_record,
    pieces_of,
    session_id,
    stored_id,
    summary_of_row,
    token_of,
    whole,
)
from roomtone.store.timeline import time_text

_VERSION: Final = (
    "SELECT version FROM meeting WHERE org = (SELECT key FROM org WHERE name = ?1) AND id = ?2"
)
_REMOVED: Final = (
    "SELECT 1 FROM removed WHERE org = (SELECT key FROM org WHERE name = ?1) AND id = ?2"
)
_TOKEN: Final = f"SELECT {TOKEN_COLUMNS} FROM token WHERE hash = ?"
_MEETING: Final = (
    f"SELECT m.key, {MEETING_COLUMNS} FROM meeting m"
    " WHERE m.org = (SELECT key FROM org WHERE name = ?1) AND m.id = ?2"
)
_MEETINGS: Final = (
    f"SELECT {MEETING_COLUMNS} FROM meeting m WHERE m.org = (SELECT key FROM org WHERE name = ?1)"
    " AND m.start_ms >= ?2 AND m.start_ms < ?3 ORDER BY m.start_ms DESC, m.id"
)
_SESSIONS: Final = (
    "SELECT s.key, s.id, s.sealed, s.created_ms, s.join_ms, s.left_ms, s.block,"
    " s.block_bytes FROM session s WHERE s.meeting ="
    " (SELECT key FROM meeting WHERE org = (SELECT key FROM org WHERE name = ?1) AND id = ?2)"
    " ORDER BY s.key LIMIT ?3 OFFSET ?4"
)
_SUMMARIES: Final = (
    f"SELECT m.id, s.id, s.join_ms, s.left_ms, {', '.join(f's.{n}' for n in SUMMARY_FIELDS)}"
    " FROM session s JOIN meeting m ON m.key = s.meeting"
    " WHERE s.org = (SELECT key FROM org WHERE name = ?) AND s.sealed = 1"
    " AND s.join_ms >= ? AND s.join_ms < ? ORDER BY s.join_ms, s.key LIMIT ?"
)
_COUNTS: Final = (
    "WITH chosen AS (SELECT key FROM org WHERE ?1 IS NULL OR name = ?1)"
    " SELECT (SELECT count(*) FROM meeting WHERE org IN chosen), count(*), sum(sealed)"
    " FROM session WHERE org IN chosen"
)
_ORGANISATIONS: Final = (
    "SELECT name FROM org o WHERE EXISTS (SELECT 1 FROM meeting m WHERE m.org = o.key)"
    " UNION SELECT org FROM token ORDER BY 1"
)


_DETAIL: Final = (
    "SELECT m.id, d.data FROM session s JOIN meeting m ON m.key = s.meeting"
    " LEFT JOIN detail d ON d.session = s.key"
    " WHERE s.org = (SELECT key FROM org WHERE name = ?) AND s.id = ?"
)
_NUMBER_MAX: Final = 1 << 62
BLOCKS_AT_ONCE_MAX: Final = 32
SEALED_AT_ONCE_MAX: Final = 12
PIECES_AT_ONCE_MAX: Final = 64


def _bounded(number: int) -> int:
    """SQLite's whole numbers have 64 bits, a caller's may have more."""
    return max(-_NUMBER_MAX, min(_NUMBER_MAX, number))


def version(db: apsw.Connection, org: str, meeting_id: str) -> int:
    """The meeting's version; 0 if unknown, Gone if removed."""
    row = db.execute(_VERSION, (org, meeting_id)).fetchone()
    if row is None:
        _refuse_removed(db, org, meeting_id)
        return 0
    return int(row[0])


def _refuse_removed(db: apsw.Connection, org: str, meeting_id: str) -> None:
    if db.execute(_REMOVED, (org, meeting_id)).fetchone() is not None:
        raise Gone("the meeting was removed by retention")


def detail(db: apsw.Connection, org: str, session: str) -> SessionDetail | None:
    """The session's meeting, and what is told of it beside its columns."""
    row = db.execute(_DETAIL, (org, stored_id(session))).fetchone()
    return None if row is None else SessionDetail(meeting=row[0], data=row[1] or b"")


def token(db: apsw.Connection, token_hash: bytes) -> Token | None:
    """The token with this hash."""
    row = db.execute(_TOKEN, (token_hash,)).fetchone()
    return None if row is None else token_of(row)


def tokens(db: apsw.Connection, org: str) -> list[Token]:
    """Access and refresh tokens, oldest first."""
    rows = db.execute(
        f"SELECT {TOKEN_COLUMNS} FROM token WHERE org = ? AND kind <> 'collector'"
        " ORDER BY created_ms, hash",
        (org,),
    )
    return [token_of(row) for row in rows]


def record(db: apsw.Connection, org: str, meeting_id: str) -> tuple[int, MeetingRecord] | None:
    """The meeting's key and record; None if unknown, Gone if removed."""
    row = db.execute(_MEETING, (org, meeting_id)).fetchone()
    if row is None:
        _refuse_removed(db, org, meeting_id)
        return None
    return int(row[0]), meeting_record(row[1:])


def meetings(db: apsw.Connection, org: str, query: MeetingQuery) -> list[Meeting]:
    """The page of meetings that fit the query."""
    found: list[Meeting] = []
    skip = query.offset
    for row in db.execute(_MEETINGS, (org, _bounded(query.from_ms), _bounded(query.to_ms))):
        if len(found) >= query.limit:
            break
        # filtered here, not in SQL: lower() of SQLite knows ASCII only
        meeting = meeting_record(row)
        if not fits(meeting, query):
            continue
        if skip:
            skip -= 1
        else:
            found.append(meeting_of(meeting))
    return found


class Found(NamedTuple):
    """A session's rows, read but not decoded."""

    stored_id: str | bytes
    sealed: bool
    created_ms: int
    joined_ms: int
    left_ms: int
    data: bytes | None
    pieces: list[bytes]


def found(
    db: apsw.Connection, org: str, meeting_id: str, *, offset: int, limit: int
) -> list[Found]:
    """A page of the meeting's sessions, in order of first arrival, as they are stored."""
    rows = fetch(db, _SESSIONS, org, meeting_id, _bounded(limit), _bounded(offset))
    if not rows:
        _refuse_removed(db, org, meeting_id)
    blocks: list[bytes | None] = []
    for first in range(0, len(rows), BLOCKS_AT_ONCE_MAX):
        blocks += blocks_at(db, [row[-2:] for row in rows[first : first + BLOCKS_AT_ONCE_MAX]])
    pieces = [[] if row[2] else [piece for _, piece in pieces_of(db, row[0])] for row in rows]
    return [Found(*row[1:6], *rest) for row, *rest in zip(rows, blocks, pieces, strict=True)]


def portions(
    rows: Sequence[Found], meeting_id: str, deadline: float, *, for_json: bool
) -> Iterator[list[MediaSession]]:
    """Sessions of these rows, whole, in steps of some milliseconds; TimedOut after the deadline."""
    decode = partial(block.decode_all, meeting_id=meeting_id, for_json=for_json)
    for step in _steps(rows):
        watch(deadline)
        yield list(_decoded(step, meeting_id, decode))


def _steps(rows: Sequence[Found]) -> Iterator[Sequence[Found]]:
    first, pieces = 0, 0
    for at, row in enumerate(rows):
        pieces += len(row.pieces)
        if at > first and (at - first >= SEALED_AT_ONCE_MAX or pieces > PIECES_AT_ONCE_MAX):
            yield rows[first:at]
            first, pieces = at, len(row.pieces)
    if first < len(rows):
        yield rows[first:]


def _decoded(
    rows: Sequence[Found], meeting_id: str, decode: Callable[[list[bytes]], list[MediaSession]]
) -> Iterator[MediaSession]:
    """Sessions, whole; `decode` reads the blocks of those that are sealed."""
    sealed_ones = iter(decode([row.data for row in rows if row.sealed and row.data]))
    for row in rows:
        if row.sealed:
            session = next(sealed_ones)
            session.joinTime, session.leaveTime = time_text(row.joined_ms), time_text(row.left_ms)
        else:
            session = whole(meeting_id, row.data, row.pieces)
            session.joinTime = time_text(join_ms(session, row.created_ms))
        session.meetingInstanceId = meeting_id
        session.participantSessionId = session_id(row.stored_id)
        yield session


def _headers(blocks: list[bytes], meeting_id: str) -> list[MediaSession]:
    return [block.decode_header(data, meeting_id) for data in blocks]


def participants(
    db: apsw.Connection, org: str, meeting_id: str, *, offset: int, limit: int, deadline: float
) -> list[Participant]:
    """A page of the meeting's participants."""
    meeting = record(db, org, meeting_id)
    if meeting is None:
        return []
    rows = found(db, org, meeting_id, offset=0, limit=-1)
    watch(deadline)
    people = _decoded(rows, meeting_id, partial(_headers, meeting_id=meeting_id))
    return participants_of(people, meeting_of(meeting[1]), org)[offset : offset + limit]


def summaries(
    db: apsw.Connection, org: str, *, from_ms: int, to_ms: int, limit: int
) -> list[Summary]:
    """Summary rows of sealed sessions."""
    rows = db.execute(_SUMMARIES, (org, *map(_bounded, (from_ms, to_ms, limit))))
    return [summary_of_row(meeting, row) for meeting, *row in rows]


def counts(db: apsw.Connection, org: str | None) -> Counts:
    """How much there is."""
    meetings_, sessions_, sealed = fetch(db, _COUNTS, org)[0]
    sealed = sealed or 0
    return Counts(meetings=meetings_, sessions=sessions_, sealed=sealed, live=sessions_ - sealed)


def organisations(db: apsw.Connection) -> list[str]:
    """Names of organisations that have a meeting or a token."""
    return [str(name) for (name,) in db.execute(_ORGANISATIONS)]
