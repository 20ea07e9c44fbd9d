"""GET and PUT /v1/roomtone/thresholds: checked, one organisation's, and scored by."""

from typing import Any

import pytest

from roomtone import score
from roomtone.score import Thresholds
from tests.api.test_bad_input import assert_error
from tests.api.test_scores import sound
from tests.conftest import Api, session

PATH = "/v1/roomtone/thresholds"
ADMIN = "roomtone:admin"


def test_the_defaults_hold_until_an_organisation_chooses(api: Api) -> None:
    before = api.get(PATH).json()
    assert before["lossPercent"] == {"good": 2.0, "poor": 5.0}
    assert len(before) == len(Thresholds.__struct_fields__)
    chosen = api.put(PATH, {"lossPercent": {"good": 1, "poor": 3}, "activeSMin": 30})
    assert chosen.json() == before | {"lossPercent": {"good": 1, "poor": 3}, "activeSMin": 30}
    assert api.get(PATH).json() == chosen.json()
    assert api.get(PATH, org="zeta").json() == before
    again = api.put(PATH, {"jitterMs": {"good": 10, "poor": 15}}).json()
    assert again == before | {"jitterMs": {"good": 10, "poor": 15}}
    assert api.put(PATH, {}).json() == before
    assert api.store.setting("acme", "thresholds") == b""


def test_the_same_thresholds_again_make_nothing_stale(api: Api) -> None:
    revisions = []
    for body in ({}, {"activeSMin": 30}, {"activeSMin": 30}, {}):
        api.put(PATH, body)
        revisions.append(api.store.revision("acme"))
    assert revisions == [0, 1, 1, 2]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        pytest.param({"lossPercent": {"good": 5, "poor": 2}}, "lossPercent: good", id="order"),
        pytest.param({"audioMos": {"good": 3, "poor": 4}}, "audioMos: good", id="more is better"),
        pytest.param({"lossPercent": {"good": 5, "poor": 200}}, "lossPercent: 200", id="bound"),
        pytest.param({"lossPercent": {"good": 5}}, "$.lossPercent", id="half"),
        pytest.param({"lossPercent": [2, 5]}, "$.lossPercent", id="kind"),
        pytest.param({"loss_percent": {"good": 1, "poor": 2}}, "loss_percent", id="name"),
        pytest.param({"cameraFpsMin": 60}, "cameraFpsMin", id="least above usual"),
        pytest.param([], "Expected `object`", id="no object"),
    ],
)
def test_what_breaks_a_rule_is_named_and_changes_nothing(api: Api, body: Any, said: str) -> None:
    api.put(PATH, {"activeSMin": 30})
    answer = api.put(PATH, body)
    assert_error(answer, 400)
    assert said in answer.json()["message"]
    assert api.get(PATH).json()["activeSMin"] == 30


@pytest.mark.parametrize(
    ("scope", "read", "write"),
    [
        (ADMIN, 200, 200),
        ("analytics:read_all", 200, 403),
        ("analytics:read_anonymous", 200, 403),
        ("telemetry:write", 403, 403),
    ],
)
def test_readers_may_know_them_and_administrators_change_them(
    api: Api, scope: str, read: int, write: int
) -> None:
    assert api.get(PATH, scope).status_code == read
    assert api.put(PATH, {}, scope).status_code == write


def test_changing_them_scores_ended_meetings_anew_and_leaves_what_was_measured(api: Api) -> None:
    lossy: dict[str, Any] = {"audioIn": sound(12.0), "leaveTime": "2026-11-24T09:10:00Z"}
    assert api.post_sessions(session("S1", **lossy)).status_code == 204
    for _ in range(2):
        api.clock.advance(s=3_600)
        api.upkeep()
    assert (api.score(), api.score()) == (1, 0)
    before = api.qualities("m1")
    assert verdicts(api) == ["poor"]
    patient = {"lossPercent": {"good": 30, "poor": 40}, "audioMos": {"good": 1.1, "poor": 1.0}}
    api.put(PATH, patient)
    assert verdicts(api) == ["poor"]
    assert api.store.stale_count("acme", model=score.VERSION) == 1
    assert api.score() == 1
    assert verdicts(api) == ["good"]
    after = api.qualities("m1")
    assert (after.content, after.headers["etag"]) == (before.content, before.headers["etag"])


def verdicts(api: Api) -> list[str | None]:
    return [one["verdict"] for one in api.get("/v1/roomtone/meetings").json()["items"]]
