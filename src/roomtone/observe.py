"""The server's outermost layer: tracking ids, one log line a request, every error in one body."""

import asyncio
import logging
import sys
import time
from http import HTTPStatus
from types import SimpleNamespace
from typing import Any, Final

import msgspec
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from roomtone.api.wire import error_response, new_tracking_id
from roomtone.errors import RoomtoneError, Unavailable
from roomtone.services import Services

access_log: Final = logging.getLogger("roomtone.access")
log: Final = logging.getLogger("roomtone")
ACCESS_LOG_DELAY_S: Final = 0.1
ACCESS_LINES_MAX: Final = 1_000


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, event and what the record adds under `fields`."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line; lines that are ready as they are."""
        ready: list[str] | None = getattr(record, "ready_lines", None)
        if ready is not None:
            return "\n".join(ready)
        line: dict[str, Any] = {
            "time": round(record.created, 3),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
        }
        line |= getattr(record, "fields", {})
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line).decode()


def log_to_stderr(level: int = logging.INFO) -> None:
    """Send Roomtone's and uvicorn's records to standard error as JSON lines."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    for name in ("roomtone", "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.propagate = False
        logger.setLevel(level if name == "roomtone" else logging.WARNING)


class Observed:
    """ASGI middleware around the whole application; the one place that catches everything."""

    def __init__(self, app: ASGIApp, services: Services) -> None:
        self._app = app
        self._services = services
        self._metrics = services.metrics
        self.state = SimpleNamespace(services=services)
        self._access = AccessLines()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, whatever happens inside."""
        scope["app"] = self  # where handlers find the services; no further layer is between
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            self._access.flush()
            return
        started = time.perf_counter()
        tracking_id = scope["tracking_id"] = new_tracking_id()
        status, begun = 0, 0.0

        async def send_tracked(message: Message) -> None:
            nonlocal status, begun
            if message["type"] == "http.response.start":
                status, begun = message["status"], time.perf_counter()
                message["headers"].append((b"trackingid", tracking_id.encode()))
            await send(message)

        try:
            await self._app(scope, receive, send_tracked)
        except Exception as error:
            if status:  # too late to answer: the body is on its way
                log.exception("answer broken off", extra={"fields": {"trackingId": tracking_id}})
                raise
            response = _response_to(error, tracking_id)
            await response(scope, receive, send_tracked)
        except asyncio.CancelledError:
            if status:
                raise
            # only a server that stops cancels a request, when its time is over
            response = _response_to(Unavailable("The server is stopping."), tracking_id)
            await response(scope, receive, send_tracked)
        finally:
            self._services.bodies_bytes -= scope.get("body_bytes", 0)
            # A stream is answered when it begins, however long somebody reads it.
            answered = begun if "stream" in scope else time.perf_counter()
            self._note(scope, status, tracking_id, answered - started)

    def _note(self, scope: Scope, status: int, tracking_id: str, seconds: float) -> None:
        # The route, not the path or the query: those can hold names and addresses.
        route = getattr(scope.get("route"), "path", "unknown")
        method = scope["method"] if scope["method"] in _METHODS else "other"
        self._metrics.requests.add(method, route, status, seconds)
        if method == "POST" and status >= 400:
            self._metrics.refused.labels(str(status)).inc()
        if access_log.isEnabledFor(logging.INFO):
            # JSON by hand: no value in it comes from outside, and an encoder takes twice as long.
            self._access.add(
                f'{{"time":{time.time():.3f},"level":"info","event":"request","method":"{method}",'
                f'"route":"{route}","status":{status},"ms":{seconds * 1000:.2f},'
                f'"trackingId":"{tracking_id}"}}'
            )


class ErrorsAnswered:
    """ASGI middleware for what must see error answers pass, as CORS must to add its headers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer; a fault after the answer has begun goes on to the outermost layer."""
        begun = False

        async def send_noting(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, send_noting)
        except Exception as error:
            if begun:
                raise
            await _response_to(error, scope["tracking_id"])(scope, receive, send)


class AccessLines:
    """One line a request, a moment's lines in one write: a record of `logging` costs 20 us."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def add(self, line: str) -> None:
        """Keep a line; it is written within ACCESS_LOG_DELAY_S. Called in the event loop."""
        if not self._lines:
            asyncio.get_running_loop().call_later(ACCESS_LOG_DELAY_S, self.flush)
        self._lines.append(line)
        if len(self._lines) >= ACCESS_LINES_MAX:
            self.flush()

    def flush(self) -> None:
        """Write what is kept."""
        if self._lines:
            lines, self._lines = self._lines, []
            access_log.info("requests", extra={"ready_lines": lines})


_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def _response_to(error: Exception, tracking_id: str) -> Response:
    if isinstance(error, RoomtoneError):
        headers = {}
        if error.retry_after is not None:
            headers["Retry-After"] = str(max(1, int(error.retry_after)))
        if error.status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        return error_response(error.status, error.message, tracking_id, headers)
    if isinstance(error, HTTPException):
        return error_response(error.status_code, _phrase(error), tracking_id, error.headers)
    log.error("fault", exc_info=error, extra={"fields": {"trackingId": tracking_id}})
    return error_response(
        500, "Something went wrong on the server; its log has this tracking id.", tracking_id
    )


def _phrase(error: HTTPException) -> str:
    if error.status_code == 404:
        return "There is nothing at this path."
    if error.status_code == 405:
        allow = (error.headers or {}).get("Allow", "")
        return f"This path takes {allow}."
    return HTTPStatus(error.status_code).phrase
