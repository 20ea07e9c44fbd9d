"""`roomtone fleet`: how sessions were by network, version, site and the like, as a table."""

from typing import Annotated, Final

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
TOP: Final = 20
POOR_RATE_BAD: Final = 0.1
"""Ours: from this lower bound on a rate is shown in red."""

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
        Only some sessions, as in networkType=wifi,region=Frankfurt.
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
    table = Table(box=None, pad_edge=False)
    for name in found.by:
        table.add_column(name, max_width=VALUE_WIDTH_MAX, overflow="fold")
    if not found.by:
        table.add_column("")
    for name in (
        "sessions",
        "minutes",
        "poor %",
        "95 %",
        "sound",
        "picture",
        "loss %",
        "ms",
        "join s",
    ):
        table.add_column(name, justify="right", no_wrap=True)
    for line in found.lines if found.by else []:
        _add(table, line, [_clean(line.values[name]) or "(unknown)" for name in found.by])
    empty = [""] * max(len(found.by) - 1, 0)
    if found.others is not None:
        _add(table, found.others, ["(others)", *empty])
    _add(table, found.whole, ["all", *empty])
    console.print(table)
    console.print(
        Text(f"{found.from_} to {found.to}, {_facts(found)}. Medians of sessions' means.", "dim")
    )


def _facts(found: Fleet) -> str:
    told = plural(found.whole.meetings, "meeting")
    return f"{told}, {plural(found.cells, 'combination')} of values" if found.by else told


def _add(table: Table, line: FleetLine, values: list[str]) -> None:
    rate = line.poorRate
    style = "bold red" if rate.value is not None and rate.low >= POOR_RATE_BAD else ""
    table.add_row(
        *(Text(value) for value in values),
        f"{line.sessions:,}",
        f"{line.minutes:,.0f}",
        Text("" if rate.value is None else f"{100 * rate.value:.1f}", style),
        _interval(rate),
        *(_median(one) for one in (line.audioMos, line.videoMos)),
        *(_median(one) for one in (line.packetLoss, line.latency, line.joinTime)),
    )


def _interval(rate: Rate) -> str:
    return "" if rate.value is None else f"{100 * rate.low:.1f}..{100 * rate.high:.1f}"


def _median(found: Quantiles | None) -> str:
    return "" if found is None else f"{found.p50:.3g}"


def _clean(text: str) -> str:
    """People choose the names of their devices: no control character may reach a terminal."""
    return text.translate(CONTROLS_AS_SPACES)
