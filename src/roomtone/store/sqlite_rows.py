"""How records lie in SQLite's rows: meetings, session ids, pieces, tokens."""

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Final, cast
from zlib import crc32

import apsw
from msgspec import structs

from roomtone.model import MediaSession
from roomtone.store import Summary, Token, block
from roomtone.store.columns import Folding, fields_of
from roomtone.store.pack import pack, unpack
from roomtone.store.records import MeetingRecord

PIECES_MAX: Final = 64
"""So many live rows a session may have before they are folded into one."""
PIECE_KEYS: Final = 128
assert PIECES_MAX < PIECE_KEYS
SPAN_MAX: Final = 2
"""Blocks are read at once if what they span is at most so many times their bytes."""
ROW_BYTES: Final = 4_052
"""What fills a page of 4,096 bytes as one row, with its id and its count."""

MEETING_FIELDS: Final = MeetingRecord.__struct_fields__
MEETING_COLUMNS: Final = ", ".join(f"m.{name}" for name in MEETING_FIELDS)
TOKEN_FIELDS: Final = Token.__struct_fields__
TOKEN_COLUMNS: Final = ", ".join(TOKEN_FIELDS)

SUMMARY_FIELDS: Final = Summary.__struct_fields__[Summary.__struct_fields__.index("samples") :]
THOUSANDTHS: Final = 1000
PARTICIPANTS_CACHED_MAX: Final = 8_192
THOUSANDTHS_MAX: Final = 1e12

_SESSION_ID: Final = MediaSession.__struct_fields__.index("participantSessionId")
_UUID = re.compile(r"[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}")


def meeting_record(row: Iterable[Any]) -> MeetingRecord:
    """A meeting out of MEETING_COLUMNS."""
    return MeetingRecord(**dict(zip(MEETING_FIELDS, row, strict=True)))


def stored_id(session_id: str) -> str | bytes:
    """A session's id as it is stored: an upper-case UUID takes 16 bytes instead of 36."""
    if _UUID.fullmatch(session_id):
        return bytes.fromhex(session_id.replace("-", ""))
    return session_id


def session_id(stored: str | bytes) -> str:
    """The opposite of `stored_id`."""
    if isinstance(stored, str):
        return stored
    digits = stored.hex().upper()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def email_hash(email: str) -> int:
    """A number to find an e-mail by; 0 for none."""
    return crc32(email.lower().encode()) if email else 0


@lru_cache(PARTICIPANTS_CACHED_MAX)
def participant_hash(participant: str) -> bytes:
    """What a session's row keeps of a participantId, to notice another; b"" for none."""
    return blake2b(participant.encode(), digest_size=16).digest() if participant else b""


def packed(piece: MediaSession) -> bytes:
    """A piece as a live row holds it; what the session's row knows is left out."""
    fields = fields_of(piece)
    fields[0] = fields[_SESSION_ID] = ""
    return pack(fields)


def unpacked(piece: bytes) -> list[Any]:
    """The fields of a piece, in the shape of `fields_of`."""
    return cast("list[Any]", unpack(piece))


def pieces_of(db: apsw.Connection, key: int) -> list[tuple[int, bytes]]:
    """(heard_ms, piece) of a session's live rows, in order of arrival."""
    first = key * PIECE_KEYS
    return cast(
        "list[tuple[int, bytes]]",
        db.execute(
            "SELECT heard_ms, piece FROM live WHERE id BETWEEN ? AND ? ORDER BY id",
            (first, first + PIECE_KEYS - 1),
        ).fetchall(),
    )


def block_of(db: apsw.Connection, key: int) -> bytes | None:
    """The block of a session that is, or was, sealed."""
    at, size = _place_of(db, key)
    return None if at is None else block_at(db, at, size)


def block_at(db: apsw.Connection, at: int, size: int) -> bytes:
    """The block of `size` bytes that begins at a place."""
    first, start = divmod(at, ROW_BYTES)
    rows = db.execute(
        "SELECT data FROM block WHERE id BETWEEN ? AND ? ORDER BY id",
        (first, (at + size - 1) // ROW_BYTES),
    )
    return b"".join([data for (data,) in rows])[start : start + size]


def blocks_at(db: apsw.Connection, places: Sequence[tuple[int | None, int]]) -> list[bytes | None]:
    """The blocks at (place, bytes); None where there is none. Neighbours are read at once."""
    known = [(at, size) for at, size in places if at is not None]
    start = min([at for at, _ in known], default=0)
    stop = max([at + size for at, size in known], default=0)
    near = stop - start <= SPAN_MAX * sum([size for _, size in known])
    data = block_at(db, start, stop - start) if known and near else b""
    if len(data) < stop - start:  # far from each other, or a row between them is gone
        return [None if at is None else block_at(db, at, size) for at, size in places]
    return [None if at is None else data[at - start : at - start + size] for at, size in places]


def _place_of(db: apsw.Connection, key: int) -> tuple[int | None, int]:
    found = db.execute("SELECT block, block_bytes FROM session WHERE key = ?", (key,)).fetchone()
    return cast("tuple[int | None, int]", found)


def delete_block(db: apsw.Connection, key: int) -> None:
    """Overwrite a session's block with zeros; rows in which no other has a part go."""
    at, size = _place_of(db, key)
    if at is None:
        return
    db.execute("UPDATE session SET block = NULL, block_bytes = NULL WHERE key = ?", (key,))
    for row, start, stop in _parts(at, size):
        found = db.execute("SELECT used, data FROM block WHERE id = ?", (row,)).fetchone()
        used, data = cast("tuple[int, bytes]", found)
        used -= stop - start
        if used:
            data = data[:start] + bytes(stop - start) + data[stop:]
            db.execute("UPDATE block SET used = ?, data = ? WHERE id = ?", (used, data, row))
        else:
            db.execute("DELETE FROM block WHERE id = ?", (row,))


def put_block(db: apsw.Connection, key: int, data: bytes) -> None:
    """Put a session's block in the place of the one that may be there, behind all others."""
    delete_block(db, key)
    last = db.execute("SELECT id, length(data) FROM block ORDER BY id DESC LIMIT 1").fetchone() or (
        0,
        0,
    )
    write_block(db, key, data, at=last[0] * ROW_BYTES + last[1])


def write_block(db: apsw.Connection, key: int, data: bytes, *, at: int) -> None:
    """Write a session's block from a place on that is the end of all blocks."""
    done = 0
    for row, start, stop in _parts(at, len(data)):
        part = data[done : done + stop - start]
        done += len(part)
        if start:
            db.execute(
                "UPDATE block SET used = used + ?, data = CAST(data || ? AS BLOB) WHERE id = ?",
                (len(part), part, row),
            )
        else:
            db.execute(
                "INSERT INTO block (id, used, data) VALUES (?, ?, ?)", (row, len(part), part)
            )
    db.execute("UPDATE session SET block = ?, block_bytes = ? WHERE key = ?", (at, len(data), key))


def _parts(at: int, size: int) -> Iterator[tuple[int, int, int]]:
    """(row, start, stop) of the rows in which bytes at..at+size-1 lie."""
    for row in range(at // ROW_BYTES, (at + size - 1) // ROW_BYTES + 1):
        yield row, max(at - row * ROW_BYTES, 0), min(at + size - row * ROW_BYTES, ROW_BYTES)


def whole(meeting: str, data: bytes | None, pieces: Iterable[bytes]) -> MediaSession:
    """The session that a block and the pieces after it make, as it was sent."""
    folding = Folding()
    if data is not None:
        folding.add(block.decode(data, meeting))
    for piece in pieces:
        folding.add_fields(unpacked(piece))
    return folding.whole()


def token_row(token: Token) -> tuple[Any, ...]:
    """A token as TOKEN_COLUMNS."""
    values = dict(zip(TOKEN_FIELDS, structs.astuple(token), strict=True))
    values["scopes"] = " ".join(sorted(token.scopes))
    return tuple(values.values())


def token_of(row: Iterable[Any]) -> Token:
    """The opposite of `token_row`."""
    values = dict(zip(TOKEN_FIELDS, row, strict=True))
    values["scopes"] = frozenset(values["scopes"].split())
    return Token(**values)


def summary_values(summary: Summary) -> list[int | float | None]:
    """A summary as SUMMARY_FIELDS."""
    return [summary.samples, *(_thousandths(getattr(summary, n)) for n in SUMMARY_FIELDS[1:])]


def _thousandths(value: float | None) -> int | float | None:
    return value if value is None or value > THOUSANDTHS_MAX else round(value * THOUSANDTHS)


def summary_of_row(meeting: str, row: Sequence[Any]) -> Summary:
    """A summary out of a session's id, join_ms, left_ms and SUMMARY_FIELDS."""
    stored, joined_ms, left_ms, samples, *found = row
    values = [v / THOUSANDTHS if type(v) is int else v for v in found]
    return Summary(
        meeting=meeting,
        session=session_id(stored),
        join_ms=joined_ms,
        leave_ms=left_ms,
        samples=samples,
        **dict(zip(SUMMARY_FIELDS[1:], values, strict=True)),
    )
