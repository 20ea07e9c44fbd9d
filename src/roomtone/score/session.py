"""One session: its columns in, the scores of its streams and of the whole out."""

from typing import Final

import numpy as np

from roomtone.model import MediaSession, StreamKind, streams_of
from roomtone.score import cqd, parts
from roomtone.score.audio import Sound, sound
from roomtone.score.codecs import percentile
from roomtone.score.results import VERDICTS, Far, Figure, SessionScore, StreamScore
from roomtone.score.table import Mask, Piece, Table, listed, table
from roomtone.score.thresholds import Thresholds
from roomtone.score.verdict import (
    FIGURE_NAMES,
    FIGURES,
    GOOD,
    NO_FIGURE,
    POOR,
    UNCLASSIFIED,
    Judged,
    Levels,
    judge,
    named,
    of_levels,
    worst,
)
from roomtone.score.video import Picture, picture

DEFAULT: Final = Thresholds()
MINUTE_MS: Final = 60_000.0
KIND_WORDS: Final[dict[StreamKind, str]] = {
    "audioIn": "received audio", "audioOut": "sent audio", "videoIn": "received video",
    "videoOut": "sent video", "shareIn": "received share", "shareOut": "sent share",
}  # fmt: skip
FIGURE_WORDS: Final[dict[Figure, str]] = {
    "packetLoss": "{:.1f} % packet loss", "jitter": "{:.0f} ms jitter",
    "latency": "{:.0f} ms round trip", "frameRate": "{:.1f} pictures a second",
    "resolutionHeight": "{:.0f} px height", "mos": "MOS {:.1f}",
}  # fmt: skip


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
    heard = sound(columns, far, fec=fec)
    seen = picture(columns, thresholds, expected)
    judged = judge(columns, heard, seen, thresholds)
    quiet = ~judged.active
    beside = cqd.levels(columns, seen.residual_percent, quiet)
    score = SessionScore(
        streams=_streams(session, columns, heard, seen, judged, beside, thresholds),
        network=parts.network(columns, judged.active, thresholds),
        device=parts.device(session.resources, thresholds),
    )
    _conclude(score, columns, heard, seen, judged, thresholds)
    score.cqd = VERDICTS[_cqd_level(columns, beside, seen)]
    return score


def _streams(
    session: MediaSession,
    columns: Table,
    heard: Sound,
    seen: Picture,
    judged: Judged,
    beside: Levels,
    thresholds: Thresholds,
) -> dict[StreamKind, list[StreamScore]]:
    """The scores of each entry."""
    verdicts, figures = named(judged.steady), FIGURE_NAMES[judged.figures].tolist()
    theirs = named(beside)
    mos = listed(np.concatenate((heard.mos, seen.mos)))
    conversational, native = listed(heard.conversational), listed(heard.native)
    grounded = [*heard.grounded, *seen.grounded]
    found: dict[StreamKind, list[StreamScore]] = {}
    for piece, sure in zip(columns.pieces, grounded, strict=True):
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
        _sum_up(score, piece, columns, judged, thresholds)
        found.setdefault(piece.kind, []).append(score)
    assert all(len(found[kind]) == len(streams_of(session, kind)) for kind in found)
    return found


def _sum_up(
    score: StreamScore, piece: Piece, columns: Table, judged: Judged, thresholds: Thresholds
) -> None:
    """Mean, percentile, minutes and verdict of an entry, of its active intervals."""
    span = slice(piece.first, piece.last)
    active = judged.active[span].tolist()
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
    level = of_levels(judged.steady[span], columns.length_ms[span], thresholds)
    score.verdict = VERDICTS[level]


def _conclude(
    score: SessionScore,
    columns: Table,
    heard: Sound,
    seen: Picture,
    judged: Judged,
    thresholds: Thresholds,
) -> None:
    """Verdict, minutes and reason of the whole."""
    levels = {
        kind: of_levels(judged.steady[span], columns.length_ms[span], thresholds)
        for kind, span in columns.spans.items()
    }
    score.verdicts = {kind: VERDICTS[level] for kind, level in levels.items()}
    active = judged.active
    score.minutes = _minutes(columns, active)
    score.minutes_poor = _minutes(columns, judged.steady == POOR)
    bad = _minutes(columns, active & (judged.steady > GOOD))
    score.minutes_fair = max(bad - score.minutes_poor, 0.0)
    bad_ms = {
        kind: float(columns.length_ms[span][_at_least(judged.steady[span], levels[kind])].sum())
        for kind, span in columns.spans.items()
    }
    kind = worst(levels, bad_ms)
    if kind is None:
        return
    score.verdict = VERDICTS[levels[kind]]
    if levels[kind] > GOOD:
        _explain(score, kind, levels[kind], columns, heard, seen, judged)


def _explain(
    score: SessionScore,
    kind: StreamKind,
    level: int,
    columns: Table,
    heard: Sound,
    seen: Picture,
    judged: Judged,
) -> None:
    """The figure that made most of the bad intervals of the worst stream, in one phrase."""
    span = columns.spans[kind]
    bad = judged.active[span] & (judged.raw[span] >= level)
    if not bad.any():
        bad = judged.active[span] & (judged.raw[span] > GOOD)
    counts = np.bincount(judged.figures[span][bad], minlength=NO_FIGURE + 1)[:NO_FIGURE]
    index = int(counts.argmax())
    figure = FIGURES[index]
    if figure == "mos" or not figure:
        values = np.concatenate((heard.mos, seen.mos))
    else:
        values = columns.columns[figure]
    chosen = bad & (judged.figures[span] == index)
    value = float(values[span][chosen].mean())
    length_ms = columns.length_ms[span]
    minutes = float(length_ms[_at_least(judged.steady[span], level)].sum()) / MINUTE_MS
    total = float(length_ms[judged.active[span]].sum()) / MINUTE_MS
    score.kind, score.figure = kind, figure
    score.because = (
        f"{FIGURE_WORDS[figure].format(value)} in {KIND_WORDS[kind]}, "
        f"{round(minutes, 1):g} of {round(total, 1):g} min"
    )


def _at_least(levels: Levels, level: int) -> Mask:
    """Active intervals that are as bad as a level, or worse."""
    return (levels >= level) & (levels < UNCLASSIFIED)


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


def _cqd_level(columns: Table, beside: Levels, seen: Picture) -> int:
    """CQD's level of the session: poor where one of its streams is."""
    levels = [
        cqd.stream_level(columns, span, kind, beside, seen.residual_percent)
        for kind, span in columns.spans.items()
    ]
    told = [level for level in levels if level < UNCLASSIFIED]
    return max(told, default=UNCLASSIFIED)
