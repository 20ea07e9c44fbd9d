"""Many at once: what was acknowledged is read at once, by everybody, and never goes away again."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest

from roomtone.auth import hash_token
from roomtone.model import epoch_ms, iso_ms
from roomtone.store import open_store
from tests.conftest import Server, session, start_server

QUALITIES = "/v1/meeting/qualities"
START_MS = epoch_ms("2024-04-10T17:00:00Z")
STEP_MS = 60_000
SENDERS = 6
PIECES = 25
SESSIONS = ("S1", "S2", "S3")


def piece(step: int, value: int) -> dict[str, Any]:
    """A sample of each session: sender after sender fills in the time line."""
    at = iso_ms(START_MS + step * STEP_MS)
    entry = {"startTime": at, "samplingInterval": 60, "latency": [value]}
    start = iso_ms(START_MS)
    return {"items": [session(name, joinTime=start, audioIn=[entry]) for name in SESSIONS]}


def samples(answer: httpx2.Response) -> dict[tuple[str, int], int]:
    """Every value by session and step; each may be there once."""
    assert answer.status_code == 200, answer.text
    found: dict[tuple[str, int], int] = {}
    for item in answer.json()["items"]:
        for entry in item["audioIn"]:
            first = (epoch_ms(entry["startTime"]) - START_MS) // STEP_MS
            for step, value in enumerate(entry["latency"], first):
                assert (item["participantSessionId"], step) not in found
                found[item["participantSessionId"], step] = value
    return found


@pytest.fixture(params=["one server", "two servers on one folder"])
def servers(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[list[Server]]:
    count = 1 if request.param == "one server" else 2
    started = [start_server(tmp_path / "data") for _ in range(count)]
    yield started
    for server in started:
        assert server.stop() == 0


def test_an_acknowledged_sample_is_in_every_later_answer(servers: list[Server]) -> None:
    headers = {"Authorization": f"Bearer {servers[0].token()}"}

    def send_and_read(number: int) -> None:
        """Post to one server, read from another: each sample of mine must be there from then on."""
        mine: dict[tuple[str, int], int] = {}
        before: set[tuple[str, int]] = set()
        poster, reader = (servers[(number + shift) % len(servers)].url for shift in (0, 1))
        with httpx2.Client(headers=headers, timeout=30) as client:
            for turn in range(PIECES):
                step = turn * SENDERS + number
                answer = client.post(poster + QUALITIES, json=piece(step, step))
                assert answer.status_code == 204, answer.text
                mine |= {(name, step): step for name in SESSIONS}
                read = client.get(f"{reader}{QUALITIES}?meetingId=m1")
                found = samples(read)
                assert mine.items() <= found.items()
                assert before <= set(found), "a sample went away again"
                before = set(found)
                assert len({key[1] for key in before}) * len(SESSIONS) == len(before), "torn"

    with ThreadPoolExecutor(SENDERS) as pool:
        list(pool.map(send_and_read, range(SENDERS)))
    whole = httpx2.get(f"{servers[0].url}{QUALITIES}?meetingId=m1", headers=headers)
    count = PIECES * SENDERS
    assert samples(whole) == {(name, step): step for name in SESSIONS for step in range(count)}
    assert [len(item["audioIn"]) for item in whole.json()["items"]] == [1] * len(SESSIONS)


def test_a_revoked_token_is_refused_at_once_by_every_server(servers: list[Server]) -> None:
    token = servers[0].token()
    headers = {"Authorization": f"Bearer {token}"}
    for server in servers:
        assert httpx2.get(server.url + "/v1/people/me", headers=headers).status_code == 200
    store = open_store(servers[0].data)
    with store.transaction():
        assert store.revoke_token("acme", hash_token(token).hex(), 1) == 1
    store.close()
    for server in servers:
        assert httpx2.get(server.url + "/v1/people/me", headers=headers).status_code == 401
