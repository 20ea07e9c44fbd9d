"""What a meeting's participants know of each other: whose clock is off, who sends which stream, and
what others received of it. Small, for the time of the call (pure).
"""

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec
import zstandard
from msgspec import Struct, field, structs

from roomtone.measure.far import Carried, Far, merged
from roomtone.measure.snapshot import Seen
from roomtone.measure.state import Measured

ENDS_MAX: Final = 16
"""In larger meetings nobody sends to all others: there is an SFU between, and nothing to match."""
OFFSETS_MAX: Final = 8
SLOW_MAX: Final = 2
"""So many slow posts one after another are chance."""
CLOCK_OFF_MS: Final = 5_000
"""A clock that is off by less is only noted: a post may take some seconds. One that is off by more
is corrected, in whole seconds."""
SSRCS_MAX: Final = 256
STATE_BYTES_MAX: Final = 16 * 2**20
ZSTD_LEVEL: Final = 1


class Clock(Struct, array_like=True):
    """How far behind the server's a client's clock is: ms to add to its times.

    `offsets` are differences between when a post came and when the client says it went: the way
    takes time, so that the smallest is the truest. `corrected_ms` is what is added to its times.
    """

    offsets: list[float] = field(default_factory=list)
    corrected_ms: int = 0

    def hear(self, offset_ms: float) -> None:
        """One more post. Posts before the clock was set do not count any more.

        It was set forward when the difference is smaller than a way can make it, and back when it
        stays larger: one slow post says nothing.
        """
        low = self.offset_ms() if self.offsets else offset_ms
        self.offsets = [*self.offsets, offset_ms][-OFFSETS_MAX:]
        last = self.offsets[-SLOW_MAX - 1 :]
        if offset_ms < low - CLOCK_OFF_MS:
            self.offsets = [offset_ms]
        elif len(last) > SLOW_MAX and min(last) > low + CLOCK_OFF_MS:
            self.offsets = last
        if abs(self.offset_ms() - self.corrected_ms) >= CLOCK_OFF_MS:
            self.corrected_ms = 1000 * round(self.offset_ms() / 1000)

    def offset_ms(self) -> float:
        """The best guess; 0 when no post told."""
        return min(self.offsets, default=0.0)

    def rest_ms(self) -> float:
        """What a corrected time still lacks."""
        return self.offset_ms() - self.corrected_ms if self.offsets else 0.0


class End(Struct, array_like=True):
    """One session: its clock, the SSRCs it sends, and what it received, on the server's clock."""

    clock: Clock = field(default_factory=Clock)
    sent: list[int] = field(default_factory=list)
    received: dict[int, list[Carried]] = field(default_factory=dict)

    def sends(self, seen: Sequence[Seen]) -> None:
        """Note the streams that it is seen to send."""
        rows = (row for _, shot in seen for row in shot.rows if row.kind.endswith("Out"))
        self.sent = [*dict.fromkeys([*self.sent, *(row.ssrc for row in rows)])][-SSRCS_MAX:]


class Ends(Struct, array_like=True):
    """The sessions of a meeting by id."""

    ends: dict[str, End] = field(default_factory=dict)

    def of(self, session: str) -> End:
        """A session's end; a new one is known from now on, and the eldest of too many is not."""
        found = self.ends.pop(session, None) or End()
        self.ends[session] = found
        while len(self.ends) > ENDS_MAX:
            del self.ends[next(iter(self.ends))]
        return found

    def far(self, session: str) -> Far:
        """What others received of what a session sends, on its own clock as it is corrected."""
        mine = self.ends[session]
        by_ms = mine.clock.rest_ms()
        return {
            ssrc: [span.moved(-by_ms) for span in other.received[ssrc]]
            for name, other in self.ends.items()
            if name != session
            for ssrc in mine.sent
            if ssrc in other.received
        }

    def note(self, session: str, measured: Measured) -> Iterator[tuple[str, tuple[float, float]]]:
        """Add what a session measured; the other sessions for whom it is news, and of which time.

        The times are on those sessions' clocks.
        """
        mine = self.ends[session]
        by_ms = mine.clock.rest_ms()
        for ssrc, spans in list(measured.received.items())[:SSRCS_MAX]:
            moved = [span.moved(by_ms) for span in spans]
            mine.received[ssrc] = merged(mine.received.get(ssrc, []), moved)
        while len(mine.received) > SSRCS_MAX:
            del mine.received[next(iter(mine.received))]
        for name, other in self.ends.items():
            news = (
                [span for ssrc in other.sent for span in measured.received.get(ssrc, [])]
                if name != session
                else []
            )
            if news:
                rest_ms = by_ms - other.clock.rest_ms()
                low = min(span.start_ms for span in news)
                high = max(span.end_ms for span in news)
                yield name, (low + rest_ms, high + rest_ms)


_decode: Final = msgspec.msgpack.Decoder(Ends).decode
_encode: Final = msgspec.msgpack.Encoder().encode


def unpack(state: bytes) -> Ends:
    """What `pack` gave; b"" is a meeting of which nothing is known."""
    if not state:
        return Ends()
    return _decode(zstandard.decompress(state, max_output_size=STATE_BYTES_MAX))


def pack(ends: Ends) -> bytes:
    """As bytes."""
    return zstandard.compress(_encode(ends), ZSTD_LEVEL)


def moved(seen: Sequence[Seen], by_ms: int) -> list[Seen]:
    """What was seen, at other times."""
    if not by_ms:
        return list(seen)
    found: list[Seen] = []
    for connection, shot in seen:
        rows = [
            row
            if row.remote is None
            else structs.replace(
                row, remote=structs.replace(row.remote, at_ms=row.remote.at_ms + by_ms)
            )
            for row in shot.rows
        ]
        later = structs.replace(shot, at_ms=shot.at_ms + by_ms, rows=rows)
        found.append(Seen(connection, later))
    return found
