"""What a request handler can use: settings, store, writer, counters, answers, the clock."""

import asyncio
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from roomtone.cache import Answer, AnswerCache, AnswerKey, CallTimes, RecentCalls
from roomtone.config import Network, Settings
from roomtone.limits import CollectorUse
from roomtone.live import Hub
from roomtone.metrics import Metrics
from roomtone.store import Store
from roomtone.writer import Writer

T = TypeVar("T")
TEST_CALLS_MAX: Final = 600
TEST_CALLS_SPAN_MS: Final = 3_600_000
"""Anybody who reaches /call can begin a test call; so many in an hour are enough for people."""


BODIES_BYTES_MAX: Final = 64 * 1024 * 1024
"""Bodies of all requests that are not answered yet; decoded, each takes some ten times as much."""


def wall_clock_ms() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


class ThisTurn:
    """What was looked up in this turn of the event loop, for the requests that came with it.

    Exact, not stale: a request that arrives after a look-up is handled in a later turn, so whoever
    has heard of a commit (of this process or of another) is answered from a look-up behind it.
    """

    def __init__(self) -> None:
        self._found: dict[Hashable, Any] = {}

    def get(self, key: Hashable, look_up: Callable[[], T]) -> T:
        """What `look_up` gives, asked once a turn; an error that it raises is not kept."""
        if key in self._found:
            known: T = self._found[key]
            return known
        found = look_up()
        if not self._found:
            asyncio.get_running_loop().call_soon(self._found.clear)
        self._found[key] = found
        return found


@dataclass(kw_only=True)
class Services:
    """Made once by app.py, found by handlers at `request.app.state.services`."""

    settings: Settings
    store: Store
    writer: Writer
    metrics: Metrics
    cache: AnswerCache
    collector_use: CollectorUse
    live: Hub
    trusted_proxies: tuple[Network, ...] = ()
    call_times: CallTimes = field(default_factory=CallTimes)
    test_calls: RecentCalls = field(
        default_factory=lambda: RecentCalls(TEST_CALLS_MAX, span_ms=TEST_CALLS_SPAN_MS)
    )
    making: dict[AnswerKey, asyncio.Future[Answer]] = field(default_factory=dict)
    this_turn: ThisTurn = field(default_factory=ThisTurn)
    now_ms: Callable[[], int] = wall_clock_ms
    bodies_bytes: int = 0
    backups: int = 0
    fleet_questions: int = 0

    def bodies_bytes_max(self) -> int:
        """How many bytes of bodies may be in work at once: two of the largest always may."""
        return max(BODIES_BYTES_MAX, 2 * self.settings.body_bytes_max)

    def read_deadline(self) -> float:
        """The moment, on the monotonic clock, when a read that starts now has taken too long."""
        return time.monotonic() + self.settings.read_s_max
