"""The half of the scenarios that was written before there was any rule."""

from typing import Final

from tests.scenarios.stage import (
    FRANKFURT,
    HOME_PROVIDER,
    OFFICE,
    Expected,
    Happens,
    Scenario,
)

BEFORE: Final = (
    Scenario(
        name="uplink alone",
        cast="lan, lan, home, home, cable, us",
        script=(Happens(kind="bad uplink", to=2),),
        expected=(Expected(family="uplink", owner=2),),
    ),
    Scenario(
        name="downlink alone",
        cast="lan, wifi, home, home, cable, us",
        script=(Happens(kind="bad downlink", to=3),),
        expected=(Expected(family="downlink", owner=3),),
    ),
    Scenario(
        name="access link, both ways",
        cast="lan, lan, home, cable, us",
        script=(Happens(kind="bad access", to=2),),
        expected=(Expected(family="uplink|downlink", owner=2),),
    ),
    Scenario(
        name="server of one region",
        cast="lan, wifi, home, home, cable, us, us, us, us",
        script=(Happens(kind="server overload", to=FRANKFURT),),
        expected=(Expected(family="server", owner=FRANKFURT),),
    ),
    Scenario(
        name="egress of a site",
        cast="lan, lan, wifi, wifi, home, home, cable, us",
        script=(Happens(kind="site egress", to="lan"), Happens(kind="site egress", to="wifi")),
        expected=(Expected(family="site", owner=OFFICE),),
    ),
    Scenario(
        name="Wi-Fi of a site",
        cast="lan, lan, wifi, wifi, wifi, home, cable, us",
        script=(Happens(kind="site egress", to="wifi"),),
        expected=(Expected(family="site", owner=f"{OFFICE} wifi"),),
    ),
    Scenario(
        name="provider",
        cast="lan, lan, home, home, home, home, cable, cable, us",
        script=(Happens(kind="site egress", to="home"),),
        expected=(Expected(family="site", owner=HOME_PROVIDER),),
    ),
    Scenario(
        name="CPU, another program",
        cast="lan, lan, home, home, cable",
        script=(Happens(kind="CPU starvation", to=3),),
        expected=(Expected(family="cpu", owner=3),),
    ),
    Scenario(
        name="CPU, the application",
        cast="lan:mac, home, home:browser, cable",
        script=(Happens(kind="busy application", to=0, first=5, last=16),),
        expected=(Expected(family="cpu", owner=0, first=5, last=16),),
    ),
    Scenario(
        name="bandwidth collapse",
        cast="lan, home, home, cable, us",
        script=(Happens(kind="bandwidth collapse", to=1),),
        expected=(Expected(family="bandwidth", owner=1),),
    ),
    Scenario(
        name="bandwidth oscillation",
        cast="lan, home, home, cable, us",
        script=(Happens(kind="bandwidth oscillation", to=2, first=8, last=32),),
        expected=(Expected(family="bandwidth", owner=2, first=8, last=32),),
    ),
    Scenario(
        name="broken camera",
        cast="lan, home, home, cable",
        script=(Happens(kind="broken camera", to=1, first=6, last=34),),
        expected=(Expected(family="device", owner=1, first=6, last=34),),
    ),
    Scenario(
        name="detour from one minute on",
        cast="lan, lan, home, cable, us",
        script=(Happens(kind="detour", to=3, first=12, last=40),),
        expected=(Expected(family="path", owner=3, first=12, last=40),),
    ),
    Scenario(
        name="slow over TCP",
        cast="lan, home, home, cable",
        script=(Happens(kind="slow TCP", to=2, first=9, last=40),),
        expected=(Expected(family="path", owner=2, first=9, last=40),),
    ),
    Scenario(
        name="one bad uplink, another's CPU",
        cast="lan, lan, home, home, cable, us",
        script=(
            Happens(kind="bad uplink", to=2, first=4, last=20),
            Happens(kind="CPU starvation", to=0, first=14, last=30),
        ),
        expected=(
            Expected(family="uplink", owner=2, first=4, last=20),
            Expected(family="cpu", owner=0, first=14, last=30),
        ),
    ),
    Scenario(name="calm", cast="lan, lan, wifi, home, home, cable, us, us"),
    Scenario(
        name="decoy: another layout, and muted",
        cast="lan, wifi, home, cable, us",
        script=(
            Happens(kind="layout change", to=1),
            Happens(kind="mute", to=2, first=5, last=35),
            Happens(kind="mute", to=3),
        ),
    ),
    Scenario(
        name="decoy: thumbnails and a screen that stands still",
        cast="lan, lan, home, cable",
        script=(
            Happens(kind="thumbnail", to=0),
            Happens(kind="thumbnail", to=2, first=20, last=36),
            *(Happens(kind="still share", to=who, first=0, last=40) for who in range(4)),
        ),
    ),
    Scenario(
        name="decoy: a region with long ways",
        cast="lan, lan, home, cable, far, far, far",
    ),
)
