"""/v1/roomtone/meetings: which meetings were good or poor, in which time, with whom."""

from collections.abc import Mapping
from typing import Final, Literal, get_args

from msgspec import UNSET, Struct, UnsetType, structs
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from roomtone.api.answers import ready
from roomtone.api.endpoint import Endpoint, Parameter, paging
from roomtone.api.qualities import READ_ALL, READ_ANONYMOUS
from roomtone.api.scores import MINUTE_DECIMALS
from roomtone.api.window import moment_described, window_of
from roomtone.api.wire import (
    Ready,
    chosen_encoding,
    encode_json,
    header_of,
    next_link,
    number_parameter,
    principal_of,
    query_of,
    services_of,
)
from roomtone.cache import Answer
from roomtone.causes import Family
from roomtone.errors import Invalid
from roomtone.model import MeetingState, iso_ms
from roomtone.score import VERDICTS, Verdict, VerdictCounts, counts_of
from roomtone.store.verdicts import JudgedMeeting, VerdictQuery

PATH: Final = "/v1/roomtone/meetings"
PAGE_DEFAULT: Final = 20
PAGE_MAX: Final = 100
SEARCH_LENGTH_MAX: Final = 256
CONFIDENCE_DECIMALS: Final = 2

Sort = Literal["newest", "worst"]
SORTS: Final[tuple[Sort, ...]] = get_args(Sort)


class FindingLine(Struct, kw_only=True):
    """A root of a meeting's troubles: `participantSessionId` is "" when it is not one session's."""

    family: Family
    participantSessionId: str
    confidence: float
    text: str


class MeetingLine(Struct, kw_only=True):
    """A meeting and how it was; what is null is not known before it has ended and was scored."""

    meetingInstanceId: str
    title: str
    state: MeetingState
    start: str
    end: str | UnsetType = UNSET
    hostDisplayName: str
    hostEmail: str
    verdict: Verdict | None
    because: str
    minutes: float | None
    minutesPoor: float | None
    counts: VerdictCounts | None
    findings: list[FindingLine]


class MeetingLines(Struct, kw_only=True):
    """A page of meetings with their verdicts."""

    items: list[MeetingLine]


async def list_judged_meetings(request: Request) -> Ready:
    """Meetings by verdict, time and words, the newest or the worst first."""
    services = services_of(request)
    principal = principal_of(request, READ_ALL, READ_ANONYMOUS)
    principal.require_organisation()
    query = query_of(request)
    hidden = READ_ALL not in principal.scopes
    wanted = _wanted(query, services.now_ms(), names=not hidden)
    deadline = services.read_deadline()

    def read() -> Answer:
        one_more = structs.replace(wanted, limit=wanted.limit + 1)
        found = services.store.judged(principal.org, one_more, deadline=deadline)
        lines = [_line(one, hidden=hidden) for one in found[: wanted.limit]]
        body = encode_json(MeetingLines(items=lines))
        return Answer(body, more=len(found) > wanted.limit)

    answer = await run_in_threadpool(read)
    encoding = chosen_encoding(header_of(request, b"accept-encoding") or b"")
    response = ready(request, answer, encoding)
    if answer.more:
        page: dict[str, str | int] = {
            **query,
            "from": iso_ms(wanted.from_ms),  # the default window moves on with the clock
            "to": iso_ms(wanted.to_ms),
            "max": wanted.limit,
            "offset": wanted.offset + wanted.limit,
        }
        response.headers.append((b"link", next_link(request, PATH, page).encode("latin-1")))
    return response


def _wanted(query: Mapping[str, str], now_ms: int, *, names: bool) -> VerdictQuery:
    from_ms, to_ms = window_of(query, to_ms=now_ms)
    sort = query.get("sort", "newest")
    if sort not in SORTS:
        raise Invalid(f"sort: expected one of {', '.join(SORTS)}.")
    text = query.get("q", "").strip()
    if len(text) > SEARCH_LENGTH_MAX:
        raise Invalid(f"q: expected at most {SEARCH_LENGTH_MAX} characters.")
    return VerdictQuery(
        from_ms=from_ms,
        to_ms=to_ms,
        verdicts=_verdicts(query.get("verdict")),
        text=text.casefold(),
        names=names,
        worst=sort == "worst",
        offset=number_parameter(query, "offset", 0, least=0),
        limit=min(number_parameter(query, "max", PAGE_DEFAULT, least=1), PAGE_MAX),
    )


def _verdicts(text: str | None) -> frozenset[Verdict] | None:
    if text is None:
        return None
    wanted = {part.strip() for part in text.split(",")}
    if not wanted <= set(VERDICTS):
        raise Invalid(f"verdict: expected some of {','.join(VERDICTS)}.")
    return frozenset(verdict for verdict in VERDICTS if verdict in wanted)


def _line(one: JudgedMeeting, *, hidden: bool) -> MeetingLine:
    meeting, row = one.meeting, one.row
    return MeetingLine(
        meetingInstanceId=meeting.id,
        title="" if hidden else meeting.title,
        state=meeting.state,
        start=meeting.start,
        end=meeting.end,
        hostDisplayName="" if hidden else meeting.hostDisplayName,
        hostEmail="" if hidden else meeting.hostEmail,
        verdict=None if row is None else row.verdict,
        because="" if row is None else row.because,
        minutes=None if row is None else round(row.minutes, MINUTE_DECIMALS),
        minutesPoor=None if row is None else round(row.minutes_poor, MINUTE_DECIMALS),
        counts=None if row is None else counts_of(row.counts),
        findings=[
            FindingLine(
                family=finding.family,
                participantSessionId=finding.session,
                confidence=round(finding.confidence, CONFIDENCE_DECIMALS),
                text="" if hidden else finding.text,  # it names people and devices
            )
            for finding in (row.findings if row else [])
        ],
    )


def _text(name: str, description: str, **schema: object) -> Parameter:
    return Parameter(name=name, schema={"type": "string", **schema}, description=description)


def endpoints() -> list[Endpoint]:
    """The endpoint of this file."""
    return [
        Endpoint(
            method="GET",
            path=PATH,
            handler=list_judged_meetings,
            summary="Meetings by verdict, time and words, the newest or the worst first",
            scopes=(READ_ALL, READ_ANONYMOUS),
            parameters=(
                _text("verdict", f"Only these, of {','.join(VERDICTS)}, with a comma between."),
                moment_described("from", "Start at or after this; default 7 days before `to`."),
                moment_described("to", "Start before this; default now."),
                _text(
                    "q",
                    "Part of the id, the title, or a host's, participant's or device's name.",
                    maxLength=SEARCH_LENGTH_MAX,
                ),
                _text("sort", "The newest or the worst first.", enum=list(SORTS), default="newest"),
                *paging("items", default=PAGE_DEFAULT, most=PAGE_MAX),
            ),
            answers={200: MeetingLines, 304: None},
            errors=(400, 401, 403, 429, 503, 504),
        )
    ]
