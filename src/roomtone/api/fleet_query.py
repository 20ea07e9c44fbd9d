"""What is asked of a fleet: dimensions, a filter, and who may see devices."""

import csv
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Final, TypeVar

from starlette.requests import Request

from roomtone.api.endpoint import Parameter
from roomtone.api.qualities import READ_ALL, READ_ANONYMOUS
from roomtone.api.wire import principal_of
from roomtone.auth import Principal
from roomtone.errors import Forbidden, Invalid, TooMany
from roomtone.fleet.dimensions import DIMENSIONS, Dimension
from roomtone.fleet.sessions import FleetQuery, Sessions
from roomtone.services import Services
from roomtone.store import Store

FILTERS_MAX: Final = 64
AT_ONCE_MAX: Final = 2
"""Questions at once: each may take some hundred megabytes, and most of a core."""
DEVICES: Final[frozenset[Dimension]] = frozenset({"hardware", "camera", "microphone", "speaker"})
"""What may have a person's name in it, as model.DEVICE_LABEL_FIELDS."""

Filter = Mapping[Dimension, frozenset[str]]
T = TypeVar("T", bound=str)


def reader_of(request: Request) -> Principal:
    """Who asks: a token of the organisation, not of one meeting."""
    principal = principal_of(request, READ_ALL, READ_ANONYMOUS)
    principal.require_organisation()
    return principal


def seen_by(principal: Principal) -> tuple[Dimension, ...]:
    """The dimensions that somebody may see."""
    if READ_ALL in principal.scopes:
        return DIMENSIONS
    return tuple(name for name in DIMENSIONS if name not in DEVICES)


def allowed(principal: Principal, names: Collection[Dimension]) -> None:
    """Forbidden when that tells apart by what the token must not see."""
    hidden = sorted(set(names) - set(seen_by(principal)))
    if hidden:
        raise Forbidden(f"By {' and '.join(hidden)}: that needs the scope {READ_ALL}.")


def dimensions_parameter(
    query: Mapping[str, str], name: str, *, most: int
) -> tuple[Dimension, ...]:
    """Names of dimensions, with commas between them."""
    names = [part.strip() for part in query.get(name, "").split(",") if part.strip()]
    found = tuple(one_of(name, part, DIMENSIONS) for part in names)
    if len(found) > most or len(set(found)) < len(found):
        raise Invalid(f"{name}: expected up to {most} different dimensions.")
    return found


def one_of(name: str, text: str, known: tuple[T, ...]) -> T:
    """A text that is one of some; Invalid lists them."""
    if text not in known:
        raise Invalid(f"{name}: expected one of {', '.join(known)}.")
    return text


def filter_parameter(query: Mapping[str, str]) -> Filter:
    """A line of CSV, `networkType=wifi,"camera=C920, new"`; of one name, any of the values."""
    text = query.get("filter", "")
    try:
        parts = next(csv.reader([text], strict=True), [])
    except csv.Error:
        raise Invalid('filter: expected dimension=value,"dimension=value with a comma".') from None
    if len(parts) > FILTERS_MAX:
        raise Invalid(f"filter: expected up to {FILTERS_MAX} values.")
    found: dict[Dimension, frozenset[str]] = {}
    for part in parts:
        name, equals, value = part.partition("=")
        if not equals:
            raise Invalid('filter: expected dimension=value,"dimension=value with a comma".')
        dimension = one_of("filter", name.strip(), DIMENSIONS)
        found[dimension] = found.get(dimension, frozenset()) | {value}
    return found


def read(store: Store, org: str, query: FleetQuery, wanted: Filter, deadline: float) -> Sessions:
    """The sessions that are asked for, without those that the filter leaves out."""
    needed = tuple(dict.fromkeys((*query.dimensions, *wanted)))
    found = store.fleet(org, replace(query, dimensions=needed), deadline=deadline)
    return found.where(found.having(wanted)) if wanted else found


@contextmanager
def asking(services: Services) -> Iterator[None]:
    """One question more; TooMany when there are enough."""
    if services.fleet_questions >= AT_ONCE_MAX:
        raise TooMany("Other questions about the fleet are being answered; ask again.")
    services.fleet_questions += 1
    try:
        yield
    finally:
        services.fleet_questions -= 1


def by_described(most: int, what: str = "By what sessions are told apart") -> Parameter:
    """The parameter `by`."""
    return Parameter(
        name="by",
        schema={"type": "string"},
        description=f"{what}: up to {most} of {', '.join(DIMENSIONS)}; a comma between them.",
    )


FILTER: Final = Parameter(
    name="filter",
    schema={"type": "string"},
    description='Only sessions with `dimension=value,"dimension=value with a comma"`; '
    "several values of one dimension are alternatives, an empty one is unknown.",
)
