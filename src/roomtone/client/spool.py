"""Records in a folder: what `append` returned for survives SIGKILL and loss of power.

Append-only segments; a record is its length, the CRC-32 of its bytes, and the bytes, at least one.
After a crash a new segment is begun, so what was cut off can only be the last of an old one.
"""

import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from threading import RLock
from typing import Final, NamedTuple, Self

from roomtone.errors import RoomtoneError

BYTES_MAX: Final = 64 * 1024 * 1024
BYTES_MIN: Final = 16 * 1024
SEGMENT_BYTES_MAX: Final = 5 * 1024 * 1024
SEGMENTS_PART: Final = 4
"""At least so many segments, so that a full spool loses a quarter of it at most."""

_HEAD: Final = struct.Struct(">II")
_POSITION: Final = struct.Struct(">QQQ")
_SUFFIX: Final = ".spool"
BINARY: Final[int] = getattr(os, "O_BINARY", 0)  # Windows would write two bytes for a line end


class Record(NamedTuple):
    """A record, and where it ends: what `done` needs to know."""

    data: bytes
    segment: int
    end: int


class Spool:
    """A bounded queue on disk for one process at a time; any thread may call.

    Over `bytes_max` the oldest segment is dropped; `dropped` counts the records lost so, also
    those of earlier runs. Raises RoomtoneError when another process uses the folder.
    """

    def __init__(self, folder: Path, *, bytes_max: int = BYTES_MAX) -> None:
        assert bytes_max >= BYTES_MIN, "a spool this small holds nothing"
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._bytes_max = bytes_max
        self._segment_max = min(SEGMENT_BYTES_MAX, bytes_max // SEGMENTS_PART)
        self.record_bytes_max = self._segment_max - _HEAD.size
        self._lock = RLock()
        self._guard = _locked(folder / "lock")
        self._sizes = {number: path.stat().st_size for number, path in _segments(folder)}
        self._number = max(self._sizes, default=0)
        self._file: int | None = None
        self._position = os.open(folder / "position", os.O_RDWR | os.O_CREAT | BINARY, 0o600)
        self._at, self._offset, self.dropped = self._read_position()
        if self._at not in self._sizes:
            self._at, self._offset = min(self._sizes, default=self._number + 1), 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def waiting_bytes(self) -> int:
        """How much is still to be taken, in bytes on disk."""
        with self._lock:
            return sum(self._sizes.values()) - (self._offset if self._at in self._sizes else 0)

    def append(self, data: bytes) -> None:
        """Keep a record. On return it is on disk; RoomtoneError when it cannot be."""
        assert data, "a file that was cut off may end in zeros: they look like empty records"
        size = _HEAD.size + len(data)
        if len(data) > self.record_bytes_max:
            raise RoomtoneError(f"a record of {len(data)} bytes is too large for the spool")
        with self._lock:
            if self._file is not None and self._sizes[self._number] + size > self._segment_max:
                self._end_segment()
            try:
                self._write(_HEAD.pack(len(data), zlib.crc32(data)) + data)
            except OSError as error:
                self._end_segment()  # it may end in half a record: nothing may follow that
                raise RoomtoneError(f"{self.folder}: {error.strerror or error}") from None
            self._shrink()

    def first(self) -> Record | None:
        """The oldest record that is not done; None when there is none."""
        with self._lock:
            while self._at in self._sizes:
                record = self._read()
                if record is not None:
                    return record
                if self._file is not None and self._at == self._number:
                    return None
                self.dropped += self._is_damaged()
                self._remove_first()
            return None

    def done(self, record: Record) -> None:
        """The record is not needed any more. It may come again after a crash."""
        with self._lock:
            if record.segment != self._at:
                return  # it was dropped meanwhile
            self._offset = record.end
            self._write_position()

    def close(self) -> None:
        """Give back files and lock; what waits stays."""
        with self._lock:
            self._end_segment()
            for file in (self._position, self._guard):
                os.close(file)

    # -- files

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:012}{_SUFFIX}"

    def _write(self, data: bytes) -> None:
        if self._file is None:
            self._number += 1
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | BINARY
            self._file = os.open(self._path(self._number), flags, 0o600)
            self._sizes[self._number] = 0
            _sync_folder(self.folder)
        written = 0
        while written < len(data):
            written += os.write(self._file, data[written:])
        os.fsync(self._file)
        self._sizes[self._number] += len(data)

    def _end_segment(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _read(self) -> Record | None:
        """The record at the position; None at the segment's end and before half a record."""
        with self._path(self._at).open("rb") as file:
            file.seek(self._offset)
            head = file.read(_HEAD.size)
            length = _HEAD.unpack(head)[0] if len(head) == _HEAD.size else 0
            left = self._sizes[self._at] - self._offset - len(head)
            record = next(_records(head + file.read(length)), None) if length <= left else None
        if record is None:
            return None
        return Record(record, self._at, self._offset + _HEAD.size + len(record))

    def _is_damaged(self) -> bool:
        """Whether a whole record cannot be read: the medium's fault, not that of a sudden end."""
        with self._path(self._at).open("rb") as file:
            file.seek(self._offset)
            head = file.read(_HEAD.size)
            length = _HEAD.unpack(head)[0] if len(head) == _HEAD.size else 0
            return 0 < length <= self._sizes[self._at] - self._offset - _HEAD.size

    def _remove_first(self) -> None:
        self._path(self._at).unlink(missing_ok=True)
        del self._sizes[self._at]
        self._at, self._offset = min(self._sizes, default=self._number + 1), 0
        self._write_position()

    def _shrink(self) -> None:
        """Drop the oldest segments until the rest is within the bound."""
        while sum(self._sizes.values()) > self._bytes_max and self._at in self._sizes:
            with self._path(self._at).open("rb") as file:
                file.seek(self._offset)
                self.dropped += sum(1 for _ in _records(file.read()))
            self._remove_first()

    def _read_position(self) -> tuple[int, int, int]:
        os.lseek(self._position, 0, os.SEEK_SET)
        data = os.read(self._position, _POSITION.size + 4)
        if len(data) < _POSITION.size + 4:
            return 0, 0, 0
        body, check = data[: _POSITION.size], data[_POSITION.size :]
        if zlib.crc32(body).to_bytes(4, "big") != check:
            return 0, 0, 0  # lost with the power: everything comes again, which does no harm
        segment, offset, dropped = _POSITION.unpack(body)
        return segment, offset, dropped

    def _write_position(self) -> None:
        body = _POSITION.pack(self._at, self._offset, self.dropped)
        os.lseek(self._position, 0, os.SEEK_SET)
        os.write(self._position, body + zlib.crc32(body).to_bytes(4, "big"))


def _records(data: bytes) -> Iterator[bytes]:
    """The whole records at the beginning of some bytes."""
    at = 0
    while at + _HEAD.size <= len(data):
        length, check = _HEAD.unpack_from(data, at)
        record = data[at + _HEAD.size : at + _HEAD.size + length]
        if not length or len(record) < length or zlib.crc32(record) != check:
            return
        yield record
        at += _HEAD.size + length


def _segments(folder: Path) -> Iterator[tuple[int, Path]]:
    for path in folder.glob(f"*{_SUFFIX}"):
        if path.stem.isdecimal():
            yield int(path.stem), path


def _locked(path: Path) -> int:
    """A file that only one process has open so; it is free again when that process ends."""
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        import fcntl
    except ImportError:  # Windows: nothing guards the folder there
        return file
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(file)
        raise RoomtoneError(f"{path.parent} is used by another process") from None
    return file


def _sync_folder(folder: Path) -> None:
    """A new file's name is durable only when its folder is."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
