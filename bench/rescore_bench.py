"""Measures what scores cost: an hour of 50 participants, and beside taking it in and sealing it.

Sessions are posted minute by minute, each by its own participant, by way of their JSON and in
commits of as many posts as come together under load; HTTP is left out, which makes the share of
scoring larger than a server sees. The meetings are simulated and all have troubles or none, in
turn, so that there is something to explain.
"""

import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from bench.rows import Bench, Row
from roomtone import ingest, score, scoring, simulate
from roomtone.model import MediaSession
from roomtone.store import Store, open_store
from roomtone.store.verdicts import VerdictQuery

ORG: Final = "bench"
PARTICIPANTS: Final = 50
MINUTES: Final = 60
START_MS: Final = 1_795_400_000_000
MINUTE_MS: Final = 60_000
SEED: Final = 7
COMMIT_POSTS: Final = 64
SEAL_STEP: Final = 10
SETTLED_MS: Final = 86_400_000
HOUR_LIMIT_MS: Final = 150.0
SHARE_LIMIT_PERCENT: Final = 30.0
ALL: Final = VerdictQuery(from_ms=0, to_ms=1 << 45, verdicts=frozenset(score.VERDICTS))


def hour(index: int) -> list[MediaSession]:
    """The sessions of one meeting."""
    made = simulate.meeting(
        seed=SEED, index=index, participants=PARTICIPANTS, minutes=MINUTES, start_ms=START_MS
    )
    return made.sessions


def judged_ms(index: int) -> float:
    """CPU of scoring and explaining an hour, and of making its rows."""
    sessions = hour(index)
    thresholds, sites = scoring.thresholds_from(b""), scoring.sites_from(b"")
    started = time.process_time()
    scoring.rows_of(sessions, thresholds, sites)
    return 1000 * (time.process_time() - started)


def posts(sessions: list[MediaSession]) -> Iterator[bytes]:
    """The bodies of an hour, minute by minute, one a participant."""
    for minute in range(MINUTES + 2):
        from_ms = START_MS + minute * MINUTE_MS
        for session in sessions:
            one = simulate.piece(session, from_ms=from_ms, to_ms=from_ms + MINUTE_MS)
            if one is not None:
                yield msgspec.json.encode({"items": [one]})


def take_in(store: Store, bodies: list[bytes]) -> None:
    """As posts would, so many a commit."""
    now_ms = START_MS + MINUTES * MINUTE_MS
    for first in range(0, len(bodies), COMMIT_POSTS):
        with store.transaction():
            for body in bodies[first : first + COMMIT_POSTS]:
                sessions = ingest.parse_sessions(body, now_ms).sessions
                ingest.put_sessions(ORG, sessions, now_ms)(store)


def seal(store: Store) -> None:
    """As upkeep does, step by step, until the meeting has ended."""
    for now_ms in (START_MS + SETTLED_MS, START_MS + 2 * SETTLED_MS):
        sealed = 1
        while sealed:
            with store.transaction():
                sealed = store.seal(now_ms, silence_ms=MINUTE_MS, limit=SEAL_STEP)


def keep_scored(store: Store) -> int:
    """As upkeep does; return of how many meetings."""
    stale = store.stale(None, model=score.VERSION, limit=100)
    for one in stale:
        made = scoring.made_of(store, one)
        assert made is not None
        with store.transaction():
            assert store.put_scores(one.org, one.meeting, made)
    with store.transaction():
        store.settle_fleet()
    return len(stale)


def lived_ms(folder: Path, index: int) -> dict[str, float]:
    """CPU of taking an hour in, of sealing it, and of keeping its scores."""
    store = open_store(folder)
    bodies = list(posts(hour(index)))
    found: dict[str, float] = {}
    try:
        for name, run in (
            ("ingest", lambda: take_in(store, bodies)),
            ("seal", lambda: seal(store)),
            ("score", lambda: keep_scored(store)),
        ):
            started = time.process_time()
            run()
            found[name] = 1000 * (time.process_time() - started)
        assert store.stale_count(None, model=score.VERSION) == 0
        assert len(store.judged(ORG, ALL, deadline=1e18)) == 1
    finally:
        store.close()
    return found


def rows(bench: Bench) -> list[Row]:
    """The rows of the table; a first run of each, for lazy imports, does not count."""
    hours = [judged_ms(index) for index in range(bench.rounds + 1)][1:]
    lived = [
        lived_ms(bench.folder / f"scored-{index}", index) for index in range(bench.rounds + 1)
    ][1:]
    shares = [100 * one["score"] / (one["ingest"] + one["seal"]) for one in lived]
    medians = {name: statistics.median(one[name] for one in lived) for name in lived[0]}
    return [
        Row(
            what=f"an hour of {PARTICIPANTS} scored, explained and made rows of",
            unit="ms CPU",
            measured=statistics.median(hours),
            limit=HOUR_LIMIT_MS,
            less_is_better=True,
            runs=tuple(hours),
            note="simulated meetings",
        ),
        Row(
            what="keeping its scores, beside taking it in and sealing it",
            unit="%",
            measured=statistics.median(shares),
            limit=SHARE_LIMIT_PERCENT,
            less_is_better=True,
            runs=tuple(shares),
            note=", ".join(f"{name} {ms:.0f} ms" for name, ms in medians.items()) + " of CPU",
        ),
    ]
