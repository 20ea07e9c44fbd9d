"""HTTP by hand: bytes on a socket, and the answer that comes back, however it ends."""

import json
import socket
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

ANSWER_S_MAX = 20


@dataclass
class Answer:
    """A raw answer; status 0 is a connection that ended without one."""

    status: int
    headers: dict[str, str]
    body: bytes

    def error(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found


def connect(url: str) -> socket.socket:
    parts = urlsplit(url)
    assert parts.port is not None
    return socket.create_connection((parts.hostname, parts.port), ANSWER_S_MAX)


def exchange(url: str, request: bytes, *, end: bool = False) -> Answer:
    """Send bytes, read one answer. With `end` the connection ends with them."""
    with connect(url) as link:
        try:
            link.sendall(request)
            if end:
                link.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # refused before everything was sent: the answer is there to be read
        return read_answer(link, head=request.startswith(b"HEAD "))


def read_answer(link: socket.socket, *, head: bool = False) -> Answer:
    """The next answer on a connection; interim ones (100) are passed over."""
    with link.makefile("rb") as file:
        try:
            while True:
                first = file.readline()
                if not first:
                    return Answer(0, {}, b"")
                headers = _headers(file)
                status = int(first.split()[1])
                if status >= 200:
                    break
            length = 0 if head or status in (204, 304) else int(headers.get("content-length", 0))
            return Answer(status, headers, file.read(length))
        except ConnectionError:
            return Answer(0, {}, b"")


def _headers(file: Any) -> dict[str, str]:
    headers: dict[str, str] = {}
    while line := file.readline().strip():
        name, _, value = line.partition(b":")
        headers[name.decode("latin-1").lower()] = value.strip().decode("latin-1")
    return headers


def request(
    target: bytes = b"/v1/people/me",
    *lines: bytes,
    method: bytes = b"GET",
    host: bytes = b"localhost",
    body: bytes = b"",
) -> bytes:
    """A request as bytes; header lines are given whole."""
    head = [method + b" " + target + b" HTTP/1.1", b"Host: " + host, *lines]
    return b"\r\n".join(head) + b"\r\n\r\n" + body
