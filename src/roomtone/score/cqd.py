"""The verdict of Microsoft's Call Quality Dashboard, beside ours: its stream classification.

It knows good, poor and unclassified, and judges the means of a stream of 60 s and more. We give it
for each interval, too.
"""

from typing import Final

import numpy as np

from roomtone.model import StreamKind
from roomtone.score.emodel import Values
from roomtone.score.table import Mask, Table
from roomtone.score.verdict import GOOD, POOR, UNCLASSIFIED, Levels

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


def levels(table: Table, residual_percent: Values, quiet: Mask) -> Levels:
    """A level of each interval; `quiet` are those in which nothing is sent."""
    found = np.full(table.size, UNCLASSIFIED, dtype=np.int8)
    for kind, span in table.spans.items():
        poor, known = _poor(table, kind, span, residual_percent)
        known &= ~quiet[span]
        found[span][known] = np.where(poor[known], POOR, GOOD)
    return found


def _poor(
    table: Table, kind: StreamKind, span: slice, residual_percent: Values
) -> tuple[Mask, Mask]:
    """Which intervals are poor, and of which that can be told."""
    columns = {name: values[span] for name, values in table.columns.items()}
    if kind in ("audioIn", "audioOut"):
        loss, latency, jitter = columns["packetLoss"], columns["latency"], columns["jitter"]
        poor = (latency > LATENCY_MS) | (loss > LOSS_PERCENT) | (jitter > JITTER_MS)
        known = ~(np.isnan(loss) & np.isnan(latency) & np.isnan(jitter))
        return poor, known & (table.length_ms[span] / 1000 * AUDIO_PACKETS_PER_S > PACKETS)
    fps = columns["frameRate"]
    residual = residual_percent[span.start - table.audio : span.stop - table.audio]
    least = SHARE_FPS if kind in ("shareIn", "shareOut") else VIDEO_FPS
    poor = (fps < least) | (residual > LOSS_AFTER_REPAIR_PERCENT)
    return poor, ~(np.isnan(fps) & np.isnan(residual))


def stream_level(
    table: Table, span: slice, kind: StreamKind, found: Levels, residual: Values
) -> int:
    """The level of a kind of stream: by the means of its intervals, as CQD does."""
    counted = found[span] < UNCLASSIFIED
    if float(table.length_ms[span][counted].sum()) < STREAM_S_MIN * 1000 or not counted.any():
        return UNCLASSIFIED

    def mean(values: Values) -> float:
        known = values[counted & ~np.isnan(values)]
        return float(known.mean()) if len(known) else np.nan

    columns = {name: values[span] for name, values in table.columns.items()}
    if kind in ("audioIn", "audioOut"):
        poor = (
            mean(columns["latency"]) > LATENCY_MS
            or mean(columns["packetLoss"]) > LOSS_PERCENT
            or mean(columns["jitter"]) > JITTER_MS
        )
        return POOR if poor else GOOD
    least = SHARE_FPS if kind in ("shareIn", "shareOut") else VIDEO_FPS
    after = residual[span.start - table.audio : span.stop - table.audio]
    poor = mean(columns["frameRate"]) < least or mean(after) > LOSS_AFTER_REPAIR_PERCENT
    return POOR if poor else GOOD
