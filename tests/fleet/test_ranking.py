"""What stands out: known culprits, and nothing where there is nothing."""

import random
from collections.abc import Iterator

import pytest
from bench.rank_cases import case
from hypothesis import given, settings
from hypothesis import strategies as st

from roomtone.errors import Invalid, TooLarge
from roomtone.fleet import cube as cubes
from roomtone.fleet.cube import CubeBuilder
from roomtone.fleet.ranking import Finding, Rules, rank
from roomtone.fleet.rates import Count

Rates = dict[tuple[str, ...], tuple[int, int]]


def fleet(
    dimensions: str, now: Rates, before: Rates | None = None, *, meeting: str = ""
) -> CubeBuilder:
    """Counts by values, as rows."""
    builder = CubeBuilder(dimensions.split())
    for early, rates in ((False, now), (True, before or {})):
        for values, (poor, total) in rates.items():
            builder.add(values, poor=poor, total=total, before=early, meeting=meeting)
    return builder


def lines(builder: CubeBuilder, rules: Rules = Rules()) -> list[dict[str, str]]:  # noqa: B008
    return [dict(finding.where) for finding in rank(builder.cube(), rules).findings]


FLAT: Rates = {(a, b): (10, 200) for a in "xyz" for b in "12345"}


@pytest.mark.parametrize(
    ("worse", "found"),
    [
        ({}, []),
        ({("x", "1"): (60, 200)}, [{"a": "x", "b": "1"}]),
        ({("x", b): (40, 200) for b in "12345"}, [{"a": "x"}]),
        ({(a, "2"): (40, 200) for a in "xyz"}, [{"b": "2"}]),
        (
            {("x", b): (60, 200) for b in "12345"} | {("z", "3"): (60, 200)},
            [{"a": "x"}, {"a": "z", "b": "3"}],
        ),
    ],
    ids=["nothing", "a pair", "a value", "a value of few", "a value and a pair"],
)
@pytest.mark.parametrize("two", [True, False], ids=["two periods", "one"])
def test_what_broke_is_told(worse: Rates, found: list[dict[str, str]], *, two: bool) -> None:
    assert lines(fleet("a b", FLAT | worse, FLAT if two else None)) == found


def test_what_was_as_bad_before_is_not_told() -> None:
    bad = FLAT | {("x", b): (60, 200) for b in "12345"}
    assert lines(fleet("a b", bad, bad)) == []
    assert lines(fleet("a b", bad)) == [{"a": "x"}]


def test_what_became_worse_everywhere_stands_out_nowhere() -> None:
    doubled = {values: (2 * poor, total) for values, (poor, total) in FLAT.items()}
    assert lines(fleet("a b", doubled, FLAT)) == []


def test_a_change_of_the_mix_is_no_cause() -> None:
    before: Rates = {("wifi",): (150, 1_000), ("ethernet",): (50, 1_000)}
    now: Rates = {("wifi",): (450, 3_000), ("ethernet",): (50, 1_000)}
    found = rank(fleet("network", now, before).cube())
    assert found.change is not None
    assert found.change.low > 0
    assert found.findings == []


def test_a_harmless_version_at_a_bad_site_is_not_told() -> None:
    before: Rates = {("Berlin", "old"): (50, 1_000), ("Oslo", "old"): (150, 3_000)}
    now: Rates = {
        ("Berlin", "new"): (180, 900),
        ("Berlin", "old"): (20, 100),
        ("Oslo", "new"): (10, 200),
        ("Oslo", "old"): (140, 2_800),
    }
    assert lines(fleet("site version", now, before)) == [{"site": "Berlin"}]


def test_a_new_value_is_held_against_all_others_now() -> None:
    before: Rates = {("1",): (100, 2_000)}
    found = rank(fleet("version", {("1",): (100, 2_000), ("2",): (60, 400)}, before).cube())
    (line,) = found.findings
    assert (line.where, line.new, line.expected) == ((("version", "2"),), True, 0.05)
    assert line.excess == pytest.approx(40)


@pytest.mark.parametrize(
    ("poor", "total", "told"),
    [(5, 30, True), (4, 30, False), (5, 29, False)],
)
def test_a_line_needs_thirty_sessions_and_five_poor_ones(
    poor: int, total: int, *, told: bool
) -> None:
    now: Rates = {("x",): (poor, total), ("y",): (10, 10_000)}
    assert bool(lines(fleet("a", now))) == told


def test_a_line_needs_to_be_over_the_margin() -> None:
    now: Rates = {("x",): (3_000, 100_000), ("y",): (20_000, 1_000_000)}
    assert lines(fleet("a", now)) == []
    assert lines(fleet("a", now), Rules(margin=0.005)) == [{"a": "x"}]


def with_meetings(sizes: list[tuple[str, int, int]]) -> CubeBuilder:
    """(value, poor, total) of each meeting."""
    builder = CubeBuilder(["a"])
    for number, (value, poor, total) in enumerate(sizes):
        builder.add([value], poor=poor, total=total, meeting=f"m{number}")
    return builder


def test_one_bad_meeting_is_no_pattern() -> None:
    well = [("y", 1, 20)] * 200
    assert lines(with_meetings([*well, ("x", 40, 40)])) == []
    assert lines(with_meetings([*well, ("x", 40, 40), *[("x", 0, 10)] * 9])) == []
    assert lines(with_meetings([*well, *[("x", 2, 10)] * 20])) == [{"a": "x"}]


def test_cells_of_the_same_sessions_are_told_as_alike() -> None:
    now: Rates = {
        ("ios", "mobile"): (60, 300),
        ("mac", "desktop"): (50, 1_000),
        ("win", "desktop"): (50, 1_000),
    }
    (line,) = rank(fleet("os client", now).cube()).findings
    assert len(line.where) == 1
    assert {line.where[0], *(where[0] for where in line.alike)} == {
        ("os", "ios"),
        ("client", "mobile"),
    }


def test_what_nobody_told_is_no_cause() -> None:
    now: Rates = {("", "1"): (200, 500), ("y", "1"): (20, 500), ("y", "2"): (40, 1_000)}
    assert {"a": ""} not in lines(fleet("a b", now))


def test_the_lines_share_what_there_is_to_explain() -> None:
    now = FLAT | {("x", b): (60, 200) for b in "12345"} | {("z", "3"): (60, 200)}
    found = rank(fleet("a b", now, FLAT).cube())
    powers = [line.explanatory_power or 0 for line in found.findings]
    assert powers[0] > 3 * powers[1] > 0
    assert 0.8 < sum(powers) <= 1
    assert all(line.surprise > 0 for line in found.findings)


def test_three_values_are_told_when_asked_for() -> None:
    now: Rates = {(a, b, c): (10, 200) for a in "xyz" for b in "123" for c in "KL"}
    now[("x", "1", "K")] = (120, 200)
    found = lines(fleet("a b c", now), Rules(depth=3))
    assert found == [{"a": "x", "b": "1", "c": "K"}]


def rows() -> st.SearchStrategy[list[tuple[str, str, int, int, bool]]]:
    row = st.tuples(
        st.sampled_from("xyz"),
        st.sampled_from("12"),
        st.integers(0, 80),
        st.integers(0, 80),
        st.booleans(),
    )
    return st.lists(row, min_size=1, max_size=12)


@settings(max_examples=60)
@given(rows())
def test_every_line_keeps_the_rules_and_no_session_is_told_twice(
    made: list[tuple[str, str, int, int, bool]],
) -> None:
    builder = CubeBuilder(["a", "b"])
    for a, b, poor, good, before in made:
        builder.add([a, b], poor=poor, total=poor + good, before=before)
    found = rank(builder.cube())
    for line in found.findings:
        assert line.now.total >= 30
        assert line.now.poor >= 5
        assert line.difference.low > 0.01
        assert line.p <= line.p_adjusted <= 0.05
        assert line.now.total <= line.whole.total
    assert sum(line.now.total for line in found.findings) <= found.now.total
    again = rank(builder.cube())
    assert again == found


@settings(max_examples=30)
@given(rows(), st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_matter(
    made: list[tuple[str, str, int, int, bool]], dice: random.Random
) -> None:
    def told(some: list[tuple[str, str, int, int, bool]]) -> Iterator[tuple[object, Count]]:
        builder = CubeBuilder(["a", "b"])
        for a, b, poor, good, before in some:
            builder.add([a, b], poor=poor, total=poor + good, before=before)
        return ((line.where, line.now) for line in rank(builder.cube()).findings)

    shuffled = dice.sample(made, len(made))
    assert list(told(shuffled)) == list(told(made))


@pytest.mark.parametrize(
    "kind", ["one value", "one pair", "two values", "a value; a harmless version where it is"]
)
def test_most_culprits_of_invented_fleets_are_in_the_first_three_lines(kind: str) -> None:
    found = culprits = 0
    for seed in range(2_000, 2_003):
        one = case(kind, seed)
        first: list[Finding] = rank(one.cube).findings[:3]
        culprits += len(one.culprits)
        found += sum(frozenset(line.where) in one.culprits for line in first)
    assert found / culprits >= 0.6  # of very few fleets; the figure is the benchmark's


def test_a_table_of_many_cells_counts_as_one_of_few(monkeypatch: pytest.MonkeyPatch) -> None:
    one = case("one pair", 7).cube
    dense = rank(one)
    monkeypatch.setattr(cubes, "DENSE_CELLS_MAX", 4)
    assert rank(one) == dense


@pytest.mark.parametrize(
    "rules",
    [
        Rules(depth=0),
        Rules(depth=4),
        Rules(findings_max=0),
        Rules(findings_max=101),
        Rules(sessions_min=0),
        Rules(poor_min=0),
        Rules(margin=-0.1),
        Rules(margin=1.0),
        Rules(false_discovery_rate=0.0),
    ],
)
def test_rules_that_make_no_sense_are_refused(rules: Rules) -> None:
    with pytest.raises(Invalid):
        rank(fleet("a b", FLAT).cube(), rules)


def test_there_is_a_limit_on_rows_values_and_dimensions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cubes, "ROWS_MAX", 3)
    monkeypatch.setattr(cubes, "VALUES_MAX", 2)
    builder = CubeBuilder(["a"])
    builder.add(["x"], poor=1)
    builder.add(["y"], poor=1)
    with pytest.raises(TooLarge, match="a has more than 2 different values"):
        builder.add(["z"], poor=1)
    builder.add(["x"], poor=1)
    with pytest.raises(TooLarge, match="more than 3 rows"):
        builder.add(["x"], poor=1)
    for names in ([], ["a", "a"], [str(number) for number in range(33)]):
        with pytest.raises(Invalid):
            CubeBuilder(names)
