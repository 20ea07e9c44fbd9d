"""Believable telemetry for the benchmarks: correlated series, six numbers in every stream-sample.

Harder than what a browser gives: every stream, audio too, fills all six columns with values that
vary. Loss has two decimals and is mostly small, latency and jitter are whole ms, frame rates have
two decimals, bit rates are whole bit/s, as in the specification's example.
"""

import random
import uuid
from typing import Final

from roomtone.model import (
    STREAM_KINDS,
    MediaSession,
    Resources,
    Stream,
    StreamKind,
    iso_ms,
)

INTERVAL_S: Final = 60
MINUTE_MS: Final = 60_000
HEIGHTS: Final = (180, 360, 720, 1080)
CODECS: Final = {"audio": "opus", "video": "H.264 BP", "share": "AV1"}
BIT_RATES: Final = {"audio": 40_000, "video": 1_500_000, "share": 400_000}


def meeting_id(number: int) -> str:
    """An id in Webex's form, the same for the same number."""
    return f"{number:032x}_I_{number:018d}"


def session_id(meeting: int, participant: int) -> str:
    """An upper-case UUID, the same for the same numbers, with as much entropy as a real one."""
    return str(uuid.UUID(int=random.Random(f"{meeting}/{participant}").getrandbits(128))).upper()


def session(
    *,
    meeting: int,
    participant: int,
    start_ms: int,
    samples: int,
    first_sample: int = 0,
    kinds: tuple[StreamKind, ...] = STREAM_KINDS,
    ended: bool = False,
) -> MediaSession:
    """Samples first_sample.. of one participant's session that began at start_ms."""
    rng = random.Random(f"{meeting}/{participant}/{first_sample}")
    from_ms = start_ms + first_sample * MINUTE_MS
    piece = header(meeting, participant, start_ms)
    trouble = rng.random() < 0.15
    for kind in kinds:
        setattr(piece, kind, [stream(rng, kind, from_ms, samples, trouble=trouble)])
    piece.resources = [resources(rng, from_ms, samples)]
    if ended:
        piece.leaveTime = iso_ms(from_ms + samples * MINUTE_MS)
    return piece


def header(meeting: int, participant: int, start_ms: int) -> MediaSession:
    """Who, where and with what: what a client sends with every piece."""
    return MediaSession(
        meetingInstanceId=meeting_id(meeting),
        webexUserName=f"Participant {participant}",
        webexUserEmail=f"participant{participant}@example.com",
        joinTime=iso_ms(start_ms),
        joinMeetingTime="2.417",
        clientType="WEBEX_JS_SDK",
        clientVersion="3.8.1",
        osType="linux",
        osVersion="6.1",
        hardwareType="ThinkPad X1",
        speakerName="Built-in Audio Analogue Stereo",
        networkType="wifi",
        localIP=f"10.24.{participant % 250}.54",
        publicIP=f"203.0.113.{participant % 250}",
        camera="Integrated Camera: 1080p",
        microphone="Headset Microphone",
        serverRegion="Frankfurt, Germany",
        participantId=f"{meeting:032x}_I_{meeting:018d}_{participant}",
        participantSessionId=session_id(meeting, participant),
    )


def stream(
    rng: random.Random, kind: StreamKind, start_ms: int, samples: int, *, trouble: bool
) -> Stream:
    """One entry with six columns that wander as a real line does."""
    media = kind.removesuffix("In").removesuffix("Out")
    losses = [loss(rng, trouble=trouble) for _ in range(samples)]
    rate = BIT_RATES[media] * rng.uniform(0.5, 1.5)
    height = rng.choice(HEIGHTS)
    return Stream(
        samplingInterval=INTERVAL_S,
        startTime=iso_ms(start_ms),
        endTime=iso_ms(start_ms + samples * MINUTE_MS),
        packetLoss=list(losses),
        latency=list(walk(rng, rng.randint(15, 120), samples)),
        resolutionHeight=[height if rng.random() < 0.95 else HEIGHTS[0] for _ in range(samples)],
        frameRate=[round(min(30.0, rng.gauss(27, 2)), 2) for _ in range(samples)],
        mediaBitRate=[int(rate * rng.uniform(0.85, 1.1)) for _ in range(samples)],
        codec=CODECS[media],
        jitter=list(walk(rng, rng.randint(2, 25), samples)),
        transportType="UDP",
    )


def loss(rng: random.Random, *, trouble: bool) -> float:
    """Percent, two decimals: nothing in most minutes of a good line, some in each of a bad one."""
    if trouble:
        return round(min(100.0, rng.expovariate(1 / 3)), 2)
    return round(rng.expovariate(5), 2) if rng.random() < 0.3 else 0.0


def walk(rng: random.Random, first: int, samples: int) -> list[int]:
    """Whole numbers that change by little from one to the next, with a spike now and then."""
    values: list[int] = []
    level = float(first)
    for _ in range(samples):
        level = max(1.0, level + rng.gauss(0, 2))
        values.append(round(level * (3 if rng.random() < 0.02 else 1)))
    return values


def resources(rng: random.Random, start_ms: int, samples: int) -> Resources:
    """CPU in whole percent, with the time axis that lets pieces be merged."""
    average = [round(min(90.0, max(3.0, rng.gauss(25, 6)))) for _ in range(samples)]
    return Resources(
        processAverageCPU=list(average),
        processMaxCPU=[value + rng.randint(1, 8) for value in average],
        systemAverageCPU=[value + rng.randint(1, 8) for value in average],
        systemMaxCPU=[min(100, value + rng.randint(8, 20)) for value in average],
        samplingInterval=INTERVAL_S,
        startTime=iso_ms(start_ms),
    )
