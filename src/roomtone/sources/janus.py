"""Janus' events -> participant sessions: who was in which room when, and what Janus counted.

All handles of one Janus session in one room are one participant session. `take` is the whole of it;
what it knows between two posts is in a state, so that posts can be cut anywhere and repeated.
"""

import uuid
from collections import Counter
from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import Raw, Struct, field

from roomtone.measure import AHEAD_MS_MAX, Seen
from roomtone.measure.codecs import transport_label
from roomtone.model import ID_LENGTH_MAX, MediaSession, MeetingNews, epoch_ms, iso_ms
from roomtone.sources import janus_events as wire
from roomtone.sources import janus_held as held
from roomtone.sources.janus_counting import BEST_FIRST, Counting
from roomtone.sources.janus_names import (
    NAME_LENGTH_MAX,
    is_share,
    name_of,
    note_address,
    participant_of,
    shown,
)
from roomtone.sources.janus_state import (
    MIDS_MAX,
    ROOM_IDLE_US,
    Crowded,
    Handle,
    Person,
    Room,
    State,
    forget,
    pack,
    unpack,
)

ROOM_PLACE: Final = "{room}"
"""Where the room's name goes in a meeting's id that the deployment chose."""
TIME_US_MIN: Final = 1000 * epoch_ms("2000-01-01T00:00:00Z")
AHEAD_US_MAX: Final = 1000 * AHEAD_MS_MAX
SWEPT_HOLDS: Final = 2
"""Rows of somebody who fell silent are let go after so much more than rows wait."""
NAMESPACE: Final = uuid.UUID("0c8ad6de-6a25-52b1-9d0e-6c1d5be1a7f4")


class Took(Struct, kw_only=True):
    """What a post of one server's events gave. `fates` counts events by what became of them."""

    state: bytes
    meetings: list[MeetingNews] = field(default_factory=list)
    sessions: list[tuple[MediaSession, list[Seen]]] = field(default_factory=list)
    fates: dict[str, int] = field(default_factory=dict)


def parsed(batch: Sequence[Raw], now_ms: int) -> tuple[dict[str, list[wire.Event]], int]:
    """(events by server name, in time's order; how many were no events at all)."""
    by_server: dict[str, list[wire.Event]] = {}
    bad = 0
    for raw in batch:
        try:
            event = wire.envelope(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            bad += 1
            continue
        if TIME_US_MIN <= event.timestamp <= 1000 * now_ms + AHEAD_US_MAX:
            by_server.setdefault(event.emitter[:NAME_LENGTH_MAX], []).append(event)
        else:
            bad += 1
    for events in by_server.values():
        events.sort(key=lambda event: event.timestamp)
    return by_server, bad


def take(
    state: bytes,
    server: str,
    events: Sequence[wire.Event],
    *,
    interval_s: float,
    meeting_id: str = "",
) -> Took:
    """Take in events of the Janus server named `server`, oldest first. Pure.

    What is seen of somebody's streams waits until there is a sixth of an interval of it, or 10 s.
    `meeting_id`: the id of the meeting, with the room's name for `{room}`; "": one is made of
    server, room and the time at which the room came into use.
    """
    taking = Taking(unpack(state), server, meeting_id, held.hold_us(interval_s))
    for event in events:
        taking.event(event)
    forget(taking.known)
    sessions = [
        (session_of(name, who), taking.seen.get(name, [])) for name, who in taking.touched.items()
    ]
    for who in taking.touched.values():
        # Told once: a state that is kept must hold no address that the store is to forget.
        who.local_ip = who.public_ip = ""
    return Took(
        state=pack(taking.known),
        meetings=taking.meetings,
        sessions=sessions,
        fates=dict(taking.fates),
    )


class Taking:
    """The work of one `take`: the state that changes, and what is to be written."""

    def __init__(self, known: State, server: str, meeting_id: str, hold_us: int) -> None:
        self.known = known
        self.server = server
        self.meeting_id = meeting_id
        self.hold_us = hold_us
        self.counting = Counting(known, hold_us)
        self.meetings: list[MeetingNews] = []
        self.touched: dict[str, Person] = {}
        self.seen: dict[str, list[Seen]] = {}
        self.fates: Counter[str] = Counter()

    def event(self, event: wire.Event) -> None:
        """Take in one event and count its fate."""
        try:
            said = wire.body(event)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            self.fates["bad"] += 1
            return
        self.fates["ignored" if said is None else self.fate(event, said)] += 1
        self.known.newest_us = max(self.known.newest_us, event.timestamp)
        self.sweep(event.timestamp)

    def fate(self, event: wire.Event, said: wire.Body) -> str:
        """`used`; `nothing_new`; `unplaced`, of a handle that is in no known room; `ignored`."""
        at_us = event.timestamp
        if isinstance(said, wire.Core):
            return self.stopped(said, at_us)
        if event.type == wire.SESSION and isinstance(said, wire.Lifecycle):
            return self.session(event.session_id, said, at_us)
        if event.handle_id is None or event.session_id is None:
            return self.left_feed(said, at_us) if isinstance(said, wire.RoomNews) else "ignored"
        number = event.handle_id
        handle = self.known.handles.get(number)
        if handle is None:
            if isinstance(said, wire.Lifecycle) and said.name == "detached":
                return "ignored"
            handle = self.known.handles[number] = Handle(session=event.session_id)
        handle.opaque = handle.opaque or event.opaque_id[:NAME_LENGTH_MAX]
        handle.last_us = max(handle.last_us, at_us)
        if isinstance(said, list):
            return self.counted(number, handle, said, at_us)
        if at_us <= handle.news_us:
            return "nothing_new"
        handle.news_us = at_us
        if isinstance(said, wire.Lifecycle):
            return self.lifecycle(number, handle, said, at_us)
        if isinstance(said, wire.Connection):
            return self.connected(handle, said, at_us)
        return self.news(number, handle, said, at_us)

    def stopped(self, said: wire.Core, at_us: int) -> str:
        """The server started or stops: whoever was connected is not any more."""
        for name, who in self.known.people.items():
            if not who.leave_us and who.join_us < at_us:
                # When it starts, nobody knows when it had ended: Roomtone's silence rule tells.
                self.leave(name, who, at_us if said.status == "shutdown" else 0)
        return "used"

    def session(self, number: int | None, said: wire.Lifecycle, at_us: int) -> str:
        """A Janus session ended: so does everybody's part who was there with it."""
        if said.name not in ("destroyed", "timeout"):
            return "ignored"
        for name, who in self.known.people.items():
            if who.session == number and not who.leave_us:
                self.leave(name, who, at_us)
        return "used"

    def leave(self, name: str, who: Person, at_us: int) -> None:
        """Somebody is no longer present. `at_us` 0: since when is unknown."""
        self.release(name, who)
        self.known.present.pop(f"{who.session}/{who.room}", None)
        if at_us:
            who.leave_us = max(at_us, who.join_us)
        self.touched[name] = who

    def lifecycle(self, number: int, handle: Handle, said: wire.Lifecycle, at_us: int) -> str:
        """A handle came or went."""
        if said.name == "attached":
            handle.attached_us = at_us
        elif said.name == "detached":
            handle.gone_us = at_us
            self.let_go(number, handle, at_us)
        return "used"

    def let_go(self, number: int, handle: Handle, at_us: int) -> None:
        """A handle is out of its room; a publisher's last one to go takes the person with it.

        Who only watches may let go of one feed to take another: the end of the session tells.
        """
        who = self.known.people.get(handle.person)
        if who is None:
            return
        who.handles = [other for other in who.handles if other != number]
        who.crowded = Crowded()
        if not who.handles and (who.published or who.leave_us):
            self.leave(handle.person, who, at_us)

    def left_feed(self, said: wire.RoomNews, at_us: int) -> str:
        """`leaving` names the feed alone. Its handle stays, and may join another room."""
        if said.event != "leaving" or said.room is None or said.id is None:
            return "ignored"
        number = self.known.feeds.get(f"{name_of(said.room)}/{name_of(said.id)}")
        handle = self.known.handles.get(number) if number is not None else None
        if number is None or handle is None or at_us <= handle.news_us:
            return "nothing_new"
        self.let_go(number, handle, at_us)
        return "used"

    def connected(self, handle: Handle, said: wire.Connection, at_us: int) -> str:
        """The pair that a connection uses, and when it was up for the first time."""
        who = self.known.people.get(handle.person)
        if said.candidates is not None:
            remote = said.candidates.remote
            # The leg of a relayed candidate that ends at the relay is not Janus' to see.
            relayed = remote.type == "relay"
            handle.transport = "" if relayed else transport_label(remote.transport)
            if who is not None:
                note_address(who, remote)
        elif said.connection == "webrtcup" and who is not None and not who.up_us:
            who.up_us = at_us
        if who is not None:
            self.touched[handle.person] = who
        return "used"

    def news(self, number: int, handle: Handle, said: wire.RoomNews, at_us: int) -> str:
        """What a room says of a handle."""
        if said.room is None:
            return "ignored"
        if said.event in ("leaving", "kicked"):
            self.let_go(number, handle, at_us)
            return "used"
        room = name_of(said.room)
        who = self.placed(number, handle, room, at_us)
        if said.id is not None:
            handle.feed = name_of(said.id)
            self.known.feeds[f"{room}/{handle.feed}"] = number
            who.published = True
        share = is_share(handle.opaque)
        if said.display and (not who.name or (who.name_of_share and not share)):
            who.name, who.name_of_share = said.display, share
        for one in said.streams[:MIDS_MAX]:
            if one.feed_id is not None:
                handle.feeds[one.mid] = (name_of(one.feed_id), one.feed_mid)
            elif handle.feed and one.description:
                handle.shares[one.mid] = is_share(one.description)
        return "used"

    def placed(self, number: int, handle: Handle, room: str, at_us: int) -> Person:
        """Who a handle belongs to, now that it is in a room."""
        who = self.known.people.get(handle.person)
        if who is None or who.room != room or number not in who.handles:
            handle.person, who = self.somebody(handle, room, at_us)
            handle.room, handle.gone_us = room, 0
            if not who.leave_us:
                who.handles.append(number)
        who.join_us = min(who.join_us, at_us)
        who.id = who.id or participant_of(handle.opaque)
        self.heard(room, at_us)
        self.touched[handle.person] = who
        return who

    def somebody(self, handle: Handle, room: str, at_us: int) -> tuple[str, Person]:
        """The one whom a Janus session stands for in a room at a time; somebody new if nobody."""
        place = f"{handle.session}/{room}"
        name = self.known.present.get(place, "")
        if (present := self.known.people.get(name)) is not None:
            return name, present
        for name, who in self.known.people.items():  # an event that comes late
            if who.session == handle.session and who.room == room and who.leave_us >= at_us:
                return name, who
        name = str(uuid.uuid5(NAMESPACE, f"{self.server}/{place}/{at_us}")).upper()
        self.known.present[place] = name
        who = self.known.people[name] = Person(
            session=handle.session,
            room=room,
            meeting=self.meeting(room, at_us),
            join_us=at_us,
            attached_us=handle.attached_us,
        )
        return name, who

    def heard(self, room: str, at_us: int) -> None:
        """Note that a room is in use."""
        known = self.known.rooms.get(room)
        if known is not None:
            known.last_us = max(known.last_us, at_us)

    def meeting(self, room: str, at_us: int) -> str:
        """The id of the meeting that goes on in a room; a room long silent begins a new one."""
        if self.meeting_id:
            return self.meeting_id.replace(ROOM_PLACE, room)[:ID_LENGTH_MAX]
        known = self.known.rooms.get(room)
        if known is None or at_us - known.last_us >= ROOM_IDLE_US:
            key = uuid.uuid5(NAMESPACE, f"{self.server}/{room}/{at_us}")
            known = Room(meeting=f"{key.hex}_I_{at_us:018}", start_us=at_us, last_us=at_us)
            self.known.rooms[room] = known
            self.meetings.append(MeetingNews(id=known.meeting, title=f"Room {room}"))
        return known.meeting

    def counted(self, number: int, handle: Handle, stats: list[wire.Stats], at_us: int) -> str:
        """Counters of a handle's streams."""
        who = self.known.people.get(handle.person)
        if who is None:
            return "unplaced"
        self.heard(handle.room, at_us)
        if who.held and abs(at_us - who.held_us) >= self.hold_us:
            self.release(handle.person, who)
        if not who.held:
            who.held_us = at_us
        fates = {self.counting.stream(number, handle, who, one, at_us) for one in stats}
        return min(fates, key=BEST_FIRST.index, default="nothing_new")

    def release(self, name: str, who: Person) -> None:
        """What waits of somebody's streams is to be measured now."""
        if who.held:
            self.seen.setdefault(name, []).extend(held.release(who.held))
            self.touched[name] = who

    def sweep(self, at_us: int) -> None:
        """Release what waits of those of whom nothing more was heard, now and then."""
        if abs(at_us - self.known.swept_us) < self.hold_us:
            return
        self.known.swept_us = at_us
        for name, who in self.known.people.items():
            if at_us - who.held_us >= SWEPT_HOLDS * self.hold_us:
                self.release(name, who)


def session_of(name: str, who: Person) -> MediaSession:
    """The header of a participant session."""
    session = MediaSession(
        meetingInstanceId=who.meeting,
        participantSessionId=name,
        participantId=who.id,
        webexUserName=shown(who.name),
        joinTime=iso_ms(who.join_us // 1000),
        localIP=who.local_ip,
        publicIP=who.public_ip,
    )
    if who.leave_us:
        session.leaveTime = iso_ms(who.leave_us // 1000)
    begun_us = who.attached_us or who.join_us
    if who.up_us > begun_us:
        session.joinMeetingTime = f"{(who.up_us - begun_us) / 1e6:.3f}"
    return session
