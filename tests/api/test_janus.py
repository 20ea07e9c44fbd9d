"""Janus' event handler posts to a server: tokens, batches, restarts, rooms."""

import base64
import gzip
import json
import random
from itertools import chain
from typing import Any

import httpx2
import pytest

from tests.conftest import Api, Server
from tests.sources.janus_calls import Event, event, publishes, recorded
from tests.sources.janus_rooms import Room
from tests.sources.janus_rooms import batches as in_posts

PATH = "/v1/janus/events"
RECORDED = recorded()
MEETING = "the-call"
FIXED = {"meetingId": MEETING}
BATCH = 40


def post(api: Api, batch: Any, **options: Any) -> None:
    answer = api.post(PATH, batch, "telemetry:write", **options)
    assert (answer.status_code, answer.content) == (204, b"")


def batches(size: int = BATCH) -> list[list[Event]]:
    return [RECORDED[start : start + size] for start in range(0, len(RECORDED), size)]


def stored(api: Api, meeting: str = MEETING) -> list[dict[str, Any]]:
    items = api.qualities(meeting, max=100).json()["items"]
    return sorted(items, key=lambda item: str(item["participantId"]))


def fates(api: Api) -> dict[str, float]:
    lines = api.client.get("/metrics").text.splitlines()
    found = [line.split('"') for line in lines if line.startswith("roomtone_janus_events_total")]
    return {fate: float(count.lstrip("} ")) for _, fate, count in found}


@pytest.fixture
def whole(api: Api) -> list[dict[str, Any]]:
    """What the recorded call gives when it is posted once and in order."""
    for batch in batches():
        post(api, batch, params=FIXED)
    return stored(api)


def test_a_call_becomes_a_meeting_with_a_session_for_each_participant(
    whole: list[dict[str, Any]],
) -> None:
    alice, bob = whole
    assert (alice["participantId"], bob["participantId"]) == ("alice", "bob")
    assert alice["audioOut"][0]["packetLoss"] == [pytest.approx(4.83, abs=0.2)]
    assert alice["videoIn"][0]["packetLoss"] == [pytest.approx(4.64, abs=0.1)]
    assert bob["audioIn"][0]["packetLoss"] == [pytest.approx(0, abs=0.1)]
    assert alice["leaveTime"] == "2026-11-23T05:09:38.894Z"
    assert alice["maskedLocalIP"] == "10.77.0.0"


def test_a_meeting_that_nobody_named_is_listed_by_its_room(api: Api) -> None:
    post(api, RECORDED)
    window = {"from": "2026-11-23T00:00:00Z", "to": "2026-11-24T00:00:00Z"}
    (meeting,) = api.get("/v1/meetings", params=window).json()["items"]
    assert meeting["title"] == "Room 1234"
    assert meeting["start"] == "2026-11-23T05:08:47Z"
    assert len(stored(api, meeting["id"])) == 2


def test_events_come_alone_too(make_api: Any) -> None:
    together, alone = make_api(), make_api()
    some = RECORDED[:160]
    post(together, some, params=FIXED)
    for number, one in enumerate(some):
        post(alone, [one] if number % 2 else one, params=FIXED)
    assert stored(alone) == stored(together)


def test_batches_sent_again_change_nothing(make_api: Any, whole: list[dict[str, Any]]) -> None:
    api = make_api()
    for batch in batches():
        post(api, batch, params=FIXED)
        post(api, batch, params=FIXED)
    for batch in batches():
        post(api, batch, params=FIXED)
    assert stored(api) == whole


def test_shuffled_batches_give_no_other_people_and_no_made_up_loss(make_api: Any) -> None:
    api = make_api()
    post(api, batches()[0], params=FIXED)
    rest = batches()[1:]
    random.Random(3).shuffle(rest)
    for batch in rest:
        post(api, batch, params=FIXED)
    alice, bob = stored(api)
    losses = [loss for entry in alice["audioOut"] for loss in entry["packetLoss"]]
    assert losses
    assert all(loss == pytest.approx(4.83, abs=2) for loss in losses if loss is not None)
    assert {loss for entry in bob["audioOut"] for loss in entry["packetLoss"]} <= {0.0, None}
    for entry in bob["audioIn"] + bob["videoIn"]:
        assert all(loss is None or loss < 1 for loss in entry["packetLoss"])


def test_a_server_that_restarts_in_the_middle_goes_on(
    make_api: Any, whole: list[dict[str, Any]]
) -> None:
    first = make_api()
    half = len(batches()) // 2
    for batch in batches()[:half]:
        post(first, batch, params=FIXED)
    after = make_api(data=first.settings.data)
    for batch in batches()[half:]:
        post(after, batch, params=FIXED)
    assert stored(after) == whole


def test_an_all_zero_last_event_changes_nothing(api: Api, whole: list[dict[str, Any]]) -> None:
    last = {(one["handle_id"], one["event"]["mid"]): one for one in RECORDED if is_stats(one)}
    zero = [
        one
        | {"timestamp": one["timestamp"] + 900_000}
        | {"event": {k: 0 if isinstance(v, int) else v for k, v in one["event"].items()}}
        for one in last.values()
    ]
    post(api, zero, params=FIXED)
    assert stored(api) == whole


def is_stats(one: Event) -> bool:
    return bool(one["type"] == 32 and one["subtype"] == 3)


def test_a_room_of_thirty_is_stored_whole(api: Api) -> None:
    room = Room(30, "combined", 1, 10)
    for batch in in_posts(chain(room.begin(), room.ticks(2, 260))):
        post(api, batch, params=FIXED)
    (first,) = [one for one in stored(api) if one["participantId"] == "p0"]
    (sound,), (picture,) = first["audioIn"], first["videoIn"]
    assert sound["mediaBitRate"][1:3] == [pytest.approx(29 * 32_000, rel=0.005)] * 2
    assert picture["packetLoss"][1:3] == [pytest.approx(5, abs=0.2)] * 2
    assert picture["latency"][1:3] == [pytest.approx(42, abs=0.5)] * 2
    assert "too_many" not in fates(api)


def test_two_rooms_of_a_server_are_two_meetings(api: Api) -> None:
    post(api, [publishes(11, 0, display="Ada"), publishes(21, 0, room=2, display="Bob")],
         params={"meetingId": "r{room}"})  # fmt: skip
    names = [[one["webexUserName"] for one in stored(api, meeting)] for meeting in ("r1", "r2")]
    assert names == [["Ada"], ["Bob"]]


def test_organisations_do_not_share_what_is_known_of_a_server(api: Api) -> None:
    post(api, [publishes(11, 0, display="Ada")], params=FIXED)
    answer = api.post(PATH, RECORDED[-3:], org="umbrella", params=FIXED)
    assert answer.status_code == 204
    assert api.qualities(MEETING, org="umbrella").status_code == 404


def test_a_bad_event_is_counted_and_the_others_taken(api: Api) -> None:
    post(api, [{}, {"type": 64}, publishes(11, 0, display="Ada"), event(32, 1, [], subtype=2)],
         params=FIXED)  # fmt: skip
    assert [one["webexUserName"] for one in stored(api)] == ["Ada"]
    assert fates(api) == {"bad": 2, "used": 1, "ignored": 1, "refused": 0}


def test_a_session_that_the_store_refuses_does_not_keep_others_out(api: Api) -> None:
    post(api, [publishes(11, 0, display="Ada")], params=FIXED)
    (ada,) = stored(api)
    api.post_sessions(
        {"meetingInstanceId": "elsewhere", "participantSessionId": "S", "participantId": "P"}
    )
    taken = api.post_sessions(
        {"meetingInstanceId": MEETING, "participantSessionId": ada["participantSessionId"],
         "participantId": "somebody"}
    )  # fmt: skip
    assert taken.status_code == 204
    post(api, [publishes(12, 5, opaque_id="ada:x"), publishes(21, 5, display="Bob")], params=FIXED)
    assert {one["webexUserName"] for one in stored(api)} == {"Ada", "Bob"}
    assert fates(api)["refused"] == 1


def basic(password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"janus:{password}".encode()).decode()}


@pytest.mark.parametrize("way", ["query", "bearer", "basic"])
def test_the_token_may_be_in_the_query_or_in_either_header(api: Api, way: str) -> None:
    token = api.token("telemetry:write")
    headers = {"query": {}, "bearer": {"Authorization": f"Bearer {token}"}, "basic": basic(token)}
    params = {"token": token} if way == "query" else {}
    answer = api.client.post(PATH, json=RECORDED[:3], headers=headers[way], params=params)
    assert answer.status_code == 204


@pytest.mark.parametrize(
    ("headers", "params", "status"),
    [
        ({}, {}, 401),
        ({}, {"token": ""}, 401),
        ({}, {"token": "rt_unknown"}, 401),
        ({}, {"token": "x" * 3000}, 401),
        ({}, {"token": "\N{SNOWMAN}\0"}, 401),
        ({"Authorization": "Basic !"}, {}, 401),
        ({"Authorization": "Basic amFudXM="}, {}, 401),
        (basic("rt_unknown"), {}, 401),
        ({}, {"token": "x" * 5000}, 400),
    ],
)
def test_without_a_token_nothing_is_taken(
    api: Api, headers: dict[str, str], params: dict[str, str], status: int
) -> None:
    answer = api.client.post(PATH, json=RECORDED[:3], headers=headers, params=params)
    assert answer.status_code == status
    assert answer.json()["message"]


def test_a_token_needs_the_scope(api: Api) -> None:
    token = api.token("analytics:read_all")
    answer = api.client.post(PATH, json=RECORDED[:3], params={"token": token})
    assert answer.status_code == 403


@pytest.mark.parametrize(
    ("body", "status", "rule"),
    [
        (b"", 400, "truncated"),
        (b"[{]", 400, "JSON"),
        (b"1", 400, "`$[0]`"),
        (b'[{}, "x"]', 400, "`$[1]`"),
        (b"[" + b"{}," * 10_001 + b"{}]", 400, "10000"),
        (b"[" + b" " * 9_000_000 + b"]", 413, "larger"),
    ],
)
def test_what_is_no_batch_is_refused(api: Api, body: bytes, status: int, rule: str) -> None:
    answer = api.post(PATH, body, "telemetry:write")
    assert answer.status_code == status
    assert rule in answer.json()["message"]


@pytest.mark.parametrize("meeting", ["a\nb", "<m>", "x" * 257])
def test_a_meetings_id_that_is_none_is_refused(api: Api, meeting: str) -> None:
    answer = api.post(PATH, [], "telemetry:write", params={"meetingId": meeting})
    assert answer.status_code == 400
    assert "meetingId" in answer.json()["message"]


def test_a_batch_may_be_packed(api: Api) -> None:
    headers = {"Content-Encoding": "gzip"}
    post(api, gzip.compress(json.dumps(RECORDED).encode()), headers=headers, params=FIXED)
    assert len(stored(api)) == 2


def test_the_token_in_the_query_reaches_no_log(server: Server) -> None:
    token = server.token("telemetry:write")
    for path in (PATH, f"{PATH}/nowhere"):
        httpx2.post(server.url + path, params={"token": token}, json=RECORDED[:3])
    httpx2.post(server.url + PATH, params={"token": token}, content=b"{")
    assert server.stop() == 0
    assert any(PATH in line for line in server.log)
    assert not [line for line in server.log if token in line]
