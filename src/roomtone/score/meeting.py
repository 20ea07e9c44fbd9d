"""A meeting of its sessions' scores."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

from roomtone.model import StreamKind
from roomtone.score.results import Figure, MeetingScore, PersonScore, SessionScore, Verdict

BAD_SHARE: Final = 0.1
"""More than this of the participants, or of one participant's minutes (O)."""


def meeting(
    scores: Sequence[SessionScore], participants: Sequence[str] | None = None
) -> MeetingScore:
    """Poor: more than a tenth of the people are; fair: one is, or more than a tenth are fair.

    `participants` is parallel to the sessions' scores and says whose they are: who comes back is
    one person. "", and None for all, is somebody else each time.
    """
    found = MeetingScore(people=_people(scores, participants or [""] * len(scores)))
    for score in scores:
        found.counts[score.verdict] += 1
    for person in found.people:
        found.minutes += person.minutes
        found.minutes_poor += person.minutes_poor
        found.minutes_fair += person.minutes_fair
    people = Counter(person.verdict for person in found.people)
    found.verdict = _verdict(people)
    if found.verdict in ("fair", "poor"):
        found.because = _because(scores, people)
    return found


def _people(scores: Sequence[SessionScore], participants: Sequence[str]) -> list[PersonScore]:
    """Each participant, in the order of their first sessions."""
    theirs: dict[str | int, list[SessionScore]] = defaultdict(list)
    for at, (score, participant) in enumerate(zip(scores, participants, strict=True)):
        theirs[participant or at].append(score)
    return [_person(key if isinstance(key, str) else "", ones) for key, ones in theirs.items()]


def _person(participant: str, scores: Sequence[SessionScore]) -> PersonScore:
    """Poor, or at least fair, when a session is and more than a tenth of all their minutes are."""
    found = PersonScore(participant=participant, sessions=len(scores))
    for score in scores:
        found.minutes += score.minutes
        found.minutes_poor += score.minutes_poor
        found.minutes_fair += score.minutes_fair
    verdicts = {score.verdict for score in scores}
    bad = verdicts & {"fair", "poor"}
    if len(verdicts) == 1:
        found.verdict = scores[0].verdict
    elif "poor" in verdicts and found.minutes_poor > BAD_SHARE * found.minutes:
        found.verdict = "poor"
    elif bad and found.minutes_poor + found.minutes_fair > BAD_SHARE * found.minutes:
        found.verdict = "fair"
    else:
        found.verdict = "good"
    return found


def _verdict(people: Mapping[Verdict, int]) -> Verdict:
    poor, fair = people["poor"], people["fair"]
    told = poor + fair + people["good"]
    if not told:
        return "unclassified"
    if poor > BAD_SHARE * told:
        return "poor"
    return "fair" if poor or fair > BAD_SHARE * told else "good"


def _because(scores: Sequence[SessionScore], people: Mapping[Verdict, int]) -> str:
    level: Verdict = "poor" if people["poor"] else "fair"
    bad = [score for score in scores if score.verdict == level]
    bad = bad or [score for score in scores if score.verdict == "poor"]
    reasons: Counter[tuple[StreamKind | str, Figure]] = Counter(
        (score.kind, score.figure) for score in bad
    )
    usual, _ = reasons.most_common(1)[0]
    first = next(score for score in bad if (score.kind, score.figure) == usual)
    told = sum(people.values()) - people["unclassified"]
    return f"{people[level]} of {told} participants {level}: {first.because}"
