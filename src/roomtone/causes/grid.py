"""All sessions of a meeting on one grid of time, as arrays [session, interval]; NaN is unknown.

Intervals of different sessions begin at different moments. One that is as long as the grid's or
longer fills the intervals whose middle it holds; shorter ones are averaged.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Final

import numpy as np
from msgspec import UNSET, Struct

from roomtone.causes import limits
from roomtone.causes.spans import Mask, Values
from roomtone.model import (
    COLUMNS,
    RESOURCE_COLUMNS,
    STREAM_KINDS,
    Column,
    MediaSession,
    ResourceColumn,
    Resources,
    Stream,
    StreamKind,
    column_of,
    epoch_ms,
    sample_count,
    streams_of,
)

SHORTER: Final = 0.75
"""An interval of less than this part of the grid's is one of several, and averaged."""


class Grid(Struct):
    """The columns of all sessions. `tcp` and `present` say whether any stream was, and over TCP."""

    sessions: Sequence[MediaSession]
    start_ms: int
    step_s: float
    count: int
    columns: dict[tuple[StreamKind, Column], Values]
    cpu: dict[ResourceColumn, Values]
    tcp: Mask
    present: Mask

    def at_ms(self, cell: int) -> int:
        """When an interval starts."""
        return self.start_ms + round(cell * self.step_s * 1000)


class _Entry(Struct, gc=False):
    """One entry of a stream or of resources: whose, and when each of its samples is."""

    row: int
    start_ms: int
    step_ms: float
    count: int


class _Axis(Struct):
    """The grid's time alone."""

    start_ms: int
    step_ms: float
    count: int

    def place(self, target: Values, entry: _Entry, values: Values) -> None:
        """Write the values of an entry where they belong; unknown ones overwrite nothing."""
        row = target[entry.row]
        if entry.step_ms == self.step_ms:
            first = round((entry.start_ms - self.start_ms) / self.step_ms)
            if first < 0:
                values, first = values[-first:], 0
            values = values[: max(0, self.count - first)]
            part = row[first : first + len(values)]
            np.copyto(part, values, where=~np.isnan(values))
        elif entry.step_ms >= SHORTER * self.step_ms:
            self._spread(row, entry, values)
        else:
            self._average(row, entry, values)

    def _spread(self, row: Values, entry: _Entry, values: Values) -> None:
        middles = self.start_ms + (np.arange(self.count) + 0.5) * self.step_ms
        index = np.floor((middles - entry.start_ms) / entry.step_ms).astype(np.intp)
        cells = np.flatnonzero((index >= 0) & (index < len(values)))
        found = values[index[cells]]
        known = ~np.isnan(found)
        row[cells[known]] = found[known]

    def _average(self, row: Values, entry: _Entry, values: Values) -> None:
        known = np.flatnonzero(~np.isnan(values))
        middles = entry.start_ms + (known + 0.5) * entry.step_ms
        cells = ((middles - self.start_ms) // self.step_ms).astype(np.intp)
        inside = (cells >= 0) & (cells < self.count)
        known, cells = known[inside], cells[inside]
        counts = np.bincount(cells, minlength=self.count)
        sums = np.bincount(cells, values[known], minlength=self.count)
        there = counts > 0
        row[there] = sums[there] / counts[there]


def grid(sessions: Sequence[MediaSession]) -> Grid | None:
    """The grid of a meeting; None when no stream has a sample."""
    streams = {kind: _entries(sessions, kind) for kind in STREAM_KINDS}
    every = [entry for entries in streams.values() for entry, _ in entries]
    if not every:
        return None
    axis = _axis(every, len(sessions))
    shape = (len(sessions), axis.count)
    tcp, present = np.zeros(shape, dtype=np.bool_), np.zeros(shape, dtype=np.bool_)
    columns: dict[tuple[StreamKind, Column], Values] = {}
    for kind, entries in streams.items():
        for name in COLUMNS:
            columns[kind, name] = _matrix(axis, shape, entries, name)
        for entry, stream in entries:
            first = round((entry.start_ms - axis.start_ms) / axis.step_ms)
            end_ms = entry.start_ms + entry.count * entry.step_ms
            last = max(first + 1, round((end_ms - axis.start_ms) / axis.step_ms))
            present[entry.row, first:last] = True
            tcp[entry.row, first:last] = stream.transportType == "TCP"
    return Grid(
        sessions,
        axis.start_ms,
        axis.step_ms / 1000,
        axis.count,
        columns,
        _resources(axis, shape, sessions),
        tcp,
        present,
    )


def _entries(sessions: Sequence[MediaSession], kind: StreamKind) -> list[tuple[_Entry, Stream]]:
    found = []
    for row, session in enumerate(sessions):
        for stream in streams_of(session, kind):
            count = sample_count(stream)
            if count:
                start_ms = epoch_ms(stream.startTime)
                entry = _Entry(row, start_ms, stream.samplingInterval * 1000.0, count)
                found.append((entry, stream))
    return found


def _axis(entries: list[_Entry], rows: int) -> _Axis:
    """The most common interval, within bounds; from a multiple of it on, so that it stays."""
    lengths: Counter[float] = Counter()
    for entry in entries:
        lengths[entry.step_ms] += round(entry.count * entry.step_ms)
    common_ms = max(lengths, key=lambda length: (lengths[length], length))
    step_ms = min(max(common_ms, limits.STEP_S_MIN * 1000), limits.STEP_S_MAX * 1000)
    low_ms = min(entry.start_ms for entry in entries)
    high_ms = max(entry.start_ms + entry.count * entry.step_ms for entry in entries)
    while (high_ms - low_ms) / step_ms + 2 > limits.CELLS_MAX / rows:
        step_ms *= 2
    start_ms = int(low_ms // step_ms * step_ms)
    return _Axis(start_ms, step_ms, int((high_ms - start_ms) // step_ms) + 2)


def _matrix(
    axis: _Axis,
    shape: tuple[int, int],
    entries: list[tuple[_Entry, Stream]],
    name: Column,
) -> Values:
    """One column of one kind of all sessions. The values are made an array in one go."""
    target = np.full(shape, np.nan)
    parts = [(entry, column_of(stream, name)) for entry, stream in entries]
    flat = np.array([v for _, values in parts for v in values], dtype=np.float64)
    at = 0
    for entry, values in parts:
        if values:
            axis.place(target, entry, flat[at : at + len(values)])
            at += len(values)
    return target


def _resources(
    axis: _Axis, shape: tuple[int, int], sessions: Sequence[MediaSession]
) -> dict[ResourceColumn, Values]:
    found = {name: np.full(shape, np.nan) for name in RESOURCE_COLUMNS}
    for row, session in enumerate(sessions):
        for resources in session.resources:
            entry = _resource_entry(row, session, resources, axis)
            if entry is None:
                continue
            for name, target in found.items():
                values = getattr(resources, name)
                if values:
                    axis.place(target, entry, np.array(values, dtype=np.float64))
    return found


def _resource_entry(
    row: int, session: MediaSession, resources: Resources, axis: _Axis
) -> _Entry | None:
    """Resources without a time axis begin with the session's first stream, as it was sampled."""
    first = min(
        (stream for kind in STREAM_KINDS for stream in streams_of(session, kind)),
        key=lambda stream: stream.startTime,
        default=None,
    )
    if resources.startTime is not UNSET:
        start_ms = epoch_ms(resources.startTime)
    elif first is not None:
        start_ms = epoch_ms(first.startTime)
    else:
        return None
    step_s = resources.samplingInterval
    if step_s is UNSET:
        step_s = first.samplingInterval if first else axis.step_ms / 1000
    count = max(len(getattr(resources, name)) for name in RESOURCE_COLUMNS)
    return _Entry(row, start_ms, step_s * 1000.0, count)
