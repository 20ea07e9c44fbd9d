"""HEP3 datagrams as measured sessions: units, who is who, round trips, and what is hostile."""

import json
import random
import struct
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roomtone import measure
from roomtone.model import COLUMNS, STREAM_KINDS, MediaSession, column_of, streams_of
from roomtone.sources import hep, rtcp, rtcp_calls
from roomtone.sources.hep import Packet, Unusable
from roomtone.sources.rtcp_calls import HELD_MS_MAX, STREAMS_MAX, Calls, clock_rate
from roomtone.sources.sip import meeting_id
from tests.sources.heps import (
    START_S,
    block,
    chunk,
    datagram,
    datagrams,
    gstreamer,
    report,
    sent,
    wrapped,
)

NOW_MS = START_S * 1000


def measured(
    packets: Iterable[bytes], *, interval_s: float = 10, in_turn: bool = True
) -> list[MediaSession]:
    """Sessions of datagrams, in the order in which their participants were first told of."""
    calls = Calls()
    told: dict[str, MediaSession] = {}
    seen: dict[str, list[measure.Seen]] = {}
    for packet in map(hep.read, packets):
        calls.take(packet, NOW_MS)
        if in_turn:
            take_ripe(calls.ripe(NOW_MS), told, seen)
    take_ripe(calls.ripe(NOW_MS, everything=True), told, seen)
    for name, session in told.items():
        _, found = measure.advance(b"", seen[name], interval_s=interval_s)
        for kind, streams in found.streams.items():
            setattr(session, kind, streams)
    return list(told.values())


def take_ripe(
    ripe: Iterable[Any], told: dict[str, MediaSession], seen: dict[str, list[measure.Seen]]
) -> None:
    for session, snapshots in ripe:
        told.setdefault(session.participantSessionId, session)
        seen.setdefault(session.participantSessionId, []).extend(snapshots)


def said(ssrc: int, at_s: float, *, end: int = 0, **more: Any) -> bytes:
    """A report of an SSRC that an agent sees at a time, from an address of the end."""
    fields = {name: more.pop(name) for name in list(more) if name in FIELDS}
    body = report(ssrc=ssrc, **fields)
    options = {"address": f"10.0.0.{end or ssrc}", "payload": json.dumps(body).encode()}
    seconds = int(at_s)
    return datagram(
        **{**options, **more}, seconds=seconds, microseconds=round((at_s - seconds) * 1e6)
    )


FIELDS = ("sender_information", "report_blocks", "sdes_information", "type")


# -- captured


def test_what_rtpengine_sent_has_the_losses_that_were_made() -> None:
    alice, bob = measured(datagrams())
    (came,), (went,) = bob.audioIn, alice.audioOut
    # Every 20th packet was dropped, and reports are of 100 packets, give or take one.
    assert came.packetLoss == [5.0, 5.01, 4.98]
    assert went.packetLoss == [5.0, 5.01, None]
    assert alice.audioIn[0].packetLoss == bob.audioOut[0].packetLoss == [0.0, 0.0, 0.0]
    assert went.mediaBitRate == [64_000, 64_000, 64_000]
    assert came.mediaBitRate == []
    assert {one.meetingInstanceId for one in (alice, bob)} == {"call-1@spike"}


def test_the_jitter_is_in_milliseconds_of_the_clock_that_sender_reports_show() -> None:
    _, bob = measured(datagrams(), interval_s=30)
    units = [block["ia_jitter"] for one in datagrams()[3::2] for block in blocks_of(one)]
    mean_ms = sum(units) / len(units) / 8  # 8,000 Hz
    (told,) = bob.audioIn[0].jitter
    assert told == pytest.approx(mean_ms, abs=1.5)


def blocks_of(raw: bytes) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(hep.chunks_of(raw)[15])["report_blocks"]
    return found


def test_gstreamers_call_has_its_own_losses() -> None:
    sessions = measured(gstreamer(), interval_s=30)
    (heard,) = [one for one in sessions if one.audioIn]
    blocks = [block for one in gstreamer() for block in blocks_of(one)]
    lost = blocks[-1]["packets_lost"] - blocks[0]["packets_lost"]
    expected = blocks[-1]["highest_seq_no"] - blocks[0]["highest_seq_no"]
    assert heard.audioIn[0].packetLoss == [round(100 * lost / expected, 2)]


# -- chunks


def test_a_datagram_is_read_chunk_by_chunk() -> None:
    packet = hep.read(datagram(address="2001:db8::1", microseconds=250_000))
    assert packet.meeting == "made-1@test"
    assert (packet.address, packet.port, packet.transport) == ("2001:db8::1", 5_001, "UDP")
    assert packet.at_ms == NOW_MS + 250
    assert packet.report.blocks()[0].highest_seq_no == 1_000


def test_chunks_that_are_not_known_are_passed_over() -> None:
    raw = datagram()[6:] + chunk(19, b"node") + chunk(1, b"x", vendor=9)
    assert hep.read(wrapped(raw)) == hep.read(datagram())


@pytest.mark.parametrize(
    ("raw", "fate"),
    [
        (b"", "malformed"),
        (b"HEP3\x00\x06", "other"),
        (b"HEP2" + datagram()[4:], "malformed"),
        (datagram() + b"x", "malformed"),
        (datagram()[:-1], "malformed"),
        (wrapped(chunk(11, b"\x05")[:-1]), "malformed"),
        (wrapped(struct.pack("!HHH", 0, 11, 5)), "malformed"),
        (wrapped(*[chunk(99, b"")] * 65), "malformed"),
        (datagram(protocol=1), "other"),
        (datagram(call=""), "no_call"),
        (datagram(call="x" * 257), "no_call"),
        (datagram(payload=b""), "malformed"),
        (datagram(payload=b"{"), "malformed"),
        (datagram(payload=b"\xff"), "malformed"),
        (datagram(payload=b"[" * 100_00), "malformed"),
        (datagram(payload=b'{"ssrc":1}'), "malformed"),
    ],
)
def test_what_is_no_report_of_a_call_says_why(raw: bytes, fate: str) -> None:
    if len(raw) == 6:
        fate = "malformed"
    with pytest.raises(Unusable) as caught:
        hep.read(raw)
    assert caught.value.fate == fate


def test_a_key_must_be_the_same() -> None:
    assert hep.read(datagram(key="k"), key="k")
    assert hep.read(datagram(key="k"))
    for raw in (datagram(), datagram(key=""), datagram(key="K"), datagram(key="kk")):
        with pytest.raises(Unusable, match="wrong_key"):
            hep.read(raw, key="k")


@pytest.mark.parametrize(
    ("call_id", "meeting"),
    [("a@b", "a@b"), (" a ", "a"), ("<a>", "%3Ca%3E"), ("a\x00", ""), ("", ""), ("x" * 257, "")],
)
def test_a_call_id_is_a_meetings_id(call_id: str, meeting: str) -> None:
    assert meeting_id(call_id) == meeting


# -- RTCP


@pytest.mark.parametrize(
    ("wire", "lost"),
    [(0, 0), (7, 7), (0x7FFFFF, 0x7FFFFF), (0xFFFFFF, -1), (0x800000, -(2**23)), (-3, -3)],
)
def test_cumulative_loss_has_its_sign_again(wire: int, lost: int) -> None:
    raw = json.dumps(report(report_blocks=[block(packets_lost=wire, highest_seq_no=2**24)]))
    assert rtcp.read(raw.encode()).blocks()[0].lost() == lost


@pytest.mark.parametrize(
    "fields",
    [
        {"packets_lost": 1_002},
        {"packets_lost": 2**24},
        {"packets_lost": 1.5},
        {"ia_jitter": -1},
        {"highest_seq_no": 2**32},
        {"highest_seq_no": "1"},
        {"source_ssrc": None},
    ],
)
def test_a_block_that_cannot_be_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(rtcp.Malformed):
        rtcp.read(json.dumps(report(report_blocks=[block(**fields)])).encode())


def test_what_heplify_writes_of_a_receiver_report_is_no_sender_report() -> None:
    zeros = dict.fromkeys(sent(START_S), 0)
    found = rtcp.read(json.dumps(report(sender_information=zeros)).encode())
    assert found.sender_information is None
    with pytest.raises(rtcp.Malformed):
        rtcp.read(json.dumps(report(sender_information=zeros, report_blocks=None)).encode())


def packed(*, ssrc: int = 1, lost: int = 3, name: bytes = b"ada@x") -> bytes:
    """A compound packet as it is sent: a sender report with a block, and a CNAME."""
    sender = struct.pack("!IIIIII", ssrc, 1, 2, 3, 4, 5)
    blocks = struct.pack("!IIIIII", 2, 10 << 24 | lost & 0xFFFFFF, 1_000, 80, 6, 7)
    items = struct.pack("!IBB", ssrc, 1, len(name)) + name
    items += b"\0" * (4 - len(items) % 4)
    return (
        struct.pack("!BBH", 0x81, 200, 12) + sender + blocks
        + struct.pack("!BBH", 0x81, 202, len(items) // 4) + items
    )  # fmt: skip


def test_rtcp_itself_is_read_as_its_json() -> None:
    found = rtcp.read(packed(lost=-2))
    assert (found.ssrc, found.cname()) == (1, "ada@x")
    assert found.sender_information == rtcp.Sent(1, 2, 3, 4, 5)
    (one,) = found.blocks()
    assert (one.lost(), one.highest_seq_no, one.ia_jitter, one.lsr, one.dlsr) == (
        -2,
        1_000,
        80,
        6,
        7,
    )


@pytest.mark.parametrize("length", range(len(packed())))
def test_rtcp_that_is_cut_off_is_refused_but_for_a_whole_first_packet(length: int) -> None:
    if length == 52:
        assert rtcp.read(packed()[:length]).blocks()
        return
    with pytest.raises(rtcp.Malformed):
        rtcp.read(packed()[:length])


@given(st.binary(min_size=14, max_size=14), st.binary(min_size=44, max_size=44))
def test_srtcp_gives_no_figures(tag: bytes, secret: bytes) -> None:
    # RFC 3711, 3.4: the first 8 bytes are in the clear, then an E bit, an index and a tag follow.
    raw = struct.pack("!BBHI", 0x81, 200, 12, 1) + secret + bytes([0x80]) + tag[1:]
    with pytest.raises(rtcp.Malformed):
        rtcp.read(raw)


# -- clocks


@pytest.mark.parametrize(
    ("ticks", "rate"),
    [
        (8_000, 8_000),
        (7_800, 8_000),
        (48_900, 48_000),
        (46_000, 0),
        (90_000, 90_000),
        (0, 0),
        (1e9, 0),
    ],
)
def test_a_clock_rate_is_one_that_is_in_use_or_unknown(ticks: float, rate: int) -> None:
    assert clock_rate(ticks) == rate


def call_of(*, rate: int, count: int = 8, blocks: bool = True) -> list[bytes]:
    """End 1 sends with a clock of `rate`, end 2 hears it: 100 packets a second, 2 lost each."""
    packets: list[bytes] = []
    for n in range(count):
        at_s = START_S + 5 * n
        told = sent(at_s, rate=rate, packets=500 * n, octets=80_000 * n)
        packets.append(said(1, at_s, sender_information=told, report_blocks=[]))
        heard = block(source_ssrc=1, highest_seq_no=500 * n, packets_lost=10 * n, ia_jitter=450)
        packets.append(said(2, at_s + 0.1, report_blocks=[heard] if blocks else []))
    return packets if blocks else packets[::2]


@pytest.mark.parametrize(
    ("rate", "kind", "jitter_ms"),
    [(90_000, "videoIn", 5.0), (48_000, "audioIn", 9.4), (8_000, "audioIn", 56.2)],
)
def test_a_stream_is_what_its_clock_says(rate: int, kind: Any, jitter_ms: float) -> None:
    one, two = measured(call_of(rate=rate))
    (heard,) = streams_of(two, kind)
    assert heard.packetLoss[:2] == [2.0, 2.0]
    assert heard.jitter[:2] == [jitter_ms, jitter_ms]
    (went,) = streams_of(one, kind.replace("In", "Out"))
    assert went.packetLoss[:2] == [2.0, 2.0]
    assert went.mediaBitRate[:2] == [128_000, 128_000]


def test_without_a_clock_it_is_taken_for_audio_and_jitter_is_unknown() -> None:
    (two,) = measured(call_of(rate=8_000)[1::2])
    (heard,) = two.audioIn
    assert heard.packetLoss[:2] == [2.0, 2.0]
    assert heard.jitter == []


def test_reports_wait_for_the_clock_and_not_for_ever() -> None:
    calls = Calls()
    first, heard, second, *_ = map(hep.read, call_of(rate=90_000))
    for packet in (first, heard):
        calls.take(packet, NOW_MS)
        assert calls.ripe(NOW_MS + HELD_MS_MAX - 1) == []
    calls.take(second, NOW_MS + 5_000)
    assert [len(one.seen) for one in calls.ripe(NOW_MS + 5_000)] == [2, 1]
    silent = Calls()
    silent.take(heard, NOW_MS)
    assert silent.ripe(NOW_MS + HELD_MS_MAX - 1) == []
    assert [len(one.seen) for one in silent.ripe(NOW_MS + HELD_MS_MAX)] == [1]


# -- who is who


ENDS = [(1, 5_001, "ada", 8_000), (2, 5_003, "ada", 48_000), (3, 5_005, "bob", 8_000)]


def test_one_cname_of_one_address_is_one_participant() -> None:
    packets: list[bytes] = []
    for at_s in range(START_S, START_S + 20, 5):
        for ssrc, port, cname, rate in ENDS:
            grown = at_s - START_S
            told = sent(at_s, rate=rate, packets=50 * grown, octets=8_000 * grown)
            names = [{"type": 1, "text": cname}, {"type": 6, "text": "tool"}]
            fields = {"sender_information": told, "report_blocks": [], "sdes_information": names}
            packets.append(said(ssrc, at_s, end=9, port=port, **fields))
    ada, bob = measured(packets)
    assert ada.audioOut[0].mediaBitRate == [128_000, 128_000]
    assert bob.audioOut[0].mediaBitRate == [64_000, 64_000]
    assert ada.localIP == bob.localIP == "10.0.0.9"


def test_without_a_cname_each_port_is_a_participant() -> None:
    packets = [said(n, START_S, end=9, port=5_000 + n) for n in (1, 2)]
    assert len(measured(packets)) == 2


def test_what_a_relay_passes_on_is_no_second_participant() -> None:
    calls = Calls()
    calls.take(hep.read(said(1, START_S)), NOW_MS)
    with pytest.raises(Unusable, match="relayed"):
        calls.take(hep.read(said(1, START_S + 0.01, address="10.9.9.9")), NOW_MS)
    calls.take(hep.read(said(1, START_S + 60, address="10.9.9.9")), NOW_MS)  # it has moved


def test_the_same_ssrc_in_two_calls_is_two_streams() -> None:
    calls = Calls()
    for call in ("a", "b"):
        calls.take(hep.read(said(1, START_S, call=call, end=len(call) + ord(call) % 5)), NOW_MS)
    found = calls.ripe(NOW_MS, everything=True)
    assert len({one.session.participantId for one in found}) == 2


def test_a_call_with_too_many_streams_keeps_those_it_knows() -> None:
    calls = Calls()
    for ssrc in range(1, STREAMS_MAX):
        calls.take(hep.read(said(ssrc + 2, START_S, end=1, port=ssrc)), NOW_MS)
    with pytest.raises(Unusable, match="too_many"):
        calls.take(hep.read(said(1_000, START_S, end=1)), NOW_MS)


def test_what_is_known_of_calls_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rtcp_calls, "CALLS_MAX", 3)
    monkeypatch.setattr(rtcp_calls, "STREAMS_ALL_MAX", 4)
    calls = Calls()
    for number in range(10):
        calls.take(hep.read(said(1, START_S, call=f"c{number}")), NOW_MS)
    # Of each call two streams are known: its reporter's, and the one that is reported on.
    found = calls.ripe(NOW_MS, everything=True)
    assert {one.session.meetingInstanceId for one in found} == {"c8", "c9"}


def test_an_end_that_moves_all_the_time_is_not_remembered_at_every_place() -> None:
    calls = Calls()
    for number in range(2 * rtcp_calls.ENDS_MAX):
        moved = said(1, START_S + 60 * number, address=f"10.1.{number // 256}.{number % 256}")
        calls.take(hep.read(moved), NOW_MS)
        assert len(calls.ripe(NOW_MS, everything=True)) == 1
    assert len(calls._calls["made-1@test"].ends) <= rtcp_calls.ENDS_MAX


# -- round trips


def trip(to_one_s: float, to_two_s: float, *, one_ahead_s: float = 0.0) -> list[bytes]:
    """Two ends so far from the agent, there and back, who answer each other's sender reports.

    End 1's clock may be ahead: no figure may depend on it.
    """
    packets: list[tuple[float, bytes]] = []
    heard: dict[int, tuple[int, float]] = {}
    for n in range(12):
        end, other = (1, 2) if n % 2 == 0 else (2, 1)
        passes_s = START_S + 5.0 * n
        far_s = {1: to_one_s / 2, 2: to_two_s / 2}
        sent_s = passes_s - far_s[end]
        told = sent(sent_s + one_ahead_s * (end == 1), packets=500 * n, octets=n)
        lsr, came_s = heard.get(end, (0, sent_s))
        dlsr = round((sent_s - came_s) * 65_536)
        answer = block(source_ssrc=other, highest_seq_no=500 * n, lsr=lsr, dlsr=dlsr)
        packets.append(
            (passes_s, said(end, passes_s, sender_information=told, report_blocks=[answer]))
        )
        ntp = told["ntp_timestamp_sec"] << 32 | told["ntp_timestamp_usec"]
        heard[other] = (ntp >> 16 & 0xFFFFFFFF, passes_s + far_s[other])
    return [raw for _, raw in sorted(packets)]


@pytest.mark.parametrize("ahead_s", [0.0, 3_600.0, -0.04])
@pytest.mark.parametrize(("one_s", "two_s"), [(0.02, 0.14), (0.08, 0.08), (0.0, 0.16)])
def test_the_round_trip_is_from_end_to_end_whatever_the_clocks(
    one_s: float, two_s: float, ahead_s: float
) -> None:
    for session in measured(trip(one_s, two_s, one_ahead_s=ahead_s), interval_s=60):
        for stream in (*session.audioIn, *session.audioOut):
            assert stream.latency == [pytest.approx(160, abs=0.2)]


def test_with_one_ends_answers_alone_the_round_trip_is_unknown() -> None:
    deaf = [one for n, one in enumerate(trip(0.02, 0.14)) if n % 2]
    for session in measured(deaf, interval_s=60):
        assert not any(one.latency for kind in STREAM_KINDS for one in streams_of(session, kind))


# -- order, repetition, loss


@given(st.randoms(use_true_random=False), st.sets(st.integers(0, 27), max_size=10))
@settings(max_examples=60, deadline=None)
def test_shuffled_and_repeated_reports_measure_as_if_in_order(
    chance: random.Random, again: set[int]
) -> None:
    packets = [*datagrams(), *(datagrams()[n] for n in again)]
    chance.shuffle(packets)
    wanted = measured(datagrams(), in_turn=False)
    found = {one.participantId: one for one in measured(packets, in_turn=False)}
    assert [found[one.participantId] for one in wanted] == wanted


@given(st.sets(st.integers(1, 26), max_size=12))
@settings(max_examples=60, deadline=None)
def test_reports_that_never_came_are_made_up_for_by_the_next(lost: set[int]) -> None:
    left = [one for n, one in enumerate(datagrams()) if n not in lost]
    for session in measured(left, interval_s=30):
        for stream in (*session.audioIn, *session.audioOut):
            for loss in stream.packetLoss:
                assert loss is None or loss == 0 or loss == pytest.approx(5, abs=0.15)


@given(
    st.lists(st.lists(st.booleans(), min_size=100, max_size=400), min_size=2, max_size=12),
    st.integers(0, 65_535),
)
@settings(max_examples=60, deadline=None)
def test_loss_is_that_of_the_packets(reports: Sequence[list[bool]], first: int) -> None:
    """Packets that came (True) or not between reports of 5 s, against the ratio of the sums.

    One comes before each report: time in which none came at the end is no part of a stream.
    """
    highest, lost, packets = first + 99, 0, [heard_by_two(START_S, first + 99, 0)]
    for n, told in enumerate(reports, 1):
        came = [*told, True]
        highest, lost = highest + len(came), lost + came.count(False)
        packets.append(heard_by_two(START_S + 5 * n, highest, lost))
    (two,) = measured(packets, interval_s=5 * len(reports))
    total = sum(map(len, reports)) + len(reports)
    assert two.audioIn[0].packetLoss == [round(100 * lost / total, 2)]


def heard_by_two(at_s: float, highest: int, lost: int) -> bytes:
    return said(
        2, at_s, report_blocks=[block(source_ssrc=1, highest_seq_no=highest, packets_lost=lost)]
    )


# -- hostile


def assert_sane(sessions: Iterable[MediaSession]) -> None:
    for session in sessions:
        for kind in STREAM_KINDS:
            for stream in streams_of(session, kind):
                for column in COLUMNS:
                    most = 100 if column == "packetLoss" else 2**80
                    values = [one for one in column_of(stream, column) if one is not None]
                    assert all(0 <= value <= most for value in values), (column, values)


def usable(packets: Iterable[bytes]) -> list[Packet]:
    """Those that can be read; the others are refused by name."""
    found: list[Packet] = []
    for raw in packets:
        try:
            found.append(hep.read(raw))
        except Unusable as refused:
            assert refused.fate in {"malformed", "other", "no_call"}  # noqa: PT017
    return found


def measured_anyhow(packets: Iterable[Packet]) -> list[MediaSession]:
    calls = Calls()
    told: dict[str, MediaSession] = {}
    seen: dict[str, list[measure.Seen]] = {}
    for packet in packets:
        try:
            calls.take(packet, NOW_MS)
        except Unusable as refused:
            assert refused.fate in {"relayed", "too_many"}  # noqa: PT017
        take_ripe(calls.ripe(NOW_MS), told, seen)
    take_ripe(calls.ripe(NOW_MS, everything=True), told, seen)
    for name, session in told.items():
        _, found = measure.advance(b"", seen[name], interval_s=10)
        for kind, streams in found.streams.items():
            setattr(session, kind, streams)
    return list(told.values())


@given(st.binary(max_size=200), st.randoms(use_true_random=False))
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_refused_by_name(raw: bytes, chance: random.Random) -> None:
    usable([raw, b"HEP3" + raw, wrapped(raw), datagram(payload=raw), datagram(payload=b"{" + raw)])
    chance.shuffle(chunks := [chunk(n, raw[:8]) for n in range(1, 20)])
    usable([wrapped(*chunks)])


@given(st.randoms(use_true_random=False))
@settings(max_examples=150, deadline=None)
def test_changed_datagrams_are_refused_or_give_sane_figures(chance: random.Random) -> None:
    packets: list[bytes] = []
    for raw in datagrams():
        changed = bytearray(raw)
        for _ in range(chance.randrange(3)):
            changed[chance.randrange(len(changed))] = chance.choice(b"0123456789\x00\xff{}:,")
        packets.append(bytes(changed) if chance.random() < 0.7 else raw)
    assert_sane(measured_anyhow(usable(packets)))


WORDS = st.sampled_from([0, 1, 2, 255, 65_535, 2**23, 2**24 - 1, 2**31, 2**32 - 1]) | st.integers(
    0, 2**32 - 1
)


@st.composite
def hostile(draw: st.DrawFn) -> bytes:
    """A report whose counters say anything that fits."""
    blocks = [
        block(
            source_ssrc=draw(st.integers(1, 3)),
            highest_seq_no=draw(WORDS),
            packets_lost=draw(st.integers(-(2**23), 2**24 - 1) | st.integers(0, 100)),
            ia_jitter=draw(WORDS),
            lsr=draw(WORDS),
            dlsr=draw(WORDS),
        )
        for _ in range(draw(st.integers(0, 3)))
    ]
    names = ("ntp_timestamp_sec", "ntp_timestamp_usec", "rtp_timestamp", "packets", "octets")
    told = {name: draw(WORDS) for name in names} if draw(st.booleans()) else None
    at_s = START_S + draw(st.integers(-400, 400)) + draw(st.sampled_from([0.0, 0.001, 0.5]))
    ssrc = draw(st.integers(1, 3))
    return said(ssrc, at_s, sender_information=told, report_blocks=blocks)


@given(st.lists(hostile(), max_size=25))
@settings(max_examples=300, deadline=None)
def test_counters_that_say_anything_give_sane_figures(packets: list[bytes]) -> None:
    assert_sane(measured_anyhow(usable(packets)))
