"""Runs of samples: where a stream began and stopped, on which grid its intervals lie, and the
entries (`model.Stream`) that come of it.
"""

import bisect
import functools
import itertools
from collections.abc import Iterator
from typing import Final

from roomtone.measure.counters import Flow, Key
from roomtone.measure.intervals import EMPTY, Grid, Lane, Sample, Value, spans
from roomtone.measure.state import Run, State
from roomtone.model import Column, Stream, StreamKind, iso_ms

RUNS_MAX: Final = 16
"""Runs of one kind that a state remembers."""

time_text = functools.lru_cache(maxsize=64)(iso_ms)
"""Kinds of streams that began together have the same times."""


def legs_of(known: State, kind: StreamKind, lane: Lane, limits: dict[str, int]) -> list[Run]:
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


def touched_numbers(grid: Grid, touched: tuple[float, float], kept_ms: int) -> range:
    """The intervals of a grid that touched time falls in, but for those that are final."""
    low_ms, high_ms = max(touched[0], grid.low_ms), min(touched[1], grid.high_ms)
    if low_ms > high_ms:
        return range(0)
    first = grid.first(low_ms)
    if grid.start_ms(first) < kept_ms:
        first = grid.first(kept_ms) + 1
    return range(first, grid.first(high_ms) + 1)


def beginning_seen(
    known: State, flows: dict[Key, list[Flow]], low_ms: float, limits: dict[str, int]
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
    known.runs[kind] = sorted([*others, *legs], key=lambda run: run.start_ms)[-RUNS_MAX:]


def entries(found: dict[int, Sample], grid: Grid, legs: list[Run], numbers: range) -> list[Stream]:
    """Samples as entries: unbroken, of one codec and transport each, no empty ends.

    An interval without any value is kept (as nulls) inside a run, and ends the entry in a gap.
    """
    groups: list[list[int]] = [[]]
    labels: tuple[str, str] | None = None
    starts = [grid.start_ms(number) for number in range(numbers.start - 1, numbers.stop + 1)]
    before = in_run(legs, starts[0], starts[1])
    for number, (low_ms, high_ms) in zip(numbers, itertools.pairwise(starts[1:]), strict=True):
        within = in_run(legs, low_ms, high_ms)
        sample = found.get(number, EMPTY)
        known = sample.known()
        if not within:
            groups.append([])
            labels = None
        elif known and labels not in (None, (sample.codec, sample.transport)):
            groups.append([number])
        elif known or groups[-1] or before:
            groups[-1].append(number)
        before = within
        labels = (sample.codec, sample.transport) if known else labels
    trimmed = (trim(found, group) for group in groups)
    return [entry(found, grid, group) for group in trimmed if group]


def trim(found: dict[int, Sample], numbers: list[int]) -> list[int]:
    """Without the unknown intervals at the end: a later report may still fill them."""
    while numbers and not found.get(numbers[-1], EMPTY).known():
        numbers = numbers[:-1]
    return numbers


def in_run(legs: list[Run], low_ms: int, high_ms: int) -> bool:
    """Whether any part of that time lies in a run."""
    if len(legs) == 1:  # mostly, and `any` takes as long as the rest
        return legs[0].start_ms < high_ms and legs[0].end_ms > low_ms
    return any(leg.start_ms < high_ms and leg.end_ms > low_ms for leg in legs)


def entry(found: dict[int, Sample], grid: Grid, numbers: list[int]) -> Stream:
    """Consecutive intervals as an entry; a column that nobody measured is []."""
    known = [found.get(number, EMPTY).values for number in numbers]
    columns: dict[Column, list[Value | None]] = {}
    for place, values in enumerate(known):
        for column, value in values.items():
            if column not in columns:
                columns[column] = [None] * len(known)
            columns[column][place] = value
    last = found[numbers[-1]]
    size_s = grid.size_ms / 1000
    return Stream(
        samplingInterval=int(size_s) if size_s.is_integer() else size_s,
        startTime=time_text(grid.start_ms(numbers[0])),
        endTime=time_text(round(min(grid.start_ms(numbers[-1] + 1), grid.high_ms))),
        packetLoss=columns.get("packetLoss", []),
        latency=columns.get("latency", []),
        resolutionHeight=columns.get("resolutionHeight", []),
        frameRate=columns.get("frameRate", []),
        mediaBitRate=columns.get("mediaBitRate", []),
        codec=last.codec,
        jitter=columns.get("jitter", []),
        transportType=last.transport,
    )
