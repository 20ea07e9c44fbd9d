"""The E-model against its own published points, and what must hold for all inputs."""

from math import exp, log10, nan, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomtone.score import codecs, emodel
from roomtone.score.emodel import FULLBAND, NARROWBAND, WIDEBAND, Scale

percents = st.floats(0, 100)
delays = st.floats(0, 10_000)
ies = st.floats(0, 60)
bpls = st.floats(1, 60)
bursts = st.floats(1, 20)


def mos_of(
    scale: Scale = FULLBAND, *, ie: float, bpl: float, loss: float, burst: float = 1, ta: float = 0
) -> float:
    impairment = emodel.effective_impairment(
        ie, bpl=bpl, loss_percent=loss, burst_ratio=burst, limit=scale.limit
    )
    return float(emodel.mos(emodel.rating(scale, impairment=impairment, one_way_ms=ta)))


def default_rating() -> float:
    """R of G.107 with all parameters at their defaults (table 2), by its clauses 7.1 to 7.5."""
    slr, rlr, stmr, lstr, telr, wepl, qdu = 8.0, 2.0, 15.0, 18.0, 65.0, 110.0, 1.0
    ps = pr = 35.0
    ds, nc, nfor, delay_ms = 3.0, -70.0, -64.0, 0.0
    olr = slr + rlr
    nos = ps - slr - ds - 100 + 0.004 * (ps - olr - ds - 14) ** 2
    pre = pr + 10 * log10(1 + 10 ** ((10 - lstr) / 10))
    nor = rlr - 121 + pre + 0.008 * (pre - 35) ** 2
    no = 10 * log10(sum(10 ** (noise / 10) for noise in (nc, nos, nor, nfor + rlr)))
    ro = 15 - 1.5 * (slr + no)

    xolr = olr + 0.2 * (64 + no - rlr)
    iolr = 20 * ((1 + (xolr / 8) ** 8) ** (1 / 8) - xolr / 8)
    stmro = -10 * log10(10 ** (-stmr / 10) + exp(-delay_ms / 4) * 10 ** (-telr / 10))
    ist = (
        12 * (1 + ((stmro - 13) / 6) ** 8) ** (1 / 8)
        - 28 * (1 + ((stmro + 1) / 19.4) ** 35) ** (1 / 35)
        - 13 * (1 + ((stmro - 3) / 33) ** 13) ** (1 / 13)
        + 29
    )
    q = 37 - 15 * log10(qdu)
    g = 1.07 + 0.258 * q + 0.0602 * q * q
    iq = 15 * log10(1 + 10 ** ((ro - 100) / 15 + 46 / 8.4 - g / 9) + 10 ** (46 / 30 - g / 40))

    rle = 10.5 * (wepl + 7) * (2 * delay_ms + 1) ** -0.25
    idle = (ro - rle) / 2 + sqrt((ro - rle) ** 2 / 4 + 169)
    return float(ro - (iolr + ist + iq) - idle)  # Idte and Idd are 0 without delay


def test_the_top_of_the_narrowband_scale_is_what_the_default_parameters_give() -> None:
    assert default_rating() == pytest.approx(93.2062, abs=5e-5)
    assert NARROWBAND.top == pytest.approx(default_rating(), abs=5e-5)
    assert mos_of(NARROWBAND, ie=0, bpl=4.3, loss=0) == pytest.approx(4.409, abs=5e-4)


@pytest.mark.parametrize(
    ("one_way_ms", "idd"),
    [(0, 0), (100, 0), (150, 0.1635), (200, 3.0444), (250, 8.9167), (300, 14.7607),
     (400, 24.0701)],
)  # fmt: skip
def test_a_delay_impairs_as_in_g_107(one_way_ms: float, idd: float) -> None:
    assert float(emodel.delay_impairment(one_way_ms)) == pytest.approx(idd, abs=5e-5)


@pytest.mark.parametrize(
    ("loss", "mos"), [(1, 4.328), (2, 4.235), (3, 4.134), (4, 4.030), (5, 3.923)]
)
def test_g_711_with_concealment_on_the_narrowband_scale(loss: float, mos: float) -> None:
    assert mos_of(NARROWBAND, ie=0, bpl=25.1, loss=loss) == pytest.approx(mos, abs=5.5e-4)


@pytest.mark.parametrize(("loss", "mos"), [(1, 3.834), (5, 2.170)])
def test_g_711_without_concealment_on_the_narrowband_scale(loss: float, mos: float) -> None:
    assert mos_of(NARROWBAND, ie=0, bpl=4.3, loss=loss) == pytest.approx(mos, abs=5e-4)


def test_amr_wb_with_two_percent_loss_on_the_wideband_scale() -> None:
    impairment = emodel.effective_impairment(20, bpl=4.3, loss_percent=2, limit=WIDEBAND.limit)
    assert float(impairment) == pytest.approx(43.8095, abs=5e-5)
    assert mos_of(WIDEBAND, ie=20, bpl=4.3, loss=2) == pytest.approx(3.4062, abs=5e-5)


@pytest.mark.parametrize(
    ("loss", "mos"), [(0, 4.340), (1, 4.129), (2, 3.904), (3, 3.685), (5, 3.296), (10, 2.609)]
)
def test_opus_at_34_kbit_s_on_the_fullband_scale(loss: float, mos: float) -> None:
    opus = codecs.opus(34)
    assert mos_of(ie=opus.ie, bpl=opus.bpl, loss=loss) == pytest.approx(mos, abs=5e-4)


@pytest.mark.parametrize(
    ("ta", "loss", "mos"), [(150, 1, 4.1232), (250, 3, 3.2538), (400, 5, 2.0523)]
)
def test_opus_with_delay_and_loss(ta: float, loss: float, mos: float) -> None:
    opus = codecs.opus(34)
    assert mos_of(ie=opus.ie, bpl=opus.bpl, loss=loss, ta=ta) == pytest.approx(mos, abs=5e-5)


@pytest.mark.parametrize(
    ("rating", "mos"), [(90, 4.339), (80, 4.024), (70, 3.597), (60, 3.100), (50, 2.575)]
)
def test_ratings_become_mos_as_in_annex_b(rating: float, mos: float) -> None:
    """With a coefficient of 7e-7, as was seen elsewhere, R 80 is 3.82 and R 50 is 2.73."""
    assert float(emodel.mos(rating)) == pytest.approx(mos, abs=5.5e-4)


@pytest.mark.parametrize("rating", [-1e6, -100.0, -1.0, 0.0, 1.0, 3.0, 6.5])
def test_a_rating_of_zero_or_below_is_the_worst_mos_and_never_a_better_one(rating: float) -> None:
    """The cubic alone rises again below R 3 and gives 20 at R -100."""
    assert float(emodel.mos(rating)) == 1.0


def test_delay_is_subtracted_before_it_is_scaled() -> None:
    """`0.1 * d - 150` for `0.1 * (d - 150)` makes a delay of 200 ms a gift of 130 points."""
    none, some = (mos_of(ie=0, bpl=10, loss=0, ta=ta) for ta in (0, 200))
    assert float(emodel.delay_impairment(200)) > 0
    assert some < none


@given(a=st.floats(-300, 300), b=st.floats(-300, 300))
def test_mos_is_between_1_and_4_5_and_never_falls_with_the_rating(a: float, b: float) -> None:
    low, high = (float(emodel.mos(rating)) for rating in sorted((a, b)))
    assert 1 <= low <= high <= 4.5


@given(ie=ies, bpl=bpls, loss=percents, more=percents, burst=bursts, ta=delays)
def test_mos_never_rises_with_loss(
    ie: float, bpl: float, loss: float, more: float, burst: float, ta: float
) -> None:
    few, many = sorted((loss, more))
    better = mos_of(ie=ie, bpl=bpl, loss=few, burst=burst, ta=ta)
    assert mos_of(ie=ie, bpl=bpl, loss=many, burst=burst, ta=ta) <= better + 1e-9


@given(ie=ies, bpl=bpls, loss=percents, a=delays, b=delays)
def test_mos_never_rises_with_delay(ie: float, bpl: float, loss: float, a: float, b: float) -> None:
    short, long = sorted((a, b))
    better = mos_of(ie=ie, bpl=bpl, loss=loss, ta=short)
    assert mos_of(ie=ie, bpl=bpl, loss=loss, ta=long) <= better + 1e-9


@given(ie=ies, bpl=bpls, loss=percents, a=bursts, b=bursts)
def test_mos_never_rises_with_burstiness(
    ie: float, bpl: float, loss: float, a: float, b: float
) -> None:
    spread, bursty = sorted((a, b))
    better = mos_of(ie=ie, bpl=bpl, loss=loss, burst=spread)
    assert mos_of(ie=ie, bpl=bpl, loss=loss, burst=bursty) <= better + 1e-9


@given(a=ies, b=ies, bpl=bpls, loss=percents, ta=delays)
def test_mos_never_rises_with_the_codecs_impairment(
    a: float, b: float, bpl: float, loss: float, ta: float
) -> None:
    little, much = sorted((a, b))
    better = mos_of(ie=little, bpl=bpl, loss=loss, ta=ta)
    assert mos_of(ie=much, bpl=bpl, loss=loss, ta=ta) <= better + 1e-9


@pytest.mark.parametrize("loss", [nan, -0.1, 100.1, np.inf])
def test_a_loss_that_cannot_be_is_unknown(loss: float) -> None:
    assert np.isnan(emodel.effective_impairment(0, bpl=10, loss_percent=loss))


@pytest.mark.parametrize("delay", [nan, -1.0, np.inf])
def test_a_delay_that_cannot_be_is_unknown(delay: float) -> None:
    assert np.isnan(emodel.delay_impairment(delay))


@pytest.mark.parametrize("burst", [nan, -1.0, 0.0, 0.99])
def test_a_burst_ratio_below_that_of_random_loss_is_refused(burst: float) -> None:
    with pytest.raises(ValueError, match="BurstR"):
        emodel.effective_impairment(0, bpl=10, loss_percent=1, burst_ratio=burst)
