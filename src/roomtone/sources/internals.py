"""Dumps of chrome://webrtc-internals: a JSON document of time series, one a field of an entry.

`PeerConnections[id].stats["ENTRY-field"]` is `{startTime, endTime, statsType, values: "[...]"}`:
the points of that field in the reports that had it. The page keeps the last thousand of each. Since
Chromium 117 `ENTRY-timestamp` gives the time of every point; without it they are taken for evenly
spaced. Here the series become the reports that they were made of.
"""

import heapq
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import Raw, Struct, field

from roomtone.errors import Invalid
from roomtone.measure import Seen
from roomtone.model import MeetingNews, epoch_ms
from roomtone.sources import Taken
from roomtone.sources.recording import (
    BROKEN,
    INTERVAL_S_DEFAULT,
    REMOTE_TYPES,
    USED_TYPES,
    WIRE_FIELDS,
    Recording,
    Unused,
    client_of,
    entry_of,
    page_of,
    plausible_ms,
    seen,
)

CONNECTIONS_MAX: Final = 200
POINTS_MAX: Final = 10_000
"""Ten times what the page keeps."""
IDS_MAX: Final = 5_000
TITLE: Final = "Imported: webrtc-internals dump"
SLACK_MS: Final = 1.5
"""startTime and endTime are cut to whole ms."""
REMOTE_SLACK_MS: Final = 1_000.0

Times = list[float]


class Series(Struct, rename="camel"):
    """One field of one entry over time."""

    start_time: str = ""
    end_time: str = ""
    stats_type: str | None = None
    values: str = "[]"


class Change(Struct):
    """A line of the page's log of a connection."""

    type: str = ""
    timestamp: float | None = None


class Connection(Struct, rename="camel"):
    """A peer connection."""

    stats: dict[str, Raw] = field(default_factory=dict)
    update_log: Raw = field(default_factory=lambda: Raw(b"[]"))
    url: str | None = None


class Media(Struct):
    """A request for devices, or what it gave."""

    rid: int | None = None
    url: str | None = None
    request_type: str = "getUserMedia"
    audio_track_info: str | None = None
    video_track_info: str | None = None


class Dump(Struct):
    """The document; what is not named here is not needed."""

    peer_connections: dict[str, Raw] = field(name="PeerConnections")
    media: list[Raw] = field(name="getUserMedia", default_factory=list)
    agent: Raw = field(name="UserAgent", default_factory=lambda: Raw(b"null"))
    hints: Raw = field(name="UserAgentData", default_factory=lambda: Raw(b"null"))


class Thing(Struct):
    """One entry of the reports: its times, and its fields' values at these times."""

    id: str
    type: str
    times: Times
    columns: dict[str, list[Any]]


def read(text: bytes, *, interval_s: float = INTERVAL_S_DEFAULT) -> Taken:
    """The sessions of a dump: one a page, of all its peer connections."""
    unused = Unused()
    dump = decoded(text, Dump)
    if len(dump.peer_connections) > CONNECTIONS_MAX:
        raise Invalid(f"more than {CONNECTIONS_MAX} peer connections")
    client = client_of(decoded(dump.agent, Any), decoded(dump.hints, Any))
    pages: dict[str, dict[str, Connection]] = {}
    for name, raw in dump.peer_connections.items():
        connection = part(raw, Connection, unused)
        if connection is not None:
            pages.setdefault(page_of(name, connection.url), {})[name] = connection
    media = [one for raw in dump.media if (one := part(raw, Media, unused)) is not None]
    sessions = [
        session
        for page, connections in pages.items()
        for session in recorded(page, connections, media, client, unused, interval_s).sessions()
    ]
    if not sessions:
        raise Invalid("a webrtc-internals dump without a report: nothing to measure")
    return Taken(sessions, MeetingNews(title=TITLE), unused.lines())


def decoded(text: bytes | Raw, shape: Any) -> Any:
    """JSON of a shape, or Invalid."""
    try:
        return msgspec.json.decode(text, type=shape)
    except msgspec.ValidationError as error:
        raise Invalid(f"no webrtc-internals dump: {error}") from None
    except (msgspec.DecodeError, UnicodeError):
        raise Invalid("broken JSON: was the file cut short?") from None
    except RecursionError:
        raise Invalid("JSON is nested too deeply") from None


def part(raw: Raw, shape: type[Any], unused: Unused) -> Any:
    """A part of the document, None when it is not of its shape."""
    try:
        return msgspec.json.decode(raw, type=shape)
    except BROKEN as error:
        unused.note("part", "parts", str(error))
        return None


def recorded(
    page: str,
    connections: Mapping[str, Connection],
    media: Sequence[Media],
    client: Mapping[str, str],
    unused: Unused,
    interval_s: float,
) -> Recording:
    """All that the connections of one page reported, in time's order."""
    recording = Recording(interval_s=interval_s, unused=unused)
    recording.header |= client
    urls = {connection.url for connection in connections.values()}
    for one in media:
        if not page or (page.split(" ")[0] == str(one.rid) and one.url in (*urls, None)):
            devices(recording, one)
    streams = [
        reports(name, connection, recording, unused) for name, connection in connections.items()
    ]
    for report in heapq.merge(*streams, key=lambda one: one.shot.at_ms):
        recording.add(report)
    closed = [closed_ms(connection, unused) for connection in connections.values()]
    known = [at_ms for at_ms in closed if at_ms is not None]
    if len(known) == len(closed):
        recording.left_ms = max(known, default=None)
    return recording


def devices(recording: Recording, one: Media) -> None:
    """The tracks that a request gave: `{"id": ..., "label": ...}` as text."""
    for kind, text in (("audio", one.audio_track_info), ("video", one.video_track_info)):
        try:
            told = msgspec.json.decode(text or "{}", type=dict[str, Any])
        except BROKEN:
            continue
        recording.track(one.request_type, kind, told.get("id"), told.get("label"))


def closed_ms(connection: Connection, unused: Unused) -> float | None:
    """When a connection was closed, where the log says it with a time."""
    log: list[Raw] = part(connection.update_log, list[Raw], unused) or []
    changes = (part(raw, Change, unused) for raw in log[-2:])
    closed = (one.timestamp for one in changes if one is not None and one.type == "close")
    return next((time for at in closed if (time := plausible_ms(at)) is not None), None)


def reports(
    name: str, connection: Connection, recording: Recording, unused: Unused
) -> Iterator[Seen]:
    """The reports of a connection, in order."""
    things = things_of(connection, unused)
    if not things:
        unused.note("peer connection", "peer connections", "without statistics of RTP")
    at = {thing.id: {time: index for index, time in enumerate(thing.times)} for thing in things}
    for at_ms in sorted({time for thing in things for time in thing.times}):
        entries = [
            entry
            for thing in things
            if (index := at[thing.id].get(at_ms)) is not None
            and (entry := entry_of(fields_at(thing, index), unused)) is not None
        ]
        yield seen(name, at_ms, entries, unused, recording.roles)


def fields_at(thing: Thing, index: int) -> dict[str, Any]:
    """An entry of one report."""
    found = {name: values[index] for name, values in thing.columns.items()}
    return {name: value for name, value in found.items() if value is not None} | {
        "id": thing.id,
        "type": thing.type,
    }


def things_of(connection: Connection, unused: Unused) -> list[Thing]:
    """The entries whose points can be put into reports; what cannot is noted."""
    found = series_of(connection, unused)
    own = {name: one for name, one in found.items() if kind_of(one) not in REMOTE_TYPES}
    exact = any("timestamp" in one for one in own.values())
    grid = [] if exact else max((times_of(one) for one in own.values()), key=len, default=[])
    things: dict[str, Thing] = {}
    for name, one in own.items():
        times = times_of(one) if exact else snapped(times_of(one), grid)
        if times:
            things[name] = thing_of(name, one, times, times_of(one), unused)
        else:
            unused.entry(kind_of(one), "its points have no time")
    for name, one in found.items():
        if name not in own:
            times = times_of(one)
            placed = told_in(name, one, times, things)
            if placed:
                things[name] = thing_of(name, one, placed, times, unused)
            else:
                unused.entry(kind_of(one), "its points fit no report")
    return list(things.values())


def series_of(connection: Connection, unused: Unused) -> dict[str, dict[str, Series]]:
    """Series by entry and field, of the types and fields that are measured.

    Names in brackets are what the page computed for its graphs.
    """
    found: dict[str, dict[str, Series]] = {}
    others: dict[str, str | None] = {}
    for name, raw in connection.stats.items():
        if name.endswith("]"):
            continue
        entry, _, field_name = name.rpartition("-")
        one: Series | None = part(raw, Series, unused)
        if one is None or not one.values:
            continue
        if one.stats_type not in USED_TYPES:
            others[entry] = one.stats_type
        elif field_name in WIRE_FIELDS:
            found.setdefault(entry, {})[field_name] = one
        if len(found) + len(others) > IDS_MAX:
            raise Invalid(f"more than {IDS_MAX} entries of one peer connection")
    for type_ in others.values():
        unused.entry(type_)
    return found


def kind_of(one: Mapping[str, Series]) -> str:
    """The type of an entry."""
    return next(iter(one.values())).stats_type or ""


def values_of(one: Series) -> list[Any]:
    """A series' values; [] when they are no list."""
    try:
        values = msgspec.json.decode(one.values, type=list[Any])
    except BROKEN:
        return []
    if len(values) > POINTS_MAX:
        raise Invalid(f"more than {POINTS_MAX:,} points of a field")
    return values


def times_of(one: Mapping[str, Series]) -> Times:
    """When an entry's points were: as told, else evenly from the longest field's start to end."""
    if "timestamp" in one:
        told = [plausible_ms(value) for value in values_of(one["timestamp"])]
        times = [time for time in told if time is not None]
        return times if len(times) == len(told) and times == sorted(times) else []
    longest = max(one.values(), key=lambda series: len(values_of(series)))
    count = len(values_of(longest))
    start, end = moment_ms(longest.start_time), moment_ms(longest.end_time)
    if start is None or end is None or end < start or not count:
        return []
    step = (end - start) / max(count - 1, 1)
    return [start + index * step for index in range(count)]


def moment_ms(text: str) -> float | None:
    """A time of a series, in ms."""
    try:
        return plausible_ms(epoch_ms(text))
    except (ValueError, OverflowError):
        return None


def snapped(times: Times, grid: Times) -> Times:
    """Points evenly spaced on the times of the reports; [] where they do not fit."""
    if not times:
        return []
    first = min(range(len(grid)), key=lambda at: abs(grid[at] - times[0]))
    found = grid[first : first + len(times)]
    half = (grid[-1] - grid[0]) / max(len(grid) - 1, 1) / 2 + SLACK_MS
    fits = len(found) == len(times) and abs(found[-1] - times[-1]) <= half
    return found if fits else []


def told_in(
    name: str, one: Mapping[str, Series], times: Times, things: Mapping[str, Thing]
) -> Times:
    """The times of the reports that an entry on the far end's RTCP was in; [] if that is unsure.

    Its own times are when RTCP came. It was in those reports in which its stream refers to it, or
    else in the last ones: once there, it stays.
    """
    local = values_of(one["localId"]) if "localId" in one else []
    stream = things.get(str(local[0])) if local else None
    if stream is None or not times or len(times) > len(stream.times):
        return []
    named = [
        at
        for at, remote in zip(stream.times, stream.columns.get("remoteId", []), strict=False)
        if remote == name
    ]
    placed = named if len(named) == len(times) else stream.times[-len(times) :]
    late = (mine > at + REMOTE_SLACK_MS for mine, at in zip(times, placed, strict=True))
    return [] if "timestamp" in one and any(late) else placed


def thing_of(
    name: str, one: Mapping[str, Series], times: Times, own: Times, unused: Unused
) -> Thing:
    """An entry with its fields in columns; a field whose points cannot be placed is noted."""
    columns: dict[str, list[Any]] = {}
    for field_name, series in one.items():
        values = values_of(series)
        column = aligned(values, series, own)
        if column is None:
            unused.note("field", "fields", "with gaps: unknown at which times it has its values")
        else:
            columns[field_name] = column
    return Thing(name, kind_of(one), times, columns)


def aligned(values: list[Any], series: Series, times: Times) -> list[Any] | None:
    """A field's values at its entry's times: at all, at the last or at the first, else None."""
    missing = len(times) - len(values)
    if missing < 0:
        return None
    start, end = moment_ms(series.start_time), moment_ms(series.end_time)
    for before in (missing, 0):
        mine = times[before : before + len(values)]
        if not missing or (mine and near(start, mine[0]) and near(end, mine[-1])):
            return [None] * before + values + [None] * (missing - before)
    return None


def near(told: float | None, at_ms: float) -> bool:
    """Whether a series' start or end is the time of a point."""
    return told is not None and abs(told - at_ms) <= SLACK_MS
