"""/v1/collector/verdict: a web page asks how its own person has it now, to show it to them."""

from typing import Final, Literal

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from roomtone.api.collector import keep_posts_max
from roomtone.api.endpoint import Endpoint, Parameter
from roomtone.api.wire import json_response, principal_of, query_of, services_of
from roomtone.auth import COLLECTOR_SCOPE
from roomtone.causes import Family
from roomtone.errors import Invalid, NotFound
from roomtone.live import advice
from roomtone.model import STRING_LENGTH_MAX
from roomtone.score import Verdict

PATH: Final = "/v1/collector/verdict"
AGE_S_MAX: Final = 30.0
"""A meeting is explained for its collectors at most so often, however many ask."""


class CollectorVerdict(Struct, kw_only=True):
    """How one session has it: all of it so far (`verdict`, `because`), and its last intervals.

    `text` and `advice` are for the person, both "" while it is good now. `trouble` is the family
    of the finding behind them, `others` when it is somebody else's, "" while no cause is known.
    """

    participantSessionId: str
    verdict: Verdict
    because: str
    now: Verdict
    trouble: Family | Literal["", "others"]
    text: str
    advice: str


async def get_collector_verdict(request: Request) -> Response:
    """How the person of a collector's token has it, in words for that person."""
    services = services_of(request)
    principal = principal_of(request, COLLECTOR_SCOPE)
    assert principal.participant is not None, "who holds the scope is bound"
    wanted = query_of(request).get("participantSessionId", "")
    if not wanted:
        raise Invalid("participantSessionId: expected the id of a session.")
    keep_posts_max(services, principal, services.now_ms())
    live, meeting = services.live, (principal.org, principal.meeting)
    state = await live.state(*meeting, age_s_max=AGE_S_MAX)
    if wanted not in state.participants:
        state = await live.state(*meeting, age_s_max=0.0)  # it may have just begun
    found = state.participants.get(wanted)
    whose = principal.participant.participantId
    if found is None or found.participantId != whose:
        raise NotFound("No such session.")
    said = advice.said(state, wanted, whose)
    answer = CollectorVerdict(
        participantSessionId=wanted,
        verdict=found.verdict,
        because=found.because,
        now=found.now,
        trouble=said.family,
        text=said.text,
        advice=said.advice,
    )
    return json_response(request, answer)


def endpoints() -> list[Endpoint]:
    """The endpoint of this file."""
    session = Parameter(
        name="participantSessionId",
        schema={"type": "string", "minLength": 1, "maxLength": STRING_LENGTH_MAX},
        description="The session that the collector posts to.",
        required=True,
    )
    return [
        Endpoint(
            method="GET",
            path=PATH,
            handler=get_collector_verdict,
            summary="How the person of a collector's token has it, in words for that person",
            scopes=(COLLECTOR_SCOPE,),
            parameters=(session,),
            answers={200: CollectorVerdict},
            errors=(400, 401, 403, 404, 410, 429, 503, 504),
        )
    ]
