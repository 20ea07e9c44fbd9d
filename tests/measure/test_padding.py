"""Chromium's padding in what was sent: the far end of the same calls knows better.

Calls of 125 to 180 s of Chromium with itself on /call, sampled every second at both ends, losing
packets of every stream (audio, camera, share) as their names say.
"""

import bisect
import functools
from typing import Any

import msgspec
import pytest

from roomtone.measure import Report
from roomtone.model import StreamKind
from tests.measure.calls import START_MS, Cells, fold, measure, outbound, posts, remote, report
from tests.measure.truth import read_json

CALLS = read_json("calls-with-padding-1s")
CLEAN = [name for name in CALLS if "clean" in name]
LOSSY = [name for name in CALLS if "clean" not in name]
KINDS: dict[StreamKind, str] = {"videoOut": "1", "shareOut": "2"}
LOSS_POINTS = 1.0
BIT_RATE_SHARE = 0.1
THIN_BITS_PER_S = 140_000


class Truth:
    """What the far end counted of one stream, cumulative, at the times of the sender's reports."""

    def __init__(self, rows: list[dict[str, Any]], mid: str) -> None:
        self.at_ms: list[float] = []
        self.counts: list[tuple[float, float, float]] = []
        for row in rows:
            ssrcs = [e["ssrc"] for e in row["stats"] if e.get("mid") == mid and "packetsSent" in e]
            for far in row["far"]:
                if far["ssrc"] in ssrcs:
                    self.at_ms.append(row["t"])
                    self.counts.append(counts(far))

    def between(self, start_ms: float, end_ms: float) -> tuple[float, float]:
        """(loss in percent, bit/s) of a span."""
        before, after = self.at(start_ms), self.at(end_ms)
        media, lost, octets = (b - a for a, b in zip(before, after, strict=True))
        return 100 * lost / (media + lost), 8000 * octets / (end_ms - start_ms)

    def at(self, when_ms: float) -> list[float]:
        last = len(self.at_ms) - 1
        index = min(max(bisect.bisect_right(self.at_ms, when_ms), 1), last)
        low, high = self.at_ms[index - 1], self.at_ms[index]
        share = (when_ms - low) / (high - low)
        pairs = zip(self.counts[index - 1], self.counts[index], strict=True)
        return [a + share * (b - a) for a, b in pairs]


def counts(far: dict[str, Any]) -> tuple[float, float, float]:
    again = far.get("retransmittedPacketsReceived", 0)
    octets = far["bytesReceived"] - far.get("retransmittedBytesReceived", 0)
    return far["packetsReceived"] - again, far["packetsLost"], octets


@functools.cache
def told(name: str, peer: str, every: int, interval_s: float) -> Cells:
    """What a store has at last, when each of the reports was posted alone."""
    rows = CALLS[name][peer][::every]
    reports = [
        msgspec.convert({"connection": "pc1", "timestamp": row["t"], "stats": row["stats"]}, Report)
        for row in rows
    ]
    return fold(posts([[one] for one in reports], interval_s=interval_s))


def figures(
    name: str, every: int, interval_s: float, column: str
) -> list[tuple[float | None, float, float]]:
    """(told, true loss, true bit rate) of a call's outgoing videos, interval by interval.

    Of intervals after which two more samples were taken: a figure in doubt waits for them.
    """
    found = []
    wait_ms = 1000 * (interval_s + 2 * every)
    for peer, rows in CALLS[name].items():
        cells = told(name, peer, every, interval_s)
        for kind, mid in KINDS.items():
            truth = Truth(rows, mid)
            for (one, at_ms), cell in cells.items():
                start_ms = START_MS + at_ms
                if one == kind and start_ms + wait_ms <= truth.at_ms[-1]:
                    value = cell.get(column)
                    assert not isinstance(value, str)
                    loss, rate = truth.between(start_ms, start_ms + 1000 * interval_s)
                    found.append((value, loss, rate))
    assert found
    return found


EVERY_S = pytest.mark.parametrize("every", [1, 5, 10])


@pytest.mark.parametrize(("every", "interval_s"), [(1, 10), (5, 10), (1, 60), (5, 60), (10, 60)])
@pytest.mark.parametrize("name", CALLS)
def test_the_loss_of_sent_video_is_within_a_point_or_unknown(
    name: str, every: int, interval_s: float
) -> None:
    for loss, true_loss, _ in figures(name, every, interval_s, "packetLoss"):
        assert loss is None or loss == pytest.approx(true_loss, abs=LOSS_POINTS)


@EVERY_S
@pytest.mark.parametrize("name", CALLS)
def test_the_bit_rate_of_sent_video_is_within_a_tenth_or_unknown(name: str, every: int) -> None:
    for rate, _, true_rate in figures(name, every, 60, "mediaBitRate"):
        assert rate is None or rate == pytest.approx(true_rate, rel=BIT_RATE_SHARE)


def test_without_the_rule_the_figures_would_be_wrong() -> None:
    """What was sent by its own count, net of retransmissions: 1.5 to 5 times the media."""
    for rows in CALLS["h264, 5 % exactly"].values():
        for mid in KINDS.values():
            [first, last] = [
                next(e for e in row["stats"] if e.get("mid") == mid and e["type"][0] == "o")
                for row in (rows[5], rows[65])
            ]
            grew = {name: last[name] - first[name] for name in last if name.endswith("Sent")}
            sent = grew["packetsSent"] - grew["retransmittedPacketsSent"]
            octets = grew["bytesSent"] - grew["retransmittedBytesSent"]
            truth = Truth(rows, mid)
            loss, rate = truth.between(rows[5]["t"], rows[65]["t"])
            media = truth.at(rows[65]["t"])[0] - truth.at(rows[5]["t"])[0]
            assert loss == pytest.approx(5, abs=0.2)
            assert sent > 1.5 * media
            assert 8000 * octets / (rows[65]["t"] - rows[5]["t"]) > 1.5 * rate


@EVERY_S
@pytest.mark.parametrize("name", CLEAN)
def test_a_clean_call_has_its_figures(name: str, every: int) -> None:
    for loss, _, _ in figures(name, every, 60, "packetLoss"):
        assert loss == 0.0
    for rate, _, true_rate in figures(name, every, 60, "mediaBitRate"):
        assert (rate is None) == (true_rate < THIN_BITS_PER_S)


QUIET = [0.0, 0.0, 0.0, 0.0, 0.0]
ONE_LOSS = [0.0, 0.0, 5.0, 5.0, 5.0]
RATE = 200_000


@pytest.mark.parametrize(
    ("lost", "frames_per_s", "audio_lost", "losses", "rates"),
    [
        pytest.param(QUIET, 1, 0, [0.0] * 4, [RATE] * 4, id="nothing was lost"),
        pytest.param(
            ONE_LOSS, 10, 0, [0, 5, 0, 0], [RATE, None, None, RATE], id="a packet is a frame"
        ),
        pytest.param(
            ONE_LOSS, 1, 0, [0, None, 0, 0], [RATE, None, None, RATE], id="10 packets for a frame"
        ),
        pytest.param(
            QUIET, 1, 1, [0.0] * 4, [RATE, RATE, None, None], id="the sound lost a packet"
        ),
        pytest.param([None] * 5, 1, 0, [], [], id="the far end does not tell"),
    ],
)
def test_figures_in_doubt_are_unknown(
    lost: list[float | None],
    frames_per_s: float,
    audio_lost: int,
    losses: list[float | None],
    rates: list[float | None],
) -> None:
    """A camera of 100 packets in 10 s, and sound; both lose before a report of the far end."""
    reports = []
    for number, video_lost in enumerate(lost):
        at_s = 10 * number
        camera = {"kind": "video", "ssrc": 3, "frameHeight": 360}
        counted = {"bytesSent": 250_000 * number, "framesSent": frames_per_s * at_s}
        sound_lost = audio_lost if number > 2 else 0
        stats = [
            outbound(1 + 100 * number, **camera, **counted),
            remote(video_lost, kind="video", ssrc=3),  # type: ignore[arg-type]
            outbound(1 + 500 * number),
            remote(sound_lost),
        ]
        news = {"timestamp": 1_000.0 + 1_000 * at_s, "roundTripTimeMeasurements": number}
        reports.append(report(at_s, *[entry | news for entry in stats]))
    [stream] = measure(*reports).streams["videoOut"]
    assert (stream.packetLoss, stream.mediaBitRate) == (losses, rates)


@pytest.mark.parametrize(
    ("again", "rates"),
    [
        pytest.param([0, 0, 0, 0, 0], [RATE] * 4, id="nothing was sent again"),
        pytest.param([0, 0, 9, 9, 9], [RATE, None, None, RATE], id="some was, for 10 s"),
        pytest.param([0, 9, 18, 27, 36], [], id="some was all the time"),
    ],
)
@pytest.mark.parametrize("received", [None, 100], ids=["as Chromium", "as Firefox"])
def test_bits_are_in_doubt_where_packets_were_sent_again(
    received: float | None, again: list[int], rates: list[float | None]
) -> None:
    """The road loses nothing and changes the order: what came late was asked for again."""
    reports = []
    for number, count in enumerate(again):
        far = {} if received is None else {"packetsReceived": received * number}
        stats = [
            outbound(
                1 + 100 * number + count,
                kind="video",
                ssrc=3,
                bytesSent=250_000 * number + 1_000 * count,
                retransmittedPacketsSent=count,
                retransmittedBytesSent=1_000 * count,
                framesSent=10 * number,
            ),
            remote(0, kind="video", ssrc=3, roundTripTimeMeasurements=number, **far),
        ]
        reports.append(report(10 * number, *stats))
    [stream] = measure(*reports).streams["videoOut"]
    assert stream.packetLoss == [0.0] * 4
    assert stream.mediaBitRate == rates
