"""What commands share with the person at the terminal: lines, tables, progress, times."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from datetime import time as day_time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from roomtone.errors import Invalid
from roomtone.model import epoch_ms


def now_ms() -> int:
    """Milliseconds since 1970, now."""
    return time.time_ns() // 1_000_000


def say(text: str) -> None:
    """One line on standard output: what the command was asked for."""
    sys.stdout.write(text + "\n")


def warn(text: str) -> None:
    """One line on standard error: what is said beside the result."""
    sys.stderr.write(" ".join(text.splitlines()) + "\n")


@contextmanager
def progress(title: str, *, total: float | None) -> Iterator[Callable[[float], None]]:
    """A progress bar on standard error, none without a terminal or work; yields `advance(by)`."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(
        *columns,
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal or total == 0,
    ) as bar:
        task = bar.add_task(title, total=total)
        yield lambda by: bar.advance(task, by)


def moment_ms(text: str, *, name: str) -> int:
    """Milliseconds of 2026-11-01 (its first moment in UTC) or of an ISO 8601 time with a zone."""
    try:
        if len(text) == len("2026-11-01"):
            day = datetime.combine(date.fromisoformat(text), day_time.min, UTC)
            return round(day.timestamp() * 1000)
        return epoch_ms(text)
    except (ValueError, OverflowError):
        raise Invalid(
            f"{name} is {text!r}, but must be like 2026-11-01 or 2026-11-01T09:30:00Z"
        ) from None


def plural(count: int, one: str, many: str = "") -> str:
    """`1 session`, `2 sessions`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"
