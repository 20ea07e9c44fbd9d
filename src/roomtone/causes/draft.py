"""From a span of bad intervals to a finding: evidence, confidence, words that all rules share."""

import math
from collections.abc import Iterable
from typing import Final

import numpy as np
from msgspec import Struct, field

from roomtone.causes.finding import (
    Direction,
    Evidence,
    Family,
    Finding,
    Part,
    Rival,
    finding_id,
)
from roomtone.causes.grid import Grid
from roomtone.causes.spans import Mask, Span, Values
from roomtone.model import MediaSession, iso_ms

CONFIDENCE_MAX: Final = 0.99
STRONG_RATIO: Final = 2.0
"""A figure that is so many times its threshold, or so small a part of it, is sure."""
LONG_CELLS: Final = 6
NOBODY: Final = "a participant"


class Draft(Struct, kw_only=True):
    """A finding in the making; strings are whole sentences or none."""

    family: Family
    owner: str
    span: Span
    session: str = ""
    direction: Direction = ""
    evidence: list[Evidence] = field(default_factory=list)
    ruled_out: list[Rival] = field(default_factory=list)
    left_open: list[Rival] = field(default_factory=list)
    witnesses: int = 0
    """How many others were fine at the time."""
    confidence_max: float = CONFIDENCE_MAX
    suffered: list[str] = field(default_factory=list)
    text: str
    advice: str


def finished(grid: Grid, draft: Draft) -> Finding:
    """The finding of a draft."""
    span = draft.span
    start = iso_ms(grid.at_ms(span.first))
    parts = _parts(draft)
    value = math.prod(part.value for part in parts) ** (1 / len(parts))
    return Finding(
        id=finding_id(draft.family, draft.owner, draft.session, start),
        family=draft.family,
        owner=draft.owner,
        session=draft.session,
        direction=draft.direction,
        start=start,
        end=iso_ms(grid.at_ms(span.last)),
        minutes=minutes(len(span.bad), grid),
        evidence=draft.evidence,
        ruled_out=draft.ruled_out,
        left_open=draft.left_open,
        confidence=round(min(value, draft.confidence_max), 2),
        made_of=parts,
        suffered=draft.suffered,
        text=draft.text,
        advice=draft.advice,
    )


def _parts(draft: Draft) -> list[Part]:
    """How strong, how steady, how long, how well compared, how many rivals are left."""
    span = draft.span
    strength = max((_strength(item) for item in draft.evidence), default=0.5)
    rivals = len(draft.ruled_out) + len(draft.left_open)
    closed = len(draft.ruled_out) / rivals if rivals else 0.0
    values = {
        "strength": strength,
        "steadiness": min(1.0, 0.4 + 0.6 * len(span.bad) / max(1, span.known)),
        "length": min(1.0, 0.6 + 0.4 * (len(span.bad) - 1) / (LONG_CELLS - 1)),
        "witnesses": (0.6, 0.8, 0.9, 1.0)[min(3, draft.witnesses)],
        "rivals ruled out": 0.5 + 0.5 * closed,
    }
    return [Part(name=name, value=round(value, 2)) for name, value in values.items()]


def _strength(item: Evidence) -> float:
    """0.6 at the threshold, 1 at twice, or half, of it."""
    if not item.threshold or not item.value:
        return 1.0
    ratio = max(item.value / item.threshold, item.threshold / item.value)
    return min(1.0, 0.6 + 0.4 * (ratio - 1) / (STRONG_RATIO - 1))


def evidence(figure: str, values: Values, passed: Mask, threshold: float, span: Span) -> Evidence:
    """What a row's values of a span say: their mean where `passed`, and in how many that was."""
    part, hit = values[span.cells], passed[span.cells]
    hit = hit & ~np.isnan(part)
    mean = float(part[hit].mean()) if hit.any() else math.nan
    return Evidence(
        figure=figure,
        value=0.0 if math.isnan(mean) else round(mean, 2),
        threshold=round(float(threshold), 2),
        count=int(hit.sum()),
        of=int((~np.isnan(part)).sum()),
    )


def told(items: Iterable[Evidence]) -> list[Evidence]:
    """The evidence that speaks: figures that passed their threshold at all."""
    return [item for item in items if item.count]


def minutes(cells: int, grid: Grid) -> float:
    """So many intervals in minutes."""
    return round(cells * grid.step_s / 60, 1)


def of_minutes(span: Span, grid: Grid) -> str:
    """`14 of 18 minutes`."""
    return f"{minutes(len(span.bad), grid):g} of {minutes(span.known, grid):g} minutes"


def owner_of(session: MediaSession) -> str:
    """Who is told of: the participantId, else what tells the session from others."""
    return session.participantId or session.participantSessionId or session.webexUserName


def name_of(session: MediaSession) -> str:
    """What to call the person."""
    return session.webexUserName or NOBODY


def known_mean(values: Values) -> float:
    """The mean of what is known; NaN when nothing is."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else math.nan


def people(count: int) -> str:
    """`1 other person`, `3 others`."""
    return "1 other person" if count == 1 else f"{count} others"
