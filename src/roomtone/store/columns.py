"""Folds the pieces of a media session into one whole: pure, and linear in the samples.

Pieces are folded in order of arrival; how the samples of a stream kind join is said in timeline.py.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import UNSET, structs

from roomtone.model import (
    HEADER_FIELDS,
    RESOURCE_COLUMNS,
    STREAM_KINDS,
    MediaSession,
    Resources,
    Stream,
)
from roomtone.store.timeline import Run, Timeline, overlay, time_text


class Folding:
    """Pieces of one session in, in order of arrival; the whole session out, at any time."""

    __slots__ = ("header", "kinds", "timed", "untimed")

    def __init__(self) -> None:
        self.header: list[str] = [""] * len(HEADER_FIELDS)
        self.kinds = [Timeline() for _ in STREAM_KINDS]
        self.timed = Timeline()
        self.untimed: dict[tuple[bool, bool], list[list[Any]]] = {}

    def add(self, piece: MediaSession) -> None:
        """Fold one piece in."""
        self.add_fields(fields_of(piece))

    def add_fields(self, fields: Sequence[Any]) -> None:
        """Fold one piece in that comes as plain lists, in the shape of `fields_of`."""
        header = self.header
        for index in range(len(header)):
            if fields[index]:
                header[index] = fields[index]
        for timeline, streams in zip(self.kinds, fields[len(header) :], strict=False):
            for interval, start, end, a, b, c, d, e, codec, f, transport in streams:
                timeline.add(
                    start, interval, (a, b, c, d, e, f), codec=codec, transport=transport, end=end
                )
        if fields[-1]:
            self._add_resources(fields[-1])

    def _add_resources(self, entries: Iterable[Sequence[Any]]) -> None:
        ranks: dict[tuple[bool, bool], int] = {}
        for *columns, interval, start in entries:
            if start and interval:
                self.timed.add(start, interval, columns)
                continue
            kind = (bool(interval), bool(start))
            rank = ranks[kind] = ranks.get(kind, -1) + 1
            known = self.untimed.setdefault(kind, [])
            if rank == len(known):
                known.append([[], [], [], [], interval, start])
            for mine, theirs in zip(known[rank][:4], columns, strict=True):
                overlay(mine, theirs, 0)
            known[rank][4:] = interval, start

    def whole(self) -> MediaSession:
        """Everything that was folded in, as one session; its lists are not shared with anything."""
        values: dict[str, Any] = dict(zip(HEADER_FIELDS, self.header, strict=True))
        for name in ("joinTime", "leaveTime"):
            if not values[name]:
                del values[name]
        streams: dict[str, Any] = {
            kind: [_stream(*entry) for entry in timeline.entries()]
            for kind, timeline in zip(STREAM_KINDS, self.kinds, strict=True)
        }
        return MediaSession(**values, **streams, resources=self._resources())

    def _resources(self) -> list[Resources]:
        entries = [entry for known in self.untimed.values() for entry in known]
        for start, _, run in self.timed.entries():
            entries.append([*run.columns, run.interval, time_text(start)])
        return [_resource(entry) for entry in entries]


def _stream(start: int, end: int, run: Run) -> Stream:
    loss, latency, height, rate, bits, jitter = (column.copy() for column in run.columns)
    return Stream(
        samplingInterval=run.interval,
        startTime=time_text(start),
        endTime=time_text(end),
        packetLoss=loss,
        latency=latency,
        resolutionHeight=height,
        frameRate=rate,
        mediaBitRate=bits,
        codec=run.codec,
        jitter=jitter,
        transportType=run.transport,
    )


def _resource(entry: Sequence[Any]) -> Resources:
    *columns, interval, start = entry
    return Resources(
        **{name: column.copy() for name, column in zip(RESOURCE_COLUMNS, columns, strict=True)},
        samplingInterval=interval or UNSET,
        startTime=start or UNSET,
    )


def fields_of(piece: MediaSession) -> list[Any]:
    """A session as plain lists, in the order of its fields; what is not set becomes ""."""
    fields: list[Any] = ["" if value is UNSET else value for value in structs.astuple(piece)]
    for index in range(len(HEADER_FIELDS), len(fields)):
        if fields[index]:
            fields[index] = [structs.astuple(entry) for entry in fields[index]]
    if fields[-1]:
        fields[-1] = [["" if value is UNSET else value for value in entry] for entry in fields[-1]]
    return fields


def fold(pieces: Iterable[MediaSession]) -> MediaSession:
    """One session out of its pieces, given in order of arrival (at least one)."""
    folding = Folding()
    for piece in pieces:
        folding.add(piece)
    return folding.whole()


def folded(pieces: Iterable[Sequence[Any]]) -> MediaSession:
    """`fold` over pieces in the shape of `fields_of`."""
    folding = Folding()
    for piece in pieces:
        folding.add_fields(piece)
    return folding.whole()
