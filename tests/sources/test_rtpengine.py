"""A real rtpengine tells a real server by HEP3 what two telephones lose on the way through it."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Server
from tests.server.test_hep import items, started, wait_until
from tests.sources import rtpengine

CALL_ID = "7c1f@ada.example"
PACKETS = 1_300
DROP_EVERY = 20
INTERVAL_S = 10
REPORTS = 2 * (PACKETS // 100) - 6
"""So many are waited for: on a busy machine one or another of all 26 did not come."""
PACKETS_EACH = 50 * INTERVAL_S


def reason_to_skip() -> str:
    """Why there is no rtpengine here; "" when there is one."""
    path = shutil.which("rtpengine")
    if path is None:
        return "rtpengine is not installed (Debian: rtpengine-daemon)"
    ended = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=20)
    return "" if ended.returncode == 0 else f"rtpengine does not run: {ended.stderr.strip()}"


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """What the API has of a call of 26 s: the sessions of Ada and of Bob."""
    if reason := reason_to_skip():
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("rtpengine")
    server, port = started(folder / "data")
    try:
        yield sessions_of(server, folder, port)
    finally:
        assert server.stop() == 0


def sessions_of(server: Server, folder: Path, port: int) -> dict[str, Any]:
    with rtpengine.running(folder / "rtpengine.log", port) as engine:
        sent, lost = rtpengine.call(engine, CALL_ID, packets=PACKETS, drop_every=DROP_EVERY)
        wait_until(server, "reports", "measured", REPORTS)
    found = items(server, CALL_ID)
    assert len(found) == 2
    ada, bob = sorted(found, key=lambda one: sum(losses(one, "audioIn")))
    return {"ada": ada, "bob": bob, "percent": 100 * lost / sent}


def losses(session: dict[str, Any], kind: str) -> list[float]:
    return [loss for one in session[kind] for loss in one["packetLoss"] if loss is not None]


@pytest.mark.parametrize(("who", "kind"), [("bob", "audioIn"), ("ada", "audioOut")])
def test_the_loss_is_the_one_that_was_made(told: dict[str, Any], who: str, kind: str) -> None:
    found = losses(told[who], kind)
    assert len(found) >= 2
    # A report may stand before or after a lost packet: one of an interval's packets.
    for loss in found:
        assert loss == pytest.approx(told["percent"], abs=100 / PACKETS_EACH + 0.01)


@pytest.mark.parametrize(("who", "kind"), [("ada", "audioIn"), ("bob", "audioOut")])
def test_the_other_way_is_clean(told: dict[str, Any], who: str, kind: str) -> None:
    found = losses(told[who], kind)
    assert len(found) >= 2
    assert max(found) <= 100 / PACKETS_EACH  # one that came after a report, told in the next


@pytest.mark.parametrize("who", ["ada", "bob"])
def test_the_bit_rate_is_that_of_pcmu(told: dict[str, Any], who: str) -> None:
    (stream,) = told[who]["audioOut"]
    # A machine that is busy sends later than it would: less than 64 kbit/s, never more at length.
    for rate in stream["mediaBitRate"]:
        assert rate == pytest.approx(64_000, rel=0.05)
    assert stream["transportType"] == "UDP"


@pytest.mark.parametrize("who", ["ada", "bob"])
def test_the_round_trip_is_known_and_small_on_the_loopback(told: dict[str, Any], who: str) -> None:
    found = [value for one in told[who]["audioIn"] for value in one["latency"] if value is not None]
    # Each telephone looks for what came every 20 ms, which a round trip meets twice.
    assert found
    assert all(0 < value < 100 for value in found)
