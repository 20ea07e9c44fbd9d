"""What native agents post: the CPU of a computer, for the session of the person who sits at it."""

from starlette.requests import Request
from starlette.responses import Response

from roomtone import ingest_agent
from roomtone.api.collector import keep_posts_max
from roomtone.api.endpoint import Endpoint
from roomtone.api.wire import body_of, json_response, principal_of, services_of
from roomtone.auth import COLLECTOR_SCOPE
from roomtone.errors import Forbidden


async def post_agent_report(request: Request) -> Response:
    """Take in what an agent measured; 200 once it is durable."""
    services = services_of(request)
    principal = principal_of(request, "telemetry:write", COLLECTOR_SCOPE)
    now_ms = services.now_ms()
    if principal.participant is not None:
        keep_posts_max(services, principal, now_ms)
    report = ingest_agent.parse_agent_report(
        await body_of(request), now_ms, bound=principal.participant
    )
    if principal.meeting and report.meetingId != principal.meeting:
        raise Forbidden("The token is bound to another meeting - at `$.meetingId`.")
    job = ingest_agent.put_agent_report(principal.org, report, now_ms)
    return json_response(request, await services.writer.run(job))


def endpoints() -> list[Endpoint]:
    """The endpoint of this file."""
    return [
        Endpoint(
            method="POST",
            path="/v1/agent/reports",
            handler=post_agent_report,
            summary="Take in what an agent beside a client measured of its computer",
            scopes=("telemetry:write", COLLECTOR_SCOPE),
            body=ingest_agent.AgentReport,
            answers={200: ingest_agent.AgentAnswer},
            errors=(400, 401, 403, 404, 409, 410, 413, 415, 429, 503),
        )
    ]
