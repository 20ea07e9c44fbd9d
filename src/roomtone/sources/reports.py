"""Raw getStats() reports that somebody wrote into a file, in the forms that people write.

A report is a list of RTCStats entries or an object of them by id; or `{time, report}` with the time
under t, ts, time or timestamp and the report under r, report, stats or reports. A file holds one
report, a list, one a line, or an object of these by name: then every name is a participant.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec
from msgspec import Raw

from roomtone.errors import Invalid
from roomtone.measure.getstats import clock_ms
from roomtone.measure.report import Entry, Role
from roomtone.model import MediaSession, MeetingNews
from roomtone.sources import Taken
from roomtone.sources.recording import (
    BROKEN,
    INTERVAL_S_DEFAULT,
    REMOTE_TYPES,
    USED_TYPES,
    Recording,
    Unused,
    client_of,
    entry_of,
    file_id,
    label,
    plausible_ms,
    seen,
)

NAMES_MAX: Final = 200
REPORTS_MAX: Final = 5_000_000
TITLE: Final = "Imported: getStats reports"
TIME_KEYS: Final = ("t", "ts", "time", "timestamp")
REPORT_KEYS: Final = ("r", "report", "stats", "reports")
AGENT_KEYS: Final = ("ua", "userAgent", "UserAgent")
CONNECTION_DEFAULT: Final = "pc1"

Document = dict[str, Raw] | list[Raw]


def decoded(text: bytes | Raw) -> Any:
    """JSON, one level deep; None for what is no JSON or neither list nor object."""
    try:
        return msgspec.json.decode(text, type=Document)
    except BROKEN:
        return None


def is_entry(raw: Raw) -> bool:
    """Whether this is an RTCStats dictionary."""
    found = decoded(raw)
    if not isinstance(found, dict) or "type" not in found:
        return False
    type_ = bytes(found["type"]).strip(b'"').decode("utf-8", "replace")
    return type_ in USED_TYPES or ("timestamp" in found and "id" in found)


def is_report(found: object) -> bool:
    """A list of entries, or an object of them by id. An empty one is a report of nothing."""
    if isinstance(found, list):
        return not found or any(is_entry(raw) for raw in found[:5])
    return isinstance(found, dict) and any(is_entry(raw) for raw in list(found.values())[:5])


def timed(found: object) -> tuple[Raw, Raw | None] | None:
    """The report and the time of `{time, report}`, None for anything else."""
    if not isinstance(found, dict):
        return None
    report = next((found[key] for key in REPORT_KEYS if key in found), None)
    if report is None or not is_report(decoded(report)):
        return None
    return report, next((found[key] for key in TIME_KEYS if key in found), None)


def is_one(found: object) -> bool:
    """Whether this is a report, with or without its time."""
    return timed(found) is not None or (bool(found) and is_report(found))


def recognises(found: object) -> bool:
    """Whether a document holds reports: one, a list, or either by name."""
    if is_one(found):
        return True
    if isinstance(found, list):
        return any(is_one(decoded(raw)) for raw in found[:5])
    if isinstance(found, dict):
        return any(
            is_one(inner) or (isinstance(inner, list) and recognises(inner))
            for inner in map(decoded, list(found.values())[:NAMES_MAX])
        )
    return False


class _Reader:
    """Reports by name on their way to sessions."""

    def __init__(self, *, interval_s: float) -> None:
        self.unused = Unused()
        self.recordings: dict[str, Recording] = {}
        self._interval_s = interval_s
        self._count = 0

    def named(self, found: dict[str, Raw]) -> None:
        """An object of reports by name."""
        client: dict[str, str] = {}
        names: list[str] = []
        for name, raw in found.items():
            inner = decoded(raw)
            if is_one(inner) or (isinstance(inner, list) and recognises(inner)):
                names.append(name)
                self.any(inner, name)
            elif name in AGENT_KEYS:
                client = client_of(_text(raw))
            else:
                self.unused.note(f"value of {name!r}", f"values of {name!r}", "no report")
        for name in names:
            self.recording(name).header |= client

    def any(self, found: object, name: str) -> None:
        """One report, or a list of them."""
        if is_one(found):
            self.one(found, name)
        elif isinstance(found, list):
            for raw in found:
                inner = decoded(raw)
                if is_one(inner):
                    self.one(inner, name)
                else:
                    self.unused.note("item", "items", "no report")

    def one(self, found: Any, name: str) -> None:
        """One report."""
        self._count += 1
        if self._count > REPORTS_MAX:
            raise Invalid(f"more than {REPORTS_MAX:,} reports")
        wrapped = timed(found)
        stats, told = (decoded(wrapped[0]), wrapped[1]) if wrapped else (found, None)
        entries = list(self._entries(stats))
        at_ms = _time_ms(told) or _newest_ms(entries)
        if at_ms is None:
            self.unused.note("report", "reports", "without a time in ms since 1970")
            return
        connection, roles = _said(found) if wrapped else ("", {})
        recording = self.recording(name)
        recording.add(seen(connection or CONNECTION_DEFAULT, at_ms, entries, self.unused, roles))

    def recording(self, name: str) -> Recording:
        """That of a name."""
        if name not in self.recordings:
            if len(self.recordings) >= NAMES_MAX:
                raise Invalid(f"more than {NAMES_MAX} participants")
            recording = Recording(interval_s=self._interval_s, unused=self.unused, name=name)
            if label(name):
                recording.header["webexUserName"] = name
            self.recordings[name] = recording
        return self.recordings[name]

    def _entries(self, stats: dict[str, Raw] | list[Raw]) -> Iterator[Entry]:
        pairs: Iterable[tuple[str, Raw]] = (
            stats.items() if isinstance(stats, dict) else (("", raw) for raw in stats)
        )
        for name, raw in pairs:
            try:
                fields = msgspec.json.decode(raw, type=dict[str, Any])
            except BROKEN:
                self.unused.entry(None)
                continue
            if name:
                fields.setdefault("id", name)
            if (entry := entry_of(fields, self.unused)) is not None:
                yield entry


def _text(raw: Raw) -> str:
    try:
        return msgspec.json.decode(raw, type=str)
    except BROKEN:
        return ""


def _said(found: dict[str, Raw]) -> tuple[str, dict[str, Role]]:
    """What the form of a collector's post says beside: the connection's name and tracks' roles."""
    try:
        connection = msgspec.json.decode(found.get("connection", Raw(b'""')), type=str)
        roles = msgspec.json.decode(found.get("roles", Raw(b"{}")), type=dict[str, Role])
    except BROKEN:
        return "", {}
    return connection, roles


def _time_ms(raw: Raw | None) -> float | None:
    """A report's time: ms since 1970, or ISO 8601 text."""
    try:
        told = msgspec.json.decode(raw or b"null", type=float | str | None)
        return plausible_ms(clock_ms(told))
    except (*BROKEN, OverflowError):
        return None


def _newest_ms(entries: Iterable[Entry]) -> float | None:
    """The newest time of the entries that are this end's own."""
    own = [entry.timestamp for entry in entries if entry.type not in REMOTE_TYPES]
    times = [time for one in own if (time := plausible_ms(clock_ms(one))) is not None]
    return max(times, default=None)


def read(documents: Iterable[bytes], *, interval_s: float = INTERVAL_S_DEFAULT) -> Taken:
    """The sessions of a file's documents (one, or its lines), in one meeting."""
    reader = _Reader(interval_s=interval_s)
    for text in documents:
        found = decoded(text)
        if found is None:
            reader.unused.note("line", "lines", "broken or cut short")
        elif isinstance(found, dict) and not is_one(found):
            reader.named(found)
        else:
            reader.any(found, "")
    sessions: list[MediaSession] = []
    keys: list[str] = []
    for recording in reader.recordings.values():
        sessions += recording.sessions()
        keys += [recording.key] if recording.key else []
    if not sessions:
        raise Invalid("no getStats report with a time: nothing to measure")
    if len(keys) > 1:
        for session in sessions:
            session.meetingInstanceId = file_id("meeting", repr(sorted(keys)))
    return Taken(sessions, MeetingNews(title=TITLE), reader.unused.lines())
