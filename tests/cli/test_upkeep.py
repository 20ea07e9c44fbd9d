"""`roomtone erase`, `purge`, `backup`, `doctor`: near while a server holds the store, and far."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest

from roomtone.model import epoch_ms
from roomtone.simulate import SimulatedMeeting, meetings
from roomtone.store import open_store
from tests.cli.running import one_line, roomtone
from tests.conftest import Server, start_server

START_MS = epoch_ms("2025-06-02T09:00:00Z")
SEALED_S_MAX = 30


@pytest.fixture
def filled(tmp_path: Path) -> Iterator[tuple[Server, list[SimulatedMeeting]]]:
    """A server with two meetings that ended long ago, sealed by its upkeep."""
    server = start_server(tmp_path / "data", "--silence-s", "1")
    made = list(meetings(seed=2, count=2, participants=3, minutes=8, start_ms=START_MS))
    with httpx2.Client(headers={"Authorization": f"Bearer {server.token()}"}) as client:
        for one in made:
            post(client, f"{server.url}/v1/meetings", one.news)
            post(client, f"{server.url}/v1/meeting/qualities", {"items": one.sessions})
        deadline = time.monotonic() + SEALED_S_MAX
        while "inProgress" in client.get(listing(server)).text:
            assert time.monotonic() < deadline, "the meetings were not ended"
            time.sleep(0.1)
    yield server, made
    if server.process.poll() is None:
        server.stop()


def post(client: httpx2.Client, url: str, value: Any) -> None:
    headers = {"Content-Type": "application/json"}
    answer = client.post(url, content=msgspec.json.encode(value), headers=headers)
    assert answer.is_success, answer.text


def listing(server: Server) -> str:
    return f"{server.url}/v1/meetings?from=2025-06-01T00:00:00Z&to=2025-06-03T00:00:00Z"


def flags_of(server: Server, way: str) -> list[str]:
    if way == "data":
        return ["--data", str(server.data), "--org", "acme"]
    return ["--url", server.url, "--token", server.token()]


@pytest.mark.parametrize("way", ["data", "url"])
def test_erase_forgets_a_person_while_a_server_holds_the_store(
    way: str, filled: tuple[Server, list[SimulatedMeeting]]
) -> None:
    server, made = filled
    one = made[0].sessions[0]
    before = far(server, made[0])
    result = roomtone("erase", "--email", one.webexUserEmail.upper(), *flags_of(server, way))
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith(f"erased {one.webexUserEmail.upper()} from ")
    after = far(server, made[0])
    text = json.dumps(after)
    assert one.webexUserEmail not in text
    assert one.webexUserName not in text
    assert after[0]["videoIn"] == before[0]["videoIn"]
    assert after[1:] == before[1:]


def far(server: Server, meeting: SimulatedMeeting) -> list[dict[str, Any]]:
    answer = httpx2.get(
        f"{server.url}/v1/meeting/qualities",
        params={"meetingId": str(meeting.news.id)},
        headers={"Authorization": f"Bearer {server.token()}"},
    )
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


@pytest.mark.parametrize("way", ["data", "url"])
@pytest.mark.parametrize(
    ("flags", "count"),
    [
        (["--before", "2025-06-02"], "0 meetings"),
        (["--before", "2025-06-02T09:10:00Z"], "1 meeting"),
        (["--keep", "1d"], "2 meetings"),
    ],
)
def test_purge_removes_what_ended_before_and_prints_how_many(
    way: str, flags: list[str], count: str, filled: tuple[Server, list[SimulatedMeeting]]
) -> None:
    server, made = filled
    result = roomtone("purge", *flags, *flags_of(server, way))
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith(f"removed {count} that ended before ")
    gone = int(count.partition(" ")[0])
    again = roomtone("export", "--meeting", str(made[0].news.id), *flags_of(server, way))
    assert again.returncode == (1 if gone else 0)


@pytest.mark.parametrize("way", ["data", "url"])
def test_a_backup_of_a_running_server_opens_and_is_equal(
    way: str, filled: tuple[Server, list[SimulatedMeeting]], tmp_path: Path
) -> None:
    server, _ = filled
    copy = tmp_path / "restored" / "roomtone.db"
    copy.parent.mkdir()
    result = roomtone("backup", copy, *flags_of(server, way))
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith(f"wrote {copy}, ")
    span = ["--from", "2025-06-01", "--to", "2025-06-03"]
    restored = roomtone("export", *span, "--data", copy.parent, "--org", "acme")
    assert restored.stdout == roomtone("export", *span, *flags_of(server, way)).stdout
    assert restored.stdout.count("participantSessionId") == 6


@pytest.mark.parametrize(
    "command",
    [
        ("erase", "--email", "ann@example.com"),
        ("purge", "--keep", "1d"),
        ("backup", "copy.db"),
    ],
)
def test_a_misspelt_organisation_is_an_error_and_not_a_quiet_nothing(
    command: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    data = tmp_path / "data"
    assert (
        roomtone(
            *("token", "create", "--data", data, "--org", "acme", "--scope", "telemetry:write")
        ).returncode
        == 0
    )
    result = roomtone(*command, "--data", data, "--org", "amce")
    assert result.returncode == 2
    assert "--org is amce" in result.stderr
    assert not (tmp_path / "copy.db").exists()
    assert roomtone(*command, "--data", data, "--org", "acme").returncode == 0


def test_a_backup_overwrites_nothing(tmp_path: Path) -> None:
    (tmp_path / "copy").write_text("mine")
    result = roomtone("backup", tmp_path / "copy", "--data", tmp_path, "--org", "acme")
    assert result.returncode == 2
    assert one_line(result) == f"{tmp_path / 'copy'} is there already"
    assert (tmp_path / "copy").read_text() == "mine"


def test_a_token_without_the_scope_may_not_erase(
    filled: tuple[Server, list[SimulatedMeeting]],
) -> None:
    server, _ = filled
    token = server.token("telemetry:write")
    result = roomtone("erase", "--email", "a@b.example", "--url", server.url, "--token", token)
    assert result.returncode == 1
    assert "roomtone:admin" in one_line(result)


def test_the_doctor_finds_nothing_wrong_with_a_store_in_use(server: Server) -> None:
    result = roomtone("doctor", "--data", server.data)
    assert result.returncode == 0, result.stdout
    assert "TROUBLE" not in result.stdout
    for subject in ("settings", "SQLite", "clock", "data folder", "free space", "store"):
        assert any(line.startswith(f"ok       {subject}") for line in result.stdout.splitlines())


def test_the_doctor_says_that_there_is_no_folder(tmp_path: Path) -> None:
    result = roomtone("doctor", "--data", tmp_path / "none")
    assert result.returncode == 1
    assert f"TROUBLE  data folder {tmp_path / 'none'} does not exist" in result.stdout
    assert not (tmp_path / "none").exists()


def test_the_doctor_sees_a_damaged_store(tmp_path: Path) -> None:
    open_store(tmp_path).close()
    file = tmp_path / "roomtone.db"
    content = bytearray(file.read_bytes())
    content[100:4096] = b"\xff" * 3996
    file.write_bytes(content)
    result = roomtone("doctor", "--data", tmp_path)
    assert result.returncode == 1
    assert "TROUBLE  store" in result.stdout
    assert result.stderr == ""


def test_the_doctor_refuses_wrong_settings_in_one_line(tmp_path: Path) -> None:
    result = roomtone("doctor", "--data", tmp_path, env={"ROOMTONE_KEEP": "long"})
    assert result.returncode == 2
    assert "keep is 'long'" in one_line(result)
