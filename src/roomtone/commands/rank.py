"""`roomtone rank`: what stands out in a CSV of anybody's, and by how much."""

import csv
import math
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Final, NamedTuple, TextIO

import msgspec
from cyclopts import Parameter
from rich.console import Console
from rich.table import Table
from rich.text import Text

from roomtone.commands.terminal import plural, progress, say, warn
from roomtone.commands.transfer import CONTROLS_AS_SPACES
from roomtone.config import nearest
from roomtone.errors import Invalid, TooLarge
from roomtone.fleet.cube import CubeBuilder
from roomtone.fleet.ranking import Finding, Ranking, Rules, rank
from roomtone.fleet.rates import Count, Estimate, wilson

LINE_CHARACTERS_MAX: Final = 1_000_000
ROWS_PER_STEP: Final = 5_000
DELIMITERS: Final = (",", ";", "\t")
CONDITION: Final = re.compile(r"(?P<column>[^<=]+)(?P<sign><=|<|=)(?P<value>.*)", re.DOTALL)
WIDTH: Final = 120
RULES: Final = Rules()

ColumnFlag = Annotated[str, Parameter(show_default=False)]
NamesFlag = Annotated[tuple[str, ...], Parameter(negative_iterable=(), show_default=False)]
FileFlag = Annotated[Path | None, Parameter(negative_none=(), show_default=False)]


def rank_file(
    file: Path,
    /,
    *,
    metric: str,
    total: ColumnFlag = "",
    by: NamesFlag = (),
    meeting: ColumnFlag = "",
    baseline: FileFlag = None,
    baseline_where: ColumnFlag = "",
    baseline_metric: ColumnFlag = "",
    baseline_total: ColumnFlag = "",
    depth: int = RULES.depth,
    margin: float = RULES.margin,
    top: int = RULES.findings_max,
    json: Annotated[bool, Parameter(negative_bool=())] = False,
) -> None:
    """Rank the values, and pairs of values, whose rate rose or stands out, in a CSV with a head.

    A row is one case with --metric 0 or 1, or a group of --total cases of which --metric were poor.
    Without a baseline each value is held against all other rows; with one, against its own rate
    then and the rise of all others. Rows whose metric is empty are left out, as nobody knows.

    Parameters
    ----------
    metric
        The column that counts what is poor (0 or 1 without --total).
    total
        The column that counts all cases of a row.
    by
        A dimension; may be given several times. All other columns, if left out.
    meeting
        The column that names what rows have in common, such as their meeting: they are then not
        taken for independent.
    baseline
        Another CSV with the same columns: the time before.
    baseline_where
        Rows of FILE that are the time before: COLUMN=VALUE, COLUMN<VALUE or COLUMN<=VALUE.
    baseline_metric
        The column of FILE that counts what was poor before; with --baseline-total.
    baseline_total
        The column of FILE that counts all cases before.
    depth
        How many values a line may name: 1 to 3.
    margin
        How far over what was expected a rate must surely be, of 1.
    top
        How many lines at most.
    json
        Print one JSON document instead of a table.
    """
    rules = Rules(depth=depth, margin=margin, findings_max=top)
    if sum(map(bool, (baseline, baseline_where, baseline_metric))) > 1:
        raise Invalid("give one baseline only")
    if bool(baseline_metric) != bool(baseline_total):
        raise Invalid("--baseline-metric and --baseline-total go together")
    condition = _condition(baseline_where)
    columns = _Columns(metric, total, meeting, baseline_metric, baseline_total, condition)
    files = [file] if baseline is None else [file, baseline]
    with progress("read", total=sum(one.stat().st_size for one in files)) as advance:
        builder, left_out = _read(files, columns, by, advance)
    found = rank(builder.cube(), rules)
    if left_out:
        warn(f"left out {plural(left_out, 'row')} with an empty cell where a count should be")
    if json:
        say(msgspec.json.encode(_document(found)).decode())
    else:
        _show(found)


class _Condition(NamedTuple):
    column: str
    sign: str
    value: str

    def holds(self, text: str) -> bool:
        """Numbers are compared as such, all else as text (which is right for ISO 8601)."""
        if self.sign == "=":
            return text == self.value
        try:
            one, other = float(text), float(self.value)
        except ValueError:
            return text < self.value or (self.sign == "<=" and text == self.value)
        return one < other or (self.sign == "<=" and one == other)


def _condition(text: str) -> _Condition | None:
    if not text:
        return None
    match = CONDITION.fullmatch(text)
    if match is None:
        raise Invalid(f"--baseline-where is {text!r}, but must be like week=46 or time<2026-11-16")
    return _Condition(match["column"], match["sign"], match["value"])


class _Columns(NamedTuple):
    """Which columns are no dimensions, "" for none."""

    metric: str
    total: str
    meeting: str
    baseline_metric: str
    baseline_total: str
    condition: _Condition | None

    def named(self) -> list[str]:
        where = self.condition.column if self.condition else ""
        return [name for name in (*self[:5], where) if name]


def _read(
    files: Sequence[Path],
    columns: _Columns,
    by: Sequence[str],
    advance: Callable[[float], None],
) -> tuple[CubeBuilder, int]:
    builder: CubeBuilder | None = None
    left_out = 0
    for number, path in enumerate(files):
        with _Sheet.opened(path) as sheet:
            sheet.need([*columns.named(), *by])
            if builder is None:
                rest = [name for name in sheet.head if name not in columns.named()]
                builder = CubeBuilder(by or rest)
            sheet.need(builder.dimensions)
            with sheet.blamed():
                left_out += _add(builder, sheet, columns, baseline=number > 0, advance=advance)
    assert builder is not None
    return builder, left_out


def _add(
    builder: CubeBuilder,
    sheet: "_Sheet",
    columns: _Columns,
    *,
    baseline: bool,
    advance: Callable[[float], None],
) -> int:
    """Add the rows of one file; the number of those that were left out."""
    places = [sheet.head.index(name) for name in builder.dimensions]
    meeting = sheet.head.index(columns.meeting) if columns.meeting else None
    condition = columns.condition
    where = sheet.head.index(condition.column) if condition else 0
    now = sheet.counting(columns.metric, columns.total)
    then = None
    if columns.baseline_metric:
        then = sheet.counting(columns.baseline_metric, columns.baseline_total)
    left_out = 0
    for row in sheet.rows(advance):
        before = condition.holds(row[where]) if condition else baseline
        counts = [(now(row), before)] if then is None else [(now(row), before), (then(row), True)]
        values = [row[place] for place in places]
        cluster = "" if meeting is None else row[meeting]
        for count, early in counts:
            if count is None:
                left_out += 1
            else:
                builder.add(
                    values, poor=count.poor, total=count.total, before=early, meeting=cluster
                )
    return left_out


class _Sheet:
    """A CSV with a head, read line by line; every complaint names the file and the line."""

    def __init__(self, path: Path, file: TextIO) -> None:
        self._path, self._file = path, file
        first = self._file.readline(LINE_CHARACTERS_MAX)
        delimiter = max(DELIMITERS, key=first.count)
        self._csv = csv.reader(self._lines(first), delimiter=delimiter, strict=True)
        with self.blamed():
            self.head = next(self._csv, [])
            if len(set(self.head)) < len(self.head):
                raise Invalid("a column is named twice")

    @classmethod
    @contextmanager
    def opened(cls, path: Path) -> Iterator["_Sheet"]:
        """The file, as long as it is needed."""
        with path.open(encoding="utf-8-sig", newline="") as file:
            try:
                yield cls(path, file)
            except UnicodeDecodeError:
                raise Invalid(f"{path}: is no text in UTF-8") from None

    def _lines(self, line: str) -> Iterator[str]:
        while line:
            if len(line) >= LINE_CHARACTERS_MAX:
                raise TooLarge(f"a line is longer than {LINE_CHARACTERS_MAX:,} characters")
            yield line
            line = self._file.readline(LINE_CHARACTERS_MAX)

    @contextmanager
    def blamed(self) -> Iterator[None]:
        """What goes wrong within, with the file and the line."""
        try:
            yield
        except (Invalid, TooLarge) as error:
            where = f"{self._path}, line {max(self._csv.line_num, 1)}"
            raise type(error)(f"{where}: {error.message}") from None
        except csv.Error as error:
            where = f"{self._path}, line {max(self._csv.line_num, 1)}"
            raise Invalid(f"{where}: {error}") from None

    def need(self, names: Sequence[str]) -> None:
        """`Invalid` when a column is not there."""
        for name in names:
            if name not in self.head:
                raise Invalid(f"{self._path} has no column {name}{nearest(name, self.head)}")

    def rows(self, advance: Callable[[float], None]) -> Iterator[list[str]]:
        """Every row, as wide as the head; empty lines are none. To be used within `blamed`."""
        width = len(self.head)
        for number, row in enumerate(self._csv, start=1):
            if row and len(row) != width:
                raise Invalid(f"{len(row)} cells under a head of {width}")
            if row:
                yield row
            if number % ROWS_PER_STEP == 0:
                advance(ROWS_PER_STEP * (sum(map(len, row)) + width))  # about

    def counting(self, metric: str, total: str) -> Callable[[Sequence[str]], Count | None]:
        """What reads a row's counts; None when a cell is empty."""
        poor_at = self.head.index(metric)
        total_at = self.head.index(total) if total else None

        def read(row: Sequence[str]) -> Count | None:
            poor = _number(row[poor_at], metric)
            of = 1.0 if total_at is None else _number(row[total_at], total)
            return None if poor is None or of is None else Count(poor, of)

        return read


def _number(text: str, name: str) -> float | None:
    if not text.strip():
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise Invalid(f"{name} is {text[:40]!r}, no number")
    return value


def _document(found: Ranking) -> object:
    """The ranking as JSON has it: rates in 0..1, what is not known null."""
    return {
        "now": _rate(found.now),
        "before": _rate(found.before) if found.before else None,
        "change": found.change and found.change._asdict(),
        "cells": found.cells,
        "findings": [_finding(one) for one in found.findings],
    }


def _rate(count: Count) -> dict[str, object]:
    low, high = wilson(count)
    return {**count._asdict(), "rate": count.rate, "low": low, "high": high}


def _finding(one: Finding) -> dict[str, object]:
    told = asdict(one)
    told |= {name: dict(pairs) for name, pairs in (("where", one.where),)}
    told["alike"] = [dict(where) for where in one.alike]
    told["rate"], told["expected"] = one.now.rate, one.expected
    for name in ("now", "whole", "interval", "reference", "difference", "ratio"):
        told[name] = getattr(one, name)._asdict()
    return told


def _show(found: Ranking) -> None:
    say(_headline(found))
    if not found.findings:
        say("Nothing stands out.")
        return
    table = Table("", "what", "poor", "rate", "expected", "ratio", "explains", "p", box=None)
    for number, one in enumerate(found.findings, start=1):
        table.add_row(str(number), *(Text(cell) for cell in _cells(one)))
    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDTH)
    console.print(table)


def _headline(found: Ranking) -> str:
    text = f"poor: {found.now.poor:,.10g} of {found.now.total:,.10g} ({_percent(found.now.rate)})"
    if found.before is None or found.change is None:
        return text + f", {plural(found.cells, 'cell')} looked at"
    change = _points(found.change)
    return f"{text}, before {_percent(found.before.rate)}, change {change} points"


def _cells(one: Finding) -> Iterator[str]:
    yield _named(one.where) + "".join(f"\n  or {_named(where)}" for where in one.alike)
    yield f"{one.now.poor:,.10g} of {one.now.total:,.10g}"
    yield f"{_percent(one.now.rate)} ({_percent(one.interval.low)}..{_percent(one.interval.high)})"
    yield _percent(one.expected) + (" (new)" if one.new else "")
    ratio = one.ratio
    yield "" if ratio.value is None else f"{ratio.value:.2f} ({ratio.low:.2f}..{ratio.high:.2f})"
    yield "" if one.explanatory_power is None else _percent(one.explanatory_power)
    yield f"{one.p_adjusted:.1g}" if one.p_adjusted else "under 1e-300"


def _named(where: Sequence[tuple[str, str]]) -> str:
    return ", ".join(f"{name}={value}" for name, value in where).translate(CONTROLS_AS_SPACES)


def _percent(share: float | None) -> str:
    return "unknown" if share is None else f"{100 * share:.1f} %"


def _points(estimate: Estimate) -> str:
    if estimate.value is None:
        return "unknown"
    return f"{100 * estimate.value:+.1f} ({100 * estimate.low:+.1f}..{100 * estimate.high:+.1f})"
