"""The far legs of a conversation: for each session the usual round trip of the others.

A session's latency is of its own leg, to the server. Whom its participant talks with changes from
sentence to sentence: the median over the others stands for them, minute by minute.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from roomtone.model import MediaSession, epoch_ms
from roomtone.score.emodel import Values, within
from roomtone.score.results import Far

STEP_MS: Final = 60_000
STEPS_MAX: Final = 10_000
"""A week of minutes; what is beyond has no far leg, and the own one stands for it."""


def fars(sessions: Sequence[MediaSession]) -> list[Far]:
    """What each session of a meeting is to know of the others, in the same order."""
    legs = [_leg(session) for session in sessions]
    known = [times for times, _ in legs if len(times)]
    origin = int(min((float(times.min()) for times in known), default=0.0))
    last = max((float(times.max()) for times in known), default=float(origin))
    steps = min(int((last - origin) // STEP_MS) + 1, STEPS_MAX)
    matrix = np.full((len(sessions), steps), np.nan)
    for row, (times, values) in zip(matrix, legs, strict=True):
        at = ((times - origin) // STEP_MS).astype(np.intp)
        row[at[at < steps]] = values[at < steps]
    medians = _medians_of_others(matrix)
    return [
        Far(
            start_ms=origin,
            interval_s=STEP_MS / 1000,
            latency_ms=[None if one != one else one for one in row],
        )
        for row in medians.tolist()
    ]


def _leg(session: MediaSession) -> tuple[Values, Values]:
    """When, in the middle of intervals, and how long the round trip of a session's audio was."""
    times: list[Values] = [np.empty(0)]
    values: list[Values] = [np.empty(0)]
    for entry in (*session.audioOut, *session.audioIn):
        length_ms = entry.samplingInterval * 1000
        found = within(np.array(entry.latency, dtype=np.float64))
        moments: Values = np.arange(len(found), dtype=np.float64)
        moments = epoch_ms(entry.startTime) + (moments + 0.5) * length_ms
        times.append(moments[~np.isnan(found)])
        values.append(found[~np.isnan(found)])
    return np.concatenate(times), np.concatenate(values)


def _medians_of_others(matrix: Values) -> Values:
    """Of each column, for each row, the median of the other rows' values; NaN without any."""
    known = ~np.isnan(matrix)
    ordered = np.sort(matrix, axis=0)
    ranks = np.argsort(np.argsort(matrix, axis=0, kind="stable"), axis=0, kind="stable")
    others = known.sum(axis=0) - known
    low, high = (others - 1) // 2, others // 2
    low, high = (np.maximum(at + (at >= ranks), 0) for at in (low, high))
    most = len(matrix) - 1
    columns = np.arange(matrix.shape[1])
    middle = (
        ordered[np.minimum(low, most), columns] + ordered[np.minimum(high, most), columns]
    ) / 2
    return np.where(others > 0, middle, np.nan)
