"""The far end's reports -> what it lost between them, read of jitter, and round trips."""

from collections.abc import Sequence

from msgspec import Struct, field

from roomtone.measure import padding
from roomtone.measure.counters import OVER_TCP, grown
from roomtone.measure.gaps import SETTLE_MS
from roomtone.measure.plausible import jumped, too_many
from roomtone.measure.round_trips import RTT_MS_MAX, Trip, rtcp_rtt_ms
from roomtone.measure.snapshot import Remote, Row


class Point(Struct, array_like=True, gc=False):
    """One distinct report of the far end, with what had been sent when it came (net of RTX).

    `hides`: padding may be among `sent`; the frames then are what was sent at least.
    """

    at_ms: float
    sent: float
    frames: float | None
    remote: Remote
    hides: bool
    transport: str


class Heard(Struct, array_like=True, gc=False):
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


class Reports(Struct, array_like=True):
    """What the far end's distinct reports told along one stream's unbroken chain of rows.

    `runs` are the reports that no reset interrupts, nor a silence of more than the limit. Those
    before `settled_ms`, or so soon after a silence, are left out. `last` is the latest of all,
    `measured` the latest of a run that brought a new round trip, `alike_ms` the time of the first
    after which their count stayed.
    """

    settled_ms: float
    heard: list[Heard] = field(default_factory=list)
    trips: list[Trip] = field(default_factory=list)
    runs: list[list[Point]] = field(default_factory=lambda: [[]])
    last: Remote | None = None
    measured: Point | None = None
    alike_ms: float = 0.0

    def follow(self, chain: Sequence[tuple[float, Row]], limit_ms: float) -> None:
        """Take in (time, row) that follow; the first may be the last that is known."""
        last = self.last
        after_ms, after = 0.0, None
        for at_ms, row in chain:
            (before_ms, before), (after_ms, after) = (after_ms, after), (at_ms, row)
            if before is not None and row.packets < before.packets:
                self.runs.append([])
            remote = row.remote
            if remote is None:
                continue
            if last is not None:
                if last.rtt_count == remote.rtt_count and same_report(last, remote):
                    continue
                if remote.at_ms - last.at_ms > limit_ms:
                    self.runs.append([])
                    self.settled_ms = remote.at_ms + SETTLE_MS
            last = remote
            if remote.at_ms >= self.settled_ms:
                self.add(point(before_ms, before, at_ms, row, remote), limit_ms)
        self.last = last

    def add(self, one: Point, limit_ms: float) -> None:
        """Take in a report, and what it tells of the time since the one before.

        Its round trip is of the time since the one that was measured before: a report that brought
        no new measurement is passed over.
        """
        run = self.runs[-1]
        if not run or self.measured is None:
            self.measured, self.alike_ms = one, one.at_ms
            run.append(one)
            return
        before, count = run[-1], one.remote.rtt_count
        if count != before.remote.rtt_count:
            self.alike_ms = one.at_ms
        tells = one.remote.lost is not None or one.remote.jitter_ms is not None
        if tells and 0.0 < one.at_ms - before.at_ms <= limit_ms:
            self.heard.append(heard(before, one))
        if not count or count != self.measured.remote.rtt_count:
            rtt_ms = rtcp_rtt_ms(self.measured.remote, one.remote)
            span_ms = one.at_ms - self.measured.at_ms
            if rtt_ms and rtt_ms <= RTT_MS_MAX and 0.0 < span_ms <= limit_ms:
                self.trips.append(Trip(self.measured.at_ms, one.at_ms, rtt_ms))
            self.measured = one
        run.append(one)


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
        if grew > 0.0:
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


def heard(before: Point, after: Point) -> Heard:
    """Losses and jitter that the far end reported between two reports.

    With its own count of packets received (Firefox, aiortc): dLost / (dLost + dReceived). Without
    (Chromium): dLost / dSent, net of what was sent again. In Chromium's video that may hold padding
    (`padding`), so that it is an estimate, and the loss at least.
    """
    lost, expected = heard_loss(before, after)
    fewest = expected or 0.0
    if after.hides:
        media = grown(before.frames, after.frames) or 0.0
        if media < fewest:
            fewest = media
    jitter_ms = after.remote.jitter_ms
    return Heard(before.at_ms, after.at_ms, lost, expected, fewest, jitter_ms, after.hides)


def heard_loss(before: Point, after: Point) -> tuple[float | None, float | None]:
    """(lost, expected) between two reports; None: unknown, or over TCP."""
    earlier, later = before.remote, after.remote
    if earlier.lost is None or later.lost is None or after.transport in OVER_TCP:
        return None, None
    lost = later.lost - earlier.lost
    sent = after.sent - before.sent
    if sent < 0.0:
        sent = 0.0
    received = None
    if later.received is not None:
        received = grown(earlier.received, later.received)
    seconds = (after.at_ms - before.at_ms) / 1000.0
    if too_many(lost, sent) or jumped(sent, seconds):
        return None, None
    if received is not None and jumped(received, seconds):
        return None, None
    if received is not None:
        return lost, max(lost + received, 0.0)
    if lost < -sent:
        return None, None
    return lost, sent
