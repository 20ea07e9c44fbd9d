"""The tables and examples of docs/scoring.md are what the code has and what it computes."""

import re
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import pytest
from msgspec import structs

from roomtone.score import Bounds, Thresholds, audio, codecs, cqd, emodel, parts, video
from roomtone.score.emodel import FULLBAND, NARROWBAND, WIDEBAND, Scale
from roomtone.score.verdict import steady
from tests.docs.markdown import code, page, section, table

PAGE: Final = page("docs/scoring.md")
NUMBER: Final = re.compile(r"-?\d+(?:\.\d+)?")


def tables(heading: str) -> list[list[list[str]]]:
    """All tables of a section."""
    found: list[list[list[str]]] = []
    rest = section(PAGE, heading)
    while rows := table(rest):
        found.append(rows)
        last = "|" + rest.partition("\n|")[2] if not rest.startswith("|") else rest
        rest = last.partition("\n\n")[2]
    return found


def numbers(text: str) -> list[float]:
    return [float(number) for number in NUMBER.findall(text)]


def as_shown(value: Any, shown: str) -> bool:
    """Whether a value, rounded to the digits that are shown, is what is shown."""
    digits = len(shown.partition(".")[2])
    return round(float(value), digits) == float(shown)


def opus_example() -> dict[str, Any]:
    codec = codecs.opus(34)
    ppl = audio.played_loss_percent(3, 30)
    impairment = emodel.effective_impairment(codec.ie, bpl=codec.bpl, loss_percent=ppl)
    ta = audio.one_way_ms(120, 80, 30)
    mos = audio.score(codec, loss_percent=3, jitter_ms=30, latency_ms=120, far_latency_ms=80)
    return {
        "late packets": 100 * audio.late_loss(30),
        "Ppl": ppl,
        "Ie,eff": impairment,
        "Rx listening": emodel.rating(FULLBAND, impairment=impairment),
        "MOS listening": mos.listening,
        "jitter buffer": audio.jitter_buffer_ms(30),
        "Ta": ta,
        "Idd": emodel.delay_impairment(ta),
        "MOS conversational": mos.conversational,
    }


def g722_example() -> dict[str, Any]:
    codec = codecs.audio("G.722", None)
    mos = audio.score(codec, loss_percent=1, jitter_ms=5)
    return {
        "Ie,eff": emodel.effective_impairment(
            codec.ie, bpl=codec.bpl, loss_percent=1, limit=codec.scale.limit
        ),
        "MOS native": mos.native,
        "MOS listening": mos.listening,
    }


def picture_example() -> dict[str, Any]:
    factor, _ = codecs.video_factor("VP9")
    found = video.degradations(kbps=500 * factor, height=360, fps=20, display_height=540)
    plain = video.mos(kbps=500 * factor, height=360, fps=20, display_height=540)
    residual = video.residual_loss_percent(4, 180)
    left = video.loss_factor(residual, kbps=500 * factor, fps=20)
    return {
        "br": 500 * factor,
        "Dcod": found.coding,
        "Dscal": found.scaling,
        "Dfps": found.jerking,
        "Q": 100 - sum(found),
        "MOS without": plain,
        "residual": residual,
        "factor": left,
        "MOS": 1 + (plain - 1) * left,
    }


@pytest.mark.parametrize(
    ("heading", "computed"),
    [
        ("Example: Opus with loss and delay", opus_example),
        ("Example: G.722 on two scales", g722_example),
        ("Example: a small picture with few frames", picture_example),
    ],
)
def test_an_example_is_what_the_code_computes(
    heading: str, computed: Callable[[], dict[str, Any]]
) -> None:
    rows = table(section(PAGE, heading))
    values = computed()
    assert len(rows) == len(values)
    for (step, shown), (name, value) in zip(rows, values.items(), strict=True):
        assert step.startswith(name)
        assert as_shown(value, shown), f"{step}: {float(value)}"


def test_the_scales_are_those_of_the_code() -> None:
    scales = {"narrowband": NARROWBAND, "wideband": WIDEBAND, "fullband": FULLBAND}
    rows = tables("From impairments to MOS")[1]
    assert [row[0] for row in rows] == list(scales)
    for name, top, limit, unit, bridge, _ in rows:
        scale = Scale(float(top), float(limit), float(unit))
        assert scale == scales[name]
        assert float(bridge) == codecs.BRIDGES[scale]


def test_the_table_of_opus_is_that_of_the_code() -> None:
    rows = tables("Codecs")[0]
    assert [tuple(map(float, row)) for row in rows] == [tuple(row) for row in codecs.OPUS]


def test_the_table_of_codecs_is_that_of_the_code() -> None:
    scales = {"narrowband": NARROWBAND, "wideband": WIDEBAND, "fullband": FULLBAND}
    for labels, scale, ie, bpl, note in tables("Codecs")[1]:
        for label in labels.split(", "):
            name, _, rate = label.partition(" ")
            name = "Unheard-of" if label == "any other" else name
            kbps = float(rate) if rate.replace(".", "").isdigit() else 34.0
            found = codecs.audio(name, kbps)
            more = codecs.opus(kbps).ie if ie.startswith("Opus") else 0.0
            assert found.ie == pytest.approx(more + numbers(ie)[0]), label
            assert found.bpl == float(bpl), label
            assert found.scale is scales[scale], label
            assert found.grounded is ("not grounded" not in note), label


def test_the_burst_of_the_text_costs_what_it_says() -> None:
    shown = re.search(r"kbit/s and 5 % by ([\d.]+) MOS", " ".join(PAGE.split()))
    assert shown
    random, bursty = (
        audio.score(codecs.opus(34, bursty=one), loss_percent=5).listening for one in (False, True)
    )
    assert as_shown(random - bursty, shown[1])


def test_known_values_of_sound_are_what_the_code_computes() -> None:
    rows = [numbers(row[1]) for row in table(section(PAGE, "Known values"))]

    def mos(scale: Scale, ie: float, bpl: float, loss: float) -> float:
        impairment = emodel.effective_impairment(ie, bpl=bpl, loss_percent=loss, limit=scale.limit)
        return float(emodel.mos(emodel.rating(scale, impairment=impairment)))

    defaults, delays, pcmu, amr, opus = rows
    assert defaults == [NARROWBAND.top, pytest.approx(mos(NARROWBAND, 0, 1, 0), abs=5e-4)]
    assert delays == pytest.approx(
        emodel.delay_impairment(np.array([150, 200, 250, 300, 400.0])).tolist(), abs=5e-5
    )
    assert pcmu == pytest.approx([mos(NARROWBAND, 0, 25.1, n) for n in range(1, 6)], abs=5.5e-4)
    impairment = emodel.effective_impairment(20, bpl=4.3, loss_percent=2, limit=WIDEBAND.limit)
    assert amr == pytest.approx([float(impairment), mos(WIDEBAND, 20, 4.3, 2)], abs=5e-5)
    found = codecs.opus(34)
    expected = [mos(FULLBAND, found.ie, found.bpl, n) for n in (0, 1, 2, 3, 5, 10)]
    assert opus == pytest.approx(expected, abs=5e-4)


def test_known_sizes_are_what_the_code_computes() -> None:
    for picture, display, shown in table(section(PAGE, "Known sizes")):
        height, kbps = numbers(picture.replace("p30", " "))
        mos = video.mos(kbps=kbps, height=height, fps=30, display_height=float(display))
        assert as_shown(mos, shown), picture


def test_the_coefficients_of_g_1070_are_those_of_the_code() -> None:
    (row,) = tables("Pictures")[1]
    assert tuple(map(float, row)) == (*video.CODING_V, *video.LOSS_V)
    text = " ".join(PAGE.split())
    shown = re.search(r"give ([\d.]+) without loss, ([\d.]+) at 1 % and ([\d.]+) at 3 %", text)
    assert shown
    for loss, value in zip((0, 1, 3), shown.groups(), strict=True):
        assert as_shown(video.g1070(kbps=1000, fps=30, loss_percent=loss), value)


def test_every_threshold_is_listed_with_its_default() -> None:
    bounds, singles = tables("Verdicts")[:2]
    listed: dict[str, Any] = {
        code(name): Bounds(float(good), float(poor)) for name, good, poor, _ in bounds
    }
    listed |= {code(name): float(value) for name, value, _ in singles}
    assert listed == structs.asdict(Thresholds())


def test_hysteresis_is_as_in_the_table() -> None:
    rows = tables("Verdicts")[2]
    assert len(rows) >= 5
    for raw, shown in rows:
        letters = code(raw).split()
        levels = np.array(["gfp-".index(one) % 3 for one in letters], dtype=np.int8)
        active = np.array([one != "-" for one in letters], dtype=np.bool_)
        found = steady(levels, active, np.zeros(len(letters), dtype=np.intp))
        assert ["gfp-"[level] for level in found] == code(shown).split(), raw


def test_microsofts_bounds_are_those_of_the_code() -> None:
    bounds = [numbers(row[1]) for row in table(section(PAGE, "Microsoft's verdict"))]
    assert bounds == [
        [cqd.LATENCY_MS, cqd.LOSS_PERCENT, cqd.JITTER_MS, cqd.PACKETS],
        [cqd.VIDEO_FPS, cqd.LOSS_AFTER_REPAIR_PERCENT],
        [cqd.SHARE_FPS, cqd.LOSS_AFTER_REPAIR_PERCENT],
    ]


def test_sub_scores_are_as_in_the_table() -> None:
    fields = {"latency": "latency_ms", "loss": "loss_percent", "jitter": "jitter_ms",
              "average": "cpu_percent"}  # fmt: skip
    for figure, shown in table(section(PAGE, "Network and device")):
        bounds = getattr(Thresholds(), fields[figure.split()[0]])
        most = 100.0 if "%" in figure else np.inf
        assert as_shown(parts.marks(np.array(numbers(figure)), bounds, most)[0], shown), figure
