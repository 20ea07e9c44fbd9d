"""All meetings that are watched: who may come, what is kept for a while, and the end."""

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from roomtone.errors import TooMany, Unavailable
from roomtone.live.channel import Watcher
from roomtone.live.state import State
from roomtone.live.watched import Looks, Watched
from roomtone.metrics import Metrics
from roomtone.store import Store

MEETINGS_KEPT_MAX: Final = 500
"""Meetings that nobody watches whose state is kept: for who comes back, and for collectors."""
KEPT_S_MAX: Final = 300.0
SWEEP_EVERY_S: Final = 10.0
AGAIN_S: Final = 30
GUESTS_ONE_IN: Final = 10
"""Of the places of watchers; anybody who reaches /call gets a token of one meeting."""


class Hub:
    """The event loop's thread alone uses it. Scoring and explaining are done in another."""

    def __init__(
        self,
        store: Store,
        metrics: Metrics,
        *,
        watchers_max: int,
        every_s: float,
        read_s_max: float,
        now_ms: Callable[[], int],
    ) -> None:
        self._looks = Looks(store, metrics, every_s=every_s, read_s_max=read_s_max, now_ms=now_ms)
        self._watchers_max = watchers_max
        self._kept_max = watchers_max + MEETINGS_KEPT_MAX
        self._sweep_at_s = 0.0
        self._metrics = metrics
        self._meetings: OrderedDict[tuple[str, str], Watched] = OrderedDict()
        self._count = 0
        self._guests = 0
        self._guests_max = -(-watchers_max // GUESTS_ONE_IN)
        self._closed = False
        metrics.watchers.set_function(lambda: float(self._count))

    async def admit(
        self, org: str, meeting_id: str, *, hidden: bool, last_event_id: str, guest: bool = False
    ) -> Watcher | None:
        """A watcher that is told all that there is; None: the meeting is over, and it knows all.

        `guest`: the token is of one meeting only; such ones get some of the places.
        TooMany, NotFound, Gone; TimedOut or Unavailable when the meeting could not be read. Whoever
        has got a watcher gives it back to `leave`.
        """
        if self._closed:
            raise Unavailable("The server is stopping.")
        if self._count >= self._watchers_max or (guest and self._guests >= self._guests_max):
            raise TooMany("Too many watch meetings at once; come again later.", retry_after=AGAIN_S)
        self._count += 1
        self._guests += guest
        watcher = None
        try:
            watcher = await self._admitted(
                self._watched(org, meeting_id), last_event_id, hidden=hidden
            )
        finally:
            if watcher is None:
                self._count -= 1
                self._guests -= guest
            else:
                watcher.guest = guest
        return watcher

    async def _admitted(
        self, watched: Watched, last_event_id: str, *, hidden: bool
    ) -> Watcher | None:
        channel = watched.channel(hidden=hidden)
        found = channel.state
        if found is None or not watched.runs() or not watched.is_sure():
            found = await watched.look(hidden=hidden)
        if found.meeting == "ended" and channel.knows_all(last_event_id):
            return None
        watcher = Watcher()
        channel.admit(watcher, last_event_id)
        watched.run()
        return watcher

    def leave(self, org: str, meeting_id: str, watcher: Watcher) -> None:
        """A watcher has gone, or was let go."""
        self._count -= 1
        self._guests -= watcher.guest
        self._metrics.watchers_ended.labels(watcher.ended or "left").inc()
        watched = self._meetings[org, meeting_id]
        for hidden in (False, True):
            watched.channel(hidden=hidden).watchers.discard(watcher)
        if not watched.is_watched():
            watched.rest()

    async def state(self, org: str, meeting_id: str, *, age_s_max: float) -> State:
        """The state of a meeting with names, up to so many seconds old. Errors as with `admit`.

        It is older where the meeting takes so long to explain that it would cost too much.
        """
        watched = self._watched(org, meeting_id)
        found = watched.channel(hidden=False).state
        if found is None or watched.age_s() > max(age_s_max, watched.pause_s()):
            found = await watched.look(hidden=False)
        return found

    def doubt(self, org: str) -> None:
        """Somebody was erased: whoever comes from now on is told what a new look finds."""
        for (name, _), watched in self._meetings.items():
            if name == org:
                watched.doubt()

    def close(self) -> None:
        """The server stops: everybody hears it, and nobody is let in any more."""
        self._closed = True
        for watched in self._meetings.values():
            watched.rest()
            watched.end("stopping")

    def _watched(self, org: str, meeting_id: str) -> Watched:
        self._forget_idle()
        watched = self._meetings.get((org, meeting_id))
        if watched is None:
            watched = self._meetings[org, meeting_id] = Watched(self._looks, org, meeting_id)
        self._meetings.move_to_end((org, meeting_id))
        return watched

    def _forget_idle(self) -> None:
        """Drop what nobody watches and nobody has asked for lately, the eldest first."""
        now_s = time.monotonic()
        over = len(self._meetings) - self._kept_max
        if over < 0 and now_s < self._sweep_at_s:
            return
        self._sweep_at_s = now_s + SWEEP_EVERY_S
        for key in [key for key, one in self._meetings.items() if one.is_idle()]:
            if over >= 0 or self._meetings[key].age_s() > KEPT_S_MAX:
                del self._meetings[key]
                over -= 1
