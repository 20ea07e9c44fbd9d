"""The files of an import: each recognised by its content, its sessions one after the other.

The API's own media sessions are passed on as they are; of other forms `roomtone.sources` makes
sessions, and what it could not use is named.
"""

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
from msgspec import UNSET, Raw

from roomtone.commands.target import Target
from roomtone.commands.terminal import now_ms, warn
from roomtone.errors import Invalid
from roomtone.ingest import parse_sessions
from roomtone.model import MediaSession, MeetingNews
from roomtone.sources import Taken, recognise
from roomtone.sources.recording import as_meeting

BATCH_ITEMS_MAX: Final = 100
FILE_BYTES_MAX: Final = 1024**3
"""A JSON document is read whole; larger data go into JSONL, which is read line by line."""
BAD_SHOWN_MAX: Final = 1_000
MEETINGS_SHOWN_MAX: Final = 100


class Item(NamedTuple):
    """One session of a file, still JSON: where it stands; `again` is a further piece of one."""

    place: str
    path: str
    json: bytes
    again: bool = False


class Count:
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


class Import:
    """An import of files into a store."""

    def __init__(
        self,
        target: Target,
        *,
        drop_raw_addresses: bool,
        ports: tuple[int, ...],
        meeting: str,
        interval_s: int,
    ) -> None:
        self.count = Count()
        self._target = target
        self._drop = drop_raw_addresses
        self._ports = ports
        self._meeting = meeting
        self._interval_s = interval_s

    def file(self, file: Path, advance: Callable[[float], None]) -> None:
        """Take one file in. What cannot be read is named; what was read before stays."""
        try:
            found = recognise.recognise(file, document_bytes_max=FILE_BYTES_MAX)
            if found.form == "sessions":
                self._put_all(_own(file, found, self.count, advance))
                return
            taken = recognise.read(
                file, found, ports=self._ports, interval_s=self._interval_s, progress=advance
            )
        except OSError as error:
            self.count.give_up(file, error.strerror or str(error))
        except Invalid as error:
            self.count.give_up(file, error.message)
        else:
            self._foreign(file, taken)

    def _foreign(self, file: Path, taken: Taken) -> None:
        sessions = taken.sessions
        if self._meeting:
            sessions = list(as_meeting(sessions, self._meeting))
        before = self.count.good
        self._put_all(_items(file, sessions))
        for line in taken.unused:
            warn(f"{file}: {line}")
        if self.count.good > before:
            ids = dict.fromkeys(session.meetingInstanceId for session in sessions)
            warn(f"{file}: meeting {', '.join(islice(ids, MEETINGS_SHOWN_MAX))}")
        if not sessions:
            self.count.give_up(file, "nothing in it can be measured")
        if taken.meeting is not None and not self._meeting and self.count.good > before:
            self._announce(file, taken.meeting, sessions)

    def _announce(self, file: Path, news: MeetingNews, sessions: list[MediaSession]) -> None:
        """Name the meetings: the one that the news are of, else those of the sessions."""
        ids = dict.fromkeys(session.meetingInstanceId for session in sessions)
        for id_ in ids if news.id is UNSET else [news.id]:
            if why := self._target.announce(msgspec.structs.replace(news, id=id_)):
                warn(f"{file}: {why}")

    def _put_all(self, items: Iterator[Item]) -> None:
        while batch := list(islice(items, BATCH_ITEMS_MAX)):
            self._put(batch)

    def _put(self, batch: list[Item]) -> None:
        """Check items by the server's own rules and store the good ones."""
        good: list[Item] = []
        sessions: list[MediaSession] = []
        for item in batch:
            try:
                body = b'{"items":[' + item.json + b"]}"
                parsed = parse_sessions(body, now_ms(), drop_raw_addresses=self._drop).sessions
            except Invalid as error:
                self.count.refuse(item.place, error.message.replace("$.items[0]", item.path))
                continue
            sessions += parsed
            good += [item] * len(parsed)
        refused = dict(self._target.put(sessions))
        for index, why in refused.items():
            self.count.refuse(good[index].place, why.replace("$.items[0]", good[index].path))
        self.count.good += sum(
            index not in refused and not item.again for index, item in enumerate(good)
        )


def _items(file: Path, sessions: list[MediaSession]) -> Iterator[Item]:
    known: set[str] = set()
    for session in sessions:
        id_ = session.participantSessionId
        yield Item(str(file), "$", msgspec.json.encode(session), again=id_ in known)
        known.add(id_)


def _own(
    file: Path, found: recognise.Found, count: Count, advance: Callable[[float], None]
) -> Iterator[Item]:
    """The media sessions of a file. What is no JSON is refused, line by line."""
    if found.text is not None:
        yield from _document(found.text, str(file), count)
        advance(len(found.text))
        return
    for number, line in enumerate(recognise.lines_of(file, progress=advance), 1):
        if line.strip():
            yield from _document(line, f"{file}:{number}", count)


def _document(text: bytes, place: str, count: Count) -> Iterator[Item]:
    """The sessions of one JSON document: a body, or a session alone."""
    try:
        keys = msgspec.json.decode(text, type=dict[str, Raw])
        raws = msgspec.json.decode(keys["items"], type=list[Raw]) if "items" in keys else None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        count.refuse(place, str(error))
        return
    if raws is None:
        yield Item(place, "$", text)
        return
    for index, raw in enumerate(raws):
        yield Item(place, f"$.items[{index}]", bytes(raw))
