"""Rates: check values, what must hold of every interval, and that meetings count as clusters."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomtone.errors import Invalid
from roomtone.fleet.rates import (
    Count,
    Stratum,
    Tally,
    benjamini_hochberg,
    mantel_haenszel,
    newcombe,
    risk_ratio,
    tally_of,
    wilson,
)

counts = st.integers(1, 5_000).flatmap(
    lambda total: st.builds(Count, st.integers(0, total), st.just(total))
)


@pytest.mark.parametrize(
    ("poor", "total", "low", "high"),
    [
        (5, 100, 0.0215, 0.1118),
        (0, 10, 0.0, 0.2775),
        (10, 10, 0.7225, 1.0),
        (0, 0, 0.0, 1.0),
    ],
)
def test_wilsons_interval_has_the_known_values(
    poor: int, total: int, low: float, high: float
) -> None:
    found = wilson(Count(poor, total))
    assert found == pytest.approx((low, high), abs=5e-5)


def test_newcombes_interval_has_the_known_values() -> None:
    found = newcombe(Count(56, 70), Count(48, 80))
    assert found == pytest.approx((0.2, 0.0524, 0.3339), abs=5e-5)


def test_a_risk_ratio_has_the_interval_that_scipy_gives() -> None:
    found = risk_ratio(Count(56, 70), Count(48, 80))
    assert found == pytest.approx((4 / 3, 1.076626422763193, 1.651248511266387), rel=1e-12)


ADMISSIONS = [
    Stratum(Count(512, 825), Count(89, 108)),
    Stratum(Count(353, 560), Count(17, 25)),
    Stratum(Count(120, 325), Count(202, 593)),
    Stratum(Count(138, 417), Count(131, 375)),
    Stratum(Count(53, 191), Count(94, 393)),
    Stratum(Count(22, 373), Count(24, 341)),
]
"""Berkeley's admissions of 1973, men and women by department (Bickel and others 1975)."""


def test_mantel_haenszel_has_the_values_that_statsmodels_gives() -> None:
    found = mantel_haenszel(ADMISSIONS)
    assert found.statistic == pytest.approx(1.5246066604434356, rel=1e-12)
    assert found.p == pytest.approx(0.21692369705551817, rel=1e-12)
    assert found.ratio.value == pytest.approx(0.944905022595929, rel=1e-12)
    assert found.strata == 6


def test_what_the_mix_makes_vanishes_within_strata() -> None:
    men, women = (
        Count(sum(one[side].poor for one in ADMISSIONS), sum(one[side].total for one in ADMISSIONS))
        for side in (0, 1)
    )
    crude = newcombe(men, women)
    assert crude.low > 0.1
    pooled = mantel_haenszel(ADMISSIONS).difference
    assert pooled.low < 0 < pooled.high


def test_one_stratum_alone_is_the_plain_difference_and_ratio() -> None:
    group, reference = Count(56, 70), Count(48, 80)
    found = mantel_haenszel([Stratum(group, reference)])
    assert found.difference.value == pytest.approx(0.2)
    assert found.ratio == pytest.approx(risk_ratio(group, reference), rel=1e-12)


def test_a_stratum_with_one_group_only_tells_nothing() -> None:
    alone = Stratum(Count(5, 5), Count(0, 0))
    assert mantel_haenszel([*ADMISSIONS, alone]) == mantel_haenszel(ADMISSIONS)
    nothing = mantel_haenszel([alone])
    assert (nothing.strata, nothing.p) == (0, 1.0)
    assert nothing.difference.value is None
    assert nothing.ratio.value is None


@pytest.mark.parametrize("sizes", [(200, 150, 8), (4, 3, 300)], ids=["few large", "many small"])
def test_the_pooled_interval_covers_the_truth_as_often_as_it_says(
    sizes: tuple[int, int, int],
) -> None:
    dice = random.Random(1)
    n, m, strata = sizes
    covered = 0
    for _ in range(400):
        made = []
        for stratum in range(strata):
            base = 0.05 + 0.3 * stratum / strata
            x = sum(dice.random() < base + 0.05 for _ in range(n))
            y = sum(dice.random() < base for _ in range(m))
            made.append(Stratum(Count(x, n), Count(y, m)))
        found = mantel_haenszel(made).difference
        covered += found.low <= 0.05 <= found.high
    assert 0.92 <= covered / 400 <= 0.98


@pytest.mark.parametrize(
    ("ps", "adjusted"),
    [
        ([], []),
        ([0.01, 0.04, 0.03, 0.005, 0.5], [0.025, 0.05, 0.05, 0.025, 0.5]),
        ([0.9, 0.9], [0.9, 0.9]),
        ([0.0, 1.0], [0.0, 1.0]),
    ],
)
def test_benjamini_hochberg_adjusts_as_scipy_does(ps: list[float], adjusted: list[float]) -> None:
    assert benjamini_hochberg(ps) == pytest.approx(adjusted)


@given(st.lists(st.floats(0, 1), max_size=30))
def test_an_adjusted_p_is_no_smaller_and_keeps_the_order(ps: list[float]) -> None:
    adjusted = benjamini_hochberg(ps)
    assert all(p <= q <= 1 for p, q in zip(ps, adjusted, strict=True))
    for one in range(len(ps)):
        for other in range(len(ps)):
            if ps[one] <= ps[other]:
                assert adjusted[one] <= adjusted[other]


@given(counts)
def test_a_rate_is_within_its_interval_which_mirrors(count: Count) -> None:
    low, high = wilson(count)
    assert count.rate is not None
    assert 0 <= low <= count.rate <= high <= 1
    other = wilson(Count(count.total - count.poor, count.total))
    assert (1 - other.high, 1 - other.low) == pytest.approx((low, high))


@given(counts, st.integers(2, 50))
def test_more_sessions_make_an_interval_narrower(count: Count, times: int) -> None:
    low, high = wilson(count)
    more = wilson(Count(count.poor * times, count.total * times))
    assert more.high - more.low < high - low


@given(counts, counts)
def test_a_difference_turns_its_sign_with_its_groups(one: Count, other: Count) -> None:
    there, back = newcombe(one, other), newcombe(other, one)
    assert there.value is not None
    assert there.low <= there.value <= there.high
    assert back == pytest.approx((-there.value, -there.high, -there.low))


@given(counts, counts)
def test_a_ratio_turns_over_with_its_groups(one: Count, other: Count) -> None:
    there, back = risk_ratio(one, other), risk_ratio(other, one)
    if there.value and back.value:
        assert there.low <= there.value <= there.high
        assert back == pytest.approx((1 / there.value, 1 / there.high, 1 / there.low))
    else:
        assert there.low == 0 or there.high == math.inf


@pytest.mark.parametrize(
    "count", [Count(-1, 5), Count(6, 5), Count(math.nan, 5), Count(1, math.nan), Count(0, math.inf)]
)
def test_what_is_no_rate_is_refused(count: Count) -> None:
    for use in (wilson, lambda one: newcombe(one, Count(1, 2)), lambda one: tally_of([one])):
        with pytest.raises(Invalid):
            use(count)


@pytest.mark.parametrize("confidence", [0.0, 1.0, 95.0, math.nan])
def test_a_confidence_is_a_share(confidence: float) -> None:
    with pytest.raises(Invalid):
        wilson(Count(1, 2), confidence=confidence)


def test_a_meeting_that_is_bad_as_a_whole_counts_as_few() -> None:
    together = tally_of([(20, 20)] + [(0, 20)] * 19)
    apart = tally_of([(1, 20)] * 20)
    assert together.counted == apart.counted == Count(20, 400)
    assert apart.design_effect == 1
    assert together.design_effect == pytest.approx(20, rel=0.06)
    assert wilson(together.effective).low < wilson(apart.effective).low


def test_one_meeting_counts_as_one_session() -> None:
    assert tally_of([(7, 50)]).effective.total == pytest.approx(1)


def test_a_tally_of_single_sessions_is_the_plain_count() -> None:
    tally = tally_of([(float(number < 5), 1.0) for number in range(100)])
    assert tally.effective == pytest.approx(Count(5, 100), rel=0.02)


def test_no_meeting_is_no_rate() -> None:
    assert tally_of([(0, 0)]) == Tally()
    assert Tally().effective.rate is None


@given(
    st.lists(
        st.integers(0, 20).flatmap(lambda total: st.tuples(st.integers(0, total), st.just(total))),
        max_size=30,
    ),
    st.integers(0, 30),
)
def test_tallies_merge_to_the_tally_of_all(meetings: list[tuple[int, int]], cut: int) -> None:
    merged = tally_of(meetings[:cut]).merged(tally_of(meetings[cut:]))
    assert merged == tally_of(meetings)
    assert merged.design_effect >= 1


def test_an_interval_with_the_design_effect_covers_what_the_plain_one_misses() -> None:
    dice = random.Random(2)
    plain = robust = 0
    for _ in range(400):
        meetings = []
        for _ in range(60):
            chance = 0.8 if dice.random() < 0.1 else 0.02
            meetings.append((float(sum(dice.random() < chance for _ in range(12))), 12.0))
        tally, truth = tally_of(meetings), 0.1 * 0.8 + 0.9 * 0.02
        for effective in (False, True):
            low, high = wilson(tally.effective if effective else tally.counted)
            if effective:
                robust += low <= truth <= high
            else:
                plain += low <= truth <= high
    assert plain / 400 < 0.7
    assert robust / 400 > 0.9
