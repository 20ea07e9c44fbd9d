"""What is known of one Janus server between two posts: rooms, people, handles. Bounded."""

from typing import Final

import msgspec
import zstandard
from msgspec import Struct, field

from roomtone.sources.janus_events import STREAMS_MAX
from roomtone.sources.janus_held import Waiting

ROOM_IDLE_US: Final = 300 * 10**6
"""A room of which nothing was heard for so long begins a new meeting with its next event."""
GONE_KEPT_US: Final = 120 * 10**6
SILENT_KEPT_US: Final = 24 * 3600 * 10**6
HANDLES_MAX: Final = 12_000
PEOPLE_MAX: Final = 2_000
ROOMS_MAX: Final = 1_000
MIDS_MAX: Final = STREAMS_MAX
"""Streams of one handle."""
INCOMING_MAX: Final = 200
OUTGOING_MAX: Final = 48
"""Streams of all handles of a participant; of whoever has more, none of that direction is measured.

Together they are no more than connections that `measure` keeps.
"""
STATE_BYTES_MAX: Final = 64 * 2**20
"""A state that takes more is halved."""


class Published(Struct, array_like=True, gc=False):
    """What last came of a publisher's stream: the newest counters and the rate to guess on from.

    `layers`: simulcast, where no count of one layer tells what a viewer was sent. `slots`: of the
    times in which rows wait together, the newest in the lowest bit, those that brought any.
    """

    at_us: int
    received: float
    unfilled: float
    per_s: float = 0.0
    layers: bool = False
    slots: int = 1


class Forwarded(Struct, array_like=True, gc=False):
    """How much of a publisher's stream had come for a viewer, and its gaps that nothing filled."""

    packets: float
    unfilled: float


class Followed(Struct, array_like=True, gc=False):
    """A stream that a viewer is sent: Janus' counters at the last row, and the row's own.

    `heard` is the viewer's last receiver report (lost, jitter, rtt). `net` counts packets without
    repetitions, `lost` those that the viewer's own link lost. `run` counts restarts of counters.
    `rtts` round trips were told since then, of `rtt_total_s` together.
    """

    at_us: int
    sent: int
    octets: int
    net: float
    lost: float
    octets_net: float
    heard: tuple[int, int, int] | None = None
    forwarded: Forwarded | None = None
    run: int = 0
    rtt_total_s: float = 0.0
    rtts: int = 0


class Handle(Struct, array_like=True):
    """A participant's attachment to a plugin: one connection. Times in microseconds, 0: not yet."""

    session: int
    opaque: str = ""
    person: str = ""
    room: str = ""
    feed: str = ""
    transport: str = ""
    news_us: int = 0
    last_us: int = 0
    attached_us: int = 0
    gone_us: int = 0
    shares: dict[str, bool] = field(default_factory=dict)
    feeds: dict[str, tuple[str, str]] = field(default_factory=dict)
    published: dict[str, Published] = field(default_factory=dict)
    followed: dict[str, Followed] = field(default_factory=dict)


class Crowded(Struct, array_like=True, gc=False):
    """Whether somebody receives, or sends, more streams than can be measured."""

    incoming: bool = False
    outgoing: bool = False


class Person(Struct, array_like=True):
    """One participant session: the handles of one Janus session in one room.

    `held`: rows that wait to be measured, the first of them since `held_us`.
    """

    session: int
    room: str
    meeting: str
    id: str = ""
    name: str = ""
    name_of_share: bool = False
    join_us: int = 0
    leave_us: int = 0
    attached_us: int = 0
    up_us: int = 0
    local_ip: str = ""
    public_ip: str = ""
    handles: list[int] = field(default_factory=list)
    published: bool = False
    crowded: Crowded = field(default_factory=Crowded)
    held_us: int = 0
    held: Waiting = field(default_factory=dict)


class Room(Struct, array_like=True):
    """A room in use: its meeting, since when, and when it was last heard of."""

    meeting: str
    start_us: int
    last_us: int


class State(Struct, array_like=True):
    """All of it. `present`: who `session/room` is now; `feeds`: whose handle `room/feed` is."""

    newest_us: int = 0
    rooms: dict[str, Room] = field(default_factory=dict)
    people: dict[str, Person] = field(default_factory=dict)
    handles: dict[int, Handle] = field(default_factory=dict)
    present: dict[str, str] = field(default_factory=dict)
    feeds: dict[str, int] = field(default_factory=dict)
    swept_us: int = 0


_decoder: Final = msgspec.msgpack.Decoder(State)
_encoder: Final = msgspec.msgpack.Encoder()


def unpack(state: bytes) -> State:
    """The state of bytes that `pack` made; b"" is the state at first."""
    if not state:
        return State()
    return _decoder.decode(zstandard.decompress(state, max_output_size=STATE_BYTES_MAX))


def pack(known: State) -> bytes:
    """State as bytes, never more than `unpack` takes."""
    data = _encoder.encode(known)
    while len(data) > STATE_BYTES_MAX:
        forget(known, handles_max=len(known.handles) // 2)
        data = _encoder.encode(known)
    return zstandard.compress(data, 1)


def forget(known: State, *, handles_max: int = HANDLES_MAX) -> None:
    """Give up what is over, and the oldest of what is too many."""
    now_us = known.newest_us
    for number, handle in list(known.handles.items()):
        over = handle.gone_us and now_us - handle.gone_us > GONE_KEPT_US
        if over or now_us - handle.last_us > SILENT_KEPT_US:
            del known.handles[number]
    too_many = sorted(known.handles, key=lambda number: known.handles[number].last_us)
    for number in too_many[: max(len(too_many) - handles_max, 0)]:
        del known.handles[number]
    for name, room in list(known.rooms.items()):
        if now_us - room.last_us > ROOM_IDLE_US + GONE_KEPT_US:
            del known.rooms[name]
    for name in sorted(known.rooms, key=lambda name: known.rooms[name].last_us)[:-ROOMS_MAX]:
        del known.rooms[name]
    held = {handle.person for handle in known.handles.values()}
    known.people = {name: who for name, who in known.people.items() if name in held}
    for name in sorted(known.people, key=lambda name: known.people[name].join_us)[:-PEOPLE_MAX]:
        del known.people[name]
    known.present = {at: who for at, who in known.present.items() if who in known.people}
    known.feeds = {at: number for at, number in known.feeds.items() if number in known.handles}
