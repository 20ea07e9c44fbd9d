"""The recorded call and what the relay saw of it on the wire."""

import csv
import gzip
import json
import statistics
from pathlib import Path
from typing import Any

import msgspec

from roomtone.measure import Report

DATA = Path(__file__).parent.parent / "data" / "measure"
SRTP_TAG_OCTETS = 10  # SRTP_AES128_CM_HMAC_SHA1_80
PEERS = ("A", "B")


def read_json(name: str) -> Any:
    with gzip.open(DATA / f"{name}.json.gz", "rt") as file:
        return json.load(file)


SERIES = read_json("getstats-series-1s-5pct-80ms-20j")


def reports_of(peer: str) -> list[Report]:
    return [
        msgspec.convert({"connection": "pc1", "timestamp": one["t"], "stats": one["r"]}, Report)
        for one in SERIES[peer]
    ]


class Packet(msgspec.Struct):
    sent_s: float
    received_s: float | None
    ts: int
    octets: int


def wire() -> dict[int, list[Packet]]:
    """Packets by SSRC in the order they were sent; RTCP and the relay's strays are left out."""
    found: dict[int, list[Packet]] = {}
    with gzip.open(DATA / "relay-truth-5pct-80ms-20j.csv.gz", "rt") as file:
        for row in csv.DictReader(file):
            received = float(row["t_out"]) if row["t_out"] else None
            packet = Packet(float(row["t_in"]), received, int(row["ts"]), int(row["len"]))
            found.setdefault(int(row["ssrc"]), []).append(packet)
    return found


WIRE = wire()


def entries(peer: str, kind: str) -> list[tuple[float, dict[str, Any]]]:
    """(time in s, the entry) of a peer's only entry of a kind such as inbound-rtp/audio."""
    return [
        (one["t"] / 1000, entry)
        for one in SERIES[peer]
        for entry in one["r"]
        if kind_of(entry) == kind
    ]


def kind_of(entry: dict[str, Any]) -> str:
    direction = {"inbound-rtp": "In", "outbound-rtp": "Out"}.get(entry["type"], "")
    media = "share" if entry.get("contentType") == "screenshare" else entry.get("kind", "")
    return media + direction


def clock_offset_s(peer: str) -> float:
    """Wall clock minus the relay's: a report of n audio packets came after the n-th was delivered.

    Where they came in order; the smallest wait over the reports is the time to hand it over.
    """
    waits: list[float] = []
    for at_s, entry in entries(peer, "audioIn"):
        delivered = sorted(p.received_s for p in WIRE[entry["ssrc"]] if p.received_s is not None)
        count = entry["packetsReceived"]
        if 0 < count <= len(delivered):
            waits.append(at_s - delivered[count - 1])
    return statistics.median(waits)
