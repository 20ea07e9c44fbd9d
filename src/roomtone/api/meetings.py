"""/v1/meetings and /v1/meetingParticipants: which meetings there are, and who was in them."""

import secrets
from collections.abc import Mapping
from typing import Final, get_args

import msgspec
from msgspec import UNSET, Struct
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from roomtone import ingest
from roomtone.api.endpoint import Endpoint, Parameter, id_parameter, paging
from roomtone.api.wire import (
    body_of,
    json_response,
    meeting_id_parameter,
    moment_parameter,
    next_link,
    number_parameter,
    principal_of,
    query_of,
    services_of,
    valid_meeting_id,
)
from roomtone.errors import Invalid, NotFound
from roomtone.model import Meeting, MeetingNews, MeetingState, Participant, iso_ms
from roomtone.store import MeetingQuery, Store

PAGE_DEFAULT: Final = 10
PAGE_MAX: Final = 100
WINDOW_MS: Final = 7 * 24 * 3600 * 1000
SCHEDULE_READ: Final = "meeting:admin_schedule_read"
PARTICIPANTS_READ: Final = "meeting:admin_participants_read"
MEETING_TYPES: Final = ("meetingSeries", "scheduledMeeting", "meeting")
# What Webex knows besides; no meeting here is ever in one of them.
OTHER_STATES: Final = ("active", "ready", "lobby", "connected", "started", "expired", "missed")


class Meetings(Struct, kw_only=True):
    """A page of meetings."""

    items: list[Meeting]


class Participants(Struct, kw_only=True):
    """A page of participants."""

    items: list[Participant]


async def list_meetings(request: Request) -> Response:
    """Meetings of the organisation that started in a window, newest first."""
    services = services_of(request)
    principal = principal_of(request, SCHEDULE_READ)
    query = query_of(request)
    wanted = _meeting_query(query, services.now_ms())
    if query.get("meetingType", "meeting") != "meeting":
        if query["meetingType"] not in MEETING_TYPES:
            raise Invalid(f"meetingType: expected one of {', '.join(MEETING_TYPES)}.")
        return json_response(request, Meetings(items=[]))
    more_wanted = msgspec.structs.replace(wanted, limit=wanted.limit + 1)
    found = await run_in_threadpool(
        lambda: services.store.meetings(
            principal.org, more_wanted, deadline=services.read_deadline()
        )
    )
    headers = {}
    if len(found) > wanted.limit:
        page: dict[str, str | int] = {
            **query,
            "from": iso_ms(wanted.from_ms),  # the default window moves on with the clock
            "to": iso_ms(wanted.to_ms),
            "max": wanted.limit,
            "offset": wanted.offset + wanted.limit,
        }
        headers["Link"] = next_link(request, "/v1/meetings", page)
    return json_response(request, Meetings(items=found[: wanted.limit]), headers=headers)


def _meeting_query(query: Mapping[str, str], now_ms: int) -> MeetingQuery:
    to_ms = moment_parameter(query, "to", now_ms)
    from_ms = moment_parameter(query, "from", to_ms - WINDOW_MS)
    if from_ms >= to_ms:
        raise Invalid("from: expected a time before `to`.")
    return MeetingQuery(
        from_ms=from_ms,
        to_ms=to_ms,
        states=_states(query),
        host_email=query.get("hostEmail", ""),
        site_url=query.get("siteUrl", ""),
        offset=number_parameter(query, "offset", 0, least=0),
        limit=min(number_parameter(query, "max", PAGE_DEFAULT, least=1), PAGE_MAX),
    )


def _states(query: Mapping[str, str]) -> frozenset[MeetingState]:
    text = query.get("state")
    if text is None:
        return frozenset({"inProgress", "ended"})
    known: tuple[MeetingState, ...] = get_args(MeetingState)
    if text not in known and text not in OTHER_STATES:
        raise Invalid(f"state: expected one of {', '.join((*known, *OTHER_STATES))}.")
    return frozenset(state for state in known if state == text)


async def get_meeting(request: Request) -> Response:
    """One meeting."""
    services = services_of(request)
    principal = principal_of(request, SCHEDULE_READ)
    meeting_id = valid_meeting_id(request.path_params["meetingId"])
    principal.require_meeting(meeting_id)
    meeting = await run_in_threadpool(services.store.meeting, principal.org, meeting_id)
    if meeting is None:
        raise NotFound("No such meeting.")
    return json_response(request, meeting)


async def announce_meeting(request: Request) -> Response:
    """Announce a meeting (201) or amend one that is known (200)."""
    services = services_of(request)
    principal = principal_of(request, "telemetry:write")
    now_ms = services.now_ms()
    news = ingest.parse_news(await body_of(request), now_ms)
    if news.id is UNSET:
        news.id = minted_meeting_id()
    meeting_id = news.id

    def job(store: Store) -> tuple[bool, Meeting]:
        known = store.meeting(principal.org, meeting_id) is not None
        return known, store.put_meeting(principal.org, news, now_ms)

    known, meeting = await services.writer.run(job)
    return json_response(request, meeting, 200 if known else 201)


def minted_meeting_id() -> str:
    """32 hex digits + `_I_` + 18 digits, as Webex's ids of meeting instances look."""
    return f"{secrets.token_hex(16)}_I_{secrets.randbelow(9 * 10**17) + 10**17}"


async def list_participants(request: Request) -> Response:
    """Who was in a meeting, in order of arrival."""
    services = services_of(request)
    principal = principal_of(request, PARTICIPANTS_READ)
    query = query_of(request)
    meeting_id = meeting_id_parameter(query)
    offset = number_parameter(query, "offset", 0, least=0)
    limit = min(number_parameter(query, "max", PAGE_DEFAULT, least=1), PAGE_MAX)
    principal.require_meeting(meeting_id)
    if not services.store.version(principal.org, meeting_id):
        raise NotFound("No such meeting.")
    found = await run_in_threadpool(
        lambda: services.store.participants(
            principal.org,
            meeting_id,
            offset=offset,
            limit=limit + 1,
            deadline=services.read_deadline(),
        )
    )
    headers = {}
    if len(found) > limit:
        page: dict[str, str | int] = {**query, "max": limit, "offset": offset + limit}
        headers["Link"] = next_link(request, "/v1/meetingParticipants", page)
    return json_response(request, Participants(items=found[:limit]), headers=headers)


def _text(name: str, description: str, **schema: object) -> Parameter:
    return Parameter(name=name, schema={"type": "string", **schema}, description=description)


def endpoints() -> list[Endpoint]:
    """The endpoints of this file."""
    pages = paging("items", default=PAGE_DEFAULT, most=PAGE_MAX)
    return [
        Endpoint(
            method="GET",
            path="/v1/meetings",
            handler=list_meetings,
            summary="Meetings of the organisation in a window of time, newest first",
            scopes=(SCHEDULE_READ,),
            parameters=(
                _text("meetingType", "Only `meeting` has any here.", enum=list(MEETING_TYPES)),
                _text("state", "As in inProgress, ended, scheduled."),
                _text("from", "Start at or after this; default 7 days before `to`."),
                _text("to", "Start before this; default now."),
                _text("hostEmail", "Host's e-mail address."),
                _text("siteUrl", "Site."),
                *pages,
            ),
            answers={200: Meetings},
            errors=(400, 401, 403, 503, 504),
        ),
        Endpoint(
            method="POST",
            path="/v1/meetings",
            handler=announce_meeting,
            summary="Announce a meeting, or amend one",
            scopes=("telemetry:write",),
            body=MeetingNews,
            answers={200: Meeting, 201: Meeting},
            errors=(400, 401, 403, 409, 410, 413, 415, 429, 503),
        ),
        Endpoint(
            method="GET",
            path="/v1/meetings/{meetingId:path}",
            handler=get_meeting,
            summary="One meeting",
            scopes=(SCHEDULE_READ,),
            parameters=(id_parameter("path"),),
            answers={200: Meeting},
            errors=(400, 401, 403, 404, 410, 503),
        ),
        Endpoint(
            method="GET",
            path="/v1/meetingParticipants",
            handler=list_participants,
            summary="Who was in a meeting",
            scopes=(PARTICIPANTS_READ,),
            parameters=(id_parameter(), *pages),
            answers={200: Participants},
            errors=(400, 401, 403, 404, 410, 503, 504),
        ),
    ]
