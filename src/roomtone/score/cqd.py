"""The verdict of Microsoft's Call Quality Dashboard, beside ours: its stream classification.

It knows good, poor and unclassified, and judges the means of a stream of 60 s and more. We give it
for each interval, too.
"""

from typing import Final

import numpy as np
from msgspec import Struct

from roomtone.model import StreamKind
from roomtone.score.emodel import Values
from roomtone.score.table import Mask, Table
from roomtone.score.verdict import GOOD, POOR, UNCLASSIFIED, Levels
from roomtone.score.video import Picture

LATENCY_MS: Final = 500.0
LOSS_PERCENT: Final = 10.0
JITTER_MS: Final = 30.0
PACKETS: Final = 500
VIDEO_FPS: Final = 7.0
SHARE_FPS: Final = 2.0
LOSS_AFTER_REPAIR_PERCENT: Final = 15.0
STREAM_S_MIN: Final = 60.0
AUDIO_PACKETS_PER_S: Final = 50.0
"""Packets of 20 ms: columns have no count (O)."""


class _Figures(Struct):
    """What is judged: intervals, or the means of kinds of streams."""

    sound: Mask
    screen: Mask
    seconds: Values
    values: Values
    """Rows: loss, round trip, jitter, pictures a second, loss after repair."""

    def levels(self) -> Levels:
        """The level of each."""
        loss, latency, jitter, fps, after = self.values
        heard = (latency > LATENCY_MS) | (loss > LOSS_PERCENT) | (jitter > JITTER_MS)
        least = np.where(self.screen, SHARE_FPS, VIDEO_FPS)
        seen = (fps < least) | (after > LOSS_AFTER_REPAIR_PERCENT)
        unknown = np.isnan(self.values)
        packets = self.seconds * AUDIO_PACKETS_PER_S
        told = np.where(
            self.sound, ~unknown[:3].all(axis=0) & (packets > PACKETS), ~unknown[3:].all(axis=0)
        )
        poor = np.where(self.sound, heard, seen)
        return np.where(told, np.where(poor, POOR, GOOD), UNCLASSIFIED).astype(np.int8)


def levels(table: Table, picture: Picture, active: Mask) -> tuple[Levels, dict[StreamKind, int]]:
    """The level of each interval, and of each kind of stream."""
    if not table.size:
        return np.empty(0, dtype=np.int8), {}
    end, columns = table.audio, table.columns
    sound = np.arange(table.size) < end
    screen = np.concatenate((np.zeros(end, dtype=np.bool_), picture.screen))
    after = np.concatenate((np.full(end, np.nan), picture.residual_percent))
    heard = [columns["packetLoss"], columns["latency"], columns["jitter"]]
    values = np.stack([*heard, columns["frameRate"], after])
    each = _Figures(sound, screen, table.length_ms / 1000, values)
    found = np.where(active, each.levels(), UNCLASSIFIED).astype(np.int8)
    starts = [span.start for span in table.spans.values()]
    whole = _means(each, found < UNCLASSIFIED, starts)
    kinds = np.where(whole.seconds >= STREAM_S_MIN, whole.levels(), UNCLASSIFIED)
    return found, dict(zip(table.spans, kinds.tolist(), strict=True))


def _means(each: _Figures, counted: Mask, starts: list[int]) -> _Figures:
    """The means over what counts from each start to the next."""
    known = counted & ~np.isnan(each.values)
    sums = np.add.reduceat(np.where(known, each.values, 0.0), starts, axis=1)
    counts = np.add.reduceat(known.astype(np.float64), starts, axis=1)
    means = np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0)
    seconds = np.add.reduceat(np.where(counted, each.seconds, 0.0), starts)
    return _Figures(each.sound[starts], each.screen[starts], seconds, means)
