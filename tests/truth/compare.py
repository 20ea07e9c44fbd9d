"""The API's figures beside the log's, per stream and interval: the rows of docs/truth.md."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from roomtone.model import Column, epoch_ms
from tests.truth.calls import KINDS, Outcome
from tests.truth.rig import SIDES, Side, Way
from tests.truth.wire import Span

LIMITS: Final[dict[str, float]] = {
    "packetLoss": 0.5,
    "latency": 10,
    "jitter": 1.5,
    "mediaBitRate": 0.05,
    "resolutionHeight": 0,
    "frameRate": 1,
}
"""Points, ms, ms, part of the wire's, px, 1/s."""
WAYS: Final[dict[Side, int]] = {"a": 0, "b": 1}
FULL_SLACK_S: Final = 0.001
SHORT_S: Final = 30
SHORT_LATENCY_MS: Final = 30
MINUTE_S: Final = 60
SHARED_OUT_S: Final = 60
SHARED_OUT_LIMIT: Final = 1.0
ROUNDED: Final = 0.005
"""The API's loss has two decimals."""


@dataclass(frozen=True)
class Row:
    """One figure: what was injected, what the wire shows, what the API says."""

    run: str
    stream: str
    interval: int
    column: str
    injected: float | None
    wire: float
    reported: float | None
    limit: float
    note: str = ""

    @property
    def holds(self) -> bool:
        return self.reported is not None and abs(self.reported - self.wire) <= self.limit

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "holds": self.holds}


@dataclass(frozen=True)
class Told:
    """One kind of stream of one participant: what the API tells of each of its intervals."""

    run: str
    outcome: Outcome
    side: Side
    kind: str

    @property
    def media(self) -> str:
        return self.kind.removesuffix("In").removesuffix("Out")

    @property
    def outgoing(self) -> bool:
        return self.kind.endswith("Out")

    @property
    def name(self) -> str:
        other = "b" if self.side == "a" else "a"
        way = f"{self.side} to {other}" if self.outgoing else f"{other} to {self.side}"
        return f"{self.media} {way}, {'sent' if self.outgoing else 'received'}"

    @property
    def way(self) -> int:
        """The direction on the relay that the stream's packets take."""
        return WAYS[self.side] if self.outgoing else 1 - WAYS[self.side]

    def other_end(self) -> "Told":
        """The same stream, as who sends it to this end or receives it from here tells it."""
        side: Side = "b" if self.side == "a" else "a"
        return Told(self.run, self.outcome, side, self.media + ("In" if self.outgoing else "Out"))

    def heights(self, ssrc: int, span: Span) -> list[float]:
        """The heights that reports of a span show: of what was encoded, or decoded."""
        return [
            entry["frameHeight"]
            for report in self.outcome.reports[self.side]
            if span[0] < report["timestamp"] / 1000 <= span[1]
            for entry in report["stats"]
            if entry.get("ssrc") == ssrc and "frameHeight" in entry
        ]

    def intervals(self) -> Iterator[tuple[int, Span, dict[str, Any], int]]:
        """(number, span, entry, place in the entry) of every full interval."""
        number = 0
        for entry in self.outcome.streams(self.side, self.kind):
            start_s, end_s = (epoch_ms(entry[name]) / 1000 for name in ("startTime", "endTime"))
            size_s = entry["samplingInterval"]
            for place in range(int((end_s - start_s + FULL_SLACK_S) // size_s)):
                low_s = start_s + place * size_s
                yield number, (low_s, low_s + size_s), entry, place
                number += 1

    def wire_rate_max(self, since_s: float, until_s: float) -> float:
        """The highest bit rate on the wire in any of the spans in which the client samples."""
        rate = (
            self.outcome.wire.sent_bit_rate
            if self.outgoing
            else self.outcome.wire.received_bit_rate
        )
        long_s = self.outcome.plan.sample_every_s
        starts = range(int(since_s), int(until_s - long_s))
        spans = [(start, start + long_s) for start in map(float, starts)]
        return max(rate(self.ssrc(span), span) for span in spans)

    def ssrc(self, span: Span) -> int:
        """The stream's SSRC in a span, from the reports that the page posted."""
        wanted = "outbound-rtp" if self.outgoing else "inbound-rtp"
        found = {
            entry["ssrc"]
            for report in self.outcome.reports[self.side]
            if span[0] <= report["timestamp"] / 1000 < span[1]
            for entry in report["stats"]
            if entry["type"] == wanted and KINDS.get(entry.get("mid")) == self.media
        }
        (ssrc,) = found
        assert isinstance(ssrc, int)
        return ssrc

    def jitter_moments(self, ssrc: int, span: Span) -> list[tuple[Span, float]]:
        """When the receiver read its jitter, and the part of the span that each reading is for.

        A reading since which nothing arrived says nothing new.
        """
        readings = {
            entry["timestamp"] / 1000: entry["packetsReceived"]
            for report in self.outcome.reports[self.side]
            for entry in report["stats"]
            if entry["type"] == "inbound-rtp" and entry["ssrc"] == ssrc
        }
        return [
            ((max(before, span[0]), min(at_s, span[1])), at_s)
            for before, at_s in itertools.pairwise(sorted(readings))
            if max(before, span[0]) < min(at_s, span[1]) and readings[before] < readings[at_s]
        ]

    def roads(self, span: Span) -> tuple[Way, Way] | None:
        """What the road did, a to b and back, all through a span; None: it changed."""
        before = [change for change in self.outcome.changes if change[0] <= span[0]]
        if len(before) < len([change for change in self.outcome.changes if change[0] < span[1]]):
            return None
        return before[-1][1:]

    def rows(self, column: Column) -> list[Row]:
        """A row for each full interval; one for all, of what an interval has too little of.

        Sound has 3 or 4 round trips in 20 s: one that had to wait for a busy browser would count
        for a third of them. Over the whole call it has 30 and more.
        """
        found = list(self.each(column))
        few = column == "latency" and self.media == "audio"
        if not few or self.outcome.plan.interval_s >= MINUTE_S:
            return found
        return [mean_of(found)]

    def each(self, column: Column) -> Iterator[Row]:
        """A row for each full interval."""
        for number, span, entry, place in self.intervals():
            values = entry[column]
            reported = values[place] if place < len(values) else None
            ssrc = self.ssrc(span)
            wire = self.on_the_wire(column, ssrc, span, reported)
            limit = self.limit(column, ssrc, span, wire)
            injected = self.injected(column, span)
            yield Row(self.run, self.name, number, column, injected, wire, reported, limit)

    def limit(self, column: Column, ssrc: int, span: Span, wire: float) -> float:
        """How far the API may be off.

        The moment when jitter is read is known to about a packet, with each of which a jitter that
        falls, falls by a 16th (RFC 3550, 6.4.1).

        A packet that others have overtaken counts as lost until it comes: those at its edges, and
        one that is just being counted, may be more than half a point of an interval that is shorter
        than a minute.

        What is sent is measured by what the far end counted, between readings of its own: those
        that reach over the edges of an interval are shared out by time. A reading of 2 s of 25
        packets a second loses 2.5 +- 1.5; half of it at each of two edges is 1.1 packets of the 500
        in 20 s: a standard deviation of 0.2 points. Of a bit rate that rises, as at the beginning,
        the reading at an edge has a part that belongs on the other side of it.
        """
        if column == "latency" and span[1] - span[0] < SHORT_S:
            return SHORT_LATENCY_MS
        if column == "mediaBitRate":
            short = self.outgoing and span[1] - span[0] < SHARED_OUT_S
            return LIMITS[column] * wire + (self.at_edges(ssrc, span, wire) if short else 0)
        if column == "packetLoss":
            count = max(self.outcome.wire.overtaken(ssrc, at_s) for at_s in span)
            edges = 100 * (count + 1) / max(self.outcome.wire.loss(ssrc, span)[1], 1)
            short = self.outgoing and span[1] - span[0] < SHARED_OUT_S
            return max(LIMITS[column], edges + ROUNDED, SHARED_OUT_LIMIT if short else 0)
        if column == "jitter":
            return max(LIMITS[column], wire / 16)
        return LIMITS[column]

    def at_edges(self, ssrc: int, span: Span, rate: float) -> float:
        """By how much a bit rate on the wire changes if an edge lies half a reading further off."""
        far_s = self.outcome.plan.sample_every_s / 2
        moved = [(span[0] + by, span[1]) for by in (-far_s, far_s)]
        moved += [(span[0], span[1] + by) for by in (-far_s, far_s)]
        return max(abs(self.outcome.wire.sent_bit_rate(ssrc, one) - rate) for one in moved)

    def on_the_wire(self, column: Column, ssrc: int, span: Span, reported: float | None) -> float:
        """The log's figure; where it can be read in two ways, the one that is nearer."""
        wire = self.outcome.wire
        match column:
            case "packetLoss":
                return wire.loss(ssrc, span)[0]
            case "latency":
                return wire.round_trip_ms(span)
            case "jitter":
                end = self.other_end() if self.outgoing else self
                moments = end.jitter_moments(ssrc, span)
                ways = [moments, moments[1:]] if self.outgoing and self.begins(span) else [moments]
                by = self.outcome.plan.browsers[SIDES.index(end.side)]
                cut = by == "chromium" and self.media != "audio"
                found = [wire.jitter_ms(ssrc, self.media, one, cut=cut) for one in ways]
                return nearest(found, reported)
            case "mediaBitRate":
                rate = wire.sent_bit_rate if self.outgoing else wire.received_bit_rate
                return rate(ssrc, span)
            case "resolutionHeight":
                return nearest(self.other_end().heights(ssrc, span), reported)
            case "frameRate":
                return wire.frames_per_s(ssrc, span)

    def begins(self, span: Span) -> bool:
        """Whether a call begins in a span: what was read first may not count yet."""
        streams = self.outcome.streams(self.side, self.kind)
        first_s = min(epoch_ms(one["startTime"]) for one in streams) / 1000
        return span[0] - first_s < self.outcome.plan.sample_every_s

    def injected(self, column: Column, span: Span) -> float | None:
        """What was asked of the road; None: it changed, or has no say in this."""
        roads = self.roads(span)
        if roads is None:
            return None
        if column == "packetLoss":
            return roads[self.way].loss
        return sum(way.delay_ms for way in roads) if column == "latency" else None


def mean_of(rows: Sequence[Row]) -> Row:
    """The mean of all intervals as a row; not told if one of them is not."""
    told = [row.reported for row in rows if row.reported is not None]
    return replace(
        rows[0],
        wire=sum(row.wire for row in rows) / len(rows),
        reported=sum(told) / len(told) if len(told) == len(rows) else None,
        limit=LIMITS[rows[0].column],
        note=f"the mean of {len(rows)} intervals",
    )


def nearest(values: Sequence[float], reported: float | None) -> float:
    """The value that is nearest to what was reported; the first if nothing was."""
    return values[0] if reported is None else min(values, key=lambda one: abs(one - reported))
