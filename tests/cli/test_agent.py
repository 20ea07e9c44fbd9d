"""`roomtone agent` as a process beside a client, and a real server."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from roomtone.model import iso_ms
from tests.cli.running import clean_environment, one_line, roomtone
from tests.conftest import Server, session, start_server

WAIT_S_MAX = 30
SPIN = "while True: pass"

Starter = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start() -> Iterator[Starter]:
    """Start a Python process; none outlives the test."""
    running: list[subprocess.Popen[str]] = []

    def begin(*arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=clean_environment(),
        )
        running.append(process)
        return process

    yield begin
    for process in running:
        if process.poll() is None:
            process.kill()
        process.communicate()


def agent(start: Starter, server: Server, token: str, *flags: str) -> subprocess.Popen[str]:
    """An agent that measures already."""
    where = ("--url", server.url, "--token", token, "--meeting", "m1")
    interval = () if "--interval-s" in flags else ("--interval-s", "1")
    process = start("-m", "roomtone", "agent", *where, *interval, *flags)
    assert process.stdout is not None
    assert process.stdout.readline() == "measuring\n"
    return process


def join(server: Server, token: str) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    now = iso_ms(time.time_ns() // 1_000_000 - 60_000)
    items = [session("S1", participantId="P1", joinTime=now)]
    url = f"{server.url}/v1/meeting/qualities"
    assert httpx2.post(url, json={"items": items}, headers=headers).status_code == 204


def stored(server: Server, token: str) -> list[dict[str, Any]]:
    headers = {"Authorization": f"Bearer {token}"}
    url = f"{server.url}/v1/meeting/qualities?meetingId=m1"
    items: list[dict[str, Any]] = httpx2.get(url, headers=headers).json().get("items", [])
    return items


def column(server: Server, token: str, name: str) -> list[float | None]:
    found: list[float | None] = []
    for entry in stored(server, token)[0]["resources"]:
        found += entry[name]
    return found


def wait_for(state: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S_MAX
    while not state():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.1)


def test_cpu_of_client_and_system_land_in_the_browser_s_session(
    server: Server, start: Starter
) -> None:
    token = server.token()
    join(server, token)
    client = start("-c", SPIN)
    process = agent(start, server, token, "--participant", "P1", "--process", str(client.pid))
    wait_for(lambda: len(column(server, token, "processAverageCPU")) >= 2)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=WAIT_S_MAX)
    assert (process.returncode, err) == (0, "")
    reports, sent, refused = (int(word) for word in out.split() if word.isdecimal())
    assert reports == sent >= 3
    assert refused == 0
    (one,) = stored(server, token)
    assert one["osType"] == "linux"
    assert one["osVersion"].startswith("Version ")
    for entry in one["resources"]:
        for average, most in (
            ("processAverageCPU", "processMaxCPU"),
            ("systemAverageCPU", "systemMaxCPU"),
        ):
            pairs = zip(entry[average], entry[most], strict=True)
            assert all(0 < mean <= top <= 100 for mean, top in pairs if mean is not None)


def test_the_interval_that_a_stop_cuts_off_is_sent(server: Server, start: Starter) -> None:
    token = server.token()
    join(server, token)
    flags = ("--participant", "P1", "--interval-s", "3600")
    process = agent(start, server, token, *flags)
    ticked = time.monotonic() + 0.2  # the system's clock of CPU time has steps of 10 ms
    wait_for(lambda: time.monotonic() > ticked)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=WAIT_S_MAX)
    assert process.returncode == 0
    assert out == "1 report, 1 sent, 0 refused\n"
    assert len(column(server, token, "systemAverageCPU")) == 1


def test_an_agent_that_is_there_first_waits_for_the_browser(server: Server, start: Starter) -> None:
    token = server.token()
    process = agent(start, server, token, "--participant", "P1")
    assert process.stderr is not None
    assert "The participant is not in this meeting." in process.stderr.readline()
    join(server, token)
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=WAIT_S_MAX)
    assert process.returncode == 0, out
    assert column(server, token, "systemAverageCPU")


def test_what_a_server_that_is_away_missed_is_sent_by_the_next_run(
    tmp_path: Path, start: Starter
) -> None:
    first = start_server(tmp_path / "data")
    token = first.token()
    join(first, token)
    first.stop()
    spool = ("--participant", "P1", "--spool", str(tmp_path / "spool"))
    process = agent(start, first, token, *spool)
    assert process.stderr is not None
    assert "does not answer" in process.stderr.readline()
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=WAIT_S_MAX)
    assert process.returncode == 1
    assert f"the rest waits in {tmp_path / 'spool'}" in err
    again = start_server(tmp_path / "data")
    try:
        process = agent(start, again, token, *spool)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=WAIT_S_MAX)
        assert process.returncode == 0
        assert len(column(again, token, "systemAverageCPU")) >= 2
    finally:
        again.stop()


def test_an_interval_out_of_range_is_refused() -> None:
    where = ("--url", "http://127.0.0.1:1", "--token", "t", "--meeting", "m1")
    result = roomtone("agent", *where, "--interval-s", "0")
    assert result.returncode == 2
    assert one_line(result) == "--interval-s is 0, but must be 1..3600"
