"""Janus' events for tests: the recorded call, and small ones made up."""

import gzip
import json
from collections.abc import Iterable, Sequence
from typing import Any, Final

from msgspec import Raw

from roomtone import measure
from roomtone.model import HEADER_FIELDS, MediaSession, Stream, StreamKind
from roomtone.sources import janus
from tests.conftest import DATA

Event = dict[str, Any]
T0_US: Final = 1_795_410_000_000_000
NOW_MS: Final = T0_US // 1000 + 3_600_000


def recorded() -> list[Event]:
    """Janus 1.1.2: alice publishes through 5 % loss, bob on a clean link; both watch the other."""
    text = gzip.decompress((DATA / "janus/videoroom-5pct-80ms.jsonl.gz").read_bytes())
    return [json.loads(line) for line in text.splitlines()]


class Call:
    """What batches of events gave, put together as a store would."""

    def __init__(self, *, interval_s: float = 60, meeting_id: str = "") -> None:
        self.interval_s = interval_s
        self.meeting_id = meeting_id
        self.state = b""
        self.meetings: list[str] = []
        self.headers: dict[str, MediaSession] = {}
        self.streams: dict[tuple[str, StreamKind], list[Stream]] = {}
        self.fates: dict[str, int] = {}
        self._measuring: dict[str, bytes] = {}

    def take(self, batch: Iterable[Event]) -> "Call":
        raws = [Raw(json.dumps(event).encode()) for event in batch]
        by_server, bad = janus.parsed(raws, NOW_MS)
        self._count({"bad": bad} if bad else {})
        for server, events in by_server.items():
            took = janus.take(
                self.state,
                server,
                events,
                interval_s=self.interval_s,
                meeting_id=self.meeting_id,
            )
            self.state = took.state
            self.meetings += [str(news.id) for news in took.meetings]
            self._count(took.fates)
            for session, seen in took.sessions:
                self._measure(session, seen)
        return self

    def _count(self, fates: dict[str, int]) -> None:
        for fate, count in fates.items():
            self.fates[fate] = self.fates.get(fate, 0) + count

    def _measure(self, session: MediaSession, seen: Sequence[measure.Seen]) -> None:
        name = session.participantSessionId
        header = self.headers.setdefault(name, session)
        for field in HEADER_FIELDS:  # as a store merges: an empty field changes nothing
            if value := getattr(session, field):
                setattr(header, field, value)
        state, measured = measure.advance(
            self._measuring.get(name, b""), seen, interval_s=self.interval_s
        )
        self._measuring[name] = state
        for kind, streams in measured.streams.items():
            known = self.streams.setdefault((name, kind), [])
            for stream in streams:
                known[:] = [one for one in known if one.startTime != stream.startTime]
                known.append(stream)

    def header(self, name: str) -> MediaSession:
        (found,) = [one for one in self.headers.values() if one.webexUserName == name]
        return found

    def stream(self, name: str, kind: StreamKind) -> Stream:
        (found,) = self.streams[self.header(name).participantSessionId, kind]
        return found

    def kinds(self, name: str) -> set[StreamKind]:
        session = self.header(name).participantSessionId
        return {kind for who, kind in self.streams if who == session}


def event(kind: int, at_s: float, body: Any, **more: Any) -> Event:
    at_us = T0_US + round(at_s * 1e6)
    return {"emitter": "sfu", "type": kind, "timestamp": at_us, "event": body} | more


def joined(handle: int, at_s: float, **data: Any) -> Event:
    """A handle's word of a room; its Janus session is its number's tens."""
    opaque = data.pop("opaque_id", "")
    body = {"plugin": "janus.plugin.videoroom", "data": {"room": 1} | data}
    return event(64, at_s, body, session_id=handle // 10, handle_id=handle, opaque_id=opaque)


def publishes(handle: int, at_s: float = 0, **data: Any) -> Event:
    return joined(handle, at_s, event="joined", id=1000 + handle, **data)


def watches(handle: int, feed: int, at_s: float = 0, **data: Any) -> Event:
    """`feed` is the handle that publishes."""
    streams = [{"mid": mid, "feed_id": 1000 + feed, "feed_mid": mid} for mid in ("0", "1")]
    return joined(handle, at_s, event="subscribing", streams=streams, **data)


def stats(handle: int, at_s: float, *, media: str = "audio", **counts: Any) -> Event:
    codec = "opus" if media == "audio" else "vp8"
    mid = "0" if media == "audio" else "1"
    body = {"mid": mid, "mindex": int(mid), "media": media, "codec": codec}
    body |= {name.replace("_", "-"): count for name, count in counts.items()}
    more = {"session_id": handle // 10, "handle_id": handle}
    return event(32, at_s, body, subtype=3, **more)
