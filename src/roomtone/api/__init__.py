"""The REST API: every endpoint, declared once, for the router and for the OpenAPI document."""

from roomtone.api import admin, collector, meetings, openapi, people, qualities
from roomtone.api.endpoint import Endpoint

# The collector's endpoints: pages of other origins may use them (CORS), by a list of origins.
CROSS_ORIGIN_PATHS = ("/v1/webrtc/reports", "/collector.js")


def endpoints() -> list[Endpoint]:
    """All endpoints, in the order in which the OpenAPI document lists them."""
    described = [
        *qualities.endpoints(),
        *meetings.endpoints(),
        *people.endpoints(),
        *collector.endpoints(),
        *admin.endpoints(),
    ]
    return [*described, openapi.endpoint(described)]
