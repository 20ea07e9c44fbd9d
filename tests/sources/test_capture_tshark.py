"""Totals of captured streams against tshark's, to the printed digit."""

import random
import shutil
import subprocess
from ipaddress import ip_address
from pathlib import Path

import pytest

from roomtone.sources import capture
from tests.sources import packets

DATA = Path(__file__).parent.parent / "data" / "rtp"
SIP_TESTER = Path("/usr/share/sip-tester")
TSHARK = shutil.which("tshark")
TSHARK_S_MAX = 60
HISTORIES = 12

needs_tshark = pytest.mark.skipif(TSHARK is None, reason="needs Debian's tshark")


def tshark_lines(path: Path, ports: list[int]) -> list[list[str]]:
    """Ends, SSRC, packets, lost, percent, least, mean and greatest delta and jitter."""
    assert TSHARK
    decode = [part for port in ports for part in ("-d", f"udp.port=={port},rtp")]
    run = subprocess.run(
        [TSHARK, "-n", "-r", str(path), *decode, "-q", "-z", "rtp,streams"],
        capture_output=True,
        text=True,
        check=True,
        timeout=TSHARK_S_MAX,
    )
    rows = [line.split() for line in run.stdout.splitlines() if " 0x" in line]
    # The payload type may be words of its own: what stands before and after it counts.
    return [row[2:7] + [part for part in row if part != "X"][-9:] for row in rows]


def our_lines(path: Path, ports: list[int]) -> list[list[str]]:
    return [
        [
            str(ip_address(total.source)),
            str(total.source_port),
            str(ip_address(total.destination)),
            str(total.destination_port),
            f"0x{total.ssrc:08X}",
            str(total.line.packets),
            str(total.line.lost),
            f"({total.line.lost_percent:.1f}%)",
            *(
                f"{value:.3f}"
                for value in (
                    total.line.delta_min,
                    total.line.delta_mean,
                    total.line.delta_max,
                    total.line.jitter_min,
                    total.line.jitter_mean,
                    total.line.jitter_max,
                )
            ),
        ]
        for total in capture.totals(path, ports=ports)
    ]


@needs_tshark
@pytest.mark.parametrize(
    ("name", "port"),
    [("g711-5pct-exact-loopback.pcapng", 5004), ("gst-opus-rtcp-5pct-40ms.pcapng", 5004)],
)
@pytest.mark.parametrize("found", ["by port", "by itself"])
def test_totals_of_recorded_calls_are_tsharks(name: str, port: int, found: str) -> None:
    expected = tshark_lines(DATA / name, [port])
    assert len(expected) == 1
    assert our_lines(DATA / name, [port] if found == "by port" else []) == expected


@needs_tshark
@pytest.mark.skipif(not SIP_TESTER.is_dir(), reason="needs Debian's sip-tester")
@pytest.mark.parametrize("found", ["by port", "by itself"])
def test_totals_of_all_captures_of_sip_tester_are_tsharks(found: str) -> None:
    files = sorted(SIP_TESTER.glob("*.pcap"))
    assert len(files) >= 13
    for path in files:
        port = 2006 if path.name == "g711a.pcap" else 10_000
        expected = tshark_lines(path, [port])
        assert len(expected) == 1
        assert our_lines(path, [port] if found == "by port" else []) == expected, path.name


def history(seed: int) -> list[tuple[int, bytes]]:
    """Two streams with loss, copies, late packets, marker bits, silence and sequence wraps."""
    dice = random.Random(seed)
    sent: list[tuple[int, bytes]] = []
    for ssrc, payload_type in ((0x11, 0), (0x22, 97)):
        stamp, seq = dice.randrange(2**32), dice.randrange(2**16)
        for place in range(300):
            stamp += 160 if dice.random() < 0.97 else 16_000
            at_ns = packets.START_NS + 20_000_000 * place + dice.randrange(0, 60_000_000)
            if place == 299:
                at_ns += 90_000_000  # tshark 4.0 takes the last number to come for the highest
            marker = dice.random() < 0.05
            kind = 13 if payload_type == 0 and dice.random() < 0.05 else payload_type
            data = packets.frame(
                packets.ip(
                    packets.rtp(seq + place, stamp, ssrc=ssrc, payload_type=kind, marker=marker)
                )
            )
            if 0 < place < 299 and dice.random() < 0.06:
                continue
            sent.append((at_ns, data))
            if place < 299 and dice.random() < 0.03:
                sent.append((at_ns + dice.randrange(1, 30_000_000), data))
    return sorted(sent)


@needs_tshark
@pytest.mark.parametrize("seed", range(HISTORIES))
def test_totals_of_rough_histories_are_tsharks(tmp_path: Path, seed: int) -> None:
    path = packets.pcap(tmp_path / "rough.pcap", history(seed))
    assert sorted(our_lines(path, [6000])) == sorted(tshark_lines(path, [6000]))
