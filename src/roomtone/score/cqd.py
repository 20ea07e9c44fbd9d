"""The verdict of Microsoft's Call Quality Dashboard, beside ours: its stream classification.

It knows good, poor and unclassified, and judges the means of a stream of 60 s and more. We give it
for each interval, too.
"""

from typing import Final

import numpy as np
from msgspec import Struct

from roomtone.model import AUDIO_KINDS
from roomtone.score import groups
from roomtone.score.emodel import Values
from roomtone.score.table import SCREEN, Mask, Table
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


def levels(table: Table, picture: Picture, active: Mask) -> tuple[Levels, Levels]:
    """The level of each interval, and of each kind of stream."""
    end, columns = table.audio, table.columns
    after = np.concatenate((np.full(end, np.nan), picture.residual_percent))
    heard = [columns["packetLoss"], columns["latency"], columns["jitter"]]
    values = np.stack([*heard, columns["frameRate"], after])
    sound = np.array([run.kind in AUDIO_KINDS for run in table.runs], dtype=np.bool_)
    screen = np.array([run.kind in SCREEN for run in table.runs], dtype=np.bool_)
    seconds = table.length_ms / 1000
    each = _Figures(sound[table.run], screen[table.run], seconds, values).levels()
    found = np.where(active, each, UNCLASSIFIED).astype(np.int8)
    counted = found < UNCLASSIFIED
    run, count = table.run[counted], len(table.runs)
    means = np.stack([groups.means(one[counted], run, count) for one in values])
    total_s = np.bincount(run, weights=seconds[counted], minlength=count).astype(np.float64)
    whole = _Figures(sound, screen, total_s, means).levels()
    return found, np.where(total_s >= STREAM_S_MIN, whole, UNCLASSIFIED).astype(np.int8)
