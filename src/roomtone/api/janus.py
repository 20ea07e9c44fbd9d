"""What a Janus server's event handler posts: rooms become meetings, handles participants."""

import base64
import binascii
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final

from msgspec import Raw
from starlette.requests import Request
from starlette.responses import Response

from roomtone import seeing
from roomtone.api.endpoint import Endpoint, Parameter, token_parameter
from roomtone.api.wire import (
    bearer,
    body_of,
    header_of,
    principal_by,
    query_of,
    services_of,
    valid_meeting_id,
)
from roomtone.auth import Principal
from roomtone.decoding import decode
from roomtone.errors import Conflict, Gone, Invalid
from roomtone.model import ID_LENGTH_MAX
from roomtone.services import Services
from roomtone.sources import janus
from roomtone.sources.janus_events import Event
from roomtone.store import Store

EVENTS_MAX: Final = 10_000
SERVERS_MAX: Final = 16
"""Servers that one post may speak for: a handler speaks for one."""
BASIC_LENGTH_MAX: Final = 1_024
WRITE: Final = "telemetry:write"


async def post_events(request: Request) -> Response:
    """Take in a batch of a Janus server's events; 204 once what they tell is durable.

    The token may be in the query, because the handler can send no header of its own but Basic's.
    """
    services = services_of(request)
    query = query_of(request)
    principal = principal_of_handler(request, query)
    meeting_id = query.get("meetingId", "")
    if meeting_id:
        valid_meeting_id(meeting_id)
    if principal.meeting:
        raise Invalid("token: expected an organisation's token, not one of a single meeting.")
    now_ms = services.now_ms()
    by_server, bad = janus.parsed(batch_of(await body_of(request)), now_ms)
    if len(by_server) > SERVERS_MAX:
        raise Invalid(f"Expected events of at most {SERVERS_MAX} servers - at `$`")
    fates = await services.writer.run(
        put_events(services, principal.org, by_server, now_ms, meeting_id=meeting_id)
    )
    fates["bad"] += bad
    for fate, count in fates.items():
        services.metrics.janus_events.labels(fate).inc(count)
    return Response(status_code=204)


def principal_of_handler(request: Request, query: Mapping[str, str]) -> Principal:
    """Who posts: by the query's token, a bearer token, or the password of Basic."""
    token = query.get("token")
    header = header_of(request, b"authorization")
    if token is not None:
        header = bearer(token)
    elif header is not None and header[:6].lower() == b"basic ":
        header = b"Bearer " + password_of(header[6:])
    return principal_by(request, header, WRITE)


def password_of(credentials: bytes) -> bytes:
    """The password of Basic's `user:password` (RFC 7617); b"" for what is no such thing."""
    try:
        plain = base64.b64decode(credentials[:BASIC_LENGTH_MAX].strip(), validate=True)
    except binascii.Error:
        return b""
    return plain.partition(b":")[2]


def batch_of(body: bytes) -> list[Raw]:
    """The events of a body: an array of them (`grouping`), or one; Invalid when it is neither."""
    found: list[Raw] = decode(body, list[Raw]) if body.lstrip()[:1] == b"[" else [decode(body, Raw)]
    if len(found) > EVENTS_MAX:
        raise Invalid(f"Expected `array` of length <= {EVENTS_MAX} - at `$`")
    for index, one in enumerate(found):
        if bytes(one)[:1] != b"{":
            raise Invalid(f"Expected `object` - at `$[{index}]`")
    return found


def put_events(
    services: Services,
    org: str,
    by_server: Mapping[str, list[Event]],
    now_ms: int,
    *,
    meeting_id: str,
) -> Callable[[Store], Counter[str]]:
    """The write of a batch: what was known of its servers goes on, sessions are measured."""

    def job(store: Store) -> Counter[str]:
        fates: Counter[str] = Counter()
        for server, events in by_server.items():
            key = f"janus:{server}"
            took = janus.take(
                store.source_state(org, key),
                server,
                events,
                interval_s=services.settings.interval_s,
                meeting_id=meeting_id,
            )
            store.put_source_state(org, key, took.state, now_ms)
            fates.update(took.fates)
            fates["refused"] += put_sessions(store, services, org, took, now_ms)
        return fates

    return job


def put_sessions(store: Store, services: Services, org: str, took: janus.Took, now_ms: int) -> int:
    """Write what a batch gave; return how many sessions' parts the store refused.

    A session too large, or of a meeting that was removed, must not keep the others out.
    """
    settings = services.settings
    refused = 0
    for news in took.meetings:
        try:
            with store.transaction():
                store.put_meeting(org, news, now_ms)
        except Gone:
            continue
    for session, seen in took.sessions:
        put = seeing.put_seen(
            org,
            session,
            seen,
            now_ms,
            interval_s=settings.interval_s,
            drop_raw_addresses=settings.drop_raw_addresses,
            observer="sfu",
        )
        try:
            with store.transaction():
                put(store)
        except (Conflict, Gone):
            refused += 1
    return refused


def endpoints() -> list[Endpoint]:
    """The endpoints of this file."""
    return [
        Endpoint(
            method="POST",
            path="/v1/janus/events",
            handler=post_events,
            summary="Take in a Janus server's events",
            scopes=(WRITE,),
            parameters=(
                token_parameter(),
                Parameter(
                    name="meetingId",
                    schema={"type": "string", "minLength": 1, "maxLength": ID_LENGTH_MAX},
                    description="The meeting's id, `{room}` in it for the room; one is made else.",
                ),
            ),
            body=list[dict[str, Any]] | dict[str, Any],
            answers={204: None},
            errors=(400, 401, 403, 413, 415, 429, 503),
        ),
    ]
