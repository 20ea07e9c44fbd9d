"""HTTP/1.1 as uvicorn speaks it, with bounds on what it takes in before an application is asked."""

import asyncio
from http import HTTPStatus
from typing import Any, Final, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from roomtone.api.wire import error_response, new_tracking_id

HEAD_BYTES_MAX: Final = 65_536
"""Request line and header together; what is read at once may go over it."""
REQUEST_S_MAX: Final = 120.0
"""From a connection's or a request's first byte to its last."""


CONTINUE: Final = b"HTTP/1.1 100"


class BoundedHttp(HttpToolsProtocol):
    """A request that is too long, too slow or no HTTP at all is refused in the one error body."""

    _head_bytes = 0
    _in_body = False
    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A connection that says nothing ends as one that never finishes its request."""
        super().connection_made(transport)
        self._late = self.loop.call_later(REQUEST_S_MAX, self._refuse_late)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing more will come."""
        self._on_time()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Feed the parser, then see whether the head is growing beyond its bound."""
        self._head_bytes += len(data)
        super().data_received(data)
        if self._head_bytes and self._late is None and not self.transport.is_closing():
            self._late = self.loop.call_later(REQUEST_S_MAX, self._refuse_late)
        if self._head_bytes > HEAD_BYTES_MAX and not self._in_body:
            self._refuse(431, f"The request's header is longer than {HEAD_BYTES_MAX} bytes.")

    def on_headers_complete(self) -> None:
        """The application is asked now; the body's bound is its."""
        self._in_body = True
        super().on_headers_complete()
        if self.scope["method"] != "HEAD":  # whose answer has no body to wait for
            self.cycle.transport = cast("asyncio.Transport", AnswerTransport(self.transport))

    def on_message_complete(self) -> None:
        """The request is whole."""
        self._in_body = False
        self._head_bytes = 0
        self._on_time()
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """What could not be parsed, in the error body."""
        self._refuse(400, msg)

    def _on_time(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _refuse_late(self) -> None:
        self._refuse(408, f"The request took longer than {REQUEST_S_MAX:.0f} seconds to arrive.")

    def _refuse(self, status: int, message: str) -> None:
        self._on_time()
        if self.transport.is_closing():
            return
        answering = self.cycle is not None and not self.cycle.response_complete
        if not (answering and self.cycle.response_started):
            self.transport.write(_answer(status, message))
        self.transport.close()

    def _unsupported_upgrade_warning(self) -> None:
        """A client that offers HTTP/2 or WebSocket is answered in HTTP/1.1: nothing to log."""


class AnswerTransport:
    """What one answer is written to: its head waits for the first part of its body.

    uvloop sends what it is given at once. Head and body apart are two calls of the system, and
    wake the reader twice: a sixth of the CPU time of an answer that is at hand.
    """

    __slots__ = ("_head", "_started", "_transport")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._head = b""
        self._started = False

    def write(self, data: bytes) -> None:
        """The first call brings the head (uvicorn writes it whole), the next the body's begin."""
        if self._head:
            head, self._head = self._head, b""
            self._transport.writelines((head, data))
        elif self._started or data.startswith(CONTINUE):
            self._transport.write(data)
        else:
            self._head, self._started = data, True

    def close(self) -> None:
        """Close the connection after what was written."""
        if self._head:
            self.write(b"")
        self._transport.close()

    def is_closing(self) -> bool:
        """Whether the connection is closing."""
        return self._transport.is_closing()


def _answer(status: int, message: str) -> bytes:
    tracking_id = new_tracking_id()
    headers: dict[str, Any] = {"trackingid": tracking_id, "connection": "close"}
    response = error_response(status, message, tracking_id, headers)
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}".encode()]
    lines += [name + b": " + value for name, value in response.raw_headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + bytes(response.body)
