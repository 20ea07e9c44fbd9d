"""Uplink and downlink: one person's own line, by the direction in which it loses."""

from collections.abc import Iterator
from typing import Final

import numpy as np

from roomtone.causes import limits, rivals
from roomtone.causes.draft import (
    Draft,
    evidence,
    known_mean,
    name_of,
    of_minutes,
    owner_of,
    people,
    told,
)
from roomtone.causes.finding import Direction, Evidence, Family
from roomtone.causes.signs import directed
from roomtone.causes.spans import Mask, Span, Values, spans
from roomtone.causes.state import State

WAYS: Final[dict[Direction, str]] = {"up": "upward", "down": "downward", "both": "both ways"}
JITTER_RATIO: Final = 1.5
"""Jitter has a direction where it is so many times that of the other (O)."""


def found(state: State) -> Iterator[Draft]:
    """Findings about single lines."""
    signs = state.signs
    up, down, late = _bad(state)
    bad = (up | down | late) & ~state.taken
    known = signs.known & ~(signs.sender >= 0)  # what a sender explains speaks neither way
    for row in np.flatnonzero(bad.sum(axis=1) >= limits.BAD_CELLS_MIN).tolist():
        for span in spans(bad[row], known[row], step_s=signs.grid.step_s):
            yield _draft(state, row, span, _direction(state, row, span, up[row], down[row]))
            state.take(row, span)


def _bad(state: State) -> tuple[Mask, Mask, Mask]:
    """Where the way up, the way down, and one of both is bad."""
    signs, thresholds = state.signs, state.signs.thresholds
    most = thresholds.jitter_ms.poor
    alone = ~state.grouped
    jitter_out = (signs.jitter_out > most) & ~(signs.jitter_out < JITTER_RATIO * signs.jitter_in)
    jitter_in = (signs.jitter_in > most) & ~(signs.jitter_in < JITTER_RATIO * signs.jitter_out)
    up = directed(state.up, thresholds) | (jitter_out & alone)
    down = directed(state.down, thresholds) | (jitter_in & alone)
    late = (signs.rtt > thresholds.latency_ms.poor) & signs.risen & alone
    return up, down, late


def _direction(state: State, row: int, span: Span, up: Mask, down: Mask) -> Direction:
    """By loss, else by jitter: a way is bad when the other has less than a third of it."""
    lost_up, lost_down = known_mean(state.up[row, span.bad]), known_mean(state.down[row, span.bad])
    lost_up, lost_down = np.nan_to_num(lost_up), np.nan_to_num(lost_down)
    fair = state.signs.thresholds.loss_percent.good
    if max(lost_up, lost_down) >= fair:
        if lost_up >= limits.ONE_WAY_RATIO * lost_down:
            return "up"
        return "down" if lost_down >= limits.ONE_WAY_RATIO * lost_up else "both"
    ups, downs = int(up[span.bad].sum()), int(down[span.bad].sum())
    if ups and ups >= limits.ONE_WAY_RATIO * downs:
        return "up"
    return "down" if downs and downs >= limits.ONE_WAY_RATIO * ups else "both"


def _draft(state: State, row: int, span: Span, direction: Direction) -> Draft:
    signs = state.signs
    session = signs.grid.sessions[row]
    family: Family = "uplink" if direction == "up" else "downlink"
    if direction == "both" and _mean(state.up, row, span) >= _mean(state.down, row, span):
        family = "uplink"
    suffered = _suffered(state, row, span, direction)
    against = rivals.of_session(signs, row, span, state.weak, ("cpu", "site", "server"))
    _other_way(state, row, span, direction, against)
    proof = _evidence(state, row, span, direction)
    return rivals.draft(
        state,
        row,
        span,
        against,
        family=family,
        direction=direction,
        evidence=proof,
        suffered=suffered,
        text=_text(state, row, span, direction, proof, against)
        + _heard(owner_of(session), suffered),
        advice=_advice(name_of(session), session.networkType),
    )


def _mean(values: Values, row: int, span: Span) -> float:
    return float(np.nan_to_num(known_mean(values[row, span.bad])))


def _other_way(
    state: State, row: int, span: Span, direction: Direction, against: rivals.Rivals
) -> None:
    if direction == "up":
        mean = _mean(state.down, row, span)
        against.add("downlink", f"{mean:.1f} % lost downward in the same minutes", out=True)
    elif direction == "down":
        mean = _mean(state.up, row, span)
        against.add("uplink", f"{mean:.1f} % lost upward in the same minutes", out=True)
        against.add("another's uplink", "the others did not lose the same packets", out=True)


def _evidence(state: State, row: int, span: Span, direction: Direction) -> list[Evidence]:
    signs, thresholds = state.signs, state.signs.thresholds
    poor, late, shaky = (
        thresholds.loss_percent.poor,
        thresholds.latency_ms.poor,
        thresholds.jitter_ms.poor,
    )
    items = []
    if direction != "down":
        up = state.up[row]
        items.append(evidence("packetLoss up", up, up > poor, poor, span))
        jitter = signs.jitter_out[row]
        items.append(evidence("jitter up", jitter, jitter > shaky, shaky, span))
    if direction != "up":
        down = state.down[row]
        items.append(evidence("packetLoss down", down, down > poor, poor, span))
        jitter = signs.jitter_in[row]
        items.append(evidence("jitter down", jitter, jitter > shaky, shaky, span))
    items.append(evidence("latency", signs.rtt[row], signs.rtt[row] > late, late, span))
    if not any(item.count for item in items):
        fair = thresholds.loss_percent.good
        worse = np.fmax(state.up[row], state.down[row])
        items.append(evidence("packetLoss", worse, worse >= fair, fair, span))
    return told(items)


def _suffered(state: State, row: int, span: Span, direction: Direction) -> list[str]:
    """Who lost what this uplink had lost; and the person, where the way down is bad."""
    sessions = state.signs.grid.sessions
    hurt = [owner_of(sessions[row])] if direction != "up" else []
    if direction != "down":
        heard = (state.signs.sender[:, span.cells] == row).any(axis=1)
        hurt += [owner_of(sessions[i]) for i in np.flatnonzero(heard).tolist()]
    return list(dict.fromkeys(hurt))


def _text(
    state: State,
    row: int,
    span: Span,
    direction: Direction,
    proof: list[Evidence],
    against: rivals.Rivals,
) -> str:
    session = state.signs.grid.sessions[row]
    said = _said(state, direction, proof)
    where = f"{of_minutes(span, state.signs.grid)}{_network(session.networkType)}"
    text = f"{name_of(session)} {said} in {where}"
    for place in ("at that site", "on that server"):
        there, bad = against.compared.get(place, (0, 0))
        if there:
            who = "nobody else" if not bad else f"{bad} of {people(there)}"
            return f"{text}; {who} {place} had such troubles"
    return text


def _said(state: State, direction: Direction, proof: list[Evidence]) -> str:
    what = proof[0] if proof else None
    way = WAYS[direction]
    if what is not None and what.figure.startswith("packetLoss"):
        return f"lost more than {what.threshold:g} % {way} ({what.value:.1f} % on average)"
    if what is not None and what.figure.startswith("jitter"):
        return f"had a jitter of more than {what.threshold:g} ms {way}"
    late = state.signs.thresholds.latency_ms.poor
    return f"waited more than {late:g} ms for the way there and back"


def _heard(row_owner: str, suffered: list[str]) -> str:
    others = [who for who in suffered if who != row_owner]
    return f"; {people(len(others))} heard or saw the gaps." if others else "."


def _network(network: str) -> str:
    return {"wifi": " on Wi-Fi", "ethernet": " on a cable", "cellular": " on a mobile network"}.get(
        network, ""
    )


def _advice(name: str, network: str) -> str:
    if network == "wifi":
        return f"Ask {name} to use a cable, or to sit nearer to the access point."
    if network == "cellular":
        return f"Ask {name} to use Wi-Fi or a cable instead of the mobile network."
    return f"Ask {name} to test the line, and what else uses it."
