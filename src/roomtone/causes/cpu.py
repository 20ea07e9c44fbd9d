"""CPU: the computer has nothing left to give, and the picture shows it on a fine network."""

from collections.abc import Iterator

import numpy as np

from roomtone.causes import limits, rivals
from roomtone.causes.draft import Draft, evidence, known_mean, name_of, of_minutes, owner_of, told
from roomtone.causes.signs import quantile
from roomtone.causes.spans import Mask, Span, Values, spans
from roomtone.causes.state import State


def found(state: State) -> Iterator[Draft]:
    """Findings about computers at their limit."""
    signs = state.signs
    bad = rivals.cpu_busy(signs) & _suffers(state) & _network_fine(state) & ~state.taken
    for row in np.flatnonzero(bad.sum(axis=1) >= limits.BAD_CELLS_MIN).tolist():
        known = ~np.isnan(signs.grid.cpu["systemAverageCPU"][row])
        for span in spans(bad[row], known, step_s=signs.grid.step_s):
            yield _draft(state, row, span)
            state.take(row, span)


def _suffers(state: State) -> Mask:
    """Where sent pictures are fewer or smaller than usual, or received ones fewer."""
    columns = state.signs.grid.columns
    height = columns["videoOut", "resolutionHeight"]
    tall = quantile(height, 0.9)[:, np.newaxis]
    fps_out, fps_in = columns["videoOut", "frameRate"], columns["videoIn", "frameRate"]
    few: Mask = fps_out < limits.SLOW_FPS_PART * expected_fps(fps_out)
    suffers: Mask = few | (height < tall) | (fps_in < limits.SLOW_FPS_PART * expected_fps(fps_in))
    return suffers


def expected_fps(fps: Values) -> Values:
    """What a camera gives when all is well: its 90th percentile, and no less than 24."""
    usual = quantile(fps, 0.9)[:, np.newaxis]
    return np.where(usual >= limits.CAMERA_FPS, usual, limits.EXPECTED_FPS)


def _network_fine(state: State) -> Mask:
    """Loss below 1 %, latency near its base; what a group's trouble explains is left out.

    Not as near as elsewhere: a starved client answers late, and reads late what is answered.
    """
    base = state.signs.base
    fine: Mask = (
        ~(state.up >= limits.CPU_LOSS_PERCENT)
        & ~(state.down >= state.signs.thresholds.loss_percent.good)
        & ~(state.rise >= np.maximum(limits.CPU_RISE_MS, limits.RISE_PART * base))
    )
    return fine


def _draft(state: State, row: int, span: Span) -> Draft:
    signs = state.signs
    session = signs.grid.sessions[row]
    cpu, columns = signs.grid.cpu, signs.grid.columns
    average, most = cpu["systemAverageCPU"][row], cpu["systemMaxCPU"][row]
    process = known_mean(cpu["processAverageCPU"][row, span.bad])
    system = known_mean(average[span.bad])
    fps = columns["videoOut", "frameRate"][row]
    usual = float(expected_fps(columns["videoOut", "frameRate"])[row, 0])
    poor, peak = signs.thresholds.cpu_percent.poor, signs.thresholds.cpu_max_percent
    proof = [
        evidence("systemAverageCPU", average, average >= poor, poor, span),
        evidence("systemMaxCPU", most, most >= peak, peak, span),
        evidence(
            "videoOut frameRate",
            fps,
            fps < limits.SLOW_FPS_PART * usual,
            limits.SLOW_FPS_PART * usual,
            span,
        ),
    ]
    against = rivals.of_session(signs, row, span, state.weak, ("network",))
    own = process >= limits.CPU_PROCESS_PART * system
    program = "the meeting's own program" if own else "other programs than the meeting's"
    name = name_of(session)
    return rivals.draft(
        state,
        row,
        span,
        against,
        family="cpu",
        evidence=told(proof),
        suffered=[owner_of(session)],
        text=(
            f"In {of_minutes(span, signs.grid)} the computer of {name} was at its limit: "
            f"{np.nan_to_num(system):.0f} % CPU on average, most of it by {program}; "
            f"the camera's frame rate was {np.nan_to_num(known_mean(fps[span.bad])):.0f} of "
            f"{usual:.0f} pictures a second."
        ),
        advice=(
            f"Ask {name} to switch off virtual backgrounds or HD video."
            if own
            else f"Ask {name} to close other programs."
        ),
    )
