"""Captures made for tests: RTP, RTCP and UDP frames of any link type, PCAP and PCAPNG files."""

import struct
from collections.abc import Iterable, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

ALICE, BOB = "192.0.2.1", "192.0.2.2"
START_NS = 1_795_000_000_000_000_000
MS = 1_000_000


class End(NamedTuple):
    address: str
    port: int


A, B = End(ALICE, 5000), End(BOB, 6000)


def rtp(
    seq: int,
    stamp: int,
    *,
    ssrc: int = 0xA1,
    payload_type: int = 0,
    marker: bool = False,
    payload: bytes = bytes(160),
    csrcs: int = 0,
    extension: bytes | None = None,
    padding: int = 0,
) -> bytes:
    first = 0x80 | csrcs | (0x10 if extension is not None else 0) | (0x20 if padding else 0)
    head = struct.pack(
        "!BBHII", first, marker << 7 | payload_type, seq & 0xFFFF, stamp & 0xFFFFFFFF, ssrc
    )
    head += bytes(4 * csrcs)
    if extension is not None:
        head += struct.pack("!HH", 0xBEDE, len(extension) // 4) + extension
    return head + payload + (bytes(padding - 1) + bytes([padding]) if padding else b"")


def sender_report(ssrc: int, ntp: int, *, packets: int = 0, octets: int = 0) -> bytes:
    return struct.pack("!BBHIQIII", 0x80, 200, 6, ssrc, ntp, 0, packets, octets)


def receiver_report(
    ssrc: int, of: int, *, lost: int, highest: int, jitter: int = 0, lsr: int = 0, dlsr: int = 0
) -> bytes:
    loss = lost & 0xFFFFFF
    return struct.pack("!BBHI", 0x81, 201, 7, ssrc) + struct.pack(
        "!IIIIII", of, loss, highest, jitter, lsr, dlsr
    )


def udp(payload: bytes, source: End = A, to: End = B) -> bytes:
    return struct.pack("!HHHH", source.port, to.port, 8 + len(payload), 0) + payload


def ip(payload: bytes, source: End = A, to: End = B, *, fragment: int = 0) -> bytes:
    """UDP in IPv4 or IPv6, by the addresses."""
    body = udp(payload, source, to)
    ends = ip_address(source.address).packed + ip_address(to.address).packed
    if len(ends) == 8:
        return struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 1, fragment, 64, 17, 0) + (
            ends + body
        )
    return struct.pack("!IHBB", 6 << 28, len(body), 17, 64) + ends + body


def frame(packet: bytes, link: int = 1, *, vlans: int = 0) -> bytes:
    """An IP packet in a frame of a link type: Ethernet 1, SLL 113, SLL2 276, raw, loopback."""
    kind = b"\x08\x00" if packet[0] >> 4 == 4 else b"\x86\xdd"
    tags = b"\x81\x00\x00\x07" * vlans
    if link == 1:
        return bytes(12) + tags + kind + packet
    if link == 113:
        return bytes(14) + tags + kind + packet
    if link == 276:
        return kind + bytes(18) + packet
    if link == 0:
        return struct.pack("=I", 2 if kind == b"\x08\x00" else 24) + packet
    return struct.pack("!I", 2) + packet if link == 108 else packet


Packets = Iterable[tuple[int, bytes]]
"""(ns since 1970, frame)."""


def pcap(
    path: Path,
    packets: Packets,
    *,
    link: int = 1,
    order: str = "<",
    nano: bool = True,
    snaplen: int = 65_535,
) -> Path:
    magic, unit = (0xA1B23C4D, 1) if nano else (0xA1B2C3D4, 1_000)
    with path.open("wb") as file:
        file.write(struct.pack(f"{order}IHHiIII", magic, 2, 4, 0, 0, snaplen, link))
        for at_ns, data in packets:
            second, rest = divmod(at_ns, 1_000_000_000)
            kept = data[:snaplen]
            file.write(struct.pack(f"{order}IIII", second, rest // unit, len(kept), len(data)))
            file.write(kept)
    return path


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    body += bytes(-len(body) % 4)
    size = struct.pack(f"{order}I", len(body) + 12)
    return struct.pack(f"{order}I", kind) + size + body + size


def pcapng(
    path: Path,
    packets: Packets,
    *,
    links: Sequence[int] = (1,),
    order: str = "<",
    nano: bool = True,
) -> Path:
    """All packets are of the first interface."""
    unit = 1 if nano else 1_000
    with path.open("wb") as file:
        file.write(block(0x0A0D0D0A, struct.pack(f"{order}IHHq", 0x1A2B3C4D, 1, 0, -1), order))
        for link in links:
            options = struct.pack(f"{order}HHB3xHH", 9, 1, 9 if nano else 6, 0, 0)
            file.write(block(1, struct.pack(f"{order}HHI", link, 0, 65_535) + options, order))
        for at_ns, data in packets:
            at = at_ns // unit
            head = struct.pack(f"{order}IIIII", 0, at >> 32, at & 0xFFFFFFFF, len(data), len(data))
            file.write(block(6, head + data, order))
    return path


def talk(
    seconds: float,
    *,
    lost: Iterable[int] = (),
    source: End = A,
    to: End = B,
    ssrc: int = 0xA1,
    payload_type: int = 0,
    clock_khz: int = 8,
    start_ns: int = START_NS,
    first_seq: int = 65_500,
) -> list[tuple[int, bytes]]:
    """A packet each 20 ms in Ethernet frames, without those whose place is in `lost`."""
    gone = set(lost)
    return [
        (
            start_ns + place * 20 * MS,
            frame(
                ip(
                    rtp(
                        first_seq + place,
                        place * 20 * clock_khz,
                        ssrc=ssrc,
                        payload_type=payload_type,
                    ),
                    source,
                    to,
                )
            ),
        )
        for place in range(round(seconds * 50))
        if place not in gone
    ]
