"""Every trap that turns counters into wrong figures, one row each."""

from typing import Any

import pytest

from roomtone.measure import Report
from roomtone.model import StreamKind
from tests.measure.calls import (
    START_MS,
    Entry,
    Value,
    fold,
    inbound,
    measure,
    only,
    origin_of,
    outbound,
    path,
    posts,
    remote,
    report,
    span_s,
)

VIDEO = {"kind": "video"}
RELAY_TLS = {"relayProtocol": "tls", "candidateType": "relay"}
RELAY_UDP = {"relayProtocol": "udp", "candidateType": "relay"}


def pair(before: list[Entry], after: list[Entry], seconds: float = 10) -> list[Report]:
    return [report(0, *before), report(seconds, *after)]


@pytest.mark.parametrize(
    ("before", "after", "percent"),
    [
        pytest.param([inbound(100)], [inbound(575, 25)], [5.0], id="lost of expected"),
        pytest.param(
            [inbound(100, retransmittedPacketsReceived=0)],
            [inbound(875, 25, retransmittedPacketsReceived=300)],
            [5.0],
            id="Chromium counts retransmissions as received",
        ),
        pytest.param(
            [inbound(100, 40)], [inbound(600, 30)], [0.0], id="late packets were counted as lost"
        ),
        pytest.param([inbound(100)], [inbound(147, 2)], [], id="49 packets are too few"),
        pytest.param([inbound(100)], [inbound(148, 2)], [4.0], id="50 packets are enough"),
        pytest.param([inbound(100, None)], [inbound(600, None)], [], id="nobody counted"),
        pytest.param([inbound(100), *path("tcp")], [inbound(600), *path("tcp")], [], id="over TCP"),
        pytest.param(
            [inbound(100), *path(candidate=RELAY_TLS)],
            [inbound(600), *path(candidate=RELAY_TLS)],
            [],
            id="over TLS to a relay",
        ),
        pytest.param(
            [inbound(100), *path("tcp", candidate=RELAY_UDP)],
            [inbound(600, 500), *path("tcp", candidate=RELAY_UDP)],
            [50.0],
            id="a relay over UDP",
        ),
        pytest.param(
            [inbound(100, 2**24 - 10)],
            [inbound(575, 15)],
            [5.0],
            id="RTCP's 24 bits of loss wrapped",
        ),
    ],
)
def test_incoming_loss(before: list[Entry], after: list[Entry], percent: list[Value]) -> None:
    told = measure(*pair(before, after))
    columns = [stream.packetLoss for stream in told.streams.get("audioIn", [])]
    assert columns == ([percent] if percent else [])


@pytest.mark.parametrize(
    ("before", "after", "percent", "origin"),
    [
        pytest.param(
            [outbound(100), remote(0)],
            [outbound(600), remote(25)],
            5.0,
            "reported",
            id="lost of what was sent",
        ),
        pytest.param(
            [outbound(100), remote(0, packetsReceived=100)],
            [outbound(700), remote(25, packetsReceived=575)],
            5.0,
            "reported",
            id="the far end counted what it received",
        ),
        pytest.param(
            [outbound(100, kind="video", framesSent=50), remote(0, kind="video")],
            [
                outbound(700, kind="video", framesSent=500, retransmittedPacketsSent=100),
                remote(25, kind="video"),
            ],
            5.0,
            "estimated",
            id="video of a sender that is not told what arrived",
        ),
    ],
)
def test_outgoing_loss(
    before: list[Entry], after: list[Entry], percent: float, origin: str
) -> None:
    told = measure(*pair(before, after))
    [(kind, [stream])] = told.streams.items()
    assert stream.packetLoss == [percent]
    assert origin_of(told, kind, "packetLoss") == origin


def test_outgoing_loss_is_aligned_with_the_time_the_reports_cover() -> None:
    """The far end's reports are 4 s and 1 s old: 50 packets a second went out in between."""
    steps = [(10, 6.0, 0), (20, 19.0, 65)]
    reports = [report(0, outbound(1, timestamp=1_000.0))]
    for at_s, heard_s, lost in steps:
        now = outbound(1 + 50 * at_s, timestamp=1_000.0 + 1000 * at_s)
        reports.append(report(at_s, now, remote(lost, timestamp=1_000.0 + 1000 * heard_s)))
    assert only(measure(*reports), "audioOut", "packetLoss")[-1] == 10.0  # 65 of 50 * 13


def test_the_far_ends_old_report_is_not_counted_twice() -> None:
    reports = [
        report(10 * n, outbound(100 + 500 * n), remote(0 if n < 2 else 50, timestamp=1.0 + n // 2))
        for n in range(4)
    ]
    told = measure(*reports, interval_s=30)
    assert only(told, "audioOut", "packetLoss") == [5.0]


@pytest.mark.parametrize(
    ("counter", "bits", "goes_on"),
    [
        pytest.param("bytesReceived", 32, True, id="octets at 32 bits"),
        pytest.param("bytesReceived", 24, False, id="octets at 24 bits: a restart"),
        pytest.param("bytesReceived", 16, False, id="octets at 16 bits: a restart"),
        pytest.param("packetsReceived", 32, True, id="packets at 32 bits"),
        pytest.param("packetsReceived", 16, True, id="packets at 16 bits"),
    ],
)
def test_a_counter_that_wraps_goes_on(counter: str, bits: int, goes_on: bool) -> None:
    step = 10_000 if counter == "bytesReceived" else 500
    values = [2**bits - step // 2 - step, 2**bits - step // 2, step // 2]
    reports = [
        report(
            10 * n,
            inbound(100, bytesReceived=10_000 * n)
            | {"packetsReceived": 100 + 500 * n}
            | {counter: value},
        )
        for n, value in enumerate(values)
    ]
    rates = only(measure(*reports), "audioIn", "mediaBitRate")
    assert rates == ([8_000, 8_000] if goes_on else [8_000])


@pytest.mark.parametrize(
    ("after", "rate"),
    [
        pytest.param(inbound(600, bytesReceived=40), None, id="packets and bytes began anew"),
        pytest.param(inbound(3_000, bytesReceived=40), None, id="bytes began anew"),
        pytest.param(inbound(40, bytesReceived=520_000), None, id="packets began anew"),
        pytest.param(inbound(3_000, bytesReceived=520_000, ssrc=9), None, id="a new SSRC"),
        pytest.param(inbound(3_000, bytesReceived=520_000), 8_000, id="no restart"),
    ],
)
def test_a_pair_across_a_restart_is_dropped(after: Entry, rate: Value) -> None:
    later = {"packetsReceived": 500 + after["packetsReceived"]}
    reports = [
        report(0, inbound(2_000, bytesReceived=500_000)),
        report(10, inbound(2_500, bytesReceived=510_000)),
        report(20, after),
        report(30, after | later | {"bytesReceived": after["bytesReceived"] + 10_000}),
    ]
    assert only(measure(*reports), "audioIn", "mediaBitRate") == [8_000, rate, 8_000]


def test_a_video_bit_rate_is_net_of_retransmissions() -> None:
    again = {"retransmittedBytesReceived": 300, "retransmittedPacketsReceived": 3}
    told = measure(
        *pair(
            [inbound(100, bytesReceived=1_000, **VIDEO)],
            [inbound(700, bytesReceived=11_300, **VIDEO, **again)],
        )
    )
    assert only(told, "videoIn", "mediaBitRate") == [8_000]


@pytest.mark.parametrize(
    ("jitter", "codec", "ms"),
    [
        pytest.param(0.0116, {}, [11.6], id="seconds"),
        pytest.param(0, {}, [0.0], id="none at all"),
        pytest.param(480, {}, [], id="aiortc's clock units, clock unknown"),
        pytest.param(480, {"clockRate": 48_000}, [10.0], id="aiortc's clock units, clock known"),
        pytest.param(30.0, {}, [], id="nonsense"),
        pytest.param(None, {}, [], id="missing"),
    ],
)
def test_jitter_is_in_ms(jitter: float | None, codec: Entry, ms: list[Value]) -> None:
    entries = [{"type": "codec", "id": "C", "mimeType": "audio/opus"} | codec]
    told = measure(
        *pair(
            [inbound(100, jitter=jitter, codecId="C"), *entries],
            [inbound(700, jitter=jitter, codecId="C"), *entries],
        )
    )
    assert only(told, "audioIn", "jitter") == ms


@pytest.mark.parametrize(
    ("stun", "rtcp", "ms", "origin"),
    [
        pytest.param((0.3, 3), None, [100.0], "stun", id="connectivity checks alone"),
        pytest.param(None, (0.6, 3), [200.0], "rtcp", id="RTCP alone"),
        pytest.param((0.3, 3), (0.6, 3), [200.0], "rtcp", id="never a mean of both"),
        pytest.param((0.0, 3), None, [], None, id="0 is not measured"),
        pytest.param(None, None, [], None, id="neither"),
    ],
)
@pytest.mark.parametrize("kind", ["audioIn", "audioOut"])
def test_latency(
    kind: StreamKind,
    stun: tuple[float, int] | None,
    rtcp: tuple[float, int] | None,
    ms: list[Value],
    origin: str | None,
) -> None:
    reports = []
    for n in (1, 2):
        stats = [inbound(100 * n), outbound(100 * n, bytesSent=n)]
        if rtcp:
            total, count = rtcp
            stats.append(
                remote(n, totalRoundTripTime=n * total, roundTripTimeMeasurements=n * count)
            )
        reports.append(
            report(10 * n, *stats, *path(rtt=(n * stun[0], n * stun[1]) if stun else None))
        )
    told = measure(*reports)
    assert only(told, kind, "latency") == ms
    assert origin_of(told, kind, "latency") == origin


def test_latency_without_counters_is_the_last_round_trip() -> None:
    reports = pair(
        [outbound(100), remote(0, roundTripTime=0.05, timestamp=1.0)],
        [outbound(200), remote(0, roundTripTime=0.07, timestamp=2.0)],
    )
    assert only(measure(*reports), "audioOut", "latency") == [70.0]


@pytest.mark.parametrize(
    ("entry", "roles", "kind"),
    [
        (inbound(1), {}, "audioIn"),
        (outbound(1), {}, "audioOut"),
        (inbound(1, trackIdentifier="t"), {"t": "share"}, "audioIn"),
        (inbound(1, **VIDEO), {}, "videoIn"),
        (inbound(1, contentType="screenshare", **VIDEO), {}, "shareIn"),
        (inbound(1, trackIdentifier="t", **VIDEO), {"t": "share"}, "shareIn"),
        (inbound(1, contentType="screenshare", mid="2", **VIDEO), {"2": "camera"}, "videoIn"),
        (outbound(1, mid="2", **VIDEO), {"2": "share"}, "shareOut"),
        (outbound(1, mediaSourceId="M", **VIDEO), {"t": "share"}, "shareOut"),
        (outbound(1, mediaSourceId="M", **VIDEO), {"other": "share"}, "videoOut"),
        (outbound(1, mediaSourceId="M", **VIDEO), {"t": "microphone"}, "videoOut"),
    ],
)
def test_the_kind_of_a_stream(entry: Entry, roles: dict[str, str], kind: str) -> None:
    source = {"type": "media-source", "id": "M", "kind": "video", "trackIdentifier": "t"}
    counter = "packetsReceived" if "packetsReceived" in entry else "packetsSent"
    later = entry | {counter: 1_000}
    told = measure(report(0, entry, source, roles=roles), report(10, later, source, roles=roles))
    assert list(told.streams) in ([kind], [])
    bits = entry | {counter.replace("packets", "bytes"): 1, "frameHeight": 360}
    told = measure(
        report(0, bits, source, roles=roles),
        report(10, bits | {counter: 1_000}, source, roles=roles),
    )
    assert list(told.streams) == [kind]


def test_several_streams_of_a_kind_are_folded_into_one() -> None:
    def videos(n: int) -> list[Entry]:
        small = {"frameHeight": 180, "framesDecoded": 100 * n, "bytesReceived": 1_000 * n}
        large = {"frameHeight": 720, "framesDecoded": 300 * n, "bytesReceived": 9_000 * n}
        return [
            inbound(1 + 100 * n, 0, ssrc=1, jitter=0.004, **VIDEO, **small),
            inbound(1 + 270 * n, 30 * n, ssrc=2, jitter=0.024, **VIDEO, **large),
        ]

    [stream] = measure(*pair(videos(0), videos(1))).streams["videoIn"]
    assert stream.packetLoss == [7.5]  # 30 of 400
    assert stream.mediaBitRate == [8_000]
    assert (stream.resolutionHeight, stream.frameRate) == ([720], [30.0])
    assert stream.jitter == [pytest.approx((100 * 4 + 270 * 24) / 370, abs=0.05)]


def steady(times: list[float], *, per_s: float = 50, **more: Any) -> list[Report]:
    return [
        report(at, inbound(100 + per_s * at, bytesReceived=1_000 * at + 1, **more)) for at in times
    ]


def test_intervals_start_with_the_first_report() -> None:
    [stream] = measure(*steady([3.25, 13.25, 23.25, 33.25])).streams["audioIn"]
    assert span_s(stream) == (3.25, 33.25)
    assert stream.mediaBitRate == [8_000] * 3


def test_a_partial_last_interval_appears_once_half_covered_and_is_completed_later() -> None:
    reports = steady([0, 10, 14, 15, 20])
    counts = []
    for end in range(2, 6):
        [stream] = measure(*reports[:end]).streams["audioIn"]
        counts.append((len(stream.mediaBitRate), span_s(stream)[1]))
    assert counts == [(1, 10), (1, 10), (2, 15), (2, 20)]


def test_a_gap_starts_a_new_entry() -> None:
    reports = steady([0, 10, 20, 120, 130, 140, 150])
    streams = measure(*reports).streams["audioIn"]
    assert [span_s(stream) for stream in streams] == [(0, 20), (130, 150)]
    assert [stream.mediaBitRate for stream in streams] == [[8_000] * 2] * 2


def test_what_a_waking_computer_counts_at_once_is_no_figure() -> None:
    """After 90 s a queue of 4 s is read at once; of what had come before, 400 were dropped."""
    times = [0, 5, 10, 100, 101, 102, 107, 112, 117, 122]
    woken = [0 if at <= 100 else 200 for at in times]
    lost = [0 if at <= 100 else 400 for at in times]
    reports = [
        report(at, inbound(100 + 50 * at + more, gone, bytesReceived=1_000 * at + 20 * more + 1))
        for at, more, gone in zip(times, woken, lost, strict=True)
    ]
    first, second = measure(*reports).streams["audioIn"]
    assert (first.packetLoss, second.packetLoss) == ([0.0], [0.0] * 2)
    assert second.mediaBitRate == [8_000] * 2


def test_the_first_reports_of_a_far_end_that_slept_are_no_figures() -> None:
    """It reads what lay in its queue: a round trip of 90 s, and the losses of all that time."""
    reports = []
    for at in range(0, 160, 5):
        heard_s = 20 if 20 < at < 110 else at
        count = min(at, 20) + max(at - 105, 0)
        far = remote(
            400 if at > 110 else 0,
            timestamp=START_MS + 1000 * heard_s,
            roundTripTimeMeasurements=count,
            totalRoundTripTime=0.04 * count + (89 if at >= 110 else 0),
        )
        reports.append(report(at, outbound(100 + 50 * at, timestamp=START_MS + 1000 * at), far))
    [stream] = measure(*reports).streams["audioOut"]
    assert {loss for loss in stream.packetLoss if loss is not None} == {0.0}
    assert {ms for ms in stream.latency if ms is not None} == {40.0}


def test_a_stream_that_was_seen_to_begin_again_has_intervals_of_its_own() -> None:
    """The share stops for 100 s while the connection goes on being reported."""
    share = inbound(100, ssrc=5, contentType="screenshare", **VIDEO)
    reports = []
    for at in range(0, 200, 5):
        on = at <= 40 or at >= 145
        more = [share | {"packetsReceived": 100 + 20 * at, "bytesReceived": 50 * at}] if on else []
        reports.append(report(at, inbound(100 + 50 * at), *more))
    streams = measure(*reports).streams["shareIn"]
    assert [span_s(stream) for stream in streams] == [(0, 40), (145, 195)]
    assert [stream.packetLoss for stream in streams] == [[0.0] * 4, [0.0] * 5]


def test_a_stream_without_packets_for_a_while_shows_zero_and_one_that_stops_ends() -> None:
    def octets(at: float) -> float:
        return 1_000 * (min(at, 20) + max(0, min(at, 70) - 40))

    reports = [
        report(at, inbound(100 + octets(at), bytesReceived=octets(at))) for at in range(0, 200, 10)
    ]
    [stream] = measure(*reports).streams["audioIn"]
    assert stream.mediaBitRate == [8_000, 8_000, 0, 0, 8_000, 8_000, 8_000]
    assert stream.packetLoss == [0.0, 0.0, None, None, 0.0, 0.0, 0.0]


def test_a_silence_longer_than_a_gap_is_no_part_of_the_stream() -> None:
    def octets(at: float) -> float:
        return 1_000 * (min(at, 20) + max(0, at - 70))

    reports = [
        report(at, inbound(100 + octets(at), bytesReceived=octets(at))) for at in range(0, 100, 10)
    ]
    streams = measure(*reports).streams["audioIn"]
    assert [stream.mediaBitRate for stream in streams] == [[8_000] * 2, [8_000] * 2]
    assert [span_s(stream) for stream in streams] == [(0, 20), (70, 90)]


def test_a_stream_that_never_carried_a_packet_is_not_there() -> None:
    assert measure(*pair([inbound(0)], [inbound(0)])).streams == {}


def test_two_runs_of_different_phase_that_late_reports_join_do_not_overlap() -> None:
    """Another connection takes over at 33 s; what came before it, on the first, comes late."""

    def on(name: str, times: list[float]) -> list[Report]:
        return [
            report(at, inbound(100 + 50 * at, bytesReceived=1_000 * at + 1), connection=name)
            for at in times
        ]

    first, late = on("pc1", [0, 10]), on("pc1", [20, 30, 40, 50])
    second = on("pc2", [53, 63, 73])
    cells = fold(posts([first, second, late], interval_s=10))
    starts = sorted(at_ms for _, at_ms in cells)
    assert starts == [0, 10_000, 20_000, 30_000, 40_000, 53_000, 63_000]


def test_a_codec_that_changes_starts_a_new_entry() -> None:
    def at(n: int, mime: str) -> Report:
        codec = {"type": "codec", "id": "C", "mimeType": mime}
        return report(10 * n, inbound(100 + 500 * n, codecId="C"), codec)

    names = ["video/VP8", "video/VP8", "video/VP8", "video/AV1", "video/AV1"]
    streams = measure(*(at(n, mime) for n, mime in enumerate(names))).streams["audioIn"]
    assert [(s.codec, len(s.packetLoss)) for s in streams] == [("VP8", 2), ("AV1", 2)]


def test_a_column_that_nobody_measured_is_empty_and_a_single_unknown_value_is_null() -> None:
    reports = steady([0, 10, 20, 30])
    reports[2] = report(20, inbound(1_100, None, bytesReceived=20_001))
    [stream] = measure(*reports).streams["audioIn"]
    assert stream.packetLoss == [0.0, None, None]
    assert stream.mediaBitRate == [8_000] * 3
    assert (stream.latency, stream.jitter, stream.frameRate) == ([], [], [])


@pytest.mark.parametrize(("known", "rates"), [(True, [64_000, 64_000]), (False, [])])
def test_the_bit_rate_of_several_streams_is_known_when_all_are(
    known: bool, rates: list[int]
) -> None:
    def both(n: int) -> list[Entry]:
        one, other = (inbound(500 * n, kind="video", ssrc=ssrc, id=f"I{ssrc}") for ssrc in (1, 2))
        one["bytesReceived"] = 40_000 * n
        other["bytesReceived"] = 40_000 * n if known else None
        return [one, other]

    told = measure(*(report(10 * n, *both(n)) for n in range(1, 4)))
    assert only(told, "videoIn", "mediaBitRate") == rates
