"""A raw getStats() report -> a `Snapshot`: who belongs to whom, which unit, which kind of stream.

Fields and links are those of W3C webrtc-stats; what Chromium, Firefox and aiortc do otherwise is
said where it is handled.
"""

import heapq
from collections.abc import Mapping
from typing import Final

from msgspec import Struct, field

from roomtone.measure.codecs import codec_label, transport_label
from roomtone.measure.report import Entry, Report
from roomtone.measure.snapshot import Remote, Row, Seen, Snapshot, Stun
from roomtone.model import StreamKind, epoch_ms

ROWS_MAX: Final = 200
"""RTP streams of one report that are measured: those that carried the most packets."""
HEIGHT_PX_MAX: Final = 16_384.0
JITTER_S_MAX: Final = 10.0
REPORT_AGE_MS_MAX: Final = 60_000.0
ADDRESS_LENGTH_MAX: Final = 64
PAIR_ID_LENGTH_MAX: Final = 64
UNSPECIFIED: Final = ("0.0.0.0", "::")  # noqa: S104 compared with, not bound to
NETWORK_TYPES: Final = frozenset({"wifi", "cellular", "ethernet"})
AIORTC_SENT: Final = "outbound-rtp_"
"""How ids begin that aiortc gives; it sends no padding."""
AIORTC_PREFIXES: Final = {
    AIORTC_SENT: "remote-inbound-rtp_",
    "inbound-rtp_": "remote-outbound-rtp_",
}


class Index(Struct):
    """A report's entries, also by id, and what has to be looked for mostly."""

    entries: list[Entry]
    by_id: dict[str | None, Entry] = field(default_factory=dict)
    rtp: list[Entry] = field(default_factory=list)
    transport: Entry | None = None
    """The first."""
    labels: dict[str | None, str] = field(default_factory=dict)
    """What `transport_of` found, by the transport's id: most streams share one."""

    def of_type(self, name: str) -> list[Entry]:
        """The entries of a type."""
        return [entry for entry in self.entries if entry.type == name]


def index(report: Report) -> Index:
    """Sort the entries; an entry of an object without an `id` has its key for one."""
    stats = report.stats
    found = Index(list(stats.values()) if isinstance(stats, dict) else stats)
    for entry in found.entries:
        found.by_id[entry.id] = entry
        if entry.type == "inbound-rtp" or entry.type == "outbound-rtp":
            found.rtp.append(entry)
        elif entry.type == "transport" and found.transport is None:
            found.transport = entry
    if isinstance(stats, dict):
        found.by_id = {entry.id or name: entry for name, entry in stats.items()}
    found.by_id.pop(None, None)
    return found


def seen(report: Report) -> Seen:
    """A report as `advance` takes it."""
    return Seen(report.connection, snapshot(report))


def snapshot(report: Report) -> Snapshot:
    """The normalised counters of one report.

    Streams that have not carried a packet yet are left out: they have not begun.
    """
    found = index(report)
    rows = [
        row
        for entry in found.rtp
        if entry.ssrc is not None and (row := row_of(entry, found, report)) is not None
    ]
    pair = selected_pair(found, None)
    local = found.by_id.get(pair.local_candidate_id) if pair else None
    return Snapshot(
        round(report.timestamp),
        rows if len(rows) <= ROWS_MAX else busiest(rows),
        stun_of(pair),
        network_type(local),
        local_ip(local),
    )


def busiest(rows: list[Row]) -> list[Row]:
    """As many as are measured, in the order of the report.

    Counts only grow, so that a stream that was kept once is mostly kept in the next report too.
    """
    kept = heapq.nlargest(ROWS_MAX, range(len(rows)), key=lambda index: rows[index].packets)
    return [rows[index] for index in sorted(kept)]


def row_of(entry: Entry, found: Index, report: Report) -> Row | None:
    """One RTP stream's counters, or None where there is nothing to count."""
    kind = stream_kind(entry, found, report.roles)
    incoming = entry.type == "inbound-rtp"
    packets = entry.packets_received if incoming else entry.packets_sent
    if kind is None or not packets:
        return None
    codec = found.by_id.get(entry.codec_id)
    again = entry.retransmitted_packets_received if incoming else entry.retransmitted_packets_sent
    bytes_again = entry.retransmitted_bytes_received if incoming else entry.retransmitted_bytes_sent
    return Row(  # by position: names cost half as much again
        kind,
        entry.ssrc or 0,
        packets,
        entry.packets_lost if incoming else None,
        again or 0.0,
        entry.bytes_received if incoming else entry.bytes_sent,
        bytes_again or 0.0,
        entry.frames_decoded if incoming else entry.frames_sent,
        height_px(entry),
        jitter_ms(entry, codec) if incoming else None,
        codec_label(codec.mime_type, codec.sdp_fmtp_line or "")
        if codec is not None and codec.mime_type
        else "",
        transport_of(entry.transport_id, found),
        remote_of(entry, codec, found, report.timestamp),
        kind in ("videoOut", "shareOut") and not (entry.id or "").startswith(AIORTC_SENT),
    )


def height_px(entry: Entry) -> float | None:
    """The picture's height; None where it is 0, or no picture has it."""
    height = entry.frame_height
    return height if height and height <= HEIGHT_PX_MAX else None


def stream_kind(entry: Entry, found: Index, roles: Mapping[str, str]) -> StreamKind | None:
    """Which of the six kinds: by media kind, then by what the page says, then by contentType.

    Sound that goes with a shared screen counts as audio: the specification has no other place.
    """
    media = entry.kind or entry.media_type
    incoming = entry.type == "inbound-rtp"
    if media == "audio":
        return "audioIn" if incoming else "audioOut"
    if media != "video":
        return None
    role = role_of(entry, found, roles) if roles else None
    if role == "share" or (role != "camera" and entry.content_type == "screenshare"):
        return "shareIn" if incoming else "shareOut"
    return "videoIn" if incoming else "videoOut"


def role_of(entry: Entry, found: Index, roles: Mapping[str, str]) -> str | None:
    """The page's word on a track: by the track's id, its media source's, or the m-line's mid."""
    source = found.by_id.get(entry.media_source_id)
    tracks = (entry.track_identifier, source and source.track_identifier, entry.track_id, entry.mid)
    return next((roles[name] for name in tracks if name and name in roles), None)


def remote_of(
    entry: Entry, codec: Entry | None, found: Index, timestamp_ms: float
) -> Remote | None:
    """The far end's report on a stream, or None. `codec` gives the clock rate."""
    remote = linked(entry, found)
    if remote is None:
        return None
    at_ms = timestamp_ms - age_ms(entry, remote)
    rtt_s, rtt_total_s = remote.round_trip_time, remote.total_round_trip_time
    rtt_count = remote.round_trip_time_measurements
    if entry.type == "inbound-rtp":
        return Remote(at_ms, None, None, None, rtt_s, rtt_total_s, rtt_count)
    lost, received, jitter = remote.packets_lost, remote.packets_received, jitter_ms(remote, codec)
    return Remote(at_ms, lost, received, jitter, rtt_s, rtt_total_s, rtt_count)


def linked(entry: Entry, found: Index) -> Entry | None:
    """The remote-* entry of an RTP entry: by remoteId, localId or SSRC.

    aiortc has neither link and names the reporter's SSRC: there the ids share their ending.
    """
    wanted = "remote-inbound-rtp" if entry.type == "outbound-rtp" else "remote-outbound-rtp"
    named = found.by_id.get(entry.remote_id)
    if named is not None and named.type == wanted:
        return named
    for ours, theirs in AIORTC_PREFIXES.items():
        if entry.id and entry.id.startswith(ours):
            return found.by_id.get(theirs + entry.id[len(ours) :])
    return next(
        (
            remote
            for remote in found.of_type(wanted)
            if (remote.local_id == entry.id if remote.local_id else remote.ssrc == entry.ssrc)
        ),
        None,
    )


def age_ms(entry: Entry, remote: Entry) -> float:
    """How long before the report the far end's word arrived; 0 when the clocks do not tell."""
    now, then = entry.timestamp, remote.timestamp
    if not isinstance(now, float) or not isinstance(then, float):
        now, then = clock_ms(now), clock_ms(then)
    if not now or not then:
        return 0.0
    age = now - then
    return age if 0.0 <= age <= REPORT_AGE_MS_MAX else min(max(age, 0.0), REPORT_AGE_MS_MAX)


def clock_ms(timestamp: float | str | None) -> float | None:
    """An entry's timestamp in ms: a number, or aiortc's ISO 8601 text. None is unknown."""
    if isinstance(timestamp, str):
        try:
            return epoch_ms(timestamp)
        except ValueError:
            return None
    return timestamp


def jitter_ms(entry: Entry, codec: Entry | None) -> float | None:
    """Jitter in ms. webrtc-stats has it in seconds, aiortc in units of the RTP clock.

    A whole number of 1 or more is taken for clock units (RFC 3550, 6.4.1): nobody writes whole
    seconds of jitter. Without a known clock rate it is unknown.
    """
    value = entry.jitter
    if value is None:
        return None
    if isinstance(value, int) and value >= 1:
        rate = codec.clock_rate if codec is not None else None
        value = value / rate if rate else JITTER_S_MAX
    return 1000.0 * value if value < JITTER_S_MAX else None


def selected_pair(found: Index, transport_id: str | None) -> Entry | None:
    """The candidate pair in use: the transport's, else one that says so itself (Firefox)."""
    transport = found.by_id.get(transport_id) or found.transport
    named = found.by_id.get(transport.selected_candidate_pair_id) if transport else None
    if named is not None:
        return named
    pairs = found.of_type("candidate-pair")
    chosen = [pair for pair in pairs if pair.selected] or [
        pair for pair in pairs if pair.nominated and pair.state == "succeeded"
    ]
    return max(chosen, key=lambda pair: pair.bytes_sent or 0.0, default=None)


def transport_of(transport_id: str | None, found: Index) -> str:
    """UDP, TCP or TLS of the local candidate of the pair in use; "" when unknown."""
    known = found.labels.get(transport_id)
    if known is not None:
        return known
    pair = selected_pair(found, transport_id)
    local = found.by_id.get(pair.local_candidate_id) if pair else None
    label = ""
    if local is not None:
        label = transport_label(
            local.protocol or "", local.relay_protocol or "", local.candidate_type or ""
        )
    found.labels[transport_id] = label
    return label


def stun_of(pair: Entry | None) -> Stun | None:
    """Connectivity checks of the pair in use (webrtc-stats, RTCIceCandidatePairStats)."""
    if pair is None or pair.total_round_trip_time is None or not pair.responses_received:
        return None
    return Stun(
        (pair.id or "")[:PAIR_ID_LENGTH_MAX], pair.total_round_trip_time, pair.responses_received
    )


def network_type(local: Entry | None) -> str:
    """The specification's networkType, where the browser tells (Chromium does)."""
    named = (local.network_type or "").lower() if local is not None else ""
    return named if named in NETWORK_TYPES else ""


def local_ip(local: Entry | None) -> str:
    """The address of this end's own interface; "" when it is hidden or only a mapped one is known.

    Of a reflexive or relayed candidate it is the base (`relatedAddress`), not the address itself.
    """
    if local is None:
        return ""
    host = local.candidate_type == "host"
    address = (local.address or local.ip) if host else local.related_address
    if not address or len(address) > ADDRESS_LENGTH_MAX or address.endswith(".local"):
        return ""
    return "" if address in UNSPECIFIED else address
