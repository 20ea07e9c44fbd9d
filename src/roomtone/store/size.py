"""How large a session may become over all its posts, whatever they send (pure)."""

from typing import Final, NamedTuple

from roomtone.errors import Conflict
from roomtone.model import (
    RESOURCE_COLUMNS,
    STREAM_KINDS,
    MediaSession,
    sample_count,
    streams_of,
)

SESSION_SAMPLES_MAX: Final = 100_000
"""A week of minutes of ten streams; to seal so many takes the better part of a second."""
SESSION_ENTRIES_MAX: Final = 20_000
ENTRY_WEIGHT: Final = SESSION_SAMPLES_MAX // SESSION_ENTRIES_MAX
WEIGHT_MAX: Final = SESSION_SAMPLES_MAX
"""Of both at once. A packed piece has more bytes than weight: a byte a sample, seven an entry."""


class Size(NamedTuple):
    """Stream-samples of a session (those of resources too), and entries."""

    samples: int = 0
    entries: int = 0

    @property
    def weight(self) -> int:
        """At most WEIGHT_MAX if both numbers are within their bounds, else more."""
        return max(self.samples, self.entries * ENTRY_WEIGHT)

    def takes(self, more: "Size") -> bool:
        """Whether a piece that repeats nothing keeps the bounds."""
        return Size(self.samples + more.samples, self.entries + more.entries).weight <= WEIGHT_MAX

    def grown(self, more: "Size") -> "Size":
        """The size with a piece that repeats nothing; Conflict when that is over a bound."""
        size = Size(self.samples + more.samples, self.entries + more.entries)
        for number, most, what in (
            (size.samples, SESSION_SAMPLES_MAX, "stream-samples"),
            (size.entries, SESSION_ENTRIES_MAX, "entries"),
        ):
            if number > most:
                raise Conflict(
                    f"a session has at most {most} {what}; send what follows as a new session"
                )
        return size


def size_of(session: MediaSession) -> Size:
    """The size of a session, or of a piece of one."""
    entries = [entry for kind in STREAM_KINDS for entry in streams_of(session, kind)]
    samples = sum(map(sample_count, entries))
    for resources in session.resources:
        samples += max(len(getattr(resources, name)) for name in RESOURCE_COLUMNS)
    return Size(samples, len(entries) + len(session.resources))
