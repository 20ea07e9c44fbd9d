"""SQLite's transactions: savepoints, versions; a failing medium spoils the whole of one."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import RLock
from typing import Concatenate, Final, ParamSpec, TypeVar

import apsw

from roomtone.errors import RoomtoneError
from roomtone.store.sqlite_files import translated

P = ParamSpec("P")
R = TypeVar("R")
W = TypeVar("W", bound="Transactions")

_BUMP: Final = "UPDATE meeting SET version = version + 1 WHERE key = ?"
_STALE: Final = "UPDATE verdict SET made_of = 0 WHERE meeting = ? AND made_of <> 0"


def writing(
    call: Callable[Concatenate[W, P], R],
) -> Callable[Concatenate[W, P], R]:
    """A writing call: in a transaction; a failing medium spoils the whole of it."""

    def wrapper(self: W, /, *args: P.args, **kwargs: P.kwargs) -> R:
        assert self.depth, "a writing call outside transaction()"
        if self.spoiled is not None:
            raise self.spoiled
        try:
            return call(self, *args, **kwargs)
        except apsw.Error as error:
            raise self.spoil(error) from error

    wrapper.__doc__ = call.__doc__
    return wrapper


class Transactions:
    """The one writing connection, and what a transaction has touched.

    What a subclass remembers of the file between transactions it must forget when it is told to:
    by names, when a transaction or a savepoint failed; all, when another process has written.
    """

    def __init__(self, db: apsw.Connection) -> None:
        self.db = db
        self.cursor = db.cursor()
        self.depth = 0
        self.spoiled: RoomtoneError | None = None
        self.after_commit: list[Callable[[], None]] = []
        self._touched: list[tuple[str, str]] = []
        self.changed: set[int] = set()
        self._lock = RLock()
        self._data_version = -1

    def forget(self, names: list[tuple[str, str]]) -> None:
        """Do not remember these (organisation, meeting or session)."""

    def forget_all(self) -> None:
        """Remember nothing."""

    def touch(self, org: str, name: str) -> None:
        """Note that what is remembered of a meeting or session is only true if this commits."""
        self._touched.append((org, name))

    def change(self, meeting: int) -> None:
        """Note that a read of the meeting may now answer something else."""
        self.changed.add(meeting)

    # -- transactions

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; nested: a savepoint."""
        with self._lock:
            enclosing = self._savepoint() if self.depth else self._outermost()
            with enclosing:
                yield

    @contextmanager
    def _outermost(self) -> Iterator[None]:
        self._run("BEGIN IMMEDIATE")
        self.depth, self.spoiled = 1, None
        try:
            self._notice_others()
            yield
            self._commit()
        except BaseException:
            self._roll_back()
            raise
        finally:
            self.depth = 0
            self._touched.clear()
            self.changed.clear()
        chores, self.after_commit = self.after_commit, []
        for chore in chores:
            chore()

    @contextmanager
    def _savepoint(self) -> Iterator[None]:
        self._run("SAVEPOINT piece")
        self.depth += 1
        mark = len(self._touched)
        try:
            yield
            if self.spoiled is not None:
                raise self.spoiled
        except BaseException:
            self.forget(self._touched[mark:])
            del self._touched[mark:]
            if self.spoiled is None:
                self._run("ROLLBACK TO piece; RELEASE piece")
            raise
        else:
            self._run("RELEASE piece")
        finally:
            self.depth -= 1

    def _commit(self) -> None:
        if self.spoiled is not None:
            raise self.spoiled
        try:
            keys = [(key,) for key in sorted(self.changed)]
            self.cursor.executemany(_BUMP, keys)
            self.cursor.executemany(_STALE, keys)
            self.cursor.execute("COMMIT")
        except apsw.Error as error:
            raise self.spoil(error) from error

    def _roll_back(self) -> None:
        self.forget(self._touched)
        self.after_commit.clear()
        if self.db.in_transaction:  # some failures have rolled back by themselves
            self._run("ROLLBACK")

    def _run(self, sql: str) -> None:
        try:
            self.db.execute(sql)
        except apsw.Error as error:
            raise self.spoil(error) from error

    def spoil(self, error: apsw.Error) -> Exception:
        """The error to raise; after one of the medium nothing of this transaction may be kept."""
        told = translated(error)
        if told is None:
            return error
        self.spoiled = told
        return told

    def _notice_others(self) -> None:
        # The pragma, not Connection.data_version(): that one grows with our own commits too.
        version = int(str(self.db.pragma("data_version")))
        if version != self._data_version:
            self._data_version = version
            self.forget_all()
