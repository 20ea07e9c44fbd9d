"""HEP3 datagrams for tests: those that rtpengine sent, and those that are made."""

import base64
import functools
import ipaddress
import json
import socket
import struct
from typing import Any

from tests.conftest import DATA

START_S = 1_795_430_000
NTP_OFFSET_S = 2_208_988_800


@functools.cache
def datagrams() -> list[bytes]:
    """What rtpengine 10.5.3 sent in 28 s of a call of PCMU, in which every 20th packet of one way
    was dropped."""
    lines = (DATA / "hep" / "rtpengine.jsonl").read_text().splitlines()
    return [base64.b64decode(json.loads(line)["hep"]) for line in lines]


@functools.cache
def gstreamer() -> list[bytes]:
    """What rtpengine sent of a call between two GStreamer pipelines."""
    text = (DATA / "hep" / "rtpengine-gstreamer.json").read_text()
    return [from_chunks(chunks) for chunks in json.loads(text)]


def from_chunks(chunks: dict[str, Any]) -> bytes:
    """A datagram of chunks as the capture lists them."""
    return datagram(
        call=chunks["17"],
        address=chunks["3"],
        port=chunks["7"],
        seconds=chunks["9"],
        microseconds=chunks["10"],
        payload=chunks["15"].encode(),
    )


def chunk(kind: int, value: bytes, *, vendor: int = 0) -> bytes:
    return struct.pack("!HHH", vendor, kind, 6 + len(value)) + value


def wrapped(*chunks: bytes) -> bytes:
    """Chunks as a datagram."""
    body = b"".join(chunks)
    return b"HEP3" + struct.pack("!H", 6 + len(body)) + body


def datagram(
    *,
    call: str = "made-1@test",
    address: str = "10.0.0.1",
    port: int = 5_001,
    seconds: int = START_S,
    microseconds: int = 0,
    protocol: int = 5,
    key: str | None = None,
    payload: bytes | None = None,
) -> bytes:
    """A datagram with a report of one block, unless `payload` is something else."""
    ip = ipaddress.ip_address(address)
    first = 3 if ip.version == 4 else 5
    chunks = [
        chunk(1, b"\x02" if ip.version == 4 else b"\x0a"),
        chunk(2, b"\x11"),
        chunk(first, ip.packed),
        chunk(first + 1, ip.packed),
        chunk(7, struct.pack("!H", port)),
        chunk(8, struct.pack("!H", 30_000)),
        chunk(9, struct.pack("!I", seconds)),
        chunk(10, struct.pack("!I", microseconds)),
        chunk(11, bytes([protocol])),
        chunk(12, struct.pack("!I", 2_001)),
    ]
    if key is not None:
        chunks.append(chunk(14, key.encode()))
    chunks.append(chunk(17, call.encode()))
    chunks.append(chunk(15, json.dumps(report()).encode() if payload is None else payload))
    return wrapped(*chunks)


def report(**fields: Any) -> dict[str, Any]:
    """A receiver report with one block, as an agent writes it."""
    return {
        "ssrc": 1,
        "type": 201,
        "report_count": 1,
        "report_blocks": [block()],
        **fields,
    }


def block(**fields: Any) -> dict[str, Any]:
    """A report block as an agent writes it."""
    zeros = {"fraction_lost": 0, "ia_jitter": 0, "packets_lost": 0, "lsr": 0, "dlsr": 0}
    return {"source_ssrc": 2, "highest_seq_no": 1_000, **zeros, **fields}


def sent(at_s: float, *, rate: int = 8_000, packets: int = 0, octets: int = 0) -> dict[str, int]:
    """What a sender report says at a time, for a clock of `rate` Hz."""
    seconds = int(at_s)
    return {
        "ntp_timestamp_sec": seconds + NTP_OFFSET_S,
        "ntp_timestamp_usec": int((at_s - seconds) * 2**32),
        "rtp_timestamp": round((at_s - START_S) * rate) % 2**32,
        "packets": packets,
        "octets": octets,
    }


def free_udp_port() -> int:
    """A port of the loopback that nobody has now."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as picked:
        picked.bind(("127.0.0.1", 0))
        port: int = picked.getsockname()[1]
        return port
