"""/v1/roomtone/sessions/{id}: a session's columns with scores, where figures are from, findings."""

from functools import partial
from typing import Final

from msgspec import Struct
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from roomtone import detail, scoring
from roomtone.api.answers import held, made_once, ready, version_of
from roomtone.api.endpoint import Endpoint, Parameter
from roomtone.api.qualities import READ_ALL, READ_ANONYMOUS
from roomtone.api.scores import MOS_DECIMALS, SessionQuality, session_quality
from roomtone.api.wire import Ready, encode_json, principal_of, services_of
from roomtone.cache import Answer, AnswerKey
from roomtone.causes import Finding
from roomtone.causes.draft import owner_of
from roomtone.errors import NotFound
from roomtone.measure import Origin, Origins
from roomtone.model import (
    Column,
    MediaSession,
    StreamKind,
    anonymous,
    iso_ms,
)
from roomtone.score import Figure, StreamScore, Thresholds, Verdict
from roomtone.store import Store

PATH: Final = "/v1/roomtone/sessions/{participantSessionId}"
SESSION_ID_LENGTH_MAX: Final = 64
NAMES: Final[dict[Origin, str]] = {
    "receiver": "receiver",
    "reported": "receiver-report",
    "estimated": "sender-estimate",
    "rtcp": "rtcp",
    "stun": "stun",
}
"""What is counted is named after who counted: the client itself, or the SFU."""


class OriginSpan(Struct, kw_only=True):
    """Where a column's figures are from, from one time to another."""

    start: str
    end: str
    origin: str


class StreamOrigins(Struct, kw_only=True):
    """The origins of one column of one kind of stream, oldest first."""

    stream: StreamKind
    column: Column
    origins: list[OriginSpan]


class ClientClock(Struct, kw_only=True):
    """By how many seconds a client's clock is behind, and what was added to its times for that."""

    offsetSeconds: float
    correctedSeconds: float


class IntervalScores(Struct, kw_only=True):
    """The scores of one entry of a stream's array, a value per interval, null where unknown.

    `mos` is the fullband listening MOS of audio, and that of pictures; `conversational` takes the
    delay in, `native` is on the codec's own scale, both are [] but for audio. `verdicts` are after
    hysteresis; `figures` name what decided each before it; `cqd` are Microsoft's.
    """

    mos: list[float | None]
    conversational: list[float | None]
    native: list[float | None]
    verdicts: list[Verdict]
    figures: list[Figure]
    cqd: list[Verdict]
    grounded: bool


class SessionDetail(Struct, kw_only=True):
    """All that is known of a session.

    `scores` has a list per kind of stream, parallel to the entries of `columns`. `findings` are the
    roots of troubles that it caused or suffered from. `clock` is null when no post told its time.
    """

    participantSessionId: str
    meetingInstanceId: str
    quality: SessionQuality
    modelVersion: int
    findings: list[Finding]
    scores: dict[StreamKind, list[IntervalScores]]
    origins: list[StreamOrigins]
    clock: ClientClock | None
    columns: MediaSession


async def get_detail(request: Request) -> Ready:
    """A session's columns with scores, where its figures are from, and what troubled it."""
    services = services_of(request)
    principal = principal_of(request, READ_ALL, READ_ANONYMOUS)
    name: str = request.path_params["participantSessionId"]
    found = await run_in_threadpool(services.store.detail, principal.org, name)
    if found is None:
        raise NotFound("No such session.")
    key = AnswerKey(
        principal.org,
        found.meeting,
        version_of(services, principal, found.meeting),
        anonymous=READ_ALL not in principal.scopes,
        view=f"session {name}",
        revision=services.store.revision(principal.org),
    )
    deadline = services.read_deadline()

    def read() -> Answer:
        thresholds = scoring.thresholds_of(services.store, principal.org)
        sessions = _beside(services.store, key, name, deadline)
        return Answer(encode_json(_detail(sessions, name, found.data, thresholds)), more=False)

    answer, encoding = await held(request, key, partial(made_once, services, key, read))
    return ready(request, answer, encoding)


def _beside(store: Store, key: AnswerKey, name: str, deadline: float) -> list[MediaSession]:
    """A session with those that came before and after it, as many as are judged together."""
    offset, more = 0, True
    while more:
        sessions, more = scoring.sessions_of(
            store, key.org, key.meeting, offset=offset, deadline=deadline
        )
        if any(one.participantSessionId == name for one in sessions):
            return [anonymous(one) for one in sessions] if key.anonymous else sessions
        offset += len(sessions)
    raise NotFound("No such session.")  # it was removed a moment ago


def _detail(
    sessions: list[MediaSession], name: str, data: bytes, thresholds: Thresholds
) -> SessionDetail:
    judged = scoring.judge(sessions, thresholds)
    pairs = zip(sessions, judged.scores, strict=True)
    session, scores = next(pair for pair in pairs if pair[0].participantSessionId == name)
    known = detail.unpack(data) if data else detail.Detail()
    who = owner_of(session)
    return SessionDetail(
        participantSessionId=name,
        meetingInstanceId=session.meetingInstanceId,
        quality=session_quality(session, scores),
        modelVersion=scores.version,
        findings=[
            one
            for one in judged.findings
            if one.session == name or who in (one.owner, *one.suffered)
        ],
        scores={kind: [_intervals(one) for one in found] for kind, found in scores.streams.items()},
        origins=_origins(known.origins, "") + _origins(known.by_sfu, "sfu"),
        clock=None
        if known.offset_ms is None
        else ClientClock(
            offsetSeconds=round(known.offset_ms / 1000, 3),
            correctedSeconds=known.corrected_ms / 1000,
        ),
        columns=session,
    )


def _intervals(found: StreamScore) -> IntervalScores:
    return IntervalScores(
        mos=_rounded(found.mos),
        conversational=_rounded(found.conversational),
        native=_rounded(found.native),
        verdicts=found.verdicts,
        figures=found.figures,
        cqd=found.cqd,
        grounded=found.grounded,
    )


def _rounded(values: list[float | None]) -> list[float | None]:
    return [None if value is None else round(value, MOS_DECIMALS) for value in values]


def _origins(known: Origins, observer: str) -> list[StreamOrigins]:
    return [
        StreamOrigins(
            stream=kind,
            column=column,
            origins=[
                OriginSpan(
                    start=iso_ms(start), end=iso_ms(end), origin=_name(kind, origin, observer)
                )
                for start, end, origin in spans
            ],
        )
        for kind, columns in sorted(known.items())
        for column, spans in sorted(columns.items())
    ]


def _name(kind: StreamKind, origin: Origin, observer: str) -> str:
    if origin == "counted":
        return observer or ("receiver" if kind.endswith("In") else "sender")
    return observer if observer and origin == "reported" else NAMES[origin]


def endpoints() -> list[Endpoint]:
    """The endpoint of this file."""
    return [
        Endpoint(
            method="GET",
            path=PATH,
            handler=get_detail,
            summary="A session's columns with scores, origins of its figures, and findings",
            scopes=(READ_ALL, READ_ANONYMOUS),
            parameters=(
                Parameter(
                    name="participantSessionId",
                    schema={"type": "string", "minLength": 1, "maxLength": SESSION_ID_LENGTH_MAX},
                    description="Unique identifier of the media session.",
                    place="path",
                    required=True,
                ),
            ),
            answers={200: SessionDetail, 304: None},
            errors=(400, 401, 403, 404, 410, 429, 503, 504),
        )
    ]
