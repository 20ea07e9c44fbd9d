"""Differences over spans of time -> one value per column and sampling interval.

A span gives each interval its share in proportion to time. Loss is the ratio of sums; bit rate and
frame rate are sums over covered time; latency and jitter are time-weighted means. A value needs
half of its interval covered. Several streams of one kind (an SFU's many videos, simulcast) are
folded into one: loss and bit rate of all together, height and frame rate of the tallest, jitter
weighted by packets.
"""

import itertools
from collections.abc import Iterable
from typing import Final, Literal

from msgspec import Struct, field

from roomtone.measure import padding
from roomtone.measure.cells import Cell, Losses, Mean, Part, Spans, Timed, covered_ms, mean_of
from roomtone.measure.counters import Flow, Heard, Key
from roomtone.measure.round_trips import Trip
from roomtone.model import Column

COVERAGE_MIN: Final = 0.5
PACKETS_MIN: Final = 50
"""With fewer packets expected in an interval, loss is unknown."""
BIT_RATE_STEP: Final = 100
BIT_RATE_FINE_MAX: Final = 1_000
ROUNDING_SLACK: Final = 1e-6

Origin = Literal["counted", "receiver", "reported", "estimated", "rtcp", "stun"]
"""Where a figure is from: this end's count, the count of who received what this end sent, the far
end's RTCP report, an estimate made of that and of what was sent; for latency RTCP's round trip or
that of connectivity checks."""
Value = int | float


class Grid(Struct, gc=False):
    """Intervals of `size_ms`, number i from origin_ms + i * size_ms, cut to [low_ms, high_ms)."""

    origin_ms: int
    size_ms: float
    low_ms: float
    high_ms: float

    def first(self, at_ms: float) -> int:
        """The number of the interval that holds a time."""
        return int((at_ms - self.origin_ms) // self.size_ms)

    def start_ms(self, number: int) -> int:
        """When an interval starts, in whole ms."""
        return round(self.origin_ms + number * self.size_ms)

    def narrowed(self, numbers: range) -> "Grid":
        """The grid cut further, to intervals `numbers`."""
        low_ms = self.origin_ms + numbers.start * self.size_ms
        high_ms = self.origin_ms + numbers.stop * self.size_ms
        low_ms, high_ms = max(self.low_ms, low_ms), min(self.high_ms, high_ms)
        return Grid(self.origin_ms, self.size_ms, low_ms, high_ms)

    def deal(self, spans: Iterable[Timed]) -> dict[int, list[tuple[Timed, float, float]]]:
        """The parts that spans have in intervals: (span, start, end) by the interval's number.

        Neighbours mostly fall in the same interval: its edges are kept from one to the next.
        """
        dealt: dict[int, list[tuple[Timed, float, float]]] = {}
        parts: list[tuple[Timed, float, float]] = []
        bottom, top = self.low_ms, self.high_ms
        edge_low = edge_high = float("-inf")
        for span in spans:
            low, high = span.start_ms, span.end_ms
            if edge_low <= low < high <= edge_high:
                parts.append((span, low, high))
                continue
            if low < bottom:
                low = bottom
            if high > top:
                high = top
            while low < high:
                if not edge_low <= low < edge_high:
                    number = self.first(low)
                    if low >= self.origin_ms + (number + 1) * self.size_ms:
                        number += 1  # an edge that rounding put into the interval before
                    edge_low = max(self.origin_ms + number * self.size_ms, bottom)
                    edge_high = min(self.origin_ms + (number + 1) * self.size_ms, top)
                    parts = dealt.setdefault(number, [])
                parts.append((span, low, min(high, edge_high)))
                low = edge_high
        return dealt


Means = dict[tuple[float, ...], dict[int, Mean]]


class Lane(Struct):
    """Everything that was measured of one kind of stream: by stream, in time's order."""

    flows: dict[Key, list[Flow]] = field(default_factory=dict)
    heard: dict[Key, list[Heard]] = field(default_factory=dict)
    rtcp: list[list[Trip]] = field(default_factory=list)
    stun: list[list[Trip]] = field(default_factory=list)
    means: Means = field(default_factory=dict)
    """Shared by all lanes, as streams of a connection have round trips in common."""

    def trips(self, groups: list[list[Trip]], reach: Grid) -> dict[int, Mean]:
        """The means of round trips by the interval's number."""
        key = (reach.origin_ms, reach.low_ms, reach.high_ms, *map(id, groups))
        if key not in self.means:
            dealt = reach.deal(itertools.chain.from_iterable(groups))
            self.means[key] = {number: mean_of(trips) for number, trips in dealt.items()}
        return self.means[key]


class Sample(Struct):
    """One interval's values (but for unknown ones), the labels that hold in it, and origins."""

    values: dict[Column, Value]
    codec: str
    transport: str
    origins: dict[Column, Origin]

    def known(self) -> bool:
        """Whether any value is."""
        return bool(self.values)


EMPTY: Final = Sample({}, "", "", {})


def spans(lane: Lane, limit_ms: float) -> Spans:
    """The spans in which a kind of stream flowed, holes up to `limit_ms` bridged."""
    each = [span for flows in lane.flows.values() for span in bridged(flows, limit_ms)]
    if len(lane.flows) == 1:
        return each
    found: Spans = []
    for low, high in sorted(each):
        if found and low - found[-1][1] <= limit_ms:
            found[-1] = (found[-1][0], max(found[-1][1], high))
        else:
            found.append((low, high))
    return found


def bridged(flows: Iterable[Flow], limit_ms: float) -> Spans:
    """When one stream flowed, holes up to `limit_ms` bridged."""
    found: Spans = []
    start = end = float("-inf")
    for flow in flows:
        low, high = flow.start_ms, flow.end_ms
        if low - end > limit_ms:
            if end > start:
                found.append((start, end))
            start = low
        if high > end:
            end = high
    if end > start:
        found.append((start, end))
    return found


def samples(lane: Lane, grid: Grid, numbers: range) -> dict[int, Sample]:
    """A sample for each of the intervals `numbers` in which anything flowed."""
    cells: dict[int, Cell] = {}
    reach = grid.narrowed(numbers)
    for key, flows in lane.flows.items():
        for number, carried in reach.deal(flows).items():
            if number not in cells:
                cells[number] = Cell()
            cells[number].add_flows(key, carried)
    for key, reports in lane.heard.items():
        for number, told in reach.deal(reports).items():
            if number in cells:
                cells[number].add_heard(key, told)
    enough_ms = COVERAGE_MIN * grid.size_ms - ROUNDING_SLACK
    add_trips(cells, lane, reach, enough_ms)
    return {
        number: sample(cell, enough_ms, grid.origin_ms + (number + 1) * grid.size_ms)
        for number, cell in cells.items()
    }


def add_trips(cells: dict[int, Cell], lane: Lane, reach: Grid, enough_ms: float) -> None:
    """Give intervals their round trips: those of RTCP, of checks where there are not enough."""
    for number, rtcp in lane.trips(lane.rtcp, reach).items():
        if number in cells:
            cells[number].rtcp = rtcp
    lacking = [n for n, cell in cells.items() if covered_ms(cell.rtcp.spans) < enough_ms]
    stun = lane.trips(lane.stun, reach) if lacking else {}
    for number in stun.keys() & lacking:
        cells[number].stun = stun[number]


def sample(cell: Cell, enough_ms: float, end_ms: float) -> Sample:
    """The values of an interval: loss and fps to 2 decimals, ms to 1, px whole, bit/s to 100.

    `enough_ms`: so much of it must a value cover.
    """
    values: dict[Column, Value] = {}
    origins: dict[Column, Origin] = {}
    counted_there = covered_ms(cell.of_receiver.spans) >= enough_ms
    losses = cell.of_receiver if counted_there else cell.losses
    if (
        losses.expected >= PACKETS_MIN - ROUNDING_SLACK
        and covered_ms(losses.spans) >= enough_ms
        and loss_is_sure(losses, end_ms)
    ):
        values["packetLoss"] = round(min(max(100 * losses.lost / losses.expected, 0.0), 100.0), 2)
        origins["packetLoss"] = loss_origin(cell, losses)
    if covered_ms(cell.rtcp.spans) >= enough_ms:
        values["latency"], origins["latency"] = round(cell.rtcp.value(), 1), "rtcp"
    elif covered_ms(cell.stun.spans) >= enough_ms:
        values["latency"], origins["latency"] = round(cell.stun.value(), 1), "stun"
    rate = bit_rate_of(cell) if covered_ms(cell.bits_spans) >= enough_ms else None
    if rate is not None and bit_rate_is_sure(cell, rate, end_ms):
        values["mediaBitRate"] = rounded_bit_rate(rate)
        origins["mediaBitRate"] = (
            "receiver" if cell.bits_of_receiver else "estimated" if losses.estimated else "counted"
        )
    jitter = jitter_of(cell.parts.values(), enough_ms)
    if jitter is not None:
        values["jitter"] = round(jitter, 1)
    tallest = max(cell.parts.values(), key=lambda part: (part.height, part.packets))
    if covered_ms(cell.spans) >= enough_ms:
        if tallest.height:
            values["resolutionHeight"] = round(tallest.height)
        if tallest.frames_ms:
            values["frameRate"] = round(1000 * tallest.frames / tallest.frames_ms, 2)
    return Sample(values, tallest.codec, tallest.transport, origins)


def loss_origin(cell: Cell, losses: Losses) -> Origin:
    """Who told the loss."""
    if losses is cell.of_receiver:
        return "receiver"
    if losses.estimated:
        return "estimated"
    return "reported" if any(key[1].endswith("Out") for key in cell.parts) else "counted"


def loss_is_sure(losses: Losses, end_ms: float) -> bool:
    """Whether padding leaves no doubt about the loss until the interval's end.

    What is not sure is not told before the end: later losses could not take it back.
    """
    if not losses.estimated:
        return True
    over = max(high for _, high in losses.spans) >= end_ms - ROUNDING_SLACK
    return over and padding.certain(losses.lost, losses.expected, losses.fewest)


def bit_rate_of(cell: Cell) -> float | None:
    """Bit/s of all streams together; None where one of them is unknown for most of its time."""
    total = 0.0
    for part in cell.parts.values():
        if part.bits_ms < COVERAGE_MIN * part.ms - ROUNDING_SLACK:
            return None
        if part.bits_ms:
            total += part.bits * part.ms / part.bits_ms
    return 1000 * total / covered_ms(cell.spans)


def bit_rate_is_sure(cell: Cell, bits_per_s: float, end_ms: float) -> bool:
    """Whether padding is a small part of the bits, if any; known when the interval is over.

    The probes of a browser whose losses are estimated (Chromium) are a large part of a thin stream.
    """
    if not cell.bits_may_go:
        return True
    over = max(high for _, high in cell.spans) >= end_ms - ROUNDING_SLACK
    return over and (not cell.losses.estimated or bits_per_s >= padding.BIT_RATE_MIN)


def rounded_bit_rate(bits_per_s: float) -> int:
    """To 100 bit/s; to 1 below 1,000, where packets are small and 100 would be a large part.

    Whether one packet of 1 kB falls on this side of an interval's border or on the other changes
    the rate over a minute by 133 bit/s: finer digits would be of the clock, not of the stream.
    """
    if bits_per_s < BIT_RATE_FINE_MAX:
        return round(bits_per_s)
    return BIT_RATE_STEP * round(bits_per_s / BIT_RATE_STEP)


def jitter_of(parts: Iterable[Part], enough_ms: float) -> float | None:
    """Each stream's time-weighted mean, weighted by its packets; None: not enough known."""
    total = weight = 0.0
    spans: Spans = []
    for part in parts:
        if part.jitter.spans:
            spans += part.jitter.spans
            total += part.jitter.value() * max(part.packets, ROUNDING_SLACK)
            weight += max(part.packets, ROUNDING_SLACK)
    return total / weight if weight and covered_ms(spans) >= enough_ms else None
