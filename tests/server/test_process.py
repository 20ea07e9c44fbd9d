"""The server as a process: start, health, metrics, TLS, ports, data folders, an orderly end."""

import http.client
import json
import os
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import apsw
import httpx2
import pytest
import trustme

from tests.conftest import Server, session, start_server, stream
from tests.server.raw import connect, read_answer, request

QUALITIES = "/v1/meeting/qualities"
PAST = "2024-04-10T17:00:00.000Z"
STOP_S_MAX = 10


def body(*names: str, meeting: str = "m1", **fields: Any) -> dict[str, Any]:
    return {"items": [session(name, meeting, joinTime=PAST, **fields) for name in names]}


def client_of(server: Server, *scopes: str, **options: Any) -> httpx2.Client:
    headers = {"Authorization": f"Bearer {server.token(*scopes)}"}
    return httpx2.Client(base_url=server.url, headers=headers, timeout=20, **options)


def names_in(client: httpx2.Client, meeting: str = "m1") -> set[str]:
    answer = client.get(QUALITIES, params={"meetingId": meeting, "max": 1000})
    assert answer.status_code == 200, answer.text
    return {item["participantSessionId"] for item in answer.json()["items"]}


def serve(*flags: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """A server that is expected to refuse to start."""
    command = [sys.executable, "-m", "roomtone", "serve", *flags]
    return subprocess.run(command, capture_output=True, text=True, timeout=20, **options)


# -- health and metrics


def test_a_server_is_live_and_ready_without_a_token(server: Server) -> None:
    for path in ("/health/live", "/health/ready"):
        answer = httpx2.get(server.url + path)
        assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


METRICS = {
    "roomtone_requests_total",
    "roomtone_request_seconds_bucket",
    "roomtone_queue_depth",
    "roomtone_commit_seconds_bucket",
    "roomtone_committed_writes_total",
    "roomtone_samples_total",
    "roomtone_reports_total",
    "roomtone_refused_total",
    "roomtone_sealed_sessions_total",
    "roomtone_purged_meetings_total",
    "roomtone_scored_meetings_total",
}


def test_metrics_count_what_happened(server: Server) -> None:
    with client_of(server) as client:
        client.post(QUALITIES, json=body("S1", audioIn=[stream(PAST, packetLoss=[1, 2, 3])]))
        client.post(QUALITIES, json={"items": 7})
        report = {"connection": "pc1", "timestamp": 1_795_400_000_000, "stats": []}
        reports = {"meetingId": "m1", "participantSessionId": "S2", "reports": [report]}
        assert client.post("/v1/webrtc/reports", json=reports).status_code == 204
        answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    counted = dict(line.rsplit(" ", 1) for line in answer.text.splitlines() if line[0] != "#")
    assert {name.partition("{")[0] for name in counted} >= METRICS
    assert float(counted["roomtone_samples_total"]) == 3
    assert float(counted['roomtone_refused_total{status="400"}']) == 1
    assert float(counted['roomtone_reports_total{fate="measured"}']) == 1
    key = f'roomtone_requests_total{{method="POST",route="{QUALITIES}",status="204"}}'
    assert float(counted[key]) == 1


# -- the end


def test_sigterm_ends_an_idle_server_with_0(server: Server) -> None:
    assert httpx2.get(server.url + "/health/live").status_code == 200
    assert server.stop() == 0
    with pytest.raises(httpx2.ConnectError):
        httpx2.get(server.url + "/health/live")


class Poster(threading.Thread):
    """Posts sessions one after another and remembers which were acknowledged."""

    def __init__(self, server: Server, token: str, number: int) -> None:
        super().__init__(daemon=True)
        self.netloc, self.token, self.number = urlsplit(server.url).netloc, token, number
        self.acknowledged: list[str] = []
        self.begun = threading.Event()

    def run(self) -> None:
        link = http.client.HTTPConnection(self.netloc, timeout=20)
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        try:
            for count in range(1_000_000):
                name = f"S{self.number}-{count}"
                link.request("POST", QUALITIES, json.dumps(body(name)), headers)
                answer = link.getresponse()
                answer.read()
                if answer.status == 204:
                    self.acknowledged.append(name)
                    self.begun.set()
        except (OSError, http.client.HTTPException):
            pass  # the server has gone
        finally:
            link.close()


def test_sigterm_under_load_keeps_everything_that_was_acknowledged(tmp_path: Path) -> None:
    server = start_server(tmp_path / "data")
    token = server.token()
    posters = [Poster(server, token, number) for number in range(4)]
    for poster in posters:
        poster.start()
    assert all(poster.begun.wait(STOP_S_MAX) for poster in posters)
    server.process.terminate()
    assert server.process.wait(STOP_S_MAX) == 0
    for poster in posters:
        poster.join(STOP_S_MAX)
        assert not poster.is_alive(), "a stopped server took requests"
    acknowledged = {name for poster in posters for name in poster.acknowledged}
    again = start_server(tmp_path / "data")
    try:
        assert acknowledged <= set(all_names(again, token))
    finally:
        assert again.stop() == 0


def all_names(server: Server, token: str) -> Iterator[str]:
    url = f"{server.url}{QUALITIES}?meetingId=m1&max=1000"
    with httpx2.Client(headers={"Authorization": f"Bearer {token}"}, timeout=20) as client:
        while url:
            answer = client.get(url)
            yield from (item["participantSessionId"] for item in answer.json()["items"])
            url = answer.links.get("next", {}).get("url", "")


def test_sigterm_does_not_wait_for_those_who_say_nothing(server: Server) -> None:
    """Idle connections, a head and a body that never end, a reader that does not read."""
    bearer = b"Authorization: Bearer " + server.token().encode()
    with client_of(server) as client:
        wide = [stream(PAST, packetLoss=[0.125] * 10_000)]
        for number in range(20):
            client.post(QUALITIES, json=body(f"S{number}", videoIn=wide, audioIn=wide))
        links = [connect(server.url) for _ in range(4)]
        try:
            links[1].sendall(b"GET / HTTP/1.1\r\nHost:")
            links[2].sendall(
                request(
                    QUALITIES.encode(),
                    bearer,
                    b"Content-Type: application/json",
                    b"Content-Length: 1000",
                    method=b"POST",
                    body=b'{"items":[',
                )
            )
            links[3].sendall(request(b"/v1/meeting/qualities?meetingId=m1", bearer))
            assert client.get("/health/live").status_code == 200
            server.process.terminate()
            assert server.process.wait(STOP_S_MAX) == 0
            told = read_answer(links[2])  # whoever was in the middle of a post hears to repeat it
            assert told.status == 503
            assert int(told.headers["retry-after"]) >= 1
            assert told.error()["trackingId"] == told.headers["trackingid"]
        finally:
            for link in links:
                link.close()


# -- TLS, ports, names


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def test_tls_by_a_certificate_and_a_key(tmp_path: Path, authority: trustme.CA) -> None:
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    issued = authority.issue_cert("127.0.0.1", "localhost")
    issued.private_key_pem.write_to_path(key)
    for part in issued.cert_chain_pems:
        part.write_to_path(chain, append=True)
    server = start_server(tmp_path / "data", "--certificate", str(chain), "--key", str(key))
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    assert server.url.startswith("https://127.0.0.1:")
    with client_of(server, verify=trust) as client:
        assert client.post(QUALITIES, json=body("S1", "S2")).status_code == 204
        answer = client.get(QUALITIES, params={"meetingId": "m1", "max": 1})
        assert answer.headers["link"].startswith(f"<{server.url}/")
    with connect(server.url) as plain:
        plain.sendall(request(b"/health/live"))
        assert not plain.recv(100).startswith(b"HTTP/1.1 200")
    assert server.stop() == 0


def test_tls_needs_both_files_and_real_ones(tmp_path: Path) -> None:
    (tmp_path / "no.pem").write_text("no certificate")
    data = ("--data", str(tmp_path / "data"), "--port", "0")
    file, nothing = str(tmp_path / "no.pem"), str(tmp_path / "nothing.pem")
    for flags in (
        ("--certificate", file),
        ("--key", file),
        ("--certificate", nothing, "--key", nothing),
        ("--certificate", file, "--key", file),
    ):
        ended = serve(*data, *flags)
        assert ended.returncode in (1, 2)
        assert "Traceback" not in ended.stderr
        assert len(ended.stderr.strip().splitlines()) == 1, ended.stderr
        assert any(word in ended.stderr for word in ("key", "certificate"))


def test_a_busy_port_is_told_in_one_line_that_names_the_flag(
    server: Server, tmp_path: Path
) -> None:
    port = str(urlsplit(server.url).port)
    ended = serve("--data", str(tmp_path / "other"), "--port", port)
    assert ended.returncode == 1
    (line,) = ended.stderr.strip().splitlines()
    assert port in line
    assert "--port" in line
    assert not (tmp_path / "other").exists()


# -- the data folder


def test_two_servers_may_share_a_data_folder(server: Server) -> None:
    """One process is what a folder is meant for; a second one by mistake must not do any harm."""
    second = start_server(server.data)
    try:
        with client_of(server) as one, client_of(second) as two:
            for number in range(20):
                for client, side in ((one, "a"), (two, "b")):
                    # both write pieces of the same sessions
                    answer = client.post(
                        QUALITIES,
                        json=body(
                            f"S{number}",
                            audioIn=[stream(PAST, packetLoss=[1] if side == "a" else [None, 2])],
                        ),
                    )
                    assert answer.status_code == 204, answer.text
            path = f"{QUALITIES}?meetingId=m1&max=1000"
            told = [client.get(path).json()["items"] for client in (one, two)]
        assert told[0] == told[1]
        assert [item["audioIn"][0]["packetLoss"] for item in told[0]] == [[1, 2]] * 20
    finally:
        assert second.stop() == 0
    with client_of(server) as one:
        assert one.post(QUALITIES, json=body("S99")).status_code == 204
        assert len(names_in(one)) == 21


root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to mount a small tmpfs")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "none", str(folder)], capture_output=True
    )
    if mount.returncode:
        pytest.skip(f"cannot mount a tmpfs: {mount.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def assert_unavailable(answer: httpx2.Response) -> None:
    assert answer.status_code == 503, answer.text
    assert int(answer.headers["retry-after"]) >= 1
    assert set(answer.json()) == {"message", "errors", "trackingId"}


@root_only
def test_a_full_disk_is_503_and_the_server_recovers_without_a_restart(small_disk: Path) -> None:
    server = start_server(small_disk / "data")
    ballast = small_disk / "ballast"
    try:
        with client_of(server) as client:
            kept = fill_up(client)
            assert kept
            assert_unavailable(client.post(QUALITIES, json=fat("late")))
            assert_unavailable(client.get("/health/ready"))
            assert client.get("/health/live").status_code == 200
            assert names_in(client) == kept  # reading goes on, nothing refused is there
            make_room(small_disk)
            assert client.get("/health/ready").status_code == 200
            assert client.post(QUALITIES, json=fat("late")).status_code == 204
            assert names_in(client) == kept | {"late"}
    finally:
        ballast.unlink(missing_ok=True)
        assert server.stop() == 0
    again = start_server(small_disk / "data")
    with client_of(again) as client:
        assert names_in(client) == kept | {"late"}
    assert again.stop() == 0


def fat(name: str) -> dict[str, Any]:
    """A session whose samples do not compress away."""
    values = [int.from_bytes(os.urandom(5), "big") for _ in range(5_000)]
    return body(name, videoIn=[stream(PAST, mediaBitRate=values)])


def fill_up(client: httpx2.Client) -> set[str]:
    """Post until the disk is full; the names of what was acknowledged."""
    kept: set[str] = set()
    for number in range(1_000):
        answer = client.post(QUALITIES, json=fat(f"S{number}"))
        if answer.status_code != 204:
            assert_unavailable(answer)
            return kept
        kept.add(f"S{number}")
    raise AssertionError("the disk did not fill up")


def make_room(folder: Path) -> None:
    subprocess.run(["mount", "-o", "remount,size=32m", str(folder)], check=True)


def test_a_locked_database_is_503_and_the_server_recovers_without_a_restart(
    server: Server,
) -> None:
    with client_of(server) as client:
        assert client.post(QUALITIES, json=body("S1")).status_code == 204
        (file,) = server.data.glob("*.db")
        other = apsw.Connection(str(file))
        other.execute("BEGIN IMMEDIATE")
        assert_unavailable(client.post(QUALITIES, json=body("S2")))
        assert names_in(client) == {"S1"}
        other.close()
        assert client.post(QUALITIES, json=body("S3")).status_code == 204
        assert names_in(client) == {"S1", "S3"}


@root_only
def test_a_read_only_disk_is_told_in_one_line(small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    ended = serve("--data", str(small_disk / "data"), "--port", "0")
    assert ended.returncode == 1
    (line,) = ended.stderr.strip().splitlines()
    assert "read-only" in line.lower()


@pytest.mark.parametrize("what", ["a file", "a folder that is not ours"])
def test_a_data_folder_that_cannot_be_used_is_told_in_one_line(tmp_path: Path, what: str) -> None:
    data = tmp_path / "data"
    if what == "a file":
        data.write_text("not a folder")
    else:
        data.mkdir()
        (data / "roomtone.db").write_bytes(b"not a database, but long enough to be looked at" * 99)
    ended = serve("--data", str(data), "--port", "0")
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1, ended.stderr
