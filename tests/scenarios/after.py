"""The half of the scenarios that was written when the rules stood; none was tuned on their first
result, which docs/causes.md keeps.
"""

from random import Random
from typing import Final

from msgspec import structs

from roomtone.model import (
    COLUMNS,
    STREAM_KINDS,
    MediaSession,
    Stream,
    column_of,
    sample_count,
    streams_of,
)
from tests.scenarios.stage import FRANKFURT, OFFICE, SAN_JOSE, Expected, Happens, Scenario

HOLES: Final = 0.3


def with_holes(rng: Random, sessions: list[MediaSession]) -> list[MediaSession]:
    """A third of all values unknown."""
    for session in sessions:
        for kind in STREAM_KINDS:
            for entry in streams_of(session, kind):
                for name in COLUMNS:
                    values = column_of(entry, name)
                    values[:] = [None if rng.random() < HOLES else value for value in values]
    return sessions


def half_at_thirty_seconds(rng: Random, sessions: list[MediaSession]) -> list[MediaSession]:
    """Every other session reports twice as often, with some noise of its own."""
    for session in sessions[::2]:
        for kind in STREAM_KINDS:
            entries = streams_of(session, kind)
            entries[:] = [_halved(rng, entry) for entry in entries]
    return sessions


def _halved(rng: Random, entry: Stream) -> Stream:
    columns = {}
    for name in COLUMNS:
        twice = [value for value in column_of(entry, name) for _ in range(2)]
        noisy = name in ("latency", "jitter", "frameRate")
        columns[name] = [
            v if v is None or not noisy else round(v * rng.uniform(0.95, 1.05), 2) for v in twice
        ]
    return structs.replace(entry, samplingInterval=entry.samplingInterval / 2, **columns)


def without_the_first_ten_minutes(rng: Random, sessions: list[MediaSession]) -> list[MediaSession]:
    """A collector that was switched on late: nothing is known of the beginning."""
    assert sample_count(sessions[0].audioIn[0]) > 10
    for session in sessions:
        for kind in STREAM_KINDS:
            for entry in streams_of(session, kind):
                for name in COLUMNS:
                    values = column_of(entry, name)
                    values[:10] = [None] * min(10, len(values))
    return sessions


def same_camera(rng: Random, sessions: list[MediaSession]) -> list[MediaSession]:
    """Two people have the same new camera."""
    for index in (1, 3):
        sessions[index].camera = "Brand New Cam 4K"
    return sessions


AFTER: Final = (
    Scenario(
        name="uplink of one of two",
        cast="home, cable",
        script=(Happens(kind="bad uplink", to=0),),
        expected=(Expected(family="uplink", owner=0),),
    ),
    Scenario(
        name="two lines at once, one up, one down",
        cast="lan, lan, home, home, cable, us",
        script=(
            Happens(kind="bad uplink", to=2, first=8, last=26),
            Happens(kind="bad downlink", to=4, first=12, last=30),
        ),
        expected=(
            Expected(family="uplink", owner=2, first=8, last=26),
            Expected(family="downlink", owner=4, first=12, last=30),
        ),
    ),
    Scenario(
        name="a server, and one bad uplink on it",
        cast="lan, lan, wifi, home, home, cable, us, us, us, us",
        script=(
            Happens(kind="server overload", to=FRANKFURT, first=5, last=18),
            Happens(kind="bad uplink", to=4, first=22, last=36),
        ),
        expected=(
            Expected(family="server", owner=FRANKFURT, first=5, last=18),
            Expected(family="uplink", owner=4, first=22, last=36),
        ),
    ),
    Scenario(
        name="a mild server trouble",
        cast="lan, lan, wifi, home, cable, us, us, us",
        script=(Happens(kind="server region", to=FRANKFURT),),
        expected=(Expected(family="server", owner=FRANKFURT),),
    ),
    Scenario(
        name="a server with few others beside it",
        cast="home, cable, us, us, us, us",
        script=(Happens(kind="server overload", to=SAN_JOSE, first=3, last=30),),
        expected=(Expected(family="server", owner=SAN_JOSE, first=3, last=30),),
    ),
    Scenario(
        name="Wi-Fi in bursts",
        cast="lan, wifi, wifi, wifi, home, cable, us",
        script=(Happens(kind="Wi-Fi site", to="wifi"),),
        expected=(Expected(family="site", owner=f"{OFFICE} wifi"),),
    ),
    Scenario(
        name="a site, and a CPU elsewhere",
        cast="lan, lan, wifi, home, cable, us:mac",
        script=(
            Happens(kind="site egress", to="lan"),
            Happens(kind="site egress", to="wifi"),
            Happens(kind="CPU starvation", to=5, first=6, last=22),
        ),
        expected=(
            Expected(family="site", owner=OFFICE),
            Expected(family="cpu", owner=5, first=6, last=22),
        ),
    ),
    Scenario(
        name="a hot phone",
        cast="lan, home:hot phone, home, cable",
        script=(Happens(kind="phone heat", to=1, first=8, last=38),),
        expected=(Expected(family="cpu", owner=1, first=8, last=38),),
    ),
    Scenario(
        name="a hot phone that does not tell its CPU",
        cast="lan, home:phone, home, cable",
        script=(Happens(kind="phone heat", to=1, first=8, last=38),),
        may=(Expected(family="cpu", owner=1, first=8, last=38),),
    ),
    Scenario(
        name="too little room downward",
        cast="lan, home, home, cable, us",
        script=(Happens(kind="downward bandwidth", to=2),),
        expected=(Expected(family="bandwidth", owner=2),),
    ),
    Scenario(
        name="satellite",
        cast="lan, home, home, cable",
        script=(Happens(kind="satellite", to=1, first=0, last=40),),
        expected=(Expected(family="path", owner=1, first=0, last=40),),
    ),
    Scenario(
        name="a VPN from the beginning, beside neighbours without",
        cast="lan, home, home, home, cable",
        script=(Happens(kind="detour", to=2, first=0, last=40),),
        expected=(Expected(family="path", owner=2, first=0, last=40),),
    ),
    Scenario(
        name="a dead microphone",
        cast="lan, home, home, cable",
        script=(Happens(kind="silent microphone", to=1, first=0, last=40),),
        expected=(Expected(family="device", owner=1, first=0, last=40),),
    ),
    Scenario(
        name="two cameras of one model",
        cast="lan, home, home, cable, us",
        script=(
            Happens(kind="broken camera", to=1, first=4, last=36),
            Happens(kind="broken camera", to=3, first=6, last=38),
        ),
        expected=(Expected(family="device", owner="Brand New Cam 4K", first=4, last=38),),
        change=same_camera,
    ),
    Scenario(
        name="a downlink with a third of the values unknown",
        cast="lan, home, home, cable, us",
        script=(Happens(kind="bad downlink", to=1),),
        expected=(Expected(family="downlink", owner=1),),
        change=with_holes,
    ),
    Scenario(
        name="an uplink, half of the sessions sampled every 30 s",
        cast="lan, lan, home, home, cable, us",
        script=(Happens(kind="bad uplink", to=3),),
        expected=(Expected(family="uplink", owner=3),),
        change=half_at_thirty_seconds,
    ),
    Scenario(
        name="intervals of 10 s in a short call",
        cast="home, cable, us",
        script=(Happens(kind="bad uplink", to=0, first=30, last=60),),
        expected=(Expected(family="uplink", owner=0, first=30, last=60),),
        minutes=15,
        interval_s=10,
    ),
    Scenario(
        name="an uplink that is bad while nothing else is known of the beginning",
        cast="lan, home, home, cable",
        script=(Happens(kind="bad uplink", to=1, first=2, last=25),),
        expected=(Expected(family="uplink", owner=1, first=10, last=25),),
        change=without_the_first_ten_minutes,
    ),
    Scenario(
        name="forty people, one uplink and one downlink",
        cast=", ".join(["lan"] * 10 + ["wifi"] * 6 + ["home"] * 10 + ["cable"] * 8 + ["us"] * 6),
        script=(
            Happens(kind="bad uplink", to=20, first=5, last=25),
            Happens(kind="bad downlink", to=30, first=10, last=35),
        ),
        expected=(
            Expected(family="uplink", owner=20, first=5, last=25),
            Expected(family="downlink", owner=30, first=10, last=35),
        ),
    ),
    Scenario(
        name="two sites at different times",
        cast="lan, lan, wifi, home, cable, us, us",
        script=(
            Happens(kind="site egress", to="lan", first=3, last=15),
            Happens(kind="site egress", to="wifi", first=3, last=15),
            Happens(kind="bandwidth collapse", to=4, first=20, last=36),
        ),
        expected=(
            Expected(family="site", owner=OFFICE, first=3, last=15),
            Expected(family="bandwidth", owner=4, first=20, last=36),
        ),
    ),
    Scenario(
        name="decoy: busy but fine, and a dark room",
        cast="lan, home, home, cable",
        script=(
            Happens(kind="busy but fine", to=0),
            Happens(kind="dark room", to=2, first=0, last=40),
        ),
    ),
    Scenario(
        name="decoy: spikes of one interval",
        cast="lan, home, home, cable, us",
        script=(
            Happens(kind="spike", to=0, first=6, last=7),
            Happens(kind="spike", to=1, first=15, last=16),
            Happens(kind="spike", to=3, first=27, last=28),
        ),
    ),
    Scenario(
        name="decoy: quiet people",
        cast="lan, home, home, cable",
        script=(
            Happens(kind="quiet", to=1, first=0, last=40),
            Happens(kind="quiet", to=3, first=0, last=40),
            Happens(kind="mute", to=0, first=0, last=40),
        ),
    ),
    Scenario(
        name="decoy: TCP alone",
        cast="lan, home, home, cable",
        script=(Happens(kind="TCP fall-back", to=1, first=12, last=40),),
    ),
    Scenario(
        name="decoy: one late joiner",
        cast="lan, home, home, cable, us",
        script=(Happens(kind="late joiner", to=2, first=0, last=15),),
    ),
    Scenario(name="decoy: on the road, as it is", cast="lan, road, road, home, us"),
    Scenario(
        name="calm, a third of the values unknown",
        cast="lan, lan, wifi, home, home, cable, us, us",
        change=with_holes,
    ),
    Scenario(name="calm, of two", cast="home, us"),
)
