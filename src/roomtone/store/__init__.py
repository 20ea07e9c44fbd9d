"""What a store promises, in prose and types. Engines: memory, SQLite.

**Organisation.** Every call that touches a meeting takes the organisation first; nothing can be
read or written across organisations. The same meeting id or session id in two organisations is
two things.

**Time** is always an argument: `now_ms` is milliseconds since 1970.

**Threads.** One thread writes: all writing calls are made inside `with store.transaction()` by the
same thread. Reading calls may come from any thread at any time, see committed data only, and a
multi-part read sees one moment.

**Durability.** When the outermost `transaction()` ends without an exception, what was written in it
survives the loss of the process and of power. A nested `transaction()` is a savepoint: an exception
that leaves it undoes it alone.

**Failure.** `Unavailable` when the medium is full, locked, read-only or gone: nothing of the
transaction was kept, even if the exception is caught inside it; the next one may succeed, no
restart is needed. `TimedOut` when a read passes its deadline. `Conflict`, `Gone` as said below;
they are raised before anything is written, so the transaction can go on. Nothing else is raised
deliberately.

**Merging.** A session comes in pieces: whole, cut up, repeated, late, out of order, from two
senders. Its samples are identified by (stream kind, samplingInterval, sample time), see columns.py:
 * a sample that is there already is overwritten value by value; null never erases a value;
 * an unbroken run of samples with the same interval, phase, codec and transport is one entry of the
   stream's array; a gap, or a change of those, starts a new one; entries are ordered by startTime;
   an empty codec or transport contradicts nothing and takes over what is known beside it;
 * a column that no sender has stays [], one that ends before the entry stays as short; what is
   missing inside a column, because pieces were joined, is null;
 * endTime is the latest that a sender gave for the entry, else the end of its last sample;
 * an entry without samples is kept until there is a run that it touches;
 * resources with startTime and samplingInterval merge by time in the same way, others by position;
 * a header field that is sent non-empty replaces, an empty or missing one changes nothing.

**Versions.** Every meeting has a version, a positive integer that grows with each commit that may
change anything that a read of the meeting answers.

**Scores.** A meeting's rows (verdicts.py) are made outside of the store, put as a whole, and say
of what they were made: the meeting's version, the model, and the revision of the organisation's
settings. An ended meeting that has none, or whose rows were made of anything else, is stale.
Putting them changes no version.

**State of a meeting.** `scheduled` while its announced start is ahead and nobody joined,
`inProgress` until `seal` ends it, then `ended`. Its start is the announced one, else the earliest
joinTime, else when it was first heard of; its end the announced one if that has passed, else the
latest leaveTime.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from msgspec import Struct

from roomtone.model import MediaSession, Meeting, MeetingNews, MeetingState, Participant

if (
    TYPE_CHECKING
):  # numpy and the models behind it are a quarter of a second, which clients need not
    from roomtone.fleet.sessions import FleetQuery, Sessions
    from roomtone.store.verdicts import JudgedMeeting, Scores, Stale, VerdictQuery

SOURCE_STATE_KEPT_MS = 24 * 3600 * 1000
TOKEN_KEPT_MS = 24 * 3600 * 1000
"""Whoever comes back within a day still hears that the token has expired; then it is unknown."""


class Token(Struct, kw_only=True, frozen=True):
    """What is stored of a bearer token: never the token, only the SHA-256 of it.

    A collector's token is bound to `meeting` and to the participant in `participant` (a session
    header, JSON as bytes). `kind` refresh is exchanged at /v1/access_token by the holder of
    `client_id` and the secret whose SHA-256 is `client_secret_hash`.
    """

    hash: bytes
    org: str
    kind: Literal["access", "collector", "refresh"]
    scopes: frozenset[str]
    created_ms: int
    expires_ms: int | None = None
    revoked_ms: int | None = None
    label: str = ""
    meeting: str = ""
    participant: bytes = b""
    client_id: str = ""
    client_secret_hash: bytes = b""


class MeetingQuery(Struct, kw_only=True, frozen=True):
    """Which meetings: start >= from_ms and < to_ms; newest start first, then by id."""

    from_ms: int
    to_ms: int
    states: frozenset[MeetingState] = frozenset({"inProgress", "ended"})
    host_email: str = ""
    site_url: str = ""
    offset: int = 0
    limit: int = 100


class Summary(Struct, kw_only=True, frozen=True):
    """One sealed session in one row, for questions about many meetings.

    Means are over the samples that are known; None where none is. Figures are rounded to three
    decimals. `samples` counts stream-samples.
    """

    meeting: str
    session: str
    join_ms: int
    leave_ms: int
    samples: int
    packet_loss_mean: float | None
    latency_mean: float | None
    jitter_mean: float | None
    packet_loss_max: float | None
    latency_max: float | None
    jitter_max: float | None


class Attendance(Struct, frozen=True):
    """An open session of a participant; `left_ms` is the leaveTime that was sent, if any."""

    session: str
    join_ms: int
    left_ms: int | None
    heard_ms: int


class SessionDetail(Struct, frozen=True):
    """What is told of a session beside its columns, as opaque bytes, and its meeting."""

    meeting: str
    data: bytes


class Counts(Struct, kw_only=True, frozen=True):
    """How much is in the store (of one organisation)."""

    meetings: int
    sessions: int
    sealed: int
    live: int


class Store(Protocol):
    """The record of meetings. Read the module's docstring first: it is the contract."""

    def close(self) -> None:
        """Give back files and threads; afterwards no call is valid."""

    def ping(self) -> None:
        """Return when the store can answer a read and its medium is writable; else Unavailable."""

    def transaction(self) -> AbstractContextManager[None]:
        """All or nothing; nested: a savepoint."""

    # -- writing: only inside transaction(), only by the one writing thread

    def put_meeting(self, org: str, news: MeetingNews, now_ms: int) -> Meeting:
        """Announce or amend the meeting `news.id` (never UNSET here) and return it as it is now.

        Fields left UNSET keep their value. Gone if it was removed by retention; Conflict when its
        announced end would lie before its announced start.
        """

    def put_session(self, org: str, session: MediaSession, now_ms: int) -> None:
        """Merge one piece of a session. Times are canonical, participantSessionId is not empty.

        Creates the meeting when nobody announced it. Reopens a sealed session. Conflict when the
        session is in another meeting of this organisation, belongs to another participantId, or
        could become larger than size.py allows (what a piece repeats counts again in this);
        Gone when the meeting was removed; in both cases nothing of this piece is written.
        """

    def measure_state(self, org: str, session_id: str) -> bytes:
        """What `put_measure_state` kept for the session; b"" when there is nothing."""

    def put_measure_state(self, org: str, session_id: str, state: bytes) -> None:
        """Keep opaque state beside a session until it is sealed. The session exists already."""

    def attendances(self, org: str, meeting_id: str, participant_id: str) -> list[Attendance]:
        """The sessions of a participant in a meeting that are not sealed, the last joined first.

        Sees what the transaction has written. Unknown meeting: []. Gone if it was removed.
        """

    def put_detail(self, org: str, session_id: str, detail: bytes) -> None:
        """Keep what is told of a session beside its columns, as opaque bytes without any identity.

        It stays when the session is sealed, and goes with its meeting. The session exists already.
        """

    def kept_detail(self, org: str, session_id: str) -> bytes:
        """What `put_detail` kept, inside the transaction; b"" when there is nothing."""

    def source_state(self, org: str, key: str) -> bytes:
        """What `put_source_state` kept under the key; b"" when there is nothing."""

    def put_source_state(self, org: str, key: str, state: bytes, now_ms: int) -> None:
        """Keep what a source of telemetry remembers between two posts; b"" removes it.

        The key begins with the source's name ("janus:..."); the caller bounds the size. It is
        forgotten SOURCE_STATE_KEPT_MS after it was last put, and when it mentions a person whom
        `erase` removes.
        """

    def put_setting(self, org: str, name: str, value: bytes) -> None:
        """Keep what an organisation has chosen; b"" removes it. The caller bounds the size.

        The revision grows by one, unless the value is the same.
        """

    def put_scores(self, org: str, meeting_id: str, scores: "Scores") -> bool:
        """Replace a meeting's rows and those of its sessions.

        False, and nothing is kept, when the meeting is unknown, removed or of another version now,
        or was changed in this transaction: rows must not bring back what was just erased.
        """

    def settle_fleet(self) -> int:
        """Put up to some ten thousand rows of sessions in order, so that `fleet` is fast.

        Return how many; 0 when none are due. What `fleet` answers stays the same.
        """

    def seal(self, now_ms: int, *, silence_ms: int, limit: int) -> int:
        """Close and seal up to `limit` sessions that are due; return how many were sealed.

        Fewer than `limit`, but not 0, may be sealed though more are due, if they are large.

        Due: leaveTime has passed; the meeting's announced end has passed; or nothing was received
        for `silence_ms`. A session without leaveTime that is closed gets one for reading: the end
        of its last sample, else the time when it was last heard of. A meeting whose sessions have
        all ended, and of which nothing was heard for `silence_ms`, is ended (up to `limit` of them
        in a call); so is an announced one, silent for as long after its start, in which nobody
        ever appeared. Late data reopens both. After sealing, reads give the same as before (but
        for leaveTime), faster and from less space. Call it again, even when it returned 0: it also
        begins meetings whose announced start has come, removes up to `limit` tokens that expired
        TOKEN_KEPT_MS ago (a collector's names a person), and gives back free space step by step.
        """

    def purge(self, org: str | None, *, before_ms: int, limit: int) -> int:
        """Remove up to `limit` ended meetings that ended before a time; return how many.

        Of a removed meeting only its id is kept, so that asking for it raises Gone. None: all orgs.
        """

    def erase(self, org: str, email: str) -> int:
        """Remove a person's identity: return how many sessions and meetings were changed.

        Sessions with this webexUserEmail (in any case): names, e-mail, raw addresses and device
        labels become "" (masked addresses, participantId and metrics stay); meetings they host lose
        hostEmail, hostDisplayName and hostUserId; the rows of scores of all these meetings go, to
        be made anew. Nothing of it remains in the files.
        """

    def put_token(self, token: Token) -> None:
        """Add a token, or replace the one with this hash."""

    def revoke_token(self, org: str, hash_prefix: str, now_ms: int) -> int:
        """Revoke the organisation's tokens whose hash (hex) starts so.

        Return how many were neither revoked nor expired.
        """

    # -- reading: any thread

    def token(self, token_hash: bytes) -> Token | None:
        """The token with this hash, also if expired or revoked: the caller judges."""

    def tokens(self, org: str) -> list[Token]:
        """The organisation's access and refresh tokens, oldest first, collector's left out."""

    def meeting(self, org: str, meeting_id: str) -> Meeting | None:
        """The meeting; None if unknown in this organisation; Gone if it was removed."""

    def meetings(self, org: str, query: MeetingQuery, *, deadline: float) -> list[Meeting]:
        """Meetings that fit the query, at most `query.limit`. `deadline` is time.monotonic()."""

    def version(self, org: str, meeting_id: str) -> int:
        """The meeting's version; 0 if unknown; Gone if it was removed. Cheap: a look-up."""

    def sessions(
        self, org: str, meeting_id: str, *, offset: int, limit: int, deadline: float
    ) -> list[MediaSession]:
        """Sessions offset..offset+limit of a meeting in order of first arrival, each whole.

        joinTime is always there: as sent, else the first sample's start, else the first arrival.
        Unknown meeting: []. Gone if removed. TimedOut after the deadline.
        """

    def sessions_for_json(
        self, org: str, meeting_id: str, *, offset: int, limit: int, deadline: float
    ) -> Iterator[list[MediaSession]]:
        """What `sessions` gives, only to be encoded as JSON, in a fraction of the time.

        Columns may be `msgspec.Raw`: the text that a list of their values would become. All that
        has to be read was read when this returns; each step of the iterator takes some milliseconds
        of computing, or raises TimedOut.
        """

    def detail(self, org: str, session_id: str) -> SessionDetail | None:
        """What `put_detail` kept, b"" when nothing, and the meeting; None: no such session."""

    def participants(
        self, org: str, meeting_id: str, *, offset: int, limit: int, deadline: float
    ) -> list[Participant]:
        """Sessions folded by participantId (else by session), in order of first arrival."""

    def summaries(self, org: str, *, from_ms: int, to_ms: int, limit: int) -> list[Summary]:
        """Summary rows of sealed sessions that joined in [from_ms, to_ms), oldest first."""

    def setting(self, org: str, name: str) -> bytes:
        """What `put_setting` kept; b"" when there is nothing."""

    def revision(self, org: str) -> int:
        """How often the organisation's settings have changed. Cheap: a look-up.

        Read it before the settings: what is made of newer ones than it says is only made again.
        """

    def stale(self, org: str | None, *, model: int, limit: int) -> "list[Stale]":
        """Up to `limit` stale meetings, those without valid rows first; None: of all organisations.

        Its cost goes with what it returns, not with how many meetings there are.
        """

    def stale_count(self, org: str | None, *, model: int) -> int:
        """How many there are."""

    def judged(self, org: str, query: "VerdictQuery", *, deadline: float) -> "list[JudgedMeeting]":
        """Meetings that fit the query with their rows, stale or not, at most `query.limit`."""

    def fleet(self, org: str, query: "FleetQuery", *, deadline: float) -> "Sessions":
        """Rows of sessions, stale or not, as columns; in no order, but a meeting's are together.

        A text that no row has any more is in no answer, and nowhere in the files. TooLarge when
        there may be more than `query.sessions_max`. TimedOut after the deadline.
        """

    def counts(self, org: str | None) -> Counts:
        """How much there is; None: of all organisations."""

    def organisations(self) -> Sequence[str]:
        """Names of organisations that have a meeting or a token, sorted."""

    def backup(
        self, target: Path, *, org: str | None, progress: Callable[[float], None] | None = None
    ) -> None:
        """Write a consistent copy to `target` (must not exist) while others read and write.

        With an organisation only its data are in the copy. progress gets 0..1, often, to the end;
        what it raises ends the copy, of which nothing is left.
        """

    def check(self) -> list[str]:
        """What is wrong inside the store, in words; [] when all is well. May take long."""


def open_store(data: str | Path) -> Store:
    """Open (and create or migrate) the store in folder `data`; ":memory:" for one that forgets.

    Unavailable when the folder cannot be used.
    """
    if str(data) == ":memory:":
        from roomtone.store.memory import MemoryStore

        return MemoryStore()
    from roomtone.store.sqlite import SQLiteStore

    return SQLiteStore(Path(data))
