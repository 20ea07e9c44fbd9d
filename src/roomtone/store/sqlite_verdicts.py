"""Settings and scores in SQLite: what organisations have chosen, rows, and what is stale."""

from typing import Final

import apsw
import msgspec

from roomtone.errors import Gone
from roomtone.store import sqlite_fleet
from roomtone.store.records import BADNESS, MeetingRecord, meeting_of, wanted
from roomtone.store.sqlite_beside import Beside
from roomtone.store.sqlite_files import SQLValue, fetch
from roomtone.store.sqlite_known import KnownMeeting
from roomtone.store.sqlite_rows import MEETING_COLUMNS, meeting_record
from roomtone.store.sqlite_transaction import writing
from roomtone.store.verdicts import (
    JudgedMeeting,
    MeetingRow,
    Scores,
    Stale,
    VerdictQuery,
)

MODEL_BITS: Final = 32
"""Revisions of settings have fewer."""
NUMBER_MAX: Final = 1 << 62

_ORG: Final = "(SELECT key FROM org WHERE name = ?1)"
_SETTING: Final = f"SELECT value FROM setting WHERE org = {_ORG} AND name = ?2"
_REVISION: Final = f"SELECT ifnull(max(revision), 0) FROM setting WHERE org = {_ORG}"
_PUT_SETTING: Final = (
    "INSERT INTO setting (org, name, revision, value) VALUES"
    " (?1, ?2, (SELECT ifnull(max(revision), 0) + 1 FROM setting WHERE org = ?1), ?3)"
    " ON CONFLICT (org, name) DO UPDATE SET revision = excluded.revision, value = excluded.value"
)
_PUT_SCORES: Final = (
    "INSERT INTO verdict (meeting, org, made_of, badness, minutes_poor, words, meeting_row)"
    " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (meeting) DO UPDATE SET"
    " made_of = excluded.made_of, badness = excluded.badness, words = excluded.words,"
    " minutes_poor = excluded.minutes_poor, meeting_row = excluded.meeting_row"
)
_FORGET: Final = (
    "UPDATE verdict SET made_of = 0, badness = 4, minutes_poor = 0, words = '',"
    " meeting_row = NULL WHERE "
)
_FORGOTTEN: Final = (
    "SELECT f.meeting FROM verdict v JOIN fleet f ON f.meeting = v.meeting"
    " WHERE v.org = ? AND v.made_of = 0"
)
_MADE_OF: Final = (
    f"((:model << {MODEL_BITS})"
    " + (SELECT ifnull(max(revision), 0) FROM setting s WHERE s.org = o.key))"
)
# CROSS JOIN: in this order, so that each organisation's part of the index is looked up.
_STALE: Final = (
    " FROM org o CROSS JOIN verdict v ON v.org = o.key CROSS JOIN meeting m ON m.key = v.meeting"
    " WHERE (:org IS NULL OR o.name = :org) AND m.state = 'ended' AND "
)
_REASONS: Final = (
    "v.made_of = 0",
    f"v.made_of > 0 AND v.made_of < {_MADE_OF}",
    f"v.made_of > {_MADE_OF}",
)
"""No valid rows; made by an older model or of older settings; by a newer model."""
_FOUND: Final = (
    "SELECT m.key FROM meeting m LEFT JOIN verdict v ON v.meeting = m.key"
    " WHERE m.org = (SELECT key FROM org WHERE name = :org)"
    " AND m.start_ms >= :from_ms AND m.start_ms < :to_ms"
)
_SAID: Final = " AND (v.made_of IS NULL OR v.made_of = 0 OR instr(v.words, :text))"
_NEWEST: Final = "m.start_ms DESC, m.id"
_WORST: Final = f"ifnull(v.badness, 4), v.minutes_poor DESC, {_NEWEST}"
_JUDGED: Final = (
    f"SELECT {MEETING_COLUMNS}, v.badness, v.words, v.meeting_row FROM meeting m"
    " LEFT JOIN verdict v ON v.meeting = m.key WHERE m.key = ?"
)

_encode: Final = msgspec.msgpack.Encoder().encode
_meeting_row: Final = msgspec.msgpack.Decoder(MeetingRow).decode
_VERDICT_OF: Final = {badness: verdict for verdict, badness in BADNESS.items()}


class Verdicts(Beside):
    """The writer, with the calls that keep and forget settings and scores."""

    @writing
    def put_setting(self, org: str, name: str, value: bytes) -> None:
        """Keep a setting; the revision grows if it is another value."""
        known = fetch(self.db, _SETTING, org, name)
        if (bytes(known[0][0]) if known else b"") != value:
            self.db.execute(_PUT_SETTING, (self.org(org), name, value))

    @writing
    def put_scores(self, org: str, meeting_id: str, scores: Scores) -> bool:
        """Replace a meeting's rows if it is still of the version that they were made of."""
        try:
            known = self.known_meeting(org, meeting_id)
        except Gone:
            return False
        if known is None or known.key in self.changed:
            return False
        ((version,),) = fetch(self.db, "SELECT version FROM meeting WHERE key = ?", known.key)
        if version != scores.version:
            return False
        row = (
            known.key,
            self.org(org),
            (scores.model << MODEL_BITS) + scores.revision,
            BADNESS[scores.meeting.verdict],
            scores.meeting.minutes_poor,
            scores.words,
            _encode(scores.meeting),
        )
        self.db.execute(_PUT_SCORES, row)
        sqlite_fleet.put_rows(self.db, self.org(org), known.key, scores.sessions)
        return True

    @writing
    def settle_fleet(self) -> int:
        """Put rows of sessions in order."""
        return sqlite_fleet.settle(self.db)

    def update_meeting(self, org: str, known: KnownMeeting, record: MeetingRecord) -> None:
        """Write a meeting anew; one that ends is to be scored."""
        super().update_meeting(org, known, record)
        if record.state == "ended":
            self.db.execute(
                "INSERT OR IGNORE INTO verdict (meeting, org) VALUES (?, ?)",
                (known.key, self.org(org)),
            )

    def forget_changed_scores(self, org: str) -> None:
        """Forget rows that may tell what no read of their meeting tells any more."""
        for meeting in self.changed:
            self.db.execute(f"{_FORGET} meeting = ?", (meeting,))
        self.db.execute(f"{_FORGET} org = ? AND made_of = 0", (self.org(org),))
        for (meeting,) in fetch(self.db, _FORGOTTEN, self.org(org)):
            sqlite_fleet.forget_meeting(self.db, meeting)


def setting(db: apsw.Connection, org: str, name: str) -> bytes:
    """A setting; b"" when there is none."""
    row = db.execute(_SETTING, (org, name)).fetchone()
    return b"" if row is None else bytes(row[0])


def revision(db: apsw.Connection, org: str) -> int:
    """How often the settings have changed."""
    return int(fetch(db, _REVISION, org)[0][0])


def stale(db: apsw.Connection, org: str | None, *, model: int, limit: int) -> list[Stale]:
    """Stale meetings, those without valid rows first, each kind from the newest on."""
    found: list[Stale] = []
    for reason in _REASONS:
        sql = (
            f"SELECT o.name, m.id, m.version {_STALE} {reason}"
            " ORDER BY o.key, v.made_of DESC, v.meeting DESC LIMIT :limit"
        )
        values = {"org": org, "model": model, "limit": limit - len(found)}
        found += [Stale(*row) for row in db.execute(sql, values)]
    return found


def stale_count(db: apsw.Connection, org: str | None, *, model: int) -> int:
    """How many meetings are stale."""
    counts = (
        db.execute(f"SELECT count(*) {_STALE} {reason}", {"org": org, "model": model}).fetchone()
        for reason in _REASONS
    )
    return sum(int(row[0]) for row in counts if row is not None)


def judged(db: apsw.Connection, org: str, query: VerdictQuery) -> list[JudgedMeeting]:
    """The page of meetings that fit the query, with their rows."""
    found: list[JudgedMeeting] = []
    skip = query.offset
    # SQLite passes over most; what it cannot judge, as in other cases of letters, is judged here.
    for (key,) in db.execute(_found_sql(query), _found_values(org, query)):
        if len(found) >= query.limit:
            break
        ((*columns, badness, words, data),) = fetch(db, _JUDGED, key)
        record = meeting_record(columns)
        verdict = None if badness is None else _VERDICT_OF[badness]
        if not wanted(record, verdict, words or "", query):
            continue
        if skip:
            skip -= 1
        else:
            kept = None if data is None else _meeting_row(data)
            found.append(JudgedMeeting(meeting_of(record), kept))
    return found


def _found_sql(query: VerdictQuery) -> str:
    # Who must not know names could tell from the time that it takes where one was found.
    sql = _FOUND + (_SAID if query.text and query.names else "")
    if query.verdicts is not None:
        badness = ", ".join(str(BADNESS[verdict]) for verdict in sorted(query.verdicts))
        sql += f" AND v.badness IN ({badness})"
    return f"{sql} ORDER BY {_WORST if query.worst else _NEWEST}"


def _found_values(org: str, query: VerdictQuery) -> dict[str, SQLValue]:
    return {
        "org": org,
        "from_ms": max(query.from_ms, -NUMBER_MAX),
        "to_ms": min(query.to_ms, NUMBER_MAX),
        "text": query.text,
    }
