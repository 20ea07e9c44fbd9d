"""`roomtone demo` and `roomtone simulate`: what a newcomer sees first."""

import json
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from roomtone import demo
from roomtone.model import epoch_ms
from roomtone.store import open_store
from tests.cli.running import clean_environment, roomtone
from tests.conftest import Server

WAIT_S_MAX = 30
DEMO = (sys.executable, "-m", "roomtone", "demo")
NOW_MS = epoch_ms("2026-11-24T10:00:00Z")


@dataclass
class Running:
    """A demonstration in a process of its own, and the lines that it printed."""

    process: subprocess.Popen[str]
    lines: list[str]

    def said(self, name: str) -> str:
        return next(line.removeprefix(name).strip() for line in self.lines if line.startswith(name))

    @property
    def curl(self) -> str:
        return next(line for line in self.lines if line.startswith("curl "))

    def get(self, path: str) -> httpx2.Response:
        headers = {"Authorization": f"Bearer {self.said('Administrator')}"}
        return httpx2.get(f"{self.said('Roomtone is at')}{path}", headers=headers)

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(WAIT_S_MAX)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Start `roomtone demo` and return when it has printed its curl line."""
    running: list[Running] = []

    def begin(*flags: str) -> Running:
        process = subprocess.Popen(
            [*DEMO, "--data", str(tmp_path / "data"), "--port", "0", *flags],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=clean_environment(),
        )
        assert process.stdout is not None
        killer = threading.Timer(WAIT_S_MAX, process.kill)
        killer.start()
        one = Running(process, [])
        running.append(one)
        while not any(line.startswith("curl ") for line in one.lines):
            line = process.stdout.readline()
            assert line, "it ended before it had printed a curl line"
            one.lines.append(line.rstrip("\n"))
        killer.cancel()
        return one

    yield begin
    for one in running:
        if one.process.poll() is None:
            one.stop()
        assert one.process.stdout is not None
        one.process.stdout.close()


def test_the_curl_line_works_as_printed_and_a_second_start_keeps_the_data(
    start: Callable[..., Running],
) -> None:
    if shutil.which("curl") is None:
        pytest.skip("needs curl")
    first = start()
    answer = subprocess.run(["sh", "-c", first.curl], capture_output=True, text=True, check=True)
    sessions = json.loads(answer.stdout)["items"]
    assert len(sessions) == demo.LIVE_PARTICIPANTS
    assert all(session["audioIn"] for session in sessions)
    token, ids = first.said("Administrator"), meeting_ids(first)
    assert len(ids) == demo.ENDED_COUNT + 1
    assert first.stop() == 0
    second = start()
    assert meeting_ids(second) == ids, "the same meetings, the one in progress among them"
    headers = {"Authorization": f"Bearer {token}"}
    old = httpx2.get(f"{second.said('Roomtone is at')}/v1/people/me", headers=headers)
    assert old.status_code == 401, "the token of the first start is revoked"


def meeting_ids(running: Running) -> list[str]:
    return [item["id"] for item in listed(running)]


def listed(running: Running) -> list[dict[str, Any]]:
    answer = running.get("/v1/meetings?max=100")
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


def test_one_meeting_is_in_progress_and_the_others_have_ended(
    start: Callable[..., Running],
) -> None:
    meetings = listed(start())
    assert [item["state"] for item in meetings] == ["inProgress"] + ["ended"] * demo.ENDED_COUNT
    assert all(item["title"].startswith("Simulated: ") for item in meetings)
    assert len({item["title"] for item in meetings}) == len(meetings)


def test_the_meeting_in_progress_grows(start: Callable[..., Running]) -> None:
    running = start("--interval-s", "1")
    path = "/v1/meeting/qualities?meetingId=" + meeting_ids(running)[0]

    def samples() -> int:
        items = running.get(path).json()["items"]
        return sum(len(entry["latency"]) for item in items for entry in item["audioIn"])

    before = samples()
    deadline = time.monotonic() + WAIT_S_MAX
    while samples() <= before:
        assert time.monotonic() < deadline, "it does not grow"
        time.sleep(0.1)


def test_the_test_call_is_on(start: Callable[..., Running]) -> None:
    running = start()
    address = running.said("A test call")
    assert address == f"{running.said('Roomtone is at')}/call"
    assert httpx2.get(address).status_code == 200
    assert httpx2.post(f"{running.said('Roomtone is at')}/call/session").status_code == 201


def test_the_token_is_an_administrator_s_that_sees_everything(
    start: Callable[..., Running],
) -> None:
    running = start()
    assert re.fullmatch(r"rt_[\w-]{43}", running.said("Administrator"))
    items = running.get("/v1/meeting/qualities?meetingId=" + meeting_ids(running)[0]).json()[
        "items"
    ]
    assert all("@" in item["webexUserEmail"] for item in items)
    me = running.get("/v1/people/me").json()
    assert me["orgId"]


@pytest.mark.parametrize("data", [":memory:", "folder"])
def test_a_meeting_in_progress_goes_on_after_a_pause_and_a_new_one_begins_after_hours(
    data: str, tmp_path: Path
) -> None:
    store = open_store(data if data == ":memory:" else tmp_path)
    try:
        first = demo.prepare(store, now_ms=NOW_MS, interval_s=60)
        soon = demo.prepare(store, now_ms=NOW_MS + 3_600_000, interval_s=60)
        later = demo.prepare(store, now_ms=NOW_MS + 24 * 3_600_000, interval_s=60)
        assert soon.live.news.id == first.live.news.id
        assert later.live.news.id != first.live.news.id
        valid = [token for token in store.tokens(demo.ORG) if token.revoked_ms is None]
        assert len(valid) == 1
    finally:
        store.close()


def simulate(server: Server, *flags: str) -> str:
    result = roomtone(
        "simulate", "--url", server.url, *flags, env={"ROOMTONE_TOKEN": server.token()}
    )
    assert result.returncode == 0, result.stderr
    assert result.stderr == "", "no progress bar where nobody looks"
    return result.stdout


def exported(server: Server, day: str) -> list[dict[str, Any]]:
    flags = ["--url", server.url, "--token", server.token(), "--from", day]
    items: list[dict[str, Any]] = json.loads(roomtone("export", *flags).stdout)["items"]
    return items


def test_simulated_meetings_arrive_whole_and_twice_is_once(server: Server) -> None:
    start = "2025-06-02T09:00:00Z"
    flags = ["--meetings", "3", "--participants", "4", "--minutes", "10", "--seed", "9"]
    said = simulate(server, *flags, "--start", start)
    assert said == "sent 12 sessions of 3 meetings\n"
    once = exported(server, "2025-06-02")
    assert len(once) == 12
    simulate(server, *flags, "--start", start)
    assert exported(server, "2025-06-02") == once


def test_a_meeting_played_fast_is_the_same_as_one_sent_whole(server: Server) -> None:
    flags = ["--participants", "3", "--minutes", "9", "--seed", "4"]
    flags += ["--start", "2025-06-02T09:00:00Z"]
    simulate(server, *flags, "--speed", "1000")
    played = exported(server, "2025-06-02")
    simulate(server, *flags)
    assert exported(server, "2025-06-02") == played
    assert all(len(item["audioIn"][0]["latency"]) >= 5 for item in played)


def test_without_a_start_the_last_meeting_ends_now(server: Server) -> None:
    simulate(server, "--meetings", "2", "--participants", "2", "--minutes", "5")
    ends = [epoch_ms(item["leaveTime"]) for item in exported(server, "2025-06-02")]
    assert 0 <= time.time() * 1000 - max(ends) < 60_000


@pytest.mark.parametrize(
    ("flag", "text"),
    [
        ("--meetings", "0"),
        ("--participants", "0"),
        ("--minutes", "0"),
        ("--minutes", "1.5"),
        ("--speed", "0"),
        ("--speed", "-1"),
        ("--speed", "nan"),
        ("--start", "today"),
    ],
)
def test_a_wrong_wish_is_one_line(flag: str, text: str) -> None:
    result = roomtone("simulate", "--url", "http://127.0.0.1:1", "--token", "t", f"{flag}={text}")
    assert result.returncode == 2, result.stderr
    assert result.stderr.count("\n") == 1
    assert flag in result.stderr
