"""One interval in the making: sums of what its streams carried, and the time that these cover."""

from collections.abc import Iterable, Sequence
from typing import Final, Literal, TypeVar

from msgspec import Struct, field

from roomtone.measure.counters import Flow, Key
from roomtone.measure.round_trips import Trip
from roomtone.measure.rtcp import Heard

Spans = tuple[tuple[float, float], ...]
TripOrigin = Literal["rtcp", "stun"]
Timed = TypeVar("Timed", Flow, Heard, Trip)
"""What holds for a span from `start_ms` to `end_ms`, and gives its share in a `part` of it."""


class Mean(Struct, frozen=True):
    """A time-weighted mean, and the spans that it covers."""

    total: float = 0.0
    weight: float = 0.0
    spans: Spans = ()

    def value(self) -> float:
        """The mean; there must have been a value."""
        return self.total / self.weight


UNKNOWN: Final = Mean()


class Part(Struct):
    """One stream's share of an interval."""

    packets: float
    ms: float
    bits: float
    bits_ms: float
    frames: float
    frames_ms: float
    height: float
    codec: str
    transport: str
    jitter: Mean = UNKNOWN


class Losses(Struct):
    """Packets of an interval, of those spans of which somebody tells the loss."""

    lost: float = 0.0
    expected: float = 0.0
    fewest: float = 0.0
    spans: Spans = ()
    estimated: bool = False


class Cell(Struct):
    """One interval in the making; `losses` as this end knows them, or as its receivers counted."""

    parts: dict[Key, Part] = field(default_factory=dict)
    spans: Spans = ()
    bits_spans: Spans = ()
    bits_of_receiver: bool = False
    bits_may_go: bool = False
    """A later report may show that padding is among them."""
    losses: Losses = field(default_factory=Losses)
    of_receiver: Losses = field(default_factory=Losses)
    trips: Mean = UNKNOWN
    trips_of: TripOrigin = "rtcp"

    def add_flows(self, key: Key, flows: Sequence[Flow]) -> None:
        """Take in what a stream carried in the interval."""
        heights: dict[float, float] = {}
        packets = ms_all = ms_lost = bits = ms_bits = frames = ms_frames = jitter = ms_jitter = 0.0
        lost, expected = self.losses.lost, self.losses.expected
        for flow in flows:
            ms = flow.end_ms - flow.start_ms
            packets += flow.packets
            ms_all += ms
            if flow.bits is not None:
                bits += flow.bits
                ms_bits += ms
            if flow.lost is not None and flow.expected is not None:
                lost += flow.lost
                expected += flow.expected
                ms_lost += ms
            if flow.frames is not None:
                frames += flow.frames
                ms_frames += ms
            if flow.height:
                heights[flow.height] = heights.get(flow.height, 0.0) + ms
            if flow.jitter_ms is not None:
                jitter += flow.jitter_ms * ms
                ms_jitter += ms
        height = usual(heights)
        self.parts[key] = part = Part(  # by position: names cost half as much again
            packets, ms_all, bits, ms_bits, frames, ms_frames, height, flow.codec, flow.transport
        )
        self.losses.lost, self.losses.expected = lost, expected
        # Most values are known all the time, or never: that the sum of ms is the same says so.
        whole = joined(flows, ms_all)
        self.spans += whole
        if ms_bits:
            self.bits_spans += whole if ms_bits == ms_all else joined_where("bits", flows)
            self.note_padding(flows)
        if ms_lost:
            self.losses.spans += whole if ms_lost == ms_all else joined_where("lost", flows)
        if ms_jitter:
            known = whole if ms_jitter == ms_all else joined_where("jitter_ms", flows)
            part.jitter = Mean(jitter, ms_jitter, known)

    def note_padding(self, flows: Sequence[Flow]) -> None:
        """Note whose the bits are where padding may be among them."""
        for flow in flows:
            if flow.pads and flow.bits is not None:
                if flow.bits_of_receiver:
                    self.bits_of_receiver = True
                else:
                    self.bits_may_go = True

    def add_heard(self, key: Key, losses: Losses, told: Sequence[Heard]) -> None:
        """Take in what the far end told of a stream: losses of whom it is from, and jitter."""
        mean = self.parts[key].jitter if key in self.parts else UNKNOWN
        jitter, ms_jitter = mean.total, mean.weight
        lost, expected, fewest = losses.lost, losses.expected, losses.fewest
        all_lost = all_jitter = True
        ms_all = 0.0
        for heard in told:
            ms = heard.end_ms - heard.start_ms
            ms_all += ms
            if heard.jitter_ms is not None:
                jitter += heard.jitter_ms * ms
                ms_jitter += ms
            else:
                all_jitter = False
            if heard.lost is not None and heard.expected is not None:
                lost += heard.lost
                expected += heard.expected
                fewest += heard.fewest
                if heard.estimated:
                    losses.estimated = True
            else:
                all_lost = False
        losses.lost, losses.expected, losses.fewest = lost, expected, fewest
        whole = joined(told, ms_all) if all_lost or all_jitter else ()
        losses.spans += whole if all_lost else joined_where("lost", told)
        if ms_jitter and key in self.parts:
            known = whole if all_jitter else joined_where("jitter_ms", told)
            self.parts[key].jitter = Mean(jitter, ms_jitter, mean.spans + known)


def usual(heights: dict[float, float]) -> float:
    """The height that a picture had longest, of two the larger; 0 where none is known."""
    if len(heights) <= 1:
        return next(iter(heights), 0.0)
    return max(heights, key=lambda px: (heights[px], px))


def mean_of(trips: Sequence[Trip]) -> Mean:
    """The mean of one stream's round trips."""
    total = weight = 0.0
    for trip in trips:
        ms = trip.end_ms - trip.start_ms
        total += trip.rtt_ms * ms
        weight += ms
    return Mean(total, weight, joined(trips, weight))


def mean_of_all(means: Sequence[Mean]) -> Mean:
    """The mean of several streams' round trips."""
    if len(means) == 1:
        return means[0]
    total = weight = 0.0
    spans: Spans = ()
    for mean in means:
        total += mean.total
        weight += mean.weight
        spans += mean.spans
    return Mean(total, weight, spans)


def joined_where(known: str, parts: Iterable[Timed]) -> Spans:
    """The time of those where the value that is named is known."""
    return joined([part for part in parts if getattr(part, known) is not None])


def joined(parts: Sequence[Timed], ms: float | None = None) -> Spans:
    """The time of spans, those together that follow on each other.

    `ms`: how long they are together, of spans in order that do not overlap.
    """
    if parts and ms == parts[-1].end_ms - parts[0].start_ms:
        return ((parts[0].start_ms, parts[-1].end_ms),)
    found: list[tuple[float, float]] = []
    start = end = float("-inf")
    for part in parts:
        low = part.start_ms
        if low != end:
            if end > start:
                found.append((start, end))
            start = low
        end = part.end_ms
    if end > start:
        found.append((start, end))
    return tuple(found)


def covered_ms(spans: Spans) -> float:
    """How much time spans cover together, overlaps counted once."""
    if len(spans) <= 1:
        return spans[0][1] - spans[0][0] if spans else 0.0
    total, reach = 0.0, float("-inf")
    for low, high in sorted(spans):
        if high > reach:
            total += high - max(low, reach)
            reach = high
    return total
