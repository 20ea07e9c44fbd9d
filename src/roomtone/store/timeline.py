"""Samples on a time line: groups of one interval and phase, in them runs of neighbours (pure).

Samples are split into groups of the same samplingInterval and phase (startTime modulo the
interval); in a group, neighbouring samples with one codec and transport make one run, which becomes
one entry of a stream's array.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import lru_cache
from operator import attrgetter
from typing import Final

from roomtone.model import epoch_ms, iso_ms

Values = list[int | float | None]

TIMES_CACHED_MAX: Final = 8_192
PERIODS_CACHED_MAX: Final = 256

time_ms = lru_cache(TIMES_CACHED_MAX)(epoch_ms)
time_text = lru_cache(TIMES_CACHED_MAX)(iso_ms)

_start = attrgetter("start")
_stop = attrgetter("stop")


class Run:
    """Neighbouring samples start..stop-1 of a group (positions, in intervals), columns beside them.

    A column may be shorter than the run: what it lacks at the end is absent, not null. `end_ms` is
    None where no sender said when the last sample ended.
    """

    __slots__ = ("codec", "columns", "end_ms", "interval", "start", "stop", "transport")

    def __init__(
        self,
        start: int,
        stop: int,
        columns: list[Values],
        *,
        interval: float,
        codec: str = "",
        transport: str = "",
        end_ms: int | None = None,
    ) -> None:
        self.start = start
        self.stop = stop
        self.columns = columns
        self.interval = interval
        self.codec = codec
        self.transport = transport
        self.end_ms = end_ms

    def agrees(self, other: "Run") -> bool:
        """Whether codec and transport do not contradict; "" contradicts nothing."""
        return (self.codec == other.codec or not self.codec or not other.codec) and (
            self.transport == other.transport or not self.transport or not other.transport
        )

    def adopt(self, other: "Run") -> None:
        """Take over what is not known here: codec, transport, a later end."""
        self.codec = self.codec or other.codec
        self.transport = self.transport or other.transport
        if other.end_ms is not None and (self.end_ms is None or other.end_ms > self.end_ms):
            self.end_ms = other.end_ms

    def append(self, other: "Run") -> None:
        """Continue with a run that starts where this one stops."""
        length = self.stop - self.start
        for mine, theirs in zip(self.columns, other.columns, strict=True):
            if theirs:
                if len(mine) < length:
                    mine.extend([None] * (length - len(mine)))
                mine.extend(theirs)
        self.stop = other.stop
        self.adopt(other)

    def overlay(self, other: "Run") -> None:
        """Write another run's values over these, from its start on; null never erases."""
        offset = other.start - self.start
        for mine, theirs in zip(self.columns, other.columns, strict=True):
            if theirs:
                overlay(mine, theirs, offset)
        self.stop = max(self.stop, other.stop)
        self.adopt(other)

    def part(self, start: int, stop: int) -> "Run":
        """A copy of the samples start..stop-1; the end is kept only with the last sample."""
        low, high = start - self.start, stop - self.start
        return Run(
            start,
            stop,
            [column[low:high] for column in self.columns],
            interval=self.interval,
            codec=self.codec,
            transport=self.transport,
            end_ms=self.end_ms if stop == self.stop else None,
        )


def overlay(mine: Values, theirs: Values, offset: int) -> None:
    """Write values over others from an index on; null never erases, what lies between is null."""
    if len(mine) < offset:
        mine.extend([None] * (offset - len(mine)))
    if None not in theirs:
        mine[offset : offset + len(theirs)] = theirs
        return
    for index, value in enumerate(theirs, offset):
        if index >= len(mine):
            mine.append(value)
        elif value is not None:
            mine[index] = value


class Group:
    """Runs of one interval and phase, in order; neighbours that touch differ in codec or transport.

    `bare` holds entries without samples that touch no run: a sender may announce a stream.
    """

    __slots__ = ("bare", "period", "phase", "runs")

    def __init__(self, period: int | Fraction, phase: int | Fraction) -> None:
        self.period = period
        self.phase = phase
        self.runs: list[Run] = []
        self.bare: list[Run] = []

    def add(self, run: Run) -> None:
        """Fold one entry in; the run becomes the group's own."""
        if run.start == run.stop:
            if not self._absorb(run):
                self._keep_bare(run)
            return
        runs = self.runs
        if runs and runs[-1].stop == run.start and runs[-1].agrees(run):
            runs[-1].append(run)
        else:
            self._insert(run)
        if self.bare:
            self.bare = [bare for bare in self.bare if not self._absorb(bare)]

    def _insert(self, run: Run) -> None:
        low = bisect_left(self.runs, run.start, key=_stop)
        high = bisect_right(self.runs, run.stop, key=_start)
        near = self.runs[low:high]
        if not near:
            self.runs.insert(low, run)
        elif _agree([*near, run]):
            self.runs[low:high] = [_united(near, run)]
        else:
            self.runs[low:high] = joined = _joined(_cut(near, run))
            for part in joined:
                part.end_ms = self.end_ms(part)

    def _absorb(self, bare: Run) -> bool:
        """Join an entry without samples to the run it stands in, or at the end of."""
        low = bisect_left(self.runs, bare.start, key=_stop)
        near = self.runs[low : low + 2]
        for run in reversed(near):
            if run.start <= bare.start and run.agrees(bare):
                run.adopt(bare)
                return True
        return False

    def _keep_bare(self, bare: Run) -> None:
        for other in self.bare:
            if other.start == bare.start and other.agrees(bare):
                other.adopt(bare)
                return
        self.bare.append(bare)

    def start_ms(self, run: Run) -> int:
        """When a run starts."""
        return int(run.start * self.period + self.phase)

    def end_ms(self, run: Run) -> int:
        """When a run ends: as was sent, else the end of its last sample."""
        return run.end_ms if run.end_ms is not None else int(run.stop * self.period + self.phase)


def _agree(runs: Sequence[Run]) -> bool:
    codecs = {run.codec for run in runs}
    transports = {run.transport for run in runs}
    return len(codecs - {""}) <= 1 and len(transports - {""}) <= 1


def _united(near: list[Run], run: Run) -> Run:
    """One run out of touching or overlapping ones that agree."""
    if run.start < near[0].start:
        whole = run.part(run.start, min(run.stop, near[0].start))
        rest = near
    else:
        whole, rest = near[0], near[1:]
    for other in rest:
        whole.overlay(other)
    whole.overlay(run)
    return whole


def _cut(near: list[Run], run: Run) -> list[Run]:
    """The samples of `near` with those of `run` over them, cut where either begins or ends."""
    parts: list[Run] = []
    at = run.start
    for old in near:
        if old.stop <= run.start or old.start >= run.stop:
            parts.append(old)
            continue
        low, high = max(old.start, run.start), min(old.stop, run.stop)
        if old.start < run.start:
            parts.append(old.part(old.start, run.start))
        if at < low:
            parts.append(run.part(at, low))
        parts.append(_rewritten(old.part(low, high), run.part(low, high)))
        at = high
        if old.stop > run.stop:
            parts.append(old.part(run.stop, old.stop))
    if at < run.stop:
        parts.append(run.part(at, run.stop))
    return sorted(parts, key=_start)


def _rewritten(old: Run, new: Run) -> Run:
    old.codec = new.codec or old.codec
    old.transport = new.transport or old.transport
    old.overlay(new)
    return old


def _joined(parts: list[Run]) -> list[Run]:
    runs = parts[:1]
    for part in parts[1:]:
        if runs[-1].stop == part.start and runs[-1].agrees(part):
            runs[-1].append(part)
        else:
            runs.append(part)
    return runs


class Timeline:
    """All samples of one stream kind (or of resources that have a time)."""

    __slots__ = ("groups",)

    def __init__(self) -> None:
        self.groups: dict[tuple[int | float, int | Fraction], Group] = {}

    def add(
        self,
        start: str,
        interval: float,
        columns: Sequence[Values],
        *,
        codec: str = "",
        transport: str = "",
        end: str = "",
    ) -> None:
        """Fold one entry in; its columns are copied."""
        period = interval * 1000 if type(interval) is int else period_ms(interval)
        position, phase = divmod(time_ms(start), period)
        group = self.groups.get((interval, phase))
        if group is None:
            group = self.groups[interval, phase] = Group(period, phase)
        stop = position + max(map(len, columns))
        run = Run(
            position,
            stop,
            [column.copy() for column in columns],
            interval=interval,
            codec=codec,
            transport=transport,
            end_ms=time_ms(end) if end else None,
        )
        if run.end_ms is None:
            run.end_ms = group.end_ms(run)
        group.add(run)

    def entries(self) -> Iterator[tuple[int, int, Run]]:
        """(startTime, endTime, run) in order of start, then interval, codec and transport."""
        found = [
            (group.start_ms(run), run.interval, run.codec, run.transport, group.end_ms(run), run)
            for group in self.groups.values()
            for run in (*group.runs, *group.bare)
        ]
        found.sort(key=lambda entry: entry[:5])
        for start, _, _, _, end, run in found:
            yield start, end, run


@lru_cache(PERIODS_CACHED_MAX)
def period_ms(interval: float) -> int | Fraction:
    """The interval in ms, exactly; only intervals finer than 1 ms need a fraction."""
    exact = Fraction(interval) * 1000
    near = Fraction(str(interval)) * 1000
    whole = exact if exact.denominator == 1 else near
    return int(whole) if whole.denominator == 1 else whole
