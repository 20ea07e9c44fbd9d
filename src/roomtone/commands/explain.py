"""`roomtone explain`: how a meeting was, for whom and why, for a person at a terminal."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Annotated, Final

import msgspec
from cyclopts import Parameter
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from roomtone import score
from roomtone.api.scores import MeetingQuality, SessionQuality
from roomtone.causes import Finding
from roomtone.commands import sparkline
from roomtone.commands.target import Where, WhereFlags, opened
from roomtone.commands.terminal import plural, say
from roomtone.commands.transfer import CONTROLS_AS_SPACES
from roomtone.model import (
    AUDIO_KINDS,
    ITEMS_MAX,
    SHARE_KINDS,
    VIDEO_KINDS,
    MediaSession,
    epoch_ms,
    iso_s,
)
from roomtone.score import Verdict

WIDTH: Final = 120
"""Of what goes to a file or another program."""
TABLE_WIDTH: Final = 64
"""What the columns but the two lines of signs need at least."""
LINE_WIDTH_MIN: Final = 8
LINE_WIDTH_MAX: Final = 60
NAME_WIDTH_MAX: Final = 24
STYLES: Final[Mapping[Verdict, str]] = {
    "good": "green",
    "fair": "yellow",
    "poor": "bold red",
    "unclassified": "dim",
}
Lines = Mapping[str, tuple[str, str]]
"""By participantSessionId: sound and picture over time."""


def explain(
    meeting: str,
    /,
    where: WhereFlags = Where(),  # noqa: B008 frozen
    *,
    json: Annotated[bool, Parameter(negative_bool=())] = False,
) -> None:
    """Print how a meeting was: each session with its score over time, and the roots of troubles.

    Parameters
    ----------
    meeting
        The meeting's id.
    json
        Print what GET /v1/roomtone/meetings/{id} answers instead.
    """
    with opened(where, known_org=True) as target:
        document = target.quality(meeting)
        if json:
            say(document.decode())
            return
        sessions = list(islice(target.sessions(meeting), ITEMS_MAX))
    console = Console(markup=False, highlight=False, emoji=False)
    if not console.is_terminal:
        console.width = WIDTH
    _show(console, msgspec.json.decode(document, type=MeetingQuality), sessions)


def _show(console: Console, quality: MeetingQuality, sessions: Sequence[MediaSession]) -> None:
    width = (console.width - TABLE_WIDTH) // 2
    axis = sparkline.axis(sessions, slots_max=max(LINE_WIDTH_MIN, min(LINE_WIDTH_MAX, width)))
    plain = console.options.ascii_only
    lines = {} if axis is None else _lines(axis, sessions, plain=plain)
    _head(console, quality, axis)
    console.print(_table(quality, lines))
    if axis is not None:
        console.print(Text(_legend(axis, plain=plain), "dim"))
    names = {one.participantId: _name(one) for one in quality.sessions}
    if not quality.findings:
        console.print("No trouble was found.")
    for number, finding in enumerate(quality.findings, start=1):
        _finding(console, number, finding, names)


def _head(console: Console, quality: MeetingQuality, axis: sparkline.Axis | None) -> None:
    told = Text(_clean(quality.meetingInstanceId) + ": ")
    told.append(quality.verdict, STYLES[quality.verdict])
    if quality.because:
        told.append(f" ({_clean(quality.because)})")
    console.print(told)
    console.print(", ".join(_facts(quality, axis)))


def _facts(quality: MeetingQuality, axis: sparkline.Axis | None) -> Iterator[str]:
    if axis is not None:
        yield f"{iso_s(int(axis.start_ms))} to {iso_s(int(axis.end_ms))}"
    counts = [(quality.counts.poor, "poor"), (quality.counts.fair, "fair")]
    counts += [(quality.counts.good, "good"), (quality.counts.unclassified, "unclassified")]
    known = ", ".join(f"{count} {name}" for count, name in counts if count)
    more = "; there are more" if quality.more else ""
    yield plural(len(quality.sessions), "session") + (f" ({known}{more})" if known else "")
    yield f"{quality.minutesPoor:g} of {quality.minutes:g} minutes poor"


def _lines(axis: sparkline.Axis, sessions: Sequence[MediaSession], *, plain: bool) -> Lines:
    """Scores do not depend on an organisation's thresholds, so they are made here."""
    found = {}
    for session, scores in zip(sessions, score.sessions(sessions), strict=True):
        sound, picture = (
            sparkline.line(
                sparkline.lowest(axis, sparkline.spells(session, scores, kinds)), plain=plain
            )
            for kinds in (AUDIO_KINDS, (*VIDEO_KINDS, *SHARE_KINDS))
        )
        found[session.participantSessionId] = (sound, picture)
    return found


def _table(quality: MeetingQuality, lines: Lines) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("who", max_width=NAME_WIDTH_MAX, overflow="fold")
    table.add_column("verdict", no_wrap=True)
    table.add_column("min", justify="right", no_wrap=True)
    table.add_column("poor", justify="right", no_wrap=True)
    table.add_column("sound", no_wrap=True)
    table.add_column("picture", no_wrap=True)
    table.add_column("why", overflow="fold", ratio=1)
    for one in quality.sessions:
        sound, picture = lines.get(one.participantSessionId, ("", ""))
        table.add_row(
            _name(one),
            Text(one.verdict, STYLES[one.verdict]),
            f"{one.minutes:g}",
            f"{one.minutesPoor:g}",
            sound,
            picture,
            _clean(one.because),
        )
    return table


def _legend(axis: sparkline.Axis, *, plain: bool) -> str:
    signs = sparkline.PLAIN_SIGNS if plain else sparkline.SIGNS
    length_s = axis.slot_ms / 1000
    length = f"{length_s:g} s" if length_s < 60 else f"{length_s / 60:.3g} min"
    return f"A sign is the lowest score of {length}, {signs[0]} for 1 to {signs[-1]} for 5."


def _finding(console: Console, number: int, finding: Finding, names: Mapping[str, str]) -> None:
    console.print()
    head = f"{number}. {_clock(finding.start)} to {_clock(finding.end)}, {finding.family}"
    console.print(Text(f"{head}, confidence {finding.confidence:.2f}", "bold"))
    told = [finding.text, finding.advice]
    if finding.suffered:
        who = ", ".join(names.get(one) or one for one in finding.suffered)
        told.append(f"Felt by {who}.")
    if finding.left_open:
        rivals = "; ".join(f"{one.family} ({one.why})" for one in finding.left_open)
        told.append(f"Not ruled out: {rivals}.")
    for text in told:
        console.print(Padding(Text(_clean(text)), (0, 0, 0, 3)))


def _clock(time: str) -> str:
    return iso_s(epoch_ms(time))[11:16]


def _name(one: SessionQuality) -> str:
    return _clean(one.webexUserName or one.participantId or one.participantSessionId)


def _clean(text: str) -> str:
    """People choose their names: no control character of theirs may reach a terminal."""
    return text.translate(CONTROLS_AS_SPACES)
