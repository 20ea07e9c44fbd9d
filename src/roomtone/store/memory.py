"""The store that forgets: plain dictionaries of immutable records, copied for every transaction.

It is the model that other engines are compared with, so it prefers the obvious to the fast.
"""

# ruff: noqa: D102 the protocol `Store` says what each call does

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import RLock

from msgspec import UNSET, structs

from roomtone.errors import Conflict, Unavailable
from roomtone.model import MediaSession, Meeting, MeetingNews, Participant, iso_ms
from roomtone.store import (
    SOURCE_STATE_KEPT_MS,
    TOKEN_KEPT_MS,
    Attendance,
    Counts,
    MeetingQuery,
    SessionDetail,
    Summary,
    Token,
)
from roomtone.store.columns import fold
from roomtone.store.memory_state import Attended, MemoryState
from roomtone.store.memory_verdicts import MemoryVerdicts, watch
from roomtone.store.records import (
    MeetingRecord,
    amended,
    anonymised,
    anonymised_token,
    attendance_of,
    ended,
    fits,
    join_ms,
    leave_ms,
    meeting_of,
    participants_of,
    summary_of,
)
from roomtone.store.size import Size, size_of
from roomtone.store.timeline import time_ms


class MemoryStore(MemoryVerdicts):
    """Keeps everything in dictionaries; see the protocol `Store`."""

    def __init__(self) -> None:
        super().__init__()
        self._writing = RLock()

    def close(self) -> None:
        self._committed = MemoryState()

    def ping(self) -> None:
        pass

    @contextmanager
    def transaction(self) -> Iterator[None]:
        with self._writing:
            self._open.append((self._open[-1] if self._open else self._committed).copy())
            try:
                yield
            except BaseException:
                self._open.pop()
                raise
            done = self._open.pop()
            if self._open:
                self._open[-1] = done
            else:
                self._committed = _published(done)

    def _put(self, org: str, record: MeetingRecord) -> None:
        self._org(org).meetings[record.id] = record
        self._open[-1].changed.add((org, record.id))

    # -- writing

    def put_meeting(self, org: str, news: MeetingNews, now_ms: int) -> Meeting:
        assert news.id is not UNSET
        known = self._org(org).known(news.id)
        record = known or MeetingRecord(id=news.id, created_ms=now_ms, heard_ms=now_ms)
        record = amended(record, news, now_ms)
        self._put(org, record)
        return meeting_of(record)

    def put_session(self, org: str, session: MediaSession, now_ms: int) -> None:
        meeting_id, session_id = session.meetingInstanceId, session.participantSessionId
        data = self._org(org)
        meeting = data.known(meeting_id)
        known = data.sessions.get(session_id)
        if known is not None:
            _refuse_contradiction(known, session)
        (Size() if known is None else size_of(known.whole)).grown(size_of(session))
        if known is None:
            data.attending[meeting_id] = (*data.attending.get(meeting_id, ()), session_id)
        pieces = [session] if known is None else [known.whole, session]
        data.sessions[session_id] = Attended(
            meeting=meeting_id,
            whole=fold(pieces),
            created_ms=now_ms if known is None else known.created_ms,
            heard_ms=now_ms,
            measure_state=b"" if known is None else known.measure_state,
            detail=b"" if known is None else known.detail,
        )
        if meeting is None:
            meeting = MeetingRecord(id=meeting_id, created_ms=now_ms, heard_ms=now_ms)
        joined = min(join_ms(s.whole, s.created_ms) for s in data.attendance(meeting_id))
        self._put(org, structs.replace(meeting, state="inProgress", end_ms=None, joined_ms=joined))

    def measure_state(self, org: str, session_id: str) -> bytes:
        known = self._org(org).sessions.get(session_id)
        return b"" if known is None else known.measure_state

    def put_measure_state(self, org: str, session_id: str, state: bytes) -> None:
        sessions = self._org(org).sessions
        assert session_id in sessions, "state beside a session that was never put"
        sessions[session_id] = structs.replace(sessions[session_id], measure_state=state)

    def attendances(self, org: str, meeting_id: str, participant_id: str) -> list[Attendance]:
        self._org(org).known(meeting_id)
        found = [
            attendance_of(session.whole, session.created_ms, session.heard_ms)
            for session in reversed(self._org(org).attendance(meeting_id))
            if session.sealed is None and session.whole.participantId == participant_id
        ]
        return sorted(found, key=lambda one: -one.join_ms)

    def put_detail(self, org: str, session_id: str, detail: bytes) -> None:
        sessions = self._org(org).sessions
        sessions[session_id] = structs.replace(sessions[session_id], detail=detail)

    def kept_detail(self, org: str, session_id: str) -> bytes:
        known = self._org(org).sessions.get(session_id)
        return b"" if known is None else known.detail

    def source_state(self, org: str, key: str) -> bytes:
        return self._org(org).sources.get(key, (0, b""))[1]

    def put_source_state(self, org: str, key: str, state: bytes, now_ms: int) -> None:
        self._org(org).sources.pop(key, None)
        if state:
            self._org(org).sources[key] = (now_ms, state)

    def seal(self, now_ms: int, *, silence_ms: int, limit: int) -> int:
        sealed = 0
        for org in self._open[-1].orgs:
            for name, session in list(self._org(org).sessions.items()):
                if sealed < limit and self._due(org, session, now_ms, silence_ms):
                    self._seal(org, name, session)
                    sealed += 1
        self._turn_meetings(now_ms, silence_ms, limit)
        self._drop_tokens(now_ms - TOKEN_KEPT_MS, limit)
        self._drop_sources(now_ms - SOURCE_STATE_KEPT_MS, limit)
        return sealed

    def _drop_sources(self, before_ms: int, limit: int) -> None:
        for org in self._open[-1].orgs:
            sources = self._org(org).sources
            for key in [key for key, (put_ms, _) in sources.items() if put_ms < before_ms][:limit]:
                del sources[key]

    def _drop_tokens(self, before_ms: int, limit: int) -> None:
        tokens = self._open[-1].tokens
        over = sorted(
            (token.expires_ms, token.hash)
            for token in tokens.values()
            if token.expires_ms is not None and token.expires_ms <= before_ms
        )
        for _, name in over[:limit]:
            del tokens[name]

    def _due(self, org: str, session: Attended, now_ms: int, silence_ms: int) -> bool:
        end = self._org(org).meetings[session.meeting].announced_end_ms
        leave = session.whole.leaveTime
        return session.sealed is None and (
            (leave is not UNSET and time_ms(leave) <= now_ms)
            or (end is not None and end <= now_ms)
            or now_ms - session.heard_ms >= silence_ms
        )

    def _seal(self, org: str, name: str, session: Attended) -> None:
        left = leave_ms(session.whole, session.heard_ms)
        whole = session.served()
        whole.leaveTime = iso_ms(left)
        data = self._org(org)
        data.sessions[name] = structs.replace(session, sealed=summary_of(whole), measure_state=b"")
        self._put(org, data.meetings[session.meeting])

    def _turn_meetings(self, now_ms: int, silence_ms: int, limit: int) -> None:
        """Begin the meetings whose start has come; end those that are over."""
        for org in self._open[-1].orgs:
            for record in list(self._org(org).meetings.values()):
                if record.state == "scheduled" and record.start_ms <= now_ms:
                    record = structs.replace(record, state="inProgress")  # noqa: PLW2901
                    self._put(org, record)
                if record.state == "inProgress" and limit > 0:
                    limit -= self._end(org, record, now_ms, silence_ms)

    def _end(self, org: str, record: MeetingRecord, now_ms: int, silence_ms: int) -> bool:
        sessions = self._org(org).attendance(record.id)
        if any(session.sealed is None for session in sessions):
            return False
        heard = max([record.heard_ms, *(session.heard_ms for session in sessions)])
        if not sessions:
            heard = max(heard, record.start_ms)
        if now_ms - heard < silence_ms:
            return False
        left = max(
            (session.sealed.leave_ms for session in sessions if session.sealed), default=None
        )
        self._put(org, ended(record, now_ms, left_ms=left))
        return True

    def purge(self, org: str | None, *, before_ms: int, limit: int) -> int:
        names = list(self._open[-1].orgs) if org is None else [org]
        removed = 0
        for name in names:
            data = self._org(name)
            for record in list(data.meetings.values()):
                over = record.state == "ended" and (record.end_ms or 0) < before_ms
                if over and removed < limit:
                    del data.meetings[record.id]
                    for session in data.attending.pop(record.id, ()):
                        del data.sessions[session]
                    data.scores.pop(record.id, None)
                    data.removed |= {record.id}
                    removed += 1
        return removed

    def erase(self, org: str, email: str) -> int:
        data = self._org(org)
        changed = 0
        if not email:
            return 0
        for name, session in data.sessions.items():
            if session.whole.webexUserEmail.lower() == email.lower():
                whole = anonymised(session.whole)
                data.sessions[name] = structs.replace(session, whole=whole)
                self._put(org, data.meetings[session.meeting])
                changed += 1
        for record in list(data.meetings.values()):
            if record.hostEmail.lower() == email.lower():
                blank = {"hostEmail": "", "hostDisplayName": "", "hostUserId": ""}
                self._put(org, structs.replace(record, **blank))
                changed += 1
        data.erase_beside(email)
        self._forget_changed_scores(org)
        for token in list(self._open[-1].tokens.values()):
            if token.org == org:
                self.put_token(anonymised_token(token, email))
        return changed

    def put_token(self, token: Token) -> None:
        assert self._open, "a writing call outside transaction()"
        self._open[-1].tokens[token.hash] = token

    def revoke_token(self, org: str, hash_prefix: str, now_ms: int) -> int:
        revoked = 0
        for token in list(self._open[-1].tokens.values()):
            expired = token.expires_ms is not None and token.expires_ms <= now_ms
            if token.org != org or not token.hash.hex().startswith(hash_prefix.lower()):
                continue
            if token.revoked_ms is None and not expired:
                self.put_token(structs.replace(token, revoked_ms=now_ms))
                revoked += 1
        return revoked

    # -- reading

    def token(self, token_hash: bytes) -> Token | None:
        return self._committed.tokens.get(token_hash)

    def tokens(self, org: str) -> list[Token]:
        mine = (token for token in self._committed.tokens.values() if token.org == org)
        return sorted(
            (token for token in mine if token.kind != "collector"),
            key=lambda token: (token.created_ms, token.hash),
        )

    def meeting(self, org: str, meeting_id: str) -> Meeting | None:
        record = self._data(org).known(meeting_id)
        return None if record is None else meeting_of(record)

    def meetings(self, org: str, query: MeetingQuery, *, deadline: float) -> list[Meeting]:
        watch(deadline)
        found = [record for record in self._data(org).meetings.values() if fits(record, query)]
        found.sort(key=lambda record: (-record.start_ms, record.id))
        return [meeting_of(r) for r in found[query.offset : query.offset + query.limit]]

    def version(self, org: str, meeting_id: str) -> int:
        record = self._data(org).known(meeting_id)
        return 0 if record is None else record.version

    def sessions(
        self, org: str, meeting_id: str, *, offset: int, limit: int, deadline: float
    ) -> list[MediaSession]:
        data = self._data(org)
        data.known(meeting_id)
        found = []
        for session in data.attendance(meeting_id)[offset : offset + limit]:
            watch(deadline)
            found.append(session.served())
        watch(deadline)
        return found

    def sessions_for_json(
        self, org: str, meeting_id: str, *, offset: int, limit: int, deadline: float
    ) -> Iterator[list[MediaSession]]:
        found = self.sessions(org, meeting_id, offset=offset, limit=limit, deadline=deadline)
        return iter([found] if found else [])

    def detail(self, org: str, session_id: str) -> SessionDetail | None:
        session = self._data(org).sessions.get(session_id)
        if session is None:
            return None
        return SessionDetail(meeting=session.meeting, data=session.detail)

    def participants(
        self, org: str, meeting_id: str, *, offset: int, limit: int, deadline: float
    ) -> list[Participant]:
        data = self._data(org)
        watch(deadline)
        record = data.known(meeting_id)
        if record is None:
            return []
        sessions = (session.served() for session in data.attendance(meeting_id))
        people = participants_of(sessions, meeting_of(record), org)
        return people[offset : offset + limit]

    def summaries(self, org: str, *, from_ms: int, to_ms: int, limit: int) -> list[Summary]:
        sealed = (s.sealed for s in self._data(org).sessions.values() if s.sealed is not None)
        found = [summary for summary in sealed if from_ms <= summary.join_ms < to_ms]
        return sorted(found, key=lambda summary: summary.join_ms)[:limit]

    def counts(self, org: str | None) -> Counts:
        everybody = self._committed.orgs.values()
        chosen = list(everybody) if org is None else [self._data(org)]
        sessions = [session for data in chosen for session in data.sessions.values()]
        sealed = sum(session.sealed is not None for session in sessions)
        return Counts(
            meetings=sum(len(data.meetings) for data in chosen),
            sessions=len(sessions),
            sealed=sealed,
            live=len(sessions) - sealed,
        )

    def organisations(self) -> list[str]:
        state = self._committed
        names = {name for name, org in state.orgs.items() if org.meetings}
        return sorted(names | {token.org for token in state.tokens.values()})

    def backup(
        self, target: Path, *, org: str | None, progress: Callable[[float], None] | None = None
    ) -> None:
        raise Unavailable("a store in memory cannot be backed up; start with a data folder")

    def check(self) -> list[str]:
        return []


def _published(state: MemoryState) -> MemoryState:
    """The state with a new version for every meeting that may have changed."""
    for org, meeting_id in state.changed:
        meetings = state.orgs[org].meetings
        if meeting_id in meetings:
            record = meetings[meeting_id]
            meetings[meeting_id] = structs.replace(record, version=record.version + 1)
    state.changed.clear()
    return state


def _refuse_contradiction(known: Attended, session: MediaSession) -> None:
    if known.meeting != session.meetingInstanceId:
        raise Conflict("the session is in another meeting")
    owner = known.whole.participantId
    if owner and session.participantId not in ("", owner):
        raise Conflict("the session belongs to another participantId")
