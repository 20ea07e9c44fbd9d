"""HEP3 over UDP with a real server: what an agent sends is measured, stored and bounded."""

import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.conftest import Server, start_server
from tests.sources.heps import datagram, datagrams, free_udp_port

WAIT_S_MAX = 20
KEY = "s3cret"
CALL = "call-1@spike"


def started(data: Path, *flags: str) -> tuple[Server, int]:
    port = free_udp_port()
    flags = ("--hep-port", str(port), "--hep-org", "acme", "--interval-s", "10", *flags)
    return start_server(data, *flags), port


@pytest.fixture
def hep(tmp_path: Path) -> Iterator[tuple[Server, int]]:
    server, port = started(tmp_path / "data")
    yield server, port
    if server.process.poll() is None:
        server.stop()


def send(port: int, *packets: bytes) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for packet in packets:
            sender.sendto(packet, ("127.0.0.1", port))


def counted(server: Server, metric: str, fate: str) -> float:
    text = httpx2.get(server.url + "/metrics").text
    found = re.search(rf'^roomtone_hep_{metric}_total{{fate="{fate}"}} (\S+)$', text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def wait_until(server: Server, metric: str, fate: str, least: float) -> None:
    deadline = time.monotonic() + WAIT_S_MAX
    while counted(server, metric, fate) < least:
        assert time.monotonic() < deadline, httpx2.get(server.url + "/metrics").text
        time.sleep(0.05)


def items(server: Server, meeting: str = CALL) -> list[dict[str, Any]]:
    headers = {"Authorization": f"Bearer {server.token()}"}
    query = {"meetingId": meeting}
    answer = httpx2.get(server.url + "/v1/meeting/qualities", headers=headers, params=query)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


def test_what_rtpengine_sent_is_a_meeting_of_two_with_their_losses(hep: tuple[Server, int]) -> None:
    server, port = hep
    send(port, *datagrams())
    wait_until(server, "reports", "measured", 28)
    alice, bob = items(server)
    assert bob["audioIn"][0]["packetLoss"] == [5.0, 5.01, 4.98]
    assert alice["audioOut"][0]["packetLoss"] == [5.0, 5.01, 4.98]  # what Bob counted
    assert bob["audioOut"][0]["packetLoss"] == [0.0, 0.0, 0.0]
    assert alice["audioOut"][0]["mediaBitRate"] == [64_000] * 3
    assert alice["localIP"] == "127.0.0.1"
    assert alice["participantId"] != bob["participantId"]


def test_the_same_again_changes_nothing(hep: tuple[Server, int]) -> None:
    server, port = hep
    send(port, *datagrams())
    wait_until(server, "reports", "measured", 28)
    before = items(server)
    send(port, *datagrams())
    wait_until(server, "reports", "repeated", 28)
    assert items(server) == before


def test_a_server_that_is_asked_to_stop_stores_what_arrived(tmp_path: Path) -> None:
    data = tmp_path / "data"
    server, port = started(data)
    # The last report alone would wait for the clock rate of its streams.
    send(port, *datagrams()[:3])
    wait_until(server, "packets", "taken", 3)
    assert server.stop(signal.SIGTERM) == 0
    again = start_server(data)
    try:
        assert len(items(again)) == 2
    finally:
        again.stop()


@pytest.mark.parametrize(
    ("packet", "fate"),
    [
        (b"", "malformed"),
        (b"HEP3", "malformed"),
        (b"\x00" * 1_000, "malformed"),
        (datagrams()[0][:-1], "malformed"),
        (datagram(call=""), "no_call"),
        (datagram(call="\x07"), "no_call"),
        (datagram(protocol=1), "other"),
        (datagram(payload=b"{}"), "malformed"),
        (datagram(seconds=1), "wrong_time"),
        (datagram(seconds=2**32 - 1), "wrong_time"),
    ],
)
def test_what_is_of_no_use_is_counted_and_the_server_goes_on(
    hep: tuple[Server, int], packet: bytes, fate: str
) -> None:
    server, port = hep
    send(port, packet)
    wait_until(server, "packets", fate, 1)
    send(port, *datagrams())
    wait_until(server, "reports", "measured", 28)
    assert not [line for line in server.log if '"error"' in line]


def test_with_a_key_only_datagrams_that_have_it_are_taken(tmp_path: Path) -> None:
    server, port = started(tmp_path / "data", "--hep-key", KEY)
    try:
        send(port, datagram(), datagram(key="s3cre"), datagram(key=KEY + "x"))
        wait_until(server, "packets", "wrong_key", 3)
        send(port, datagram(key=KEY))
        wait_until(server, "packets", "taken", 1)
        assert not any(KEY in line for line in server.log)
    finally:
        assert server.stop() == 0


def test_a_flood_is_dropped_and_counted_and_requests_are_answered(hep: tuple[Server, int]) -> None:
    server, port = hep
    packet = datagram(payload=b"x" * 1_000)
    sent = 0
    deadline = time.monotonic() + WAIT_S_MAX
    while not counted(server, "packets", "dropped"):
        assert time.monotonic() < deadline
        send(port, *[packet] * 4_000)
        sent += 4_000
    assert httpx2.get(server.url + "/health/ready").status_code == 200
    assert counted(server, "packets", "malformed") + counted(server, "packets", "dropped") <= sent


ON = ("--hep-port", "9060", "--hep-org", "acme")


def serve(*flags: str, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "roomtone", "serve", "--port", "0", *flags]
    return subprocess.run(command, capture_output=True, text=True, timeout=20, **options)


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (("--hep-port", "9060"), "hep_org is missing"),
        (("--hep-port", "65536"), "hep_port is 65536"),
        (
            (*ON, "--hep-host", "0.0.0.0"),  # noqa: S104 it is refused
            "hep_key is missing",
        ),
        ((*ON, "--hep-host", "::"), "hep_key is missing"),
        (
            (*ON, "--hep-host", "8.8.8.8"),
            "hep_key is missing",
        ),
        ((*ON, "--hep-host", "pbx"), "must be an IP address"),
    ],
)
def test_settings_that_are_unsafe_or_incomplete_are_refused(
    tmp_path: Path, flags: tuple[str, ...], told: str
) -> None:
    ended = serve("--data", str(tmp_path / "data"), *flags)
    assert ended.returncode == 2
    assert told in ended.stderr


def test_a_port_that_is_taken_is_said(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as busy:
        busy.bind(("127.0.0.1", 0))
        port = str(busy.getsockname()[1])
        ended = serve("--data", str(tmp_path / "data"), "--hep-port", port, "--hep-org", "acme")
    assert ended.returncode == 2
    assert f"--hep-port {port}: it is in use" in ended.stderr
