"""What time does to the record in SQLite: sealing, retention, erasure."""

from typing import Final

from msgspec import structs

from roomtone.model import iso_ms
from roomtone.store import TOKEN_KEPT_MS, block, sqlite_care, sqlite_fleet
from roomtone.store.records import (
    anonymised,
    anonymised_token,
    ended,
    join_ms,
    leave_ms,
    mentions,
    summary_of,
)
from roomtone.store.sqlite_files import fetch
from roomtone.store.sqlite_known import KnownMeeting
from roomtone.store.sqlite_rows import (
    PIECE_KEYS,
    SUMMARY_FIELDS,
    TOKEN_COLUMNS,
    block_of,
    delete_block,
    email_hash,
    packed,
    pieces_of,
    put_block,
    session_id,
    summary_values,
    token_of,
    whole,
)
from roomtone.store.sqlite_transaction import writing
from roomtone.store.sqlite_verdicts import Verdicts

VACUUM_PAGES_MAX: Final = 512
SCRUB_EVERY_MS: Final = 10_000
SEAL_BYTES_MAX: Final = 512 * 1024

_DUE: Final = """
SELECT s.key, s.id, s.created_ms, o.name, m.id FROM session s
JOIN meeting m ON m.key = s.meeting JOIN org o ON o.key = s.org
WHERE s.sealed = 0 AND (s.left_ms <= ?1 OR m.announced_end_ms <= ?1 OR
  (SELECT l.heard_ms FROM live l WHERE l.id BETWEEN s.key * ?3 AND s.key * ?3 + ?3 - 1
   ORDER BY l.id DESC LIMIT 1) <= ?1 - ?2)
ORDER BY s.key LIMIT ?4
"""
_OVER: Final = """
SELECT o.name, m.id, (SELECT max(left_ms) FROM session s WHERE s.meeting = m.key)
FROM meeting m JOIN org o ON o.key = m.org
WHERE m.state = 'inProgress' AND m.heard_ms <= ?1
  AND NOT EXISTS (SELECT 1 FROM session s WHERE s.meeting = m.key AND s.sealed = 0)
  AND NOT EXISTS (SELECT 1 FROM session s WHERE s.meeting = m.key AND s.heard_ms > ?1)
  AND (m.start_ms <= ?1 OR EXISTS (SELECT 1 FROM session s WHERE s.meeting = m.key))
ORDER BY m.key LIMIT ?2
"""
_BEGUN: Final = """
SELECT o.name, m.id FROM meeting m JOIN org o ON o.key = m.org
WHERE m.state = 'scheduled' AND m.start_ms <= ? ORDER BY m.key LIMIT ?
"""
_SEALED: Final = f"""
UPDATE session SET sealed = 1, heard_ms = ?, join_ms = ?, left_ms = ?, email_hash = ?,
participant = NULL, join_sent_ms = NULL, first_ms = NULL,
{", ".join(f"{name} = ?" for name in SUMMARY_FIELDS)} WHERE key = ?
"""
_PURGED: Final = """
SELECT m.key, m.org, m.id FROM meeting m WHERE m.state = 'ended' AND m.end_ms < ?1
AND (?2 IS NULL OR m.org = (SELECT key FROM org WHERE name = ?2)) ORDER BY m.key LIMIT ?3
"""
_DROP_TOKENS: Final = """
DELETE FROM token WHERE hash IN (SELECT hash FROM token
WHERE expires_ms <= ? ORDER BY expires_ms, hash LIMIT ?)
"""


class Ageing(Verdicts):
    """The writer, with the calls that close, shrink and remove."""

    _scrub_at_ms = 0

    @writing
    def seal(self, now_ms: int, *, silence_ms: int, limit: int) -> int:
        """Seal the sessions that are due, end and begin meetings, give back free pages."""
        due = fetch(self.db, _DUE, now_ms, silence_ms, PIECE_KEYS, limit)
        sealed = length = 0
        for key, stored, created_ms, org, meeting_id in due:
            session = session_id(stored)
            meeting = self._meeting(org, meeting_id)
            length += self._seal(key, created_ms, meeting_id=meeting_id, session=session, org=org)
            self.change_meeting(org, meeting)
            self.forget_session(org, session)
            sealed += 1
            if length > SEAL_BYTES_MAX:  # enough for one step: posts wait for this
                break
        self._turn_meetings(now_ms, silence_ms, limit)
        self.db.execute(_DROP_TOKENS, (now_ms - TOKEN_KEPT_MS, limit))
        self.forget_old_sources(now_ms, limit)
        if not due:
            self._give_back_pages()
            self._finish_scrub(now_ms)
        return sealed

    def _meeting(self, org: str, meeting_id: str) -> KnownMeeting:
        known = self.known_meeting(org, meeting_id)
        assert known is not None, "it was found a moment ago"
        return known

    def _seal(self, key: int, created_ms: int, *, meeting_id: str, session: str, org: str) -> int:
        """Seal one session; return the bytes of the pieces that it was made of."""
        rows = pieces_of(self.db, key)
        heard_ms = rows[-1][0]
        sent = whole(meeting_id, block_of(self.db, key), [piece for _, piece in rows])
        put_block(self.db, key, block.encode(sent, meeting_id))
        self.delete_pieces(key)
        left_ms, joined_ms = leave_ms(sent, heard_ms), join_ms(sent, created_ms)
        sent.meetingInstanceId, sent.participantSessionId = meeting_id, session
        sent.joinTime, sent.leaveTime = iso_ms(joined_ms), iso_ms(left_ms)
        self.db.execute(
            _SEALED,
            (
                heard_ms,
                joined_ms,
                left_ms,
                email_hash(sent.webexUserEmail),
                *summary_values(summary_of(sent)),
                key,
            ),
        )
        self.forget_measuring(key)
        return sum(len(piece) for _, piece in rows)

    def _turn_meetings(self, now_ms: int, silence_ms: int, limit: int) -> None:
        begun = fetch(self.db, _BEGUN, now_ms, limit)
        for org, meeting_id in begun:
            known = self._meeting(org, meeting_id)
            self.update_meeting(org, known, structs.replace(known.record, state="inProgress"))
        over = fetch(self.db, _OVER, now_ms - silence_ms, limit)
        for org, meeting_id, left_ms in over:
            known = self._meeting(org, meeting_id)
            self.update_meeting(org, known, ended(known.record, now_ms, left_ms=left_ms))

    def _give_back_pages(self) -> None:
        if self.db.pragma("freelist_count"):
            self.db.execute(f"PRAGMA incremental_vacuum({VACUUM_PAGES_MAX})").fetchall()

    @writing
    def purge(self, org: str | None, *, before_ms: int, limit: int) -> int:
        """Remove ended meetings; their ids stay as tombstones."""
        rows = fetch(self.db, _PURGED, before_ms, org, limit)
        for key, org_key, meeting_id in rows:
            self._remove_meeting(key)
            self.db.execute("INSERT INTO removed (org, id) VALUES (?, ?)", (org_key, meeting_id))
        if rows:
            self.forget_all()
            self._give_back_pages()
        return len(rows)

    def _remove_meeting(self, key: int) -> None:
        for (session,) in fetch(self.db, "SELECT key FROM session WHERE meeting = ?", key):
            self.delete_pieces(session)
            delete_block(self.db, session)
            self.forget_beside(session)
        self.db.execute("DELETE FROM session WHERE meeting = ?", (key,))
        self.db.execute("DELETE FROM verdict WHERE meeting = ?", (key,))
        sqlite_fleet.forget_meeting(self.db, key)
        self.db.execute("DELETE FROM meeting WHERE key = ?", (key,))

    @writing
    def erase(self, org: str, email: str) -> int:
        """Remove a person's identity from every table, and its traces from the files."""
        if not email:
            return 0
        changed = self._erase_sealed(org, email) + self._erase_live(org, email)
        changed += self._erase_host(org, email)
        self._erase_elsewhere(org, email)
        self.forget_changed_scores(org)
        self.forget_all()
        self.db.execute("INSERT INTO chore (name) VALUES ('scrub') ON CONFLICT DO NOTHING")
        self.after_commit.append(self.scrub)
        return changed

    def scrub(self) -> None:
        """After the commit of an erasure: leave no trace."""
        sqlite_care.scrub(self.db)

    def _finish_scrub(self, now_ms: int) -> None:
        """Do again what was in the way before, or was cut off in this or another process."""
        if now_ms >= self._scrub_at_ms and fetch(self.db, "SELECT 1 FROM chore"):
            self._scrub_at_ms = now_ms + SCRUB_EVERY_MS
            self.after_commit.append(self.scrub)

    def _sessions(self, org: str, condition: str, *values: object) -> list[tuple[int, str]]:
        rows = self.db.execute(
            "SELECT s.key, m.id FROM session s JOIN meeting m ON m.key = s.meeting"
            f" WHERE s.org = ? AND {condition}",
            (self.org(org), *values),
        )
        return [(int(key), str(meeting)) for key, meeting in rows]

    def _erase_sealed(self, org: str, email: str) -> int:
        changed = 0
        suspects = self._sessions(org, "sealed = 1 AND email_hash = ?", email_hash(email))
        for key, meeting in suspects:
            session = whole(meeting, block_of(self.db, key), [])
            if session.webexUserEmail.lower() == email.lower():
                put_block(self.db, key, block.encode(anonymised(session), meeting))
                self.db.execute("UPDATE session SET email_hash = 0 WHERE key = ?", (key,))
                self.change_meeting(org, self._meeting(org, meeting))
                changed += 1
        return changed

    def _erase_live(self, org: str, email: str) -> int:
        changed = 0
        for key, meeting in self._sessions(org, "sealed = 0"):
            rows = pieces_of(self.db, key)
            data = block_of(self.db, key)
            session = whole(meeting, data, [piece for _, piece in rows])
            theirs = session.webexUserEmail.lower() == email.lower()
            # one that a later piece has replaced is gone from the answer, not from the file
            once = data is not None or any(mentions(piece, email) for _, piece in rows)
            if theirs or once:
                self.replace_pieces(
                    key, rows[-1][0], packed(anonymised(session) if theirs else session)
                )
                delete_block(self.db, key)
            if theirs:
                self.change_meeting(org, self._meeting(org, meeting))
                changed += 1
        return changed

    def _erase_host(self, org: str, email: str) -> int:
        rows = fetch(
            self.db,
            "SELECT id, hostEmail FROM meeting WHERE org = ? AND hostEmail <> ''",
            self.org(org),
        )
        hosted = [name for name, host in rows if host.lower() == email.lower()]
        for name in hosted:
            known = self._meeting(org, name)
            blank = {"hostEmail": "", "hostDisplayName": "", "hostUserId": ""}
            self.update_meeting(org, known, structs.replace(known.record, **blank))
        return len(hosted)

    def _erase_elsewhere(self, org: str, email: str) -> None:
        for row in fetch(self.db, f"SELECT {TOKEN_COLUMNS} FROM token WHERE org = ?", org):
            token = token_of(row)
            if (cleared := anonymised_token(token, email)) is not token:
                self.put_token(cleared)
        self.erase_beside(org, email)
