"""What became different between two states of a meeting, as events; and how events are written."""

from collections.abc import Iterator
from typing import Final, Literal, NamedTuple

import msgspec
from msgspec import Struct

from roomtone.causes import Finding
from roomtone.live.state import LiveFinding, LiveParticipant, State
from roomtone.model import MeetingState
from roomtone.score import Verdict, VerdictCounts

EventName = Literal["snapshot", "join", "leave", "verdict", "meeting", "finding", "end"]
Change = Literal["opened", "updated", "closed", "withdrawn"]
EndReason = Literal["ended", "removed", "slow", "token", "stopping", "failed"]


class Event(NamedTuple):
    """A name and what becomes its JSON."""

    name: EventName
    data: Struct


class Joined(Struct, kw_only=True):
    """Somebody is in the meeting: new, back again, or under another name than before."""

    time: str
    participant: LiveParticipant


class Left(Struct, kw_only=True):
    """A session has ended."""

    time: str
    participantSessionId: str
    leaveTime: str


class VerdictChanged(Struct, kw_only=True):
    """The verdict on a session, its reason, or the verdict on its last intervals."""

    time: str
    participantSessionId: str
    verdict: Verdict
    because: str
    now: Verdict


class MeetingChanged(Struct, kw_only=True):
    """The meeting's state, its verdict, or how many sessions have which."""

    time: str
    state: MeetingState
    verdict: Verdict
    because: str
    counts: VerdictCounts
    more: bool


class FindingChanged(Struct, kw_only=True):
    """`opened`, `updated`, `closed` when the trouble is over, `withdrawn` when it was another."""

    time: str
    change: Change
    open: bool
    finding: Finding


class End(Struct, kw_only=True):
    """The last event of a stream, and why nothing comes after it."""

    reason: EndReason


def changes(before: State, after: State, time: str) -> Iterator[Event]:
    """All that a watcher of `before` needs to be told to know `after`."""
    yield from _people(before, after, time)
    yield from _findings(before, after, time)
    if _of_the_whole(before) != _of_the_whole(after):
        data = MeetingChanged(
            time=time,
            state=after.meeting,
            verdict=after.verdict,
            because=after.because,
            counts=after.counts,
            more=after.more,
        )
        yield Event("meeting", data)


def _of_the_whole(state: State) -> tuple[object, ...]:
    return state.meeting, state.verdict, state.because, state.counts, state.more


def _people(before: State, after: State, time: str) -> Iterator[Event]:
    for key, one in after.participants.items():
        old = before.participants.get(key)
        if old is None or _is_back(old, one) or old.webexUserName != one.webexUserName:
            yield Event("join", Joined(time=time, participant=one))
        elif (old.verdict, old.because, old.now) != (one.verdict, one.because, one.now):
            data = VerdictChanged(
                time=time,
                participantSessionId=key,
                verdict=one.verdict,
                because=one.because,
                now=one.now,
            )
            yield Event("verdict", data)
        left = one.leaveTime
        if isinstance(left, str) and (old is None or old.leaveTime != left):
            yield Event("leave", Left(time=time, participantSessionId=key, leaveTime=left))


def _is_back(old: LiveParticipant, new: LiveParticipant) -> bool:
    return isinstance(old.leaveTime, str) and not isinstance(new.leaveTime, str)


def _findings(before: State, after: State, time: str) -> Iterator[Event]:
    def event(change: Change, finding: Finding) -> Event:
        is_open = change == "opened" or (change == "updated" and after.findings[finding.id].open)
        data = FindingChanged(time=time, change=change, open=is_open, finding=finding)
        return Event("finding", data)

    for key, old in before.findings.items():
        if key not in after.findings:
            yield event("withdrawn", old.finding)
    for key, one in after.findings.items():
        for change in _moves(before.findings.get(key), one):
            yield event(change, one.finding)


def _moves(was: LiveFinding | None, one: LiveFinding) -> tuple[Change, ...]:
    """What happened to a finding; one that comes when its trouble is over was open before."""
    if was is None:
        return ("opened",) if one.open else ("opened", "closed")
    if was.open != one.open:
        return ("opened",) if one.open else ("closed",)
    return () if was == one else ("updated",)


def forgets(before: State, after: State) -> bool:
    """Whether somebody's name was there and is gone: it must not be told again."""
    names = ((before.participants.get(key), one) for key, one in after.participants.items())
    return any(
        old is not None and old.webexUserName and not new.webexUserName for old, new in names
    )


encode: Final = msgspec.json.Encoder().encode


def written(event: Event, event_id: str = "") -> bytes:
    """An event as it stands in a stream (HTML, 9.2.6); one without an id leaves the last valid."""
    name = f"id: {event_id}\n" if event_id else ""
    return b"%bevent: %b\ndata: %b\n\n" % (name.encode(), event.name.encode(), encode(event.data))
