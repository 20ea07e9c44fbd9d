"""What no stream can do: counters that jump, or that were wrong once and then right again."""

from typing import Final, Protocol, TypeVar

from roomtone.measure.snapshot import Row

PACKETS_PER_S_MAX: Final = 50_000.0
"""No stream has more (600 Mbit/s in packets of 1.5 kB): a counter that grows faster has jumped."""
OCTETS_PER_PACKET_MAX: Final = 65_535.0
FRAMES_PER_S_MAX: Final = 1_000.0
LOST_PER_SENT_MAX: Final = 4.0
LOST_ALLOWANCE: Final = 100.0
"""A far end can lose as much as was sent, and reports more in a time when its reports are late."""


class Told(Protocol):
    """What was told of a stream between two rows, as far as it can be taken back."""

    end_ms: float
    lost: float | None
    expected: float | None
    frames: float | None


T = TypeVar("T", bound=Told)


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


def spiked(earlier: float | None, before: float | None, after: float | None) -> bool:
    """Whether a counter went back, but not behind where it was two reports ago: `before` was wrong.

    One that began anew and was soon past where it had been looks the same, and is unknown too.
    """
    if earlier is None or before is None or after is None:
        return False
    return earlier <= after < before


def any_spiked(earlier: Row, before: Row, after: Row) -> bool:
    """The same of a counter of packets or bytes; one of a stream that began anew has not spiked."""
    if after.packets < before.packets:
        return spiked(earlier.packets, before.packets, after.packets)
    return (
        spiked(earlier.bytes, before.bytes, after.bytes)
        or spiked(earlier.retransmitted, before.retransmitted, after.retransmitted)
        or spiked(
            earlier.retransmitted_bytes, before.retransmitted_bytes, after.retransmitted_bytes
        )
    )


def takes_back(told: list[T], at_ms: float, earlier: Row | None, before: Row, after: Row) -> bool:
    """Make what was told of the time up to `before` (`at_ms`) unknown where its counters spiked.

    All of it, and True: what follows is unknown too. Or losses (which may go back by as many
    packets as came late) and frames alone. `earlier` is the row at its beginning.
    """
    if earlier is None or told[-1].end_ms != at_ms:
        return False
    if any_spiked(earlier, before, after):
        told.pop()
        return True
    if after.packets < before.packets:  # a restart
        return False
    if before.lost is not None and after.lost is not None:
        late_max = after.packets - before.packets
        if before.lost - after.lost > late_max and spiked(earlier.lost, before.lost, after.lost):
            told[-1].lost = told[-1].expected = None
    if spiked(earlier.frames, before.frames, after.frames):
        told[-1].frames = None
    return False


def jumped(packets: float, seconds: float) -> bool:
    """Whether a counter of packets grew faster than any stream does. Short spans count as 1 s."""
    return packets > PACKETS_PER_S_MAX and packets > PACKETS_PER_S_MAX * seconds


def too_many(lost: float, sent: float) -> bool:
    """Whether a far end tells more losses than there can have been of the packets sent."""
    return lost > LOST_PER_SENT_MAX * sent + LOST_ALLOWANCE
