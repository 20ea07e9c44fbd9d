"""The measuring stick itself: what the relay reads of a packet, and what its log adds up to."""

from pathlib import Path

import pytest

from tests.truth import wire
from tests.truth.relay import COLUMNS, header_octets, kind_of, parse

SPAN = (0.0, 10.0)
PLAIN = bytes([0x80, 111, 0, 1]) + bytes(8) + b"media"
TWO_SOURCES = bytes([0x82, 111, 0, 1]) + bytes(8 + 8) + b"media"
EXTENSION = bytes([0x90, 111, 0, 1]) + bytes(8) + b"\xbe\xde\x00\x02" + bytes(8) + b"media"


@pytest.mark.parametrize(
    ("packet", "octets"), [(PLAIN, 12), (TWO_SOURCES, 20), (EXTENSION, 24)], ids=str
)
def test_an_rtp_header_is_as_long_as_its_sources_and_extension_make_it(
    packet: bytes, octets: int
) -> None:
    assert header_octets(packet) == octets
    assert packet[octets:] == b"media"


@pytest.mark.parametrize(
    ("first", "second", "kind"),
    [(0x80, 111, "rtp"), (0x80, 200, "rtcp"), (0, 1, "stun"), (22, 254, "dtls"), (64, 0, "other")],
)
def test_what_shares_a_port_is_told_apart(first: int, second: int, kind: str) -> None:
    assert kind_of(bytes([first, second]) + bytes(20)) == kind


def frame(body: bytes, *, port: int = 50_000) -> bytes:
    """An Ethernet frame with UDP over IPv4, checksums left out."""
    ip = bytes([0x45]) + bytes(8) + bytes([17]) + bytes(10)
    return bytes(12) + b"\x08\x00" + ip + port.to_bytes(2) + bytes(6) + body


def test_a_frame_is_read_down_to_its_rtp_header() -> None:
    body = bytes([0x80, 96, 0x12, 0x34]) + (90_000).to_bytes(4) + (7).to_bytes(4) + b"media"
    packet = parse(frame(body))
    assert packet is not None
    assert (packet.kind, packet.ssrc, packet.pt, packet.seq) == ("rtp", 7, 96, 0x1234)
    assert (packet.ts, packet.octets, packet.header) == (90_000, 17, 12)


def test_a_query_for_a_name_is_no_media() -> None:
    query = parse(frame(PLAIN, port=53))
    assert query is not None
    assert query.kind == "other"


def log_of(folder: Path, *lines: str) -> wire.Wire:
    path = folder / "relay.csv"
    path.write_text("\n".join([COLUMNS, *lines]) + "\n")
    return wire.read(path)


def sound(number: int, *, late_ms: float = 0, dropped: bool = False) -> str:
    """A packet of 20 ms of sound: 12 octets of header, 10 of tag, 78 of media."""
    sent_s = 1 + number * 0.02
    out_s = sent_s + (80 + late_ms) / 1000
    return f"{sent_s},{out_s},0,rtp,7,111,{number},{number * 960},100,12,{int(dropped)}"


def test_loss_and_bit_rate_are_those_of_the_packets_in_a_span(tmp_path: Path) -> None:
    found = log_of(tmp_path, *(sound(number, dropped=number % 4 == 0) for number in range(100)))
    assert found.loss(7, SPAN) == (25, 100)
    assert found.received_bit_rate(7, SPAN) == pytest.approx(75 * 78 * 8 / 10)
    assert found.sent_bit_rate(7, SPAN) == pytest.approx(100 * 78 * 8 / 10)
    assert found.frames_per_s(7, SPAN) == 10


def test_jitter_is_nothing_on_an_even_road(tmp_path: Path) -> None:
    found = log_of(tmp_path, *(sound(number) for number in range(100)))
    assert found.jitter_ms(7, "audio", [(SPAN, 9.0)], cut=False) == pytest.approx(0, abs=0.01)


def test_jitter_moves_a_16th_of_the_way_with_each_packet_in_order(tmp_path: Path) -> None:
    """Packet 50 comes 16 ms late, and so 51 comes 16 ms early after it: 1 ms, then 1.9375 ms."""
    lines = [sound(number, late_ms=16 if number == 50 else 0) for number in range(52)]
    found = log_of(tmp_path, *lines)
    curve = found.jitter_curve(7, wire.CLOCKS_HZ["audio"])
    assert [ms for _, ms in curve[-2:]] == pytest.approx([1, 1.9375], abs=0.01)


def test_a_packet_that_was_overtaken_moves_no_jitter(tmp_path: Path) -> None:
    lines = [sound(number, late_ms=45 if number == 50 else 0) for number in range(54)]
    found = log_of(tmp_path, *lines)
    assert len(found.jitter_curve(7, wire.CLOCKS_HZ["audio"])) == 52
    assert found.jitter_ms(7, "audio", [(SPAN, 9.0)], cut=False) == pytest.approx(0, abs=0.01)


def test_round_trips_are_what_both_ways_did_to_rtcp(tmp_path: Path) -> None:
    lines = ["1,1.08,0,rtcp,7,0,0,0,60,0,0", "2,2.09,1,rtcp,8,0,0,0,60,0,0"]
    assert log_of(tmp_path, *lines).round_trip_ms(SPAN) == pytest.approx(170)
