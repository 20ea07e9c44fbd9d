"""A recorded call, measured from its reports, against the relay that logged each packet of it.

60 s of Chromium, 5 % loss and 80 +- 20 ms injected each way.
"""

import functools

import msgspec
import pytest

from roomtone.measure import Carried, Measured
from roomtone.model import Stream, StreamKind, epoch_ms
from tests.measure.calls import advance, origin_of
from tests.measure.truth import (
    SRTP_TAG_OCTETS,
    WIRE,
    Packet,
    clock_offset_s,
    entries,
    reports_of,
)

RTT_INJECTED_MS = 160
ONE_WAY_S = 0.080
AUDIO_CLOCK_HZ = 48_000
Case = tuple[str, StreamKind]
DOWN: list[Case] = [
    ("A", "audioIn"),
    ("A", "videoIn"),
    ("B", "audioIn"),
    ("B", "videoIn"),
    ("B", "shareIn"),
]
UP_AUDIO: list[Case] = [("A", "audioOut"), ("B", "audioOut")]
UP_VIDEO: list[Case] = [("A", "videoOut"), ("A", "shareOut"), ("B", "videoOut")]


@functools.cache
def told(peer: str, interval_s: float) -> Measured:
    return advance(b"", reports_of(peer), interval_s=interval_s)[1]


def stream_of(case: Case, interval_s: float) -> Stream:
    [stream] = told(case[0], interval_s).streams[case[1]]
    return stream


def ssrc_of(case: Case) -> int:
    ssrc = entries(*case)[0][1]["ssrc"]
    assert isinstance(ssrc, int)
    return ssrc


def spans_of(case: Case, stream: Stream) -> list[tuple[float, float]]:
    """Each interval's (start, end) on the relay's clock, in s."""
    offset_s = clock_offset_s(case[0])
    start_s = epoch_ms(stream.startTime) / 1000 - offset_s
    end_s = epoch_ms(stream.endTime) / 1000 - offset_s
    size_s = stream.samplingInterval
    count = len(stream.packetLoss)
    return [(start_s + i * size_s, min(start_s + (i + 1) * size_s, end_s)) for i in range(count)]


def loss_on_the_wire(packets: list[Packet], span: tuple[float, float]) -> float:
    due = [packet for packet in packets if span[0] <= packet.sent_s + ONE_WAY_S < span[1]]
    return 100 * sum(packet.received_s is None for packet in due) / len(due)


def rate_on_the_wire(case: Case, packets: list[Packet], span: tuple[float, float]) -> float:
    """Bit/s of what arrived: without RTP headers and the SRTP tag, as bytesReceived counts."""
    last = entries(*case)[-1][1]
    header_octets: float = last["headerBytesReceived"] / last["packetsReceived"]
    octets = sum(
        packet.octets - SRTP_TAG_OCTETS - header_octets
        for packet in packets
        if packet.received_s is not None and span[0] <= packet.received_s < span[1]
    )
    return 8 * octets / (span[1] - span[0])


def jitter_in_order_ms(packets: list[Packet]) -> float:
    """RFC 3550, 6.4.1, over packets that came in order, as libwebrtc reckons; mean of all."""
    arrived = sorted(
        (p.received_s, index, p.ts) for index, p in enumerate(packets) if p.received_s is not None
    )
    jitter, values = 0.0, []
    before_s, newest, before_ts = arrived[0]
    for at_s, index, ts in arrived[1:]:
        if index < newest:
            continue
        step_s = (at_s - before_s) - (ts - before_ts) / AUDIO_CLOCK_HZ
        jitter += (abs(step_s) - jitter) / 16
        values.append(jitter)
        before_s, newest, before_ts = at_s, index, ts
    return 1000 * sum(values) / len(values)


def ids(case: Case) -> str:
    return f"{case[0]} {case[1]}"


@pytest.mark.parametrize("case", DOWN, ids=ids)
def test_loss_over_a_minute_is_the_wires_within_half_a_point(case: Case) -> None:
    stream = stream_of(case, 60)
    [span] = spans_of(case, stream)
    wire = loss_on_the_wire(WIRE[ssrc_of(case)], span)
    assert stream.packetLoss == [pytest.approx(wire, abs=0.5)]


@pytest.mark.parametrize("case", DOWN, ids=ids)
def test_loss_over_ten_seconds_is_the_wires_but_for_packets_on_the_edge(case: Case) -> None:
    """A loss is known when a later packet arrives: up to 4 of some 500 packets change intervals."""
    stream = stream_of(case, 10)
    packets = WIRE[ssrc_of(case)]
    wire = [loss_on_the_wire(packets, span) for span in spans_of(case, stream)]
    assert len(wire) == 6
    assert stream.packetLoss == [pytest.approx(value, abs=0.8) for value in wire]


@pytest.mark.parametrize("interval_s", [10, 60])
@pytest.mark.parametrize("case", DOWN, ids=ids)
def test_bit_rate_is_the_net_media_on_the_wire(case: Case, interval_s: float) -> None:
    stream = stream_of(case, interval_s)
    packets = WIRE[ssrc_of(case)]
    wire = [rate_on_the_wire(case, packets, span) for span in spans_of(case, stream)]
    assert stream.mediaBitRate == [pytest.approx(value, rel=0.02) for value in wire]


@pytest.mark.parametrize("case", DOWN + UP_AUDIO + UP_VIDEO, ids=ids)
def test_latency_is_the_injected_round_trip(case: Case) -> None:
    assert stream_of(case, 60).latency == [pytest.approx(RTT_INJECTED_MS, abs=10)]
    assert origin_of(told(case[0], 60), case[1], "latency") == "rtcp"


@pytest.mark.parametrize("case", [*DOWN[:1], *DOWN[2:3], *UP_AUDIO], ids=ids)
def test_audio_jitter_is_that_of_packets_in_order(case: Case) -> None:
    wire = jitter_in_order_ms(WIRE[ssrc_of(case)])
    assert stream_of(case, 60).jitter == [pytest.approx(wire, abs=1.5)]


@pytest.mark.parametrize("case", UP_AUDIO, ids=ids)
def test_outgoing_audio_loss_is_the_wires_within_half_a_point(case: Case) -> None:
    stream = stream_of(case, 60)
    wire = loss_on_the_wire(WIRE[ssrc_of(case)], spans_of(case, stream)[0])
    assert stream.packetLoss == [pytest.approx(wire, abs=0.5)]
    assert origin_of(told(case[0], 60), case[1], "packetLoss") == "reported"


@pytest.mark.parametrize("case", UP_VIDEO, ids=ids)
def test_outgoing_video_of_chromium_under_loss_is_unknown(case: Case) -> None:
    """Padding in what was sent gives 3.4 to 4.7 % for 4.6 to 5.2 %, and up to 1.6 times the rate.

    The mean of the distinct `fractionLost` would give 4.5 to 15 %: short reports count reordering.
    """
    stream = stream_of(case, 60)
    assert (stream.packetLoss, stream.mediaBitRate) == ([], [])
    assert stream.frameRate
    assert origin_of(told(case[0], 60), case[1], "packetLoss") is None


@pytest.mark.parametrize(
    ("case", "height", "frames_per_s"),
    [
        (("A", "videoIn"), 360, 20),
        (("A", "videoOut"), 360, 20),
        (("B", "shareIn"), 720, 15),
        (("A", "shareOut"), 720, 15),
    ],
)
def test_pictures_are_those_of_the_call(case: Case, height: int, frames_per_s: float) -> None:
    stream = stream_of(case, 10)
    assert stream.resolutionHeight == [height] * 6
    assert stream.frameRate == [pytest.approx(frames_per_s, abs=0.7)] * 6
    assert stream.transportType == "UDP"


def test_audio_has_no_picture_columns() -> None:
    stream = stream_of(("A", "audioIn"), 10)
    assert (stream.resolutionHeight, stream.frameRate) == ([], [])


def test_the_common_formula_would_fail_here() -> None:
    """What the correction for retransmissions is worth: without it the camera shows 2.9 %."""
    case: Case = ("A", "videoIn")
    last = entries(*case)[-1][1]
    common = 100 * last["packetsLost"] / (last["packetsLost"] + last["packetsReceived"])
    wire = loss_on_the_wire(WIRE[ssrc_of(case)], spans_of(case, stream_of(case, 60))[0])
    assert wire - common > 1.5


@functools.cache
def told_with_far(peer: str, interval_s: float) -> Measured:
    """What a peer is told once the other has said what it received."""
    other = "B" if peer == "A" else "A"
    far = told(other, interval_s).received
    return advance(b"", reports_of(peer), interval_s=interval_s, far=far)[1]


@pytest.mark.parametrize("case", UP_VIDEO + UP_AUDIO, ids=ids)
def test_what_the_receiver_counted_makes_outgoing_loss_true(case: Case) -> None:
    found = told_with_far(case[0], 60)
    [stream] = found.streams[case[1]]
    wire = loss_on_the_wire(WIRE[ssrc_of(case)], spans_of(case, stream)[0])
    assert stream.packetLoss == [pytest.approx(wire, abs=0.5)]
    assert origin_of(found, case[1], "packetLoss") == "receiver"


@pytest.mark.parametrize("case", UP_VIDEO, ids=ids)
def test_what_the_receiver_counted_makes_outgoing_bit_rate_of_video_true(case: Case) -> None:
    found = told_with_far(case[0], 60)
    [stream] = found.streams[case[1]]
    low, high = spans_of(case, stream)[0]
    packets = [p for p in WIRE[ssrc_of(case)] if low <= p.sent_s < high]
    octets = sum(p.octets - SRTP_TAG_OCTETS - header_octets(case) for p in packets)
    assert stream.mediaBitRate == [pytest.approx(8 * octets / (high - low), rel=0.05)]
    assert origin_of(found, case[1], "mediaBitRate") == "receiver"


def header_octets(case: Case) -> float:
    last = entries(*case)[-1][1]
    return float(last["headerBytesSent"] / last["packetsSent"])


def test_a_receiver_behind_another_road_is_not_taken_for_this_ones() -> None:
    far = {
        ssrc: [span_with(span, counter=span.counter + 50) for span in spans]
        for ssrc, spans in told("B", 60).received.items()
    }
    found = advance(b"", reports_of("A"), interval_s=60, far=far)[1]
    assert origin_of(found, "videoOut", "packetLoss") is None
    assert origin_of(found, "audioOut", "packetLoss") == "reported"


def span_with(span: Carried, *, counter: float) -> Carried:
    return msgspec.structs.replace(span, counter=counter)


def test_news_of_the_receiver_change_what_was_told_before() -> None:
    state, first = advance(b"", reports_of("A"), interval_s=60)
    assert first.streams["videoOut"][0].packetLoss == []
    far = told("B", 60).received
    ssrc = ssrc_of(("A", "videoOut"))
    again = (far[ssrc][0].start_ms, far[ssrc][-1].end_ms)
    _, later = advance(state, [], interval_s=60, far=far, again=again)
    assert later.streams["videoOut"] == told_with_far("A", 60).streams["videoOut"]
