"""`roomtone erase`, `purge` and `backup`: near (--data) or over HTTP (--url)."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from roomtone.commands.target import Where, WhereFlags, opened
from roomtone.commands.terminal import moment_ms, now_ms, plural, progress, say
from roomtone.config import duration_ms
from roomtone.errors import Invalid
from roomtone.model import iso_s


def erase(where: WhereFlags = Where(), *, email: str) -> None:  # noqa: B008 frozen
    """Forget who a person is, everywhere; what was measured stays. Prints how much was changed.

    Parameters
    ----------
    email
        The person's e-mail, in any case of letters.
    """
    if not email.strip():
        raise Invalid("--email is empty")
    with opened(where, known_org=True) as target:
        count = target.erase(email.strip())
    places = plural(count, "session or meeting", "sessions and meetings")
    say(f"erased {email.strip()} from {places}")


def purge(
    where: WhereFlags = Where(),  # noqa: B008 frozen
    *,
    before: str = "",
    keep: str = "",
) -> None:
    """Remove ended meetings for good. Prints how many.

    Parameters
    ----------
    before
        Remove meetings that ended before this, as in 2026-11-01 or 2026-11-01T09:30:00Z.
    keep
        Remove meetings that ended longer ago than this, as in 90d or 12h.
    """
    if bool(before) == bool(keep):
        raise Invalid("give either --before TIME or --keep 90d")
    before_ms = (
        moment_ms(before, name="--before")
        if before
        else now_ms() - duration_ms(keep, name="--keep")
    )
    with opened(where, known_org=True) as target:
        count = target.purge(before_ms=before_ms)
    say(f"removed {plural(count, 'meeting')} that ended before {iso_s(before_ms)}")


def backup(
    file: Annotated[Path, Parameter(help="File to write; it must not exist.")],
    where: WhereFlags = Where(),  # noqa: B008 frozen
) -> None:
    """Copy an organisation's data into one file, also while a server writes.

    To restore, put the file into an empty folder as roomtone.db and serve that folder.
    """
    if file.exists():
        raise Invalid(f"{file} is there already")
    if not file.absolute().parent.is_dir():
        raise Invalid(f"{file.absolute().parent} is no folder")
    done = 0.0
    with opened(where, known_org=True) as target, progress("backup", total=1.0) as advance:

        def show(part: float) -> None:
            nonlocal done
            advance(part - done)
            done = part

        target.backup(file, progress=show)
    say(f"wrote {file}, {plural(file.stat().st_size, 'byte')}")
