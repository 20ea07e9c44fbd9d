"""How far back reports that come in order can reach: what they may change, and what that takes."""

import bisect
from collections.abc import Mapping, Sequence

from roomtone.measure.followed import Following
from roomtone.measure.runs import overlap
from roomtone.measure.state import Run, Settled, State
from roomtone.model import StreamKind


def open_since(following: Following, times: Sequence[int], needed_ms: float) -> float:
    """From when on a connection's next report may change something of what was told.

    Never more than its limit back: longer silence is a gap. From a snapshot on, as what lies
    between two of them (`times`) changes as a whole. Those from before `needed_ms` on were looked
    at.
    """
    last_ms, limit_ms, checks = following.at_ms, following.limit_ms, following.checks
    since = [one.open_since() for one in following.open]
    if checks.seen_ms >= last_before(times, needed_ms):
        since.append(checks.trips[-1].end_ms if checks.trips else last_ms - limit_ms)
    open_ms = max(min(since, default=last_ms), last_ms - limit_ms)
    return next((at_ms for at_ms in reversed(times) if at_ms <= open_ms), open_ms)


def last_before(times: Sequence[int], at_ms: float) -> int:
    """The last of the times before one, or the first of all."""
    return times[max(bisect.bisect_left(times, at_ms) - 1, 0)]


def settle(
    known: State,
    flowed: Mapping[StreamKind, Sequence[Run]],
    at_ms: float,
    limit_ms: float,
    size_ms: float,
) -> Settled:
    """What is settled when later reports change nothing before `at_ms`.

    To measure the intervals from there on takes snapshots from where the first of them starts; of a
    run of which nothing was told yet those of its beginning, too: it sets the phase. And as many
    before as silence, or the way from one report of the far end to the next, may be long.
    """
    needed_ms = at_ms
    for kind, legs in flowed.items():
        told = known.runs.get(kind, [])
        for leg in legs:
            start_ms = leg.start_ms
            if any(run.origin_ms == leg.origin_ms and overlap(run, leg) for run in told):
                start_ms = leg.origin_ms + (at_ms - leg.origin_ms) // size_ms * size_ms
            if leg.end_ms >= start_ms:
                needed_ms = min(needed_ms, start_ms)
    return Settled(at_ms, max(needed_ms, at_ms - size_ms) - limit_ms, limit_ms, size_ms)


def keep_following(
    settled: Settled, following: dict[str, Following], times: Mapping[str, Sequence[int]]
) -> None:
    """Keep what is known of connections, of the time that is needed, for the next post."""
    settled.following = following
    for name, one in following.items():
        one.forget(float(last_before(times[name], settled.needed_ms)))
