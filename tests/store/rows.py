"""Rows of scored sessions for tests: one by one, or many from a seed."""

import random
from typing import Any, Final, get_args

from roomtone.fleet.dimensions import DIMENSIONS, Dimension
from roomtone.score import Verdict
from roomtone.store import Store
from roomtone.store.verdicts import SessionRow
from tests.store.support import M1, MINUTE, S1, T0, piece, put, scores

VERDICTS: Final = get_args(Verdict)


def row(session: str = S1, *, join: float = 0, **fields: Any) -> SessionRow:
    """A good session of half an hour; of `fields`, those that are dimensions go into `values`."""
    values = {name: str(fields.pop(name)) for name in DIMENSIONS if name in fields}
    join_ms = T0 + round(join * MINUTE)
    base: dict[str, Any] = {
        "session": session,
        "join_ms": join_ms,
        "leave_ms": join_ms + 30 * MINUTE,
        "verdict": "good",
        "kind": None,
        "figure": None,
        "minutes": 30.0,
        "minutes_poor": 0.0,
        "minutes_fair": 0.0,
        "audio_mos": 4.2,
        "video_mos": None,
        "network": 99.0,
        "device": None,
        "packet_loss": 0.1,
        "latency": 40.0,
        "jitter": 4.0,
        "join_s": 1.5,
        "values": dict.fromkeys(DIMENSIONS, "") | values,
    }
    return SessionRow(**(base | fields))


def keep(store: Store, *rows: SessionRow, meeting: str = M1, org: str = "acme") -> None:
    """Put rows of a meeting, and the sessions that they are of."""
    put(store, *(piece(0, session=one.session, meeting=meeting) for one in rows), org=org)
    judge(store, *rows, meeting=meeting, org=org)


def judge(store: Store, *rows: SessionRow, meeting: str = M1, org: str = "acme") -> None:
    """Put rows of a meeting that is there."""
    made = scores(store.version(org, meeting), sessions=list(rows))
    with store.transaction():
        assert store.put_scores(org, meeting, made)


def some(seed: int, *, meetings: int, org: str = "") -> list[tuple[str, list[SessionRow]]]:
    """Meetings of one to five sessions with values of few kinds; the same for the same seed."""
    rng = random.Random(seed)
    found = []
    for number in range(meetings):
        rows = [
            _drawn(rng, f"{org}S{seed}-{number}-{who}", number) for who in range(rng.randint(1, 5))
        ]
        found.append((f"{org}M{number}", rows))
    return found


def _drawn(rng: random.Random, session: str, number: int) -> SessionRow:
    def maybe(low: float, high: float) -> float | None:
        return None if rng.random() < 0.2 else rng.uniform(low, high)

    verdict = rng.choice(VERDICTS)
    values: dict[Dimension, str] = {
        "networkType": rng.choice(["wifi", "ethernet", ""]),
        "region": rng.choice(["Frankfurt", "London"]),
        "camera": rng.choice(["C920", "Ada's camera", ""]),
        "hour": f"{rng.randrange(24):02}",
    }
    return row(
        session,
        join=60 * number + rng.randrange(30),
        verdict=verdict,
        minutes=rng.uniform(0, 90),
        minutes_poor=rng.uniform(0, 9),
        audio_mos=maybe(1, 5),
        video_mos=maybe(1, 5),
        packet_loss=rng.choice([0.0, None, 2.5]),
        latency=maybe(1, 2000),
        jitter=maybe(0, 90),
        join_s=maybe(0, 30),
        **values,
    )
