"""`roomtone import` and `roomtone export`: media sessions in files, in the API's own JSON."""

import csv
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import Annotated, Final, Literal, NamedTuple, Protocol, TextIO

import msgspec
from cyclopts import Parameter
from msgspec import Raw, Struct

from roomtone.commands.target import Target, Where, WhereFlags, opened
from roomtone.commands.terminal import moment_ms, now_ms, plural, progress, say, warn
from roomtone.errors import Invalid
from roomtone.ingest import parse_sessions
from roomtone.model import (
    COLUMNS,
    STREAM_KINDS,
    MediaSession,
    column_of,
    epoch_ms,
    iso_ms,
    sample_count,
    streams_of,
)

BATCH_ITEMS_MAX: Final = 100
FILE_BYTES_MAX: Final = 1024**3
"""A JSON document is read whole; larger data go into JSONL, which is read line by line."""
LINE_BYTES_MAX: Final = 64 * 1024**2
BAD_SHOWN_MAX: Final = 1_000

Format = Literal["json", "jsonl", "csv"]
DropFlag = Annotated[
    bool, Parameter(negative_bool=(), env_var="ROOMTONE_DROP_RAW_ADDRESSES", show_env_var=False)
]
CSV_HEAD: Final = (
    "meetingInstanceId", "participantId", "participantSessionId", "webexUserName",
    "webexUserEmail", "stream", "time", "samplingInterval", "codec", "transportType", *COLUMNS,
)  # fmt: skip
# A semicolon parts cells where the comma is in numbers. The last four signs are full-width forms.
FORMULA_START: Final = re.compile(r"(?:^|(?<=;))(?=\s*[=+\-@\uff1d\uff0b\uff0d\uff20])")
CONTROLS_AS_SPACES: Final = dict.fromkeys((*range(0x20), *range(0x7F, 0xA0)), " ")


class Item(NamedTuple):
    """One session of a file, still JSON: where it stands, and how many bytes to show as read."""

    place: str
    path: str
    json: bytes
    size: int


class _Body(Struct):
    items: list[Raw]


class _Count:
    """What an import has done."""

    def __init__(self) -> None:
        self.good = 0
        self.bad = 0
        self.unread = 0

    def refuse(self, place: str, why: str) -> None:
        """Name a bad item on standard error."""
        self.bad += 1
        if self.bad <= BAD_SHOWN_MAX:
            warn(f"{place}: {why}")

    def give_up(self, file: Path, why: str) -> None:
        """Name a file that cannot be read, or not to its end."""
        self.unread += 1
        warn(f"{file}: {why}")


def import_files(
    *files: Annotated[Path, Parameter(help="JSON or JSONL files.")],
    where: WhereFlags = Where(),  # noqa: B008 frozen
    drop_raw_addresses: DropFlag = False,
) -> int:
    """Take in files of media sessions: bodies {"items": [...]} or JSONL of sessions or bodies.

    A bad item is named with its file and JSON path, a file that cannot be read by its name; all
    the others land. Exit code 1 if there was any.

    Parameters
    ----------
    drop_raw_addresses
        With --data: forget localIP and publicIP, as a server with this setting does.
    """
    if not files:
        raise Invalid("name the files to import")
    total = sum(_size(file) for file in files)
    count = _Count()
    with opened(where) as target, progress("import", total=total) as advance:
        for file in files:
            items = _items(file, count)
            while batch := list(islice(items, BATCH_ITEMS_MAX)):
                _put(target, batch, count, drop_raw_addresses=drop_raw_addresses)
                advance(sum(item.size for item in batch))
    items_in_all = plural(count.good + count.bad, "item")
    read = f"{len(files) - count.unread:,} of " if count.unread else ""
    say(f"imported {count.good:,} of {items_in_all} from {read}{plural(len(files), 'file')}")
    return 1 if count.bad or count.unread else 0


def _size(file: Path) -> int:
    """For the progress bar: 0 for a file that is not there, which is named when its turn comes."""
    try:
        return file.stat().st_size
    except OSError:
        return 0


def _is_lines(file: Path) -> bool:
    return file.suffix in {".jsonl", ".ndjson"}


def _items(file: Path, count: _Count) -> Iterator[Item]:
    """The sessions of a file, of none if it cannot be read."""
    try:
        yield from _read(file, count)
    except OSError as error:
        count.give_up(file, error.strerror or str(error))


def _read(file: Path, count: _Count) -> Iterator[Item]:
    """The sessions of a file. What is no JSON is refused, file by file or line by line."""
    if not _is_lines(file):
        if file.stat().st_size > FILE_BYTES_MAX:
            count.give_up(file, f"larger than {FILE_BYTES_MAX} bytes; use JSONL")
            return
        text = file.read_bytes()
        if _is_one_document(text):
            yield from _document(text, str(file), count)
            return
    with file.open("rb") as lines:
        number = 0
        while line := lines.readline(LINE_BYTES_MAX):
            number += 1
            if line.strip():
                yield from _document(line, f"{file}:{number}", count)


def _is_one_document(text: bytes) -> bool:
    """Whether a file is one JSON document; else it is taken for lines if its first line is one."""
    first, _, rest = text.lstrip().partition(b"\n")
    if not rest.strip():
        return True
    try:
        msgspec.json.decode(first)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return True
    return False


def _document(text: bytes, place: str, count: _Count) -> Iterator[Item]:
    """The sessions of one JSON document: a body, or a session alone."""
    try:
        keys = msgspec.json.decode(text, type=dict[str, Raw])
        raws = msgspec.json.decode(keys["items"], type=list[Raw]) if "items" in keys else None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        count.refuse(place, str(error))
        return
    if raws is None:
        yield Item(place, "$", text, len(text))
        return
    for index, raw in enumerate(raws):
        item = bytes(raw)
        yield Item(place, f"$.items[{index}]", item, len(item))


def _put(target: Target, batch: list[Item], count: _Count, *, drop_raw_addresses: bool) -> None:
    """Check items by the server's own rules and store the good ones."""
    good: list[Item] = []
    sessions: list[MediaSession] = []
    for item in batch:
        try:
            body = b'{"items":[' + item.json + b"]}"
            parsed = parse_sessions(body, now_ms(), drop_raw_addresses=drop_raw_addresses).sessions
        except Invalid as error:
            count.refuse(item.place, error.message.replace("$.items[0]", item.path))
            continue
        sessions += parsed
        good += [item] * len(parsed)
    refused = target.put(sessions)
    for index, why in refused:
        count.refuse(good[index].place, why.replace("$.items[0]", good[index].path))
    count.good += len(sessions) - len(refused)


def export(
    where: WhereFlags = Where(),  # noqa: B008 frozen
    *,
    meeting: Annotated[tuple[str, ...], Parameter(negative_iterable=(), show_default=False)] = (),
    from_: Annotated[str, Parameter(name="--from", show_default=False)] = "",
    to: Annotated[str, Parameter(show_default=False)] = "",
    format: Format = "json",  # noqa: A002 the flag's name
    output: Annotated[Path | None, Parameter(name=["--output", "-o"], negative_none=())] = None,
) -> None:
    """Write media sessions out: of the named meetings, or of those that started in a time.

    json is one body {"items": [...]} and jsonl one session a line: `roomtone import` reads both
    again. csv has one row for each sample of each stream, or one for a session without samples;
    unknown values are empty, and a text that a spreadsheet would take for a formula begins with '.

    Parameters
    ----------
    meeting
        A meeting's id; may be given several times.
    from_
        First start of a meeting, as in 2026-11-01 or 2026-11-01T09:30:00Z.
    to
        Meetings start before this; now, if left out.
    format
        What is written.
    output
        A file to write, which must not exist; standard output if left out.
    """
    if bool(meeting) == bool(from_ or to):
        raise Invalid("give either --meeting ID or --from TIME and --to TIME")
    with opened(where) as target:
        ids = list(meeting) or _between(target, from_, to)
        with _output(output) as file, progress("export", total=len(ids)) as advance:
            count = _write(WRITERS[format], file, target, ids, advance)
    warn(f"exported {plural(count, 'session')} of {plural(len(ids), 'meeting')}")


def _between(target: Target, from_: str, to: str) -> list[str]:
    from_ms = moment_ms(from_, name="--from") if from_ else 0
    to_ms = moment_ms(to, name="--to") if to else now_ms()
    if to_ms < from_ms:
        raise Invalid(f"--to {to} is before --from {from_}")
    return list(target.meetings(from_ms=from_ms, to_ms=to_ms))


@contextmanager
def _output(path: Path | None) -> Iterator[TextIO]:
    if path is None:
        yield sys.stdout
    else:
        with path.open("x", encoding="utf-8", newline="") as file:
            yield file


class Writer(Protocol):
    """One format of an export, written session by session."""

    def __init__(self, file: TextIO) -> None: ...

    def put(self, session: MediaSession) -> None:
        """Write one session."""

    def close(self) -> None:
        """Write what ends the document."""


def _write(
    make: type[Writer],
    file: TextIO,
    target: Target,
    ids: Sequence[str],
    advance: Callable[[float], None],
) -> int:
    count = 0
    writer = make(file)
    for meeting in ids:
        for session in target.sessions(meeting):
            writer.put(session)
            count += 1
        advance(1)
    writer.close()
    return count


class JsonWriter:
    """The API's body, one session a line."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._separator = '{"items":[\n'

    def put(self, session: MediaSession) -> None:
        """Write one session."""
        self._file.write(self._separator + msgspec.json.encode(session).decode())
        self._separator = ",\n"

    def close(self) -> None:
        """End the list."""
        self._file.write("\n]}\n" if self._separator == ",\n" else '{"items":[]}\n')


class LinesWriter:
    """JSONL: one session a line."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def put(self, session: MediaSession) -> None:
        """Write one session."""
        self._file.write(msgspec.json.encode(session).decode() + "\n")

    def close(self) -> None:
        """Nothing ends JSONL."""


class CsvWriter:
    """One row for each sample of each stream; `time` is the start of the sample's interval.

    A session without samples has one row, which says no more than who it was.
    """

    def __init__(self, file: TextIO) -> None:
        self._csv = csv.writer(file, lineterminator="\n")
        self._csv.writerow(CSV_HEAD)

    def put(self, session: MediaSession) -> None:
        """Write the rows of one session."""
        self._csv.writerows(_rows(session))

    def close(self) -> None:
        """Nothing ends CSV."""


WRITERS: Final[dict[Format, type[Writer]]] = {
    "json": JsonWriter,
    "jsonl": LinesWriter,
    "csv": CsvWriter,
}


def guarded(text: str) -> str:
    """A text as a CSV cell that no spreadsheet takes for a formula and no terminal for a command.

    OWASP, *CSV Injection*: a `'` goes before a sign that begins a formula. Control characters
    become spaces.
    """
    return FORMULA_START.sub("'", text.translate(CONTROLS_AS_SPACES))


def _rows(session: MediaSession) -> Iterator[tuple[object, ...]]:
    who = (
        guarded(session.meetingInstanceId),
        guarded(session.participantId),
        guarded(session.participantSessionId),
        guarded(session.webexUserName),
        guarded(session.webexUserEmail),
    )
    samples = _sample_rows(session)
    first = next(samples, None)
    if first is None:
        yield (*who, *[None] * (len(CSV_HEAD) - len(who)))
        return
    for row in chain((first,), samples):
        yield (*who, *row)


def _sample_rows(session: MediaSession) -> Iterator[tuple[object, ...]]:
    for kind in STREAM_KINDS:
        for entry in streams_of(session, kind):
            columns = [column_of(entry, name) for name in COLUMNS]
            start_ms, length_ms = epoch_ms(entry.startTime), entry.samplingInterval * 1000
            codec, transport = guarded(entry.codec), guarded(entry.transportType)
            for at in range(sample_count(entry)):
                values = (column[at] if at < len(column) else None for column in columns)
                moment = iso_ms(round(start_ms + at * length_ms))
                yield (kind, moment, entry.samplingInterval, codec, transport, *values)
