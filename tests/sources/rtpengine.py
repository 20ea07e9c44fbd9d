"""A real rtpengine in userspace, and two telephones that call each other through it."""

import math
import random
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

from tests.sources.heps import NTP_OFFSET_S, free_udp_port

READY_S_MAX = 20
STOP_S_MAX = 10
PORTS = 40
PACKET_S = 0.02
TICKS = 160
"""RTP clock units, and bytes, of a packet of 20 ms of PCMU."""
Target = tuple[str, int]


def bencode(value: Any) -> bytes:
    if isinstance(value, list):
        return b"l" + b"".join(map(bencode, value)) + b"e"
    if isinstance(value, dict):
        return b"d" + b"".join(bencode(key) + bencode(value[key]) for key in sorted(value)) + b"e"
    return b"%d:%s" % (len(value.encode()), value.encode())


def bdecode(raw: bytes, at: int = 0) -> tuple[Any, int]:
    """(a value, where it ends)."""
    head = raw[at : at + 1]
    if head == b"i":
        end = raw.index(b"e", at)
        return int(raw[at + 1 : end]), end + 1
    if head in (b"l", b"d"):
        found, at = [], at + 1
        while raw[at : at + 1] != b"e":
            value, at = bdecode(raw, at)
            found.append(value)
        whole: Any = dict(zip(found[::2], found[1::2], strict=True)) if head == b"d" else found
        return whole, at + 1
    colon = raw.index(b":", at)
    end = colon + 1 + int(raw[at:colon])
    return raw[colon + 1 : end].decode(), end


def free_udp_ports(count: int) -> int:
    """The first, an even one, of so many neighbouring ports that nobody has now."""
    for _ in range(100):
        base = free_udp_port() & ~1
        with ExitStack() as bound:
            try:
                for port in range(base, base + count):
                    one = bound.enter_context(closing(udp()))
                    one.bind(("127.0.0.1", port))
            except (OSError, OverflowError):
                continue
            return base
    raise AssertionError("no free ports")


def udp() -> socket.socket:
    return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)


class Engine:
    """The daemon's control protocol: one datagram `cookie bencode` there, one back."""

    def __init__(self, port: int) -> None:
        self.port = port

    def ask(self, command: str, **fields: Any) -> dict[str, Any]:
        with udp() as control:
            control.settimeout(2)
            control.connect(("127.0.0.1", self.port))
            request = {"command": command} | {k.replace("_", "-"): v for k, v in fields.items()}
            control.send(b"c%d " % random.getrandbits(30) + bencode(request))
            answer: dict[str, Any] = bdecode(control.recv(65_535).split(b" ", 1)[1])[0]
            return answer


@contextmanager
def running(log: Path, hep_port: int) -> Iterator[Engine]:
    """rtpengine on free ports of the loopback, without its kernel module, sending HEP3."""
    control, base = free_udp_port(), free_udp_ports(PORTS)
    command = ["rtpengine", "--foreground", "--log-stderr", "--log-level=5", "--config-file=none"]
    command += ["--table=-1", "--interface=127.0.0.1", f"--listen-ng=127.0.0.1:{control}"]
    command += [f"--homer=127.0.0.1:{hep_port}", "--homer-protocol=udp", "--homer-id=2001"]
    command += ["--num-threads=2", f"--port-min={base}", f"--port-max={base + PORTS - 1}"]
    command += ["--delete-delay=0"]
    with log.open("wb") as file:
        process = subprocess.Popen(command, stderr=file)
        try:
            engine = Engine(control)
            wait_until_it_answers(engine, process, log)
            yield engine
        finally:
            process.terminate()
            process.wait(STOP_S_MAX)


def wait_until_it_answers(engine: Engine, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + READY_S_MAX
    while True:
        try:
            assert engine.ask("ping")["result"] == "pong"
        except (ConnectionError, TimeoutError):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        else:
            return


def sdp(port: int) -> str:
    return (
        f"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
        f"m=audio {port} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na=sendrecv\r\na=rtcp:{port + 1}\r\n"
    )


def port_of(description: str) -> int:
    return int(description.split("m=audio ")[1].split()[0])


class Telephone:
    """Sends 50 packets of PCMU a second, and sender reports with a block (RFC 3550, 6.4.1)."""

    def __init__(self, port: int, name: str, *, drop_every: int = 0) -> None:
        self.name, self.port, self.drop_every = name, port, drop_every
        self.ssrc, self.sequence = random.getrandbits(32), random.getrandbits(15)
        self.sent = self.dropped = 0
        self.first = self.top = self.heard = self.source = 0
        self.lsr, self.lsr_at_s = 0, 0.0
        self.rtp, self.rtcp = udp(), udp()
        for number, one in enumerate((self.rtp, self.rtcp)):
            one.bind(("127.0.0.1", port + number))
            one.setblocking(False)

    def close(self) -> None:
        self.rtp.close()
        self.rtcp.close()

    def send(self, target: Target) -> None:
        """A packet, unless it is one that is to be lost."""
        self.sequence, self.sent = (self.sequence + 1) & 0xFFFF, self.sent + 1
        if self.drop_every and self.sent % self.drop_every == 0:
            self.dropped += 1
            return
        head = struct.pack("!BBHII", 0x80, 0, self.sequence, self.sent * TICKS, self.ssrc)
        self.rtp.sendto(head + b"\xff" * TICKS, target)

    def receive(self) -> None:
        """What has come."""
        for raw in waiting(self.rtp):
            _, _, sequence, _, self.source = struct.unpack_from("!BBHII", raw)
            if not self.heard:
                self.first = self.top = sequence
            self.heard += 1
            ahead = (sequence - self.top) & 0xFFFF
            self.top += (
                ahead if ahead < 0x8000 else 0
            )  # rtpengine's threads may overtake each other
        for raw in waiting(self.rtcp):
            if raw[1] == 200:
                (self.lsr,), self.lsr_at_s = struct.unpack_from("!I", raw, 10), time.monotonic()

    def report(self, target: Target) -> None:
        fraction, seconds = math.modf(time.time() + NTP_OFFSET_S)
        block = b""
        if self.heard:
            lost = self.top - self.first + 1 - self.heard
            delay = int((time.monotonic() - self.lsr_at_s) * 65_536) if self.lsr else 0
            counts = (self.source, lost & 0xFFFFFF, self.top, 0, self.lsr, delay)
            block = struct.pack("!6I", *counts)
        times = (int(seconds), int(fraction * 2**32), self.sent * TICKS)
        head = struct.pack("!BBHI", 0x80 | bool(block), 200, 6 + len(block) // 4, self.ssrc)
        body = struct.pack("!5I", *times, self.sent, self.sent * TICKS)
        items = struct.pack("!IBB", self.ssrc, 1, len(self.name)) + self.name.encode()
        items += b"\0" * (4 - len(items) % 4)
        names = struct.pack("!BBH", 0x81, 202, len(items) // 4) + items
        self.rtcp.sendto(head + body + block + names, target)


def waiting(one: socket.socket) -> Iterator[bytes]:
    while True:
        try:
            yield one.recv(2_048)
        except BlockingIOError:
            return


def call(engine: Engine, call_id: str, *, packets: int, drop_every: int) -> tuple[int, int]:
    """A call in which Ada loses every so many'th packet on the way to Bob.

    Returns how many Ada sent and how many of these were lost.
    """
    base = free_udp_ports(4)
    ada, bob = Telephone(base, "ada@a", drop_every=drop_every), Telephone(base + 2, "bob@b")
    with closing(ada), closing(bob):
        named = {"call_id": call_id, "from_tag": "tag-a", "ICE": "remove"}
        offered = engine.ask("offer", **named, sdp=sdp(ada.port))
        answered = engine.ask("answer", **named, to_tag="tag-b", sdp=sdp(bob.port))
        talk(ada, bob, port_of(answered["sdp"]), port_of(offered["sdp"]), packets)
        engine.ask("delete", **named)
    return ada.sent, ada.dropped


def talk(ada: Telephone, bob: Telephone, for_ada: int, for_bob: int, packets: int) -> None:
    """Packets each 20 ms, and reports each 2 s."""
    due_s = time.monotonic()
    for count in range(1, packets + 1):
        ada.send(("127.0.0.1", for_ada))
        bob.send(("127.0.0.1", for_bob))
        due_s += PACKET_S
        time.sleep(max(0.0, due_s - time.monotonic()))
        ada.receive()
        bob.receive()
        if count % 100 == 0:
            ada.report(("127.0.0.1", for_ada + 1))
            bob.report(("127.0.0.1", for_bob + 1))
