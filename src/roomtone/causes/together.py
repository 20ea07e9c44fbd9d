"""Findings about servers, sites and providers, of the groups that were hit."""

from collections.abc import Iterator

import numpy as np

from roomtone.causes import limits
from roomtone.causes.draft import (
    Draft,
    evidence,
    known_mean,
    of_minutes,
    owner_of,
    told,
)
from roomtone.causes.finding import Direction, Evidence, Family, Rival
from roomtone.causes.groups import Hit, address_of, prefix_of
from roomtone.causes.signs import Signs
from roomtone.causes.spans import Span, Values

ADVICE = {
    "cluster": "Look at the load and the line of {owner}, or move its meetings.",
    "region": "Tell whoever runs the servers in {owner}, or host the meeting elsewhere.",
    "provider": "Ask the provider that announces {owner}; nobody in the meeting can mend it.",
    "address": "Look at the line of the site behind {owner}: its load, and voice's priority.",
    "network": "Look at the Wi-Fi there: channels, access points, and how many share one.",
    "subnet": "Look at the switches and access points of {owner}.",
}


def found(signs: Signs, hits: list[Hit]) -> Iterator[Draft]:
    """A finding for each group that was hit."""
    for hit in hits:
        yield _draft(signs, hit)


def _draft(signs: Signs, hit: Hit) -> Draft:
    group, span = hit.group, hit.span
    family: Family = "server" if group.kind in ("cluster", "region") else "site"
    up, down, rise = (_median(values[hit.rows]) for values in (signs.up, signs.down, signs.rise))
    ruled_out, left_open = _rivals(signs, hit)
    return Draft(
        family=family,
        owner=group.owner,
        direction=_direction(up, down, span, signs.thresholds.loss_percent.good),
        span=span,
        evidence=_evidence(signs, span, up, down, rise),
        ruled_out=ruled_out,
        left_open=left_open,
        witnesses=hit.others - hit.others_bad,
        suffered=_suffered(signs, hit),
        text=_text(signs, hit, up, down, rise),
        advice=ADVICE[group.kind].format(owner=group.owner),
    )


def _suffered(signs: Signs, hit: Hit) -> list[str]:
    """Those who were hit, then those elsewhere who lost what they had lost."""
    sessions = signs.grid.sessions
    heard = np.isin(signs.sender[:, hit.span.cells], hit.rows).any(axis=1)
    rows = [*hit.rows.tolist(), *np.flatnonzero(heard).tolist()]
    return list(dict.fromkeys(owner_of(sessions[row]) for row in rows))


def _median(values: Values) -> Values:
    """Of those hit, interval by interval; NaN where nothing is known."""
    known = ~np.isnan(values)
    ordered = np.sort(values, axis=0)
    index = np.maximum(0, known.sum(axis=0) - 1) // 2
    median: Values = np.take_along_axis(ordered, index[np.newaxis], axis=0)[0]
    return median


def _direction(up: Values, down: Values, span: Span, fair: float) -> Direction:
    lost_up = np.nan_to_num(known_mean(up[span.bad]))
    lost_down = np.nan_to_num(known_mean(down[span.bad]))
    if max(lost_up, lost_down) < fair:
        return "both"
    if lost_up >= limits.ONE_WAY_RATIO * lost_down:
        return "up"
    return "down" if lost_down >= limits.ONE_WAY_RATIO * lost_up else "both"


def _evidence(signs: Signs, span: Span, up: Values, down: Values, rise: Values) -> list[Evidence]:
    fair = signs.thresholds.loss_percent.good
    items = [
        evidence("packetLoss up (median)", up, up >= fair, fair, span),
        evidence("packetLoss down (median)", down, down >= fair, fair, span),
        evidence("latency above base (median)", rise, rise >= limits.RISE_MS, limits.RISE_MS, span),
    ]
    return told(items)


def _text(signs: Signs, hit: Hit, up: Values, down: Values, rise: Values) -> str:
    group, span = hit.group, hit.span
    who = {
        "cluster": f"on cluster {group.owner}",
        "region": f"on servers in {group.owner}",
        "provider": f"whose provider announces {group.owner}",
        "address": f"behind {group.owner}",
        "network": f"on {group.owner.removeprefix(group.place).strip() or 'one network'} "
        f"behind {group.place}",
        "subnet": f"in {group.owner}",
    }[group.kind]
    lost_up, lost_down, later = (
        np.nan_to_num(known_mean(values[span.bad])) for values in (up, down, rise)
    )
    fine = hit.others - hit.others_bad
    elsewhere = f"; {fine} of {hit.others} elsewhere were fine" if hit.others else ""
    return (
        f"In {of_minutes(span, signs.grid)} {len(hit.rows)} of {len(group.rows)} people {who} had "
        f"troubles at once: half of them lost {lost_up:.1f} % upward and {lost_down:.1f} % "
        f"downward or more, {later:.0f} ms above the usual latency{elsewhere}."
    )


def _rivals(signs: Signs, hit: Hit) -> tuple[list[Rival], list[Rival]]:
    out, left = [], []
    sessions = [signs.grid.sessions[row] for row in hit.rows.tolist()]
    fine = hit.others - hit.others_bad
    if hit.others:
        out.append(Rival(family="everybody", why=f"{fine} of {hit.others} others were fine"))
    else:
        left.append(Rival(family="everybody", why="nobody outside to compare with"))
    addresses = len({address_of(session) for session in sessions})
    providers = {prefix_of(address_of(session)) for session in sessions}
    if hit.group.kind in ("cluster", "region"):
        why = f"they sit behind {addresses} addresses"
        out.append(Rival(family="site", why=why))
        if len(providers) > 1:
            out.append(Rival(family="provider", why=f"of {len(providers)} providers"))
        else:
            left.append(Rival(family="provider", why="all of them have the same"))
    else:
        out.append(Rival(family="uplink", why=f"{len(sessions)} people had it at the same time"))
    return out, left
