"""`roomtone import` of a capture: a meeting in the store, once."""

import json
from pathlib import Path

import pytest

from tests.cli.running import roomtone
from tests.sources import packets

DATA = Path(__file__).parent.parent / "data" / "rtp"


@pytest.mark.parametrize("port", [(), ("--port", "5004")])
def test_a_capture_becomes_a_meeting_and_again_changes_nothing(
    tmp_path: Path, port: tuple[str, ...]
) -> None:
    where = ["--data", str(tmp_path), "--org", "acme"]
    exported = []
    for _ in range(2):
        done = roomtone("import", *where, *port, str(DATA / "g711-5pct-exact-loopback.pcapng"))
        assert done.returncode == 0, done.stderr
        told = roomtone("export", *where, "--from", "2026-11-01", "--format", "jsonl")
        exported.append(sorted(told.stdout.splitlines()))
    assert exported[0] == exported[1]
    loss = [
        stream["packetLoss"]
        for line in exported[0]
        for kind in ("audioIn", "audioOut")
        for stream in json.loads(line)[kind]
    ]
    assert loss == [[5.0], [5.0]]


def test_a_capture_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    path = packets.pcap(tmp_path / "odd.pcap", packets.talk(1), link=147)
    (tmp_path / "data").mkdir()
    where = ["--data", str(tmp_path / "data"), "--org", "acme"]
    done = roomtone("import", *where, str(path))
    assert done.returncode == 1
    assert "odd.pcap" in done.stderr
    assert "link type 147" in done.stderr
