"""What a hostile user would send: made from the OpenAPI document, and by hand. Never a 5xx."""

import json
import random
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from roomtone.api import endpoints
from tests.conftest import Api, Server, session, start_server, stream

EXAMPLES_MAX = 15
EXAMPLES_WITHOUT_TOKEN_MAX = 5
SEED = 20_261_124
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
schemathesis.serializer.alias("application/vq-rtcpxr", "text/plain")

DOCUMENTED = [one for one in endpoints() if one.documented]
OPERATIONS = [(one.method, one.path.replace(":path}", "}")) for one in DOCUMENTED]
CAN_BE_WRONG = [
    operation
    for one, operation in zip(DOCUMENTED, OPERATIONS, strict=True)
    if one.body or one.parameters
]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    data = tmp_path_factory.mktemp("fuzz") / "data"
    started = start_server(data, "--test-call-org", "acme", "--silence-s", "1")
    yield started
    assert started.process.poll() is None, "the server died"
    assert started.stop() == 0
    told = [line for line in started.log if '"error"' in line or "Traceback" in line]
    assert told == []


@pytest.fixture(scope="module")
def schema(running: Server) -> Any:
    document = httpx2.get(running.url + "/v1/openapi.json").json()
    return schemathesis.openapi.from_dict(document)


@pytest.fixture(scope="module")
def administrator(running: Server) -> dict[str, str]:
    return {"Authorization": f"Bearer {running.token()}"}


def hold(
    schema: Any,
    operation: tuple[str, str],
    mode: GenerationMode,
    *,
    examples: int = EXAMPLES_MAX,
    **options: Any,
) -> None:
    """Send what Hypothesis makes of an operation, and hold the answers against the document."""
    method, path = operation

    @seed(SEED)
    @given(case=schema[path][method].as_strategy(mode))
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def run(case: Any) -> None:
        response = case.call(**options)
        case.validate_response(response, checks=CHECKS)

    run()


@pytest.fixture(scope="module")
def client() -> Iterator[requests.Session]:
    with requests.Session() as opened:
        yield opened


@pytest.mark.parametrize("operation", OPERATIONS, ids=" ".join)
def test_what_the_document_allows_is_answered_as_documented(
    running: Server,
    schema: Any,
    client: requests.Session,
    administrator: dict[str, str],
    operation: tuple[str, str],
) -> None:
    options: dict[str, Any] = {"base_url": running.url, "session": client, "headers": administrator}
    hold(schema, operation, GenerationMode.POSITIVE, **options)


@pytest.mark.parametrize("operation", CAN_BE_WRONG, ids=" ".join)
def test_what_the_document_forbids_is_answered_as_documented(
    running: Server,
    schema: Any,
    client: requests.Session,
    administrator: dict[str, str],
    operation: tuple[str, str],
) -> None:
    options: dict[str, Any] = {"base_url": running.url, "session": client, "headers": administrator}
    hold(schema, operation, GenerationMode.NEGATIVE, **options)


@pytest.mark.parametrize("operation", OPERATIONS, ids=" ".join)
def test_without_a_token_too(
    running: Server, schema: Any, client: requests.Session, operation: tuple[str, str]
) -> None:
    options: dict[str, Any] = {"base_url": running.url, "session": client}
    examples = EXAMPLES_WITHOUT_TOKEN_MAX
    hold(schema, operation, GenerationMode.POSITIVE, examples=examples, **options)


# -- by hand, in process


def assert_answered(answer: Any) -> None:
    """Not a 5xx, and every error is in the one body."""
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400 and answer.request.method != "HEAD":
        body = answer.json()
        assert set(body) == {"message", "errors", "trackingId"}
        assert answer.headers["trackingid"] == body["trackingId"]
        assert len(answer.content) < 4_096


BODIES: dict[str, dict[str, Any]] = {
    "/v1/meeting/qualities": {"items": [session(audioIn=[stream(latency=[1, None, 2.5])])]},
    "/v1/meetings": {"id": "m1", "title": "Planning", "start": "2026-11-24T09:00:00Z"},
    "/v1/collector/tokens": {"meetingId": "m1", "participant": {"id": "P1", "name": "Ada"}},
    "/v1/webrtc/reports": {
        "meetingId": "m1",
        "participantSessionId": "S2",
        "session": {"clientType": "browser"},
        "reports": [{"connection": "pc1", "timestamp": 1_795_409_915_066, "stats": []}],
    },
    "/v1/roomtone/erase": {"email": "ada@example.com"},
    "/v1/roomtone/purge": {"before": "2020-01-01T00:00:00Z"},
}


@pytest.mark.parametrize("path", BODIES)
def test_a_body_with_bytes_changed_is_answered(api: Api, path: str) -> None:
    chance = random.Random(SEED)
    whole = json.dumps(BODIES[path]).encode()
    for _ in range(150):
        body = bytearray(whole)
        for _ in range(chance.randrange(1, 4)):
            at = chance.randrange(len(body))
            body[at : at + chance.randrange(3)] = chance.randbytes(chance.randrange(3))
        assert_answered(api.post(path, bytes(body)))


HOSTILE = [
    '"\\ud800"', '"\\udc00"', '"\\ud800x"', '"\\u0000"', '"\\ud83d\\ude00"', '"\u202e"', '"\\x41"',
    '"' + "x" * 1_024 + '"', '"' + "x" * 1_025 + '"', '"a\tb"', "'x'", "null", "true", "[]", "{}",
    "-1", "1e999", "-1e999", "1e-999", "0.1e1", "9007199254740993", "18446744073709551616",
    "1" + "0" * 400, "NaN", "Infinity", "-0", "01", "+1", '"2026-W48-2T10:00:00.000Z"',
    '"2026-11-24T09:00:00.000+99:99"', '"0001-01-01T00:00:00+23:59"', '"9999-12-31T23:59:59-23:59"',
]  # fmt: skip


def with_hole(value: Any, hole: str) -> Iterator[Any]:
    """The value with one leaf after the other, and each list and object, made a hole."""
    yield hole
    children: Any = ()
    if isinstance(value, dict):
        children = value.items()
    elif isinstance(value, list):
        children = enumerate(value)
    for key, child in children:
        for holed in with_hole(child, hole):
            copy = value.copy()
            copy[key] = holed
            yield copy


@pytest.mark.parametrize("path", BODIES)
def test_a_hostile_value_anywhere_is_answered(api: Api, path: str) -> None:
    for holed in with_hole(BODIES[path], "@hole@"):
        for hostile in HOSTILE:
            body = json.dumps(holed).replace('"@hole@"', hostile)
            assert_answered(api.post(path, body.encode(errors="surrogatepass")))
    assert_answered(api.qualities("m1"))
    assert_answered(api.get("/v1/meetings"))
    assert_answered(api.get("/v1/meetingParticipants?meetingId=m1"))
    api.clock.advance(s=600)
    api.upkeep()
    assert_answered(api.qualities("m1"))


@pytest.mark.parametrize(
    "text",
    ["\u202ehidden", "\U0001f600", "\ufeff", "x" * 1_024, "a\r\nb", "\x1b[31m", "\x9b2J"],
)
def test_any_text_without_nul_comes_out_as_it_went_in(api: Api, text: str) -> None:
    names = ("webexUserName", "webexUserEmail", "clientType", "camera")
    fields = dict.fromkeys(names, text)
    if text.isprintable():
        fields["participantId"] = text
    sent = session(audioIn=[stream(codec=text)], **fields)
    assert api.post_sessions(sent).status_code == 204
    for _ in range(2):
        (item,) = api.qualities("m1").json()["items"]
        assert {name: item[name] for name in fields} == fields
        assert item["audioIn"][0]["codec"] == text
        (person,) = api.get("/v1/meetingParticipants?meetingId=m1").json()["items"]
        assert person["displayName"] == text
        api.clock.advance(s=600)
        api.upkeep()


QUERIES = [
    "meetingId=m1&meetingId=m2", "meetingId=m1&max=1&max=x", "max=x&meetingId=m1&max=1",
    "meetingId=%", "meetingId=%zz", "meetingId=%ff%fe", "meetingId=%ed%a0%80", "meetingId=%00",
    "meetingId=m1&&&", "&=&=&", "=", "meetingId", "meetingId=m1;max=1", "%6deetingId=m1",
    "meetingId=m1&max=%2b1", "meetingId=m1&max=1%00", "meetingId=m1&max=%EF%BC%91",
    "meetingId=m1&offset=999999999999999", "meetingId=m1&offset=9999999999999999",
    "meetingId[]=m1", "meetingId=m1&from=%00&to=%00", "from=" + "9" * 100, "to=0000-00-00",
    "hostEmail=" + "%00" * 10, "siteUrl='%20OR%201=1", "state=%00", "x" * 4_096, "a=1&" * 1_000,
]  # fmt: skip


@pytest.mark.parametrize(
    "path", ["/v1/meeting/qualities", "/v1/meetings", "/v1/meetingParticipants"]
)
def test_a_hostile_query_is_answered(api: Api, path: str) -> None:
    api.post_sessions(session())
    for query in QUERIES:
        assert_answered(api.get(f"{path}?{query}"))


PATHS = [path.replace("{meetingId}", "m1") for _, path in OPERATIONS]
PATHS += [
    "/",
    "/call",
    "/collector.js",
    "/static/base.css",
    "/nothing",
    "/v1/https://x/v1/people/me",
]


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "TRACE", "PUT", "DELETE", "PATCH", "BREW"])
def test_every_method_on_every_path_is_answered(api: Api, method: str) -> None:
    for path in PATHS:
        answer = api.client.request(method, path, headers=api.headers())
        assert_answered(answer)
        if answer.status_code == 405:
            assert method not in answer.headers["allow"].split(", ")
        if method == "HEAD":
            assert answer.content == b""


# -- hostile reports

YEAR_2000_MS, AT_MS = 946_684_800_001, 1_795_409_915_066


def entry(ssrc: int, **fields: Any) -> dict[str, Any]:
    return {"type": "inbound-rtp", "id": f"I{ssrc}", "kind": "audio", "ssrc": ssrc, **fields}


def reports(*times_ms: float, **fields: Any) -> list[dict[str, Any]]:
    return [
        {
            "connection": "pc1",
            "timestamp": at_ms,
            "stats": [entry(1, **{"packetsReceived": n, **fields})],
        }
        for n, at_ms in enumerate(times_ms, 1)
    ]


HOSTILE_REPORTS: dict[str, list[dict[str, Any]]] = {
    "26 years apart": reports(YEAR_2000_MS, AT_MS),
    "26 years in steps": reports(*range(YEAR_2000_MS, AT_MS, (AT_MS - YEAR_2000_MS) // 900)),
    "a microsecond apart": reports(*(AT_MS + n / 1_000 for n in range(500))),
    "all at once": reports(*[AT_MS] * 500),
    "backwards": reports(*range(AT_MS, AT_MS - 600_000, -1_000)),
    "counters at the edge": reports(*range(AT_MS, AT_MS + 60_000, 1_000), packetsReceived=2**63),
    "counters that jump": [
        {"connection": "pc1", "timestamp": AT_MS + n * 1_000, "stats": [entry(1, **jump)]}
        for n in range(60)
        for jump in [{"packetsReceived": (n % 2) * 2**63, "packetsLost": (-1) ** n * 2**63}]
    ],
    "a connection a report": [
        {"connection": f"pc{n}", "timestamp": AT_MS + n, "stats": [entry(n, packetsReceived=n)]}
        for n in range(1_000)
    ],
    "every stream another's remote": [
        {
            "connection": "pc1",
            "timestamp": AT_MS + at_ms,
            "stats": [
                entry(n, packetsReceived=n + at_ms, remoteId=f"I{n + 1}", codecId=f"I{n}")
                for n in range(300)
            ],
        }
        for at_ms in range(0, 60_000, 10_000)
    ],
    "empty and repeated ids": [
        {"connection": "", "timestamp": AT_MS, "stats": [{}, {"id": ""}, {"id": None}] * 100}
    ],
    "stats by id": [{"connection": "pc1", "timestamp": AT_MS, "stats": {"": {}, "x": {"id": "y"}}}],
}


@pytest.mark.parametrize("name", HOSTILE_REPORTS)
def test_hostile_reports_are_answered_and_seal(api: Api, name: str) -> None:
    body = {"meetingId": "m1", "participantSessionId": "S1", "reports": HOSTILE_REPORTS[name]}
    for _ in range(2):
        answer = api.post("/v1/webrtc/reports", body)
        assert answer.status_code == 204, answer.text
    (item,) = api.qualities("m1").json()["items"]
    for values in columns_of(item):
        assert all(value is None or 0 <= value <= 2**80 for value in values)
    api.clock.advance(s=600)
    assert api.upkeep() == 1
    (sealed,) = api.qualities("m1").json()["items"]
    assert sealed["audioIn"] == item["audioIn"]


def columns_of(item: dict[str, Any]) -> Iterator[list[Any]]:
    for kind in ("audioIn", "audioOut", "videoIn", "videoOut"):
        for one in item[kind]:
            yield from (value for value in one.values() if isinstance(value, list))
