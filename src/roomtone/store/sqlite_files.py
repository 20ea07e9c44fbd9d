"""SQLite's files: opening, migrations, the pool of reading connections, errors in our words."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from importlib.resources import files
from pathlib import Path
from threading import Condition
from typing import Any, Final, ParamSpec, TypeVar, cast

import apsw

from roomtone.errors import RoomtoneError, TimedOut, Unavailable

P = ParamSpec("P")
R = TypeVar("R")
SQLValue = None | int | float | str | bytes

FILE_NAME: Final = "roomtone.db"
APPLICATION_ID: Final = 0x526D546E  # "RmTn"
PAGE_BYTES: Final = 4_096
BUSY_MS_MAX: Final = 2_000
READERS_MAX: Final = 16
WAIT_FOR_READER_S_MAX: Final = 5.0
STATEMENTS_CACHED_MAX: Final = 100
WAL_PAGES_MAX: Final = 1_000
WAL_BYTES_KEPT_MAX: Final = 16 * 1024 * 1024
PROGRESS_STEPS: Final = 2_000

MEDIUM_ERRORS: Final = (
    apsw.FullError,
    apsw.IOError,
    apsw.BusyError,
    apsw.LockedError,
    apsw.ReadOnlyError,
    apsw.CantOpenError,
    apsw.CorruptError,
    apsw.NotADBError,
    apsw.ProtocolError,
)


def translated(error: apsw.Error) -> RoomtoneError | None:
    """The error in the words of the protocol; None for one that is our own mistake."""
    if isinstance(error, apsw.InterruptError):
        return TimedOut("the read ran over its time limit")
    if isinstance(error, (apsw.BusyError, apsw.LockedError)):
        return Unavailable("the store is locked by another process")
    if isinstance(error, MEDIUM_ERRORS):
        return Unavailable("the store cannot be read or written now")
    return None


def speaking(call: Callable[P, R]) -> Callable[P, R]:
    """A call whose SQLite errors come out as the protocol's."""

    @wraps(call)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return call(*args, **kwargs)
        except apsw.Error as error:
            told = translated(error)
            if told is None:
                raise
            raise told from error

    return wrapper


def connect(path: Path) -> apsw.Connection:
    """A connection with the settings that every one of ours has."""
    db = apsw.Connection(str(path), statementcachesize=STATEMENTS_CACHED_MAX)
    db.set_busy_timeout(BUSY_MS_MAX)
    db.execute("PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF")
    return db


def fetch(db: apsw.Connection, sql: str, *values: SQLValue) -> list[Any]:
    """All rows of a query."""
    return cast("list[Any]", db.execute(sql, values).fetchall())


@speaking
def open_writer(path: Path) -> apsw.Connection:
    """The writing connection, over a file that was created or migrated as needed."""
    db = connect(path)
    try:
        _configure(db)
        migrate(db)
    except BaseException:
        db.close()
        raise
    return db


def _configure(db: apsw.Connection) -> None:
    # page size and vacuum mode can be chosen only before the first page is written
    db.execute(f"PRAGMA page_size = {PAGE_BYTES}; PRAGMA auto_vacuum = INCREMENTAL")
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL; PRAGMA secure_delete = ON")
    db.execute(f"PRAGMA journal_size_limit = {WAL_BYTES_KEPT_MAX}")
    db.execute(f"PRAGMA wal_autocheckpoint = {WAL_PAGES_MAX}")


def migrations() -> list[tuple[int, str]]:
    """(number, SQL) of every migration, in order."""
    folder = files("roomtone.store") / "schema"
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return [(int(name[:4]), (folder / name).read_text("utf-8")) for name in names]


def migrate(db: apsw.Connection) -> None:
    """Bring a file up to this program's schema; Unavailable when it is from a later one."""
    known = migrations()
    if db.pragma("user_version") == known[-1][0]:
        return
    db.execute("BEGIN IMMEDIATE")
    try:
        version = int(str(db.pragma("user_version")))
        if version > known[-1][0]:
            raise Unavailable("the store was written by a later version of Roomtone")
        for number, sql in known:
            if number > version:
                db.execute(sql)
        db.pragma("application_id", APPLICATION_ID)
        db.pragma("user_version", known[-1][0])
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


class Readers:
    """A bounded pool of reading connections; any thread takes one for one read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._idle: list[apsw.Connection] = []
        self._opened: list[apsw.Connection] = []
        self._returned = Condition()

    def take(self) -> apsw.Connection:
        """A connection that nobody else has; Unavailable when all are taken for too long."""
        with self._returned:
            until = time.monotonic() + WAIT_FOR_READER_S_MAX
            while not self._idle and len(self._opened) >= READERS_MAX:
                if not self._returned.wait(until - time.monotonic()):
                    raise Unavailable("too many reads at once")
            if self._idle:
                return self._idle.pop()
            db = connect(self._path)
            db.execute("PRAGMA query_only = ON")
            self._opened.append(db)
            return db

    def give(self, db: apsw.Connection) -> None:
        """Give a connection back."""
        with self._returned:
            self._idle.append(db)
            self._returned.notify()

    @contextmanager
    def moment(self, deadline: float) -> Iterator[apsw.Connection]:
        """A connection inside one read transaction that is interrupted after the deadline."""
        db = self.take()
        try:
            watch(deadline)
            db.set_progress_handler(lambda: time.monotonic() > deadline, PROGRESS_STEPS)
            db.execute("BEGIN")
            yield db
            watch(deadline)
        finally:
            db.set_progress_handler(None)
            if db.in_transaction:
                db.execute("ROLLBACK")
            self.give(db)

    def close(self) -> None:
        """Close them all; none is taken now."""
        with self._returned:
            for db in self._opened:
                db.close()
            self._opened.clear()
            self._idle.clear()


def watch(deadline: float) -> None:
    """TimedOut after the deadline."""
    if time.monotonic() > deadline:
        raise TimedOut("the read ran over its time limit")
