"""Bandwidth: the picture gives way before packets are lost; or it swings and never settles."""

from collections.abc import Iterator
from typing import Literal

import numpy as np

from roomtone.causes import limits, rivals
from roomtone.causes.draft import Draft, evidence, name_of, of_minutes, owner_of, told
from roomtone.causes.signs import quantile
from roomtone.causes.spans import Mask, Span, Values, spans
from roomtone.causes.state import State
from roomtone.model import StreamKind

Way = Literal["up", "down"]


def found(state: State) -> Iterator[Draft]:
    """Findings about bandwidth; where it swings, what is low between the swings belongs to it."""
    swings = _oscillates(state)
    up = _squeezed(state, "videoOut", "audioOut", state.up)
    down = _squeezed(state, "videoIn", "audioIn", state.signs.down)
    yield from _drafts(state, up | swings, "up", swings)
    yield from _drafts(state, down, "down", np.zeros_like(swings))


def _drafts(state: State, mask: Mask, way: Way, swings: Mask) -> Iterator[Draft]:
    bad = mask & ~state.taken & ~state.grouped
    rate = state.signs.grid.columns["videoOut" if way == "up" else "videoIn", "mediaBitRate"]
    for row in np.flatnonzero(bad.any(axis=1)).tolist():
        for span in spans(
            bad[row],
            ~np.isnan(rate[row]),
            step_s=state.signs.grid.step_s,
            cells_min=limits.SQUEEZED_CELLS_MIN,
        ):
            if not _lost_rather(state, row, span, way):
                swung = bool(swings[row, span.bad].mean() > limits.ALIKE_MIN)
                yield _draft(state, row, span, way, swings=swung)
                state.take(row, span)


def _lost_rather(state: State, row: int, span: Span, way: Way) -> bool:
    """Whether it is a bad line rather, of which a low rate is the consequence."""
    loss = (state.up if way == "up" else state.signs.down)[row, span.cells]
    fair = state.signs.thresholds.loss_percent.good
    return int((loss >= fair).sum()) * 3 > len(span.bad)


def _squeezed(state: State, video: StreamKind, audio: StreamKind, loss: Values) -> Mask:
    """Rate -30 %, height stepped down, latency up, next to no loss yet, audio held."""
    columns = state.signs.grid.columns
    rate, height = columns[video, "mediaBitRate"], columns[video, "resolutionHeight"]
    usual = quantile(rate, 0.75)[:, np.newaxis]
    tall = quantile(height, 0.75)[:, np.newaxis]
    voice = columns[audio, "mediaBitRate"]
    held = limits.AUDIO_HELD_PART * quantile(voice, 0.5)[:, np.newaxis]
    fair = state.signs.thresholds.loss_percent.good
    squeezed: Mask = (
        (rate <= (1 - limits.RATE_DROP) * usual)
        & (height < tall)
        & _delayed(state)
        & ~(loss >= fair)
        & ~(voice < held)
        & ~rivals.cpu_busy(state.signs)
    )
    return squeezed


def _delayed(state: State) -> Mask:
    """Latency above its base by more than it swings on its own."""
    base = state.signs.base
    delayed: Mask = state.rise >= np.maximum(limits.SWING_MS, limits.RISE_PART / 2 * base)
    return delayed


def _oscillates(state: State) -> Mask:
    """Windows of ten intervals in which the rate turns round and round, and latency with it."""
    columns = state.signs.grid.columns
    rate = columns["videoOut", "mediaBitRate"]
    width = limits.REVERSAL_WINDOW
    found = np.zeros(rate.shape, dtype=np.bool_)
    if rate.shape[1] < width or state.signs.grid.count < width:
        return found
    spread = np.nanmax(np.where(np.isnan(rate), 0.0, rate), axis=1) > 0
    for row in np.flatnonzero(spread).tolist():
        _swings(state, row, rate[row], found[row])
    return found


def _swings(state: State, row: int, rate: Values, found: Mask) -> None:
    """Mark the windows of one session."""
    width = limits.REVERSAL_WINDOW
    fair = state.signs.thresholds.loss_percent.good
    other = state.grouped[row] | state.taken[row] | (state.up[row] >= fair)
    seen = np.flatnonzero(~np.isnan(rate) & ~other)
    if len(seen) < width:
        return
    values = rate[seen]
    if values.std() <= limits.RATE_DROP / 2 * values.mean():
        return
    windows = np.lib.stride_tricks.sliding_window_view(values, width)
    means = windows.mean(axis=1)
    steps = np.diff(windows, axis=1)
    large = np.abs(steps) >= limits.REVERSAL_PART * float(quantile(values, 0.75))
    late = np.nan_to_num(state.rise[row, seen])
    delay = np.lib.stride_tricks.sliding_window_view(late, width)
    low = windows < means[:, np.newaxis]
    swing = _mean_where(delay, low) - _mean_where(delay, ~low)
    turns = np.array([_turns(s[big]) for s, big in zip(steps, large, strict=True)])
    hit = (
        (windows.std(axis=1) > limits.VARIATION_MIN * means)
        & (turns >= limits.REVERSALS_MIN)
        & (swing >= limits.SWING_MS)
    )
    for at in np.flatnonzero(hit).tolist():
        found[seen[at : at + width]] = True


def _mean_where(values: Values, where: Mask) -> Values:
    """The mean of some of each row; 0 of none."""
    mean: Values = (values * where).sum(axis=1) / np.maximum(1, where.sum(axis=1))
    return mean


def _turns(steps: Values) -> int:
    """How often large steps change their sign."""
    signs = np.sign(steps)
    return int((signs[1:] != signs[:-1]).sum()) if len(signs) > 1 else 0


def _draft(state: State, row: int, span: Span, way: Way, *, swings: bool) -> Draft:
    signs = state.signs
    session = signs.grid.sessions[row]
    kind: StreamKind = "videoOut" if way == "up" else "videoIn"
    rate = signs.grid.columns[kind, "mediaBitRate"][row]
    height = signs.grid.columns[kind, "resolutionHeight"][row]
    usual, tall = float(quantile(rate, 0.75)), float(quantile(height, 0.75))
    low = (1 - limits.RATE_DROP) * usual
    against = rivals.of_session(signs, row, span, state.weak, ("cpu", "site", "server"))
    lost = (state.up if way == "up" else state.signs.down)[row]
    least = max(limits.SWING_MS, limits.RISE_PART / 2 * float(signs.base[row, 0]))
    against.add(
        f"{way}link", f"{_mean(lost, span):.1f} % lost: the rate fell before that", out=True
    )
    against.add("layout", "the latency rose with it", out=True)
    proof = [
        evidence(f"{kind} mediaBitRate", rate, rate <= low, low, span),
        evidence(f"{kind} resolutionHeight", height, height < tall, tall, span),
        evidence("latency above base", state.rise[row], state.rise[row] >= least, least, span),
    ]
    where = "upward" if way == "up" else "downward"
    minutes = of_minutes(span, signs.grid)
    said = "swung" if swings else "fell"
    return rivals.draft(
        state,
        row,
        span,
        against,
        family="bandwidth",
        direction=way,
        evidence=told(proof),
        suffered=[owner_of(session)] if way == "down" else [],
        text=(
            f"In {minutes} the video of {name_of(session)} had too little room {where}: its bit "
            f"rate {said} from {usual / 1000:.0f} to {_mean(rate, span) / 1000:.0f} kbit/s and the "
            f"latency rose by {_mean(state.rise[row], span):.0f} ms, with "
            f"{_mean(lost, span):.1f} % lost."
        ),
        advice=(
            f"Ask {name_of(session)} what else uses the line (a backup, another call), or to send "
            "a smaller picture."
        ),
    )


def _mean(values: Values, span: Span) -> float:
    part = values[span.bad]
    return float(np.nan_to_num(part[~np.isnan(part)].mean())) if (~np.isnan(part)).any() else 0.0
