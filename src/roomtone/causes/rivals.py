"""What else it could have been: the rivals of one session's trouble, ruled out or left open."""

import math
from collections.abc import Iterable

import numpy as np
from msgspec import Struct, field

from roomtone.causes import limits
from roomtone.causes.draft import Draft, known_mean, owner_of
from roomtone.causes.finding import Direction, Evidence, Family, Rival
from roomtone.causes.groups import address_of
from roomtone.causes.signs import Signs
from roomtone.causes.spans import Mask, Span
from roomtone.causes.state import State


class Rivals(Struct):
    """What speaks against other causes, and which nothing speaks against."""

    out: list[Rival]
    open: list[Rival]
    compared: dict[str, tuple[int, int]] = field(default_factory=dict)
    """How many others there were "at that site", "on that server", and how many of them bad."""

    def add(self, family: str, why: str, *, out: bool) -> None:
        """One more rival."""
        (self.out if out else self.open).append(Rival(family=family, why=why))


def cpu_busy(signs: Signs) -> Mask:
    """Where a computer has nothing left to give."""
    cpu, thresholds = signs.grid.cpu, signs.thresholds
    return (cpu["systemMaxCPU"] >= thresholds.cpu_max_percent) | (
        cpu["systemAverageCPU"] >= thresholds.cpu_percent.poor
    )


def of_session(signs: Signs, row: int, span: Span, weak: Mask, which: Iterable[str]) -> Rivals:
    """The rivals `which` ("cpu", "site", "server", "network") of a session's trouble in a span."""
    rivals = Rivals([], [])
    for rival in which:
        _CHECKS[rival](signs, row, span, weak, rivals)
    return rivals


def draft(
    state: State,
    row: int,
    span: Span,
    against: Rivals,
    *,
    family: Family,
    evidence: list[Evidence],
    text: str,
    advice: str,
    direction: Direction = "",
    suffered: Iterable[str] = (),
) -> Draft:
    """A trouble that is one session's own, held against its rivals and those who were fine."""
    session = state.signs.grid.sessions[row]
    return Draft(
        family=family,
        owner=owner_of(session),
        session=session.participantSessionId,
        direction=direction,
        span=span,
        evidence=evidence,
        ruled_out=against.out,
        left_open=against.open,
        witnesses=fine_others(state.signs, row, span, state.weak),
        suffered=[*suffered],
        text=text,
        advice=advice,
    )


def fine_others(signs: Signs, row: int, span: Span, weak: Mask) -> int:
    """How many other sessions there were in a span with less than half of it bad."""
    there: Mask = np.array(signs.known[:, span.cells].any(axis=1))
    there[row] = False
    return int((there & (weak[:, span.cells].mean(axis=1) < limits.ALIKE_MIN)).sum())


def _cpu(signs: Signs, row: int, span: Span, weak: Mask, rivals: Rivals) -> None:
    mean = known_mean(signs.grid.cpu["systemAverageCPU"][row, span.cells])
    if math.isnan(mean):
        rivals.add("cpu", "the client does not tell its CPU load", out=False)
    else:
        busy = bool(cpu_busy(signs)[row, span.bad].mean() > limits.ALIKE_MIN)
        rivals.add("cpu", f"the computer's CPU load was {mean:.0f} %", out=not busy)


def _network(signs: Signs, row: int, span: Span, weak: Mask, rivals: Rivals) -> None:
    loss = known_mean(signs.up[row, span.bad])
    rise = known_mean(signs.rise[row, span.bad])
    if math.isnan(loss) and math.isnan(rise):
        rivals.add("uplink", "neither loss nor latency is known", out=False)
    else:
        fine = not weak[row, span.bad].mean() > limits.ALIKE_MIN
        shown = [f"{loss:.1f} % lost upward"] if not math.isnan(loss) else []
        shown += [f"latency {max(0.0, rise):.0f} ms above its base"] if rise == rise else []
        rivals.add("uplink", ", ".join(shown), out=fine)


def _alike(signs: Signs, row: int, span: Span, weak: Mask, rows: list[int]) -> tuple[int, int]:
    """How many of these other sessions were there, and how many of them were bad for long."""
    there = [r for r in rows if r != row and signs.known[r, span.cells].any()]
    bad = [r for r in there if weak[r, span.cells].mean() >= limits.ALIKE_MIN]
    return len(there), len(bad)


def _site(signs: Signs, row: int, span: Span, weak: Mask, rivals: Rivals) -> None:
    sessions = signs.grid.sessions
    address = address_of(sessions[row])
    same = [i for i, other in enumerate(sessions) if address and address_of(other) == address]
    there, bad = rivals.compared["at that site"] = _alike(signs, row, span, weak, same)
    if not there:
        rivals.add("site", "nobody else is at that site to compare with", out=False)
    else:
        rivals.add("site", f"{there - bad} of {there} others at that site were fine", out=not bad)


def _server(signs: Signs, row: int, span: Span, weak: Mask, rivals: Rivals) -> None:
    sessions = signs.grid.sessions
    region = sessions[row].serverRegion
    same = [i for i, other in enumerate(sessions) if region and other.serverRegion == region]
    there, bad = rivals.compared["on that server"] = _alike(signs, row, span, weak, same)
    if not there:
        rivals.add("server", "nobody else is on that server to compare with", out=False)
    else:
        fine = there - bad
        rivals.add("server", f"{fine} of {there} others on {region} were fine", out=2 * bad < there)


_CHECKS = {"cpu": _cpu, "site": _site, "server": _server, "network": _network}
