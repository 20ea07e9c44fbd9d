"""Invented fleets with known culprits: two weeks of meetings, in the second something broke.

Everything comes from a seed. Values travel together as they do in life: a cluster belongs to a
region, hardware to a system, versions are rolled out site by site. Meetings differ from each other,
networks and regions have rates of their own, and the mix may change from one week to the other.
"""

import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from roomtone.fleet.cube import Cube, CubeBuilder

DIMENSIONS: Final = (
    "region", "cluster", "site", "networkType", "clientType", "clientVersion", "osType",
    "hardware", "camera", "microphone", "codec", "transport", "hour", "day",
)  # fmt: skip
Values = dict[str, str]
Cell = tuple[tuple[str, str], ...]

REGIONS: Final = ("Frankfurt", "San Jose", "Singapore", "London", "Sydney", "Toronto")
REGION_WEIGHTS: Final = (8, 6, 4, 3, 2, 2)
CLIENTS: Final = ("desktop", "browser", "mobile", "room")
CLIENT_WEIGHTS: Final = (10, 5, 3, 2)
SYSTEMS: Final[dict[str, tuple[tuple[str, ...], tuple[int, ...]]]] = {
    "desktop": (("windows", "mac"), (7, 4)),
    "browser": (("windows", "mac", "linux"), (6, 3, 2)),
    "mobile": (("ios", "android"), (3, 2)),
    "room": (("roomos", "android"), (5, 1)),
}
HARDWARE: Final[dict[str, tuple[str, ...]]] = {
    "windows": ("ThinkPad T14", "Latitude 5450", "EliteBook 840", "Surface 7"),
    "mac": ("MacBook Pro", "MacBook Air", "Mac mini"),
    "linux": ("ThinkPad T14", "XPS 13"),
    "ios": ("iPhone 15", "iPhone 17", "iPad"),
    "android": ("Pixel 9", "Galaxy S25"),
    "roomos": ("Room Kit", "Board Pro", "Desk Pro"),
}
CAMERAS: Final = ("built in", "C920", "Brio", "PTZ Pro")
MICROPHONES: Final = ("built in", "Evolve2", "Voyager", "table")
VERSIONS: Final = ("45.3", "45.4", "45.5", "45.6")
NETWORKS: Final = ("ethernet", "wifi", "cellular")
SITES_PER_REGION: Final = 6
POOR_EXTRA_MIN: Final = 20
"""Poor sessions that a culprit adds, on average, at least: fewer are not to be found by anyone."""
SHARE_MAX: Final = 0.35
TRIES_MAX: Final = 200


@dataclass(kw_only=True)
class World:
    """The odds of one fleet."""

    base: float
    meeting_spread: float
    effects: dict[tuple[str, str], float]
    version_weights: dict[str, tuple[float, ...]]
    wifi_by_site: dict[str, float]
    culprits: list[tuple[Cell, float]] = field(default_factory=list)
    worse_everywhere: float = 0.0
    bad_meetings: int = 0
    after: Callable[["World"], None] | None = None


@dataclass(frozen=True, kw_only=True)
class Case:
    """A fleet and the truth about it."""

    kind: str
    seed: int
    cube: Cube
    culprits: tuple[frozenset[tuple[str, str]], ...]


def world_of(rng: random.Random, *, plain: bool) -> World:
    """A fleet as it was; `plain`: no value has a rate of its own."""
    sites = [f"{region} {number}" for region in REGIONS for number in range(SITES_PER_REGION)]
    effects: dict[tuple[str, str], float] = {}
    if not plain:
        effects = {("networkType", "wifi"): 0.4, ("networkType", "cellular"): 0.9}
        effects |= {("region", region): rng.gauss(0, 0.25) for region in REGIONS}
        effects |= {("site", site): rng.gauss(0, 0.3) for site in sites}
        effects |= {("hour", f"{hour:02d}"): rng.gauss(0, 0.15) for hour in range(24)}
        effects |= {("transport", "TCP"): 0.8}
    return World(
        base=math.log(rng.uniform(0.025, 0.08)),
        meeting_spread=rng.uniform(0.2, 0.8),
        effects=effects,
        version_weights=dict.fromkeys(sites, (1, 3, 6, 0.4)),
        wifi_by_site={site: rng.uniform(0.15, 0.7) for site in sites},
    )


def meetings_of(rng: random.Random, world: World, sessions: int) -> Iterator[list[Values]]:
    """Meetings of one week: their sessions."""
    made = 0
    while made < sessions:
        size = min(max(2, round(rng.lognormvariate(1.5, 0.8))), 60)
        region = rng.choices(REGIONS, REGION_WEIGHTS)[0]
        hour = f"{min(max(round(rng.gauss(13, 4)), 0), 23):02d}"
        shared = {
            "cluster": f"{region} c{rng.randrange(3)}",
            "hour": hour,
            "day": f"day {rng.randrange(1, 8)}",
        }
        yield [shared | person_of(rng, world, region) for _ in range(size)]
        made += size


def person_of(rng: random.Random, world: World, host_region: str) -> Values:
    """One participant; four of five are from where the host is."""
    region = host_region if rng.random() < 0.8 else rng.choices(REGIONS, REGION_WEIGHTS)[0]
    site = f"{region} {min(int(rng.expovariate(0.5)), SITES_PER_REGION - 1)}"
    client = rng.choices(CLIENTS, CLIENT_WEIGHTS)[0]
    system = rng.choices(*SYSTEMS[client])[0]
    mobile, wifi = client == "mobile", world.wifi_by_site[site]
    weights = (0, 2, 3) if mobile else (1 - wifi, wifi, 0.02)
    network = rng.choices(NETWORKS, weights)[0]
    return {
        "region": region,
        "site": site,
        "clientType": client,
        "osType": system,
        "hardware": rng.choice(HARDWARE[system]),
        "camera": "built in" if mobile else rng.choices(CAMERAS, (5, 3, 2, 1))[0],
        "microphone": rng.choices(MICROPHONES, (4, 3, 2, 1))[0],
        "networkType": network,
        "clientVersion": rng.choices(VERSIONS, world.version_weights[site])[0],
        "codec": rng.choices(("H.264", "VP8", "AV1"), (6, 3, 1))[0],
        "transport": "TCP" if rng.random() < (0.12 if network == "wifi" else 0.05) else "UDP",
    }


def is_poor(rng: random.Random, world: World, values: Values, meeting: float) -> bool:
    """The dice: odds of the fleet, of the values, of the meeting, and of what broke."""
    odds = world.base + meeting + sum(world.effects.get(item, 0.0) for item in values.items())
    chance = 1 / (1 + math.exp(-odds))
    for cell, factor in world.culprits:
        if all(values[name] == value for name, value in cell):
            chance = 1 - (1 - chance) * (1 - factor)
    return rng.random() < chance


def add_week(
    builder: CubeBuilder, rng: random.Random, world: World, *, sessions: int, before: bool
) -> None:
    """Throw the dice for one week."""
    weeks = "before" if before else "now"
    spread = world.meeting_spread
    for number, meeting in enumerate(meetings_of(rng, world, sessions)):
        offset = rng.gauss(0, spread) - spread * spread / 2
        if number < world.bad_meetings:
            offset = 6.0
        for values in meeting:
            builder.add(
                [values[name] for name in DIMENSIONS],
                poor=float(is_poor(rng, world, values, offset)),
                before=before,
                meeting=f"{weeks} {number}",
            )


def pick(rng: random.Random, world: World, sessions: int, order: int) -> tuple[Cell, float]:
    """A cell of a random person, neither too large nor too small, and how many more are poor."""
    people = [one for meeting in meetings_of(rng, world, 3_000) for one in meeting]
    for _ in range(TRIES_MAX):
        names = rng.sample(DIMENSIONS, order)
        person = rng.choice(people)
        cell = tuple(sorted((name, person[name]) for name in names))
        share = share_of(people, cell)
        extra = rng.uniform(0.08, 0.4)
        whole = min((share_of(people, (item,)) for item in cell), default=1.0)
        told_apart = order == 1 or share < 0.7 * whole
        if share <= SHARE_MAX and told_apart and share * sessions * extra >= POOR_EXTRA_MIN:
            return cell, extra
    raise AssertionError("no cell is large enough")


def share_of(people: list[Values], cell: Cell) -> float:
    """0..1 of the people."""
    return sum(all(one[name] == value for name, value in cell) for one in people) / len(people)


def case(kind: str, seed: int) -> Case:
    """The fleet of a kind and a seed."""
    rng = random.Random(f"{kind} {seed}")
    alone = kind.startswith("one week")
    sessions = round(math.exp(rng.uniform(math.log(3_000), math.log(20_000))))
    world = world_of(rng, plain=alone)
    builder = CubeBuilder(DIMENSIONS)
    if not alone:
        add_week(builder, rng, world, sessions=sessions, before=True)
    KINDS[kind](rng, world, sessions)
    add_week(builder, rng, world, sessions=sessions, before=False)
    return Case(
        kind=kind,
        seed=seed,
        cube=builder.cube(),
        culprits=tuple(frozenset(cell) for cell, _ in world.culprits),
    )


def nothing(rng: random.Random, world: World, sessions: int) -> None:
    """The second week is as the first."""


def singles(count: int) -> Callable[[random.Random, World, int], None]:
    """Some values broke."""

    def change(rng: random.Random, world: World, sessions: int) -> None:
        broken(rng, world, sessions, [1] * count)

    return change


def pairs(count: int) -> Callable[[random.Random, World, int], None]:
    """Some pairs broke, while each value alone is well."""

    def change(rng: random.Random, world: World, sessions: int) -> None:
        broken(rng, world, sessions, [2] * count)

    return change


def single_and_pair(rng: random.Random, world: World, sessions: int) -> None:
    """One of each."""
    broken(rng, world, sessions, [1, 2])


def broken(rng: random.Random, world: World, sessions: int, orders: list[int]) -> None:
    """Culprits in dimensions of their own."""
    used: set[str] = set()
    for order in orders:
        for _ in range(TRIES_MAX):
            cell, extra = pick(rng, world, sessions, order)
            if used.isdisjoint(name for name, _ in cell):
                break
        used |= {name for name, _ in cell}
        world.culprits.append((cell, extra))


def roll_out(rng: random.Random, world: World, sessions: int) -> None:
    """A culprit, and a harmless new version where the culprit is at home: it travels with it."""
    broken(rng, world, sessions, [rng.choice((1, 2))])
    region = rng.choice(REGIONS[:3])
    while all(value != region for _, value in world.culprits[0][0]):
        world.culprits.clear()
        site = f"{region} {rng.randrange(2)}"
        cell = (("region", region),) if rng.random() < 0.5 else (("site", site),)
        world.culprits.append((cell, rng.uniform(0.1, 0.3)))
        break
    for site in world.version_weights:
        world.version_weights[site] = (1, 2, 4, 8) if site.startswith(region) else (1, 3, 6, 0.4)


def other_mix(rng: random.Random, world: World, sessions: int) -> None:
    """More people at home and on the road: Wi-Fi doubles, and no value became worse."""
    for site in world.wifi_by_site:
        world.wifi_by_site[site] = min(world.wifi_by_site[site] * 1.8, 0.95)


def mix_and_single(rng: random.Random, world: World, sessions: int) -> None:
    """The mix changes, and one value broke."""
    other_mix(rng, world, sessions)
    broken(rng, world, sessions, [1])


def all_worse(rng: random.Random, world: World, sessions: int) -> None:
    """The rate rises by half everywhere: nothing stands out."""
    world.base += math.log(1.5)


def worse_and_single(rng: random.Random, world: World, sessions: int) -> None:
    """The rate rises by a third everywhere, and one value broke."""
    world.base += math.log(1.33)
    broken(rng, world, sessions, [1])


def bad_meetings(rng: random.Random, world: World, sessions: int) -> None:
    """Some meetings went wrong from end to end, for reasons of their own."""
    world.bad_meetings = max(3, sessions // 1_500)


KINDS: Final[dict[str, Callable[[random.Random, World, int], None]]] = {
    "one value": singles(1),
    "two values": singles(2),
    "three values": singles(3),
    "one pair": pairs(1),
    "two pairs": pairs(2),
    "a value and a pair": single_and_pair,
    "a value; a harmless version where it is": roll_out,
    "a value; the mix changes": mix_and_single,
    "a value; all became worse": worse_and_single,
    "one week alone: one value": singles(1),
    "one week alone: one pair": pairs(1),
    "one week alone: two values": singles(2),
    "nothing": nothing,
    "nothing; the mix changes": other_mix,
    "nothing; all became worse": all_worse,
    "nothing; some bad meetings": bad_meetings,
    "one week alone: nothing": nothing,
    "one week alone: nothing; some bad meetings": bad_meetings,
}
