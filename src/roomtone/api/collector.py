"""What web pages use: short-lived tokens bound to one person, raw reports in, the test call."""

import secrets
from typing import Final

import msgspec
from msgspec import UNSET, Struct
from starlette.requests import Request
from starlette.responses import Response

from roomtone import ingest, seeing
from roomtone.api.endpoint import Endpoint
from roomtone.api.meetings import minted_meeting_id
from roomtone.api.qualities import READ_ALL
from roomtone.api.wire import (
    address_of,
    body_of,
    decoded_body,
    json_response,
    principal_of,
    services_of,
)
from roomtone.auth import COLLECTOR_SCOPE, BoundParticipant, Principal, hash_token, new_token
from roomtone.config import Network
from roomtone.errors import Conflict, Forbidden, NotFound, TooMany
from roomtone.model import MeetingNews, iso_ms
from roomtone.services import Services
from roomtone.store import Store, Token

TEST_CALL_TITLE: Final = "Test call (this browser with itself)"
TEST_CALL_S: Final = 3_600
EXPIRES_DEFAULT_S: Final = 3_600


class CollectorToken(Struct, kw_only=True):
    """A token for one person's collector in one meeting."""

    token: str
    expiresAt: str
    meetingId: str
    participantId: str


async def create_token(request: Request) -> Response:
    """Mint a collector's token, so that a web page never holds an organisation's."""
    services = services_of(request)
    principal = principal_of(request, "telemetry:write")
    wanted: ingest.NewCollectorToken = await decoded_body(request, ingest.NewCollectorToken)
    who = wanted.participant
    bound = BoundParticipant(
        participantId=who.id or _minted_participant_id(wanted.meetingId),
        webexUserName=who.name,
        webexUserEmail=who.email,
    )
    longest_s = services.settings.collector_token_s
    life_s = EXPIRES_DEFAULT_S if wanted.expiresIn is UNSET else wanted.expiresIn
    answer, stored = _mint(
        services,
        principal.org,
        wanted.meetingId,
        bound,
        life_s=min(life_s, longest_s),
        scopes=frozenset({COLLECTOR_SCOPE}),
    )
    await services.writer.run(lambda store: store.put_token(stored))
    return json_response(request, answer, 201)


def _minted_participant_id(meeting_id: str) -> str:
    """As Webex's look: the meeting's id and a number."""
    return f"{meeting_id[:128]}_{secrets.randbelow(10**12)}"


def _mint(
    services: Services,
    org: str,
    meeting_id: str,
    bound: BoundParticipant,
    *,
    life_s: int,
    scopes: frozenset[str],
) -> tuple[CollectorToken, Token]:
    token, now_ms = new_token(), services.now_ms()
    expires_ms = now_ms + life_s * 1000
    stored = Token(
        hash=hash_token(token),
        org=org,
        kind="collector",
        scopes=scopes,
        created_ms=now_ms,
        expires_ms=expires_ms,
        meeting=meeting_id,
        participant=msgspec.json.encode(bound),
    )
    answer = CollectorToken(
        token=token,
        expiresAt=iso_ms(expires_ms),
        meetingId=meeting_id,
        participantId=bound.participantId,
    )
    return answer, stored


async def post_reports(request: Request) -> Response:
    """Take in raw getStats() reports of one participant; 204 once they are durable."""
    services = services_of(request)
    principal = principal_of(request, "telemetry:write", COLLECTOR_SCOPE)
    now_ms = services.now_ms()
    settings = services.settings
    if principal.participant is not None:
        keep_posts_max(services, principal, now_ms)
    session, seen, offset_ms = ingest.parse_reports(
        await body_of(request),
        now_ms,
        bound=principal.participant,
        public_ip=_client_address(request, services.trusted_proxies),
    )
    if principal.meeting and session.meetingInstanceId != principal.meeting:
        raise Forbidden("The token is bound to another meeting - at `$.meetingId`.")
    if principal.participant is not None:
        _keep_sessions_max(services, principal, session.participantSessionId)
    measured = await services.writer.run(
        seeing.put_seen(
            principal.org,
            session,
            seen,
            now_ms,
            interval_s=settings.interval_s,
            drop_raw_addresses=settings.drop_raw_addresses,
            offset_ms=offset_ms,
        )
    )
    fates = services.metrics.reports
    ignored = measured.late + measured.repeated + measured.ahead
    fates.labels("measured").inc(len(seen) - ignored)
    fates.labels("late").inc(measured.late)
    fates.labels("repeated").inc(measured.repeated)
    fates.labels("ahead").inc(measured.ahead)
    return Response(status_code=204)


def keep_posts_max(services: Services, principal: Principal, now_ms: int) -> None:
    """TooMany when a collector's token has been used too often in the last minute."""
    wait_ms = services.collector_use.wait_ms(principal.token_hash, now_ms)
    if wait_ms:
        most = services.settings.collector_posts_max
        raise TooMany(f"More than {most} posts in a minute.", retry_after=-(-wait_ms // 1000))


def _keep_sessions_max(services: Services, principal: Principal, session_id: str) -> None:
    # Not 429: it would be refused again for as long as the token lives.
    if not services.collector_use.admits(principal.token_hash, session_id):
        most = services.settings.collector_sessions_max
        raise Conflict(f"The token has {most} sessions already - at `$.participantSessionId`.")


def _client_address(request: Request, trusted_proxies: tuple[Network, ...]) -> str:
    """The nearest address that is not a trusted proxy's; "" for loopback, which tells nothing."""
    chain = [request.client.host if request.client else ""]
    # All lines of the header are one list (RFC 9110, 5.3): a proxy may add its own to a forged one.
    forwarded = ",".join(request.headers.getlist("x-forwarded-for"))
    chain += [hop.strip() for hop in reversed(forwarded.split(",")) if hop.strip()]
    for hop in chain:
        try:
            address = address_of(hop)
        except ValueError:
            return ""
        if not any(address in network for network in trusted_proxies):
            return "" if address.is_loopback else str(address)
    return ""


async def start_test_call(request: Request) -> Response:
    """A meeting for a browser's call with itself, and a token that reports to it and reads it."""
    services = services_of(request)
    org = services.settings.test_call_org
    if not org:
        raise NotFound("Test calls are off.")
    wait_ms = services.test_calls.wait_ms(services.now_ms())
    if wait_ms:
        raise TooMany("Too many test calls in an hour.", retry_after=-(-wait_ms // 1000))
    meeting_id = minted_meeting_id()
    bound = BoundParticipant(
        participantId=_minted_participant_id(meeting_id), webexUserName="Test call"
    )
    answer, stored = _mint(
        services,
        org,
        meeting_id,
        bound,
        life_s=TEST_CALL_S,
        scopes=frozenset({COLLECTOR_SCOPE, READ_ALL}),
    )

    def job(store: Store) -> None:
        news = MeetingNews(id=meeting_id, title=TEST_CALL_TITLE)
        store.put_meeting(org, news, services.now_ms())
        store.put_token(stored)

    await services.writer.run(job)
    return json_response(request, answer, 201)


def endpoints() -> list[Endpoint]:
    """The endpoints of this file."""
    return [
        Endpoint(
            method="POST",
            path="/v1/collector/tokens",
            handler=create_token,
            summary="Mint a short-lived token for one participant's collector",
            scopes=("telemetry:write",),
            body=ingest.NewCollectorToken,
            answers={201: CollectorToken},
            errors=(400, 401, 403, 413, 415, 429, 503),
        ),
        Endpoint(
            method="POST",
            path="/v1/webrtc/reports",
            handler=post_reports,
            summary="Take in raw getStats() reports; the server measures",
            scopes=("telemetry:write", COLLECTOR_SCOPE),
            body=ingest.WebrtcReports,
            answers={204: None},
            errors=(400, 401, 403, 409, 410, 413, 415, 429, 503),
        ),
        Endpoint(
            method="POST",
            path="/call/session",
            handler=start_test_call,
            summary="Begin a test call",
            answers={201: CollectorToken},
            errors=(404, 429, 503),
        ),
    ]
