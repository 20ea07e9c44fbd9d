"""Times in a query: a moment, and a window between two."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final, NamedTuple

from roomtone.api.endpoint import Parameter
from roomtone.errors import Invalid
from roomtone.model import epoch_ms, iso_ms

WEEK_MS: Final = 7 * 24 * 3600 * 1000
EARLIEST_MS: Final = epoch_ms("0001-01-01T00:00:00.000Z")
"""No time before it can be written."""


class Window(NamedTuple):
    """From a time until before another, milliseconds since 1970."""

    from_ms: int
    to_ms: int


def moment_parameter(query: Mapping[str, str], name: str, default_ms: int) -> int:
    """An ISO 8601 time or date; without a zone it is UTC, as with Webex."""
    text = query.get(name)
    if not text:
        return default_ms
    try:
        moment = datetime.fromisoformat(text.replace(" ", "+"))  # an unescaped + arrives as a space
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        moment_ms = epoch_ms(moment.isoformat())
        iso_ms(moment_ms)  # with its zone's offset it may lie outside of the years 1..9999
    except (ValueError, OverflowError):
        raise Invalid(f"{name}: expected an ISO 8601 date or time.") from None
    return moment_ms


def window_of(
    query: Mapping[str, str],
    *,
    to_ms: int,
    names: tuple[str, str] = ("from", "to"),
    span_ms: int = WEEK_MS,
) -> Window:
    """The window that two parameters name; by default it ends at `to_ms` and has that span."""
    start, stop = names
    until_ms = moment_parameter(query, stop, to_ms)
    from_ms = moment_parameter(query, start, max(until_ms - span_ms, EARLIEST_MS))
    if from_ms >= until_ms:
        raise Invalid(f"{start}: expected a time before `{stop}`.")
    return Window(from_ms, until_ms)


def moment_described(name: str, description: str) -> Parameter:
    """A parameter that is a moment."""
    return Parameter(name=name, schema={"type": "string"}, description=description)
