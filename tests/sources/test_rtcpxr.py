"""RFC 6035 reports as sessions: what each line becomes, and what breaks a rule at which line."""

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roomtone.model import (
    COLUMNS,
    STREAM_KINDS,
    MediaSession,
    Stream,
    column_of,
    epoch_ms,
    streams_of,
)
from roomtone.sources import rtcpxr
from roomtone.sources.rtcpxr import Refused, Report, Told, uncovered
from tests.sources.vqs import POLY, SNOM, START, STOP, body, linphone

LATEST_MS = epoch_ms("2026-11-24T10:00:00Z")
EARLIEST_MS = epoch_ms("2000-01-01T00:00:00Z")


def read(raw: bytes) -> Report:
    return rtcpxr.read(raw, earliest_ms=EARLIEST_MS, latest_ms=LATEST_MS)


def placed(*bodies: bytes) -> dict[str, list[MediaSession]]:
    """Sessions by participant, of reports that come one after the other."""
    told: dict[str, Told] = {}
    found: dict[str, list[MediaSession]] = {}
    for raw in bodies:
        report = read(raw)
        who = report.session.participantId
        told[who] = rtcpxr.place(report, told.get(who, {}))
        found.setdefault(who, []).append(report.session)
    return found


def only(raw: bytes) -> MediaSession:
    ((session,),) = placed(raw).values()
    return session


def spans(sessions: list[MediaSession], kind: Any) -> list[tuple[str, float]]:
    return [(s.startTime, s.samplingInterval) for one in sessions for s in streams_of(one, kind)]


# -- real bodies


def test_what_linphone_published_is_two_participants_of_one_call() -> None:
    alice, bob = placed(*linphone()).values()
    assert {one.meetingInstanceId for one in (*alice, *bob)} == {"E8BH9K5xHc"}
    assert {one.webexUserName for one in alice} == {"alice@10.77.0.2"}
    assert {one.clientVersion for one in bob} == {"Linphonec/5.1.65"}
    assert {one.localIP for one in bob} == {"10.77.0.2"}
    assert alice[-1].joinTime == "2026-11-23T05:24:48.000Z"
    assert alice[-1].leaveTime == "2026-11-23T05:25:19.000Z"


def test_linphones_intervals_that_all_begin_with_the_call_follow_each_other() -> None:
    alice, bob = placed(*linphone()).values()
    assert spans(alice, "audioIn") == [
        ("2026-11-23T05:24:48.000Z", 10),
        ("2026-11-23T05:24:58.000Z", 11),
        ("2026-11-23T05:25:09.000Z", 10),
    ]
    latency = [streams_of(one, "audioIn")[0].latency for one in alice[:3]]
    far = [streams_of(one, "audioOut")[0].latency for one in alice[:3]]
    assert (latency, far) == ([[170], [161], [179]], [[166], [168], [175]])
    assert not streams_of(alice[3], "audioIn")  # the session report has nothing to add
    assert {s.codec for one in bob for s in streams_of(one, "audioIn")} == {"Opus"}
    assert not any(s.packetLoss or s.jitter for one in bob for s in streams_of(one, "audioIn"))


def test_a_line_of_zeros_is_not_a_measurement() -> None:
    (stream,) = only(SNOM.encode()).audioIn
    assert (stream.packetLoss, stream.latency, stream.jitter) == ([0.0], [], [])
    assert (stream.samplingInterval, stream.codec) == (7, "PCMA")


def test_the_calls_lines_may_stand_within_the_metrics() -> None:
    session = only(POLY.encode())
    assert session.meetingInstanceId == "41a24694-78e60cfb-69fb60f8@10.2.0.52"
    assert session.webexUserName == ""  # which of From and To is local is not said
    (stream,) = session.audioIn
    assert (stream.packetLoss, stream.latency, stream.jitter) == ([1.2], [2], [0])
    assert (stream.samplingInterval, stream.codec) == (205, "G.722")


# -- what a line becomes


def test_local_metrics_are_what_came_in_and_remote_ones_what_went_out() -> None:
    remote = f"Timestamps: START={START} STOP={STOP}\nPacketLoss: NLR=5\nDelay: RTD=44 IAJ=7"
    session = only(body(remote=remote))
    (came,), (went,) = session.audioIn, session.audioOut
    assert (came.packetLoss, came.latency, came.jitter) == ([0.8], [42], [3])
    assert (went.packetLoss, went.latency, went.jitter) == ([5], [44], [7])
    assert (came.startTime, came.endTime) == (
        "2026-11-23T07:47:14.000Z",
        "2026-11-23T07:49:14.000Z",
    )
    assert came.samplingInterval == went.samplingInterval == 120
    assert came.mediaBitRate == came.frameRate == came.resolutionHeight == []


def test_remote_metrics_without_times_are_of_the_same_time() -> None:
    (went,) = only(body(remote="PacketLoss: NLR=5")).audioOut
    assert (went.startTime, went.samplingInterval) == ("2026-11-23T07:47:14.000Z", 120)
    assert went.codec == ""


@pytest.mark.parametrize(
    ("described", "kind", "codec"),
    [
        ("PT=0", "audioIn", "PCMU"),
        ("PT=96", "audioIn", ""),
        ("", "audioIn", ""),
        ('PT=107 PD=opus SR=48000 FMTP="useinbandfec=1"', "audioIn", "Opus"),
        ("PT=34 PD=H263", "videoIn", "H263"),
        ("PT=99 PD=x SR=90000", "videoIn", "x"),
        ('PD=H264 SR=90000 FMTP="profile-level-id=42e01f"', "videoIn", "H.264 CBP"),
    ],
)
def test_the_description_says_which_stream_and_codec(described: str, kind: Any, codec: str) -> None:
    (stream,) = streams_of(only(body(described=described)), kind)
    assert stream.codec == codec


@pytest.mark.parametrize(
    ("local", "name"),
    [
        ('"Ada Example" <sip:ada@pbx.example.com>', "Ada Example"),
        ("Ada <sips:ada@pbx.example.com;transport=tls>", "Ada"),
        ("<sip:ada@pbx.example.com;user=phone>", "ada@pbx.example.com"),
        ("sip:ada@pbx.example.com", "ada@pbx.example.com"),
        ("tel:+4912345", "+4912345"),
        ("", ""),
    ],
)
def test_a_participant_is_named_as_local_id_says(local: str, name: str) -> None:
    assert only(body(local=local)).webexUserName == name


def test_the_id_is_of_the_dialogue_and_neither_name_nor_address_is_in_it_alone() -> None:
    one = only(body()).participantId
    assert one == only(body(kind="VQSessionReport: CallTerm", start=STOP, stop=STOP)).participantId
    assert one != only(body(local="<sip:bob@pbx.example.com>")).participantId
    assert one != only(body().replace(b"gqj87t0s", b"another0")).participantId
    assert one != only(body(call="another")).participantId


def test_lines_that_nothing_is_made_of_are_counted() -> None:
    assert read(body()).unused == {"Signal": 1, "QualityEst": 1}
    assert read(SNOM.encode()).unused == {"JitterBuffer": 1, "BurstGapLoss": 1, "QualityEst": 1}


def test_a_call_id_may_have_angle_brackets() -> None:
    assert only(body(call="<a>@b")).meetingInstanceId == "%3Ca%3E@b"


# -- time is told once


def at(minute: int) -> str:
    return f"2026-11-23T08:{minute:02d}:00Z"


def interval(start: int, stop: int, loss: float = 1) -> bytes:
    return body(start=at(start), stop=at(stop), loss=f"NLR={loss}")


def whole(start: int, stop: int) -> bytes:
    return body(kind="VQSessionReport: CallTerm", start=at(start), stop=at(stop))


@pytest.mark.parametrize(
    ("reports", "minutes"),
    [
        ([interval(0, 5), interval(5, 9)], [(0, 5), (5, 4)]),
        ([interval(5, 9), interval(0, 5)], [(5, 4), (0, 5)]),
        ([interval(0, 5), interval(0, 5)], [(0, 5)]),
        ([interval(0, 5), interval(0, 9)], [(0, 5), (5, 4)]),
        ([interval(0, 9), interval(0, 5)], [(0, 9)]),
        ([interval(3, 5), interval(0, 9)], [(3, 2), (5, 4)]),
        ([interval(0, 5), whole(0, 9)], [(0, 5)]),
        ([whole(0, 9), interval(0, 5)], [(0, 9)]),
        ([whole(0, 9), whole(0, 9)], [(0, 9)]),
        ([whole(0, 5), whole(5, 9)], [(0, 5), (5, 4)]),
        ([whole(0, 0)], []),
    ],
)
def test_no_moment_is_told_twice(reports: list[bytes], minutes: list[tuple[int, int]]) -> None:
    (sessions,) = placed(*reports).values()
    found = spans(sessions, "audioIn")
    assert found == [(at(start).replace("Z", ".000Z"), 60 * length) for start, length in minutes]


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 19), st.booleans()), max_size=12))
@settings(max_examples=200, deadline=None)
def test_however_reports_overlap_their_samples_do_not(
    reports: list[tuple[int, int, bool]],
) -> None:
    bodies = [
        whole(start, start + length) if is_whole else interval(start, start + length)
        for start, length, is_whole in reports
    ]
    for sessions in placed(*bodies).values():
        told = sorted(
            (epoch_ms(start), epoch_ms(start) + 1000 * length)
            for start, length in spans(sessions, "audioIn")
        )
        ends = [end for _, end in told]
        assert all(end <= start for end, (start, _) in zip(ends, told[1:], strict=False))


@given(
    st.lists(st.tuples(st.integers(0, 99), st.integers(1, 20)), max_size=8),
    st.integers(0, 99),
    st.integers(0, 60),
)
def test_what_is_uncovered_is_what_a_brute_force_finds(
    parts: list[tuple[int, int]], start: int, length: int
) -> None:
    covered = {moment for low, size in parts for moment in range(low, low + size)}
    joined: list[tuple[int, int]] = []
    for low, size in parts:
        joined = rtcpxr._with(joined, low, low + size)
    left = {m for low, high in uncovered(joined, start, start + length) for m in range(low, high)}
    assert left == set(range(start, start + length)) - covered


# -- rules


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (b"", "Expected VQIntervalReport, VQSessionReport or VQAlertReport - at line 1"),
        (b"CallID: 1", "Expected VQIntervalReport, VQSessionReport or VQAlertReport - at line 1"),
        (b"\r\nVQIntervalReport\r\n", "Expected a CallID - at line 2"),
        (b"VQIntervalReport\nCallID:\n", "Expected a CallID - at line 1"),
        (body(call="x" * 257), "Expected a CallID of at most 256 characters - at line 2"),
        (body(loss="NLR=101"), "Expected NLR from 0 to 100 - at line 10"),
        (body(loss="NLR=-1"), "Expected NLR from 0 to 100 - at line 10"),
        (body(loss="NLR=nan"), "Expected NLR from 0 to 100 - at line 10"),
        (body(loss="NLR="), "Expected NLR from 0 to 100 - at line 10"),
        (body(delay="RTD=65536"), "Expected RTD from 0 to 65535 - at line 11"),
        (body(delay="IAJ=1e3"), "Expected IAJ from 0 to 65535 - at line 11"),
        (body(start="yesterday"), "Expected START and STOP as times with a zone - at line 8"),
        (body(start=START[:-1]), "Expected START and STOP as times with a zone - at line 8"),
        (body(start=STOP, stop=START), "Expected START before STOP"),
        (body(start="1999-12-31T23:59:59Z"), "from 2000 on and at most a day ahead - at line 8"),
        (body(stop="2027-01-01T00:00:00Z"), "from 2000 on and at most a day ahead - at line 8"),
        (body() + b"no colon\r\n", "Expected `Name: value` - at line 14"),
        (body() + b"a b: c\r\n", "Expected `Name: value` - at line 14"),
        (body() + b"LocalMetrics:\r\n", "Expected LocalMetrics once - at line 14"),
        (body() + b"Delay: RTD=1\r\n", "Expected Delay once in its metrics - at line 14"),
        (body() + b"x: \x00\r\n", "Expected no control characters - at line 14"),
        (body() + b"x: \xff\r\n", "Expected UTF-8 - at line 14"),
        (body() + b"x: " + b"y" * 4_096, "Expected at most 4096 characters - at line 14"),
        (body() + b"x: y\n" * 500, "Expected at most 500 lines - at line 501"),
        (b"VQIntervalReport\nCallID: 1\n", "Expected DialogID with tags and LocalID, or LocalAddr"),
        (b"VQIntervalReport\nCallID: 1\nLocalAddr: SSRC=1\nLocalMetrics:\n", "Expected Timestamps"),
    ],
)
def test_a_broken_rule_is_told_with_its_line(raw: bytes, told: str) -> None:
    with pytest.raises(Refused) as caught:
        read(raw)
    assert told in str(caught.value)


def test_lines_of_a_message_count_from_its_beginning() -> None:
    message = linphone()[0].replace(b"RTD=170", b"RTD=x")
    at_line = message.split(b"RTD=x")[0].count(b"\n") + 1
    with pytest.raises(Refused, match=f"at line {at_line}$"):
        read(message)


# -- fuzz


def assert_sane(raw: bytes) -> None:
    """It is refused by name, or every figure is one that the body can mean."""
    try:
        report = read(raw)
    except Refused:
        return
    rtcpxr.place(report, {})
    for kind in STREAM_KINDS:
        for stream in streams_of(report.session, kind):
            assert_stream_is_sane(stream)


def assert_stream_is_sane(stream: Stream) -> None:
    assert 1 <= stream.samplingInterval <= 86_400
    assert any(column_of(stream, column) for column in COLUMNS)
    for column in COLUMNS:
        for value in column_of(stream, column):
            assert value is not None
            assert 0 <= value <= (100 if column == "packetLoss" else 65_535)


BODIES = [body(), body(remote="PacketLoss: NLR=5"), SNOM.encode(), POLY.encode(), linphone()[0]]


@given(st.binary(max_size=300))
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_refused_by_name(raw: bytes) -> None:
    assert_sane(raw)
    assert_sane(b"VQIntervalReport\n" + raw)


@given(st.sampled_from(BODIES), st.randoms(use_true_random=False))
@settings(max_examples=400, deadline=None)
def test_a_report_that_is_cut_shuffled_or_changed_is_refused_or_sane(
    raw: bytes, chance: random.Random
) -> None:
    lines = raw.split(b"\n")
    chance.shuffle(lines)
    assert_sane(b"\n".join([raw.split(b"\n")[0], *lines]))
    assert_sane(raw[: chance.randrange(len(raw))])
    changed = bytearray(raw)
    for _ in range(chance.randrange(1, 5)):
        place = chance.randrange(len(changed))
        changed[place : place + chance.randrange(3)] = chance.randbytes(chance.randrange(3))
    assert_sane(bytes(changed))
