"""Sessions by dimensions, beside the same counted one by one."""

import time
from collections import defaultdict
from typing import Any

import pytest

from roomtone.errors import Invalid
from roomtone.fleet import groups
from roomtone.fleet.dimensions import Dimension
from roomtone.fleet.groups import METRICS, SHARES, Line, grouped
from roomtone.fleet.rates import Tally, tally_of, wilson
from roomtone.fleet.sessions import FIGURES, SUMS, FleetQuery, Sessions
from roomtone.fleet.sketch import Histogram, Sketch
from roomtone.store.memory import MemoryStore
from roomtone.store.verdicts import SessionRow
from tests.store.rows import keep, row, some

Meetings = list[tuple[str, list[SessionRow]]]
ASKED: tuple[Dimension, ...] = ("networkType", "region", "camera", "hour")
FIELDS = {
    "audioMos": "audio_mos",
    "videoMos": "video_mos",
    "packetLoss": "packet_loss",
    "joinTime": "join_s",
}


def sessions_of(meetings: Meetings) -> Sessions:
    store = MemoryStore()
    for meeting, rows in meetings:
        keep(store, *rows, meeting=meeting)
    query = FleetQuery(from_ms=0, to_ms=1 << 45, dimensions=ASKED, figures=(*SUMS, *FIGURES))
    return store.fleet("acme", query, deadline=time.monotonic() + 60)


def single(*rows: SessionRow) -> Sessions:
    """Each of a meeting of its own."""
    return sessions_of([(f"M{number}", [one]) for number, one in enumerate(rows)])


def by_hand(meetings: Meetings, by: tuple[Dimension, ...]) -> dict[tuple[str, ...], Meetings]:
    """The rows of each cell, by meeting."""
    cells: dict[tuple[str, ...], dict[str, list[SessionRow]]] = defaultdict(dict)
    for meeting, rows in meetings:
        for one in rows:
            values = tuple(one.values[name] for name in by)
            cells[values].setdefault(meeting, []).append(one)
    return {values: list(found.items()) for values, found in cells.items()}


def counted(meetings: Meetings) -> Tally:
    return tally_of(
        (
            sum(one.verdict == "poor" for one in rows),
            sum(one.verdict != "unclassified" for one in rows),
        )
        for _, rows in meetings
    )


def check(line: Line, meetings: Meetings) -> None:
    """A line is what its rows make, counted in the obvious way."""
    rows = [one for _, found in meetings for one in found]
    tally = counted(meetings)
    assert (line.sessions, line.meetings) == (len(rows), len(meetings))
    assert line.count == tally.counted
    assert line.design_effect == pytest.approx(tally.design_effect)
    assert line.interval == pytest.approx(wilson(tally.effective))
    assert line.sums["minutes"] == pytest.approx(sum(one.minutes for one in rows))
    assert line.sums["minutesPoor"] == pytest.approx(sum(one.minutes_poor for one in rows))
    for name in FIGURES:
        known = [getattr(one, FIELDS.get(name, name)) for one in rows]
        kind: Any = Histogram if name.endswith("Mos") else Sketch
        sketch = kind.of(value for value in known if value is not None)
        assert list(line.quantiles[name]) == sketch.quantiles(SHARES)


CASES: list[tuple[Dimension, ...]] = [
    (),
    ("networkType",),
    ("networkType", "region"),
    ("hour", "camera"),
]


@pytest.mark.parametrize("by", CASES, ids=lambda by: "x".join(by) or "none")
@pytest.mark.parametrize("dense", [True, False])
def test_lines_are_what_counting_one_by_one_gives(
    monkeypatch: pytest.MonkeyPatch, by: tuple[Dimension, ...], *, dense: bool
) -> None:
    if not dense:
        monkeypatch.setattr(groups, "DENSE_CELLS_MAX", 0)
    meetings = some(7, meetings=80)
    cells = by_hand(meetings, by)
    found = grouped(sessions_of(meetings), by)
    assert found.cells == len(cells)
    assert {line.values for line in found.lines} == set(cells)
    for line in found.lines:
        check(line, cells[line.values])
    check(found.whole, meetings)
    assert found.others is None


@pytest.mark.parametrize("metric", METRICS)
def test_what_is_in_no_line_is_told_as_one(metric: groups.Metric) -> None:
    meetings = some(8, meetings=60)
    found = grouped(sessions_of(meetings), ("hour",), metric=metric, lines_max=3)
    assert len(found.lines) == 3
    shown = {line.values for line in found.lines}
    left = [
        (meeting, [one for one in rows if (one.values["hour"],) not in shown])
        for meeting, rows in meetings
    ]
    assert found.others is not None
    check(found.others, [(meeting, rows) for meeting, rows in left if rows])
    check(found.whole, meetings)


def test_cells_over_the_bound_are_the_smallest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups, "LINES_MAX", 2)
    rows = [row(f"S{n}", camera="abbccc"[n]) for n in range(6)]
    found = grouped(single(*rows), ("camera",), metric="sessions")
    assert [(line.values, line.sessions) for line in found.lines] == [(("c",), 3), (("b",), 2)]
    assert found.others is not None
    assert (found.others.sessions, found.cells) == (1, 3)


def test_cells_with_too_few_sessions_are_among_the_others() -> None:
    rows = [row(f"S{n}", camera="abbccc"[n]) for n in range(6)]
    found = grouped(single(*rows), ("camera",), sessions_min=2)
    assert {line.values for line in found.lines} == {("b",), ("c",)}
    assert found.others is not None
    assert found.others.sessions == 1


@pytest.mark.parametrize(
    ("metric", "fields"),
    [
        ("sessions", {}),
        ("minutes", {"minutes": 99.0}),
        ("minutesPoor", {"minutes_poor": 99.0}),
        ("audioMos", {"audio_mos": 1.5}),
        ("videoMos", {"video_mos": 1.5}),
        ("packetLoss", {"packet_loss": 50.0}),
        ("latency", {"latency": 900.0}),
        ("jitter", {"jitter": 900.0}),
        ("joinTime", {"join_s": 90.0}),
    ],
)
def test_the_worst_by_the_metric_stands_first(
    metric: groups.Metric, fields: dict[str, float]
) -> None:
    rows = [row("A", camera="a"), row("C", camera="c")]
    rows += [row(f"B{n}", camera="b", **fields) for n in range(2)]
    found = grouped(single(*rows), ("camera",), metric=metric)
    assert found.lines[0].values == ("b",)


def test_one_poor_of_one_is_not_worse_than_many_of_many() -> None:
    rows = [row("A", camera="a", verdict="poor")]
    rows += [row(f"B{n}", camera="b", verdict="poor" if n % 3 else "good") for n in range(60)]
    rows += [row("C", camera="c", verdict="unclassified")]
    found = grouped(single(*rows), ("camera",))
    assert [line.values for line in found.lines] == [("b",), ("a",), ("c",)]


def test_no_sessions_make_no_lines() -> None:
    found = grouped(sessions_of([]), ("camera", "hour"))
    assert (found.cells, found.lines, found.others) == (0, [], None)
    assert (found.whole.sessions, found.whole.interval) == (0, (0, 1))
    assert found.whole.quantiles["latency"] == (None,) * len(SHARES)


def test_values_are_chosen_by_any_of_their_texts() -> None:
    found = single(row("A", camera="a", region="x"), row("B", camera="b"), row("C", region="x"))
    assert found.having({"camera": {"a", "b"}}).tolist() == [True, True, False]
    assert found.having({"camera": {""}}).tolist() == [False, False, True]
    assert found.having({"camera": {"a", ""}, "region": {"x"}}).tolist() == [True, False, True]
    assert found.having({"camera": {"nobody's"}}).tolist() == [False, False, False]
    assert len(found.where(found.having({"camera": {"a"}}))) == 1


@pytest.mark.parametrize("by", [("camera", "hour", "region"), ("camera", "camera")])
def test_what_is_no_pair_is_refused(by: tuple[Dimension, ...]) -> None:
    with pytest.raises(Invalid):
        grouped(single(row()), by)
