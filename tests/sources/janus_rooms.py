"""Rooms of any size as Janus tells of them: everybody publishes sound and picture to all others."""

from collections.abc import Iterator
from typing import Any, Final, Literal, NamedTuple

from tests.sources.janus_calls import Event, event

Style = Literal["one handle", "a handle each", "combined"]
"""How somebody watches: one subscriber handle with all streams, as clients do since Janus 1.0; one
for each feed, as before; or the first, with `combine_media_stats`."""
MEDIA: Final = ("audio", "video")
CODEC: Final = {"audio": "opus", "video": "vp8"}
PACKETS_S: Final = {"audio": 50, "video": 100}
OCTETS: Final = {"audio": 92, "video": 1012}
"""Of a packet, 12 of them of its RTP header."""
REPORT_S: Final = {"audio": 5, "video": 1}
LOST_EVERY: Final = 20
"""The link of each viewer loses one packet of so many, and those of publishers none."""
BATCH_EVENTS: Final = 100
"""So many events the handler sends in one post at most."""


class Room(NamedTuple):
    """A room of `size`; the first `viewers` watch all others, and Janus tells how they fare."""

    size: int
    style: Style = "one handle"
    viewers: int = 1
    period_s: int = 1

    def begin(self) -> Iterator[Event]:
        """Everybody joins."""
        for who in range(self.size):
            told = {"event": "joined", "id": who, "display": f"P{who}"}
            yield self._told(who, 0, who / 100, told)
        for who in range(self.viewers):
            for handle, streams in self._watching(who):
                told = {"event": "subscribing", "streams": streams}
                yield self._told(who, handle, 1 + who / 100, told)

    def ticks(self, first_s: int, last_s: int) -> Iterator[Event]:
        """What Janus counted: of each handle every `period_s`, at a moment of its own."""
        for at_s in range(first_s, last_s, self.period_s):
            for who in range(self.size):
                yield from self._tick(who, 0, at_s + who / 100, [0, 1], sent=False)
            for who in range(self.viewers):
                for handle, streams in self._watching(who):
                    at = at_s + who / 100 + handle / 10_000
                    yield from self._tick(who, handle, at, range(len(streams)), sent=True)

    def _watching(self, who: int) -> list[tuple[int, list[dict[str, Any]]]]:
        """The handles with which somebody watches, and the streams of each."""
        feeds = [feed for feed in range(self.size) if feed != who]
        groups = [[feed] for feed in feeds] if self.style == "a handle each" else [feeds]
        return [
            (
                number,
                [
                    {"mid": str(2 * place + mid), "feed_id": feed, "feed_mid": str(mid)}
                    for place, feed in enumerate(group)
                    for mid in range(2)
                ],
            )
            for number, group in enumerate(groups, 1)
        ]

    def _of(self, who: int, handle: int) -> dict[str, Any]:
        own = {"session_id": who + 1, "handle_id": 1_000_000 * (who + 1) + handle}
        return own | {"opaque_id": f"p{who}:camera"}

    def _told(self, who: int, handle: int, at_s: float, told: dict[str, Any]) -> Event:
        body = {"plugin": "janus.plugin.videoroom", "data": {"room": 1} | told}
        return event(64, at_s, body, **self._of(who, handle))

    def _tick(
        self, who: int, handle: int, at_s: float, mids: Any, *, sent: bool
    ) -> Iterator[Event]:
        found = [counters(MEDIA[mid % 2], mid, at_s, sent=sent) for mid in mids]
        if self.style == "combined":
            yield event(32, at_s, found, subtype=3, **self._of(who, handle))
            return
        for number, body in enumerate(found):
            yield event(32, at_s + number / 1e6, body, subtype=3, **self._of(who, handle))


def counters(media: str, mid: int, at_s: float, *, sent: bool) -> dict[str, Any]:
    """What Janus counted of a stream by then; a viewer's reports come every some seconds."""
    packets = round(PACKETS_S[media] * at_s)
    body = {"mid": str(mid), "mindex": mid, "media": media, "codec": CODEC[media], "base": 90_000}
    if not sent:
        came = {"packets-received": packets, "bytes-received": OCTETS[media] * packets}
        return body | came | {"lost": 0, "jitter-local": 3, "rtt": 0}
    reported = int(at_s) // REPORT_S[media]
    lost = PACKETS_S[media] * reported * REPORT_S[media] // LOST_EVERY
    heard = {"lost-by-remote": lost, "jitter-remote": 5 + reported % 3, "rtt": 40 + reported % 5}
    return body | heard | {"packets-sent": packets, "bytes-sent": OCTETS[media] * packets}


def batches(events: Iterator[Event]) -> Iterator[list[Event]]:
    """As many at a time as the handler posts."""
    batch: list[Event] = []
    for one in events:
        batch.append(one)
        if len(batch) == BATCH_EVENTS:
            yield batch
            batch = []
    if batch:
        yield batch
