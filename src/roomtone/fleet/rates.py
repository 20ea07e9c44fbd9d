"""How sure a rate is: intervals for one rate, for two, and for two within strata.

The unit is a participant session that was poor or not. Sessions of one meeting share a cluster, a
bridge and a bad speaker, so they count for less than as many from meetings of their own: `Tally`
knows by how much. Formulas with their sources and worked examples: docs/fleet.md.
"""

import math
from collections.abc import Iterable, Sequence
from statistics import NormalDist
from typing import Final, NamedTuple

from roomtone.errors import Invalid

CONFIDENCE: Final = 0.95
STRATA_MAX: Final = 1_000_000
CORRELATION: Final = 0.1
"""Ours: of being poor between two sessions of one meeting, where it cannot be measured."""
MEETINGS_FEW: Final = 10
"""Ours: a variance between fewer meetings than these is taken for too uncertain to be small."""
TERMS_MAX: Final = 1_000_000
TINY: Final = 1e-15
NORMAL: Final = NormalDist()


class Interval(NamedTuple):
    """Both bounds, in the unit of what is bounded."""

    low: float
    high: float


class Estimate(NamedTuple):
    """A value and its interval; `value` is None where it is not defined (a share of nothing)."""

    value: float | None
    low: float
    high: float


class Count(NamedTuple):
    """`poor` of `total` sessions. Fractions are allowed: an effective size is seldom whole."""

    poor: float
    total: float

    @property
    def rate(self) -> float | None:
        """0..1; None when there is no session."""
        return self.poor / self.total if self.total else None


class Stratum(NamedTuple):
    """Two groups that are alike in all but what is compared."""

    group: Count
    reference: Count


class Pooled(NamedTuple):
    """Mantel-Haenszel: what is left of a difference within strata.

    `difference` in 0..1 and `ratio` of the group over the reference; `statistic` has one degree of
    freedom, `p` is two-sided; `strata` of them had sessions on both sides.
    """

    difference: Estimate
    ratio: Estimate
    statistic: float
    p: float
    strata: int


def z_of(confidence: float) -> float:
    """The normal quantile of a two-sided confidence, 1.96 for 0.95."""
    if not 0 < confidence < 1:
        raise Invalid(f"confidence is {confidence}, but must be between 0 and 1")
    return NORMAL.inv_cdf(0.5 + confidence / 2)


def checked(count: Count) -> Count:
    """The same count; `Invalid` when it is none."""
    if not (0 <= count.poor <= count.total < math.inf):  # false for NaN, too
        raise Invalid(f"{count.poor} of {count.total} is no rate")
    return count


def wilson(count: Count, *, confidence: float = CONFIDENCE) -> Interval:
    """Wilson's score interval of a rate (1927); 0..1 without any session."""
    poor, total = checked(count)
    if not total:
        return Interval(0.0, 1.0)
    z2 = z_of(confidence) ** 2
    rate = poor / total
    middle = rate + z2 / (2 * total)
    half = math.sqrt(z2 * (rate * (1 - rate) + z2 / (4 * total)) / total)
    scale = 1 + z2 / total
    # At the ends the formula gives exactly 0 and 1, and rounding a little beside.
    low = 0.0 if poor == 0 else max((middle - half) / scale, 0.0)
    high = 1.0 if poor == total else min((middle + half) / scale, 1.0)
    return Interval(low, high)


def newcombe(group: Count, reference: Count, *, confidence: float = CONFIDENCE) -> Estimate:
    """Difference of two rates with Newcombe's hybrid score interval (1998, method 10)."""
    first = wilson(group, confidence=confidence)
    second = wilson(reference, confidence=confidence)
    if group.rate is None or reference.rate is None:
        return Estimate(None, first.low - second.high, first.high - second.low)
    one, two = group.rate, reference.rate
    difference = one - two
    low = difference - math.hypot(one - first.low, second.high - two)
    high = difference + math.hypot(first.high - one, two - second.low)
    return Estimate(difference, max(low, -1.0), min(high, 1.0))


def risk_ratio(group: Count, reference: Count, *, confidence: float = CONFIDENCE) -> Estimate:
    """Rate over rate with Katz' logarithmic interval (1978).

    Where a group has no poor session, half of one is added to both for the bounds, as Walter (1975)
    does; the value itself stays what was counted, and is None over a rate of 0.
    """
    one, two = checked(group), checked(reference)
    if not one.total or not two.total:
        return Estimate(None, 0.0, math.inf)
    value = one.poor * two.total / (two.poor * one.total) if two.poor else None
    if not one.poor or not two.poor:
        one, two = _with_half(one), _with_half(two)
    middle = math.log(one.poor * two.total / (two.poor * one.total))
    variance = 1 / one.poor - 1 / one.total + 1 / two.poor - 1 / two.total
    half = z_of(confidence) * math.sqrt(max(variance, 0.0))
    low = 0.0 if not group.poor else math.exp(middle - half)
    high = math.inf if not reference.poor else math.exp(middle + half)
    return Estimate(value, low, high)


def _with_half(count: Count) -> Count:
    return Count(count.poor + 0.5, count.total + 0.5)


def fisher(group: Count, reference: Count) -> float:
    """Fisher's exact test, one-sided: how likely the group has as many poor ones by chance.

    As the tail of a beta-binomial distribution, which is the same for whole counts, and is defined
    for the fractions of effective ones as well.
    """
    (x, n), (y, m) = checked(group), checked(reference)
    if not x or not m:
        return 1.0
    above, below = y + 1, max(m - y, TINY)
    term = math.exp(
        math.lgamma(n + 1) - math.lgamma(x + 1) - math.lgamma(n - x + 1)
        + _log_beta(x + above, n - x + below) - _log_beta(above, below)
    )  # fmt: skip
    tail = 0.0
    for _ in range(TERMS_MAX):
        tail += term
        if n - x < 1:
            break
        factor = (n - x) / (x + 1) * (x + above) / (n - x - 1 + below)
        if factor < 1 and term < tail * TINY:
            break
        term, x = term * factor, x + 1
    return min(tail, 1.0)


def _log_beta(one: float, other: float) -> float:
    return math.lgamma(one) + math.lgamma(other) - math.lgamma(one + other)


def mantel_haenszel(strata: Iterable[Stratum], *, confidence: float = CONFIDENCE) -> Pooled:
    """The difference and the ratio of two rates within strata.

    Weights: Mantel and Haenszel (1959). Variance of the difference: Sato, Greenland and Robins
    (1989), which holds for few large strata and for many small ones; of the ratio: Greenland and
    Robins (1985). The test is Cochran-Mantel-Haenszel's without correction for continuity. A
    stratum with one group only tells nothing and is left out.
    """
    sums = _Sums()
    for number, stratum in enumerate(strata):
        if number == STRATA_MAX:
            raise Invalid(f"more than {STRATA_MAX:,} strata")
        checked(stratum.group)
        checked(stratum.reference)
        if stratum.group.total and stratum.reference.total:
            sums.add(stratum)
    z = z_of(confidence)
    statistic = sums.excess**2 / sums.variance if sums.variance > 0 else 0.0
    return Pooled(
        difference=sums.difference(z),
        ratio=sums.ratio(z),
        statistic=statistic,
        p=math.erfc(math.sqrt(statistic / 2)),
        strata=sums.strata,
    )


class _Sums:
    """What Mantel-Haenszel adds up over the strata."""

    def __init__(self) -> None:
        self.strata = 0
        self.weight = self.gap = self.sato_p = self.sato_q = 0.0
        self.above = self.below = self.ratio_variance = 0.0
        self.excess = self.variance = 0.0

    def add(self, stratum: Stratum) -> None:
        """One stratum with sessions on both sides."""
        (x, n), (y, m) = stratum
        size, poor = n + m, x + y
        self.strata += 1
        self.weight += n * m / size
        self.gap += (x * m - y * n) / size
        self.sato_p += (n * n * y - m * m * x + n * m * (m - n) / 2) / size**2
        self.sato_q += (x * (m - y) + y * (n - x)) / (2 * size)
        self.above += x * m / size
        self.below += y * n / size
        self.ratio_variance += (n * m * poor - x * y * size) / size**2
        self.excess += x - n * poor / size
        if size > 1:
            self.variance += n * m * poor * (size - poor) / (size**2 * (size - 1))

    def difference(self, z: float) -> Estimate:
        if not self.weight:
            return Estimate(None, -1.0, 1.0)
        value = self.gap / self.weight
        half = z * math.sqrt(max(value * self.sato_p + self.sato_q, 0.0)) / self.weight
        return Estimate(value, max(value - half, -1.0), min(value + half, 1.0))

    def ratio(self, z: float) -> Estimate:
        if not self.above or not self.below:
            return Estimate(0.0 if self.below else None, 0.0, math.inf)
        value = self.above / self.below
        factor = math.exp(z * math.sqrt(max(self.ratio_variance, 0.0) / (self.above * self.below)))
        return Estimate(value, value / factor, value * factor)


def benjamini_hochberg(ps: Sequence[float]) -> list[float]:
    """Adjusted p of each, in the order they came: those at most q have a false discovery rate of q.

    Benjamini and Hochberg (1995), as adjusted values (Yekutieli and Benjamini 1999).
    """
    if not all(0 <= p <= 1 for p in ps):
        raise Invalid("a p must be between 0 and 1")
    adjusted = [1.0] * len(ps)
    least = 1.0
    order = sorted(range(len(ps)), key=ps.__getitem__)
    for rank in range(len(ps), 0, -1):
        index = order[rank - 1]
        least = min(least, ps[index] * (len(ps) / rank))
        adjusted[index] = least
    return adjusted


class Tally(NamedTuple):
    """Sessions counted by meeting: sums over meetings, which merge when no meeting is in two.

    `squares` are the sums over meetings of poor^2, poor * total and total^2.
    """

    meetings: int = 0
    poor: float = 0.0
    total: float = 0.0
    poor_poor: float = 0.0
    poor_total: float = 0.0
    total_total: float = 0.0

    def with_meeting(self, poor: float, total: float) -> "Tally":
        """The same and one meeting more; a meeting without sessions is none."""
        checked(Count(poor, total))
        if not total:
            return self
        return self.merged(Tally(1, poor, total, poor * poor, poor * total, total * total))

    def merged(self, other: "Tally") -> "Tally":
        """Both together."""
        return Tally(
            self.meetings + other.meetings,
            self.poor + other.poor,
            self.total + other.total,
            self.poor_poor + other.poor_poor,
            self.poor_total + other.poor_total,
            self.total_total + other.total_total,
        )

    @property
    def counted(self) -> Count:
        """As counted."""
        return Count(self.poor, self.total)

    @property
    def design_effect(self) -> float:
        """By how much the rate varies more than if each session were on its own; at least 1.

        The cluster-robust variance of a ratio (Cochran 1977, 6.3 and 11.8) over the binomial one.
        Few meetings, or meetings that were all good or all poor, do not show how much meetings
        differ: there a correlation of CORRELATION within a meeting is taken (Kish 1965) where the
        robust one is less; one meeting alone counts as one session.
        """
        if self.meetings < 1:
            return 1.0
        size = max(self.total_total / self.total, 1.0)
        if self.meetings == 1:
            return size
        assumed = 1 + (size - 1) * CORRELATION
        rate = self.poor / self.total
        binomial = rate * (1 - rate) * self.total
        if binomial <= 0:
            return assumed
        spread = self.poor_poor - 2 * rate * self.poor_total + rate * rate * self.total_total
        robust = self.meetings / (self.meetings - 1) * spread / binomial
        return max(robust, assumed if self.meetings < MEETINGS_FEW else 1.0)

    @property
    def effective(self) -> Count:
        """The count of as many independent sessions as tell as much (Rao and Scott 1992)."""
        return shrunk(self.counted, self.design_effect)


def shrunk(count: Count, design_effect: float) -> Count:
    """The same rate of fewer sessions."""
    return Count(count.poor / design_effect, count.total / design_effect)


def tally_of(meetings: Iterable[tuple[float, float]]) -> Tally:
    """A tally of (poor, total) of each meeting."""
    tally = Tally()
    for poor, total in meetings:
        tally = tally.with_meeting(poor, total)
    return tally
