"""Harder ones, written last: weak, mixed, simultaneous, and figures that are missing."""

from itertools import pairwise
from random import Random
from typing import Final

from msgspec import structs

from roomtone.model import STREAM_KINDS, MediaSession, column_of, streams_of
from tests.scenarios.after import half_at_thirty_seconds, with_holes
from tests.scenarios.stage import FRANKFURT, OFFICE, Expected, Happens, Scenario


def audio_only(rng: Random, sessions: list[MediaSession]) -> list[MediaSession]:
    """Nobody has a camera on, nobody shares."""
    for session in sessions:
        session.videoIn, session.videoOut, session.shareIn, session.shareOut = [], [], [], []
    return sessions


def without_addresses(rng: Random, sessions: list[MediaSession]) -> list[MediaSession]:
    """An organisation that keeps no addresses, masked or not."""
    for session in sessions:
        session.publicIP = session.localIP = session.maskedPublicIP = session.maskedLocalIP = ""
    return sessions


def without_cpu_and_latency(rng: Random, sessions: list[MediaSession]) -> list[MediaSession]:
    """Clients that tell neither."""
    for session in sessions:
        session.resources = []
        for kind in STREAM_KINDS:
            for entry in streams_of(session, kind):
                entry.latency = []
    return sessions


def slow_starts(rng: Random, sessions: list[MediaSession]) -> list[MediaSession]:
    """Every sender feels its way up in the first two intervals, as congestion control does."""
    for session in sessions:
        for entry in (*session.videoOut[:1], *session.videoIn[:1]):
            for at, part in ((0, 0.3), (1, 0.6)):
                for name, least in (("mediaBitRate", 100), ("frameRate", 1)):
                    values = column_of(entry, name)  # type: ignore[arg-type]
                    value = values[at]
                    values[at] = value if value is None else max(least, round(value * part))
                entry.resolutionHeight[at] = 180
                late = entry.latency[at]
                entry.latency[at] = late if late is None else round(1.6 * late, 1)
    return sessions


def two_peers(rng: Random, sessions: list[MediaSession]) -> list[MediaSession]:
    """No server between: what one sends is what the other receives, with the same losses."""
    for one, other in ((sessions[0], sessions[1]), (sessions[1], sessions[0])):
        for sent, got in ((one.audioOut, other.audioIn), (one.videoOut, other.videoIn)):
            got[0].packetLoss = list(sent[0].packetLoss)[: len(got[0].packetLoss)]
    return sessions


def rejoined(rng: Random, sessions: list[MediaSession]) -> list[MediaSession]:
    """The second person leaves in the middle and is back at once, as another session."""
    first = sessions[1]
    second = structs.replace(first, participantSessionId="0" * 8 + first.participantSessionId[8:])
    for kind in STREAM_KINDS:
        setattr(second, kind, [])
    second.resources = []
    return [*sessions, second]


def every_other(kind: str, to: int, first: int, last: int) -> tuple[Happens, ...]:
    """Every other interval of a time."""
    return tuple(
        Happens(kind=kind, to=to, first=at, last=at + 1)  # type: ignore[arg-type]
        for at, _ in pairwise(range(first, last + 1, 2))
    )


HARD: Final = (
    Scenario(
        name="a mild uplink",
        cast="lan, lan, home, home, cable, us",
        script=(Happens(kind="mild uplink", to=2),),
        expected=(Expected(family="uplink", owner=2),),
    ),
    Scenario(
        name="an uplink that is bad every other minute",
        cast="lan, home, home, cable, us",
        script=every_other("bad uplink", 1, 10, 30),
        expected=(Expected(family="uplink", owner=1, first=10, last=30),),
    ),
    Scenario(
        name="a shaky downlink",
        cast="lan, home, home, cable, us",
        script=(Happens(kind="shaky downlink", to=2),),
        expected=(Expected(family="downlink", owner=2),),
    ),
    Scenario(
        name="a full queue",
        cast="lan, home, home, cable, us",
        script=(Happens(kind="full queue", to=1),),
        expected=(Expected(family="bandwidth|uplink|downlink|path", owner=1),),
    ),
    Scenario(
        name="voices alone: one uplink, one downlink",
        cast="lan, lan, home, home, cable, us",
        script=(
            Happens(kind="bad uplink", to=2),
            Happens(kind="bad downlink", to=3, first=20, last=34),
        ),
        expected=(
            Expected(family="uplink", owner=2),
            Expected(family="downlink", owner=3, first=20, last=34),
        ),
        change=audio_only,
    ),
    Scenario(
        name="a server, no addresses known",
        cast="lan, wifi, home, cable, us, us, us",
        script=(Happens(kind="server overload", to=FRANKFURT),),
        expected=(Expected(family="server", owner=FRANKFURT),),
        change=without_addresses,
    ),
    Scenario(
        name="an uplink, neither CPU nor latency known",
        cast="lan, home, home, cable, us",
        script=(Happens(kind="bad uplink", to=3),),
        expected=(Expected(family="uplink", owner=3),),
        change=without_cpu_and_latency,
    ),
    Scenario(
        name="a site, and at the same time a CPU there",
        cast="lan, lan, wifi, wifi, home, cable, us",
        script=(
            Happens(kind="site egress", to="lan", first=18, last=30),
            Happens(kind="site egress", to="wifi", first=18, last=30),
            Happens(kind="CPU starvation", to=0, first=4, last=22),
        ),
        expected=(
            Expected(family="site", owner=OFFICE, first=18, last=30),
            Expected(family="cpu", owner=0, first=4, last=22),
        ),
    ),
    Scenario(
        name="a server, and at the same time an uplink on it",
        cast="lan, lan, wifi, home, home, cable, us, us, us",
        script=(
            Happens(kind="server region", to=FRANKFURT),
            Happens(kind="bad uplink", to=3),
        ),
        expected=(
            Expected(family="server", owner=FRANKFURT),
            Expected(family="uplink", owner=3),
        ),
    ),
    Scenario(
        name="two uplinks at once",
        cast="lan, lan, home, home, cable, us",
        script=(
            Happens(kind="bad uplink", to=2, first=8, last=24),
            Happens(kind="bad uplink", to=5, first=12, last=28),
        ),
        expected=(
            Expected(family="uplink", owner=2, first=8, last=24),
            Expected(family="uplink", owner=5, first=12, last=28),
        ),
    ),
    Scenario(
        name="two uplinks of one provider at once",
        cast="lan, lan, home, home, home, cable, us",
        script=(
            Happens(kind="bad uplink", to=2, first=8, last=24),
            Happens(kind="bad uplink", to=3, first=10, last=26),
        ),
        expected=(
            Expected(family="uplink", owner=2, first=8, last=24),
            Expected(family="uplink", owner=3, first=10, last=26),
        ),
    ),
    Scenario(
        name="five troubles of twelve people",
        cast="lan, lan, home, home, cable, us, wifi, home, cable, cable, us, home",
        script=(
            Happens(kind="CPU starvation", to=0, first=3, last=17),
            Happens(kind="bad uplink", to=2, first=8, last=24),
            Happens(kind="bad downlink", to=5, first=15, last=30),
            Happens(kind="broken camera", to=7, first=5, last=35),
            Happens(kind="detour", to=9, first=14, last=40),
        ),
        expected=(
            Expected(family="cpu", owner=0, first=3, last=17),
            Expected(family="uplink", owner=2, first=8, last=24),
            Expected(family="downlink", owner=5, first=15, last=30),
            Expected(family="device", owner=7, first=5, last=35),
            Expected(family="path", owner=9, first=14, last=40),
        ),
    ),
    Scenario(
        name="a collapse that ends in loss",
        cast="lan, home, home, cable, us",
        script=(
            Happens(kind="bandwidth collapse", to=1, first=8, last=20),
            Happens(kind="bad uplink", to=1, first=20, last=32),
        ),
        expected=(Expected(family="bandwidth|uplink", owner=1, first=8, last=32),),
        may=(
            Expected(family="bandwidth", owner=1, first=8, last=20),
            Expected(family="uplink", owner=1, first=20, last=32),
        ),
    ),
    Scenario(
        name="two peers without a server between",
        cast="home, cable",
        script=(Happens(kind="bad uplink", to=0),),
        expected=(Expected(family="uplink", owner=0),),
        change=two_peers,
    ),
    Scenario(
        name="intervals of five minutes",
        cast="lan, home, home, cable, us",
        script=(Happens(kind="bad uplink", to=1, first=6, last=14),),
        expected=(Expected(family="uplink", owner=1, first=6, last=14),),
        minutes=120,
        interval_s=300,
    ),
    Scenario(
        name="a site, half of the sessions sampled every 30 s",
        cast="lan, lan, wifi, wifi, home, cable, us",
        script=(Happens(kind="site egress", to="lan"), Happens(kind="site egress", to="wifi")),
        expected=(Expected(family="site", owner=OFFICE),),
        change=half_at_thirty_seconds,
    ),
    Scenario(
        name="a server, a third of the values unknown",
        cast="lan, wifi, home, home, cable, us, us, us",
        script=(Happens(kind="server overload", to=FRANKFURT),),
        expected=(Expected(family="server", owner=FRANKFURT),),
        change=with_holes,
    ),
    Scenario(
        name="decoy: slow starts",
        cast="lan, lan, home, home, cable, us",
        change=slow_starts,
    ),
    Scenario(
        name="decoy: a picture that is large and small by turns",
        cast="lan, home, home, cable, us",
        script=(
            *every_other("thumbnail", 1, 6, 36),
            *every_other("layout change", 2, 6, 36),
        ),
    ),
    Scenario(
        name="decoy: a session without any stream",
        cast="lan, home, cable",
        change=rejoined,
    ),
    Scenario(
        name="decoy: many on the road",
        cast="road, road, road, road, lan",
    ),
)
