"""Measures ranking: of culprits that were put into invented fleets, how many are told.

Plain Adtributor beside it is as published (Bhagwan and others 2014), in its form for rates.
"""

import math
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import numpy as np

from bench.rank_cases import KINDS, Case, case
from bench.rows import Bench, Row
from roomtone.fleet.cube import BEFORE_POOR, BEFORE_TOTAL, NOW_POOR, NOW_TOTAL, Cube
from roomtone.fleet.ranking import rank

PAGE: Final = Path(__file__).parents[1] / "docs" / "fleet.md"
MARKS: Final = ("<!-- python -m bench rank -->\n", "<!-- end -->")
FLEETS: Final = 30
SEED_FIRST: Final = 1_000
"""Seeds below these were looked at while the rules were made; these were not."""
TOP: Final = 3
RECALL_MIN: Final = 0.85
FALSE_ALARMS_MAX: Final = 0.1
"""0.05 is asked for; of 180 fleets, twice that would be more than chance."""
LARGE_ROWS: Final = 1_000_000
LARGE_S_MAX: Final = 30.0
ELEMENT_POWER_MIN: Final = 0.1
POWER_MIN: Final = 0.67


@dataclass(kw_only=True)
class Tally:
    """What came of the fleets of one kind."""

    kind: str
    fleets: int = 0
    culprits: int = 0
    found: int = 0
    found_by_adtributor: int = 0
    lines: int = 0
    wrong: int = 0
    alarms: int = 0
    seconds: list[float] = field(default_factory=list)

    def add(self, one: Case) -> None:
        """Rank one fleet."""
        started = time.process_time()
        findings = rank(one.cube).findings
        self.seconds.append(time.process_time() - started)
        lines = [frozenset(finding.where) for finding in findings]
        self.fleets += 1
        self.culprits += len(one.culprits)
        self.found += sum(culprit in lines[:TOP] for culprit in one.culprits)
        self.lines += len(lines)
        self.wrong += sum(line not in one.culprits for line in lines)
        self.alarms += bool(lines) and not one.culprits
        if one.cube.has_before:
            told = adtributor(one.cube)
            self.found_by_adtributor += sum(culprit in told for culprit in one.culprits)

    @property
    def has_culprits(self) -> bool:
        return self.culprits > 0


def adtributor(cube: Cube) -> list[frozenset[tuple[str, str]]]:
    """All values of the three dimensions whose values explain most of the change of the rate."""
    candidates = []
    for number, (name, values) in enumerate(zip(cube.dimensions, cube.values, strict=True)):
        sums = np.array(
            [np.bincount(cube.codes[number], column, len(values)) for column in cube.measures]
        )
        total = sums.sum(axis=1)
        change = (sums[NOW_POOR] - sums[BEFORE_POOR]) * total[BEFORE_TOTAL]
        change -= (sums[NOW_TOTAL] - sums[BEFORE_TOTAL]) * total[BEFORE_POOR]
        power = change / total[BEFORE_TOTAL] / (total[BEFORE_TOTAL] + sums[NOW_TOTAL]
                                                - sums[BEFORE_TOTAL])  # fmt: skip
        power /= power.sum() or math.inf
        shares = (sums.T / total).T
        amazing = surprises(shares[BEFORE_POOR], shares[NOW_POOR])
        amazing += surprises(shares[BEFORE_TOTAL], shares[NOW_TOTAL])
        explained, surprising, chosen = 0.0, 0.0, []
        for index in np.argsort(-amazing):
            if power[index] <= ELEMENT_POWER_MIN:
                continue
            explained += float(power[index])
            surprising += float(amazing[index])
            chosen.append(frozenset({(name, values[index])}))
            if explained > POWER_MIN:
                candidates.append((surprising, chosen))
                break
    best = sorted(candidates, key=lambda one: -one[0])[:TOP]
    return [value for _, chosen in best for value in chosen]


def surprises(before: np.ndarray, now: np.ndarray) -> np.ndarray:
    """Each value's part of the Jensen-Shannon divergence."""
    middle = (before + now) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = [np.where(share > 0, share * np.log(share / middle), 0) for share in (before, now)]
    return np.asarray((parts[0] + parts[1]) / 2)


def measured(fleets: int = FLEETS, first: int = SEED_FIRST) -> list[Tally]:
    """Every kind of fleet, with new seeds."""
    tallies = []
    for kind in KINDS:
        tally = Tally(kind=kind)
        for seed in range(first, first + fleets):
            tally.add(case(kind, seed))
        tallies.append(tally)
    return tallies


def summed(kind: str, tallies: Sequence[Tally]) -> Tally:
    """All of them as one."""
    whole = Tally(kind=kind)
    for tally in tallies:
        for name in ("fleets", "culprits", "found", "found_by_adtributor", "lines", "wrong"):
            setattr(whole, name, getattr(whole, name) + getattr(tally, name))
        whole.alarms += tally.alarms
        whole.seconds += tally.seconds
    return whole


HEAD: Final = (
    "fleets", "of them", "culprits", "recall@3", "Adtributor's", "lines", "wrong lines",
    "false alarms",
)  # fmt: skip


def page_table(tallies: Sequence[Tally]) -> str:
    """The table as Markdown."""
    lines = [f"| {' | '.join(HEAD)} |", f"|{'---|' * len(HEAD)}"]
    culprits = summed("**all with culprits**", [one for one in tallies if one.has_culprits])
    none = summed("**all without**", [one for one in tallies if not one.has_culprits])
    for one in (*tallies, culprits, none):
        two_weeks = one.has_culprits and "alone" not in one.kind and one is not culprits
        cells = (
            one.kind,
            one.fleets,
            one.culprits,
            f"{one.found / one.culprits:.2f}" if one.has_culprits else "",
            f"{one.found_by_adtributor / one.culprits:.2f}" if two_weeks else "",
            one.lines,
            one.wrong,
            "" if one.has_culprits else f"{one.alarms} ({100 * one.alarms / one.fleets:.0f} %)",
        )
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines) + "\n"


def write_page(table: str) -> None:
    """Put the table where the page has its marks."""
    text = PAGE.read_text("utf-8")
    pattern = re.escape(MARKS[0]) + ".*?" + re.escape(MARKS[1])
    made, count = re.subn(pattern, lambda _: MARKS[0] + table + MARKS[1], text, flags=re.DOTALL)
    assert count == 1, "the page has its marks once"
    PAGE.write_text(made, "utf-8")


def large() -> Cube:
    """Two weeks of half a million sessions each: a fleet, many times over."""
    one = case("a value and a pair", SEED_FIRST).cube
    times = math.ceil(LARGE_ROWS / one.measures.shape[1])
    assert one.meetings is not None
    meetings = one.meetings.max() + 1
    return replace(
        one,
        codes=tuple(np.tile(column, times) for column in one.codes),
        measures=np.tile(one.measures, times),
        meetings=np.concatenate([one.meetings + number * meetings for number in range(times)]),
    )


def rows(bench: Bench) -> list[Row]:
    """The rows of the table: how many culprits are told, false alarms, how long a million takes."""
    tallies = measured()
    write_page(page_table(tallies))
    culprits = summed("", [one for one in tallies if one.has_culprits])
    none = summed("", [one for one in tallies if not one.has_culprits])
    cube, runs = large(), []
    for _ in range(bench.rounds):
        started = time.process_time()
        rank(cube)
        runs.append(time.process_time() - started)
    return [
        Row(
            what=f"culprits of {culprits.fleets} invented fleets in the first {TOP} lines",
            unit="of 1",
            measured=culprits.found / culprits.culprits,
            limit=RECALL_MIN,
            note=f"{culprits.wrong} of {culprits.lines} lines are no culprit",
        ),
        Row(
            what=f"{none.fleets} fleets without a culprit of which one is told",
            unit="of 1",
            measured=none.alarms / none.fleets,
            limit=FALSE_ALARMS_MAX,
            less_is_better=True,
        ),
        Row(
            what=f"ranking {cube.measures.shape[1]:,} sessions, 14 dimensions and their pairs",
            unit="s",
            measured=sorted(runs)[len(runs) // 2],
            limit=LARGE_S_MAX,
            less_is_better=True,
            runs=tuple(runs),
        ),
    ]
