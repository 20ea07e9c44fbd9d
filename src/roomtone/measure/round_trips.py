"""Round trips: from the far end's RTCP reports, and from connectivity checks."""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct, field

from roomtone.measure.snapshot import Remote, Snapshot, Stun

RTT_MS_MAX: Final = 60_000.0


class Trip(Struct, array_like=True, gc=False):
    """A round trip time that holds for a span."""

    start_ms: float
    end_ms: float
    rtt_ms: float

    def part(self, low_ms: float, high_ms: float) -> "Trip":
        """What falls in a part of its time."""
        return Trip(low_ms, high_ms, self.rtt_ms)


def rtcp_rtt_ms(before: Remote, after: Remote) -> float | None:
    """d totalRoundTripTime / d roundTripTimeMeasurements, or roundTripTime without the two."""
    total, count = after.rtt_total_s, after.rtt_count
    total_before, count_before = before.rtt_total_s, before.rtt_count
    if (
        total is not None
        and count is not None
        and total_before is not None
        and count_before is not None
        and total >= total_before
        and count >= count_before
    ):
        count -= count_before
        return 1000.0 * (total - total_before) / count if count else None
    return 1000.0 * after.rtt_s if after.rtt_s is not None else None


class Checks(Struct, array_like=True):
    """Round trips from connectivity checks of one connection (totalRoundTripTime is in s).

    `stun` is the latest that had new ones, of `stun_ms`; `seen_ms` is when any were last told of.
    """

    trips: list[Trip] = field(default_factory=list)
    stun: Stun | None = None
    stun_ms: float = 0.0
    seen_ms: int = 0

    def follow(self, shots: Sequence[Snapshot], limit_ms: float) -> None:
        """Take in snapshots that follow; the first may be the last that is known."""
        for shot in shots:
            stun, known = shot.stun, self.stun
            if stun is None:
                continue
            self.seen_ms = shot.at_ms
            if known is not None and known.pair == stun.pair:
                count = stun.count - known.count
                total = stun.total_s - known.total_s
                if count == 0:
                    continue
                at_ms = float(shot.at_ms)
                fits = count > 0 and 0 < 1000 * total <= RTT_MS_MAX * count
                if fits and 0 < at_ms - self.stun_ms <= limit_ms:
                    self.trips.append(Trip(self.stun_ms, at_ms, 1000 * total / count))
            self.stun, self.stun_ms = stun, float(shot.at_ms)
