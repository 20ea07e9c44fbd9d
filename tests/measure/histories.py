"""Packets on their way to a receiver, and its counters as RFC 3550 and webrtc-stats keep them."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

RTX_AFTER_MS = 150


@dataclass(frozen=True, kw_only=True)
class Call:
    """What happens to one incoming stream. Times are ms from the start of the call."""

    seed: int
    length_ms: int
    per_s: int
    loss: float = 0.0
    late: float = 0.0
    """Packets that come up to 3 s after their turn, when they have been counted as lost."""
    twice: float = 0.0
    again: float = 0.0
    """Lost packets that are sent again, over RTX."""
    silences: tuple[tuple[int, int], ...] = ()
    """(start, length) of times in which nothing is sent."""
    breaks: tuple[tuple[int, str], ...] = ()
    """(time, "ssrc" or "restart"): a new SSRC, or counters that begin anew."""


@dataclass(frozen=True)
class Arrival:
    at_ms: float
    sent_ms: float
    number: int
    octets: int
    rtx: bool = False


@dataclass
class Counters:
    """A receiver's, of one SSRC; `lost` is expected - received (RFC 3550, A.3)."""

    received: int = 0
    again: int = 0
    octets: int = 0
    octets_again: int = 0
    first: int | None = None
    highest: int = 0

    def take(self, one: Arrival) -> None:
        self.received += 1
        self.octets += one.octets
        if one.rtx:
            self.again += 1
            self.octets_again += one.octets
            return
        if self.first is None:
            self.first = self.highest = one.number
        self.highest = max(self.highest, one.number)

    @property
    def lost(self) -> int:
        if self.first is None:
            return 0
        return self.highest - self.first + 1 - (self.received - self.again)

    def entry(self, ssrc: int) -> dict[str, Any]:
        return {
            "type": "inbound-rtp", "id": f"I{ssrc}", "kind": "video", "ssrc": ssrc,
            "packetsReceived": self.received, "packetsLost": self.lost,
            "retransmittedPacketsReceived": self.again, "bytesReceived": self.octets,
            "retransmittedBytesReceived": self.octets_again,
        }  # fmt: skip


Sampled = list[tuple[int, dict[int, Counters]]]
"""(ms, counters by SSRC): what a client saw when it looked."""


def arrivals(call: Call) -> list[Arrival]:
    """Every packet that came, in the order in which they came."""
    dice = random.Random(call.seed)
    found: list[Arrival] = []
    for number in range(call.length_ms * call.per_s // 1000):
        sent_ms = 1000 * number / call.per_s
        octets, at_ms = dice.randint(40, 1_200), sent_ms + dice.uniform(20, 60)
        if any(start <= sent_ms < start + length for start, length in call.silences):
            continue
        if dice.random() < call.loss:
            if dice.random() < call.again:
                at_ms += RTX_AFTER_MS
                found.append(Arrival(at_ms, sent_ms, number, octets, rtx=True))
            continue
        if dice.random() < call.late:
            at_ms += dice.uniform(100, 3_000)
        found.append(Arrival(at_ms, sent_ms, number, octets))
        if dice.random() < call.twice:
            found.append(Arrival(at_ms + 5, sent_ms, number, octets))
    return sorted(found, key=lambda one: one.at_ms)


@dataclass
class Receiver:
    """One who counts what comes, and begins anew at every break."""

    call: Call
    ssrc: int = 1
    since_ms: float = 0.0
    counters: Counters = field(default_factory=Counters)

    def __post_init__(self) -> None:
        self.ahead = sorted(self.call.breaks, reverse=True)

    def pass_breaks(self, until_ms: float) -> None:
        while self.ahead and self.ahead[-1][0] <= until_ms:
            at_ms, what = self.ahead.pop()
            self.since_ms, self.counters = at_ms, Counters()
            self.ssrc += what == "ssrc"

    def take(self, one: Arrival) -> None:
        self.pass_breaks(one.at_ms)
        if one.sent_ms >= self.since_ms:
            self.counters.take(one)


def sampled(call: Call, times: list[int]) -> Sampled:
    """The counters at those times, in ascending order."""
    receiver = Receiver(call)
    rest: Iterator[Arrival | None] = iter([*arrivals(call), None])
    one = next(rest)
    found: Sampled = []
    for at_ms in times:
        while one is not None and one.at_ms <= at_ms:
            receiver.take(one)
            one = next(rest)
        receiver.pass_breaks(at_ms)
        counters = receiver.counters
        copy = Counters(**vars(counters))
        found.append((at_ms, {receiver.ssrc: copy} if counters.received else {}))
    return found
