"""/v1/roomtone/fleet/ranking: what stands out this week, against the weeks before."""

from collections.abc import Iterable
from math import isfinite
from typing import Final

from msgspec import Struct
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from roomtone.api.endpoint import Endpoint, Parameter
from roomtone.api.fleet import RATE_DECIMALS, Rate, difference_of, rate_of
from roomtone.api.fleet_query import (
    FILTER,
    allowed,
    asking,
    by_described,
    dimensions_parameter,
    filter_parameter,
    read,
    reader_of,
    seen_by,
)
from roomtone.api.qualities import READ_ALL, READ_ANONYMOUS
from roomtone.api.window import EARLIEST_MS, moment_described, window_of
from roomtone.api.wire import json_response, number_parameter, query_of, services_of
from roomtone.errors import Invalid
from roomtone.fleet.dimensions import DIMENSIONS, Dimension
from roomtone.fleet.ranking import Finding, Ranking, Rules, rank
from roomtone.fleet.rates import shrunk, wilson
from roomtone.fleet.selections import cube_of, design_effects, sampled
from roomtone.fleet.sessions import FleetQuery
from roomtone.model import iso_ms

PATH: Final = "/v1/roomtone/fleet/ranking"
PERIODS_DEFAULT: Final = 4
PERIODS_MAX: Final = 52
LINES_DEFAULT: Final = 10
LINES_MAX: Final = 50
RANKED_SESSIONS_MAX: Final = 200_000
"""Of more sessions every second, third .. meeting is looked at: some seconds of one core."""

Where = tuple[tuple[str, str], ...]


class RankedLine(Struct, kw_only=True):
    """Values whose sessions are poor more often than expected, and by how much.

    `poor` of `sessions` are those that no earlier line explains. `expected` is the rate of these
    values before, times the rise of all others; of `new` values that of all others. `explains`: the
    part of the rise of all poor sessions, 1 is all of it; null where there is no rise. `alike`:
    values of so nearly the same sessions that figures cannot tell which is meant.
    """

    values: dict[str, str]
    sessions: int
    poor: int
    poorRate: Rate
    expected: float
    difference: Rate
    ratio: float | None
    excess: float
    explains: float | None
    new: bool
    pAdjusted: float
    alike: list[dict[str, str]]


class FleetRanking(Struct, kw_only=True, rename={"from_": "from"}):
    """What stands out from `from` to `to`, against the time since `before`.

    Rates are of the sessions that could be classified; that of `beforeRate` is an exponentially
    weighted mean of the periods before. `every`: of more sessions than can be looked at only
    every so manieth meeting was.
    """

    from_: str
    to: str
    before: str
    sessions: int
    poorRate: Rate
    beforeRate: Rate | None
    every: int
    cells: int
    lines: list[RankedLine]


async def get_ranking(request: Request) -> Response:
    """Values, and pairs of values, whose rate of poor sessions rose: those that explain most first.

    A period (by default the last week) is held against the ones of the same length before.
    """
    services = services_of(request)
    principal = reader_of(request)
    query = query_of(request)
    window = window_of(query, to_ms=services.now_ms())
    periods = number_parameter(query, "periods", PERIODS_DEFAULT, least=0)
    if periods > PERIODS_MAX:
        raise Invalid(f"periods: expected at most {PERIODS_MAX}.")
    by = dimensions_parameter(query, "by", most=len(DIMENSIONS)) or _telling(seen_by(principal))
    lines_max = min(number_parameter(query, "max", LINES_DEFAULT, least=1), LINES_MAX)
    wanted = filter_parameter(query)
    allowed(principal, (*by, *wanted))
    deadline = services.read_deadline()
    span_ms = window.to_ms - window.from_ms
    before_ms = max(window.from_ms - periods * span_ms, EARLIEST_MS)
    whole = FleetQuery(from_ms=before_ms, to_ms=window.to_ms, dimensions=by)

    def answer() -> FleetRanking:
        sessions = read(services.store, principal.org, whole, wanted, deadline)
        part, every = sampled(sessions, RANKED_SESSIONS_MAX)
        cube = cube_of(part, by, from_ms=window.from_ms, span_ms=span_ms)
        found = rank(cube, Rules(findings_max=lines_max))
        effects = design_effects(part, window.from_ms)
        return _ranking(whole, window.from_ms, every, found, effects)

    with asking(services):
        return json_response(request, await run_in_threadpool(answer))


def _telling(names: Iterable[Dimension]) -> tuple[Dimension, ...]:
    # A day is in one period only: every one would be new.
    return tuple(name for name in names if name != "day")


def _ranking(
    query: FleetQuery, from_ms: int, every: int, found: Ranking, effects: tuple[float, float]
) -> FleetRanking:
    now, before = (
        None if count is None else rate_of(count, wilson(shrunk(count, effect)))
        for count, effect in zip((found.now, found.before), effects, strict=True)
    )
    assert now is not None
    return FleetRanking(
        from_=iso_ms(from_ms),
        to=iso_ms(query.to_ms),
        before=iso_ms(query.from_ms),
        sessions=round(found.now.total),
        poorRate=now,
        beforeRate=before,
        every=every,
        cells=found.cells,
        lines=[_line(line) for line in found.findings],
    )


def _line(line: Finding) -> RankedLine:
    power, ratio = line.explanatory_power, line.ratio.value
    return RankedLine(
        values=dict(line.where),
        sessions=round(line.now.total),
        poor=round(line.now.poor),
        poorRate=rate_of(line.now, line.interval),
        expected=round(line.expected, RATE_DECIMALS),
        difference=difference_of(line.difference),
        ratio=None if ratio is None or not isfinite(ratio) else round(ratio, 2),
        excess=round(line.excess, 1),
        explains=None if power is None else round(power, 3),
        new=line.new,
        pAdjusted=line.p_adjusted,
        alike=[dict(where) for where in line.alike],
    )


def endpoints() -> list[Endpoint]:
    """The endpoint of this file."""
    return [
        Endpoint(
            method="GET",
            path=PATH,
            handler=get_ranking,
            summary="What stands out, and how much of the rise it explains",
            scopes=(READ_ALL, READ_ANONYMOUS),
            parameters=(
                moment_described("from", "The period begins; a week before `to` by default."),
                moment_described("to", "It ends before this; now by default."),
                Parameter(
                    name="periods",
                    schema={
                        "type": "integer",
                        "minimum": 0,
                        "maximum": PERIODS_MAX,
                        "default": PERIODS_DEFAULT,
                    },
                    description="How many periods before are the baseline; 0: hold all values "
                    "against all others now.",
                ),
                by_described(len(DIMENSIONS), "Among which dimensions (all but `day` by default)"),
                FILTER,
                Parameter(
                    name="max",
                    schema={"type": "integer", "minimum": 1, "default": LINES_DEFAULT},
                    description=f"Most lines in the answer; more than {LINES_MAX} means so many.",
                ),
            ),
            answers={200: FleetRanking},
            errors=(400, 401, 403, 413, 429, 503, 504),
        )
    ]
