"""From bytes to what the store keeps: check, canonicalise, mask; what a write does."""

import ipaddress
import json as stdlib_json
import re
import uuid
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from typing import Annotated, Final, NamedTuple

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType, field

from roomtone import measure
from roomtone.auth import BoundParticipant
from roomtone.decoding import NAME_SHOWN_MAX, decode, in_words
from roomtone.errors import Conflict, Invalid
from roomtone.model import (
    HEADER_FIELDS,
    NAME_PATTERN,
    STREAM_KINDS,
    Id,
    Key,
    MediaSession,
    MediaSessions,
    MeetingNews,
    Stream,
    Text,
    epoch_ms,
    iso_ms,
    sample_count,
    streams_of,
)
from roomtone.store import Store

TIME_MS_MIN: Final = epoch_ms("2000-01-01T00:00:00Z")
AHEAD_MS_MAX: Final = 24 * 3600 * 1000
REPORTS_MAX: Final = 1_000
MASK_BITS: Final = {4: 28, 6: 96}
# Not week dates (2020-W15-5) and not 24:00, which newer Pythons read as well.
_CANONICAL: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-9]{2}:[0-9]{2}\.[0-9]{3}Z"
)
SESSION_NAMESPACE: Final = uuid.UUID("6f1c1f7e-6f3d-5c0e-9b0a-3f6d1b1f0a54")


class WebrtcReports(Struct, kw_only=True):
    """The body of POST /v1/webrtc/reports: raw getStats() reports of one participant.

    `session` holds header fields of a MediaSession; its streams are measured here from `reports`.
    `sentAt` is the client's time of sending, in ms since 1970: it shows whether its clock is off.
    """

    meetingId: Id
    participantSessionId: Annotated[str, Meta(min_length=1, max_length=64, pattern=NAME_PATTERN)]
    session: dict[str, Text] = field(default_factory=dict)
    reports: Annotated[list[measure.Report], Meta(max_length=REPORTS_MAX)] = field(
        default_factory=list
    )
    sentAt: Annotated[float, Meta(ge=0, le=measure.TIMESTAMP_MS_MAX)] | UnsetType = UNSET


class NewCollectorParticipant(Struct, kw_only=True, forbid_unknown_fields=True):
    """Whom a collector's token will speak for; what is left empty is minted or unknown."""

    id: Key = ""
    name: Text = ""
    email: Text = ""


class NewCollectorToken(Struct, kw_only=True, forbid_unknown_fields=True):
    """The body of POST /v1/collector/tokens."""

    meetingId: Id
    participant: NewCollectorParticipant = field(default_factory=NewCollectorParticipant)
    expiresIn: Annotated[int, Meta(ge=1, le=366 * 86_400)] | UnsetType = UNSET


class Parsed(NamedTuple):
    """Sessions ready for the store, and how many stream-samples are in them."""

    sessions: list[MediaSession]
    samples: int


def parse_sessions(body: bytes, now_ms: int, *, drop_raw_addresses: bool = False) -> Parsed:
    """The sessions of a body `{"items": [...]}`, canonical; Invalid with the JSON path."""
    sessions = decode(body, MediaSessions).items
    times: dict[str, str] = {}
    samples = 0
    for index, session in enumerate(sessions):
        try:
            samples += normalise(
                session, now_ms, drop_raw_addresses=drop_raw_addresses, times=times
            )
        except _At as error:
            raise Invalid(f"{error.rule} - at `$.items[{index}]{error.path}`") from None
    return Parsed(sessions, samples)


class _At(Exception):
    """A broken rule and where, relative to the session."""

    def __init__(self, rule: str, path: str) -> None:
        super().__init__(rule)
        self.rule = rule
        self.path = path


def normalise(
    session: MediaSession,
    now_ms: int,
    *,
    drop_raw_addresses: bool = False,
    times: dict[str, str] | None = None,
) -> int:
    """Make a session canonical in place (times, a session id, masked addresses); count its samples.

    `times` is a memo of times already checked. Raises for a time before 2000 or over a day ahead.
    """
    samples = 0
    known = {} if times is None else times
    _session_times(session, now_ms, known)
    for kind in STREAM_KINDS:
        for index, stream in enumerate(streams_of(session, kind)):
            try:
                samples += _stream_times(stream, now_ms, known)
            except _At as error:
                raise _At(error.rule, f".{kind}[{index}]{error.path}") from None
    for index, resources in enumerate(session.resources):
        if resources.startTime is not UNSET:
            path = f".resources[{index}].startTime"
            resources.startTime = _time(resources.startTime, now_ms, known, path)
    if not session.participantSessionId:
        session.participantSessionId = _minted_session_id(session)
    mask_addresses(session, drop_raw_addresses=drop_raw_addresses)
    return samples


def _session_times(session: MediaSession, now_ms: int, known: dict[str, str]) -> None:
    if session.joinTime is not UNSET:
        session.joinTime = (
            _time(session.joinTime, now_ms, known, ".joinTime") if session.joinTime else UNSET
        )
    if session.leaveTime is not UNSET:
        session.leaveTime = (
            _time(session.leaveTime, now_ms, known, ".leaveTime") if session.leaveTime else UNSET
        )
    join, leave = session.joinTime, session.leaveTime
    if join is not UNSET and leave is not UNSET and leave < join:
        raise _At("Expected a time that is not before joinTime", ".leaveTime")


def _stream_times(stream: Stream, now_ms: int, known: dict[str, str]) -> int:
    """Make an entry's times canonical; return how many samples it has."""
    stream.startTime = _time(stream.startTime, now_ms, known, ".startTime")
    if stream.endTime:
        stream.endTime = _time(stream.endTime, now_ms, known, ".endTime")
        if stream.endTime < stream.startTime:
            raise _At("Expected a time that is not before startTime", ".endTime")
    count = sample_count(stream)
    span_ms = count * stream.samplingInterval * 1000
    if span_ms > AHEAD_MS_MAX and epoch_ms(stream.startTime) + span_ms > now_ms + AHEAD_MS_MAX:
        raise _At("Expected samples at most a day ahead", ".samplingInterval")
    return count


def _time(text: str, now_ms: int, known: dict[str, str], path: str) -> str:
    canonical = known.get(text)
    if canonical is None:
        try:
            canonical = known[text] = canonical_time(text, now_ms)
        except ValueError as error:
            raise _At(str(error), path) from None
    return canonical


def canonical_time(text: str, now_ms: int, *, days_ahead_max: int = 1) -> str:
    """A time as `2020-04-10T17:00:00.000Z`; ValueError says which rule it breaks."""
    try:
        moment_ms = epoch_ms(text)
    except (ValueError, OverflowError):
        raise ValueError("Expected an ISO 8601 time with a zone") from None
    if not TIME_MS_MIN <= moment_ms <= now_ms + days_ahead_max * AHEAD_MS_MAX:
        ahead = "a day" if days_ahead_max == 1 else "a year"
        raise ValueError(f"Expected a time from 2000 on and at most {ahead} ahead")
    return text if _CANONICAL.fullmatch(text) else iso_ms(moment_ms)


def _minted_session_id(session: MediaSession) -> str:
    """The same for the same participant and join time, so that a repeated post stays one session.

    Never made of a name or an e-mail: who guesses those could check the guess by the id.
    """
    if not session.participantId:
        raise _At("Expected participantSessionId, or participantId to make one of", "")
    join = "" if session.joinTime is UNSET else session.joinTime
    key = stdlib_json.dumps([session.meetingInstanceId, session.participantId, join])
    return str(uuid.uuid5(SESSION_NAMESPACE, key)).upper()


def mask_addresses(session: MediaSession, *, drop_raw_addresses: bool) -> None:
    """Fill masked addresses that the sender left out, and forget the raw ones if they are to go."""
    if session.localIP and not session.maskedLocalIP:
        session.maskedLocalIP = masked(session.localIP)
    if session.publicIP and not session.maskedPublicIP:
        session.maskedPublicIP = masked(session.publicIP)
    if drop_raw_addresses:
        session.localIP = session.publicIP = ""


@lru_cache(maxsize=4_096)
def masked(address: str) -> str:
    """The first 28 bits of IPv4 or 96 of IPv6, as Webex's clients mask; "" for no address."""
    try:
        bits = MASK_BITS[ipaddress.ip_address(address).version]
        return str(ipaddress.ip_network(f"{address}/{bits}", strict=False).network_address)
    except ValueError:
        return ""


def parse_news(body: bytes, now_ms: int) -> MeetingNews:
    """The body of POST /v1/meetings, its times canonical; Invalid with the JSON path."""
    news = decode(body, MeetingNews)
    for name in ("start", "end"):
        text = getattr(news, name)
        if text is not UNSET:
            try:
                setattr(news, name, canonical_time(text, now_ms, days_ahead_max=366))
            except ValueError as error:
                raise Invalid(f"{error} - at `$.{name}`") from None
    if news.start is not UNSET and news.end is not UNSET and news.end < news.start:
        raise Invalid("Expected a time that is not before start - at `$.end`")
    return news


class Reported(NamedTuple):
    """A session without streams, what was seen of its connections on its client's clock, and by how
    many ms that is behind (None: not told)."""

    session: MediaSession
    seen: list[measure.Seen]
    offset_ms: float | None


def parse_reports(
    body: bytes, now_ms: int, *, bound: BoundParticipant | None, public_ip: str
) -> Reported:
    """A body of raw reports, checked; times of the header corrected if the clock is off.

    `bound` is the participant of a collector's token: it wins over what the body says of itself.
    """
    posted = decode(body, WebrtcReports)
    for name in posted.session:
        if name not in HEADER_FIELDS:
            shown = name[:NAME_SHOWN_MAX]
            raise Invalid(f"Object contains unknown field `{shown}` - at `$.session`")
    offset_ms = None if posted.sentAt is UNSET else now_ms - posted.sentAt
    header = _corrected(posted.session, offset_ms)
    header["meetingInstanceId"] = posted.meetingId
    header["participantSessionId"] = posted.participantSessionId
    if bound is not None:
        header |= msgspec.structs.asdict(bound)  # what is empty there is unknown, not the page's
        # What a browser claims of its own public address is worth nothing: the connection tells.
        header |= {"publicIP": public_ip, "maskedPublicIP": ""}
    session = _session_of(header | {"publicIP": header.get("publicIP") or public_ip})
    try:
        normalise(session, now_ms)
    except _At as error:
        raise Invalid(f"{error.rule} - at `$.session{error.path}`") from None
    by_ms = _correction_ms(offset_ms)
    for index, report in enumerate(posted.reports):
        if not TIME_MS_MIN <= report.timestamp + by_ms <= now_ms + AHEAD_MS_MAX:
            raise Invalid(
                f"Expected a time from 2000 on and at most a day ahead - "
                f"at `$.reports[{index}].timestamp`"
            )
    return Reported(session, list(map(measure.seen, posted.reports)), offset_ms)


def _correction_ms(offset_ms: float | None) -> int:
    """What to add to times of a clock that is off by so much that it matters, in whole seconds."""
    if offset_ms is None or abs(offset_ms) < measure.CLOCK_OFF_MS:
        return 0
    return 1000 * round(offset_ms / 1000)


def _corrected(header: dict[str, str], offset_ms: float | None) -> dict[str, str]:
    """The header with its times on the server's clock; what is no time stays, to be refused."""
    by_ms = _correction_ms(offset_ms)
    corrected = dict(header)
    for name in ("joinTime", "leaveTime"):
        if by_ms and (text := header.get(name)):
            with suppress(ValueError, OverflowError):
                corrected[name] = iso_ms(epoch_ms(text) + by_ms)
    return corrected


def _session_of(header: dict[str, str]) -> MediaSession:
    try:
        return msgspec.convert(header, MediaSession)
    except msgspec.ValidationError as error:
        raise Invalid(in_words(error).replace("`$.", "`$.session.")) from None


def put_sessions(org: str, sessions: list[MediaSession], now_ms: int) -> Callable[[Store], None]:
    """The write of posted sessions: all of them or none."""

    def job(store: Store) -> None:
        for index, session in enumerate(sessions):
            try:
                store.put_session(org, session, now_ms)
            except Conflict as error:
                raise Conflict(f"{error.message} - at `$.items[{index}]`") from None

    return job
