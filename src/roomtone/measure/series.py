"""The measuring itself: a state and new reports -> the new state and the samples they touch.

The state holds the snapshots of the horizon (so that late and shuffled reports measure as if they
had come in order) and where the runs of each kind of stream began. Older intervals are final: they
are the store's.
"""

import math
from collections.abc import Sequence
from copy import copy
from typing import Final

from roomtone.measure import far as far_ends
from roomtone.measure import padding
from roomtone.measure.counters import sure_bits
from roomtone.measure.followed import Following
from roomtone.measure.gaps import gap_ms
from roomtone.measure.intervals import Lane, Sample, Trips, Window, samples
from roomtone.measure.origins import Span, note
from roomtone.measure.runs import Windows, entries, in_phase, keep_runs, legs_of, overlap
from roomtone.measure.settled import keep_following, open_since, settle
from roomtone.measure.snapshot import Seen
from roomtone.measure.state import Measured, Run, State, forget, pack, take, unpack
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
    times = {name: shots.times() for name, shots in known.connections.items()}
    limits = {name: gap_ms(taken_ms) for name, taken_ms in times.items()}
    limit_ms = max(limits.values())
    low_ms = min(low for low, _ in touched) - limit_ms
    high_ms = max(high for _, high in touched) + limit_ms
    needed_ms = low_ms - limit_ms - size_ms
    settled = known.settled if taken and not again and not far else None
    if taken and settled and not settled.holds(taken, limit_ms, size_ms):
        settled = None
    if settled:
        low_ms, needed_ms = settled.at_ms, settled.needed_ms
    following = settled.following if settled else {}
    span = (needed_ms, high_ms + limit_ms + size_ms)
    lanes, open_ms = lanes_of(known, times, limits, span, following, far or {}, measured)
    flowed = legs_by_kind(known, lanes, limits)
    if not settled and begun_before(known, flowed, needed_ms):
        measured.received.clear()
        following = {}
        lanes, open_ms = lanes_of(
            known, times, limits, (0, span[1]), following, far or {}, measured
        )
        flowed = legs_by_kind(known, lanes, limits)
    windows = Windows(size_ms, (low_ms, high_ms), known.kept_ms)
    for kind, legs in flowed.items():
        unsaid_ms = tell(known, kind, lanes[kind], legs, measured, windows)
        open_ms = min(open_ms, max(unsaid_ms, known.newest_ms - limit_ms))
    known.settled = settle(known, flowed, open_ms, limit_ms, size_ms)
    if not far:  # else all is measured anew next time, too
        keep_following(known.settled, following, times)
    forget(known, keep_ms=1000 * horizon_s + 4 * limit_ms + size_ms)
    for name, shots in known.connections.items():
        followed = name in known.settled.following
        shots.seal(shots.open[-1].at_ms if followed else known.settled.needed_ms)
    return pack(known), measured


def legs_by_kind(
    known: State, lanes: dict[StreamKind, Lane], limits: dict[str, float]
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
    times: dict[str, list[int]],
    limits: dict[str, float],
    span: tuple[float, float],
    following: dict[str, Following],
    far: far_ends.Far,
    measured: Measured,
) -> tuple[dict[StreamKind, Lane], float]:
    """All that the snapshots between two times tell, by kind of stream.

    And from when on reports in order may change it (ms). `following`: what is known of connections
    already, and then of those that were looked at to their last snapshot. What is told of other
    participants' streams goes to `measured`.
    """
    lanes: dict[StreamKind, Lane] = {}
    trips = Trips()
    open_ms = float(known.newest_ms)
    for name, shots in known.connections.items():
        one, limit_ms, last_ms = following.get(name), limits[name], shots.open[-1].at_ms
        if one is not None and one.limit_ms == limit_ms:
            one.follow(shots.since(one.at_ms))
        else:
            one = Following(limit_ms)
            one.follow(shots.between(*span))
        if not one.replies and not any(one.sent_trips()):
            one = Following(limit_ms, replies=True)
            one.follow(shots.between(*span))
        add_streams(lanes, trips, name, one, far, measured)
        add_trips(lanes, one)
        if one.at_ms != last_ms:
            following.pop(name, None)
            open_ms = min(open_ms, last_ms - limit_ms)
            continue
        following[name] = one
        if known.newest_ms - last_ms <= limit_ms:
            open_ms = min(open_ms, open_since(one, times[name], span[0]))
    return lanes, open_ms


def add_streams(
    lanes: dict[StreamKind, Lane],
    trips: Trips,
    name: str,
    following: Following,
    far: far_ends.Far,
    measured: Measured,
) -> None:
    """Add one connection's streams, with what their receivers counted of those that it sends."""
    streams = following.streams()
    quiet = padding.quiet(one.losing for one in streams if one.losing is not None)
    for one in streams:
        key = (name, one.kind, one.ssrc)
        if (lane := lanes.get(one.kind)) is None:
            lane = lanes[one.kind] = Lane(trips=trips)
        flows = one.counted.flows
        if one.losing is not None and one.reports is not None:
            flows, reports = sure_bits(flows, quiet), one.reports.heard
            theirs = far.get(one.ssrc)
            if theirs and far_ends.agrees(theirs, one.reports.runs):
                flows, reports = list(map(copy, flows)), list(map(copy, reports))
                far_ends.fill_bits(flows, theirs)
                lane.counted.setdefault(key, []).extend(far_ends.heard(theirs, reports))
            lane.heard.setdefault(key, []).extend(reports)
        elif spans := far_ends.carried(one.kind, flows):
            measured.received.setdefault(one.ssrc, []).extend(spans)
        if flows:
            lane.flows.setdefault(key, []).extend(flows)


def add_trips(lanes: dict[StreamKind, Lane], following: Following) -> None:
    """Add one connection's round trips, also to the streams that have none themselves.

    An incoming stream's latency is that of the connection: of the far end's reports on what this
    end sends, else of its sender reports' replies (webrtc-stats, remote-outbound roundTripTime).
    """
    sent = following.sent_trips()
    incoming: set[StreamKind] = set()
    for one in following.streams():
        if one.losing is None:
            incoming.add(one.kind)
        if one.reports is not None and (one.losing is not None or not any(sent)):
            lanes[one.kind].rtcp.append(one.reports.trips)
    for kind in incoming if any(sent) else ():
        lanes[kind].rtcp += sent
    for kind in {one.kind for one in following.streams()}:
        lanes[kind].stun.append(following.checks.trips)


def tell(
    known: State,
    kind: StreamKind,
    lane: Lane,
    flowed: list[Run],
    measured: Measured,
    windows: Windows,
) -> float:
    """Add the samples of one kind that are to be told to what was measured.

    Returns the end of the last that is known (ms): those behind it are told with the next known.
    """
    told: list[Stream] = []
    origins: dict[Column, list[Span]] = {}
    unsaid_ms: float = windows.touched[1]
    for legs in in_phase(flowed, windows.size_ms):
        window = windows.of(legs)
        if not window.numbers:
            unsaid_ms = window.grid.start_ms(window.grid.first(window.grid.high_ms))
            continue
        found = samples(lane, window)
        if streams := entries(found, window):
            told += streams
            note_origins(origins, found, window)
            keep_runs(known, kind, legs)
        known_until = [number + 1 for number in found if found[number].known()]
        unsaid_ms = window.start_ms(max(known_until, default=window.numbers[0]))
    if told:
        measured.streams[kind] = told
        measured.origins[kind] = origins
    return unsaid_ms


def note_origins(
    origins: dict[Column, list[Span]], found: dict[int, Sample], window: Window
) -> None:
    """Add where the samples' figures are from, neighbours that agree together."""
    numbers = sorted(found)
    while numbers:
        first = last = numbers.pop(0)
        whose = found[first].origins
        while numbers and numbers[0] == last + 1 and found[numbers[0]].origins == whose:
            last = numbers.pop(0)
        start_ms, end_ms = window.start_ms(first), window.start_ms(last + 1)
        for column, origin in whose.items():
            note(origins.setdefault(column, []), start_ms, end_ms, origin)
