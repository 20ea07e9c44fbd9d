"""Clients that never finish what they began are let go, in words where that is possible."""

import threading
from collections.abc import Iterator

import pytest
import uvicorn

from roomtone import protocol
from roomtone.app import create_app
from roomtone.config import Settings
from tests.server.raw import connect, exchange, read_answer, request


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a server that gives a request half a second instead of two minutes."""
    monkeypatch.setattr(protocol, "REQUEST_S_MAX", 0.5)
    app = create_app(Settings(data=":memory:"))  # type: ignore[arg-type]
    config = uvicorn.Config(
        app, port=0, http=protocol.BoundedHttp, log_config=None, timeout_keep_alive=1
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        thread.join(0.01)
        assert thread.is_alive()
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()


@pytest.mark.parametrize(
    "begun",
    [
        b"",
        b"GET / HT",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: y",
        request(
            b"/v1/access_token",
            b"Content-Type: application/x-www-form-urlencoded",
            b"Content-Length: 100",
            method=b"POST",
            body=b"grant_type=",
        ),
    ],
    ids=["silent", "request line", "header", "body"],
)
def test_a_request_that_never_ends_is_408(impatient: str, begun: bytes) -> None:
    answer = exchange(impatient, begun)
    assert answer.status == 408
    assert answer.error()["trackingId"] == answer.headers["trackingid"]


@pytest.mark.parametrize("rest", [b"", b"x", b"x" * 100], ids=["stalls", "trickles", "idles"])
@pytest.mark.parametrize("connection", [b"close", b"keep-alive"])
def test_a_connection_whose_body_was_refused_at_its_head_is_let_go(
    impatient: str, rest: bytes, connection: bytes
) -> None:
    head = request(
        b"/v1/meetings", b"Content-Length: 100", b"Connection: " + connection, method=b"POST"
    )
    with connect(impatient) as link:
        link.sendall(head)
        assert read_answer(link).status == 401
        link.sendall(rest)
        assert link.recv(1) == b"", "and nothing is said twice"


def test_a_connection_that_asks_again_is_kept(impatient: str) -> None:
    with connect(impatient) as link:
        for _ in range(3):
            link.sendall(request(b"/health/live")[:-2])
            link.sendall(b"\r\n")
            assert read_answer(link).status == 200
