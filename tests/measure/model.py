"""The decision 0007 once more, as plainly as it can be said, to hold `measure` against.

Every pair of neighbouring reports is a `Piece`; an interval sums the shares of all pieces. No code
is shared with `measure`, nothing is incremental, nothing is fast.
"""

import statistics
from dataclasses import dataclass, field
from itertools import pairwise

from tests.measure.histories import Counters, Sampled


@dataclass
class Piece:
    ssrc: int
    start_ms: int
    end_ms: int
    packets: int
    bits: int | None
    lost: int | None
    taken_back: bool = False
    """A counter at its end was too high."""


@dataclass
class Carried:
    """One stream's share of an interval."""

    ms: float = 0.0
    bits_ms: float = 0.0
    bits: float = 0.0


@dataclass
class Sum:
    """One interval."""

    carried: dict[int, Carried] = field(default_factory=dict)
    covered_ms: float = 0.0
    bits_ms: float = 0.0
    loss_ms: float = 0.0
    lost: float = 0.0
    expected: float = 0.0

    def bits_per_s(self, size_ms: float) -> float | None:
        """None where half of the interval is unknown, or half of a stream's time."""
        streams = self.carried.values()
        if self.bits_ms < size_ms / 2 or any(one.bits_ms < one.ms / 2 for one in streams):
            return None
        return 1000 * sum(one.bits * one.ms / one.bits_ms for one in streams) / self.covered_ms


SETTLE_MS = 2_000


def gap_limit_ms(times: list[int]) -> int:
    periods = [after - before for before, after in pairwise(times)]
    usual = statistics.median_low(periods) if periods else 0
    return min(max(30_000, 3 * usual), 300_000)


def went_back(before: Counters, after: Counters) -> tuple[bool, ...]:
    return (
        after.received < before.received,
        after.octets < before.octets,
        after.again < before.again,
        after.octets_again < before.octets_again,
    )


def overtook(three: Sampled, ssrc: int, limit_ms: int) -> bool:
    """Whether a counter went back and then past where it had been, within three reports."""
    looks = [counters.get(ssrc) for _, counters in three]
    if len(looks) < 3 or None in looks or three[1][0] - three[0][0] > limit_ms:
        return False
    one, two, last = (look for look in looks if look is not None)
    return any(
        back and not behind
        for back, behind in zip(went_back(one, two), went_back(one, last), strict=True)
    )


def too_few_came(before: Counters, after: Counters) -> bool:
    """Whether losses were taken back without packets that came late: that counter is wrong."""
    media = after.received - after.again - before.received + before.again
    return after.lost - before.lost < -media


def fell_back(three: Sampled, ssrc: int) -> tuple[bool, bool]:
    """Whether a counter was too high in the middle of three looks: (of packets or octets, losses).

    It fell, but not behind where it had been. Where packets fell, theirs alone tells.
    """
    one, two, last = (counters[ssrc] for _, counters in three)
    fell = [
        was <= after < before
        for was, before, after in (
            (one.received, two.received, last.received),
            (one.octets, two.octets, last.octets),
            (one.again, two.again, last.again),
            (one.octets_again, two.octets_again, last.octets_again),
        )
    ]
    if last.received < two.received:
        return fell[0], False
    lost = two.lost - last.lost > last.received - two.received and one.lost <= last.lost < two.lost
    return any(fell[1:]), lost


def lost_in(looks: Sampled, ssrc: int, limit_ms: int) -> int | None:
    """What was lost between the last two looks; None after a dip that the look before tells."""
    before, after = looks[-2][1][ssrc], looks[-1][1][ssrc]
    if too_few_came(before, after):
        return None
    earlier = looks[0][1].get(ssrc) if len(looks) == 3 else None
    if earlier is not None and looks[1][0] - looks[0][0] <= limit_ms:
        restart = before.received < earlier.received
        back = before.lost - earlier.lost < -max(before.received - earlier.received, 0)
        if back and not restart and before.lost < earlier.lost <= after.lost:
            return None
    return after.lost - before.lost


def pieces_of(seen: Sampled, ssrc: int, limit_ms: int) -> list[list[Piece | None]]:
    """Unbroken chains of one stream; None is a pair that contradicts itself."""
    chains: list[list[Piece | None]] = [[]]
    for index, ((start_ms, first), (end_ms, second)) in enumerate(pairwise(seen)):
        before, after = first.get(ssrc), second.get(ssrc)
        if before is None or after is None or end_ms - start_ms > limit_ms:
            chains.append([])
        elif any(went_back(before, after)) or overtook(seen[index - 1 : index + 2], ssrc, limit_ms):
            chains[-1].append(None)
        else:
            packets = after.received - after.again - before.received + before.again
            octets = after.octets - after.octets_again - before.octets + before.octets_again
            lost = lost_in(seen[max(index - 1, 0) : index + 2], ssrc, limit_ms)
            fits = after.octets - before.octets <= 65_535 * (after.received - before.received)
            possible = packets >= 0 and octets >= 0 and fits
            piece = Piece(ssrc, start_ms, end_ms, packets, 8 * octets, lost)
            if wakes(seen, start_ms, limit_ms):
                piece.bits = piece.lost = None
            chains[-1].append(piece if possible else None)
        if len(chains[-1]) > 1 and (told := chains[-1][-2]) is not None:
            wrong, lost_wrong = fell_back(seen[index - 1 : index + 2], ssrc)
            if wrong:
                told.taken_back = True
                chains[-1][-1] = None
            elif lost_wrong:
                told.lost = None
    return chains


def wakes(seen: Sampled, at_ms: int, limit_ms: int) -> bool:
    """Whether a gap ended then, or less than 2 s before."""
    return any(
        end_ms - start_ms > limit_ms and end_ms <= at_ms < end_ms + SETTLE_MS
        for (start_ms, _), (end_ms, _) in pairwise(seen)
    )


def flowing(chain: list[Piece | None], limit_ms: int) -> list[Piece]:
    """Without silence that nothing ends, or that is too long to be part of the stream."""
    kept: list[Piece] = []
    silence: list[Piece] = []
    for piece in chain:
        if piece is None:
            silence = []
        elif piece.packets == 0:
            silence.append(piece)
        else:
            if silence and silence[-1].end_ms - silence[0].start_ms <= limit_ms:
                kept += silence
            kept += [] if piece.taken_back else [piece]
            silence = []
    return kept


def runs_of(pieces: list[Piece], times: list[int], limit_ms: int) -> list[tuple[int, list[Piece]]]:
    """(phase, pieces) of each run: the phase is its own where its beginning was seen."""
    runs: list[tuple[int, list[Piece]]] = []
    end_ms = 0
    for piece in sorted(pieces, key=lambda one: one.start_ms):
        if runs and piece.start_ms - end_ms <= limit_ms:
            runs[-1][1].append(piece)
        else:
            earlier = [at_ms for at_ms in times if at_ms < piece.start_ms]
            watched = not earlier or piece.start_ms - earlier[-1] <= limit_ms
            phase = piece.start_ms if watched or not runs else runs[-1][0]
            runs.append((phase, [piece]))
        end_ms = max(end_ms, piece.end_ms)
    return runs


def sums(seen: Sampled, size_ms: float) -> dict[float, Sum]:
    """Every interval by its start."""
    times = [at_ms for at_ms, _ in seen]
    limit_ms = gap_limit_ms(times)
    ssrcs = sorted({ssrc for _, counters in seen for ssrc in counters})
    chains = [chain for ssrc in ssrcs for chain in pieces_of(seen, ssrc, limit_ms)]
    pieces = [piece for chain in chains for piece in flowing(chain, limit_ms)]
    found: dict[float, Sum] = {}
    for phase, run in runs_of(pieces, times, limit_ms):
        for piece in run:
            number = (piece.start_ms - phase) // size_ms
            while (low := phase + number * size_ms) < piece.end_ms:
                add(found.setdefault(low, Sum()), piece, low, low + size_ms)
                number += 1
    return found


def add(cell: Sum, piece: Piece, low_ms: float, high_ms: float) -> None:
    inside_ms = min(piece.end_ms, high_ms) - max(piece.start_ms, low_ms)
    share = inside_ms / (piece.end_ms - piece.start_ms)
    cell.covered_ms += inside_ms
    carried = cell.carried.setdefault(piece.ssrc, Carried())
    carried.ms += inside_ms
    if piece.bits is not None:
        cell.bits_ms += inside_ms
        carried.bits_ms += inside_ms
        carried.bits += share * piece.bits
    if piece.lost is not None:
        cell.loss_ms += inside_ms
        cell.lost += share * piece.lost
        cell.expected += share * max(piece.packets + piece.lost, 0)
