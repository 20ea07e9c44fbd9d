"""One RTP stream as it passes the capture point: sequence, delay variation, ticks of counters.

Two counts are kept. `Line` is what tshark prints as a stream's line, copies and all. `Order` tells
packets from copies of them, so that a loss is what never came and no copy makes up for it.
"""

from typing import Final

from msgspec import Struct, field

from roomtone.sources.capture.sdp import Format, Kind, Media, static_format

DROPOUT_MAX: Final = 3_000
"""RFC 3550, A.1: a greater step of the sequence number is a restart or a stray, and no loss."""
WINDOW: Final = 1_024
"""How far back a late packet is told from a copy."""
WINDOW_MASK: Final = (1 << WINDOW) - 1
SEQUENCES: Final = 1 << 16
HALF: Final = 1 << 15
STAMPS: Final = 1 << 32
STAMPS_HALF: Final = 1 << 31
MS_NS: Final = 1_000_000
COMFORT_NOISE: Final = frozenset((13, 19))
CLOCKS_HZ: Final = (8_000, 16_000, 48_000, 90_000)
CLOCK_TOLERANCE: Final = 0.03
CLOCK_NS_MIN: Final = 2_000_000_000
CLOCK_PACKETS_MIN: Final = 50


class Order(Struct):
    """Expected and received packets (RFC 3550, A.1 and A.3), copies left out.

    `received` <= `expected`. A stray is a packet whose number fits nothing; two that follow each
    other are a restart of the sender, from which counting goes on without a loss.
    """

    newest: int
    expected: int = 1
    received: int = 1
    copies: int = 0
    strays: int = 0
    restarts: int = 0
    span: int = 1
    seen: int = 1
    restart_at: int = -1

    def take(self, seq: int) -> bool:
        """Count a packet; False for a copy or a stray."""
        step = (seq - self.newest) & 0xFFFF
        if 0 < step < DROPOUT_MAX:
            self.newest = seq
            self.seen = (self.seen << step | 1) & WINDOW_MASK
            self.span += step
            self.expected += step
            self.received += 1
            return True
        back = -step & 0xFFFF
        if back < WINDOW:
            return self.late(back)
        if seq != self.restart_at:
            self.strays += 1
            self.restart_at = (seq + 1) & 0xFFFF
            return False
        self.restarts += 1
        self.newest, self.seen, self.span, self.restart_at = seq, 1, 1, -1
        self.expected += 1
        self.received += 1
        return True

    def late(self, back: int) -> bool:
        """A packet `back` before the newest; one from before the first was expected, too."""
        if self.seen >> back & 1:
            self.copies += 1
            return False
        self.seen |= 1 << back
        if back >= self.span:
            self.expected += back + 1 - self.span
            self.span = back + 1
        self.received += 1
        return True


class Line(Struct):
    """Totals as tshark's RTP streams have them: all packets, copies too.

    Least, mean and greatest delta (between arrivals) and jitter (RFC 3550, A.8) in ms leave out
    packets with the marker bit, comfort noise and what follows it, and those with an older time
    stamp than the first; a mean is over all packets but the first, left-out ones as if they had
    been the mean. Jitter is -1, 0, 0 where the clock rate is not known for certain.
    """

    first: int
    high: int
    packets: int = 1
    delta_min: float = -1.0
    delta_mean: float = 0.0
    delta_max: float = 0.0
    jitter_min: float = -1.0
    jitter_mean: float = 0.0
    jitter_max: float = 0.0

    @property
    def lost(self) -> int:
        """Expected less received; negative where copies outnumber what is missing."""
        return self.high - self.first + 1 - self.packets

    @property
    def lost_percent(self) -> float:
        """Of those expected."""
        return 100 * self.lost / (self.high - self.first + 1)

    def number(self, seq: int) -> None:
        """Take in a sequence number; expected are all from the first to the highest (A.3)."""
        step = (seq - self.high) & 0xFFFF
        if step < HALF:
            self.high += step

    def regular(self, delta: float, jitter: float | None) -> None:
        """Take in what a regular packet shows; `packets` does not count it yet."""
        count = self.packets
        self.delta_max = max(self.delta_max, delta)
        self.delta_min = delta if self.delta_min == -1 else min(self.delta_min, delta)
        self.delta_mean += (delta - self.delta_mean) / count
        if jitter is not None:
            self.jitter_max = max(self.jitter_max, jitter)
            self.jitter_min = jitter if self.jitter_min == -1 else min(self.jitter_min, jitter)
            self.jitter_mean += (jitter - self.jitter_mean) / count


class Far(Struct, frozen=True):
    """The receiver's last RTCP report on the stream, as it passed: cumulative, jitter in clocks."""

    at_ms: int
    lost: int
    highest: int
    jitter: int


class Tick(Struct, frozen=True):
    """Cumulative counters at one moment; `jitter_ms` is the mean since the tick before.

    `octets` is None once a size was not known.
    """

    at_ms: int
    received: int
    expected: int
    octets: int | None
    frames: int
    jitter_ms: float | None
    far: Far | None
    rtt_total_ms: float
    rtt_count: int
    payload_type: int


class Stream(Struct):
    """A sender's packets to one address and port; times are ns on the capture's clock."""

    flow: bytes
    ssrc: int
    payload_type: int
    first_ns: int
    last_ns: int
    stamp: int
    order: Order
    line: Line
    number: int = 0
    clock_ns: int = 0
    jitter: float = 0.0
    jitter_sum: float = 0.0
    jitter_count: int = 0
    copies_before: int = 0
    octets: int = 0
    octets_known: bool = True
    frames: int = 1
    good: int = 0
    bad: int = 0
    confirmed: bool = False
    backwards: int = 0
    guessed_hz: int = 0
    stamps: int = 0
    stamps_max: int = 0
    kind: Kind | None = None
    formats: dict[int, Format | None] = field(default_factory=dict)
    ticks: list[Tick] = field(default_factory=list)
    far: Far | None = None
    rtt_total_ms: float = 0.0
    rtt_count: int = 0
    due_ns: int = 0
    last_octets: int = 0
    behind: bool = False
    breaks: list[int] = field(default_factory=list)

    def format(self, payload_type: int) -> Format | None:
        """What a payload type stands for, as far as it is known."""
        try:
            return self.formats[payload_type]
        except KeyError:
            known = self.formats[payload_type] = static_format(payload_type)
            return known

    def learn(self, media: Media) -> None:
        """Take over what a SIP message said of this stream."""
        self.kind = media.kind
        self.formats.update(media.formats)

    def take(
        self, at_ns: int, seq: int, stamp: int, payload_type: int, *, marker: bool, octets: int
    ) -> None:
        """Count a packet after the first; octets are of payload, -1 when not known."""
        ahead = (stamp - self.stamp) & 0xFFFFFFFF
        if ahead >= STAMPS_HALF:
            ahead -= STAMPS
        stamps = self.stamps + ahead
        if stamps >= 0:  # not from before the first packet
            self.vary(at_ns - self.clock_ns, ahead, payload_type, marker=marker)
            self.clock_ns, self.stamp, self.stamps = at_ns, stamp, stamps
        self.line.number(seq)
        self.line.packets += 1
        self.judge(seq, ahead)
        self.payload_type = payload_type
        if self.order.take(seq):
            if octets < 0:
                self.octets_known = False
            else:
                self.octets += octets
                self.last_octets = octets
            if stamps > self.stamps_max:
                self.stamps_max = stamps
                self.frames += 1
        if at_ns < self.last_ns:
            self.backwards += 1
        else:
            self.last_ns = at_ns

    def vary(self, delta_ns: int, ahead: int, payload_type: int, *, marker: bool) -> None:
        """Delta and jitter (RFC 3550, A.8) against the packet that arrived before."""
        known = self.format(payload_type)
        clock_hz = 0 if known is None or known.event else known.clock_hz
        if payload_type in COMFORT_NOISE:
            clock_hz = 8_000
        delta = delta_ns / MS_NS
        sure = clock_hz != 0
        if clock_hz := clock_hz or (0 if known else self.guessed_hz):
            self.jitter += (abs(delta - 1000 * ahead / clock_hz) - self.jitter) / 16
            self.jitter_sum += self.jitter
            self.jitter_count += 1
        before = self.payload_type
        if not (marker or payload_type in COMFORT_NOISE or before in COMFORT_NOISE):
            self.line.regular(delta, self.jitter if sure else None)

    def judge(self, seq: int, ahead: int) -> None:
        """Whether the packet goes on as RTP does: used until the stream is believed."""
        if not self.confirmed:
            step = (seq - self.order.newest) & 0xFFFF
            if 0 < step <= STEP_MAX and -STAMPS_BACK_MAX <= ahead <= STAMPS_AHEAD_MAX:
                self.good += 1
            elif STEP_MAX < step < SEQUENCES - STEP_MAX:
                self.bad += 1

    def keep_up(self, at_ns: int, every_ns: int) -> int:
        """Ticks that are due before a packet at `at_ns`, on the grid that began with the stream.

        Of a silence only its beginning and its end. How many were kept.
        """
        kept = len(self.ticks)
        if self.behind:
            self.behind = False
            self.breaks.append(kept)
        else:
            self.tick(self.due_ns)
        last_ns = at_ns - (at_ns - self.ticks[0].at_ms * MS_NS) % every_ns
        self.tick(last_ns)
        self.due_ns = last_ns + every_ns
        return len(self.ticks) - kept

    def step_back(self) -> None:
        """The capture's clock was put back: nothing is measured until it is where it was."""
        if not self.behind:
            self.tick(self.last_ns)
            self.behind = True

    def end(self) -> None:
        """The last tick. What the last packet began has not lasted, and is in no rate."""
        if not self.behind:
            self.octets -= self.last_octets
            self.frames -= 1
            self.tick(self.last_ns)
            self.octets += self.last_octets
            self.frames += 1

    def thin(self) -> None:
        """Give up every other tick, but the first and the last."""
        self.ticks = [*self.ticks[:-1:2], self.ticks[-1]]
        self.breaks = [(place + 1) // 2 for place in self.breaks]

    def tick(self, at_ns: int) -> None:
        """Keep the counters as they are at a moment after the last packet."""
        if self.ticks[-1].at_ms >= at_ns // MS_NS:
            return
        self.guess()
        order = self.order
        copied = order.copies > self.copies_before
        mean = self.jitter_sum / self.jitter_count if self.jitter_count and not copied else None
        self.ticks.append(
            Tick(
                at_ns // MS_NS,
                order.received,
                order.expected,
                self.octets if self.octets_known else None,
                self.frames,
                mean,
                self.far,
                self.rtt_total_ms,
                self.rtt_count,
                self.payload_type,
            )
        )
        self.jitter_sum, self.jitter_count, self.copies_before = 0.0, 0, order.copies

    def guess(self) -> None:
        """Estimate the clock rate of a dynamic payload type from time stamps and arrivals."""
        span_ns = self.clock_ns - self.first_ns
        if self.guessed_hz or span_ns < CLOCK_NS_MIN or self.order.received < CLOCK_PACKETS_MIN:
            return
        rate = self.stamps * 1_000_000_000 / span_ns
        for clock_hz in CLOCKS_HZ:
            if abs(rate - clock_hz) <= CLOCK_TOLERANCE * clock_hz:
                self.guessed_hz = clock_hz


STEP_MAX: Final = 64
"""Greater steps of the sequence number speak against RTP, until a stream is believed."""
STAMPS_AHEAD_MAX: Final = 90_000 * 60
STAMPS_BACK_MAX: Final = 90_000 * 5


def opened(key: tuple[bytes, int], at_ns: int, first: tuple[int, int, int], octets: int) -> Stream:
    """A stream of (flow, SSRC) with its first packet (sequence number, time stamp, type)."""
    flow, ssrc = key
    seq, stamp, payload_type = first
    stream = Stream(
        flow, ssrc, payload_type, at_ns, at_ns, stamp, Order(seq), Line(seq, seq), clock_ns=at_ns
    )
    stream.octets, stream.octets_known = max(octets, 0), octets >= 0
    stream.last_octets = stream.octets
    stream.ticks.append(Tick(at_ns // MS_NS, 0, 0, 0, 0, None, None, 0.0, 0, payload_type))
    return stream
