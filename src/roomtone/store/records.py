"""What every engine derives in the same way: a meeting's life, participants, summaries (pure)."""

import re
from collections.abc import Iterable, Iterator, Sequence
from math import fsum
from typing import Any, Final

from msgspec import UNSET, DecodeError, Struct, UnsetType, ValidationError, json, structs

from roomtone.errors import Conflict
from roomtone.model import (
    ADDRESS_FIELDS,
    DEVICE_LABEL_FIELDS,
    IDENTITY_FIELDS,
    STREAM_KINDS,
    Column,
    Device,
    MediaSession,
    Meeting,
    MeetingNews,
    MeetingState,
    Participant,
    Stream,
    column_of,
    iso_s,
    sample_count,
    streams_of,
)
from roomtone.score import Verdict
from roomtone.store import Attendance, MeetingQuery, Summary, Token
from roomtone.store.timeline import period_ms, time_ms
from roomtone.store.verdicts import MeetingRow, VerdictQuery

SUMMARY_DECIMALS: Final = 3
BADNESS: Final[dict[Verdict | None, int]] = {
    "poor": 0, "fair": 1, "good": 2, "unclassified": 3, None: 4,
}  # fmt: skip
"""The order of verdicts, the worst first."""
_TEXTS = (
    "meetingSeriesId",
    "scheduledMeetingId",
    "title",
    "timezone",
    "hostUserId",
    "hostDisplayName",
    "hostEmail",
    "siteUrl",
    "webLink",
)


class MeetingRecord(Struct, kw_only=True, frozen=True):
    """A meeting as it is stored; times in ms. `joined_ms` is the earliest joinTime of a session."""

    id: str
    created_ms: int
    heard_ms: int
    version: int = 0
    state: MeetingState = "inProgress"
    announced_start_ms: int | None = None
    announced_end_ms: int | None = None
    joined_ms: int | None = None
    end_ms: int | None = None
    meetingSeriesId: str = ""
    scheduledMeetingId: str = ""
    title: str = ""
    timezone: str = ""
    hostUserId: str = ""
    hostDisplayName: str = ""
    hostEmail: str = ""
    siteUrl: str = ""
    webLink: str = ""

    @property
    def start_ms(self) -> int:
        """The announced start, else the earliest joinTime, else when it was first heard of."""
        if self.announced_start_ms is not None:
            return self.announced_start_ms
        return self.created_ms if self.joined_ms is None else self.joined_ms


def amended(record: MeetingRecord, news: MeetingNews, now_ms: int) -> MeetingRecord:
    """The meeting after an announcement."""
    sent = {name: getattr(news, name) for name in _TEXTS if getattr(news, name) is not UNSET}
    start = _amended_time(news.start, record.announced_start_ms)
    end = _amended_time(news.end, record.announced_end_ms)
    if start is not None and end is not None and end < start:
        raise Conflict("the meeting would end before it starts")
    record = structs.replace(
        record, announced_start_ms=start, announced_end_ms=end, heard_ms=now_ms, **sent
    )
    state = _state_after(news, record, now_ms)
    if state != "ended":
        return structs.replace(record, state=state, end_ms=None)
    known = record.end_ms if end is None or end > now_ms else end
    return structs.replace(record, end_ms=known)


def _amended_time(sent: str | UnsetType, known: int | None) -> int | None:
    if isinstance(sent, UnsetType):
        return known
    return time_ms(sent) if sent else None


def _state_after(news: MeetingNews, record: MeetingRecord, now_ms: int) -> MeetingState:
    nobody = record.joined_ms is None
    start, end = record.announced_start_ms, record.announced_end_ms
    if nobody and start is not None and start > now_ms:
        return "scheduled"
    reopened = news.end is not UNSET and end is not None and end > now_ms
    if record.state == "ended" and not reopened:
        return "ended"
    return "inProgress"


def ended(record: MeetingRecord, now_ms: int, *, left_ms: int | None) -> MeetingRecord:
    """The meeting when it is over; `left_ms` is its sessions' latest leaveTime."""
    announced = record.announced_end_ms
    if announced is not None and announced <= now_ms:
        end = announced
    elif left_ms is not None:
        end = left_ms
    else:
        end = max(record.start_ms, record.heard_ms)
    return structs.replace(record, state="ended", end_ms=end)


def meeting_of(record: MeetingRecord) -> Meeting:
    """The meeting as it is served."""
    texts = {name: getattr(record, name) for name in _TEXTS}
    texts["timezone"] = record.timezone or "UTC"
    return Meeting(
        id=record.id,
        state=record.state,
        start=iso_s(record.start_ms),
        end=UNSET if record.end_ms is None else iso_s(record.end_ms),
        **texts,
    )


def fits(record: MeetingRecord, query: MeetingQuery) -> bool:
    """Whether a meeting is one that the query asks for."""
    return (
        query.from_ms <= record.start_ms < query.to_ms
        and record.state in query.states
        and query.host_email.lower() in ("", record.hostEmail.lower())
        and query.site_url in ("", record.siteUrl)
    )


def wanted(record: MeetingRecord, verdict: Verdict | None, words: str, query: VerdictQuery) -> bool:
    """Whether a meeting with this verdict (None: not scored yet) is one that is asked for."""
    if record.state == "scheduled" or not query.from_ms <= record.start_ms < query.to_ms:
        return False
    if query.verdicts is not None and verdict not in query.verdicts:
        return False
    if query.text in record.id.casefold():
        return True
    texts = (words, record.title.casefold(), record.hostDisplayName.casefold())
    return query.names and any(query.text in text for text in (*texts, record.hostEmail.casefold()))


def order(
    record: MeetingRecord, row: MeetingRow | None, *, worst: bool
) -> tuple[int, float, int, str]:
    """The place of a meeting among those found: newest first, or the worst first."""
    if not worst:
        return 0, 0.0, -record.start_ms, record.id
    badness = BADNESS[None if row is None else row.verdict]
    return badness, 0.0 if row is None else -row.minutes_poor, -record.start_ms, record.id


def first_sample_ms(session: MediaSession) -> int | None:
    """When the earliest sample of any stream starts; None without samples."""
    starts = [
        entry.startTime
        for kind in STREAM_KINDS
        for entry in streams_of(session, kind)
        if sample_count(entry)
    ]
    return time_ms(min(starts)) if starts else None


def last_sample_end_ms(session: MediaSession) -> int | None:
    """When the latest sample of any stream ends; None without samples."""
    return max(
        (
            time_ms(entry.startTime) + int(count * period_ms(entry.samplingInterval))
            for kind in STREAM_KINDS
            for entry in streams_of(session, kind)
            if (count := sample_count(entry))
        ),
        default=None,
    )


def join_ms(session: MediaSession, created_ms: int) -> int:
    """As sent, else the first sample's start, else the first arrival."""
    if session.joinTime is not UNSET:
        return time_ms(session.joinTime)
    first = first_sample_ms(session)
    return created_ms if first is None else first


def leave_ms(session: MediaSession, heard_ms: int) -> int:
    """As sent, else the last sample's end, else the last arrival; never before joinTime."""
    if session.leaveTime is not UNSET:
        return time_ms(session.leaveTime)
    last = last_sample_end_ms(session)
    left = heard_ms if last is None else last
    return left if session.joinTime is UNSET else max(left, time_ms(session.joinTime))


def attendance_of(session: MediaSession, created_ms: int, heard_ms: int) -> Attendance:
    """How long the participant of an open session has been there."""
    return Attendance(
        session=session.participantSessionId,
        join_ms=join_ms(session, created_ms),
        left_ms=None if session.leaveTime is UNSET else time_ms(session.leaveTime),
        heard_ms=heard_ms,
    )


def summary_of(session: MediaSession) -> Summary:
    """The summary of a whole session with joinTime and leaveTime."""
    assert session.joinTime is not UNSET
    assert session.leaveTime is not UNSET
    streams = [entry for kind in STREAM_KINDS for entry in streams_of(session, kind)]
    loss = list(_known(streams, "packetLoss"))
    latency = list(_known(streams, "latency"))
    jitter = list(_known(streams, "jitter"))
    return Summary(
        meeting=session.meetingInstanceId,
        session=session.participantSessionId,
        join_ms=time_ms(session.joinTime),
        leave_ms=time_ms(session.leaveTime),
        samples=sum(map(sample_count, streams)),
        packet_loss_mean=_mean(loss),
        latency_mean=_mean(latency),
        jitter_mean=_mean(jitter),
        packet_loss_max=_max(loss),
        latency_max=_max(latency),
        jitter_max=_max(jitter),
    )


def _known(streams: Iterable[Stream], column: Column) -> Iterator[float]:
    for stream in streams:
        yield from (float(value) for value in column_of(stream, column) if value is not None)


def _max(values: Sequence[float]) -> float | None:
    return round(max(values), SUMMARY_DECIMALS) if values else None


def _mean(values: Sequence[float]) -> float | None:
    # fsum is exact, so the mean does not depend on the order in which samples came
    return round(fsum(values) / len(values), SUMMARY_DECIMALS) if values else None


def participants_of(
    sessions: Iterable[MediaSession], meeting: Meeting, org: str
) -> list[Participant]:
    """Sessions, in order of first arrival, folded by participantId (else by session)."""
    people: dict[str, list[MediaSession]] = {}
    for session in sessions:
        key = session.participantId or session.participantSessionId
        people.setdefault(key, []).append(session)
    return [_participant(key, group, meeting, org) for key, group in people.items()]


def _participant(key: str, group: list[MediaSession], meeting: Meeting, org: str) -> Participant:
    email = _latest(session.webexUserEmail for session in group)
    devices = [_device(session) for session in group]
    left = [device.leftTime for device in devices if device.leftTime is not UNSET]
    gone = len(left) == len(devices)
    return Participant(
        id=key,
        orgId=org,
        host=bool(email) and email.lower() == meeting.hostEmail.lower(),
        email=email,
        displayName=_latest(session.webexUserName for session in group),
        state="end" if gone else "joined",
        joinedTime=min(device.joinedTime for device in devices),
        leftTime=max(left) if gone else UNSET,
        meetingId=meeting.id,
        hostEmail=meeting.hostEmail,
        siteUrl=meeting.siteUrl,
        devices=devices,
    )


def _latest(texts: Iterable[str]) -> str:
    found = ""
    for text in texts:
        found = text or found
    return found


def _device(session: MediaSession) -> Device:
    assert session.joinTime is not UNSET
    joined = time_ms(session.joinTime)
    left: str | UnsetType
    if session.leaveTime is UNSET:
        left, until = UNSET, last_sample_end_ms(session) or joined
    else:
        until = time_ms(session.leaveTime)
        left = iso_s(until)
    return Device(
        correlationId=session.participantSessionId,
        deviceType=session.clientType or session.osType or "unknown",
        joinedTime=iso_s(joined),
        leftTime=left,
        durationSecond=max(0, until - joined) // 1000,
    )


_HIDDEN = (*IDENTITY_FIELDS, *ADDRESS_FIELDS, *DEVICE_LABEL_FIELDS)


def anonymised(session: MediaSession) -> MediaSession:
    """A session without names, e-mail, raw addresses and device labels."""
    blank: dict[str, Any] = dict.fromkeys(_HIDDEN, "")
    return structs.replace(session, **blank)


def anonymised_token(token: Token, email: str) -> Token:
    """A token that does not name the person with this e-mail: neither its header nor its label.

    An e-mail that only ends or begins like this one (joann@ for ann@) is somebody else's.
    """
    whole = re.compile(rf"(?<![\w.+-]){re.escape(email)}(?![\w-]|\.\w)", re.IGNORECASE)
    if whole.search(token.label):
        token = structs.replace(token, label="")
    if not whole.search(token.participant.decode(errors="replace")):
        return token
    try:
        header = json.decode(token.participant, type=dict[str, Any])
    except (DecodeError, ValidationError):
        return structs.replace(token, participant=b"")
    kept = {name: value for name, value in header.items() if name not in _HIDDEN}
    return structs.replace(token, participant=json.encode(kept))


def mentions(data: bytes, email: str) -> bool:
    """Whether bytes with text in them (UTF-8) contain an e-mail, in any case."""
    return email.lower() in data.decode(errors="replace").lower()
