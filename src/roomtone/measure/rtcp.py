"""The far end's reports on outgoing streams -> what it lost, and read of jitter, between them."""

import itertools
from collections.abc import Iterable, Sequence

from msgspec import Struct

from roomtone.measure import padding
from roomtone.measure.counters import OVER_TCP, grown
from roomtone.measure.gaps import SETTLE_MS
from roomtone.measure.plausible import jumped, too_many
from roomtone.measure.snapshot import Remote, Row


class Point(Struct, gc=False):
    """One distinct report of the far end, with what had been sent when it came (net of RTX).

    `hides`: padding may be among `sent`; the frames then are what was sent at least.
    """

    at_ms: float
    sent: float
    frames: float | None
    remote: Remote
    hides: bool
    transport: str


class Heard(Struct, gc=False):
    """What the far end's reports said of an outgoing stream between two of them.

    `expected` packets at most, and at least `fewest`; they differ in an estimate only.
    """

    start_ms: float
    end_ms: float
    lost: float | None
    expected: float | None
    fewest: float
    jitter_ms: float | None
    estimated: bool

    def part(self, low_ms: float, high_ms: float) -> "Heard":
        """What falls in a part of its time."""
        share = (high_ms - low_ms) / (self.end_ms - self.start_ms)
        return Heard(
            low_ms,
            high_ms,
            None if self.lost is None else self.lost * share,
            None if self.expected is None else self.expected * share,
            self.fewest * share,
            self.jitter_ms,
            self.estimated,
        )


def points(
    chain: Sequence[tuple[float, Row]], limit_ms: int, settled_ms: float = 0.0
) -> list[list[Point]]:
    """The distinct reports of the far end along a chain, in runs that no reset interrupts, nor a
    silence of more than `limit_ms`. Reports before `settled_ms`, or so soon after a silence, are
    left out.
    """
    runs: list[list[Point]] = [[]]
    last: Remote | None = None
    after_ms, after = 0.0, None
    for at_ms, row in chain:
        (before_ms, before), (after_ms, after) = (after_ms, after), (at_ms, row)
        if before is not None and row.packets < before.packets:
            runs.append([])
        remote = row.remote
        if remote is None:
            continue
        if last is not None:
            if last.rtt_count == remote.rtt_count and same_report(last, remote):
                continue
            if remote.at_ms - last.at_ms > limit_ms:
                runs.append([])
                settled_ms = remote.at_ms + SETTLE_MS
        last = remote
        if remote.at_ms >= settled_ms:
            runs[-1].append(point(before_ms, before, at_ms, row, remote))
    return runs


def point(start_ms: float, before: Row | None, at_ms: float, row: Row, remote: Remote) -> Point:
    """A report that `row` is the first to show.

    What had been sent by then is interpolated between the two snapshots around the report.
    """
    sent, frames = row.packets - row.retransmitted, row.frames
    when = at_ms
    if before is not None:
        if remote.at_ms < at_ms:
            when = remote.at_ms
        if when < start_ms:
            when = start_ms
        share = (at_ms - when) / (at_ms - start_ms)
        grew = sent - (before.packets - before.retransmitted)
        if grew > 0:
            sent -= share * grew
        if frames is not None and before.frames is not None and frames > before.frames:
            frames -= share * (frames - before.frames)
    hides = row.pads and padding.hides_loss(row)
    return Point(when, sent, frames, remote, hides, row.transport)


def same_report(one: Remote, other: Remote) -> bool:
    """Whether two snapshots show the same report of the far end."""
    if one.rtt_count != other.rtt_count or one.lost != other.lost:
        return False
    return abs(one.at_ms - other.at_ms) < 1.0 or (
        one.received == other.received
        and one.jitter_ms == other.jitter_ms
        and one.rtt_s == other.rtt_s
    )


def heard(runs: Iterable[Sequence[Point]], limit_ms: int) -> list[Heard]:
    """Losses and jitter that the far end reported, over the spans its reports cover.

    With its own count of packets received (Firefox, aiortc): dLost / (dLost + dReceived). Without
    (Chromium): dLost / dSent, net of what was sent again. In Chromium's video that may hold padding
    (`padding`), so that it is an estimate, and the loss at least.
    """
    found: list[Heard] = []
    for run in runs:
        for before, after in itertools.pairwise(run):
            if not 0 < after.at_ms - before.at_ms <= limit_ms:
                continue
            lost, expected = heard_loss(before, after)
            fewest = expected or 0.0
            if after.hides:
                media = grown(before.frames, after.frames) or 0.0
                if media < fewest:
                    fewest = media
            found.append(  # by position: names cost half as much again
                Heard(
                    before.at_ms,
                    after.at_ms,
                    lost,
                    expected,
                    fewest,
                    after.remote.jitter_ms,
                    after.hides,
                )
            )
    return found


def heard_loss(before: Point, after: Point) -> tuple[float | None, float | None]:
    """(lost, expected) between two reports; None: unknown, or over TCP."""
    earlier, later = before.remote, after.remote
    if earlier.lost is None or later.lost is None or after.transport in OVER_TCP:
        return None, None
    lost = later.lost - earlier.lost
    sent = after.sent - before.sent
    if sent < 0:
        sent = 0.0
    received = None
    if later.received is not None:
        received = grown(earlier.received, later.received)
    seconds = (after.at_ms - before.at_ms) / 1000.0
    if too_many(lost, sent) or jumped(sent, seconds) or jumped(received or 0.0, seconds):
        return None, None
    if received is not None:
        return lost, max(lost + received, 0.0)
    if lost < -sent:
        return None, None
    return lost, sent
