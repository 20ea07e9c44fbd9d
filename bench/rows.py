"""The rows of the table: each function measures some of them, in rounds, and gives medians."""

import http.client
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from msgspec import json

from bench import data, load, seeding, servers
from bench.seeding import KINDS_4, ORG, Shape
from roomtone import simulate
from roomtone.model import STREAM_KINDS, MediaSession
from roomtone.store import open_store

MIB: Final = 1024 * 1024
LIVE_SESSIONS: Final = 5_000
SMALL: Final = Shape(meetings=100, participants=6, minutes=45)
LARGE: Final = Shape(meetings=20, participants=50, minutes=60, kinds=KINDS_4, first=10_000)
DISK: Final = Shape(meetings=200, participants=6, minutes=45, first=20_000)
DISK_AT_ONCE: Final = 20
COLLECTOR_PHASE_S: Final = 8
CHROMIUM: Final = Path("/usr/bin/chromium")
SKIPPED_FIRST: Final = 5


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table. `limit` is a floor, or a ceiling when `less_is_better`."""

    what: str
    unit: str
    measured: float
    limit: float
    less_is_better: bool = False
    peer: str = ""
    peer_measured: float | None = None
    runs: tuple[float, ...] = ()
    note: str = ""

    @property
    def reached(self) -> bool:
        """Whether the issue's figure is met."""
        if self.less_is_better:
            return self.measured <= self.limit
        return self.measured >= self.limit

    @property
    def ratio(self) -> float | None:
        """How many times better than the peer; None without one."""
        if not self.peer_measured or not self.measured:
            return None
        if self.less_is_better:
            return self.peer_measured / self.measured
        return self.measured / self.peer_measured


@dataclass(frozen=True, kw_only=True)
class Bench:
    """How much to measure, and where: `folder` is on a real disk and goes away afterwards."""

    folder: Path
    rounds: int
    seconds: int

    @contextmanager
    def roomtone(self, name: str) -> Iterator[servers.Server]:
        """Roomtone over the folder `name`."""
        with servers.roomtone(self.folder / name, log=self.folder / "roomtone.log") as server:
            yield server

    @contextmanager
    def baseline(self, name: str) -> Iterator[servers.Server]:
        """The baseline with a new, empty database."""
        folder = self.folder / name
        folder.mkdir()
        folder.chmod(0o755)
        with servers.baseline(folder) as server:
            yield server


def posts_of_one_session(bench: Bench) -> list[Row]:
    """Posts of one session with 6 streams x 1 sample; then memory with the 5,000 that are live."""
    seen, peer, memory = [], [], []
    for number in range(bench.rounds):
        posts = load.posts(groups=LIVE_SESSIONS, sessions=1, samples=1)
        run, rss = posted(bench, f"one-{number}", posts)
        seen.append(run)
        memory.append(rss)
        with bench.baseline(f"one-baseline-{number}") as server:
            load.begin(server.qualities, server.token, posts)
            peer.append(run_posts(bench, server, posts))
    rates = tuple(run.rate for run in seen)
    sizes = tuple(size / MIB for size in memory)
    return [
        Row(
            what="posts of one session, 6 streams x 1 sample, 64 connections",
            unit="posts/s",
            measured=statistics.median(rates),
            limit=6_000,
            peer="baseline",
            peer_measured=statistics.median(run.rate for run in peer),
            runs=rates,
            note=latency_note(seen, peer),
        ),
        Row(
            what=f"memory with {LIVE_SESSIONS:,} live sessions, after that load",
            unit="MiB",
            measured=max(sizes),
            limit=250 * 1_000_000 / MIB,
            less_is_better=True,
            runs=sizes,
        ),
    ]


def posts_of_hundred_sessions(bench: Bench) -> list[Row]:
    """Posts of 100 sessions x 6 streams x 10 samples."""
    seen, peer = [], []
    for number in range(bench.rounds):
        posts = load.posts(groups=80, sessions=100, samples=10)
        seen.append(posted(bench, f"hundred-{number}", posts)[0])
        with bench.baseline(f"hundred-baseline-{number}") as server:
            load.begin(server.qualities, server.token, posts)
            peer.append(run_posts(bench, server, posts, longer=3))  # or it answers none in time
    each = posts.stream_samples
    rates = tuple(run.rate * each for run in seen)
    return [
        Row(
            what="posts of 100 sessions x 6 streams x 10 samples",
            unit="stream-samples/s",
            measured=statistics.median(rates),
            limit=200_000,
            peer="baseline",
            peer_measured=statistics.median(run.rate * each for run in peer),
            runs=rates,
            note=latency_note(seen, peer),
        )
    ]


def posted(bench: Bench, name: str, posts: load.Posts) -> tuple[load.Load, int]:
    """One run against a new, empty Roomtone, and its memory; what it acknowledged is stored."""
    with bench.roomtone(name) as server:
        load.begin(server.qualities, server.token, posts)
        run = run_posts(bench, server, posts)
        rss = server.rss_bytes()
    sessions = posts.groups * posts.sessions
    begun = sessions * len(STREAM_KINDS)
    meetings = [data.meeting_id(number) for number in range((sessions + 5) // 6)]
    acknowledged = begun + run.requests * posts.stream_samples
    seeding.expect_stored(bench.folder / name, meetings, at_least=acknowledged)
    return run, rss


def run_posts(
    bench: Bench, server: servers.Server, posts: load.Posts, *, longer: int = 1
) -> load.Load:
    """One timed run of posts."""
    seconds = bench.seconds * longer
    return load.run_posts(
        server.qualities, server.token, posts, folder=bench.folder, seconds=seconds
    )


def latency_note(seen: list[load.Load], peer: list[load.Load]) -> str:
    """The 99th percentile of both, and how much of a core the load generator itself took."""
    ours = statistics.median(run.p99_ms for run in seen)
    theirs = statistics.median(run.p99_ms for run in peer)
    share = max(run.cpu_share for run in seen)
    return f"p99 {ours:.0f} ms, peer {theirs:.0f} ms; wrk {share:.0%} of a core"


def warm_reads(bench: Bench) -> list[Row]:
    """The sealed meeting of 6 x 45 min from memory, nginx with the same bytes, the 304."""
    shape = Shape(meetings=1, participants=6, minutes=45)
    seeding.fill_sealed(bench.folder / "warm", shape)
    query = f"?meetingId={shape.ids()[0]}"
    with bench.roomtone("warm") as ours, bench.baseline("warm-baseline") as theirs:
        body, etag = answer(ours, query)
        load_baseline(theirs, body)
        with servers.nginx(bench.folder, body) as file:
            assert load.call(file, "")[1] == body, "nginx serves the very bytes"
            return timed_reads(bench, body=body, etag=etag, file=file, query=query,
                               ours=ours, theirs=theirs)  # fmt: skip


def answer(server: servers.Server, query: str) -> tuple[bytes, str]:
    """The body and the ETag of one GET."""
    status, body, headers = load.call(server.qualities + query, server.token)
    if status != 200:
        raise load.BenchError(f"GET answered {status}: {body[:200]!r}")
    return body, headers["etag"]


def load_baseline(server: servers.Server, body: bytes) -> None:
    """Give the baseline the same meeting."""
    status, told, _ = load.call(server.qualities, server.token, method="POST", body=body)
    if status != 204:
        raise load.BenchError(f"the baseline answered {status}: {told[:200]!r}")


def timed_reads(
    bench: Bench,
    *,
    body: bytes,
    etag: str,
    file: str,
    query: str,
    ours: servers.Server,
    theirs: servers.Server,
) -> list[Row]:
    """Rounds of nginx, Roomtone, its 304 and the baseline, one after the other."""
    rates: dict[str, list[float]] = {"file": [], "ours": [], "304": [], "theirs": []}
    for _ in range(bench.rounds):
        runs = {
            "file": load.run_gets(file, "", seconds=bench.seconds),
            "ours": load.run_gets(ours.qualities + query, ours.token, seconds=bench.seconds),
            "304": load.run_gets(
                ours.qualities + query, ours.token, seconds=bench.seconds, etag=etag
            ),
            "theirs": load.run_gets(theirs.qualities + query, theirs.token, seconds=bench.seconds),
        }
        assert runs["ours"].bytes >= runs["ours"].requests * len(body), "whole answers"
        assert runs["304"].bytes < runs["304"].requests * 1_000, "304 has no body"
        for name, run in runs.items():
            rates[name].append(run.rate)
    medians = {name: statistics.median(values) for name, values in rates.items()}
    size = f"{len(body) / 1000:.0f} kB"
    return [
        Row(
            what=f"sealed meeting of 6 x 45 min ({size}), warm",
            unit="GET/s",
            measured=medians["ours"],
            limit=medians["file"] / 4,
            peer="nginx, same bytes",
            peer_measured=medians["file"],
            runs=tuple(rates["ours"]),
        ),
        Row(
            what="the same, beside the baseline",
            unit="GET/s",
            measured=medians["ours"],
            limit=medians["file"] / 4,
            peer="baseline",
            peer_measured=medians["theirs"],
            runs=tuple(rates["ours"]),
        ),
        Row(
            what="its 304",
            unit="GET/s",
            measured=medians["304"],
            limit=15_000,
            runs=tuple(rates["304"]),
        ),
    ]


def cold_reads(bench: Bench) -> list[Row]:
    """Meetings that no cache holds: CPU time of the server process for each, by way of HTTP."""
    seeding.fill_sealed(bench.folder / "cold", SMALL, LARGE)
    rows = []
    for shape, what, limit_ms in (
        (SMALL, "sealed meeting of 6 x 45 min, cold", 1.5),
        (LARGE, "50 participants x 4 streams x 60, whole, cold", 10.0),
    ):
        runs = tuple(cold_cpu_ms(bench, shape) for _ in range(bench.rounds))
        alone = in_process_cpu_ms(bench.folder / "cold", shape)
        rows.append(
            Row(
                what=what,
                unit="ms CPU",
                measured=statistics.median(runs),
                limit=limit_ms,
                less_is_better=True,
                peer="baseline",
                peer_measured=baseline_cpu_ms(bench, shape),
                runs=runs,
                note=f"store and encoder alone {alone:.2f} ms",
            )
        )
    return rows


def cold_cpu_ms(bench: Bench, shape: Shape) -> float:
    """CPU of one answer, over one connection, from a server that was just started."""
    with bench.roomtone("cold") as server:
        return cpu_ms_each(server, shape.ids())


def cpu_ms_each(server: servers.Server, meetings: list[str]) -> float:
    """Mean server CPU of GETs of distinct meetings; a first few, for lazy set-up, do not count."""
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=30)
    headers = {"Authorization": f"Bearer {server.token}"}
    before = 0.0
    try:
        for number, meeting in enumerate(meetings):
            if number == SKIPPED_FIRST:
                before = server.cpu_s()
            connection.request("GET", f"/v1/meeting/qualities?meetingId={meeting}", headers=headers)
            reply = connection.getresponse()
            if reply.status != 200 or not reply.read().startswith(b'{"items":[{'):
                raise load.BenchError(f"GET answered {reply.status}")
        return (server.cpu_s() - before) * 1000 / (len(meetings) - SKIPPED_FIRST)
    finally:
        connection.close()


def baseline_cpu_ms(bench: Bench, shape: Shape) -> float:
    """The same of the baseline's Python process (PostgreSQL's own CPU is not counted)."""
    few = Shape(meetings=15, participants=shape.participants, minutes=shape.minutes,
                kinds=shape.kinds, first=shape.first)  # fmt: skip
    with bench.baseline(f"cold-baseline-{shape.first}") as server:
        for number in few.numbers:
            load_baseline(server, json.encode({"items": seeding.whole(few, number)}))
        return cpu_ms_each(server, few.ids())


def in_process_cpu_ms(folder: Path, shape: Shape) -> float:
    """CPU of reading a meeting from the store and encoding it, without HTTP."""
    store, encoder = open_store(folder), json.Encoder()
    try:
        before = 0.0
        for number, meeting in enumerate(shape.ids()):
            if number == SKIPPED_FIRST:
                before = time.process_time()
            portions = store.sessions_for_json(ORG, meeting, offset=0, limit=1_000, deadline=1e18)
            assert sum(len(encoder.encode(sessions)) for sessions in portions) > 1_000
        return (time.process_time() - before) * 1000 / (shape.meetings - SKIPPED_FIRST)
    finally:
        store.close()


def disk(bench: Bench) -> list[Row]:
    """Bytes of all files of a store in which 45-minute sessions were lived through and sealed."""
    simulated = [
        simulate.meeting(seed=1, index=index, participants=6, minutes=45, start_ms=DISK.start_ms)
        for index in range(DISK.meetings)
    ]
    kinds = {
        "simulated meetings": [meeting.sessions for meeting in simulated],
        "six full columns in six streams": [seeding.whole(DISK, number) for number in DISK.numbers],
    }
    return [row for kind in kinds.items() for row in disk_rows(bench, *kind)]


def disk_rows(bench: Bench, name: str, meetings: list[list[MediaSession]]) -> list[Row]:
    """One kind of telemetry, `DISK_AT_ONCE` meetings at a time; then with its scores."""
    folder = bench.folder / name.replace(" ", "-")
    starts = range(0, len(meetings), DISK_AT_ONCE)
    batches = [
        [session for meeting in meetings[first : first + DISK_AT_ONCE] for session in meeting]
        for first in starts
    ]
    seeding.fill_by_the_minute(folder, batches)
    total = sum(seeding.stream_samples(batch) for batch in batches)
    ids = [meeting[0].meetingInstanceId for meeting in meetings]
    seeding.expect_stored(folder, ids, at_least=total)
    size = size_of(folder)
    seeding.keep_scores(folder)
    return [
        Row(
            what=f"disk after sealing, 45-minute sessions, every file counted: {name}",
            unit="bytes per stream-sample",
            measured=size / total,
            limit=8,
            less_is_better=True,
            note=f"{total:,} stream-samples in {size / 1000:,.0f} kB",
        ),
        Row(
            what="the same with verdicts, words to search by, and rows for questions about many",
            unit="bytes per stream-sample",
            measured=size_of(folder) / total,
            limit=10,
            less_is_better=True,
        ),
    ]


def size_of(folder: Path) -> int:
    """Bytes of all files."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def collector(bench: Bench) -> list[Row]:
    """The collector in a real page, beside the same page without it."""
    if not CHROMIUM.exists():
        print(f"collector: left out, there is no {CHROMIUM}")
        return []
    from bench import collector_bench

    percent = collector_bench.measure(seconds=COLLECTOR_PHASE_S, rounds=bench.rounds)
    return [
        Row(
            what="collector in the page",
            unit="% of a core",
            measured=percent,
            limit=1.0,
            less_is_better=True,
        )
    ]
