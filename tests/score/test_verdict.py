"""Good, fair, poor and unclassified: thresholds, hysteresis, and what does not count."""

from typing import Any

import numpy as np
import pytest
from msgspec import convert, structs

from roomtone import score
from roomtone.errors import Invalid
from roomtone.model import StreamKind
from roomtone.score import Bounds, StreamScore, Thresholds, Verdict
from roomtone.score.verdict import of_levels, steady
from tests.score.entries import entry, session

CODES = {"g": 0, "f": 1, "p": 2}


DEFAULT = Thresholds()


def scored(kind: StreamKind, count: int = 10, **changes: Any) -> StreamScore:
    one = session(**{kind: entry(kind, count, **changes)})
    return score.session(one).streams[kind][0]


@pytest.mark.parametrize(
    ("kind", "changes", "verdict", "figure"),
    [
        ("audioIn", {}, "good", ""),
        ("audioIn", {"packetLoss": 1.9}, "good", ""),
        ("audioIn", {"packetLoss": 2.0}, "fair", "packetLoss"),
        ("audioIn", {"packetLoss": 5.0}, "fair", "packetLoss"),
        ("audioIn", {"packetLoss": 5.1}, "poor", "packetLoss"),
        ("audioIn", {"latency": 199.0}, "good", ""),
        ("audioIn", {"latency": 200.0}, "fair", "latency"),
        ("audioIn", {"latency": 400.0}, "fair", "latency"),
        ("audioIn", {"latency": 401.0}, "poor", "latency"),
        ("audioIn", {"jitter": 19.9}, "good", ""),
        ("audioIn", {"jitter": 20.0}, "fair", "jitter"),
        ("audioIn", {"jitter": 30.0}, "fair", "jitter"),
        ("audioIn", {"jitter": 30.1}, "poor", "jitter"),
        ("audioIn", {"codec": "PCMU"}, "fair", "mos"),
        ("audioIn", {"codec": "G.729"}, "poor", "mos"),
        ("videoIn", {}, "good", ""),
        ("videoIn", {"jitter": 500.0}, "good", ""),
        ("videoIn", {"packetLoss": 2.0}, "fair", "packetLoss"),
        ("videoIn", {"packetLoss": 5.1}, "poor", "packetLoss"),
        ("videoIn", {"latency": 401.0}, "poor", "latency"),
        ("videoIn", {"frameRate": 14.5}, "good", ""),
        ("videoIn", {"frameRate": 12.0}, "fair", "frameRate"),
        ("videoIn", {"frameRate": 7.4}, "poor", "frameRate"),
        ("videoOut", {"frameRate": 6.9}, "poor", "frameRate"),
        ("shareIn", {}, "good", ""),
        ("shareIn", {"frameRate": 2.0}, "good", ""),
        ("shareIn", {"frameRate": 1.9}, "poor", "frameRate"),
        ("shareIn", {"frameRate": 3.0, "latency": 250}, "fair", "latency"),
        ("shareIn", {"frameRate": 2.4, "latency": 250}, "poor", "frameRate"),
        ("shareOut", {"jitter": 500.0}, "good", ""),
    ],
)
def test_a_figure_has_its_verdict(
    kind: StreamKind, changes: dict[str, Any], verdict: Verdict, figure: str
) -> None:
    found = scored(kind, **changes)
    assert set(found.verdicts) == {verdict}
    assert set(found.figures) == {figure}
    assert found.verdict == verdict


@pytest.mark.parametrize(
    ("usual", "then", "verdict"),
    [
        pytest.param(30, 24.1, "good", id="80 % of a camera of 30"),
        pytest.param(30, 24.0, "fair", id="not more than 80 %"),
        pytest.param(30, 14.9, "poor", id="less than half"),
        pytest.param(60, 24.1, "good", id="no more than 30 is expected"),
        pytest.param(15, 14.5, "good", id="a camera in a dim room"),
        pytest.param(15, 12.0, "fair", id="80 % of 15"),
        pytest.param(10, 10.0, "fair", id="no less than 15 is expected"),
    ],
)
def test_a_camera_is_expected_to_give_what_is_usual_for_it(
    usual: float, then: float, verdict: Verdict
) -> None:
    found = scored("videoIn", 20, frameRate=[usual] * 10 + [then] * 10)
    assert found.verdicts[-1] == verdict


@pytest.mark.parametrize(
    ("kind", "height", "loss", "verdict", "figure"),
    [
        ("videoOut", 720, 0.0, "good", ""),
        ("videoOut", 719, 0.0, "fair", "resolutionHeight"),
        ("videoOut", 180, 0.0, "fair", "resolutionHeight"),
        ("videoIn", 360, 2.0, "fair", "packetLoss"),
        ("videoIn", 359, 2.0, "poor", "resolutionHeight"),
        ("shareOut", 540, 0.0, "good", ""),
        ("shareIn", 539, 2.0, "poor", "resolutionHeight"),
    ],
)
def test_a_picture_has_a_verdict_by_the_height_that_was_to_be_expected(
    kind: StreamKind, height: int, loss: float, verdict: Verdict, figure: str
) -> None:
    expected: dict[StreamKind, float] = {
        "videoOut": 720.0,
        "videoIn": 720.0,
        "shareIn": 1080.0,
        "shareOut": 1080.0,
    }
    one = session(**{kind: entry(kind, resolutionHeight=height, packetLoss=loss)})
    found = score.session(one, expected=expected).streams[kind][0]
    assert set(found.verdicts) == {verdict}
    assert set(found.figures) == {figure}


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("g", "g"),
        ("p", "p"),
        ("pg", "pg"),
        ("gp", "gg"),
        ("pp", "pp"),
        ("ggggp", "ggggg"),
        ("gggpgggg", "gggggggg"),
        ("gggppggg", "ggggppgg"),
        ("gggpgpggg", "gggggpggg"),
        ("pppgppp", "ppppppp"),
        ("pppggppp", "ppppggpp"),
        ("gggfpfgg", "ggggfffg"),
        ("gggpfpgg", "ggggfpfg"),
        ("fffppgff", "ffffppff"),
        ("gg-p-p-", "gg-g-p-"),
        ("---", "---"),
        ("", ""),
    ],
)
def test_a_verdict_changes_when_two_of_three_intervals_have(raw: str, expected: str) -> None:
    levels = np.array([CODES.get(letter, 0) for letter in raw], dtype=np.int8)
    active = np.array([letter != "-" for letter in raw], dtype=np.bool_)
    found = steady(levels, active, np.zeros(len(raw), dtype=np.intp))
    assert "".join("gfp-"[level] for level in found) == expected


def test_hysteresis_goes_on_from_entry_to_entry_but_not_from_kind_to_kind() -> None:
    bad: dict[str, Any] = {"packetLoss": 20.0}
    audio = [entry("audioIn", 3), entry("audioIn", 1, at=5, **bad), entry("audioIn", 3, at=7)]
    found = score.session(session(audioIn=audio, audioOut=entry("audioOut", 1, **bad)))
    assert [one.verdicts for one in found.streams["audioIn"]] == [
        ["good"] * 3,
        ["good"],
        ["good"] * 3,
    ]
    assert found.streams["audioOut"][0].verdicts == ["poor"]


def test_muted_intervals_count_for_nothing() -> None:
    muted: dict[str, Any] = {
        "mediaBitRate": 90,
        "packetLoss": 40.0,
        "jitter": 200.0,
        "latency": 900.0,
    }
    values = {name: [value] * 5 for name, value in muted.items()}
    columns = {"mediaBitRate": 40_000, "packetLoss": 0.0, "jitter": 4.0, "latency": 40}
    mixed: dict[str, Any] = {name: [columns[name]] * 5 + values[name] for name in muted}
    found = scored("audioOut", 10, **mixed)
    assert found.verdicts == ["good"] * 5 + ["unclassified"] * 5
    assert found.cqd == ["good"] * 5 + ["unclassified"] * 5
    assert (found.verdict, found.minutes, found.minutes_poor) == ("good", 5, 0)


def test_whoever_is_muted_all_the_time_is_unclassified() -> None:
    found = score.session(session(audioOut=entry("audioOut", mediaBitRate=90, packetLoss=[])))
    assert (found.verdict, found.minutes, found.network) == ("unclassified", 0, None)


def test_sound_of_which_nearly_nothing_arrives_is_not_muted() -> None:
    assert scored("audioIn", packetLoss=97.0, mediaBitRate=1_200).verdict == "poor"
    assert scored("audioIn", packetLoss=100.0, mediaBitRate=0).verdict == "poor"


def test_a_camera_that_is_off_counts_for_nothing() -> None:
    found = scored("videoOut", mediaBitRate=800, frameRate=1.0)
    assert set(found.verdicts) == {"unclassified"}


def test_a_screen_that_stands_still_counts_for_nothing() -> None:
    still: dict[str, Any] = {"mediaBitRate": 20_000, "frameRate": 0.5}
    assert set(scored("shareIn", **still).verdicts) == {"unclassified"}
    assert set(scored("shareIn", **still, packetLoss=8.0).verdicts) == {"poor"}


def test_a_small_received_picture_on_a_clean_road_is_layout_and_no_fault() -> None:
    heights = [720] * 5 + [90] * 5
    rates = [1_500_000] * 5 + [70_000] * 5
    found = scored("videoIn", resolutionHeight=heights, mediaBitRate=rates)
    assert set(found.verdicts) == {"good"}
    assert found.mos_p10 is not None
    assert found.mos_p10 > 3.5


@pytest.mark.parametrize(
    "trouble",
    [{"packetLoss": 3.0}, {"latency": 300.0}, {"frameRate": [30.0] * 5 + [12.0] * 5}],
    ids=["loss", "latency", "fewer pictures"],
)
def test_a_small_received_picture_with_trouble_is_a_fault(trouble: dict[str, Any]) -> None:
    heights = [720] * 5 + [180] * 5
    rates = [1_500_000] * 5 + [160_000] * 5
    found = scored("videoIn", resolutionHeight=heights, mediaBitRate=rates, **trouble)
    assert found.verdicts[-1] == "poor"
    assert found.mos[-1] is not None
    assert found.mos[-1] < 1.5


def test_a_small_sent_picture_on_a_clean_road_is_fair() -> None:
    heights = [720] * 5 + [180] * 5
    rates = [1_500_000] * 5 + [160_000] * 5
    found = scored("videoOut", resolutionHeight=heights, mediaBitRate=rates)
    assert found.verdicts == ["good"] * 6 + ["fair"] * 4
    assert found.figures[-1] == "resolutionHeight"


@pytest.mark.parametrize(
    ("kind", "columns"),
    [
        ("audioIn", {"packetLoss": [], "jitter": 4.0, "latency": 40}),
        ("audioIn", {"packetLoss": [], "jitter": [], "latency": []}),
        ("videoIn", {"packetLoss": [], "frameRate": [], "resolutionHeight": []}),
        ("videoIn", {"packetLoss": [], "frameRate": [], "latency": 40}),
    ],
)
def test_what_is_not_known_is_unclassified_and_not_good(
    kind: StreamKind, columns: dict[str, Any]
) -> None:
    assert set(scored(kind, 3, **columns).verdicts) == {"unclassified"}


def test_one_bad_figure_is_enough_to_be_poor() -> None:
    assert scored("audioIn", packetLoss=[], jitter=4.0, latency=900.0).verdict == "poor"


@pytest.mark.parametrize(
    ("count", "interval_s", "verdict"),
    [(1, 59, "unclassified"), (1, 60, "good"), (5, 10, "unclassified"), (6, 10, "good")],
)
def test_under_a_minute_is_unclassified(count: int, interval_s: int, verdict: Verdict) -> None:
    found = score.session(session(audioIn=entry("audioIn", count, interval_s=interval_s)))
    assert found.verdict == verdict
    assert found.streams["audioIn"][0].verdict == verdict


@pytest.mark.parametrize(
    ("levels", "verdict"),
    [
        ("g" * 20, "good"),
        ("g" * 18 + "pp", "good"),
        ("g" * 17 + "ppp", "poor"),
        ("g" * 54 + "p" * 6, "good"),
        ("g" * 53 + "p" * 7, "poor"),
        ("p", "fair"),
        ("pp", "poor"),
        ("pg", "fair"),
        ("p" + "-" * 9, "fair"),
        ("g" * 18 + "ff", "good"),
        ("g" * 17 + "ffp", "fair"),
        ("g" * 17 + "fff", "fair"),
        ("-" * 20, "unclassified"),
        ("", "unclassified"),
    ],
)
def test_a_stream_is_poor_when_more_than_a_tenth_and_two_intervals_are(
    levels: str, verdict: Verdict
) -> None:
    found = of_levels(
        np.array(["gfp-".index(letter) for letter in levels], dtype=np.int8),
        np.full(len(levels), 60_000.0),
        np.zeros(len(levels), dtype=np.intp),
        1,
        DEFAULT,
    )
    assert [score.VERDICTS[level] for level in found] == [verdict]


@pytest.mark.parametrize(
    ("kind", "changes", "verdict"),
    [
        ("audioIn", {}, "good"),
        ("audioIn", {"latency": 501.0}, "poor"),
        ("audioIn", {"latency": 500.0}, "good"),
        ("audioIn", {"packetLoss": 10.1}, "poor"),
        ("audioIn", {"packetLoss": 10.0}, "good"),
        ("audioIn", {"jitter": 30.1}, "poor"),
        ("audioIn", {"jitter": 30.0}, "good"),
        ("videoIn", {"frameRate": 6.9}, "poor"),
        ("videoIn", {"frameRate": 7.0}, "good"),
        ("videoIn", {"packetLoss": 16.0, "latency": 300}, "poor"),
        ("videoIn", {"packetLoss": 16.0, "latency": 100}, "good"),
        ("videoIn", {"jitter": 300.0}, "good"),
        ("shareIn", {"frameRate": 1.9}, "poor"),
        ("shareIn", {"frameRate": 2.0}, "good"),
    ],
)
def test_the_dashboards_verdict_stands_beside_ours(
    kind: StreamKind, changes: dict[str, Any], verdict: Verdict
) -> None:
    one = score.session(session(**{kind: entry(kind, **changes)}))
    assert set(one.streams[kind][0].cqd) == {verdict}
    assert one.cqd == verdict


def test_the_dashboard_judges_the_mean_of_a_stream_of_a_minute_and_500_packets() -> None:
    spike = entry("audioIn", latency=[40.0] * 9 + [5_000.0])
    found = score.session(session(audioIn=spike))
    assert found.cqd == "poor"
    assert found.streams["audioIn"][0].cqd == ["good"] * 9 + ["poor"]
    short = score.session(session(audioIn=entry("audioIn", 1, interval_s=59, packetLoss=50.0)))
    assert short.cqd == "unclassified"
    thin = score.session(session(audioIn=entry("audioIn", 10, interval_s=10, packetLoss=50.0)))
    assert set(thin.streams["audioIn"][0].cqd) == {"unclassified"}


def test_thresholds_of_an_organisation_change_what_is_shown() -> None:
    strict = convert({"lossPercent": {"good": 0.5, "poor": 1.0}}, Thresholds)
    one = session(audioIn=entry("audioIn", packetLoss=1.5))
    assert score.session(one).verdict == "good"
    assert score.session(one, thresholds=strict).verdict == "poor"


def test_the_defaults_are_checked_and_stay_the_same() -> None:
    assert score.checked(DEFAULT) == Thresholds()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("loss_percent", Bounds(5.0, 2.0)),
        ("loss_percent", Bounds(2.0, 2.0)),
        ("loss_percent", Bounds(2.0, 101.0)),
        ("loss_percent", Bounds(-1.0, 5.0)),
        ("loss_percent", Bounds(float("nan"), 5.0)),
        ("latency_ms", Bounds(400.0, 200.0)),
        ("jitter_ms", Bounds(30.0, float("inf"))),
        ("audio_mos", Bounds(3.0, 4.0)),
        ("audio_mos", Bounds(5.1, 4.0)),
        ("video_mos", Bounds(2.0, 2.0)),
        ("frame_rate_percent", Bounds(50.0, 80.0)),
        ("height_percent", Bounds(50.0, 80.0)),
        ("cpu_percent", Bounds(80.0, 60.0)),
        ("cpu_max_percent", 101.0),
        ("camera_fps_min", 31.0),
        ("share_fps_min", 5.0),
        ("camera_fps", 0.0),
        ("poor_share_percent", -1.0),
        ("active_s_min", float("nan")),
    ],
)
def test_fair_must_be_between_good_and_poor(field: str, value: Any) -> None:
    changed = structs.replace(DEFAULT, **{field: value})
    (shown,) = (one.encode_name for one in structs.fields(Thresholds) if one.name == field)
    with pytest.raises(Invalid, match=shown.removesuffix("Min")):
        score.checked(changed)
