"""The agent itself: a reading a second, a report an interval, the last one when it is stopped."""

import threading
import time
from collections.abc import Callable
from typing import Any, Final

import msgspec
from msgspec import Struct

from roomtone.agent.computer import describe
from roomtone.agent.intervals import Intervals
from roomtone.agent.meter import Meter
from roomtone.client import Poster
from roomtone.errors import RoomtoneError
from roomtone.model import Resources

PATH: Final = "/v1/agent/reports"
EVERY_S: Final = 1.0
SPOOL_BYTES_MAX: Final = 1024 * 1024
"""A report is about 400 bytes: enough for a day and a half without the server."""


class Whom(Struct, frozen=True, kw_only=True):
    """Where reports go; empty is what the token or the server knows."""

    meeting: str
    participant: str = ""
    session: str = ""


class Agent:
    """Runs until `stop` is set. Everything that goes wrong with the server is the poster's."""

    def __init__(
        self,
        poster: Poster,
        whom: Whom,
        meter: Meter,
        *,
        interval_s: int,
        say: Callable[[str], None],
        computer: Callable[[], dict[str, str]] = describe,
    ) -> None:
        self._poster = poster
        self._whom = whom
        self._meter = meter
        self._intervals = Intervals(interval_s)
        self._computer = computer
        self._say = say
        self.reports = self.lost = 0
        self.stop = threading.Event()

    def run(self) -> None:
        """Read and report; on `stop` what the interval has so far is reported as well."""
        due = time.monotonic()
        while not self.stop.is_set():
            due = max(due + EVERY_S, time.monotonic())
            self.stop.wait(due - time.monotonic())
            self._take(self._intervals.add(self._meter.read(), time.time_ns() // 1_000_000))
        self._take(self._intervals.end())

    def _take(self, resources: Resources | None) -> None:
        if resources is None:
            return
        body: dict[str, Any] = {
            "meetingId": self._whom.meeting,
            "participantId": self._whom.participant,
            "participantSessionId": self._whom.session,
            "session": self._computer(),
            "resources": [resources],
        }
        self.reports += 1
        try:
            self._poster.post_body(PATH, msgspec.json.encode(body))
        except RoomtoneError as error:  # a full disk: the next report may find room
            self.lost += 1
            self._say(error.message)
