"""One stream of events with its watchers: each event is written once and told to all of them."""

import asyncio
import re
import secrets
from collections import deque
from typing import Final, NamedTuple

from roomtone.live.changes import End, EndReason, Event, changes, forgets, written
from roomtone.live.state import State, snapshot
from roomtone.model import iso_ms

QUEUE_CHUNKS_MAX: Final = 32
"""What one look changes is one chunk; a watcher that is so many behind is dropped as slow."""
EVENTS_MAX: Final = 200
"""When one look changes more than this, all of it is told anew instead."""
KEPT_EVENTS_MAX: Final = 1_000
KEPT_BYTES_MAX: Final = 1_000_000
"""Events that are kept for those who come back with Last-Event-ID."""
RETRY_MS: Final = 3_000
EVENT_ID: Final = re.compile(r"([0-9a-f]{12})-([0-9]{1,12})")


class Chunk(NamedTuple):
    """What is to be sent next, and whether it is the last."""

    data: bytes
    last: bool


class Watcher:
    """One reader of a channel, for the event loop's thread. Its queue is bounded."""

    def __init__(self) -> None:
        self._chunks: deque[bytes] = deque()
        self._news = asyncio.Event()
        self.ended: EndReason | None = None
        self.guest = False
        self.stopping = asyncio.Event()
        """The server stops: who still does not read is not waited for long."""

    def tell(self, chunk: bytes) -> None:
        """Queue a chunk; when it reads too slowly, what waits is dropped and it ends."""
        if self.ended is not None:
            return
        if len(self._chunks) >= QUEUE_CHUNKS_MAX:
            self._chunks.append(self.cut("slow"))
        else:
            self._chunks.append(chunk)
        self._news.set()

    def end(self, reason: EndReason, event_id: str = "") -> None:
        """Queue the last event, once."""
        if reason == "stopping":
            self.stopping.set()
        if self.ended is None:
            self.ended = reason
            self._chunks.append(_end(reason, event_id))
            self._news.set()

    def cut(self, reason: EndReason) -> bytes:
        """Drop what waits and end; return the last event."""
        self.ended = self.ended or reason
        self._chunks.clear()
        return _end(self.ended)

    async def next(self) -> Chunk:
        """What to send next, as soon as there is something."""
        await self._news.wait()
        data = self._chunks.popleft()
        if not self._chunks:
            self._news.clear()
        return Chunk(data, last=self.ended is not None and not self._chunks)


def _end(reason: EndReason, event_id: str = "") -> bytes:
    return written(Event("end", End(reason=reason)), event_id)


class _Kept:
    """Events that were told, bounded in number and in bytes; the first of all is number 1."""

    def __init__(self) -> None:
        self._events: deque[bytes] = deque()
        self._bytes = 0
        self._before = 0
        """How many came before the first that is kept."""

    @property
    def count(self) -> int:
        """How many there were."""
        return self._before + len(self._events)

    def add(self, event: bytes) -> None:
        """Keep an event; the eldest may go for it."""
        self._events.append(event)
        self._bytes += len(event)
        while len(self._events) > KEPT_EVENTS_MAX or self._bytes > KEPT_BYTES_MAX:
            self._bytes -= len(self._events.popleft())
            self._before += 1

    def after(self, number: int) -> bytes | None:
        """All events after this one; None when they are no longer, or never were, all there."""
        if not self._before <= number <= self.count:
            return None
        return b"".join(list(self._events)[number - self._before :])


class Channel:
    """What is told of one meeting, with names or without; the event loop's thread alone uses it."""

    def __init__(self, meeting_id: str) -> None:
        self._meeting_id = meeting_id
        self.state: State | None = None
        self.watchers: set[Watcher] = set()
        self._time = ""
        self._begin()

    def _begin(self) -> None:
        """Forget what was told. Ids begin with chance, so that those of before mean nothing."""
        self._nonce = secrets.token_hex(6)
        self._kept = _Kept()
        self._snapshot = b""

    def take(self, state: State, now_ms: int) -> None:
        """Tell all watchers what is different from the state before."""
        before, self.state = self.state, state
        self._time, self._snapshot = iso_ms(now_ms), b""
        if before is None:
            return
        events = list(changes(before, state, self._time))
        if len(events) > EVENTS_MAX or forgets(before, state):
            self._begin()
            self._tell(self._whole())
        elif events:
            self._tell(b"".join(map(self._numbered, events)))

    def lapse(self) -> None:
        """Forget the state: the meeting went on and nobody was told."""
        self.state = None
        self._begin()

    def admit(self, watcher: Watcher, last_event_id: str) -> None:
        """Add a watcher: it is told what came after an event that it knows, else everything."""
        missed = self._missed(last_event_id)
        begin = b"retry: %d\n\n" % RETRY_MS
        watcher.tell(begin + (self._whole() if missed is None else missed))
        self.watchers.add(watcher)

    def knows_all(self, last_event_id: str) -> bool:
        """Whether nothing was told after this event."""
        return self._missed(last_event_id) == b""

    def end(self, reason: EndReason) -> None:
        """End all watchers. The end of a meeting has an id, so that who knows it asks no more."""
        event_id = f"{self._nonce}-{self._kept.count}" if reason == "ended" else ""
        for watcher in self.watchers:
            watcher.end(reason, event_id)

    def _missed(self, last_event_id: str) -> bytes | None:
        match = EVENT_ID.fullmatch(last_event_id)
        if match is None or match[1] != self._nonce:
            return None
        return self._kept.after(int(match[2]))

    def _numbered(self, event: Event) -> bytes:
        data = written(event, f"{self._nonce}-{self._kept.count + 1}")
        self._kept.add(data)
        return data

    def _whole(self) -> bytes:
        """The state as it is, under the id of the last event in it; written once."""
        if not self._snapshot:
            assert self.state is not None
            event = Event("snapshot", snapshot(self._meeting_id, self.state, self._time))
            self._snapshot = written(event, f"{self._nonce}-{self._kept.count}")
        return self._snapshot

    def _tell(self, chunk: bytes) -> None:
        for watcher in self.watchers:
            watcher.tell(chunk)
