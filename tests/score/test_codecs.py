"""What is known of codecs, by the labels that clients use."""

from math import isnan, nan

import numpy as np
import pytest

from roomtone.score import codecs
from roomtone.score.emodel import FULLBAND, NARROWBAND, WIDEBAND, Scale


@pytest.mark.parametrize(
    ("label", "scale", "ie", "bpl", "grounded"),
    [
        ("Opus", FULLBAND, 14.76, 10.12, True),
        ("opus/48000/2", FULLBAND, 14.76, 10.12, True),
        ("audio/opus", FULLBAND, 14.76, 10.12, True),
        ("EVS", FULLBAND, 7.2, 11.4, True),
        ("PCMU", NARROWBAND, 0, 25.1, True),
        ("PCMA", NARROWBAND, 0, 25.1, True),
        ("G.711", NARROWBAND, 0, 25.1, True),
        ("G.711 u-law", NARROWBAND, 0, 25.1, True),
        ("G.729", NARROWBAND, 11, 19, True),
        ("G.729A", NARROWBAND, 11, 19, True),
        ("G.722", WIDEBAND, 13, 4.5, True),
        ("AMR-WB", WIDEBAND, 20, 4.3, True),
        ("AAC-LD", FULLBAND, 19.76, 10, False),
        ("Lyra", FULLBAND, 20, 10, False),
        ("", FULLBAND, 20, 10, False),
    ],
)
def test_an_audio_codec_is_known_by_its_label(
    label: str, scale: Scale, ie: float, bpl: float, grounded: bool
) -> None:
    rate = 24.4 if label == "EVS" else 34
    found = codecs.audio(label, rate)
    assert found.scale is scale
    assert (found.ie, found.bpl) == pytest.approx((ie, bpl))
    assert found.grounded is grounded


@pytest.mark.parametrize(
    ("kbps", "ie", "bpl"),
    [
        (6, 38.06, 16.51),
        (14, 38.06, 16.51),
        (15, 34.11, 14.17),
        (34, 14.76, 10.12),
        (35.5, 13.42, 10.25),
        (40, 10.67, 9.79),
        (128, 10.67, 9.79),
    ],
)
def test_opus_is_read_between_the_rows_and_held_at_the_ends(
    kbps: float, ie: float, bpl: float
) -> None:
    found = codecs.opus(kbps)
    assert (found.ie, found.bpl) == pytest.approx((ie, bpl))


@pytest.mark.parametrize("label", ["Opus", "AAC-LD"])
def test_a_bit_rate_that_silence_has_tells_nothing_of_the_codec(label: str) -> None:
    quiet = codecs.audio(label, 15.0)
    assert quiet == codecs.audio(label, None)
    assert not quiet.grounded
    assert codecs.audio(label, 16.0).ie > quiet.ie


@pytest.mark.parametrize(("kbps", "bpl"), [(14, 9.13), (34, 8.54), (40, 8.04)])
def test_opus_stands_bursts_less_than_random_loss(kbps: float, bpl: float) -> None:
    found = codecs.opus(kbps, bursty=True)
    assert found.bpl == pytest.approx(bpl)
    assert found.bpl < codecs.opus(kbps).bpl


@pytest.mark.parametrize(
    ("kbps", "ie"), [(9.6, 17.1), (13.2, 17.1), (16.4, 10.8), (20, 10.8), (24.4, 7.2), (96, 10.2)]
)
def test_evs_is_in_the_mode_that_is_nearest(kbps: float, ie: float) -> None:
    assert codecs.evs(kbps).ie == ie


def test_fec_makes_a_codec_twice_as_robust_only_when_it_is_known() -> None:
    assert codecs.audio("Opus", 34, fec=True).bpl == 2 * codecs.audio("Opus", 34).bpl


def test_an_unknown_bit_rate_of_opus_is_a_guess() -> None:
    found = codecs.audio("Opus", None)
    assert not found.grounded
    assert found.ie == codecs.opus(codecs.OPUS_KBPS_UNKNOWN).ie


def usual(*rates: float | None) -> float:
    values = np.array(rates, dtype=np.float64)
    return float(codecs.usual_kbps(values, np.zeros(len(rates), dtype=np.intp), 1)[0])


def test_silence_does_not_make_a_bad_codec() -> None:
    """Half an hour in which somebody speaks for a fifth of the time, at 40 kbit/s."""
    assert usual(*[9_000.0] * 24, *[40_000.0] * 6, None) == pytest.approx(40)


def test_muted_intervals_say_nothing_about_the_codec() -> None:
    assert usual(*[90.0] * 99, 36_000.0) == pytest.approx(36)
    assert isnan(usual(90.0, None))
    assert isnan(usual())
    assert not codecs.audio("Opus", nan).grounded


@pytest.mark.parametrize(
    ("label", "factor", "known"),
    [("H.264 BP", 1, True), ("H.264", 1, True), ("VP8", 1, True), ("VP9", 1.2, True),
     ("AV1", 1.43, True), ("video/AV1", 1.43, True), ("H.265", 1.2, True), ("", 1, False),
     ("Theora", 1, False)],
)  # fmt: skip
def test_newer_video_codecs_need_less(label: str, factor: float, known: bool) -> None:
    assert codecs.video_factor(label) == (factor, known)
