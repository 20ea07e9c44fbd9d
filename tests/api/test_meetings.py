"""/v1/meetings and /v1/meetingParticipants: which meetings there were, and who was in them."""

import re
from typing import Any

import pytest

from tests.api.test_bad_input import assert_error
from tests.conftest import Api, session, stream

MEETINGS = "/v1/meetings"
PARTICIPANTS = "/v1/meetingParticipants"
NO_FRACTION = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
MINUTE = 60
DAY = 24 * 3600
# The clock of these tests stands at 2026-11-24T10:00:00Z.


def announce(api: Api, **news: Any) -> Any:
    return api.post(MEETINGS, news, "telemetry:write")


def listed(api: Api, **query: Any) -> list[str]:
    answer = api.get(MEETINGS, "meeting:admin_schedule_read", params=query)
    assert answer.status_code == 200, answer.text
    return [item["id"] for item in answer.json()["items"]]


def one(api: Api, meeting: str = "m1") -> dict[str, Any]:
    answer = api.get(f"{MEETINGS}/{meeting}", "meeting:admin_schedule_read")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def people(api: Api, meeting: str = "m1", **query: Any) -> list[dict[str, Any]]:
    params = {"meetingId": meeting, **query}
    answer = api.get(PARTICIPANTS, "meeting:admin_participants_read", params=params)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


def follow(api: Api, answer: Any) -> list[dict[str, Any]]:
    """All items of all pages."""
    items: list[dict[str, Any]] = answer.json()["items"]
    while "link" in answer.headers:
        url = answer.headers["link"].removeprefix("<").partition(">")[0]
        answer = api.get(url)
        items += answer.json()["items"]
    return items


# -- announcing


def test_an_announced_meeting_is_served_as_it_was_announced(api: Api) -> None:
    news = {
        "id": "m1",
        "title": "Planning",
        "start": "2026-11-24T09:00:00Z",
        "end": "2026-11-24T11:00:00Z",
        "hostUserId": "U1",
        "hostDisplayName": "Ines Host",
        "hostEmail": "ines@example.com",
        "siteUrl": "acme.example.com",
        "webLink": "https://meet.example.com/m1",
        "meetingSeriesId": "series",
        "scheduledMeetingId": "scheduled",
        "timezone": "Europe/Berlin",
    }
    answer = announce(api, **news)
    assert answer.status_code == 201
    del news["end"]  # it has not ended yet
    assert answer.json() == news | {"meetingType": "meeting", "state": "inProgress"}
    assert one(api) == answer.json()


def test_a_minted_id_has_webexs_form(api: Api) -> None:
    minted = {announce(api, title="x").json()["id"] for _ in range(20)}
    assert len(minted) == 20
    for name in minted:
        assert re.fullmatch(r"[0-9a-f]{32}_I_[0-9]{18}", name)


def test_an_amendment_changes_only_what_it_says(api: Api) -> None:
    first = announce(api, id="m1", title="Planning", hostEmail="ines@example.com")
    second = announce(api, id="m1", title="Planning, moved")
    assert (first.status_code, second.status_code) == (201, 200)
    assert second.json() == first.json() | {"title": "Planning, moved"}


def test_a_meeting_of_telemetry_can_be_amended(api: Api) -> None:
    api.post_sessions(session())
    assert announce(api, id="m1", title="Planning").status_code == 200
    assert one(api)["title"] == "Planning"
    assert one(api)["start"] == "2026-11-24T09:00:00Z"


NEWS_FAULTS = [
    ({"id": ""}, "$.id"),
    ({"id": "<string>"}, "$.id"),
    ({"id": "a\x00b"}, "$.id"),
    ({"id": "x" * 257}, "$.id"),
    ({"id": 7}, "$.id"),
    ({"title": "x" * 1_025}, "$.title"),
    ({"title": None}, "$.title"),
    ({"start": "yesterday"}, "$.start"),
    ({"start": "2026-11-24T09:00:00"}, "$.start"),
    ({"start": "1999-11-24T09:00:00Z"}, "$.start"),
    ({"end": "2999-11-24T09:00:00Z"}, "$.end"),
    ({"start": "2026-11-24T09:00:00Z", "end": "2026-11-24T08:59:59Z"}, "$.end"),
]


@pytest.mark.parametrize(("news", "names"), NEWS_FAULTS, ids=lambda value: str(value)[:50])
def test_bad_news_is_400_with_its_path(api: Api, news: dict[str, Any], names: str) -> None:
    assert_error(announce(api, **news), 400, names=names)
    assert listed(api, **{"from": "2000-01-01", "to": "2100-01-01"}) == []


def test_a_meeting_may_be_announced_a_year_ahead_and_no_further(api: Api) -> None:
    assert announce(api, id="m1", start="2027-11-20T10:00:00Z").json()["state"] == "scheduled"
    answer = announce(api, id="m2", start="2027-12-24T10:00:00Z")
    assert_error(answer, 400, names="year")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"start": "2026-11-24T09:00:00Z"}, {"end": "2026-11-24T08:00:00Z"}),
        ({"end": "2026-11-24T09:00:00Z"}, {"start": "2026-11-24T09:30:00Z"}),
    ],
)
def test_an_amendment_cannot_end_a_meeting_before_its_start(
    api: Api, first: dict[str, str], second: dict[str, str]
) -> None:
    announce(api, id="m1", **first)
    before = one(api)
    assert_error(announce(api, id="m1", **second), 409, names="before it starts")
    assert one(api) == before


# -- the list


def at(api: Api, meeting: str, start: str, **news: Any) -> None:
    assert announce(api, id=meeting, start=start, **news).status_code == 201


def test_the_window_holds_its_first_moment_and_not_its_last(api: Api) -> None:
    at(api, "before", "2026-11-20T07:59:59Z")
    at(api, "first", "2026-11-20T08:00:00Z")
    at(api, "inside", "2026-11-20T08:30:00Z")
    at(api, "last", "2026-11-20T09:00:00Z")
    window = {"from": "2026-11-20T08:00:00Z", "to": "2026-11-20T09:00:00Z"}
    assert listed(api, **window) == ["inside", "first"]


def test_the_default_window_is_the_last_seven_days(api: Api) -> None:
    at(api, "old", "2026-11-17T09:59:59Z")
    at(api, "edge", "2026-11-17T10:00:00Z")
    at(api, "new", "2026-11-24T09:59:59Z")
    assert listed(api) == ["new", "edge"]
    assert listed(api, to="2026-11-24T09:00:00Z") == ["edge", "old"]
    assert listed(api, **{"from": "2026-11-18"}) == ["new"]


@pytest.mark.parametrize(
    "moment",
    [
        "2026-11-20T08:00:00Z",
        "2026-11-20T08:00:00.000Z",
        "2026-11-20T09:00:00+01:00",
        "2026-11-20T08:00:00",
        "2026-11-20 08:00:00",
        "20261120T080000Z",
    ],
)
def test_a_moment_may_be_written_in_many_ways(api: Api, moment: str) -> None:
    at(api, "m1", "2026-11-20T08:00:00Z")
    assert listed(api, **{"from": moment, "to": "2026-11-20T08:00:01Z"}) == ["m1"]
    assert listed(api, **{"from": "2026-11-19", "to": moment}) == []


def test_meetings_can_be_asked_for_by_state(api: Api) -> None:
    at(api, "ended", "2026-11-24T07:00:00Z")
    api.clock.advance(s=6 * MINUTE)
    api.upkeep()
    at(api, "running", "2026-11-24T08:00:00Z")
    at(api, "ahead", "2026-11-25T09:00:00Z")
    to = {"to": "2026-11-30"}
    assert listed(api, **to) == ["running", "ended"]
    assert listed(api, state="inProgress", **to) == ["running"]
    assert listed(api, state="ended", **to) == ["ended"]
    assert listed(api, state="scheduled", **to) == ["ahead"]
    assert listed(api, state="missed", **to) == []


def test_meetings_can_be_asked_for_by_host_and_site(api: Api) -> None:
    start = "2026-11-24T08:00:00Z"
    at(api, "m1", start, hostEmail="Ines@example.com", siteUrl="a.example.com")
    at(api, "m2", start, hostEmail="noor@example.com", siteUrl="b.example.com")
    assert listed(api, hostEmail="ines@EXAMPLE.com") == ["m1"]
    assert listed(api, siteUrl="b.example.com") == ["m2"]
    assert listed(api, hostEmail="ines@example.com", siteUrl="b.example.com") == []
    assert listed(api, hostEmail="' OR 1=1 --") == []
    assert listed(api, hostEmail="%") == []


def test_a_series_or_a_scheduled_meeting_has_no_instances_here(api: Api) -> None:
    at(api, "m1", "2026-11-24T08:00:00Z")
    assert listed(api, meetingType="meeting") == ["m1"]
    assert listed(api, meetingType="meetingSeries") == []
    assert listed(api, meetingType="scheduledMeeting") == []


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("meetingType=webinar", "meetingType"),
        ("meetingType=%3Cstring%3E", "meetingType"),
        ("meetingType=", "meetingType"),
        ("state=over", "state"),
        ("state=", "state"),
        ("from=yesterday", "from"),
        ("to=%3Cstring%3E", "to"),
        ("to=2026-13-01", "to"),
        ("to=9999-12-31T23:59:59-23:59", "to"),
        ("from=0001-01-01T00:00:00%2B23:59", "from"),
        ("from=2026-11-24T10:00:00Z", "from"),
        ("from=2026-11-20&to=2026-11-19", "from"),
        ("max=0", "max"),
        ("max=-1", "max"),
        ("max=%3Cnumber%3E", "max"),
        ("offset=-1", "offset"),
        ("offset=1e9", "offset"),
    ],
)
def test_a_bad_query_names_its_parameter(api: Api, query: str, names: str) -> None:
    assert_error(api.get(f"{MEETINGS}?{query}"), 400, names=names)


def test_pages_of_meetings_follow_the_link(api: Api) -> None:
    for number in range(23):
        at(api, f"m{number:02}", f"2026-11-24T08:00:{number:02}Z", siteUrl="a&b=c")
    answer = api.get(MEETINGS, params={"max": 5, "siteUrl": "a&b=c", "state": "inProgress"})
    expected = [f"m{number:02}" for number in reversed(range(23))]
    assert [item["id"] for item in follow(api, answer)] == expected
    assert len(api.get(MEETINGS).json()["items"]) == 10


def test_the_pages_of_a_list_do_not_slip_while_time_goes_on(api: Api) -> None:
    """The default window moves with the clock: a page after the first keeps the first one's."""
    for number in range(4):
        at(api, f"m{number}", f"2026-11-17T10:00:0{number}Z")
    answer = api.get(MEETINGS, params={"max": 2})
    seen = [item["id"] for item in answer.json()["items"]]
    api.clock.advance(s=2)
    at(api, "new", "2026-11-24T10:00:01Z")
    seen += [item["id"] for item in follow(api, api.get(link_of(answer)))]
    assert seen == ["m3", "m2", "m1", "m0"]


def link_of(answer: Any) -> str:
    url: str = answer.headers["link"].removeprefix("<").partition(">")[0]
    return url


def test_a_page_of_meetings_has_at_most_a_hundred(api: Api) -> None:
    for number in range(101):
        at(api, f"m{number:03}", "2026-11-24T08:00:00Z")
    answer = api.get(MEETINGS, params={"max": 1_000})
    assert len(answer.json()["items"]) == 100
    link = answer.headers["link"]
    assert "max=100&" in link
    assert "offset=100>" in link
    assert len(follow(api, answer)) == 101


# -- a meeting's life


def test_telemetry_makes_a_meeting_that_runs_until_it_falls_silent(api: Api) -> None:
    api.post_sessions(session(audioIn=[stream("2026-11-24T09:58:00.000Z", packetLoss=[1, 2])]))
    running = one(api)
    assert running["state"] == "inProgress"
    assert "end" not in running
    assert running["start"] == "2026-11-24T09:00:00Z"
    api.clock.advance(s=6 * MINUTE)
    assert api.upkeep() == 1
    over = one(api)
    assert over["state"] == "ended"
    assert over["end"] == "2026-11-24T10:00:00Z"
    assert listed(api, state="ended") == ["m1"]


def test_late_telemetry_opens_a_meeting_again(api: Api) -> None:
    api.post_sessions(session())
    api.clock.advance(s=6 * MINUTE)
    api.upkeep()
    api.post_sessions(session("S2", joinTime="2026-11-24T10:06:00.000Z"))
    assert one(api)["state"] == "inProgress"
    assert "end" not in one(api)


def test_a_meeting_ends_when_it_was_announced_to(api: Api) -> None:
    announce(api, id="m1", start="2026-11-24T09:00:00Z", end="2026-11-24T10:01:00Z")
    api.post_sessions(session())
    api.clock.advance(s=6 * MINUTE)
    api.upkeep()
    assert one(api)["end"] == "2026-11-24T10:01:00Z"
    assert people(api)[0]["state"] == "end"


def test_times_of_meetings_have_no_fraction(api: Api) -> None:
    api.post_sessions(session(joinTime="2026-11-24T09:00:00.999Z"))
    announce(api, id="m2", start="2026-11-24T09:00:00.999Z", end="2026-11-24T09:30:00.999Z")
    api.clock.advance(s=6 * MINUTE)
    api.upkeep()
    for meeting in (one(api, "m1"), one(api, "m2")):
        assert NO_FRACTION.fullmatch(meeting["start"])
        assert NO_FRACTION.fullmatch(meeting["end"])


def test_an_unknown_meeting_is_404_and_a_bad_id_400(api: Api) -> None:
    for path in (f"{MEETINGS}/m9", f"{PARTICIPANTS}?meetingId=m9"):
        assert_error(api.get(path), 404)
    for path in (f"{MEETINGS}/%3Cstring%3E", PARTICIPANTS, f"{PARTICIPANTS}?meetingId="):
        assert_error(api.get(path), 400)


def test_an_id_with_a_slash_is_an_id(api: Api) -> None:
    api.post_sessions(session(meeting="a/b c"))
    assert one(api, "a%2Fb%20c")["id"] == "a/b c"
    assert listed(api) == ["a/b c"]


# -- participants


def test_sessions_of_a_person_are_one_participant_with_devices(api: Api) -> None:
    person = {"participantId": "P1", "webexUserName": "Ada", "webexUserEmail": "ada@example.com"}
    first, second = "2026-11-24T09:10:00.000Z", "2026-11-24T09:30:00.000Z"
    announce(api, id="m1", hostEmail="ADA@example.com", siteUrl="acme.example.com")
    api.post_sessions(
        session("S1", **person, clientType="TEAMS_CLIENT", leaveTime=first),
        session("S2", **person, clientType="TEAMS_DEVICE", joinTime=first, leaveTime=second),
        session("S3", participantId="P2", webexUserName="Bob", webexUserEmail=""),
    )
    ada, bob = people(api)
    assert ada["id"] == "P1"
    assert (ada["displayName"], ada["email"]) == ("Ada", "ada@example.com")
    assert (ada["orgId"], ada["meetingId"]) == ("acme", "m1")
    assert (ada["hostEmail"], ada["siteUrl"]) == ("ADA@example.com", "acme.example.com")
    assert ada["host"] is True
    assert ada["state"] == "end"
    assert (ada["joinedTime"], ada["leftTime"]) == ("2026-11-24T09:00:00Z", "2026-11-24T09:30:00Z")
    assert [device["deviceType"] for device in ada["devices"]] == ["TEAMS_CLIENT", "TEAMS_DEVICE"]
    assert [device["durationSecond"] for device in ada["devices"]] == [600, 1_200]
    assert [device["leftTime"] for device in ada["devices"]] == [
        "2026-11-24T09:10:00Z",
        "2026-11-24T09:30:00Z",
    ]
    assert bob["state"] == "joined"
    assert "leftTime" not in bob
    assert not bob.get("host")


def test_a_person_who_came_back_is_joined_again(api: Api) -> None:
    person = {"participantId": "P1"}
    api.post_sessions(
        session("S1", **person, leaveTime="2026-11-24T09:10:00.000Z"),
        session("S2", **person, joinTime="2026-11-24T09:20:00.000Z"),
    )
    (ada,) = people(api)
    assert ada["state"] == "joined"
    assert "leftTime" not in ada


def test_nobody_stays_for_less_than_no_time(api: Api) -> None:
    api.post_sessions(session())
    left = session(joinTime="", leaveTime="2026-11-24T08:00:00.000Z")
    assert api.post_sessions(left).status_code == 204
    (ada,) = people(api)
    assert ada["devices"][0]["durationSecond"] >= 0


def test_pages_of_participants_follow_the_link(api: Api) -> None:
    api.post_sessions(*(session(f"S{n:03}") for n in range(105)))
    params = {"meetingId": "m1", "max": 40}
    found = follow(api, api.get(PARTICIPANTS, params=params))
    assert [person["id"] for person in found] == [f"P-S{n:03}" for n in range(105)]
    assert len(people(api)) == 10
    assert len(people(api, max=1_000)) == 100
    assert people(api, offset=1_000_000_000) == []


def test_an_announced_meeting_has_nobody_in_it_yet(api: Api) -> None:
    announce(api, id="m1", title="Planning")
    assert people(api) == []
    answer = api.qualities("m1")
    assert (answer.status_code, answer.json()) == (200, {"items": []})
