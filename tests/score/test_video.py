"""Pictures: P.1203.1 mode 0 and G.1070 against known points, and what a session makes of them."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomtone import score
from roomtone.model import StreamKind
from roomtone.score import StreamScore, video
from tests.score.entries import entry, session


def mos_of(*, height: float, fps: float, kbps: float, display: float) -> float:
    return float(video.mos(kbps=kbps, height=height, fps=fps, display_height=display))


def seen(kind: StreamKind, count: int = 10, **changes: Any) -> StreamScore:
    return score.session(session(**{kind: entry(kind, count, **changes)})).streams[kind][0]


@pytest.mark.parametrize(
    ("height", "kbps", "display", "mos"),
    [
        (720, 1500, 1080, 3.7112),
        (720, 1500, 720, 4.2298),
        (360, 600, 1080, 1.9526),
        (360, 600, 720, 2.9606),
        (1080, 4000, 1080, 4.3725),
    ],
)
def test_pictures_at_30_a_second(height: float, kbps: float, display: float, mos: float) -> None:
    found = mos_of(height=height, fps=30, kbps=kbps, display=display)
    assert found == pytest.approx(mos, abs=5e-5)


@pytest.mark.parametrize(("loss", "vq"), [(0, 3.8694), (1, 3.1295), (3, 2.1728)])
def test_g_1070_with_the_coefficients_of_table_b_4(loss: float, vq: float) -> None:
    assert video.g1070(kbps=1000, fps=30, loss_percent=loss) == pytest.approx(vq, abs=5e-5)


@given(st.floats(3.2, 100))
def test_the_quality_of_a_mos_is_the_inverse_of_the_mos_of_a_quality(quality: float) -> None:
    assert float(video.quality_of_mos(video.mos_of_quality(quality))) == pytest.approx(quality)


@pytest.mark.parametrize(("mos", "quality"), [(0, 0), (1.0, 0), (1.05, 0), (4.9, 100), (5, 100)])
def test_the_inverse_is_held_at_the_ends(mos: float, quality: float) -> None:
    assert float(video.quality_of_mos(mos)) == pytest.approx(quality)


heights = st.floats(90, 2160)
rates = st.floats(20, 20_000)
frames = st.floats(1, 60)


@given(height=heights, kbps=rates, fps=frames, display=heights)
def test_mos_of_pictures_is_between_1_and_4_9(
    height: float, kbps: float, fps: float, display: float
) -> None:
    assert 1 <= mos_of(height=height, fps=fps, kbps=kbps, display=display) <= 4.9


@given(height=heights, a=rates, b=rates, fps=frames, display=heights)
def test_mos_never_falls_with_bit_rate(
    height: float, a: float, b: float, fps: float, display: float
) -> None:
    low, high = (
        mos_of(height=height, fps=fps, kbps=kbps, display=display) for kbps in sorted((a, b))
    )
    assert low <= high + 1e-9


@given(height=heights, kbps=rates, fps=frames, a=heights, b=heights)
def test_mos_never_rises_with_the_size_that_was_to_be_expected(
    height: float, kbps: float, fps: float, a: float, b: float
) -> None:
    small, large = (
        mos_of(height=height, fps=fps, kbps=kbps, display=display) for display in sorted((a, b))
    )
    assert large <= small + 1e-9


@given(
    a=st.floats(0, 100), b=st.floats(0, 100), rtt=st.floats(0, 2_000), longer=st.floats(0, 2_000)
)
def test_residual_loss_never_falls_with_loss_or_round_trip(
    a: float, b: float, rtt: float, longer: float
) -> None:
    few, many = sorted((a, b))
    short, long = sorted((rtt, longer))
    less = float(video.residual_loss_percent(few, short))
    assert less <= float(video.residual_loss_percent(many, long)) + 1e-12


@pytest.mark.parametrize(
    ("loss", "rtt", "residual"),
    [
        (10, 40, 0.1),
        (10, 125, 0.1),
        (10, 126, 1),
        (10, 250, 1),
        (10, 251, 10),
        (10, float("nan"), 1),
        (100, 40, 100),
        (0, 400, 0),
    ],
)
def test_a_packet_is_asked_for_again_as_often_as_250_ms_allow(
    loss: float, rtt: float, residual: float
) -> None:
    assert float(video.residual_loss_percent(loss, rtt)) == pytest.approx(residual)


@pytest.mark.parametrize(("loss", "most"), [(5.5, 3.0), (9.9, 3.0), (12.0, 2.0), (60.0, 2.0)])
def test_much_loss_that_nothing_repairs_caps_the_score(loss: float, most: float) -> None:
    for mos in seen("videoIn", packetLoss=loss, latency=300, mediaBitRate=60_000_000).mos:
        assert mos is not None
        assert mos <= most


@pytest.mark.parametrize(
    ("kind", "heights", "expected"),
    [
        ("videoIn", [720] * 10, 720),
        ("videoIn", [480] * 19 + [680], 480 + 0.05 * 200),
        ("videoIn", [180] * 10, 360),
        ("videoIn", [1080] * 10, 720),
        ("videoIn", [], 360),
        ("videoOut", [540, None, 540], 540),
        ("shareIn", [1080] * 10, 1080),
        ("shareIn", [2160] * 10, 1080),
        ("shareOut", [200] * 10, 200),
    ],
)
def test_what_a_stream_should_have_is_what_it_mostly_has_within_bounds(
    kind: StreamKind, heights: list[float | None], expected: float
) -> None:
    values = np.array(heights, dtype=np.float64)
    group = np.zeros(len(values), dtype=np.intp)
    found = video.expected_heights(values, group, [kind.startswith("share")])
    assert found.tolist() == [pytest.approx(expected)]


def test_pictures_are_judged_by_the_size_that_was_to_be_expected() -> None:
    """Bits per pixel of 180 px at 160 kbit/s are those of 720 px at 2.5 Mbit/s."""
    loss = [0.0] * 9 + [3.0]
    heights = [720] * 9 + [180]
    rates = [2_560_000] * 9 + [160_000]
    found = seen("videoIn", packetLoss=loss, resolutionHeight=heights, mediaBitRate=rates)
    assert found.mos[0] is not None
    assert found.mos[9] is not None
    assert found.mos[0] > 4
    assert found.mos[9] < 1.5


def test_an_expected_size_may_be_given() -> None:
    one = session(videoIn=entry("videoIn", resolutionHeight=360, packetLoss=2.5))
    by_itself = score.session(one).streams["videoIn"][0].mos[0]
    by_meeting = score.session(one, expected={"videoIn": 720}).streams["videoIn"][0].mos[0]
    assert by_itself is not None
    assert by_meeting is not None
    assert by_meeting < by_itself


@pytest.mark.parametrize(("codec", "factor"), [("VP9", 1.2), ("AV1", 1.43)])
def test_newer_codecs_make_more_of_a_bit_rate(codec: str, factor: float) -> None:
    newer = seen("videoIn", codec=codec, mediaBitRate=400_000).mos[0]
    assert newer == pytest.approx(seen("videoIn", mediaBitRate=400_000 * factor).mos[0])
    assert newer != seen("videoIn", mediaBitRate=400_000).mos[0]


def test_an_unknown_codec_and_any_screen_are_not_grounded() -> None:
    assert seen("videoIn").grounded
    assert not seen("videoIn", codec="").grounded
    assert not seen("shareIn").grounded


def test_few_pictures_of_a_screen_are_not_few() -> None:
    camera, share = seen("videoIn", frameRate=5.0).mos[0], seen("shareIn", frameRate=5.0).mos[0]
    assert camera is not None
    assert share is not None
    assert camera < 2.9
    assert share > 3.7


@pytest.mark.parametrize("column", ["resolutionHeight", "frameRate", "mediaBitRate"])
def test_what_is_not_known_makes_no_score(column: str) -> None:
    assert seen("videoIn", 2, **{column: []}).mos == [None, None]


def test_unknown_loss_leaves_the_score_of_the_coding() -> None:
    assert seen("videoIn", 2, packetLoss=[]).mos == seen("videoIn", 2).mos
