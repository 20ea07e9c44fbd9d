"""What is kept between two posts: the snapshots of the horizon, and where runs began. Bounded."""

import bisect
from collections.abc import Sequence
from typing import Final

import msgspec
import zstandard
from msgspec import Struct, field

from roomtone.measure.far import Carried
from roomtone.measure.origins import Origins
from roomtone.measure.snapshot import Seen, Snapshot
from roomtone.model import Stream, StreamKind

CONNECTIONS_MAX: Final = 256
STREAMS_MAX: Final = 1_000
"""Streams in the latest snapshots of all connections: measuring takes so much longer."""
ROWS_MAX: Final = 20_000
"""Rows of all snapshots in a state; above it every other snapshot is given up."""
STATE_BYTES_MAX: Final = 16 * 2**20
ZSTD_LEVEL: Final = 1


class Measured(Struct, kw_only=True):
    """What reports told: samples of the intervals they touch (a value replaces, null does not).

    `header`: fields of MediaSession that reports reveal (networkType, localIP). `late`: reports
    older than the horizon, `repeated`: known already, `ahead`: of the future; all ignored.
    `origins`: by kind and column where figures are from, in spans. `received`: what it counted of
    others' streams, by SSRC.
    """

    streams: dict[StreamKind, list[Stream]] = field(default_factory=dict)
    header: dict[str, str] = field(default_factory=dict)
    late: int = 0
    repeated: int = 0
    ahead: int = 0
    origins: Origins = field(default_factory=dict)
    received: dict[int, list[Carried]] = field(default_factory=dict)


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


def unpack(state: bytes) -> State:
    """The state of bytes that `advance` returned."""
    if not state:
        return State()
    return DECODER.decode(zstandard.decompress(state, max_output_size=STATE_BYTES_MAX))


def pack(known: State) -> bytes:
    """State as bytes: msgpack in zstandard (a third to a tenth of the size, for 0.1 ms)."""
    return zstandard.compress(ENCODER.encode(known), ZSTD_LEVEL)


def take(
    known: State,
    seen: Sequence[Seen],
    measured: Measured,
    *,
    horizon_ms: float,
    reach_ms: float,
    until_ms: float,
) -> tuple[int, int] | None:
    """Put new snapshots in their places; return the time from the neighbours before to those after.

    None when none of them was new. `reach_ms`: how far one call may reach back from its newest.
    What is later than `until_ms` is of the future, and would make all that is not late.
    """
    measured.ahead = sum(shot.at_ms > until_ms for _, shot in seen)
    if measured.ahead:
        seen = [one for one in seen if one.shot.at_ms <= until_ms]
    if known.newest_ms > until_ms:
        drop_future(known, until_ms)
    newest_ms = max((shot.at_ms for _, shot in seen), default=0)
    oldest_ms = max(known.newest_ms - horizon_ms, newest_ms - reach_ms)
    low_ms: int | None = None
    high_ms = 0
    for connection, shot in sorted(seen, key=lambda one: one.shot.at_ms):
        at_ms = shot.at_ms
        shots = known.connections.setdefault(connection, [])
        place = bisect.bisect_left(shots, at_ms, key=lambda shot: shot.at_ms)
        if place < len(shots) and shots[place].at_ms == at_ms:
            measured.repeated += 1
            continue
        if at_ms < oldest_ms:
            measured.late += 1
            continue
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


def drop_future(known: State, until_ms: float) -> None:
    """Give up what a clock told that was wrong, so that what is told now is not late."""
    for name, shots in known.connections.items():
        last = bisect.bisect_right(shots, until_ms, key=lambda shot: shot.at_ms)
        known.connections[name] = shots[:last]
    known.connections = {name: shots for name, shots in known.connections.items() if shots}
    known.newest_ms = max((shots[-1].at_ms for shots in known.connections.values()), default=0)
    known.kept_ms = min(known.kept_ms, round(until_ms))


def header_of(shot: Snapshot) -> dict[str, str]:
    """Header fields that a snapshot knows."""
    fields = {"networkType": shot.network_type, "localIP": shot.local_ip}
    return {name: value for name, value in fields.items() if value}


def forget(known: State, *, keep_ms: float) -> None:
    """Give up snapshots that no late report can bring into play again, and keep every bound."""
    oldest_ms = round(known.newest_ms - keep_ms)
    for name, shots in known.connections.items():
        first = bisect.bisect_left(shots, oldest_ms, key=lambda shot: shot.at_ms)
        if first:
            known.kept_ms = max(known.kept_ms, oldest_ms)
            known.connections[name] = shots[min(first, len(shots) - 1) :]
    while row_count(known) > ROWS_MAX and any(len(x) > 2 for x in known.connections.values()):
        for name, shots in known.connections.items():
            known.connections[name] = [*shots[:-1:2], shots[-1]]
    drop_eldest(known)


def drop_eldest(known: State) -> None:
    """Give up the connections that were silent longest, until the others are within the bounds."""
    connections = list(known.connections.values())
    over = [
        len(connections) - CONNECTIONS_MAX,
        sum(len(shots[-1].rows) for shots in connections) - STREAMS_MAX,
        row_count(known) - ROWS_MAX,
    ]
    by_age = sorted(known.connections, key=lambda name: known.connections[name][-1].at_ms)
    for name in by_age[:-1]:
        if max(over) <= 0:
            return
        shots = known.connections.pop(name)
        known.kept_ms = max(known.kept_ms, shots[-1].at_ms)
        over = [over[0] - 1, over[1] - len(shots[-1].rows), over[2] - rows_of(shots)]


def rows_of(shots: Sequence[Snapshot]) -> int:
    """Rows in snapshots, of which each counts for one more."""
    return sum(1 + len(shot.rows) for shot in shots)


def row_count(known: State) -> int:
    """Rows in all snapshots."""
    return sum(map(rows_of, known.connections.values()))
