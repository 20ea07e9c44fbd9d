"""Measures measuring: getStats reports of 40 entries a second and core, beside decoding their JSON.

The reports are a recorded one of Chromium, carried on for an hour in steps of 10 s; the posts are
the collector's: six reports each, in order.
"""

import copy
import gzip
import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from msgspec import json

from bench.rows import Bench, Row
from roomtone import measure
from roomtone.measure import Report, Seen

SAMPLE: Final = (
    Path(__file__).parents[1]
    / "tests/data/measure/getstats-chromium156-audio-video-share.json.gz"
)  # fmt: skip
ENTRIES: Final = 40
PATH_TYPES: Final = ("candidate-pair", "local-candidate", "remote-candidate")
REPORTS_PER_POST: Final = 6
POSTS: Final = 60
PERIOD_MS: Final = 10_000
START_MS: Final = 1_795_400_000_000
INTERVAL_S: Final = 60.0
LOSS: Final = 0.004
RTT_S: Final = 0.06
DECODER: Final = json.Decoder(list[Report])

GROWING: Final = frozenset(
    {"packetsReceived", "packetsSent", "bytesReceived", "bytesSent", "headerBytesReceived",
     "headerBytesSent", "framesDecoded", "framesSent", "framesEncoded", "framesReceived",
     "totalSamplesReceived", "totalSamplesDuration", "jitterBufferEmittedCount",
     "responsesReceived"}
)  # fmt: skip

Post = tuple[bytes, list[Report], list[Seen]]
"""The same reports thrice: as they come, decoded, and as `measure.advance` takes them."""


def padded(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The entries with more of the path's, as a computer with several addresses has, up to 40."""
    spare = [
        entry for entry in entries if entry["type"] in PATH_TYPES and not entry.get("nominated")
    ]
    more = []
    for number in range(ENTRIES - len(entries)):
        entry = spare[number % len(spare)]
        more.append(entry | {"id": f"{entry['id']}-{number}"})
    return entries + more


def carried_on(entries: list[dict[str, Any]], number: int, dice: random.Random) -> None:
    """Step `number` of the call, in place: every counter grows, a little unevenly."""
    at_ms = START_MS + number * PERIOD_MS + 0.573
    for entry in entries:
        entry["timestamp"] = at_ms
        for name in GROWING & entry.keys():
            entry[name] += round(entry[name + "/step"] * dice.uniform(0.9, 1.1))
        if "roundTripTimeMeasurements" in entry:
            entry["timestamp"] = at_ms - dice.uniform(100, 2_000)
            entry["roundTripTimeMeasurements"] += 3
            entry["totalRoundTripTime"] += 3 * RTT_S * dice.uniform(0.8, 1.2)
        if "totalRoundTripTime" in entry and "responsesReceived" in entry:
            entry["totalRoundTripTime"] += RTT_S * dice.uniform(0.8, 1.2)
        if "packetsLost" in entry:
            entry["packetsLost"] += dice.random() < 50 * LOSS
        if "jitter" in entry:
            entry["jitter"] = round(dice.uniform(0.001, 0.03), 3)


def call(seed: int) -> list[Post]:
    """An hour of one participant."""
    dice = random.Random(seed)
    entries = padded(json.decode(gzip.decompress(SAMPLE.read_bytes()))["A"])
    assert len(entries) == ENTRIES
    for entry in entries:
        entry |= {name + "/step": entry[name] for name in GROWING & entry.keys()}
    posts = []
    for first in range(0, POSTS * REPORTS_PER_POST, REPORTS_PER_POST):
        reports = []
        for number in range(first, first + REPORTS_PER_POST):
            carried_on(entries, number, dice)
            reports.append(
                {
                    "connection": "pc1",
                    "timestamp": START_MS + number * PERIOD_MS,
                    "stats": copy.deepcopy([without_steps(entry) for entry in entries]),
                }
            )
        body = json.encode(reports)
        decoded = DECODER.decode(body)
        posts.append((body, decoded, [measure.seen(report) for report in decoded]))
    return posts


def without_steps(entry: dict[str, Any]) -> dict[str, Any]:
    """The entry as a browser writes it."""
    return {name: value for name, value in entry.items() if not name.endswith("/step")}


def rate(posts: list[Post], run: Callable[[list[Post]], None]) -> float:
    """Reports per second of CPU."""
    started = time.process_time()
    run(posts)
    return len(posts) * REPORTS_PER_POST / (time.process_time() - started)


def decode(posts: list[Post]) -> None:
    """JSON to `Report`s."""
    for body, _, _ in posts:
        DECODER.decode(body)


def normalise(posts: list[Post]) -> None:
    """`Report`s to snapshots."""
    for _, reports, _ in posts:
        for report in reports:
            measure.seen(report)


def advance(posts: list[Post]) -> None:
    """Snapshots to samples, post by post on one state."""
    state = b""
    for _, _, seen in posts:
        state, _ = measure.advance(state, seen, interval_s=INTERVAL_S)


def whole(posts: list[Post]) -> None:
    """`Report`s to samples, post by post on one state."""
    state = b""
    for _, reports, _ in posts:
        seen = [measure.seen(report) for report in reports]
        state, _ = measure.advance(state, seen, interval_s=INTERVAL_S)


STEPS: Final[dict[str, Callable[[list[Post]], None]]] = {
    "decode": decode,
    "seen": normalise,
    "advance": advance,
    "whole": whole,
}


def measure_rates(*, rounds: int) -> dict[str, tuple[float, ...]]:
    """Reports per second of each step, `rounds` times, one step after the other."""
    calls = [call(seed) for seed in range(rounds)]
    found = [{name: rate(posts, run) for name, run in STEPS.items()} for posts in calls]
    return {name: tuple(one[name] for one in found) for name in STEPS}


def rows(bench: Bench) -> list[Row]:
    """The rows of the table: what measuring does in a second, and how long it takes."""
    rates = measure_rates(rounds=bench.rounds)
    medians = {name: statistics.median(runs) for name, runs in rates.items()}
    what = f"getStats reports of {ENTRIES} entries measured, {REPORTS_PER_POST} a post, one core"
    return [
        Row(
            what=what,
            unit="reports/s",
            measured=medians["whole"],
            limit=20_000,
            peer="decoding their JSON",
            peer_measured=medians["decode"],
            runs=rates["whole"],
            note=f"normalising alone {medians['seen']:,.0f}, advancing {medians['advance']:,.0f}",
        ),
        Row(
            what="the same, time beside decoding their JSON",
            unit="x",
            measured=medians["decode"] / medians["whole"],
            limit=3.0,
            less_is_better=True,
        ),
    ]


def main() -> None:
    """Print the medians."""
    rates = measure_rates(rounds=7)
    decoding = statistics.median(rates["decode"])
    for name, runs in rates.items():
        median = statistics.median(runs)
        times = decoding / median
        print(f"{name:8} {median:9,.0f} reports/s {1e6 / median:7.1f} us {times:6.2f}x decoding")


if __name__ == "__main__":
    main()
