"""`roomtone rescore`: make what is stale fresh, now."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from roomtone import score, scoring
from roomtone.commands.target import store_at
from roomtone.commands.terminal import plural, progress, say
from roomtone.errors import Invalid
from roomtone.store import Store

STEP_MEETINGS: Final = 20


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
            while kept := _step(store, org or None, advance):
                done += kept
    say(f"scored {plural(done, 'meeting')}")


def _step(store: Store, org: str | None, advance: Callable[[float], None]) -> int:
    """Score some stale meetings, a commit each; return how many, 0 when none is left."""
    kept = 0
    for one in store.stale(org, model=score.VERSION, limit=STEP_MEETINGS):
        made = scoring.made_of(store, one)
        if made is not None:
            with store.transaction():
                kept += store.put_scores(one.org, one.meeting, made)
        advance(1)
    return kept
