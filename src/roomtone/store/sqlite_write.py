"""SQLite's writing side: transactions, announcements and the pieces of sessions.

The way of a piece is kept short: the writer remembers the sessions and meetings that it met, so
that a further piece of a known session costs one INSERT. What it remembers is dropped when a
transaction fails and when another process has written.
"""

from typing import Final

import apsw
from msgspec import UNSET, structs

from roomtone.errors import Gone
from roomtone.model import MediaSession, Meeting, MeetingNews
from roomtone.store import Attendance, Token, block
from roomtone.store.records import (
    MeetingRecord,
    amended,
    first_sample_ms,
    meeting_of,
)
from roomtone.store.size import WEIGHT_MAX, Size, size_of
from roomtone.store.sqlite_files import fetch
from roomtone.store.sqlite_known import (
    KnownMeeting,
    KnownSession,
    refuse_contradiction,
    set_times,
    take_header,
)
from roomtone.store.sqlite_rows import (
    MEETING_COLUMNS,
    MEETING_FIELDS,
    PIECE_KEYS,
    PIECES_MAX,
    TOKEN_COLUMNS,
    TOKEN_FIELDS,
    block_of,
    meeting_record,
    packed,
    participant_hash,
    pieces_of,
    session_id,
    stored_id,
    token_row,
    whole,
)
from roomtone.store.sqlite_transaction import Transactions, writing
from roomtone.store.timeline import time_ms

SMALL_BYTES: Final = 1_024
"""Of a piece whose size is not worth a look: its bytes are more than its weight."""
SESSIONS_REMEMBERED_MAX: Final = 20_000
MEETINGS_REMEMBERED_MAX: Final = 20_000

_INSERT_PIECE: Final = "INSERT INTO live (id, heard_ms, piece) VALUES (?, ?, ?)"
_INSERT_MEETING: Final = (
    f"INSERT INTO meeting (org, start_ms, {', '.join(MEETING_FIELDS)})"
    f" VALUES (?, ?{', ?' * len(MEETING_FIELDS)})"
)
_KEPT_FIELDS: Final = tuple(name for name in MEETING_FIELDS if name not in ("id", "version"))
_UPDATE_MEETING: Final = (
    f"UPDATE meeting SET start_ms = ?, {', '.join(f'{n} = ?' for n in _KEPT_FIELDS)} WHERE key = ?"
)
_INSERT_SESSION: Final = (
    "INSERT INTO session (org, id, meeting, sealed, created_ms, heard_ms, join_ms, left_ms,"
    " email_hash, participant, join_sent_ms, first_ms) VALUES (?, ?, ?, 0, ?, 0, ?, ?, 0, ?, ?, ?)"
)
_UPDATE_SESSION: Final = (
    "UPDATE session SET sealed = 0, join_ms = ?, left_ms = ?, participant = ?, join_sent_ms = ?,"
    " first_ms = ? WHERE key = ?"
)
_FIND_SESSION: Final = (
    "SELECT s.key, m.id, s.sealed, s.created_ms, s.left_ms, s.participant, s.join_sent_ms,"
    " s.first_ms, s.block IS NOT NULL, (SELECT ifnull(sum(length(l.piece)), 0) FROM live l"
    " WHERE l.id BETWEEN s.key * ?3 AND s.key * ?3 + ?3 - 1),"
    " (SELECT max(l.id) FROM live l WHERE l.id BETWEEN s.key * ?3 AND s.key * ?3 + ?3 - 1)"
    " FROM session s JOIN meeting m ON m.key = s.meeting WHERE s.org = ?1 AND s.id = ?2"
)
_ATTENDANCES: Final = (
    "SELECT s.id, s.join_ms, s.left_ms, ifnull((SELECT l.heard_ms FROM live l WHERE l.id BETWEEN"
    " s.key * ?3 AND s.key * ?3 + ?3 - 1 ORDER BY l.id DESC LIMIT 1), s.created_ms) FROM session s"
    " WHERE s.meeting = ?1 AND s.sealed = 0 AND s.participant = ?2"
    " ORDER BY s.join_ms DESC, s.key DESC"
)


class Writer(Transactions):
    """Announcements, pieces and tokens; what was met is remembered."""

    def __init__(self, db: apsw.Connection) -> None:
        super().__init__(db)
        self.sessions: dict[tuple[str, str], KnownSession] = {}
        self.meetings: dict[tuple[str, str], KnownMeeting] = {}
        self.orgs: dict[str, int] = {}

    def forget(self, names: list[tuple[str, str]]) -> None:
        """Do not remember these (organisation, meeting or session)."""
        self.orgs.clear()
        for name in names:
            self.sessions.pop(name, None)
            self.meetings.pop(name, None)

    def forget_all(self) -> None:
        """Remember nothing."""
        self.sessions.clear()
        self.meetings.clear()
        self.orgs.clear()

    def forget_session(self, org: str, session: str) -> None:
        """Do not remember a session."""
        self.sessions.pop((org, session), None)

    # -- organisations and meetings

    def org(self, name: str) -> int:
        """The organisation's key; it is made when it is new."""
        key = self.orgs.get(name)
        if key is None:
            row = self.db.execute("SELECT key FROM org WHERE name = ?", (name,)).fetchone()
            if row is None:
                self.db.execute("INSERT INTO org (name) VALUES (?)", (name,))
            key = self.orgs[name] = self.db.last_insert_rowid() if row is None else int(row[0])
        return key

    def known_meeting(self, org: str, meeting_id: str) -> KnownMeeting | None:
        """The meeting, remembered or read; Gone if it was removed."""
        known = self.meetings.get((org, meeting_id))
        if known is not None:
            return known
        key = self.org(org)
        row = self.db.execute(
            f"SELECT m.key, {MEETING_COLUMNS} FROM meeting m WHERE m.org = ? AND m.id = ?",
            (key, meeting_id),
        ).fetchone()
        if row is None:
            self._refuse_removed(key, meeting_id)
            return None
        known = KnownMeeting(row[0], meeting_record(row[1:]))
        self._remember_meeting(org, known)
        return known

    def _refuse_removed(self, org: int, meeting_id: str) -> None:
        if self.db.execute(
            "SELECT 1 FROM removed WHERE org = ? AND id = ?", (org, meeting_id)
        ).fetchone():
            raise Gone("the meeting was removed by retention")

    def _remember_meeting(self, org: str, known: KnownMeeting) -> None:
        if len(self.meetings) >= MEETINGS_REMEMBERED_MAX:
            self.meetings.pop(next(iter(self.meetings)))
        self.meetings[org, known.record.id] = known

    def create_meeting(self, org: str, record: MeetingRecord) -> KnownMeeting:
        """Add a meeting."""
        values = (self.org(org), record.start_ms, *structs.astuple(record))
        self.db.execute(_INSERT_MEETING, values)
        known = KnownMeeting(self.db.last_insert_rowid(), record)
        self._remember_meeting(org, known)
        self.change_meeting(org, known)
        return known

    def update_meeting(self, org: str, known: KnownMeeting, record: MeetingRecord) -> None:
        """Write a meeting anew."""
        values = [getattr(record, name) for name in _KEPT_FIELDS]
        self.db.execute(_UPDATE_MEETING, (record.start_ms, *values, known.key))
        known.record = record
        self.change_meeting(org, known)

    def change_meeting(self, org: str, known: KnownMeeting) -> None:
        """Note that a read of the meeting may now answer something else."""
        self.touch(org, known.record.id)
        self.change(known.key)

    @writing
    def put_meeting(self, org: str, news: MeetingNews, now_ms: int) -> Meeting:
        """Announce or amend a meeting."""
        assert news.id is not UNSET
        known = self.known_meeting(org, news.id)
        if known is None:
            fresh = MeetingRecord(id=news.id, created_ms=now_ms, heard_ms=now_ms)
            return meeting_of(self.create_meeting(org, amended(fresh, news, now_ms)).record)
        self.update_meeting(org, known, amended(known.record, news, now_ms))
        return meeting_of(known.record)

    # -- sessions

    @writing
    def put_session(self, org: str, session: MediaSession, now_ms: int) -> None:
        """Append one piece."""
        name = (org, session.participantSessionId)
        known = self.sessions.get(name) or self._find_session(org, session)
        meeting = self.known_meeting(org, session.meetingInstanceId)
        if known is not None:
            refuse_contradiction(known, session)
        piece = packed(session)
        weight_max = len(piece) if len(piece) <= SMALL_BYTES else size_of(session).weight
        weight_max += known.weight_max if known else 0
        size = self._grown(known, session) if weight_max > WEIGHT_MAX else None
        if meeting is None:
            fresh = MeetingRecord(id=session.meetingInstanceId, created_ms=now_ms, heard_ms=now_ms)
            meeting = self.create_meeting(org, fresh)
        self.touch(*name)
        if known is None:
            known = self._create_session(org, session, meeting, now_ms)
        else:
            self._amend_session(org, session, known, meeting)
        self.cursor.execute(_INSERT_PIECE, (known.key * PIECE_KEYS + known.pieces, now_ms, piece))
        known.pieces += 1
        known.weight_max, known.size, known.counted = weight_max, size, False
        self.change_meeting(org, meeting)
        if known.pieces > PIECES_MAX:
            self.compact(known)

    def _grown(self, known: KnownSession | None, piece: MediaSession) -> Size:
        """The session's size with a piece, or more than it; Conflict when it is too large."""
        more = size_of(piece)
        if known is None:
            return Size().grown(more)
        if known.size is None or not (known.counted or known.size.takes(more)):
            data = block_of(self.db, known.key) if known.has_block else None
            pieces = [kept for _, kept in pieces_of(self.db, known.key)]
            known.size, known.counted = size_of(whole(known.meeting, data, pieces)), True
        return known.size.grown(more)

    def _find_session(self, org: str, session: MediaSession) -> KnownSession | None:
        """The session if it exists; a sealed one is found but not reopened yet."""
        stored = stored_id(session.participantSessionId)
        row = self.db.execute(_FIND_SESSION, (self.org(org), stored, PIECE_KEYS)).fetchone()
        if row is None:
            return None
        key, meeting, sealed, created, left, participant, join_sent, first, block_, size, last = row
        pieces = 0 if last is None else last % PIECE_KEYS + 1
        known = KnownSession(key, meeting, created, pieces, bool(sealed), bool(block_))
        known.weight_max = WEIGHT_MAX if block_ else size
        if sealed:
            self._open_block(known)
        else:
            known.participant, known.left_ms = participant, left
            set_times(known, join_sent, first)
        self._remember_session((org, session.participantSessionId), known)
        return known

    def _open_block(self, known: KnownSession) -> None:
        data = block_of(self.db, known.key)
        assert data is not None, "a sealed session has a block"
        session = block.decode(data, known.meeting)
        known.weight_max = size_of(session).weight
        known.participant = participant_hash(session.participantId)
        known.left_ms = None if session.leaveTime is UNSET else time_ms(session.leaveTime)
        sent = None if session.joinTime is UNSET else time_ms(session.joinTime)
        set_times(known, sent, first_sample_ms(session))

    def _remember_session(self, name: tuple[str, str], known: KnownSession) -> None:
        if len(self.sessions) >= SESSIONS_REMEMBERED_MAX:
            self.sessions.pop(next(iter(self.sessions)))
        self.sessions[name] = known

    def _create_session(
        self, org: str, session: MediaSession, meeting: KnownMeeting, now_ms: int
    ) -> KnownSession:
        known = KnownSession(key=0, meeting=meeting.record.id, created_ms=now_ms)
        take_header(known, session)
        row = (
            self.org(org),
            stored_id(session.participantSessionId),
            meeting.key,
            now_ms,
            known.join_ms,
            known.left_ms,
            known.participant,
            known.join_sent_ms,
            known.first_ms,
        )
        self.db.execute(_INSERT_SESSION, row)
        known.key = self.db.last_insert_rowid()
        self._remember_session((org, session.participantSessionId), known)
        self._joined(org, meeting, known.join_ms, before_ms=None)
        return known

    def _amend_session(
        self, org: str, session: MediaSession, known: KnownSession, meeting: KnownMeeting
    ) -> None:
        before_ms = known.join_ms
        if not take_header(known, session) and not known.sealed:
            if meeting.record.state != "inProgress":
                self._joined(org, meeting, known.join_ms, before_ms=before_ms)
            return
        if known.sealed:
            known.sealed = False
        row = (known.join_ms, known.left_ms, known.participant, known.join_sent_ms, known.first_ms)
        self.db.execute(_UPDATE_SESSION, (*row, known.key))
        self._joined(org, meeting, known.join_ms, before_ms=before_ms)

    def _joined(
        self, org: str, meeting: KnownMeeting, join_ms: int, *, before_ms: int | None
    ) -> None:
        """Keep the meeting's earliest joinTime and its state right."""
        record = meeting.record
        earliest = record.joined_ms
        if earliest is None or join_ms < earliest:
            earliest = join_ms
        elif before_ms == earliest and join_ms > before_ms:
            sessions = "SELECT min(join_ms) FROM session WHERE meeting = ?"
            earliest = fetch(self.db, sessions, meeting.key)[0][0]
        if earliest != record.joined_ms or record.state != "inProgress":
            record = structs.replace(record, joined_ms=earliest, state="inProgress", end_ms=None)
            self.update_meeting(org, meeting, record)

    @writing
    def attendances(self, org: str, meeting_id: str, participant_id: str) -> list[Attendance]:
        """The open sessions of a participant, the last joined first."""
        meeting = self.known_meeting(org, meeting_id)
        if meeting is None:
            return []
        wanted = (meeting.key, participant_hash(participant_id), PIECE_KEYS)
        return [
            Attendance(session_id(name), *times)
            for name, *times in fetch(self.db, _ATTENDANCES, *wanted)
        ]

    def compact(self, known: KnownSession) -> None:
        """Fold a session's live rows into one."""
        rows = pieces_of(self.db, known.key)
        folded = whole(known.meeting, None, [data for _, data in rows])
        self.replace_pieces(known.key, rows[-1][0], packed(folded))
        if not known.has_block:
            known.weight_max = size_of(folded).weight
        known.pieces = 1

    def replace_pieces(self, key: int, heard_ms: int, piece: bytes) -> None:
        """Put one row in the place of a session's live rows."""
        self.delete_pieces(key)
        self.db.execute(_INSERT_PIECE, (key * PIECE_KEYS, heard_ms, piece))

    def delete_pieces(self, key: int) -> None:
        """Remove a session's live rows."""
        first = key * PIECE_KEYS
        self.db.execute(
            "DELETE FROM live WHERE id BETWEEN ? AND ?", (first, first + PIECE_KEYS - 1)
        )

    @writing
    def put_token(self, token: Token) -> None:
        """Add or replace a token."""
        marks = ", ".join("?" * len(TOKEN_FIELDS))
        self.db.execute(
            f"INSERT OR REPLACE INTO token ({TOKEN_COLUMNS}) VALUES ({marks})", token_row(token)
        )

    @writing
    def revoke_token(self, org: str, hash_prefix: str, now_ms: int) -> int:
        """Revoke the valid tokens whose hash starts so."""
        self.db.execute(
            "UPDATE token SET revoked_ms = ?3 WHERE org = ?1 AND revoked_ms IS NULL"
            " AND (expires_ms IS NULL OR expires_ms > ?3)"
            " AND substr(lower(hex(hash)), 1, length(?2)) = lower(?2)",
            (org, hash_prefix, now_ms),
        )
        return self.db.changes()
