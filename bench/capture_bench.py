"""Measures `roomtone import` of a capture: a call of two for an hour, beside libpcap alone.

720,000 packets: audio of 50 packets a second each way, and video of 50 each way.
"""

import resource
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from bench.rows import Bench, Row
from roomtone.sources.capture.file import File

PACKETS: Final = 720_000
STREAMS: Final = 4
PERIOD_US: Final = 20_000
LOST_EVERY: Final = 97
START_S: Final = 1_795_000_000
PAYLOADS: Final = (bytes(120), bytes(120), bytes(1_000), bytes(1_000))
SECONDS_MAX: Final = 20.0
IMPORT_S_MAX: Final = 300


def write_capture(path: Path, packets: int = PACKETS) -> None:
    """A PCAP file of the call; a packet in 97 is missing."""
    frames = [frame(stream) for stream in range(STREAMS)]
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65_535, 1))
        for number in range(packets + packets // (LOST_EVERY - 1)):
            if number % LOST_EVERY == 0:
                continue
            place, stream = divmod(number, STREAMS)
            made = frames[stream]
            stamp = place * (960 if stream < 2 else 1_800) & 0xFFFFFFFF
            struct.pack_into("!HI", made, 44, place & 0xFFFF, stamp)
            second, rest = divmod(place * PERIOD_US + stream * 900 + place % 7 * 130, 1_000_000)
            file.write(struct.pack("<IIII", START_S + second, rest, len(made), len(made)))
            file.write(made)


def frame(stream: int) -> bytearray:
    """An Ethernet frame of a stream, whose sequence number and time stamp are still 0."""
    payload = PAYLOADS[stream]
    ends = (b"\xc0\x00\x02\x01", b"\xc0\x00\x02\x02")
    first, second = ends if stream % 2 else ends[::-1]
    rtp = struct.pack("!BBHII", 0x80, 111 if stream < 2 else 96, 0, 0, 1 + stream) + payload
    udp = struct.pack("!HHHH", 5_000 + stream, 5_000 + stream, 8 + len(rtp), 0) + rtp
    head = struct.pack("!BBHIBBH", 0x45, 0, 20 + len(udp), 0, 64, 17, 0)
    return bytearray(bytes(12) + b"\x08\x00" + head + first + second + udp)


def import_s(path: Path) -> tuple[float, float]:
    """How long the command takes in a new folder, and how much CPU."""
    with tempfile.TemporaryDirectory(dir=path.parent) as data:
        started, spent = time.perf_counter(), children_s()
        command = [sys.executable, "-m", "roomtone", "import", "--data", data, "--org", "bench"]
        subprocess.run([*command, str(path)], check=True, timeout=IMPORT_S_MAX, capture_output=True)
        return time.perf_counter() - started, children_s() - spent


def children_s() -> float:
    """CPU of all processes that were started here and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def plain_s(path: Path) -> float:
    """How long it takes to have every packet from libpcap, and do nothing with it."""
    started = time.perf_counter()
    file = File(path)
    count = sum(1 for _ in file)
    file.close()
    assert count > 0
    return time.perf_counter() - started


def rows(bench: Bench) -> list[Row]:
    """The row of the table."""
    path = bench.folder / "hour.pcap"
    write_capture(path)
    try:
        found = [import_s(path) for _ in range(bench.rounds)]
        plain = statistics.median(plain_s(path) for _ in range(bench.rounds))
    finally:
        path.unlink()
    runs = tuple(run for run, _ in found)
    measured, cpu = statistics.median(runs), statistics.median(cpu for _, cpu in found)
    return [
        Row(
            what=f"import of a capture of {PACKETS:,} packets, the whole command",
            unit="s",
            measured=measured,
            limit=SECONDS_MAX,
            less_is_better=True,
            peer="libpcap alone",
            peer_measured=plain,
            runs=runs,
            note=f"{PACKETS / measured:,.0f} packets/s; {cpu:.1f} s of CPU",
        )
    ]


def main() -> None:
    """Print the row alone: it needs neither wrk nor PostgreSQL."""
    with tempfile.TemporaryDirectory(prefix="roomtone-bench-") as folder:
        for row in rows(Bench(folder=Path(folder), rounds=3, seconds=0)):
            print(row.what, f"{row.measured:.2f} {row.unit};", row.note)
            print("runs", *(f"{run:.2f}" for run in row.runs), f"; {row.peer}", row.peer_measured)


if __name__ == "__main__":
    main()
