"""Clients whose clock is ahead for a while: what they tell when it is right again is measured."""

from typing import Any

import pytest

from tests.api.test_bad_input import assert_error
from tests.api.test_reports import entry, items, post
from tests.api.test_tokens import report
from tests.conftest import Api

DAY_S = 86_400
PACKETS_S = 50
BITS_PER_S = 8 * 1_000 * PACKETS_S


def minute(api: Api, number: int, *, ahead_s: float = 0) -> list[dict[str, Any]]:
    """Reports of a call's minute, the last of them now."""
    return [
        {
            "connection": "pc1",
            "timestamp": api.clock.now_ms + 1000 * (s - 60 + ahead_s),
            "stats": [entry(1, 100 + PACKETS_S * (60 * number + s))],
        }
        for s in range(10 if number else 0, 70, 10)
    ]


def told(api: Api) -> list[float | None]:
    """Bit rates, one after the other."""
    return [
        value for item in items(api) for entry in item["videoIn"] for value in entry["mediaBitRate"]
    ]


def fates(api: Api) -> dict[str, float]:
    lines = api.client.get("/metrics").text.splitlines()
    found = [line.split('"') for line in lines if line.startswith("roomtone_reports_total")]
    return {fate: float(count.lstrip("} ")) for _, fate, count in found}


@pytest.mark.parametrize("ahead_s", [301, 3_600, 23 * 3_600])
def test_reports_of_the_future_are_counted_and_do_not_make_right_ones_late(
    api: Api, ahead_s: float
) -> None:
    assert post(api, report(reports=minute(api, 0, ahead_s=ahead_s + 60))).status_code == 204
    assert told(api) == []
    for number in range(1, 4):
        api.clock.advance(s=60)
        assert post(api, report(reports=minute(api, number))).status_code == 204
    assert told(api)[:2] == [BITS_PER_S] * 2
    assert fates(api) == {"measured": 18, "late": 0, "repeated": 0, "ahead": 7}


def test_a_post_of_next_year_is_refused_and_those_after_it_measured(api: Api) -> None:
    answer = post(api, report(reports=minute(api, 0, ahead_s=365 * DAY_S)))
    assert_error(answer, 400)
    assert "at most a day ahead" in answer.json()["message"]
    for number in range(1, 4):
        api.clock.advance(s=60)
        post(api, report(reports=minute(api, number)))
    assert told(api)[:2] == [BITS_PER_S] * 2
    assert fates(api)["measured"] == 18


def test_a_clock_that_is_minutes_ahead_may_be_put_right(api: Api) -> None:
    """Without `sentAt` nobody knows that it is wrong: times stand as told, and none is late."""
    post(api, report(reports=minute(api, 0, ahead_s=285)))
    for number in range(1, 9):
        api.clock.advance(s=60)
        post(api, report(reports=minute(api, number)))
    assert fates(api) == {"measured": 55, "late": 0, "repeated": 0, "ahead": 0}
    assert told(api)[-2:-1] == [BITS_PER_S]


def test_a_clock_that_says_it_is_a_year_ahead_may_be_put_right(api: Api) -> None:
    """Two posts of it may be slow ones: the third shows that the clock was set."""
    ahead_s = 365 * DAY_S
    sent_at = api.clock.now_ms + 1000 * ahead_s
    post(api, report(reports=minute(api, 0, ahead_s=ahead_s)) | {"sentAt": sent_at})
    for number in range(1, 6):
        api.clock.advance(s=60)
        body = report(reports=minute(api, number)) | {"sentAt": api.clock.now_ms}
        assert post(api, body).status_code == 204
    assert fates(api) == {"measured": 7 + 18, "late": 12, "repeated": 0, "ahead": 0}
    assert BITS_PER_S in told(api)[-2:]
