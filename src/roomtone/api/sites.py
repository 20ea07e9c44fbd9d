"""/v1/roomtone/sites: which subnets are which site, as CSV."""

from typing import Final

from msgspec import Struct
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from roomtone import score
from roomtone.api.admin import ADMIN
from roomtone.api.endpoint import Endpoint
from roomtone.api.wire import body_of, json_response, principal_of, services_of
from roomtone.errors import Invalid
from roomtone.fleet.dimensions import sites_of
from roomtone.scoring import SITES

PATH: Final = "/v1/roomtone/sites"
CSV_TYPE: Final = "text/csv"
CSV_BYTES_MAX: Final = 8 * 1024 * 1024


class SitesKept(Struct, kw_only=True):
    """How many subnets have a name now, and how many meetings are to be scored anew for it."""

    subnets: int
    meetings: int


async def put_sites(request: Request) -> Response:
    """Name subnets: lines of `10.24.0.0/16,Berlin`, in the place of all that were there.

    Nothing is kept when a line is wrong; the answer names it. An empty body removes all. Meetings
    that are over get their sites when they are scored anew, in the background, the newest first.
    """
    services = services_of(request)
    principal = principal_of(request, ADMIN)
    body = await body_of(request, CSV_TYPE, bytes_max=CSV_BYTES_MAX)
    subnets = await run_in_threadpool(_checked, body)
    await services.writer.run(lambda store: store.put_setting(principal.org, SITES, body))
    meetings = await run_in_threadpool(
        lambda: services.store.stale_count(principal.org, model=score.VERSION)
    )
    return json_response(request, SitesKept(subnets=subnets, meetings=meetings))


def _checked(body: bytes) -> int:
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        line = body.count(b"\n", 0, error.start) + 1
        raise Invalid(f"line {line}: not UTF-8") from None
    return len(sites_of(text.splitlines()))


async def get_sites(request: Request) -> Response:
    """The CSV as it was put; empty when there is none."""
    services = services_of(request)
    principal = principal_of(request, ADMIN)
    body = await run_in_threadpool(services.store.setting, principal.org, SITES)
    headers = {"Cache-Control": "private, no-cache"}
    return Response(body, 200, headers, f"{CSV_TYPE}; charset=utf-8")


def endpoints() -> list[Endpoint]:
    """The endpoints of this file."""
    return [
        Endpoint(
            method="PUT",
            path=PATH,
            handler=put_sites,
            summary="Name subnets, so that sessions have a site",
            scopes=(ADMIN,),
            body=str,
            body_type=CSV_TYPE,
            answers={200: SitesKept},
            errors=(400, 401, 403, 413, 415, 429, 503),
        ),
        Endpoint(
            method="GET",
            path=PATH,
            handler=get_sites,
            summary="The subnets that have a name",
            scopes=(ADMIN,),
            answers={200: CSV_TYPE},
            errors=(401, 403, 429, 503),
        ),
    ]
