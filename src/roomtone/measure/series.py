"""The measuring itself: a state and new reports -> the new state and the samples they touch.

The state holds the snapshots of the horizon (so that late and shuffled reports measure as if they
had come in order) and where the runs of each kind of stream began. Older intervals are final: they
are the store's.
"""

import bisect
import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Final

from roomtone.measure import counters, padding
from roomtone.measure import far as far_ends
from roomtone.measure.counters import Key
from roomtone.measure.gaps import SETTLE_MS, gap_ms
from roomtone.measure.intervals import Grid, Lane, Sample, samples
from roomtone.measure.origins import Span, note
from roomtone.measure.runs import entries, in_phase, keep_runs, legs_of, touched_numbers
from roomtone.measure.snapshot import Row, Seen, Snapshot
from roomtone.measure.state import Measured, State, forget, pack, take, unpack
from roomtone.model import STREAM_KINDS, Column, Stream, StreamKind

HORIZON_S_DEFAULT: Final = 300.0
AHEAD_MS_MAX: Final = round(1000 * HORIZON_S_DEFAULT)
"""What is further ahead of the clock is of no clock that is right. No more than the horizon: what
comes at the right time after it is not late."""
INTERVALS_MAX: Final = 3_600
"""Intervals that one call may reach back from its newest report; earlier reports are late."""


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
    touched: tuple[float, float] | None = take(
        known,
        seen,
        measured,
        horizon_ms=1000 * horizon_s,
        reach_ms=max(INTERVALS_MAX * size_ms, 1000 * horizon_s),
        until_ms=math.inf if now_ms is None else now_ms + AHEAD_MS_MAX,
    )
    spans = [span for span in (touched, again) if span is not None]
    if not spans or not known.connections:
        return state, measured
    touched = min(low for low, _ in spans), max(high for _, high in spans)
    limits = {
        name: gap_ms([shot.at_ms for shot in shots]) for name, shots in known.connections.items()
    }
    limit_ms = max(limits.values())
    low_ms, high_ms = touched[0] - limit_ms, touched[1] + limit_ms
    span = (low_ms - limit_ms - size_ms, high_ms + limit_ms + size_ms)
    lanes = lanes_of(known, limits, span, far or {}, measured)
    for kind in STREAM_KINDS:
        if (lane := lanes.get(kind)) is not None and lane.flows:
            tell(known, kind, lane, measured, (low_ms, high_ms), limits, size_ms)
    forget(known, keep_ms=1000 * horizon_s + 4 * limit_ms + size_ms)
    return pack(known), measured


def lanes_of(
    known: State,
    limits: dict[str, int],
    span: tuple[float, float],
    far: far_ends.Far,
    measured: Measured,
) -> dict[StreamKind, Lane]:
    """All that the snapshots between two times tell, by kind of stream.

    What it tells of other participants' streams goes to `measured`.
    """
    lanes: dict[StreamKind, Lane] = {}
    low_ms, high_ms = span
    for name, shots in known.connections.items():
        first = max(bisect.bisect_left(shots, low_ms, key=lambda shot: shot.at_ms) - 1, 0)
        last = bisect.bisect_right(shots, high_ms, key=lambda shot: shot.at_ms) + 1
        found = [
            (key, chain, settled_ms, counters.points(chain, limits[name], settled_ms))
            for key, chain, settled_ms in chains(name, shots[first:last], limits[name])
        ]
        add_streams(lanes, found, limits[name], far, measured)
        add_trips(lanes, found, shots[first:last], limits[name])
    return lanes


Chains = list[tuple[Key, list[tuple[int, Row]], float, list[list[counters.Point]]]]
"""Streams with their rows, when these had settled, and the far end's reports among them."""


def add_streams(
    lanes: dict[StreamKind, Lane],
    found_chains: Chains,
    limit_ms: int,
    far: far_ends.Far,
    measured: Measured,
) -> None:
    """Add one connection's streams, with what their receivers counted of those that it sends."""
    quiet = padding.quiet(chain for key, chain, _, _ in found_chains if key[1].endswith("Out"))
    for key, chain, settled_ms, told in found_chains:
        _, kind, ssrc = key
        lane = lanes.setdefault(kind, Lane())
        flows = counters.flows(chain, limit_ms, quiet, settled_ms)
        if kind.endswith("Out"):
            reports = counters.heard(told, limit_ms)
            theirs = far.get(ssrc)
            if theirs and far_ends.agrees(theirs, told):
                far_ends.fill_bits(flows, theirs)
                reports += far_ends.heard(theirs, reports)
            lane.heard.setdefault(key, []).extend(reports)
        elif spans := far_ends.carried(kind, chain, flows):
            measured.received.setdefault(ssrc, []).extend(spans)
        if flows:
            lane.flows.setdefault(key, []).extend(flows)


def add_trips(
    lanes: dict[StreamKind, Lane], found_chains: Chains, shots: list[Snapshot], limit_ms: int
) -> None:
    """Add one connection's round trips, also to the streams that have none themselves.

    An incoming stream's latency is that of the connection: of the far end's reports on what this
    end sends, else of its sender reports' replies (webrtc-stats, remote-outbound roundTripTime).
    """
    own: dict[StreamKind, list[counters.Trip]] = {}
    for key, _, _, told in found_chains:
        own.setdefault(key[1], []).extend(counters.trips(told, limit_ms))
    sent = [trip for kind, found in own.items() if kind.endswith("Out") for trip in found]
    checks = counters.stun_trips(shots, limit_ms)
    for kind, found in own.items():
        lanes[kind].rtcp += found if kind.endswith("Out") else sent or found
        lanes[kind].stun += checks


def chains(
    name: str, shots: list[Snapshot], limit_ms: int
) -> Iterator[tuple[Key, list[tuple[int, Row]], float]]:
    """Each stream's rows in snapshots that follow each other; absence or a gap ends a chain.

    The time is when the connection had settled after the gap before.
    """
    open_chains: dict[Key, list[tuple[int, Row]]] = {}
    settled_ms = 0.0
    for before, shot in itertools.pairwise([None, *shots]):
        assert shot is not None
        rows = {(name, row.kind, row.ssrc): row for row in shot.rows}
        broken = before is not None and shot.at_ms - before.at_ms > limit_ms
        for key in [key for key in open_chains if broken or key not in rows]:
            yield key, open_chains.pop(key), settled_ms
        if broken:
            settled_ms = shot.at_ms + SETTLE_MS
        for key, row in rows.items():
            open_chains.setdefault(key, []).append((shot.at_ms, row))
    for key, chain in open_chains.items():
        yield key, chain, settled_ms


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
    origins: dict[Column, list[Span]] = {}
    for legs in in_phase(legs_of(known, kind, lane, limits), size_ms):
        grid = Grid(legs[0].origin_ms, size_ms, legs[0].start_ms, legs[-1].end_ms)
        numbers = touched_numbers(grid, touched, known.kept_ms)
        if not numbers:
            continue
        found = samples(lane, grid, numbers)
        if streams := entries(found, grid, legs, numbers):
            told += streams
            note_origins(origins, found, grid)
            keep_runs(known, kind, legs)
    if told:
        measured.streams[kind] = told
        measured.origins[kind] = origins


def note_origins(origins: dict[Column, list[Span]], found: dict[int, Sample], grid: Grid) -> None:
    """Add where the samples' figures are from."""
    for number in sorted(found):
        for column, origin in found[number].origins.items():
            start_ms, end_ms = grid.start_ms(number), grid.start_ms(number + 1)
            note(origins.setdefault(column, []), start_ms, end_ms, origin)
