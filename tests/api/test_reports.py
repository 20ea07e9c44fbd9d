"""POST /v1/webrtc/reports: recorded calls in, measured columns out; whose word counts for what."""

import itertools
import json
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.api.test_bad_input import assert_error
from tests.api.test_tokens import collector_token, post_report, report
from tests.conftest import Api
from tests.measure.truth import SERIES, read_json

REPORTS = "/v1/webrtc/reports"
AT_MS = 1_795_409_915_066


def reports_of(peer: str) -> list[dict[str, Any]]:
    return [{"connection": "pc1", "timestamp": one["t"], "stats": one["r"]} for one in SERIES[peer]]


def body_of(peer: str, reports: list[dict[str, Any]], **session: str) -> dict[str, Any]:
    return report(session_id=f"SESSION-{peer}", reports=reports, session=session)


def items(api: Api, *scopes: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = api.qualities("m1", *scopes).json()["items"]
    return found


def post(api: Api, body: dict[str, Any], **headers: str) -> Any:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return api.post(REPORTS, body, "telemetry:write", headers=named)


def test_a_recorded_call_comes_out_measured(api: Api) -> None:
    assert post(api, body_of("A", reports_of("A"))).status_code == 204
    (item,) = items(api)
    for kind in ("audioIn", "audioOut", "videoIn", "videoOut", "shareOut"):
        (entry,) = item[kind]
        assert entry["samplingInterval"] == 60
        # what a sender can know of its own stream is tests/measure's
        columns = ("packetLoss", "jitter") if kind.endswith("In") else ()
        if kind in ("videoOut", "shareOut"):
            assert entry["mediaBitRate"] == []
        else:
            columns = (*columns, "mediaBitRate")
        for column in (*columns, "latency"):
            assert len(entry[column]) == 1, (kind, column)
            assert isinstance(entry[column][0], int | float)
        assert entry["transportType"] == "UDP"
    assert item["shareIn"] == []
    assert item["videoIn"][0]["resolutionHeight"] == [360]
    assert item["audioIn"][0]["resolutionHeight"] == []
    assert item["audioIn"][0]["packetLoss"][0] == pytest.approx(5, abs=2.5)


@pytest.mark.parametrize("name", ["chromium156-audio-video-share", "firefox153esr-loopback"])
def test_the_reports_of_real_browsers_are_taken(api: Api, name: str) -> None:
    for peer in ("A", "B"):
        stats = read_json(f"getstats-{name}")[peer]
        body = body_of(peer, [{"connection": "pc1", "timestamp": AT_MS, "stats": stats}])
        assert post(api, body).status_code == 204


def test_the_reports_of_aiortc_are_taken(api: Api) -> None:
    stats = read_json("getstats-aiortc-loopback")
    body = body_of("A", [{"connection": "pc1", "timestamp": AT_MS, "stats": stats}])
    assert post(api, body).status_code == 204


def in_order(parts: list[list[Any]]) -> list[list[Any]]:
    return parts


def twice(parts: list[list[Any]]) -> list[list[Any]]:
    return [part for part in parts for _ in range(2)]


def swapped(parts: list[list[Any]]) -> list[list[Any]]:
    return [part for pair in zip(parts[1::2], parts[::2], strict=True) for part in pair]


def shuffled_inside(parts: list[list[Any]]) -> list[list[Any]]:
    return [random.Random(7).sample(part, len(part)) for part in parts]


def late_once(parts: list[list[Any]]) -> list[list[Any]]:
    return [*parts[:2], *parts[3:], parts[2]]


def overlapping(parts: list[list[Any]]) -> list[list[Any]]:
    return [[*before, *after] for before, after in itertools.pairwise(parts)]


ORDERS = [in_order, twice, swapped, shuffled_inside, late_once, overlapping]


@pytest.mark.parametrize("order", ORDERS)
def test_the_cut_the_order_and_repetition_of_posts_change_nothing(
    api: Api, order: Callable[[list[list[Any]]], list[list[Any]]]
) -> None:
    reports = reports_of("B")
    post(api, body_of("whole", reports))
    parts = [reports[at : at + 10] for at in range(0, len(reports), 10)]
    for part in order(parts):
        assert post(api, body_of("cut", part)).status_code == 204
    whole, cut = items(api)
    for kind in ("audioIn", "audioOut", "videoIn", "videoOut", "shareIn"):
        assert cut[kind] == whole[kind]


def test_a_repeated_post_leaves_every_byte_as_it_was(api: Api) -> None:
    body = body_of("A", reports_of("A"))
    post(api, body)
    first = api.qualities("m1")
    for _ in range(2):
        assert post(api, body).status_code == 204
    assert api.qualities("m1").content == first.content


def test_an_empty_list_of_reports_tells_the_leave_time(api: Api) -> None:
    post(api, body_of("A", reports_of("A"), joinTime="2026-11-24T09:00:00Z"))
    post(api, body_of("A", [], leaveTime="2026-11-24T09:30:00+00:00", joinMeetingTime="0.593"))
    (item,) = items(api)
    assert item["joinTime"] == "2026-11-24T09:00:00.000Z"
    assert item["leaveTime"] == "2026-11-24T09:30:00.000Z"
    assert item["joinMeetingTime"] == "0.593"
    assert len(item["audioIn"]) == 1


# -- the header


HEADER_FAULTS = [
    ({"nonsense": "x"}, "nonsense"),
    ({"x" * 100_000: "x"}, "unknown field"),
    ({"videoIn": "x"}, "videoIn"),
    ({"joinTime": "yesterday"}, "$.session.joinTime"),
    ({"joinTime": "2" * 41}, "$.session.joinTime"),
    ({"leaveTime": "1999-01-01T00:00:00Z"}, "$.session.leaveTime"),
    ({"clientType": "x" * 1_025}, "$.session"),
    ({"clientType": 7}, "$.session"),
    ({"clientType": None}, "$.session"),
]


@pytest.mark.parametrize(("header", "names"), HEADER_FAULTS, ids=lambda value: str(value)[:40])
def test_a_bad_header_is_400_with_its_path(api: Api, header: dict[str, Any], names: str) -> None:
    answer = post(api, report(session=header))
    assert_error(answer, 400, names=names)
    assert len(answer.content) < 2_000
    assert_error(api.qualities("m1"), 404)


BODY_FAULTS: list[tuple[dict[str, Any], str]] = [
    ({"participantSessionId": ""}, "participantSessionId"),
    ({"participantSessionId": "x" * 65}, "participantSessionId"),
    ({"meetingId": "<string>"}, "meetingId"),
    ({"reports": {}}, "$.reports"),
    ({"reports": [{}]}, "$.reports[0]"),
    ({"reports": [{"connection": "a", "timestamp": 1, "stats": []}]}, "timestamp"),
    ({"reports": [{"connection": "a", "timestamp": AT_MS * 2, "stats": []}]}, "timestamp"),
    ({"reports": [{"connection": "a", "timestamp": AT_MS + 5e8, "stats": []}]}, "timestamp"),
    ({"reports": [{"connection": "a" * 65, "timestamp": AT_MS, "stats": []}]}, "connection"),
    ({"reports": [{"connection": "a", "timestamp": AT_MS, "stats": [{"ssrc": -1}]}]}, "ssrc"),
    ({"reports": [{"connection": "a", "timestamp": AT_MS, "stats": 1}]}, "stats"),
    (
        {"reports": [{"connection": "a", "timestamp": AT_MS, "stats": [], "roles": {"1": "x"}}]},
        "roles",
    ),
    ({"reports": [{"connection": "a", "timestamp": AT_MS, "stats": [{}] * 1_001}]}, "stats"),
    ({"reports": [{"connection": "a", "timestamp": AT_MS, "stats": []}] * 1_001}, "$.reports"),
]


@pytest.mark.parametrize(("body", "names"), BODY_FAULTS, ids=lambda value: str(value)[:60])
def test_a_bad_report_is_400_with_its_path(api: Api, body: dict[str, Any], names: str) -> None:
    assert_error(post(api, report() | body), 400, names=names)
    assert_error(api.qualities("m1"), 404)


def test_a_session_that_is_in_another_meeting_is_409(api: Api) -> None:
    assert post(api, report("m1", "S1")).status_code == 204
    assert_error(post(api, report("m2", "S1")), 409)
    assert_error(api.qualities("m2"), 404)


# -- addresses


class Connection:
    """Where the in-process client seems to come from."""

    def __init__(self, api: Api) -> None:
        self._transport: Any = api.client._transport

    def comes_from(self, host: str) -> None:
        self._transport.client = (host, 50_000)


ADDRESSES = [
    # connection, X-Forwarded-For lines, trusted proxies -> publicIP
    ("203.0.113.200", [], [], "203.0.113.200"),
    ("2001:db8::7", [], [], "2001:db8::7"),
    ("::ffff:203.0.113.200", [], [], "203.0.113.200"),
    ("127.0.0.1", [], [], ""),
    ("::1", [], [], ""),
    ("::ffff:127.0.0.1", [], [], ""),
    # nobody is trusted: the header is air
    ("203.0.113.200", ["198.51.100.1"], [], "203.0.113.200"),
    ("127.0.0.1", ["198.51.100.1"], [], ""),
    # a trusted proxy tells the truth about whom it speaks for, and no more
    ("10.0.0.1", ["198.51.100.1"], ["10.0.0.0/8"], "198.51.100.1"),
    ("::ffff:10.0.0.1", ["198.51.100.1"], ["10.0.0.0/8"], "198.51.100.1"),
    ("10.0.0.1", ["192.0.2.66, 198.51.100.1"], ["10.0.0.0/8"], "198.51.100.1"),
    ("10.0.0.1", ["192.0.2.66, 198.51.100.1, 10.0.0.9"], ["10.0.0.0/8"], "198.51.100.1"),
    # a proxy that adds a line of its own after the forged one
    ("10.0.0.1", ["192.0.2.66", "198.51.100.1"], ["10.0.0.0/8"], "198.51.100.1"),
    ("10.0.0.1", ["2001:db8::9"], ["10.0.0.0/8"], "2001:db8::9"),
    ("10.0.0.1", [], ["10.0.0.0/8"], ""),
    ("10.0.0.1", ["unknown"], ["10.0.0.0/8"], ""),
    ("10.0.0.1", ["192.0.2.66, nonsense"], ["10.0.0.0/8"], ""),
    ("10.0.0.1", ["x" * 10_000], ["10.0.0.0/8"], ""),
    # from elsewhere than the proxy
    ("203.0.113.200", ["198.51.100.1"], ["10.0.0.0/8"], "203.0.113.200"),
]


@pytest.mark.parametrize(("peer", "lines", "proxies", "public"), ADDRESSES, ids=str)
def test_the_public_address_is_the_connections(
    make_api: Callable[..., Api], peer: str, lines: list[str], proxies: list[str], public: str
) -> None:
    api = make_api(trusted_proxies=tuple(proxies))
    Connection(api).comes_from(peer)
    headers = [("Authorization", f"Bearer {api.token('telemetry:write')}")]
    headers += [("X-Forwarded-For", line) for line in lines]
    assert api.client.post(REPORTS, json=report(), headers=headers).status_code == 204
    assert items(api)[0]["publicIP"] == public


MASKS = [
    ("192.168.1.77", "192.168.1.64"),
    ("10.24.72.54", "10.24.72.48"),
    ("203.0.113.200", "203.0.113.192"),
    ("2001:db8:85a3:8d3:1319:8a2e:370:7348", "2001:db8:85a3:8d3:1319:8a2e::"),
]


@pytest.mark.parametrize(("address", "mask"), MASKS)
def test_addresses_are_masked_as_webexs_clients_mask_them(
    api: Api, address: str, mask: str
) -> None:
    Connection(api).comes_from(address)
    post(api, report(session={"localIP": address}))
    (item,) = items(api)
    assert (item["publicIP"], item["maskedPublicIP"]) == (address, mask)
    assert (item["localIP"], item["maskedLocalIP"]) == (address, mask)
    (item,) = items(api, "analytics:read_anonymous")
    assert (item["publicIP"], item["maskedPublicIP"]) == ("", mask)
    assert (item["localIP"], item["maskedLocalIP"]) == ("", mask)


@pytest.mark.parametrize(("address", "mask"), [*MASKS, ("host.local", ""), ("1.2.3", "")])
def test_posted_sessions_are_masked_too_unless_the_sender_did(
    api: Api, address: str, mask: str
) -> None:
    from tests.conftest import session

    api.post_sessions(
        session("S1", localIP=address, publicIP=address),
        session("S2", localIP=address, maskedLocalIP="10.9.9.0"),
        session("S3", maskedPublicIP="10.9.9.0"),
    )
    one, two, three = items(api)
    assert (one["maskedLocalIP"], one["maskedPublicIP"]) == (mask, mask)
    assert (two["maskedLocalIP"], two["maskedPublicIP"]) == ("10.9.9.0", "")
    assert (three["publicIP"], three["maskedPublicIP"]) == ("", "10.9.9.0")


def test_the_local_address_and_the_network_are_read_from_the_reports(api: Api) -> None:
    post(api, body_of("A", with_candidate(reports_of("A"), address="192.168.1.77")))
    (item,) = items(api)
    assert (item["localIP"], item["maskedLocalIP"]) == ("192.168.1.77", "192.168.1.64")
    assert item["networkType"] == "wifi"


def with_candidate(reports: list[dict[str, Any]], address: str) -> list[dict[str, Any]]:
    copies: list[dict[str, Any]] = json.loads(json.dumps(reports))
    for one in copies:
        for entry in one["stats"]:
            if entry["type"] == "local-candidate":
                entry |= {"address": address, "candidateType": "host", "networkType": "wifi"}
    return copies


def test_what_the_collector_says_of_its_own_network_is_kept(api: Api) -> None:
    header = {"localIP": "10.24.72.54", "networkType": "ethernet"}
    post(api, body_of("A", with_candidate(reports_of("A"), address="192.168.1.77"), **header))
    (item,) = items(api)
    assert (item["localIP"], item["networkType"]) == ("10.24.72.54", "ethernet")


def test_a_collectors_token_cannot_forge_the_public_address(api: Api) -> None:
    token = collector_token(api)["token"]
    Connection(api).comes_from("203.0.113.200")
    forged = {"publicIP": "192.0.2.66", "maskedPublicIP": "192.0.2.64"}
    assert post_report(api, token, report(session=forged)).status_code == 204
    (item,) = items(api)
    assert (item["publicIP"], item["maskedPublicIP"]) == ("203.0.113.200", "203.0.113.192")


def test_a_server_that_reports_for_its_clients_tells_their_addresses(api: Api) -> None:
    Connection(api).comes_from("203.0.113.200")
    post(api, report(session={"publicIP": "198.51.100.20"}))
    (item,) = items(api)
    assert (item["publicIP"], item["maskedPublicIP"]) == ("198.51.100.20", "198.51.100.16")


def test_raw_addresses_can_be_dropped_before_they_are_stored(
    make_api: Callable[..., Api],
) -> None:
    from tests.conftest import session

    api = make_api(drop_raw_addresses=True)
    Connection(api).comes_from("203.0.113.200")
    post(api, body_of("A", with_candidate(reports_of("A"), address="192.168.1.77")))
    post(api, report(session_id="S2", session={"localIP": "10.24.72.54"}))
    api.post_sessions(session("S3", localIP="10.24.72.54", publicIP="203.0.113.200"))
    for item in items(api):
        assert (item["localIP"], item["publicIP"]) == ("", "")
        assert item["maskedLocalIP"] in ("192.168.1.64", "10.24.72.48")
        assert item["maskedPublicIP"] == "203.0.113.192"
    kept = b"".join(path.read_bytes() for path in files_of(api))
    for address in (b"192.168.1.77", b"10.24.72.54", b"203.0.113.200"):
        assert address not in kept


def files_of(api: Api) -> Iterator[Any]:
    return (path for path in api.settings.data.rglob("*") if path.is_file())


# -- roles and many streams


def entry(ssrc: int, packets: int, **fields: Any) -> dict[str, Any]:
    return {
        "type": "inbound-rtp",
        "id": f"I{ssrc}",
        "kind": "video",
        "ssrc": ssrc,
        "packetsReceived": packets,
        "packetsLost": 0,
        "bytesReceived": packets * 1_000,
        "trackIdentifier": f"track-{ssrc}",
        "mid": str(ssrc),
        **fields,
    }


def minute_of(*ssrcs: int, **more: Any) -> list[dict[str, Any]]:
    return [
        {
            "connection": "pc1",
            "timestamp": AT_MS + s * 1_000,
            "stats": [entry(ssrc, 100 + s * 50) for ssrc in ssrcs],
            **more,
        }
        for s in range(0, 70, 10)
    ]


@pytest.mark.parametrize(
    ("roles", "kind"),
    [
        ({}, "videoIn"),
        ({"track-1": "share"}, "shareIn"),
        ({"1": "share"}, "shareIn"),
        ({"1": "camera"}, "videoIn"),
        ({"track-2": "share"}, "videoIn"),
    ],
)
def test_the_page_names_its_tracks(api: Api, roles: dict[str, str], kind: str) -> None:
    post(api, report(reports=minute_of(1, roles=roles)))
    (item,) = items(api)
    assert [name for name in ("videoIn", "shareIn") if item[name]] == [kind]


def test_a_hundred_streams_are_one_kind_and_one_entry(api: Api) -> None:
    assert post(api, report(reports=minute_of(*range(1, 101)))).status_code == 204
    (item,) = items(api)
    (video,) = item["videoIn"]
    assert video["mediaBitRate"][0] == pytest.approx(100 * 50 * 8_000, rel=0.01)
    assert video["packetLoss"][0] == 0
