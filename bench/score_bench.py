"""Measures scoring: an hour of 50 participants, beside decoding the JSON that it came as.

The sessions are bench.data's: six kinds of streams with six full columns of 60 intervals each, so
no two intervals have the same figures.
"""

import statistics
import time
from collections.abc import Callable
from typing import Final, TypeVar

from msgspec import json

from bench import data
from bench.rows import Bench, Row
from roomtone import score
from roomtone.model import STREAM_KINDS, MediaSession, MediaSessions

PARTICIPANTS: Final = 50
INTERVALS: Final = 60
START_MS: Final = 1_795_400_000_000
LIMIT_MS: Final = 100.0
"""Of the 150 ms that scoring and explaining such an hour may take together."""
DECODER: Final = json.Decoder(MediaSessions)


def meeting(seed: int, *, intervals: int = INTERVALS) -> list[MediaSession]:
    """The sessions of one meeting."""
    return [
        data.session(
            meeting=seed, participant=who, start_ms=START_MS, samples=intervals, ended=True
        )
        for who in range(PARTICIPANTS)
    ]


def scored(sessions: list[MediaSession]) -> score.MeetingScore:
    """All of it: far legs, sessions, meeting."""
    return score.meeting(score.sessions(sessions, fars=score.fars(sessions)))


Given = TypeVar("Given")


def cpu_ms(run: Callable[[Given], object], given: Given) -> float:
    """CPU time of one run."""
    started = time.process_time()
    run(given)
    return 1000 * (time.process_time() - started)


def measure_ms(*, rounds: int) -> dict[str, tuple[float, ...]]:
    """CPU of scoring an hour, of scoring its first interval, and of decoding it, `rounds` times."""
    found: dict[str, list[float]] = {"hour": [], "interval": [], "decode": []}
    scored(meeting(rounds))
    for seed in range(rounds):
        sessions, first = meeting(seed), meeting(seed, intervals=1)
        body = json.encode({"items": sessions})
        found["hour"].append(cpu_ms(scored, sessions))
        found["interval"].append(cpu_ms(scored, first))
        found["decode"].append(cpu_ms(DECODER.decode, body))
    return {name: tuple(runs) for name, runs in found.items()}


def rows(bench: Bench) -> list[Row]:
    """The row of the table."""
    runs = measure_ms(rounds=bench.rounds)
    medians = {name: statistics.median(one) for name, one in runs.items()}
    kinds = len(STREAM_KINDS)
    return [
        Row(
            what=f"scoring {PARTICIPANTS} sessions x {kinds} streams x {INTERVALS} samples",
            unit="ms CPU",
            measured=medians["hour"],
            limit=LIMIT_MS,
            less_is_better=True,
            peer="decoding their JSON",
            peer_measured=medians["decode"],
            runs=runs["hour"],
            note=f"of a first interval alone {medians['interval']:.1f} ms",
        )
    ]


def main() -> None:
    """Print the medians."""
    for name, runs in measure_ms(rounds=7).items():
        print(f"{name:8} {statistics.median(runs):7.1f} ms", " ".join(f"{run:.1f}" for run in runs))


if __name__ == "__main__":
    main()
