"""What the receivers of a meeting's streams counted, for the figures of those who sent them.

A sender sees its loss upstream through RTCP alone, and of sent video only an estimate (padding.py).
Who receives the same stream counts what arrived. Streams are the same when their SSRC is, within a
meeting, and when the receiver's cumulative loss is the one that RTCP brought to the sender: behind
an SFU that passes SSRCs on, it is not, and the receiver's figures tell of another road.
"""

import bisect
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from msgspec import Struct

from roomtone.measure.counters import Flow
from roomtone.measure.rtcp import Heard, Point
from roomtone.model import StreamKind

COUNTER_SLACK: Final = 3.0
"""Packets by which two readings of one counter may differ, taken at different moments..."""
OVERTAKEN_S: Final = 0.25
"""... or the packets of so many seconds: what was overtaken counts as lost until it comes. Of 39
packets a second, up to 9 at a time were, on a road of 80 +- 20 ms. A count that is taken by mistake
is off by no more than these, 0.4 points of a minute's loss."""
CLOCK_SLACK_MS: Final = 2_000
SENT_RATIO_MAX: Final = 2.0
SENT_SLACK: Final = 50.0
"""A receiver expects what was sent: as the two look at different moments, by this much more or
less, and not less than a packet for each picture where padding is among what was sent."""
JITTER_RATIO_MAX: Final = 4.0
JITTER_SLACK_MS: Final = 20.0
"""A receiver reads its jitter at other moments than its reports tell it; it is not another one."""
AGREE_MIN: Final = 0.8
"""So large a part of the sender's RTCP reports must show the receiver's counter."""
COVERED_MIN: Final = 0.5
SPANS_MAX: Final = 512
"""Spans kept of one stream: an hour and more at ten seconds each."""
SAME_KIND: Final[dict[str, str]] = {
    "audioIn": "audioOut", "videoIn": "videoOut", "shareIn": "shareOut",
}  # fmt: skip


class Carried(Struct, array_like=True, gc=False):
    """What a receiver counted of one stream between two of its snapshots, net of retransmissions.

    `counter` is its cumulative loss at the end, as RTCP tells the sender (RFC 3550, 6.4.1).
    """

    start_ms: float
    end_ms: float
    lost: float
    expected: float
    counter: float
    bits: float | None
    jitter_ms: float | None

    def moved(self, by_ms: float) -> "Carried":
        """The same on another clock."""
        return Carried(
            self.start_ms + by_ms,
            self.end_ms + by_ms,
            self.lost,
            self.expected,
            self.counter,
            self.bits,
            self.jitter_ms,
        )


Far = Mapping[int, Sequence[Carried]]
"""By SSRC of an outgoing stream, in time's order, on the sender's clock."""


def carried(kind: StreamKind, flows: Iterable[Flow]) -> list[Carried]:
    """What this end counted of an incoming stream; nothing of an outgoing one."""
    if kind not in SAME_KIND:
        return []
    return [
        Carried(
            flow.start_ms,
            flow.end_ms,
            flow.lost,
            flow.expected,
            flow.counter,
            flow.bits,
            flow.jitter_ms,
        )
        for flow in flows
        if flow.lost is not None and flow.expected is not None and flow.counter is not None
    ]


def agrees(theirs: Sequence[Carried], runs: Sequence[Sequence[Point]]) -> bool:
    """Whether the losses that RTCP brought are those that the receiver counted.

    Without any report to check by they are not: whoever is in a meeting may say that it received
    an SSRC.
    """
    starts = [span.start_ms for span in theirs]
    slack = max(COUNTER_SLACK, OVERTAKEN_S * packets_per_s(theirs))
    checked = same = 0
    for point in (point for run in runs for point in run):
        lost = point.remote.lost
        first = bisect.bisect_right(starts, point.at_ms - CLOCK_SLACK_MS) - 1
        last = bisect.bisect_right(starts, point.at_ms + CLOCK_SLACK_MS) - 1
        if lost is None or first < 0 or point.at_ms > theirs[last].end_ms + CLOCK_SLACK_MS:
            continue
        low = theirs[first].counter - max(theirs[first].lost, 0.0)
        checked += 1
        same += low - slack <= lost <= theirs[last].counter + slack
    return checked > 0 and same >= AGREE_MIN * checked and could_expect(theirs, runs)


def could_expect(theirs: Sequence[Carried], runs: Iterable[Sequence[Point]]) -> bool:
    """Whether the receiver expected about as many packets as were sent between the reports."""
    sent = fewest = expected = 0.0
    for run in runs:
        seen = [one for one in run if theirs[0].start_ms <= one.at_ms <= theirs[-1].end_ms]
        if len(seen) < 2:
            continue
        first, last = seen[0], seen[-1]
        sent += last.sent - first.sent
        pictures = first.frames is not None and last.frames is not None
        fewest += (last.frames or 0) - (first.frames or 0) if pictures else last.sent - first.sent
        expected += sum(span.expected * share(span, first.at_ms, last.at_ms) for span in theirs)
    most = SENT_RATIO_MAX * sent + SENT_SLACK
    return fewest / SENT_RATIO_MAX - SENT_SLACK <= expected <= most


def share(span: Carried, low_ms: float, high_ms: float) -> float:
    """The part of a span that lies between two times."""
    inside_ms = min(span.end_ms, high_ms) - max(span.start_ms, low_ms)
    return max(inside_ms, 0.0) / (span.end_ms - span.start_ms)


def packets_per_s(theirs: Sequence[Carried]) -> float:
    """How many the receiver expected, on average."""
    seconds = sum(span.end_ms - span.start_ms for span in theirs) / 1000
    return sum(span.expected for span in theirs) / seconds if seconds else 0.0


def heard(theirs: Sequence[Carried], reports: Iterable[Heard]) -> list[Heard]:
    """The receiver's counts in the form of its reports.

    The jitter of `reports` gives way to what the receiver read itself at the same times, unless
    that is another one altogether: both swing, and are of different moments.
    """
    starts = [span.start_ms for span in theirs]
    both: list[tuple[Heard, Carried]] = []
    for report in reports:
        last = bisect.bisect_left(starts, report.end_ms) - 1
        if last >= 0 and theirs[last].end_ms > report.start_ms:
            both.append((report, theirs[last]))
    most = jitter_ms_max(both)
    for report, span in both:
        if span.jitter_ms is not None and span.jitter_ms <= most:
            report.jitter_ms = None
    return [
        Heard(
            start_ms=span.start_ms,
            end_ms=span.end_ms,
            lost=span.lost,
            expected=span.expected,
            fewest=span.expected,
            jitter_ms=None if span.jitter_ms is None or span.jitter_ms > most else span.jitter_ms,
            estimated=False,
        )
        for span in theirs
    ]


def jitter_ms_max(both: Sequence[tuple[Heard, Carried]]) -> float:
    """The highest jitter that is believed to have been read, beside what was reported; -1: none.

    Most of the times the one must be able to be the other, and never be more than the most that was
    reported allows: else whoever is right in half of the spans could say anything in the others.
    """
    pairs = [
        sorted((report.jitter_ms, span.jitter_ms))
        for report, span in both
        if report.jitter_ms is not None and span.jitter_ms is not None
    ]
    same = sum(high <= JITTER_RATIO_MAX * low + JITTER_SLACK_MS for low, high in pairs)
    if 2 * same < len(pairs):
        return -1.0
    reported = (report.jitter_ms for report, _ in both if report.jitter_ms is not None)
    return JITTER_RATIO_MAX * max(reported, default=math.inf) + JITTER_SLACK_MS


def fill_bits(flows: Iterable[Flow], theirs: Sequence[Carried]) -> None:
    """Give flows that may hold padding the bits that the receiver counted, lost ones added."""
    for flow in flows:
        if not flow.pads:
            continue
        total = covered = 0.0
        for span in theirs:
            part = share(span, flow.start_ms, flow.end_ms)
            arrived = span.expected - max(span.lost, 0.0)
            if part and span.bits is not None and arrived > 0:
                total += part * span.bits * span.expected / arrived
                covered += part * (span.end_ms - span.start_ms)
        if covered >= COVERED_MIN * (flow.end_ms - flow.start_ms):
            flow.bits = total * (flow.end_ms - flow.start_ms) / covered
            flow.bits_of_receiver = True


def merged(known: Sequence[Carried], told: Sequence[Carried]) -> list[Carried]:
    """Spans with newer ones in the places of those that they overlap; the latest SPANS_MAX."""
    if not told:
        return list(known)
    low, high = told[0].start_ms, told[-1].end_ms
    before = [span for span in known if span.end_ms <= low]
    after = [span for span in known if span.start_ms >= high]
    return [*before, *told, *after][-SPANS_MAX:]
