"""The load generator: wrk, one thread, with scripts for posts, and the bodies that it sends."""

import http.client
import json
import os
import re
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from bench import data
from roomtone.model import STREAM_KINDS, iso_ms

CONNECTIONS: Final = 64
TEMPLATES: Final = 61  # a prime, so that one session does not meet the same values every time
WRK_TIMEOUT_S: Final = 60
SCRIPTS: Final = Path(__file__).parent / "lua"


class BenchError(Exception):
    """A run that cannot count: an answer that was not 2xx, a lost connection, a wrong body."""


@dataclass(frozen=True, kw_only=True)
class Load:
    """What one run of wrk saw; `cpu_share` is wrk's own use of one core, 0..1."""

    requests: int
    seconds: float
    bytes: int
    p50_ms: float
    p99_ms: float
    cpu_share: float

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds


@dataclass(frozen=True, kw_only=True)
class Posts:
    """A load of posts: `groups` x `sessions` live sessions, each post one group's next samples."""

    groups: int
    sessions: int
    samples: int
    start_s: int

    @property
    def stream_samples(self) -> int:
        """Stream-samples in one post."""
        return self.sessions * self.samples * len(STREAM_KINDS)


def posts(*, groups: int, sessions: int, samples: int) -> Posts:
    """A load whose sessions began two hours ago, on the minute."""
    start_s = int(time.time()) // 60 * 60 - 7_200
    return Posts(groups=groups, sessions=sessions, samples=samples, start_s=start_s)


def templates(samples: int) -> list[str]:
    """JSON sessions, @M@eeting, @S@ession, @P@articipant, @J@oin, @B@egin and @E@nd left open."""
    made = []
    for number in range(TEMPLATES):
        piece = data.session(meeting=number, participant=0, start_ms=0, samples=samples)
        piece.meetingInstanceId, piece.participantSessionId = "@M@", "@S@"
        piece.participantId, piece.joinTime = "@P@", "@J@"
        for kind in STREAM_KINDS:
            getattr(piece, kind)[0].startTime = "@B@"
            getattr(piece, kind)[0].endTime = "@E@"
        piece.resources[0].startTime = "@B@"
        made.append(msgspec.json.encode(piece).decode())
    return made


def filled(template: str, load: Posts, *, number: int, samples: int) -> str:
    """One session's first samples, as post.lua would fill the template."""
    meeting = number // 6
    values = {
        "M": data.meeting_id(meeting),
        "P": f"{data.meeting_id(meeting)}_{number}",
        "S": f"{number * 2654435761 % 2**32:08X}-0000-4000-8000-{number:012X}",
        "J": iso_ms(load.start_s * 1000),
        "B": iso_ms(load.start_s * 1000),
        "E": iso_ms((load.start_s + samples * data.INTERVAL_S) * 1000),
    }
    return re.sub("@([A-Z])@", lambda found: values[found[1]], template)


def begin(url: str, token: str, load: Posts) -> None:
    """Create every session of a load with its first sample, so that what follows are appends."""
    made = templates(1)
    count = load.groups * load.sessions
    for first in range(0, count, 100):
        numbers = range(first, min(first + 100, count))
        items = ",".join(filled(made[n % TEMPLATES], load, number=n, samples=1) for n in numbers)
        status, answer, _ = call(url, token, method="POST", body=f'{{"items":[{items}]}}'.encode())
        if status != 204:
            raise BenchError(f"POST answered {status}: {answer[:200]!r}")


def call(
    url: str, token: str, *, method: str = "GET", body: bytes | None = None
) -> tuple[int, bytes, dict[str, str]]:
    """One request: status, body, headers in lower case."""
    scheme, _, rest = url.partition("://")
    assert scheme == "http", "the bench speaks to the loopback only"
    host, _, path = rest.partition("/")
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    connection = http.client.HTTPConnection(host, timeout=WRK_TIMEOUT_S)
    try:
        connection.request(method, f"/{path}", body, headers)
        answer = connection.getresponse()
        named = {name.lower(): value for name, value in answer.getheaders()}
        return answer.status, answer.read(), named
    finally:
        connection.close()


def run_posts(url: str, token: str, load: Posts, *, folder: Path, seconds: int) -> Load:
    """Post for so long from 64 connections; every answer must be 2xx."""
    file = folder / f"templates-{load.samples}.jsonl"
    file.write_text("\n".join(templates(load.samples)))
    numbers = (load.groups, load.sessions, load.samples, load.start_s, 1)
    arguments = [str(file), token, *map(str, numbers)]
    return wrk(url, seconds=seconds, script="post.lua", arguments=arguments)


def run_gets(url: str, token: str, *, seconds: int, etag: str = "") -> Load:
    """GET for so long from 64 connections, with If-None-Match when there is an ETag."""
    headers = [f"Authorization: Bearer {token}"]
    if etag:
        headers.append(f"If-None-Match: {etag}")
    return wrk(url, seconds=seconds, script="report.lua", headers=headers)


def wrk(
    url: str,
    *,
    seconds: int,
    script: str,
    arguments: list[str] | None = None,
    headers: list[str] | None = None,
) -> Load:
    """One run of wrk: 1 thread, 64 connections; BenchError when any answer was an error."""
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", f"--timeout={WRK_TIMEOUT_S}s"]
    command += [f"-H{header}" for header in headers or []]
    command += ["-s", script, url, "--", *(arguments or [])]
    before = os.times()
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        cwd=SCRIPTS,
        timeout=seconds + 2 * WRK_TIMEOUT_S,
    )
    after = os.times()
    if done.returncode != 0 or not done.stdout.strip():
        raise BenchError(f"wrk failed: {done.stdout} {done.stderr}")
    seen = json.loads(done.stdout.strip().splitlines()[-1])
    if seen.pop("errors"):
        raise BenchError(f"{url}: not every answer was good: {done.stdout}")
    spent = after.children_user + after.children_system
    spent -= before.children_user + before.children_system
    return Load(**seen, cpu_share=spent / seconds)
