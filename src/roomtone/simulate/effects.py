"""Further troubles, and what only looks like one, for meetings whose script is written by hand.

The demonstration's own troubles are in script.py; these take no turn there. Each effect changes
one person's condition in one interval; `age` counts the intervals since the trouble began.
"""

from collections.abc import Callable
from random import Random
from typing import Final, Literal

from msgspec import Struct

FurtherKind = Literal[
    "bad downlink",
    "bad access",
    "site egress",
    "server overload",
    "bandwidth collapse",
    "bandwidth oscillation",
    "downward bandwidth",
    "busy application",
    "busy but fine",
    "phone heat",
    "broken camera",
    "dark room",
    "silent microphone",
    "quiet",
    "detour",
    "satellite",
    "slow TCP",
    "thumbnail",
    "still share",
    "spike",
    "mild uplink",
    "shaky downlink",
    "full queue",
]


class Condition(Struct, kw_only=True):
    """One person's hidden state in one interval. Loss and CPU in percent, capacity in bit/s."""

    loss_up: float
    loss_down: float
    rtt_ms: float
    jitter_up_ms: float
    jitter_down_ms: float
    cpu: float
    muted: bool
    small_layout: bool
    capacity_up: float = float("inf")
    capacity_down: float = float("inf")
    camera_fps: float = 30.0
    voice_bits: float | None = None
    """What the microphone sends when it is not what a voice makes, bit/s."""
    process_share: float | None = None
    slow: float = 1.0
    """How much of the frame rate gets through, both ways."""
    cool: bool = False
    """The processor is busy, and the picture does not suffer."""
    thumbnail: bool = False
    still_share: bool = False


def worsen(condition: Condition, *, up: float, down: float, rtt_ms: float) -> None:
    """More loss and delay; jitter follows the delay."""
    condition.loss_up += up
    condition.loss_down += down
    condition.rtt_ms += rtt_ms
    condition.jitter_up_ms += 0.16 * rtt_ms + 0.8 * up
    condition.jitter_down_ms += 0.16 * rtt_ms + 0.8 * down


Effect = Callable[[Random, Condition, int], None]


def _bad_downlink(rng: Random, condition: Condition, age: int) -> None:
    worsen(condition, up=0.1, down=rng.uniform(6, 14), rtt_ms=rng.uniform(40, 140))


def _bad_access(rng: Random, condition: Condition, age: int) -> None:
    level = rng.uniform(6, 12)
    down = level * rng.uniform(0.8, 1.25)
    worsen(condition, up=level, down=down, rtt_ms=rng.uniform(60, 220))


def _site_egress(rng: Random, condition: Condition, age: int) -> None:
    level = rng.uniform(4, 8)
    worsen(condition, up=level, down=level * 1.1, rtt_ms=rng.uniform(80, 200))


def _server_overload(rng: Random, condition: Condition, age: int) -> None:
    worsen(condition, up=rng.uniform(3, 6), down=rng.uniform(4, 8), rtt_ms=rng.uniform(110, 220))


def _bandwidth_collapse(rng: Random, condition: Condition, age: int) -> None:
    """The queue fills before it overflows, and empties once the camera's rate has given way."""
    condition.capacity_up = rng.uniform(260_000, 480_000)
    condition.rtt_ms += rng.uniform(120, 300) if age < 2 else rng.uniform(50, 120)
    condition.jitter_up_ms += rng.uniform(4, 12)
    condition.loss_up += rng.uniform(0.3, 1.5) if age in (1, 2) else rng.uniform(0, 0.4)


def _downward_bandwidth(rng: Random, condition: Condition, age: int) -> None:
    condition.capacity_down = rng.uniform(90_000, 220_000)
    condition.rtt_ms += rng.uniform(120, 300) if age < 2 else rng.uniform(50, 120)
    condition.jitter_down_ms += rng.uniform(4, 12)
    condition.loss_down += rng.uniform(0.3, 1.5) if age in (1, 2) else rng.uniform(0, 0.4)


def _bandwidth_oscillation(rng: Random, condition: Condition, age: int) -> None:
    """Up, too high, down again: the sender never settles."""
    if age // rng.choice((1, 2)) % 2 == 0:
        condition.capacity_up = rng.uniform(180_000, 420_000)
        condition.rtt_ms += rng.uniform(50, 160)
        condition.loss_up += rng.uniform(0, 1.2)


def _busy_application(rng: Random, condition: Condition, age: int) -> None:
    condition.cpu = min(99.0, rng.gauss(94, 2))
    condition.process_share = rng.uniform(0.6, 0.8)


def _busy_but_fine(rng: Random, condition: Condition, age: int) -> None:
    condition.cpu = rng.uniform(82, 93)
    condition.cool = True


def _phone_heat(rng: Random, condition: Condition, age: int) -> None:
    """A phone gets hot and clocks down: less every interval, to a floor."""
    condition.cpu = min(99.5, rng.gauss(96, 1.5))
    condition.process_share = rng.uniform(0.55, 0.7)
    condition.slow = max(0.3, 0.95**age)


def _broken_camera(rng: Random, condition: Condition, age: int) -> None:
    condition.camera_fps = rng.uniform(0.7, 4.0)


def _dark_room(rng: Random, condition: Condition, age: int) -> None:
    condition.camera_fps = 15.0


def _silent_microphone(rng: Random, condition: Condition, age: int) -> None:
    condition.voice_bits = rng.gauss(6_400, 40)


def _quiet(rng: Random, condition: Condition, age: int) -> None:
    """Discontinuous transmission of somebody who rarely says a word."""
    condition.voice_bits = rng.choice((2_500, 4_000, 9_000, 16_000)) * rng.uniform(0.7, 1.3)


def _detour(rng: Random, condition: Condition, age: int) -> None:
    condition.rtt_ms += rng.uniform(170, 185)


def _satellite(rng: Random, condition: Condition, age: int) -> None:
    condition.rtt_ms += rng.uniform(520, 560)
    condition.jitter_up_ms += 6
    condition.jitter_down_ms += 6


def _slow_tcp(rng: Random, condition: Condition, age: int) -> None:
    condition.rtt_ms += rng.uniform(220, 520)
    condition.slow = rng.uniform(0.25, 0.6)


def _thumbnail(rng: Random, condition: Condition, age: int) -> None:
    """Nobody looks at this picture large: the server asks for a small one."""
    condition.thumbnail = True


def _still_share(rng: Random, condition: Condition, age: int) -> None:
    condition.still_share = True


def _spike(rng: Random, condition: Condition, age: int) -> None:
    worsen(condition, up=rng.uniform(8, 25), down=rng.uniform(8, 25), rtt_ms=200)


def _mild_uplink(rng: Random, condition: Condition, age: int) -> None:
    worsen(condition, up=rng.uniform(3, 5.5), down=0.0, rtt_ms=rng.uniform(5, 40))


def _shaky_downlink(rng: Random, condition: Condition, age: int) -> None:
    """Packets come in bursts, but they come."""
    condition.jitter_down_ms += rng.uniform(30, 60)
    condition.rtt_ms += rng.uniform(10, 50)


def _full_queue(rng: Random, condition: Condition, age: int) -> None:
    """Somebody uploads: nothing is lost, all of it waits."""
    condition.rtt_ms += rng.uniform(250, 700)
    condition.jitter_up_ms += rng.uniform(5, 25)
    condition.capacity_up = rng.uniform(300_000, 900_000)


EFFECTS: Final[dict[FurtherKind, Effect]] = {
    "bad downlink": _bad_downlink,
    "bad access": _bad_access,
    "site egress": _site_egress,
    "server overload": _server_overload,
    "bandwidth collapse": _bandwidth_collapse,
    "bandwidth oscillation": _bandwidth_oscillation,
    "downward bandwidth": _downward_bandwidth,
    "busy application": _busy_application,
    "busy but fine": _busy_but_fine,
    "phone heat": _phone_heat,
    "broken camera": _broken_camera,
    "dark room": _dark_room,
    "silent microphone": _silent_microphone,
    "quiet": _quiet,
    "detour": _detour,
    "satellite": _satellite,
    "slow TCP": _slow_tcp,
    "thumbnail": _thumbnail,
    "still share": _still_share,
    "spike": _spike,
    "mild uplink": _mild_uplink,
    "shaky downlink": _shaky_downlink,
    "full queue": _full_queue,
}
