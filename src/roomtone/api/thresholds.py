"""/v1/roomtone/thresholds: where an organisation's good ends and where its poor begins."""

from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from roomtone import scoring
from roomtone.api.admin import ADMIN
from roomtone.api.endpoint import Endpoint
from roomtone.api.qualities import READ_ALL, READ_ANONYMOUS
from roomtone.api.wire import (
    decoded_body,
    encode_json,
    json_response,
    principal_of,
    services_of,
)
from roomtone.score import Thresholds, checked

PATH: Final = "/v1/roomtone/thresholds"
READERS: Final = (READ_ALL, READ_ANONYMOUS, ADMIN)


async def get_thresholds(request: Request) -> Response:
    """The bounds that the organisation's verdicts go by: its own, else the defaults."""
    services = services_of(request)
    principal = principal_of(request, *READERS)
    principal.require_organisation()
    found = await run_in_threadpool(scoring.thresholds_of, services.store, principal.org)
    return json_response(request, found)


async def put_thresholds(request: Request) -> Response:
    """Replace the organisation's bounds; what is left out has its default.

    What was measured stays. What is shown goes by the new bounds at once, lists of meetings as the
    meetings are scored anew in the background.
    """
    services = services_of(request)
    principal = principal_of(request, ADMIN)
    wanted = checked(await decoded_body(request, Thresholds))
    value = b"" if wanted == Thresholds() else encode_json(wanted)
    await services.writer.run(
        lambda store: store.put_setting(principal.org, scoring.THRESHOLDS, value)
    )
    return json_response(request, wanted)


def endpoints() -> list[Endpoint]:
    """The endpoints of this file."""
    return [
        Endpoint(
            method="GET",
            path=PATH,
            handler=get_thresholds,
            summary="The bounds between good, fair and poor",
            scopes=READERS,
            answers={200: Thresholds},
            errors=(401, 403, 503),
        ),
        Endpoint(
            method="PUT",
            path=PATH,
            handler=put_thresholds,
            summary="Replace the bounds between good, fair and poor",
            scopes=(ADMIN,),
            body=Thresholds,
            answers={200: Thresholds},
            errors=(400, 401, 403, 413, 415, 429, 503),
        ),
    ]
