"""Device: a camera that hardly gives pictures, a microphone that gives silence, alike models."""

from collections import defaultdict
from collections.abc import Iterator

import numpy as np
from msgspec import structs

from roomtone.causes import limits, rivals
from roomtone.causes.cpu import expected_fps
from roomtone.causes.draft import Draft, evidence, name_of, of_minutes, owner_of
from roomtone.causes.finding import Rival
from roomtone.causes.signs import quantile
from roomtone.causes.spans import Mask, Span, spans
from roomtone.causes.state import State


def found(state: State) -> Iterator[Draft]:
    """Findings about cameras and microphones."""
    cameras = _cameras(state)
    yield from _merged(state, cameras)
    yield from _microphones(state)


def _cameras(state: State) -> list[tuple[int, Span]]:
    """Sessions whose camera gives next to no pictures while computer and network are fine."""
    signs, columns = state.signs, state.signs.grid.columns
    fps = columns["videoOut", "frameRate"]
    few = (
        (fps < limits.CAMERA_FPS)
        & (columns["videoOut", "resolutionHeight"] >= limits.CAMERA_HEIGHT_MIN)
        & (columns["videoOut", "mediaBitRate"] >= limits.CAMERA_BITS_MIN)
    )
    received = columns["videoIn", "frameRate"]
    fluent = ~(received < limits.SLOW_FPS_PART * expected_fps(received))
    fine = fluent & signs.clean() & ~rivals.cpu_busy(signs) & ~state.taken & ~signs.grid.tcp
    bad: Mask = few & fine
    return [
        (row, span)
        for row in np.flatnonzero(bad.sum(axis=1) >= limits.CAMERA_CELLS_MIN).tolist()
        for span in spans(
            bad[row],
            ~np.isnan(fps[row]),
            step_s=signs.grid.step_s,
            cells_min=limits.CAMERA_CELLS_MIN,
        )
    ]


def _merged(state: State, cameras: list[tuple[int, Span]]) -> Iterator[Draft]:
    """One finding for a model when most who have it are hit, and others' cameras are fine."""
    sessions = state.signs.grid.sessions
    by_model: dict[str, list[tuple[int, Span]]] = defaultdict(list)
    for row, span in cameras:
        by_model[sessions[row].camera].append((row, span))
    for model, hit in by_model.items():
        rows = {row for row, _ in hit}
        users = [i for i, session in enumerate(sessions) if session.camera == model]
        cohort = model and len(rows) >= limits.COHORT_PEOPLE_MIN
        if cohort and len(rows) >= limits.SITE_PART * len(users) and len(users) < len(sessions):
            yield _cohort(state, model, hit, len(users))
            continue
        for row, span in hit:
            yield _camera(state, row, span)


def _camera(state: State, row: int, span: Span) -> Draft:
    signs = state.signs
    session = signs.grid.sessions[row]
    fps = signs.grid.columns["videoOut", "frameRate"][row]
    against = rivals.of_session(signs, row, span, state.weak, ("cpu", "network"))
    proof = [evidence("videoOut frameRate", fps, fps < limits.CAMERA_FPS, limits.CAMERA_FPS, span)]
    model = f" ({session.camera})" if session.camera else ""
    return rivals.draft(
        state,
        row,
        span,
        against,
        family="device",
        direction="up",
        evidence=proof,
        text=(
            f"In {of_minutes(span, signs.grid)} the camera of {name_of(session)}{model} gave "
            f"{proof[0].value:.1f} pictures a second, with network and computer fine."
        ),
        advice=f"Ask {name_of(session)} to plug the camera in anew, or to try another one.",
    )


def _cohort(state: State, model: str, hit: list[tuple[int, Span]], users: int) -> Draft:
    first = min(hit, key=lambda item: item[1].first)
    longest = max((span for _, span in hit), key=lambda span: len(span.bad))
    span = structs.replace(longest, first=first[1].first, last=max(s.last for _, s in hit))
    sessions = state.signs.grid.sessions
    draft = _camera(state, *first)
    others = len(sessions) - users
    return structs.replace(
        draft,
        owner=model,
        session="",
        span=span,
        suffered=list(dict.fromkeys(owner_of(sessions[row]) for row, _ in hit)),
        ruled_out=[
            *draft.ruled_out,
            Rival(family="one device", why=f"{len(hit)} of {users} with {model} have it"),
        ],
        witnesses=others,
        text=(
            f"{len(hit)} of {users} cameras {model} gave less than {limits.CAMERA_FPS:g} pictures "
            f"a second; the {others} other cameras did not."
        ),
        advice=f"Look for a driver or a firmware of {model}.",
    )


def _microphones(state: State) -> Iterator[Draft]:
    """A microphone that is on and gives the same silence all the time."""
    signs = state.signs
    columns = signs.grid.columns
    rate, loss = columns["audioOut", "mediaBitRate"], columns["audioOut", "packetLoss"]
    on = ~np.isnan(rate) & ~np.isnan(loss)
    enough = on.sum(axis=1) * signs.grid.step_s >= limits.MICROPHONE_S_MIN
    loudest = quantile(np.where(on, rate, np.nan), 1.0)
    for row in np.flatnonzero(enough & (loudest < limits.MICROPHONE_BITS)).tolist():
        values = rate[row, on[row]]
        if values.std() > limits.MICROPHONE_VARIATION_MAX * values.mean():
            continue
        cells = np.flatnonzero(on[row])
        span = Span(int(cells[0]), int(cells[-1]) + 1, cells, int((~np.isnan(rate[row])).sum()))
        yield _microphone(state, row, span)


def _microphone(state: State, row: int, span: Span) -> Draft:
    signs = state.signs
    session = signs.grid.sessions[row]
    rate = signs.grid.columns["audioOut", "mediaBitRate"][row]
    bound = limits.MICROPHONE_BITS
    model = f" ({session.microphone})" if session.microphone else ""
    return Draft(
        family="device",
        owner=owner_of(session),
        session=session.participantSessionId,
        direction="up",
        span=span,
        evidence=[evidence("audioOut mediaBitRate", rate, rate < bound, bound, span)],
        left_open=[Rival(family="nothing", why="a person who says nothing looks nearly the same")],
        confidence_max=limits.MICROPHONE_CONFIDENCE_MAX,
        text=(
            f"The microphone of {name_of(session)}{model} was on and sent the same "
            f"{rate[span.bad].mean() / 1000:.1f} kbit/s all the time, which is silence."
        ),
        advice=f"Ask {name_of(session)} to check that the right microphone is chosen.",
    )
