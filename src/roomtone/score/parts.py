"""Sub-scores from 0 to 100: the network of a session, and the device."""

from collections.abc import Sequence
from itertools import chain
from typing import Final

import numpy as np

from roomtone.model import Resources
from roomtone.score import groups
from roomtone.score.emodel import PERCENT_MAX, Values, within
from roomtone.score.table import Mask, Table
from roomtone.score.thresholds import Bounds, Thresholds

MARKS: Final = (100.0, 80.0, 50.0, 0.0)
"""At 0, where good ends, where poor begins, and from twice that on (O)."""


def marks(values: Values, bounds: Bounds, most: float = np.inf) -> Values:
    """100 for 0, 80 where good ends, 50 where poor begins, 0 at twice that or `most`."""
    points = (0.0, bounds.good, bounds.poor, min(2 * bounds.poor, most))
    return np.asarray(np.interp(values, points, MARKS))


def network(table: Table, active: Mask, thresholds: Thresholds) -> Values:
    """Of each session the mean over active intervals of the worst of loss, latency and jitter.

    Jitter counts for audio alone.
    """
    end, columns = table.audio, table.columns
    found = np.fmin(
        marks(columns["packetLoss"], thresholds.loss_percent, PERCENT_MAX),
        marks(columns["latency"], thresholds.latency_ms),
    )
    found[:end] = np.fmin(found[:end], marks(columns["jitter"][:end], thresholds.jitter_ms))
    return groups.means(found[active], table.owner[active], table.sessions)


def device(resources: Sequence[list[Resources]], thresholds: Thresholds) -> Values:
    """Of each session the mean over intervals of the worse of average and greatest CPU."""
    average: list[int | float | None] = []
    greatest: list[int | float | None] = []
    counts: list[int] = []
    for entry in chain.from_iterable(resources):
        count = max(len(entry.systemAverageCPU), len(entry.systemMaxCPU))
        average += entry.systemAverageCPU + [None] * (count - len(entry.systemAverageCPU))
        greatest += entry.systemMaxCPU + [None] * (count - len(entry.systemMaxCPU))
        counts.append(count)
    peak = thresholds.cpu_max_percent
    found = np.fmin(
        marks(_percents(average), thresholds.cpu_percent, PERCENT_MAX),
        np.interp(_percents(greatest), (0.0, 0.75 * peak, peak, PERCENT_MAX), (100, 100, 50, 0)),
    )
    owners = np.repeat(np.arange(len(resources)), [len(entries) for entries in resources])
    return groups.means(found, np.repeat(owners, counts), len(resources))


def _percents(values: list[int | float | None]) -> Values:
    return within(np.array(values, dtype=np.float64), PERCENT_MAX)
