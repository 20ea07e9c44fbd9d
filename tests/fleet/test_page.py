"""The examples of docs/fleet.md, computed anew."""

import re

import numpy as np
import pytest

from roomtone.fleet.evidence import gains, surprise
from roomtone.fleet.rates import Count, Tally, fisher, newcombe, risk_ratio, tally_of, wilson
from roomtone.fleet.rates import mantel_haenszel as pooled
from roomtone.fleet.selections import weights_of
from roomtone.fleet.sketch import Sketch
from tests.docs.markdown import page, section, table
from tests.fleet.test_rates import ADMISSIONS

PAGE = page("docs/fleet.md")


def rows(heading: str) -> list[list[str]]:
    return table(section(PAGE, heading))


def count(text: str) -> Count:
    """`56 of 70`."""
    poor, total = text.replace(",", "").split(" of ")
    return Count(int(poor), int(total))


def shown(*figures: float) -> list[str]:
    return [f"{figure:.4f}" for figure in figures]


@pytest.mark.parametrize("row", rows("A rate"))
def test_the_intervals_are_as_shown(row: list[str]) -> None:
    poor, total = int(row[0]), int(row[1])
    assert row[2:] == shown(poor / total, *wilson(Count(poor, total)))


TALLIES: dict[str, Tally] = {
    "20 of 20, one of them poor as a whole": tally_of([(20, 20)] + [(0, 20)] * 19),
    "20 of 20, one session poor in each": tally_of([(1, 20)] * 20),
    "1 of 50": tally_of([(7, 50)]),
}


@pytest.mark.parametrize("row", rows("Meetings are clusters"))
def test_the_design_effects_are_as_shown(row: list[str]) -> None:
    tally = TALLIES[row[0]]
    assert (int(row[1]), int(row[2])) == tally.counted
    assert row[3] == f"{tally.design_effect:.2f}"
    assert row[4:] == shown(*wilson(tally.effective))


@pytest.mark.parametrize("row", rows("Two rates"))
def test_the_differences_and_ratios_are_as_shown(row: list[str]) -> None:
    one, two = count(row[0]), count(row[1])
    difference, ratio = newcombe(one, two), risk_ratio(one, two)
    assert difference.value is not None
    assert row[2:5] == shown(difference.value, difference.low, difference.high)
    if ratio.value is not None:
        assert row[5:8] == shown(ratio.value, ratio.low, ratio.high)
    assert row[8] == f"{fisher(one, two):.5f}"


def test_the_admissions_are_as_shown() -> None:
    text = " ".join(section(PAGE, "Two periods, two versions").split())
    men, women = (
        Count(sum(one[side].poor for one in ADMISSIONS), sum(one[side].total for one in ADMISSIONS))
        for side in (0, 1)
    )
    found = pooled(ADMISSIONS)
    for estimate in (newcombe(men, women), found.difference):
        value, low, high = (100 * (figure or 0) for figure in estimate)
        assert f"{value:+.1f} points ({low:+.1f} to {high:+.1f})" in text
    assert f"p {found.p:.4f}." in text


def test_the_quantile_is_as_shown() -> None:
    text = " ".join(section(PAGE, "Quantiles").split())
    told = Sketch.of(float(ms) for ms in range(1, 1_001)).quantile(0.95)
    assert f"1,000 ms is 950 and told as {told:.2f}." in text


def test_what_a_cell_explains_is_as_shown() -> None:
    (row,) = rows("What stands out")
    now, reference = count(row[0]), count(row[1])
    assert reference.rate is not None
    expected = reference.rate * now.total
    excess, rise = (int(figure) for figure in row[3].split(" of "))
    assert excess == now.poor - expected
    poor = int(re.findall(r"With (\d+) poor sessions in all and", PAGE)[0])
    import numpy as np

    gain = gains(np.array([now], dtype=float).T, np.array([reference], dtype=float).T)[0]
    assert row[2] == f"{gain / 2:.2f}"
    told = surprise(expected=expected / (poor - excess), seen=now.poor / poor)
    assert row[4] == f"{told:.4f}"
    assert rise == 200


@pytest.mark.parametrize("line", rows("This week against the weeks before"))
def test_the_baselines_are_as_shown(line: list[str]) -> None:
    weeks = int(line[0])
    week_ms = 7 * 24 * 3600 * 1000
    joined = np.repeat(-1 - week_ms * np.arange(weeks), 1_000)
    now, weights = weights_of(joined, 0, week_ms)
    assert not now.any()
    assert weights[::1_000] / weights[0] == pytest.approx([float(w) for w in line[1].split(", ")])
    assert line[2] == f"{weights.sum():,.0f}"
