"""Quantiles: the promised accuracy, and that parts merge to the whole."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomtone.errors import Invalid
from roomtone.fleet.sketch import VALUE_MAX, VALUE_MIN, Buckets, Histogram, Sketch

moses = st.floats(1, 5)
figures = st.one_of(st.just(0.0), st.floats(VALUE_MIN, VALUE_MAX))
shares = st.floats(0, 1)


def exact(values: list[float], share: float) -> float:
    return sorted(values)[math.floor(share * (len(values) - 1))]


@given(st.lists(figures, min_size=1), shares)
def test_a_quantile_of_a_sketch_is_within_one_per_cent(values: list[float], share: float) -> None:
    found = Sketch.of(values).quantile(share)
    assert found == pytest.approx(exact(values, share), rel=0.01 + 1e-9, abs=0)


@given(st.lists(moses, min_size=1), shares)
def test_a_quantile_of_a_mos_is_within_half_a_hundredth(values: list[float], share: float) -> None:
    found = Histogram.of(values).quantile(share)
    assert found == pytest.approx(exact(values, share), abs=0.005 + 1e-9, rel=0)


@pytest.mark.parametrize("kind", [Histogram, Sketch])
@given(values=st.lists(moses), cut=st.integers(0, 50))
def test_parts_merge_to_the_whole(kind: type[Buckets], values: list[float], cut: int) -> None:
    merged, rest = kind.of(values[:cut]), kind.of(values[cut:])
    merged.merge(rest)
    assert merged == kind.of(values)
    assert merged.total == len(values)


@pytest.mark.parametrize("kind", [Histogram, Sketch])
@given(values=st.lists(moses))
def test_a_sketch_comes_back_from_its_bytes(kind: type[Buckets], values: list[float]) -> None:
    made = kind.of(values)
    assert kind.from_bytes(made.to_bytes()) == made


@given(st.lists(figures, min_size=1), st.lists(shares, max_size=5))
def test_several_quantiles_are_each_on_its_own(values: list[float], wanted: list[float]) -> None:
    sketch = Sketch.of(values)
    assert sketch.quantiles(wanted) == [sketch.quantile(share) for share in wanted]


def test_a_bucket_that_a_store_counted_is_as_good_as_its_values() -> None:
    grouped = Sketch()
    for value, count in ((0.0, 3), (120.0, 4)):
        grouped.add_bucket(Sketch.bucket_of(value), count=count)
    assert grouped == Sketch.of([0.0] * 3 + [120.0] * 4)


def test_without_values_there_is_no_quantile() -> None:
    assert Sketch().quantiles([0.5, 0.95]) == [None, None]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Histogram, 0.99),
        (Histogram, 5.01),
        (Histogram, math.nan),
        (Sketch, -0.001),
        (Sketch, math.nan),
        (Sketch, math.inf),
    ],
)
def test_what_is_no_value_is_refused(kind: type[Buckets], value: float) -> None:
    with pytest.raises(Invalid):
        kind().add(value)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc0",
        b"\x92\x91\x01\x90",  # a bucket without a count
        b"\x92\x91\x01\x91\x00",  # a count of 0
        b"\x92\x91\xcd\x7f\xff\x91\x01",  # a bucket far outside
        b"\x92\x91\x01\x91\x01" * 2,
    ],
)
@pytest.mark.parametrize("kind", [Histogram, Sketch])
def test_bytes_that_are_no_sketch_are_refused(kind: type[Buckets], data: bytes) -> None:
    with pytest.raises(Invalid):
        kind.from_bytes(data)


def test_a_quantile_is_a_share() -> None:
    with pytest.raises(Invalid):
        Sketch.of([1.0]).quantile(95)
