"""What is kept of one report: normalised counters, small enough to live in the measuring state."""

from typing import NamedTuple

from msgspec import Struct

from roomtone.model import StreamKind


class Remote(Struct, array_like=True, gc=False):
    """The far end's RTCP report on one outgoing stream, as it was last heard of.

    `at_ms` is when it arrived, on the clock of `Snapshot.at_ms`. `rtt_total_s` and `rtt_count` are
    cumulative (webrtc-stats totalRoundTripTime, roundTripTimeMeasurements); `rtt_s` is the last.
    """

    at_ms: float
    lost: float | None = None
    received: float | None = None
    jitter_ms: float | None = None
    rtt_s: float | None = None
    rtt_total_s: float | None = None
    rtt_count: float | None = None


class Row(Struct, array_like=True, gc=False):
    """Counters of one RTP stream; None is what the client did not say.

    `packets` and `bytes` are as counted (retransmissions included, headers excluded), sent or
    received by the direction that `kind` names. `lost` and `jitter_ms` are this end's own count
    and so belong to incoming streams; `remote` is the far end's, or of an incoming stream its RTT.
    `pads`: padding may be among what it counts as sent (`padding`).
    """

    kind: StreamKind
    ssrc: int
    packets: float
    lost: float | None = None
    retransmitted: float = 0.0
    bytes: float | None = None
    retransmitted_bytes: float = 0.0
    frames: float | None = None
    height: float | None = None
    jitter_ms: float | None = None
    codec: str = ""
    transport: str = ""
    remote: Remote | None = None
    pads: bool = False


class Stun(Struct, array_like=True, gc=False):
    """Connectivity checks of the selected candidate pair: cumulative RTT in s and its count."""

    pair: str
    total_s: float
    count: float


class Snapshot(Struct, array_like=True, gc=False):
    """One report of one peer connection at `at_ms` (whole ms since 1970)."""

    at_ms: int
    rows: list[Row]
    stun: Stun | None = None
    network_type: str = ""
    local_ip: str = ""


class Seen(NamedTuple):
    """What was seen of a participant: one connection, by its sender's name, at one moment."""

    connection: str
    shot: Snapshot
