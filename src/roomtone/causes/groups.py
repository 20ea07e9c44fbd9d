"""Troubles of many at once: a server or cluster, a site, its Wi-Fi or a subnet, a provider.

All groups are tried by one rule; the one that fits best who is hit, and who is not, is the root.
"""

import ipaddress
from collections import defaultdict
from functools import lru_cache
from typing import Final, Literal

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from roomtone.causes import limits
from roomtone.causes.signs import Signs
from roomtone.causes.spans import Mask, Span, Values, closed, spans
from roomtone.model import MediaSession

Kind = Literal["cluster", "region", "address", "network", "subnet", "provider"]
PREFIX_BITS: Final = {4: 16, 6: 32}
"""What one provider announces together, roughly (O): there is no routing table here."""
PLACE_BITS: Final = {4: 24, 6: 48}
"""What is one place, roughly (O): a bad server is bad for more than one."""


class Group(Struct):
    """Sessions that have something in common; `owner` names it."""

    kind: Kind
    owner: str
    rows: NDArray[np.intp]
    place: str = ""
    """Of a network or a subnet, the address that it is behind."""


class Hit(Struct):
    """A group and when it was hit; `fit` 0 to 1: how well it tells those hit from the others."""

    group: Group
    span: Span
    rows: NDArray[np.intp]
    """The sessions of the group that were hit."""
    others: int
    """Sessions outside, of which `others_bad` had troubles at the time."""
    others_bad: int
    fit: float


def address_of(session: MediaSession) -> str:
    """The public address, or what masking has left of it."""
    return session.publicIP or session.maskedPublicIP


@lru_cache(maxsize=4_096)
def prefix_of(address: str) -> str:
    """The provider's part of an address, "" for none."""
    return _network_of(address, PREFIX_BITS)


@lru_cache(maxsize=4_096)
def place_of(address: str) -> str:
    """The part of an address that homes of a street, or an office, have in common."""
    return _network_of(address, PLACE_BITS)


def _network_of(address: str, widths: dict[int, int]) -> str:
    try:
        bits = widths[ipaddress.ip_address(address).version]
        return str(ipaddress.ip_network(f"{address}/{bits}", strict=False))
    except ValueError:
        return ""


def subnet_of(session: MediaSession) -> str:
    """The first 24 bits of a local address at work; "" for those that every home has."""
    local = session.localIP or session.maskedLocalIP
    subnet, _, _ = local.rpartition(".")
    return "" if subnet in limits.HOME_SUBNETS or local.count(".") != 3 else subnet


def groups(sessions: list[MediaSession]) -> list[Group]:
    """All groups that are large enough, the wider ones first."""
    found: dict[tuple[Kind, str, str], list[int]] = defaultdict(list)
    for row, session in enumerate(sessions):
        address = address_of(session)
        if session.videoMeshCluster:
            found["cluster", session.videoMeshCluster, ""].append(row)
        if session.serverRegion:
            found["region", session.serverRegion, ""].append(row)
        if address:
            found["provider", prefix_of(address), ""].append(row)
            found["address", address, ""].append(row)
            found["network", f"{address} {session.networkType}", address].append(row)
        subnet = subnet_of(session)
        if subnet:
            found["subnet", f"{subnet}.0/24", address].append(row)
    order: tuple[Kind, ...] = ("cluster", "region", "provider", "address", "network", "subnet")
    made = [
        Group(kind, owner, np.array(rows), place)
        for (kind, owner, place), rows in found.items()
        if owner and len(rows) >= limits.SITE_SESSIONS_MIN
    ]
    return sorted(made, key=lambda group: order.index(group.kind))


class _Meeting(Struct):
    """Who sits where, as numbers."""

    addresses: NDArray[np.intp]
    places: NDArray[np.intp]


def hits(signs: Signs) -> list[Hit]:
    """The groups that were hit, one root a trouble."""
    bad, known = closed(signs.weak()), signs.known
    sessions = list(signs.grid.sessions)
    if len(sessions) < limits.SITE_SESSIONS_MIN or bad.sum(axis=0).max() < 2:
        return []
    meeting = _Meeting(
        _numbers([address_of(s) or f"\x00{i}" for i, s in enumerate(sessions)]),
        _numbers([place_of(address_of(s)) or f"\x00{i}" for i, s in enumerate(sessions)]),
    )
    candidates = groups(sessions)
    found: list[Hit] = []
    while candidates and len(found) < limits.GROUPS_MAX:
        tried = [_hit(signs, group, bad, known, meeting) for group in candidates]
        best = max((hit for each in tried for hit in each), key=lambda hit: hit.fit, default=None)
        if best is None:
            break
        found.append(best)
        bad = bad.copy()
        bad[best.group.rows, _wider(best.span, bad.shape[1])] = False
    return found


def _wider(span: Span, count: int) -> slice:
    return slice(max(0, span.first - 1), min(count, span.last + 1))


def _numbers(names: list[str]) -> NDArray[np.intp]:
    known: dict[str, int] = {}
    return np.array([known.setdefault(name, len(known)) for name in names])


def _hit(signs: Signs, group: Group, bad: Mask, known: Mask, meeting: _Meeting) -> list[Hit]:
    """The spans in which a group was hit as one, and those outside were not."""
    rows = group.rows
    mine, seen = bad[rows], known[rows]
    count, of = mine.sum(axis=0), seen.sum(axis=0)
    if not (count >= _sessions_min(group)).any():
        return []
    others_bad, others = bad.sum(axis=0) - count, known.sum(axis=0) - of
    together = (
        (count >= _sessions_min(group))
        & (count >= _part_min(group) * of)
        & (others_bad * of <= limits.OUTSIDE_PART_MAX * count * others)
        & _spread(group, mine, seen, meeting)
    )
    found = []
    step_s = signs.grid.step_s
    whole = spans(together, of > 0, step_s=step_s)
    covered = np.zeros(bad.shape[1], dtype=np.bool_)
    for span in whole:
        covered[span.cells] = True
    for span in whole:
        alike = rows[_alike(mine, seen, covered, span)]
        hurt_here = rows[_hurt(mine, seen, span)]
        if len(alike) < _sessions_min(group) or not _places(group, alike, meeting):
            continue
        outside = np.setdiff1d(np.arange(len(bad)), rows)
        busy = outside[known[outside, span.cells].any(axis=1)]
        hurt = int((bad[busy, span.cells].mean(axis=1) >= limits.ALIKE_MIN).sum())
        active = int(known[rows, span.cells].any(axis=1).sum())
        fit = len(alike) / (active + hurt)
        found.append(Hit(group, span, hurt_here, len(busy), hurt, fit))
    return found


def _sessions_min(group: Group) -> int:
    if group.kind in ("region", "cluster"):
        return limits.SERVER_SESSIONS_MIN
    if group.kind == "provider":
        return limits.PROVIDER_ADDRESSES_MIN
    return limits.SITE_SESSIONS_MIN


def _part_min(group: Group) -> float:
    return limits.SERVER_PART if group.kind in ("region", "cluster") else limits.SITE_PART


def _spread(group: Group, mine: Mask, seen: Mask, meeting: _Meeting) -> Mask:
    """Whether those hit sit in enough different places: one site does not make a bad server."""
    if group.kind not in ("region", "cluster", "provider"):
        return np.ones(mine.shape[1], dtype=np.bool_)
    bad_addresses, addresses = _by_place(mine, seen, meeting.addresses[group.rows])
    if group.kind == "provider":
        enough = bad_addresses >= limits.PROVIDER_ADDRESSES_MIN
        wide: Mask = enough & (bad_addresses >= limits.SITE_PART * addresses)
        return wide
    bad_places, _ = _by_place(mine, seen, meeting.places[group.rows])
    enough = bad_places >= limits.SERVER_PLACES_MIN
    spread: Mask = enough & (bad_addresses >= limits.SERVER_PART * addresses)
    return spread


def _by_place(
    mine: Mask, seen: Mask, places: NDArray[np.intp]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """How many places are bad (half of their sessions are), and how many there are."""
    one_hot = (places == np.unique(places)[:, np.newaxis]).astype(np.float64)
    bad: Values = one_hot @ mine
    there: Values = one_hot @ seen
    return ((bad > 0) & (2 * bad >= there)).sum(axis=0), (there > 0).sum(axis=0)


def _places(group: Group, rows: NDArray[np.intp], meeting: _Meeting) -> bool:
    if group.kind == "provider":
        return len(set(meeting.addresses[rows].tolist())) >= limits.PROVIDER_ADDRESSES_MIN
    if group.kind in ("region", "cluster"):
        return len(set(meeting.places[rows].tolist())) >= limits.SERVER_PLACES_MIN
    return True


def _hurt(mine: Mask, seen: Mask, span: Span) -> Mask:
    """Which members were bad when the group was, whatever they were at other times."""
    while_hit = mine[:, span.cells].sum(axis=1)
    hurt: Mask = (while_hit > 0) & (while_hit >= limits.ALIKE_MIN * seen[:, span.cells].sum(axis=1))
    return hurt


def _alike(mine: Mask, seen: Mask, covered: Mask, span: Span) -> Mask:
    """Which members were bad when the group was, and fine when it was not."""
    while_hit = mine[:, span.cells].sum(axis=1)
    elsewhere = (mine & ~covered).sum(axis=1)
    there = seen[:, span.cells].sum(axis=1)
    alike: Mask = while_hit >= limits.ALIKE_MIN * (there + elsewhere)
    alike &= while_hit > 0
    return alike
