"""`roomtone erase`, `purge` and `backup`, near (--data) or over HTTP (--url); `rescore`, near."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter

from roomtone import score, scoring
from roomtone.commands.target import Where, WhereFlags, opened, store_at
from roomtone.commands.terminal import moment_ms, now_ms, plural, progress, say
from roomtone.config import duration_ms
from roomtone.errors import Invalid
from roomtone.model import iso_s
from roomtone.store import Store

RESCORE_STEP_MEETINGS: Final = 20


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


def rescore(*, data: Path | None = None, org: str = "") -> None:
    """Score the ended meetings whose scores are missing or old. Prints how many.

    A server does the same by and by; this does it now, also beside a server. Cut off and run
    again, it goes on with what is left.

    Parameters
    ----------
    data
        Folder of the store. ROOMTONE_DATA when it is not given.
    org
        Only this organisation's meetings.
    """
    done = 0
    with store_at(data) as store:
        if org and org not in store.organisations():
            raise Invalid(f"--org is {org}, which nothing in the store belongs to")
        total = store.stale_count(org or None, model=score.VERSION)
        with progress("rescore", total=total) as advance:
            while kept := _rescore_step(store, org or None, advance):
                done += kept
    say(f"scored {plural(done, 'meeting')}")


def _rescore_step(store: Store, org: str | None, advance: Callable[[float], None]) -> int:
    """Score some stale meetings, a commit each; return how many, 0 when none is left."""
    kept = 0
    for one in store.stale(org, model=score.VERSION, limit=RESCORE_STEP_MEETINGS):
        made = scoring.made_of(store, one)
        if made is not None:
            with store.transaction():
                kept += store.put_scores(one.org, one.meeting, made)
        advance(1)
    return kept
