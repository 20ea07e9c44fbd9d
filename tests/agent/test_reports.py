"""POST /v1/agent/reports: what an agent measured lands in the session of whoever sits there."""

from typing import Any

import pytest

from roomtone.model import iso_ms
from tests.conftest import Api, session, stream

JOIN_MS = 1_795_510_800_000  # 2026-11-24T09:00:00Z
MINUTE_MS = 60_000
PATH = "/v1/agent/reports"


def at(minute: float) -> str:
    return iso_ms(JOIN_MS + round(minute * MINUTE_MS))


def entry(minute: float, value: float = 10, **fields: Any) -> dict[str, Any]:
    return {
        "startTime": at(minute),
        "samplingInterval": 60,
        "systemAverageCPU": [value],
        "systemMaxCPU": [value + 1],
    } | fields


def report(*entries: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"meetingId": "m1", "participantId": "P-S1", "resources": list(entries)} | fields


def join(api: Api, session_id: str = "S1", **fields: Any) -> None:
    fields = {"joinTime": at(0), "participantId": "P-S1"} | fields
    assert api.post_sessions(session(session_id, **fields)).status_code == 204


def stored(api: Api, session_id: str = "S1") -> dict[str, Any]:
    items: list[dict[str, Any]] = api.qualities().json()["items"]
    return next(item for item in items if item["participantSessionId"] == session_id)


def test_resources_merge_into_the_session_of_the_browser(api: Api) -> None:
    join(api, audioIn=[stream(at(0))])
    for minute in (0, 1):
        answer = api.post(PATH, report(entry(minute, 10 + minute)))
        assert (answer.status_code, answer.json()) == (200, {"taken": 1, "unused": 0})
    assert len(api.qualities().json()["items"]) == 1
    merged = stored(api)
    assert merged["resources"] == [
        {
            "processAverageCPU": [],
            "processMaxCPU": [],
            "systemAverageCPU": [10, 11],
            "systemMaxCPU": [11, 12],
            "samplingInterval": 60,
            "startTime": at(0),
        }
    ]
    assert merged["audioIn"][0]["packetLoss"] == [0.5]


def test_a_repeated_report_changes_nothing(api: Api) -> None:
    join(api)
    api.post(PATH, report(entry(0)))
    before = stored(api)
    api.post(PATH, report(entry(0)))
    assert stored(api) == before


def test_an_agent_that_is_early_is_asked_to_come_back(api: Api) -> None:
    answer = api.post(PATH, report(entry(0)))
    assert (answer.status_code, answer.headers["Retry-After"]) == (404, "30")
    join(api, participantId="somebody else")
    assert api.post(PATH, report(entry(0))).status_code == 404


def test_each_minute_goes_to_the_session_that_had_it(api: Api) -> None:
    join(api, "first", leaveTime=at(2))
    join(api, "second", joinTime=at(5))
    answer = api.post(PATH, report(*(entry(minute, minute + 10) for minute in range(-2, 7))))
    assert answer.json() == {"taken": 4, "unused": 5}
    assert stored(api, "first")["resources"][0]["systemAverageCPU"] == [10, 11]
    assert stored(api, "second")["resources"][0]["systemAverageCPU"] == [15, 16]


def test_a_session_can_be_chosen(api: Api) -> None:
    join(api, "laptop")
    join(api, "phone", joinTime=at(1))
    api.post(PATH, report(entry(2), participantSessionId="laptop"))
    assert stored(api, "laptop")["resources"]
    assert not stored(api, "phone")["resources"]


def test_the_header_is_told_once_and_the_client_s_own_word_comes_after_it(api: Api) -> None:
    join(api)
    said = {"osVersion": "Version 6.1", "microphone": "Built-in", "hardwareType": "X1"}
    api.post(PATH, report(entry(0), session=said))
    assert {name: stored(api)[name] for name in said} == said
    join(api, microphone="Headset")
    api.post(PATH, report(entry(1), session=said))
    assert stored(api)["microphone"] == "Headset"
    assert stored(api)["hardwareType"] == "X1"
    api.post(PATH, report(session=said | {"networkType": "wifi"}))
    assert stored(api)["networkType"] == "wifi"


def test_an_agent_left_running_does_not_keep_a_session_open(api: Api) -> None:
    join(api, audioIn=[stream(at(0))])
    silence_s = api.settings.silence_s
    for _ in range(silence_s // 60):
        api.clock.advance(s=60)
        api.post(PATH, report(entry((api.clock.now_ms - JOIN_MS) / MINUTE_MS - 1)))
    assert api.upkeep() == 1
    assert api.post(PATH, report(entry(70))).status_code == 404


def test_a_collector_s_token_says_who_and_where(api: Api) -> None:
    join(api, participantId="P7")
    wanted = {"meetingId": "m1", "participant": {"id": "P7"}}
    token = api.post("/v1/collector/tokens", wanted).json()["token"]
    headers = {"Authorization": f"Bearer {token}"}
    body = {"meetingId": "m1", "participantId": "somebody else", "resources": [entry(0)]}
    assert api.client.post(PATH, json=body, headers=headers).json() == {"taken": 1, "unused": 0}
    elsewhere = api.client.post(PATH, json=body | {"meetingId": "m2"}, headers=headers)
    assert elsewhere.status_code == 403


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"meetingId": "m1"}, "Expected participantId - at `$`"),
        (
            report(session={"webexUserName": "Eve"}),
            "unknown field `webexUserName` - at `$.session`",
        ),
        (
            report({"systemMaxCPU": [1]}),
            "Expected startTime and samplingInterval - at `$.resources[0]`",
        ),
        (report(entry(0) | {"startTime": "soon"}), "zone - at `$.resources[0].startTime`"),
        (report(entry(0) | {"systemMaxCPU": [101]}), "<= 100"),
        (report(surprise=1), "unknown field `surprise`"),
    ],
    ids=["nobody", "a name", "no times", "no time", "over 100 %", "unknown"],
)
def test_what_breaks_a_rule_is_refused_with_its_path(
    api: Api, body: dict[str, Any], message: str
) -> None:
    join(api)
    answer = api.post(PATH, body)
    assert answer.status_code == 400
    assert message in answer.json()["message"]


def test_another_organisation_s_participant_is_not_found(api: Api) -> None:
    join(api)
    assert api.post(PATH, report(entry(0)), org="other").status_code == 404
