"""Pictures: MOS by P.1203.1 mode 0 against the size that was to be expected, and G.1070's loss."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
from msgspec import Struct

from roomtone.model import StreamKind
from roomtone.score import codecs, groups
from roomtone.score.emodel import Values, within
from roomtone.score.groups import Groups
from roomtone.score.table import SCREEN, Mask, Table
from roomtone.score.thresholds import Thresholds

Expected = Mapping[StreamKind, float]
"""Heights in px that a session's kinds of streams should have."""
ASPECT: Final = 16 / 9
HEIGHT_MIN: Final = 1.0
FPS_MIN: Final = 0.1
KBPS_MIN: Final = 0.1
"""The formulas have logarithms and quotients: less counts as this."""
CAMERA_HEIGHT: Final = (360.0, 720.0)
SHARE_HEIGHT_MAX: Final = 1080.0
USUAL_PERCENTILE: Final = 95.0
SLOW_CAMERA_PART: Final = 0.5
"""Of the expected frame rate; what is usual for a camera and less than this is a fault (O)."""
SMOOTH_FPS: Final = 24.0
"""P.1203.1 takes 24 pictures a second and more for smooth."""
REPAIR_MS: Final = 250.0
REPAIRS_MAX: Final = 2
REPAIRS_UNKNOWN: Final = 1
"""How often a packet is asked for again before its picture is due; once where nobody knows (O)."""
CAPS: Final = ((5.0, 3.0), (10.0, 2.0))
"""Above this residual loss in percent, at most this MOS (O)."""
LOSS_V: Final = (1.232, 53.25, 3.353, 6.025, 80.752)
"""v8 to v12 of G.1070, table B.4: VGA, H.264 (S)."""
CODING_V: Final = (6.743, 0.009998, 3.051, 168.1, 1.766, 1.130, 0.001834)
"""v1 to v7 of the same (S)."""
MOS_MIN: Final = 1.05
MOS_MAX: Final = 4.9
CUBIC: Final = 7e-6
_P: Final = 500.0 - 160.0**2 / 3
_Q: Final = -2 * 160.0**3 / 27 + 160.0 * 500.0 / 3
_TURN: Final = 2 * np.sqrt(-_P / 3)


class Picture(Struct):
    """MOS of each interval of video and share, and what it was judged by.

    `height_share` and `frame_share` are fractions of what was expected; `clean` is where neither
    loss nor latency are a reason for less, `screen` where it is a share. `grounded` is by entry.
    """

    mos: Values
    residual_percent: Values
    height_share: Values
    frame_share: Values
    clean: Mask
    screen: Mask
    grounded: list[bool]


def mos_of_quality(q: Values | float) -> Values:
    """MOS of a quality from 0 to 100 (P.1203.1)."""
    found = MOS_MIN + (MOS_MAX - MOS_MIN) / 100 * q + q * (q - 60) * (100 - q) * CUBIC
    return np.asarray(np.minimum(np.maximum(found, MOS_MIN), MOS_MAX))


def quality_of_mos(mos: Values | float) -> Values:
    """The inverse of `mos_of_quality`: the middle one of a cubic's three roots."""
    inside = np.minimum(np.maximum(mos, MOS_MIN), MOS_MAX)
    c = _Q + (inside - MOS_MIN) / CUBIC
    angle = np.arccos(np.minimum(np.maximum(3 * c / (_P * _TURN), -1.0), 1.0)) / 3
    root = _TURN * np.cos(angle - 2 * np.pi / 3) + 160.0 / 3
    return np.asarray(np.where(inside <= MOS_MIN, 0.0, root))


def _bounded(values: Values) -> Values:
    return np.asarray(np.minimum(np.maximum(values, 0.0), 100.0))


class Degradations(NamedTuple):
    """What is taken from a quality of 100: by coding, by scaling up, by few pictures."""

    coding: Values
    scaling: Values
    jerking: Values


def degradations(
    *,
    kbps: Values | float,
    height: Values | float,
    fps: Values | float,
    display_height: Values | float,
    seen_fps: Values | float | None = None,
) -> Degradations:
    """The parts of P.1203.1, clause 8, mode 0; the arguments are those of `mos`."""
    lines, frames = np.maximum(height, HEIGHT_MIN), np.maximum(fps, FPS_MIN)
    rate = np.maximum(kbps, KBPS_MIN)
    inner = np.log(rate * rate / (lines * lines * ASPECT * frames) + 0.13183165961)
    quant = 11.9983519 - 2.99991847 * np.log(41.2475074001 + np.log(rate) + inner)
    coded = np.minimum(np.maximum(4.66 - 0.07 * np.exp(4.06 * quant), 1.0), 5.0)
    coding = _bounded(100 - quality_of_mos(coded))
    factor = np.maximum((display_height / lines) ** 2, 1.0)
    scaling = _bounded(72.61 * np.log10(0.32 * (factor - 1) + 1))
    seen = frames if seen_fps is None else np.asarray(seen_fps)
    rest = (100 - coding - scaling) * (30.98 - 1.29 * seen) / (64.65 + seen)
    return Degradations(coding, scaling, np.where(seen < SMOOTH_FPS, _bounded(rest), 0.0))


def mos(
    *,
    kbps: Values | float,
    height: Values | float,
    fps: Values | float,
    display_height: Values | float,
    seen_fps: Values | float | None = None,
) -> Values:
    """MOS by P.1203.1 mode 0, of H.264 on a screen of a PC.

    `kbps` is what H.264 would need, heights are px of pictures 16:9. `seen_fps`: the frame rate
    that smoothness is judged by, where it is not `fps`.
    """
    found = degradations(
        kbps=kbps, height=height, fps=fps, display_height=display_height, seen_fps=seen_fps
    )
    return mos_of_quality(100 - _bounded(found.coding + found.scaling + found.jerking))


def residual_loss_percent(loss_percent: Values | float, latency_ms: Values | float) -> Values:
    """What is lost after retransmissions: p^(1+n), n as many as fit into 250 ms."""
    lost = within(loss_percent, 100.0) / 100
    trips = np.floor(REPAIR_MS / np.maximum(within(latency_ms), 1.0))
    repairs = np.where(np.isnan(trips), REPAIRS_UNKNOWN, np.fmin(trips, REPAIRS_MAX))
    return np.asarray(100 * lost ** (1 + repairs))


def loss_factor(
    residual_percent: Values | float, *, kbps: Values | float, fps: Values | float
) -> Values:
    """By how much MOS - 1 shrinks with loss (G.1070): e^(-Ppl/DPpl)."""
    v8, v9, v10, v11, v12 = LOSS_V
    robust = v10 + v11 * np.exp(-np.asarray(fps) / v8) + v12 * np.exp(-np.asarray(kbps) / v9)
    return np.asarray(np.exp(-np.asarray(residual_percent) / robust))


def g1070(*, kbps: float, fps: float, loss_percent: float) -> float:
    """Vq of G.1070, table B.4: the model that `loss_factor` is a part of."""
    v1, v2, v3, v4, v5, v6, v7 = CODING_V
    best = v3 - v3 / (1 + (kbps / v4) ** v5)
    off = np.log(fps) - np.log(v1 + v2 * kbps)
    coding = best * np.exp(-(off**2) / (2 * (v6 + v7 * kbps) ** 2))
    return float(1 + coding * loss_factor(loss_percent, kbps=kbps, fps=fps))


def capped(values: Values, residual_percent: Values) -> Values:
    """MOS no better than what so much loss leaves."""
    for percent, most in CAPS:
        values = np.where(residual_percent > percent, np.minimum(values, most), values)
    return values


def expected_heights(heights: Values, group: Groups, screens: Sequence[bool]) -> Values:
    """What streams should have: the 95th percentile of their heights in the meeting, in bounds.

    `group` numbers the stream of each height; `screens` says which of the streams are shares.
    """
    known = np.where(heights > 0, heights, np.nan)
    usual = groups.percentiles(known, group, len(screens), USUAL_PERCENTILE)
    screen = np.array(screens, dtype=np.bool_)
    low, high = CAMERA_HEIGHT
    least, most = np.where(screen, HEIGHT_MIN, low), np.where(screen, SHARE_HEIGHT_MAX, high)
    return np.asarray(np.minimum(np.fmax(usual, least), most))


def expected_fps(
    fps: Values, group: Groups, screens: Sequence[bool], thresholds: Thresholds
) -> Values:
    """What streams should have: a camera what is usual for it, from half of `camera_fps` to all.

    A camera in a dim room gives 15 pictures a second, and a sender that asked for 15 gets them: it
    does not fail. `group` numbers the stream of each frame rate; `screens`: which are shares.
    """
    usual = groups.percentiles(fps, group, len(screens), USUAL_PERCENTILE)
    most = thresholds.camera_fps
    cameras = np.where(np.isnan(usual), most, np.clip(usual, most * SLOW_CAMERA_PART, most))
    return np.where(np.array(screens, dtype=np.bool_), thresholds.share_fps, cameras)


class _Wanted(Struct):
    """What each interval of video and share should have, as arrays; `grounded` is by entry.

    `excused` is the least `height_share` that a picture has which is small by layout.
    """

    screen: Mask
    height: Values
    fps: Values
    quicker: Values
    factor: Values
    excused: Values
    grounded: list[bool]


def _wanted(table: Table, thresholds: Thresholds, expected: Sequence[Expected | None]) -> _Wanted:
    rows: list[tuple[float, ...]] = []
    grounded: list[bool] = []
    for piece in table.pieces[table.voices :]:
        kind = table.runs[piece.run].kind
        screen = kind in SCREEN
        factor, known = codecs.video_factor(piece.entry.codec)
        quicker = SMOOTH_FPS / thresholds.share_fps if screen else 1.0
        excused = thresholds.height_percent.poor / 100 if kind == "videoOut" else 1.0
        rows.append((screen, quicker, factor, excused))
        grounded.append(known and not screen)
    of = table.piece[table.audio :] - table.voices
    arrays = np.array(rows, dtype=np.float64).reshape(-1, 4).T[:, of]
    screens, quicker, factors, least = arrays
    run = table.run[table.audio :] - table.heard
    height = _expected_heights(table, expected)[run]
    shares = [one.kind in SCREEN for one in table.runs[table.heard :]]
    fps = expected_fps(table.columns["frameRate"][table.audio :], run, shares, thresholds)[run]
    return _Wanted(screens > 0, height, fps, quicker, factors, least, grounded)


def _expected_heights(table: Table, expected: Sequence[Expected | None]) -> Values:
    """The height that each kind of stream should have."""
    runs = table.runs[table.heard :]
    heights = table.columns["resolutionHeight"][table.audio :]
    screens = [run.kind in SCREEN for run in runs]
    found = expected_heights(heights, table.run[table.audio :] - table.heard, screens)
    for at, run in enumerate(runs):
        given = expected[run.owner]
        if given is not None and run.kind in given:
            found[at] = given[run.kind]
    return found


def picture(table: Table, thresholds: Thresholds, expected: Sequence[Expected | None]) -> Picture:
    """The MOS of all intervals of video and share of some sessions."""
    wanted = _wanted(table, thresholds, expected)
    columns = {name: values[table.audio :] for name, values in table.columns.items()}
    loss, latency, fps = columns["packetLoss"], columns["latency"], columns["frameRate"]
    height = np.where(columns["resolutionHeight"] > 0, columns["resolutionHeight"], np.nan)
    clean = ~(loss >= thresholds.loss_percent.good) & ~(latency >= thresholds.latency_ms.good)
    frame_share = fps / wanted.fps
    smooth = frame_share >= thresholds.frame_rate_percent.good / 100
    layout = clean & (smooth | wanted.screen) & (height < wanted.height)
    kbps = columns["mediaBitRate"] / 1000 * wanted.factor
    residual = residual_loss_percent(loss, latency)
    plain = mos(
        kbps=kbps,
        height=height,
        fps=fps,
        display_height=np.where(layout, height, wanted.height),
        seen_fps=fps * wanted.quicker,
    )
    left = np.where(np.isnan(residual), 1.0, loss_factor(residual, kbps=kbps, fps=fps))
    height_share = height / wanted.height
    return Picture(
        mos=capped(1 + (plain - 1) * left, residual),
        residual_percent=residual,
        height_share=np.where(layout, np.maximum(height_share, wanted.excused), height_share),
        frame_share=frame_share,
        clean=clean,
        screen=wanted.screen,
        grounded=wanted.grounded,
    )
