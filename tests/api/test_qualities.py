"""GET /v1/meeting/qualities: pages, ETags, encodings, Webex's limits, every status it gives."""

import asyncio
import gzip
from collections.abc import Callable
from typing import Any

import pytest
import zstandard

from roomtone.errors import Unavailable
from roomtone.services import ThisTurn
from tests.api.test_bad_input import assert_error
from tests.conftest import Api, run_apart, session, stream

QUALITIES = "/v1/meeting/qualities"


def ids(answer: Any) -> list[str]:
    return [item["participantSessionId"] for item in answer.json()["items"]]


def post_many(api: Api, count: int) -> None:
    assert api.post_sessions(*(session(f"S{n:04}") for n in range(count))).status_code == 204


def test_pages_follow_the_link_until_there_is_none(api: Api) -> None:
    post_many(api, 7)
    answer = api.qualities("m1", max=3)
    seen = ids(answer)
    while "link" in answer.headers:
        url = answer.headers["link"].removeprefix("<").partition(">")[0]
        assert url.startswith("http://testserver/v1/meeting/qualities?")
        answer = api.get(url)
        seen += ids(answer)
    assert seen == [f"S{n:04}" for n in range(7)]


def test_the_link_is_only_next_and_names_the_host_that_was_asked(api: Api) -> None:
    post_many(api, 2)
    headers = {"Host": "analytics.meet.example:8443"}
    link = api.get(f"{QUALITIES}?meetingId=m1&max=1", headers=headers).headers["link"]
    assert link == (
        "<http://analytics.meet.example:8443/v1/meeting/qualities?meetingId=m1&max=1&offset=1>;"
        ' rel="next"'
    )


def test_the_last_page_that_is_full_has_no_link(api: Api) -> None:
    post_many(api, 3)
    assert "link" not in api.qualities("m1", max=3).headers


def test_a_page_has_100_sessions_and_an_over_large_max_is_clamped_to_1000(api: Api) -> None:
    for start in range(0, 1_002, 501):
        api.post_sessions(*(session(f"S{n:04}") for n in range(start, start + 501)))
    assert len(ids(api.qualities("m1"))) == 100
    answer = api.qualities("m1", max=5_000)
    assert len(ids(answer)) == 1_000
    assert "max=1000&offset=1000" in answer.headers["link"]


@pytest.mark.parametrize("slashes", ["//", "/"])
def test_the_path_that_wxc_sdk_asks_for_by_mistake_answers_too(api: Api, slashes: str) -> None:
    post_many(api, 1)
    path = f"/v1/https:{slashes}analytics.webexapis.com/v1/meeting/qualities?meetingId=m1"
    assert ids(api.get(path)) == ["S0000"]


def test_any_host_is_answered(api: Api) -> None:
    post_many(api, 1)
    answer = api.get(f"{QUALITIES}?meetingId=m1", headers={"Host": "analytics.localhost:8443"})
    assert answer.status_code == 200


def test_an_etag_is_strong_and_saves_the_body(api: Api) -> None:
    post_many(api, 1)
    first = api.qualities("m1")
    etag = first.headers["etag"]
    assert etag.startswith('"')
    again = api.get(f"{QUALITIES}?meetingId=m1", headers={"If-None-Match": f'"x", {etag}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    api.post_sessions(session("S0000", audioIn=[stream()]))
    changed = api.get(f"{QUALITIES}?meetingId=m1", headers={"If-None-Match": etag})
    assert changed.status_code == 200
    assert changed.headers["etag"] != etag


def test_a_repeated_post_changes_neither_body_nor_etag(api: Api) -> None:
    post_many(api, 1)
    first = api.qualities("m1")
    post_many(api, 1)
    second = api.qualities("m1")
    assert (first.content, first.headers["etag"]) == (second.content, second.headers["etag"])


def unpack_zstd(body: bytes) -> bytes:
    with zstandard.ZstdDecompressor().stream_reader(body) as reader:
        return reader.read()


@pytest.mark.parametrize(
    ("accept", "encoding", "unpack"),
    [
        ("gzip", "gzip", gzip.decompress),
        ("gzip, deflate, br, zstd", "zstd", unpack_zstd),
        ("zstd;q=0.5, gzip", "gzip", gzip.decompress),
        ("*", "zstd", unpack_zstd),
        ("identity", None, bytes),
        ("gzip;q=0", None, bytes),
        ("br", None, bytes),
        ("gzip;q=x", None, bytes),
        ("", None, bytes),
    ],
)
def test_the_answer_is_packed_as_the_client_likes(
    api: Api, accept: str, encoding: str | None, unpack: Callable[[bytes], bytes]
) -> None:
    post_many(api, 5)
    plain = api.get(f"{QUALITIES}?meetingId=m1", headers={"Accept-Encoding": "identity"})
    path = f"{QUALITIES}?meetingId=m1"
    request = api.client.build_request(
        "GET", path, headers=api.headers() | {"Accept-Encoding": accept}
    )
    answer = api.client.send(request, stream=True)
    raw = b"".join(answer.iter_raw())
    assert answer.headers.get("content-encoding") == encoding
    assert unpack(raw) == plain.content
    assert "Accept-Encoding" in answer.headers["vary"]
    same = api.get(
        path, headers={"Accept-Encoding": accept, "If-None-Match": answer.headers["etag"]}
    )
    assert same.status_code == 304
    if encoding:
        assert answer.headers["etag"] != plain.headers["etag"]


def test_head_tells_what_get_would(api: Api) -> None:
    post_many(api, 1)
    got = api.qualities("m1")
    head = api.client.head(f"{QUALITIES}?meetingId=m1", headers=api.headers())
    assert head.status_code == 200
    assert head.headers["etag"] == got.headers["etag"]
    assert head.content == b""


MINUTE = 60


@pytest.fixture
def webex(make_api: Callable[..., Api]) -> Api:
    """An API with Webex's limits; meeting m1 began at 10:00, which is now."""
    api = make_api(webex_limits=True)
    api.post_sessions(session(joinTime="2026-11-24T10:00:00.000Z"))
    return api


def test_webex_answers_only_from_ten_minutes_after_the_start(webex: Api) -> None:
    webex.clock.advance(s=9.5 * MINUTE)
    early = webex.qualities("m1")
    assert_error(early, 423)
    assert early.headers["retry-after"] == "30"
    webex.clock.advance(s=30)
    assert webex.qualities("m1").status_code == 200


def test_webex_answers_one_call_in_five_minutes_but_every_further_page(webex: Api) -> None:
    post_many(webex, 3)
    webex.clock.advance(s=10 * MINUTE)
    assert webex.qualities("m1", max=2).status_code == 200
    assert webex.qualities("m1", max=2, offset=2).status_code == 200
    soon = webex.qualities("m1")
    assert_error(soon, 429)
    assert soon.headers["retry-after"] == "300"
    webex.clock.advance(s=5 * MINUTE)
    assert webex.qualities("m1").status_code == 200


def test_webex_answers_for_seven_days(webex: Api) -> None:
    webex.clock.advance(s=6 * MINUTE)
    assert webex.upkeep() == 1
    webex.clock.advance(s=7 * 24 * 60 * MINUTE - 7 * MINUTE)
    assert webex.qualities("m1").status_code == 200
    webex.clock.advance(s=8 * MINUTE)
    assert_error(webex.qualities("m1"), 410)


def test_without_the_setting_there_is_no_limit(api: Api) -> None:
    post_many(api, 1)
    for _ in range(3):
        assert api.qualities("m1").status_code == 200


def test_what_retention_removed_is_410(api: Api) -> None:
    api.post_sessions(session(leaveTime="2026-11-24T09:30:00.000Z"))
    api.clock.advance(s=600)
    assert api.upkeep() == 1
    answer = api.post("/v1/roomtone/purge", {"before": "2026-11-24T09:59:00Z"})
    assert answer.json() == {"meetings": 1}
    assert_error(api.qualities("m1"), 410)
    assert_error(api.get("/v1/meetings/m1"), 410)
    assert_error(api.get("/v1/meetingParticipants?meetingId=m1"), 410)
    assert_error(api.post_sessions(session()), 410)


def failing(error: Exception) -> Callable[..., Any]:
    def fail(*_args: Any, **_options: Any) -> Any:
        raise error

    return fail


def test_a_read_over_its_time_limit_is_504(make_api: Callable[..., Api]) -> None:
    api = make_api(read_s_max=1e-9)
    post_many(api, 50)
    assert_error(api.qualities("m1"), 504)


def test_a_store_that_cannot_answer_is_503(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    post_many(api, 1)
    with monkeypatch.context() as patch:
        patch.setattr(api.store, "sessions_for_json", failing(Unavailable("The disk is gone.")))
        answer = api.qualities("m1")
        assert_error(answer, 503)
        assert int(answer.headers["retry-after"]) >= 1
        patch.setattr(api.store, "ping", failing(Unavailable("The disk is gone.")))
        assert_error(api.client.get("/health/ready"), 503)
        assert api.client.get("/health/live").status_code == 200
    assert api.qualities("m1").status_code == 200
    assert api.client.get("/health/ready").status_code == 200


def test_an_unexpected_fault_is_500_with_the_logs_tracking_id_and_no_internals(
    api: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    post_many(api, 1)
    monkeypatch.setattr(
        api.store, "sessions_for_json", failing(ZeroDivisionError("secret internals"))
    )
    answer = api.qualities("m1")
    assert_error(answer, 500)
    assert "secret" not in answer.text
    (record,) = [record for record in caplog.records if record.exc_info]
    assert record.__dict__["fields"]["trackingId"] == answer.json()["trackingId"]
    assert "secret internals" in str(record.exc_info)


def test_a_fault_while_writing_is_500_and_the_writer_lives_on(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(api.store, "put_session", failing(ZeroDivisionError("a bug")))
        assert_error(api.post_sessions(session()), 500)
    assert api.post_sessions(session()).status_code == 204
    with monkeypatch.context() as patch:
        patch.setattr(api.store, "transaction", failing(ZeroDivisionError("a bug")))
        assert_error(api.post_sessions(session()), 500)
    assert api.post_sessions(session()).status_code == 204


def test_a_full_queue_is_429_with_retry_after(
    make_api: Callable[..., Api], monkeypatch: pytest.MonkeyPatch
) -> None:
    api = make_api(queue_posts_max=1)
    api.token()
    monkeypatch.setattr(api.services.writer, "_waiting_count", 1)
    answer = api.post_sessions(session())
    assert_error(answer, 429)
    assert int(answer.headers["retry-after"]) >= 1


def test_an_answer_made_in_time_is_served_from_memory(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    post_many(api, 1)
    first = api.qualities("m1")
    monkeypatch.setattr(api.store, "sessions_for_json", failing(ZeroDivisionError("read again")))
    assert api.qualities("m1").content == first.content


@pytest.mark.parametrize(
    ("trusted", "scheme"),
    [((), "http"), (("198.51.100.0/24",), "http"), (("192.0.2.0/24",), "https")],
)
def test_the_link_keeps_the_scheme_that_a_trusted_proxy_was_asked_with(
    make_api: Callable[..., Api], trusted: tuple[str, ...], scheme: str
) -> None:
    api = make_api(trusted_proxies=trusted)
    post_many(api, 2)
    api.client._transport.client = ("192.0.2.7", 50_000)  # type: ignore[attr-defined]
    headers = {"X-Forwarded-Proto": "https"}
    link = api.get(f"{QUALITIES}?meetingId=m1&max=1", headers=headers).headers["link"]
    assert link.startswith(f"<{scheme}://testserver/")


def test_a_look_up_serves_one_turn_of_the_loop_and_no_further() -> None:
    asked: list[int] = []

    def look_up() -> int:
        asked.append(1)
        return len(asked)

    async def turns() -> list[int]:
        this_turn = ThisTurn()
        seen = [this_turn.get("token", look_up), this_turn.get("token", look_up)]
        await asyncio.sleep(0)
        return [*seen, this_turn.get("token", look_up)]

    assert run_apart(turns()) == [1, 1, 2]


def test_a_look_up_that_fails_is_made_again() -> None:
    async def ask() -> None:
        this_turn = ThisTurn()
        for _ in range(2):
            with pytest.raises(Unavailable):
                this_turn.get("token", failing(Unavailable("The disk is gone.")))

    run_apart(ask())
