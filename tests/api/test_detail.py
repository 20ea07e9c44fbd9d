"""Who counted: what one participant received tells another its loss, and the detail says so."""

import random
from typing import Any

import pytest

from roomtone import score, scoring
from roomtone.model import epoch_ms
from tests.api.test_bad_input import assert_error
from tests.api.test_reports import body_of, items, post, reports_of
from tests.api.test_scores import sound
from tests.api.test_tokens import report
from tests.conftest import Api, session, stream


def detail_of(api: Api, name: str, *scopes: str) -> dict[str, Any]:
    answer = api.get(f"/v1/roomtone/sessions/{name}", *scopes)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def told(api: Api) -> Any:
    """A call of two, of whom one loses much of what he hears."""
    return api.post_sessions(
        session("S1", audioIn=sound(0.1), audioOut=sound(0.1), webexUserName="Ada"),
        session(
            "S2",
            audioIn=sound(12.0),
            audioOut=sound(0.1),
            webexUserName="Bob",
            camera="Bobs Camera",
        ),
    )


def origins(api: Api, name: str, stream: str, column: str) -> set[str]:
    return {
        span["origin"]
        for entry in detail_of(api, name)["origins"]
        if (entry["stream"], entry["column"]) == (stream, column)
        for span in entry["origins"]
    }


def of(api: Api, peer: str) -> dict[str, Any]:
    return next(one for one in items(api) if one["participantSessionId"] == f"SESSION-{peer}")


def loss(api: Api, peer: str, kind: str) -> list[float]:
    return [value for entry in of(api, peer)[kind] for value in entry["packetLoss"]]


def test_a_senders_loss_is_its_receivers_once_that_has_posted(api: Api) -> None:
    post(api, body_of("A", reports_of("A")))
    assert loss(api, "A", "videoOut") == []
    assert origins(api, "SESSION-A", "videoOut", "packetLoss") == set()
    assert origins(api, "SESSION-A", "audioOut", "packetLoss") == {"receiver-report"}
    post(api, body_of("B", reports_of("B")))
    # both count one road; their minutes begin within a second of each other
    assert loss(api, "A", "videoOut") == pytest.approx(loss(api, "B", "videoIn"), abs=0.3)
    assert loss(api, "B", "videoOut") == pytest.approx(loss(api, "A", "videoIn"), abs=0.3)
    for peer in ("A", "B"):
        for kind in ("audioOut", "videoOut"):
            assert origins(api, f"SESSION-{peer}", kind, "packetLoss") == {"receiver"}
        assert origins(api, f"SESSION-{peer}", "videoIn", "packetLoss") == {"receiver"}
        assert origins(api, f"SESSION-{peer}", "videoIn", "latency") == {"rtcp"}
    assert of(api, "A")["shareOut"][0]["mediaBitRate"] != []


def test_it_makes_no_difference_in_which_order_and_pieces_the_two_post(api: Api) -> None:
    post(api, body_of("A", reports_of("A")))
    post(api, body_of("B", reports_of("B")))
    whole = {peer: of(api, peer) for peer in "AB"}
    chance = random.Random(7)
    pieces = [
        (peer, reports_of(peer)[first : first + 15]) for peer in "AB" for first in range(0, 60, 15)
    ]
    chance.shuffle(pieces)
    for peer, reports in pieces:
        body = body_of(peer, reports) | {"meetingId": "m2"}
        body["participantSessionId"] = f"OTHER-{peer}"
        assert post(api, body).status_code == 204
    found = {one["participantSessionId"]: one for one in api.qualities("m2").json()["items"]}
    for peer in "AB":
        for kind in ("audioOut", "videoOut", "shareOut", "audioIn", "videoIn"):
            assert found[f"OTHER-{peer}"][kind] == whole[peer][kind], (peer, kind)


def test_another_meeting_hears_nothing(api: Api) -> None:
    post(api, body_of("A", reports_of("A")))
    post(api, body_of("B", reports_of("B")) | {"meetingId": "m2"})
    assert loss(api, "A", "videoOut") == []


@pytest.mark.parametrize("years", [-3, -1, 1])
def test_a_clock_that_is_years_off_is_put_right(api: Api, years: int) -> None:
    off_ms = years * 365 * 86_400_000
    now_ms = api.services.now_ms()
    reports = reports_of("A")
    moved = now_ms - 1_000 - reports[-1]["timestamp"]
    for one in reports:
        one["timestamp"] += moved + off_ms
    body = report(session_id="SESSION-A", reports=reports, session={})
    answer = post(api, body | {"sentAt": now_ms + off_ms})
    assert answer.status_code == 204, answer.text
    start_ms = epoch_ms(of(api, "A")["audioIn"][0]["startTime"])
    assert abs(start_ms - (reports[0]["timestamp"] - off_ms)) < 2_000
    assert detail_of(api, "SESSION-A")["clock"] == {
        "offsetSeconds": -off_ms / 1000,
        "correctedSeconds": -off_ms / 1000,
    }


def test_the_detail_is_for_those_who_may_read_the_session(api: Api) -> None:
    post(api, body_of("A", reports_of("A")[:5]))
    path = "/v1/roomtone/sessions/SESSION-A"
    assert_error(api.get(path, "telemetry:write"), 403)
    assert api.get(path, "analytics:read_anonymous").status_code == 200
    assert_error(api.get("/v1/roomtone/sessions/NONE"), 404)
    assert_error(api.get(path, org="zeta"), 404)
    assert detail_of(api, "SESSION-A")["clock"] is None


def test_a_sessions_columns_stand_beside_their_scores(api: Api) -> None:
    assert told(api).status_code == 204
    found = detail_of(api, "S2")
    (column,) = found["columns"]["audioIn"]
    (scores,) = found["scores"]["audioIn"]
    assert column["packetLoss"] == [12.0] * 10
    for name in ("mos", "conversational", "native", "verdicts", "figures", "cqd"):
        assert len(scores[name]) == 10
    assert scores["verdicts"] == ["poor"] * 10
    assert scores["figures"] == ["packetLoss"] * 10
    assert all(mos == round(mos, 2) and mos < 3 for mos in scores["mos"])
    assert (scores["grounded"], found["modelVersion"]) == (True, score.VERSION)
    assert found["quality"] == next(
        one
        for one in api.get("/v1/roomtone/meetings/m1").json()["sessions"]
        if one["participantSessionId"] == "S2"
    )


def test_a_session_has_its_own_findings_and_no_others(api: Api) -> None:
    told(api)
    (finding,) = detail_of(api, "S2")["findings"]
    assert finding in api.get("/v1/roomtone/meetings/m1").json()["findings"]
    assert detail_of(api, "S1")["findings"] == []


def test_who_may_not_know_people_reads_no_names_and_devices_of_a_session(api: Api) -> None:
    told(api)
    text = str(detail_of(api, "S2", "analytics:read_anonymous"))
    for secret in ("Bob", "ada@example.com", "Bobs Camera"):
        assert secret not in text
        assert secret in str(detail_of(api, "S2"))


@pytest.mark.parametrize(("bound", "most"), [("ITEMS_MAX", 1), ("SAMPLES_JUDGED_MAX", 0)])
def test_a_session_behind_a_thousand_others_is_found(
    api: Api, monkeypatch: pytest.MonkeyPatch, bound: str, most: int
) -> None:
    monkeypatch.setattr(scoring, bound, most)
    told(api)
    assert detail_of(api, "S2")["quality"]["verdict"] == "poor"
    assert detail_of(api, "S1")["quality"]["verdict"] == "good"


def test_a_session_that_has_not_changed_is_304(api: Api) -> None:
    told(api)
    path = "/v1/roomtone/sessions/S2"
    etag = api.get(path).headers["etag"]
    assert api.get(path, headers={"If-None-Match": etag}).status_code == 304
    api.put("/v1/roomtone/thresholds", {"lossPercent": {"good": 20, "poor": 30}})
    answer = api.get(path, headers={"If-None-Match": etag})
    assert answer.status_code == 200
    assert answer.headers["etag"] != etag
    assert set(answer.json()["scores"]["audioIn"][0]["figures"]) == {"mos"}
    api.post_sessions(session("S2", audioIn=[stream(packetLoss=[1.0])]))
    assert api.get(path, headers={"If-None-Match": etag}).status_code == 200
