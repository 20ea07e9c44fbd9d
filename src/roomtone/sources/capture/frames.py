"""From a captured frame to the UDP datagram in it: link layer, VLAN tags, IPv4, IPv6."""

from collections import Counter
from collections.abc import Callable
from typing import Final

VLANS_MAX: Final = 4
EXTENSIONS_MAX: Final = 8
VLAN_TYPES: Final = frozenset((b"\x81\x00", b"\x88\xa8", b"\x91\x00"))
IP_TYPES: Final = frozenset((b"\x08\x00", b"\x86\xdd"))
UDP: Final = 17
FRAGMENT: Final = 44
AUTHENTICATION: Final = 51
OPTIONS: Final = frozenset((0, 43, 60, 135))
"""IPv6 extension headers of a common form: hop-by-hop, routing, destination, mobility."""
FRAGMENT_BITS_4: Final = 0x3FFF
FRAGMENT_BITS_6: Final = 0xFFF9
UDP_HEADER: Final = 8

# DLT numbers of libpcap; raw IP has more than one.
NULL: Final = 0
ETHERNET: Final = 1
LOOP: Final = 108
SLL: Final = 113
SLL2: Final = 276
RAW: Final = frozenset((12, 14, 101, 228, 229))

Datagram = tuple[bytes, int, int]
"""(addresses and ports as on the wire, where the payload starts, its length on the wire).

The first is 8 bytes of IPv4 or 32 of IPv6 addresses, source first, and 4 bytes of ports.
"""
Opener = Callable[[bytes], int]
"""The offset of the IP header in a frame; -1: no IP in it."""


def after_type(data: bytes, at: int) -> int:
    """Behind an EtherType at `at` and VLAN tags that follow."""
    for _ in range(VLANS_MAX + 1):
        kind = data[at : at + 2]
        if kind in IP_TYPES:
            return at + 2
        if kind not in VLAN_TYPES:
            return -1
        at += 4
    return -1


def opener(link: int) -> Opener | None:
    """How to find IP in frames of a link type; None: it is not known here."""
    if link == ETHERNET:
        return lambda data: 14 if data[12:14] in IP_TYPES else after_type(data, 12)
    if link == SLL:
        return lambda data: after_type(data, 14)
    if link == SLL2:
        # The protocol comes first, and the header's other 18 bytes after it.
        return lambda data: 20 if data[0:2] in IP_TYPES else -1
    if link in (NULL, LOOP):
        return lambda data: 4
    return (lambda data: 0) if link in RAW else None


def datagram(data: bytes, at: int, skipped: Counter[str]) -> Datagram | None:
    """The UDP datagram in an IP packet at `at`; None: there is none that is whole enough.

    `skipped` counts what was left out and why.
    """
    if at < 0 or at >= len(data):
        return None
    version = data[at] >> 4
    if version == 4:
        return datagram_4(data, at, skipped)
    if version == 6:
        return datagram_6(data, at, skipped)
    return None


def datagram_4(data: bytes, at: int, skipped: Counter[str]) -> Datagram | None:
    """UDP over IPv4 (RFC 791)."""
    if len(data) < at + 20:
        skipped["cut off within their IP header"] += 1
        return None
    if data[at + 9] != UDP:
        return None
    if ((data[at + 6] << 8) | data[at + 7]) & FRAGMENT_BITS_4:
        skipped["IP fragments"] += 1
        return None
    header = (data[at] & 15) * 4
    if header < 20:
        skipped["malformed IP headers"] += 1
        return None
    return udp(data, at + header, data[at + 12 : at + 20], skipped)


def datagram_6(data: bytes, at: int, skipped: Counter[str]) -> Datagram | None:
    """UDP over IPv6 (RFC 8200), behind extension headers."""
    if len(data) < at + 40:
        skipped["cut off within their IP header"] += 1
        return None
    addresses, kind = data[at + 8 : at + 40], data[at + 6]
    at += 40
    for _ in range(EXTENSIONS_MAX):
        if kind == UDP:
            return udp(data, at, addresses, skipped)
        if len(data) < at + 8:
            break
        if kind == FRAGMENT:
            if ((data[at + 2] << 8) | data[at + 3]) & FRAGMENT_BITS_6:
                skipped["IP fragments"] += 1
                return None
            kind, at = data[at], at + 8
        elif kind in OPTIONS:
            kind, at = data[at], at + 8 * (data[at + 1] + 1)
        elif kind == AUTHENTICATION:
            kind, at = data[at], at + 4 * (data[at + 1] + 2)
        else:
            break
    return None


def udp(data: bytes, at: int, addresses: bytes, skipped: Counter[str]) -> Datagram | None:
    """The datagram at `at` (RFC 768)."""
    if len(data) < at + UDP_HEADER:
        skipped["cut off within their UDP header"] += 1
        return None
    length = ((data[at + 4] << 8) | data[at + 5]) - UDP_HEADER
    if length < 0:
        skipped["malformed UDP headers"] += 1
        return None
    return addresses + data[at : at + 4], at + UDP_HEADER, length
