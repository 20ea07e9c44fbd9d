"""GET /v1/roomtone/meetings/{id}: the verdict, for whom, and the reason."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from roomtone import scoring
from roomtone.api import answers as answers_module
from roomtone.api import scores
from roomtone.store.size import ENTRY_WEIGHT
from tests.api.test_bad_input import assert_error
from tests.conftest import Api, session, stream

ANONYMOUS = "analytics:read_anonymous"
WAIT_S_MAX = 20
CALM: dict[str, Any] = {
    "codec": "Opus",
    "latency": [40] * 10,
    "jitter": [4] * 10,
    "mediaBitRate": [40_000] * 10,
}


def sound(loss: float) -> list[dict[str, Any]]:
    return [stream(packetLoss=[loss] * 10, **CALM)]


def quality(api: Api, *scopes: str, meeting: str = "m1") -> dict[str, Any]:
    answer = api.get(f"/v1/roomtone/meetings/{meeting}", *scopes)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


@pytest.fixture
def told(api: Api) -> dict[str, Any]:
    """A call of two, of whom one loses a tenth of what she hears."""
    answer = api.post_sessions(
        session("S1", audioIn=sound(0.1), audioOut=sound(0.1), webexUserName="Ada"),
        session("S2", audioIn=sound(12.0), audioOut=sound(0.1), webexUserName="Bob"),
    )
    assert answer.status_code == 204
    return quality(api)


def test_the_worst_stands_first_with_its_reason(told: dict[str, Any]) -> None:
    bob, ada = told["sessions"]
    assert (bob["webexUserName"], bob["verdict"], ada["verdict"]) == ("Bob", "poor", "good")
    assert "12" in bob["because"]
    assert (bob["minutesPoor"], ada["minutesPoor"], ada["because"]) == (10, 0, "")
    assert bob["streams"]["audioIn"]["verdict"] == "poor"
    assert bob["streams"]["audioOut"]["verdict"] == "good"
    assert bob["streams"]["audioIn"]["mos"] < 3 < 4 < ada["streams"]["audioIn"]["mos"]


@pytest.mark.parametrize(
    ("bound", "most", "count", "more"),
    [
        ("ITEMS_MAX", 1, 1, True),
        ("ITEMS_MAX", 2, 2, False),
        ("SAMPLES_JUDGED_MAX", 0, 1, True),
        ("SAMPLES_JUDGED_MAX", ENTRY_WEIGHT - 1, 1, True),
        ("SAMPLES_JUDGED_MAX", 1_000, 2, False),
    ],
)
@pytest.mark.parametrize("page", [1, 2, 20])
def test_so_much_is_judged_that_memory_is_enough(
    told: dict[str, Any],
    api: Api,
    monkeypatch: pytest.MonkeyPatch,
    bound: str,
    most: int,
    count: int,
    more: bool,
    page: int,
) -> None:
    assert told["more"] is False
    monkeypatch.setattr(scoring, bound, most)
    monkeypatch.setattr(scoring, "READ_SESSIONS", page)
    api.put("/v1/roomtone/thresholds", {"lossPercent": {"good": 1, "poor": 4}})  # nothing is held
    found = quality(api)
    assert (len(found["sessions"]), found["more"]) == (count, more)
    api.clock.advance(s=3_600)
    api.upkeep()
    api.upkeep()
    assert api.score() == 1
    (line,) = api.get("/v1/roomtone/meetings").json()["items"]
    assert sum(line["counts"].values()) == count


def test_a_meeting_is_as_its_sessions_are(told: dict[str, Any]) -> None:
    assert told["verdict"] == "poor"
    assert told["because"].startswith("1 of 2 participants poor")
    assert told["counts"] == {"good": 1, "fair": 0, "poor": 1, "unclassified": 0}
    assert (told["minutes"], told["minutesPoor"], told["more"]) == (20, 10, False)


def test_a_root_is_found_once_with_its_owner_and_advice(told: dict[str, Any]) -> None:
    [finding] = told["findings"]
    assert (finding["owner"], finding["direction"]) == ("P-S2", "down")
    assert finding["evidence"][0]["figure"] == "packetLoss down"
    assert finding["text"]
    assert finding["advice"]


@pytest.mark.usefixtures("told")
def test_who_may_not_know_people_reads_no_names(api: Api) -> None:
    found = quality(api, ANONYMOUS)
    assert [one["webexUserName"] for one in found["sessions"]] == ["", ""]
    assert "Bob" not in str(found)
    assert found["verdict"] == "poor"


@pytest.mark.usefixtures("told")
def test_a_sealed_meeting_has_the_same_verdict(api: Api) -> None:
    before = quality(api)
    api.clock.now_ms += 30 * 24 * 3600 * 1000
    assert api.upkeep() == 2
    after = quality(api)
    for one in (*before["sessions"], *after["sessions"]):
        one.pop("leaveTime", None)
    assert after == before


@pytest.mark.usefixtures("told")
@pytest.mark.parametrize(
    ("path", "org", "status"),
    [
        pytest.param("m2", "acme", 404, id="nobody knows it"),
        pytest.param("m1", "other", 404, id="another organisation's"),
        pytest.param("%00", "acme", 400, id="no id"),
    ],
)
def test_what_cannot_be_answered(api: Api, path: str, org: str, status: int) -> None:
    assert_error(api.get(f"/v1/roomtone/meetings/{path}", org=org), status)


def test_a_meeting_without_data_is_unclassified(api: Api) -> None:
    api.post_sessions(session("S1"))
    found = quality(api)
    assert (found["verdict"], found["because"]) == ("unclassified", "")
    assert found["sessions"][0]["streams"] == {}


@pytest.mark.usefixtures("told")
def test_a_meeting_that_has_not_changed_is_304_until_it_or_the_thresholds_do(api: Api) -> None:
    path = "/v1/roomtone/meetings/m1"
    first = api.get(path)
    headers = {"If-None-Match": first.headers["etag"]}
    again = api.get(path, headers=headers)
    assert (again.status_code, again.content) == (304, b"")
    assert api.get(path, ANONYMOUS, headers=headers).status_code == 200
    assert api.get(path, headers=headers, org="acme").status_code == 304
    api.put("/v1/roomtone/thresholds", {"activeSMin": 3_600})
    changed = api.get(path, headers=headers)
    assert (changed.status_code, changed.json()["verdict"]) == (200, "unclassified")
    api.put("/v1/roomtone/thresholds", {})
    assert api.get(path, headers=headers).status_code == 304
    api.post_sessions(session("S3", audioIn=sound(0.1)))
    changed = api.get(path, headers=headers)
    assert (changed.status_code, len(changed.json()["sessions"])) == (200, 3)


@pytest.mark.usefixtures("told")
def test_a_verdict_is_computed_once_for_all_who_ask(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = quality(api)

    def never(*_: object, **__: object) -> None:
        raise AssertionError("it was scored again")

    monkeypatch.setattr(scores, "quality", never)
    assert quality(api) == before


def test_who_asks_while_a_verdict_is_made_waits_for_it(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.post_sessions(session("S1", audioIn=sound(0.1)))
    api.token()
    asked, go, calls = threading.Semaphore(0), threading.Event(), []
    made = scores.quality

    def slow(*what: Any, **more: Any) -> Any:
        calls.append(what)
        assert go.wait(WAIT_S_MAX)
        return made(*what, **more)

    def noted(*what: Any) -> Any:
        asked.release()
        return answers_module.made_once(*what)

    monkeypatch.setattr(scores, "quality", slow)
    monkeypatch.setattr(scores, "made_once", noted)
    with ThreadPoolExecutor(3) as pool:
        asking = [pool.submit(quality, api) for _ in range(3)]
        for _ in asking:
            assert asked.acquire(timeout=WAIT_S_MAX)
        go.set()
        answers = [one.result() for one in asking]
    assert answers[0] == answers[1] == answers[2]
    assert len(calls) == 1
    assert api.services.making == {}


@pytest.mark.usefixtures("told")
def test_thresholds_of_an_organisation_change_verdict_and_findings(api: Api) -> None:
    patient = {"lossPercent": {"good": 30, "poor": 40}, "audioMos": {"good": 1.1, "poor": 1.0}}
    assert api.put("/v1/roomtone/thresholds", patient).status_code == 200
    found = quality(api)
    assert (found["verdict"], found["findings"]) == ("good", [])
