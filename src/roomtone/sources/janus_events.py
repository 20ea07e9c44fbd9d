"""What Janus' event handlers send (janus.eventhandler.sampleevh, Janus 1.x): shapes and bounds.

Only what is used is declared; whatever else an event holds is passed over.
"""

from typing import Annotated, Final

import msgspec
from msgspec import Meta, Raw, Struct

SESSION: Final = 1
HANDLE: Final = 2
TRANSPORT: Final = 16
MEDIA: Final = 32
PLUGIN: Final = 64
CORE: Final = 256
TYPES: Final = frozenset({SESSION, HANDLE, TRANSPORT, MEDIA, PLUGIN, CORE})
SELECTED_PAIR: Final = 4
CONNECTION_STATE: Final = 6
MEDIA_STATS: Final = 3

STREAMS_MAX: Final = 256
LOST_BITS: Final = 24
"""RTCP's cumulative loss is signed and has 24 bits (RFC 3550, 6.4.1); Janus shows it unsigned."""

Count = Annotated[int, Meta(ge=0, le=2**53)]
Name = Annotated[str, Meta(max_length=1_024)]
RoomOrFeed = Annotated[int, Meta(ge=0)] | Name
"""Ids of rooms and feeds: numbers, or texts in rooms with `string_ids`."""


class Event(Struct):
    """The envelope of every event. `timestamp` is in microseconds since 1970."""

    type: int
    timestamp: Annotated[int, Meta(ge=0, le=2**53)]
    event: Raw
    subtype: int | None = None
    emitter: Name = ""
    session_id: Count | None = None
    handle_id: Count | None = None
    opaque_id: Name = ""


class Lifecycle(Struct):
    """Types 1 and 2: a session or handle was created, attached, detached, destroyed, timed out."""

    name: Name


class Core(Struct):
    """Type 256: the server started or is shutting down."""

    status: Name = ""


class Candidate(Struct):
    """One end of a pair."""

    address: Name = ""
    type: Name = ""
    transport: Name = ""


class Pair(Struct):
    """The ends of a pair; `local` is Janus' own."""

    remote: Candidate


class Connection(Struct):
    """Type 16: the selected pair (subtype 4), the state of the whole connection (subtype 6)."""

    candidates: Pair | None = None
    connection: Name = ""


class Stats(Struct, rename="kebab"):
    """Type 32, subtype 3: cumulative counters of one m-line of a handle, as Janus sees them.

    `rtt` and `jitter_*` are in ms. Bytes include RTP headers. `lost`, `*_received` and
    `jitter_local`: what Janus received; `*_by_remote`, `jitter_remote`, `rtt`: what the receiver of
    that which Janus sent reported last.
    """

    media: Name
    mid: Name = ""
    mindex: Count = 0
    codec: Name = ""
    rtt: Count = 0
    lost: Count = 0
    lost_by_remote: Count = 0
    jitter_local: Count = 0
    jitter_remote: Count = 0
    packets_received: Count = 0
    packets_sent: Count = 0
    bytes_received: Count = 0
    bytes_sent: Count = 0
    nacks_received: Count = 0
    retransmissions_received: Count = 0

    def lost_at_viewer(self) -> int:
        """`lost_by_remote` with its sign: late and doubled packets can make it negative."""
        lost = self.lost_by_remote & (2**LOST_BITS - 1)
        return lost - 2**LOST_BITS if lost >= 2 ** (LOST_BITS - 1) else lost


class RoomStream(Struct):
    """A stream that a room's events name: a publisher's, or what a subscriber gets of a feed."""

    mid: Name = ""
    description: Name = ""
    feed_id: RoomOrFeed | None = None
    feed_mid: Name = ""


class RoomNews(Struct):
    """Type 64, of plugins that have rooms."""

    event: Name = ""
    room: RoomOrFeed | None = None
    id: RoomOrFeed | None = None
    display: Name | None = None
    streams: Annotated[list[RoomStream], Meta(max_length=STREAMS_MAX)] = []


class Plugin(Struct):
    """Type 64: what a plugin tells."""

    data: Raw = Raw(b"null")


_event: Final = msgspec.json.Decoder(Event)
_lifecycle: Final = msgspec.json.Decoder(Lifecycle)
_core: Final = msgspec.json.Decoder(Core)
_connection: Final = msgspec.json.Decoder(Connection)
_stats: Final = msgspec.json.Decoder(Stats | Annotated[list[Stats], Meta(max_length=STREAMS_MAX)])
_plugin: Final = msgspec.json.Decoder(Plugin)
_news: Final = msgspec.json.Decoder(RoomNews)

Body = Lifecycle | Core | Connection | list[Stats] | RoomNews


def envelope(raw: Raw) -> Event:
    """One event of a batch; msgspec.ValidationError says what is wrong with it."""
    return _event.decode(raw)


def body(event: Event) -> Body | None:
    """What an event says, by its type; None: nothing that is of use here. May raise the same."""
    if event.type in (SESSION, HANDLE):
        return _lifecycle.decode(event.event)
    if event.type == CORE:
        return _core.decode(event.event)
    if event.type == TRANSPORT and event.subtype in (SELECTED_PAIR, CONNECTION_STATE):
        return _connection.decode(event.event)
    if event.type == MEDIA and event.subtype == MEDIA_STATS:
        # With `combine_media_stats` one event has all m-lines of a handle.
        found = _stats.decode(event.event)
        return found if isinstance(found, list) else [found]
    if event.type == PLUGIN:
        data = _plugin.decode(event.event).data
        return _news.decode(data) if bytes(data).lstrip()[:1] == b"{" else None
    return None
