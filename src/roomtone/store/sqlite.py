"""The store in one SQLite file (APSW, WAL): one writing connection, a pool of reading ones."""

# ruff: noqa: D102 the protocol `Store` says what each call does

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from math import inf
from pathlib import Path

from roomtone.errors import Unavailable
from roomtone.fleet.sessions import FleetQuery, Sessions
from roomtone.model import MediaSession, Meeting, MeetingNews, Participant
from roomtone.store import (
    Attendance,
    Counts,
    MeetingQuery,
    SessionDetail,
    Summary,
    Token,
    sqlite_care,
    sqlite_fleet,
    sqlite_read,
    sqlite_verdicts,
)
from roomtone.store.records import meeting_of
from roomtone.store.sqlite_age import Ageing
from roomtone.store.sqlite_files import FILE_NAME, Readers, open_writer, speaking
from roomtone.store.sqlite_recent import Recent
from roomtone.store.verdicts import JudgedMeeting, Scores, Stale, VerdictQuery

PROBE_BYTES = 4_096


class SQLiteStore:
    """Keeps everything in `roomtone.db` in one folder; see the protocol `Store`."""

    def __init__(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Unavailable(f"the data folder cannot be made: {error.strerror}") from error
        self.folder = folder
        self.path = folder / FILE_NAME
        self._writer = Ageing(open_writer(self.path))
        self._readers = Readers(self.path)
        self._quick_readers = Readers(self.path)  # an event loop must not wait behind long reads
        self._recent = Recent(self.path)

    def close(self) -> None:
        self._readers.close()
        self._quick_readers.close()
        self._recent.close()
        self._writer.db.close()

    @speaking
    def ping(self) -> None:
        db = self._readers.take()
        try:
            db.execute("SELECT 1 FROM org LIMIT 1").fetchall()
        finally:
            self._readers.give(db)
        probe = self.folder / f".probe-{os.getpid()}"
        try:
            probe.write_bytes(bytes(PROBE_BYTES))
            probe.unlink()
        except OSError as error:
            raise Unavailable("the data folder cannot be written") from error

    def transaction(self) -> AbstractContextManager[None]:
        return self._writer.transaction()

    # -- writing

    def put_meeting(self, org: str, news: MeetingNews, now_ms: int) -> Meeting:
        return self._writer.put_meeting(org, news, now_ms)

    def put_session(self, org: str, session: MediaSession, now_ms: int) -> None:
        self._writer.put_session(org, session, now_ms)

    def measure_state(self, org: str, session_id: str) -> bytes:
        return self._writer.measure_state(org, session_id)

    def put_measure_state(self, org: str, session_id: str, state: bytes) -> None:
        self._writer.put_measure_state(org, session_id, state)

    def attendances(self, org: str, meeting_id: str, participant_id: str) -> list[Attendance]:
        return self._writer.attendances(org, meeting_id, participant_id)

    def put_detail(self, org: str, session_id: str, detail: bytes) -> None:
        self._writer.put_detail(org, session_id, detail)

    def kept_detail(self, org: str, session_id: str) -> bytes:
        return self._writer.kept_detail(org, session_id)

    def source_state(self, org: str, key: str) -> bytes:
        return self._writer.source_state(org, key)

    def put_source_state(self, org: str, key: str, state: bytes, now_ms: int) -> None:
        self._writer.put_source_state(org, key, state, now_ms)

    def put_setting(self, org: str, name: str, value: bytes) -> None:
        self._writer.put_setting(org, name, value)

    def put_scores(self, org: str, meeting_id: str, scores: Scores) -> bool:
        return self._writer.put_scores(org, meeting_id, scores)

    def settle_fleet(self) -> int:
        return self._writer.settle_fleet()

    def seal(self, now_ms: int, *, silence_ms: int, limit: int) -> int:
        return self._writer.seal(now_ms, silence_ms=silence_ms, limit=limit)

    def purge(self, org: str | None, *, before_ms: int, limit: int) -> int:
        return self._writer.purge(org, before_ms=before_ms, limit=limit)

    def erase(self, org: str, email: str) -> int:
        return self._writer.erase(org, email)

    def put_token(self, token: Token) -> None:
        self._writer.put_token(token)

    def revoke_token(self, org: str, hash_prefix: str, now_ms: int) -> int:
        return self._writer.revoke_token(org, hash_prefix, now_ms)

    # -- reading

    @speaking
    def token(self, token_hash: bytes) -> Token | None:
        found: Token | None = self._recent.read(sqlite_read.token, token_hash)
        return found

    @speaking
    def tokens(self, org: str) -> list[Token]:
        with self._readers.moment(inf) as db:
            return sqlite_read.tokens(db, org)

    @speaking
    def meeting(self, org: str, meeting_id: str) -> Meeting | None:
        with self._readers.moment(inf) as db:
            found = sqlite_read.record(db, org, meeting_id)
            return None if found is None else meeting_of(found[1])

    @speaking
    def meetings(self, org: str, query: MeetingQuery, *, deadline: float) -> list[Meeting]:
        with self._readers.moment(deadline) as db:
            return sqlite_read.meetings(db, org, query)

    @speaking
    def version(self, org: str, meeting_id: str) -> int:
        version: int = self._recent.read(sqlite_read.version, org, meeting_id)
        return version

    @speaking
    def sessions(
        self, org: str, meeting_id: str, *, offset: int, limit: int, deadline: float
    ) -> list[MediaSession]:
        with self._readers.moment(deadline) as db:
            rows = sqlite_read.found(db, org, meeting_id, offset=offset, limit=limit)
        portions = sqlite_read.portions(rows, meeting_id, deadline, for_json=False)
        return [session for portion in portions for session in portion]

    @speaking
    def sessions_for_json(
        self, org: str, meeting_id: str, *, offset: int, limit: int, deadline: float
    ) -> Iterator[list[MediaSession]]:
        with self._quick_readers.moment(deadline) as db:
            rows = sqlite_read.found(db, org, meeting_id, offset=offset, limit=limit)
        return sqlite_read.portions(rows, meeting_id, deadline, for_json=True)

    @speaking
    def detail(self, org: str, session_id: str) -> SessionDetail | None:
        with self._readers.moment(inf) as db:
            return sqlite_read.detail(db, org, session_id)

    @speaking
    def participants(
        self, org: str, meeting_id: str, *, offset: int, limit: int, deadline: float
    ) -> list[Participant]:
        with self._readers.moment(deadline) as db:
            return sqlite_read.participants(
                db, org, meeting_id, offset=offset, limit=limit, deadline=deadline
            )

    @speaking
    def summaries(self, org: str, *, from_ms: int, to_ms: int, limit: int) -> list[Summary]:
        with self._readers.moment(inf) as db:
            return sqlite_read.summaries(db, org, from_ms=from_ms, to_ms=to_ms, limit=limit)

    @speaking
    def setting(self, org: str, name: str) -> bytes:
        with self._readers.moment(inf) as db:
            return sqlite_verdicts.setting(db, org, name)

    @speaking
    def revision(self, org: str) -> int:
        revision: int = self._recent.read(sqlite_verdicts.revision, org)
        return revision

    @speaking
    def stale(self, org: str | None, *, model: int, limit: int) -> list[Stale]:
        with self._readers.moment(inf) as db:
            return sqlite_verdicts.stale(db, org, model=model, limit=limit)

    @speaking
    def stale_count(self, org: str | None, *, model: int) -> int:
        with self._readers.moment(inf) as db:
            return sqlite_verdicts.stale_count(db, org, model=model)

    @speaking
    def judged(self, org: str, query: VerdictQuery, *, deadline: float) -> list[JudgedMeeting]:
        with self._readers.moment(deadline) as db:
            return sqlite_verdicts.judged(db, org, query)

    @speaking
    def fleet(self, org: str, query: FleetQuery, *, deadline: float) -> Sessions:
        with self._readers.moment(deadline) as db:
            return sqlite_fleet.sessions(db, org, query)

    @speaking
    def counts(self, org: str | None) -> Counts:
        with self._readers.moment(inf) as db:
            return sqlite_read.counts(db, org)

    @speaking
    def organisations(self) -> list[str]:
        with self._readers.moment(inf) as db:
            return sqlite_read.organisations(db)

    @speaking
    def backup(
        self, target: Path, *, org: str | None, progress: Callable[[float], None] | None = None
    ) -> None:
        sqlite_care.backup(self.path, target, org=org, progress=progress)

    @speaking
    def check(self) -> list[str]:
        with self._readers.moment(inf) as db:
            return sqlite_care.check(db)
