"""A meeting of its sessions' scores."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from roomtone.model import StreamKind
from roomtone.score.results import Figure, MeetingScore, SessionScore, Verdict

POOR_SHARE: Final = 0.1
"""More of the participants than this poor: the meeting is (O)."""


def meeting(scores: Sequence[SessionScore]) -> MeetingScore:
    """Poor: more than a tenth of the sessions are; fair: one is, or more than a tenth are fair."""
    found = MeetingScore()
    for score in scores:
        found.counts[score.verdict] += 1
        found.minutes += score.minutes
        found.minutes_poor += score.minutes_poor
        found.minutes_fair += score.minutes_fair
    found.verdict = _verdict(found)
    if found.verdict in ("fair", "poor"):
        found.because = _because(scores, found)
    return found


def _verdict(found: MeetingScore) -> Verdict:
    poor, fair = found.counts["poor"], found.counts["fair"]
    told = poor + fair + found.counts["good"]
    if not told:
        return "unclassified"
    if poor > POOR_SHARE * told:
        return "poor"
    return "fair" if poor or fair > POOR_SHARE * told else "good"


def _because(scores: Sequence[SessionScore], found: MeetingScore) -> str:
    level: Verdict = "poor" if found.counts["poor"] else "fair"
    bad = [score for score in scores if score.verdict == level]
    reasons: Counter[tuple[StreamKind | str, Figure]] = Counter(
        (score.kind, score.figure) for score in bad
    )
    usual, _ = reasons.most_common(1)[0]
    first = next(score for score in bad if (score.kind, score.figure) == usual)
    told = len(scores) - found.counts["unclassified"]
    return f"{len(bad)} of {told} participants {level}: {first.because}"
