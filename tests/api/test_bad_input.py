"""Bad input: a clear error, and nothing lost. One row a fault."""

import gzip
import json
import re
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
import zstandard

from roomtone import decoding
from tests.conftest import Api, session, stream

QUALITIES = "/v1/meeting/qualities"


def body_with(**fields: Any) -> bytes:
    return json.dumps({"items": [session(**fields)]}).encode()


def posted(api: Api, body: bytes, **options: Any) -> Any:
    return api.post(QUALITIES, body, **options)


def assert_error(answer: Any, status: int, *, names: str = "") -> None:
    """The one error body, its tracking id in the header too, and words that name the fault."""
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert set(body) == {"message", "errors", "trackingId"}
    assert body["errors"] == [{"description": body["message"]}]
    assert body["trackingId"].startswith("ROUTER_")
    assert answer.headers["trackingid"] == body["trackingId"]
    assert names in body["message"]


FAULTS: list[tuple[str, bytes, str]] = [
    ("cut off", b'{"items": [{"meetingInstanceId": "m', "truncated"),
    ("no JSON", b"hello", "malformed"),
    ("empty body", b"", "truncated"),
    ("not UTF-8", b'{"items": [{"meetingInstanceId": "\xff"}]}', ""),
    ("a list", b"[]", "Expected `object`, got `array`"),
    ("no items", b"{}", "items"),
    ("an item without its meeting", b'{"items": [{}]}', "$.items[0]"),
    ("an empty meeting id", body_with(meeting=""), "$.items[0].meetingInstanceId"),
    ("a control in the meeting id", body_with(meeting="a\x00b"), "meetingInstanceId"),
    ("a line end after the meeting id", body_with(meeting="m1\n"), "meetingInstanceId"),
    ("a control of Latin-1 in the meeting id", body_with(meeting="m\x9b1"), "meetingInstanceId"),
    (
        "a control in the session id",
        body_with(participantSessionId="S\x1b1"),
        "Expected `str` without control characters - at `$.items[0].participantSessionId`",
    ),
    ("NUL in the session id", body_with(participantSessionId="S\x00"), "participantSessionId"),
    ("a line end after the session id", body_with(participantSessionId="S1\n"), "SessionId"),
    ("a control in the participant id", body_with(participantId="P\x7f"), "participantId"),
    ("a control alone", body_with(participantId="\t"), "$.items[0].participantId"),
    (
        "NUL in a name",
        body_with(webexUserName="Ada\x00"),
        "Expected `str` without NUL - at `$.items[0].webexUserName`",
    ),
    ("NUL in a label", body_with(camera="\x00"), "$.items[0].camera"),
    ("NUL in a codec", body_with(videoIn=[stream(), stream(codec="V\x008")]), "videoIn[1].codec"),
    ("a text for a number", body_with(audioIn=[stream(packetLoss=["1"])]), "packetLoss[0]"),
    (
        "loss 101",
        body_with(videoIn=[stream(), stream(packetLoss=[1, 101])]),
        "$.items[0].videoIn[1].packetLoss[1]",
    ),
    ("loss -0.1", body_with(audioIn=[stream(packetLoss=[-0.1])]), "packetLoss[0]"),
    ("negative latency", body_with(audioIn=[stream(latency=[-1])]), "latency[0]"),
    (
        "CPU -1",
        body_with(resources=[{"systemMaxCPU": [-1]}]),
        "$.items[0].resources[0].systemMaxCPU[0]",
    ),
    ("NaN", body_with(audioIn=[stream(latency=[float("nan")])]), "malformed"),
    ("Infinity", body_with(audioIn=[stream(latency=[float("inf")])]), "malformed"),
    ("1e999", body_with(audioIn=[stream()]).replace(b"0.5", b"1e999"), "out of range"),
    ("2**53 + 1", body_with(audioIn=[stream(latency=[2**53 + 1])]), "latency[0]"),
    ("1e308", body_with(audioIn=[stream(latency=[1e308])]), "latency[0]"),
    ("a number too long for any", body_with(audioIn=[stream()]).replace(b"0.5", b"9" * 400), ""),
    ("interval 0", body_with(audioIn=[stream(samplingInterval=0)]), "audioIn[0].samplingInterval"),
    ("time in 1999", body_with(joinTime="1999-12-31T23:59:59Z"), "$.items[0].joinTime"),
    ("time a day ahead", body_with(leaveTime="2026-11-25T10:00:01Z"), "$.items[0].leaveTime"),
    ("no time", body_with(joinTime="yesterday"), "$.items[0].joinTime"),
    ("time without a zone", body_with(joinTime="2026-11-24T09:00:00"), "$.items[0].joinTime"),
    (
        "stream time in 1999",
        body_with(shareOut=[stream("1999-01-01T00:00:00Z")]),
        "$.items[0].shareOut[0].startTime",
    ),
    (
        "stream that ends before it starts",
        body_with(audioIn=[stream(endTime="2026-11-24T08:00:00Z")]),
        "$.items[0].audioIn[0].endTime",
    ),
    (
        "a session that ends before it starts",
        body_with(leaveTime="2026-11-24T08:59:59.999Z"),
        "Expected a time that is not before joinTime - at `$.items[0].leaveTime`",
    ),
    (
        "the same in another zone",
        body_with(leaveTime="2026-11-24T10:30:00+02:00"),
        "$.items[0].leaveTime",
    ),
    (
        "samples that reach into next year",
        body_with(audioIn=[stream(samplingInterval=86_400, packetLoss=[0] * 400)]),
        "$.items[0].audioIn[0].samplingInterval",
    ),
    ("a string over 1,024", body_with(webexUserName="x" * 1_025), "webexUserName"),
    ("10,001 samples", body_with(audioIn=[stream(packetLoss=[0] * 10_001)]), "packetLoss"),
    ("1,001 items", b'{"items": [' + b",".join([b"{}"] * 1_001) + b"]}", ""),
    ("a depth bomb", b'{"items": [], "x": ' + b"[" * 1_000_000, "deep"),
    ("a depth bomb of objects", b'{"x":' * 40_000, "deep"),
    (
        "nobody",
        body_with(participantId="", participantSessionId=""),
        "$.items[0]",
    ),
]


def test_a_thousand_and_one_items_are_too_many(api: Api) -> None:
    body = json.dumps({"items": [session(f"S{n}") for n in range(1_001)]}).encode()
    assert_error(posted(api, body), 400, names="1000")


@pytest.mark.parametrize(("body", "names"), [f[1:] for f in FAULTS], ids=[f[0] for f in FAULTS])
def test_a_fault_is_answered_400_with_path_and_rule(api: Api, body: bytes, names: str) -> None:
    assert_error(posted(api, body), 400, names=names)
    assert_error(api.qualities("m1"), 404)


def test_a_session_may_end_as_it_starts(api: Api) -> None:
    same = "2026-11-24T11:00:00+02:00"
    assert api.post_sessions(session(leaveTime=same)).status_code == 204


NAMES = [
    "tab\tand\nline",
    "\x1b[2J\x7f\x9b",
    "\u202e\u200b\ufeff",
    r"a backslash before \u0000",
    "=1+1",
    "<script>",
]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_names_and_labels_may_hold_anything_but_nul_and_are_escaped(api: Api, name: str) -> None:
    body = body_with(webexUserName=name, camera=name, unknown="\x00")
    assert posted(api, body).status_code == 204
    answer = api.qualities("m1")
    (item,) = answer.json()["items"]
    assert (item["webexUserName"], item["camera"]) == (name, name)
    assert not re.search("[\x00-\x1f]", answer.text.strip())


def report_with(**fields: Any) -> dict[str, Any]:
    return {"meetingId": "m1", "participantSessionId": "S1", "session": {}, "reports": [], **fields}


def stats_with(**fields: Any) -> dict[str, Any]:
    report = {"connection": "c", "timestamp": 1.795e12, "stats": [{"id": "I", **fields}]}
    return report_with(reports=[report])


@pytest.mark.parametrize(
    ("path", "body", "names"),
    [
        ("/v1/webrtc/reports", report_with(participantSessionId="S\n"), "$.participantSessionId"),
        ("/v1/webrtc/reports", report_with(meetingId="m\x00"), "$.meetingId"),
        (
            "/v1/webrtc/reports",
            report_with(session={"participantId": "P\x01"}),
            "Expected `str` without control characters - at `$.session.participantId`",
        ),
        ("/v1/webrtc/reports", report_with(session={"camera": "\x00"}), "$.session.camera"),
        (
            "/v1/webrtc/reports",
            report_with(
                session={
                    "joinTime": "2026-11-24T09:00:00Z",
                    "leaveTime": "2026-11-24T08:00:00Z",
                }
            ),
            "not before joinTime - at `$.session.leaveTime`",
        ),
        (
            "/v1/webrtc/reports",
            stats_with(type="codec", mimeType="video/\x00"),
            "$.reports[0].stats[0].mimeType",
        ),
        (
            "/v1/collector/tokens",
            {"meetingId": "m1", "participant": {"id": "P\r"}},
            "$.participant.id",
        ),
        (
            "/v1/collector/tokens",
            {"meetingId": "m1", "participant": {"name": "\x00"}},
            "$.participant.name",
        ),
        ("/v1/meetings", {"id": "m1\n"}, "without control characters, < and > - at `$.id`"),
        ("/v1/meetings", {"hostUserId": "U\x02"}, "$.hostUserId"),
        ("/v1/meetings", {"title": "a\x00b"}, "Expected `str` without NUL - at `$.title`"),
        (
            "/v1/meetings",
            {"start": "2026-11-24T09:00:00Z", "end": "2026-11-24T08:00:00Z"},
            "not before start - at `$.end`",
        ),
    ],
)
def test_a_fault_in_another_body_is_answered_400_with_path_and_rule(
    api: Api, path: str, body: dict[str, Any], names: str
) -> None:
    assert_error(api.post(path, body), 400, names=names)


def test_an_unknown_field_of_a_meeting_is_named_and_one_of_a_session_is_ignored(api: Api) -> None:
    answer = api.post("/v1/meetings", {"id": "m1", "titel": "Planning"})
    assert_error(answer, 400, names="unknown field `titel`")
    assert_error(api.get("/v1/meetings/m1"), 404)
    assert api.post_sessions(session(nickname="ada")).status_code == 204


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/v1/collector/tokens", {"meetingId": "m1", "expiresin": 60}, "expiresin"),
        ("/v1/collector/tokens", {"meetingId": "m1", "participant": {"mail": "a@b.c"}}, "mail"),
        ("/v1/roomtone/erase", {"email": "ada@example.com", "dryRun": True}, "dryRun"),
        ("/v1/roomtone/purge", {"before": "2024-01-01T00:00:00Z", "dryRun": True}, "dryRun"),
    ],
)
def test_an_unknown_field_of_an_order_is_named_and_nothing_is_done(
    api: Api, path: str, body: dict[str, Any], field: str
) -> None:
    assert_error(api.post(path, body), 400, names=f"unknown field `{field}`")


def test_a_meeting_that_was_read_can_be_sent_back_amended(api: Api) -> None:
    api.post_sessions(session())
    meeting = api.get("/v1/meetings/m1").json()
    assert api.post("/v1/meetings", meeting | {"title": "Planning"}).status_code == 200
    assert api.get("/v1/meetings/m1").json() == meeting | {"title": "Planning"}


def test_an_error_quotes_no_more_than_a_little_of_what_was_sent(api: Api) -> None:
    answer = api.post("/v1/meetings", {"x" * 1_000_000: 1})
    assert_error(answer, 400, names="unknown field `xxx")
    assert len(answer.content) < 1_500


def test_one_bad_item_and_nothing_of_the_post_lands(api: Api) -> None:
    bad = session("S2", audioIn=[stream(packetLoss=[101])])
    assert_error(api.post_sessions(session("S1"), bad), 400, names="$.items[1]")
    assert_error(api.qualities("m1"), 404)


def test_a_session_that_would_grow_without_end_is_409_and_its_neighbours_wait_for_its_sender(
    api: Api,
) -> None:
    for day in range(1, 11):
        long = stream(f"2026-01-{day:02}T00:00:00Z", samplingInterval=1, packetLoss=[0] * 10_000)
        assert api.post_sessions(session(videoIn=[long])).status_code == 204
    more = session(videoIn=[stream("2026-01-11T00:00:00Z")])
    rule = "at most 100000 stream-samples; send what follows as a new session - at `$.items[1]`"
    assert_error(api.post_sessions(session("S2"), more), 409, names=rule)
    assert [item["participantSessionId"] for item in api.qualities("m1").json()["items"]] == ["S1"]
    assert api.post_sessions(session(leaveTime="2026-11-24T09:30:00Z")).status_code == 204


def test_a_body_over_the_limit_is_refused_by_its_length(api: Api) -> None:
    assert_error(posted(api, b" " * (8 * 1024 * 1024 + 1)), 413)


def test_a_body_over_the_limit_is_refused_while_it_arrives(api: Api) -> None:
    sent = 0

    def chunks() -> Any:
        nonlocal sent
        for _ in range(1_000):
            sent += 1
            yield b" " * 65_536

    headers = api.headers() | {"Content-Type": "application/json"}
    assert_error(api.client.post(QUALITIES, content=chunks(), headers=headers), 413)


def test_large_bodies_at_once_are_429_before_memory_grows(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.token()
    monkeypatch.setattr(api.services, "bodies_bytes", 60 * 1024 * 1024)
    large = body_with() + b" " * (5 * 1024 * 1024)
    for body, encoding in ((large, "identity"), (gzip.compress(large), "gzip")):
        answer = posted(api, body, headers={"Content-Encoding": encoding})
        assert_error(answer, 429)
        assert int(answer.headers["retry-after"]) >= 1
    assert posted(api, body_with()).status_code == 204
    assert api.services.bodies_bytes == 60 * 1024 * 1024  # what was held is given back


ENTRY = b'{"startTime":"2026-11-24T09:00:00Z"}'
SESSION = b'{"meetingInstanceId":"m1","participantSessionId":"S","%s":[%s]}'
REPORT = b'{"connection":"c","timestamp":1795409915066,"stats":[%s]}'


def many(entry: bytes, count: int, *, kind: bytes = b"audioIn") -> bytes:
    """A body of `count` sessions with a hundred entries each."""
    whole = SESSION % (kind, b",".join([entry] * 100))
    return b'{"items":[' + b",".join([whole] * count) + b"]}"


def many_stats(count: int) -> bytes:
    """A body of `count` reports with a hundred entries each."""
    reports = b",".join([REPORT % b",".join([b"{}"] * 100)] * count)
    return b'{"meetingId":"m1","participantSessionId":"S","reports":[' + reports + b"]}"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (QUALITIES, many(ENTRY, 496)),
        (QUALITIES, many(b"{}", 496, kind=b"resources")),
        ("/v1/webrtc/reports", many_stats(496)),
    ],
    ids=["streams", "resources", "reports"],
)
def test_tens_of_thousands_of_tiny_objects_are_refused_before_they_are_decoded(
    api: Api, path: str, body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any) -> None:
        raise AssertionError("it was decoded")

    api.token()
    monkeypatch.setattr(msgspec.json, "Decoder", never)
    monkeypatch.setattr(decoding, "_decoders", {})
    assert_error(api.post(path, body), 400, names="at most 50000 objects in a body - at `$`")


def test_as_many_objects_as_a_body_may_have_are_taken(api: Api) -> None:
    assert api.post("/v1/webrtc/reports", many_stats(495)).status_code == 204
    assert posted(api, many(ENTRY, 495)).status_code == 204


def test_a_form_is_small_because_it_is_read_before_anybody_is_known(api: Api) -> None:
    form = {"grant_type": "refresh_token", "client_id": "x" * 16_384}
    assert_error(api.client.post("/v1/access_token", data=form), 413)
    packed = gzip.compress(b"x=" + b"y" * 1_000_000)
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Content-Encoding": "gzip"}
    assert_error(api.client.post("/v1/access_token", content=packed, headers=headers), 413)


BOMB = b" " * (64 * 1024 * 1024)


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [("gzip", gzip.compress), ("zstd", zstandard.ZstdCompressor().compress)],
)
def test_a_bomb_is_refused_unpacked_only_to_the_limit(
    api: Api, encoding: str, pack: Callable[[bytes], bytes]
) -> None:
    packed = pack(BOMB)
    assert_error(posted(api, packed, headers={"Content-Encoding": encoding}), 413)


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [("gzip", gzip.compress), ("zstd", zstandard.ZstdCompressor().compress)],
)
def test_a_packed_body_is_taken_and_a_broken_one_is_not(
    api: Api, encoding: str, pack: Callable[[bytes], bytes]
) -> None:
    packed = pack(body_with())
    headers = {"Content-Encoding": encoding}
    assert posted(api, packed, headers=headers).status_code == 204
    assert_error(posted(api, packed[:-4], headers=headers), 400)
    assert_error(posted(api, b"plain", headers=headers), 400)


@pytest.mark.parametrize(
    ("encoding", "pack", "parts"),
    [
        ("gzip", gzip.compress, "members"),
        ("zstd", zstandard.ZstdCompressor().compress, "frames"),
    ],
)
def test_members_or_frames_one_behind_the_other_are_one_body(
    api: Api, encoding: str, pack: Callable[[bytes], bytes], parts: str
) -> None:
    body = body_with()
    headers = {"Content-Encoding": encoding}
    packed = [pack(body[:10]), pack(body[10:])]
    assert posted(api, b"".join(packed), headers=headers).status_code == 204
    assert_error(posted(api, b"".join(packed) + b"rest", headers=headers), 400)
    assert_error(posted(api, pack(body) + pack(b" ")[:-2], headers=headers), 400)
    many = pack(b"") * 65 + pack(body)
    assert_error(posted(api, many, headers=headers), 400, names=parts)
    bomb = pack(b" ") + pack(BOMB)
    assert_error(posted(api, bomb, headers=headers), 413)


def test_an_unknown_packing_is_415(api: Api) -> None:
    assert_error(posted(api, b"x", headers={"Content-Encoding": "br"}), 415)


@pytest.mark.parametrize(
    "query",
    [
        "meetingId=m1&max=0",
        "meetingId=m1&max=-1",
        "meetingId=m1&max=x",
        "meetingId=m1&max=1.5",
        "meetingId=m1&max=",
        "meetingId=m1&offset=-1",
        "meetingId=m1&offset=1e9",
        "meetingId=m1&max=%3Cnumber%3E",
        "meetingId=m1&max=" + "9" * 30,
        "meetingId=m1&max=%D9%A1",
        "",
        "meetingId=",
        "meetingId=%3Cstring%3E",
        "meetingId=a%00b",
        "meetingId=" + "x" * 257,
        "meetingId=m1&pad=" + "x" * 10_240,
    ],
)
def test_a_bad_query_is_400(api: Api, query: str) -> None:
    api.post_sessions(session())
    assert_error(api.get(f"{QUALITIES}?{query}"), 400)


def test_an_offset_beyond_the_end_is_an_empty_page(api: Api) -> None:
    api.post_sessions(session())
    answer = api.qualities("m1", offset=1_000_000_000)
    assert answer.status_code == 200
    assert answer.json() == {"items": []}
    assert "link" not in answer.headers


@pytest.mark.parametrize("content_type", ["text/plain", "application/xml", ""])
@pytest.mark.parametrize(
    "path", [QUALITIES, "/v1/meetings", "/v1/webrtc/reports", "/v1/collector/tokens"]
)
def test_a_wrong_content_type_on_post_is_415(api: Api, path: str, content_type: str) -> None:
    answer = posted_to(api, path, content_type)
    assert_error(answer, 415, names="application/json")


def posted_to(api: Api, path: str, content_type: str) -> Any:
    return api.client.post(
        path, content=b"{}", headers=api.headers() | {"Content-Type": content_type}
    )


def test_a_content_type_on_get_is_nobodys_business(api: Api) -> None:
    api.post_sessions(session())
    answer = api.get(
        f"{QUALITIES}?meetingId=m1", headers={"Content-Type": "application/json;charset=utf-8"}
    )
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("DELETE", QUALITIES, "GET, HEAD, POST"),
        ("PUT", "/v1/meetings", "GET, HEAD, POST"),
        ("POST", "/v1/meetings/m1", "GET, HEAD"),
        ("PATCH", "/v1/people/me", "GET, HEAD"),
        ("GET", "/v1/webrtc/reports", "POST"),
        ("GET", "/v1/access_token", "POST"),
    ],
)
def test_a_wrong_method_is_405_with_allow(api: Api, method: str, path: str, allow: str) -> None:
    answer = api.client.request(method, path)
    assert_error(answer, 405)
    assert answer.headers["allow"] == allow


@pytest.mark.parametrize("path", ["/v1/nothing", "/nothing", "/v1", "/v1/meeting/qualities/"])
def test_an_unknown_path_is_404_in_the_error_body(api: Api, path: str) -> None:
    assert_error(api.client.get(path), 404)


def test_two_organisations_may_hold_the_same_session_and_do_not_see_each_other(api: Api) -> None:
    api.post_sessions(session(webexUserName="Ada"), org="acme")
    api.post_sessions(session(webexUserName="Bob"), org="zeta")
    acme, zeta = api.qualities("m1", org="acme"), api.qualities("m1", org="zeta")
    assert [item["webexUserName"] for item in acme.json()["items"]] == ["Ada"]
    assert [item["webexUserName"] for item in zeta.json()["items"]] == ["Bob"]


def test_another_organisations_meeting_looks_unknown(api: Api) -> None:
    api.post_sessions(session(), org="acme")
    theirs, unknown = api.qualities("m1", org="zeta"), api.qualities("m2", org="zeta")
    assert_error(theirs, 404)
    assert theirs.json()["message"] == unknown.json()["message"]
    assert_error(api.get("/v1/meetings/m1", org="zeta"), 404)
    assert_error(api.get("/v1/meetingParticipants?meetingId=m1", org="zeta"), 404)


def test_a_session_cannot_be_in_two_meetings(api: Api) -> None:
    api.post_sessions(session("S1", meeting="m1"))
    answer = api.post_sessions(session("S0", meeting="m2"), session("S1", meeting="m2"))
    assert_error(answer, 409, names="$.items[1]")
    assert_error(api.qualities("m2"), 404)


def test_a_session_cannot_change_its_participant(api: Api) -> None:
    api.post_sessions(session("S1"))
    assert_error(api.post_sessions(session("S1", participantId="P-other")), 409)
