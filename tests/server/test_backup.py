"""Backups over HTTP: bounded, none for a HEAD, and no longer than the server lives."""

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import apsw
import httpx2
import pytest

from roomtone.api import backup
from roomtone.store import sqlite_care
from tests.api.test_bad_input import assert_error
from tests.conftest import Api, Server, session, start_server, stream
from tests.server.raw import connect, read_answer, request

BACKUP = "/v1/roomtone/backup"
STOP_S_MAX = 10
BEGUN_S_MAX = 20
PAST = "2024-04-10T17:00:00.000Z"


@pytest.fixture
def beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files."""
    folder = tmp_path / "beside"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


def test_head_makes_no_backup(api: Api, beside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    api.post_sessions(session())
    whole = api.get(BACKUP)
    monkeypatch.setattr(api.store, "backup", None)
    answer = api.client.head(BACKUP, headers=api.headers())
    assert answer.status_code == 200
    assert "content-length" not in answer.headers
    for name in ("content-type", "content-disposition", "accept-ranges"):
        assert answer.headers[name] == whole.headers[name]
    assert api.client.head(BACKUP).status_code == 401
    assert list(beside.iterdir()) == []


def test_a_part_of_a_backup_is_the_whole_since_each_is_made_anew(api: Api, beside: Path) -> None:
    api.post_sessions(session())
    answer = api.get(BACKUP, headers={"Range": "bytes=0-0"})
    assert answer.status_code == 200
    assert answer.headers["accept-ranges"] == "none"
    assert len(answer.content) == int(answer.headers["content-length"])
    assert answer.content.startswith(b"SQLite format 3")
    assert list(beside.iterdir()) == []


class Slow:
    """Backups that wait in the middle until they are let go."""

    def __init__(self, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun, self.go = threading.Semaphore(0), threading.Event()
        real = api.store.backup

        def slow(target: Path, **options: Any) -> None:
            self.begun.release()
            assert self.go.wait(BEGUN_S_MAX)
            real(target, **options)

        monkeypatch.setattr(api.store, "backup", slow)


def test_two_backups_at_a_time_are_made_and_a_third_is_429(
    api: Api, beside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.post_sessions(session())
    slow = Slow(api, monkeypatch)
    with ThreadPoolExecutor(backup.BACKUPS_MAX) as pool:
        made = [pool.submit(api.get, BACKUP) for _ in range(backup.BACKUPS_MAX)]
        for _ in made:
            assert slow.begun.acquire(timeout=BEGUN_S_MAX)
        answer = api.get(BACKUP)
        assert_error(answer, 429)
        assert int(answer.headers["retry-after"]) == backup.AGAIN_S
        assert api.client.head(BACKUP, headers=api.headers()).status_code == 200
        slow.go.set()
        assert [one.result().status_code for one in made] == [200] * len(made)
    assert api.get(BACKUP).status_code == 200
    assert list(beside.iterdir()) == []


def test_a_backup_that_fails_gives_its_place_and_its_file_back(
    api: Api, beside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise apsw.FullError

    with monkeypatch.context() as cut:
        cut.setattr(sqlite_care, "_copy", full)
        for _ in range(backup.BACKUPS_MAX + 1):
            assert_error(api.get(BACKUP), 503)
    assert list(beside.iterdir()) == []
    assert api.get(BACKUP).status_code == 200


# -- SIGTERM


@pytest.fixture
def start(beside: Path) -> Iterator[Callable[..., Server]]:
    """Start a server with a folder of its own for temporary files."""
    started: list[Server] = []

    def begin(data: Path, **env: str) -> Server:
        started.append(start_server(data, env={"TMPDIR": str(beside), **env}))
        return started[-1]

    yield begin
    for server in started:
        if server.process.poll() is None:
            server.stop()


def fill(server: Server, token: str, *, sessions: int) -> None:
    headers = {"Authorization": f"Bearer {token}"}
    with httpx2.Client(base_url=server.url, headers=headers, timeout=60) as client:
        for number in range(sessions):
            noise = [int.from_bytes(os.urandom(5), "big") for _ in range(10_000)]
            wide = stream(PAST, samplingInterval=1, mediaBitRate=noise, latency=noise[::-1])
            item = session(f"S{number}", joinTime=PAST, videoIn=[wide])
            posted = client.post("/v1/meeting/qualities", json={"items": [item]})
            assert posted.status_code == 204, posted.text


def test_sigterm_ends_a_backup_that_nobody_reads(
    start: Callable[..., Server], tmp_path: Path, beside: Path
) -> None:
    server = start(tmp_path / "data")
    token = server.token()
    fill(server, token, sessions=100)  # more than the sockets between take
    with connect(server.url) as link:
        link.sendall(request(BACKUP.encode(), b"Authorization: Bearer " + token.encode()))
        assert link.recv(15) == b"HTTP/1.1 200 OK"
        assert len(list(beside.iterdir())) == 1
        server.process.terminate()
        assert server.process.wait(STOP_S_MAX) == 0
    assert list(beside.iterdir()) == []


ENDLESS = """
from itertools import cycle
from pathlib import Path
from time import sleep
from roomtone.store import sqlite_care

def copy(source, partial, progress):
    Path(partial).write_bytes(b"begun")
    for part in cycle([0.5]):
        sleep(0.01)
        progress(part)

sqlite_care._copy = copy
"""


def test_sigterm_ends_a_backup_that_is_being_made(
    start: Callable[..., Server], tmp_path: Path, beside: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(ENDLESS)  # python runs it at its start
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    server = start(tmp_path / "data", PYTHONPATH=path)
    bearer = b"Authorization: Bearer " + server.token().encode()
    with connect(server.url) as link:
        link.sendall(request(BACKUP.encode(), bearer))
        until(lambda: [*beside.glob("*/.roomtone.db.partial")])
        server.process.terminate()
        assert server.process.wait(STOP_S_MAX) == 0
        answer = read_answer(link)
        assert answer.status == 503
        assert int(answer.headers["retry-after"]) >= 1
    assert list(beside.iterdir()) == []


def until(condition: Callable[[], object]) -> None:
    """Wait for a state that no event tells of."""
    for _ in range(2_000):
        if condition():
            return
        threading.Event().wait(0.01)
    raise AssertionError("it never came")
