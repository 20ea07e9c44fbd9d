"""The REST API: every endpoint, declared once, for the router and for the OpenAPI document."""

from roomtone.api import (
    admin,
    agent,
    backup,
    collector,
    detail,
    events,
    fleet,
    fleet_compare,
    fleet_ranking,
    janus,
    judged,
    meetings,
    openapi,
    people,
    qualities,
    scores,
    sip,
    sites,
    thresholds,
    verdict,
)
from roomtone.api.endpoint import Endpoint

# Pages of other origins may ask here (CORS), by a list of origins; /collector.js is for everybody.
CROSS_ORIGIN_PATHS = {"/v1/webrtc/reports": "POST", "/v1/collector/verdict": "GET"}


def endpoints() -> list[Endpoint]:
    """All endpoints, in the order in which the OpenAPI document lists them."""
    described = [
        *qualities.endpoints(),
        *events.endpoints(),  # before the meetings, whose ids may have slashes
        *meetings.endpoints(),
        *people.endpoints(),
        *collector.endpoints(),
        *verdict.endpoints(),
        *detail.endpoints(),
        *judged.endpoints(),
        *scores.endpoints(),
        *fleet.endpoints(),
        *fleet_compare.endpoints(),
        *fleet_ranking.endpoints(),
        *sites.endpoints(),
        *thresholds.endpoints(),
        *agent.endpoints(),
        *janus.endpoints(),
        *sip.endpoints(),
        *admin.endpoints(),
        *backup.endpoints(),
    ]
    return [*described, openapi.endpoint(described)]
