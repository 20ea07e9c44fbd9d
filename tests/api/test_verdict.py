"""GET /v1/collector/verdict: a page asks for its own person, and learns of nobody else."""

import math
from collections.abc import Callable
from typing import Any

import pytest

from roomtone.api import verdict
from roomtone.live import watched
from tests.api.test_bad_input import assert_error
from tests.api.test_tokens import collector_token, post_report, report
from tests.conftest import Api, session, stream

PATH = "/v1/collector/verdict"
CALM: dict[str, Any] = {
    "codec": "Opus",
    "latency": [40] * 10,
    "jitter": [4] * 10,
    "mediaBitRate": [40_000] * 10,
}


def sound(loss: float) -> list[dict[str, Any]]:
    return [stream(packetLoss=[loss] * 10, **CALM)]


def in_a_meeting(api: Api, loss: float = 12.0) -> str:
    """Ada, who loses what she says; and Bob. Returns Ada's collector's token."""
    answer = api.post_sessions(
        session("S1", participantId="P1", audioIn=sound(0), audioOut=sound(loss)),
        session("S2", participantId="P2", webexUserName="Bob", audioIn=sound(0)),
    )
    assert answer.status_code == 204
    token: str = collector_token(api, participant={"id": "P1", "name": "Ada"})["token"]
    return token


def ask(api: Api, token: str, session_id: str = "S1", **more: Any) -> Any:
    headers = {"Authorization": f"Bearer {token}"}
    params = {"participantSessionId": session_id, **more}
    return api.client.get(PATH, params=params, headers=headers)


def computations(api: Api) -> float:
    value = api.services.metrics.registry.get_sample_value("roomtone_live_computations_total")
    return value or 0.0


def test_a_person_is_told_that_the_connection_is_weak_and_what_to_do(api: Api) -> None:
    found = ask(api, in_a_meeting(api)).json()
    assert (found["verdict"], found["now"], found["trouble"]) == ("poor", "poor", "uplink")
    assert found["text"].startswith("Your connection is weak")
    assert found["advice"] == "Move nearer to the Wi-Fi, or use a cable."
    assert "12.0 % packet loss in sent audio" in found["because"]


def test_a_person_who_has_it_good_is_told_no_more_than_that(api: Api) -> None:
    found = ask(api, in_a_meeting(api, loss=0)).json()
    assert (found["verdict"], found["now"]) == ("good", "good")
    assert (found["trouble"], found["text"], found["advice"]) == ("", "", "")


def test_nothing_of_others_is_told(api: Api) -> None:
    token = in_a_meeting(api)
    assert "Bob" not in ask(api, token).text
    assert_error(ask(api, token, "S2"), 404)


@pytest.mark.parametrize("session_id", ["S9", "s1", "x" * 1_000, "\x00"])
def test_an_unknown_session_is_404(api: Api, session_id: str) -> None:
    assert_error(ask(api, in_a_meeting(api), session_id), 404)


def test_a_session_has_to_be_named(api: Api) -> None:
    assert_error(ask(api, in_a_meeting(api), ""), 400, names="participantSessionId")


def test_an_organisations_token_has_other_ways(api: Api) -> None:
    in_a_meeting(api)
    assert_error(ask(api, api.token()), 403, names="collector:report")
    assert_error(api.client.get(PATH), 401)


def test_a_token_of_a_meeting_that_nobody_has_joined_is_404(api: Api) -> None:
    token = collector_token(api, meetingId="m7")["token"]
    assert_error(ask(api, token), 404)


def test_who_asks_too_often_is_429(make_api: Callable[..., Api]) -> None:
    api = make_api(collector_posts_max=3)
    token = in_a_meeting(api)
    assert post_report(api, token, report(session_id="S1")).status_code == 204
    assert [ask(api, token).status_code for _ in range(3)] == [200, 200, 429]


def test_many_who_ask_cost_one_computation(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    token = in_a_meeting(api)
    other = collector_token(api, participant={"id": "P2"})["token"]
    for _ in range(5):
        assert ask(api, token).status_code == 200
        assert ask(api, other, "S2").status_code == 200
        api.post_sessions(session("S1", participantId="P1", camera="x"))
    assert computations(api) == 1
    monkeypatch.setattr(verdict, "AGE_S_MAX", 0.0)
    monkeypatch.setattr(watched, "COST_PART_MAX", math.inf)
    ask(api, token)
    ask(api, token)
    assert computations(api) == 2, "the meeting has changed once"


@pytest.mark.parametrize(("part", "status"), [(math.inf, 200), (1e-9, 404)])
def test_a_session_that_has_just_begun_is_looked_for_unless_that_costs_too_much(
    api: Api, monkeypatch: pytest.MonkeyPatch, part: float, status: int
) -> None:
    monkeypatch.setattr(watched, "COST_PART_MAX", part)
    token = in_a_meeting(api)
    ask(api, token)
    api.post_sessions(session("S3", participantId="P1"))
    assert ask(api, token, "S3").status_code == status
