"""/v1/meeting/qualities: media sessions in and out, in the specification's shape."""

import asyncio
from functools import partial
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from roomtone import ingest
from roomtone.api.answers import held, ready, version_of
from roomtone.api.endpoint import Endpoint, id_parameter, paging
from roomtone.api.wire import (
    Ready,
    body_of,
    encode_json,
    meeting_id_parameter,
    next_link,
    number_parameter,
    principal_of,
    query_of,
    services_of,
)
from roomtone.auth import Principal
from roomtone.cache import Answer, AnswerKey
from roomtone.errors import Gone, Locked, NotFound, TooMany
from roomtone.model import ITEMS_MAX, MediaSessions, Meeting, anonymous, epoch_ms
from roomtone.services import Services

PATH: Final = "/v1/meeting/qualities"
MAX_DEFAULT: Final = 100
READ_ALL: Final = "analytics:read_all"
READ_ANONYMOUS: Final = "analytics:read_anonymous"
AVAILABLE_AFTER_MS: Final = 10 * 60 * 1000
AVAILABLE_FOR_MS: Final = 7 * 24 * 3600 * 1000
CALL_EVERY_MS: Final = 5 * 60 * 1000


async def get_qualities(request: Request) -> Ready:
    """A page of a meeting's media sessions, with a strong ETag."""
    services = services_of(request)
    principal = principal_of(request, READ_ALL, READ_ANONYMOUS)
    query = query_of(request)
    meeting_id = meeting_id_parameter(query)
    offset = number_parameter(query, "offset", 0, least=0)
    limit = min(number_parameter(query, "max", MAX_DEFAULT, least=1), ITEMS_MAX)
    version = version_of(services, principal, meeting_id)
    if services.settings.webex_limits:
        await _keep_webex_limits(services, principal, meeting_id, offset)
    hidden = READ_ALL not in principal.scopes
    key = AnswerKey(principal.org, meeting_id, version, offset, limit, hidden)
    answer, encoding = await held(request, key, partial(_read, services, key))
    response = ready(request, answer, encoding)
    if answer.more:
        page: dict[str, str | int] = {"meetingId": meeting_id, "max": limit}
        link = next_link(request, PATH, page | {"offset": offset + limit})
        response.headers.append((b"link", link.encode("latin-1")))
    return response


async def _read(services: Services, key: AnswerKey) -> Answer:
    """Read a page, in this thread: docs/decisions/0010 says why, and what others wait for it."""
    portions = services.store.sessions_for_json(
        key.org,
        key.meeting,
        offset=key.offset,
        limit=key.limit + 1,  # one more tells whether there is a next page
        deadline=services.read_deadline(),
    )
    items: list[bytes] = []
    count = 0
    for sessions in portions:
        if items:
            await asyncio.sleep(0)
        page = sessions[: key.limit - count]
        count += len(sessions)
        if key.anonymous:
            page = [anonymous(session) for session in page]
        if page:
            items.append(encode_json(page)[1:-1])
    return Answer(b'{"items":[%b]}' % b",".join(items), more=count > key.limit)


async def _keep_webex_limits(
    services: Services, principal: Principal, meeting_id: str, offset: int
) -> None:
    """Webex's documented limits; pages after the first are exempt, or clients stall on page 2."""
    meeting = await run_in_threadpool(services.store.meeting, principal.org, meeting_id)
    if meeting is None:
        raise NotFound("No such meeting.")
    now_ms = services.now_ms()
    _check_available(meeting, now_ms)
    if offset:
        return
    wait_ms = services.call_times.wait_ms((principal.org, meeting_id), now_ms, CALL_EVERY_MS)
    if wait_ms:
        raise TooMany(
            "One call per 5 minutes and meeting instance.", retry_after=-(-wait_ms // 1000)
        )


def _check_available(meeting: Meeting, now_ms: int) -> None:
    wait_ms = epoch_ms(meeting.start) + AVAILABLE_AFTER_MS - now_ms
    if wait_ms > 0:
        raise Locked(
            "Available from 10 minutes after the meeting's start.", retry_after=-(-wait_ms // 1000)
        )
    if isinstance(meeting.end, str) and now_ms - epoch_ms(meeting.end) > AVAILABLE_FOR_MS:
        raise Gone("Available for 7 days after the meeting.")


async def post_qualities(request: Request) -> Response:
    """Take in media sessions; 204 once they are durable."""
    services = services_of(request)
    principal = principal_of(request, "telemetry:write")
    now_ms = services.now_ms()
    sessions, samples = ingest.parse_sessions(
        await body_of(request),
        now_ms,
        drop_raw_addresses=services.settings.drop_raw_addresses,
    )
    await services.writer.run(ingest.put_sessions(principal.org, sessions, now_ms))
    services.metrics.samples.inc(samples)
    return Response(status_code=204)


_GET: Final = Endpoint(
    method="GET",
    path=PATH,
    handler=get_qualities,
    summary="Get Meeting Qualities",
    scopes=(READ_ALL, READ_ANONYMOUS),
    parameters=(id_parameter(), *paging("media sessions", default=MAX_DEFAULT, most=ITEMS_MAX)),
    answers={200: MediaSessions, 304: None},
    errors=(400, 401, 403, 404, 410, 423, 429, 503, 504),
)


def endpoints() -> list[Endpoint]:
    """The endpoints of this file; wxc_sdk asks for the last two paths by mistake."""
    mistaken = [
        Endpoint(
            method="GET",
            path=f"/v1/https:{slashes}{{host}}{PATH}",
            handler=get_qualities,
            summary="What wxc_sdk asks for",
            documented=False,
        )
        for slashes in ("//", "/")
    ]
    post = Endpoint(
        method="POST",
        path=PATH,
        handler=post_qualities,
        summary="Take in media sessions, whole or in pieces",
        scopes=("telemetry:write",),
        body=MediaSessions,
        answers={204: None},
        errors=(400, 401, 403, 409, 410, 413, 415, 429, 503),
    )
    return [_GET, post, *mistaken]
