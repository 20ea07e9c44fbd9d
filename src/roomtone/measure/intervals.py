"""Differences over spans of time -> one value per column and sampling interval.

A span gives each interval its share in proportion to time. Loss is the ratio of sums; bit rate and
frame rate are sums over covered time; latency and jitter are time-weighted means. A value needs
half of its interval covered. Several streams of one kind (an SFU's many videos, simulcast) are
folded into one: loss and bit rate of all together, height and frame rate of the tallest, jitter
weighted by packets.
"""

from collections.abc import Iterable
from typing import Final, Literal

from msgspec import Struct, field

from roomtone.measure import padding
from roomtone.measure.counters import Flow, Heard, Key, Trip
from roomtone.model import Column

COVERAGE_MIN: Final = 0.5
PACKETS_MIN: Final = 50
"""With fewer packets expected in an interval, loss is unknown."""
BIT_RATE_STEP: Final = 100
BIT_RATE_FINE_MAX: Final = 1_000
ROUNDING_SLACK: Final = 1e-6

Origin = Literal["counted", "reported", "estimated", "rtcp", "stun"]
"""Where a figure is from: this end's count, the far end's RTCP report, an estimate made of both;
for latency RTCP's round trip or that of connectivity checks."""
Value = int | float | None


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

    def shares(self, start_ms: float, end_ms: float) -> list[tuple[int, float, float]]:
        """(number, start, end) of each part that a span has in an interval."""
        low, high = max(start_ms, self.low_ms), min(end_ms, self.high_ms)
        if low >= high:
            return []
        first, last = self.first(low), self.first(high)
        if first == last:
            return [(first, low, high)]
        parts: list[tuple[int, float, float]] = []
        for number in range(first, last + 1):
            edge = self.origin_ms + number * self.size_ms
            part_low, part_high = max(low, edge), min(high, edge + self.size_ms)
            if part_low < part_high:
                parts.append((number, part_low, part_high))
        return parts


class Lane(Struct):
    """Everything that was measured of one kind of stream, in any order."""

    flows: list[tuple[Key, Flow]] = field(default_factory=list)
    heard: list[tuple[Key, Heard]] = field(default_factory=list)
    rtcp: list[Trip] = field(default_factory=list)
    stun: list[Trip] = field(default_factory=list)


class Mean(Struct):
    """A time-weighted mean in the making, and the spans that it covers."""

    total: float = 0.0
    weight: float = 0.0
    spans: list[tuple[float, float]] = field(default_factory=list)

    def add(self, value: float, low: float, high: float) -> None:
        """A value that held from `low` to `high`."""
        self.total += value * (high - low)
        self.weight += high - low
        self.spans.append((low, high))

    def value(self) -> float:
        """The mean; there must have been a value."""
        return self.total / self.weight


class Part(Struct):
    """One stream's share of an interval."""

    packets: float = 0.0
    frames: float = 0.0
    frames_ms: float = 0.0
    jitter: Mean = field(default_factory=Mean)
    heights: dict[float, float] = field(default_factory=dict)
    codec: str = ""
    transport: str = ""
    last_ms: float = 0.0

    def add(self, flow: Flow, share: float, low: float, high: float) -> None:
        """Take in a part of what the stream carried."""
        self.packets += flow.packets * share
        if flow.frames is not None:
            self.frames += flow.frames * share
            self.frames_ms += high - low
        if flow.height:
            self.heights[flow.height] = self.heights.get(flow.height, 0.0) + high - low
        if flow.jitter_ms is not None:
            self.jitter.add(flow.jitter_ms, low, high)
        if high >= self.last_ms:
            self.last_ms, self.codec, self.transport = high, flow.codec, flow.transport

    def height(self) -> float:
        """The height it had longest; 0 when unknown."""
        return max(self.heights, key=lambda px: (self.heights[px], px), default=0.0)


class Cell(Struct):
    """One interval in the making."""

    parts: dict[Key, Part] = field(default_factory=dict)
    spans: list[tuple[float, float]] = field(default_factory=list)
    bits: float = 0.0
    bits_spans: list[tuple[float, float]] = field(default_factory=list)
    lost: float = 0.0
    expected: float = 0.0
    fewest: float = 0.0
    loss_spans: list[tuple[float, float]] = field(default_factory=list)
    estimated: bool = False
    rtcp: Mean = field(default_factory=Mean)
    stun: Mean = field(default_factory=Mean)

    def add_flow(self, key: Key, flow: Flow, low: float, high: float) -> None:
        """Take in a part of what a stream carried."""
        share = (high - low) / (flow.end_ms - flow.start_ms)
        part = self.parts.get(key)
        if part is None:
            part = self.parts[key] = Part()
        part.add(flow, share, low, high)
        self.spans.append((low, high))
        if flow.bits is not None:
            self.bits += flow.bits * share
            self.bits_spans.append((low, high))
        if flow.lost is not None and flow.expected is not None:
            self.lost += flow.lost * share
            self.expected += flow.expected * share
            self.loss_spans.append((low, high))

    def add_heard(self, key: Key, heard: Heard, low: float, high: float) -> None:
        """Take in a part of what the far end reported."""
        share = (high - low) / (heard.end_ms - heard.start_ms)
        if heard.jitter_ms is not None and key in self.parts:
            self.parts[key].jitter.add(heard.jitter_ms, low, high)
        if heard.lost is not None and heard.expected is not None:
            self.lost += heard.lost * share
            self.expected += heard.expected * share
            self.fewest += heard.fewest * share
            self.estimated = self.estimated or heard.estimated
            self.loss_spans.append((low, high))


class Sample(Struct):
    """One interval's values (None: unknown), the labels that hold in it, and figures' origins."""

    values: dict[Column, Value]
    codec: str
    transport: str
    origins: dict[Column, Origin]

    def known(self) -> bool:
        """Whether any value is."""
        return any(value is not None for value in self.values.values())


EMPTY: Final = Sample({}, "", "", {})


def covered_ms(spans: list[tuple[float, float]]) -> float:
    """How much time spans cover together, overlaps counted once."""
    total, reach = 0.0, float("-inf")
    for low, high in sorted(spans):
        if high > reach:
            total += high - max(low, reach)
            reach = high
    return total


def spans(lane: Lane, limit_ms: float) -> list[tuple[float, float]]:
    """The spans in which a kind of stream flowed, holes up to `limit_ms` bridged."""
    found: list[tuple[float, float]] = []
    for low, high in sorted((flow.start_ms, flow.end_ms) for _, flow in lane.flows):
        if found and low - found[-1][1] <= limit_ms:
            found[-1] = (found[-1][0], max(high, found[-1][1]))
        else:
            found.append((low, high))
    return found


def samples(lane: Lane, grid: Grid, numbers: range) -> dict[int, Sample]:
    """A sample for each of the intervals `numbers` in which anything flowed."""
    cells: dict[int, Cell] = {}
    reach = grid.narrowed(numbers)
    for key, flow in lane.flows:
        for number, low, high in reach.shares(flow.start_ms, flow.end_ms):
            cells.setdefault(number, Cell()).add_flow(key, flow, low, high)
    for key, heard in lane.heard:
        for number, low, high in reach.shares(heard.start_ms, heard.end_ms):
            if number in cells:
                cells[number].add_heard(key, heard, low, high)
    add_trips(cells, lane, reach)
    return {
        number: sample(cell, grid.size_ms, grid.origin_ms + (number + 1) * grid.size_ms)
        for number, cell in cells.items()
    }


def add_trips(cells: dict[int, Cell], lane: Lane, grid: Grid) -> None:
    """Give round trips to the cells that there are, RTCP's and connectivity checks' apart."""
    for trips, source in ((lane.rtcp, "rtcp"), (lane.stun, "stun")):
        for trip in trips:
            for number, low, high in grid.shares(trip.start_ms, trip.end_ms):
                if (cell := cells.get(number)) is not None:
                    (cell.rtcp if source == "rtcp" else cell.stun).add(trip.rtt_ms, low, high)


def sample(cell: Cell, size_ms: float, end_ms: float) -> Sample:
    """The values of an interval: loss and fps to 2 decimals, ms to 1, px whole, bit/s to 100."""
    enough_ms = COVERAGE_MIN * size_ms - ROUNDING_SLACK
    values: dict[Column, Value] = {}
    origins: dict[Column, Origin] = {}
    enough = covered_ms(cell.loss_spans) >= enough_ms
    if cell.expected >= PACKETS_MIN - ROUNDING_SLACK and enough and loss_is_sure(cell, end_ms):
        values["packetLoss"] = round(min(max(100 * cell.lost / cell.expected, 0.0), 100.0), 2)
        heard = any(key[1].endswith("Out") for key in cell.parts)
        origins["packetLoss"] = (
            "estimated" if cell.estimated else "reported" if heard else "counted"
        )
    for origin, mean in (("stun", cell.stun), ("rtcp", cell.rtcp)):
        if covered_ms(mean.spans) >= enough_ms:
            values["latency"] = round(mean.value(), 1)
            origins["latency"] = "rtcp" if origin == "rtcp" else "stun"
    bits_ms = covered_ms(cell.bits_spans)
    if bits_ms >= enough_ms and bit_rate_is_sure(cell, 1000 * cell.bits / bits_ms, end_ms):
        values["mediaBitRate"] = rounded_bit_rate(1000 * cell.bits / bits_ms)
        origins["mediaBitRate"] = "estimated" if cell.estimated else "counted"
    jitter = jitter_of(cell.parts.values(), enough_ms)
    if jitter is not None:
        values["jitter"] = round(jitter, 1)
    tallest = max(cell.parts.values(), key=lambda part: (part.height(), part.packets))
    if covered_ms(cell.spans) >= enough_ms:
        if height := tallest.height():
            values["resolutionHeight"] = round(height)
        if tallest.frames_ms:
            values["frameRate"] = round(1000 * tallest.frames / tallest.frames_ms, 2)
    return Sample(values, tallest.codec, tallest.transport, origins)


def loss_is_sure(cell: Cell, end_ms: float) -> bool:
    """Whether padding leaves no doubt about the loss until the interval's end.

    What is not sure is not told before the end: later losses could not take it back.
    """
    if not cell.estimated:
        return True
    over = max(high for _, high in cell.loss_spans) >= end_ms - ROUNDING_SLACK
    return over and padding.certain(cell.lost, cell.expected, cell.fewest)


def bit_rate_is_sure(cell: Cell, bits_per_s: float, end_ms: float) -> bool:
    """Whether padding is a small part of the bits; of an estimate, when the interval is over."""
    if not cell.estimated:
        return True
    over = max(high for _, high in cell.spans) >= end_ms - ROUNDING_SLACK
    return over and bits_per_s >= padding.BIT_RATE_MIN


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
    spans: list[tuple[float, float]] = []
    for part in parts:
        if part.jitter.spans:
            spans += part.jitter.spans
            total += part.jitter.value() * max(part.packets, ROUNDING_SLACK)
            weight += max(part.packets, ROUNDING_SLACK)
    return total / weight if weight and covered_ms(spans) >= enough_ms else None
