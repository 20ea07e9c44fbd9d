"""/v1/roomtone/meetings/{id}: was it good, for whom, and why not."""

from functools import partial
from typing import Final

from msgspec import UNSET, Struct, UnsetType, field
from starlette.requests import Request

from roomtone import scoring
from roomtone.api.answers import held, made_once, ready, version_of
from roomtone.api.endpoint import Endpoint, id_parameter
from roomtone.api.qualities import READ_ALL, READ_ANONYMOUS
from roomtone.api.wire import (
    Ready,
    encode_json,
    principal_of,
    services_of,
    valid_meeting_id,
)
from roomtone.cache import Answer, AnswerKey
from roomtone.causes import Finding
from roomtone.model import MediaSession, StreamKind, anonymous
from roomtone.score import (
    PersonScore,
    SessionScore,
    StreamScore,
    Thresholds,
    Verdict,
    VerdictCounts,
    counts_of,
)

PATH: Final = "/v1/roomtone/meetings/{meetingId:path}"
MINUTE_DECIMALS: Final = 1
MOS_DECIMALS: Final = 2
WORST_FIRST: Final[tuple[Verdict, ...]] = ("poor", "fair", "good", "unclassified")


class StreamQuality(Struct, kw_only=True):
    """One kind of stream of a session. `mos` is its mean, 1 to 5; null where it is unknown.

    `grounded` is false where a constant is a guess: an unknown codec, loss that TCP hides.
    """

    verdict: Verdict
    mos: float | None
    minutesPoor: float
    grounded: bool


class SessionQuality(Struct, kw_only=True):
    """How one participant session was; `network` and `device` are 0 to 100, null without data.

    `cqd` is the verdict that Microsoft's Call Quality Dashboard would give.
    """

    participantSessionId: str
    participantId: str
    webexUserName: str
    joinTime: str | UnsetType
    leaveTime: str | UnsetType = UNSET
    verdict: Verdict
    because: str
    minutes: float
    minutesPoor: float
    minutesFair: float
    network: float | None
    device: float | None
    cqd: Verdict
    streams: dict[StreamKind, StreamQuality]


class ParticipantQuality(Struct, kw_only=True):
    """How one participant had it, who may have come several times: `sessions` times."""

    participantId: str
    verdict: Verdict
    sessions: int
    minutes: float
    minutesPoor: float
    minutesFair: float


class MeetingQuality(Struct, kw_only=True):
    """How a meeting was. `modelVersion` is that of the scores; `more`: sessions are left out.

    `counts` is of sessions. `findings` are the roots of its troubles, each once, with evidence and
    advice.
    """

    meetingInstanceId: str
    verdict: Verdict
    because: str
    counts: VerdictCounts
    minutes: float
    minutesPoor: float
    minutesFair: float
    modelVersion: int
    more: bool = False
    participants: list[ParticipantQuality] = field(default_factory=list)
    sessions: list[SessionQuality] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


async def get_meeting_quality(request: Request) -> Ready:
    """The verdict on a meeting and on each of its sessions, the worst first, with the reason."""
    services = services_of(request)
    principal = principal_of(request, READ_ALL, READ_ANONYMOUS)
    meeting_id = valid_meeting_id(request.path_params["meetingId"])
    key = AnswerKey(
        principal.org,
        meeting_id,
        version_of(services, principal, meeting_id),
        anonymous=READ_ALL not in principal.scopes,
        view="quality",
        revision=services.store.revision(principal.org),
    )
    deadline = services.read_deadline()

    def read() -> Answer:
        sessions, more = scoring.sessions_of(
            services.store, principal.org, meeting_id, deadline=deadline
        )
        if key.anonymous:
            sessions = [anonymous(session) for session in sessions]
        thresholds = scoring.thresholds_of(services.store, principal.org)
        found = quality(meeting_id, sessions, thresholds, more=more)
        return Answer(encode_json(found), more=more)

    answer, encoding = await held(request, key, partial(made_once, services, key, read))
    return ready(request, answer, encoding)


def quality(
    meeting_id: str, sessions: list[MediaSession], thresholds: Thresholds, *, more: bool
) -> MeetingQuality:
    """Score a meeting's sessions, and explain what was not good."""
    found = scoring.judge(sessions, thresholds)
    whole = found.whole
    told = [session_quality(*pair) for pair in zip(sessions, found.scores, strict=True)]
    told.sort(key=_worst_first)
    return MeetingQuality(
        meetingInstanceId=meeting_id,
        verdict=whole.verdict,
        because=whole.because,
        counts=counts_of(whole.counts),
        minutes=round(whole.minutes, MINUTE_DECIMALS),
        minutesPoor=round(whole.minutes_poor, MINUTE_DECIMALS),
        minutesFair=round(whole.minutes_fair, MINUTE_DECIMALS),
        modelVersion=whole.version,
        more=more,
        participants=[participant_quality(person) for person in whole.people],
        sessions=told,
        findings=found.findings,
    )


def participant_quality(person: PersonScore) -> ParticipantQuality:
    """How one participant had it, rounded."""
    return ParticipantQuality(
        participantId=person.participant,
        verdict=person.verdict,
        sessions=person.sessions,
        minutes=round(person.minutes, MINUTE_DECIMALS),
        minutesPoor=round(person.minutes_poor, MINUTE_DECIMALS),
        minutesFair=round(person.minutes_fair, MINUTE_DECIMALS),
    )


def session_quality(session: MediaSession, found: SessionScore) -> SessionQuality:
    """How one session was, rounded."""
    return SessionQuality(
        participantSessionId=session.participantSessionId,
        participantId=session.participantId,
        webexUserName=session.webexUserName,
        joinTime=session.joinTime,
        leaveTime=session.leaveTime,
        verdict=found.verdict,
        because=found.because,
        minutes=round(found.minutes, MINUTE_DECIMALS),
        minutesPoor=round(found.minutes_poor, MINUTE_DECIMALS),
        minutesFair=round(found.minutes_fair, MINUTE_DECIMALS),
        network=None if found.network is None else round(found.network),
        device=None if found.device is None else round(found.device),
        cqd=found.cqd,
        streams={
            kind: _stream(entries, found.verdicts.get(kind, "unclassified"))
            for kind, entries in found.streams.items()
            if entries
        },
    )


def _stream(entries: list[StreamScore], verdict: Verdict) -> StreamQuality:
    """The entries of a kind as one: their mean weighted by their minutes."""
    mean = scoring.mos_of(entries)
    return StreamQuality(
        verdict=verdict,
        mos=None if mean is None else round(mean, MOS_DECIMALS),
        minutesPoor=round(sum(one.minutes_poor for one in entries), MINUTE_DECIMALS),
        grounded=all(one.grounded for one in entries),
    )


def _worst_first(one: SessionQuality) -> tuple[int, float, float]:
    return WORST_FIRST.index(one.verdict), -one.minutesPoor, -one.minutesFair


def endpoints() -> list[Endpoint]:
    """The endpoint of this file."""
    return [
        Endpoint(
            method="GET",
            path=PATH,
            handler=get_meeting_quality,
            summary="How a meeting was, for whom, and why",
            scopes=(READ_ALL, READ_ANONYMOUS),
            parameters=(id_parameter("path"),),
            answers={200: MeetingQuality, 304: None},
            errors=(400, 401, 403, 404, 410, 429, 503, 504),
        )
    ]
