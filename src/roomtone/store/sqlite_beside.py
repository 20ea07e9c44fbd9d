"""What lies beside sessions in SQLite: measuring state, where figures are from, sources' state."""

from typing import Final

from roomtone.store import SOURCE_STATE_KEPT_MS
from roomtone.store.records import mentions
from roomtone.store.sqlite_files import fetch
from roomtone.store.sqlite_rows import stored_id
from roomtone.store.sqlite_transaction import writing
from roomtone.store.sqlite_write import Writer

_BESIDE: Final = ("measure", "detail")
_STATE: Final = (
    "SELECT state FROM measure JOIN session s ON s.key = measure.session"
    " WHERE s.org = ? AND s.id = ?"
)
_PUT_STATE: Final = (
    "INSERT INTO measure (session, state) SELECT key, ?3 FROM session WHERE org = ?1 AND id = ?2"
    " ON CONFLICT (session) DO UPDATE SET state = excluded.state"
)
_DETAIL: Final = (
    "SELECT data FROM detail JOIN session s ON s.key = detail.session WHERE s.org = ? AND s.id = ?"
)
_PUT_DETAIL: Final = (
    "INSERT INTO detail (session, data) SELECT key, ?3 FROM session WHERE org = ?1 AND id = ?2"
    " ON CONFLICT (session) DO UPDATE SET data = excluded.data"
)
_PUT_SOURCE: Final = (
    "INSERT INTO source (org, key, put_ms, state) VALUES (?, ?, ?, ?)"
    " ON CONFLICT (org, key) DO UPDATE SET put_ms = excluded.put_ms, state = excluded.state"
)
_OLD_SOURCES: Final = "SELECT org, key FROM source WHERE put_ms < ? ORDER BY put_ms LIMIT ?"


class Beside(Writer):
    """Opaque bytes that belong to a session, or to a source of an organisation."""

    @writing
    def measure_state(self, org: str, session: str) -> bytes:
        """Opaque state beside a session; b"" when there is none."""
        row = self.db.execute(_STATE, (self.org(org), stored_id(session))).fetchone()
        return b"" if row is None else bytes(row[0])

    @writing
    def put_measure_state(self, org: str, session: str, state: bytes) -> None:
        """Keep opaque state beside a session that exists."""
        self.db.execute(_PUT_STATE, (self.org(org), stored_id(session), state))
        assert self.db.changes(), "state beside a session that was never put"

    @writing
    def put_detail(self, org: str, session: str, detail: bytes) -> None:
        """Keep what is told of a session that exists."""
        self.db.execute(_PUT_DETAIL, (self.org(org), stored_id(session), detail))
        assert self.db.changes(), "detail of a session that was never put"

    @writing
    def kept_detail(self, org: str, session: str) -> bytes:
        """What is told of a session; b"" when there is nothing."""
        row = self.db.execute(_DETAIL, (self.org(org), stored_id(session))).fetchone()
        return b"" if row is None else bytes(row[0])

    @writing
    def source_state(self, org: str, key: str) -> bytes:
        """A source's state; b"" when there is none."""
        row = self.db.execute(
            "SELECT state FROM source WHERE org = ? AND key = ?", (self.org(org), key)
        ).fetchone()
        return b"" if row is None else bytes(row[0])

    @writing
    def put_source_state(self, org: str, key: str, state: bytes, now_ms: int) -> None:
        """Keep a source's state; b"" removes it."""
        if state:
            self.db.execute(_PUT_SOURCE, (self.org(org), key, now_ms, state))
        else:
            self.db.execute("DELETE FROM source WHERE org = ? AND key = ?", (self.org(org), key))

    def forget_beside(self, key: int) -> None:
        """Remove what lies beside a session that goes."""
        for table in _BESIDE:
            self.db.execute(f"DELETE FROM {table} WHERE session = ?", (key,))

    def forget_measuring(self, key: int) -> None:
        """Remove the measuring state of a session that is sealed."""
        self.db.execute("DELETE FROM measure WHERE session = ?", (key,))

    def forget_old_sources(self, now_ms: int, limit: int) -> None:
        """Remove states that no source has put for SOURCE_STATE_KEPT_MS."""
        for org, key in fetch(self.db, _OLD_SOURCES, now_ms - SOURCE_STATE_KEPT_MS, limit):
            self.db.execute("DELETE FROM source WHERE org = ? AND key = ?", (org, key))

    def erase_beside(self, org: str, email: str) -> None:
        """Remove every state of an organisation that mentions a person."""
        key = self.org(org)
        states = (
            "SELECT session, state FROM measure JOIN session s ON s.key = session WHERE s.org = ?"
        )
        for session, state in fetch(self.db, states, key):
            if mentions(state, email):
                self.forget_measuring(session)
        for name, state in fetch(self.db, "SELECT key, state FROM source WHERE org = ?", key):
            if mentions(state, email) or email.lower() in name.lower():
                self.db.execute("DELETE FROM source WHERE org = ? AND key = ?", (key, name))
