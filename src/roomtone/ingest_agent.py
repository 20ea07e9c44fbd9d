"""What a program beside a client says of a computer goes to the session of the person at it."""

from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta, Struct, field

from roomtone.auth import BoundParticipant
from roomtone.decoding import NAME_SHOWN_MAX, decode
from roomtone.errors import Invalid, NotFound
from roomtone.ingest import canonical_time
from roomtone.model import (
    RESOURCE_COLUMNS,
    Id,
    Key,
    MediaSession,
    Resources,
    Text,
    epoch_ms,
)
from roomtone.store import Attendance, Store

RESOURCES_MAX: Final = 1_000
ABSENT_S: Final = 30
"""Whoever reports for somebody who is not there is asked to come back after so many seconds."""
AGENT_FIELDS: Final = (
    "osType",
    "osVersion",
    "hardwareType",
    "speakerName",
    "microphone",
    "networkType",
)


class AgentReport(Struct, kw_only=True, forbid_unknown_fields=True):
    """The body of POST /v1/agent/reports: what a computer's CPU did, and what computer it is.

    `participantId` is needed unless the token is bound to one. `participantSessionId` chooses one
    of several open sessions. Every entry of `resources` says its startTime and samplingInterval.
    """

    meetingId: Id
    participantId: Key = ""
    participantSessionId: Key = ""
    session: dict[str, Text] = field(default_factory=dict)
    resources: Annotated[list[Resources], Meta(max_length=RESOURCES_MAX)] = field(
        default_factory=list
    )


class AgentAnswer(Struct, kw_only=True):
    """How many entries went to a session, and how many were of a time outside all of them."""

    taken: int
    unused: int


def parse_agent_report(body: bytes, now_ms: int, *, bound: BoundParticipant | None) -> AgentReport:
    """A body, its times canonical; `bound` is whom a collector's token speaks for."""
    report = decode(body, AgentReport)
    if bound is not None:
        report.participantId = bound.participantId
    if not report.participantId:
        raise Invalid("Expected participantId - at `$`")
    for name in report.session:
        if name not in AGENT_FIELDS:
            shown = name[:NAME_SHOWN_MAX]
            raise Invalid(f"Object contains unknown field `{shown}` - at `$.session`")
    for index, entry in enumerate(report.resources):
        path = f"$.resources[{index}]"
        if entry.startTime is UNSET or entry.samplingInterval is UNSET:
            raise Invalid(f"Expected startTime and samplingInterval - at `{path}`")
        try:
            entry.startTime = canonical_time(entry.startTime, now_ms)
        except ValueError as error:
            raise Invalid(f"{error} - at `{path}.startTime`") from None
    return report


def put_agent_report(org: str, report: AgentReport, now_ms: int) -> Callable[[Store], AgentAnswer]:
    """The write: each entry to the open session that joined last before the entry's end.

    NotFound, to be asked again, while the participant has no open session in the meeting.
    """

    def job(store: Store) -> AgentAnswer:
        wanted = report.participantSessionId
        found = [
            one
            for one in store.attendances(org, report.meetingId, report.participantId)
            if wanted in ("", one.session)
        ]
        if not found:
            raise NotFound("The participant is not in this meeting.", retry_after=ABSENT_S)
        places = [_place(entry, found) for entry in report.resources]
        for one in found:
            entries = [e for e, at in zip(report.resources, places, strict=True) if at is one]
            news = _news(store, org, one, report.session, now_ms) if one is found[0] else {}
            if entries or news:
                _put(store, org, report, one, entries, news)
        unused = sum(at is None for at in places)
        return AgentAnswer(taken=len(places) - unused, unused=unused)

    return job


def _put(
    store: Store,
    org: str,
    report: AgentReport,
    one: Attendance,
    entries: list[Resources],
    news: dict[str, Any],
) -> None:
    piece = MediaSession(
        meetingInstanceId=report.meetingId,
        participantSessionId=one.session,
        participantId=report.participantId,
        resources=entries,
        **news,
    )
    # Not `now`: an agent that is left running must not keep open a session whose client is gone.
    store.put_session(org, piece, one.heard_ms)


def _news(
    store: Store, org: str, one: Attendance, header: dict[str, str], now_ms: int
) -> dict[str, str]:
    """The header if this session has not heard it yet: the client's own word may come after it."""
    if not header:
        return {}
    key, mark = f"agent:{one.session}", sha256(msgspec.json.encode(header, order="sorted")).digest()
    if store.source_state(org, key) == mark:
        return {}
    store.put_source_state(org, key, mark, now_ms)
    return header


def _place(entry: Resources, found: Sequence[Attendance]) -> Attendance | None:
    """The last joined session whose time the entry touches."""
    assert entry.startTime is not UNSET
    assert entry.samplingInterval is not UNSET
    start_ms = epoch_ms(entry.startTime)
    count = max(len(getattr(entry, name)) for name in RESOURCE_COLUMNS)
    end_ms = start_ms + count * entry.samplingInterval * 1000
    return next(
        (
            one
            for one in found
            if one.join_ms < end_ms and (one.left_ms is None or start_ms < one.left_ms)
        ),
        None,
    )
