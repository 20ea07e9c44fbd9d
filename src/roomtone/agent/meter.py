"""Reads CPU time of the system and of a client's processes (psutil)."""

import time
from collections.abc import Callable, Iterable
from typing import Any, Final, Protocol

from roomtone.agent.intervals import Reading
from roomtone.errors import RoomtoneError

LOOK_EVERY: Final = 10
"""Processes are looked for at every so manieth reading; the known ones are read each time."""
PROCESSES_MAX: Final = 1_000


class Psutil(Protocol):
    """What is used of psutil."""

    @property
    def Error(self) -> type[Exception]:  # noqa: N802 psutil's name
        """What every error of psutil is."""

    def cpu_times(self) -> Any:
        """Seconds of the system since it started, by kind."""

    def cpu_count(self) -> int | None:
        """Logical CPUs."""

    def process_iter(self) -> Iterable[Any]:
        """All processes."""


class Meter:
    """CPU in percent of the whole computer, 0..100, since the reading before.

    `process` is a pid or a name (with or without .exe, in any case); its descendants count with
    it, as browsers are many processes. "" measures the system alone.
    """

    def __init__(
        self,
        process: str = "",
        *,
        ps: Psutil | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ps = ps or _psutil()
        self._wanted = process
        self._monotonic = monotonic
        self._count = self._ps.cpu_count() or 1
        self._readings = 0
        self._known: dict[int, tuple[Any, float]] = {}
        self._at = monotonic()
        self._busy, self._total = self._system_s()
        self._look()

    def read(self) -> Reading:
        """What happened since the last call; the first one counts from when this was made."""
        now = self._monotonic()
        elapsed_s, self._at = now - self._at, now
        return Reading(elapsed_s, self._process(elapsed_s), self._system())

    def _system(self) -> float | None:
        busy, total = self._system_s()
        spent, whole = busy - self._busy, total - self._total
        self._busy, self._total = busy, total
        return _percent(spent, whole)

    def _system_s(self) -> tuple[float, float]:
        """Busy and all seconds. Waiting for a disk is idle; a guest's time is in user already."""
        times = self._ps.cpu_times()._asdict()
        idle = times["idle"] + times.get("iowait", 0.0)
        total = sum(times.values()) - times.get("guest", 0.0) - times.get("guest_nice", 0.0)
        return total - idle, total

    def _process(self, elapsed_s: float) -> float | None:
        if not self._wanted:
            return None
        spent, known = 0.0, bool(self._known)
        for pid, (process, before_s) in list(self._known.items()):
            try:
                now_s = _seconds_of(process)
            except self._ps.Error:  # it has ended: what it did since the last reading is not known
                del self._known[pid]
                continue
            spent += now_s - before_s
            self._known[pid] = process, now_s
        self._readings += 1
        if self._readings % LOOK_EVERY == 0 or not self._known:
            self._look()
        return _percent(spent, elapsed_s * self._count) if known else None

    def _look(self) -> None:
        """Find the processes; a new one is measured from here on."""
        if not self._wanted:
            return
        looked: set[int] = set()
        for process in self._ps.process_iter():
            if process.pid in looked:
                continue  # a descendant of one that was found: to ask for its own is dear
            try:
                if self._is_wanted(process):
                    family = (process, *process.children(recursive=True))
                    looked.update(one.pid for one in family)
                    self._begin(family)
            except self._ps.Error:
                continue

    def _begin(self, family: Iterable[Any]) -> None:
        for one in family:
            if one.pid not in self._known and len(self._known) < PROCESSES_MAX:
                self._known[one.pid] = one, _seconds_of(one)

    def _is_wanted(self, process: Any) -> bool:
        if self._wanted.isdecimal():
            return bool(process.pid == int(self._wanted))
        name: str = process.name()
        return _bare(name) == _bare(self._wanted)


def _bare(name: str) -> str:
    return name.lower().removesuffix(".exe")


def _seconds_of(process: Any) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _percent(part: float, whole: float) -> float | None:
    """Clocks tick in steps, so a share can seem to be a little over all."""
    return min(max(100 * part / whole, 0.0), 100.0) if whole > 0 else None


def _psutil() -> Psutil:
    try:
        import psutil
    except ImportError:
        raise RoomtoneError("this needs: pip install 'roomtone[agent]'") from None
    found: Psutil = psutil
    return found
