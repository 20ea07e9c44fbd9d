"""Sessions: their columns in, the scores of their streams and of the whole out."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from roomtone.model import MediaSession
from roomtone.score import cqd, groups, parts
from roomtone.score.audio import sound
from roomtone.score.emodel import Values
from roomtone.score.reason import MINUTE_MS, Scored, because
from roomtone.score.results import VERDICTS, Far, SessionScore, StreamScore
from roomtone.score.table import Mask, Table, listed, table
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
)
from roomtone.score.video import Expected, picture

DEFAULT: Final = Thresholds()
PERCENTILE: Final = 10.0


def session(
    session: MediaSession,
    *,
    thresholds: Thresholds = DEFAULT,
    far: Far | None = None,
    expected: Expected | None = None,
    fec: bool = False,
) -> SessionScore:
    """Score a session; several at once are much cheaper (`sessions`).

    `far`: the other legs' round trip, for conversational scores (None: the own leg twice);
    `expected`: heights in px that its video and share should have (a kind that is not there: by
    what the stream has itself); `fec`: in-band FEC is known to be used.
    """
    return sessions([session], thresholds=thresholds, fars=[far], expected=[expected], fec=fec)[0]


def sessions(
    sessions: Sequence[MediaSession],
    *,
    thresholds: Thresholds = DEFAULT,
    fars: Sequence[Far | None] | None = None,
    expected: Sequence[Expected | None] | None = None,
    fec: bool = False,
) -> list[SessionScore]:
    """Score sessions, of one meeting or of several: the same as each of them alone.

    `fars` and `expected` are parallel to the sessions, their items as in `session`.
    """
    nobody = [None] * len(sessions)
    columns = table(sessions)
    heard = sound(columns, nobody if fars is None else fars, fec=fec)
    seen = picture(columns, thresholds, nobody if expected is None else expected)
    mos = np.concatenate((heard.mos.listening, seen.mos))
    scored = Scored(columns, heard, seen, mos, judge(columns, heard, seen, thresholds))
    beside, theirs = cqd.levels(columns, seen, scored.judged.active)
    scores = [SessionScore() for _ in sessions]
    _streams(scores, scored, beside, thresholds)
    _sum_up(scores, scored)
    _add_parts(scores, scored, sessions, thresholds)
    _conclude(scores, scored, theirs, thresholds)
    return scores


def _streams(
    scores: list[SessionScore], scored: Scored, beside: Levels, thresholds: Thresholds
) -> None:
    """The scores of each entry."""
    judged, heard, columns = scored.judged, scored.sound, scored.table
    verdicts, figures = named(judged.steady), FIGURE_NAMES[judged.figures].tolist()
    theirs, mos = named(beside), listed(scored.mos)
    conversational, native = listed(heard.mos.conversational), listed(heard.mos.native)
    count = len(columns.pieces)
    known = np.where(judged.active, scored.mos, np.nan)
    means = listed(groups.means(known, columns.piece, count))
    lowest = listed(groups.percentiles(known, columns.piece, count, PERCENTILE))
    whole = named(of_levels(judged.steady, columns.length_ms, columns.piece, count, thresholds))
    grounded = [*heard.grounded, *scored.picture.grounded]
    active = np.bincount(columns.piece[judged.active], minlength=count).tolist()
    for at, piece in enumerate(columns.pieces):
        span, minute = piece.span, piece.entry.samplingInterval / 60
        score = StreamScore(
            mos=mos[span],
            conversational=conversational[span],
            native=native[span],
            verdicts=verdicts[span],
            figures=figures[span],
            cqd=theirs[span],
            grounded=grounded[at],
            mos_mean=means[at],
            mos_p10=lowest[at],
            verdict=whole[at],
            minutes=minute * active[at],
        )
        score.minutes_poor = minute * score.verdicts.count("poor")
        score.minutes_fair = minute * score.verdicts.count("fair")
        run = columns.runs[piece.run]
        scores[run.owner].streams.setdefault(run.kind, []).append(score)


def _add_parts(
    scores: list[SessionScore],
    scored: Scored,
    sessions: Sequence[MediaSession],
    thresholds: Thresholds,
) -> None:
    """Sub-scores."""
    network = listed(parts.network(scored.table, scored.judged.active, thresholds))
    device = listed(parts.device([one.resources for one in sessions], thresholds))
    for at, score in enumerate(scores):
        score.network, score.device = network[at], device[at]


def _sum_up(scores: list[SessionScore], scored: Scored) -> None:
    """Minutes of the clock."""
    columns, steady = scored.table, scored.judged.steady
    minutes, poor, bad = (
        _minutes(columns, mask).tolist()
        for mask in (scored.judged.active, steady == POOR, at_least(steady, FAIR))
    )
    for at, score in enumerate(scores):
        score.minutes, score.minutes_poor = minutes[at], poor[at]
        score.minutes_fair = max(bad[at] - poor[at], 0.0)


def _conclude(
    scores: list[SessionScore], scored: Scored, theirs: Levels, thresholds: Thresholds
) -> None:
    """Verdicts and reason: the worst active kind of stream decides, of several the longest bad."""
    columns, steady = scored.table, scored.judged.steady
    count = len(columns.runs)
    levels = of_levels(steady, columns.length_ms, columns.run, count, thresholds)
    bad = at_least(steady, FAIR) & (steady >= levels[columns.run])
    bad_ms = np.bincount(columns.run[bad], weights=columns.length_ms[bad], minlength=count)
    worst: dict[int, tuple[int, float, int]] = {}
    beside: dict[int, int] = {}
    each = zip(columns.runs, levels.tolist(), bad_ms.tolist(), theirs.tolist(), strict=True)
    for at, (run, level, ms, their) in enumerate(each):
        scores[run.owner].verdicts[run.kind] = VERDICTS[level]
        if level < UNCLASSIFIED:
            worst[run.owner] = max((level, ms, -at), worst.get(run.owner, (GOOD, -1.0, 0)))
        if their < UNCLASSIFIED:
            beside[run.owner] = max(their, beside.get(run.owner, GOOD))
    for owner, level in beside.items():
        scores[owner].cqd = VERDICTS[level]
    for owner, (level, _, minus_at) in worst.items():
        score, run = scores[owner], columns.runs[-minus_at]
        score.verdict = VERDICTS[level]
        if level > GOOD:
            score.kind = run.kind
            score.figure, score.because = because(scored, run, level)


def _minutes(columns: Table, chosen: Mask) -> Values:
    """How many minutes of the clock the chosen intervals of each session cover together."""
    owner = columns.owner[chosen]
    if not len(owner):
        return np.zeros(columns.sessions)
    starts = columns.start_ms[chosen] - columns.start_ms.min()
    ends = starts + columns.length_ms[chosen]
    apart = float(ends.max()) * owner
    order = np.argsort(starts + apart, kind="stable")
    starts, ends, owner = (starts + apart)[order], (ends + apart)[order], owner[order]
    reach = np.maximum.accumulate(ends)
    before = np.concatenate((starts[:1], reach[:-1]))
    alone = np.maximum(reach - np.maximum(starts, before), 0.0)
    return np.bincount(owner, weights=alone, minlength=columns.sessions) / MINUTE_MS
