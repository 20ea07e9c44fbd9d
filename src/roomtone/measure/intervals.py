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
from roomtone.measure.cells import (
    UNKNOWN,
    Cell,
    Losses,
    Mean,
    Part,
    Spans,
    Timed,
    covered_ms,
    mean_of,
    mean_of_all,
)
from roomtone.measure.counters import Flow, Key
from roomtone.measure.round_trips import Trip
from roomtone.measure.rtcp import Heard
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

    origin_ms: float
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

    def deal(self, spans: Iterable[Timed]) -> dict[int, list[Timed]]:
        """What falls in each interval, by its number: spans as they are, or parts of them.

        Neighbours mostly fall in the same interval: its edges are kept from one to the next.
        """
        dealt: dict[int, list[Timed]] = {}
        parts: list[Timed] = []
        bottom, top = self.low_ms, self.high_ms
        edge_low = edge_high = float("-inf")
        for span in spans:
            low, high = span.start_ms, span.end_ms
            if edge_low <= low and high <= edge_high:
                parts.append(span)
                continue
            if high <= bottom:
                continue
            if low < bottom:
                low = bottom
            if high > top:
                high = top
            while low < high:
                if not edge_low <= low < edge_high:
                    number, edge_low, edge_high = self.holding(low)
                    parts = dealt.setdefault(number, [])
                if low == span.start_ms and span.end_ms <= edge_high:
                    parts.append(span)
                else:
                    parts.append(span.part(low, min(high, edge_high)))
                low = edge_high
        return dealt

    def holding(self, at_ms: float) -> tuple[int, float, float]:
        """The interval that holds a time: its number, and its edges within the grid."""
        number = self.first(at_ms)
        low_ms = self.origin_ms + number * self.size_ms
        high_ms = self.origin_ms + (number + 1) * self.size_ms
        if at_ms >= high_ms:  # an edge that rounding put into the interval before
            number += 1
            low_ms = self.origin_ms + number * self.size_ms
            high_ms = self.origin_ms + (number + 1) * self.size_ms
        if low_ms < self.low_ms:
            low_ms = self.low_ms
        if high_ms > self.high_ms:
            high_ms = self.high_ms
        return number, low_ms, high_ms


class Window(Struct):
    """The intervals `numbers` of a grid, which are to be told.

    `reach` is the grid cut to them. `starts`: when they start (ms), with the one before and after;
    `flows`: whether any part of them lies in a run, with the one before.
    """

    grid: Grid
    numbers: range
    reach: Grid
    starts: list[int]
    flows: list[bool]

    def start_ms(self, number: int) -> int:
        """When one of them starts, or the one after them."""
        return self.starts[number - self.numbers.start + 1]


class Trips(Struct):
    """Means of round trips by interval, each group's found once: streams of a connection share."""

    of_group: dict[tuple[float, ...], dict[int, Mean]] = field(default_factory=dict)
    of_groups: dict[tuple[float, ...], dict[int, Mean]] = field(default_factory=dict)

    def of(self, groups: list[list[Trip]], reach: Grid) -> dict[int, Mean]:
        """The means of groups of round trips by the interval's number."""
        where = (reach.origin_ms, reach.low_ms, reach.high_ms)
        key = (*where, *map(id, groups))
        if (known := self.of_groups.get(key)) is not None:
            return known
        each: dict[int, list[Mean]] = {}
        for group in groups:
            mine = (*where, id(group))
            if mine not in self.of_group:
                dealt = reach.deal(group)
                self.of_group[mine] = {number: mean_of(trips) for number, trips in dealt.items()}
            for number, mean in self.of_group[mine].items():
                each.setdefault(number, []).append(mean)
        found = {number: mean_of_all(means) for number, means in each.items()}
        self.of_groups[key] = found
        return found


class Lane(Struct):
    """Everything that was measured of one kind of stream: by stream, in time's order."""

    flows: dict[Key, list[Flow]] = field(default_factory=dict)
    heard: dict[Key, list[Heard]] = field(default_factory=dict)
    counted: dict[Key, list[Heard]] = field(default_factory=dict)
    """What a stream's receiver counted itself (far.py)."""
    rtcp: list[list[Trip]] = field(default_factory=list)
    stun: list[list[Trip]] = field(default_factory=list)
    trips: Trips = field(default_factory=Trips)
    """Shared by all lanes."""


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
    each = [bridged(flows, limit_ms) for flows in lane.flows.values()]
    if len(each) == 1:
        return each[0]
    found: list[tuple[float, float]] = []
    for low, high in sorted(itertools.chain.from_iterable(each)):
        if found and low - found[-1][1] <= limit_ms:
            found[-1] = (found[-1][0], max(found[-1][1], high))
        else:
            found.append((low, high))
    return tuple(found)


def bridged(flows: Iterable[Flow], limit_ms: float) -> Spans:
    """When one stream flowed, holes up to `limit_ms` bridged."""
    found: list[tuple[float, float]] = []
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
    return tuple(found)


def samples(lane: Lane, window: Window) -> dict[int, Sample]:
    """A sample for each interval of a window in which anything flowed."""
    cells: dict[int, Cell] = {}
    grid, reach = window.grid, window.reach
    for key, flows in lane.flows.items():
        for number, carried in reach.deal(flows).items():
            if (cell := cells.get(number)) is None:
                cell = cells[number] = Cell()
            cell.add_flows(key, carried)
    for key, reports in lane.heard.items():
        for number, told in reach.deal(reports).items():
            if (known := cells.get(number)) is not None:
                known.add_heard(key, known.losses, told)
    for key, counts in lane.counted.items():
        for number, told in reach.deal(counts).items():
            if (known := cells.get(number)) is not None:
                known.add_heard(key, known.of_receiver, told)
    enough_ms = COVERAGE_MIN * grid.size_ms - ROUNDING_SLACK
    add_trips(cells, lane, reach, enough_ms)
    return {
        number: sample(cell, enough_ms, grid.origin_ms + (number + 1) * grid.size_ms)
        for number, cell in cells.items()
    }


def add_trips(cells: dict[int, Cell], lane: Lane, reach: Grid, enough_ms: float) -> None:
    """Give intervals their round trips: those of RTCP, of checks where there are not enough."""
    rtcp = lane.trips.of(lane.rtcp, reach)
    for number, cell in cells.items():
        mean = rtcp.get(number, UNKNOWN)
        if covered_ms(mean.spans) >= enough_ms:
            cell.trips = mean
            continue
        mean = lane.trips.of(lane.stun, reach).get(number, UNKNOWN)
        if covered_ms(mean.spans) >= enough_ms:
            cell.trips, cell.trips_of = mean, "stun"


def sample(cell: Cell, enough_ms: float, end_ms: float) -> Sample:
    """The values of an interval: loss and fps to 2 decimals, ms to 1, px whole, bit/s to 100.

    `enough_ms`: so much of it must a value cover.
    """
    values: dict[Column, Value] = {}
    origins: dict[Column, Origin] = {}
    whole_ms = covered_ms(cell.spans)
    losses = cell.losses
    if cell.of_receiver.spans and covered_ms(cell.of_receiver.spans) >= enough_ms:
        losses = cell.of_receiver
    if (
        losses.expected >= PACKETS_MIN - ROUNDING_SLACK
        and (whole_ms if losses.spans is cell.spans else covered_ms(losses.spans)) >= enough_ms
        and (not losses.estimated or loss_is_sure(losses, end_ms))
    ):
        values["packetLoss"] = round(min(max(100 * losses.lost / losses.expected, 0.0), 100.0), 2)
        origins["packetLoss"] = loss_origin(cell, losses)
    if cell.trips.weight:
        values["latency"], origins["latency"] = round(cell.trips.value(), 1), cell.trips_of
    bits_ms = whole_ms if cell.bits_spans is cell.spans else covered_ms(cell.bits_spans)
    rate = bit_rate_of(cell, whole_ms) if bits_ms >= enough_ms else None
    if rate is not None and (not cell.bits_may_go or bit_rate_is_sure(cell, rate, end_ms)):
        values["mediaBitRate"] = rounded_bit_rate(rate)
        origins["mediaBitRate"] = (
            "receiver" if cell.bits_of_receiver else "estimated" if losses.estimated else "counted"
        )
    jitter = jitter_of(cell.parts.values(), enough_ms)
    if jitter is not None:
        values["jitter"] = round(jitter, 1)
    tallest = next(iter(cell.parts.values()))
    if len(cell.parts) > 1:
        tallest = max(cell.parts.values(), key=lambda part: (part.height, part.packets))
    if whole_ms >= enough_ms:
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
    _, kind, _ = next(iter(cell.parts))
    return "reported" if kind.endswith("Out") else "counted"


def loss_is_sure(losses: Losses, end_ms: float) -> bool:
    """Whether padding leaves no doubt about an estimated loss until the interval's end.

    What is not sure is not told before the end: later losses could not take it back.
    """
    certain = padding.certain(losses.lost, losses.expected, losses.fewest)
    return certain and until_end(losses.spans, end_ms)


def bit_rate_of(cell: Cell, covered: float) -> float | None:
    """Bit/s of all streams together; None where one of them is unknown for most of its time.

    `covered`: ms in which any of them flowed.
    """
    total = 0.0
    for part in cell.parts.values():
        if part.bits_ms < COVERAGE_MIN * part.ms - ROUNDING_SLACK:
            return None
        if part.bits_ms:
            total += part.bits * part.ms / part.bits_ms
    return 1000 * total / covered


def bit_rate_is_sure(cell: Cell, bits_per_s: float, end_ms: float) -> bool:
    """Whether padding is a small part of bits that may hold it; known when the interval is over.

    The probes of a browser whose losses are estimated (Chromium) are a large part of a thin stream.
    """
    large = not cell.losses.estimated or bits_per_s >= padding.BIT_RATE_MIN
    return large and until_end(cell.spans, end_ms)


def until_end(spans: Spans, end_ms: float) -> bool:
    """Whether spans, one at least, go on to an interval's end."""
    return max(high for _, high in spans) >= end_ms - ROUNDING_SLACK


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
    spans: Spans = ()
    for part in parts:
        if part.jitter.spans:
            spans += part.jitter.spans
            packets = max(part.packets, ROUNDING_SLACK)
            total += part.jitter.value() * packets
            weight += packets
    return total / weight if weight and covered_ms(spans) >= enough_ms else None
