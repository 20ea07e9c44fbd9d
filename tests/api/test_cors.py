"""CORS: a page of an allowed origin may report and read every answer; other origins may not."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.api.test_bad_input import assert_error
from tests.api.test_tokens import collector_token, report
from tests.conftest import Api

MEET = "https://meet.example.com"
EVIL = "https://evil.example.net"
REPORTS = "/v1/webrtc/reports"
VERDICT = "/v1/collector/verdict"


@pytest.fixture
def open_api(make_api: Callable[..., Api]) -> Api:
    return make_api(allowed_origins=(MEET, "https://other.example.com"))


def preflight(api: Api, origin: str, path: str = REPORTS, **headers: str) -> Any:
    wanted = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-encoding,content-type",
    }
    asked = {name.replace("_", "-"): value for name, value in headers.items()}
    return api.client.options(path, headers=wanted | asked)


def post(api: Api, origin: str, body: Any, token: str | None = None) -> Any:
    headers = {"Origin": origin}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    return api.client.post(REPORTS, json=body, headers=headers)


def cors_headers(answer: Any) -> list[str]:
    return [name for name in answer.headers if name.startswith("access-control-")]


def test_an_allowed_origin_may_post_with_a_token(open_api: Api) -> None:
    answer = preflight(open_api, MEET)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == MEET
    assert "POST" in answer.headers["access-control-allow-methods"]
    allowed = answer.headers["access-control-allow-headers"].lower()
    assert {"authorization", "content-encoding", "content-type"} <= set(allowed.split(", "))
    assert int(answer.headers["access-control-max-age"]) > 0
    assert "Origin" in answer.headers["vary"]


@pytest.mark.parametrize("origin", [EVIL, "null", "", MEET + ".evil.net", "http" + MEET[5:]])
def test_a_preflight_of_a_foreign_origin_is_refused_in_the_error_body(
    open_api: Api, origin: str
) -> None:
    answer = preflight(open_api, origin)
    assert_error(answer, 400, names="origin")
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    ("headers", "names"),
    [
        ({"Access_Control_Request_Method": "DELETE"}, "method"),
        ({"Access_Control_Request_Headers": "x-secret"}, "headers"),
    ],
)
def test_a_preflight_for_more_than_the_collector_needs_is_refused(
    open_api: Api, headers: dict[str, str], names: str
) -> None:
    assert_error(preflight(open_api, MEET, **headers), 400, names=names)


def test_a_report_of_an_allowed_origin_lands_and_its_answer_may_be_read(open_api: Api) -> None:
    token = collector_token(open_api)["token"]
    answer = post(open_api, MEET, report(), token)
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == MEET
    assert "Origin" in answer.headers["vary"]


ERRORS: list[tuple[int, Any, bool]] = [
    (400, {"meetingId": 1}, True),
    (400, report(session={"nonsense": "1"}), True),
    (401, report(), False),
    (403, report(meeting="m2"), True),
]


@pytest.mark.parametrize(("status", "body", "with_token"), ERRORS, ids=str)
def test_an_error_may_be_read_by_the_page_too(
    open_api: Api, status: int, body: Any, with_token: bool
) -> None:
    token = collector_token(open_api)["token"] if with_token else None
    answer = post(open_api, MEET, body, token)
    assert_error(answer, status)
    assert answer.headers["access-control-allow-origin"] == MEET


def test_a_page_can_read_how_long_to_wait(open_api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    token = collector_token(open_api)["token"]
    monkeypatch.setattr(open_api.services.writer, "_waiting_count", 1_000_000)
    answer = post(open_api, MEET, report(), token)
    assert_error(answer, 429)
    assert answer.headers["access-control-allow-origin"] == MEET
    assert "Retry-After" in answer.headers["access-control-expose-headers"].split(", ")
    assert int(answer.headers["retry-after"]) >= 1


def test_a_fault_may_be_read_by_the_page_too(
    open_api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = collector_token(open_api)["token"]

    def fail(*_args: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(open_api.store, "put_session", fail)
    answer = post(open_api, MEET, report(), token)
    assert_error(answer, 500)
    assert answer.headers["access-control-allow-origin"] == MEET


def test_a_foreign_origins_page_can_read_no_answer(open_api: Api) -> None:
    token = collector_token(open_api)["token"]
    for body in (report(), {"meetingId": 1}):
        answer = post(open_api, EVIL, body, token)
        assert "access-control-allow-origin" not in answer.headers


def test_a_star_allows_every_origin(make_api: Callable[..., Api]) -> None:
    api = make_api(allowed_origins=("*",))
    token = collector_token(api)["token"]
    assert preflight(api, EVIL).headers["access-control-allow-origin"] == "*"
    for body in (report(), {"meetingId": 1}):
        assert post(api, EVIL, body, token).headers["access-control-allow-origin"] == "*"


def test_an_allowed_origin_may_ask_for_the_verdict(open_api: Api) -> None:
    answer = preflight(
        open_api,
        MEET,
        VERDICT,
        Access_Control_Request_Method="GET",
        Access_Control_Request_Headers="authorization",
    )
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == MEET
    assert "GET" in answer.headers["access-control-allow-methods"]
    assert "POST" not in answer.headers["access-control-allow-methods"]
    assert_error(preflight(open_api, MEET, VERDICT), 400, names="method")
    token = collector_token(open_api)["token"]
    for authorization in ({"Authorization": f"Bearer {token}"}, {}):
        headers = {"Origin": MEET, **authorization}
        answer = open_api.client.get(VERDICT, headers=headers)
        assert_error(answer, 400 if authorization else 401)
        assert answer.headers["access-control-allow-origin"] == MEET


OTHERS = [
    "/v1/meeting/qualities",
    "/v1/meetings",
    "/v1/meetings/m1",
    "/v1/meetingParticipants",
    "/v1/people/me",
    "/v1/access_token",
    "/v1/collector/tokens",
    "/v1/roomtone/erase",
    "/v1/roomtone/backup",
    "/call/session",
    "/metrics",
    "/health/ready",
    "/",
    "/nothing",
]


@pytest.mark.parametrize("path", OTHERS)
def test_nothing_else_is_open_to_other_origins(open_api: Api, path: str) -> None:
    assert cors_headers(preflight(open_api, MEET, path)) == []
    for method in ("GET", "POST"):
        answer = open_api.client.request(method, path, headers={"Origin": MEET})
        assert cors_headers(answer) == []


def test_without_allowed_origins_there_is_no_cors(api: Api) -> None:
    assert_error(preflight(api, MEET), 405)
    token = collector_token(api)["token"]
    assert cors_headers(post(api, MEET, report(), token)) == []


def test_every_page_may_load_the_collector(api: Api) -> None:
    answer = api.client.get("/collector.js", headers={"Origin": EVIL})
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "*"
