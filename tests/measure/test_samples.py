"""Reports as Chromium, Firefox and aiortc write them, codecs' names, and what is no report."""

from typing import Any

import msgspec
import pytest

from roomtone.measure import Report, Snapshot, snapshot
from roomtone.measure.codecs import codec_label, transport_label
from roomtone.model import StreamKind
from tests.measure.calls import inbound, measure, path, posts, report
from tests.measure.truth import read_json

NOW_MS = 1_795_409_369_057.489


def snapshot_of(stats: Any) -> Snapshot:
    wire = {"connection": "pc1", "timestamp": NOW_MS, "stats": stats}
    return snapshot(msgspec.json.decode(msgspec.json.encode(wire), type=Report))


Facts = dict[StreamKind, tuple[float, str, float | None, float | None]]


@pytest.mark.parametrize(
    ("name", "peer", "facts"),
    [
        pytest.param(
            "getstats-chromium156-audio-video-share",
            "A",
            {
                "audioIn": (604, "Opus", None, 1.0),
                "videoIn": (461, "VP8", 360, 1.0),
                "audioOut": (604, "Opus", None, None),
                "shareOut": (577, "VP8", 720, None),
                "videoOut": (470, "VP8", 360, None),
            },
            id="Chromium sends camera and share",
        ),
        pytest.param(
            "getstats-h264-loopback",
            "B",
            {
                "audioIn": (602, "Opus", None, 2.0),
                "videoIn": (298, "H.264 BP", 360, 3.0),
                "shareIn": (458, "H.264 BP", 720, 6.0),
                "audioOut": (602, "Opus", None, None),
                "videoOut": (300, "H.264 BP", 360, None),
            },
            id="Chromium with H.264",
        ),
        pytest.param(
            "getstats-firefox153esr-loopback",
            "A",
            {
                "audioIn": (600, "Opus", None, 5.0),
                "videoIn": (359, "VP8", 270, 1.0333),
                "audioOut": (600, "Opus", None, None),
                "videoOut": (404, "VP8", 270, None),
            },
            id="Firefox",
        ),
        pytest.param(
            "getstats-aiortc-loopback",
            None,
            {
                "audioOut": (599, "", None, None),
                "videoOut": (180, "", None, None),
                "audioIn": (598, "", None, None),
                "videoIn": (180, "", None, None),
            },
            id="aiortc, whose jitter has a unit that nobody knows",
        ),
    ],
)
def test_a_real_report_becomes_rows(name: str, peer: str | None, facts: Facts) -> None:
    sample = read_json(name)
    rows = snapshot_of(sample[peer] if peer else sample).rows
    assert {row.kind for row in rows} == set(facts)
    for row in rows:
        packets, codec, height, jitter_ms = facts[row.kind]
        assert (row.packets, row.codec, row.height) == (packets, codec, height)
        assert row.jitter_ms == (None if jitter_ms is None else pytest.approx(jitter_ms, abs=1e-3))


@pytest.mark.parametrize(
    ("name", "peer", "received", "rtt_s"),
    [
        ("getstats-chromium156-audio-video-share", "A", None, 0.001236),
        ("getstats-firefox153esr-loopback", "A", 580, 0.001083),
        ("getstats-aiortc-loopback", None, 597, 0.000726),
    ],
)
def test_the_far_ends_report_is_found_whoever_wrote_it(
    name: str, peer: str | None, received: float | None, rtt_s: float
) -> None:
    sample = read_json(name)
    rows = snapshot_of(sample[peer] if peer else sample).rows
    [told] = [row.remote for row in rows if row.kind == "audioOut"]
    assert told is not None
    assert (told.lost, told.received) == (0, received)
    assert told.rtt_s == pytest.approx(rtt_s, abs=1e-6)


def test_stats_may_be_an_object_by_id() -> None:
    sample = read_json("getstats-firefox153esr-loopback")["A"]
    by_id = {entry["id"]: {k: v for k, v in entry.items() if k != "id"} for entry in sample}
    assert len(snapshot_of(by_id).rows) == len(snapshot_of(sample).rows)
    assert [row.codec for row in snapshot_of(by_id).rows] == ["Opus", "VP8", "Opus", "VP8"]


@pytest.mark.parametrize(
    ("mime", "fmtp", "label"),
    [
        ("audio/opus", "minptime=10;useinbandfec=1", "Opus"),
        ("audio/PCMU", "", "PCMU"),
        ("audio/G722", "", "G.722"),
        ("video/VP8", "", "VP8"),
        ("video/VP9", "profile-id=0", "VP9"),
        ("video/AV1", "", "AV1"),
        ("video/H265", "", "H.265"),
        ("video/H264", "packetization-mode=1;profile-level-id=42001f", "H.264 BP"),
        ("video/H264", "profile-level-id=42e01f", "H.264 CBP"),
        ("video/H264", "profile-level-id=4D0032", "H.264 MP"),
        ("video/H264", "profile-level-id=640c1f", "H.264 HP"),
        ("video/H264", "", "H.264 BP"),
        ("video/H264", "profile-level-id=f4001f", "H.264"),
        ("video/X-new", "", "X-new"),
    ],
)
def test_a_codec_has_the_name_of_the_specification(mime: str, fmtp: str, label: str) -> None:
    assert codec_label(mime, fmtp) == label


@pytest.mark.parametrize(
    ("candidate", "label"),
    [
        (("udp", "", "host"), "UDP"),
        (("tcp", "", "prflx"), "TCP"),
        (("udp", "tls", "relay"), "TLS"),
        (("udp", "", "relay"), "UDP"),
        (("udp", "tcp", "host"), "UDP"),
        (("ssltcp", "", "host"), ""),
    ],
)
def test_a_transport_is_that_of_the_local_leg(candidate: tuple[str, str, str], label: str) -> None:
    assert transport_label(*candidate) == label


@pytest.mark.parametrize(
    ("candidate", "header"),
    [
        ({"address": "192.168.1.77", "networkType": "wifi"}, ("wifi", "192.168.1.77")),
        ({"ip": "192.168.1.77", "networkType": "vpn"}, (None, "192.168.1.77")),
        ({"address": "", "networkType": "unknown"}, (None, None)),
        ({"address": "d1c2.local"}, (None, None)),
        ({"address": "203.0.113.9", "candidateType": "srflx"}, (None, None)),
        (
            {"address": "203.0.113.9", "candidateType": "srflx", "relatedAddress": "10.0.0.7"},
            (None, "10.0.0.7"),
        ),
        (
            {"address": "203.0.113.9", "candidateType": "relay", "relatedAddress": "::"},
            (None, None),
        ),
    ],
)
def test_the_header_holds_what_the_candidate_reveals(
    candidate: dict[str, str], header: tuple[str | None, str | None]
) -> None:
    told = measure(report(0, inbound(1), *path(candidate=candidate))).header
    assert (told.get("networkType"), told.get("localIP")) == header
    assert "" not in told.values()


def test_an_address_of_a_late_report_does_not_replace_a_newer_one() -> None:
    new = report(10, inbound(1), *path(candidate={"address": "10.0.0.2"}))
    old = report(0, inbound(1), *path(candidate={"address": "10.0.0.1"}))
    assert measure(new, old).header == {"localIP": "10.0.0.2"}
    assert [one.header for one in posts([[new], [old]], interval_s=10)] == [
        {"localIP": "10.0.0.2"},
        {},
    ]


@pytest.mark.parametrize(
    ("change", "path_and_rule"),
    [
        ({"stats": 5}, r"Expected `object \| array`, got `int` - at `\$.stats`"),
        ({"stats": [{"bytesSent": "x"}]}, r"\$.stats\[0\].bytesSent"),
        ({"stats": [{"packetsReceived": -1}]}, r"\$.stats\[0\].packetsReceived"),
        ({"stats": [{"ssrc": 2**32}]}, r"\$.stats\[0\].ssrc"),
        ({"stats": {"a": {"jitter": -0.1}}}, r"\$.stats\[...\].jitter"),
        ({"stats": [{}] * 1_001}, r"length <= 1000 - at `\$.stats`"),
        ({"connection": "x" * 65}, r"length <= 64 - at `\$.connection`"),
        ({"timestamp": 5}, r"\$.timestamp"),
        ({"roles": {"t": "window"}}, r"'window' - at `\$.roles\[...\]`"),
    ],
)
def test_what_is_no_report_is_refused_with_its_path(
    change: dict[str, Any], path_and_rule: str
) -> None:
    wire = {"connection": "pc1", "timestamp": NOW_MS, "stats": []} | change
    with pytest.raises(msgspec.ValidationError, match=path_and_rule):
        msgspec.json.decode(msgspec.json.encode(wire), type=Report)


@pytest.mark.parametrize(
    "stats",
    [
        [],
        [{}],
        [{"type": "inbound-rtp"}],
        [{"type": "inbound-rtp", "kind": "data", "ssrc": 1, "packetsReceived": 5}],
        [{"type": "inbound-rtp", "kind": "audio", "packetsReceived": 5}],
        [{"type": "candidate-pair", "id": "P", "nominated": True}],
        [{"type": "transport", "selectedCandidatePairId": "nowhere"}],
    ],
)
def test_a_report_that_says_nothing_measures_nothing(stats: list[dict[str, Any]]) -> None:
    assert measure(report(0, *stats), report(10, *stats)).streams == {}
