"""What must not get out: logs and metrics name nobody; an anonymous reader learns of nobody."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from roomtone.auth import hash_token, new_token
from roomtone.store import open_store
from tests.api.test_tokens import report
from tests.conftest import Api, Server, session, start_server, stored_token, stream

SECRETS = {
    "name": "Adalovelace",
    "email": "ada.secret@example.com",
    "host": "ines.secret@example.com",
    "title": "Layoffs-in-spring",
    "local": "192.168.77.177",
    "public": "203.0.113.201",
    "forwarded": "198.51.100.77",
    "camera": "Adas-Camera",
    "client_secret": "s3cret-of-client",
    "meeting": "secret-meeting-7f3a",
    "query": "found-only-in-the-query",
}

PAST = "2024-04-10T17:00:00.000Z"  # for a server whose clock is the world's


@dataclass
class Told:
    """All that a server wrote and counted while everything was done to it."""

    log: str
    metrics: str
    lines: list[dict[str, Any]]
    tokens: list[str]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    data = tmp_path_factory.mktemp("privacy") / "data"
    server = start_server(data, "--trusted-proxies", "127.0.0.0/8", "--test-call-org", "acme")
    tokens = [server.token(), server.token("analytics:read_anonymous"), refresh_token(data)]
    with httpx2.Client(base_url=server.url) as client:
        statuses = {answer.status_code for answer in everything(client, *tokens)}
        tokens += [answer.json()["token"] for answer in minted(client, tokens[0])]
        metrics = client.get("/metrics").text
    assert {200, 201, 204, 400, 401, 403, 404, 405, 409, 413, 415} <= statuses
    assert not [status for status in statuses if status >= 500]
    assert server.stop() == 0
    lines = [json.loads(line) for line in server.log]
    return Told("".join(server.log), metrics, lines, tokens)


def refresh_token(data: Path) -> str:
    token = new_token()
    store = open_store(data)
    with store.transaction():
        store.put_token(
            stored_token(
                token,
                org="acme",
                now_ms=0,
                kind="refresh",
                client_id="C1",
                client_secret_hash=hash_token(SECRETS["client_secret"]),
                label=SECRETS["email"],
            )
        )
    store.close()
    return token


def minted(client: httpx2.Client, token: str) -> list[Any]:
    headers = {"Authorization": f"Bearer {token}"}
    body = {"meetingId": SECRETS["meeting"], "participant": {"name": SECRETS["name"]}}
    return [
        client.post("/v1/collector/tokens", json=body, headers=headers),
        client.post("/call/session"),
    ]


def everything(client: httpx2.Client, token: str, anonymous: str, refresh: str) -> Iterator[Any]:
    """Good requests and bad ones, with the secrets wherever one can be put."""
    meeting = SECRETS["meeting"]
    person = session(
        "S1",
        meeting,
        webexUserName=SECRETS["name"],
        webexUserEmail=SECRETS["email"],
        localIP=SECRETS["local"],
        publicIP=SECRETS["public"],
        camera=SECRETS["camera"],
        joinTime=PAST,
        audioIn=[stream(PAST)],
    )
    news = {"id": meeting, "title": SECRETS["title"], "hostEmail": SECRETS["host"]}
    form = {
        "grant_type": "refresh_token",
        "client_id": "C1",
        "client_secret": SECRETS["client_secret"],
        "refresh_token": refresh,
    }
    posts: list[tuple[str, Any]] = [
        ("/v1/meetings", news),
        ("/v1/meeting/qualities", {"items": [person]}),
        ("/v1/webrtc/reports", report(meeting, "S2", session={"webexUserName": SECRETS["name"]})),
        ("/v1/meeting/qualities", {"items": [person | {"meetingInstanceId": "other"}]}),
        ("/v1/meeting/qualities", {"items": [person | {"joinTime": SECRETS["name"]}]}),
        ("/v1/meetings", news | {"start": SECRETS["title"]}),
        ("/v1/webrtc/reports", report(meeting, "S2", session={SECRETS["name"]: "x"})),
        ("/v1/roomtone/erase", {"email": SECRETS["email"] + ".other"}),
        ("/v1/roomtone/purge", {"before": SECRETS["name"]}),
        ("/v1/meeting/qualities", {"x": "y" * (9 * 1024 * 1024)}),
        ("/nothing/" + SECRETS["name"], {}),
        ("/v1/meetings/" + meeting, {}),
    ]
    for authorization in (f"Bearer {token}", f"Bearer {anonymous}", f"Basic {token}", ""):
        headers = {"Authorization": authorization, "X-Forwarded-For": SECRETS["forwarded"]}
        for path, body in posts:
            yield client.post(path, json=body, headers=headers)
        yield client.post("/v1/meetings", content=SECRETS["title"], headers=headers)
        for path in (
            f"/v1/meeting/qualities?meetingId={meeting}",
            f"/v1/meetings?hostEmail={SECRETS['host']}&from={SECRETS['query']}",
            f"/v1/meetings?hostEmail={SECRETS['host']}",
            f"/v1/meetings/{meeting}",
            f"/v1/meetings/{SECRETS['query']}",
            f"/v1/meetings/{SECRETS['query']}/events",
            f"/v1/collector/verdict?participantSessionId={SECRETS['name']}",
            f"/v1/meetingParticipants?meetingId={meeting}",
            f"/v1/people/me?access_token={token}",
            "/v1/roomtone/backup",
            f"/static/{SECRETS['name']}",
        ):
            yield client.get(path, headers=headers)
    for change in ({}, {"client_secret": "wrong"}, {"grant_type": SECRETS["name"]}):
        yield client.post("/v1/access_token", data=form | change)


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS)
def test_neither_log_nor_metrics_hold_a_secret(told: Told, secret: str) -> None:
    assert secret.lower() not in told.log.lower()
    assert secret.lower() not in told.metrics.lower()


def test_neither_log_nor_metrics_hold_a_token(told: Told) -> None:
    for token in told.tokens:
        assert len(token) > 20
        assert token not in told.log + told.metrics
        assert hash_token(token).hex()[:16] not in told.log + told.metrics
    assert "rt_" not in told.log + told.metrics


def test_neither_log_nor_metrics_hold_an_address(told: Told) -> None:
    listening, *rest = told.lines
    assert listening["event"] == "listening"  # the server's own address, told once
    for text in (told.metrics, json.dumps(rest)):
        assert not re.findall(r"\b\d{1,3}(?:\.\d{1,3}){3}\b", text)
        assert "@" not in text


def test_there_is_one_line_a_request_and_it_says_what_is_needed(told: Told) -> None:
    requests = [line for line in told.lines if line["event"] == "request"]
    assert len(requests) == 4 * 24 + 3 + 3
    for line in requests:
        assert set(line) == {
            "time", "level", "event", "method", "route", "status", "ms", "trackingId",
        }  # fmt: skip
    assert len({line["trackingId"] for line in requests}) == len(requests)


ANONYMOUS = "analytics:read_anonymous"
READ_PATHS = [
    "/v1/meeting/qualities?meetingId=m1",
    "/v1/meetings",
    "/v1/meetings/m1",
    "/v1/meetingParticipants?meetingId=m1",
    "/v1/roomtone/backup",
]


@pytest.mark.parametrize("path", READ_PATHS)
def test_an_anonymous_reader_gets_no_name_from_any_path(api: Api, path: str) -> None:
    api.post_sessions(
        session(
            webexUserName=SECRETS["name"],
            webexUserEmail=SECRETS["email"],
            localIP=SECRETS["local"],
            publicIP=SECRETS["public"],
            camera=SECRETS["camera"],
        )
    )
    api.post("/v1/meetings", {"id": "m1", "hostEmail": SECRETS["host"]})
    answer = api.get(path, ANONYMOUS)
    assert answer.status_code == (200 if "qualities" in path else 403)
    for secret in SECRETS.values():
        assert secret.encode() not in answer.content


def test_an_answer_in_memory_is_not_mixed_up_between_readers(api: Api) -> None:
    """The full and the anonymous answer are two: in the cache, and by their ETags."""
    api.post_sessions(session(webexUserName=SECRETS["name"]))
    full = api.qualities("m1", "analytics:read_all")
    plain = api.qualities("m1", ANONYMOUS)
    assert SECRETS["name"] in full.text
    assert SECRETS["name"] not in plain.text
    assert full.headers["etag"] != plain.headers["etag"]
    headers = {"If-None-Match": full.headers["etag"]}
    params = {"meetingId": "m1"}
    again = api.get("/v1/meeting/qualities", ANONYMOUS, params=params, headers=headers)
    assert again.status_code == 200
    assert "Authorization" in full.headers["vary"]
    assert "private" in full.headers["cache-control"]


def test_two_organisations_with_one_meeting_id_never_share_an_answer(api: Api) -> None:
    api.post_sessions(session(webexUserName="Ada"), org="acme")
    api.post_sessions(session(webexUserName="Bob"), org="zeta")
    etag = api.qualities("m1", org="acme").headers["etag"]
    theirs = api.get(
        "/v1/meeting/qualities?meetingId=m1", org="zeta", headers={"If-None-Match": etag}
    )
    assert theirs.status_code == 200
    assert "Ada" not in theirs.text


def test_a_server_error_says_nothing_of_the_inside(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_args: object, **_options: object) -> None:
        raise ValueError("SELECT secret FROM /var/lib/roomtone")

    monkeypatch.setattr(api.store, "meetings", fail)
    answer = api.get("/v1/meetings")
    assert answer.status_code == 500
    for word in ("SELECT", "ValueError", "/var", "Traceback", ".py"):
        assert word not in answer.text


def test_the_store_keeps_no_token(server: Server) -> None:
    token = server.token()
    kept = b"".join(path.read_bytes() for path in server.data.rglob("*") if path.is_file())
    assert token.encode() not in kept
    assert token.removeprefix("rt_").encode() not in kept


def test_a_session_id_that_is_made_here_tells_nothing_about_the_person(api: Api) -> None:
    """Whoever may read no name cannot check a guessed one by the id either."""
    ids = []
    for person in ("ada", "bob"):
        body = session("", participantId="P1", webexUserName=person, webexUserEmail=f"{person}@x.y")
        assert api.post_sessions(body).status_code == 204
        ids += [item["participantSessionId"] for item in api.qualities("m1").json()["items"]]
    assert len(set(ids)) == 1
