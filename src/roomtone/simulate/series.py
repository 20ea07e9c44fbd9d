"""From hidden conditions to what clients report: six streams and resources, rounded as measured.

Loss is drawn as whole lost packets of a whole number sent, so it has the grain of a real count.
Latency is that of one connection, as the measuring has it: audioIn and videoIn, which begin
together, have one figure, each outgoing stream its own round trips, and a share, whose intervals
begin when it does, other ones.
"""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Final, NamedTuple

from msgspec import structs

from roomtone.measure.intervals import rounded_bit_rate
from roomtone.model import COLUMNS, Resources, Stream, iso_ms
from roomtone.simulate.effects import Condition

PACKETS_MIN: Final = 50
"""With fewer packets in an interval, loss is unknown."""
AUDIO_PACKETS_PER_S: Final = 50
VIDEO_PACKET_BYTES: Final = 1_050
LADDER: Final = {90: 70_000, 180: 160_000, 360: 560_000, 720: 1_550_000, 1080: 2_700_000}
CPU_FULL: Final = 88.0


class Sample(NamedTuple):
    """One interval of one stream, in the order of the model's columns."""

    packetLoss: float | None
    latency: float | None
    resolutionHeight: int | None
    frameRate: float | None
    mediaBitRate: int | None
    jitter: float | None


@dataclass(frozen=True, kw_only=True)
class Around:
    """What an interval of one person's streams depends on beside their own path."""

    interval_s: int
    people: int
    speaks: bool
    source_loss: float
    """Loss of the active speaker's uplink, percent: a server forwards gaps."""
    tcp: bool


def lost_percent(rng: Random, packets: int, percent: float, *, tcp: bool) -> float | None:
    """Measured loss of `packets` at a true rate; None over TCP and with too few packets."""
    if tcp or packets < PACKETS_MIN:
        return None
    mean = packets * min(percent, 100.0) / 100
    lost = min(packets, max(0, round(rng.gauss(mean, mean**0.5))))
    return round(100 * lost / packets, 2)


def _sample(
    rng: Random,
    condition: Condition,
    around: Around,
    *,
    inward: bool,
    packets_per_s: float,
    bits_per_s: float,
    height: int | None = None,
    fps: float | None = None,
    together: bool = False,
) -> Sample:
    percent = condition.loss_down + around.source_loss if inward else condition.loss_up
    jitter_ms = condition.jitter_down_ms if inward else condition.jitter_up_ms
    packets = round(packets_per_s * around.interval_s)
    wobble = 1.0 if together else rng.uniform(0.985, 1.015)
    return Sample(
        lost_percent(rng, packets, percent, tcp=around.tcp),
        round(condition.rtt_ms * wobble, 1),
        height,
        None if fps is None else round(fps, 2),
        rounded_bit_rate(bits_per_s),
        round(jitter_ms * rng.uniform(0.9, 1.1), 1) if packets else None,
    )


def audio_in(rng: Random, condition: Condition, around: Around) -> Sample:
    """The mix of the others: a steady stream."""
    return _sample(rng, condition, around, inward=True, packets_per_s=AUDIO_PACKETS_PER_S,
                   bits_per_s=rng.gauss(41_000, 2_200), together=True)  # fmt: skip


def audio_out(rng: Random, condition: Condition, around: Around) -> Sample:
    """The own microphone; muted, only a keep-alive now and then."""
    if condition.muted:
        return _sample(rng, condition, around, inward=False, packets_per_s=0.4,
                       bits_per_s=rng.uniform(60, 130))  # fmt: skip
    bits_per_s = rng.gauss(44_000 if around.speaks else 33_000, 1_900)
    if condition.voice_bits is not None:
        bits_per_s = condition.voice_bits
    return _sample(rng, condition, around, inward=False, packets_per_s=AUDIO_PACKETS_PER_S,
                   bits_per_s=bits_per_s)  # fmt: skip


def _video(
    rng: Random, condition: Condition, around: Around, *, inward: bool, height_max: int
) -> Sample:
    """A camera's picture: size and rate give way to loss and to a busy processor."""
    loss = condition.loss_down if inward else condition.loss_up
    starved = condition.cpu > CPU_FULL and not condition.cool
    steps = (loss > 3) + (loss > 7) + (starved and not inward)
    rungs = [height for height in LADDER if height <= height_max]
    height = rungs[max(0, len(rungs) - 1 - steps)]
    busy = rng.uniform(0.25, 0.5) if starved else 1.0
    lossy = loss + (around.source_loss if inward else 0)
    fps = max(0.5, min(30.0, rng.gauss(29.4, 0.35)) * busy - 0.7 * lossy) * condition.slow
    fps = fps if inward else min(fps, condition.camera_fps)
    room = condition.capacity_down if inward else condition.capacity_up
    height = min(height, max([rung for rung in LADDER if LADDER[rung] <= room], default=90))
    bits_per_s = LADDER[height] * rng.uniform(0.9, 1.08) * (0.35 + 0.65 * fps / 30)
    return _sample(rng, condition, around, inward=inward, height=height, fps=fps,
                   bits_per_s=min(bits_per_s, room), together=inward,
                   packets_per_s=bits_per_s / 8 / VIDEO_PACKET_BYTES)  # fmt: skip


def video_in(rng: Random, condition: Condition, around: Around) -> Sample:
    """The others' cameras: smaller where many are shown, or when the layout makes them small."""
    height = 720 if around.people <= 2 else 360 if around.people <= 6 else 180
    height = 90 if condition.small_layout else height
    return _video(rng, condition, around, inward=True, height_max=height)


def video_out(rng: Random, condition: Condition, around: Around) -> Sample:
    """The own camera."""
    if condition.thumbnail:
        small = structs.replace(condition, camera_fps=min(condition.camera_fps, 15.0))
        return _video(rng, small, around, inward=False, height_max=180)
    return _video(rng, condition, around, inward=False, height_max=720)


def _share(rng: Random, condition: Condition, around: Around, *, inward: bool) -> Sample:
    bits_per_s = rng.choice((140_000, 180_000, 260_000, 820_000)) * rng.uniform(0.8, 1.2)
    fps = rng.uniform(3.5, 7.5) * (0.5 if condition.cpu > CPU_FULL else 1) * condition.slow
    if condition.still_share:
        bits_per_s, fps = rng.uniform(2_000, 9_000), rng.uniform(0, 0.4)
    return _sample(rng, condition, around, inward=inward, height=1080, fps=fps,
                   bits_per_s=bits_per_s,
                   packets_per_s=bits_per_s / 8 / VIDEO_PACKET_BYTES)  # fmt: skip


def share_in(rng: Random, condition: Condition, around: Around) -> Sample:
    """Somebody's screen."""
    return _share(rng, condition, around, inward=True)


def share_out(rng: Random, condition: Condition, around: Around) -> Sample:
    """The own screen."""
    return _share(rng, condition, around, inward=False)


Sampler = Callable[[Random, Condition, Around], Sample]


def entry(
    samples: list[Sample], *, start_ms: int, interval_s: int, codec: str, tcp: bool
) -> Stream:
    """An entry of a stream's array; a column in which nothing was measured is []."""
    columns = {
        name: list(values)
        for name, values in zip(COLUMNS, _columns(samples), strict=True)
        if any(value is not None for value in values)
    }
    return Stream(
        samplingInterval=interval_s,
        startTime=iso_ms(start_ms),
        endTime=iso_ms(start_ms + len(samples) * interval_s * 1000),
        codec=codec,
        transportType="TCP" if tcp else "UDP",
        **columns,
    )


def _columns(samples: list[Sample]) -> list[tuple[float | int | None, ...]]:
    """The samples' values in the order of COLUMNS."""
    return [tuple(getattr(sample, name) for sample in samples) for name in COLUMNS]


def resources(rng: Random, states: list[Condition], *, start_ms: int, interval_s: int) -> Resources:
    """CPU of the client's process and of the whole system."""
    system = [min(100.0, state.cpu * rng.uniform(0.97, 1.03)) for state in states]
    process = [
        value * (rng.uniform(0.34, 0.42) if state.process_share is None else state.process_share)
        for value, state in zip(system, states, strict=True)
    ]
    peaks = [min(100.0, value + rng.uniform(2, 11)) for value in system]
    return Resources(
        processAverageCPU=[round(value, 1) for value in process],
        processMaxCPU=[
            round(min(peak, value * rng.uniform(1.1, 1.5)), 1)
            for value, peak in zip(process, peaks, strict=True)
        ],
        systemAverageCPU=[round(value, 1) for value in system],
        systemMaxCPU=[round(value, 1) for value in peaks],
        samplingInterval=interval_s,
        startTime=iso_ms(start_ms),
    )
