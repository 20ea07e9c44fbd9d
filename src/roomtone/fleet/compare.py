"""Two periods, or two versions: is one worse, once like is held against like?

Sessions are compared within strata (region, hour and network, say), so that a change of the mix is
not taken for a change of quality.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from roomtone.errors import Invalid
from roomtone.fleet.rates import (
    CONFIDENCE,
    Count,
    Estimate,
    Interval,
    Pooled,
    Stratum,
    Tally,
    mantel_haenszel,
    newcombe,
    shrunk,
    wilson,
)

STRATA_MAX: Final = 100_000
Verdict = Literal["worse", "better", "no difference shown", "not enough data"]
Key = tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """When a difference is one: its bound over `margin` (of 1), with enough sessions each."""

    margin: float = 0.01
    sessions_min: int = 30
    poor_min: int = 5
    confidence: float = CONFIDENCE


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The second beside the first: `crude` as if all were alike, `pooled` within strata.

    Intervals have taken meetings for clusters. `left_out` sessions, of both, were in strata that
    have sessions of one of them only.
    """

    names: tuple[str, str]
    counts: tuple[Count, Count]
    intervals: tuple[Interval, Interval]
    design_effects: tuple[float, float]
    crude: Estimate
    pooled: Pooled
    strata: int
    left_out: float
    verdict: Verdict
    sentence: str


def compare(
    strata: Iterable[tuple[Key, Tally, Tally]],
    *,
    names: tuple[str, str] = ("before", "after"),
    by: tuple[str, ...] = (),
    limits: Limits = Limits(),
) -> Comparison:
    """Compare the second tally of each stratum with the first.

    `by` names what the keys are made of, for the sentence. A key that comes twice is added up. A
    meeting that lies in several strata counts once in each, which makes the design effect smaller
    than it is: use strata that do not part meetings where that can be had.
    """
    sums = _sums(strata)
    first, second = _whole(sums, 0), _whole(sums, 1)
    effects = (first.design_effect, second.design_effect)
    counts = (first.counted, second.counted)
    pairs = [
        Stratum(shrunk(two.counted, effects[1]), shrunk(one.counted, effects[0]))
        for one, two in sums.values()
    ]
    pooled = mantel_haenszel(pairs, confidence=limits.confidence)
    one, two = (shrunk(count, effect) for count, effect in zip(counts, effects, strict=True))
    crude = newcombe(two, one, confidence=limits.confidence)
    alone = sum(a.total + b.total for a, b in sums.values() if not a.total or not b.total)
    verdict = _verdict(counts, pooled.difference, limits)
    return Comparison(
        names=names,
        counts=counts,
        intervals=(
            wilson(one, confidence=limits.confidence),
            wilson(two, confidence=limits.confidence),
        ),
        design_effects=effects,
        crude=crude,
        pooled=pooled,
        strata=len(sums),
        left_out=alone,
        verdict=verdict,
        sentence=_sentence(verdict, names, counts, crude, pooled, by, limits),
    )


def _sums(strata: Iterable[tuple[Key, Tally, Tally]]) -> Mapping[Key, tuple[Tally, Tally]]:
    sums: dict[Key, tuple[Tally, Tally]] = {}
    for key, one, two in strata:
        before = sums.get(key, (Tally(), Tally()))
        sums[key] = (before[0].merged(one), before[1].merged(two))
        if len(sums) > STRATA_MAX:
            raise Invalid(f"more than {STRATA_MAX:,} strata: compare by fewer dimensions")
    return sums


def _whole(sums: Mapping[Key, tuple[Tally, Tally]], side: int) -> Tally:
    whole = Tally()
    for pair in sums.values():
        whole = whole.merged(pair[side])
    return whole


def _verdict(counts: tuple[Count, Count], difference: Estimate, limits: Limits) -> Verdict:
    few = any(count.total < limits.sessions_min for count in counts)
    if few or difference.value is None:
        return "not enough data"
    if max(count.poor for count in counts) < limits.poor_min:
        return "not enough data"
    if difference.low > limits.margin:
        return "worse"
    if difference.high < -limits.margin:
        return "better"
    return "no difference shown"


def _sentence(
    verdict: Verdict,
    names: tuple[str, str],
    counts: tuple[Count, Count],
    crude: Estimate,
    pooled: Pooled,
    by: tuple[str, ...],
    limits: Limits,
) -> str:
    """The verdict in words, with the figures that it rests on."""
    first, second = (name or "unknown" for name in names)
    if verdict == "not enough data":
        least = f"{limits.sessions_min} sessions of each and {limits.poor_min} poor ones of one"
        return (
            f"Not enough data to compare {second} with {first}: {counts[1].total:,.0f} and "
            f"{counts[0].total:,.0f} sessions in {_strata(pooled.strata, 'common ')}; "
            f"it needs {least}."
        )
    within = f" within {_strata(pooled.strata)} of {_listed(by)}" if by else ""
    found = _points(pooled.difference)
    rates = f"{_percent(counts[1])} of sessions poor, {_percent(counts[0])} {_then(first)}"
    if verdict == "no difference shown":
        head = f"No difference shown between {second} and {first}"
    else:
        head = f"{second[:1].upper()}{second[1:]} is {verdict} than {first}"
    tail = f"; without strata it would look like {_points(crude)}" if by else ""
    return f"{head}: {rates}; the difference{within} is {found} points{tail}."


def _then(name: str) -> str:
    return name if name == "before" else f"with {name}"


def _strata(count: int, kind: str = "") -> str:
    return f"{count:,} {kind}{'stratum' if count == 1 else 'strata'}"


def _percent(count: Count) -> str:
    return f"{100 * count.poor / count.total:.1f} %"


def _points(estimate: Estimate) -> str:
    if estimate.value is None:
        return "unknown"
    return f"{100 * estimate.value:+.1f} ({100 * estimate.low:+.1f} to {100 * estimate.high:+.1f})"


def _listed(names: tuple[str, ...]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
