"""One interval in the making: sums of what its streams carried, and the time that these cover."""

from operator import attrgetter
from typing import TypeVar

from msgspec import Struct, field

from roomtone.measure.counters import Flow, Heard, Key
from roomtone.measure.round_trips import Trip

Spans = list[tuple[float, float]]
Timed = TypeVar("Timed", Flow, Heard, Trip)
"""What holds for a span from `start_ms` to `end_ms`."""


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
        packets = ms_all = ms_lost = bits = ms_bits = frames = ms_frames = jitter = ms_jitter = 0.0
        lost, expected = self.losses.lost, self.losses.expected
        for flow, low, high in pieces:
            ms = high - low
            share = ms / (flow.end_ms - flow.start_ms)
            packets += flow.packets * share
            ms_all += ms
            if flow.bits is not None:
                bits += flow.bits * share
                ms_bits += ms
            if flow.lost is not None and flow.expected is not None:
                lost += flow.lost * share
                expected += flow.expected * share
                ms_lost += ms
            if flow.frames is not None:
                frames += flow.frames * share
                ms_frames += ms
            if flow.height:
                heights[flow.height] = heights.get(flow.height, 0.0) + ms
            if flow.jitter_ms is not None:
                jitter += flow.jitter_ms * ms
                ms_jitter += ms
        part.packets, part.ms, part.bits, part.bits_ms = packets, ms_all, bits, ms_bits
        part.frames, part.frames_ms = frames, ms_frames
        part.jitter.total, part.jitter.weight = jitter, ms_jitter
        part.height = max(heights, key=lambda px: (heights[px], px), default=0.0)
        part.codec, part.transport = flow.codec, flow.transport
        self.losses.lost, self.losses.expected = lost, expected
        self.cover(part, pieces, ms_lost)

    def cover(self, part: Part, pieces: list[tuple[Flow, float, float]], lost_ms: float) -> None:
        """Note the time that a stream's values cover, and whose its bits are.

        Most values are known all the time, or never: that the sum of ms is the same says so.
        """
        whole = joined(pieces)
        self.spans += whole
        if part.bits_ms:
            self.bits_spans += whole if part.bits_ms == part.ms else joined(pieces, "bits")
            whose = {(f.bits_of_receiver, f.pads) for f, _, _ in pieces if f.bits is not None}
            self.bits_of_receiver |= any(of_receiver for of_receiver, _ in whose)
            self.bits_may_go |= (False, True) in whose
        if lost_ms:
            self.losses.spans += whole if lost_ms == part.ms else joined(pieces, "lost")
        if part.jitter.weight:
            known_ms = part.jitter.weight
            part.jitter.spans += whole if known_ms == part.ms else joined(pieces, "jitter_ms")

    def add_heard(self, key: Key, pieces: list[tuple[Heard, float, float]]) -> None:
        """Take in what the far end reported of a stream, in parts of (heard, start, end)."""
        counted = [piece for piece in pieces if piece[0].counted]
        reported = [piece for piece in pieces if not piece[0].counted] if counted else pieces
        self.add_told(key, self.losses, reported)
        if counted:
            self.add_told(key, self.of_receiver, counted)

    def add_told(self, key: Key, losses: Losses, pieces: list[tuple[Heard, float, float]]) -> None:
        """Add parts of reports to the losses of whom they are from, and to a stream's jitter."""
        mean = self.parts[key].jitter if key in self.parts else Mean()
        lost, expected, fewest = losses.lost, losses.expected, losses.fewest
        jitter, weight = mean.total, mean.weight
        for heard, low, high in pieces:
            ms = high - low
            if heard.jitter_ms is not None:
                jitter += heard.jitter_ms * ms
                weight += ms
            if heard.lost is not None and heard.expected is not None:
                share = ms / (heard.end_ms - heard.start_ms)
                lost += heard.lost * share
                expected += heard.expected * share
                fewest += heard.fewest * share
                if heard.estimated:
                    losses.estimated = True
        losses.lost, losses.expected, losses.fewest = lost, expected, fewest
        mean.total, mean.weight = jitter, weight
        losses.spans += joined(pieces, "lost")
        if weight:
            mean.spans += joined(pieces, "jitter_ms")


def mean_of(pieces: list[tuple[Trip, float, float]]) -> Mean:
    """The mean of round trips, in parts of (trip, start, end)."""
    total = weight = 0.0
    for trip, low, high in pieces:
        total += trip.rtt_ms * (high - low)
        weight += high - low
    return Mean(total, weight, joined(pieces))


def joined(pieces: list[tuple[Timed, float, float]], known: str = "") -> Spans:
    """The time of parts of spans, those together that follow on each other.

    Only of those where the value that is named is `known`.
    """
    if known:
        values = map(attrgetter(known), [piece[0] for piece in pieces])
        pieces = [piece for piece, value in zip(pieces, values, strict=True) if value is not None]
    found: Spans = []
    start = end = float("-inf")
    for _, low, high in pieces:
        if low != end:
            if end > start:
                found.append((start, end))
            start = low
        end = high
    if end > start:
        found.append((start, end))
    return found


def covered_ms(spans: Spans) -> float:
    """How much time spans cover together, overlaps counted once."""
    if len(spans) == 1:
        return spans[0][1] - spans[0][0]
    total, reach = 0.0, float("-inf")
    for low, high in sorted(spans):
        if high > reach:
            total += high - max(low, reach)
            reach = high
    return total
