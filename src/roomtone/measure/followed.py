"""The streams of a connection as they are followed from post to post, each pair of rows taken once.

What the last post knew goes on with the next one's snapshots, if these come in order; else all is
followed anew from the snapshots that are kept. What is too old to be told again is given up.
"""

import itertools
from collections.abc import Iterator, Sequence
from operator import attrgetter
from typing import Final

from msgspec import Struct, field

from roomtone.measure import padding
from roomtone.measure.cells import Timed
from roomtone.measure.counters import Counted
from roomtone.measure.gaps import SETTLE_MS
from roomtone.measure.round_trips import Checks, Trip
from roomtone.measure.rtcp import Reports
from roomtone.measure.snapshot import Row, Snapshot
from roomtone.model import StreamKind

Chain = list[tuple[float, Row]]

kind_and_ssrc: Final = attrgetter("kind", "ssrc")


class Followed(Struct, array_like=True):
    """One stream's unbroken rows from `begun_ms` to `end_ms`, in what they tell.

    `settled_ms` is when the connection had settled after a gap. `losing` is None of incoming ones,
    whose `reports` are followed only where others' tell no round trips.
    """

    kind: StreamKind
    ssrc: int
    begun_ms: float
    end_ms: float
    settled_ms: float
    counted: Counted
    reports: Reports | None
    losing: padding.Losing | None = None

    def follow(self, chain: Chain, limit_ms: float) -> None:
        """Take in the rows of a chain; the first may be the last that is known."""
        self.end_ms, _ = chain[-1]
        self.counted.follow(chain, limit_ms, self.settled_ms)
        if self.reports is not None:
            self.reports.follow(chain, limit_ms)
        if self.losing is not None:
            self.losing.follow(chain)

    def open_since(self) -> float:
        """From when on the stream's next row may change something.

        Silence counts if the stream goes on. What the last two rows told is taken back if the next
        row shows that a counter was too high (`plausible.takes_back`). The far end's next report
        tells of all since its last, and of round trips since the last that was measured.
        """
        since = self.counted.flows[-1].start_ms if self.counted.flows else self.begun_ms
        if self.reports is None:
            return since
        run = self.reports.runs[-1]
        if not run:
            return self.begun_ms if self.losing is not None else since
        return min(since, self.reports.alike_ms, run[-1].remote.at_ms)

    def forget(self, from_ms: float) -> None:
        """Give up what lies before a time, but for what it takes to go on."""
        drop_before(self.counted.flows, from_ms)
        if self.reports is not None:
            drop_before(self.reports.heard, from_ms)
            drop_before(self.reports.trips, from_ms)
            self.reports.runs = [self.reports.runs[-1][-1:]]
        if self.losing is not None and self.losing.spans:
            self.losing.spans = [span for span in self.losing.spans if span[1] > from_ms]


def begun(
    kind: StreamKind, ssrc: int, chain: Chain, settled_ms: float, *, replies: bool
) -> Followed:
    """A stream that begins, its rows not taken yet."""
    losing = padding.losing(chain) if kind.endswith("Out") else None
    reports = Reports(settled_ms) if losing is not None or replies else None
    at_ms, _ = chain[0]
    return Followed(kind, ssrc, at_ms, at_ms, settled_ms, Counted(), reports, losing)


class Following(Struct, array_like=True):
    """All streams of one connection up to its snapshot of `at_ms`; `ended` ones stopped before.

    `limit_ms`: longer silence is a gap. `replies`: whether incoming streams' reports are followed.
    """

    limit_ms: float
    replies: bool = False
    at_ms: int = 0
    open: list[Followed] = field(default_factory=list)
    ended: list[Followed] = field(default_factory=list)
    checks: Checks = field(default_factory=Checks)

    def streams(self) -> list[Followed]:
        """In the order in which they ended, then of their rows."""
        return [*self.ended, *self.open]

    def follow(self, shots: Sequence[Snapshot]) -> None:
        """Take in snapshots in time's order; the first may be the last that is known."""
        going = {(one.kind, one.ssrc): one for one in self.open}
        known_ms, self.at_ms, self.open = self.at_ms, shots[-1].at_ms, []
        for kind, ssrc, chain, settled_ms in chains(shots, self.limit_ms):
            one = going.get((kind, ssrc)) if chain[0][0] == known_ms else None
            if one is None:
                one = begun(kind, ssrc, chain, settled_ms, replies=self.replies)
            one.follow(chain, self.limit_ms)
            (self.open if one.end_ms == self.at_ms else self.ended).append(one)
        self.checks.follow(shots, self.limit_ms)

    def sent_trips(self) -> list[list[Trip]]:
        """Round trips by stream that the far end's reports on outgoing streams told."""
        return [
            one.reports.trips
            for one in self.streams()
            if one.losing is not None and one.reports is not None
        ]

    def forget(self, from_ms: float) -> None:
        """Give up what lies before a time, but for what it takes to go on."""
        self.ended = [one for one in self.ended if one.end_ms >= from_ms]
        for one in self.streams():
            one.forget(from_ms)
        drop_before(self.checks.trips, from_ms)


def drop_before(found: list[Timed], from_ms: float) -> None:
    """Give up spans that begin before a time."""
    count = 0
    for span in found:
        if span.start_ms >= from_ms:
            break
        count += 1
    del found[:count]


def chains(
    shots: Sequence[Snapshot], limit_ms: float
) -> Iterator[tuple[StreamKind, int, Chain, float]]:
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
        for kind, ssrc, chain in unbroken(shots[first:end]):
            yield kind, ssrc, chain, settled_ms


def unbroken(shots: Sequence[Snapshot]) -> Iterator[tuple[StreamKind, int, Chain]]:
    """Each stream's rows in snapshots without a gap; absence ends a chain."""
    streams = [[*map(kind_and_ssrc, shot.rows)] for shot in shots]
    if streams.count(streams[0]) == len(streams) and len({*streams[0]}) == len(streams[0]):
        times = [float(shot.at_ms) for shot in shots]
        columns = zip(*[shot.rows for shot in shots], strict=True)
        for (kind, ssrc), column in zip(streams[0], columns, strict=True):
            yield kind, ssrc, [*zip(times, column, strict=True)]
        return
    open_chains: dict[tuple[StreamKind, int], Chain] = {}
    for shot in shots:
        rows = {(row.kind, row.ssrc): row for row in shot.rows}
        for key in [key for key in open_chains if key not in rows]:
            yield *key, open_chains.pop(key)
        for key, row in rows.items():
            open_chains.setdefault(key, []).append((float(shot.at_ms), row))
    for key, chain in open_chains.items():
        yield *key, chain
