"""Scores over time as one line of signs: all sessions of a meeting on one axis."""

import math
from collections.abc import Iterator, Sequence
from typing import Final

from msgspec import Struct

from roomtone.model import (
    STREAM_KINDS,
    MediaSession,
    StreamKind,
    epoch_ms,
    sample_count,
    streams_of,
)
from roomtone.score import SessionScore

SIGNS: Final = "▁▂▃▄▅▆▇█"
PLAIN_SIGNS: Final = "12345"
"""For a terminal that cannot show the others: the score, rounded."""
LOWEST: Final = 1.0
HIGHEST: Final = 5.0
Spell = tuple[float, float, float]
"""From and until in ms, and the score between."""


class Axis(Struct, frozen=True):
    """So many slots of `slot_ms` from a time on; the samples may end within the last one."""

    start_ms: float
    end_ms: float
    slot_ms: float
    count: int


def axis(sessions: Sequence[MediaSession], *, slots_max: int) -> Axis | None:
    """An axis for the samples of all sessions, no finer than they are; None without samples."""
    entries = [
        (epoch_ms(stream.startTime), stream.samplingInterval * 1000, sample_count(stream))
        for session in sessions
        for kind in STREAM_KINDS
        for stream in streams_of(session, kind)
        if sample_count(stream)
    ]
    if not entries:
        return None
    start_ms = min(start for start, _, _ in entries)
    end_ms = max(start + step * count for start, step, count in entries)
    length_ms = end_ms - start_ms
    step_ms = min(step for _, step, _ in entries)
    slot_ms = step_ms * math.ceil(math.ceil(length_ms / step_ms) / slots_max)
    return Axis(start_ms, end_ms, slot_ms, math.ceil(length_ms / slot_ms))


def spells(
    session: MediaSession, score: SessionScore, kinds: Sequence[StreamKind]
) -> Iterator[Spell]:
    """The scores of its active intervals, of these kinds of streams."""
    for kind in kinds:
        entries = zip(streams_of(session, kind), score.streams.get(kind, []), strict=True)
        for stream, told in entries:
            start_ms, step_ms = epoch_ms(stream.startTime), stream.samplingInterval * 1000
            for at, mos in enumerate(told.mos):
                if mos is not None and told.verdicts[at] != "unclassified":
                    yield start_ms + at * step_ms, start_ms + (at + 1) * step_ms, mos


def lowest(axis: Axis, spells: Iterator[Spell]) -> list[float | None]:
    """The lowest score of each slot; None where none is known.

    A spell counts in the slot that holds its middle, and in those whose middle it holds.
    """
    found: list[float | None] = [None] * axis.count
    for from_ms, until_ms, mos in spells:
        first = math.ceil((from_ms - axis.start_ms) / axis.slot_ms - 0.5)
        last = math.ceil((until_ms - axis.start_ms) / axis.slot_ms - 0.5) - 1
        middle = int(((from_ms + until_ms) / 2 - axis.start_ms) // axis.slot_ms)
        for at in range(max(0, min(first, middle)), min(axis.count - 1, max(last, middle)) + 1):
            before = found[at]
            found[at] = mos if before is None else min(before, mos)
    return found


def line(values: Sequence[float | None], *, plain: bool) -> str:
    """A sign a value on a fixed scale, so that two lines can be compared; a blank for None."""
    signs = PLAIN_SIGNS if plain else SIGNS
    return "".join(" " if value is None else _sign(value, signs) for value in values)


def _sign(value: float, signs: str) -> str:
    part = (value - LOWEST) / (HIGHEST - LOWEST)
    return signs[min(len(signs) - 1, max(0, round(part * (len(signs) - 1))))]
