"""The demonstration's meetings as scenarios: troubles that nobody scripted with causes in mind."""

from collections.abc import Iterator

from roomtone.causes.groups import place_of
from roomtone.simulate import SimulatedMeeting, meeting
from roomtone.simulate.script import TROUBLE_KINDS, Trouble
from tests.scenarios.stage import START_MS, Expected, Scenario

PEOPLE = 7
MINUTES = 40


def played(seed: int) -> Iterator[tuple[Scenario, SimulatedMeeting]]:
    """A meeting of each kind with its truth; those whose figures leave it open are left out."""
    for index in range(len(TROUBLE_KINDS) + 1):
        made = meeting(
            seed=seed, index=index, participants=PEOPLE, minutes=MINUTES, start_ms=START_MS
        )
        scenario = _scenario(made)
        if scenario is not None:
            yield scenario, made


def _scenario(made: SimulatedMeeting) -> Scenario | None:
    first = made.troubles[0]
    name = f"demonstration: {first.kind if len(made.troubles) > 1 else 'mute alone'}"
    hit = [i for i, person in enumerate(made.people) if first.hits(i, person)]
    truth: Expected | None = None
    if first.kind == "bad uplink":
        truth = _expected(first, "uplink", hit[0])
    elif first.kind == "CPU starvation":
        truth = _expected(first, "cpu", hit[0])
        if not made.people[hit[0]].client.reads_cpu:
            return Scenario(name=name, cast="", may=(truth,))
    elif first.kind == "Wi-Fi site":
        truth = _expected(first, "site", made.people[hit[0]].site.public_ip)
    elif first.kind == "server region":
        places = {place_of(made.people[i].site.public_ip) for i in hit}
        if len(hit) < 3 or len(places) < 2:
            return None
        truth = _expected(first, "server", str(first.target))
    return Scenario(name=name, cast="", expected=() if truth is None else (truth,))


def _expected(trouble: Trouble, family: str, owner: int | str) -> Expected:
    return Expected(family=family, owner=owner, first=trouble.first, last=trouble.last)
