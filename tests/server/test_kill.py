"""SIGKILL at any moment, fifty times: what was acknowledged is there, nothing torn or doubled."""

import http.client
import json
import random
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from roomtone.model import epoch_ms, iso_ms
from roomtone.store import open_store
from tests.conftest import Server, start_server

KILLS = 50
CLIENTS = 4
TWINS = ("a", "b", "c")  # sessions that are posted together: all of a post lands, or nothing
PIECES = 6  # posts that a session comes in; the last one tells that it has ended
ANSWER_S_MAX = 10
STEP_MS = 60_000
START_MS = (time.time_ns() // 1_000_000 // STEP_MS - 60) * STEP_MS
SEED = 20_261_124


@dataclass(frozen=True)
class Post:
    """One piece of three sessions of one meeting: a sample each, with a value of its own."""

    client: int
    number: int

    @property
    def meeting(self) -> str:
        return f"M{self.client}-{self.number // PIECES}"

    @property
    def step(self) -> int:
        return self.number % PIECES

    def value(self, twin: str) -> int:
        return self.client * 10_000_000 + self.number * 10 + TWINS.index(twin)

    def body(self) -> bytes:
        return json.dumps({"items": [self._session(twin) for twin in TWINS]}).encode()

    def _session(self, twin: str) -> dict[str, Any]:
        at_ms = START_MS + self.step * STEP_MS
        ended = {"leaveTime": iso_ms(at_ms + STEP_MS)} if self.step == PIECES - 1 else {}
        entry = {"startTime": iso_ms(at_ms), "samplingInterval": 60, "latency": [self.value(twin)]}
        return {
            "meetingInstanceId": self.meeting,
            "participantSessionId": f"{self.meeting}-{twin}",
            "audioIn": [entry],
            **ended,
        }


@dataclass
class Ledger:
    """What became of every post, as its sender knows it."""

    acknowledged: set[Post] = field(default_factory=set)
    unknown: set[Post] = field(default_factory=set)  # the connection ended without an answer
    refused: set[Post] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, post: Post, status: int) -> None:
        with self.lock:
            if status == 204:
                self.acknowledged.add(post)
                self.unknown.discard(post)
            elif status == 0:
                self.unknown.add(post)
            else:
                self.refused.add(post)

    def meetings(self) -> dict[str, set[Post]]:
        found: dict[str, set[Post]] = {}
        for post in self.acknowledged | self.unknown | self.refused:
            found.setdefault(post.meeting, set()).add(post)
        return found


@dataclass
class Load:
    """Clients that post without pause to whichever server is up."""

    token: str
    ledger: Ledger = field(default_factory=Ledger)
    url: str = ""
    over: bool = False
    up: threading.Event = field(default_factory=threading.Event)
    faults: list[BaseException] = field(default_factory=list)

    def run(self, client: int) -> None:
        link = http.client.HTTPConnection("")
        try:
            for post in self._posts(client):
                while not self.up.wait(0.1):
                    if self.over:
                        return
                netloc = urlsplit(self.url).netloc
                if f"{link.host}:{link.port}" != netloc:
                    link.close()
                    link = http.client.HTTPConnection(netloc, timeout=ANSWER_S_MAX)
                self.ledger.note(post, send(link, self.token, post.body()))
        except BaseException as error:
            self.faults.append(error)
            raise
        finally:
            link.close()

    def _posts(self, client: int) -> Iterator[Post]:
        """Every post once, and some that were lost again."""
        chance, number = random.Random(SEED + client), 0
        while True:
            post = Post(client, number)
            yield post
            if post in self.ledger.unknown and chance.random() < 0.5:
                yield post
            number += 1


def send(link: http.client.HTTPConnection, token: str, body: bytes) -> int:
    """The status of a post; 0 when no answer came."""
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    try:
        link.request("POST", "/v1/meeting/qualities", body, headers)
        answer = link.getresponse()
        answer.read()
    except (OSError, http.client.HTTPException):
        link.close()
        return 0
    return answer.status


def read(link: http.client.HTTPConnection, token: str, meeting: str) -> dict[str, dict[int, int]]:
    """What a meeting holds: by session, the value of each step. Doubles are faults."""
    path = f"/v1/meeting/qualities?meetingId={quote(meeting)}&max=1000"
    link.request("GET", path, headers={"Authorization": f"Bearer {token}"})
    answer = link.getresponse()
    body = answer.read()
    if answer.status == 404:
        return {}
    assert answer.status == 200, body
    found: dict[str, dict[int, int]] = {}
    for item in json.loads(body)["items"]:
        name = item["participantSessionId"]
        assert name not in found, f"{name} is doubled"
        found[name] = steps_of(item)
    return found


def steps_of(item: dict[str, Any]) -> dict[int, int]:
    steps: dict[int, int] = {}
    for entry in item["audioIn"]:
        first = (epoch_ms(entry["startTime"]) - START_MS) // STEP_MS
        for step, value in enumerate(entry["latency"], first):
            assert step not in steps, f"step {step} of {item['participantSessionId']} is doubled"
            steps[step] = value
    return steps


def check(server: Server, token: str, ledger: Ledger) -> None:
    """Hold the server against the ledger; what is left unknown must have landed whole or not."""
    link = http.client.HTTPConnection(str(urlsplit(server.url).netloc), timeout=ANSWER_S_MAX)
    for meeting, posts in ledger.meetings().items():
        found = read(link, token, meeting)
        landed = {
            post: [
                found.get(f"{meeting}-{twin}", {}).pop(post.step, None) == post.value(twin)
                for twin in TWINS
            ]
            for post in posts
        }
        for post, there in landed.items():
            if post in ledger.acknowledged:
                assert all(there), f"{post} was acknowledged and is lost"
            elif post in ledger.unknown:
                assert all(there) or not any(there), f"{post} is torn"
            else:
                assert not any(there), f"{post} was refused and is there"
        assert not any(found.values()), f"{meeting} holds what nobody sent: {found}"
    link.close()


def kill(server: Server, load: Load, *, after_s: float) -> None:
    """Let the clients post for a while, then end the server as power failure would."""
    load.url = server.url
    load.up.set()
    time.sleep(after_s)  # the moment of the kill is chance, not something to wait for
    load.up.clear()
    server.stop(signal.SIGKILL)


def start(data: Path) -> Server:
    return start_server(data, "--silence-s", "1")


def test_fifty_kills_lose_tear_and_double_nothing(tmp_path: Path) -> None:
    chance = random.Random(SEED)
    data = tmp_path / "data"
    server = start(data)
    load = Load(server.token())
    clients = [threading.Thread(target=load.run, args=(n,), daemon=True) for n in range(CLIENTS)]
    for client in clients:
        client.start()
    try:
        for _ in range(KILLS):
            kill(server, load, after_s=chance.uniform(0.01, 0.3))
            server = start(data)
            check_newest(server, load)
        load.over = True
        for client in clients:
            client.join(ANSWER_S_MAX)
        check(server, load.token, load.ledger)
        assert not load.faults
        assert server.stop() == 0
    finally:
        load.over = True
        server.process.kill()
    assert_worth_its_while(data, load.ledger)


def check_newest(server: Server, load: Load) -> None:
    """After each start, only what the clients sent last: the rest is held at the end."""
    with load.ledger.lock:
        newest = Ledger(set(load.ledger.acknowledged), set(load.ledger.unknown))
    last = {max((post.number for post in newest.acknowledged if post.client == client), default=0)
            for client in range(CLIENTS)}  # fmt: skip
    numbers = {number // PIECES for number in last}
    for part in (newest.acknowledged, newest.unknown):
        part.intersection_update({post for post in part if post.number // PIECES in numbers})
    check(server, load.token, newest)


def assert_worth_its_while(data: Path, ledger: Ledger) -> None:
    """The kills hit a server that wrote, and one that sealed."""
    assert len(ledger.acknowledged) > 10 * KILLS
    assert ledger.unknown
    store = open_store(data)
    try:
        assert store.check() == []
        counts = store.counts("acme")
    finally:
        store.close()
    assert counts.sealed > KILLS
