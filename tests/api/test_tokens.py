"""Who may do what: 401, 403 naming the scope, and tokens bound to one person's meeting."""

from collections.abc import Callable
from typing import Any

import pytest

from roomtone import limits
from roomtone.auth import SCOPES, hash_token, new_token
from roomtone.cache import RecentCalls
from roomtone.model import MediaSession
from roomtone.store import Store
from tests.api.test_bad_input import assert_error
from tests.conftest import Api, session

READS = [
    ("/v1/meeting/qualities?meetingId=m1", {"analytics:read_all", "analytics:read_anonymous"}),
    ("/v1/meetings", {"meeting:admin_schedule_read"}),
    ("/v1/meetings/m1", {"meeting:admin_schedule_read"}),
    ("/v1/meetingParticipants?meetingId=m1", {"meeting:admin_participants_read"}),
    ("/v1/roomtone/backup", {"roomtone:admin"}),
]
WRITES = [
    ("/v1/meeting/qualities", {"telemetry:write"}),
    ("/v1/meetings", {"telemetry:write"}),
    ("/v1/webrtc/reports", {"telemetry:write"}),
    ("/v1/collector/tokens", {"telemetry:write"}),
    ("/v1/roomtone/erase", {"roomtone:admin"}),
    ("/v1/roomtone/purge", {"roomtone:admin"}),
]


@pytest.mark.parametrize("path", [path for path, _ in READS] + ["/v1/people/me"])
@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Bearer ", "Basic abc", "Bearer rt_unknown", "Bearer " + "x" * 5_000],
)
def test_without_a_known_token_it_is_401(api: Api, path: str, authorization: str | None) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    answer = api.client.get(path, headers=headers)
    assert_error(answer, 401)
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("scope", sorted(SCOPES))
@pytest.mark.parametrize(("path", "needed"), READS)
def test_reading_needs_the_scope(api: Api, path: str, needed: set[str], scope: str) -> None:
    api.post_sessions(session())
    answer = api.get(path, scope)
    if scope in needed:
        assert answer.status_code == 200
    else:
        assert_error(answer, 403)
        assert any(name in answer.json()["message"] for name in needed)


@pytest.mark.parametrize("scope", sorted(SCOPES))
@pytest.mark.parametrize(("path", "needed"), WRITES)
def test_writing_needs_the_scope(api: Api, path: str, needed: set[str], scope: str) -> None:
    answer = api.post(path, {}, scope)
    if scope in needed:
        assert answer.status_code in (400, 201)
    else:
        assert_error(answer, 403)
        assert any(name in answer.json()["message"] for name in needed)


def test_an_expired_token_is_401(api: Api) -> None:
    api.post_sessions(session())
    token = api.token("analytics:read_all", expires_ms=api.clock.now_ms + 1_000)
    headers = {"Authorization": f"bearer {token}"}
    assert api.client.get(READS[0][0], headers=headers).status_code == 200
    api.clock.advance(s=1)
    assert_error(api.client.get(READS[0][0], headers=headers), 401, names="expired")


def test_a_revoked_token_is_401_at_once(api: Api) -> None:
    api.post_sessions(session())
    assert api.get(READS[0][0]).status_code == 200
    assert api.write(lambda store: store.revoke_token("acme", "", api.clock.now_ms)) >= 1
    assert_error(api.get(READS[0][0]), 401, names="revoked")


def collector_token(api: Api, **body: Any) -> dict[str, Any]:
    answer = api.post("/v1/collector/tokens", {"meetingId": "m1", **body})
    assert answer.status_code == 201
    token: dict[str, Any] = answer.json()
    return token


def report(meeting: str = "m1", session_id: str = "S1", **body: Any) -> dict[str, Any]:
    return {"meetingId": meeting, "participantSessionId": session_id, "reports": [], **body}


def post_report(api: Api, token: str, body: dict[str, Any]) -> Any:
    headers = {"Authorization": f"Bearer {token}"}
    return api.client.post("/v1/webrtc/reports", json=body, headers=headers)


def test_a_collectors_token_speaks_for_one_person_in_one_meeting(api: Api) -> None:
    minted = collector_token(
        api, participant={"id": "P1", "name": "Ada", "email": "ada@example.com"}
    )
    header = {"webexUserName": "Mallory", "participantId": "P9", "clientType": "browser"}
    answer = post_report(api, minted["token"], report(session=header))
    assert answer.status_code == 204
    (item,) = api.qualities("m1").json()["items"]
    assert item["webexUserName"] == "Ada"
    assert item["participantId"] == "P1"
    assert item["webexUserEmail"] == "ada@example.com"
    assert item["clientType"] == "browser"


def test_a_page_cannot_claim_a_name_that_its_token_does_not_hold(api: Api) -> None:
    token = collector_token(api, participant={"id": "P1"})["token"]
    claimed = {"webexUserName": "The boss", "webexUserEmail": "boss@example.com"}
    assert post_report(api, token, report(session=claimed)).status_code == 204
    (item,) = api.qualities("m1").json()["items"]
    assert (item["webexUserName"], item["webexUserEmail"]) == ("", "")


def test_a_collectors_token_is_refused_elsewhere(api: Api) -> None:
    token = collector_token(api)["token"]
    assert_error(post_report(api, token, report(meeting="m2")), 403)
    headers = {"Authorization": f"Bearer {token}"}
    for path, _ in READS:
        assert_error(api.client.get(path, headers=headers), 403)
    answer = api.client.post("/v1/meeting/qualities", json={"items": []}, headers=headers)
    assert_error(answer, 403)


def test_a_collector_cannot_write_into_another_persons_session(api: Api) -> None:
    ada = collector_token(api, participant={"id": "P1"})["token"]
    eve = collector_token(api, participant={"id": "P2"})["token"]
    assert post_report(api, ada, report(session_id="S1")).status_code == 204
    assert_error(post_report(api, eve, report(session_id="S1")), 409)


def test_a_collectors_token_ends_when_it_says_and_never_lives_longer_than_the_setting(
    api: Api,
) -> None:
    short = collector_token(api, expiresIn=60)
    long = collector_token(api, expiresIn=86_400 * 30)
    assert short["expiresAt"] == "2026-11-24T10:01:00.000Z"
    assert long["expiresAt"] == "2026-11-24T14:00:00.000Z"
    api.clock.advance(s=60)
    assert_error(post_report(api, short["token"], report()), 401, names="expired")
    assert post_report(api, long["token"], report()).status_code == 204


def test_a_collectors_token_may_post_so_often_a_minute_and_others_are_not_counted_with_it(
    make_api: Callable[..., Api],
) -> None:
    api = make_api(collector_posts_max=3)
    ada, eve = (collector_token(api)["token"] for _ in range(2))
    assert [post_report(api, ada, report()).status_code for _ in range(3)] == [204] * 3
    api.clock.advance(s=12.5)
    late = post_report(api, ada, report())
    assert_error(late, 429, names="3 posts in a minute")
    assert late.headers["retry-after"] == "48"  # whole seconds, never too few
    assert post_report(api, eve, report(session_id="S2")).status_code == 204
    for _ in range(5):
        assert api.post("/v1/webrtc/reports", report(session_id="S3")).status_code == 204
    api.clock.advance(s=47.5)
    assert post_report(api, ada, report()).status_code == 204


def test_a_collectors_token_may_post_to_so_many_sessions_and_goes_on_with_those_it_has(
    make_api: Callable[..., Api],
) -> None:
    api = make_api(collector_sessions_max=2)
    token = collector_token(api)["token"]
    for name in ("S1", "S2", "S1", "S2"):
        assert post_report(api, token, report(session_id=name)).status_code == 204
    assert_error(post_report(api, token, report(session_id="S3")), 409, names="2 sessions")
    assert post_report(api, token, report(session_id="S1")).status_code == 204
    assert (
        post_report(api, collector_token(api)["token"], report(session_id="S4")).status_code == 204
    )
    assert api.post("/v1/webrtc/reports", report(session_id="S5")).status_code == 204


def test_what_is_remembered_of_collectors_tokens_is_bounded_and_the_oldest_goes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "TOKENS_MAX", 2)
    use = limits.CollectorUse(posts_max=1, sessions_max=1)
    assert [use.wait_ms(token, 0) for token in (b"a", b"b", b"a")] == [0, 0, 60_000]
    assert use.wait_ms(b"c", 0) == 0  # b was not used for the longest time
    assert use.wait_ms(b"a", 0) == 60_000
    assert use.wait_ms(b"b", 0) == 0


def test_a_clock_that_is_set_back_locks_no_collector_out() -> None:
    use = limits.CollectorUse(posts_max=1, sessions_max=1)
    assert use.wait_ms(b"a", 10**9) == 0
    assert use.wait_ms(b"a", 5) == 0


def test_an_anonymous_reader_sees_figures_but_no_person(api: Api) -> None:
    hidden = {
        "webexUserName": "Ada",
        "webexUserEmail": "ada@example.com",
        "localIP": "192.168.1.77",
        "publicIP": "203.0.113.200",
        "speakerName": "Ada's speaker",
        "camera": "Ada's camera",
        "microphone": "Ada's microphone",
        "hardwareType": "Ada's computer",
    }
    api.post_sessions(
        session(
            **hidden,
            networkType="wifi",
            audioIn=[{"startTime": "2026-11-24T09:00:00.000Z", "packetLoss": [0.25]}],
        )
    )
    full = api.qualities("m1", "analytics:read_all").json()["items"][0]
    plain = api.qualities("m1", "analytics:read_anonymous").json()["items"][0]
    both = api.qualities("m1", "analytics:read_anonymous", "analytics:read_all").json()["items"][0]
    assert {name: full[name] for name in hidden} == hidden
    assert {name: plain[name] for name in hidden} == dict.fromkeys(hidden, "")
    assert plain == full | dict.fromkeys(hidden, "")
    assert both == full
    assert set(plain) <= set(MediaSession.__struct_fields__)


def test_me_is_whoever_holds_the_token(api: Api) -> None:
    token = api.token("analytics:read_all", label="ines@example.com")
    me = api.client.get("/v1/people/me", headers={"Authorization": f"Bearer {token}"}).json()
    assert me["emails"] == ["ines@example.com"]
    assert me["orgId"] == "acme"
    assert me["roles"] == ["analytics:read_all"]
    assert me["type"] == "person"
    assert me["created"] == "2026-11-24T10:00:00.000Z"


def refreshable(api: Api) -> dict[str, str]:
    from tests.conftest import stored_token

    form = {
        "grant_type": "refresh_token",
        "client_id": "C1",
        "client_secret": "secret",
        "refresh_token": new_token(),
    }
    kept = stored_token(
        form["refresh_token"],
        "analytics:read_all",
        org="acme",
        now_ms=api.clock.now_ms,
        kind="refresh",
        client_id="C1",
        client_secret_hash=hash_token("secret"),
        expires_ms=api.clock.now_ms + 1_000_000,
    )

    def job(store: Store) -> None:
        store.put_token(kept)

    api.write(job)
    return form


def test_a_refresh_token_gives_an_access_token(api: Api) -> None:
    api.post_sessions(session())
    form = refreshable(api)
    answer = api.client.post("/v1/access_token", data=form)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    fresh = answer.json()
    assert fresh["refresh_token"] == form["refresh_token"]
    assert fresh["refresh_token_expires_in"] == 1_000
    headers = {"Authorization": f"Bearer {fresh['access_token']}"}
    assert api.client.get(READS[0][0], headers=headers).status_code == 200
    api.clock.advance(s=fresh["expires_in"])
    assert_error(api.client.get(READS[0][0], headers=headers), 401, names="expired")
    api.clock.advance(s=86_400)
    api.upkeep()
    assert api.store.token(hash_token(fresh["access_token"])) is None
    assert_error(api.client.get(READS[0][0], headers=headers), 401, names="not known")


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"grant_type": "password"}, 400),
        ({"client_id": ""}, 400),
        ({"client_id": "C2"}, 401),
        ({"client_secret": "other"}, 401),
        ({"refresh_token": "other"}, 401),
    ],
)
def test_a_wrong_refresh_is_refused(api: Api, change: dict[str, str], status: int) -> None:
    answer = api.client.post("/v1/access_token", data=refreshable(api) | change)
    assert_error(answer, status)


def test_a_refresh_token_is_no_access_token(api: Api) -> None:
    headers = {"Authorization": f"Bearer {refreshable(api)['refresh_token']}"}
    assert_error(api.client.get("/v1/people/me", headers=headers), 401)


def test_a_test_calls_token_reports_to_its_meeting_and_reads_it_alone(
    make_api: Callable[..., Api],
) -> None:
    api = make_api(test_call_org="acme")
    api.post_sessions(session())
    call = api.client.post("/call/session").json()
    headers = {"Authorization": f"Bearer {call['token']}"}
    body = report(meeting=call["meetingId"], session_id="S2")
    assert api.client.post("/v1/webrtc/reports", json=body, headers=headers).status_code == 204
    path = f"/v1/meeting/qualities?meetingId={call['meetingId']}"
    (item,) = api.client.get(path, headers=headers).json()["items"]
    assert item["participantId"] == call["participantId"]
    assert_error(api.client.get(READS[0][0], headers=headers), 404)
    assert_error(api.client.get("/v1/meetings", headers=headers), 403)


def test_test_calls_are_off_unless_an_organisation_is_named_for_them(api: Api) -> None:
    assert_error(api.client.post("/call/session"), 404)


def test_so_many_test_calls_an_hour_are_enough(make_api: Callable[..., Api]) -> None:
    api = make_api(test_call_org="acme")
    api.services.test_calls = RecentCalls(2, span_ms=3_600_000)
    assert [api.client.post("/call/session").status_code for _ in range(2)] == [201, 201]
    api.clock.advance(s=3_590)
    late = api.client.post("/call/session")
    assert_error(late, 429)
    assert late.headers["retry-after"] == "10"
    api.clock.advance(s=10)
    assert api.client.post("/call/session").status_code == 201
