"""Holds what `causes` finds in scenarios against their truth: precision and recall.

A finding is right when a trouble of its family and owner happened in its time; a second finding
about the same trouble is wrong, since one root is one finding. `may` findings count for nothing.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from roomtone.causes import Finding, explain
from roomtone.model import MediaSession, epoch_ms
from tests.scenarios import demonstration
from tests.scenarios.stage import START_MS, Expected, Scenario, play

SLACK_INTERVALS = 3


@dataclass
class Tally:
    """Counts by family, and a line for each mistake."""

    right: Counter[str] = field(default_factory=Counter)
    false: Counter[str] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)
    meetings: int = 0
    clean_meetings: int = 0
    false_on_clean: int = 0
    mistakes: list[str] = field(default_factory=list)
    sure_right: list[float] = field(default_factory=list)
    sure_false: list[float] = field(default_factory=list)

    def add(self, other: "Tally") -> None:
        """Count what another has counted, too."""
        for mine, theirs in (
            (self.right, other.right),
            (self.false, other.false),
            (self.missed, other.missed),
        ):
            mine.update(theirs)
        self.meetings += other.meetings
        self.clean_meetings += other.clean_meetings
        self.false_on_clean += other.false_on_clean
        self.mistakes += other.mistakes
        self.sure_right += other.sure_right
        self.sure_false += other.sure_false

    def precision(self, family: str | None = None) -> float:
        """Of the findings, those that are right; 1 without any."""
        right, false = _of(self.right, family), _of(self.false, family)
        return right / (right + false) if right + false else 1.0

    def recall(self, family: str | None = None) -> float:
        """Of the troubles, those that were found; 1 without any."""
        right, missed = _of(self.right, family), _of(self.missed, family)
        return right / (right + missed) if right + missed else 1.0


def _of(counts: Counter[str], family: str | None) -> int:
    return counts.total() if family is None else counts[family]


def judge(scenarios: Iterable[Scenario], seeds: Iterable[int]) -> Tally:
    """Play each scenario with each seed, explain it, and count."""
    tally = Tally()
    seeds = list(seeds)
    for scenario in scenarios:
        for seed in seeds:
            sessions = play(scenario, seed)
            compare(tally, scenario, sessions, explain(sessions), seed)
    return tally


def judge_demonstration(seeds: Iterable[int]) -> Tally:
    """The same for the demonstration's meetings."""
    tally = Tally()
    for seed in seeds:
        for scenario, made in demonstration.played(seed):
            compare(tally, scenario, made.sessions, explain(made.sessions), seed)
    return tally


def compare(
    tally: Tally,
    scenario: Scenario,
    sessions: Sequence[MediaSession],
    findings: Sequence[Finding],
    seed: int,
) -> None:
    """Count one meeting."""
    told = [finding for finding in findings if finding.family != "unknown"]
    left = list(told)
    for truth in scenario.expected:
        match = next((f for f in left if _is(f, truth, scenario, sessions)), None)
        family = truth.family.partition("|")[0]
        if match is None:
            tally.missed[family] += 1
            tally.mistakes.append(f"{scenario.name} #{seed}: missed {truth.family} {truth.owner}")
        else:
            tally.right[family] += 1
            tally.sure_right.append(match.confidence)
            left.remove(match)
    for finding in left:
        if not any(_is(finding, may, scenario, sessions) for may in scenario.may):
            tally.false[finding.family] += 1
            tally.sure_false.append(finding.confidence)
            tally.mistakes.append(f"{scenario.name} #{seed}: false {finding.family} {finding.text}")
            tally.false_on_clean += not scenario.expected
    tally.meetings += 1
    tally.clean_meetings += not scenario.expected


def _is(
    finding: Finding, truth: Expected, scenario: Scenario, sessions: Sequence[MediaSession]
) -> bool:
    owner = sessions[truth.owner].participantId if isinstance(truth.owner, int) else truth.owner
    if finding.family not in truth.family.split("|") or finding.owner != owner:
        return False
    length_ms = scenario.interval_s * 1000
    low = START_MS + (truth.first - SLACK_INTERVALS) * length_ms
    high = START_MS + (truth.last + SLACK_INTERVALS) * length_ms
    start, end = epoch_ms(finding.start), epoch_ms(finding.end)
    common = min(end, high) - max(start, low)
    return common >= 0.5 * (end - start) and common >= 0.3 * (truth.last - truth.first) * length_ms
