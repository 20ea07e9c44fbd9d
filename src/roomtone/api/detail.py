"""/v1/roomtone/sessions/{id}: what is known of a session beside what Webex has a place for."""

from typing import Final

from msgspec import Struct, field
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from roomtone import detail
from roomtone.api.endpoint import Endpoint, Parameter
from roomtone.api.qualities import READ_ALL, READ_ANONYMOUS
from roomtone.api.wire import json_response, principal_of, services_of
from roomtone.errors import NotFound
from roomtone.measure import Origin, Origins
from roomtone.model import Column, StreamKind, iso_ms

PATH: Final = "/v1/roomtone/sessions/{participantSessionId}"
SESSION_ID_LENGTH_MAX: Final = 64
NAMES: Final[dict[Origin, str]] = {
    "receiver": "receiver",
    "reported": "receiver-report",
    "estimated": "sender-estimate",
    "rtcp": "rtcp",
    "stun": "stun",
}
"""What is counted is named after who counted: the client itself, or the SFU."""


class OriginSpan(Struct, kw_only=True):
    """Where a column's figures are from, from one time to another."""

    start: str
    end: str
    origin: str


class StreamOrigins(Struct, kw_only=True):
    """The origins of one column of one kind of stream, oldest first."""

    stream: StreamKind
    column: Column
    origins: list[OriginSpan]


class ClientClock(Struct, kw_only=True):
    """By how many seconds a client's clock is behind, and what was added to its times for that."""

    offsetSeconds: float
    correctedSeconds: float


class SessionDetail(Struct, kw_only=True, omit_defaults=True):
    """What is known of a session beside its columns."""

    participantSessionId: str
    meetingInstanceId: str
    origins: list[StreamOrigins] = field(default_factory=list)
    clock: ClientClock | None = None


async def get_detail(request: Request) -> Response:
    """Where a session's figures are from, and whether its clock is right."""
    services = services_of(request)
    principal = principal_of(request, READ_ALL, READ_ANONYMOUS)
    name: str = request.path_params["participantSessionId"]
    found = await run_in_threadpool(services.store.detail, principal.org, name)
    if found is None:
        raise NotFound("No such session.")
    principal.require_meeting(found.meeting)
    known = detail.unpack(found.data) if found.data else detail.Detail()
    answer = SessionDetail(
        participantSessionId=name,
        meetingInstanceId=found.meeting,
        origins=_origins(known.origins, "") + _origins(known.by_sfu, "sfu"),
        clock=None
        if known.offset_ms is None
        else ClientClock(
            offsetSeconds=round(known.offset_ms / 1000, 3),
            correctedSeconds=known.corrected_ms / 1000,
        ),
    )
    return json_response(request, answer)


def _origins(known: Origins, observer: str) -> list[StreamOrigins]:
    return [
        StreamOrigins(
            stream=kind,
            column=column,
            origins=[
                OriginSpan(
                    start=iso_ms(start), end=iso_ms(end), origin=_name(kind, origin, observer)
                )
                for start, end, origin in spans
            ],
        )
        for kind, columns in sorted(known.items())
        for column, spans in sorted(columns.items())
    ]


def _name(kind: StreamKind, origin: Origin, observer: str) -> str:
    if origin == "counted":
        return observer or ("receiver" if kind.endswith("In") else "sender")
    return observer if observer and origin == "reported" else NAMES[origin]


def endpoints() -> list[Endpoint]:
    """The endpoint of this file."""
    return [
        Endpoint(
            method="GET",
            path=PATH,
            handler=get_detail,
            summary="Where a session's figures are from",
            scopes=(READ_ALL, READ_ANONYMOUS),
            parameters=(
                Parameter(
                    name="participantSessionId",
                    schema={"type": "string", "minLength": 1, "maxLength": SESSION_ID_LENGTH_MAX},
                    description="Unique identifier of the media session.",
                    place="path",
                    required=True,
                ),
            ),
            answers={200: SessionDetail},
            errors=(400, 401, 403, 404, 429, 503),
        )
    ]
