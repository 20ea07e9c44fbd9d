"""What all tests share: an API in process with a clock of its own, and a real server."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import hypothesis
import pytest
from starlette.testclient import TestClient

from roomtone import score, scoring
from roomtone.app import create_app
from roomtone.auth import SCOPES, hash_token, new_token
from roomtone.config import Settings
from roomtone.model import epoch_ms
from roomtone.services import Services
from roomtone.store import Store, Token, open_store
from roomtone.store.verdicts import Scores, Stale

DATA = Path(__file__).parent / "data"
NOW = "2026-11-24T10:00:00Z"
SERVER_START_S_MAX = 20
T = TypeVar("T")

# No test asserts a time: a machine that is busy is not a fault.
hypothesis.settings.register_profile("roomtone", deadline=None)
hypothesis.settings.load_profile("roomtone")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """With CI=true a skipped test is a failed one: nothing may go untested without being seen."""
    outcome: Any = yield
    report = outcome.get_result()
    if report.skipped and os.environ.get("CI") == "true" and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, which CI does not allow: {report.longrepr}"


@dataclass
class Clock:
    """A clock that stands still until a test moves it."""

    now_ms: int = epoch_ms(NOW)

    def __call__(self) -> int:
        return self.now_ms

    def advance(self, *, s: float) -> None:
        self.now_ms += round(s * 1000)


def run_apart(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in a thread of its own: Playwright's loop may be running in this one."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, coroutine).result()


def add_token(store: Store, *scopes: str, org: str = "acme", now_ms: int = 0, **more: Any) -> str:
    """A token with these scopes (default: all), put straight into the store."""
    token = new_token()
    with store.transaction():
        store.put_token(stored_token(token, *scopes, org=org, now_ms=now_ms, **more))
    return token


def stored_token(token: str, *scopes: str, org: str, now_ms: int, **more: Any) -> Token:
    """What the store keeps of a token."""
    return Token(
        hash=hash_token(token),
        org=org,
        scopes=frozenset(scopes or SCOPES),
        created_ms=now_ms,
        **{"kind": "access", **more},
    )


@dataclass
class Api:
    """The application in process, its store and its clock."""

    client: TestClient
    services: Services
    store: Store
    clock: Clock
    settings: Settings
    _tokens: dict[Any, str] = field(default_factory=dict)

    def write(self, job: Callable[[Store], T]) -> T:
        """Run a job in the writer's thread, as every write must."""
        assert self.client.portal is not None
        return self.client.portal.call(self.services.writer.run, job)

    def token(self, *scopes: str, org: str = "acme", **more: Any) -> str:
        key = (scopes, org, *sorted(more.items()))
        if key not in self._tokens:
            token = self._tokens[key] = new_token()
            now_ms = self.clock.now_ms
            stored = stored_token(token, *scopes, org=org, now_ms=now_ms, **more)
            self.write(lambda store: store.put_token(stored))
        return self._tokens[key]

    def headers(self, *scopes: str, org: str = "acme") -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token(*scopes, org=org)}"}

    def get(self, path: str, *scopes: str, org: str = "acme", **options: Any) -> Any:
        headers = self.headers(*scopes, org=org) | options.pop("headers", {})
        return self.client.get(path, headers=headers, **options)

    def post(self, path: str, body: Any, *scopes: str, org: str = "acme", **options: Any) -> Any:
        headers = self.headers(*scopes, org=org) | options.pop("headers", {})
        if isinstance(body, bytes):
            headers = {"Content-Type": "application/json"} | headers
            return self.client.post(path, content=body, headers=headers, **options)
        return self.client.post(path, json=body, headers=headers, **options)

    def put(self, path: str, body: Any, *scopes: str, org: str = "acme") -> Any:
        return self.client.put(path, headers=self.headers(*scopes, org=org), json=body)

    def post_sessions(self, *sessions: dict[str, Any], org: str = "acme") -> Any:
        return self.post("/v1/meeting/qualities", {"items": list(sessions)}, org=org)

    def qualities(self, meeting: str = "m1", *scopes: str, org: str = "acme", **query: Any) -> Any:
        params = {"meetingId": meeting, **query}
        return self.get("/v1/meeting/qualities", *scopes, org=org, params=params)

    def upkeep(self) -> int:
        """What the server does every few seconds: seal what has ended. Returns how many."""
        silence_ms = self.settings.silence_s * 1000
        now_ms = self.clock.now_ms
        return self.write(lambda store: store.seal(now_ms, silence_ms=silence_ms, limit=1000))

    def score(self) -> int:
        """What the server does behind that: score the meetings that are stale. Returns how many."""
        stale = self.store.stale(None, model=score.VERSION, limit=1000)
        for one in stale:
            made = scoring.made_of(self.store, one)
            assert made is not None
            assert self.write(partial(_put_scores, stale=one, made=made))
        return len(stale)


def _put_scores(store: Store, *, stale: Stale, made: Scores) -> bool:
    return store.put_scores(stale.org, stale.meeting, made)


@pytest.fixture
def make_api(tmp_path: Path) -> Iterator[Callable[..., Api]]:
    """Make an API over a fresh SQLite store; keyword arguments are settings."""
    opened: list[tuple[TestClient, Store]] = []

    def make(**settings: Any) -> Api:
        chosen = Settings(**({"data": tmp_path / f"data{len(opened)}"} | settings))
        store, clock = open_store(chosen.data), Clock()
        app = create_app(chosen, store, now_ms=clock, upkeep=False)
        client = TestClient(app, raise_server_exceptions=False)
        client.__enter__()
        opened.append((client, store))
        return Api(client, app.state.services, store, clock, chosen)

    yield make
    for client, store in opened:
        client.__exit__(None, None, None)
        store.close()


@pytest.fixture
def api(make_api: Callable[..., Api]) -> Api:
    """The API with the default settings."""
    return make_api()


@pytest.fixture(scope="session")
def example() -> dict[str, Any]:
    """The specification's own example of an answer."""
    loaded: dict[str, Any] = json.loads((DATA / "meeting-qualities-example.json").read_bytes())
    return loaded


def session(session_id: str = "S1", meeting: str = "m1", **fields: Any) -> dict[str, Any]:
    """A small session as a client would post it."""
    return {
        "meetingInstanceId": meeting,
        "participantSessionId": session_id,
        "participantId": f"P-{session_id}",
        "webexUserName": "Ada Example",
        "webexUserEmail": "ada@example.com",
        "joinTime": "2026-11-24T09:00:00.000Z",
        **fields,
    }


def stream(start: str = "2026-11-24T09:00:00.000Z", **fields: Any) -> dict[str, Any]:
    """A small stream entry as a client would post it."""
    return {"startTime": start, "samplingInterval": 60, "packetLoss": [0.5], **fields}


@dataclass
class Server:
    """A server in a process of its own, on a free port of the loopback."""

    url: str
    data: Path
    process: subprocess.Popen[str]
    log: list[str]

    def token(self, *scopes: str, org: str = "acme") -> str:
        store = open_store(self.data)
        try:
            return add_token(store, *scopes, org=org)
        finally:
            store.close()

    def stop(self, signal_number: int = signal.SIGTERM) -> int:
        """End it by its pid and return its exit code."""
        self.process.send_signal(signal_number)
        return self.process.wait(timeout=30)


def start_server(
    data: Path, *flags: str, env: dict[str, str] | None = None, within: Sequence[str] = ()
) -> Server:
    """Start `roomtone serve` (`within` a command such as ip netns exec); return when it listens."""
    serve = [sys.executable, "-m", "roomtone", "serve", "--data", str(data), "--port", "0"]
    command = [*within, *serve]
    process = subprocess.Popen(
        [*command, *flags], stderr=subprocess.PIPE, text=True, env={**os.environ, **(env or {})}
    )
    assert process.stderr is not None
    log: list[str] = []
    address: list[str] = []
    listening = threading.Event()

    def read() -> None:
        assert process.stderr is not None
        with process.stderr as lines:
            for line in lines:
                log.append(line)
                if not address and '"listening"' in line:
                    address.append(json.loads(line)["address"])
                    listening.set()
        listening.set()

    threading.Thread(target=read, daemon=True).start()
    listening.wait(SERVER_START_S_MAX)
    if not address:
        process.kill()
        process.wait()
        raise AssertionError(f"the server did not start: {''.join(log)}")
    return Server(address[0], data, process, log)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A real server with the default settings."""
    started = start_server(tmp_path / "data")
    yield started
    if started.process.poll() is None:
        started.stop()
