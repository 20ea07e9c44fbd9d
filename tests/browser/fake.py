"""A server that speaks the collector's side of Roomtone and does as the test tells it."""

import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from roomtone.config import Settings
from roomtone.web import pages

WAIT_S_MAX = 20
BLANK = "<!doctype html><title>host page</title><link rel=icon href=data:,><p>A page with calls."


@dataclass
class Post:
    """One post as it arrived: `at_s` on the monotonic clock."""

    at_s: float
    token: str
    content_type: str
    size_bytes: int
    body: dict[str, Any]

    @property
    def reports(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.body["reports"]
        return found

    @property
    def session(self) -> dict[str, str]:
        found: dict[str, str] = self.body["session"]
        return found


@dataclass
class FakeRoomtone:
    """What was posted, and what to answer next: (status, headers), 204 when nothing is scripted."""

    url: str = ""
    posts: list[Post] = field(default_factory=list)
    verdict: dict[str, str] | None = None
    """What /v1/collector/verdict answers; None is 404."""
    asked: list[tuple[str, str]] = field(default_factory=list)
    """Who asked for it: (token, session)."""
    answers: deque[tuple[int, dict[str, str]]] = field(default_factory=deque)
    _news: threading.Condition = field(default_factory=threading.Condition)

    async def take(self, request: Request) -> Response:
        raw = await request.body()
        status, headers = self.answers.popleft() if self.answers else (204, {})
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        content_type = request.headers.get("content-type", "")
        with self._news:
            post = Post(time.monotonic(), token, content_type, len(raw), json.loads(raw))
            self.posts.append(post)
            self._news.notify_all()
        if status == 204:
            return Response(status_code=204)
        return JSONResponse({"message": "scripted"}, status, headers)

    async def judge(self, request: Request) -> Response:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        session = request.query_params["participantSessionId"]
        with self._news:
            self.asked.append((token, session))
            self._news.notify_all()
        if self.verdict is None:
            return JSONResponse({"message": "scripted"}, 404)
        return JSONResponse({"participantSessionId": session, **self.verdict})

    def wait(self, what: str, done: Callable[[list[Post]], Any]) -> list[Post]:
        """Wait until the posts satisfy `done`; `what` is the complaint when they never do."""
        with self._news:
            ready = self._news.wait_for(lambda: done(self.posts), WAIT_S_MAX)
            assert ready, f"never {what}; {len(self.posts)} posts"
            return list(self.posts)


@dataclass
class _State:
    settings: Settings


@contextmanager
def fake_roomtone() -> Iterator[FakeRoomtone]:
    """Runs in a thread of this process on a free port of the loopback."""
    fake = FakeRoomtone()

    async def blank(_request: Request) -> Response:
        return HTMLResponse(BLANK)

    async def session(_request: Request) -> Response:
        minted = {"meetingId": "m1", "token": "t1", "participantId": "p1"}
        return JSONResponse(minted, 201)

    async def qualities(_request: Request) -> Response:
        return JSONResponse({"items": []})

    app = Starlette(
        routes=[
            Route("/v1/webrtc/reports", fake.take, methods=["POST"]),
            Route("/v1/collector/verdict", fake.judge),
            Route("/v1/meeting/qualities", qualities),
            Route("/call/session", session, methods=["POST"]),
            Route("/host", blank),
            Route("/elsewhere", blank),
            *pages.routes(),
        ]
    )
    app.state.services = _State(Settings(test_call_org="demo"))
    server = uvicorn.Server(
        uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning", access_log=False)
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    limit_s = time.monotonic() + WAIT_S_MAX
    while not server.started:
        assert time.monotonic() < limit_s, "the fake server did not start"
        time.sleep(0.01)
    fake.url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    yield fake
    server.should_exit = True
    thread.join(WAIT_S_MAX)
