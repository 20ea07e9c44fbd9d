"""rtcstats dumps: what rtcstats.js writes, and the second button of chrome://webrtc-internals.

A line is `[method, connection, value, ..., ms since the line before]`; the first time is ms since
1970. getStats values of rtcstats.js are differences to the report before (removed ids are null,
times equal to the report's own are 0 or left out); Chromium writes whole reports. rtcstats.js also
writes known names as numbers: those are its published tables, of which we keep what we measure.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from roomtone.errors import Invalid
from roomtone.measure.report import ENTRIES_MAX
from roomtone.model import MediaSession, MeetingNews
from roomtone.sources import Taken
from roomtone.sources.recording import (
    BROKEN,
    INTERVAL_S_DEFAULT,
    REMOTE_TYPES,
    Recording,
    Unused,
    client_of,
    entry_of,
    page_of,
    plausible_ms,
    seen,
)

MAGIC: Final = b"RTCStatsDump"
CONNECTIONS_MAX: Final = 200
LINES_MAX: Final = 5_000_000
TITLE: Final = "Imported: rtcstats dump"
FORMATS: Final = (1, 2, 3)
METHODS: Final = {
    "g": "getStats", "getstats": "getStats",
    "1": "getStats",
    "36": "close", "39": "create",
    "60": "navigator.mediaDevices.getUserMedia",
    "61": "navigator.mediaDevices.getUserMediaOnSuccess",
    "63": "navigator.mediaDevices.getDisplayMedia",
    "64": "navigator.mediaDevices.getDisplayMediaOnSuccess",
}  # fmt: skip
TYPES: Final = {
    "1": "inbound-rtp", "2": "outbound-rtp", "3": "remote-inbound-rtp", "4": "remote-outbound-rtp",
    "5": "transport", "6": "candidate-pair", "7": "local-candidate", "8": "remote-candidate",
    "9": "data-channel", "10": "peer-connection", "11": "certificate", "12": "media-source",
    "13": "media-playout", "14": "codec",
}  # fmt: skip
FIELDS: Final = {
    "t": "timestamp", "5": "transportId", "6": "mimeType", "7": "clockRate", "9": "sdpFmtpLine",
    "10": "ssrc", "11": "kind", "12": "codecId", "14": "packetsReceived", "15": "packetsLost",
    "16": "jitter", "17": "trackIdentifier", "18": "mid", "19": "remoteId",
    "20": "framesDecoded", "24": "frameHeight", "41": "bytesReceived", "66": "contentType",
    "68": "retransmittedPacketsReceived", "69": "retransmittedBytesReceived", "74": "localId",
    "75": "roundTripTime", "76": "totalRoundTripTime", "78": "roundTripTimeMeasurements",
    "79": "packetsSent", "80": "bytesSent", "81": "mediaSourceId",
    "85": "retransmittedPacketsSent", "86": "retransmittedBytesSent", "89": "framesSent",
    "116": "protocol", "118": "state", "125": "selectedCandidatePairId", "134": "address",
    "136": "candidateType", "139": "relayProtocol", "141": "relatedAddress",
    "145": "networkType", "148": "localCandidateId", "150": "nominated",
    "157": "responsesReceived",
}  # fmt: skip

Stats = dict[str, dict[str, Any]]


class _Page:
    """The connections of one page and what is known of each."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self.open: set[str] = set()
        self.closed_ms: float | None = None


class _Reader:
    """A dump, line by line."""

    def __init__(self, *, interval_s: float) -> None:
        self.unused = Unused()
        self.pages: dict[str, _Page] = {}
        self._interval_s = interval_s
        self._now_ms: float | None = None
        self._pages_of: dict[str, str] = {}
        self._before: dict[str, Stats] = {}
        self._client: dict[str, str] = {}

    def metadata(self, told: Mapping[str, Any]) -> None:
        """The second line: of which form the others are, and of a server's dump who sent it."""
        form = told.get("fileFormat", FORMATS[0])
        if form not in FORMATS:
            raise Invalid(f"an rtcstats dump of format {str(form)[:20]}, which is not known")
        self._client |= client_of(told.get("userAgent"))

    def line(self, line: list[Any]) -> None:
        """One event."""
        if len(line) < 4 or not self._tick(line[-1]):
            self.unused.note("line", "lines", "no event of rtcstats")
            return
        method = METHODS.get(str(line[0]), str(line[0]))
        connection = line[1] if isinstance(line[1], str) else ""
        if method == "getStats":
            self._report(connection, line[2])
        elif method == "create" and line[1] is None:
            hints = line[2].get("userAgentData") if isinstance(line[2], dict) else None
            self._client |= client_of("", hints)
        elif method == "create":
            self._page(connection, line[3] if len(line) > 4 else "").open.add(connection)
        elif method == "close" and connection:
            self._close(connection)
        elif method.startswith("navigator.mediaDevices.") and connection:
            self._devices(connection, method, line)
        else:
            self.unused.note("event", "events", "neither reports nor devices")

    def _tick(self, step: object) -> bool:
        if self._now_ms is None:
            self._now_ms = plausible_ms(step)
            return self._now_ms is not None
        if isinstance(step, bool) or not isinstance(step, int | float):
            return False
        # Servers that write the last line themselves write the whole time.
        self._now_ms = plausible_ms(step) or plausible_ms(self._now_ms + step) or self._now_ms
        return True

    def _page(self, connection: str, url: object = "") -> _Page:
        name = self._pages_of.get(connection)
        if name is None:
            if len(self._pages_of) >= CONNECTIONS_MAX:
                raise Invalid(f"more than {CONNECTIONS_MAX} peer connections")
            name = self._pages_of[connection] = page_of(connection, url)
        if name not in self.pages:
            recording = Recording(interval_s=self._interval_s, unused=self.unused)
            self.pages[name] = _Page(recording)
        return self.pages[name]

    def _devices(self, connection: str, method: str, line: list[Any]) -> None:
        """A request names the page by its URL, its success the tracks as [kind, id, label, ...]."""
        url = next((part for part in line[3:-1] if isinstance(part, str) and "://" in part), "")
        page = self._page(connection, url)
        request = method.removeprefix("navigator.mediaDevices.").removesuffix("OnSuccess")
        for one in tracks_of(line[2]) if method.endswith("OnSuccess") else []:
            page.recording.track(request, *one)

    def _close(self, connection: str) -> None:
        page = self._page(connection)
        page.open.discard(connection)
        page.closed_ms = self._now_ms

    def _report(self, connection: str, value: object) -> None:
        if not isinstance(value, dict) or not connection:
            self.unused.note("report", "reports", "no object of entries")
            return
        at_ms, stats = merged(self._before.get(connection, {}), value, self._now_ms or 0.0)
        if len(stats) > ENTRIES_MAX:
            raise Invalid(f"more than {ENTRIES_MAX} entries in a report")
        self._before[connection] = stats
        page = self._page(connection)
        page.open.add(connection)
        entries = [
            entry
            for name, fields in stats.items()
            if (entry := entry_of(fields | {"id": name}, self.unused)) is not None
        ]
        page.recording.header = self._client | page.recording.header
        page.recording.add(seen(connection, at_ms, entries, self.unused, page.recording.roles))


def tracks_of(value: object) -> list[list[Any]]:
    """[kind, id, label] of tracks: in lists, or as rtcstats.js once had it in objects."""
    if isinstance(value, dict):
        value = [
            [one.get("kind"), one.get("id"), one.get("label")]
            for one in (value["tracks"] if isinstance(value.get("tracks"), list) else [])
            if isinstance(one, dict)
        ]
    listed = value if isinstance(value, list) else []
    return [one[:3] for one in listed if isinstance(one, list) and len(one) >= 3]


def merged(before: Stats, value: Mapping[str, Any], line_ms: float) -> tuple[float, Stats]:
    """A whole report of one that may be a difference: its time and its entries by id.

    A report in which every entry names itself is whole. What a difference does not mention stays;
    of an entry that it mentions without a time (or with 0) the time is the report's.
    """
    own = {name: plain(fields) for name, fields in value.items() if isinstance(fields, dict)}
    told_ms = plausible_ms(value.get("timestamp", value.get("t")))
    at_ms = told_ms or newest_ms(own.values()) or line_ms
    if own and all("id" in fields and "type" in fields for fields in own.values()):
        return at_ms, own
    gone = {name for name, fields in value.items() if fields is None}
    stats = {name: dict(fields) for name, fields in before.items() if name not in gone}
    for name, fields in stats.items():
        if name not in own and fields.get("type") not in REMOTE_TYPES:
            fields["timestamp"] = at_ms
    for name, fields in own.items():
        entry = stats.setdefault(name, {})
        entry |= fields
        entry["timestamp"] = fields.get("timestamp") or at_ms
    return at_ms, stats


def plain(fields: Mapping[str, Any]) -> dict[str, Any]:
    """An entry with its names in words."""
    found = {FIELDS.get(name, name): value for name, value in fields.items()}
    if "type" in found:
        type_ = str(found["type"])
        found["type"] = TYPES.get(type_, type_)
    return found


def newest_ms(entries: Iterable[Mapping[str, Any]]) -> float | None:
    """The newest time of entries that are this end's own: that of their report."""
    times = (
        plausible_ms(fields.get("timestamp"))
        for fields in entries
        if fields.get("type") not in REMOTE_TYPES
    )
    return max((time for time in times if time is not None), default=None)


def read(lines: Iterable[bytes], *, interval_s: float = INTERVAL_S_DEFAULT) -> Taken:
    """The sessions of a dump's lines. A line that is none is noted, the last one as cut short."""
    reader = _Reader(interval_s=interval_s)
    rest = iter(lines)
    if next(rest, b"").strip() != MAGIC:
        raise Invalid("no rtcstats dump: it does not begin with RTCStatsDump")
    reader.metadata(_metadata(next(rest, b"")))
    broken = 0
    for number, line in enumerate(rest):
        if number >= LINES_MAX:
            raise Invalid(f"more than {LINES_MAX:,} lines")
        if not line.strip():
            continue
        try:
            event = msgspec.json.decode(line, type=list[Any])
        except BROKEN:
            broken += 1
            continue
        reader.line(event)
    reader.unused.note("line", "lines", "broken or cut short", broken)
    return taken(reader)


def _metadata(line: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(line, type=dict[str, Any])
    except BROKEN:
        raise Invalid("no rtcstats dump: its second line is no JSON object") from None


def taken(reader: _Reader) -> Taken:
    """What the pages of a dump come to."""
    sessions: list[MediaSession] = []
    for page in reader.pages.values():
        if not page.open:
            page.recording.left_ms = page.closed_ms
        sessions += page.recording.sessions()
    if not sessions:
        raise Invalid("an rtcstats dump without a getStats report: nothing to measure")
    return Taken(sessions, MeetingNews(title=TITLE), reader.unused.lines())
