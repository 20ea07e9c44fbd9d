"""`roomtone doctor`: is this a place where a server can keep its data?"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import apsw

from roomtone.commands.layers import ConfigFlag, SettingFlags
from roomtone.commands.terminal import now_ms, plural, say
from roomtone.config import Settings, checked
from roomtone.errors import RoomtoneError
from roomtone.model import epoch_ms, iso_s
from roomtone.store import open_store

FREE_BYTES_MIN: Final = 1024**3
SQLITE_MIN: Final = (3, 51, 3)
"""Earlier ones can corrupt a database in WAL mode (sqlite.org/wal.html#walresetbug)."""
CLOCK_MS_MIN: Final = epoch_ms("2026-01-01T00:00:00Z")
"""Roomtone did not exist before: an earlier clock is wrong."""
CLOCK_SKEW_MS_MAX: Final = 5_000


class Finding(NamedTuple):
    """One line of the report."""

    well: bool
    text: str


def doctor(settings: SettingFlags = Settings(), *, config: ConfigFlag = None) -> int:  # noqa: B008
    """Check the data folder, free space, SQLite, the store, the clock and the settings.

    Takes every setting of `roomtone serve`. Exit code 1 when something is wrong.

    Parameters
    ----------
    config
        TOML file with settings.
    """
    del config
    checked(settings)
    say("ok       settings")
    troubles = 0
    for check in (_sqlite, _clock, _folder, _space, _store):
        for finding in check(settings.data):
            troubles += not finding.well
            say(f"{'ok     ' if finding.well else 'TROUBLE'}  {finding.text}")
    return 1 if troubles else 0


def _sqlite(data: Path) -> Iterator[Finding]:
    del data
    version = apsw.sqlite_lib_version()
    parts = tuple(int(part) for part in version.split("."))
    yield Finding(parts >= SQLITE_MIN, f"SQLite {version}")


def _clock(data: Path) -> Iterator[Finding]:
    now = now_ms()
    if now < CLOCK_MS_MIN:
        yield Finding(well=False, text=f"the clock says {iso_s(now)}, which is in the past")
        return
    if _usable(data):
        with tempfile.NamedTemporaryFile(dir=data, prefix=".doctor-") as file:
            skew_ms = abs(os.fstat(file.fileno()).st_mtime_ns // 1_000_000 - now_ms())
        if skew_ms > CLOCK_SKEW_MS_MAX:
            text = f"the clock of the file system differs by {skew_ms / 1000:.0f} s"
            yield Finding(well=False, text=text)
            return
    yield Finding(well=True, text=f"clock {iso_s(now)}")


def _usable(data: Path) -> bool:
    return data.is_dir() and os.access(data, os.R_OK | os.W_OK | os.X_OK)


def _folder(data: Path) -> Iterator[Finding]:
    if not data.exists():
        yield Finding(well=False, text=f"data folder {data} does not exist")
    elif not data.is_dir():
        yield Finding(well=False, text=f"data folder {data} is a file")
    else:
        well = _usable(data)
        yield Finding(well, f"data folder {data}{'' if well else ' cannot be read and written'}")


def _space(data: Path) -> Iterator[Finding]:
    if data.is_dir():
        free = shutil.disk_usage(data).free
        yield Finding(free >= FREE_BYTES_MIN, f"free space {free / 1024**3:.1f} GiB")


def _store(data: Path) -> Iterator[Finding]:
    if not _usable(data):
        return
    try:
        store = open_store(data)
    except RoomtoneError as error:
        yield Finding(well=False, text=f"store: {error.message}")
        return
    try:
        found = store.check()
        counts = store.counts(None)
    except RoomtoneError as error:
        yield Finding(well=False, text=f"store: {error.message}")
        return
    finally:
        store.close()
    yield from (Finding(well=False, text=f"store: {text}") for text in found)
    if not found:
        meetings, sessions = plural(counts.meetings, "meeting"), plural(counts.sessions, "session")
        yield Finding(well=True, text=f"store, {meetings}, {sessions}")
