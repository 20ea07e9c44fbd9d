"""How weak a trouble may be: a meeting between what it is with it and what it is without."""

from dataclasses import replace
from typing import Final

from roomtone.causes import explain
from roomtone.model import COLUMNS, STREAM_KINDS, MediaSession, column_of, streams_of
from tests.scenarios.judge import Tally, compare
from tests.scenarios.stage import Scenario, play

STRENGTHS: Final = (1.0, 0.75, 0.5, 0.35, 0.25, 0.15)

LOADS: Final = ("processAverageCPU", "processMaxCPU", "systemAverageCPU", "systemMaxCPU")


def weakened(scenario: Scenario, seed: int, strength: float) -> list[MediaSession]:
    """A scenario's sessions with so much of the difference that its script makes.

    Every figure, loss as well as pictures and CPU, moves from what the same meeting has without
    the script to what it has with it. Both have noise of their own, so that between them there is
    a little less.
    """
    sessions = play(scenario, seed)
    calm = play(replace(scenario, script=()), seed)
    for session, fine in zip(sessions, calm, strict=True):
        for kind in STREAM_KINDS:
            for entry, other in zip(
                streams_of(session, kind), streams_of(fine, kind), strict=False
            ):
                for name in COLUMNS:
                    blend(column_of(entry, name), column_of(other, name), strength)
        for load, usual in zip(session.resources, fine.resources, strict=False):
            for part in LOADS:
                blend(getattr(load, part), getattr(usual, part), strength)
    return sessions


def blend(values: list[float | None], calm: list[float | None], strength: float) -> None:
    """Move values towards those of a calm meeting; where one is unknown, it stays so."""
    for at, (value, fine) in enumerate(zip(values, calm, strict=False)):
        if value is not None and fine is not None:
            whole = isinstance(value, int)
            found = fine + strength * (value - fine)
            values[at] = round(found) if whole else round(found, 2)


def judge_weak(scenario: Scenario, seeds: range, strength: float) -> Tally:
    """What is found of a weakened scenario."""
    tally = Tally()
    for seed in seeds:
        sessions = weakened(scenario, seed, strength)
        compare(tally, scenario, sessions, explain(sessions), seed)
    return tally
