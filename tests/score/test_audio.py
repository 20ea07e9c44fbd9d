"""The sound of a session: what columns become, and mistakes that others shipped."""

from math import nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roomtone import score
from roomtone.model import MediaSession
from roomtone.score import StreamScore, audio, codecs, emodel
from roomtone.score.emodel import FULLBAND
from tests.score.entries import START_MS, entry, session

OPUS_40 = codecs.opus(40)


def heard(one: MediaSession, **options: object) -> StreamScore:
    return score.session(one, **options).streams["audioIn"][0]  # type: ignore[arg-type]


def listening(loss: float, codec: codecs.Codec = OPUS_40) -> float:
    return float(audio.score(codec, loss_percent=loss).listening)


def test_loss_is_a_percentage_and_not_a_fraction() -> None:
    """5 is five percent; taken for a fraction it would be all, 0.05 would be next to nothing."""
    found = heard(session(audioIn=entry("audioIn", 3, packetLoss=[5.0, 0.05, 0.0])))
    five, twentieth, none = found.mos
    assert five == pytest.approx(listening(5))
    assert five is not None
    assert 3.3 < five < 3.5
    assert twentieth == pytest.approx(listening(0.05))
    assert none == pytest.approx(4.40, abs=0.01)


def test_a_round_trip_is_halved_before_it_is_a_delay() -> None:
    found = heard(session(audioIn=entry("audioIn", latency=200, jitter=4.0)))
    assert float(audio.one_way_ms(200, 200, 4)) == 100 + 100 + 20 + 46.5
    impairment = emodel.effective_impairment(OPUS_40.ie, bpl=OPUS_40.bpl, loss_percent=0)
    rating = emodel.rating(FULLBAND, impairment=impairment, one_way_ms=266.5)
    assert found.conversational[0] == pytest.approx(float(emodel.mos(rating)))


def test_each_interval_stands_for_itself_and_no_running_mean_for_it() -> None:
    """Averages of a cumulative loss hide a burst at the end and smear one at the beginning."""
    late = heard(session(audioIn=entry("audioIn", 4, packetLoss=[0.0, 0.0, 0.0, 12.0]))).mos
    early = heard(session(audioIn=entry("audioIn", 4, packetLoss=[12.0, 0.0, 0.0, 0.0]))).mos
    assert late == early[::-1]
    assert late[0] == late[2] == pytest.approx(listening(0))
    assert late[3] == pytest.approx(listening(12))


@pytest.mark.parametrize(
    ("jitter", "buffer"), [(0, 20), (5, 20), (10, 20), (15, 30), (60, 120), (nan, 20)]
)
def test_the_jitter_buffer_holds_twice_the_jitter(jitter: float, buffer: float) -> None:
    assert float(audio.jitter_buffer_ms(jitter)) == buffer


@pytest.mark.parametrize(
    ("jitter", "late"),
    [(0, 0), (20, 0), (30, 0.0075), (40, 0.015), (60, 0.03), (500, 0.03), (nan, 0)],
)
def test_what_comes_late_is_lost(jitter: float, late: float) -> None:
    assert float(audio.late_loss(jitter)) == pytest.approx(late)


def test_late_packets_add_to_lost_ones_and_cannot_make_more_than_all() -> None:
    assert float(audio.played_loss_percent(10, 60)) == pytest.approx(100 * (1 - 0.9 * 0.97))
    assert float(audio.played_loss_percent(100, 60)) == 100


def test_the_far_leg_counts_where_it_is_known() -> None:
    one = session(audioIn=entry("audioIn", 3, latency=40))
    far = score.Far(start_ms=START_MS, interval_s=60, latency_ms=[500, None])
    first, second, third = heard(one, far=far).conversational
    assert first is not None
    assert second is not None
    assert first < second == third == heard(one).conversational[0]


def test_without_latency_a_conversation_has_no_score_but_listening_has() -> None:
    found = heard(session(audioIn=entry("audioIn", 2, latency=[])))
    assert found.conversational == [None, None]
    assert None not in found.mos


@pytest.mark.parametrize(
    ("codec", "fullband", "native"),
    [
        ("PCMU", 3.253, 4.409),
        ("G.722", 3.961, 4.337),
        ("AMR-WB", 3.763, 4.182),
        ("Opus", 4.401, 4.401),
    ],
)
def test_every_codec_has_a_score_on_the_fullband_scale_and_one_on_its_own(
    codec: str, fullband: float, native: float
) -> None:
    found = heard(session(audioIn=entry("audioIn", codec=codec)))
    assert found.mos[0] == pytest.approx(fullband, abs=5e-4)
    assert found.native[0] == pytest.approx(native, abs=5e-4)


def test_an_unknown_codec_has_a_score_that_is_not_grounded() -> None:
    assert not heard(session(audioIn=entry("audioIn", codec="Codec 2"))).grounded
    assert heard(session(audioIn=entry("audioIn"))).grounded


def test_over_tcp_nothing_is_lost_but_that_is_a_guess() -> None:
    found = heard(session(audioIn=entry("audioIn", packetLoss=[], transportType="TCP")))
    assert found.mos[0] == pytest.approx(listening(0))
    assert not found.grounded
    assert found.verdict == "good"


def test_unknown_loss_over_udp_has_no_score() -> None:
    found = heard(session(audioIn=entry("audioIn", packetLoss=[], transportType="UDP")))
    assert found.mos == [None] * 10
    assert found.verdict == "unclassified"


def test_the_rate_of_speech_counts_in_silence_and_in_later_entries() -> None:
    speech = entry("audioIn", 5, mediaBitRate=40_000)
    silence = entry("audioIn", 5, at=9, mediaBitRate=5_000)
    found = score.session(session(audioIn=[speech, silence])).streams["audioIn"]
    assert found[0].mos == found[1].mos


@pytest.mark.parametrize("bad", [nan, -1.0, 101.0, float("inf")])
def test_a_loss_that_cannot_be_is_unknown(bad: float) -> None:
    found = heard(session(audioIn=entry("audioIn", 3, packetLoss=[0.0, bad, 0.0])))
    assert found.mos[1] is None
    assert found.verdicts == ["good", "unclassified", "good"]


maybe = st.one_of(st.none(), st.floats(0, 100))
times = st.one_of(st.none(), st.floats(0, 5_000))
rates = st.one_of(st.none(), st.integers(0, 200_000))
labels = st.sampled_from(["Opus", "G.722", "PCMU", "G.729", "EVS", "AMR-WB", "AAC-LD", "", "x"])


@given(
    label=labels,
    rows=st.lists(st.tuples(maybe, times, times, rates), max_size=8),
    transport=st.sampled_from(["UDP", "TCP", ""]),
)
def test_scores_are_between_1_and_4_5_or_unknown(
    label: str,
    rows: list[tuple[float | None, float | None, float | None, int | None]],
    transport: str,
) -> None:
    loss, latency, jitter, rate = ([row[i] for row in rows] for i in range(4))
    one = entry(
        "audioIn", codec=label, packetLoss=loss, latency=latency, jitter=jitter,
        mediaBitRate=rate, transportType=transport,
    )  # fmt: skip
    found = heard(session(audioIn=one))
    for values in (found.mos, found.conversational, found.native):
        assert len(values) == len(rows)
        assert all(value is None or 1 <= value <= 4.5 for value in values)
    for mos, talk in zip(found.mos, found.conversational, strict=True):
        assert mos is None or talk is None or talk <= mos + 1e-9


@given(label=labels, kbps=st.floats(5, 64), loss=st.floats(0, 100), more=st.floats(0, 100),
       jitter=st.floats(0, 200), worse=st.floats(0, 200), rtt=times, longer=times)  # fmt: skip
def test_no_score_rises_with_loss_jitter_or_latency(
    label: str, kbps: float, loss: float, more: float, jitter: float, worse: float,
    rtt: float | None, longer: float | None,
) -> None:  # fmt: skip
    codec = codecs.audio(label, kbps)
    losses, jitters = sorted((loss, more)), sorted((jitter, worse))
    trips = sorted((rtt or 0.0, longer or 0.0))
    good, bad = (
        audio.score(codec, loss_percent=losses[i], jitter_ms=jitters[i], latency_ms=trips[i])
        for i in (0, 1)
    )
    for better, less in zip(good, bad, strict=True):
        assert float(less) <= float(better) + 1e-9
