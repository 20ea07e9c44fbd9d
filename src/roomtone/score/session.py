"""One session: its columns in, the scores of its streams and of the whole out."""

from typing import Final

import numpy as np

from roomtone.model import MediaSession, StreamKind
from roomtone.score import cqd, parts
from roomtone.score.audio import sound
from roomtone.score.codecs import percentile
from roomtone.score.reason import MINUTE_MS, Scored, because
from roomtone.score.results import VERDICTS, Far, SessionScore, StreamScore
from roomtone.score.table import Mask, Piece, Table, listed, table
from roomtone.score.thresholds import Thresholds
from roomtone.score.verdict import (
    FAIR,
    FIGURE_NAMES,
    GOOD,
    POOR,
    UNCLASSIFIED,
    Levels,
    at_least,
    judge,
    named,
    of_levels,
    worst,
)
from roomtone.score.video import picture

DEFAULT: Final = Thresholds()


def session(
    session: MediaSession,
    *,
    thresholds: Thresholds = DEFAULT,
    far: Far | None = None,
    expected: dict[StreamKind, float] | None = None,
    fec: bool = False,
) -> SessionScore:
    """Score a session.

    `far`: the other legs' round trip, for conversational scores (None: the own leg twice);
    `expected`: heights in px that its video and share should have (a kind that is not there: by
    what the stream has itself); `fec`: in-band FEC is known to be used.
    """
    columns = table(session)
    heard, seen = sound(columns, far, fec=fec), picture(columns, thresholds, expected)
    scored = Scored(columns, heard, seen, judge(columns, heard, seen, thresholds))
    beside, theirs = cqd.levels(columns, seen, scored.judged.active)
    score = SessionScore(
        streams=_streams(scored, beside, thresholds),
        cqd=VERDICTS[
            max((level for level in theirs.values() if level < UNCLASSIFIED), default=UNCLASSIFIED)
        ],
        network=parts.network(columns, scored.judged.active, thresholds),
        device=parts.device(session.resources, thresholds),
    )
    _conclude(score, scored, thresholds)
    return score


def _streams(
    scored: Scored, beside: Levels, thresholds: Thresholds
) -> dict[StreamKind, list[StreamScore]]:
    """The scores of each entry."""
    judged, heard = scored.judged, scored.sound
    verdicts, figures = named(judged.steady), FIGURE_NAMES[judged.figures].tolist()
    theirs, mos = named(beside), listed(scored.mos())
    conversational, native = listed(heard.mos.conversational), listed(heard.mos.native)
    found: dict[StreamKind, list[StreamScore]] = {}
    grounded = [*heard.grounded, *scored.picture.grounded]
    for piece, sure in zip(scored.table.pieces, grounded, strict=True):
        span = slice(piece.first, piece.last)
        score = StreamScore(
            mos=mos[span],
            conversational=conversational[span],
            native=native[span],
            verdicts=verdicts[span],
            figures=figures[span],
            cqd=theirs[span],
            grounded=sure,
        )
        _sum_up(score, piece, scored, thresholds)
        found.setdefault(piece.kind, []).append(score)
    return found


def _sum_up(score: StreamScore, piece: Piece, scored: Scored, thresholds: Thresholds) -> None:
    """Mean, percentile, minutes and verdict of an entry, of its active intervals."""
    span = slice(piece.first, piece.last)
    active = scored.judged.active[span].tolist()
    known = sorted(
        mos for mos, counts in zip(score.mos, active, strict=True) if counts and mos is not None
    )
    if known:
        score.mos_mean = sum(known) / len(known)
        score.mos_p10 = percentile(known, 10)
    minutes = piece.entry.samplingInterval / 60
    score.minutes = minutes * sum(active)
    score.minutes_poor = minutes * score.verdicts.count("poor")
    score.minutes_fair = minutes * score.verdicts.count("fair")
    level = of_levels(scored.judged.steady[span], scored.table.length_ms[span], thresholds)
    score.verdict = VERDICTS[level]


def _conclude(score: SessionScore, scored: Scored, thresholds: Thresholds) -> None:
    """Verdict, minutes and reason of the whole: the worst active kind of stream decides."""
    columns, steady = scored.table, scored.judged.steady
    levels: dict[StreamKind, int] = {}
    bad_ms: dict[StreamKind, float] = {}
    for kind, span in columns.spans.items():
        levels[kind] = of_levels(steady[span], columns.length_ms[span], thresholds)
        bad = at_least(steady[span], max(levels[kind], FAIR))
        bad_ms[kind] = float(columns.length_ms[span][bad].sum())
    score.verdicts = {kind: VERDICTS[level] for kind, level in levels.items()}
    score.minutes = _minutes(columns, scored.judged.active)
    score.minutes_poor = _minutes(columns, steady == POOR)
    score.minutes_fair = max(_minutes(columns, at_least(steady, FAIR)) - score.minutes_poor, 0.0)
    found = worst(levels, bad_ms)
    if found is None:
        return
    level = levels[found]
    score.verdict = VERDICTS[level]
    if level > GOOD:
        score.kind = found
        score.figure, score.because = because(scored, found, level)


def _minutes(columns: Table, chosen: Mask) -> float:
    """How many minutes of the clock the chosen intervals cover together."""
    starts = columns.start_ms[chosen]
    if not len(starts):
        return 0.0
    order = np.argsort(starts, kind="stable")
    starts = starts[order]
    ends = np.maximum.accumulate(starts + columns.length_ms[chosen][order])
    before = np.concatenate((starts[:1], ends[:-1]))
    return float(np.maximum(ends - np.maximum(starts, before), 0.0).sum()) / MINUTE_MS
