"""Means and percentiles of many groups at once are those of each by itself."""

from math import isnan, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomtone.score import groups

COUNT = 4
rows = st.lists(
    st.tuples(st.integers(0, COUNT - 1), st.one_of(st.just(nan), st.floats(-1e6, 1e6))), max_size=40
)


@given(rows, st.floats(0, 100))
def test_each_group_has_what_numpy_finds_for_it(
    values: list[tuple[int, float]], share: float
) -> None:
    group = np.array([at for at, _ in values], dtype=np.intp)
    array = np.array([value for _, value in values], dtype=np.float64)
    means = groups.means(array, group, COUNT)
    lowest = groups.percentiles(array, group, COUNT, share)
    for at in range(COUNT):
        known = [value for of, value in values if of == at and not isnan(value)]
        if known:
            assert means[at] == pytest.approx(float(np.mean(known)), abs=1e-6)
            assert lowest[at] == pytest.approx(float(np.percentile(known, share)), abs=1e-6)
        else:
            assert isnan(means[at])
            assert isnan(lowest[at])
