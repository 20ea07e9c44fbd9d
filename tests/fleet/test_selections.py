"""Two parts of a fleet beside each other, and weeks before as a baseline."""

import time
from collections import defaultdict

import numpy as np
import pytest

from roomtone.errors import Invalid
from roomtone.fleet import selections
from roomtone.fleet.compare import compare
from roomtone.fleet.cube import BEFORE_POOR, BEFORE_TOTAL, NOW_POOR, NOW_TOTAL, Cube
from roomtone.fleet.dimensions import Dimension
from roomtone.fleet.ranking import rank
from roomtone.fleet.rates import Tally, benjamini_hochberg
from roomtone.fleet.selections import SMOOTHING, compared, compared_by, cube_of, sampled, strata
from roomtone.fleet.sessions import FleetQuery, Sessions
from roomtone.store.memory import MemoryStore
from roomtone.store.verdicts import SessionRow
from tests.fleet.test_groups import Meetings, counted, sessions_of, single
from tests.store.rows import keep, row, some
from tests.store.support import MINUTE, T0

WEEK = 7 * 24 * 60


def split(meetings: Meetings, until: int) -> tuple[Meetings, Meetings]:
    """The sessions that joined before a time, and the others."""
    early = [(name, [one for one in rows if one.join_ms < until]) for name, rows in meetings]
    late = [(name, [one for one in rows if one.join_ms >= until]) for name, rows in meetings]
    return early, late


def tallies_by_hand(meetings: Meetings, within: tuple[Dimension, ...]) -> dict[object, Tally]:
    found: dict[object, Meetings] = defaultdict(list)
    for name, rows in meetings:
        by_key: dict[object, list[SessionRow]] = defaultdict(list)
        for one in rows:
            by_key[tuple(one.values[part] for part in within)].append(one)
        for key, ours in by_key.items():
            found[key].append((name, ours))
    return {key: counted(ours) for key, ours in found.items()}


@pytest.mark.parametrize("within", [(), ("region",), ("region", "networkType", "camera")])
def test_strata_are_what_counting_one_by_one_gives(within: tuple[Dimension, ...]) -> None:
    meetings, middle = some(3, meetings=80), T0 + 40 * 60 * MINUTE
    sessions = sessions_of(meetings)
    early = sessions.between(0, middle)
    found = {key: (one, two) for key, one, two in strata(sessions, early, ~early, within)}
    sides = [tallies_by_hand(part, within) for part in split(meetings, middle)]
    assert found.keys() == sides[0].keys() | sides[1].keys()
    for key, pair in found.items():
        assert pair == tuple(side.get(key, Tally()) for side in sides)
    whole = compared(sessions, early, ~early, within=within, names=("a", "b"))
    assert whole == compare(strata(sessions, early, ~early, within), names=("a", "b"), by=within)


def test_values_are_compared_one_by_one_with_adjusted_p() -> None:
    rows = []
    for n in range(400):
        late, camera = n % 2, "ab"[n % 4 // 2]
        worse = late and camera == "b"
        poor = n % 3 == 0 if worse else n % 20 < 2
        rows.append(row(f"S{n}", join=late, camera=camera, verdict="poor" if poor else "good"))
    rows.append(row("alone", join=1, camera="c"))
    sessions = single(*rows)
    early = sessions.between(0, T0 + 1)
    lines = compared_by(sessions, early, ~early, "camera", within=(), names=("before", "now"))
    assert [line.value for line in lines] == ["b", "a", "c"]
    assert [line.comparison.verdict for line in lines] == [
        "worse",
        "no difference shown",
        "not enough data",
    ]
    ps = [line.comparison.pooled.p for line in lines[:2]]
    assert [line.p_adjusted for line in lines] == [*benjamini_hochberg(ps), None]


def test_only_the_largest_values_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selections, "COMPARED_MAX", 1)
    sessions = single(row("A", camera="a"), row("B", camera="b"), row("C", camera="b"))
    every = np.ones(3, dtype=np.bool_)
    lines = compared_by(sessions, every, every, "camera", within=(), names=("x", "y"))
    assert [line.value for line in lines] == ["b"]


def test_too_many_strata_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selections, "STRATA_MAX", 1)
    sessions = single(row("A", camera="a"), row("B", camera="b"))
    every = np.ones(2, dtype=np.bool_)
    assert len(strata(sessions, every, every, ())) == 1
    with pytest.raises(Invalid):
        strata(sessions, every, every, ("camera",))
    with pytest.raises(Invalid):
        strata(sessions, every, every, ("camera", "hour", "region", "networkType"))


# -- what stands out


def weeks(*counts: tuple[int, int], bad: str = "") -> list[SessionRow]:
    """(poor, of) in every week, the last one the latest, in which the poor ones have a camera."""
    rows = []
    for week, (poor, total) in enumerate(counts):
        for n in range(total):
            name = f"S{week}-{n}"
            camera = bad if bad and n < poor and week == len(counts) - 1 else "other"
            verdict = "poor" if n < poor else "good"
            rows.append(row(name, join=week * WEEK + n, camera=camera, verdict=verdict))
    return rows


def cube_from(rows: list[SessionRow], *, last: int) -> Cube:
    return cube_of(
        single(*rows), ("camera",), from_ms=T0 + last * WEEK * MINUTE, span_ms=WEEK * MINUTE
    )


def test_the_weeks_before_weigh_less_the_older_they_are() -> None:
    cube = cube_from(weeks((0, 10), (10, 10), (4, 10)), last=2)
    sums = cube.measures.sum(axis=1)
    assert (sums[NOW_POOR], sums[NOW_TOTAL]) == (4, 10)
    newest, older = 1.0, 1 - SMOOTHING
    # Kish: as many sessions as (sum of weights)^2 / sum of squares
    size = 10 * (newest + older) ** 2 / (newest**2 + older**2)
    assert sums[BEFORE_TOTAL] == pytest.approx(size)
    assert sums[BEFORE_POOR] / sums[BEFORE_TOTAL] == pytest.approx(newest / (newest + older))
    assert cube.has_before


def test_one_week_before_counts_as_it_is() -> None:
    sums = cube_from(weeks((3, 10), (4, 10)), last=1).measures.sum(axis=1)
    assert (sums[BEFORE_POOR], sums[BEFORE_TOTAL]) == (3, 10)


def test_without_a_week_before_there_is_none() -> None:
    cube = cube_from(weeks((3, 10)), last=0)
    assert not cube.has_before
    assert cube.measures.sum(axis=1)[BEFORE_TOTAL] == 0


def test_what_nobody_could_classify_is_not_there() -> None:
    rows = [row("A"), row("B", verdict="unclassified")]
    assert cube_from(rows, last=0).measures.shape == (4, 1)


def test_a_culprit_of_this_week_stands_out() -> None:
    usual = [(6, 120)] * 4
    rows = weeks(*usual, (60, 180), bad="broken")
    (line,) = rank(cube_from(rows, last=4)).findings
    assert line.where == (("camera", "broken"),)


def test_of_too_many_sessions_every_so_manieth_meeting_is_looked_at() -> None:
    store = MemoryStore()
    for n in range(20):
        keep(store, row(f"A{n}"), row(f"B{n}"), meeting=f"M{n}")
    query = FleetQuery(from_ms=0, to_ms=1 << 45)
    whole: Sessions = store.fleet("acme", query, deadline=time.monotonic() + 60)
    assert sampled(whole, 40) == (whole, 1)
    part, every = sampled(whole, 15)
    assert (every, len(part), len(set(part.meeting.tolist()))) == (3, 14, 7)
