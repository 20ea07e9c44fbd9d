"""From figures and scores to verdicts: levels by interval, hysteresis, what a stream comes to."""

from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from roomtone.score import codecs
from roomtone.score.audio import Sound
from roomtone.score.emodel import Values
from roomtone.score.groups import Groups
from roomtone.score.results import VERDICTS, Figure, Verdict
from roomtone.score.table import Mask, Table
from roomtone.score.thresholds import Bounds, Thresholds
from roomtone.score.video import Picture

Levels = NDArray[np.int8]

GOOD: Final = 0
FAIR: Final = 1
POOR: Final = 2
UNCLASSIFIED: Final = 3
NAMES: Final = np.array(VERDICTS, dtype=object)
FIGURES: Final[tuple[Figure, ...]] = (
    "packetLoss", "jitter", "latency", "frameRate", "resolutionHeight", "mos",
)  # fmt: skip
"""In the order in which they are named where several are as bad: what explains others first."""
FIGURE_NAMES: Final = np.array([*FIGURES, ""], dtype=object)
NO_FIGURE: Final = len(FIGURES)

CAMERA_OFF_BIT_RATE: Final = 5_000.0
"""Below this a camera is off (O)."""
STILL_BIT_RATE: Final = 50_000.0
"""Below this a shared screen stands still, and few pictures are no fault (O)."""
ARRIVED_MIN: Final = 1e-9


class Judged(Struct):
    """Each interval's level before and after hysteresis, what decided, and whether it counts."""

    raw: Levels
    steady: Levels
    figures: NDArray[np.intp]
    active: Mask


def level(values: Values, bounds: Bounds) -> Levels:
    """Levels of figures of which less is better: good below, poor above; unknown is good."""
    return (values >= bounds.good).astype(np.int8) + (values > bounds.poor)


def level_of_more(values: Values, bounds: Bounds) -> Levels:
    """Levels of figures of which more is better: good from the bound on, poor below."""
    return (values < bounds.good).astype(np.int8) + (values < bounds.poor)


def judge(table: Table, sound: Sound, picture: Picture, thresholds: Thresholds) -> Judged:
    """The levels of all intervals."""
    levels = np.zeros((len(FIGURES), table.size), dtype=np.int8)
    end = table.audio
    columns = table.columns
    levels[0] = level(columns["packetLoss"], thresholds.loss_percent)
    levels[1, :end] = level(columns["jitter"][:end], thresholds.jitter_ms)
    levels[2] = level(columns["latency"], thresholds.latency_ms)
    levels[3, end:] = _frame_levels(columns["frameRate"][end:], picture, thresholds)
    levels[4, end:] = level_of_more(100 * picture.height_share, thresholds.height_percent)
    levels[5, :end] = level_of_more(sound.mos.listening, thresholds.audio_mos)
    levels[5, end:] = level_of_more(picture.mos, thresholds.video_mos) * ~picture.screen
    worst = levels.max(axis=0, initial=0)
    known = np.empty(table.size, dtype=np.bool_)
    known[:end] = ~np.isnan(sound.mos.listening)
    known[end:] = ~(
        np.isnan(picture.mos)
        & np.isnan(columns["packetLoss"][end:])
        & np.isnan(picture.frame_share)
    )
    active = (known | (worst > GOOD)) & ~idle(table, picture)
    figures = np.where(active & (worst > GOOD), levels.argmax(axis=0), NO_FIGURE)
    return Judged(worst, steady(worst, active, table.run), figures, active)


def _frame_levels(fps: Values, picture: Picture, thresholds: Thresholds) -> Levels:
    """Levels of frame rates; a screen that changes little sends few pictures on a clean road."""
    share, bounds = 100 * picture.frame_share, thresholds.frame_rate_percent
    few = (share <= bounds.good) & ~(picture.screen & picture.clean)
    least = np.where(picture.screen, thresholds.share_fps_min, thresholds.camera_fps_min)
    none = (few & (share < bounds.poor)) | (fps < least)
    return np.where(none, POOR, few).astype(np.int8)


def idle(table: Table, picture: Picture) -> Mask:
    """Where nothing is to be heard or seen: muted, camera off, a screen that stands still.

    What counts is what was sent, lost packets among it: a stream of which all is lost is not idle.
    """
    arrived = 1 - np.nan_to_num(table.columns["packetLoss"], nan=0.0) / 100
    sent = table.columns["mediaBitRate"] / np.maximum(arrived, ARRIVED_MIN)
    end = table.audio
    found = np.empty(table.size, dtype=np.bool_)
    found[:end] = sent[:end] < codecs.MUTED_BIT_RATE
    still = picture.clean & (sent[end:] < STILL_BIT_RATE)
    found[end:] = np.where(picture.screen, still, sent[end:] < CAMERA_OFF_BIT_RATE)
    return found & (arrived > 0)


def steady(raw: Levels, active: Mask, run: Groups) -> Levels:
    """Levels after hysteresis: the median of the last three active ones, by kind of stream.

    So a level changes when two of three intervals have passed it. The first counts as it is, the
    second is no worse than the first.
    """
    found = np.full(len(raw), UNCLASSIFIED, dtype=np.int8)
    levels, of = raw[active], run[active]
    before, last = np.roll(levels, 1), np.roll(levels, 2)
    smooth = np.maximum(np.minimum(last, before), np.minimum(np.maximum(last, before), levels))
    second = _starts(of, 2)
    smooth[second] = np.minimum(before, levels)[second]
    first = _starts(of, 1)
    smooth[first] = levels[first]
    found[active] = smooth
    return found


def _starts(run: Groups, count: int) -> Mask:
    """Which are among the first `count` of their run."""
    found = np.ones(len(run), dtype=np.bool_)
    found[count:] = run[count:] != run[:-count]
    return found


def of_levels(
    levels: Levels, length_ms: Values, group: Groups, count: int, thresholds: Thresholds
) -> Levels:
    """What the levels of groups come to: of kinds of streams, or of entries.

    Poor: more than 10 % of the active time and 2 intervals are. Fair: more than 10 % are fair or
    poor. Unclassified: less than 60 s are active.
    """
    active_ms, poor_ms, bad_ms = (
        np.bincount(group[mask], weights=length_ms[mask], minlength=count)
        for mask in (levels < UNCLASSIFIED, levels == POOR, at_least(levels, FAIR))
    )
    poor = np.bincount(group[levels == POOR], minlength=count)
    least_ms = active_ms * thresholds.poor_share_percent / 100
    found = np.where(bad_ms > least_ms, FAIR, GOOD)
    found = np.where((poor_ms > least_ms) & (poor >= thresholds.poor_intervals_min), POOR, found)
    short = (active_ms < thresholds.active_s_min * 1000) | (active_ms == 0)
    return np.where(short, UNCLASSIFIED, found).astype(np.int8)


def at_least(levels: Levels, level: int) -> Mask:
    """Active intervals that are as bad as a level, or worse."""
    return (levels >= level) & (levels < UNCLASSIFIED)


def named(levels: Levels) -> list[Verdict]:
    """Levels as words."""
    found: list[Verdict] = NAMES[levels].tolist()
    return found
