"""/v1/roomtone/fleet: how many sessions were, by network, version, site and the like."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from msgspec import Struct
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from roomtone.api.endpoint import Endpoint, Parameter
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
from roomtone.api.window import moment_described, window_of
from roomtone.api.wire import json_response, number_parameter, query_of, services_of
from roomtone.fleet import groups
from roomtone.fleet.dimensions import Dimension
from roomtone.fleet.groups import BY_MAX, LINES_MAX, METRICS, Groups, Line, Metric, grouped
from roomtone.fleet.rates import Count, Estimate, Interval
from roomtone.fleet.sessions import FIGURES, SUMS, FleetQuery
from roomtone.model import iso_ms
from roomtone.store import Store

PATH: Final = "/v1/roomtone/fleet"
LINES_DEFAULT: Final = 100
RATE_DECIMALS: Final = 5
MINUTE_DECIMALS: Final = 1
FIGURE_DIGITS: Final = 4


class Rate(Struct, kw_only=True):
    """A share of sessions, 0 to 1, with its 95 % interval; null of no sessions."""

    value: float | None
    low: float
    high: float


class Quantiles(Struct, kw_only=True):
    """What so many per cent of the sessions are at most."""

    p5: float
    p25: float
    p50: float
    p75: float
    p95: float


class FleetLine(Struct, kw_only=True):
    """The sessions that have these `values`, "" being unknown.

    `poorRate` is of those that could be classified; its interval takes into account that sessions
    of a meeting go wrong together, `designEffect` says by how much. `audioMos` and `videoMos` 1 to
    5, `packetLoss` in per cent, `latency` and `jitter` in ms, `joinTime` in s: quantiles of
    sessions' means, null where none is known.
    """

    values: dict[str, str]
    sessions: int
    meetings: int
    good: int
    fair: int
    poor: int
    unclassified: int
    minutes: float
    minutesPoor: float
    minutesFair: float
    poorRate: Rate
    designEffect: float
    audioMos: Quantiles | None
    videoMos: Quantiles | None
    packetLoss: Quantiles | None
    latency: Quantiles | None
    jitter: Quantiles | None
    joinTime: Quantiles | None


class Fleet(Struct, kw_only=True, rename={"from_": "from"}):
    """Sessions that joined in [from, to), as one and by dimensions, the worst by `metric` first.

    `cells`: how many combinations of values there are; `others`: those of no line, as one.
    """

    from_: str
    to: str
    by: list[str]
    metric: str
    cells: int
    whole: FleetLine
    lines: list[FleetLine]
    others: FleetLine | None


class FleetAsked(NamedTuple):
    """A question, out of a query."""

    whole: FleetQuery
    by: tuple[Dimension, ...]
    metric: Metric
    wanted: Filter
    lines_max: int
    sessions_min: int


async def get_fleet(request: Request) -> Response:
    """Sessions, minutes, poor rate and quantiles, by up to two dimensions.

    Sessions of meetings that have ended, as soon as they are scored.
    """
    services = services_of(request)
    principal = reader_of(request)
    asked = asked_of(query_of(request), now_ms=services.now_ms())
    allowed(principal, (*asked.by, *asked.wanted))
    deadline = services.read_deadline()

    def answer() -> Fleet:
        return answered(services.store, principal.org, asked, deadline=deadline)

    with asking(services):
        return json_response(request, await run_in_threadpool(answer))


def asked_of(query: Mapping[str, str], *, now_ms: int) -> FleetAsked:
    """The question that a query asks; Invalid names the parameter that is wrong."""
    window = window_of(query, to_ms=now_ms)
    by = dimensions_parameter(query, "by", most=BY_MAX)
    return FleetAsked(
        whole=FleetQuery(**window._asdict(), dimensions=by, figures=(*SUMS, *FIGURES)),
        by=by,
        metric=one_of("metric", query.get("metric", "poor_rate"), METRICS),
        wanted=filter_parameter(query),
        lines_max=min(number_parameter(query, "max", LINES_DEFAULT, least=1), LINES_MAX),
        sessions_min=number_parameter(query, "least", 1, least=1),
    )


def answered(store: Store, org: str, asked: FleetAsked, *, deadline: float) -> Fleet:
    """The answer to a question; in a thread, as it may take a second."""
    sessions = read(store, org, asked.whole, asked.wanted, deadline)
    found = grouped(
        sessions,
        asked.by,
        metric=asked.metric,
        lines_max=asked.lines_max,
        sessions_min=asked.sessions_min,
    )
    return _fleet(asked.whole, asked.by, asked.metric, found)


def _fleet(query: FleetQuery, by: tuple[Dimension, ...], metric: Metric, found: Groups) -> Fleet:
    return Fleet(
        from_=iso_ms(query.from_ms),
        to=iso_ms(query.to_ms),
        by=list(by),
        metric=metric,
        cells=found.cells,
        whole=_line(found.whole, ()),
        lines=[_line(line, by) for line in found.lines],
        others=None if found.others is None else _line(found.others, ()),
    )


def _line(line: Line, by: tuple[Dimension, ...]) -> FleetLine:
    counted: dict[str, Any] = {
        **line.verdicts,
        **{name: round(line.sums[name], MINUTE_DECIMALS) for name in SUMS},
        **{name: _quantiles(line.quantiles[name]) for name in FIGURES},
    }
    return FleetLine(
        values=dict(zip(by, line.values, strict=True)),
        sessions=line.sessions,
        meetings=line.meetings,
        poorRate=rate_of(line.count, line.interval),
        designEffect=round(line.design_effect, 2),
        **counted,
    )


def rate_of(count: Count, interval: Interval) -> Rate:
    """A rate as it is answered."""
    value, low, high = (
        None if one is None else round(one, RATE_DECIMALS) for one in (count.rate, *interval)
    )
    assert low is not None
    assert high is not None
    return Rate(value=value, low=low, high=high)


def difference_of(found: Estimate) -> Rate:
    """A difference of rates as it is answered, -1 to 1."""
    value = None if found.value is None else round(found.value, RATE_DECIMALS)
    return Rate(
        value=value, low=round(found.low, RATE_DECIMALS), high=round(found.high, RATE_DECIMALS)
    )


def _quantiles(found: groups.Quantiles) -> Quantiles | None:
    known = [float(f"{value:.{FIGURE_DIGITS}g}") for value in found if value is not None]
    return (
        Quantiles(**dict(zip(Quantiles.__struct_fields__, known, strict=True))) if known else None
    )


def endpoints() -> list[Endpoint]:
    """The endpoint of this file."""
    return [
        Endpoint(
            method="GET",
            path=PATH,
            handler=get_fleet,
            summary="How sessions were, by up to two dimensions",
            scopes=(READ_ALL, READ_ANONYMOUS),
            parameters=(
                by_described(BY_MAX),
                Parameter(
                    name="metric",
                    schema={"type": "string", "enum": list(METRICS), "default": "poor_rate"},
                    description="What the lines are ordered by, the worst first.",
                ),
                moment_described("from", "Sessions that joined from this time on."),
                moment_described("to", "Until before this time."),
                FILTER,
                Parameter(
                    name="least",
                    schema={"type": "integer", "minimum": 1, "default": 1},
                    description="Only lines of so many sessions.",
                ),
                Parameter(
                    name="max",
                    schema={"type": "integer", "minimum": 1, "default": LINES_DEFAULT},
                    description=f"Most lines in the answer; more than {LINES_MAX:,} means so many.",
                ),
            ),
            answers={200: Fleet},
            errors=(400, 401, 403, 413, 429, 503, 504),
        )
    ]
