"""One meeting that is looked at again and again: once for all who watch it."""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Final

from roomtone import causes, scoring
from roomtone.errors import Gone, NotFound, RoomtoneError
from roomtone.live.changes import EndReason
from roomtone.live.channel import Channel
from roomtone.live.state import State, state
from roomtone.metrics import Metrics
from roomtone.model import anonymous
from roomtone.store import Store

COST_PART_MAX: Final = 0.05
"""Of a core: a meeting that takes long to explain is looked at more rarely."""

log = logging.getLogger("roomtone")


class Looks:
    """What all meetings share: the store, how often, and that one is explained at a time."""

    def __init__(
        self,
        store: Store,
        metrics: Metrics,
        *,
        every_s: float,
        read_s_max: float,
        now_ms: Callable[[], int],
    ) -> None:
        self.store = store
        self.metrics = metrics
        self.every_s = every_s
        self.now_ms = now_ms
        self.turn = asyncio.Semaphore(1)
        self._read_s_max = read_s_max

    def deadline(self) -> float:
        """When a read that starts now has taken too long."""
        return time.monotonic() + self._read_s_max


class Watched:
    """A meeting's channels, with names (False) and without (True), and the task that fills them."""

    def __init__(self, looks: Looks, org: str, meeting_id: str) -> None:
        self._looks = looks
        self._org = org
        self._meeting_id = meeting_id
        self._channels = {hidden: Channel(meeting_id) for hidden in (False, True)}
        self._made_of = (0, 0)
        """The meeting's version and the revision of the organisation's settings."""
        self._looked_s = -float("inf")
        self._took_s = 0.0
        self._looking = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    def channel(self, *, hidden: bool) -> Channel:
        """The one with names, or the one without."""
        return self._channels[hidden]

    def is_watched(self) -> bool:
        """Whether anybody watches."""
        return any(channel.watchers for channel in self._channels.values())

    def is_idle(self) -> bool:
        """Whether nobody watches, and nobody waits for a state."""
        return not (self.is_watched() or self._looking.locked())

    def age_s(self) -> float:
        """How long ago it was last made sure that the state is the latest."""
        return time.monotonic() - self._looked_s

    def pause_s(self) -> float:
        """How long to wait between two looks, by what the last one cost."""
        return self._took_s / COST_PART_MAX

    async def look(self, *, hidden: bool) -> State:
        """The latest state with names or without; anew when the meeting or thresholds have changed.

        What else is watched is made from the same reading. NotFound, Gone; TimedOut, Unavailable.
        """
        async with self._looking:
            version = self._looks.store.version(self._org, self._meeting_id)
            if not version:
                raise NotFound("No such meeting.")
            made_of = (version, self._looks.store.revision(self._org))
            changed = made_of != self._made_of
            wanted = [
                key
                for key, one in self._channels.items()
                if (one.watchers or key == hidden) and (changed or one.state is None)
            ]
            if wanted:
                await self._explain(made_of, wanted)
            self._looked_s = time.monotonic()
        found = self._channels[hidden].state
        assert found is not None
        return found

    async def _explain(self, made_of: tuple[int, int], wanted: list[bool]) -> None:
        async with self._looks.turn:
            started = time.perf_counter()
            made = await asyncio.to_thread(self._made, wanted)
            self._took_s = time.perf_counter() - started
        self._looks.metrics.live_computations.inc()
        if made_of != self._made_of:
            for hidden in self._channels.keys() - made.keys():
                self._channels[hidden].lapse()
        self._made_of = made_of
        for hidden, one in made.items():
            self._channels[hidden].take(one, self._looks.now_ms())

    def _made(self, wanted: list[bool]) -> dict[bool, State]:
        """Read and score once; with and without names are explained apart, as words hold names."""
        store = self._looks.store
        meeting = store.meeting(self._org, self._meeting_id)
        if meeting is None:
            raise NotFound("No such meeting.")
        sessions, more = scoring.sessions_of(
            store, self._org, self._meeting_id, deadline=self._looks.deadline()
        )
        thresholds = scoring.thresholds_of(store, self._org)
        scores, whole = scoring.scored(sessions, thresholds)
        made = {}
        for hidden in wanted:
            shown = [anonymous(one) for one in sessions] if hidden else sessions
            findings = causes.explain(shown, thresholds=thresholds, scores=scores)
            before = self._channels[hidden].state
            made[hidden] = state(meeting.state, shown, scores, whole, findings, before=before)
            made[hidden].more = more
        return made

    def run(self) -> None:
        """Look again and again while somebody watches."""
        if not self.runs():
            self._task = asyncio.create_task(self._run())

    def runs(self) -> bool:
        """Whether it looks again and again, so that its state is as new as may be."""
        return self._task is not None and not self._task.done()

    def rest(self) -> None:
        """Stop looking."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    def end(self, reason: EndReason) -> None:
        """End all watchers."""
        for channel in self._channels.values():
            channel.end(reason)

    async def _run(self) -> None:
        reason: EndReason = "failed"
        try:
            reason = await self._until_over()
        except Exception:
            log.exception("watching failed")
        self.end(reason)

    async def _until_over(self) -> EndReason:
        while True:
            hidden = not self._channels[False].watchers
            try:
                found = await self.look(hidden=hidden)
            except (NotFound, Gone):
                return "removed"
            except RoomtoneError as error:
                log.warning("watching put off", extra={"fields": {"reason": error.message}})
            else:
                if found.meeting == "ended":
                    return "ended"
            await asyncio.sleep(max(self._looks.every_s, self.pause_s()))
