"""Meetings judged by their organisation's thresholds, and the rows that a store keeps of that.

One way for sealing, for a new model and for other thresholds: a stale meeting is read, judged and
put back; whoever is cut off goes on with what is still stale.
"""

import logging
from collections.abc import Iterable, Sequence
from functools import lru_cache
from math import isfinite
from time import monotonic
from typing import Final

import msgspec
from msgspec import Struct

from roomtone import causes, score
from roomtone.causes import Finding
from roomtone.errors import Gone
from roomtone.fleet.dimensions import Sites, sites_of, values_of
from roomtone.model import AUDIO_KINDS, ITEMS_MAX, VIDEO_KINDS, MediaSession, Meeting
from roomtone.score import MeetingScore, SessionScore, StreamScore, Thresholds
from roomtone.store import Store
from roomtone.store.records import summary_of
from roomtone.store.size import size_of
from roomtone.store.verdicts import (
    FINDINGS_KEPT_MAX,
    FindingRow,
    MeetingRow,
    Scores,
    SessionRow,
    Stale,
)

THRESHOLDS: Final = "thresholds"
SITES: Final = "sites"
"""Names of settings: JSON, and the CSV of fleet.dimensions."""
READ_S_MAX: Final = 60.0
READ_SESSIONS: Final = 20
SAMPLES_JUDGED_MAX: Final = 2_000_000
"""Stream-samples of a meeting that are judged together, each of some 500 bytes while they are; an
entry counts as at least ENTRY_WEIGHT of them."""
WORDS_LENGTH_MAX: Final = 65_536
SITES_HELD_MAX: Final = 4
SEARCHED: Final = (
    "webexUserName", "webexUserEmail", "camera", "microphone", "speakerName", "hardwareType",
)  # fmt: skip
"""What a search finds a meeting's sessions by, people before devices."""

log = logging.getLogger("roomtone")


class Judgement(Struct, frozen=True):
    """A meeting's scores, parallel to its sessions, their sum, and the roots of its troubles."""

    scores: list[SessionScore]
    whole: MeetingScore
    findings: list[Finding]


def judge(sessions: Sequence[MediaSession], thresholds: Thresholds) -> Judgement:
    """Score a meeting's sessions and explain what was not good. Pure."""
    scores, whole = scored(sessions, thresholds)
    findings = causes.explain(sessions, thresholds=thresholds, scores=scores)
    return Judgement(scores, whole, findings)


def scored(
    sessions: Sequence[MediaSession], thresholds: Thresholds
) -> tuple[list[SessionScore], MeetingScore]:
    """The scores of a meeting's sessions and their sum, for who explains them in several words."""
    scores = score.sessions(sessions, thresholds=thresholds, fars=score.fars(sessions))
    return scores, score.meeting(scores, [session.participantId for session in sessions])


def sessions_of(
    store: Store, org: str, meeting_id: str, *, offset: int = 0, deadline: float
) -> tuple[list[MediaSession], bool]:
    """A meeting's sessions from `offset` on, as many as are judged together, and if there are more.

    Errors as with Store.sessions.
    """
    found: list[MediaSession] = []
    samples = 0
    while True:
        page = store.sessions(
            org, meeting_id, offset=offset + len(found), limit=READ_SESSIONS, deadline=deadline
        )
        for one in page:
            if len(found) == ITEMS_MAX or samples > SAMPLES_JUDGED_MAX:
                return found, True
            found.append(one)
            samples += size_of(one).weight
        if len(page) < READ_SESSIONS:
            return found, False


def thresholds_of(store: Store, org: str) -> Thresholds:
    """The organisation's thresholds, else the defaults."""
    return thresholds_from(store.setting(org, THRESHOLDS))


def thresholds_from(value: bytes) -> Thresholds:
    """Thresholds from a setting; the defaults from b""."""
    return msgspec.json.decode(value, type=Thresholds) if value else Thresholds()


@lru_cache(SITES_HELD_MAX)
def sites_from(value: bytes) -> Sites:
    """Sites from a setting; none from b""."""
    return sites_of(value.decode().splitlines())


def made_of(store: Store, stale: Stale) -> Scores | None:
    """Read a stale meeting and judge it: what is to be put. Any thread; some milliseconds of CPU.

    None when the meeting was changed or removed meanwhile. One that cannot be judged, which is a
    fault of ours, is logged and unclassified, so that it keeps no other waiting.
    """
    revision = store.revision(stale.org)  # before the settings, see the protocol
    try:
        about = store.meeting(stale.org, stale.meeting)
        sessions, _ = sessions_of(
            store, stale.org, stale.meeting, deadline=monotonic() + READ_S_MAX
        )
        if about is None or store.version(stale.org, stale.meeting) != stale.version:
            return None
    except Gone:
        return None
    thresholds = thresholds_of(store, stale.org)
    sites = sites_from(store.setting(stale.org, SITES))
    try:
        meeting, rows = rows_of(sessions, thresholds, sites)
    except Exception:
        log.exception("scoring failed")
        meeting, rows = rows_of([], thresholds, sites)
    return Scores(
        version=stale.version,
        model=score.VERSION,
        revision=revision,
        meeting=meeting,
        words=words_of(about, sessions),
        sessions=rows,
    )


def rows_of(
    sessions: Sequence[MediaSession], thresholds: Thresholds, sites: Sites
) -> tuple[MeetingRow, list[SessionRow]]:
    """The rows of a meeting that has ended and of its sessions."""
    found = judge(sessions, thresholds)
    worst = sorted(found.findings, key=lambda one: (-one.minutes, -one.confidence))
    row = MeetingRow(
        verdict=found.whole.verdict,
        because=found.whole.because,
        minutes=found.whole.minutes,
        minutes_poor=found.whole.minutes_poor,
        counts=found.whole.counts,
        findings=[
            FindingRow(
                family=one.family, session=one.session, confidence=one.confidence, text=one.text
            )
            for one in worst[:FINDINGS_KEPT_MAX]
        ],
    )
    pairs = zip(sessions, found.scores, strict=True)
    return row, [_session_row(*pair, sites) for pair in pairs]


def words_of(meeting: Meeting, sessions: Sequence[MediaSession]) -> str:
    """What a search finds a meeting by, each text once, casefolded, a line each."""
    texts = [meeting.id, meeting.title, meeting.hostDisplayName, meeting.hostEmail]
    texts += [getattr(session, name) for name in SEARCHED for session in sessions]
    return "\n".join(dict.fromkeys(text.casefold() for text in texts if text))[:WORDS_LENGTH_MAX]


def _session_row(session: MediaSession, found: SessionScore, sites: Sites) -> SessionRow:
    summary = summary_of(session)
    return SessionRow(
        session=session.participantSessionId,
        join_ms=summary.join_ms,
        leave_ms=summary.leave_ms,
        verdict=found.verdict,
        kind=found.kind or None,
        figure=found.figure or None,
        minutes=found.minutes,
        minutes_poor=found.minutes_poor,
        minutes_fair=found.minutes_fair,
        audio_mos=mos_of(one for kind in AUDIO_KINDS for one in found.streams.get(kind, ())),
        video_mos=mos_of(one for kind in VIDEO_KINDS for one in found.streams.get(kind, ())),
        network=found.network,
        device=found.device,
        packet_loss=summary.packet_loss_mean,
        latency=summary.latency_mean,
        jitter=summary.jitter_mean,
        join_s=_seconds(session.joinMeetingTime),
        values=values_of(session, sites=sites),
    )


def mos_of(entries: Iterable[StreamScore]) -> float | None:
    """The mean of entries' MOS, weighted by their minutes; None where none is known."""
    known = [(one.mos_mean, one.minutes) for one in entries if one.mos_mean is not None]
    minutes = sum(weight for _, weight in known)
    return sum(mos * weight for mos, weight in known) / minutes if minutes else None


def _seconds(text: str) -> float | None:
    """A joinMeetingTime ("5.793"); None for what is none."""
    try:
        found = float(text)
    except ValueError:
        return None
    return found if isfinite(found) and found >= 0 else None
