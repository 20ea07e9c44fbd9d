"""GET /v1/roomtone/fleet, compare and ranking; sites from a CSV."""

from typing import Any

import pytest

from roomtone import score, scoring
from roomtone.api import fleet_query
from roomtone.fleet.dimensions import HEADER_FIELD
from roomtone.model import DEVICE_LABEL_FIELDS
from roomtone.store.verdicts import SessionRow
from tests.api.test_bad_input import assert_error
from tests.conftest import Api, session, stream
from tests.store.rows import judge, row
from tests.store.support import piece, put

ANONYMOUS = "analytics:read_anonymous"
FLEET = "/v1/roomtone/fleet"
SITES = "/v1/roomtone/sites"
DAY = 24 * 60
NOVEMBER = {"from": "2026-11-01", "to": "2026-12-01"}


def tell(api: Api, *rows: SessionRow, meeting: str = "m1", org: str = "acme") -> None:
    """Sessions of a meeting, and how they were."""
    pieces = [piece(0, session=one.session, meeting=meeting) for one in rows]
    api.write(lambda store: put(store, *pieces, org=org))
    api.write(lambda store: judge(store, *rows, meeting=meeting, org=org))


def each(api: Api, *rows: SessionRow, org: str = "acme") -> None:
    """Sessions, each of a meeting of its own."""
    for one in rows:
        tell(api, one, meeting=f"M-{one.session}", org=org)


def asked(api: Api, path: str = FLEET, *scopes: str, org: str = "acme", **query: Any) -> Any:
    answer = api.get(path, *scopes, org=org, params=NOVEMBER | query)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.fixture
def told(api: Api) -> Api:
    """Twelve sessions on Wi-Fi, half of them poor, and four on Ethernet."""
    each(
        api,
        *(
            row(
                f"W{n}",
                networkType="wifi",
                camera="C920, new",
                region="London" if n % 4 else "Paris",
                verdict="poor" if n % 2 else "good",
                latency=100.0 + n,
            )
            for n in range(12)
        ),
        *(row(f"E{n}", networkType="ethernet", audio_mos=None) for n in range(4)),
    )
    return api


def test_sessions_are_told_by_a_dimension_the_worst_first(told: Api) -> None:
    found = asked(told, by="networkType")
    wifi, ethernet = found["lines"]
    assert (wifi["values"], ethernet["values"]) == (
        {"networkType": "wifi"},
        {"networkType": "ethernet"},
    )
    assert (wifi["sessions"], wifi["meetings"], wifi["poor"], wifi["good"]) == (12, 12, 6, 6)
    assert wifi["poorRate"] == {"value": 0.5, "low": 0.24562, "high": 0.75438}
    assert wifi["minutes"] == 360
    assert wifi["latency"]["p50"] == pytest.approx(105, rel=0.01)
    assert (ethernet["audioMos"], wifi["audioMos"]["p5"]) == (None, 4.2)
    assert (found["whole"]["sessions"], found["cells"], found["others"]) == (16, 2, None)
    assert (found["from"], found["to"]) == ("2026-11-01T00:00:00.000Z", "2026-12-01T00:00:00.000Z")


def test_two_dimensions_and_the_rest_as_one(told: Api) -> None:
    found = asked(told, by="region, networkType", metric="sessions", max="1")
    (line,) = found["lines"]
    assert line["values"] == {"region": "London", "networkType": "wifi"}
    assert (line["sessions"], found["others"]["sessions"], found["cells"]) == (9, 7, 3)
    assert asked(told, by="region", least="9")["lines"][0]["values"] == {"region": "London"}


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("networkType=wifi", 12),
        ("networkType=wifi,networkType=ethernet", 16),
        ("networkType=wifi,region=Paris", 3),
        ('"camera=C920, new"', 12),
        ("camera=", 4),
        ("site=Berlin", 0),
    ],
)
def test_a_filter_chooses(told: Api, text: str, count: int) -> None:
    assert asked(told, filter=text)["whole"]["sessions"] == count


def test_a_week_until_now_is_the_default(api: Api) -> None:
    each(api, row("old", join=14 * DAY), row("new", join=16 * DAY))
    answer = api.get(FLEET).json()
    assert answer["whole"]["sessions"] == 1
    assert answer["to"] == "2026-11-24T10:00:00.000Z"


@pytest.mark.parametrize("path", ["", "/ranking"])
@pytest.mark.parametrize(
    "query",
    [
        {"from": "", "to": "0001-01-02"},
        {"from": "0001-01-01"},
        {"from": "0001-01-01", "to": "9999-12-31T23:59:59.999Z"},
    ],
)
def test_what_would_be_before_the_first_year_begins_with_it(
    told: Api, path: str, query: dict[str, str]
) -> None:
    found = asked(told, FLEET + path, **query)
    assert found.get("before", found["from"]) == "0001-01-01T00:00:00.000Z"


def test_other_organisations_are_not_seen(told: Api) -> None:
    assert asked(told, org="zeta", by="networkType")["lines"] == []


@pytest.mark.parametrize(
    "query",
    [
        {"by": "camera"},
        {"by": "networkType,speaker"},
        {"by": "hardware"},
        {"filter": "microphone=C920"},
    ],
)
def test_a_token_without_names_does_not_tell_apart_by_devices(
    told: Api, query: dict[str, str]
) -> None:
    assert_error(told.get(FLEET, ANONYMOUS, params=NOVEMBER | query), 403)
    assert asked(told, FLEET, ANONYMOUS, by="networkType")["cells"] == 2
    ranking = asked(told, f"{FLEET}/ranking", ANONYMOUS)
    assert "C920" not in str(ranking)


def test_what_is_hidden_of_a_session_is_hidden_of_a_fleet() -> None:
    hidden = {name for name, field in HEADER_FIELD.items() if field in DEVICE_LABEL_FIELDS}
    assert hidden == fleet_query.DEVICES


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("", {"by": "shoes"}),
        ("", {"by": "region,site,hour"}),
        ("", {"by": "region,region"}),
        ("", {"metric": "shoes"}),
        ("", {"max": "0"}),
        ("", {"least": "x"}),
        ("", {"from": "2026-12-02"}),
        ("", {"filter": "region"}),
        ("", {"filter": '"region=x'}),
        ("", {"filter": "shoes=1"}),
        ("", {"filter": ",".join(["region=x"] * 65)}),
        ("/compare", {"dimension": "shoes"}),
        ("/compare", {"dimension": "region", "first": "x", "second": "x"}),
        ("/compare", {"dimension": "region", "first": "x", "within": "region"}),
        ("/compare", {"within": "region,site,hour,codec"}),
        ("/compare", {"by": "region,site"}),
        ("/compare", {"beforeTo": "2026-11-02"}),
        ("/compare", {"beforeFrom": "2026-11-02"}),
        ("/ranking", {"periods": "53"}),
        ("/ranking", {"by": "shoes"}),
    ],
)
def test_what_cannot_be_asked(api: Api, path: str, query: dict[str, str]) -> None:
    assert_error(api.get(FLEET + path, params=NOVEMBER | query), 400)


def test_more_questions_than_can_be_answered_at_once_are_refused(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet_query, "AT_ONCE_MAX", 0)
    answer = api.get(FLEET)
    assert_error(answer, 429)
    assert answer.headers["retry-after"] == "1"


# -- compare


def test_two_weeks_are_compared_within_strata_and_by_value(api: Api) -> None:
    rows = [
        row(
            f"S{week}-{n}",
            join=week * 7 * DAY + n,
            networkType="wifi" if n % 2 else "ethernet",
            region="London" if n % 4 < 2 else "Paris",
            verdict="poor" if n % 2 and n % 5 < 1 + 2 * week else "good",
        )
        for week in (0, 1)
        for n in range(200)
    ]
    tell(api, *rows[:1])
    each(api, *rows[1:])
    found = asked(
        api,
        f"{FLEET}/compare",
        **{"from": "2026-11-09", "to": "2026-11-16", "within": "region", "by": "networkType"},
    )
    whole = found["whole"]
    assert whole["verdict"] == "worse"
    assert whole["sentence"].startswith("Now is worse than before: 30.0 % of sessions poor, 10.0 %")
    assert (whole["first"]["sessions"], whole["second"]["poor"], whole["strata"]) == (200, 60, 2)
    assert whole["pooled"]["low"] > 0.01
    lines = {line["value"]: line for line in found["lines"]}
    assert lines["wifi"]["comparison"]["verdict"] == "worse"
    assert lines["wifi"]["pAdjusted"] < 0.001
    assert lines["ethernet"]["comparison"]["verdict"] == "not enough data"
    assert lines["ethernet"]["pAdjusted"] is None


def test_two_versions_are_compared_in_one_time(api: Api) -> None:
    rows = [
        row(
            f"S{n}",
            clientVersion="45.2" if n % 2 else "45.1",
            verdict="poor" if n % 2 and n % 3 == 0 else "good",
        )
        for n in range(300)
    ]
    each(api, *rows)
    query = {"dimension": "clientVersion", "first": "45.1", "second": "45.2"}
    whole = asked(api, f"{FLEET}/compare", **query)["whole"]
    assert (whole["verdict"], whole["first"]["name"], whole["second"]["name"]) == (
        "worse",
        "45.1",
        "45.2",
    )
    assert (whole["ratio"], whole["ratioHigh"]) == (None, None)  # over a rate of 0


# -- ranking


def test_what_stands_out_this_week_is_told_with_what_it_explains(api: Api) -> None:
    rows = [
        row(
            f"S{week}-{n}",
            join=week * 7 * DAY + n,
            networkType="wifi" if n % 2 else "ethernet",
            site="Berlin" if n % 5 == 0 else "London",
            verdict="poor" if n % 20 == 3 or (week == 2 and n % 10 == 0) else "good",
        )
        for week in range(3)
        for n in range(300)
    ]
    each(api, *rows)
    found = asked(
        api, f"{FLEET}/ranking", **{"from": "2026-11-16", "to": "2026-11-23", "periods": "2"}
    )
    assert (found["before"], found["sessions"]) == ("2026-11-02T00:00:00.000Z", 300)
    (line,) = found["lines"]
    assert line["values"] in ({"site": "Berlin", "networkType": "ethernet"}, {"site": "Berlin"})
    assert line["poorRate"]["value"] > 0.4
    assert line["explains"] == pytest.approx(1, abs=0.2)
    assert found["beforeRate"]["value"] == pytest.approx(0.05)
    alone = asked(api, f"{FLEET}/ranking", periods="0", by="networkType")
    assert (alone["beforeRate"], alone["lines"]) == (None, [])


def test_an_interval_of_a_ranking_is_that_of_the_fleet(api: Api) -> None:
    for n in range(6):
        rows = [row(f"S{n}-{k}", verdict="poor" if n == 0 else "good") for k in range(5)]
        tell(api, *rows, meeting=f"M{n}")
    ranking = asked(api, f"{FLEET}/ranking", periods="0")
    assert ranking["poorRate"] == asked(api)["whole"]["poorRate"]
    assert ranking["poorRate"]["high"] > 0.5, "sessions of a meeting go wrong together"


# -- sites


def put_sites(api: Api, body: bytes, *scopes: str, media_type: str = "text/csv") -> Any:
    headers = api.headers(*scopes) | {"Content-Type": media_type}
    return api.client.put(SITES, content=body, headers=headers)


def judge_stale(api: Api) -> int:
    """What a server does in the background."""
    stale = api.store.stale(None, model=score.VERSION, limit=100)
    for one in stale:
        made = scoring.made_of(api.store, one)
        assert made is not None
        api.write(lambda store, one=one, made=made: store.put_scores(one.org, one.meeting, made))  # type: ignore[misc]
    return len(stale)


def test_sessions_have_the_site_of_their_subnet_also_those_that_were_there_before(
    api: Api,
) -> None:
    loss = [stream(packetLoss=[0.1] * 10)]
    api.post_sessions(session("S1", localIP="10.24.3.4", audioIn=loss))
    api.post_sessions(session("S2", "m2", localIP="10.25.3.4", audioIn=loss))
    api.clock.advance(s=3600)
    assert api.upkeep() == 2
    api.clock.advance(s=3600)
    api.upkeep()
    assert judge_stale(api) == 2
    assert asked(api, by="site")["lines"][0]["values"] == {"site": ""}
    answer = put_sites(api, b"\xef\xbb\xbfsubnet,site\r\n10.24.0.0/16,Berlin\r\n")
    assert (answer.status_code, answer.json()) == (200, {"subnets": 1, "meetings": 2})
    assert judge_stale(api) == 2
    lines = asked(api, by="site")["lines"]
    assert {line["values"]["site"]: line["sessions"] for line in lines} == {"Berlin": 1, "": 1}
    assert put_sites(api, b"").json() == {"subnets": 0, "meetings": 2}
    assert api.get(SITES).content == b""
    judge_stale(api)
    assert asked(api, by="site")["cells"] == 1


@pytest.mark.parametrize(
    ("body", "line"),
    [
        (b"10.24.0.0/16,Berlin\n10.25.0.0/99,London\n", "line 2"),
        (b"10.24.0.0/16,Berlin\n\n10.24.0.0/16,Bonn\n", "line 3"),
        (b"10.24.0.0/16\n", "line 1"),
        (b"10.24.0.0/16,Ber\x00lin\n", "line 1"),
        (b"10.24.0.0/16,Berlin\n10.25.0.0/16,K\xf6ln\n", "line 2: not UTF-8"),
        (b'10.24.0.0/16,"Berlin\n', "line 1"),
    ],
)
def test_a_line_that_is_wrong_is_named_and_nothing_is_kept(
    api: Api, body: bytes, line: str
) -> None:
    assert put_sites(api, b"10.1.0.0/16,Rome\n").status_code == 200
    answer = put_sites(api, body)
    assert_error(answer, 400)
    assert answer.json()["message"].startswith(line)
    assert api.get(SITES).content == b"10.1.0.0/16,Rome\n"
    assert api.get(SITES).headers["content-type"] == "text/csv; charset=utf-8"


def test_sites_are_the_administrators(api: Api) -> None:
    assert_error(put_sites(api, b"", "analytics:read_all"), 403)
    assert_error(api.get(SITES, "analytics:read_all"), 403)
    assert_error(put_sites(api, b"{}", media_type="application/json"), 415)
    assert_error(put_sites(api, b" " * (8 * 1024 * 1024 + 1)), 413)
    assert api.get(SITES, org="zeta").content == b""
