"""`roomtone import` and `roomtone export`: files in, and the API's own JSON or CSV out."""

import csv
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Annotated, Final, Literal, Protocol, TextIO

import msgspec
from cyclopts import Parameter

from roomtone.commands.incoming import Import
from roomtone.commands.target import Target, Where, WhereFlags, opened
from roomtone.commands.terminal import moment_ms, now_ms, plural, progress, say, warn
from roomtone.config import RANGES
from roomtone.errors import Invalid
from roomtone.model import (
    COLUMNS,
    STREAM_KINDS,
    Id,
    MediaSession,
    column_of,
    epoch_ms,
    iso_ms,
    sample_count,
    streams_of,
)

PORT_MAX: Final = 65_535
INTERVAL_S_DEFAULT: Final = 60

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


def import_files(
    *files: Annotated[Path, Parameter(help="Files of any known form.")],
    where: WhereFlags = Where(),  # noqa: B008 frozen
    meeting: Annotated[str, Parameter(show_default=False)] = "",
    port: Annotated[tuple[int, ...], Parameter(negative_iterable=(), show_default=False)] = (),
    interval_s: int = INTERVAL_S_DEFAULT,
    drop_raw_addresses: DropFlag = False,
) -> int:
    """Take in files: media sessions, recorded getStats reports, dumps of browsers, captures.

    A file is recognised by its content. Media sessions are the API's own bodies {"items": [...]}
    or JSONL of sessions or bodies; of other files the figures are measured as for a browser's
    reports. The same file again changes nothing. A bad item is named with its file and JSON path,
    a file that cannot be read by its name, and what is no telemetry by how much there was of it;
    all the others land. Exit code 1 if there was anything bad.

    Parameters
    ----------
    meeting
        For files that name no meeting: put them all into this one, such as both sides of a call.
    port
        In captures, a UDP port of RTP, in addition to what is found; may be given several times.
    interval_s
        Sampling interval of what is measured here. Keep it when a file is imported again.
    drop_raw_addresses
        With --data: forget localIP and publicIP, as a server with this setting does.
    """
    if not files:
        raise Invalid("name the files to import")
    _check(meeting, port, interval_s)
    sizes = [_size(file) for file in files]
    with (
        opened(where, create=True) as target,
        progress("import", total=sum(sizes)) as advance,
    ):
        work = Import(
            target,
            drop_raw_addresses=drop_raw_addresses,
            ports=port,
            meeting=meeting,
            interval_s=interval_s,
        )
        for file, size in zip(files, sizes, strict=True):
            work.file(file, _meter(advance, size))
    count = work.count
    items_in_all = plural(count.good + count.bad, "item")
    read = f"{len(files) - count.unread:,} of " if count.unread else ""
    say(f"imported {count.good:,} of {items_in_all} from {read}{plural(len(files), 'file')}")
    return 1 if count.bad or count.unread else 0


def _check(meeting: str, ports: Sequence[int], interval_s: int) -> None:
    if meeting:
        try:
            msgspec.convert(meeting, Id)
        except msgspec.ValidationError:
            raise Invalid("--meeting is no meeting's id") from None
    for port in ports:
        if not 0 < port <= PORT_MAX:
            raise Invalid(f"--port is {port}, but must be 1..{PORT_MAX}")
    least, greatest = RANGES["interval_s"]
    if not least <= interval_s <= greatest:
        raise Invalid(f"--interval-s is {interval_s}, but must be {least}..{greatest}")


def _size(file: Path) -> int:
    """For the progress bar: 0 for a file that is not there, which is named when its turn comes."""
    try:
        return file.stat().st_size
    except OSError:
        return 0


def _meter(advance: Callable[[float], None], size: int) -> Callable[[float], None]:
    """Progress of one file: never more than its size, whatever it unpacks to."""
    left = float(size)

    def step(by: float) -> None:
        nonlocal left
        by = min(by, left)
        left -= by
        advance(by)

    return step


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
