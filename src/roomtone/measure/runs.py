"""Runs of samples: where a stream began and stopped, on which grid its intervals lie, and the
entries (`model.Stream`) that come of it.
"""

import bisect
import functools
import itertools
from collections.abc import Iterator
from typing import Final

from msgspec import Struct, field

from roomtone.measure.counters import Flow, Key
from roomtone.measure.intervals import EMPTY, Grid, Lane, Sample, Value, Window, spans
from roomtone.measure.state import Run, State
from roomtone.model import Column, Stream, StreamKind, iso_ms

RUNS_MAX: Final = 16
"""Runs of one kind that a state remembers."""

time_text = functools.lru_cache(maxsize=64)(iso_ms)
"""Kinds of streams that began together have the same times."""


def legs_of(known: State, kind: StreamKind, lane: Lane, limits: dict[str, float]) -> list[Run]:
    """The time in which a kind flowed, in legs of one phase each, in order.

    A leg keeps the phase of the run that was told of it. A new run's intervals start with it where
    its beginning was seen. Where reports are missing before it, it takes the phase of the run
    before: they may still come, and fill the gap. Late reports that close a gap can make runs of
    different phase meet: there the span is cut. `limits`: gap_ms of each connection.
    """
    told = known.runs.get(kind, [])
    legs: list[Run] = []
    for low_ms, high_ms in spans(lane, max(limits.values())):
        mine = [run for run in told if run.start_ms <= high_ms and run.end_ms >= low_ms]
        if mine:
            starts = [low_ms, *(max(run.start_ms, low_ms) for run in mine[1:]), high_ms]
            for run, (start_ms, end_ms) in zip(mine, itertools.pairwise(starts), strict=True):
                legs.append(Run(run.origin_ms, start_ms, end_ms))
            continue
        earlier = legs[-1:] or [run for run in told if run.end_ms < low_ms][-1:]
        if earlier and not beginning_seen(known, lane.flows, low_ms, limits):
            legs.append(Run(earlier[0].origin_ms, low_ms, high_ms))
        else:
            legs.append(Run(round(low_ms), low_ms, high_ms))
    return legs


def in_phase(legs: list[Run], size_ms: float) -> Iterator[list[Run]]:
    """Neighbouring legs whose intervals fall on the same grid: they can share an interval."""
    group: list[Run] = []
    for leg in legs:
        if group and (leg.origin_ms - group[0].origin_ms) % size_ms:
            yield group
            group = []
        group.append(leg)
    if group:
        yield group


class Windows(Struct):
    """What of which grid is to be told: kinds of streams that began together share a window."""

    size_ms: float
    touched: tuple[float, float]
    kept_ms: int
    known: dict[tuple[tuple[float, float, float], ...], Window] = field(default_factory=dict)

    def of(self, legs: list[Run]) -> Window:
        """The intervals of legs in phase that touched time falls in, but for final ones."""
        key = tuple((leg.origin_ms, leg.start_ms, leg.end_ms) for leg in legs)
        if (found := self.known.get(key)) is None:
            grid = Grid(float(legs[0].origin_ms), self.size_ms, legs[0].start_ms, legs[-1].end_ms)
            numbers = touched_numbers(grid, self)
            starts = [*map(grid.start_ms, range(numbers.start - 1, numbers.stop + 1))]
            found = Window(grid, numbers, grid.narrowed(numbers), starts, in_run(legs, starts))
            self.known[key] = found
        return found


def touched_numbers(grid: Grid, windows: Windows) -> range:
    """The intervals of a grid that touched time falls in, but for those that are final."""
    low_ms, high_ms = max(windows.touched[0], grid.low_ms), min(windows.touched[1], grid.high_ms)
    if low_ms > high_ms:
        return range(0)
    first = grid.first(low_ms)
    if grid.start_ms(first) < windows.kept_ms:
        first = grid.first(windows.kept_ms) + 1
    return range(first, grid.first(high_ms) + 1)


def beginning_seen(
    known: State, flows: dict[Key, list[Flow]], low_ms: float, limits: dict[str, float]
) -> bool:
    """Whether the connection that begins a run was watched just before, or is new itself."""
    for key, carried in flows.items():
        if any(flow.start_ms == low_ms for flow in carried):
            times = known.connections[key[0]].times()
            place = bisect.bisect_left(times, low_ms)
            return place == 0 or low_ms - times[place - 1] <= limits[key[0]]
    return False


def overlap(one: Run, other: Run) -> bool:
    """Whether two runs share time, or touch."""
    return one.start_ms <= other.end_ms and one.end_ms >= other.start_ms


def keep_runs(known: State, kind: StreamKind, legs: list[Run]) -> None:
    """Remember the legs whose samples were told, in the place of what was known of them."""
    others: list[Run] = []
    for run in known.runs.get(kind, ()):
        same = [leg for leg in legs if leg.origin_ms == run.origin_ms and overlap(run, leg)]
        if not same:
            others.append(run)
        else:  # legs are cut where the snapshots end that were looked at
            same[0].start_ms = min(same[0].start_ms, run.start_ms)
            same[-1].end_ms = max(same[-1].end_ms, run.end_ms)
    runs = [*others, *legs]
    if len(runs) > 1:
        runs.sort(key=lambda run: run.start_ms)
    known.runs[kind] = runs[-RUNS_MAX:]


def entries(found: dict[int, Sample], window: Window) -> list[Stream]:
    """Samples as entries: unbroken, of one codec and transport each, no empty ends.

    An interval without any value is kept (as nulls) inside a run, and ends the entry in a gap.
    """
    groups: list[list[int]] = [[]]
    labels: tuple[str, str] | None = None
    before, *within = window.flows
    for number, inside in zip(window.numbers, within, strict=True):
        sample = found.get(number, EMPTY)
        if not inside:
            groups.append([])
            labels = None
        elif not sample.values:
            if groups[-1] or before:
                groups[-1].append(number)
        elif labels is None or labels == (sample.codec, sample.transport):
            groups[-1].append(number)
        else:
            groups.append([number])
        before = inside
        if sample.values:
            labels = sample.codec, sample.transport
    trimmed = (trim(found, group) for group in groups)
    return [entry(found, window, group) for group in trimmed if group]


def trim(found: dict[int, Sample], numbers: list[int]) -> list[int]:
    """Without the unknown intervals at the end: a later report may still fill them."""
    while numbers and not found.get(numbers[-1], EMPTY).values:
        numbers = numbers[:-1]
    return numbers


def in_run(legs: list[Run], starts: list[int]) -> list[bool]:
    """Of the intervals between these times, whether any part lies in a run."""
    return [
        any(leg.start_ms < high and leg.end_ms > low for leg in legs)
        for low, high in itertools.pairwise(starts)
    ]


def entry(found: dict[int, Sample], window: Window, numbers: list[int]) -> Stream:
    """Consecutive intervals as an entry; a column that nobody measured is []."""
    known = [found.get(number, EMPTY).values for number in numbers]
    columns: dict[Column, list[Value | None]] = {}
    for place, values in enumerate(known):
        for column, value in values.items():
            if column not in columns:
                columns[column] = [None] * len(known)
            columns[column][place] = value
    last = found[numbers[-1]]
    size_s = window.grid.size_ms / 1000
    return Stream(
        samplingInterval=int(size_s) if size_s.is_integer() else size_s,
        startTime=time_text(window.start_ms(numbers[0])),
        endTime=time_text(round(min(window.start_ms(numbers[-1] + 1), window.grid.high_ms))),
        packetLoss=columns.get("packetLoss", []),
        latency=columns.get("latency", []),
        resolutionHeight=columns.get("resolutionHeight", []),
        frameRate=columns.get("frameRate", []),
        mediaBitRate=columns.get("mediaBitRate", []),
        codec=last.codec,
        jitter=columns.get("jitter", []),
        transportType=last.transport,
    )
