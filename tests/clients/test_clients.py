"""Real clients of Webex, pointed at a real server as docs/api.md says."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
import webexpythonsdk  # type: ignore[import-untyped]
import wxc_sdk
from wxc_sdk.rest import RestError, RestSession

from roomtone.auth import hash_token, new_token
from roomtone.model import iso_ms
from roomtone.store import open_store
from tests.conftest import Server, session, start_server, stored_token, stream

SESSIONS = 25
ENDED_S_MAX = 30
READER = ("analytics:read_all", "meeting:admin_schedule_read", "meeting:admin_participants_read")


def an_hour_ago(*, plus_s: int = 0) -> str:
    return iso_ms((int(time.time()) - 3_600 + plus_s) * 1000)


@dataclass
class Site:
    """A server with two meetings: one of 25 sessions that have left, one of one that has not."""

    server: Server
    token: str
    ended: str
    small: str

    @property
    def base(self) -> str:
        return f"{self.server.url}/v1"


def filled(data: Path, *flags: str) -> Site:
    server = start_server(data, "--silence-s", "5", *flags)
    writer = {"Authorization": f"Bearer {server.token('telemetry:write')}"}
    with httpx2.Client(base_url=server.url, headers=writer) as client:
        news = {"title": "Planning", "hostEmail": "ines@example.com", "siteUrl": "acme.example.com"}
        ids = [
            client.post("/v1/meetings", json=news | {"start": an_hour_ago()}).json()["id"]
            for _ in range(2)
        ]
        entry = stream(an_hour_ago(), packetLoss=[0.25, 1], latency=[60, 61.5])
        over = [
            session(f"S{n:02}", ids[0], audioIn=[entry], **times(leave=True))
            for n in range(SESSIONS)
        ]
        for items in (over, [session("R1", ids[1], **times(leave=False))]):
            answer = client.post("/v1/meeting/qualities", json={"items": items})
            assert answer.status_code == 204, answer.text
    return Site(server, server.token(*READER), *ids)


def times(*, leave: bool) -> dict[str, str]:
    return {"joinTime": an_hour_ago()} | ({"leaveTime": an_hour_ago(plus_s=600)} if leave else {})


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    filled_site = filled(tmp_path_factory.mktemp("clients") / "data")
    yield filled_site
    assert filled_site.server.stop() == 0


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    filled_site = filled(tmp_path_factory.mktemp("limited") / "data", "--webex-limits")
    yield filled_site
    assert filled_site.server.stop() == 0


# -- wxc_sdk


@pytest.fixture
def wxc(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Makes wxc_sdk clients of a site; their sessions are closed."""
    made: list[wxc_sdk.WebexSimpleApi] = []

    def make(site: Site, token: str | None = None) -> wxc_sdk.WebexSimpleApi:
        monkeypatch.setattr(RestSession, "BASE", site.base)
        made.append(wxc_sdk.WebexSimpleApi(tokens=token or site.token))
        return made[-1]

    yield make
    for api in made:
        api.session.close()


def names(items: Any) -> list[str]:
    return [item["participantSessionId"] for item in items]


ALL_NAMES = [f"S{number:02}" for number in range(SESSIONS)]


@pytest.mark.parametrize("page", [1, 7, 25, 100])
def test_wxc_sdk_turns_the_pages_of_qualities(site: Site, wxc: Any, page: int) -> None:
    pages = wxc(site).session.follow_pagination(
        url=f"{site.base}/meeting/qualities",
        params={"meetingId": site.ended, "max": page},
        item_key="items",
    )
    assert names(pages) == ALL_NAMES


def test_wxc_sdk_finds_qualities_at_the_path_it_asks_for_by_mistake(site: Site, wxc: Any) -> None:
    api = wxc(site)
    url = f"{site.base}/https://analytics.webexapis.com/v1/meeting/qualities"
    params = {"meetingId": site.ended, "max": 10}
    assert names(api.session.follow_pagination(url=url, params=params)) == ALL_NAMES
    typed = api.meetings.qualities.meeting_qualities(site.small)
    (found,) = typed  # it has no stream: the typed model takes whole numbers only
    assert found.participant_session_id == "R1"
    assert found.join_time is not None
    with pytest.raises(ValueError, match="int"):
        list(api.meetings.qualities.meeting_qualities(site.ended))


def test_wxc_sdk_lists_meetings_participants_and_itself(site: Site, wxc: Any) -> None:
    api = wxc(site)
    listed = {meeting.id: meeting for meeting in api.meetings.list(meeting_type="meeting", max=1)}
    assert set(listed) == {site.ended, site.small}
    one = api.meetings.get(site.small)
    assert (one.title, one.host_email) == ("Planning", "ines@example.com")
    people = list(api.meetings.participants.list_participants(site.ended, max=10))
    assert [person.id for person in people] == [f"P-{name}" for name in ALL_NAMES]
    assert {person.state for person in people} == {"end"}
    me = api.people.me()
    assert me.org_id == "acme"


def test_wxc_sdk_reads_errors(site: Site, wxc: Any) -> None:
    with pytest.raises(RestError) as caught:
        wxc(site, "rt_unknown").people.me()
    assert caught.value.response.status_code == 401
    assert caught.value.detail.message == "The token is not known here."
    assert caught.value.detail.tracking_id.startswith("ROUTER_")
    assert caught.value.description == caught.value.detail.message


def test_wxc_sdk_waits_as_long_as_a_429_says(
    limited: Site, wxc: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[int] = []

    class Enough(Exception):
        pass

    def sleep(seconds: int) -> None:
        waits.append(seconds)
        if len(waits) == 2:
            raise Enough

    monkeypatch.setattr("wxc_sdk.rest.time.sleep", sleep)
    api = wxc(limited)

    def ask() -> list[str]:
        return names(
            api.session.follow_pagination(
                url=f"{limited.base}/meeting/qualities",
                params={"meetingId": limited.ended, "max": 10},
            )
        )

    assert ask() == ALL_NAMES  # pages after the first are exempt
    with pytest.raises(Enough):
        ask()
    assert waits == [60, 60]  # never more than a minute at once, and then again


# -- webexpythonsdk


def test_webexpythonsdk_turns_the_pages(site: Site) -> None:
    api = webexpythonsdk.WebexAPI(access_token=site.token, base_url=f"{site.base}/")
    params = {"meetingId": site.ended, "max": 10}
    assert names(api._session.get_items("meeting/qualities", params=params)) == ALL_NAMES
    listed = api._session.get_items("meetings", params={"meetingType": "meeting", "max": 1})
    assert {item["id"] for item in listed} == {site.ended, site.small}
    assert api.people.me().orgId == "acme"
    api._session._req_session.close()


def test_webexpythonsdk_reads_errors_and_waits(limited: Site) -> None:
    api = webexpythonsdk.WebexAPI(
        access_token=limited.token, base_url=f"{limited.base}/", wait_on_rate_limit=False
    )
    params = {"meetingId": limited.small}
    assert names(api._session.get_items("meeting/qualities", params=params)) == ["R1"]
    with pytest.raises(webexpythonsdk.RateLimitError) as limit:
        list(api._session.get_items("meeting/qualities", params=params))
    assert 1 <= limit.value.retry_after <= 300
    with pytest.raises(webexpythonsdk.ApiError) as error:
        list(api._session.get_items("meeting/qualities", params={"meetingId": "unknown"}))
    assert error.value.status_code == 404
    assert error.value.message == "No such meeting."
    api._session._req_session.close()


# -- an add-on that copies everything, as the one for Splunk does


def test_an_add_on_lists_ended_meetings_and_fetches_their_qualities(site: Site) -> None:
    form = refresh_form(site.server.data)
    with httpx2.Client(base_url=site.server.url) as client:
        tokens = client.post("/v1/access_token", data=form).json()
        assert tokens["refresh_token"] == form["refresh_token"]
        assert tokens["expires_in"] > 0
        client.headers["Authorization"] = f"Bearer {tokens['access_token']}"
        meeting = ended_meetings(client, until=site.ended)[site.ended]
        assert "." not in meeting["start"] + meeting["end"]
        netloc = site.server.url.removeprefix("http://")
        answer = client.get(
            "/v1/meeting/qualities",
            params={"meetingId": meeting["id"], "max": 1_000},
            headers={"Host": f"analytics.{netloc.replace('127.0.0.1', 'localhost')}"},
        )
    items = answer.json()["items"]
    assert names(items) == ALL_NAMES
    assert all("." in item["joinTime"] for item in items)
    assert items[0]["audioIn"][0]["packetLoss"] == [0.25, 1]
    assert "link" not in answer.headers


def ended_meetings(client: httpx2.Client, *, until: str) -> dict[str, Any]:
    """Ended meetings by id, asked for until one is among them: it ends after 5 s of silence."""
    params = {"meetingType": "meeting", "state": "ended", "from": an_hour_ago(plus_s=-60)}
    last = time.monotonic() + ENDED_S_MAX
    while time.monotonic() < last:
        answer = client.get("/v1/meetings", params=params | {"max": "100"})
        assert answer.status_code == 200, answer.text
        found = {item["id"]: item for item in answer.json()["items"]}
        if until in found:
            return found
        time.sleep(0.2)
    raise AssertionError("the meeting has not ended")


def refresh_form(data: Path) -> dict[str, str]:
    token = new_token()
    kept = stored_token(
        token,
        *READER,
        org="acme",
        now_ms=int(time.time() * 1000),
        kind="refresh",
        client_id="C1",
        client_secret_hash=hash_token("secret"),
    )
    store = open_store(data)
    with store.transaction():
        store.put_token(kept)
    store.close()
    return {
        "grant_type": "refresh_token",
        "client_id": "C1",
        "client_secret": "secret",
        "refresh_token": token,
    }


@pytest.mark.parametrize(
    "query",
    ["meetingId=%3Cstring%3E&max=%3Cnumber%3E&offset=%3Cnumber%3E", "meetingId=%3Cstring%3E"],
)
def test_a_collection_with_placeholders_left_in_it_is_400(site: Site, query: str) -> None:
    headers = {"Authorization": f"Bearer {site.token}"}
    answer = httpx2.get(f"{site.base}/meeting/qualities?{query}", headers=headers)
    assert answer.status_code == 400
    assert set(answer.json()) == {"message", "errors", "trackingId"}
