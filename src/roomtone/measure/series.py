"""The measuring itself: a state and new reports -> the new state and the samples they touch.

The state holds the snapshots of the horizon (so that late and shuffled reports measure as if they
had come in order) and where the runs of each kind of stream began. Older intervals are final: they
are the store's.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from operator import attrgetter
from typing import Final

from roomtone.measure import counters, padding, round_trips, rtcp
from roomtone.measure import far as far_ends
from roomtone.measure.counters import Key
from roomtone.measure.gaps import SETTLE_MS, gap_ms
from roomtone.measure.intervals import Grid, Lane, Sample, Trips, samples
from roomtone.measure.origins import Span, note
from roomtone.measure.runs import entries, in_phase, keep_runs, legs_of, overlap, touched_numbers
from roomtone.measure.settled import Followed, open_since, settle
from roomtone.measure.snapshot import Row, Seen, Snapshot
from roomtone.measure.state import Measured, Run, State, forget, pack, take, unpack
from roomtone.model import STREAM_KINDS, Column, Stream, StreamKind

HORIZON_S_DEFAULT: Final = 300.0
AHEAD_MS_MAX: Final = round(1000 * HORIZON_S_DEFAULT)
"""What is further ahead of the clock is of no clock that is right. No more than the horizon: what
comes at the right time after it is not late."""
INTERVALS_MAX: Final = 3_600
"""Intervals that one call may reach back from its newest report; earlier reports are late."""

kind_and_ssrc: Final = attrgetter("kind", "ssrc")


def advance(
    state: bytes,
    seen: Sequence[Seen],
    *,
    interval_s: float,
    horizon_s: float = HORIZON_S_DEFAULT,
    far: far_ends.Far | None = None,
    again: tuple[float, float] | None = None,
    now_ms: float | None = None,
) -> tuple[bytes, Measured]:
    """Measure what was newly seen of one participant; b"" is the state at first.

    `far`: what others received of the streams that this participant sends; `again`: the time (ms)
    in which that is news, to be measured anew. `now_ms`: what lies more than `AHEAD_MS_MAX` ahead
    of it is counted and not measured; None: times are what they are, as in files.

    Pure. Order, repetition and the cut into posts make no difference within `horizon_s` (seconds
    behind the newest report), with two exceptions, because what was told cannot be taken back: a
    run whose intervals have been told keeps their phase when reports of its beginning follow, and
    a value found while reports were missing stays where all of them together leave it unknown.
    """
    assert interval_s > 0, "an interval takes time"
    known = unpack(state)
    measured = Measured()
    size_ms = 1000 * interval_s
    taken = take(
        known,
        seen,
        measured,
        horizon_ms=1000 * horizon_s,
        reach_ms=max(INTERVALS_MAX * size_ms, 1000 * horizon_s),
        until_ms=math.inf if now_ms is None else now_ms + AHEAD_MS_MAX,
    )
    touched = [span[:2] for span in (taken, again) if span is not None]
    if not touched or not known.connections:
        return state, measured
    limits = {name: gap_ms(shots.times()) for name, shots in known.connections.items()}
    limit_ms = max(limits.values())
    low_ms = min(low for low, _ in touched) - limit_ms
    high_ms = max(high for _, high in touched) + limit_ms
    needed_ms = low_ms - limit_ms - size_ms
    settled = known.settled if taken and not again and not far else None
    if taken and settled and not settled.holds(taken, limit_ms, size_ms):
        settled = None
    if settled:
        low_ms, needed_ms = settled.at_ms, settled.needed_ms
    span = (needed_ms, high_ms + limit_ms + size_ms)
    lanes, open_ms = lanes_of(known, limits, span, far or {}, measured)
    flowed = legs_by_kind(known, lanes, limits)
    if not settled and begun_before(known, flowed, needed_ms):
        measured.received.clear()
        lanes, open_ms = lanes_of(known, limits, (0, span[1]), far or {}, measured)
        flowed = legs_by_kind(known, lanes, limits)
    for kind, legs in flowed.items():
        unsaid_ms = tell(known, kind, lanes[kind], legs, measured, (low_ms, high_ms), size_ms)
        open_ms = min(open_ms, max(unsaid_ms, known.newest_ms - limit_ms))
    known.settled = settle(known, flowed, open_ms, limit_ms, size_ms)
    forget(known, keep_ms=1000 * horizon_s + 4 * limit_ms + size_ms)
    for shots in known.connections.values():
        shots.seal(known.settled.needed_ms)
    return pack(known), measured


def legs_by_kind(
    known: State, lanes: dict[StreamKind, Lane], limits: dict[str, int]
) -> dict[StreamKind, list[Run]]:
    """When each kind flowed."""
    return {
        kind: legs_of(known, kind, lane, limits)
        for kind in STREAM_KINDS
        if (lane := lanes.get(kind)) is not None and lane.flows
    }


def begun_before(known: State, flowed: dict[StreamKind, list[Run]], looked_ms: float) -> bool:
    """Whether a run of which nothing was told begins before the time that was looked at.

    Its phase is that of its beginning, and others may take it over.
    """
    return any(
        leg.start_ms < looked_ms and not any(overlap(run, leg) for run in known.runs.get(kind, []))
        for kind, legs in flowed.items()
        for leg in legs[:1]
    )


def lanes_of(
    known: State,
    limits: dict[str, int],
    span: tuple[float, float],
    far: far_ends.Far,
    measured: Measured,
) -> tuple[dict[StreamKind, Lane], float]:
    """All that the snapshots between two times tell, by kind of stream.

    And from when on reports in order may change it (ms). What it tells of other participants'
    streams goes to `measured`.
    """
    lanes: dict[StreamKind, Lane] = {}
    trips = Trips()
    open_ms = float(known.newest_ms)
    for name, shots in known.connections.items():
        looked, limit_ms = shots.between(*span), limits[name]
        followed = [
            Followed(key, chain, settled_ms)
            for key, chain, settled_ms in chains(name, looked, limit_ms)
        ]
        add_streams(lanes, trips, followed, limit_ms, far, measured)
        checks = round_trips.checked(looked, limit_ms)
        add_trips(lanes, followed, checks, limit_ms)
        last_ms = shots.open[-1].at_ms
        if looked[-1].at_ms != last_ms:
            open_ms = min(open_ms, last_ms - limit_ms)
        elif known.newest_ms - last_ms <= limit_ms:
            open_ms = min(open_ms, open_since(followed, checks, looked, limit_ms))
    return lanes, open_ms


def add_streams(
    lanes: dict[StreamKind, Lane],
    trips: Trips,
    followed: list[Followed],
    limit_ms: int,
    far: far_ends.Far,
    measured: Measured,
) -> None:
    """Add one connection's streams, with what their receivers counted of those that it sends."""
    quiet = padding.quiet(one.chain for one in followed if one.key[1].endswith("Out"))
    for one in followed:
        _, kind, ssrc = one.key
        if (lane := lanes.get(kind)) is None:
            lane = lanes[kind] = Lane(trips=trips)
        one.flows = flows = counters.flows(one.chain, limit_ms, quiet, one.settled_ms)
        if kind.endswith("Out"):
            one.told = rtcp.points(one.chain, limit_ms, one.settled_ms)
            reports = rtcp.heard(one.told, limit_ms)
            theirs = far.get(ssrc)
            if theirs and far_ends.agrees(theirs, one.told):
                far_ends.fill_bits(flows, theirs)
                lane.counted.setdefault(one.key, []).extend(far_ends.heard(theirs, reports))
            lane.heard.setdefault(one.key, []).extend(reports)
        elif spans := far_ends.carried(kind, one.chain, flows):
            measured.received.setdefault(ssrc, []).extend(spans)
        if flows:
            lane.flows.setdefault(one.key, []).extend(flows)


def add_trips(
    lanes: dict[StreamKind, Lane],
    followed: list[Followed],
    checks: list[round_trips.Trip],
    limit_ms: int,
) -> None:
    """Add one connection's round trips, also to the streams that have none themselves.

    An incoming stream's latency is that of the connection: of the far end's reports on what this
    end sends, else of its sender reports' replies (webrtc-stats, remote-outbound roundTripTime).
    """
    sent: list[list[round_trips.Trip]] = []
    incoming: list[Followed] = []
    for one in followed:
        _, kind, _ = one.key
        if kind.endswith("Out"):
            own = round_trips.reported(one.told, limit_ms)
            lanes[kind].rtcp.append(own)
            sent.append(own)
        else:
            incoming.append(one)
    if any(sent):
        for kind in {one.key[1] for one in incoming}:
            lanes[kind].rtcp += sent
    else:
        for one in incoming:
            one.told = rtcp.points(one.chain, limit_ms, one.settled_ms)
            lanes[one.key[1]].rtcp.append(round_trips.reported(one.told, limit_ms))
    for kind in {one.key[1] for one in followed}:
        lanes[kind].stun.append(checks)


def chains(
    name: str, shots: list[Snapshot], limit_ms: int
) -> Iterator[tuple[Key, list[tuple[float, Row]], float]]:
    """Each stream's rows in snapshots that follow each other; absence or a gap ends a chain.

    The time is when the connection had settled after the gap before.
    """
    gaps = [
        place
        for place, (before, shot) in enumerate(itertools.pairwise(shots), start=1)
        if shot.at_ms - before.at_ms > limit_ms
    ]
    for first, end in itertools.pairwise([0, *gaps, len(shots)]):
        settled_ms = shots[first].at_ms + SETTLE_MS if first else 0.0
        for key, chain in unbroken(name, shots[first:end]):
            yield key, chain, settled_ms


def unbroken(name: str, shots: list[Snapshot]) -> Iterator[tuple[Key, list[tuple[float, Row]]]]:
    """Each stream's rows in snapshots without a gap; absence ends a chain."""
    streams = [[*map(kind_and_ssrc, shot.rows)] for shot in shots]
    if streams.count(streams[0]) == len(streams) and len({*streams[0]}) == len(streams[0]):
        times = [float(shot.at_ms) for shot in shots]
        columns = zip(*[shot.rows for shot in shots], strict=True)
        for (kind, ssrc), column in zip(streams[0], columns, strict=True):
            yield (name, kind, ssrc), [*zip(times, column, strict=True)]
        return
    open_chains: dict[Key, list[tuple[float, Row]]] = {}
    for shot in shots:
        rows = {(name, row.kind, row.ssrc): row for row in shot.rows}
        for key in [key for key in open_chains if key not in rows]:
            yield key, open_chains.pop(key)
        for key, row in rows.items():
            open_chains.setdefault(key, []).append((float(shot.at_ms), row))
    yield from open_chains.items()


def tell(
    known: State,
    kind: StreamKind,
    lane: Lane,
    flowed: list[Run],
    measured: Measured,
    touched: tuple[float, float],
    size_ms: float,
) -> float:
    """Add the samples of one kind that lie in the touched time to what was measured.

    Returns the end of the last that is known (ms): those behind it are told with the next known.
    """
    told: list[Stream] = []
    origins: dict[Column, list[Span]] = {}
    unsaid_ms = touched[1]
    for legs in in_phase(flowed, size_ms):
        grid = Grid(legs[0].origin_ms, size_ms, legs[0].start_ms, legs[-1].end_ms)
        numbers = touched_numbers(grid, touched, known.kept_ms)
        if not numbers:
            unsaid_ms = grid.start_ms(grid.first(grid.high_ms))
            continue
        found = samples(lane, grid, numbers)
        if streams := entries(found, grid, legs, numbers):
            told += streams
            note_origins(origins, found, grid)
            keep_runs(known, kind, legs)
        known_until = [number + 1 for number in found if found[number].known()]
        unsaid_ms = grid.start_ms(max(known_until, default=numbers[0]))
    if told:
        measured.streams[kind] = told
        measured.origins[kind] = origins
    return unsaid_ms


def note_origins(origins: dict[Column, list[Span]], found: dict[int, Sample], grid: Grid) -> None:
    """Add where the samples' figures are from."""
    for number in sorted(found):
        start_ms, end_ms = grid.start_ms(number), grid.start_ms(number + 1)
        for column, origin in found[number].origins.items():
            note(origins.setdefault(column, []), start_ms, end_ms, origin)
