"""Readings of a second each -> average and maximum per interval; no clock, no computer."""

from typing import Final, NamedTuple

from roomtone.model import Resources, iso_ms

DECIMALS: Final = 2
READING_S_MAX: Final = 10.0
"""A reading over a longer time (the computer slept) is of no interval."""


class Reading(NamedTuple):
    """CPU in percent of the whole computer over the last `elapsed_s`; None is unknown."""

    elapsed_s: float
    process: float | None
    system: float | None


class _Mean:
    def __init__(self) -> None:
        self._sum = self._s = 0.0
        self._max: float | None = None

    def add(self, value: float | None, elapsed_s: float) -> None:
        if value is not None:
            self._sum += value * elapsed_s
            self._s += elapsed_s
            self._max = value if self._max is None else max(self._max, value)

    def average(self) -> list[float | None]:
        """As a column of one sample: [] when nothing is known."""
        return [round(self._sum / self._s, DECIMALS)] if self._s else []

    def maximum(self) -> list[float | None]:
        return [] if self._max is None else [round(self._max, DECIMALS)]


class Intervals:
    """Puts readings into intervals that begin at whole multiples of `interval_s` since 1970.

    So the intervals of an agent that was started again continue those of the one before.
    """

    def __init__(self, interval_s: int) -> None:
        self._interval_s = interval_s
        self._slot: int | None = None
        self._process, self._system = _Mean(), _Mean()

    def add(self, reading: Reading, now_ms: int) -> Resources | None:
        """Take a reading that ends now; the interval before, when this one begins another."""
        # A reading belongs to where most of it lies: its middle.
        slot = int(now_ms - reading.elapsed_s * 500) // (self._interval_s * 1000)
        ended = self.end() if self._slot is not None and slot != self._slot else None
        self._slot = slot
        if reading.elapsed_s <= READING_S_MAX:
            self._process.add(reading.process, reading.elapsed_s)
            self._system.add(reading.system, reading.elapsed_s)
        return ended

    def end(self) -> Resources | None:
        """The interval as far as it has come; None when nothing of it is known."""
        if self._slot is None:
            return None
        resources = Resources(
            processAverageCPU=self._process.average(),
            processMaxCPU=self._process.maximum(),
            systemAverageCPU=self._system.average(),
            systemMaxCPU=self._system.maximum(),
            samplingInterval=self._interval_s,
            startTime=iso_ms(self._slot * self._interval_s * 1000),
        )
        known = resources.processAverageCPU or resources.systemAverageCPU
        self._slot, self._process, self._system = None, _Mean(), _Mean()
        return resources if known else None
