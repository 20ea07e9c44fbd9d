"""Who takes part in a simulated meeting: invented people, their places, devices and networks.

Addresses are from the ranges for documentation (RFC 5737) and private ones; e-mails end in
.example (RFC 2606).
"""

from dataclasses import dataclass
from random import Random
from typing import Final

GIVEN_NAMES: Final = (
    "Ada", "Bela", "Chidi", "Dalia", "Emil", "Farah", "Goran", "Hana", "Ines", "Jonas", "Kaya",
    "Liam", "Mara", "Nils", "Oona", "Pavel", "Quinn", "Rosa", "Sami", "Tessa", "Umar", "Vera",
    "Wim", "Ximena", "Yara", "Zoran",
)  # fmt: skip
FAMILY_NAMES: Final = (
    "Adler", "Brandt", "Castell", "Dvorak", "Engel", "Fiore", "Garnier", "Hollis", "Ibarra",
    "Jansen", "Kovac", "Lindqvist", "Moreau", "Novak", "Okafor", "Petrov", "Quist", "Rahman",
    "Silva", "Tanaka",
)  # fmt: skip
TITLES: Final = (
    "weekly planning", "design review", "customer call", "all hands", "sprint demo", "hiring panel",
    "support hand-over", "budget round", "board update", "training", "incident review",
    "one to one",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Site:
    """A place: its network, the region it reaches, a path without congestion, and how it swings."""

    name: str
    network: str
    public_ip: str
    subnet: str
    region: str
    rtt_ms: float
    jitter_ms: float
    swing: float


SITES: Final = (
    Site(name="office", network="ethernet", public_ip="203.0.113.24", subnet="10.24.72",
         region="Frankfurt, Germany", rtt_ms=17.0, jitter_ms=1.2, swing=0.12),
    Site(name="branch", network="wifi", public_ip="198.51.100.87", subnet="10.31.8",
         region="Frankfurt, Germany", rtt_ms=28.0, jitter_ms=3.1, swing=0.35),
    Site(name="home", network="wifi", public_ip="192.0.2.131", subnet="192.168.1",
         region="Frankfurt, Germany", rtt_ms=34.0, jitter_ms=4.0, swing=0.4),
    Site(name="overseas", network="ethernet", public_ip="203.0.113.201", subnet="10.80.4",
         region="San Jose, USA", rtt_ms=146.0, jitter_ms=2.6, swing=0.2),
    Site(name="road", network="cellular", public_ip="198.51.100.9", subnet="100.64.12",
         region="Frankfurt, Germany", rtt_ms=58.0, jitter_ms=9.0, swing=0.6),
)  # fmt: skip
SITE_WEIGHTS: Final = (6, 4, 4, 3, 1)


@dataclass(frozen=True, kw_only=True)
class Client:
    """An application on a device. A browser cannot read CPU percentages."""

    client_type: str
    version: str
    os_type: str
    os_version: str
    hardware: str
    camera: str
    microphone: str
    speaker: str
    reads_cpu: bool


CLIENTS: Final = (
    Client(client_type="MEETING_CENTER", version="45.6.2.9", os_type="windows",
           os_version="Version 11 (Build 26100)", hardware="ThinkPad T14", reads_cpu=True,
           camera="Integrated Camera", microphone="Headset Microphone", speaker="Headset Earphone"),
    Client(client_type="MEETING_CENTER", version="45.6.2.9", os_type="mac",
           os_version="Version 15.6 (Build 24G84)", hardware="MacBook Pro", reads_cpu=True,
           camera="FaceTime HD Camera", microphone="MacBook Pro Microphone",
           speaker="MacBook Pro Speakers"),
    Client(client_type="WEBEX_JS_SDK", version="3.8.1", os_type="linux", os_version="6.12",
           hardware="", reads_cpu=False, camera="HD Pro Webcam C920",
           microphone="USB Audio Microphone", speaker="Built-in Audio"),
    Client(client_type="TEAMS_DEVICE", version="RoomOS 11.27", os_type="other",
           os_version="RoomOS 11", hardware="Room Kit", reads_cpu=True, camera="Quad Camera",
           microphone="Table Microphone", speaker="Room Speakers"),
    Client(client_type="MEETING_CENTER", version="45.6.0.4", os_type="ios",
           os_version="Version 18.5", hardware="iPhone", reads_cpu=False, camera="Front Camera",
           microphone="iPhone Microphone", speaker="iPhone Speaker"),
)  # fmt: skip
CLIENT_WEIGHTS: Final = (6, 5, 3, 1, 1)


@dataclass(frozen=True, kw_only=True)
class Person:
    """One participant: who, where from, with what."""

    name: str
    email: str
    participant_id: str
    session_id: str
    site: Site
    client: Client
    local_ip: str


def cast(rng: Random, count: int) -> list[Person]:
    """`count` different people; the first two sit in one office, so that a meeting has a site."""
    return [_person(rng, index) for index in range(count)]


def _person(rng: Random, index: int) -> Person:
    given = GIVEN_NAMES[index % len(GIVEN_NAMES)]
    family = FAMILY_NAMES[
        (index * 7 + index // len(GIVEN_NAMES) + rng.randrange(3)) % len(FAMILY_NAMES)
    ]
    number = f"{index}" if index >= len(GIVEN_NAMES) else ""
    site = SITES[1] if index < 2 else rng.choices(SITES, SITE_WEIGHTS)[0]
    return Person(
        name=f"{given} {family}",
        email=f"{given}.{family}{number}@roomtone.example".lower(),
        participant_id=f"{rng.getrandbits(128):032x}_I_{rng.randrange(10**17, 10**18)}_{index + 1}",
        session_id=upper_uuid(rng),
        site=site,
        client=rng.choices(CLIENTS, CLIENT_WEIGHTS)[0],
        local_ip=f"{site.subnet}.{rng.randrange(2, 255)}",
    )


def upper_uuid(rng: Random) -> str:
    """An upper-case UUID (version 4) from the given source of chance."""
    bits = rng.getrandbits(128)
    bits = bits & ~(0xF << 76) | (4 << 76)
    digits = f"{bits & ~(0x3 << 62) | (2 << 62):032X}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
