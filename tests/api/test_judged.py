"""GET /v1/roomtone/meetings: found by verdict, time and words; pages; who may know whom."""

from typing import Any

import pytest

from tests.api.test_bad_input import assert_error
from tests.api.test_scores import sound
from tests.conftest import Api, session

PATH = "/v1/roomtone/meetings"
ANONYMOUS = "analytics:read_anonymous"
PEOPLE = {
    "a": {"webexUserName": "Ada Bo", "webexUserEmail": "ada@example.com", "camera": "Cam 7"},
    "b": {"webexUserName": "María", "webexUserEmail": "m@example.com", "speakerName": "Jabra"},
    "c": {"webexUserName": "Cleo", "webexUserEmail": "c@example.com", "microphone": "Yeti"},
}
LOSS = {"a": 12.0, "b": 0.1, "c": 12.0}
MINUTES = {"a": 10, "b": 10, "c": 5}
WINDOW = {"from": "2026-11-24T00:00:00Z", "to": "2026-11-25T00:00:00Z"}


@pytest.fixture
def day(api: Api) -> Api:
    """Three meetings that ended and were scored, an hour apart, and one in progress."""
    for hour, name in enumerate("abc"):
        start = f"2026-11-24T0{hour}:00:00.000Z"
        api.post("/v1/meetings", {"id": f"m-{name}", "title": f"Plan {name}", "start": start})
        api.post("/v1/meetings", {"id": f"m-{name}", "hostEmail": f"host-{name}@example.com"})
        heard = [entry | {"startTime": start} for entry in sound(LOSS[name])]
        for column in ("packetLoss", "latency", "jitter", "mediaBitRate"):
            heard[0][column] = heard[0][column][: MINUTES[name]]
        person = {"joinTime": start, "leaveTime": f"2026-11-24T0{hour}:10:00Z", **PEOPLE[name]}
        body = session(f"S-{name}", f"m-{name}", audioIn=heard, **person)
        assert api.post_sessions(body).status_code == 204
    for _ in range(2):
        api.clock.advance(s=600)
        api.upkeep()
    assert api.score() == 3
    api.post("/v1/meetings", {"id": "m-d", "title": "Open", "start": "2026-11-24T09:30:00Z"})
    api.post_sessions(session("S-d", "m-d", webexUserName="Dan"))
    api.post("/v1/meetings", {"id": "m-e", "title": "Plan e", "start": "2026-12-24T09:30:00Z"})
    return api


def found(api: Api, *scopes: str, **query: Any) -> list[dict[str, Any]]:
    answer = api.get(PATH, *scopes, params=WINDOW | query)
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


def names(api: Api, *scopes: str, **query: Any) -> str:
    ids = [one["meetingInstanceId"] for one in found(api, *scopes, **query)]
    return "".join(one.removeprefix("m-") for one in ids)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        pytest.param({}, "dcba", id="newest first"),
        pytest.param({"sort": "worst"}, "acbd", id="worst first: poor for longer"),
        pytest.param({"verdict": "poor"}, "ca", id="poor"),
        pytest.param({"verdict": "good,poor", "sort": "worst"}, "acb", id="two verdicts"),
        pytest.param({"verdict": "fair"}, "", id="none is fair"),
        pytest.param({"q": "PLAN"}, "cba", id="title"),
        pytest.param({"q": "m-b"}, "b", id="id"),
        pytest.param({"q": "host-a@"}, "a", id="host"),
        pytest.param({"q": " ada bo "}, "a", id="name"),
        pytest.param({"q": "MARÍA"}, "b", id="name in capitals"),
        pytest.param({"q": "c@example.com"}, "c", id="e-mail"),
        pytest.param({"q": "cam 7"}, "a", id="camera"),
        pytest.param({"q": "jabra"}, "b", id="speaker"),
        pytest.param({"q": "yeti", "verdict": "poor"}, "c", id="microphone and verdict"),
        pytest.param({"q": "yeti", "verdict": "good"}, "", id="both must hold"),
        pytest.param({"q": "open"}, "d", id="in progress, by its title"),
        pytest.param({"q": "%"}, "", id="no pattern"),
        pytest.param({"from": "2026-11-24T01:00:00Z", "to": "2026-11-24T02:00:00Z"}, "b", id="at"),
        pytest.param({"max": 2, "offset": 1}, "cb", id="page"),
    ],
)
def test_meetings_are_found(day: Api, query: dict[str, Any], expected: str) -> None:
    assert names(day, **query) == expected


def test_a_line_says_how_it_was_and_why(day: Api) -> None:
    (one,) = found(day, q="cam 7")
    assert (one["title"], one["hostEmail"]) == ("Plan a", "host-a@example.com")
    assert (one["verdict"], one["minutes"], one["minutesPoor"]) == ("poor", 10, 10)
    assert one["because"].startswith("1 of 1 participants poor: 12.0 % packet loss")
    assert one["counts"] == {"good": 0, "fair": 0, "poor": 1, "unclassified": 0}
    whole = day.get(f"{PATH}/m-a").json()
    assert [line["text"] for line in one["findings"]] == [f["text"] for f in whole["findings"]]
    assert one["findings"][0]["participantSessionId"] in ("", "S-a")
    for name in ("verdict", "because", "minutes", "minutesPoor", "counts"):
        assert one[name] == whole[name]


def test_what_was_not_scored_yet_is_null_and_no_verdict(day: Api) -> None:
    (one,) = found(day, q="open")
    assert (one["state"], one["verdict"], one["minutesPoor"]) == ("inProgress", None, None)
    assert "end" not in one


def test_pages_lead_to_all_and_the_window_stays(day: Api) -> None:
    url = f"{PATH}?max=2&sort=worst"
    ids: list[str] = []
    while url:
        answer = day.get(url)
        ids += [one["meetingInstanceId"] for one in answer.json()["items"]]
        url = answer.links["next"]["url"] if "next" in answer.links else ""
        day.clock.advance(s=600)
    assert ids == ["m-a", "m-c", "m-b", "m-d"]


def test_a_page_that_has_not_changed_is_304(day: Api) -> None:
    first = day.get(PATH, params=WINDOW)
    headers = {"If-None-Match": first.headers["etag"]}
    assert day.get(PATH, params=WINDOW, headers=headers).status_code == 304
    day.post("/v1/meetings", {"id": "m-a", "title": "Another"})
    assert day.get(PATH, params=WINDOW, headers=headers).status_code == 200


def test_who_may_not_know_people_finds_meetings_by_id_and_reads_no_names(day: Api) -> None:
    assert names(day, ANONYMOUS, verdict="poor") == "ca"
    assert names(day, ANONYMOUS, q="m-a") == "a"
    for secret in ("ada", "cam 7", "host-a", "plan"):
        assert names(day, ANONYMOUS, q=secret) == ""
    text = str(found(day, ANONYMOUS)).lower()
    for secret in ("ada", "maría", "cam 7", "jabra", "host-", "plan", "@"):
        assert secret not in text


def test_an_erased_person_is_found_no_more_at_once(day: Api) -> None:
    assert day.post("/v1/roomtone/erase", {"email": "ADA@example.com"}).status_code == 200
    for word in ("ada", "cam 7"):
        assert names(day, q=word) == ""
    assert day.score() == 1
    assert names(day, q="cam 7") == ""
    assert names(day, verdict="poor") == "ca"
    assert "Ada" not in str(found(day))


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"verdict": "bad"}, 400),
        ({"verdict": ""}, 400),
        ({"sort": "oldest"}, 400),
        ({"from": "yesterday"}, 400),
        ({"from": "2026-11-26", "to": "2026-11-25"}, 400),
        ({"q": "x" * 257}, 400),
        ({"max": 0}, 400),
        ({"offset": -1}, 400),
    ],
    ids=str,
)
def test_what_cannot_be_asked(api: Api, query: dict[str, Any], status: int) -> None:
    assert_error(api.get(PATH, params=query), status)


def test_another_organisation_and_other_scopes_see_nothing(day: Api) -> None:
    assert day.get(PATH, org="zeta").json() == {"items": []}
    assert_error(day.get(PATH, "telemetry:write"), 403)


@pytest.mark.parametrize("path", [PATH, "/v1/roomtone/fleet", "/v1/roomtone/thresholds"])
def test_a_token_of_one_meeting_learns_of_no_other(api: Api, path: str) -> None:
    token = api.token("analytics:read_all", meeting="m-a")
    answer = api.client.get(path, headers={"Authorization": f"Bearer {token}"})
    assert_error(answer, 403)
