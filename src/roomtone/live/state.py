"""What there is to know of a meeting now: who is in it, how each one has it, what is wrong."""

from collections.abc import Sequence
from typing import Final, Literal

from msgspec import UNSET, Struct, UnsetType, field

from roomtone.causes import Finding
from roomtone.live import follow
from roomtone.model import (
    STREAM_KINDS,
    MediaSession,
    MeetingState,
    Stream,
    StreamKind,
    epoch_ms,
    sample_count,
    streams_of,
)
from roomtone.score import (
    VERSION,
    Figure,
    MeetingScore,
    SessionScore,
    StreamScore,
    Verdict,
    VerdictCounts,
    counts_of,
)

RECENT_INTERVALS: Final = 2
"""A stream whose last interval lies further back than so many of its own says nothing of now."""
ENTRIES_LOOKED_AT: Final = 4
"""So many entries of a kind, from the latest on, are looked at: others ended long ago."""
BY_BADNESS: Final[tuple[Verdict, ...]] = ("unclassified", "good", "fair", "poor")


class Now(Struct, frozen=True):
    """How a session has it in its last intervals, and what kind of stream and figure decided."""

    verdict: Verdict = "unclassified"
    kind: StreamKind | Literal[""] = ""
    figure: Figure = ""


class LiveParticipant(Struct, kw_only=True):
    """One session in the meeting: `verdict` of all of it so far, `now` of its last intervals."""

    participantSessionId: str
    participantId: str
    webexUserName: str
    joinTime: str | UnsetType
    leaveTime: str | UnsetType = UNSET
    verdict: Verdict
    because: str
    now: Verdict


class LiveFinding(Struct, kw_only=True):
    """A root of trouble: `open` while the trouble lasts."""

    open: bool
    finding: Finding


class State(Struct, kw_only=True):
    """A meeting at one moment. `findings` by the id under which they were first told."""

    meeting: MeetingState
    verdict: Verdict
    because: str
    counts: VerdictCounts
    more: bool = False
    participants: dict[str, LiveParticipant] = field(default_factory=dict)
    findings: dict[str, LiveFinding] = field(default_factory=dict)
    nows: dict[str, Now] = field(default_factory=dict)
    """By participantSessionId, as what of LiveParticipant.now."""


class Snapshot(Struct, kw_only=True):
    """All of a state, as a watcher is told it first."""

    time: str
    meetingInstanceId: str
    state: MeetingState
    verdict: Verdict
    because: str
    counts: VerdictCounts
    more: bool
    modelVersion: int
    participants: list[LiveParticipant]
    findings: list[LiveFinding]


def snapshot(meeting_id: str, state: State, time: str) -> Snapshot:
    """What a watcher needs to be told once; events say what changes in it."""
    return Snapshot(
        time=time,
        meetingInstanceId=meeting_id,
        state=state.meeting,
        verdict=state.verdict,
        because=state.because,
        counts=state.counts,
        more=state.more,
        modelVersion=VERSION,
        participants=list(state.participants.values()),
        findings=list(state.findings.values()),
    )


def state(
    meeting: MeetingState,
    sessions: Sequence[MediaSession],
    scores: Sequence[SessionScore],
    whole: MeetingScore,
    findings: Sequence[Finding],
    *,
    before: State | None,
) -> State:
    """The state of a meeting; `before` is an earlier one, by which findings keep their ids."""
    edges = {one.participantSessionId: edge(one) for one in sessions}
    nows = {
        one.participantSessionId: now_of(one, scored)
        for one, scored in zip(sessions, scores, strict=True)
    }
    present = {one.participantSessionId for one in sessions if not isinstance(one.leaveTime, str)}
    ages = follow.Ages(edges, present if meeting == "inProgress" else set())
    known = {} if before is None else {key: one.finding for key, one in before.findings.items()}
    kept = follow.same(known, findings)
    return State(
        meeting=meeting,
        verdict=whole.verdict,
        because=whole.because,
        counts=counts_of(whole.counts),
        participants={
            one.participantSessionId: _participant(one, scored, nows[one.participantSessionId])
            for one, scored in zip(sessions, scores, strict=True)
        },
        findings={one.id: LiveFinding(open=ages.lasts(one), finding=one) for one in kept},
        nows=nows,
    )


def _participant(session: MediaSession, score: SessionScore, now: Now) -> LiveParticipant:
    return LiveParticipant(
        participantSessionId=session.participantSessionId,
        participantId=session.participantId,
        webexUserName=session.webexUserName,
        joinTime=session.joinTime,
        leaveTime=session.leaveTime,
        verdict=score.verdict,
        because=score.because,
        now=now.verdict,
    )


def edge(session: MediaSession) -> follow.Edge:
    """Until when the session's samples reach, and how long an interval is; 0 without samples."""
    end_ms, step_ms = 0, 0.0
    for stream in _latest(session):
        reach_ms = _end_ms(stream)
        if reach_ms > end_ms:
            end_ms, step_ms = reach_ms, stream.samplingInterval * 1000.0
    return follow.Edge(end_ms, step_ms)


def _latest(session: MediaSession) -> list[Stream]:
    return [one for kind in STREAM_KINDS for one in streams_of(session, kind)[-ENTRIES_LOOKED_AT:]]


def _end_ms(stream: Stream) -> int:
    count = sample_count(stream)
    return (
        round(epoch_ms(stream.startTime) + count * stream.samplingInterval * 1000) if count else 0
    )


def now_of(session: MediaSession, score: SessionScore) -> Now:
    """The worst of what its streams had last; unclassified when all of them are muted or over."""
    reach_ms = edge(session).end_ms
    found = Now()
    for kind, entries in score.streams.items():
        pairs = list(zip(streams_of(session, kind), entries, strict=True))
        for stream, told in pairs[-ENTRIES_LOOKED_AT:]:
            one = _last(kind, stream, told, reach_ms)
            if BY_BADNESS.index(one.verdict) > BY_BADNESS.index(found.verdict):
                found = one
    return found


def _last(kind: StreamKind, stream: Stream, told: StreamScore, reach_ms: int) -> Now:
    """How the last known interval of a stream was, if it is recent."""
    step_ms = stream.samplingInterval * 1000
    if _end_ms(stream) < reach_ms - RECENT_INTERVALS * step_ms:
        return Now()
    recent = range(len(told.verdicts))[-RECENT_INTERVALS:]
    for at in reversed(recent):
        if told.verdicts[at] != "unclassified":
            return Now(told.verdicts[at], kind, told.figures[at])
    return Now()
