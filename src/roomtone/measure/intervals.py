"""Differences over spans of time -> one value per column and sampling interval.

A span gives each interval its share in proportion to time. Loss is the ratio of sums; bit rate and
frame rate are sums over covered time; latency and jitter are time-weighted means. A value needs
half of its interval covered. Several streams of one kind (an SFU's many videos, simulcast) are
folded into one: loss and bit rate of all together, height and frame rate of the tallest, jitter
weighted by packets.
"""

import itertools
from collections.abc import Iterable
from typing import Final, Literal, TypeVar

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

Origin = Literal["counted", "receiver", "reported", "estimated", "rtcp", "stun"]
"""Where a figure is from: this end's count, the count of who received what this end sent, the far
end's RTCP report, an estimate made of that and of what was sent; for latency RTCP's round trip or
that of connectivity checks."""
Value = int | float | None
Spans = list[tuple[float, float]]
Timed = TypeVar("Timed", Flow, Heard, Trip)
"""What holds for a span from `start_ms` to `end_ms`."""


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
        bottom, top = self.low_ms, self.high_ms
        edge_low = edge_high = float("-inf")
        for span in spans:
            low, high = span.start_ms, span.end_ms
            if low < bottom:
                low = bottom
            if high > top:
                high = top
            while low < high:
                if not edge_low <= low < edge_high:
                    number = self.first(low)
                    if low >= self.origin_ms + (number + 1) * self.size_ms:
                        number += 1  # an edge that rounding put into the interval before
                    edge_low = self.origin_ms + number * self.size_ms
                    edge_high = self.origin_ms + (number + 1) * self.size_ms
                    parts = dealt.setdefault(number, [])
                parts.append((span, low, min(high, edge_high)))
                low = edge_high
        return dealt


class Lane(Struct):
    """Everything that was measured of one kind of stream: by stream, in time's order."""

    flows: dict[Key, list[Flow]] = field(default_factory=dict)
    heard: dict[Key, list[Heard]] = field(default_factory=dict)
    rtcp: list[Trip] = field(default_factory=list)
    stun: list[Trip] = field(default_factory=list)


class Mean(Struct):
    """A time-weighted mean in the making, and the spans that it covers."""

    total: float = 0.0
    weight: float = 0.0
    spans: Spans = field(default_factory=list)

    def value(self) -> float:
        """The mean; there must have been a value."""
        return self.total / self.weight


class Part(Struct):
    """One stream's share of an interval."""

    packets: float = 0.0
    ms: float = 0.0
    bits: float = 0.0
    bits_ms: float = 0.0
    frames: float = 0.0
    frames_ms: float = 0.0
    jitter: Mean = field(default_factory=Mean)
    height: float = 0.0
    codec: str = ""
    transport: str = ""


class Losses(Struct):
    """Packets of an interval, of those spans of which somebody tells the loss."""

    lost: float = 0.0
    expected: float = 0.0
    fewest: float = 0.0
    spans: Spans = field(default_factory=list)
    estimated: bool = False


class Cell(Struct):
    """One interval in the making; `losses` as this end knows them, or as its receivers counted."""

    parts: dict[Key, Part] = field(default_factory=dict)
    spans: Spans = field(default_factory=list)
    bits_spans: Spans = field(default_factory=list)
    bits_of_receiver: bool = False
    bits_may_go: bool = False
    """A later report may show that padding is among them."""
    losses: Losses = field(default_factory=Losses)
    of_receiver: Losses = field(default_factory=Losses)
    rtcp: Mean = field(default_factory=Mean)
    stun: Mean = field(default_factory=Mean)

    def add_flows(self, key: Key, pieces: list[tuple[Flow, float, float]]) -> None:
        """Take in what a stream carried, in parts of (flow, start, end)."""
        part = self.parts[key] = Part()
        heights: dict[float, float] = {}
        for flow, low, high in pieces:
            ms = high - low
            share = ms / (flow.end_ms - flow.start_ms)
            part.packets += flow.packets * share
            part.ms += ms
            cover(self.spans, low, high)
            if flow.bits is not None:
                part.bits += flow.bits * share
                part.bits_ms += ms
                if flow.bits_of_receiver:
                    self.bits_of_receiver = True
                elif flow.pads:
                    self.bits_may_go = True
                cover(self.bits_spans, low, high)
            if flow.lost is not None and flow.expected is not None:
                self.losses.lost += flow.lost * share
                self.losses.expected += flow.expected * share
                cover(self.losses.spans, low, high)
            if flow.frames is not None:
                part.frames += flow.frames * share
                part.frames_ms += ms
            if flow.height:
                heights[flow.height] = heights.get(flow.height, 0.0) + ms
            if flow.jitter_ms is not None:
                part.jitter.total += flow.jitter_ms * ms
                part.jitter.weight += ms
                cover(part.jitter.spans, low, high)
        part.height = max(heights, key=lambda px: (heights[px], px), default=0.0)
        part.codec, part.transport = flow.codec, flow.transport

    def add_heard(self, key: Key, pieces: list[tuple[Heard, float, float]]) -> None:
        """Take in what the far end reported of a stream, in parts of (heard, start, end)."""
        part = self.parts.get(key)
        for heard, low, high in pieces:
            ms = high - low
            if heard.jitter_ms is not None and part is not None:
                part.jitter.total += heard.jitter_ms * ms
                part.jitter.weight += ms
                cover(part.jitter.spans, low, high)
            if heard.lost is not None and heard.expected is not None:
                share = ms / (heard.end_ms - heard.start_ms)
                losses = self.of_receiver if heard.counted else self.losses
                losses.lost += heard.lost * share
                losses.expected += heard.expected * share
                losses.fewest += heard.fewest * share
                losses.estimated = losses.estimated or heard.estimated
                cover(losses.spans, low, high)


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


def cover(spans: Spans, low: float, high: float) -> None:
    """Add a span; one that begins where the last ends makes it longer."""
    if spans and spans[-1][1] == low:
        spans[-1] = (spans[-1][0], high)
    else:
        spans.append((low, high))


def covered_ms(spans: Spans) -> float:
    """How much time spans cover together, overlaps counted once."""
    total, reach = 0.0, float("-inf")
    for low, high in sorted(spans):
        if high > reach:
            total += high - max(low, reach)
            reach = high
    return total


def spans(lane: Lane, limit_ms: float) -> Spans:
    """The spans in which a kind of stream flowed, holes up to `limit_ms` bridged."""
    found: Spans = []
    flows = itertools.chain.from_iterable(lane.flows.values())
    for low, high in sorted([(flow.start_ms, flow.end_ms) for flow in flows]):
        if found and low - found[-1][1] <= limit_ms:
            if high > found[-1][1]:
                found[-1] = (found[-1][0], high)
        else:
            found.append((low, high))
    return found


def samples(lane: Lane, grid: Grid, numbers: range) -> dict[int, Sample]:
    """A sample for each of the intervals `numbers` in which anything flowed."""
    cells: dict[int, Cell] = {}
    reach = grid.narrowed(numbers)
    for key, flows in lane.flows.items():
        for number, carried in reach.deal(flows).items():
            cells.setdefault(number, Cell()).add_flows(key, carried)
    for key, reports in lane.heard.items():
        for number, told in reach.deal(reports).items():
            if number in cells:
                cells[number].add_heard(key, told)
    for number, rtcp in reach.deal(lane.rtcp).items():
        if number in cells:
            cells[number].rtcp = mean_of(rtcp)
    for number, stun in reach.deal(lane.stun).items():
        if number in cells:
            cells[number].stun = mean_of(stun)
    return {
        number: sample(cell, grid.size_ms, grid.origin_ms + (number + 1) * grid.size_ms)
        for number, cell in cells.items()
    }


def mean_of(pieces: list[tuple[Trip, float, float]]) -> Mean:
    """The mean of round trips, in parts of (trip, start, end)."""
    mean = Mean()
    for trip, low, high in pieces:
        mean.total += trip.rtt_ms * (high - low)
        mean.weight += high - low
        cover(mean.spans, low, high)
    return mean


def sample(cell: Cell, size_ms: float, end_ms: float) -> Sample:
    """The values of an interval: loss and fps to 2 decimals, ms to 1, px whole, bit/s to 100."""
    enough_ms = COVERAGE_MIN * size_ms - ROUNDING_SLACK
    values: dict[Column, Value] = {}
    origins: dict[Column, Origin] = {}
    counted_there = covered_ms(cell.of_receiver.spans) >= enough_ms
    losses = cell.of_receiver if counted_there else cell.losses
    enough = covered_ms(losses.spans) >= enough_ms
    if losses.expected >= PACKETS_MIN - ROUNDING_SLACK and enough and loss_is_sure(losses, end_ms):
        values["packetLoss"] = round(min(max(100 * losses.lost / losses.expected, 0.0), 100.0), 2)
        origins["packetLoss"] = loss_origin(cell, losses)
    for origin, mean in (("stun", cell.stun), ("rtcp", cell.rtcp)):
        if covered_ms(mean.spans) >= enough_ms:
            values["latency"] = round(mean.value(), 1)
            origins["latency"] = "rtcp" if origin == "rtcp" else "stun"
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
