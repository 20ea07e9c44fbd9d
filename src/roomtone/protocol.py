"""HTTP/1.1 as uvicorn speaks it, with bounds on what it takes in before an application is asked."""

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final, cast
from weakref import WeakKeyDictionary

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from roomtone.api.wire import error_response, new_tracking_id

HEAD_BYTES_MAX: Final = 65_536
"""Request line and header together; what is read at once may go over it."""
REQUEST_S_MAX: Final = 120.0
"""From a connection's or a request's first byte to its last."""

_outboxes: WeakKeyDictionary[ServerState, "Outbox"] = WeakKeyDictionary()
"""One for each running server: its connections share a turn of the loop."""


class BoundedHttp(HttpToolsProtocol):
    """A request that is too long, too slow or no HTTP at all is refused in the one error body."""

    _head_bytes = 0
    _in_body = False
    _closes = False
    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A connection that says nothing ends as one that never finishes its request."""
        super().connection_made(transport)
        outbox = _outboxes.get(self.server_state)
        if outbox is None:
            outbox = _outboxes[self.server_state] = Outbox(self.loop)
        self.transport = cast("asyncio.Transport", Outgoing(transport, outbox, self._is_to_wait))
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
        elif self.cycle is not None and self.cycle.response_complete:
            self._time_rest()

    def on_headers_complete(self) -> None:
        """The application is asked now; the body's bound is its."""
        self._in_body = True
        self.scope["connection"] = self.transport  # type: ignore[typeddict-unknown-key]
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The request is whole."""
        self._in_body = False
        self._head_bytes = 0
        self._on_time()
        super().on_message_complete()
        if self._closes:
            self.transport.close()

    def shutdown(self) -> None:
        """The server stops: no body is waited for that is answered already."""
        self._closes = True
        super().shutdown()

    def _is_to_wait(self) -> bool:
        """Whether a connection that is closed had better take in the rest of its request first.

        To close it with bytes unread resets it, and what was refused early would never hear why.
        """
        waits = self._in_body and not self._closes
        self._closes = True
        return waits

    def _time_rest(self) -> None:
        # Each byte ends uvicorn's timer of idle connections, which only an answer begins; here the
        # answer was given before its request was whole.
        ends = self._in_body or not self._head_bytes
        if ends and self.timeout_keep_alive_task is None and not self.transport.is_closing():
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

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
        asked = self.cycle is not None and (self._in_body or not self.cycle.response_complete)
        if not (asked and self.cycle.response_started):
            self.transport.write(_answer(status, message))
        self._closes = True
        self.transport.close()

    def _unsupported_upgrade_warning(self) -> None:
        """A client that offers HTTP/2 or WebSocket is answered in HTTP/1.1: nothing to log."""


class Outbox:
    """What one turn of the event loop has to send leaves together at the turn's end.

    To send wakes the reader, and that costs more than the rest of an answer that is at hand: a
    reader that was woken by the first answer of a turn is still awake for the others.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: list[Outgoing] = []

    def add(self, outgoing: "Outgoing") -> None:
        """Flush it when this turn's handlers have run."""
        if not self._waiting:
            self._loop.call_soon(self._flush)
        self._waiting.append(outgoing)

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        for outgoing in waiting:
            outgoing.flush()


class Outgoing:
    """A connection's transport as uvicorn writes to it: head and body leave in one call."""

    __slots__ = ("_is_to_wait", "_outbox", "_parts", "_transport")

    def __init__(
        self,
        transport: asyncio.Transport,
        outbox: Outbox,
        is_to_wait: Callable[[], bool] = lambda: False,
    ) -> None:
        self._transport = transport
        self._outbox = outbox
        self._is_to_wait = is_to_wait
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> None:
        """Send it at the turn's end."""
        if not self._parts:
            self._outbox.add(self)
        self._parts.append(data)

    def flush(self) -> None:
        """Send what waits."""
        parts, self._parts = self._parts, []
        if parts and not self._transport.is_closing():
            self._transport.writelines(parts)

    def close(self) -> None:
        """Close the connection after what was written, unless it is to wait; then ask again."""
        self.flush()
        if not self._is_to_wait():
            self._transport.close()

    def abort(self) -> None:
        """Close the connection now, whatever waits to be sent to who does not read."""
        self._parts.clear()
        self._transport.abort()

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
