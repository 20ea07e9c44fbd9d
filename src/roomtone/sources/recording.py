"""What is common to recorded getStats reports: entries, who recorded them, and their session.

A `Recording` is fed the reports of one page in the order of the file. It measures them in batches,
as if the page had posted them, so that memory does not grow with the length of a call.
"""

import hashlib
import re
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec

from roomtone import measure
from roomtone.measure.report import (
    CONNECTION_LENGTH_MAX,
    ENTRIES_MAX,
    ROLES_MAX,
    TIMESTAMP_MS_MAX,
    TIMESTAMP_MS_MIN,
    Entry,
    Fmtp,
    Name,
    Report,
    Role,
)
from roomtone.model import STRING_LENGTH_MAX, MediaSession, iso_ms

BATCH_SEEN: Final = 2_000
"""Reports that are measured at once, each some 2 kB."""
BROKEN: Final = (msgspec.DecodeError, UnicodeError, RecursionError)
"""What decoding JSON of strangers raises; a part that was not looked into yet may be no UTF-8."""
KINDS_MAX: Final = 50
"""Kinds of unused things that are told apart; the others are counted together."""
KIND_LENGTH_MAX: Final = 100
INTERVAL_S_DEFAULT: Final = 60.0
NAMESPACE: Final = uuid.UUID("2b0f6a55-6d0c-5b7e-8d57-0f1e7c3a9d42")
USED_TYPES: Final = frozenset(
    {
        "inbound-rtp", "outbound-rtp", "remote-inbound-rtp", "remote-outbound-rtp", "codec",
        "media-source", "candidate-pair", "local-candidate", "transport",
    }
)  # fmt: skip
REMOTE_TYPES: Final = frozenset({"remote-inbound-rtp", "remote-outbound-rtp"})
WIRE_FIELDS: Final = frozenset(Entry.__struct_encode_fields__)
TEXT_FIELDS: Final = frozenset(
    field.encode_name for field in msgspec.structs.fields(Entry) if field.type in (Name, Fmtp)
)
BRAND_PRODUCT: Final = re.compile(
    r"(Edg|OPR|Firefox|FxiOS|CriOS|HeadlessChrome|Chrome)/([\d.]+)|()Version/([\d.]+).*Safari"
)
NO_BRAND: Final = re.compile("not.?a.?brand", re.IGNORECASE)
CLIENTS: Final = {
    "Edg": "Microsoft Edge", "OPR": "Opera", "Firefox": "Firefox", "FxiOS": "Firefox",
    "CriOS": "Chrome", "HeadlessChrome": "Chrome", "Chrome": "Chrome", "": "Safari",
}  # fmt: skip
SYSTEMS: Final = (
    ("Android", "android"), ("CrOS", "chrome"), ("Chrome OS", "chrome"),
    ("Chromium OS", "chrome"), ("iPhone", "ios"), ("iPad", "ios"), ("iOS", "ios"),
    ("Windows", "windows"), ("Macintosh", "mac"), ("macOS", "mac"), ("Linux", "linux"),
)  # fmt: skip
DEVICES: Final = {"audio": "microphone", "video": "camera"}
SCREEN_LABEL: Final = re.compile(r"(screen|window):|web-contents-media-stream:")
"""How Chromium labels what is shared, also where a page got it from getUserMedia."""


class Unused:
    """What a file holds that is no telemetry or cannot be used: how many of each kind, and why."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str, str]] = Counter()

    def note(self, one: str, many: str, why: str, count: int = 1) -> None:
        """`one` and `many` name the kind: `3 reports: without a time`."""
        key = (one[:KIND_LENGTH_MAX], many[:KIND_LENGTH_MAX], why[:KIND_LENGTH_MAX])
        if count and key not in self._counts and len(self._counts) >= KINDS_MAX:
            key = ("other thing", "other things", "of further kinds")
        self._counts[key] += count

    def entry(self, type_: object, why: str = "not telemetry") -> None:
        """An entry of a getStats report."""
        if isinstance(type_, str):
            self.note(f"entry of type {type_}", f"entries of type {type_}", why)
        else:
            self.note("entry", "entries", "without a type")

    def lines(self) -> list[str]:
        """One line for each kind, the most frequent first."""
        return [
            f"{count:,} {one if count == 1 else many}: {why}"
            for (one, many, why), count in self._counts.most_common()
            if count
        ]


def entry_of(fields: Mapping[str, Any], unused: Unused) -> Entry | None:
    """An RTCStats dictionary, or None when it is of no use, which is noted."""
    type_ = fields.get("type")
    if not isinstance(type_, str) or type_ not in USED_TYPES:
        unused.entry(type_)
        return None
    # Tools write texts of digits as numbers (webrtc-internals does so with mid).
    known = {
        name: str(value) if name in TEXT_FIELDS and isinstance(value, int | float) else value
        for name, value in fields.items()
        if name in WIRE_FIELDS
    }
    try:
        return msgspec.convert(known, Entry)
    except msgspec.ValidationError as error:
        unused.entry(type_, str(error))
        return None


def plausible_ms(value: object) -> float | None:
    """A time in ms since 1970, of the years 2000 to 3000, else None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if TIMESTAMP_MS_MIN <= value <= TIMESTAMP_MS_MAX else None


def seen(
    connection: str,
    at_ms: float,
    entries: Iterable[Entry],
    unused: Unused,
    roles: Mapping[str, Role] | None = None,
) -> measure.Seen:
    """A report as measuring takes it; entries beyond the first thousand are noted."""
    stats = list(entries)
    for entry in stats[ENTRIES_MAX:]:
        unused.entry(entry.type, f"more than {ENTRIES_MAX} in a report")
    report = Report(
        connection=connection[:CONNECTION_LENGTH_MAX],
        timestamp=at_ms,
        stats=stats[:ENTRIES_MAX],
        roles=dict(roles or {}),
    )
    return measure.seen(report)


def label(value: object) -> str:
    """A name of a device or person, "" for what cannot be one."""
    fits = isinstance(value, str) and len(value) <= STRING_LENGTH_MAX and "\0" not in value
    return str(value) if fits else ""


def client_of(agent: object, hints: object = None) -> dict[str, str]:
    """clientType, clientVersion and osType of a user agent and its client hints; {} if unsure."""
    found: dict[str, str] = {}
    text = agent if isinstance(agent, str) else ""
    if match := BRAND_PRODUCT.search(text[:STRING_LENGTH_MAX]):
        name, version = match[1] or "", match[2] or match[4]
        found |= {"clientType": CLIENTS[name], "clientVersion": version}
    platform = text
    if isinstance(hints, dict):
        found |= _brand(hints)
        platform = label(hints.get("platform")) or text
    system = next((name for sign, name in SYSTEMS if sign in platform), "")
    return found | ({"osType": system} if system else {})


def _brand(hints: Mapping[str, Any]) -> dict[str, str]:
    """User-Agent Client Hints: the product's brand, which is not Chromium's where it has one."""
    for name in ("fullVersionList", "brands"):
        listed = hints.get(name)
        brands = {
            label(one.get("brand")): label(one.get("version"))
            for one in (listed if isinstance(listed, list) else [])
            if isinstance(one, dict) and not NO_BRAND.search(str(one.get("brand")))
        }
        brands.pop("", None)
        if brands:
            brand = next((one for one in brands if one != "Chromium"), "Chromium")
            return {"clientType": brand, "clientVersion": brands[brand]}
    return {}


def page_of(connection: str, url: object) -> str:
    """Whose a peer connection is: Chromium's ids are `renderer-number`, and a page has one URL."""
    match = re.fullmatch(r"(\d+)-\d+", connection)
    return f"{match[1]} {url if isinstance(url, str) else ''}" if match else ""


class Recording:
    """One page's reports on their way to one media session."""

    def __init__(self, *, interval_s: float, unused: Unused, name: str = "") -> None:
        self.header: dict[str, str] = {}
        self.roles: dict[str, Role] = {}
        self.left_ms: float | None = None
        self._interval_s = interval_s
        self._unused = unused
        self._name = name
        self._waiting: list[measure.Seen] = []
        self._state = b""
        self._key = ""
        self._joined_ms = 0
        self._pieces: list[MediaSession] = []
        self._count = 0
        self._figures = False

    def add(self, one: measure.Seen) -> None:
        """The next report."""
        self._waiting.append(one)
        self._count += 1
        if len(self._waiting) >= BATCH_SEEN:
            self._measure()

    def track(self, request: str, kind: object, track: object, name: object) -> None:
        """A track that the page got from getUserMedia or getDisplayMedia, with its label.

        Of a share the role is certain, by whatever name its stream goes; a camera needs none.
        """
        device = DEVICES.get(str(kind))
        if device is None or not isinstance(track, str):
            return
        shared = request == "getDisplayMedia" or SCREEN_LABEL.match(label(name)) is not None
        if not shared and label(name):
            self.header[device] = label(name)
        if shared and device == "camera" and len(self.roles) < ROLES_MAX:
            self.roles[track[:STRING_LENGTH_MAX]] = "share"

    def sessions(self) -> list[MediaSession]:
        """The session, in pieces when it is long; none when there was no report."""
        if self._waiting:
            self._measure()
        if not self._pieces:
            return []
        if not self._figures:
            why = (
                f"no figures: these need {self._interval_s / 2:g} s of a stream that flows; "
                "less with a smaller --interval-s"
            )
            self._unused.note("report", "reports", why, self._count)
        if self.left_ms is not None and self.left_ms >= self._joined_ms:
            self._pieces[-1].leaveTime = iso_ms(round(self.left_ms))
        return self._pieces

    @property
    def key(self) -> str:
        """What the session's ids are made of; "" before the first report was measured."""
        return self._key

    def _measure(self) -> None:
        batch, self._waiting = self._waiting, []
        if not self._key:
            self._key = _key(self._name, batch)
            self._joined_ms = min(one.shot.at_ms for one in batch)
        self._state, told = measure.advance(self._state, batch, interval_s=self._interval_s)
        why = f"over {measure.HORIZON_S_DEFAULT:.0f} s behind those before"
        self._unused.note("report", "reports", why, told.late)
        self._unused.note("report", "reports", "repeated", told.repeated)
        self._figures = self._figures or bool(told.streams)
        self._pieces.append(self._piece(told))

    def _piece(self, told: measure.Measured) -> MediaSession:
        header: dict[str, Any] = told.header | self.header
        piece = MediaSession(
            meetingInstanceId=file_id("meeting", self._key),
            participantSessionId=file_id("session", self._key),
            joinTime=iso_ms(self._joined_ms),
            **header,
        )
        for kind, streams in told.streams.items():
            setattr(piece, kind, streams)
        return piece


def _key(name: str, batch: list[measure.Seen]) -> str:
    """What is the same in every file about one recording: its first report with RTP streams.

    So a webrtc-internals and an rtcstats dump of one call are one session, and so is a dump that
    was taken again later.
    """
    flowing = [one for one in batch if one.shot.rows] or batch
    first = min(flowing, key=lambda one: (one.shot.at_ms, one.connection))
    rows = sorted((row.kind, row.ssrc) for row in first.shot.rows)
    return repr((name, first.shot.at_ms, first.connection, rows))


def file_id(kind: str, key: str) -> str:
    """An id made of content: the same for the same, in any file."""
    digest = hashlib.sha256(f"{kind} {key}".encode("utf-8", "surrogatepass")).hexdigest()
    return str(uuid.uuid5(NAMESPACE, digest)).upper()


def as_meeting(sessions: Iterable[MediaSession], meeting: str) -> Iterator[MediaSession]:
    """The sessions in another meeting; a session's id goes with its meeting, so that a file that
    was imported on its own before contradicts nothing."""
    for session in sessions:
        session.participantSessionId = file_id(meeting, session.participantSessionId)
        session.meetingInstanceId = meeting
        yield session
