"""Round trips: from the far end's RTCP reports, and from connectivity checks."""

from collections.abc import Iterable, Sequence
from typing import Final

from msgspec import Struct

from roomtone.measure.counters import grown
from roomtone.measure.rtcp import Point
from roomtone.measure.snapshot import Remote, Snapshot

RTT_MS_MAX: Final = 60_000


class Trip(Struct, gc=False):
    """A round trip time that holds for a span."""

    start_ms: float
    end_ms: float
    rtt_ms: float

    def part(self, low_ms: float, high_ms: float) -> "Trip":
        """What falls in a part of its time."""
        return Trip(low_ms, high_ms, self.rtt_ms)


def reported(runs: Iterable[Sequence[Point]], limit_ms: int) -> list[Trip]:
    """Round trips from RTCP: the mean of what was measured between two reports, else the last.

    Reports that brought no new measurement are passed over.
    """
    found: list[Trip] = []
    for run in runs:
        before: Point | None = None
        for point in run:
            if before is not None:
                if point.remote.rtt_count and point.remote.rtt_count == before.remote.rtt_count:
                    continue
                rtt_ms = rtcp_rtt_ms(before.remote, point.remote)
                span_ms = point.at_ms - before.at_ms
                if rtt_ms and rtt_ms <= RTT_MS_MAX and 0 < span_ms <= limit_ms:
                    found.append(Trip(before.at_ms, point.at_ms, rtt_ms))
            before = point
    return found


def rtcp_rtt_ms(before: Remote, after: Remote) -> float | None:
    """d totalRoundTripTime / d roundTripTimeMeasurements, or roundTripTime without the two."""
    if after.rtt_total_s is not None and after.rtt_count is not None:
        total = grown(before.rtt_total_s, after.rtt_total_s)
        count = grown(before.rtt_count, after.rtt_count)
        if total is not None and count is not None:
            return 1000 * total / count if count else None
    return 1000 * after.rtt_s if after.rtt_s is not None else None


def checked(chain: Sequence[Snapshot], limit_ms: int) -> list[Trip]:
    """Round trips from connectivity checks of one connection (totalRoundTripTime is in s)."""
    found: list[Trip] = []
    known: Snapshot | None = None
    for snapshot in chain:
        if snapshot.stun is None:
            continue
        if known is not None and known.stun is not None and known.stun.pair == snapshot.stun.pair:
            count = snapshot.stun.count - known.stun.count
            total = snapshot.stun.total_s - known.stun.total_s
            if count == 0:
                continue
            span_ms = snapshot.at_ms - known.at_ms
            fits = count > 0 and 0 < 1000 * total <= RTT_MS_MAX * count
            if fits and 0 < span_ms <= limit_ms:
                found.append(Trip(known.at_ms, snapshot.at_ms, 1000 * total / count))
        known = snapshot
    return found
