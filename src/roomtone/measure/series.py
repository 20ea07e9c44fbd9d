"""The measuring itself: a state and new reports -> the new state and the samples they touch.

The state holds the snapshots of the horizon (so that late and shuffled reports measure as if they
had come in order) and where the runs of each kind of stream began. Older intervals are final: they
are the store's.
"""

import bisect
import itertools
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec
import zstandard
from msgspec import Struct, field

from roomtone.measure import counters
from roomtone.measure.counters import Flow, Key
from roomtone.measure.getstats import snapshot
from roomtone.measure.intervals import EMPTY, Grid, Lane, Origin, Sample, runs, samples
from roomtone.measure.report import Report
from roomtone.measure.snapshot import Row, Snapshot
from roomtone.model import COLUMNS, STREAM_KINDS, Column, Stream, StreamKind, iso_ms

CONNECTIONS_MAX: Final = 32
ROWS_MAX: Final = 20_000
"""Rows of all snapshots in a state; above it every other snapshot is given up."""
RUNS_MAX: Final = 16
STATE_BYTES_MAX: Final = 16 * 2**20
ZSTD_LEVEL: Final = 1
HORIZON_S_DEFAULT: Final = 300.0


class Measured(Struct, kw_only=True):
    """What reports told: samples of the intervals they touch (a value replaces, null does not).

    `header`: fields of MediaSession that reports reveal (networkType, localIP). `late`: reports
    older than the horizon, `repeated`: known already; both ignored. `origins`: by kind and column
    where figures are from, when it is not this end's own count; one estimate makes it "estimated".
    """

    streams: dict[StreamKind, list[Stream]] = field(default_factory=dict)
    header: dict[str, str] = field(default_factory=dict)
    late: int = 0
    repeated: int = 0
    origins: dict[StreamKind, dict[Column, Origin]] = field(default_factory=dict)


class Run(Struct, array_like=True):
    """A run of samples that was begun: the phase of its intervals, and the time it covers."""

    origin_ms: int
    start_ms: float
    end_ms: float


class State(Struct, array_like=True):
    """Snapshots by connection, in time's order; runs by kind, oldest first.

    Snapshots before `kept_ms` were given up: intervals that start earlier are final.
    """

    newest_ms: int = 0
    kept_ms: int = 0
    connections: dict[str, list[Snapshot]] = field(default_factory=dict)
    runs: dict[StreamKind, list[Run]] = field(default_factory=dict)


DECODER: Final = msgspec.msgpack.Decoder(State)
ENCODER: Final = msgspec.msgpack.Encoder()


def advance(
    state: bytes,
    reports: Sequence[Report],
    *,
    interval_s: float,
    horizon_s: float = HORIZON_S_DEFAULT,
) -> tuple[bytes, Measured]:
    """Measure new reports of one participant; b"" is the state at first.

    Pure. Order, repetition and the cut into posts make no difference within `horizon_s` (seconds
    behind the newest report), except that a run whose intervals have been told keeps their phase
    when earlier reports of its beginning follow.
    """
    known = unpack(state)
    measured = Measured()
    touched = take(known, reports, measured, horizon_ms=1000 * horizon_s)
    if touched is None:
        return state, measured
    limits = {
        name: counters.gap_ms([shot.at_ms for shot in shots])
        for name, shots in known.connections.items()
    }
    limit_ms = max(limits.values())
    low_ms, high_ms = touched[0] - limit_ms, touched[1] + limit_ms
    size_ms = 1000 * interval_s
    lanes = lanes_of(known, limits, low_ms - limit_ms - size_ms, high_ms + limit_ms + size_ms)
    for kind in STREAM_KINDS:
        if (lane := lanes.get(kind)) is not None and lane.flows:
            tell(known, kind, lane, measured, (low_ms, high_ms), limit_ms, size_ms)
    forget(known, keep_ms=1000 * horizon_s + 4 * limit_ms + size_ms)
    return pack(known), measured


def unpack(state: bytes) -> State:
    """The state of bytes that `advance` returned."""
    if not state:
        return State()
    return DECODER.decode(zstandard.decompress(state, max_output_size=STATE_BYTES_MAX))


def pack(known: State) -> bytes:
    """State as bytes: msgpack in zstandard (a third to a tenth of the size, for 0.1 ms)."""
    return zstandard.compress(ENCODER.encode(known), ZSTD_LEVEL)


def take(
    known: State, reports: Sequence[Report], measured: Measured, *, horizon_ms: float
) -> tuple[int, int] | None:
    """Put new reports in their places; return the time from the neighbours before to those after.

    None when none of them was new.
    """
    oldest_ms = known.newest_ms - horizon_ms
    low_ms: int | None = None
    high_ms = 0
    for report in sorted(reports, key=lambda report: report.timestamp):
        at_ms = round(report.timestamp)
        shots = known.connections.setdefault(report.connection, [])
        place = bisect.bisect_left(shots, at_ms, key=lambda shot: shot.at_ms)
        if place < len(shots) and shots[place].at_ms == at_ms:
            measured.repeated += 1
            continue
        if at_ms < oldest_ms:
            measured.late += 1
            continue
        shot = snapshot(report)
        shots.insert(place, shot)
        before_ms = shots[place - 1].at_ms if place else at_ms
        after_ms = shots[place + 1].at_ms if place + 1 < len(shots) else at_ms
        low_ms = before_ms if low_ms is None else min(low_ms, before_ms)
        high_ms = max(high_ms, after_ms)
        if at_ms >= known.newest_ms:
            known.newest_ms = at_ms
            measured.header |= header_of(shot)
    known.connections = {name: shots for name, shots in known.connections.items() if shots}
    return None if low_ms is None else (low_ms, high_ms)


def header_of(shot: Snapshot) -> dict[str, str]:
    """Header fields that a snapshot knows."""
    fields = {"networkType": shot.network_type, "localIP": shot.local_ip}
    return {name: value for name, value in fields.items() if value}


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
    for key, chain in chains(name, shots, limit_ms):
        lane = lanes.setdefault(key[1], Lane())
        lane.flows += [(key, flow) for flow in counters.flows(chain, limit_ms)]
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
    limit_ms: int,
    size_ms: float,
) -> None:
    """Add the samples of one kind that lie in the touched time to what was measured."""
    told: list[Stream] = []
    origins: dict[Column, Origin] = {}
    for low_ms, high_ms in runs(lane, limit_ms):
        if high_ms < touched[0] or low_ms > touched[1]:
            continue
        mine = runs_at(known, kind, lane, low_ms, high_ms, limit_ms)
        for grid in grids(mine, low_ms, high_ms, size_ms):
            found = samples(lane, grid)
            streams = entries(found, grid, touched, known.kept_ms)
            if streams:
                told += streams
                for sample in found.values():
                    note_origins(origins, sample)
        if told:
            keep_run(known, kind, mine, low_ms, high_ms)
    if told:
        measured.streams[kind] = told
        measured.origins[kind] = origins


def note_origins(origins: dict[Column, Origin], sample: Sample) -> None:
    """Add a sample's origins; an estimate is never forgotten."""
    for column, origin in sample.origins.items():
        if origins.get(column) != "estimated":
            origins[column] = origin


def runs_at(
    known: State, kind: StreamKind, lane: Lane, low_ms: float, high_ms: float, limit_ms: int
) -> list[Run]:
    """The known runs within a span, else a new one.

    A new run's intervals start with it where its beginning was seen. Where reports are missing
    before it, it keeps the phase of the run before: they may still come, and fill the gap.
    """
    told = known.runs.get(kind, [])
    mine = [run for run in told if run.start_ms <= high_ms and run.end_ms >= low_ms]
    if mine:
        return mine
    earlier = [run for run in told if run.end_ms < low_ms]
    if earlier and not beginning_seen(known, lane.flows, low_ms, limit_ms):
        return [Run(earlier[-1].origin_ms, low_ms, high_ms)]
    return [Run(round(low_ms), low_ms, high_ms)]


def beginning_seen(
    known: State, flows: list[tuple[Key, Flow]], low_ms: float, limit_ms: int
) -> bool:
    """Whether the connection that begins a run was watched just before, or is new itself."""
    for key, flow in flows:
        if flow.start_ms == low_ms:
            shots = known.connections[key[0]]
            place = bisect.bisect_left(shots, low_ms, key=lambda shot: shot.at_ms)
            return place == 0 or low_ms - shots[place - 1].at_ms <= limit_ms
    return False


def grids(mine: list[Run], low_ms: float, high_ms: float, size_ms: float) -> Iterator[Grid]:
    """A span cut where runs of different phase meet in it (late reports closed the gap)."""
    starts = [low_ms, *(run.start_ms for run in mine[1:]), high_ms]
    for run, (start_ms, end_ms) in zip(mine, itertools.pairwise(starts), strict=True):
        yield Grid(run.origin_ms, size_ms, start_ms, end_ms)


def keep_run(
    known: State, kind: StreamKind, mine: list[Run], low_ms: float, high_ms: float
) -> None:
    """Remember the runs whose samples were told."""
    mine[0].start_ms = min(mine[0].start_ms, low_ms)
    mine[-1].end_ms = max(mine[-1].end_ms, high_ms)
    others = [run for run in known.runs.get(kind, []) if run not in mine]
    known.runs[kind] = sorted([*others, *mine], key=lambda run: run.start_ms)[-RUNS_MAX:]


def entries(
    found: dict[int, Sample], grid: Grid, touched: tuple[float, float], kept_ms: int
) -> list[Stream]:
    """Samples in the touched time as entries: unbroken, of one codec and transport each."""
    low = grid.first(max(touched[0], grid.low_ms))
    while grid.start_ms(low) < kept_ms:
        low += 1
    high = max((number for number, sample in found.items() if sample.known()), default=low - 1)
    high = min(high, grid.first(touched[1]))
    numbers = list(range(low, high + 1))
    while numbers and numbers[0] == grid.first(grid.low_ms) and not known_at(found, numbers[0]):
        numbers.pop(0)
    told: list[Stream] = []
    for _, group in itertools.groupby(numbers, key=lambda number: labels(found, number)):
        told.append(entry(found, grid, list(group)))
    return told


def known_at(found: dict[int, Sample], number: int) -> bool:
    """Whether anything is known in an interval."""
    return number in found and found[number].known()


def labels(found: dict[int, Sample], number: int) -> tuple[str, str]:
    """Codec and transport in an interval; those of the one before where nothing is known."""
    while number not in found and number > min(found):
        number -= 1
    sample = found.get(number, EMPTY)
    return sample.codec, sample.transport


def entry(found: dict[int, Sample], grid: Grid, numbers: list[int]) -> Stream:
    """Consecutive intervals as an entry; a column that nobody measured is []."""
    columns: dict[str, list[int | float | None]] = {}
    for column in COLUMNS:
        values = [found.get(number, EMPTY).values.get(column) for number in numbers]
        columns[column] = values if any(value is not None for value in values) else []
    codec, transport = labels(found, numbers[-1])
    size_s = grid.size_ms / 1000
    return Stream(
        samplingInterval=int(size_s) if size_s.is_integer() else size_s,
        startTime=iso_ms(grid.start_ms(numbers[0])),
        endTime=iso_ms(round(min(grid.start_ms(numbers[-1] + 1), grid.high_ms))),
        packetLoss=columns["packetLoss"],
        latency=columns["latency"],
        resolutionHeight=columns["resolutionHeight"],
        frameRate=columns["frameRate"],
        mediaBitRate=columns["mediaBitRate"],
        codec=codec,
        jitter=columns["jitter"],
        transportType=transport,
    )


def forget(known: State, *, keep_ms: float) -> None:
    """Give up snapshots that no late report can bring into play again, and keep every bound."""
    oldest_ms = round(known.newest_ms - keep_ms)
    for name, shots in known.connections.items():
        first = bisect.bisect_left(shots, oldest_ms, key=lambda shot: shot.at_ms)
        if first:
            known.kept_ms = max(known.kept_ms, oldest_ms)
            known.connections[name] = shots[min(first, len(shots) - 1) :]
    if len(known.connections) > CONNECTIONS_MAX:
        by_age = sorted(known.connections.items(), key=lambda item: item[1][-1].at_ms)
        known.connections = dict(by_age[-CONNECTIONS_MAX:])
    while row_count(known) > ROWS_MAX and any(len(x) > 2 for x in known.connections.values()):
        for name, shots in known.connections.items():
            known.connections[name] = [*shots[:-1:2], shots[-1]]


def row_count(known: State) -> int:
    """Rows in all snapshots."""
    return sum(1 + len(shot.rows) for shots in known.connections.values() for shot in shots)
