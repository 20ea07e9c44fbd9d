"""`roomtone fleet`: how sessions were by network, version, site and the like, as a table."""

from collections.abc import Callable, Sequence
from typing import Annotated, Final, NamedTuple

import msgspec
from cyclopts import Parameter
from rich.console import Console
from rich.table import Table
from rich.text import Text

from roomtone.api.fleet import Fleet, FleetLine, Quantiles, Rate
from roomtone.commands.target import Where, WhereFlags, opened
from roomtone.commands.terminal import plural, say
from roomtone.commands.transfer import CONTROLS_AS_SPACES

WIDTH: Final = 120
"""Of what goes to a file or another program."""
VALUE_WIDTH_MAX: Final = 32
VALUE_WIDTH_MIN: Final = 16
"""Of a value so much at least stands in one line, or all of it."""
GAP: Final = 2
"""Between two columns."""
TOP: Final = 20
POOR_RATE_BAD: Final = 0.1
"""Ours: from this lower bound on a rate is shown in red."""


class Column(NamedTuple):
    """A column of figures: its head, what it shows of a line, and the metric that it is."""

    head: str
    cell: Callable[[FleetLine], str]
    metric: str = ""


Row = tuple[list[str], FleetLine]
COLUMNS: Final = (
    Column("sessions", lambda line: f"{line.sessions:,}", "sessions"),
    Column("minutes", lambda line: f"{line.minutes:,.0f}", "minutes"),
    Column("min poor", lambda line: f"{line.minutesPoor:,.0f}", "minutesPoor"),
    Column("poor %", lambda line: _percent(line.poorRate), "poor_rate"),
    Column("95 %", lambda line: _interval(line.poorRate)),
    Column("sound", lambda line: _median(line.audioMos), "audioMos"),
    Column("picture", lambda line: _median(line.videoMos), "videoMos"),
    Column("loss %", lambda line: _median(line.packetLoss), "packetLoss"),
    Column("ms", lambda line: _median(line.latency), "latency"),
    Column("jitter", lambda line: _median(line.jitter), "jitter"),
    Column("join s", lambda line: _median(line.joinTime), "joinTime"),
)
ASKED_FOR: Final = ("min poor", "jitter")
"""Shown only when lines are ordered by them."""
FIRST_TO_GO: Final = ("join s", "minutes", "picture", "ms", "loss %", "sound")
"""What a terminal that is too narrow for all columns does without."""

TextFlag = Annotated[str, Parameter(show_default=False)]


def fleet(
    *by: str,
    where: WhereFlags = Where(),  # noqa: B008 frozen
    metric: str = "poor_rate",
    from_: Annotated[str, Parameter(name="--from", show_default=False)] = "",
    to: TextFlag = "",
    filter: TextFlag = "",  # noqa: A002 the flag's name
    least: int = 1,
    top: int = TOP,
    json: Annotated[bool, Parameter(negative_bool=())] = False,
) -> None:
    """Print how sessions were, by up to two dimensions, the worst first.

    Parameters
    ----------
    by
        Up to two of region, cluster, networkType, clientType, clientVersion, osType, hardware,
        camera, microphone, speaker, site, codec, transport, hour, day.
    metric
        What lines are ordered by: poor_rate, sessions, minutes, minutesPoor, audioMos, videoMos,
        packetLoss, latency, jitter, joinTime.
    from_
        Sessions that joined from then on, as in 2026-11-01 or 2026-11-01T09:30:00Z; a week by
        default.
    to
        Until before this; now by default.
    filter
        Only some sessions, as in networkType=wifi,"region=San Jose, USA": whole values, in double
        quotes where there is a comma.
    least
        Only lines of so many sessions.
    top
        Most lines.
    json
        Print what GET /v1/roomtone/fleet answers instead.
    """
    query = {"by": ",".join(by), "metric": metric, "from": from_, "to": to, "filter": filter}
    chosen = {name: text for name, text in query.items() if text}
    with opened(where, known_org=True) as target:
        document = target.fleet(chosen | {"least": str(least), "max": str(top)})
    if json:
        say(document.decode())
        return
    console = Console(markup=False, highlight=False, emoji=False)
    if not console.is_terminal:
        console.width = WIDTH
    _show(console, msgspec.json.decode(document, type=Fleet))


def _show(console: Console, found: Fleet) -> None:
    rows = _rows(found)
    table = Table(box=None, pad_edge=False)
    for name in found.by or [""]:
        table.add_column(name, max_width=VALUE_WIDTH_MAX, overflow="fold")
    columns = _that_fit(console.width, found, rows)
    for one in columns:
        table.add_column(one.head, justify="right", no_wrap=True)
    for values, line in rows:
        cells = (Text(one.cell(line), _style(one, line)) for one in columns)
        table.add_row(*map(Text, values), *cells)
    console.print(table)
    console.print(Text(_legend(found, columns), "dim"))


def _rows(found: Fleet) -> list[Row]:
    rows = [(_values(found, line), line) for line in (found.lines if found.by else [])]
    empty = [""] * max(len(found.by) - 1, 0)
    if found.others is not None:
        rows.append((["(others)", *empty], found.others))
    return [*rows, (["all", *empty], found.whole)]


def _values(found: Fleet, line: FleetLine) -> list[str]:
    return [_clean(line.values[name]) or "(unknown)" for name in found.by]


def _that_fit(width: int, found: Fleet, rows: Sequence[Row]) -> list[Column]:
    """The columns for which there is room beside values that can be read; the metric's always."""
    columns = [one for one in COLUMNS if one.head not in ASKED_FOR or one.metric == found.metric]
    heads = found.by or [""]
    longest = (max(len(name), *(len(row[at]) for row, _ in rows)) for at, name in enumerate(heads))
    room = width - sum(min(VALUE_WIDTH_MIN, length) for length in longest) - GAP * (len(heads) - 1)
    for head in FIRST_TO_GO:
        if sum(GAP + _width(one, rows) for one in columns) <= room:
            break
        columns = [one for one in columns if one.head != head or one.metric == found.metric]
    return columns


def _width(column: Column, rows: Sequence[Row]) -> int:
    return max(len(column.head), *(len(column.cell(line)) for _, line in rows))


def _legend(found: Fleet, columns: Sequence[Column]) -> str:
    told = f"{found.from_} to {found.to}, {plural(found.whole.meetings, 'meeting')}"
    if len(found.by) == 1:
        told += f", {plural(found.cells, 'value')}"
    elif found.by:
        told += f", {plural(found.cells, 'pair')} of values"
    shown = {one.head for one in columns}
    narrow = [one for one in FIRST_TO_GO if one not in shown and one not in ASKED_FOR]
    left_out = f" Too narrow for {', '.join(narrow)}." if narrow else ""
    return f"{told}. Medians of sessions' means.{left_out}"


def _style(column: Column, line: FleetLine) -> str:
    rate = line.poorRate
    is_bad = rate.value is not None and rate.low >= POOR_RATE_BAD
    return "bold red" if column.metric == "poor_rate" and is_bad else ""


def _percent(rate: Rate) -> str:
    return "" if rate.value is None else f"{100 * rate.value:.1f}"


def _interval(rate: Rate) -> str:
    return "" if rate.value is None else f"{100 * rate.low:.1f}..{100 * rate.high:.1f}"


def _median(found: Quantiles | None) -> str:
    return "" if found is None else f"{found.p50:.3g}"


def _clean(text: str) -> str:
    """People choose the names of their devices: no control character may reach a terminal."""
    return text.translate(CONTROLS_AS_SPACES)
