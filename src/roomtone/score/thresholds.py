"""The bounds between good, fair and poor: settings of an organisation, checked before use."""

from typing import Final

from msgspec import Struct, structs

from roomtone.errors import Invalid


class Bounds(Struct, frozen=True):
    """Where good ends and where poor begins; what is between them is fair."""

    good: float
    poor: float


class Thresholds(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """All bounds; the defaults are ours (docs/scoring.md says why).

    MOS 1 to 5; loss, frame rate and height (of what is expected) and CPU in percent; times in ms.
    """

    audio_mos: Bounds = Bounds(4.0, 3.1)
    video_mos: Bounds = Bounds(3.5, 2.5)
    loss_percent: Bounds = Bounds(2.0, 5.0)
    latency_ms: Bounds = Bounds(200.0, 400.0)
    jitter_ms: Bounds = Bounds(20.0, 30.0)
    frame_rate_percent: Bounds = Bounds(80.0, 50.0)
    height_percent: Bounds = Bounds(100.0, 50.0)
    cpu_percent: Bounds = Bounds(60.0, 80.0)
    cpu_max_percent: float = 90.0
    camera_fps: float = 30.0
    camera_fps_min: float = 7.0
    share_fps: float = 5.0
    share_fps_min: float = 2.0
    poor_share_percent: float = 10.0
    poor_intervals_min: int = 2
    active_s_min: float = 60.0


MORE_IS_BETTER: Final = frozenset(
    {"audio_mos", "video_mos", "frame_rate_percent", "height_percent"}
)
MOST: Final = {
    "audio_mos": 5.0,
    "video_mos": 5.0,
    "latency_ms": 60_000.0,
    "jitter_ms": 10_000.0,
    "camera_fps": 240.0,
    "camera_fps_min": 240.0,
    "share_fps": 240.0,
    "share_fps_min": 240.0,
    "poor_intervals_min": 10_000.0,
    "active_s_min": 86_400.0,
}
"""The greatest values, where it is not 100 percent."""
PERCENT_MAX: Final = 100.0


def checked(thresholds: Thresholds) -> Thresholds:
    """The same thresholds; `Invalid` names the field, as in JSON, that breaks a rule.

    Fair must be between good and poor, every number between 0 and the greatest.
    """
    for field in structs.fields(thresholds):
        name, value = field.encode_name, getattr(thresholds, field.name)
        most = MOST.get(field.name, PERCENT_MAX)
        for number in (value.good, value.poor) if isinstance(value, Bounds) else (value,):
            if not 0 <= number <= most:
                raise Invalid(f"{name}: {number} is not between 0 and {most:g}")
        if isinstance(value, Bounds):
            above = field.name in MORE_IS_BETTER
            if not (value.good > value.poor if above else value.good < value.poor):
                rule = "above" if above else "below"
                raise Invalid(f"{name}: good ({value.good:g}) must be {rule} poor ({value.poor:g})")
    for name in ("camera", "share"):
        if getattr(thresholds, f"{name}_fps_min") >= getattr(thresholds, f"{name}_fps"):
            raise Invalid(f"{name}FpsMin: must be below {name}Fps")
    return thresholds
