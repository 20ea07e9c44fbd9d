"""A bridge between two interfaces that loses and delays UDP, and logs every packet of it.

    python relay.py LEFT RIGHT LOG.csv SEED [tcp]

Stands alone, as a process of its own (of real-time priority, where that is allowed). Each line of
standard input is a new road: [[loss %, delay ms, jitter ms] to the right, [...] to the left].
Only RTP is delayed by delay +- jitter: RTCP, STUN and DTLS by the delay itself, because the browser
takes few round trips a minute, and the mean of ten of them would tell of chance. All are lost
alike. With "tcp", TCP is impaired too. Times are time.time(), which the browsers' clocks follow.
"""

import heapq
import json
import os
import random
import select
import signal
import socket
import sys
import time
from typing import Final, NamedTuple, TextIO

FRAMES_A_TURN_MAX: Final = 64
WAIT_S_MAX: Final = 0.5
RECEIVE_BUFFER_OCTETS: Final = 8 * 2**20
ETHERNET_OCTETS: Final = 14
UDP_OCTETS: Final = 8
UDP, TCP = 17, 6
DNS_PORTS: Final = frozenset({53, 5353})
"""A query's random id may look like RTP's first octets."""
COLUMNS: Final = "t_in,t_out,way,kind,ssrc,pt,seq,ts,octets,header,dropped"
Impairment = tuple[float, float, float]


class Packet(NamedTuple):
    """What is logged of UDP: octets of the payload, and of RTP's header with its extension."""

    kind: str
    ssrc: int = 0
    pt: int = 0
    seq: int = 0
    ts: int = 0
    octets: int = 0
    header: int = 0


def parse(frame: bytes) -> Packet | None:
    """The UDP packet in an Ethernet frame; None for everything else."""
    if protocol(frame) != UDP:
        return None
    at = ETHERNET_OCTETS + (frame[ETHERNET_OCTETS] & 15) * 4
    ports = {int.from_bytes(frame[at : at + 2]), int.from_bytes(frame[at + 2 : at + 4])}
    body = frame[at + UDP_OCTETS :]
    kind = "other" if ports & DNS_PORTS else kind_of(body)
    if kind == "rtcp":
        return Packet(kind, ssrc=int.from_bytes(body[4:8]), octets=len(body))
    if kind != "rtp":
        return Packet(kind, octets=len(body))
    return Packet(
        kind,
        ssrc=int.from_bytes(body[8:12]),
        pt=body[1] & 127,
        seq=int.from_bytes(body[2:4]),
        ts=int.from_bytes(body[4:8]),
        octets=len(body),
        header=header_octets(body),
    )


def protocol(frame: bytes) -> int | None:
    """The IPv4 protocol of an Ethernet frame."""
    is_ip = len(frame) > ETHERNET_OCTETS + 20 + UDP_OCTETS and frame[12:14] == b"\x08\x00"
    return frame[23] if is_ip else None


def kind_of(body: bytes) -> str:
    """What WebRTC multiplexes on one port (RFC 7983)."""
    if len(body) < 12:
        return "other"
    if body[0] < 4:
        return "stun"
    if 20 <= body[0] < 64:
        return "dtls"
    if 128 <= body[0] < 192:
        return "rtcp" if 192 <= body[1] <= 223 else "rtp"
    return "other"


def header_octets(body: bytes) -> int:
    """RTP's header, with sources and extension (RFC 3550, 5.1), which SRTP leaves readable."""
    octets = 12 + 4 * (body[0] & 15)
    if body[0] & 16 and len(body) >= octets + 4:
        octets += 4 + 4 * int.from_bytes(body[octets + 2 : octets + 4])
    return octets


class Relay:
    """The two ends, the frames that are under way, and the log."""

    def __init__(self, names: tuple[str, str], log: TextIO, *, seed: int, tcp_too: bool) -> None:
        self.ends = [raw_socket(name) for name in names]
        self.log = log
        self.random = random.Random(seed)
        self.tcp_too = tcp_too
        self.road: tuple[Impairment, Impairment] = ((0, 0, 0), (0, 0, 0))
        self.queue: list[tuple[float, int, int, bytes, str]] = []
        self.serial = 0
        self.running = True

    def run(self, orders: int) -> None:
        """Until standard input ends or SIGTERM comes."""
        while self.running:
            self.deliver()
            wait = max(0.0, min(WAIT_S_MAX, self.queue[0][0] - time.time())) if self.queue else 0.5
            numbers = [*(end.fileno() for end in self.ends), orders]
            for ready in select.select(numbers, [], [], wait)[0]:
                if ready == orders:
                    self.obey(os.read(orders, 65_536).decode())
                else:
                    self.take(numbers.index(ready))

    def obey(self, text: str) -> None:
        self.running = self.running and bool(text)
        for line in text.splitlines():
            self.road = json.loads(line)

    def take(self, way: int) -> None:
        end = self.ends[way]
        for _ in range(FRAMES_A_TURN_MAX):
            try:
                frame, address = end.recvfrom(65_535)
            except BlockingIOError:
                return
            if address[2] != socket.PACKET_OUTGOING:
                self.impair(way, frame)

    def impair(self, way: int, frame: bytes) -> None:
        """Put a frame on its way, or drop it."""
        now, packet = time.time(), parse(frame)
        loss, delay_ms, jitter_ms = self.road[way]
        if packet is None and not (self.tcp_too and protocol(frame) == TCP):
            loss, delay_ms = 0, 0
        if packet is None or packet.kind != "rtp":
            jitter_ms = 0
        dropped = self.random.random() < loss / 100
        due = now + max(0.0, delay_ms + self.random.uniform(-jitter_ms, jitter_ms)) / 1000
        line = ""
        if packet is not None:
            kind, *numbers = packet
            line = f"{way},{kind},{','.join(map(str, numbers))},{int(dropped)}\n"
            line = f"{now:.6f},{{:.6f}},{line}"
        if dropped:
            self.log.write(line.format(due))
            return
        self.serial += 1
        heapq.heappush(self.queue, (due, self.serial, way, frame, line))

    def deliver(self) -> None:
        while self.queue and self.queue[0][0] <= (now := time.time()):
            _, _, way, frame, line = heapq.heappop(self.queue)
            try:
                self.ends[1 - way].send(frame)
            except OSError as error:
                sys.stderr.write(f"not sent: {len(frame)} octets: {error}\n")
                continue
            self.log.write(line.format(now))


def raw_socket(name: str) -> socket.socket:
    """All frames of an interface."""
    end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    end.bind((name, 0))
    end.setblocking(False)
    end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_OCTETS)
    return end


def main(left: str, right: str, path: str, seed: str, *more: str) -> None:
    with open(path, "w") as log:  # noqa: PTH123  a process without the project
        log.write(COLUMNS + "\n")
        relay = Relay((left, right), log, seed=int(seed), tcp_too="tcp" in more)
        signal.signal(signal.SIGTERM, lambda *_: setattr(relay, "running", False))
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        relay.run(sys.stdin.fileno())


if __name__ == "__main__":
    main(*sys.argv[1:])
