"""What happens in a simulated meeting: scripted troubles, and the conditions they make.

Conditions are a hidden state per person and interval (congestion up and down, CPU, what is on the
screen); every figure of a series is drawn from it, which is why the figures agree with each other.
"""

from dataclasses import dataclass
from random import Random
from typing import Final, Literal

from roomtone.simulate.cast import Person
from roomtone.simulate.effects import EFFECTS, Condition, FurtherKind, worsen

TroubleKind = Literal[
    "bad uplink",
    "CPU starvation",
    "Wi-Fi site",
    "server region",
    "layout change",
    "mute",
    "late joiner",
    "TCP fall-back",
]
TROUBLE_KINDS: Final[tuple[TroubleKind, ...]] = (
    "bad uplink",
    "CPU starvation",
    "Wi-Fi site",
    "server region",
    "layout change",
    "mute",
    "late joiner",
    "TCP fall-back",
)
PERSISTENCE: Final = 0.82
"""How much of an interval's congestion is left in the next one."""


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """One scripted event in intervals first..last-1.

    `target` is a person's index, or the name of a site or of a region. Of `late joiner`, `last` is
    the interval in which the person joins.
    """

    kind: TroubleKind | FurtherKind
    target: int | str
    first: int
    last: int

    def on(self, interval: int) -> bool:
        """Whether it happens in this interval."""
        return self.first <= interval < self.last

    def hits(self, index: int, person: Person) -> bool:
        """Whether it concerns this person."""
        return self.target in (index, person.site.name, person.site.region)


def troubles(rng: Random, people: list[Person], intervals: int, *, index: int) -> list[Trouble]:
    """The script of the `index`th meeting: every ninth is calm, the others take turns."""
    turn = index % (len(TROUBLE_KINDS) + 1)
    script = [_trouble(rng, "mute", people, intervals)]
    if turn < len(TROUBLE_KINDS):
        kind = TROUBLE_KINDS[turn]
        script = [_trouble(rng, kind, people, intervals), *(script if kind != "mute" else ())]
    return script


def _trouble(rng: Random, kind: TroubleKind, people: list[Person], intervals: int) -> Trouble:
    length = max(1, round(intervals * rng.uniform(0.3, 0.45)))
    first = rng.randint(min(1, intervals - length), max(0, intervals - length))
    index = rng.randrange(len(people))
    if kind == "late joiner":
        return Trouble(kind=kind, target=index, first=0, last=min(length, intervals - 1))
    if kind == "Wi-Fi site":
        return Trouble(kind=kind, target=people[0].site.name, first=first, last=first + length)
    if kind == "server region":
        region = people[0].site.region
        return Trouble(kind=kind, target=region, first=first, last=first + length)
    if kind == "TCP fall-back":
        return Trouble(kind=kind, target=index, first=max(1, first), last=intervals)
    return Trouble(kind=kind, target=index, first=first, last=first + length)


def walk(rng: Random, length: int, *, swing: float) -> list[float]:
    """Congestion over time, 0 and more: each interval remembers the one before."""
    values: list[float] = []
    level = abs(rng.gauss(0, swing))
    for _ in range(length):
        level = abs(PERSISTENCE * level + rng.gauss(0, swing) * (1 - PERSISTENCE**2) ** 0.5)
        values.append(level)
    return values


def conditions(
    rng: Random, people: list[Person], script: list[Trouble], intervals: int
) -> list[list[Condition]]:
    """The hidden state, [person][interval]; people of one site, of one region share congestion."""
    places = dict.fromkeys(
        place for person in people for place in (person.site.name, person.site.region)
    )
    shared = {place: walk(rng, intervals, swing=0.15) for place in places}
    return [
        _person_conditions(rng, index, person, script, shared, intervals)
        for index, person in enumerate(people)
    ]


def _person_conditions(
    rng: Random,
    index: int,
    person: Person,
    script: list[Trouble],
    shared: dict[str, list[float]],
    intervals: int,
) -> list[Condition]:
    mine = [trouble for trouble in script if trouble.hits(index, person)]
    up = walk(rng, intervals, swing=person.site.swing)
    down = walk(rng, intervals, swing=person.site.swing)
    cpu = walk(rng, intervals, swing=9.0)
    idle = rng.uniform(16, 34)
    found = []
    for at in range(intervals):
        common = shared[person.site.name][at] + shared[person.site.region][at]
        condition = _calm(rng, person, up=up[at] + common, down=down[at] + common)
        condition.cpu = idle + cpu[at]
        for trouble in mine:
            if trouble.on(at):
                _apply(rng, trouble.kind, condition, age=at - trouble.first)
        found.append(condition)
    return found


def _calm(rng: Random, person: Person, *, up: float, down: float) -> Condition:
    site = person.site
    return Condition(
        loss_up=0.02 + 1.4 * max(0.0, up - 0.7) ** 1.5,
        loss_down=0.02 + 1.4 * max(0.0, down - 0.7) ** 1.5,
        rtt_ms=site.rtt_ms * rng.uniform(0.98, 1.03) + 16 * (up + down),
        jitter_up_ms=site.jitter_ms + 7 * up,
        jitter_down_ms=site.jitter_ms + 7 * down,
        cpu=0.0,
        muted=False,
        small_layout=False,
    )


def _apply(rng: Random, kind: TroubleKind | FurtherKind, condition: Condition, *, age: int) -> None:
    """Change one interval's state by a trouble of this kind that is `age` intervals old."""
    if kind in EFFECTS:
        EFFECTS[kind](rng, condition, age)
    elif kind == "bad uplink":
        worsen(condition, up=rng.uniform(6, 14), down=0.1, rtt_ms=rng.uniform(60, 180))
    elif kind == "Wi-Fi site":
        burst = rng.choice((0.4, 1.0, 1.0, 2.2))
        worsen(condition, up=2.1 * burst, down=2.6 * burst, rtt_ms=70 * burst)
    elif kind == "server region":
        worsen(condition, up=1.6, down=2.0, rtt_ms=rng.uniform(95, 140))
    elif kind == "TCP fall-back":
        worsen(condition, up=0, down=0, rtt_ms=rng.uniform(35, 90))
    elif kind == "CPU starvation":
        condition.cpu = min(99.5, rng.gauss(95, 1.8))
    elif kind == "layout change":
        condition.small_layout = True
    elif kind == "mute":
        condition.muted = True
