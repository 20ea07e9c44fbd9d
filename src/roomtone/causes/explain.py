"""All rules in their order: what explains most people first, then each person's own."""

from collections.abc import Sequence
from typing import Final

from roomtone.causes import access, bandwidth, cpu, device, groups, limits, path, together, verdicts
from roomtone.causes.draft import Draft, finished
from roomtone.causes.finding import Finding
from roomtone.causes.grid import grid
from roomtone.causes.signs import signs
from roomtone.causes.state import state
from roomtone.model import MediaSession
from roomtone.score import SessionScore, Thresholds

DEFAULTS: Final = Thresholds()


def explain(
    sessions: Sequence[MediaSession],
    *,
    thresholds: Thresholds = DEFAULTS,
    scores: Sequence[SessionScore] | None = None,
) -> list[Finding]:
    """The roots of the troubles of a meeting, by their beginning. Pure: no clock, no store.

    `sessions` are those of one meeting, finished or not; `scores`, parallel to them, let it say
    of whom nothing explains a poor verdict (family `unknown`).
    """
    assert scores is None or len(scores) == len(sessions)
    made = grid(sessions)
    if made is None:
        return []
    found = signs(made, thresholds)
    hits = groups.hits(found)
    shared = state(found, hits)
    drafts: list[Draft] = [*together.found(found, hits)]
    for rule in (path.found, cpu.found, bandwidth.found, path.shifted, access.found, device.found):
        drafts += rule(shared)
    findings = [finished(made, draft) for draft in drafts[: limits.FINDINGS_MAX]]
    if scores is not None:
        poor = verdicts.poor_of(sessions, scores)
        verdicts.add_viewers(findings, poor)
        findings += list(verdicts.unexplained(findings, poor, thresholds))
    return sorted(findings, key=lambda finding: (finding.start, finding.family, finding.owner))
