"""Hostile bytes on the socket of a real server: one error body, never a 5xx, and it lives on."""

import os
import random
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Server, start_server
from tests.server.raw import Answer, connect, exchange, read_answer, request

POST = b"/v1/meeting/qualities"
JSON = b"Content-Type: application/json"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    started = start_server(tmp_path_factory.mktemp("wire") / "data")
    yield started
    assert started.process.poll() is None, "the server died"
    assert started.stop() == 0
    assert not [line for line in started.log if '"fault"' in line or "Traceback" in line]


@pytest.fixture(scope="module")
def bearer(running: Server) -> bytes:
    return b"Authorization: Bearer " + running.token().encode()


def assert_refused(answer: Answer, status: int) -> None:
    assert answer.status == status, answer
    body = answer.error()
    assert set(body) == {"message", "errors", "trackingId"}
    assert answer.headers["trackingid"] == body["trackingId"]
    assert answer.headers["content-type"] == "application/json"


# What uvicorn's parser refuses before the application is asked.
NO_HTTP = [
    b"hello\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # TLS to a port without it
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
    b"GET http:// HTTP/1.1\r\nHost: x\r\n\r\n",
    b"CONNECT evil.example.net:443 HTTP/1.1\r\nHost: x\r\n\r\n",
    b"NONSENSE / HTTP/1.1\r\nHost: x\r\n\r\n",
    request(b"/caf\xc3\xa9"),
    request(b"/a b"),
    request(b"/", b"no colon"),
    request(b"/", b"Name : space before the colon"),
    request(b"/", b"X: a\x00b"),
    request(b"/", b"X: a\x01b"),
    request(b"/", b" folded: line"),
    request(POST, b"Content-Length: -1", method=b"POST"),
    request(POST, b"Content-Length: x", method=b"POST"),
    request(POST, b"Content-Length: 99999999999999999999999", method=b"POST"),
    request(POST, b"Content-Length: 1", b"Content-Length: 2", method=b"POST", body=b"{}"),
    request(POST, b"Content-Length: 2", b"Transfer-Encoding: chunked", method=b"POST", body=b"{}"),
    request(POST, b"Transfer-Encoding: gzip", method=b"POST", body=b"{}"),
]


@pytest.mark.parametrize("sent", NO_HTTP, ids=lambda sent: repr(sent[:60]))
def test_what_is_no_http_is_refused_in_the_error_body(running: Server, sent: bytes) -> None:
    assert_refused(exchange(running.url, sent), 400)


def test_an_endless_header_is_refused_before_memory_grows(running: Server) -> None:
    with connect(running.url) as link:
        link.sendall(b"GET / HTTP/1.1\r\nX: ")
        sent = 0
        try:
            while sent < 64 * 1024 * 1024:
                sent += link.send(b"x" * 65_536)
        except ConnectionError:
            pass
        else:
            assert_refused(read_answer(link), 431)
    assert sent < 16 * 1024 * 1024  # what the socket's buffers hold, and no more


@pytest.mark.parametrize(
    "head",
    [
        b"GET /" + b"x" * 1_000_000,
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 200_000,
        b"GET / HTTP/1.1\r\n" + b"N" * 1_000_000,
    ],
    ids=["target", "many lines", "name"],
)
def test_a_long_head_is_431(running: Server, head: bytes) -> None:
    with connect(running.url) as link:
        try:
            link.sendall(head)
        except ConnectionError:
            return  # closed before all was sent
        answer = read_answer(link)
        assert answer.status in (0, 431)  # 0: the reset overtook the answer


TAKEN = [
    # bytes, status without a token
    (request(), 401),
    (request(b"/v1/people/me", b"X-Long: " + b"x" * 10_240), 401),
    (request(b"/v1/people/me?" + b"x" * 10_240), 401),
    (request(b"/v1/people/me", b"X: \xff\xfe\x80"), 401),
    (request(b"/v1/people/me", b"Authorization: Bearer \xff\xfe"), 401),
    (request(b"/v1/people/me", b"Authorization: \xff\xfe"), 401),
    (request(b"/v1/people/me", b"Accept-Encoding: \xff;q=\xff"), 401),
    (request(b"/v1/people/me", b"Connection: Upgrade", b"Upgrade: websocket"), 401),
    (request(b"/v1/people/me", b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c"), 401),
    (request(b"/v1/people/me", b"Content-Length: 100", body=b"x"), 401),
    (request(b"/v1/people/me", b"Expect: 100-continue"), 401),
    (request(b"http://evil.example.net/v1/people/me"), 401),
    (b"GET /v1/people/me HTTP/1.1\r\n\r\n", 401),
    (b"GET /v1/people/me HTTP/1.0\r\n\r\n", 401),
    (request(b"*", method=b"OPTIONS"), 404),
    (b"GET /v1/people/me\r\n\r\n", 401),  # HTTP/0.9
    (request(b"//v1//people//me"), 404),
    (request(b"//"), 404),
    (request(b"/../../etc/passwd"), 404),
    (request(b"/static/../../../etc/passwd"), 404),
    (request(b"/static/%2e%2e/%2e%2e/pyproject.toml"), 404),
    (request(b"/v1/people/me%00"), 404),
    (request(b"/%"), 404),
    (request(b"/%zz%\x7f"[:-1]), 404),
    (request(b"/%ff%fe"), 404),
    (request(b"/%ed%a0%80"), 404),
    (request(b"/v1/people/me", method=b"HEAD"), 401),
    (request(b"/v1/people/me", method=b"OPTIONS"), 405),
    (request(b"/v1/people/me", method=b"TRACE"), 405),
    (request(b"/v1/people/me", method=b"PROPFIND"), 405),
    (request(b"/", method=b"DELETE"), 405),
]


@pytest.mark.parametrize(("sent", "status"), TAKEN, ids=lambda value: repr(value)[:70])
def test_strange_but_lawful_requests_are_answered(
    running: Server, sent: bytes, status: int
) -> None:
    answer = exchange(running.url, sent)
    if sent.startswith(b"HEAD "):
        assert (answer.status, answer.body) == (status, b"")
    else:
        assert_refused(answer, status)


HOSTS = [
    b"a b", b"[::1", b"[::1]:x", b"x:y", b"x:99999", b"", b"\xff\xfe", b"a/b?c#d",
    b'x>; rel="next", <http://evil.example.net/', b"user:secret@host", b"x" * 10_000, b"%00",
]  # fmt: skip


@pytest.mark.parametrize("host", HOSTS, ids=lambda host: repr(host[:30]))
def test_a_strange_host_breaks_nothing(running: Server, bearer: bytes, host: bytes) -> None:
    body = b'{"items":[' + b",".join(session_json(n) for n in range(2)) + b"]}"
    length = b"Content-Length: %d" % len(body)
    post = request(POST, bearer, JSON, length, method=b"POST", body=body)
    assert exchange(running.url, post).status == 204
    for target in (
        b"/v1/meeting/qualities?meetingId=hosts&max=1",
        b"/v1/meetings?max=1",
        b"/v1/meetingParticipants?meetingId=hosts&max=1",
        b"/",
        b"/call",
    ):
        answer = exchange(running.url, request(target, bearer, host=host))
        assert answer.status in (200, 400, 404), answer
        assert answer.headers.get("link", "").count(">;") <= 1


def session_json(number: int) -> bytes:
    return b'{"meetingInstanceId":"hosts","participantSessionId":"H%d"}' % number


def chunked(*parts: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (*parts, b""))


BODY = b'{"items":[{"meetingInstanceId":"m1","participantSessionId":"W1"}]}'
BODIES = [
    ("chunked", [b"Transfer-Encoding: chunked"], chunked(BODY[:7], BODY[7:]), 204),
    ("one byte a chunk", [b"Transfer-Encoding: chunked"], chunked(*map(bytes, zip(BODY))), 204),
    ("no length", [], BODY, 400),
    ("too long a length", [b"Content-Length: 500"], BODY, None),
    ("too short a length", [b"Content-Length: 10"], BODY, 400),
    ("a length of 9 MiB", [b"Content-Length: 9437184"], BODY, 413),
    ("a broken chunk", [b"Transfer-Encoding: chunked"], b"5\r\nhello", None),
    ("a chunk of no size", [b"Transfer-Encoding: chunked"], b"x\r\nhello\r\n", 400),
    ("a chunk of 2**64", [b"Transfer-Encoding: chunked"], b"1%016x\r\nhello\r\n" % 0, 400),
]  # fmt: skip


@pytest.mark.parametrize(("lines", "body", "status"), [b[1:] for b in BODIES], ids=[b[0] for b in BODIES])  # fmt: skip  # noqa: E501
def test_a_body_that_lies_about_its_length_does_no_harm(
    running: Server, bearer: bytes, lines: list[bytes], body: bytes, status: int | None
) -> None:
    sent = request(POST, bearer, JSON, *lines, method=b"POST", body=body)
    answer = exchange(running.url, sent, end=status is None)
    if status is None:  # the connection ended before the body did
        assert answer.status in (0, 400)
    elif status >= 400:
        assert_refused(answer, status)
    else:
        assert answer.status == status


@pytest.mark.parametrize("connection", [b"close", b"keep-alive"])
def test_who_sends_a_whole_body_that_is_refused_at_its_head_hears_why(
    running: Server, connection: bytes
) -> None:
    large = b" " * (6 << 20)  # more than the buffers of a socket take
    length = b"Content-Length: " + str(len(large)).encode()
    head = request(POST, JSON, length, b"Connection: " + connection, method=b"POST")
    with connect(running.url) as link:
        link.sendall(head + large)
        answer = read_answer(link)
        assert_refused(answer, 401)
        if connection == b"close":
            assert link.recv(1) == b"", "the connection ends with the request"
        else:
            link.sendall(request(b"/health/live"))
            assert read_answer(link).status == 200


def test_requests_in_one_packet_are_answered_in_order(running: Server, bearer: bytes) -> None:
    sent = request(b"/v1/people/me", bearer) + request(b"/nothing") + request(b"/health/live")
    with connect(running.url) as link:
        link.sendall(sent)
        file = link.makefile("rb")
        statuses = []
        for _ in range(3):
            statuses.append(int(file.readline().split()[1]))
            length = 0
            while line := file.readline().strip():
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            file.read(length)
        file.close()
    assert statuses == [200, 404, 200]


def test_random_bytes_never_hurt(running: Server, bearer: bytes) -> None:
    chance = random.Random(20_261_124)
    for _ in range(150):
        junk = chance.randbytes(chance.randrange(1, 200))
        sent = chance.choice(
            [
                junk,
                b"GET /" + junk + b" HTTP/1.1\r\n\r\n",
                request(b"/v1/meetings?" + junk.hex().encode(), b"X: " + junk, bearer),
                request(
                    POST, bearer, JSON, b"Content-Length: %d" % len(junk), method=b"POST", body=junk
                ),
            ]
        )
        answer = exchange(running.url, sent, end=chance.random() < 0.2 or sent == junk)
        assert answer.status < 500
        if answer.status >= 400:
            assert set(answer.error()) == {"message", "errors", "trackingId"}


def test_a_client_that_leaves_in_the_middle_does_no_harm(running: Server, bearer: bytes) -> None:
    for _ in range(20):
        link = connect(running.url)
        link.sendall(request(POST, bearer, JSON, b"Content-Length: 1000000", method=b"POST"))
        link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        link.close()  # a reset
    assert exchange(running.url, request(b"/health/ready")).status == 200


def test_bombs_do_not_make_memory_grow(running: Server, bearer: bytes) -> None:
    before = memory_bytes(running.process.pid)
    depth = b'{"items":[' * 400_000
    for _ in range(5):
        for sent in (depth, b'{"items":[{"x":' + b"[" * 4_000_000, b"[" * 8_000_000):
            length = b"Content-Length: %d" % len(sent)
            answer = exchange(
                running.url, request(POST, bearer, JSON, length, method=b"POST", body=sent)
            )
            assert_refused(answer, 400)
    assert memory_bytes(running.process.pid) - before < 100 * 1024 * 1024


def memory_bytes(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
