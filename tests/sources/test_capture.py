"""Captures of RTP as meetings: what is found in them, and what the figures are."""

import random
import struct
import sys
from pathlib import Path

import pytest

from roomtone.errors import Invalid
from roomtone.model import MediaSession, Stream
from roomtone.sources import Taken, capture
from tests.sources import packets
from tests.sources.packets import ALICE, BOB, MS, START_NS, A, B, End

DATA = Path(__file__).parent.parent / "data" / "rtp"
ALICE_6, BOB_6 = "2001:db8::1", "2001:db8::2"
LINKS = {"Ethernet": 1, "SLL": 113, "SLL2": 276, "raw IP": 101, "loopback": 0, "OpenBSD's": 108}


def by_address(taken: Taken) -> dict[str, MediaSession]:
    return {session.localIP: session for session in taken.sessions}


def one(streams: list[Stream]) -> Stream:
    assert len(streams) == 1
    return streams[0]


def taken_of(tmp_path: Path, frames: packets.Packets, *, interval_s: float = 60.0) -> Taken:
    path = packets.pcap(tmp_path / "made.pcap", sorted(frames))
    return capture.read(path, interval_s=interval_s)


@pytest.mark.parametrize(
    ("name", "endpoints", "loss", "bit_rate"),
    [
        ("g711-5pct-exact-loopback.pcapng", ["127.0.0.1", "127.0.0.1"], 5.0, 60_800),
        ("gst-opus-rtcp-5pct-40ms.pcapng", ["10.77.0.1", "10.77.0.2"], 6.28, 60_400),
    ],
)
def test_a_recorded_call_is_a_meeting_with_a_session_for_each_end(
    name: str, endpoints: list[str], loss: float, bit_rate: int
) -> None:
    taken = capture.read(DATA / name)
    sender, receiver = taken.sessions
    assert [sender.localIP, receiver.localIP] == endpoints
    heard = one(receiver.audioIn)
    assert heard.packetLoss == [loss]
    assert heard.mediaBitRate == [bit_rate]
    assert heard.latency == heard.frameRate == heard.resolutionHeight == []
    assert sender.audioOut
    assert not sender.audioIn
    assert not receiver.audioOut
    assert taken.meeting is not None
    assert taken.meeting.id == sender.meetingInstanceId == receiver.meetingInstanceId


def test_the_sender_is_told_what_its_receiver_reported() -> None:
    taken = capture.read(DATA / "gst-opus-rtcp-5pct-40ms.pcapng")
    # RTCP: 7 lost at 616, 84 less 7 at the fifth and last report; here 75 of 1,194 are missing.
    assert one(taken.sessions[0].audioOut).packetLoss == [6.18]
    assert one(taken.sessions[1].audioIn).packetLoss == [6.28]
    assert "clock rate of stream 0x798BF838 is an estimate: 48000 Hz" in taken.unused


def test_the_same_content_gives_the_same_meeting_under_any_name(tmp_path: Path) -> None:
    original = DATA / "g711-5pct-exact-loopback.pcapng"
    copy = tmp_path / "another.name"
    copy.write_bytes(original.read_bytes())
    assert capture.read(copy) == capture.read(original)


@pytest.mark.parametrize("link", LINKS.values(), ids=LINKS.keys())
@pytest.mark.parametrize("order", ["<", ">"], ids=["little endian", "big endian"])
@pytest.mark.parametrize("form", [packets.pcap, packets.pcapng])
@pytest.mark.parametrize("nano", [True, False], ids=["ns", "us"])
def test_forms_byte_orders_and_link_types(
    tmp_path: Path, link: int, order: str, form: object, nano: bool
) -> None:
    frames = [
        (
            START_NS + place * 20 * MS,
            packets.frame(packets.ip(packets.rtp(place, place * 160)), link),
        )
        for place in range(100)
        if place != 50
    ]
    path = tmp_path / "made"
    if form is packets.pcap:
        packets.pcap(path, frames, link=link, order=order, nano=nano)
    else:
        packets.pcapng(path, frames, links=(link,), order=order, nano=nano)
    assert capture.recognises(path.read_bytes()[:16])
    (total,) = capture.totals(path)
    assert (total.line.packets, total.line.lost) == (99, 1)
    assert one(by_address(capture.read(path))[BOB].audioIn).packetLoss == [1.0]


@pytest.mark.parametrize("vlans", [1, 2])
@pytest.mark.parametrize("link", [1, 113])
@pytest.mark.parametrize(("source", "to"), [(A, B), (End(ALICE_6, 5000), End(BOB_6, 6000))])
def test_vlan_tags_and_both_versions_of_ip(
    tmp_path: Path, vlans: int, link: int, source: End, to: End
) -> None:
    frames = [
        (
            START_NS + place * 20 * MS,
            packets.frame(
                packets.ip(packets.rtp(place, place * 160), source, to), link, vlans=vlans
            ),
        )
        for place in range(100)
    ]
    path = packets.pcap(tmp_path / "made.pcap", frames, link=link)
    sessions = by_address(capture.read(path))
    assert sorted(sessions) == sorted((source.address, to.address))


def test_ipv6_extension_headers_are_passed_and_fragments_counted(tmp_path: Path) -> None:
    def behind(extension: bytes, first: int) -> list[tuple[int, bytes]]:
        ends = (End(ALICE_6, 5000), End(BOB_6, 6000))
        frames = []
        for place in range(100):
            plain = packets.ip(packets.rtp(place, place * 160), *ends)
            packet = plain[:6] + bytes([first]) + plain[7:40] + extension + plain[40:]
            frames.append((START_NS + place * 20 * MS, packets.frame(packet)))
        return frames

    options = bytes([17, 0]) + bytes(6)
    whole = bytes([17, 0, 0, 0]) + bytes(4)
    piece = bytes([17, 0, 0, 1]) + bytes(4)
    assert taken_of(tmp_path, behind(options, 0)).sessions
    assert taken_of(tmp_path, behind(whole, 44)).sessions
    taken = taken_of(tmp_path, behind(piece, 44))
    assert taken == Taken([], None, ["100 IP fragments"])


def test_fragments_of_ipv4_are_left_out_and_counted(tmp_path: Path) -> None:
    whole = packets.talk(4)
    piece = packets.frame(packets.ip(bytes(100), fragment=0x2000))
    taken = taken_of(tmp_path, [*whole, (START_NS + 1, piece), (START_NS + 2, piece)])
    assert "2 IP fragments" in taken.unused
    assert one(by_address(taken)[BOB].audioIn).packetLoss == [0.0]


def test_bit_rate_is_of_payload_net_of_header_csrcs_extension_and_padding(tmp_path: Path) -> None:
    frames = [
        (
            START_NS + place * 20 * MS,
            packets.frame(
                packets.ip(packets.rtp(place, place * 160, csrcs=2, extension=bytes(8), padding=12))
            ),
        )
        for place in range(501)
    ]
    heard = one(by_address(taken_of(tmp_path, frames))[BOB].audioIn)
    assert heard.mediaBitRate == [64_000]


@pytest.mark.parametrize("snaplen", [60, 54])
def test_packets_cut_off_behind_the_rtp_header_still_count(tmp_path: Path, snaplen: int) -> None:
    path = packets.pcap(tmp_path / "cut.pcap", packets.talk(10, lost=(7, 8)), snaplen=snaplen)
    heard = one(by_address(capture.read(path))[BOB].audioIn)
    assert heard.packetLoss == [0.4]
    assert heard.mediaBitRate == [63_700]


def test_bit_rate_is_unknown_where_padding_was_cut_off(tmp_path: Path) -> None:
    frames = [
        (at_ns, packets.frame(packets.ip(packets.rtp(place, place * 160, padding=40))))
        for place, (at_ns, _) in enumerate(packets.talk(10))
    ]
    path = packets.pcap(tmp_path / "cut.pcap", frames, snaplen=60)
    heard = one(by_address(capture.read(path))[BOB].audioIn)
    assert heard.packetLoss == [0.0]
    assert heard.mediaBitRate == []


@pytest.mark.parametrize("padded", [False, True])
def test_srtp_counts_by_its_header_and_its_padding_is_not_guessed(
    tmp_path: Path, padded: bool
) -> None:
    dice = random.Random(5)
    frames = []
    for place, (at_ns, _) in enumerate(packets.talk(10, lost=(3, 4, 5))):
        number = place if place < 3 else place + 3
        plain = packets.rtp(number, number * 160, payload=dice.randbytes(170))
        secret = bytes([plain[0] | 0x20]) + plain[1:] if padded and place % 50 == 7 else plain
        frames.append((at_ns, packets.frame(packets.ip(secret))))
    heard = one(by_address(taken_of(tmp_path, frames))[BOB].audioIn)
    assert heard.packetLoss == [0.6]
    assert heard.mediaBitRate == ([] if padded else [67_600])


@pytest.mark.parametrize("snaplen", [30, 41, 53])
def test_packets_cut_off_before_the_rtp_header_are_no_rtp(tmp_path: Path, snaplen: int) -> None:
    path = packets.pcap(tmp_path / "cut.pcap", packets.talk(10), snaplen=snaplen)
    assert capture.read(path).sessions == []


STUN = struct.pack("!HHI12s", 1, 0, 0x2112A442, bytes(12))
DTLS = bytes([22, 254, 253]) + bytes(60)
TURN_CHANNEL = struct.pack("!HH", 0x4000, 100) + packets.rtp(1, 2)
QUIC = bytes([0x4F]) + bytes(200)


@pytest.mark.parametrize("payload", [STUN, DTLS, TURN_CHANNEL, QUIC, b"", b"\x80"])
def test_what_else_goes_over_the_same_ports_is_no_rtp(tmp_path: Path, payload: bytes) -> None:
    other = packets.frame(packets.ip(payload))
    frames = packets.talk(4) + [(at_ns + 1, other) for at_ns, _ in packets.talk(4)]
    path = packets.pcap(tmp_path / "made.pcap", sorted(frames))
    for ports in ((), (6000,)):
        (total,) = capture.totals(path, ports=ports)
        assert (total.line.packets, total.line.lost) == (200, 0)


def scattered(place: int) -> bytes:
    return packets.rtp(place * 7919, place * 104_729, ssrc=7)


def forever_new(place: int) -> bytes:
    return packets.rtp(place, place * 160, ssrc=place)


def unassigned(place: int) -> bytes:
    return packets.rtp(place, place * 160, payload_type=77)


def leaping(place: int) -> bytes:
    return packets.rtp(place, place << 26)


@pytest.mark.parametrize("look", [scattered, forever_new, unassigned, leaping])
def test_datagrams_that_only_look_like_rtp_are_not_believed(tmp_path: Path, look: object) -> None:
    assert callable(look)
    frames = [
        (START_NS + place * MS, packets.frame(packets.ip(look(place)))) for place in range(2_000)
    ]
    assert taken_of(tmp_path, frames).sessions == []


def test_a_named_port_is_believed_from_its_first_packet(tmp_path: Path) -> None:
    path = packets.pcap(tmp_path / "short.pcap", packets.talk(0.06))
    assert capture.totals(path) == []
    for port in (5000, 6000):
        (total,) = capture.totals(path, ports=[port])
        assert total.line.packets == 3


def test_a_file_without_rtp_gives_no_meeting(tmp_path: Path) -> None:
    assert taken_of(tmp_path, []) == Taken([], None, [])


def test_loss_and_intervals_over_minutes(tmp_path: Path) -> None:
    # 60 s clean, then every 20th lost for 60 s, then clean for 20 s more, which is no half minute.
    taken = taken_of(tmp_path, packets.talk(140, lost=range(3_010, 6_000, 20)))
    heard = one(by_address(taken)[BOB].audioIn)
    assert heard.packetLoss == [0.0, 5.0]
    assert heard.samplingInterval == 60
    assert heard.mediaBitRate == [64_000, 60_800]
    assert heard.startTime == by_address(taken)[BOB].joinTime


def test_copies_make_up_for_no_loss_and_carry_no_bits(tmp_path: Path) -> None:
    once = packets.talk(10, lost=range(0, 500, 20))
    taken = taken_of(tmp_path, once + [(at_ns + 3 * MS, data) for at_ns, data in once])
    heard = one(by_address(taken)[BOB].audioIn)
    # The very first is not known to be missing.
    assert heard.packetLoss == [pytest.approx(100 * 24 / 499, abs=0.01)]
    assert heard.mediaBitRate == [pytest.approx(60_900, abs=100)]
    assert heard.jitter == []
    assert "475 copies of packets seen before" in taken.unused


def test_too_few_packets_for_a_loss_are_null_and_not_negative(tmp_path: Path) -> None:
    frames = packets.talk(0.16)
    copied = [*frames, (frames[-1][0] + 1, frames[-1][1]), (frames[-1][0] + 2, frames[-1][1])]
    path = packets.pcap(tmp_path / "copied.pcap", copied)
    (total,) = capture.totals(path, ports=[6000])
    assert (total.line.lost, total.line.lost_percent) == (-2, -25.0)
    for session in capture.read(path, ports=[6000]).sessions:
        assert not any(stream.packetLoss for stream in session.audioIn + session.audioOut)


def test_a_sender_that_starts_anew_loses_nothing(tmp_path: Path) -> None:
    again = packets.talk(5, first_seq=20_000, start_ns=START_NS + 5_000 * MS)
    taken = taken_of(tmp_path, packets.talk(5) + again)
    assert one(by_address(taken)[BOB].audioIn).packetLoss == [0.0]
    assert "1 restarts of a stream's sequence numbers" in taken.unused


def test_silence_ends_a_run_and_speech_after_it_begins_another(tmp_path: Path) -> None:
    later = packets.talk(40, first_seq=65_500 + 2_000, start_ns=START_NS + 400_000 * MS)
    runs = by_address(taken_of(tmp_path, packets.talk(40) + later))[BOB].audioIn
    assert [run.packetLoss for run in runs] == [[0.0], [0.0]]


def test_one_wrong_clock_takes_no_other_figure_with_it(tmp_path: Path) -> None:
    frames = packets.talk(60)
    wrong = [(frames[-1][0] + 3 * 10**17, packets.talk(61)[-1][1])]
    path = packets.pcap(tmp_path / "odd.pcap", frames + wrong)
    first = by_address(capture.read(path))[BOB].audioIn[0]
    assert first.packetLoss == [0.0]
    assert first.mediaBitRate == [64_000]


def test_a_clock_that_is_put_back_makes_no_spike(tmp_path: Path) -> None:
    frames = packets.talk(300)
    # After two minutes the clock is put back by one: for a minute it shows times that were before.
    stepped = [
        (at_ns - 60_000 * MS if place >= 6_000 else at_ns, data)
        for place, (at_ns, data) in enumerate(frames)
    ]
    path = packets.pcap(tmp_path / "stepped.pcap", stepped)
    taken = capture.read(path)
    rates = [rate for run in by_address(taken)[BOB].audioIn for rate in run.mediaBitRate]
    assert rates == [64_000] * 4
    assert "2999 packets older than the newest before them in the capture" in taken.unused


def reports(*, both: bool) -> list[tuple[int, bytes]]:
    """Bob is 30 ms away from the capture point and Alice 10; each way and back."""
    frames: list[tuple[int, bytes]] = []
    for second in range(20):
        at_ns, ntp = START_NS + second * 1_000 * MS, (4_000_000_000 + second) << 32
        lsr, held = ntp >> 16 & 0xFFFFFFFF, 65_536 // 10
        lost, highest = 5 * second, 65_500 + 50 * second
        for source, to, away_ms, ssrc, theirs in ((A, B, 60, 0xA1, 0xB1), (B, A, 20, 0xB1, 0xA1)):
            if ssrc == 0xA1 or both:
                sent = packets.sender_report(ssrc, ntp)
                frames.append((at_ns, packets.frame(packets.ip(sent, source, to))))
            back = packets.receiver_report(
                theirs, ssrc, lost=lost, highest=highest, jitter=80, lsr=lsr, dlsr=held
            )
            answer_ns = at_ns + (100 + away_ms) * MS
            frames.append((answer_ns, packets.frame(packets.ip(back, to, source))))
    return frames


def test_latency_is_the_sum_of_both_ways_and_unknown_with_one(tmp_path: Path) -> None:
    media = packets.talk(20) + packets.talk(20, source=B, to=A, ssrc=0xB1)
    sessions = by_address(taken_of(tmp_path, media + reports(both=True)))
    for address in (ALICE, BOB):
        for stream in (one(sessions[address].audioIn), one(sessions[address].audioOut)):
            assert stream.latency == [pytest.approx(80, abs=0.2)]
    alone = by_address(taken_of(tmp_path, media + reports(both=False)))
    assert one(alone[ALICE].audioOut).latency == []


def test_loss_of_what_was_sent_is_the_far_ends_and_of_what_came_is_counted(tmp_path: Path) -> None:
    media = packets.talk(20) + packets.talk(20, source=B, to=A, ssrc=0xB1)
    sessions = by_address(taken_of(tmp_path, media + reports(both=True)))
    sent, came = one(sessions[ALICE].audioOut), one(sessions[BOB].audioIn)
    assert sent.packetLoss == [10.0]
    assert sent.jitter == [10.0]
    assert came.packetLoss == [0.0]


def test_encrypted_rtcp_is_counted_and_not_used(tmp_path: Path) -> None:
    secret = packets.sender_report(0xA1, 1 << 63) + bytes(range(14))
    frames = [*packets.talk(4), (START_NS + 1, packets.frame(packets.ip(secret)))]
    taken = taken_of(tmp_path, frames)
    assert "1 RTCP packets that are encrypted, malformed or no reports" in taken.unused


SDP = """v=0\r\no=- 1 1 IN IP4 192.0.2.2\r\ns=-\r\nc=IN IP4 192.0.2.2\r\nt=0 0\r\n\
m=audio 6000 RTP/AVP 111 101\r\na=rtpmap:111 opus/48000/2\r\na=rtpmap:101 telephone-event/8000\r\n\
m=video 6002 RTP/AVP 96 97\r\na=rtpmap:96 H264/90000\r\n\
a=fmtp:96 packetization-mode=1;profile-level-id=42e01f\r\n\
a=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\n\
m=video 6004 RTP/AVP 98\r\na=content:slides\r\na=rtpmap:98 VP9/90000\r\n"""


def invite(sdp: str) -> bytes:
    head = "INVITE sip:bob@192.0.2.2 SIP/2.0\r\nContent-Type: application/sdp\r\n\r\n"
    return packets.frame(packets.ip((head + sdp).encode(), End(BOB, 5060), End(ALICE, 5060)))


def pictures(to: End, ssrc: int, payload_type: int, seconds: int) -> list[tuple[int, bytes]]:
    """15 pictures of 3 packets a second, all of a picture at once."""
    return [
        (
            START_NS + place // 3 * 1_000 * MS // 15 + place % 3,
            packets.frame(
                packets.ip(
                    packets.rtp(
                        place,
                        place // 3 * 6_000,
                        ssrc=ssrc,
                        payload_type=payload_type,
                        marker=place % 3 == 2,
                        payload=bytes(1_000),
                    ),
                    A,
                    to,
                )
            ),
        )
        for place in range(45 * seconds)
    ]


def test_sdp_in_the_capture_names_codecs_kinds_and_retransmissions(tmp_path: Path) -> None:
    frames = [
        (START_NS - MS, invite(SDP)),
        *packets.talk(20, payload_type=111, clock_khz=48),
        *pictures(End(BOB, 6002), 2, 96, 20),
        *pictures(End(BOB, 6002), 3, 97, 20),
        *pictures(End(BOB, 6004), 4, 98, 20),
    ]
    taken = taken_of(tmp_path, frames)
    bob = by_address(taken)[BOB]
    assert one(bob.audioIn).codec == "Opus"
    assert one(bob.videoIn).codec == "H.264 CBP"
    assert one(bob.shareIn).codec == "VP9"
    assert one(bob.videoIn).frameRate == [pytest.approx(15, abs=0.1)]
    assert one(bob.videoIn).mediaBitRate == [pytest.approx(360_000, rel=0.01)]
    assert "900 retransmissions (RTX), left out of the figures" in taken.unused


def test_without_sdp_video_is_known_by_its_clock_and_pictures(tmp_path: Path) -> None:
    taken = taken_of(tmp_path, pictures(B, 2, 96, 20))
    bob = by_address(taken)[BOB]
    assert one(bob.videoIn).frameRate == [pytest.approx(15, abs=0.1)]
    assert one(bob.videoIn).codec == ""
    assert not bob.audioIn


@pytest.mark.parametrize("clock_khz", [11, 24, 60])
def test_jitter_is_unknown_when_the_clock_rate_is_not_certain(
    tmp_path: Path, clock_khz: int
) -> None:
    taken = taken_of(tmp_path, packets.talk(20, payload_type=96, clock_khz=clock_khz))
    heard = one(by_address(taken)[BOB].audioIn)
    assert heard.jitter == []
    assert heard.packetLoss == [0.0]
    assert "1 streams have no jitter: their clock rate is not known" in taken.unused


def test_each_endpoint_is_a_participant_of_its_own(tmp_path: Path) -> None:
    alice, bob = taken_of(tmp_path, packets.talk(4)).sessions
    assert alice.participantId != bob.participantId
    for session in (alice, bob):
        assert session.participantSessionId == session.participantId.upper()
        assert str(session.joinTime) < str(session.leaveTime)


def test_the_error_without_libpcap_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "libpcap", None)
    path = packets.pcap(tmp_path / "made.pcap", packets.talk(1))
    with pytest.raises(Invalid, match=r"pip install 'roomtone\[capture\]'"):
        capture.read(path)
