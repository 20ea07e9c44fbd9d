"""A session as a whole, what it knows of the others, and the meeting that sessions make."""

from statistics import median
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct, structs

from roomtone import score, simulate
from roomtone.model import STREAM_KINDS, MediaSession, Resources, StreamKind
from roomtone.score import SessionScore, Verdict
from tests.score.entries import START_MS, entry, session

BAD: dict[str, Any] = {"packetLoss": 8.4}


def test_scores_are_parallel_to_the_sessions_entries() -> None:
    one = session(
        audioIn=[entry("audioIn", 2), entry("audioIn", 3, at=5)],
        shareOut=entry("shareOut", 4),
        videoIn=entry("videoIn", 0),
    )
    found = score.session(one)
    assert {kind: [len(one.mos) for one in scores] for kind, scores in found.streams.items()} == {
        "audioIn": [2, 3],
        "videoIn": [0],
        "shareOut": [4],
    }
    for scores in found.streams.values():
        for stream in scores:
            assert len(stream.mos) == len(stream.verdicts) == len(stream.cqd)
            assert len(stream.mos) == len(stream.figures)


def test_columns_may_differ_in_length() -> None:
    found = score.session(session(audioIn=entry("audioIn", 4, packetLoss=[0.0, 0.0])))
    assert found.streams["audioIn"][0].verdicts == ["good", "good", "unclassified", "unclassified"]


@pytest.mark.parametrize("one", [session(), session(videoOut=entry("videoOut", 0))])
def test_a_session_without_data_is_unclassified(one: MediaSession) -> None:
    found = score.session(one)
    assert (found.verdict, found.because, found.minutes) == ("unclassified", "", 0)
    assert (found.network, found.device, found.cqd) == (None, None, "unclassified")


def test_a_participant_is_as_good_as_the_worst_of_what_is_active() -> None:
    one = session(
        audioIn=entry("audioIn", 20),
        audioOut=entry("audioOut", 20, packetLoss=[0.0] * 10 + [8.4] * 10),
        videoIn=entry("videoIn", 20, packetLoss=2.5),
    )
    found = score.session(one)
    assert found.verdicts == {"audioIn": "good", "audioOut": "poor", "videoIn": "fair"}
    assert (found.verdict, found.kind, found.figure) == ("poor", "audioOut", "packetLoss")
    assert found.because == "8.4 % packet loss in sent audio, 9 of 20 min"
    assert (found.minutes, found.minutes_poor, found.minutes_fair) == (20, 9, 11)


@pytest.mark.parametrize(
    ("streams", "because"),
    [
        ({"audioIn": entry("audioIn", latency=450.0)}, "450 ms round trip in received audio"),
        ({"audioOut": entry("audioOut", jitter=44.0)}, "44 ms jitter in sent audio"),
        ({"videoOut": entry("videoOut", frameRate=9.5)}, "9.5 pictures a second in sent video"),
        ({"audioIn": entry("audioIn", codec="G.729")}, "MOS 2.9 with G.729 in received audio"),
        ({"shareIn": entry("shareIn", packetLoss=30.0)}, "30.0 % packet loss in received share"),
        ({"audioIn": entry("audioIn")}, ""),
    ],
)
def test_what_made_it_poor_is_one_phrase(streams: dict[str, Any], because: str) -> None:
    found = score.session(session(**streams)).because
    assert found == (f"{because}, 10 of 10 min" if because else "")


def test_minutes_in_the_phrase_are_rounded() -> None:
    one = session(shareIn=entry("shareIn", interval_s=20, packetLoss=30.0))
    assert score.session(one).because.endswith(", 3.3 of 3.3 min")


def test_of_two_poor_streams_the_one_that_was_poor_for_longer_is_named() -> None:
    one = session(
        audioIn=entry("audioIn", 20, jitter=[4.0] * 15 + [35.0] * 5),
        audioOut=entry("audioOut", 20, packetLoss=[0.0] * 5 + [9.0] * 15),
    )
    assert score.session(one).kind == "audioOut"


def test_minutes_are_of_the_clock() -> None:
    """Two streams that are poor in the same minutes, a third in others, one with a gap."""
    one = session(
        audioIn=entry("audioIn", 4, **BAD),
        videoIn=entry("videoIn", 4, **BAD),
        audioOut=[entry("audioOut", 2, at=2, **BAD), entry("audioOut", 2, at=10, **BAD)],
    )
    found = score.session(one)
    assert (found.minutes, found.minutes_poor, found.minutes_fair) == (6, 6, 0)
    assert found.streams["audioOut"][1].minutes_poor == 2


def test_intervals_of_other_lengths_count_by_their_length() -> None:
    one = session(audioIn=[entry("audioIn", 30, interval_s=10), entry("audioIn", 5, at=10, **BAD)])
    found = score.session(one)
    assert (found.minutes, found.minutes_poor) == (10, 4)
    assert found.verdict == "poor"


def test_the_mean_and_the_percentile_are_of_what_counts() -> None:
    loss = [0.0] * 9 + [10.0]
    bit_rate = [40_000] * 10
    found = score.session(
        session(
            audioOut=entry("audioOut", 11, packetLoss=[*loss, 50.0], mediaBitRate=[*bit_rate, 90])
        )
    ).streams["audioOut"][0]
    known = [mos for mos in found.mos[:10] if mos is not None]
    assert found.mos_mean == pytest.approx(sum(known) / 10)
    assert found.mos_p10 == pytest.approx(float(np.percentile(known, 10)))


@pytest.mark.parametrize(
    ("changes", "network"),
    [
        ({"latency": 0, "jitter": 0.0}, 100),
        ({"latency": 200, "jitter": 0.0}, 80),
        ({"latency": 400, "jitter": 0.0}, 50),
        ({"latency": 600, "jitter": 0.0}, 25),
        ({"latency": 9_000, "jitter": 0.0}, 0),
        ({"latency": 0, "jitter": 30.0}, 50),
        ({"latency": 0, "jitter": 0.0, "packetLoss": 3.5}, 65),
        ({"latency": 400, "jitter": 0.0, "packetLoss": 2.0}, 50),
    ],
)
def test_the_network_is_as_good_as_its_worst_figure(
    changes: dict[str, Any], network: float
) -> None:
    found = score.session(session(audioIn=entry("audioIn", **changes)))
    assert found.network == pytest.approx(network)


def test_the_jitter_of_video_is_not_the_networks() -> None:
    assert score.session(session(videoIn=entry("videoIn", latency=0, jitter=90.0))).network == 100


@pytest.mark.parametrize(
    ("average", "greatest", "device"),
    [
        ([0.0], [0.0], 100),
        ([60.0], [], 80),
        ([80.0], [], 50),
        ([90.0], [], 25),
        ([100.0], [], 0),
        ([10.0], [67.5], 95),
        ([10.0], [90.0], 50),
        ([10.0], [100.0], 0),
        ([60.0, 100.0], [60.0, None], 40),
        ([None], [None], None),
        ([], [], None),
    ],
)
def test_the_device_is_as_good_as_its_processor_is_idle(
    average: list[float | None], greatest: list[float | None], device: float | None
) -> None:
    cpu = Resources(systemAverageCPU=average, systemMaxCPU=greatest)
    one = session()
    one.resources = [cpu]
    found = score.session(one).device
    assert found == (None if device is None else pytest.approx(device, abs=2))


def test_the_far_leg_is_the_median_of_the_others() -> None:
    sessions = [
        session(audioOut=entry("audioOut", latency=latency)) for latency in (10, 20, 30, 200)
    ]
    found = score.fars(sessions)
    assert [far.latency_ms[0] for far in found] == [30, 30, 20, 20]
    assert all(len(far.latency_ms) == 10 for far in found)
    assert found[0].start_ms == START_MS + 30_000


def test_between_two_the_far_leg_is_the_others() -> None:
    pair = [session(audioOut=entry("audioOut", latency=latency)) for latency in (10, 300)]
    near, far = score.fars(pair)
    assert set(near.latency_ms) == {300}
    assert set(far.latency_ms) == {10}
    talk = score.session(pair[0], far=near).streams["audioOut"][0].conversational[0]
    alone = score.session(pair[0]).streams["audioOut"][0].conversational[0]
    assert talk is not None
    assert alone is not None
    assert talk < alone


def test_whoever_is_alone_has_no_far_leg() -> None:
    assert set(score.fars([session(audioOut=entry("audioOut"))])[0].latency_ms) == {None}
    assert score.fars([]) == []
    assert score.fars([session()])[0].latency_ms == [None]


@given(st.lists(st.one_of(st.none(), st.integers(0, 1_000)), min_size=1, max_size=8))
def test_the_far_leg_is_the_statistical_median(latencies: list[int | None]) -> None:
    sessions = [session(audioIn=entry("audioIn", 1, latency=[latency])) for latency in latencies]
    for index, far in enumerate(score.fars(sessions)):
        others = [value for at, value in enumerate(latencies) if at != index and value is not None]
        assert far.latency_ms == [median(others) if others else None]


def same(one: Any, other: Any) -> bool:
    """Whether two scores are, floats up to the last digits: processors add in other orders."""
    if isinstance(one, float) and isinstance(other, float):
        return one == pytest.approx(other, rel=1e-12)
    if isinstance(one, Struct):
        return type(one) is type(other) and same(structs.asdict(one), structs.asdict(other))
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def test_sessions_together_have_the_scores_that_they_have_alone() -> None:
    made = simulate.meeting(seed=3, index=2, participants=5, minutes=30, start_ms=START_MS).sessions
    odd = session(
        videoIn=[entry("videoIn", 0), entry("videoIn", 3, at=90)],
        shareOut=entry("shareOut", 7, interval_s=10),
    )
    mixed = [session(), *made, odd, session(audioIn=entry("audioIn", 5, **BAD)), session()]
    fars = [*score.fars(mixed[:-2]), None, None]
    expected: list[Any] = [None, {"videoIn": 720}, *[None] * (len(mixed) - 2)]
    together = score.sessions(mixed, fars=fars, expected=expected)
    alone = [
        score.session(one, far=far, expected=height)
        for one, far, height in zip(mixed, fars, expected, strict=True)
    ]
    assert len(together) == len(mixed)
    assert all(map(same, together, alone))
    assert score.sessions([]) == []


def summed(*verdicts: Verdict) -> score.MeetingScore:
    because = "450 ms round trip in sent audio, 3 of 9 min"
    return score.meeting(
        [
            SessionScore(
                verdict=verdict, because="" if verdict == "good" else because,
                minutes=10, minutes_poor=3 if verdict == "poor" else 0,
                kind="audioOut", figure="latency",
            )
            for verdict in verdicts
        ]
    )  # fmt: skip


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        ([], "unclassified"),
        (["unclassified"] * 3, "unclassified"),
        (["good", "unclassified"], "good"),
        (["good", "poor"], "poor"),
        (["good"] * 9 + ["poor"], "fair"),
        (["good"] * 8 + ["poor"], "poor"),
        (["good"] * 18 + ["poor"] * 2, "fair"),
        (["good"] * 17 + ["poor"] * 3, "poor"),
        (["good"] * 9 + ["fair"], "good"),
        (["good"] * 8 + ["fair"], "fair"),
        (["good"] * 2 + ["fair"] * 2, "fair"),
    ],
)
def test_a_meeting_is_poor_when_more_than_a_tenth_of_its_participants_are(
    verdicts: list[Verdict], expected: Verdict
) -> None:
    found = summed(*verdicts)
    assert found.verdict == expected
    assert {verdict: n for verdict, n in found.counts.items() if n} == {
        verdict: verdicts.count(verdict) for verdict in verdicts
    }


def test_a_meeting_says_for_how_many_and_why() -> None:
    found = summed("good", "poor", "poor", "unclassified")
    assert found.because == "2 of 3 participants poor: 450 ms round trip in sent audio, 3 of 9 min"
    assert (found.minutes, found.minutes_poor) == (40, 6)


def times(verdict: Verdict, minutes: float, bad: float = 0) -> SessionScore:
    """A session of somebody who comes several times."""
    made = SessionScore(verdict=verdict, minutes=minutes, kind="audioIn", figure="mos")
    made.minutes_poor = bad if verdict == "poor" else 0
    made.minutes_fair = bad if verdict == "fair" else 0
    made.because = "" if verdict == "good" else "why"
    return made


@pytest.mark.parametrize(
    ("sessions", "verdict"),
    [
        ([times("poor", 5, 5), times("poor", 5, 5)], "poor"),
        ([times("poor", 2, 2), times("good", 8)], "poor"),
        ([times("poor", 2, 2), times("good", 18)], "good"),
        ([times("poor", 2, 1), times("fair", 8, 8), times("good", 10)], "fair"),
        ([times("good", 8), times("fair", 8, 4)], "fair"),
        ([times("unclassified", 0), times("good", 5)], "good"),
        ([SessionScore(minutes=0.9, minutes_fair=0.9), times("good", 5)], "good"),
    ],
)
def test_who_comes_back_is_one_participant(sessions: list[SessionScore], verdict: Verdict) -> None:
    found = score.meeting([*sessions, times("good", 10)], [*["ada"] * len(sessions), "bob"])
    ada, bob = found.people
    assert (ada.participant, ada.verdict, ada.sessions) == ("ada", verdict, len(sessions))
    assert (bob.participant, bob.verdict, bob.minutes) == ("bob", "good", 10)
    assert found.verdict == verdict
    if verdict != "good":
        assert found.because == f"1 of 2 participants {verdict}: why"


def test_sessions_of_nobody_known_are_different_people() -> None:
    assert len(score.meeting([times("good", 5), times("good", 5)], ["", ""]).people) == 2


number = st.one_of(st.none(), st.floats(), st.integers(-5, 2**53))
columns = st.fixed_dictionaries(
    {
        name: st.lists(number, max_size=4)
        for name in (
            "packetLoss",
            "latency",
            "resolutionHeight",
            "frameRate",
            "mediaBitRate",
            "jitter",
        )
    }
)


@given(st.lists(st.tuples(st.sampled_from(STREAM_KINDS), columns), max_size=5))
def test_whatever_the_columns_hold_there_is_a_score(
    rows: list[tuple[StreamKind, dict[str, Any]]],
) -> None:
    streams: dict[str, Any] = {}
    for kind, values in rows:
        streams.setdefault(kind, []).append(entry(kind, 4, **values))
    found = score.session(session(**streams))
    assert found.verdict in score.VERDICTS
    assert 0 <= found.minutes_poor + found.minutes_fair <= found.minutes + 1e-9
    for stream in (one for scores in found.streams.values() for one in scores):
        assert all(mos is None or 1 <= mos <= 4.9 for mos in stream.mos)
        assert set(stream.verdicts) <= set(score.VERDICTS)
