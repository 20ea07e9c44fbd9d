"""Small reads that every request makes: remembered for as long as nobody has committed anything."""

from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Any, Final

from roomtone.store.sqlite_files import connect

ANSWERS_MAX: Final = 4_096
_DATA_VERSION: Final = "PRAGMA data_version"


class Recent:
    """Exact, not timed: SQLite tells in 2 us whether any connection anywhere has committed."""

    def __init__(self, path: Path) -> None:
        self._db = connect(path)
        self._db.execute("PRAGMA query_only = ON")
        self._lock = Lock()
        self._data_version: Any = None
        self._answers: dict[Any, Any] = {}

    def read(self, ask: Callable[..., Any], *key: Any) -> Any:
        """`ask(db, *key)`, or what it gave while the file was as now; nothing is not remembered."""
        with self._lock:
            # A commit between this and `ask` only makes what is remembered newer than its mark.
            version = self._db.execute(_DATA_VERSION).fetchall()
            if version != self._data_version or len(self._answers) >= ANSWERS_MAX:
                self._answers.clear()
                self._data_version = version
            answer = self._answers.get((ask, key))
            if answer is None:
                answer = ask(self._db, *key)
                if answer:
                    self._answers[ask, key] = answer
            return answer

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._db.close()
