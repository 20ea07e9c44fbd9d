"""What is kept between two posts: the snapshots of the horizon, and where runs began. Bounded."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec
from msgspec import Struct, field

from roomtone.measure.far import Carried
from roomtone.measure.followed import Following
from roomtone.measure.origins import Origins
from roomtone.measure.shots import Shots
from roomtone.measure.snapshot import Seen, Snapshot
from roomtone.model import Stream, StreamKind

CONNECTIONS_MAX: Final = 256
STREAMS_MAX: Final = 1_000
"""Streams in the latest snapshots of all connections: measuring takes so much longer."""
ROWS_MAX: Final = 20_000
"""Rows of all snapshots in a state; above it every other snapshot is given up."""
FORMAT: Final = b"\x03"
"""What a state begins with. Another number for every other shape, of snapshots too."""


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


class Touched(NamedTuple):
    """The time that new snapshots touch: from the neighbours before to those after.

    `in_order`: none of them came late.
    """

    low_ms: float
    high_ms: float
    in_order: bool


class Settled(Struct, array_like=True):
    """What reports that come in order can no longer change, by the limit and size of intervals.

    They change nothing before `at_ms`, and to measure from there takes snapshots from `needed_ms`,
    or what they told: `following` of each connection that was followed to its last one.
    """

    at_ms: float
    needed_ms: float
    limit_ms: float
    size_ms: float
    following: dict[str, Following] = field(default_factory=dict)

    def holds(self, touched: Touched, limit_ms: float, size_ms: float) -> bool:
        """Whether what was touched came in order, and all else is as it was."""
        same = (limit_ms, size_ms) == (self.limit_ms, self.size_ms)
        return same and touched.in_order and touched.low_ms >= self.at_ms


class State(Struct, array_like=True):
    """Snapshots by connection; runs by kind, oldest first.

    Snapshots before `kept_ms` were given up: intervals that start earlier are final.
    """

    newest_ms: int = 0
    kept_ms: int = 0
    connections: dict[str, Shots] = field(default_factory=dict)
    runs: dict[StreamKind, list[Run]] = field(default_factory=dict)
    settled: Settled | None = None


DECODER: Final = msgspec.msgpack.Decoder(State)
ENCODER: Final = msgspec.msgpack.Encoder()


def unpack(state: bytes) -> State:
    """The state of bytes that `pack` gave; that of another version's is empty: it begins anew."""
    if not state.startswith(FORMAT):
        return State()
    return DECODER.decode(memoryview(state)[len(FORMAT) :])


def pack(known: State) -> bytes:
    """State as bytes."""
    return FORMAT + ENCODER.encode(known)


def take(
    known: State,
    seen: Sequence[Seen],
    measured: Measured,
    *,
    horizon_ms: float,
    reach_ms: float,
    until_ms: float,
) -> Touched | None:
    """Put new snapshots in their places; return what they touch.

    None when none of them was new. `reach_ms`: how far one call may reach back from its newest.
    What is later than `until_ms` is of the future, and would make all that is not late.
    """
    measured.ahead = sum(shot.at_ms > until_ms for _, shot in seen)
    if measured.ahead:
        seen = [one for one in seen if one.shot.at_ms <= until_ms]
    if known.newest_ms > until_ms:
        drop_future(known, until_ms)
    seen = sorted(seen, key=lambda one: one.shot.at_ms)
    newest_ms = seen[-1].shot.at_ms if seen else 0
    oldest_ms = max(known.newest_ms - horizon_ms, newest_ms - reach_ms)
    low_ms: int | None = None
    high_ms, in_order = 0, True
    for connection, shot in seen:
        at_ms = shot.at_ms
        if (shots := known.connections.get(connection)) is None:
            shots = known.connections[connection] = Shots()
        place = shots.place(at_ms)
        if place < len(shots.open) and shots.open[place].at_ms == at_ms:
            measured.repeated += 1
            continue
        if at_ms < oldest_ms:
            measured.late += 1
            continue
        before_ms = shots.open[place - 1].at_ms if place else at_ms
        after_ms = shots.open[place].at_ms if place < len(shots.open) else at_ms
        # Its header fields are told once: what is kept holds no address.
        shots.open.insert(place, Snapshot(at_ms, shot.rows, shot.stun))
        in_order &= after_ms == at_ms
        if low_ms is None or before_ms < low_ms:
            low_ms = before_ms
        if after_ms > high_ms:
            high_ms = after_ms
        if at_ms >= known.newest_ms:
            known.newest_ms = at_ms
            add_header(measured.header, shot)
    known.connections = {name: shots for name, shots in known.connections.items() if shots.open}
    return None if low_ms is None else Touched(low_ms, high_ms, in_order)


def drop_future(known: State, until_ms: float) -> None:
    """Give up what a clock told that was wrong, so that what is told now is not late."""
    for shots in known.connections.values():
        shots.drop_after(until_ms)
    known.connections = {name: shots for name, shots in known.connections.items() if shots.open}
    known.newest_ms = max((shots.open[-1].at_ms for shots in known.connections.values()), default=0)
    known.kept_ms = min(known.kept_ms, round(until_ms))
    known.settled = None


def add_header(header: dict[str, str], shot: Snapshot) -> None:
    """Add the header fields that a snapshot knows."""
    if shot.network_type:
        header["networkType"] = shot.network_type
    if shot.local_ip:
        header["localIP"] = shot.local_ip


def forget(known: State, *, keep_ms: float) -> None:
    """Give up snapshots that no late report can bring into play again, and keep every bound."""
    oldest_ms = round(known.newest_ms - keep_ms)
    for shots in known.connections.values():
        if shots.forget(oldest_ms):
            known.kept_ms = max(known.kept_ms, oldest_ms)
    count = row_count(known)
    while count > ROWS_MAX and any(len(x) > 2 for x in known.connections.values()):
        for shots in known.connections.values():
            shots.reopen(0)
            shots.open = [*shots.open[:-1:2], shots.open[-1]]
        if known.settled is not None:
            known.settled.following.clear()
        count = row_count(known)
    drop_eldest(known, count)


def drop_eldest(known: State, count: int) -> None:
    """Give up the connections that were silent longest, until the others are within the bounds.

    `count`: the rows of all.
    """
    connections = list(known.connections.values())
    over = [
        len(connections) - CONNECTIONS_MAX,
        sum(len(shots.open[-1].rows) for shots in connections) - STREAMS_MAX,
        count - ROWS_MAX,
    ]
    if max(over) <= 0:
        return
    for name, shots in sorted(known.connections.items(), key=lambda one: one[1].open[-1].at_ms)[
        :-1
    ]:
        if max(over) <= 0:
            return
        del known.connections[name]
        if known.settled is not None:
            known.settled.following.pop(name, None)
        last = shots.open[-1]
        known.kept_ms = max(known.kept_ms, last.at_ms)
        over = [over[0] - 1, over[1] - len(last.rows), over[2] - shots.row_count()]


def row_count(known: State) -> int:
    """Rows in all snapshots."""
    return sum(shots.row_count() for shots in known.connections.values())
