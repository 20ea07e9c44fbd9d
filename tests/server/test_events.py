"""A meeting watched over a real socket: what is told, to how many, and how it all ends."""

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx2
import msgspec
import pytest
import uvicorn

from roomtone import app as application
from roomtone import observe, protocol
from roomtone.api import events
from roomtone.auth import hash_token
from roomtone.config import Settings
from roomtone.live import Watcher, channel
from roomtone.metrics import Metrics
from roomtone.services import Services
from roomtone.simulate import piece
from roomtone.store import Store, open_store
from tests.conftest import Clock, add_token, run_apart, session, start_server
from tests.live.reader import Known, Told, watching
from tests.scenarios.before import BEFORE
from tests.scenarios.stage import START_MS, play
from tests.server.raw import connect, request

QUALITIES = "/v1/meeting/qualities"
ANONYMOUS = "analytics:read_anonymous"
MINUTE_MS = 60_000
WAIT_S_MAX = 30


@dataclass
class Running:
    """A server in a thread of this process: its clock and its parts are at hand."""

    url: str
    store: Store
    services: Services
    clock: Clock
    loop_call: Callable[..., object]
    connections: set[Any]
    stop: Callable[[], None]

    def token(self, *scopes: str, **more: Any) -> str:
        return add_token(self.store, *scopes, **more)

    def post(self, *sessions: Any) -> None:
        headers = {"Authorization": f"Bearer {self.token()}", "Content-Type": "application/json"}
        body = msgspec.json.encode({"items": sessions})
        answer = httpx2.post(self.url + QUALITIES, content=body, headers=headers, timeout=20)
        assert answer.status_code == 204, answer.text

    def value(self, name: str, **labels: str) -> float:
        return self.services.metrics.registry.get_sample_value(name, labels) or 0.0

    def until(self, what: str, done: Callable[[], bool]) -> None:
        limit_s = time.monotonic() + WAIT_S_MAX
        while not done():
            assert time.monotonic() < limit_s, f"never {what}"
            threading.Event().wait(0.02)

    def watchers(self) -> set[Watcher]:
        watched = self.services.live._meetings.get(("acme", "m1"))
        return set() if watched is None else set(watched.channel(hidden=False).watchers)

    def until_nobody_watches(self) -> None:
        self.until("left", lambda: self.value("roomtone_watchers") == 0)


@pytest.fixture
def run_server(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Start a server with settings; everything is checked to have ended well."""
    with contextlib.ExitStack() as stack:

        def start(**settings: Any) -> Running:
            data = tmp_path / "data"
            store, clock = open_store(data), Clock()
            stack.callback(store.close)
            given: dict[str, Any] = {"data": data, "live_every_s": 1, **settings}
            chosen = Settings(**given)
            app = application.create_app(chosen, store, now_ms=clock)
            services: Services = app.state.services
            config = uvicorn.Config(
                app, port=0, http=protocol.BoundedHttp, log_config=None, access_log=False
            )
            server = application._Server(config, services.live)
            thread = threading.Thread(target=server.run)
            thread.start()

            def stop() -> None:
                server.should_exit = True
                thread.join(WAIT_S_MAX)
                assert not thread.is_alive()

            stack.callback(stop)
            while not server.started:
                thread.join(0.01)
                assert thread.is_alive()
            port = server.servers[0].sockets[0].getsockname()[1]
            loop = server.servers[0].get_loop()
            return Running(
                f"http://127.0.0.1:{port}",
                store,
                services,
                clock,
                loop.call_soon_threadsafe,
                server.server_state.connections,
                stop,
            )

        yield start


@pytest.fixture
def running(run_server: Callable[..., Running]) -> Running:
    return run_server()


def test_a_simulated_meeting_is_told_from_the_first_who_joins_to_its_end(running: Running) -> None:
    scenario = next(one for one in BEFORE if one.name == "uplink alone")
    sessions = play(scenario, 1)
    meeting = sessions[0].meetingInstanceId
    running.clock.now_ms = START_MS
    told = 0

    def tell(minute: int) -> None:
        nonlocal told
        running.clock.now_ms = until_ms = START_MS + minute * MINUTE_MS
        cut = (piece(one, from_ms=told, to_ms=until_ms) for one in sessions)
        running.post(*(one for one in cut if one is not None))
        told = until_ms

    tell(2)
    with watching(running.url, running.token(), meeting) as stream:
        first = stream.next()
        known = Known.of(first)
        assert first.name == "snapshot"
        assert {one["now"] for one in known.participants.values()} <= {"good", "fair"}
        assert known.findings == {}

        def hear(name: str, **data: Any) -> Told:
            while True:
                event = stream.next()
                known.hear(event)
                if event.name == name and data.items() <= event.data.items():
                    return event

        tell(20)
        opened = hear("finding", change="opened").data["finding"]
        assert (opened["family"], opened["owner"]) == ("uplink", sessions[2].participantId)
        tell(22)
        assert hear("finding", change="updated").data["finding"]["id"] == opened["id"]
        hear("meeting")
        assert known.participants[sessions[2].participantSessionId]["now"] == "poor"
        tell(38)
        assert hear("finding", change="closed").data["finding"]["id"] == opened["id"]
        hear("meeting")
        with watching(running.url, running.token(), meeting) as other:
            assert Known.of(other.next()) == known
        tell(41)
        hear("leave")
        running.clock.advance(s=running.services.settings.silence_s + 1)
        assert hear("meeting", state="ended").data["state"] == "ended"
        end = stream.next()
        assert (end.name, end.data, stream.rest()) == ("end", {"reason": "ended"}, [])
    assert all("leaveTime" in one for one in known.participants.values())
    headers = {"Authorization": f"Bearer {running.token()}", "Last-Event-ID": end.id}
    again = httpx2.get(f"{running.url}/v1/meetings/{meeting}/events", headers=headers)
    assert (again.status_code, again.content) == (204, b"")


def test_a_hundred_watchers_over_sockets_cost_one_computation(running: Running) -> None:
    running.post(session("S1"))
    token = running.token()
    with contextlib.ExitStack() as stack:
        streams = [stack.enter_context(watching(running.url, token)) for _ in range(100)]
        firsts = [one.next() for one in streams]
        assert all(first == firsts[0] for first in firsts)
        assert running.value("roomtone_live_computations_total") == 1
        assert running.value("roomtone_watchers") == 100
        running.post(session("S2"))
        joined = [one.until("join") for one in streams]
        assert all(one == joined[0] for one in joined)
        assert running.value("roomtone_live_computations_total") == 2
    running.until_nobody_watches()
    assert running.value("roomtone_watchers_ended_total", reason="left") == 100


def test_a_stream_is_not_to_be_kept_packed_or_changed_on_its_way(running: Running) -> None:
    running.post(session("S1"))
    with watching(running.url, running.token()) as stream:
        headers = stream.answer.headers
        assert headers["content-type"] == "text/event-stream"
        assert headers["cache-control"] == "private, no-cache, no-transform"
        assert headers["x-accel-buffering"] == "no"
        assert "content-encoding" not in headers
        assert headers["trackingid"]


def test_who_may_not_know_people_hears_no_name(running: Running) -> None:
    running.post(session("S1", webexUserName="Ada"))
    with watching(running.url, running.token(ANONYMOUS)) as stream:
        running.post(session("S2", webexUserName="Bob"))
        heard = str([stream.next(), stream.until("join")])
        assert "P-S1" in heard
        assert "P-S2" in heard
        assert "Ada" not in heard
        assert "Bob" not in heard


@pytest.mark.parametrize(
    ("scopes", "org", "meeting", "status"),
    [
        pytest.param(("telemetry:write",), "acme", "m1", 403, id="another scope"),
        pytest.param((), "other", "m1", 404, id="another organisation"),
        pytest.param((), "acme", "m2", 404, id="nobody knows it"),
        pytest.param((), "acme", "%3C", 400, id="no id"),
    ],
)
def test_who_may_not_watch_is_answered_as_everywhere(
    running: Running, scopes: tuple[str, ...], org: str, meeting: str, status: int
) -> None:
    running.post(session("S1"))
    headers = {"Authorization": f"Bearer {running.token(*scopes, org=org)}"}
    answer = httpx2.get(f"{running.url}/v1/meetings/{meeting}/events", headers=headers)
    assert answer.status_code == status
    assert answer.json()["trackingId"]
    assert running.value("roomtone_watchers") == 0


def test_too_many_watchers_are_429(run_server: Callable[..., Running]) -> None:
    running = run_server(watchers_max=1)
    running.post(session("S1"))
    token = running.token()
    with watching(running.url, token):
        headers = {"Authorization": f"Bearer {token}"}
        answer = httpx2.get(f"{running.url}/v1/meetings/m1/events", headers=headers)
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "30")


def test_head_opens_no_stream(running: Running) -> None:
    running.post(session("S1"))
    headers = {"Authorization": f"Bearer {running.token()}"}
    path = f"{running.url}/v1/meetings/{{}}/events"
    answer = httpx2.head(path.format("m1"), headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/event-stream")
    assert httpx2.head(path.format("m2"), headers=headers).status_code == 404


def test_a_meetings_own_id_may_end_like_the_stream(running: Running) -> None:
    running.post(session("S1", "a/events"))
    token = running.token()
    headers = {"Authorization": f"Bearer {token}"}
    answer = httpx2.get(f"{running.url}/v1/meetings/a%2Fevents", headers=headers)
    assert answer.json()["id"] == "a/events"
    with watching(running.url, token, "a%2Fevents") as stream:
        assert stream.next().data["meetingInstanceId"] == "a/events"


def test_a_quiet_stream_is_kept_alive_by_comments(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "HEARTBEAT_S", 0.05)
    running.post(session("S1"))
    with watching(running.url, running.token()) as stream:
        stream.next()
        beats = [next(stream.lines) for _ in range(6)]
    assert beats == [": still here", ""] * 3


def test_a_token_that_is_revoked_ends_its_streams(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "HEARTBEAT_S", 0.05)
    running.post(session("S1"))
    gone, kept = running.token(), running.token()
    with watching(running.url, gone) as one, watching(running.url, kept) as other:
        one.next()
        other.next()
        with running.store.transaction():
            assert running.store.revoke_token("acme", hash_token(gone).hex(), 1) == 1
        assert [event.data for event in one.rest()] == [{"reason": "token"}]
        running.post(session("S2"))
        assert other.until("join")


# -- those who mean no good, and networks that fail


def stream_request(running: Running, *lines: bytes) -> bytes:
    token = running.token().encode()
    return request(b"/v1/meetings/m1/events", b"Authorization: Bearer " + token, *lines)


def begin(running: Running, link: Any, *lines: bytes) -> None:
    """Ask for a stream by hand, and read until it has begun."""
    before = running.value("roomtone_watchers")
    link.sendall(stream_request(running, *lines))
    running.until("begun", lambda: running.value("roomtone_watchers") == before + 1)
    assert link.recv(12) == b"HTTP/1.1 200"


def test_who_vanishes_is_no_watcher_any_more(running: Running) -> None:
    running.post(session("S1"))
    with connect(running.url) as link:
        begin(running, link)
    running.until_nobody_watches()


def test_who_vanishes_behind_another_request_is_none_either(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "HEARTBEAT_S", 0.1)
    running.post(session("S1"))
    with connect(running.url) as link:
        begin(running, link)
        link.sendall(request(b"/health/live") * 3)
    running.until_nobody_watches()


def test_a_body_that_never_ends_does_not_last_as_long_as_the_stream(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "REQUEST_S_MAX", 0.5)
    running.post(session("S1"))
    with connect(running.url) as link:
        begin(running, link, b"Content-Length: 1000000")
        link.sendall(b"x" * 1_000)
        while link.recv(65_536):
            pass
    running.until_nobody_watches()


FILLER = b": " + b"x" * 1_000_000 + b"\n\n"
"""More than a connection takes in when nobody reads it."""


def begin_slow(running: Running, link: Any) -> Watcher:
    others = running.watchers()
    begin(running, link)
    (slow,) = running.watchers() - others
    return slow


def errors_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.getMessage() for one in caplog.records if one.levelname == "ERROR"]


def test_who_does_not_read_is_let_go_and_the_others_go_on(
    running: Running, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(events, "SEND_S_MAX", 0.3)
    running.post(session("S1"))
    with watching(running.url, running.token()) as quick, connect(running.url) as link:
        quick.next()
        slow = begin_slow(running, link)

        def fill() -> bool:
            running.loop_call(slow.tell, FILLER)
            return running.value("roomtone_watchers_ended_total", reason="slow") == 1

        running.until("let go", fill)
        running.until("closed, read or not", lambda: len(running.connections) == 1)
        running.post(session("S2"))
        assert quick.until("join")
        assert running.value("roomtone_watchers") == 1
    assert errors_in(caplog) == []


def test_a_server_that_stops_does_not_wait_for_who_does_not_read(
    running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    running.post(session("S1"))
    with connect(running.url) as link:
        slow = begin_slow(running, link)
        for _ in range(channel.QUEUE_CHUNKS_MAX - 1):
            running.loop_call(slow.tell, FILLER)
        running.stop()
    assert errors_in(caplog) == []


def test_a_server_that_is_told_to_stop_says_so_to_its_watchers(tmp_path: Path) -> None:
    server = start_server(tmp_path / "data", "--live-every-s", "1")
    token = server.token()
    headers = {"Authorization": f"Bearer {token}"}
    body = {"items": [session("S1", joinTime="2024-04-10T17:00:00Z")]}
    assert httpx2.post(server.url + QUALITIES, json=body, headers=headers).status_code == 204
    with watching(server.url, token) as stream:
        assert stream.next().name == "snapshot"
        assert server.stop() == 0
        assert [event.data for event in stream.rest()] == [{"reason": "stopping"}]
    lines = [json.loads(line) for line in server.log]
    assert not [line for line in lines if line["level"] == "error"]
    (asked,) = [line for line in lines if line.get("route", "").endswith("/events")]
    assert asked["status"] == 200


@pytest.mark.parametrize(("streams", "seconds"), [(True, 1.0), (False, 101.0)])
def test_how_long_somebody_watched_is_not_how_long_an_answer_took(
    monkeypatch: pytest.MonkeyPatch, *, streams: bool, seconds: float
) -> None:
    clock = Clock(0)
    now = SimpleNamespace(perf_counter=lambda: clock.now_ms / 1000, time=time.time)
    monkeypatch.setattr(observe, "time", now)

    async def app(scope: Any, _receive: Any, send: Any) -> None:
        if streams:
            scope["stream"] = True
        clock.advance(s=1)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        clock.advance(s=100)
        await send({"type": "http.response.body", "body": b""})

    async def nothing(*_: Any) -> Any:
        return None

    services: Any = SimpleNamespace(metrics=Metrics(), bodies_bytes=0)
    scope = {"type": "http", "method": "GET"}

    async def ask() -> None:
        await observe.Observed(app, services)(scope, nothing, nothing)

    run_apart(ask())
    registry = services.metrics.registry
    assert registry.get_sample_value("roomtone_request_seconds_sum") == seconds


def test_a_stream_by_hand_is_chunked_and_ends_with_its_last_chunk(running: Running) -> None:
    running.post(session("S1", leaveTime="2026-11-24T09:10:00Z"))
    running.clock.advance(s=3_600)
    headers = {"Authorization": f"Bearer {running.token()}"}
    path = f"{running.url}/v1/meetings/m1"
    running.until("ended", lambda: httpx2.get(path, headers=headers).json()["state"] == "ended")
    with connect(running.url) as link:
        link.sendall(stream_request(running, b"Connection: close"))
        raw = b""
        while part := link.recv(65_536):
            raw += part
    assert b"transfer-encoding: chunked" in raw
    assert b'event: end\ndata: {"reason":"ended"}\n\n' in raw
    assert raw.endswith(b"\r\n0\r\n\r\n")


def test_the_connection_serves_on_after_an_ended_stream(running: Running) -> None:
    running.post(session("S1", leaveTime="2026-11-24T09:10:00Z"))
    running.clock.advance(s=3_600)
    running.until("ended", lambda: running.store.meeting("acme", "m1").state == "ended")  # type: ignore[union-attr]
    with httpx2.Client(base_url=running.url) as client:
        headers = {"Authorization": f"Bearer {running.token()}"}
        for _ in range(3):
            answer = client.get("/v1/meetings/m1/events", headers=headers)
            assert answer.text.endswith('event: end\ndata: {"reason":"ended"}\n\n')


def test_who_comes_behind_an_erasure_is_not_told_the_name(
    run_server: Callable[..., Running],
) -> None:
    running = run_server(live_every_s=3_600)
    running.post(session("S1", "m1"))
    headers = {"Authorization": f"Bearer {running.token()}"}
    with watching(running.url, running.token(), "m1") as first:
        assert "Ada" in str(first.next())
        body = {"email": "ada@example.com"}
        answer = httpx2.post(running.url + "/v1/roomtone/erase", json=body, headers=headers)
        assert answer.json() == {"changed": 1}
        with watching(running.url, running.token(), "m1") as second:
            after = second.next()
    assert (after.name, after.data["participants"][0]["webexUserName"]) == ("snapshot", "")


def test_a_token_of_one_meeting_cannot_take_all_places(run_server: Callable[..., Running]) -> None:
    running = run_server(watchers_max=10)
    running.post(session("S1", "m1"))
    bound = running.token("analytics:read_all", meeting="m1")
    path, headers = f"{running.url}/v1/meetings/m1/events", {"Authorization": f"Bearer {bound}"}
    with watching(running.url, bound, "m1"):
        assert httpx2.get(path, headers=headers).status_code == 429
        with watching(running.url, running.token(), "m1") as other:
            assert other.next().name == "snapshot"
