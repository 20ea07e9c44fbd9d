"""Sessions for the tests of scoring, made of the few columns that a test is about."""

from typing import Any, Final

from roomtone.model import MediaSession, Stream, StreamKind, iso_ms

START_MS: Final = 1_795_400_000_000
CALM: Final[dict[StreamKind, dict[str, Any]]] = {
    "audioIn": {"codec": "Opus", "packetLoss": 0.0, "latency": 40, "jitter": 4.0,
                "mediaBitRate": 40_000},
    "audioOut": {"codec": "Opus", "packetLoss": 0.0, "latency": 40, "jitter": 4.0,
                 "mediaBitRate": 40_000},
    "videoIn": {"codec": "H.264 BP", "packetLoss": 0.0, "latency": 40, "resolutionHeight": 720,
                "frameRate": 30.0, "mediaBitRate": 1_500_000},
    "videoOut": {"codec": "H.264 BP", "packetLoss": 0.0, "latency": 40, "resolutionHeight": 720,
                 "frameRate": 30.0, "mediaBitRate": 1_500_000},
    "shareIn": {"codec": "H.264 BP", "packetLoss": 0.0, "latency": 40, "resolutionHeight": 1080,
                "frameRate": 5.0, "mediaBitRate": 300_000},
    "shareOut": {"codec": "H.264 BP", "packetLoss": 0.0, "latency": 40, "resolutionHeight": 1080,
                 "frameRate": 5.0, "mediaBitRate": 300_000},
}  # fmt: skip


def entry(
    kind: StreamKind, count: int = 10, *, at: int = 0, interval_s: int = 60, **changes: Any
) -> Stream:
    """A calm entry of `count` intervals, `at` intervals after the start, but for the changes.

    A change is a column, or one value for all of it.
    """
    values = CALM[kind] | changes
    columns: dict[str, Any] = {
        name: value if isinstance(value, list | str) else [value] * count
        for name, value in values.items()
    }
    start = iso_ms(START_MS + at * interval_s * 1000)
    return Stream(startTime=start, samplingInterval=interval_s, **columns)


def session(**streams: Stream | list[Stream]) -> MediaSession:
    """A session with these entries."""
    lists = {kind: one if isinstance(one, list) else [one] for kind, one in streams.items()}
    return MediaSession(meetingInstanceId="m", **lists)  # type: ignore[arg-type]
