"""What others than the collector send, as what Roomtone measures: bytes in, sessions out.

One module a source. Pure: no store, no HTTP; time is an argument. What has cumulative counters
becomes `measure.Seen` and is measured like a browser's report; what is measured already becomes
columns of a `MediaSession`.
"""

from typing import NamedTuple

from roomtone.model import MediaSession, MeetingNews


class Taken(NamedTuple):
    """What a file gave: sessions as the store takes them, their meeting, and what was of no use.

    `unused`: one line for each kind of thing that was left out, with how often and why.
    """

    sessions: list[MediaSession]
    meeting: MeetingNews | None
    unused: list[str]
