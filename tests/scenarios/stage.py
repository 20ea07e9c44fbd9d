"""What a scenario is: who takes part, what happens, and what should be found. All of it simulated.

A cast is words: `lan` and `wifi` sit in one office behind one public address, `home` and `cable`
each have an address of their own at one of two providers, `us` reaches another region, `road` is
a phone network. After a colon the client: `browser` and `phone` cannot read their CPU.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Final

from roomtone.model import MediaSession, epoch_ms
from roomtone.simulate import scripted
from roomtone.simulate.cast import CLIENTS, Client, Person, Site, cast
from roomtone.simulate.effects import FurtherKind
from roomtone.simulate.script import Trouble, TroubleKind

START_MS: Final = epoch_ms("2026-11-20T09:00:00Z")
OFFICE: Final = "203.0.113.24"
FRANKFURT: Final = "Frankfurt, Germany"
SAN_JOSE: Final = "San Jose, USA"
HOME_PROVIDER: Final = "192.0.0.0/16"
CABLE_PROVIDER: Final = "198.51.0.0/16"


def _site(word: str, index: int) -> Site:
    """The place that a word of a cast names; the address of homes depends on who it is."""
    host = index + 10
    if word in ("lan", "wifi"):
        return Site(name=word, network="ethernet" if word == "lan" else "wifi", public_ip=OFFICE,
                    subnet="10.24.72" if word == "lan" else "10.24.80", region=FRANKFURT,
                    rtt_ms=17.0 if word == "lan" else 21.0, jitter_ms=1.2,
                    swing=0.12 if word == "lan" else 0.3)  # fmt: skip
    if word == "home":
        return Site(name=f"home {index}", network="wifi", public_ip=f"192.0.2.{host}",
                    subnet="192.168.1", region=FRANKFURT, rtt_ms=32.0, jitter_ms=4.0,
                    swing=0.35)  # fmt: skip
    if word == "cable":
        return Site(name=f"cable {index}", network="ethernet", public_ip=f"198.51.100.{host}",
                    subnet="192.168.0", region=FRANKFURT, rtt_ms=24.0, jitter_ms=2.0,
                    swing=0.2)  # fmt: skip
    if word == "us":
        return Site(name=f"us {index}", network="ethernet", public_ip=f"198.18.{index}.{host}",
                    subnet="192.168.1", region=SAN_JOSE, rtt_ms=28.0, jitter_ms=2.0,
                    swing=0.2)  # fmt: skip
    if word == "far":
        return Site(name=f"far {index}", network="ethernet", public_ip=f"198.19.{index}.{host}",
                    subnet="192.168.1", region="Sydney, Australia", rtt_ms=168.0, jitter_ms=2.6,
                    swing=0.2)  # fmt: skip
    assert word == "road", word
    return Site(name=f"road {index}", network="cellular", public_ip=f"203.0.113.{host + 100}",
                subnet="100.64.12", region=FRANKFURT, rtt_ms=58.0, jitter_ms=7.0,
                swing=0.4)  # fmt: skip


def _client(word: str) -> Client:
    names = {"": CLIENTS[0], "mac": CLIENTS[1], "browser": CLIENTS[2], "room": CLIENTS[3],
             "phone": CLIENTS[4]}  # fmt: skip
    if word == "hot phone":
        return replace(CLIENTS[4], reads_cpu=True)
    return names[word]


@dataclass(frozen=True, kw_only=True)
class Happens:
    """One line of a script: in intervals first..last-1, to a person (by place in the cast), to
    everyone of a word of the cast, or to a region. `root` False is what only looks like a fault."""

    kind: TroubleKind | FurtherKind
    to: int | str
    first: int = 10
    last: int = 28


@dataclass(frozen=True, kw_only=True)
class Expected:
    """A finding that there should be: one of these families, about this owner, in this time."""

    family: str
    owner: int | str
    first: int = 10
    last: int = 28


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A scripted meeting and its truth.

    `may`: findings that are neither wanted nor wrong, as the figures leave it open.
    """

    name: str
    cast: str
    script: tuple[Happens, ...] = ()
    expected: tuple[Expected, ...] = ()
    may: tuple[Expected, ...] = ()
    minutes: int = 40
    interval_s: int = 60
    change: Callable[[Random, list[MediaSession]], list[MediaSession]] | None = None


def people_of(words: str, rng: Random) -> list[Person]:
    """The cast: simulate's people, sent to the places that the words name."""
    named = [word.strip().partition(":") for word in words.split(",")]
    people = cast(rng, len(named))
    found = []
    for index, (person, (place, _, client)) in enumerate(zip(people, named, strict=True)):
        site = _site(place, index)
        local_ip = f"{site.subnet}.{index + 20}"
        found.append(replace(person, site=site, client=_client(client), local_ip=local_ip))
    return found


def play(scenario: Scenario, seed: int) -> list[MediaSession]:
    """The sessions of a scenario; another seed, another meeting with the same script."""
    rng = Random(f"{scenario.name}/{seed}")
    people = people_of(scenario.cast, rng)
    script = [
        Trouble(kind=line.kind, target=target, first=line.first, last=line.last)
        for line in scenario.script
        for target in _targets(line, people)
    ]
    made = scripted(
        people,
        script,
        seed=seed,
        minutes=scenario.minutes,
        start_ms=START_MS,
        interval_s=scenario.interval_s,
        title=scenario.name,
    )
    return scenario.change(rng, made.sessions) if scenario.change else made.sessions


def _targets(line: Happens, people: Sequence[Person]) -> list[int | str]:
    if line.to in ("home", "cable", "us", "road", "far"):
        return [i for i, person in enumerate(people) if person.site.name == f"{line.to} {i}"]
    return [line.to]
