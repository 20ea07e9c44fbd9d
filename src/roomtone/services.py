"""What a request handler can use: settings, store, writer, counters, answers, the clock."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from roomtone.cache import AnswerCache, CallTimes, RecentCalls
from roomtone.config import Network, Settings
from roomtone.metrics import Metrics
from roomtone.store import Store
from roomtone.writer import Writer

TEST_CALLS_MAX: Final = 600
TEST_CALLS_SPAN_MS: Final = 3_600_000
"""Anybody who reaches /call can begin a test call; so many in an hour are enough for people."""


BODIES_BYTES_MAX: Final = 64 * 1024 * 1024
"""Bodies of all requests that are not answered yet; decoded, each takes some ten times as much."""


def wall_clock_ms() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


@dataclass(kw_only=True)
class Services:
    """Made once by app.py, found by handlers at `request.app.state.services`."""

    settings: Settings
    store: Store
    writer: Writer
    metrics: Metrics
    cache: AnswerCache
    trusted_proxies: tuple[Network, ...] = ()
    call_times: CallTimes = field(default_factory=CallTimes)
    test_calls: RecentCalls = field(
        default_factory=lambda: RecentCalls(TEST_CALLS_MAX, span_ms=TEST_CALLS_SPAN_MS)
    )
    now_ms: Callable[[], int] = wall_clock_ms
    bodies_bytes: int = 0

    def bodies_bytes_max(self) -> int:
        """How many bytes of bodies may be in work at once: two of the largest always may."""
        return max(BODIES_BYTES_MAX, 2 * self.settings.body_bytes_max)

    def read_deadline(self) -> float:
        """The moment, on the monotonic clock, when a read that starts now has taken too long."""
        return time.monotonic() + self.settings.read_s_max
