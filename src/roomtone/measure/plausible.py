"""What no stream can do: counters that jump, or that were wrong once and then right again."""

from typing import Final

from roomtone.measure.snapshot import Row

PACKETS_PER_S_MAX: Final = 50_000
"""No stream has more (600 Mbit/s in packets of 1.5 kB): a counter that grows faster has jumped."""
OCTETS_PER_PACKET_MAX: Final = 65_535
FRAMES_PER_S_MAX: Final = 1_000


def dipped(earlier: float | None, before: float | None, after: float | None) -> bool:
    """Whether a counter went back and then, at once, past where it had been: it was wrong once.

    One that began anew within two reports and overtook itself looks the same, and is unknown too.
    """
    if earlier is None or before is None or after is None:
        return False
    return before < earlier <= after


def any_dipped(earlier: Row, before: Row, after: Row) -> bool:
    """Whether `before` has a counter of packets or bytes that was wrong once."""
    return (
        dipped(earlier.packets, before.packets, after.packets)
        or dipped(earlier.bytes, before.bytes, after.bytes)
        or dipped(earlier.retransmitted, before.retransmitted, after.retransmitted)
        or dipped(
            earlier.retransmitted_bytes, before.retransmitted_bytes, after.retransmitted_bytes
        )
    )


def dipped_below(earlier: Row, before: Row, after: Row) -> bool:
    """The same of losses, which may go back by as many packets as came late."""
    if earlier.lost is None or before.lost is None:
        return False
    late_max = max(before.packets - earlier.packets, 0.0)
    return before.lost - earlier.lost < -late_max and dipped(earlier.lost, before.lost, after.lost)


def jumped(packets: float, seconds: float) -> bool:
    """Whether a counter of packets grew faster than any stream does. Short spans count as 1 s."""
    return packets > PACKETS_PER_S_MAX and packets > PACKETS_PER_S_MAX * seconds
