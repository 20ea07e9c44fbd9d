"""Rows that wait: a participant's streams are measured together, and not at each of their events.

Counters are cumulative, so that a stream's latest row tells all that those before it did, but for
what is a reading of its moment: the row has the mean of the jitter.
"""

from typing import Final

from msgspec import Struct, structs

from roomtone.measure import Row, Seen, Snapshot

HOLD_US_MAX: Final = 10 * 10**6
INTERVAL_PARTS: Final = 6
"""Rows wait for a sixth of an interval at most, so that none lacks its edges."""
INCOMING: Final = frozenset({"audioIn", "videoIn", "shareIn"})
ROWS_MAX: Final = 32
"""Rows that one stream may have waiting: two or three do in fact."""


class Held(Struct, array_like=True, gc=False):
    """A stream's row that waits, and `jitters` readings since the one before.

    `first`: its run begins with it, and none may take its place.
    """

    at_us: int
    row: Row
    first: bool
    jitter_total_ms: float = 0.0
    jitters: int = 0

    def released(self) -> Row:
        """The row with the mean of the jitter."""
        row = self.row
        jitter_ms = self.jitter_total_ms / self.jitters if self.jitters else None
        if row.kind in INCOMING:
            return structs.replace(row, jitter_ms=jitter_ms)
        assert row.remote is not None, "a publisher's row has what Janus received"
        return structs.replace(row, remote=structs.replace(row.remote, jitter_ms=jitter_ms))


Waiting = dict[str, list[Held]]
"""By stream, in the order in which they came."""


def hold_us(interval_s: float) -> int:
    """How long rows may wait for others of the same participant."""
    return min(HOLD_US_MAX, round(1e6 * interval_s / INTERVAL_PARTS))


def hold(waiting: Waiting, stream: str, at_us: int, row: Row, *, first: bool) -> None:
    """Let a row wait, in the place of the one before if it tells no less than that."""
    rows = waiting.setdefault(stream, [])
    held = Held(at_us, row, first)
    last = rows[-1] if rows else None
    if last is not None and (same_said(last, held) or len(rows) >= ROWS_MAX):
        held.jitter_total_ms, held.jitters = last.jitter_total_ms, last.jitters
        rows.pop()
    remote = row.remote
    jitter_ms = row.jitter_ms if row.kind in INCOMING or remote is None else remote.jitter_ms
    if jitter_ms is not None:
        held.jitter_total_ms += jitter_ms
        held.jitters += 1
    rows.append(held)


def same_said(last: Held, held: Held) -> bool:
    """Whether the later of two rows can stand for both: what one leaves open, so does the other."""
    one, other = last.row, held.row
    return (
        not (last.first or held.first)
        and (one.lost is None) == (other.lost is None)
        and (one.bytes is None) == (other.bytes is None)
        and (one.kind, one.ssrc, one.codec, one.transport)
        == (other.kind, other.ssrc, other.codec, other.transport)
    )


def drop(waiting: Waiting, *, incoming: bool) -> None:
    """Let no row go of what somebody receives, or sends."""
    for stream, rows in list(waiting.items()):
        if (rows[0].row.kind in INCOMING) is incoming:
            del waiting[stream]


def release(waiting: Waiting) -> list[Seen]:
    """All that waits, as `measure` takes it: each stream is a connection of its own."""
    found = [
        Seen(stream, Snapshot(at_ms=held.at_us // 1000, rows=[held.released()]))
        for stream, rows in waiting.items()
        for held in rows
    ]
    waiting.clear()
    return found
