"""Scenarios played minute by minute, as a watcher of the meeting would see them. Simulated."""

from collections.abc import Iterator

from roomtone import causes, score
from roomtone.live.state import State, state
from roomtone.simulate import piece
from tests.scenarios.stage import START_MS, Scenario, play

SEED = 1
MINUTE_MS = 60_000
FIRST = 2
"""The first minute of which there is a look."""


def looks(scenario: Scenario, *, every: int = 1, seed: int = SEED) -> Iterator[State]:
    """The state after each minute of a scenario, and some more at its end."""
    sessions = play(scenario, seed)
    before = None
    for minute in range(FIRST, scenario.minutes + 6, every):
        now_ms = START_MS + minute * MINUTE_MS
        cut = [one for one in (piece(s, from_ms=0, to_ms=now_ms) for s in sessions) if one]
        scores = score.sessions(cut, fars=score.fars(cut))
        findings = causes.explain(cut, scores=scores)
        before = state("inProgress", cut, scores, score.meeting(scores), findings, before=before)
        yield before
