"""What the operator needs: erase, purge; health and metrics."""

from typing import Annotated, Final

from msgspec import Meta, Struct
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from roomtone.api.endpoint import Endpoint
from roomtone.api.wire import decoded_body, json_response, principal_of, services_of
from roomtone.errors import Invalid
from roomtone.ingest import canonical_time
from roomtone.model import STRING_LENGTH_MAX, Time, epoch_ms

ADMIN: Final = "roomtone:admin"
PURGE_STEP_MEETINGS: Final = 50


class Erase(Struct, kw_only=True, forbid_unknown_fields=True):
    """Whose identity to remove."""

    email: Annotated[str, Meta(min_length=3, max_length=STRING_LENGTH_MAX)]


class Erased(Struct, kw_only=True):
    """How many sessions and meetings lost an identity."""

    changed: int


class Purge(Struct, kw_only=True, forbid_unknown_fields=True):
    """Remove meetings that ended before this time."""

    before: Time


class Purged(Struct, kw_only=True):
    """How many meetings were removed."""

    meetings: int


class Health(Struct, kw_only=True):
    """`ok`, when it is."""

    status: str


async def erase(request: Request) -> Response:
    """Remove a person's identity everywhere; metrics stay."""
    services = services_of(request)
    principal = principal_of(request, ADMIN)
    wanted: Erase = await decoded_body(request, Erase)
    changed = await services.writer.run(lambda store: store.erase(principal.org, wanted.email))
    services.live.doubt(principal.org)
    return json_response(request, Erased(changed=changed))


async def purge(request: Request) -> Response:
    """Remove old meetings, a bounded number a transaction so that posts get their turn."""
    services = services_of(request)
    principal = principal_of(request, ADMIN)
    wanted: Purge = await decoded_body(request, Purge)
    try:
        before_ms = epoch_ms(canonical_time(wanted.before, services.now_ms()))
    except ValueError as error:
        raise Invalid(f"{error} - at `$.before`") from None
    removed = 0
    while True:
        step = await services.writer.run(
            lambda store: store.purge(principal.org, before_ms=before_ms, limit=PURGE_STEP_MEETINGS)
        )
        removed += step
        if step < PURGE_STEP_MEETINGS:
            return json_response(request, Purged(meetings=removed))


async def live(request: Request) -> Response:
    """The process answers."""
    return json_response(request, Health(status="ok"))


async def ready(request: Request) -> Response:
    """The store answers too; 503 when it does not."""
    await run_in_threadpool(services_of(request).store.ping)
    return json_response(request, Health(status="ok"))


async def metrics(request: Request) -> Response:
    """Prometheus' text format."""
    text = services_of(request).metrics.text()
    return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")


def endpoints() -> list[Endpoint]:
    """The endpoints of this file."""
    writes = (400, 401, 403, 413, 415, 429, 503)
    return [
        Endpoint(
            method="POST",
            path="/v1/roomtone/erase",
            handler=erase,
            summary="Remove a person's identity, keep the metrics",
            scopes=(ADMIN,),
            body=Erase,
            answers={200: Erased},
            errors=writes,
        ),
        Endpoint(
            method="POST",
            path="/v1/roomtone/purge",
            handler=purge,
            summary="Remove meetings that ended before a time",
            scopes=(ADMIN,),
            body=Purge,
            answers={200: Purged},
            errors=writes,
        ),
        Endpoint(
            method="GET",
            path="/health/live",
            handler=live,
            summary="The process answers",
            answers={200: Health},
        ),
        Endpoint(
            method="GET",
            path="/health/ready",
            handler=ready,
            summary="The store answers",
            answers={200: Health},
            errors=(503,),
        ),
        Endpoint(
            method="GET",
            path="/metrics",
            handler=metrics,
            summary="What the server counts about itself",
            answers={200: "text/plain"},
        ),
    ]
