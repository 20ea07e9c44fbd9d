"""Path: a way that is longer than it should be, or TCP that makes pictures wait."""

from collections.abc import Iterator

import numpy as np

from roomtone.causes import limits, rivals
from roomtone.causes.cpu import expected_fps
from roomtone.causes.draft import Draft, evidence, known_mean, name_of, of_minutes, owner_of, told
from roomtone.causes.finding import Evidence
from roomtone.causes.groups import address_of, prefix_of
from roomtone.causes.signs import quantile
from roomtone.causes.spans import Mask, Span, Values, spans
from roomtone.causes.state import State


def found(state: State) -> Iterator[Draft]:
    """Findings about TCP and about ways that are too long from the beginning."""
    yield from _slow_tcp(state)
    yield from _long_ways(state)


def _slow_tcp(state: State) -> Iterator[Draft]:
    """Over TCP loss is hidden: latency and frame rate tell."""
    signs = state.signs
    if not signs.grid.tcp.any():
        return
    thresholds = signs.thresholds
    fps = signs.grid.columns["videoIn", "frameRate"]
    few = fps < thresholds.frame_rate_percent.poor / 100 * expected_fps(fps)
    late = (signs.rtt > thresholds.latency_ms.poor) | (
        (signs.rtt > thresholds.latency_ms.good) & (signs.risen | few)
    )
    bad = signs.grid.tcp & (late | few) & ~state.taken & ~state.grouped
    for row in np.flatnonzero(bad.sum(axis=1) >= limits.BAD_CELLS_MIN).tolist():
        mine = bad[row] & ~state.taken[row]
        for span in spans(mine, signs.known[row], step_s=signs.grid.step_s):
            yield _tcp_draft(state, row, span, late[row], few[row])
            _take(state, row, span)


def _tcp_draft(state: State, row: int, span: Span, late: Mask, few: Mask) -> Draft:
    signs = state.signs
    thresholds = signs.thresholds
    names = [name_of(signs.grid.sessions[one]) for one in _ends(state, row)]
    fps = signs.grid.columns["videoIn", "frameRate"][row]
    least = (
        thresholds.frame_rate_percent.poor
        / 100
        * float(expected_fps(signs.grid.columns["videoIn", "frameRate"])[row, 0])
    )
    proof = [
        evidence("latency", signs.rtt[row], late, thresholds.latency_ms.good, span),
        evidence("videoIn frameRate", fps, few, least, span),
    ]
    mean = np.nan_to_num(known_mean(signs.rtt[row, span.bad]))
    return _draft(
        state,
        row,
        span,
        proof,
        text=(
            f"{' and '.join(names)} {'were' if len(names) > 1 else 'was'} connected over TCP, and "
            f"in {of_minutes(span, signs.grid)} media waited for packets sent again: {mean:.0f} ms "
            f"there and back, "
            f"{np.nan_to_num(known_mean(fps[span.bad])):.0f} pictures a second."
        ),
        advice="Let UDP out of that network, or leave the VPN while in a meeting.",
    )


def _long_ways(state: State) -> Iterator[Draft]:
    """A least latency that no place on earth explains, or that peers of one provider have not."""
    signs = state.signs
    low = signs.base[:, 0]
    for row in np.flatnonzero(low > limits.PEER_MS).tolist():
        peers = _peers(state, row)
        usual = float(np.median(low[peers])) if peers else float("nan")
        bound = max(limits.PEER_RATIO * usual, usual + limits.PEER_MS) if peers else float("inf")
        if not (low[row] > limits.WORLD_MS or low[row] > bound):
            continue
        bound = min(bound, limits.WORLD_MS)
        bad = (signs.rtt[row] > bound) & ~state.taken[row] & ~state.grouped[row]
        for span in spans(bad, signs.known[row], step_s=signs.grid.step_s):
            if len(span.bad) >= limits.SHIFT_CELLS_MIN:
                yield _long_draft(state, row, span, bound, usual)
                _take(state, row, span)


def _peers(state: State, row: int) -> list[int]:
    """Others of the same provider on the same server."""
    sessions = state.signs.grid.sessions
    mine = sessions[row]
    prefix = prefix_of(address_of(mine))
    return [
        i
        for i, other in enumerate(sessions)
        if i != row
        and prefix
        and other.serverRegion == mine.serverRegion
        and prefix_of(address_of(other)) == prefix
        and not np.isnan(state.signs.base[i, 0])
    ]


def _long_draft(state: State, row: int, span: Span, bound: float, usual: float) -> Draft:
    signs = state.signs
    session = signs.grid.sessions[row]
    proof = [evidence("latency", signs.rtt[row], signs.rtt[row] > bound, bound, span)]
    low = float(signs.base[row, 0])
    server = session.serverRegion or "the server"
    there = "" if len(_ends(state, row)) > 1 else f" to {server}"
    beside = (
        "further than round the earth"
        if np.isnan(usual)
        else f"others of the same provider have {usual:.0f} ms"
    )
    return _draft(
        state,
        row,
        span,
        proof,
        text=f"The {_way(state, row)}{there} took {low:.0f} ms at best, {beside}.",
        advice="Look for a satellite link, a VPN or a route that leads far away.",
    )


def shifted(state: State) -> Iterator[Draft]:
    """A base that steps up and stays there, without loss and without swinging: another route."""
    signs = state.signs
    low = signs.base
    raised = signs.rtt >= low + np.maximum(limits.SHIFT_MS, low)
    lossy = signs.thresholds.loss_percent.good
    bad = raised & ~(state.up >= lossy) & ~(signs.down >= lossy) & ~signs.grid.tcp
    bad &= ~state.taken & ~state.grouped
    for row in np.flatnonzero(bad.sum(axis=1) >= limits.SHIFT_CELLS_MIN).tolist():
        mine = bad[row] & ~state.taken[row]
        for span in spans(mine, signs.known[row], step_s=signs.grid.step_s):
            if _steady(signs.rise[row, span.bad], span):
                yield _shift_draft(state, row, span)
                _take(state, row, span)


def _steady(rise: Values, span: Span) -> bool:
    """Whether the latency keeps its new height: a queue would come and go."""
    if len(span.bad) < limits.SHIFT_CELLS_MIN or 3 * len(span.bad) < 2 * span.known:
        return False
    low, middle, high = (float(quantile(rise, part)) for part in (0.1, 0.5, 0.9))
    return high - low <= limits.SHIFT_SPREAD_PART * middle


def _shift_draft(state: State, row: int, span: Span) -> Draft:
    signs = state.signs
    session = signs.grid.sessions[row]
    low = float(signs.base[row, 0])
    bound = low + max(limits.SHIFT_MS, low)
    proof = [evidence("latency", signs.rtt[row], signs.rtt[row] >= bound, bound, span)]
    mean = known_mean(signs.rtt[row, span.bad])
    return _draft(
        state,
        row,
        span,
        proof,
        text=(
            f"For {of_minutes(span, signs.grid)} the {_way(state, row)} took {mean:.0f} ms "
            f"there and back, {low:.0f} ms at other times, without loss: another route or a VPN."
        ),
        advice=f"Ask {name_of(session)} whether a VPN was on; else tell the provider.",
    )


def _ends(state: State, row: int) -> list[int]:
    """The sessions at the ends of a way: of two without a server between them both."""
    sessions, low = state.signs.grid.sessions, state.signs.base[:, 0]
    servers = any(one.serverRegion or one.videoMeshCluster for one in sessions)
    if len(sessions) != 2 or servers:
        return [row]
    alike = abs(low[0] - low[1]) <= limits.SAME_WAY_PART * max(low[0], low[1])
    return [row, 1 - row] if alike else [row]


def _take(state: State, row: int, span: Span) -> None:
    """The way is explained, to whoever is at an end of it."""
    for one in _ends(state, row):
        state.take(one, span)


def _way(state: State, row: int) -> str:
    """`way of Ada`, `way between Ada and Bob`."""
    names = [name_of(state.signs.grid.sessions[one]) for one in _ends(state, row)]
    return f"way between {' and '.join(names)}" if len(names) > 1 else f"way of {names[0]}"


def _draft(
    state: State, row: int, span: Span, proof: list[Evidence], *, text: str, advice: str
) -> Draft:
    against = rivals.of_session(state.signs, row, span, state.weak, ("cpu", "site", "server"))
    return rivals.draft(
        state,
        row,
        span,
        against,
        family="path",
        direction="both",
        evidence=told(proof),
        suffered=[owner_of(state.signs.grid.sessions[one]) for one in _ends(state, row)],
        text=text,
        advice=advice,
    )
