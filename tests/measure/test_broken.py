"""Sources that are broken: what they say becomes a value that may be, or null; never a spike."""

from typing import Any

import msgspec
import pytest

from roomtone.measure import Report, snapshot
from roomtone.measure.getstats import ROWS_MAX
from roomtone.model import StreamKind
from tests.measure.calls import (
    START_MS,
    Value,
    advance,
    fold,
    inbound,
    measure,
    only,
    outbound,
    path,
    posts,
    remote,
    report,
)

JUMP = 2**31
NORMAL: dict[str, Value] = {
    "packetLoss": 4.76, "mediaBitRate": 400_000, "jitter": 12.0, "frameRate": 25.0,
    "resolutionHeight": 360, "latency": 80.0,
}  # fmt: skip
COLUMNS = tuple(NORMAL)


def entry(n: int, **more: Any) -> dict[str, Any]:
    """The n-th look at a steady camera: 100 packets, 5 lost, 50 kB and 25 frames a second."""
    steady = {
        "bytesReceived": 500_000 * (n + 1), "framesDecoded": 250 * (n + 1), "jitter": 0.012,
        "frameHeight": 360, "kind": "video",
    }  # fmt: skip
    return inbound(1_000 * (n + 1), 50 * (n + 1), **steady | more)


def steady(n: int, **more: Any) -> Report:
    return report(10 * n, entry(n, **more), *path(rtt=(0.08 * 4 * (n + 1), 4 * (n + 1))))


def told(reports: list[Report]) -> list[dict[str, Value]]:
    """The values of each of 6 intervals of 10 s."""
    cells = fold(posts([reports], interval_s=10))
    found = [cells.get(("videoIn", 10_000 * n), {}) for n in range(6)]
    return [{name: value for name in COLUMNS if (value := cell.get(name)) is not None}  # type: ignore[misc]
            for cell in found]  # fmt: skip


def test_the_steady_camera_is_measured_as_it_is() -> None:
    assert told([steady(n) for n in range(7)]) == [NORMAL] * 6


def shown(value: object) -> str:
    """A row's name, the same in every process: sets have an order of their own in each."""
    return str(sorted(value)) if isinstance(value, set) else str(value)


@pytest.mark.parametrize(
    ("broken", "lacking"),
    [
        ({"packetsReceived": 5}, set(COLUMNS) - {"latency"}),
        ({"bytesReceived": 5}, set(COLUMNS) - {"latency"}),
        ({"framesDecoded": 5}, {"frameRate"}),
        ({"packetsLost": -5_000}, {"packetLoss"}),
        ({"packetsReceived": JUMP}, set(COLUMNS) - {"latency"}),
        ({"bytesReceived": JUMP}, set(COLUMNS) - {"latency"}),
        ({"framesDecoded": JUMP}, {"frameRate"}),
        ({"packetsLost": JUMP}, {"packetLoss"}),
        ({"packetsLost": -JUMP}, {"packetLoss"}),
        ({"retransmittedPacketsReceived": JUMP}, set(COLUMNS) - {"latency"}),
        ({"retransmittedBytesReceived": JUMP}, set(COLUMNS) - {"latency"}),
        ({"packetsReceived": 20_000}, set(COLUMNS) - {"latency"}),
        ({"bytesReceived": 20_000_000}, set(COLUMNS) - {"latency"}),
        ({"framesDecoded": 5_000}, {"frameRate"}),
        ({"packetsLost": 20_000}, {"packetLoss"}),
        ({"retransmittedPacketsReceived": 900}, set(COLUMNS) - {"latency"}),
        ({"retransmittedBytesReceived": 400_000}, set(COLUMNS) - {"latency"}),
        ({"packetsReceived": 1e18, "bytesReceived": 9e18}, set(COLUMNS) - {"latency"}),
        ({"packetsReceived": 0}, set(COLUMNS) - {"latency"}),
    ],
    ids=shown,
)
def test_a_counter_that_goes_back_or_jumps_leaves_its_two_intervals_unknown(
    broken: dict[str, float], lacking: set[str]
) -> None:
    """The third report of seven is broken: the interval before it and that after it."""
    intervals = told([steady(n, **(broken if n == 3 else {})) for n in range(7)])
    assert [intervals[n] for n in (0, 1, 4, 5)] == [NORMAL] * 4
    for interval in intervals[2:4]:
        assert interval.items() <= NORMAL.items()
        assert set(interval) >= set(COLUMNS) - lacking - {"latency"}


@pytest.mark.parametrize(
    "broken",
    [{"packetsLost": 20_000}, {"bytesReceived": 20_000_000}, {"framesDecoded": 5_000}],
    ids=shown,
)
@pytest.mark.parametrize("at", [3, 6, 7, 12])
def test_what_was_told_by_a_counter_that_was_too_high_is_told_anew(
    broken: dict[str, float], at: int
) -> None:
    """Each report in a post of its own, the wrong one in an interval's middle or at its edge."""
    reports = [steady(n, **(broken if n == at else {})) for n in range(19)]
    cells = fold(posts([[one] for one in reports], interval_s=60))
    for start_ms in (0, 60_000, 120_000):
        cell = cells["videoIn", start_ms]
        assert {name: cell[name] for name in COLUMNS} == NORMAL


@pytest.mark.parametrize("back_s", [15, 25])
def test_a_clock_that_is_put_back_makes_no_rate_that_was_not_there(back_s: int) -> None:
    """Reports from before and after the step lie among each other, with counters up and down."""
    stepped = [
        report(10 * n - (back_s if n > 3 else 0), entry(n), *path(rtt=(0.08 * 4 * (n + 1), n + 1)))
        for n in range(8)
    ]
    for interval in told(stepped):
        assert interval.get("packetLoss", 4.76) == 4.76
        assert interval.get("mediaBitRate", 400_000) == 400_000


@pytest.mark.parametrize(
    ("impossible", "lacking"),
    [
        ({"frameHeight": 1e18}, "resolutionHeight"),
        ({"frameHeight": 0}, "resolutionHeight"),
        ({"jitter": 1e18}, "jitter"),
        ({"jitter": 2**62}, "jitter"),
    ],
    ids=shown,
)
def test_an_impossible_value_is_unknown(impossible: dict[str, float], lacking: str) -> None:
    clock = {"type": "codec", "id": "C", "clockRate": 90_000}
    reports = [
        report(10 * n, entry(n, codecId="C", **impossible), clock) for n in range(3)
    ]  # fmt: skip
    [stream] = measure(*reports).streams["videoIn"]
    assert getattr(stream, lacking) == []
    assert stream.packetLoss == [4.76, 4.76]


@pytest.mark.parametrize(
    ("far", "column"),
    [
        ({"packetsLost": JUMP}, "packetLoss"),
        ({"packetsLost": -JUMP}, "packetLoss"),
        ({"packetsLost": 20_000}, "packetLoss"),
        ({"packetsReceived": JUMP}, "packetLoss"),
        ({"roundTripTime": 1e15}, "latency"),
        ({"roundTripTimeMeasurements": 2, "totalRoundTripTime": 1e18}, "latency"),
        ({"roundTripTimeMeasurements": JUMP, "totalRoundTripTime": 0}, "latency"),
    ],
    ids=shown,
)
def test_an_impossible_report_of_the_far_end_is_unknown(far: dict[str, float], column: str) -> None:
    first = remote(0, packetsReceived=100, roundTripTimeMeasurements=1, totalRoundTripTime=1)
    if "roundTripTime" in far:
        first = remote(0, packetsReceived=100)
    broken = first | {"packetsLost": 25, "packetsReceived": 575} | far
    at = [outbound(100 + 500 * n, bytesSent=50_000 * n) for n in (0, 1)]
    [stream] = measure(report(0, at[0], first), report(10, at[1], broken)).streams["audioOut"]
    assert getattr(stream, column) == []
    assert stream.mediaBitRate == [40_000]


@pytest.mark.parametrize("total", [1e18, -1, 0])
def test_an_impossible_round_trip_of_connectivity_checks_is_unknown(total: float) -> None:
    def at(n: int, total: float) -> Report:
        checks = path(rtt=(max(total, 0.0), 4 * (n + 1)))
        return report(10 * n, entry(n), *checks)

    assert only(measure(at(0, 0.5), at(1, total)), "videoIn", "latency") == []


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "1e999", "1e300", "-1"])
def test_a_counter_that_is_no_count_is_refused(text: str) -> None:
    body = (
        '{"connection": "pc1", "timestamp": %d, "stats": '  # noqa: UP031
        '[{"type": "inbound-rtp", "packetsReceived": %s}]}' % (START_MS, text)
    )
    with pytest.raises(msgspec.DecodeError):
        msgspec.json.decode(body, type=Report)


def test_a_report_that_is_repeated_with_other_counters_changes_nothing() -> None:
    reports = [steady(n) for n in range(7)]
    liar = steady(3, packetsReceived=9_999, bytesReceived=JUMP)
    [one] = posts([[*reports, liar]], interval_s=10)
    assert one.repeated == 1
    assert told([*reports, liar]) == [NORMAL] * 6


def test_reports_whose_clock_runs_backwards_are_put_in_order() -> None:
    assert told([steady(n) for n in reversed(range(7))]) == [NORMAL] * 6


def test_a_clock_that_jumps_a_year_ahead_leaves_what_was_told() -> None:
    """Counters at the old time are late then; the leap is a gap, and no time of the stream."""
    reports = [steady(n) for n in range(4)]
    leap = report(365 * 86_400.0, entry(4))
    several = posts([reports, [leap], [steady(5)]], interval_s=10)
    assert [one.late for one in several] == [0, 0, 1]
    assert fold(several) == fold(several[:1])


def test_what_was_of_the_future_before_is_forgotten() -> None:
    state, _ = advance(b"", [report(365 * 86_400.0, entry(4))], interval_s=10)
    reports = [steady(n) for n in range(4)]
    _, found = advance(state, reports, interval_s=10, now_ms=reports[-1].timestamp)
    assert (found.late, found.ahead) == (0, 0)
    assert fold([found]) == fold(posts([reports], interval_s=10))


def test_an_hour_in_one_post_measures_as_in_many() -> None:
    reports = [steady(n) for n in range(361)]
    [stream] = measure(*reports, interval_s=60).streams["videoIn"]
    assert stream.mediaBitRate == [400_000] * 60
    assert stream.packetLoss == [4.76] * 60
    cut = [reports[n : n + 6] for n in range(0, 361, 6)]
    assert fold(posts(cut, interval_s=60)) == fold(posts([reports], interval_s=60))


def test_a_hundred_streams_are_measured_together() -> None:
    def at(n: int) -> Report:
        return report(10 * n, *(entry(n, ssrc=ssrc) for ssrc in range(100)))

    [stream] = measure(at(0), at(1)).streams["videoIn"]
    assert stream.mediaBitRate == [100 * 400_000]
    assert (stream.packetLoss, stream.frameRate, stream.jitter) == ([4.76], [25.0], [12.0])


def test_of_too_many_streams_the_busiest_are_kept() -> None:
    quiet = [inbound(10, ssrc=ssrc) for ssrc in range(ROWS_MAX)]
    busy: list[tuple[StreamKind, int]] = [("audioIn", 900), ("videoIn", 901)]
    stats = [*quiet, inbound(5_000, ssrc=900), inbound(4_000, ssrc=901, kind="video")]
    rows = snapshot(report(0, *stats)).rows
    assert len(rows) == ROWS_MAX
    assert [(row.kind, row.ssrc) for row in rows[-2:]] == busy
