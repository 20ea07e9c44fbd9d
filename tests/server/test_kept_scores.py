"""Scores that a real server keeps: of whom nothing is left in the files, and in a backup."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from roomtone import score
from roomtone.store import open_store
from tests.cli.running import roomtone
from tests.conftest import Server, session, start_server

SCORED_S_MAX = 30
START = "2025-06-02T09:00:00.000Z"
END = "2025-06-02T09:10:00.000Z"
WINDOW = "from=2025-06-01&to=2025-06-03"
LOSSY: dict[str, Any] = {
    "startTime": START,
    "codec": "Opus",
    "packetLoss": [12.0] * 10,
    "mediaBitRate": [40_000] * 10,
}
PEOPLE = {
    "acme": ("Adalovelace", "Bobhopper"),
    "zeta": ("Zoezuse", "Yvesyao"),
}


def post(server: Server, org: str) -> None:
    """A meeting of two that ended long ago; the first had it poor."""
    headers = {"Authorization": f"Bearer {server.token(org=org)}"}
    items = [
        session(
            f"S-{org}-{at}",
            "m1",
            webexUserName=name,
            webexUserEmail=f"{name}@{org}.example",
            camera=f"Camera-of-{name}",
            joinTime=START,
            leaveTime=END,
            audioIn=[LOSSY if at == 0 else LOSSY | {"packetLoss": [0.1] * 10}],
        )
        for at, name in enumerate(PEOPLE[org])
    ]
    answer = httpx2.post(
        f"{server.url}/v1/meeting/qualities", json={"items": items}, headers=headers
    )
    assert answer.status_code == 204, answer.text


def scored(server: Server, org: str) -> dict[str, Any]:
    """The meeting's line, once it has a verdict."""
    headers = {"Authorization": f"Bearer {server.token(org=org)}"}
    deadline = time.monotonic() + SCORED_S_MAX
    while True:
        answer = httpx2.get(f"{server.url}/v1/roomtone/meetings?{WINDOW}", headers=headers)
        line: dict[str, Any]
        (line,) = answer.json()["items"]
        if line["verdict"] is not None:
            return line
        assert time.monotonic() < deadline, "the meeting was not scored"
        time.sleep(0.05)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Server]:
    """A server that has scored a meeting of each of two organisations."""
    server = start_server(tmp_path / "data", "--silence-s", "1")
    for org in PEOPLE:
        post(server, org)
    for org in PEOPLE:
        scored(server, org)
    yield server
    if server.process.poll() is None:
        server.stop()


def told_in(folder: Path, word: str) -> bool:
    """Whether a word stands in any file of a folder, in any case of letters."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return any(word.lower().encode() in path.read_bytes().lower() for path in files)


def test_an_ended_meeting_is_scored_by_itself(running: Server) -> None:
    line = scored(running, "acme")
    assert (line["verdict"], line["minutesPoor"]) == ("poor", 10)
    assert line["because"].startswith("1 of 2 participants poor")
    assert "Adalovelace" in line["findings"][0]["text"]
    assert roomtone("rescore", "--data", running.data).stdout == "scored 0 meetings\n"


def test_of_an_erased_person_nothing_is_left_in_the_files(running: Server) -> None:
    flags: list[str | Path] = ["--data", running.data, "--org", "acme"]
    for name in ("Adalovelace", "Camera-of-Adalovelace"):
        assert told_in(running.data, name)
    result = roomtone("erase", "--email", "ADALOVELACE@acme.example", *flags)
    assert result.returncode == 0, result.stderr
    line = scored(running, "acme")  # anew
    assert line["verdict"] == "poor"
    assert "Adalovelace" not in str(line)
    assert running.stop() == 0
    for name in ("Adalovelace", "Camera-of-Adalovelace"):
        assert not told_in(running.data, name)
    for name in ("Bobhopper", "Zoezuse"):
        assert told_in(running.data, name)


def test_of_a_removed_meeting_nothing_is_left_in_the_files(running: Server) -> None:
    flags: list[str | Path] = ["--data", running.data, "--org", "acme"]
    assert running.stop() == 0
    assert told_in(running.data, "Adalovelace")
    assert roomtone("purge", "--before", "2025-07-01", *flags).stdout.startswith("removed 1 ")
    for name in ("Adalovelace", "Bobhopper", "Camera-of"):
        assert told_in(running.data, name) == (name == "Camera-of")  # another organisation's
    assert told_in(running.data, "Zoezuse")


def test_a_backup_holds_the_scores_of_one_organisation(running: Server, tmp_path: Path) -> None:
    copy = tmp_path / "copy" / "roomtone.db"
    copy.parent.mkdir()
    flags = ["--url", running.url, "--token", running.token(org="acme")]
    assert roomtone("backup", copy, *flags).returncode == 0
    assert told_in(copy.parent, "Adalovelace")
    for name in ("Zoezuse", "Yvesyao"):
        assert told_in(running.data, name)
        assert not told_in(copy.parent, name)
    store = open_store(copy.parent)
    assert store.stale(None, model=score.VERSION, limit=9) == []
    store.close()
