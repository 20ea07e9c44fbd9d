"""How far back reports that come in order can reach: what they may change, and what that takes."""

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct, field

from roomtone.measure.counters import Flow, Key
from roomtone.measure.round_trips import Trip
from roomtone.measure.rtcp import Point
from roomtone.measure.runs import overlap
from roomtone.measure.snapshot import Row, Snapshot
from roomtone.measure.state import Run, Settled, State
from roomtone.model import StreamKind


class Followed(Struct):
    """One stream's unbroken rows, what they tell, and the far end's reports among them.

    `settled_ms` is when the connection had settled after a gap. `told` is [] where nobody looked
    for such reports.
    """

    key: Key
    chain: list[tuple[float, Row]]
    settled_ms: float
    told: list[list[Point]] = field(default_factory=list)
    flows: list[Flow] = field(default_factory=list)


def open_since(
    streams: Iterable[Followed], checks: Sequence[Trip], shots: Sequence[Snapshot], limit_ms: int
) -> float:
    """From when on a connection's next report may change something of what `shots` tell.

    Never more than `limit_ms` back: longer silence is a gap. From a snapshot on, as what lies
    between two of them changes as a whole.
    """
    last_ms = shots[-1].at_ms
    since = [stream_open_since(one) for one in streams if one.chain[-1][0] == last_ms]
    if any(shot.stun is not None for shot in shots):
        since.append(checks[-1].end_ms if checks else last_ms - limit_ms)
    open_ms = max(min(since, default=last_ms), last_ms - limit_ms)
    return next((shot.at_ms for shot in reversed(shots) if shot.at_ms <= open_ms), open_ms)


def stream_open_since(one: Followed) -> float:
    """From when on a stream's next row may change something.

    Silence counts if the stream goes on. What the last two rows told is taken back if the next row
    shows that a counter was too high (`plausible.takes_back`). The far end's next report tells of
    all since its last, and of round trips since the last that was measured.
    """
    since = one.flows[-1].start_ms if one.flows else one.chain[0][0]
    run = one.told[-1] if one.told else []
    if not run:
        return one.chain[0][0] if one.key[1].endswith("Out") else since
    first = len(run) - 1
    while first and run[first].remote.rtt_count == run[first - 1].remote.rtt_count:
        first -= 1
    return min(since, run[first].at_ms, run[-1].remote.at_ms)


def settle(
    known: State,
    flowed: Mapping[StreamKind, Sequence[Run]],
    at_ms: float,
    limit_ms: int,
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
