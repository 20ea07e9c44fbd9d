"""Janus' counters of one stream -> a `Row`: what a publisher sent, what a viewer's link lost.

An SFU counts a publisher's stream itself. Of a viewer it knows what it sent, repetitions included,
and the viewer's receiver reports, whose losses include the publisher's gaps that it passed on. Both
are told apart by the publisher's own counters: what came of a stream is what was sent on once.
"""

import hashlib
from typing import Final

from roomtone.measure import Remote, Row
from roomtone.measure.codecs import codec_label
from roomtone.model import StreamKind
from roomtone.sources.janus_events import Stats
from roomtone.sources.janus_state import Followed, Forwarded, Published

RTP_HEADER_BYTES: Final = 12
SSRC_BASE: Final = 2**32
"""Janus' counters name no SSRC: ours lie above all real ones, so that none is taken for another."""
SSRC_DIGEST_BYTES: Final = 6
UNHEARD_US_MAX: Final = 15 * 10**6
"""A row is made at each new receiver report; without one, after so long, with unknown loss."""
PUBLISHED_AGE_US_MAX: Final = 30 * 10**6
AHEAD_US_MAX: Final = 5 * 10**6
PAUSED_FACTOR: Final = 1.25
PAUSED_PACKETS: Final = 30.0
CODEC_LENGTH_MAX: Final = 32
MID_LENGTH_MAX: Final = 128
SLOTS: Final = 63
"""Times in which a publisher's counters may come late, of a sixth of an interval each."""


def label(stats: Stats) -> str:
    """The codec; of H.264 without its profile, which Janus' counters do not tell."""
    name = stats.codec.lower()
    if name in ("h264", "h265"):
        return f"H.{name[1:]}"
    return codec_label(f"{stats.media}/{stats.codec}")[:CODEC_LENGTH_MAX] if name else ""


def ssrc(stream: str, run: int = 0) -> int:
    """A number for a stream that no other has, and a new one after a restart of its counters."""
    digest = hashlib.blake2b(f"{stream}/{run}".encode(), digest_size=SSRC_DIGEST_BYTES).digest()
    return SSRC_BASE + int.from_bytes(digest)


def key(mid: str, layer: int) -> str:
    """An m-line's layer by name."""
    return f"{mid[:MID_LENGTH_MAX]}/{layer}" if layer else mid[:MID_LENGTH_MAX]


def publisher_row(
    stats: Stats, kind: StreamKind, at_us: int, *, transport: str, stream: str
) -> Row:
    """What came of a publisher's stream.

    Janus is the far end: `lost`, `packets-received` without what came again, `jitter-local`. Bytes
    stay as they are: what came again stands for what was lost.
    """
    again = stats.retransmissions_received
    remote = Remote(
        at_ms=at_us / 1000,
        lost=float(stats.lost) if stats.lost < 2**31 else None,
        received=float(max(stats.packets_received - again, 0)),
        jitter_ms=float(stats.jitter_local),
    )
    headers = RTP_HEADER_BYTES * stats.packets_received
    return Row(
        kind=kind,
        ssrc=ssrc(stream),
        packets=float(stats.packets_received),
        retransmitted=float(min(again, stats.packets_received)),
        bytes=float(max(stats.bytes_received - headers, 0)),
        codec=label(stats),
        transport=transport,
        remote=remote,
    )


def published(known: Published | None, stats: Stats, at_us: int, *, slot_us: int) -> Published:
    """The newest counters of a publisher's stream."""
    unfilled = float(max(stats.lost - stats.retransmissions_received, 0))
    found = Published(at_us, float(stats.packets_received), unfilled)
    if known is None:
        return found
    found.layers = known.layers
    ahead = min(at_us // slot_us - known.at_us // slot_us, SLOTS)
    found.slots = (known.slots << ahead) % 2**SLOTS | 1
    if found.received >= known.received:
        found.per_s = 1e6 * (found.received - known.received) / (at_us - known.at_us)
    return found


def fills_gap(known: Published, at_us: int, *, slot_us: int) -> bool:
    """Whether counters that come late are of a time of which nothing was heard; it is not, then."""
    back = known.at_us // slot_us - at_us // slot_us
    if back >= SLOTS or known.slots >> back & 1:
        return False
    known.slots |= 1 << back
    return True


def forwarded(source: Published | None, at_us: int) -> Forwarded | None:
    """What had come of a stream at a time near its newest counters; None: unknown.

    Handles are counted once a period each, in any order: guessed on at the latest rate, which makes
    the order indifferent.
    """
    if source is None or source.layers or at_us - source.at_us > PUBLISHED_AGE_US_MAX:
        return None
    ahead_us = min(max(at_us - source.at_us, 0), AHEAD_US_MAX)
    return Forwarded(source.received + source.per_s * ahead_us / 1e6, source.unfilled)


def viewer_row(
    known: Followed | None,
    stats: Stats,
    kind: StreamKind,
    at_us: int,
    *,
    transport: str,
    source: Forwarded | None,
    stream: str,
) -> tuple[Followed, Row] | None:
    """The next row of a viewer's stream; None when the event brings no news of it.

    `source`: the publisher's part in it, where it is known. Without it the loss of the viewer's
    own link is unknown, and so is the bit rate of a stream of which anything was sent again.
    """
    reported = (stats.lost_at_viewer(), stats.jitter_remote, stats.rtt)
    heard = reported if any(reported) else None  # all zero: no report yet, or not any more
    if not stats.packets_sent or (known is not None and at_us <= known.at_us):
        return None
    if known is None or stats.packets_sent < known.sent or stats.bytes_sent < known.octets:
        begun = first(stats, at_us, heard, source, run=0 if known is None else known.run + 1)
        return begun, row_of(begun, stats, kind, transport, stream, sure=True, whole=True)
    fresh = heard is not None and heard != known.heard
    if not fresh and at_us - known.at_us < UNHEARD_US_MAX:
        return None
    step = carried(known, stats, source)
    lost = own_loss(known, heard, source, step) if fresh else None
    whole = step is not None or not stats.nacks_received
    sent = stats.packets_sent - known.sent
    net = float(sent) if step is None or not stats.nacks_received else step
    octets = stats.bytes_sent - known.octets - RTP_HEADER_BYTES * sent
    following = Followed(
        at_us=at_us,
        sent=stats.packets_sent,
        octets=stats.bytes_sent,
        net=known.net + net,
        lost=known.lost + (lost or 0.0),
        octets_net=known.octets_net + (max(octets, 0) * net / sent if sent else 0.0),
        heard=heard if fresh else known.heard,
        forwarded=source,
        run=known.run,
        rtt_total_s=known.rtt_total_s + (stats.rtt / 1000 if fresh else 0.0),
        rtts=known.rtts + bool(fresh and stats.rtt),  # 0 is "not measured"
    )
    return following, row_of(
        following, stats, kind, transport, stream, sure=lost is not None, whole=whole, fresh=fresh
    )


def first(
    stats: Stats,
    at_us: int,
    heard: tuple[int, int, int] | None,
    source: Forwarded | None,
    *,
    run: int,
) -> Followed:
    """Where a stream is followed from: differences count from here on."""
    return Followed(
        at_us=at_us,
        sent=stats.packets_sent,
        octets=stats.bytes_sent,
        net=float(stats.packets_sent),
        lost=0.0,
        octets_net=float(max(stats.bytes_sent - RTP_HEADER_BYTES * stats.packets_sent, 0)),
        heard=heard,
        forwarded=source,
        run=run,
    )


def carried(known: Followed, stats: Stats, source: Forwarded | None) -> float | None:
    """Packets that were sent on since the last row, each once; None: unknown.

    Unknown too when much less was sent than had come: the viewer paused, or gets a part of it.
    """
    if source is None or known.forwarded is None:
        return None
    came = source.packets - known.forwarded.packets
    sent = stats.packets_sent - known.sent
    if came < 0 or came > PAUSED_FACTOR * sent + PAUSED_PACKETS:
        return None
    return came if stats.nacks_received else float(sent)


def own_loss(
    known: Followed,
    heard: tuple[int, int, int] | None,
    source: Forwarded | None,
    step: float | None,
) -> float | None:
    """What the viewer's own link lost between two of its reports: less the gaps passed on."""
    if heard is None or step is None or source is None or known.forwarded is None:
        return None
    gaps = source.unfilled - known.forwarded.unfilled
    before = known.heard[0] if known.heard is not None else 0  # RTCP's count begins at 0
    lost = heard[0] - before - gaps
    # Beyond what was sent, or taken back: a counter was reset.
    return lost if -step <= lost <= step and gaps >= -step else None


def row_of(
    now: Followed,
    stats: Stats,
    kind: StreamKind,
    transport: str,
    stream: str,
    *,
    sure: bool,
    whole: bool,
    fresh: bool = True,
) -> Row:
    """A viewer's row. `sure`: the loss is known; `whole`: so are the bytes without repetitions."""
    heard = now.heard if fresh else None
    remote = Remote(at_ms=now.at_us / 1000, rtt_total_s=now.rtt_total_s, rtt_count=float(now.rtts))
    return Row(
        kind=kind,
        ssrc=ssrc(stream, now.run),
        packets=now.net - now.lost,
        lost=now.lost if sure else None,
        bytes=now.octets_net if whole else None,
        jitter_ms=float(stats.jitter_remote) if heard is not None else None,
        codec=label(stats),
        transport=transport,
        remote=remote,
    )
