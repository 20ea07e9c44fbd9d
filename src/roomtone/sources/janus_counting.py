"""What Janus counted of a handle's streams -> rows that wait for those of the others."""

from typing import Final

from roomtone.measure import Row
from roomtone.model import StreamKind
from roomtone.sources import janus_events as wire
from roomtone.sources import janus_held as held
from roomtone.sources import janus_streams as streams
from roomtone.sources.janus_names import is_share, layer_of, shows_screen
from roomtone.sources.janus_state import INCOMING_MAX, OUTGOING_MAX, Handle, Person, State

BEST_FIRST: Final = ("used", "too_many", "nothing_new")
"""Fates of counters: several streams in one event have the first of theirs."""


class Counting:
    """The work on counters in one `take`."""

    def __init__(self, known: State, hold_us: int) -> None:
        self.known = known
        self.hold_us = hold_us

    def stream(
        self, number: int, handle: Handle, who: Person, stats: wire.Stats, at_us: int
    ) -> str:
        """Counters of one stream: its row waits for those of the others."""
        if stats.media != "audio" and not stats.media.startswith("video"):
            return "nothing_new"
        mid = streams.key(stats.mid, layer_of(stats))
        came = bool(stats.packets_received)
        if not came and not stats.packets_sent:  # not begun, or an all-zero last event
            return "nothing_new"
        if who.crowded.outgoing if came else who.crowded.incoming:
            return "too_many"
        known = mid in (handle.published if came else handle.followed)
        if not known and self.crowds(who, came=came):
            return "too_many"
        row = self.published_row if came else self.followed_row
        found = row(number, handle, stats, mid, at_us)
        if found is None:
            return "nothing_new"
        made, first = found
        held.hold(who.held, f"{number}/{mid}", at_us, made, first=first)
        return "used"

    def crowds(self, who: Person, *, came: bool) -> bool:
        """Whether one more stream of a participant, one that came or one sent on, is too many.

        A part of what somebody receives would look like all of it: then none of it is measured.
        """
        handles = [self.known.handles[n] for n in who.handles if n in self.known.handles]
        if came:
            who.crowded.outgoing = sum(len(one.published) for one in handles) >= OUTGOING_MAX
        else:
            who.crowded.incoming = sum(len(one.followed) for one in handles) >= INCOMING_MAX
        crowded = who.crowded.outgoing if came else who.crowded.incoming
        if crowded:
            held.drop(who.held, incoming=not came)
        return crowded

    def published_row(
        self, number: int, handle: Handle, stats: wire.Stats, mid: str, at_us: int
    ) -> tuple[Row, bool] | None:
        """What came of a publisher's stream, and whether its counters begin here."""
        layer = layer_of(stats)
        known = handle.published.get(mid)
        late = known is not None and at_us <= known.at_us
        if known is None or not late:
            handle.published[mid] = streams.published(known, stats, at_us, slot_us=self.hold_us)
        elif not streams.fills_gap(known, at_us, slot_us=self.hold_us):
            return None
        if layer and (base := handle.published.get(stats.mid)) is not None:
            base.layers = True
        kind: StreamKind = "audioOut"
        if stats.media != "audio":
            kind = "shareOut" if shows_screen(handle, stats.mid) else "videoOut"
        row = streams.publisher_row(
            stats, kind, at_us, transport=handle.transport, stream=f"{number}/{mid}"
        )
        return row, known is None or late or stats.packets_received < known.received

    def followed_row(
        self, number: int, handle: Handle, stats: wire.Stats, mid: str, at_us: int
    ) -> tuple[Row, bool] | None:
        """What a viewer was sent of a stream, seen against what had come of it."""
        feed, feed_mid = handle.feeds.get(stats.mid, ("", ""))
        source = self.known.handles.get(self.known.feeds.get(f"{handle.room}/{feed}", -1))
        counters = source.published.get(feed_mid) if source is not None else None
        share = shows_screen(source, feed_mid) if source is not None else is_share(handle.opaque)
        kind: StreamKind = "audioIn"
        if stats.media != "audio":
            kind = "shareIn" if share else "videoIn"
        known = handle.followed.get(mid)
        found = streams.viewer_row(
            known,
            stats,
            kind,
            at_us,
            transport=handle.transport,
            source=streams.forwarded(counters, at_us),
            stream=f"{number}/{mid}",
        )
        if found is None:
            return None
        following, row = found
        handle.followed[mid] = following
        return row, known is None or following.run != known.run
