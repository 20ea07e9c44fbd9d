"""What IP telephones publish: RFC 6035 reports of voice quality, themselves or by a SIP proxy."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from roomtone.api.endpoint import Endpoint, token_parameter
from roomtone.api.wire import bearer, body_of, header_of, principal_by, query_of, services_of
from roomtone.ingest_vq import parse_report, put_report

VQ_TYPE: Final = "application/vq-rtcpxr"
VQ_BYTES_MAX: Final = 65_536
WRITE: Final = "telemetry:write"


async def post_vq_report(request: Request) -> Response:
    """Take in an RFC 6035 report, or a SIP PUBLISH message with one; 204 once it is durable."""
    services = services_of(request)
    token = query_of(request).get("token")
    header = header_of(request, b"authorization")
    if header is None and token is not None:
        header = bearer(token)
    principal = principal_by(request, header, WRITE)
    now_ms = services.now_ms()
    report = parse_report(await body_of(request, VQ_TYPE, bytes_max=VQ_BYTES_MAX), now_ms)
    drop = services.settings.drop_raw_addresses
    samples = await services.writer.run(
        put_report(principal.org, report, now_ms, drop_raw_addresses=drop)
    )
    fate = "covered" if report.figures and not samples and report.kind != "alert" else report.kind
    services.metrics.vq_reports.labels(fate).inc()
    services.metrics.samples.inc(samples)
    for line, count in report.unused.items():
        services.metrics.vq_unused.labels(line).inc(count)
    return Response(status_code=204)


def endpoints() -> list[Endpoint]:
    """The endpoint of this file."""
    return [
        Endpoint(
            method="POST",
            path="/v1/sip/vq-rtcpxr",
            handler=post_vq_report,
            summary="Take in what an IP telephone reports of a call (RFC 6035)",
            scopes=(WRITE,),
            parameters=(token_parameter(),),
            body=str,
            body_type=VQ_TYPE,
            answers={204: None},
            errors=(400, 401, 403, 409, 410, 413, 415, 429, 503),
        )
    ]
