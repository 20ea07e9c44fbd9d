"""What the store in memory holds: immutable records in plain dictionaries."""

from msgspec import Struct, field, structs

from roomtone.errors import Gone
from roomtone.model import MediaSession, iso_ms
from roomtone.store import Summary, Token
from roomtone.store.columns import fold
from roomtone.store.records import MeetingRecord, join_ms, mentions
from roomtone.store.verdicts import Scores


class Attended(Struct, kw_only=True, frozen=True):
    """A session as it was sent, folded; `sealed` is its summary while it is sealed."""

    meeting: str
    whole: MediaSession
    created_ms: int
    heard_ms: int
    sealed: Summary | None = None
    measure_state: bytes = b""
    detail: bytes = b""

    def served(self) -> MediaSession:
        """The session as it is read."""
        copy = fold([self.whole])
        copy.joinTime = iso_ms(join_ms(copy, self.created_ms))
        if self.sealed is not None:
            copy.leaveTime = iso_ms(self.sealed.leave_ms)
        return copy


class OrgState(Struct):
    """One organisation's."""

    meetings: dict[str, MeetingRecord] = field(default_factory=dict)
    removed: frozenset[str] = frozenset()
    sessions: dict[str, Attended] = field(default_factory=dict)
    attending: dict[str, tuple[str, ...]] = field(default_factory=dict)
    sources: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    settings: dict[str, bytes] = field(default_factory=dict)
    revision: int = 0
    scores: dict[str, Scores] = field(default_factory=dict)

    def copy(self) -> "OrgState":
        """For a transaction."""
        return OrgState(
            self.meetings.copy(),
            self.removed,
            self.sessions.copy(),
            self.attending.copy(),
            self.sources.copy(),
            self.settings.copy(),
            self.revision,
            self.scores.copy(),
        )

    def known(self, meeting_id: str) -> MeetingRecord | None:
        """The meeting; Gone if it was removed."""
        if meeting_id in self.removed:
            raise Gone("the meeting was removed by retention")
        return self.meetings.get(meeting_id)

    def erase_beside(self, email: str) -> None:
        """Remove every state that mentions a person."""
        for name, session in self.sessions.items():
            if mentions(session.measure_state, email):
                self.sessions[name] = structs.replace(session, measure_state=b"")
        for key, (_, state) in list(self.sources.items()):
            if mentions(state, email) or email.lower() in key.lower():
                del self.sources[key]

    def is_stale(self, record: MeetingRecord, model: int) -> bool:
        """Whether an ended meeting's scores are missing, or were made of something else."""
        kept = self.scores.get(record.id)
        made = kept and (kept.version, kept.model, kept.revision)
        return record.state == "ended" and made != (record.version, model, self.revision)

    def attendance(self, meeting_id: str) -> list[Attended]:
        """The meeting's sessions, in order of first arrival."""
        return [self.sessions[name] for name in self.attending.get(meeting_id, ())]


class MemoryState(Struct):
    """All organisations'. `changed`: meetings that need a new version."""

    orgs: dict[str, OrgState] = field(default_factory=dict)
    tokens: dict[bytes, Token] = field(default_factory=dict)
    changed: set[tuple[str, str]] = field(default_factory=set)

    def copy(self) -> "MemoryState":
        """For a transaction."""
        orgs = {name: org.copy() for name, org in self.orgs.items()}
        return MemoryState(orgs, self.tokens.copy(), self.changed.copy())
