"""Two periods or versions: like against like, and a verdict in words."""

import random

import pytest

from roomtone.fleet.compare import Comparison, Limits, compare
from roomtone.fleet.rates import Tally, tally_of


def singles(poor: int, total: int) -> Tally:
    """So many sessions, each of a meeting of its own."""
    return Tally(total, poor, total, poor, poor, total)


def versions(*strata: tuple[int, int, int, int]) -> Comparison:
    """(poor, total) of the first and of the second version in each stratum."""
    made = [
        ((str(number),), singles(x, n), singles(y, m)) for number, (x, n, y, m) in enumerate(strata)
    ]
    return compare(made, names=("45.5", "45.6"), by=("network",))


@pytest.mark.parametrize(
    ("strata", "verdict"),
    [
        ([(50, 1_000, 150, 1_000)], "worse"),
        ([(150, 1_000, 50, 1_000)], "better"),
        ([(50, 1_000, 55, 1_000)], "no difference shown"),
        ([(5_000, 100_000, 5_500, 100_000)], "no difference shown"),  # half a point is no matter
        ([(1, 29, 15, 30)], "not enough data"),
        ([(1, 30, 15, 30)], "worse"),
        ([(0, 1_000, 4, 30)], "not enough data"),
        ([(50, 1_000, 0, 0), (0, 0, 150, 1_000)], "not enough data"),  # nothing in common
        ([], "not enough data"),
    ],
)
def test_a_difference_is_one_when_its_bound_passes_the_margin(
    strata: list[tuple[int, int, int, int]], verdict: str
) -> None:
    assert versions(*strata).verdict == verdict


def test_a_version_is_not_blamed_for_where_it_is_used() -> None:
    found = versions((45, 900, 5, 100), (30, 100, 270, 900))
    assert found.crude.low > 0.15
    assert found.pooled.difference.value == pytest.approx(0)
    assert found.verdict == "no difference shown"


def test_a_version_that_the_mix_flatters_is_found() -> None:
    found = versions((45, 900, 90, 900 * 9), (300, 1_000, 450, 900))
    assert found.crude.value is not None
    assert found.crude.value < 0
    assert found.pooled.difference.value is not None
    one = versions((20, 1_000, 400, 9_000), (300, 1_000, 50, 100))
    assert one.crude.high < 0
    assert one.verdict == "worse"


def test_what_lies_in_strata_of_one_of_them_is_said() -> None:
    found = versions((50, 1_000, 150, 1_000), (3, 70, 0, 0))
    assert (found.strata, found.pooled.strata, found.left_out) == (2, 1, 70)


def test_a_key_that_comes_twice_is_one_stratum() -> None:
    half = (("a",), singles(25, 500), singles(75, 500))
    whole = (("a",), singles(50, 1_000), singles(150, 1_000))
    assert compare([half, half]) == compare([whole])


def test_a_few_bad_meetings_do_not_make_a_version_worse() -> None:
    first = tally_of([(1, 20)] * 50)
    bad = tally_of([(20, 20)] * 4 + [(1, 20)] * 46)
    plain = compare([((), singles(50, 1_000), singles(126, 1_000))])
    assert plain.verdict == "worse"
    assert compare([((), first, bad)]).verdict == "no difference shown"


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        (
            versions((50, 1_000, 150, 1_000), (100, 1_000, 200, 1_000)),
            "45.6 is worse than 45.5: 17.5 % of sessions poor, 7.5 % with 45.5; the difference "
            "within 2 strata of network is +10.0 (+8.0 to +12.0) points; without strata it would "
            "look like +10.0 (+8.0 to +12.0).",
        ),
        (
            compare([((), singles(150, 1_000), singles(50, 1_000))]),
            "After is better than before: 5.0 % of sessions poor, 15.0 % before; the difference "
            "is -10.0 (-12.6 to -7.4) points.",
        ),
        (
            compare(
                [(("a", "b", "c"), singles(50, 1_000), singles(51, 1_000))],
                by=("region", "hour", "network"),
            ),
            "No difference shown between after and before: 5.1 % of sessions poor, 5.0 % before; "
            "the difference within 1 stratum of region, hour and network is +0.1 (-1.8 to +2.0) "
            "points; without strata it would look like +0.1 (-1.8 to +2.0).",
        ),
        (
            versions((1, 29, 15, 30)),
            "Not enough data to compare 45.6 with 45.5: 30 and 29 sessions in 1 common stratum; "
            "it needs 30 sessions of each and 5 poor ones of one.",
        ),
        (
            compare([((), singles(50, 1_000), singles(150, 1_000))], names=("45.5", "")),
            "Unknown is worse than 45.5: 15.0 % of sessions poor, 5.0 % with 45.5; the difference "
            "is +10.0 (+7.4 to +12.6) points.",
        ),
    ],
    ids=["worse", "better", "no difference", "not enough", "unknown"],
)
def test_the_verdict_is_a_sentence_with_its_figures(found: Comparison, sentence: str) -> None:
    assert found.sentence == sentence


def test_a_difference_that_is_not_there_is_seldom_shown() -> None:
    dice = random.Random(3)
    shown = 0
    for _ in range(150):
        strata = []
        for stratum in range(6):
            base = 0.03 + 0.04 * stratum
            sides = []
            for meetings in (10 + 5 * stratum, 40 - 5 * stratum):
                made = []
                for _ in range(meetings):
                    chance = min(base * dice.choice((0.2, 0.2, 2.6)), 1.0)
                    made.append((float(sum(dice.random() < chance for _ in range(8))), 8.0))
                sides.append(tally_of(made))
            strata.append(((str(stratum),), sides[0], sides[1]))
        shown += compare(strata, limits=Limits(margin=0)).verdict in ("worse", "better")
    assert shown / 150 <= 0.09
