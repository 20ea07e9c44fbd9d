"""The OpenAPI document: valid, whole, and true of what the server really answers."""

import json
from collections.abc import Callable
from typing import Any

import jsonschema_rs
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from starlette.routing import Route

from roomtone.model import COLUMNS, RESOURCE_COLUMNS
from roomtone.web import pages
from tests.api.test_tokens import collector_token, refreshable, report
from tests.api.test_verdict import ask
from tests.conftest import Api, session, stream
from tests.sources import vqs

Operation = tuple[str, str]
MISTAKEN = "/v1/https:"


@pytest.fixture
def document(api: Api) -> dict[str, Any]:
    answer = api.client.get("/v1/openapi.json")  # needs no token
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


def test_an_error_is_described_by_its_own_meaning(document: dict[str, Any]) -> None:
    answers = document["paths"]["/v1/meetings"]["get"]["responses"]
    assert answers["500"]["description"] == "An unexpected fault; the log has its tracking id."
    assert answers["401"]["description"].startswith("No token, or one that is unknown")


def operations(document: dict[str, Any]) -> set[Operation]:
    return {
        (method.upper(), path) for path, methods in document["paths"].items() for method in methods
    }


def routes_of(api: Api) -> list[Route]:
    application: Any = api.client.app
    return list(application._app.routes)


def served(route: Route) -> set[Operation]:
    handlers = getattr(route.app, "_handlers", None)
    methods = set(handlers or route.methods or ()) - {"HEAD"}
    return {(method, route.path.replace(":path}", "}")) for method in methods}


def test_the_document_is_valid_openapi_3_1(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1.")
    errors = list(OpenAPIV31SpecValidator(document).iter_errors())
    assert errors == []


def test_every_route_is_documented_and_every_documented_one_is_there(
    api: Api, document: dict[str, Any]
) -> None:
    found = {operation for route in routes_of(api) for operation in served(route)}
    web = {operation for route in pages.routes() for operation in served(route)}
    hidden = {operation for operation in found if operation[1].startswith(MISTAKEN)} | web
    assert operations(document) == found - hidden
    assert len(hidden - web) == 2


def test_operations_have_names_of_their_own_and_words(document: dict[str, Any]) -> None:
    described = [one for methods in document["paths"].values() for one in methods.values()]
    assert len({one["operationId"] for one in described}) == len(described)
    for one in described:
        assert one["summary"]
        assert one["description"]
        for status, answer in one["responses"].items():
            assert answer["description"], status


def test_every_error_is_described_by_the_one_body(document: dict[str, Any]) -> None:
    for path, methods in document["paths"].items():
        for one in methods.values():
            assert "500" in one["responses"], path
            for status, answer in one["responses"].items():
                if int(status) >= 400:
                    schema = answer["content"]["application/json"]["schema"]
                    assert schema == {"$ref": "#/components/schemas/ErrorBody"}
                    assert "trackingid" in answer["headers"]
                    assert ("Retry-After" in answer["headers"]) == (status in ("423", "429", "503"))


def test_what_needs_a_token_says_so(api: Api, document: dict[str, Any]) -> None:
    for path, methods in document["paths"].items():
        for method, one in methods.items():
            url = path.replace("{meetingId}", "m1")
            status = api.client.request(method, url, json={}).status_code
            assert (status == 401) == ("security" in one), (method, path)
            assert ("401" in one["responses"]) or "security" not in one


# -- real answers


def person_in(api: Api) -> str:
    """Somebody who is in the meeting m1 now."""
    assert api.post_sessions(session("S8", participantId="P8")).status_code == 204
    return "P8"


ANSWERS: dict[Operation, tuple[Callable[[Api], Any], int]] = {
    ("GET", "/v1/meeting/qualities"): (lambda api: api.qualities("m1"), 200),
    ("POST", "/v1/meeting/qualities"): (lambda api: api.post_sessions(session("S9")), 204),
    ("GET", "/v1/meetings"): (lambda api: api.get("/v1/meetings"), 200),
    ("POST", "/v1/meetings"): (lambda api: api.post("/v1/meetings", {"title": "x"}), 201),
    ("GET", "/v1/meetings/{meetingId}"): (lambda api: api.get("/v1/meetings/m1"), 200),
    ("GET", "/v1/meetings/{meetingId}/events"): (
        lambda api: api.get("/v1/meetings/m0/events"),
        200,
    ),
    ("GET", "/v1/meetingParticipants"): (
        lambda api: api.get("/v1/meetingParticipants?meetingId=m1"),
        200,
    ),
    ("POST", "/v1/agent/reports"): (
        lambda api: api.post(
            "/v1/agent/reports", {"meetingId": "m1", "participantId": person_in(api)}
        ),
        200,
    ),
    ("GET", "/v1/people/me"): (lambda api: api.get("/v1/people/me"), 200),
    ("POST", "/v1/access_token"): (
        lambda api: api.client.post("/v1/access_token", data=refreshable(api)),
        200,
    ),
    ("POST", "/v1/collector/tokens"): (
        lambda api: api.post("/v1/collector/tokens", {"meetingId": "m1"}),
        201,
    ),
    ("GET", "/v1/collector/verdict"): (
        lambda api: ask(api, collector_token(api, participant={"id": "P-S1"})["token"]),
        200,
    ),
    ("POST", "/v1/webrtc/reports"): (
        lambda api: api.post("/v1/webrtc/reports", report(session_id="S8")),
        204,
    ),
    ("GET", "/v1/roomtone/sessions/{participantSessionId}"): (
        lambda api: (
            api.post("/v1/webrtc/reports", report(session_id="S8")),
            api.get("/v1/roomtone/sessions/S8"),
        )[1],
        200,
    ),
    ("GET", "/v1/roomtone/meetings/{meetingId}"): (
        lambda api: api.get("/v1/roomtone/meetings/m1"),
        200,
    ),
    ("GET", "/v1/roomtone/fleet"): (
        lambda api: api.get("/v1/roomtone/fleet?by=networkType,clientType"),
        200,
    ),
    ("GET", "/v1/roomtone/fleet/compare"): (
        lambda api: api.get("/v1/roomtone/fleet/compare?within=region&by=networkType"),
        200,
    ),
    ("GET", "/v1/roomtone/fleet/ranking"): (
        lambda api: api.get("/v1/roomtone/fleet/ranking"),
        200,
    ),
    ("PUT", "/v1/roomtone/sites"): (
        lambda api: api.client.put(
            "/v1/roomtone/sites",
            content=b"10.24.0.0/16,Berlin",
            headers=api.headers() | {"Content-Type": "text/csv"},
        ),
        200,
    ),
    ("GET", "/v1/roomtone/sites"): (lambda api: api.get("/v1/roomtone/sites"), 200),
    ("GET", "/v1/roomtone/meetings"): (
        lambda api: (api.score(), api.get("/v1/roomtone/meetings"))[1],
        200,
    ),
    ("GET", "/v1/roomtone/thresholds"): (lambda api: api.get("/v1/roomtone/thresholds"), 200),
    ("PUT", "/v1/roomtone/thresholds"): (
        lambda api: api.put("/v1/roomtone/thresholds", {"activeSMin": 30}),
        200,
    ),
    ("POST", "/v1/janus/events"): (lambda api: api.post("/v1/janus/events", []), 204),
    ("POST", "/v1/sip/vq-rtcpxr"): (
        lambda api: api.post(
            "/v1/sip/vq-rtcpxr", vqs.body(), headers={"Content-Type": "application/vq-rtcpxr"}
        ),
        204,
    ),
    ("POST", "/call/session"): (lambda api: api.client.post("/call/session"), 201),
    ("POST", "/v1/roomtone/erase"): (
        lambda api: api.post("/v1/roomtone/erase", {"email": "ada@example.com"}),
        200,
    ),
    ("POST", "/v1/roomtone/purge"): (
        lambda api: api.post("/v1/roomtone/purge", {"before": "2020-01-01T00:00:00Z"}),
        200,
    ),
    ("GET", "/v1/roomtone/backup"): (lambda api: api.get("/v1/roomtone/backup"), 200),
    ("GET", "/health/live"): (lambda api: api.client.get("/health/live"), 200),
    ("GET", "/health/ready"): (lambda api: api.client.get("/health/ready"), 200),
    ("GET", "/metrics"): (lambda api: api.client.get("/metrics"), 200),
    ("GET", "/v1/openapi.json"): (lambda api: api.client.get("/v1/openapi.json"), 200),
}


@pytest.fixture
def busy(make_api: Callable[..., Api], example: dict[str, Any]) -> Api:
    """An API with a meeting in progress, one that has ended, and the specification's own."""
    api = make_api(test_call_org="acme")
    api.post("/v1/meetings", {"id": "m0", "title": "Over", "start": "2026-11-24T08:00:00Z"})
    api.post_sessions(session("S0", "m0", leaveTime="2026-11-24T09:30:00Z"))
    api.post_sessions(*example["items"])
    api.clock.advance(s=600)
    assert api.upkeep() == 2
    full: dict[str, Any] = {
        "audioIn": [stream(latency=[1, None, 2.5]), stream("2026-11-24T09:30:00Z", jitter=[1])],
        "resources": [{"systemMaxCPU": [1], "startTime": "2026-11-24T09:00:00Z"}],
    }
    api.post_sessions(session("S1", **full), session("S2", clientType="TEAMS_CLIENT"))
    return api


def validator(document: dict[str, Any], schema: dict[str, Any]) -> Any:
    whole = {**schema, "components": document["components"]}
    return jsonschema_rs.Draft202012Validator(whole, validate_formats=True)


@pytest.mark.parametrize(("method", "path"), ANSWERS, ids=" ".join)
def test_a_real_answer_is_as_the_document_says(
    busy: Api, document: dict[str, Any], method: str, path: str
) -> None:
    ask, status = ANSWERS[method, path]
    answer = ask(busy)
    assert answer.status_code == status, answer.text
    described = document["paths"][path][method.lower()]["responses"][str(status)]
    if "content" not in described:
        assert answer.content == b""
        return
    ((media_type, content),) = described["content"].items()
    assert answer.headers["content-type"].partition(";")[0] == media_type
    if media_type == "application/json":
        errors = validator(document, content["schema"]).iter_errors(answer.json())
        assert [error.message for error in errors] == []


def test_every_documented_operation_has_a_real_answer_here(document: dict[str, Any]) -> None:
    assert operations(document) == set(ANSWERS)


def test_all_meetings_and_participants_are_as_the_document_says(
    busy: Api, document: dict[str, Any]
) -> None:
    for path, kind in (
        ("/v1/meetings?from=2020-01-01&to=2030-01-01&max=100", "Meetings"),
        ("/v1/meetingParticipants?meetingId=m0", "Participants"),
        ("/v1/meeting/qualities?meetingId=m0", "MediaSessions"),
    ):
        answer = busy.get(path).json()
        assert answer["items"]
        check = validator(document, {"$ref": f"#/components/schemas/{kind}"})
        assert [error.message for error in check.iter_errors(answer)] == []


def test_an_error_is_as_the_document_says(api: Api, document: dict[str, Any]) -> None:
    check = validator(document, {"$ref": "#/components/schemas/ErrorBody"})
    for path in ("/v1/meeting/qualities", "/v1/meetings/m9", "/nothing"):
        check.validate(api.get(path).json())


# -- the specification's shape


def test_fields_are_the_specifications_in_name_order_and_type(
    api: Api, example: dict[str, Any], document: dict[str, Any]
) -> None:
    assert api.post_sessions(*example["items"]).status_code == 204
    meeting = example["items"][0]["meetingInstanceId"]
    (item,) = json.loads(api.qualities(meeting).content)["items"]
    (wanted,) = example["items"]
    assert json.dumps(item) == json.dumps(wanted)  # order and spelling of numbers too
    schemas = document["components"]["schemas"]
    assert list(schemas["MediaSession"]["properties"]) == list(wanted)
    assert list(schemas["Stream"]["properties"]) == list(wanted["audioIn"][0])
    assert list(schemas["Resources"]["properties"])[:4] == list(wanted["resources"][0])
    assert schemas["MediaSession"]["required"] == ["meetingInstanceId"]


def test_columns_are_arrays_of_numbers_or_null(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    columns = [schemas["Stream"]["properties"][name] for name in COLUMNS]
    columns += [schemas["Resources"]["properties"][name] for name in RESOURCE_COLUMNS]
    for column in columns:
        assert column["type"] == "array"
        kinds = {kind["type"] for kind in column["items"]["anyOf"]}
        assert kinds == {"integer", "number", "null"}


def test_a_repeated_request_with_its_etag_is_304_as_documented(
    api: Api, document: dict[str, Any]
) -> None:
    api.post_sessions(session())
    etag = api.qualities("m1").headers["etag"]
    again = api.get("/v1/meeting/qualities?meetingId=m1", headers={"If-None-Match": etag})
    assert again.status_code == 304
    assert "304" in document["paths"]["/v1/meeting/qualities"]["get"]["responses"]
