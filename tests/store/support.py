"""Pieces of sessions, and short ways to put and read them."""

import json
import time
from pathlib import Path
from typing import Any

import msgspec

from roomtone.model import (
    MediaSession,
    MediaSessions,
    MeetingNews,
    Stream,
    StreamKind,
    epoch_ms,
    iso_ms,
)
from roomtone.score import VERDICTS, Verdict
from roomtone.store import MeetingQuery, Store
from roomtone.store.verdicts import MeetingRow, Scores, SessionRow, VerdictQuery

DATA = Path(__file__).parent.parent / "data"
T0 = epoch_ms("2026-11-02T09:00:00Z")
MINUTE = 60_000
SILENCE = 5 * MINUTE
M1, M2 = "0a" * 16 + "_I_100000000000000001", "0b" * 16 + "_I_100000000000000002"
S1, S2 = "00000000-0000-4000-8000-00000000000A", "00000000-0000-4000-8000-00000000000B"


def at(minute: float) -> str:
    return iso_ms(T0 + round(minute * MINUTE))


def stream(first: float = 0, samples: int = 1, **fields: Any) -> Stream:
    """Samples from minute `first` on, each with a loss and a latency that tell its minute."""
    base: dict[str, Any] = {
        "startTime": at(first),
        "packetLoss": [(first + k) / 100 for k in range(samples)],
        "latency": [40 + first + k for k in range(samples)],
        "codec": "opus",
        "transportType": "UDP",
    }
    return Stream(**{**base, **fields})


def piece(
    first: float | None = 0,
    samples: int = 1,
    *,
    session: str = S1,
    meeting: str = M1,
    kind: StreamKind = "audioIn",
    **header: Any,
) -> MediaSession:
    """A piece with one entry of one kind (none when first is None)."""
    made = MediaSession(meetingInstanceId=meeting, participantSessionId=session, **header)
    setattr(made, kind, [] if first is None else [stream(first, samples)])
    return made


def put(store: Store, *pieces: MediaSession, now: float = 0, org: str = "acme") -> None:
    with store.transaction():
        for one in pieces:
            store.put_session(org, one, T0 + round(now * MINUTE))


def announce(store: Store, *, now: float = 0, org: str = "acme", **fields: Any) -> None:
    with store.transaction():
        news = MeetingNews(**{"id": M1, **fields})
        store.put_meeting(org, news, T0 + round(now * MINUTE))


def seal(store: Store, *, now: float, limit: int = 1000, silence_ms: int = SILENCE) -> int:
    with store.transaction():
        return store.seal(T0 + round(now * MINUTE), silence_ms=silence_ms, limit=limit)


def soon() -> float:
    return time.monotonic() + 60


def read(store: Store, *, meeting: str = M1, org: str = "acme") -> list[MediaSession]:
    return store.sessions(org, meeting, offset=0, limit=1000, deadline=soon())


def read_one(store: Store, **where: Any) -> MediaSession:
    (session,) = read(store, **where)
    return session


def exact(value: Any) -> str:
    """JSON text: equal only when values and their types are."""
    return msgspec.json.encode(value).decode()


def everything() -> MeetingQuery:
    return MeetingQuery(
        from_ms=0, to_ms=1 << 45, states=frozenset({"scheduled", "inProgress", "ended"})
    )


def whole_time(**wanted: Any) -> VerdictQuery:
    return VerdictQuery(**{"from_ms": 0, "to_ms": 1 << 45, **wanted})


def session_row(session: str = S1, **fields: Any) -> SessionRow:
    """A row in which every figure is unknown, but for those that are given."""
    figures = ("audio_mos", "video_mos", "network", "device", "packet_loss", "latency", "jitter")
    base: dict[str, Any] = {
        "session": session,
        "join_ms": T0,
        "leave_ms": T0 + MINUTE,
        "verdict": "unclassified",
        "kind": None,
        "figure": None,
        **dict.fromkeys((*figures, "join_s")),
        **dict.fromkeys(("minutes", "minutes_poor", "minutes_fair"), 0.0),
        "values": {},
    }
    return SessionRow(**{**base, **fields})


def scores(
    version: int, verdict: Verdict = "good", *, model: int = 1, revision: int = 0, **fields: Any
) -> Scores:
    """What was made of a meeting of one session that had it so."""
    row = MeetingRow(
        verdict=verdict,
        because="",
        minutes=9.5,
        minutes_poor=fields.pop("minutes_poor", 0.0),
        counts=dict.fromkeys(VERDICTS, 0) | {verdict: 1},
        findings=fields.pop("findings", []),
    )
    return Scores(version=version, model=model, revision=revision, meeting=row, **fields)


def example_text() -> Any:
    return json.loads((DATA / "meeting-qualities-example.json").read_text())


def example() -> MediaSession:
    """The specification's own example."""
    return msgspec.convert(example_text(), MediaSessions).items[0]
