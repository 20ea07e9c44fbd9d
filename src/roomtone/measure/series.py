"""The measuring itself: a state and new reports -> the new state and the samples they touch.

The state holds the snapshots of the horizon (so that late and shuffled reports measure as if they
had come in order) and where the runs of each kind of stream began. Older intervals are final: they
are the store's.
"""

import bisect
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from roomtone.measure import counters, padding
from roomtone.measure.counters import Key
from roomtone.measure.intervals import Grid, Lane, Origin, Sample, samples
from roomtone.measure.runs import entries, in_phase, keep_runs, legs_of, touched_numbers
from roomtone.measure.snapshot import Row, Seen, Snapshot
from roomtone.measure.state import Measured, State, forget, pack, take, unpack
from roomtone.model import STREAM_KINDS, Column, Stream, StreamKind

HORIZON_S_DEFAULT: Final = 300.0
INTERVALS_MAX: Final = 3_600
"""Intervals that one call may reach back from its newest report; earlier reports are late."""


def advance(
    state: bytes,
    seen: Sequence[Seen],
    *,
    interval_s: float,
    horizon_s: float = HORIZON_S_DEFAULT,
) -> tuple[bytes, Measured]:
    """Measure what was newly seen of one participant; b"" is the state at first.

    Pure. Order, repetition and the cut into posts make no difference within `horizon_s` (seconds
    behind the newest report), with two exceptions, because what was told cannot be taken back: a
    run whose intervals have been told keeps their phase when reports of its beginning follow, and
    a value found while reports were missing stays where all of them together leave it unknown.
    """
    assert interval_s > 0, "an interval takes time"
    known = unpack(state)
    measured = Measured()
    size_ms = 1000 * interval_s
    touched = take(
        known,
        seen,
        measured,
        horizon_ms=1000 * horizon_s,
        reach_ms=max(INTERVALS_MAX * size_ms, 1000 * horizon_s),
    )
    if touched is None:
        return state, measured
    limits = {
        name: counters.gap_ms([shot.at_ms for shot in shots])
        for name, shots in known.connections.items()
    }
    limit_ms = max(limits.values())
    low_ms, high_ms = touched[0] - limit_ms, touched[1] + limit_ms
    lanes = lanes_of(known, limits, low_ms - limit_ms - size_ms, high_ms + limit_ms + size_ms)
    for kind in STREAM_KINDS:
        if (lane := lanes.get(kind)) is not None and lane.flows:
            tell(known, kind, lane, measured, (low_ms, high_ms), limits, size_ms)
    forget(known, keep_ms=1000 * horizon_s + 4 * limit_ms + size_ms)
    return pack(known), measured


def lanes_of(
    known: State, limits: dict[str, int], low_ms: float, high_ms: float
) -> dict[StreamKind, Lane]:
    """All that the snapshots between two times tell, by kind of stream."""
    lanes: dict[StreamKind, Lane] = {}
    for name, shots in known.connections.items():
        first = max(bisect.bisect_left(shots, low_ms, key=lambda shot: shot.at_ms) - 1, 0)
        last = bisect.bisect_right(shots, high_ms, key=lambda shot: shot.at_ms) + 1
        add_connection(lanes, name, shots[first:last], limits[name])
    return lanes


def add_connection(
    lanes: dict[StreamKind, Lane], name: str, shots: list[Snapshot], limit_ms: int
) -> None:
    """Add one connection's streams, and its round trips to the streams that have none themselves.

    An incoming stream's latency is that of the connection: of the far end's reports on what this
    end sends, else of its sender reports' replies (webrtc-stats, remote-outbound roundTripTime).
    """
    own: dict[StreamKind, list[counters.Trip]] = {}
    found_chains = list(chains(name, shots, limit_ms))
    quiet = padding.quiet(chain for key, chain in found_chains if key[1].endswith("Out"))
    for key, chain in found_chains:
        lane = lanes.setdefault(key[1], Lane())
        lane.flows += [(key, flow) for flow in counters.flows(chain, limit_ms, quiet)]
        told = counters.points(chain)
        own.setdefault(key[1], []).extend(counters.trips(told, limit_ms))
        if key[1].endswith("Out"):
            lane.heard += [(key, heard) for heard in counters.heard(told, limit_ms)]
    sent = [trip for kind, found in own.items() if kind.endswith("Out") for trip in found]
    checks = counters.stun_trips(shots, limit_ms)
    for kind, found in own.items():
        lanes[kind].rtcp += found if kind.endswith("Out") else sent or found
        lanes[kind].stun += checks


def chains(
    name: str, shots: list[Snapshot], limit_ms: int
) -> Iterator[tuple[Key, list[tuple[int, Row]]]]:
    """Each stream's rows in snapshots that follow each other; absence or a gap ends a chain."""
    open_chains: dict[Key, list[tuple[int, Row]]] = {}
    for before, shot in itertools.pairwise([None, *shots]):
        assert shot is not None
        rows = {(name, row.kind, row.ssrc): row for row in shot.rows}
        broken = before is not None and shot.at_ms - before.at_ms > limit_ms
        for key in [key for key in open_chains if broken or key not in rows]:
            yield key, open_chains.pop(key)
        for key, row in rows.items():
            open_chains.setdefault(key, []).append((shot.at_ms, row))
    yield from open_chains.items()


def tell(
    known: State,
    kind: StreamKind,
    lane: Lane,
    measured: Measured,
    touched: tuple[float, float],
    limits: dict[str, int],
    size_ms: float,
) -> None:
    """Add the samples of one kind that lie in the touched time to what was measured."""
    told: list[Stream] = []
    origins: dict[Column, Origin] = {}
    for legs in in_phase(legs_of(known, kind, lane, limits), size_ms):
        grid = Grid(legs[0].origin_ms, size_ms, legs[0].start_ms, legs[-1].end_ms)
        numbers = touched_numbers(grid, touched, known.kept_ms)
        if not numbers:
            continue
        found = samples(lane, grid, numbers)
        if streams := entries(found, grid, legs, numbers):
            told += streams
            note_origins(origins, found.values())
            keep_runs(known, kind, legs)
    if told:
        measured.streams[kind] = told
        measured.origins[kind] = origins


def note_origins(origins: dict[Column, Origin], found: Iterable[Sample]) -> None:
    """Add the samples' origins; an estimate is never forgotten."""
    for sample in found:
        for column, origin in sample.origins.items():
            if origins.get(column) != "estimated":
                origins[column] = origin
