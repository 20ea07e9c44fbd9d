"""What scores add: who else had it bad in the time of a finding, and what nothing explains.

A sender's slow camera is no loss of anybody's, so only the verdict of those who looked shows it.
"""

from collections.abc import Iterator, Sequence

from msgspec import Struct

from roomtone.causes import limits
from roomtone.causes.draft import name_of, owner_of
from roomtone.causes.finding import Finding, Rival, finding_id
from roomtone.model import MediaSession, StreamKind, epoch_ms, iso_ms, streams_of
from roomtone.score import SessionScore, Thresholds

Spell = tuple[int, int]
"""From and until, ms since 1970."""
LOOKED_AT: frozenset[StreamKind] = frozenset({"videoIn", "shareIn"})
SENT: frozenset[str] = frozenset({"cpu", "device", "bandwidth"})
"""Families of which others see a slow or small picture."""


class Poor(Struct):
    """A session's poor intervals, of all kinds of streams and of what it looks at."""

    session: MediaSession
    score: SessionScore
    spells: list[Spell]
    looked: list[Spell]


def poor_of(sessions: Sequence[MediaSession], scores: Sequence[SessionScore]) -> list[Poor]:
    """The sessions that had it poor at all."""
    found = []
    for session, score in zip(sessions, scores, strict=True):
        if score.minutes_poor > 0:
            by_kind = {kind: list(_spells(session, score, kind)) for kind in score.streams}
            everything = sorted({spell for spells in by_kind.values() for spell in spells})
            looked = [spell for kind in LOOKED_AT & by_kind.keys() for spell in by_kind[kind]]
            found.append(Poor(session, score, everything, looked))
    return found


def _spells(session: MediaSession, score: SessionScore, kind: StreamKind) -> Iterator[Spell]:
    for stream, told in zip(streams_of(session, kind), score.streams[kind], strict=True):
        start_ms, step_ms = epoch_ms(stream.startTime), stream.samplingInterval * 1000
        for at, verdict in enumerate(told.verdicts):
            if verdict == "poor":
                yield round(start_ms + at * step_ms), round(start_ms + (at + 1) * step_ms)


def add_viewers(findings: Sequence[Finding], poor: Sequence[Poor]) -> None:
    """Name those who looked at a slow picture and have no trouble of their own at the time."""
    own = {who for finding in findings for who in (finding.owner, *finding.suffered)}
    for finding in findings:
        if finding.family not in SENT or finding.direction == "down":
            continue
        for viewer in poor:
            who = owner_of(viewer.session)
            if who not in own and len(_inside(viewer.looked, [finding])) >= limits.BAD_CELLS_MIN:
                finding.suffered.append(who)


def unexplained(
    findings: Sequence[Finding], poor: Sequence[Poor], thresholds: Thresholds
) -> Iterator[Finding]:
    """A finding of family `unknown` for each poor session of which too little is explained."""
    for item in poor:
        if item.score.verdict != "poor":
            continue
        who = owner_of(item.session)
        about = [f for f in findings if who == f.owner or who in f.suffered]
        known = set(_inside(item.spells, about))
        left = [spell for spell in item.spells if spell not in known]
        minutes = _minutes(left)
        least = item.score.minutes * thresholds.poor_share_percent / 100
        if len(left) >= thresholds.poor_intervals_min and minutes > least:
            yield _unknown(item, who, left, minutes)


def _inside(spells: Sequence[Spell], findings: Sequence[Finding]) -> list[Spell]:
    """Which spells are in the time of these findings, an interval more on either side."""
    times = [(epoch_ms(finding.start), epoch_ms(finding.end)) for finding in findings]
    return [
        (low, high)
        for low, high in spells
        if any(start - (high - low) <= low and high <= end + (high - low) for start, end in times)
    ]


def _minutes(spells: Sequence[Spell]) -> float:
    """The time that spells cover together, in minutes."""
    covered_ms, end_ms = 0, 0
    for low, high in sorted(spells):
        covered_ms += max(0, high - max(low, end_ms))
        end_ms = max(end_ms, high)
    return round(covered_ms / 60_000, 1)


def _unknown(item: Poor, who: str, left: list[Spell], minutes: float) -> Finding:
    session = item.session
    start, end = iso_ms(min(low for low, _ in left)), iso_ms(max(high for _, high in left))
    missing = list(_missing(session))
    return Finding(
        id=finding_id("unknown", who, session.participantSessionId, start),
        family="unknown",
        owner=who,
        session=session.participantSessionId,
        start=start,
        end=end,
        minutes=minutes,
        left_open=missing,
        confidence=0.0,
        suffered=[who],
        text=(
            f"{name_of(session)} had it poor for {minutes:g} minutes ({item.score.because}), and "
            "these figures do not say why."
        ),
        advice=(
            "Have what is missing measured: " + "; ".join(rival.why for rival in missing) + "."
            if missing
            else f"Ask {name_of(session)} what was heard and seen."
        ),
    )


def _missing(session: MediaSession) -> Iterator[Rival]:
    """What would have told more."""
    if not any(entry.systemAverageCPU or entry.systemMaxCPU for entry in session.resources):
        yield Rival(family="cpu", why="the client does not tell its CPU load")
    sent = [entry for kind in ("audioOut", "videoOut") for entry in getattr(session, kind)]
    if not any(value is not None for entry in sent for value in entry.packetLoss):
        yield Rival(family="uplink", why="nothing is known of loss upward")
    if not any(value is not None for entry in sent for value in entry.latency):
        yield Rival(family="path", why="nothing is known of latency")
    if not (session.publicIP or session.maskedPublicIP):
        yield Rival(family="site", why="no public address tells who sits at the same site")
