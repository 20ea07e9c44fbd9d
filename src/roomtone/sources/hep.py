"""HEP3 datagrams (Homer's encapsulation): chunks, and the RTCP report that they carry.

Chunk: vendor, type, length (its 6 bytes of head included), 2 bytes each; then the value.
"""

import hmac
import ipaddress
import struct
from typing import Final, NamedTuple

from roomtone.sources import rtcp
from roomtone.sources.rtcp import Report
from roomtone.sources.sip import meeting_id

MAGIC: Final = b"HEP3"
HEAD_BYTES: Final = 6
CHUNKS_MAX: Final = 64
PROTOCOL_RTCP: Final = 5
TRANSPORTS: Final = {b"\x11": "UDP", b"\x06": "TCP"}
"""IP protocol numbers; what is neither has no name here."""

IP_PROTOCOL, SOURCE_V4, SOURCE_V6, SOURCE_PORT = 2, 3, 5, 7
SECONDS, MICROSECONDS, PROTOCOL, KEY, PAYLOAD, CORRELATION = 9, 10, 11, 14, 15, 17


class Unusable(Exception):
    """A datagram that gives nothing: `fate` says why, as it is counted."""

    def __init__(self, fate: str) -> None:
        super().__init__(fate)
        self.fate = fate


class Packet(NamedTuple):
    """An RTCP report, when an agent saw it (ms since 1970), in which call, and who sent it."""

    meeting: str
    at_ms: float
    address: str
    port: int
    transport: str
    report: Report


def read(datagram: bytes, *, key: str = "") -> Packet:
    """The report of a datagram; Unusable. With a `key` the datagram must have the same."""
    chunks = chunks_of(datagram)
    if key and not hmac.compare_digest(chunks.get(KEY, b""), key.encode()):
        raise Unusable("wrong_key")
    if _number(chunks, PROTOCOL, 1) != PROTOCOL_RTCP:
        raise Unusable("other")
    meeting = _meeting(chunks.get(CORRELATION, b""))
    try:
        report = rtcp.read(chunks.get(PAYLOAD, b""))
    except rtcp.Malformed:
        raise Unusable("malformed") from None
    return Packet(
        meeting=meeting,
        at_ms=1000 * _number(chunks, SECONDS, 4) + _number(chunks, MICROSECONDS, 4) / 1000,
        address=_address(chunks),
        port=_number(chunks, SOURCE_PORT, 2),
        transport=TRANSPORTS.get(chunks.get(IP_PROTOCOL, b""), ""),
        report=report,
    )


def chunks_of(datagram: bytes) -> dict[int, bytes]:
    """The generic chunks by type; Unusable when the lengths do not fit."""
    if datagram[:4] != MAGIC or len(datagram) < HEAD_BYTES:
        raise Unusable("malformed")
    (length,) = struct.unpack_from("!H", datagram, 4)
    if length != len(datagram):
        raise Unusable("malformed")
    found: dict[int, bytes] = {}
    at = HEAD_BYTES
    for _ in range(CHUNKS_MAX):
        if at == length:
            return found
        if length - at < HEAD_BYTES:
            break
        vendor, kind, size = struct.unpack_from("!HHH", datagram, at)
        if size < HEAD_BYTES or at + size > length:
            break
        if vendor == 0:
            found.setdefault(kind, datagram[at + HEAD_BYTES : at + size])
        at += size
    raise Unusable("malformed")


def _meeting(correlation: bytes) -> str:
    try:
        meeting = meeting_id(correlation.rstrip(b"\0").decode())
    except UnicodeDecodeError:
        meeting = ""
    if not meeting:
        raise Unusable("no_call")
    return meeting


def _number(chunks: dict[int, bytes], kind: int, size: int) -> int:
    value = chunks.get(kind, b"")
    if len(value) != size:
        raise Unusable("malformed")
    return int.from_bytes(value, "big")


def _address(chunks: dict[int, bytes]) -> str:
    value = chunks.get(SOURCE_V4) or chunks.get(SOURCE_V6, b"")
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        raise Unusable("malformed") from None
