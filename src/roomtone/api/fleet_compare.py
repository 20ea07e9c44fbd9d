"""/v1/roomtone/fleet/compare: two periods, or two versions, like held against like."""

from collections.abc import Mapping
from math import isfinite
from typing import Final, NamedTuple

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from roomtone.api.endpoint import Endpoint, Parameter
from roomtone.api.fleet import Rate, difference_of, rate_of
from roomtone.api.fleet_query import (
    FILTER,
    Filter,
    allowed,
    asking,
    by_described,
    dimensions_parameter,
    filter_parameter,
    one_of,
    read,
    reader_of,
)
from roomtone.api.qualities import READ_ALL, READ_ANONYMOUS
from roomtone.api.window import Window, moment_described, window_of
from roomtone.api.wire import json_response, query_of, services_of
from roomtone.errors import Invalid
from roomtone.fleet.compare import Comparison, Verdict
from roomtone.fleet.dimensions import DIMENSIONS, Dimension
from roomtone.fleet.selections import WITHIN_MAX, Compared, compared, compared_by
from roomtone.fleet.sessions import FleetQuery, Sessions

PATH: Final = "/v1/roomtone/fleet/compare"
P_DECIMALS: Final = 6
RATIO_DECIMALS: Final = 3


class Side(Struct, kw_only=True):
    """One of the two; `sessions` are those that could be classified."""

    name: str
    sessions: int
    poor: int
    poorRate: Rate
    designEffect: float


class FleetComparison(Struct, kw_only=True):
    """The second beside the first. `crude` difference as if all were alike, `pooled` within strata.

    `ratio` is that of the rates within strata (`high` null: no bound), `p` that of the test of
    Cochran, Mantel and Haenszel. `leftOut` sessions were in strata that one of the two only has.
    """

    verdict: Verdict
    sentence: str
    first: Side
    second: Side
    crude: Rate
    pooled: Rate
    ratio: float | None
    ratioLow: float
    ratioHigh: float | None
    p: float
    strata: int
    leftOut: int


class ValueComparison(Struct, kw_only=True):
    """The same for one value; `pAdjusted` (Benjamini and Hochberg) null without enough data."""

    value: str
    pAdjusted: float | None
    comparison: FleetComparison


class FleetComparisons(Struct, kw_only=True):
    """The whole, and each value of the dimension `by`, the clearest difference first."""

    within: list[str]
    whole: FleetComparison
    lines: list[ValueComparison]


class _Asked(NamedTuple):
    """Two windows, or two values of a dimension in one."""

    first: Window
    second: Window
    dimension: Dimension | None
    values: tuple[str, str]

    @property
    def names(self) -> tuple[str, str]:
        return ("before", "now") if self.dimension is None else self.values

    def sides(self, sessions: Sessions) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Which rows are of the first, and of the second."""
        if self.dimension is None:
            return sessions.between(*self.first), sessions.between(*self.second)
        one, two = (sessions.having({self.dimension: {value}}) for value in self.values)
        return one, two


async def get_comparison(request: Request) -> Response:
    """Two periods, or two values of a dimension, such as versions, compared within strata.

    Without `dimension` the time from `from` to `to` is compared with the one before it.
    """
    services = services_of(request)
    principal = reader_of(request)
    query = query_of(request)
    asked = _asked(query, services.now_ms())
    within = dimensions_parameter(query, "within", most=WITHIN_MAX)
    by = dimensions_parameter(query, "by", most=1)
    wanted = filter_parameter(query)
    if asked.dimension in (*within, *by):
        raise Invalid("dimension: expected one that is neither in `within` nor in `by`.")
    whole = _query(asked, (*within, *by), wanted)
    allowed(principal, whole.dimensions)
    deadline = services.read_deadline()

    def answer() -> FleetComparisons:
        sessions = read(services.store, principal.org, whole, wanted, deadline)
        sides = asked.sides(sessions)
        found = compared(sessions, *sides, within=within, names=asked.names)
        lines = [
            line
            for name in by
            for line in compared_by(sessions, *sides, name, within=within, names=asked.names)
        ]
        return FleetComparisons(
            within=list(within), whole=_comparison(found), lines=[_value(line) for line in lines]
        )

    with asking(services):
        return json_response(request, await run_in_threadpool(answer))


def _asked(query: Mapping[str, str], now_ms: int) -> _Asked:
    second = window_of(query, to_ms=now_ms)
    named = query.get("dimension", "")
    if named:
        dimension = one_of("dimension", named, DIMENSIONS)
        values = (query.get("first", ""), query.get("second", ""))
        if values[0] == values[1]:
            raise Invalid("first: expected another value than `second`.")
        return _Asked(second, second, dimension, values)
    first = window_of(
        query,
        to_ms=second.from_ms,
        names=("beforeFrom", "beforeTo"),
        span_ms=second.to_ms - second.from_ms,
    )
    if first.to_ms > second.from_ms:
        raise Invalid("beforeTo: expected a time not after `from`.")
    return _Asked(first, second, None, ("", ""))


def _query(asked: _Asked, names: tuple[Dimension, ...], wanted: Filter) -> FleetQuery:
    own = () if asked.dimension is None else (asked.dimension,)
    return FleetQuery(
        from_ms=asked.first.from_ms,
        to_ms=asked.second.to_ms,
        dimensions=tuple(dict.fromkeys((*own, *names, *wanted))),
    )


def _value(line: Compared) -> ValueComparison:
    adjusted = None if line.p_adjusted is None else round(line.p_adjusted, P_DECIMALS)
    return ValueComparison(
        value=line.value, pAdjusted=adjusted, comparison=_comparison(line.comparison)
    )


def _comparison(found: Comparison) -> FleetComparison:
    first, second = (_side(found, at) for at in (0, 1))
    ratio = found.pooled.ratio
    return FleetComparison(
        verdict=found.verdict,
        sentence=found.sentence,
        first=first,
        second=second,
        crude=difference_of(found.crude),
        pooled=difference_of(found.pooled.difference),
        ratio=None if ratio.value is None else round(ratio.value, RATIO_DECIMALS),
        ratioLow=round(ratio.low, RATIO_DECIMALS),
        ratioHigh=round(ratio.high, RATIO_DECIMALS) if isfinite(ratio.high) else None,
        p=round(found.pooled.p, P_DECIMALS),
        strata=found.pooled.strata,
        leftOut=round(found.left_out),
    )


def _side(found: Comparison, at: int) -> Side:
    count = found.counts[at]
    return Side(
        name=found.names[at],
        sessions=round(count.total),
        poor=round(count.poor),
        poorRate=rate_of(count, found.intervals[at]),
        designEffect=round(found.design_effects[at], 2),
    )


def endpoints() -> list[Endpoint]:
    """The endpoint of this file."""
    text = {"type": "string"}
    return [
        Endpoint(
            method="GET",
            path=PATH,
            handler=get_comparison,
            summary="Two periods or two versions, compared within strata",
            scopes=(READ_ALL, READ_ANONYMOUS),
            parameters=(
                moment_described("from", "The time now begins; a week before `to` by default."),
                moment_described("to", "It ends before this; now by default."),
                moment_described(
                    "beforeFrom", "The time before begins; as long as now by default."
                ),
                moment_described("beforeTo", "It ends before this; when now begins, by default."),
                Parameter(
                    name="dimension",
                    schema={"type": "string", "enum": list(DIMENSIONS)},
                    description="Compare two values of this in one time, not two times.",
                ),
                Parameter(name="first", schema=text, description="The first value of `dimension`."),
                Parameter(name="second", schema=text, description="The one held against it."),
                Parameter(
                    name="within",
                    schema=text,
                    description=f"Up to {WITHIN_MAX} dimensions that make strata.",
                ),
                by_described(1, "Compare each value of this on its own, too"),
                FILTER,
            ),
            answers={200: FleetComparisons},
            errors=(400, 401, 403, 413, 429, 503, 504),
        )
    ]
