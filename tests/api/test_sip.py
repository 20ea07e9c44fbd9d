"""POST /v1/sip/vq-rtcpxr: who may, what is stored, that the same again changes nothing."""

from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from tests.conftest import Api, Server
from tests.sources.vqs import CALL, body, linphone

PATH = "/v1/sip/vq-rtcpxr"
TYPE = {"Content-Type": "application/vq-rtcpxr"}


def post(api: Api, raw: bytes, **options: Any) -> Any:
    return api.post(PATH, raw, headers=TYPE | options.pop("headers", {}), **options)


def counted(api: Api, name: str) -> dict[str, float]:
    lines = api.client.get("/metrics").text.splitlines()
    found = [line.split(" ") for line in lines if line.startswith(f"roomtone_vq_{name}_total{{")]
    return {line.split('"')[1]: float(value) for line, value in found}


def test_a_call_of_two_telephones_is_a_meeting_of_two(api: Api) -> None:
    for message in linphone():
        assert post(api, message).status_code == 204
    alice, bob = api.qualities("E8BH9K5xHc").json()["items"]
    assert [alice["webexUserName"], bob["webexUserName"]] == ["alice@10.77.0.2", "bob@10.77.0.2"]
    assert [one["latency"] for one in alice["audioIn"]] == [[170], [161], [179]]
    assert [one["latency"] for one in alice["audioOut"]] == [[166], [168], [175]]
    assert [one["latency"] for one in bob["audioIn"]] == [[163], [162, 175]]
    assert alice["audioIn"][0]["packetLoss"] == []
    assert alice["leaveTime"] == "2026-11-23T05:25:19.000Z"
    assert alice["maskedLocalIP"] == "10.77.0.0"
    # Of the whole call there is no delay left to tell: Linphone averages since its last report.
    assert counted(api, "reports") == {"interval": 6, "covered": 2}
    assert counted(api, "unused") == {"QualityEst": 8}


def test_the_same_again_changes_nothing_even_when_the_session_was_sealed(api: Api) -> None:
    for message in linphone():
        post(api, message)
    before = api.qualities("E8BH9K5xHc").json()
    api.clock.advance(s=600)
    assert api.upkeep() == 2
    for message in reversed(linphone()):
        assert post(api, message).status_code == 204
    assert api.qualities("E8BH9K5xHc").json() == before
    assert counted(api, "reports")["covered"] == 2 + 8


def test_a_report_that_repeats_a_time_is_counted_as_covered(api: Api) -> None:
    assert post(api, body()).status_code == 204
    assert post(api, body(loss="NLR=50")).status_code == 204
    (item,) = api.qualities(CALL).json()["items"]
    assert [one["packetLoss"] for one in item["audioIn"]] == [[0.8]]
    assert counted(api, "reports") == {"interval": 1, "covered": 1}


def test_an_alert_gives_a_participant_and_no_figures(api: Api) -> None:
    assert post(api, body(kind="VQAlertReport: Type=NLR Severity=Critical")).status_code == 204
    (item,) = api.qualities(CALL).json()["items"]
    assert (item["webexUserName"], item["audioIn"]) == ("Ada Example", [])
    assert counted(api, "reports") == {"alert": 1}


def test_the_token_may_be_in_the_url(api: Api) -> None:
    token = api.token("telemetry:write")
    answer = api.client.post(f"{PATH}?token={token}", content=body(), headers=TYPE)
    assert answer.status_code == 204
    assert api.qualities(CALL).status_code == 200


def test_a_token_in_the_url_is_not_in_the_log(server: Server) -> None:
    token = server.token("telemetry:write")
    for url in (f"{PATH}?token={token}", f"/nothing?token={token}", f"{PATH}?token={token}%zz"):
        httpx2.post(server.url + url, content=body(), headers=TYPE)
    assert server.stop() == 0
    assert sum('"event":"request"' in line for line in server.log) == 3
    assert not any(token in line for line in server.log)


@pytest.mark.parametrize("query", ["", "?token=", "?token=rt_nobody", "?token=" + "x" * 300])
def test_without_a_valid_token_nothing_is_taken(api: Api, query: str) -> None:
    answer = api.client.post(PATH + query, content=body(), headers=TYPE)
    assert answer.status_code == 401
    assert "rt_nobody" not in answer.text
    assert api.qualities(CALL).status_code == 404


def test_a_token_without_the_scope_is_refused(api: Api) -> None:
    token = api.token("analytics:read_all")
    answer = api.client.post(f"{PATH}?token={token}", content=body(), headers=TYPE)
    assert (answer.status_code, "telemetry:write" in answer.text) == (403, True)


def test_the_header_wins_over_the_url(api: Api) -> None:
    other = api.token("telemetry:write", org="other")
    assert post(api, body(), params={"token": other}).status_code == 204
    assert api.qualities(CALL, org="other").status_code == 404
    assert api.qualities(CALL).status_code == 200


@pytest.mark.parametrize(
    ("raw", "headers", "status", "told"),
    [
        (body(loss="NLR=101"), {}, 400, "Expected NLR from 0 to 100 - at line 10"),
        (b"", {}, 400, "at line 1"),
        (b"\xff", {}, 400, "Expected UTF-8 - at line 1"),
        (body(), {"Content-Type": "application/json"}, 415, "application/vq-rtcpxr"),
        (b"x" * 65_537, {}, 413, "65536"),
    ],
)
def test_what_breaks_a_rule_is_told_and_nothing_is_kept(
    api: Api, raw: bytes, headers: dict[str, str], status: int, told: str
) -> None:
    answer = post(api, raw, headers=headers)
    assert answer.status_code == status
    assert told in answer.json()["message"]
    assert api.qualities(CALL).status_code == 404


def test_raw_addresses_are_dropped_when_they_are_to_be(make_api: Callable[..., Api]) -> None:
    api = make_api(drop_raw_addresses=True)
    assert post(api, body()).status_code == 204
    (item,) = api.qualities(CALL).json()["items"]
    assert (item["localIP"], item["maskedLocalIP"]) == ("", "10.0.3.0")
