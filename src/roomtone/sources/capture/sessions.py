"""Streams of a capture as a meeting: a session for each endpoint, measured as all sources are."""

import bisect
import ipaddress
import itertools
import math
import uuid
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from roomtone import measure
from roomtone.measure import Remote, Row, Seen, Snapshot
from roomtone.model import MediaSession, MeetingNews, StreamKind, iso_ms, streams_of
from roomtone.sources import Taken
from roomtone.sources.capture.stream import Far, Stream, Tick
from roomtone.sources.capture.table import ends_of, ports_of

SILENCE_MS_MAX: Final = 300_000
"""Longer silence parts a session's packets: what follows is measured on its own."""
NAMES: Final = uuid.UUID("5f0c8a53-7c04-5b58-9d0e-6a1c6f3f2b77")
VIDEO_CLOCK_HZ: Final = 90_000
VIDEO_PACKETS_A_FRAME: Final = 1.5
VIDEO_OCTETS_A_PACKET: Final = 300
NOTES_MAX: Final = 20
KINDS: Final[dict[tuple[str, bool], StreamKind]] = {
    ("audio", True): "audioIn", ("audio", False): "audioOut",
    ("video", True): "videoIn", ("video", False): "videoOut",
    ("share", True): "shareIn", ("share", False): "shareOut",
}  # fmt: skip

Endpoint = tuple[bytes, int | None]
"""An address, and a port only where both ends of a stream have the same address."""


def taken(
    streams: Sequence[Stream], digest: str, skipped: Counter[str], *, interval_s: float
) -> Taken:
    """The meeting of these streams; `digest` names the file's content."""
    unused = [f"{count} {what}" for what, count in sorted(skipped.items())]
    media = [stream for stream in streams if not is_again(stream)]
    unused += notes(streams, media)
    if not media:
        return Taken([], None, unused)
    first_ms = min(stream.ticks[0].at_ms for stream in media)
    last_ms = max(stream.ticks[-1].at_ms for stream in media)
    interval_s = min(interval_s, max(math.ceil((last_ms - first_ms) / 1000), 1))
    meeting_id = f"capture-{digest[:32]}"
    sessions: list[MediaSession] = []
    for number, (endpoint, own) in enumerate(endpoints_of(media).items(), 1):
        session = session_of(endpoint, own, meeting_id, number)
        if late := fill(session, endpoint, own, interval_s):
            unused.append(f"{late} s of {session.webexUserName}: the capture is too long")
        sessions.append(session)
    meeting = MeetingNews(
        id=meeting_id,
        title=f"RTP capture of {iso_ms(first_ms)[:16].replace('T', ' ')}",
        start=iso_ms(first_ms),
        end=iso_ms(max(last_ms, first_ms + 1)),
    )
    return Taken(sessions, meeting, unused)


def endpoints_of(streams: Iterable[Stream]) -> dict[Endpoint, list[Stream]]:
    """Streams by the endpoints that sent or got them."""
    found: dict[Endpoint, list[Stream]] = {}
    for stream in streams:
        for endpoint in endpoint_pair(stream):
            found.setdefault(endpoint, []).append(stream)
    return found


def endpoint_pair(stream: Stream) -> tuple[Endpoint, Endpoint]:
    """(who sent, who got); told apart by port where the address is the same."""
    source, destination = ends_of(stream.flow)
    if source == destination:
        source_port, destination_port = ports_of(stream.flow)
        return (source, source_port), (destination, destination_port)
    return (source, None), (destination, None)


def session_of(
    endpoint: Endpoint, own: Sequence[Stream], meeting_id: str, number: int
) -> MediaSession:
    """A session's header: all that a capture tells of a participant is its address."""
    address, port = endpoint
    name = str(uuid.uuid5(NAMES, f"{meeting_id} {address.hex()} {port}"))
    return MediaSession(
        meetingInstanceId=meeting_id,
        webexUserName=f"Endpoint {number}",
        participantId=name,
        participantSessionId=name.upper(),
        joinTime=iso_ms(min(stream.ticks[0].at_ms for stream in own)),
        leaveTime=iso_ms(max(stream.ticks[-1].at_ms for stream in own)),
        localIP=str(ipaddress.ip_address(address)),
    )


def fill(
    session: MediaSession, endpoint: Endpoint, own: Sequence[Stream], interval_s: float
) -> int:
    """Measure an endpoint's streams into its session; seconds that were too old to be."""
    late = 0
    for part in parts_of(list(seen_of(endpoint, own))):
        _, measured = measure.advance(b"", part, interval_s=interval_s)
        late += measured.late
        for kind, entries in measured.streams.items():
            streams_of(session, kind).extend(entries)
    return late


def parts_of(seen: list[Seen]) -> list[list[Seen]]:
    """Cut where nothing came for long, so that a wrong clock takes nothing else with it."""
    seen.sort(key=lambda one: one.shot.at_ms)
    parts: list[list[Seen]] = [seen[:1]]
    for before, after in itertools.pairwise(seen):
        if after.shot.at_ms - before.shot.at_ms > SILENCE_MS_MAX:
            parts.append([])
        parts[-1].append(after)
    return parts


def seen_of(endpoint: Endpoint, own: Sequence[Stream]) -> Iterable[Seen]:
    """What was seen of an endpoint; each stream is a connection, as each has its own moments."""
    for stream in own:
        media = media_of(stream)
        for end, towards in zip(endpoint_pair(stream), (False, True), strict=True):
            if end == endpoint:
                kind = KINDS[media, towards]
                for place, tick in enumerate(stream.ticks):
                    row = row_of(stream, tick, kind, incoming=towards)
                    epoch = bisect.bisect_right(stream.breaks, place)
                    name = f"{stream.number}.{epoch} {kind}"
                    yield Seen(name, Snapshot(tick.at_ms, [row]))


def row_of(stream: Stream, tick: Tick, kind: StreamKind, *, incoming: bool) -> Row:
    """Counters of a tick. Of what an endpoint sends, loss is the receiver's, by its RTCP reports.

    Without such reports it is what was missing at the capture point already.
    """
    known = stream.format(tick.payload_type)
    lost = tick.expected - tick.received
    remote: Remote | None = None
    if incoming:
        remote = Remote(tick.at_ms)
    elif stream.far is None:
        remote = Remote(tick.at_ms, lost, tick.received, tick.jitter_ms)
    elif tick.far is not None:
        remote = far_end(stream, tick.far)
    if remote is not None:
        remote.rtt_total_s, remote.rtt_count = tick.rtt_total_ms / 1000, tick.rtt_count
    return Row(
        kind=kind,
        ssrc=stream.ssrc,
        packets=tick.received,
        lost=lost if incoming else None,
        bytes=tick.octets,
        frames=tick.frames if media_of(stream) != "audio" else None,
        jitter_ms=tick.jitter_ms if incoming else None,
        codec=known.label if known else "",
        transport="UDP",
        remote=remote,
    )


def far_end(stream: Stream, far: Far) -> Remote:
    """The receiver's report; its jitter is in clock units, so that the clock must be known."""
    clock_hz = clock_of(stream)
    jitter_ms = 1000 * far.jitter / clock_hz if clock_hz else None
    return Remote(far.at_ms, far.lost, far.highest - far.lost, jitter_ms)


def clock_of(stream: Stream) -> int:
    """The clock rate in Hz; 0 when it is not known."""
    known = stream.format(stream.payload_type)
    return known.clock_hz if known else stream.guessed_hz


def media_of(stream: Stream) -> str:
    """audio, video or share: by SDP, by a static payload type, else by the clock and the packets.

    Video has a clock of 90 kHz and pictures of several or of large packets. All else is audio.
    """
    if stream.kind is not None:
        return stream.kind
    received = stream.order.received
    pictures = (
        received > VIDEO_PACKETS_A_FRAME * stream.frames
        or stream.octets > VIDEO_OCTETS_A_PACKET * received
    )
    return "video" if clock_of(stream) == VIDEO_CLOCK_HZ and pictures else "audio"


def is_again(stream: Stream) -> bool:
    """Whether a stream is one of retransmissions (RTX, RFC 4588), by SDP."""
    known = stream.format(stream.payload_type)
    return known is not None and known.again is not None


def notes(streams: Sequence[Stream], media: Sequence[Stream]) -> list[str]:
    """What a reader of the figures should know of these streams."""
    found: Counter[str] = Counter()
    for stream in streams:
        order = stream.order
        found["copies of packets seen before"] += order.copies
        found["packets whose sequence number fits nothing"] += order.strays
        found["restarts of a stream's sequence numbers"] += order.restarts
        found["packets older than the newest before them in the capture"] += stream.backwards
    again = sum(stream.line.packets for stream in streams) - sum(x.line.packets for x in media)
    found["retransmissions (RTX), left out of the figures"] += again
    lines = [f"{count} {what}" for what, count in found.items() if count]
    guessed = [
        f"clock rate of stream 0x{stream.ssrc:08X} is an estimate: {stream.guessed_hz} Hz"
        for stream in media
        if stream.guessed_hz and stream.format(stream.payload_type) is None
    ]
    unknown = sum(1 for stream in media if not clock_of(stream))
    if unknown:
        guessed.append(f"{unknown} streams have no jitter: their clock rate is not known")
    return lines + guessed[:NOTES_MAX]
