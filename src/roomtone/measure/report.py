"""The wire shape of one raw getStats() report: only the fields that measuring needs.

Field names are those of the W3C's *Identifiers for WebRTC's Statistics API* (webrtc-stats); entry
types and fields that are not named here are skipped while decoding.
"""

from typing import Annotated, Final, Literal

from msgspec import Meta, Struct, field

ENTRIES_MAX: Final = 1_000
ROLES_MAX: Final = 100
CONNECTION_LENGTH_MAX: Final = 64
NAME_LENGTH_MAX: Final = 1_024
TIMESTAMP_MS_MIN: Final = 946_684_800_000  # the year 2000
TIMESTAMP_MS_MAX: Final = 32_503_680_000_000  # the year 3000
COUNTER_MAX: Final = 2**63

Name = Annotated[str, Meta(max_length=NAME_LENGTH_MAX)] | None
Fmtp = Annotated[str, Meta(max_length=1_024)] | None
Count = Annotated[float, Meta(ge=0, le=COUNTER_MAX)] | None
Signed = Annotated[float, Meta(ge=-COUNTER_MAX, le=COUNTER_MAX)] | None
Number = Annotated[int, Meta(ge=0)] | Annotated[float, Meta(ge=0, le=COUNTER_MAX)] | None
Role = Literal["camera", "share", "microphone"]


class Entry(Struct, rename="camel", gc=False):
    """One RTCStats dictionary, of any type: the union of the fields that are needed.

    `null` counts as absent. `jitter` keeps its JSON type (see `getstats.jitter_ms`), and
    `timestamp` may be ms since 1970 or, from aiortc, ISO 8601 text.
    """

    id: Name = None
    type: Name = None
    timestamp: float | Name = None
    kind: Name = None
    media_type: Name = None
    ssrc: Annotated[int, Meta(ge=0, le=2**32 - 1)] | None = None
    mid: Name = None
    track_identifier: Name = None
    track_id: Name = None
    content_type: Name = None
    media_source_id: Name = None
    codec_id: Name = None
    transport_id: Name = None
    local_id: Name = None
    remote_id: Name = None
    packets_received: Count = None
    packets_sent: Count = None
    packets_lost: Signed = None
    retransmitted_packets_received: Count = None
    retransmitted_packets_sent: Count = None
    bytes_received: Count = None
    bytes_sent: Count = None
    retransmitted_bytes_received: Count = None
    retransmitted_bytes_sent: Count = None
    frames_decoded: Count = None
    frames_sent: Count = None
    frame_height: Count = None
    jitter: Number = None
    round_trip_time: Count = None
    total_round_trip_time: Count = None
    round_trip_time_measurements: Count = None
    responses_received: Count = None
    mime_type: Name = None
    clock_rate: Count = None
    sdp_fmtp_line: Fmtp = None
    selected_candidate_pair_id: Name = None
    local_candidate_id: Name = None
    nominated: bool | None = None
    selected: bool | None = None
    state: Name = None
    address: Name = None
    ip: Name = None
    related_address: Name = None
    candidate_type: Name = None
    protocol: Name = None
    relay_protocol: Name = None
    network_type: Name = None


class Report(Struct, kw_only=True):
    """One getStats() report of one peer connection, as a client posts it.

    `connection` is the sender's own name of the peer connection ("pc1"), `timestamp` ms since 1970
    on the client's clock, `stats` the RTCStats dictionaries as they are: a list, or an object by
    id. `roles` says what the page knows about its tracks, by trackIdentifier or mid.
    """

    connection: Annotated[str, Meta(max_length=CONNECTION_LENGTH_MAX)]
    timestamp: Annotated[float, Meta(ge=TIMESTAMP_MS_MIN, le=TIMESTAMP_MS_MAX)]
    stats: (
        Annotated[list[Entry], Meta(max_length=ENTRIES_MAX)]
        | Annotated[dict[str, Entry], Meta(max_length=ENTRIES_MAX)]
    )
    roles: Annotated[
        dict[Annotated[str, Meta(max_length=NAME_LENGTH_MAX)], Role], Meta(max_length=ROLES_MAX)
    ] = field(default_factory=dict)
