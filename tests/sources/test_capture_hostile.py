"""Captures that are broken, cut off or made to do harm; and counting against a slow model."""

import random
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roomtone.errors import Invalid
from roomtone.model import COLUMNS, STREAM_KINDS, column_of, streams_of
from roomtone.sources import Taken, capture
from roomtone.sources.capture import table
from roomtone.sources.capture.stream import WINDOW, Order
from tests.sources import packets
from tests.sources.packets import BOB, START_NS, A, B, End

DATA = Path(__file__).parent.parent / "data" / "rtp"
SAMPLES = sorted(DATA.glob("*.pcapng"))
LARGE_BYTES = 200 * 2**20
MEMORY_MB_MAX = 200
DAMAGED = 150


def check(taken: Taken) -> None:
    """Nothing that is impossible is served."""
    for session in taken.sessions:
        for kind in STREAM_KINDS:
            for stream in streams_of(session, kind):
                for column in COLUMNS:
                    for value in column_of(stream, column):
                        assert value is None or 0 <= value < 2**53, (kind, column)
                assert all(value is None or value <= 100 for value in stream.packetLoss)


@pytest.mark.parametrize("size", [0, 3, 4, 23, 24, 30, 200, 10_000, 100_000])
@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name[:4])
def test_a_file_cut_off_gives_what_was_there_or_a_named_error(
    tmp_path: Path, path: Path, size: int
) -> None:
    cut = tmp_path / "cut"
    cut.write_bytes(path.read_bytes()[:size])
    if size <= 200:
        with pytest.raises(Invalid, match="no capture that can be read"):
            capture.read(cut)
        return
    taken = capture.read(cut)
    check(taken)
    assert any("truncated" in line and "part not read" in line for line in taken.unused)


@pytest.mark.parametrize("content", [b"", b"hello", bytes(100), b"\x0a\x0d\x0d\x0a" * 9])
def test_what_is_no_capture_is_a_named_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "no.pcap"
    path.write_bytes(content)
    with pytest.raises(Invalid, match="it is no capture that can be read"):
        capture.read(path)


def test_a_file_that_is_not_there_is_a_named_error(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="No such file"):
        capture.read(tmp_path / "none.pcap")


@pytest.mark.parametrize("link", [105, 127, 147, 220])
@pytest.mark.parametrize("form", ["pcap", "pcapng"])
def test_an_unknown_link_type_is_a_named_error(tmp_path: Path, link: int, form: str) -> None:
    path = tmp_path / "other"
    if form == "pcap":
        packets.pcap(path, packets.talk(1), link=link)
    else:
        packets.pcapng(path, packets.talk(1), links=(link,))
    with pytest.raises(Invalid, match="link type"):
        capture.read(path)


def test_interfaces_of_different_link_types_are_a_named_error(tmp_path: Path) -> None:
    path = packets.pcapng(tmp_path / "two", packets.talk(1), links=(1, 276))
    with pytest.raises(Invalid, match="different from the type of the first interface"):
        capture.read(path)


@pytest.mark.parametrize("length", [0, 8, 13, 2**24, 2**31, 2**32 - 4])
def test_block_lengths_that_lie_are_said_and_take_no_memory(tmp_path: Path, length: int) -> None:
    path = packets.pcapng(tmp_path / "bomb", packets.talk(4))
    with path.open("ab") as file:
        file.write(struct.pack("<II", 6, length) + bytes(100))
    taken = capture.read(path)
    assert len(taken.sessions) == 2
    assert any("part not read, after packet 200" in line for line in taken.unused)


@pytest.mark.parametrize("length", [2**20, 2**31 - 1, 2**32 - 1])
def test_packet_lengths_that_lie_are_said_and_take_no_memory(tmp_path: Path, length: int) -> None:
    path = packets.pcap(tmp_path / "bomb", packets.talk(4))
    with path.open("ab") as file:
        file.write(struct.pack("<IIII", 1_795_000_009, 0, length, length) + bytes(100))
    taken = capture.read(path)
    assert len(taken.sessions) == 2
    assert any("part not read, after packet 200" in line for line in taken.unused)


def test_damaged_files_give_no_impossible_figure(tmp_path: Path) -> None:
    dice = random.Random(3)
    path = tmp_path / "damaged"
    read = 0
    for _ in range(DAMAGED):
        content = bytearray(SAMPLES[1].read_bytes()[:60_000])
        for _ in range(dice.randrange(1, 40)):
            content[dice.randrange(200, len(content))] = dice.choice((0, 255, dice.randrange(256)))
        path.write_bytes(content)
        try:
            check(capture.read(path, ports=dice.choice(((), (5004,)))))
            read += 1
        except Invalid:
            continue
    assert read > DAMAGED // 2


def test_a_flood_of_ssrcs_is_counted_and_takes_no_memory(tmp_path: Path) -> None:
    def flood() -> Iterator[tuple[int, bytes]]:
        for place in range(30_000):
            data = packets.rtp(place, place * 160, ssrc=1_000 + place, payload=b"")
            yield START_NS + place * 1_000, packets.frame(packets.ip(data))

    path = packets.pcap(tmp_path / "flood.pcap", [*flood(), *packets.talk(10)])
    found = table.Table()
    capture.streams_in(path, found, capture.silent)
    assert len(found.waiting) <= table.CANDIDATES_MAX
    assert len(found.streams) == 1
    taken = capture.read(path)
    assert {session.localIP for session in taken.sessions} == {A.address, BOB}
    assert any("too many at once to tell RTP from chance" in line for line in taken.unused)


@pytest.mark.parametrize("ports", [(), (6000,)])
def test_more_streams_than_are_kept_are_counted(tmp_path: Path, ports: tuple[int, ...]) -> None:
    path = packets.pcap(
        tmp_path / "many.pcap",
        (
            (START_NS + place * 1_000, packets.frame(packets.ip(data)))
            for place in range(8)
            for ssrc in range(600)
            for data in [packets.rtp(place, place * 160, ssrc=ssrc, payload=b"")]
        ),
    )
    found = table.Table(ports)
    assert len(capture.streams_in(path, found, capture.silent)) == table.STREAMS_MAX
    assert found.skipped["packets that look like RTP, beyond the first 500 streams"] > 0


def test_ticks_are_bounded_and_intervals_stay_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table, "TICKS_MAX", 100)
    path = packets.pcap(tmp_path / "long.pcap", packets.talk(600, lost=range(10, 30_000, 50)))
    found = table.Table()
    (stream,) = capture.streams_in(path, found, capture.silent)
    assert len(stream.ticks) <= 102
    (session,) = [one for one in capture.read(path).sessions if one.localIP == BOB]
    assert session.audioIn[0].packetLoss == [pytest.approx(2.0, abs=0.1)] * 10


MEASURE_MEMORY = """
import re, sys
from pathlib import Path
from roomtone.sources import capture
seen = []
taken = capture.read(Path(sys.argv[1]), progress=seen.append)
assert seen == sorted(seen) and seen[-1] == Path(sys.argv[1]).stat().st_size and len(seen) > 20
# not ru_maxrss: that begins with what the process had that started this one
most = re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())
print(len(taken.sessions), int(most[1]) // 1024)
"""


def test_a_large_capture_is_streamed_in_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "large.pcap"
    frames = [
        packets.frame(packets.ip(packets.rtp(0, 0, payload=bytes(1_100)), A, End(BOB, port)))
        for port in (6000, 6002)
    ]
    with packets.pcap(path, []).open("ab") as file:
        for place in range(LARGE_BYTES // 2 // (16 + len(frames[0]))):
            for data in frames:
                made = bytearray(data)
                struct.pack_into("!HI", made, 44, place & 0xFFFF, place * 160 & 0xFFFFFFFF)
                second, rest = divmod(place, 50)
                size = len(made)
                file.write(
                    struct.pack("<IIII", 1_795_000_000 + second, rest * 20_000_000, size, size)
                )
                file.write(made)
    try:
        assert path.stat().st_size > LARGE_BYTES - 10_000
        run = subprocess.run(
            [sys.executable, "-c", MEASURE_MEMORY, str(path)],
            capture_output=True,
            text=True,
            check=True,
        )
    finally:
        path.unlink()
    sessions, memory_mb = map(int, run.stdout.split())
    assert sessions == 2
    assert memory_mb < MEMORY_MB_MAX


class Model:
    """Which packets there are, by their number in a history that is never cut."""

    def __init__(self, first: int) -> None:
        self.numbers = {first}

    def take(self, number: int) -> bool:
        fresh = number not in self.numbers
        self.numbers.add(number)
        return fresh

    @property
    def expected(self) -> int:
        return max(self.numbers) - min(self.numbers) + 1


@st.composite
def histories(draw: st.DrawFn) -> list[int]:
    """Numbers as they arrive: loss, copies, and late packets within the window."""
    number = draw(st.integers(2_000, 3 * 2**16))
    numbers = [number]
    for step in draw(st.lists(st.integers(-WINDOW + 1, 2_999), max_size=120)):
        if step > 0:
            number += step
            numbers.append(number)
        else:
            numbers.append(max(numbers) + step)
    return numbers


@settings(max_examples=400, deadline=None)
@given(histories())
def test_order_counts_like_a_set_of_all_packets(numbers: list[int]) -> None:
    model, order = Model(numbers[0]), Order(numbers[0] & 0xFFFF)
    for number in numbers[1:]:
        assert order.take(number & 0xFFFF) == model.take(number)
        assert order.expected == model.expected
        assert order.received == len(model.numbers)
    assert order.copies == len(numbers) - len(model.numbers)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.integers(0, 2**16 - 1), min_size=1, max_size=300))
def test_no_order_of_packets_makes_more_arrive_than_were_expected(numbers: list[int]) -> None:
    order = Order(numbers[0])
    for number in numbers[1:]:
        order.take(number)
        assert 0 < order.received <= order.expected


Arrival = tuple[int, int]
"""(ns since the first was sent, number)."""
INTERVAL_MS = 2_000


@st.composite
def arrivals(draw: st.DrawFn) -> list[Arrival]:
    """20 s of a packet each 20 ms: bursts of loss, copies, and delays of up to 200 ms."""
    dice = random.Random(draw(st.integers(0, 2**32)))
    loss, copies = draw(st.floats(0, 0.5)), draw(st.floats(0, 0.3))
    delay_ns = draw(st.integers(1, 200_000_000))
    first = draw(st.integers(0, 2**16))
    came: list[Arrival] = []
    losing = False
    for place in range(1_000):
        losing = dice.random() < (0.7 if losing else loss / 3)
        if not losing:
            at_ns = place * 20_000_000 + dice.randrange(delay_ns)
            came.append((at_ns, first + place))
            if dice.random() < copies:
                came.append((at_ns + dice.randrange(1, delay_ns + 1), first + place))
    return sorted(came)


def modelled(came: list[Arrival]) -> list[float | None]:
    """Loss of each whole interval, found by looking at all packets anew for each border."""
    start_ns = (START_NS + came[0][0]) // 1_000_000 * 1_000_000 - START_NS

    def counted(at_ms: int) -> tuple[int, int]:
        numbers = {number for at_ns, number in came if at_ns < start_ns + at_ms * 1_000_000}
        return (max(numbers) - min(numbers) + 1, len(numbers)) if numbers else (0, 0)

    values: list[float | None] = []
    for index in range((came[-1][0] - start_ns) // 1_000_000 // INTERVAL_MS):
        before, after = counted(index * INTERVAL_MS), counted((index + 1) * INTERVAL_MS)
        expected, received = after[0] - before[0], after[1] - before[1]
        lost = 100 * (expected - received) / expected if expected >= 50 else None
        values.append(None if lost is None else round(min(max(lost, 0.0), 100.0), 2))
    return values


@settings(max_examples=60, deadline=None)
@given(arrivals())
def test_loss_of_intervals_is_that_of_a_slow_model(
    tmp_path_factory: pytest.TempPathFactory, came: list[Arrival]
) -> None:
    path = tmp_path_factory.getbasetemp() / "model.pcap"
    frames = [
        (START_NS + at_ns, packets.frame(packets.ip(packets.rtp(number, number * 160))))
        for at_ns, number in came
    ]
    packets.pcap(path, frames)
    taken = capture.read(path, ports=[6000], interval_s=INTERVAL_MS / 1_000)
    check(taken)
    model = modelled(came)
    for session in taken.sessions:
        (stream,) = session.audioIn + session.audioOut
        assert stream.packetLoss[: len(model)] == model


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=300), max_size=60), st.sampled_from([1, 113, 276, 101, 0]))
def test_no_frame_is_an_exception(
    tmp_path_factory: pytest.TempPathFactory, frames: list[bytes], link: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.pcap"
    packets.pcap(path, ((START_NS + place, data) for place, data in enumerate(frames)), link=link)
    check(capture.read(path))


@settings(max_examples=150, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=80), max_size=60))
def test_no_datagram_is_an_exception(
    tmp_path_factory: pytest.TempPathFactory, payloads: list[bytes]
) -> None:
    path = tmp_path_factory.getbasetemp() / "datagrams.pcap"
    frames = [
        (START_NS + place, packets.frame(packets.ip(bytes([128 | payload[0] & 63]) + payload[1:])))
        for place, payload in enumerate(payloads)
    ]
    packets.pcap(path, frames)
    check(capture.read(path, ports=[B.port]))


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=600))
def test_no_sip_message_is_an_exception(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "sip.pcap"
    body = text.replace("!", "\r\na=rtpmap:").replace("?", "\r\nm=audio ")
    message = (
        "INVITE x SIP/2.0\r\nContent-Type: application/sdp\r\n\r\nc=IN IP4 192.0.2.2\r\n" + body
    )
    data = packets.frame(packets.ip(message.encode(errors="replace")[:60_000]))
    packets.pcap(path, [(START_NS, data), *packets.talk(0.4)])
    check(capture.read(path, ports=[6000]))
