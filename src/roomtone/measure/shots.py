"""The snapshots of one connection: the newest as they are, older ones sealed in pages of bytes.

Reports that come in order take the newest only. A page is compressed once, and opened when a late
report, or another participant's, reaches back to it.
"""

import bisect
import threading
from operator import attrgetter
from typing import Final

import msgspec
import zstandard
from msgspec import Struct, field

from roomtone.measure.snapshot import Snapshot

PAGE_SHOTS: Final = 8
PAGE_BYTES_MAX: Final = 16 * 2**20
ZSTD_LEVEL: Final = -1  # half the time of 1, and pages 2 % larger

_decode: Final = msgspec.msgpack.Decoder(list[Snapshot]).decode
_encode: Final = msgspec.msgpack.Encoder().encode
_at_ms: Final = attrgetter("at_ms")


class _Zstd(threading.local):
    """Contexts to use again: to make one takes longer than a page. No two threads may share it."""

    def __init__(self) -> None:
        self.compress = zstandard.ZstdCompressor(level=ZSTD_LEVEL).compress
        self.decompress = zstandard.ZstdDecompressor().decompress


_zstd: Final = _Zstd()


class Page(Struct, array_like=True):
    """Snapshots in time's order as bytes, their times, and how many rows they have."""

    times: list[int]
    rows: int
    data: bytes


class Shots(Struct, array_like=True):
    """One connection's snapshots in time's order: pages, then those that are open."""

    pages: list[Page] = field(default_factory=list)
    open: list[Snapshot] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.open) + sum(len(page.times) for page in self.pages)

    def times(self) -> list[int]:
        """When all of them were taken."""
        times: list[int] = []
        for page in self.pages:
            times += page.times
        times += map(_at_ms, self.open)
        return times

    def row_count(self) -> int:
        """Rows of all of them, and one more for each."""
        count = len(self.open)
        for page in self.pages:
            count += len(page.times) + page.rows
        for shot in self.open:
            count += len(shot.rows)
        return count

    def place(self, at_ms: int) -> int:
        """Where in `open` a snapshot of that time stands, or belongs."""
        if self.open and at_ms > self.open[-1].at_ms:
            return len(self.open)
        self.reopen(at_ms)
        return bisect.bisect_left(self.open, at_ms, key=_at_ms)

    def reopen(self, from_ms: float) -> None:
        """Open the pages with snapshots from a time on, and of the one before."""
        while self.pages and self.open[0].at_ms >= from_ms:
            packed = self.pages.pop().data
            self.open[:0] = _decode(_zstd.decompress(packed, max_output_size=PAGE_BYTES_MAX))

    def between(self, low_ms: float, high_ms: float) -> list[Snapshot]:
        """Snapshots of that time, and one more on either side."""
        self.reopen(low_ms)
        first = max(bisect.bisect_left(self.open, low_ms, key=_at_ms) - 1, 0)
        if high_ms >= self.open[-1].at_ms:
            return self.open[first:]
        return self.open[first : bisect.bisect_right(self.open, high_ms, key=_at_ms) + 1]

    def since(self, at_ms: int) -> list[Snapshot]:
        """Snapshots from one of that time on."""
        self.reopen(at_ms)
        return self.open[bisect.bisect_left(self.open, at_ms, key=_at_ms) :]

    def seal(self, needed_ms: float) -> None:
        """Put into pages what is older than the last snapshot before a time; that one stays."""
        count = bisect.bisect_left(self.open, needed_ms, key=_at_ms) - 1
        for first in range(0, count - PAGE_SHOTS + 1, PAGE_SHOTS):
            old = self.open[first : first + PAGE_SHOTS]
            rows = sum(len(shot.rows) for shot in old)
            page = Page([shot.at_ms for shot in old], rows, _zstd.compress(_encode(old)))
            self.pages.append(page)
        if count >= PAGE_SHOTS:
            del self.open[: count // PAGE_SHOTS * PAGE_SHOTS]

    def drop_after(self, until_ms: float) -> None:
        """Give up what is later."""
        self.reopen(until_ms)
        del self.open[bisect.bisect_right(self.open, until_ms, key=_at_ms) :]

    def forget(self, oldest_ms: int) -> bool:
        """Give up what is older, page by page; whether that was any. The newest stays."""
        count = 0
        if self.pages:
            while count < len(self.pages) and self.pages[count].times[-1] < oldest_ms:
                count += 1
            del self.pages[:count]
        elif self.open[0].at_ms < oldest_ms:
            count = bisect.bisect_left(self.open, oldest_ms, key=_at_ms)
            del self.open[: min(count, len(self.open) - 1)]
        return count > 0
