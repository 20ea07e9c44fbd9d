"""Measures questions about a fleet: a million scored sessions by two dimensions, over HTTP.

The rows come from a seed and go into the store as a server puts them. They are of four weeks, in
meetings of 2 to 14, with values as uneven as in life: a few cameras are everywhere, most are rare.
"""

import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

import numpy as np
from msgspec import json

from bench import load
from bench.rows import Bench, Row
from bench.seeding import ORG
from bench.servers import Server
from roomtone.fleet.dimensions import Dimension
from roomtone.model import MeetingNews, iso_ms
from roomtone.score import VERSION, Verdict
from roomtone.services import wall_clock_ms
from roomtone.store import Store, open_store
from roomtone.store.verdicts import MeetingRow, Scores, SessionRow

SESSIONS: Final = 1_000_000
MEETING_MIN: Final = 2
MEETING_MAX: Final = 14
BATCH_MEETINGS: Final = 500
DAYS: Final = 28
DAY_MS: Final = 24 * 3600 * 1000
ASKED: Final = 20
SKIPPED: Final = 3
LIMIT_MS: Final = 300.0
SHARE: Final = 0.95
QUESTIONS: Final = (
    "by=networkType,clientVersion",
    "by=region,hour&metric=latency",
    "by=site,day&filter=networkType=networkType 0",
)
"""The first is the row; the others stand in its note."""
KINDS: Final[dict[Dimension, int]] = {
    "region": 8, "cluster": 20, "networkType": 4, "clientType": 5, "clientVersion": 40, "osType": 6,
    "hardware": 60, "camera": 400, "microphone": 600, "speaker": 600, "site": 60, "codec": 4,
    "transport": 3, "hour": 24, "day": DAYS,
}  # fmt: skip
VERDICTS: Final[tuple[Verdict, ...]] = ("good", "fair", "poor", "unclassified")
SHARES: Final = (0.75, 0.12, 0.08, 0.05)


def meetings(seed: int, sessions: int, end_ms: int) -> Iterator[list[SessionRow]]:
    """Rows of that many sessions, meeting by meeting, over the last DAYS."""
    rng = np.random.default_rng(seed)
    number = 0
    while number < sessions:
        size = min(int(rng.integers(MEETING_MIN, MEETING_MAX + 1)), sessions - number)
        start_ms = end_ms - DAYS * DAY_MS + int(DAYS * DAY_MS * number / sessions)
        yield _meeting(rng, number, size, start_ms)
        number += size


def _meeting(rng: np.random.Generator, first: int, size: int, start_ms: int) -> list[SessionRow]:
    verdicts = rng.choice(len(VERDICTS), size, p=SHARES)
    mos, shares = rng.uniform(1.2, 4.8, (size, 2)), rng.exponential(1.0, (size, 6))
    # the square makes the first values common and the last ones rare
    drawn = (rng.random((size, len(KINDS))) ** 2 * list(KINDS.values())).astype(int)
    rows = []
    for who in range(size):
        loss, latency, jitter, join, minutes, poor = shares[who].tolist()
        values = {
            name: f"{name} {code}" for name, code in zip(KINDS, drawn[who].tolist(), strict=True)
        }
        rows.append(
            SessionRow(
                session=f"{first + who:032X}",
                join_ms=start_ms + 1000 * who,
                leave_ms=start_ms + 1_800_000,
                verdict=VERDICTS[verdicts[who]],
                kind=None,
                figure=None,
                minutes=30 * minutes,
                minutes_poor=poor,
                minutes_fair=poor,
                audio_mos=float(mos[who, 0]),
                video_mos=float(mos[who, 1]),
                network=None,
                device=None,
                packet_loss=loss,
                latency=60 * latency,
                jitter=8 * jitter,
                join_s=3 * join,
                values={**values, "day": iso_ms(start_ms)[:10]},
            )
        )
    return rows


def fill(folder: Path, *, sessions: int, seed: int = 1) -> int:
    """Put them into a new store, as a server does, and settle; return how many meetings."""
    store, now_ms, count = open_store(folder), wall_clock_ms(), 0
    row = MeetingRow(verdict="good", because="", minutes=0.0, minutes_poor=0.0, counts={})
    # announced for later: a server neither ends them nor scores them anew
    later = iso_ms(now_ms + DAYS * DAY_MS)
    source = meetings(seed, sessions, now_ms)
    while batch := list(islice(source, BATCH_MEETINGS)):
        names = [f"fleet-{count + number}" for number in range(len(batch))]
        with store.transaction():
            for name in names:
                store.put_meeting(ORG, MeetingNews(id=name, start=later), now_ms)
        with store.transaction():
            for name, rows in zip(names, batch, strict=True):
                made = Scores(
                    version=store.version(ORG, name),
                    model=VERSION,
                    revision=0,
                    meeting=row,
                    sessions=rows,
                )
                if not store.put_scores(ORG, name, made):
                    raise load.BenchError("the scores were not kept")
        count += len(batch)
    settle(store)
    store.close()
    return count


def settle(store: Store) -> None:
    """What upkeep does when nothing is left to score."""
    settled = 1
    while settled:
        with store.transaction():
            settled = store.settle_fleet()


@dataclass(frozen=True)
class Answers:
    """Times from question to answer, and the server's CPU for one."""

    times_ms: list[float]
    cpu_ms: float


def asked(server: Server, question: str, sessions: int) -> Answers:
    """Ask again and again; the first answers do not count, each must be of all sessions."""
    url = f"{server.url}/v1/roomtone/fleet?from=2000-01-01&{question.replace(' ', '%20')}"
    times, cpu_s = [], 0.0
    for number in range(SKIPPED + ASKED):
        if number == SKIPPED:
            cpu_s = server.cpu_s()
        started = time.perf_counter()
        status, body, _ = load.call(url, server.token)
        times.append(1000 * (time.perf_counter() - started))
        if status != 200:
            raise load.BenchError(f"GET answered {status}: {body[:200]!r}")
        if "filter" not in question and json.decode(body)["whole"]["sessions"] != sessions:
            raise load.BenchError("sessions are missing in the answer")
    return Answers(times[SKIPPED:], 1000 * (server.cpu_s() - cpu_s) / ASKED)


def measured(bench: Bench, sessions: int) -> tuple[dict[str, Answers], int, float]:
    """Answers by question, how many meetings, and bytes a session in the file."""
    folder = bench.folder / "fleet"
    count = fill(folder, sessions=sessions)
    size = sum(file.stat().st_size for file in folder.iterdir()) / sessions
    with bench.roomtone("fleet") as server:
        found = {question: asked(server, question, sessions) for question in QUESTIONS}
    return found, count, size


def rows(bench: Bench) -> list[Row]:
    """The row of the table."""
    found, count, size = measured(bench, SESSIONS)
    first, *others = found.values()
    also = ", ".join(
        f"{question.partition('&')[0].removeprefix('by=')} {statistics.median(one.times_ms):.0f} ms"
        for question, one in zip(QUESTIONS[1:], others, strict=True)
    )
    p95 = float(np.quantile(first.times_ms, SHARE))
    return [
        Row(
            what=f"{SESSIONS:,} sessions by network and version, with quantiles, over HTTP",
            unit="ms",
            measured=statistics.median(first.times_ms),
            limit=LIMIT_MS,
            less_is_better=True,
            note=f"p95 of {ASKED} {p95:.0f} ms, {first.cpu_ms:.0f} ms CPU; also by {also}; "
            f"{count:,} meetings, {size:.0f} bytes a session in the file",
        )
    ]
