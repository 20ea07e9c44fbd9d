"""Measures watching: what a look at a meeting costs, telling many, and how soon a trouble is told.

The meetings are simulated. A look reads the meeting from SQLite as it is while it goes on, scores
and explains it, and says what changed. A trouble counts from its first bad interval on.
"""

import asyncio
import statistics
import tempfile
import time
from pathlib import Path
from typing import Final, NamedTuple

from msgspec import UNSET
from tests.live.replay import FIRST, looks
from tests.scenarios.after import AFTER
from tests.scenarios.before import BEFORE

from bench.rows import Bench, Row
from roomtone import simulate
from roomtone.live import Hub
from roomtone.metrics import Metrics
from roomtone.model import MediaSession
from roomtone.store import Store, open_store

ORG: Final = "acme"
PARTICIPANTS: Final = 50
MINUTES: Final = 60
WATCHERS: Final = 1_000
START_MS: Final = 1_795_400_000_000
END_MS: Final = START_MS + MINUTES * 60_000
SEEDS: Final = range(201, 204)
LOOK_MS_MAX: Final = 150.0
TOLD_INTERVALS_MAX: Final = 5.0
KEPT_S: Final = 3_600.0


class Cost(NamedTuple):
    """CPU of a look, and of telling all watchers what it changed, in ms."""

    look_ms: float
    tell_ms: float


def meeting(seed: int) -> list[MediaSession]:
    """An hour of 50 of whom nobody has left yet."""
    made = simulate.meeting(
        seed=seed, index=2, participants=PARTICIPANTS, minutes=MINUTES, start_ms=START_MS
    )
    for session in made.sessions:
        session.leaveTime = UNSET
    return made.sessions


def put(store: Store, sessions: list[MediaSession]) -> None:
    """Write sessions, or pieces of them."""
    with store.transaction():
        for session in sessions:
            store.put_session(ORG, session, END_MS)


async def cost(store: Store, sessions: list[MediaSession]) -> Cost:
    """A meeting that 1,000 watch and in which one person's name becomes known."""
    hub = Hub(
        store,
        Metrics(),
        watchers_max=WATCHERS,
        every_s=KEPT_S,
        read_s_max=KEPT_S,
        now_ms=lambda: END_MS,
    )
    meeting_id = sessions[0].meetingInstanceId
    for _ in range(WATCHERS):
        await hub.admit(ORG, meeting_id, hidden=False, last_event_id="")
    watched = hub._meetings[ORG, meeting_id]
    sessions[0].webexUserName += " again"
    put(store, sessions[:1])
    started = time.process_time()
    await watched.look(hidden=False)
    both_ms = 1000 * (time.process_time() - started)
    channel = watched.channel(hidden=False)
    started = time.process_time()
    channel._tell(b": what one look changes\n\n")
    tell_ms = 1000 * (time.process_time() - started)
    hub.close()
    return Cost(both_ms - tell_ms, tell_ms)


def costs(*, rounds: int) -> list[Cost]:
    """One for each of so many meetings."""
    found = []
    for seed in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            store = open_store(Path(folder))
            sessions = meeting(seed)
            put(store, sessions)
            found.append(asyncio.run(cost(store, sessions)))
            store.close()
    return found


def delays() -> list[int]:
    """How many intervals after its beginning each trouble of the scenarios is told first."""
    found = []
    for scenario in (*BEFORE, *AFTER):
        for seed in SEEDS:
            first: dict[str, int] = {}
            for minute, state in enumerate(looks(scenario, seed=seed), start=FIRST):
                for one in state.findings.values():
                    first.setdefault(one.finding.family, minute)
            for expected in scenario.expected:
                told = [first[name] for name in expected.family.split("|") if name in first]
                found += [min(told) - expected.first] if told else []
    return found


def rows(bench: Bench) -> list[Row]:
    """The rows of the table."""
    each = costs(rounds=bench.rounds)
    waits = sorted(delays())
    late = waits[round(0.9 * (len(waits) - 1))]
    tell_ms = statistics.median(one.tell_ms for one in each)
    return [
        Row(what=f"a look at {PARTICIPANTS} x {MINUTES} min that are watched", unit="ms CPU",
            measured=statistics.median(one.look_ms for one in each), limit=LOOK_MS_MAX,
            less_is_better=True, runs=tuple(one.look_ms for one in each),
            note=f"telling {WATCHERS:,} watchers {tell_ms:.1f} ms more"),
        Row(what="a trouble is told after it began", unit="intervals", less_is_better=True,
            measured=statistics.median(waits), limit=TOLD_INTERVALS_MAX,
            note=f"median of {len(waits)} simulated ones; nine of ten within {late}, "
            f"the last after {waits[-1]}"),
    ]  # fmt: skip


def main() -> None:
    """Print them."""
    for row in rows(Bench(folder=Path(), rounds=5, seconds=0)):
        print(f"{row.what}: {row.measured:.1f} {row.unit}; {row.note}", *row.runs)


if __name__ == "__main__":
    main()
