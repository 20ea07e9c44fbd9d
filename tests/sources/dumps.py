"""The two dumps of one call that Chromium gives, whole and made into what other tools write."""

import gzip
import json
from pathlib import Path
from typing import Any

import msgspec

from roomtone.measure import Measured
from roomtone.model import STREAM_KINDS, MediaSession, streams_of
from tests.measure.calls import Cells, fold

DATA = Path(__file__).parent.parent / "data" / "sources"
INTERNALS = gzip.decompress((DATA / "webrtc-internals-dump-chromium156.txt.gz").read_bytes())
RTCSTATS = gzip.decompress((DATA / "rtcstats-dump-chromium156.txt.gz").read_bytes())
INTERVAL_S = 2.0
Report = dict[str, dict[str, Any]]


def lines(text: bytes = RTCSTATS) -> list[bytes]:
    return text.splitlines(keepends=True)


def events() -> list[list[Any]]:
    """The rtcstats dump's events, of the head's two lines none."""
    return [json.loads(line) for line in lines()[2:]]


def get_stats() -> list[tuple[str, Report]]:
    """What getStats() gave in that call: (connection, report), in order."""
    return [(event[1], event[2]) for event in events() if event[0] == "getStats"]


def dump_of(some: list[list[Any]], form: int = 3) -> list[bytes]:
    head = [b"RTCStatsDump\n", json.dumps({"fileFormat": form}).encode() + b"\n"]
    return head + [json.dumps(event).encode() + b"\n" for event in some]


def whole(sessions: list[MediaSession]) -> dict[str, Any]:
    """One session as plain values, for comparison."""
    [session] = sessions
    value: dict[str, Any] = msgspec.to_builtins(session)
    return value


def cells(sessions: list[MediaSession]) -> Cells:
    """The pieces of one session as a store would merge them."""
    return fold(
        Measured(streams={kind: streams_of(one, kind) for kind in STREAM_KINDS}) for one in sessions
    )
