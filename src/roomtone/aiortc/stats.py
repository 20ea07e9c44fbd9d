"""An aiortc connection's statistics as a getStats() report of W3C webrtc-stats.

aiortc (1.16) has jitter in units of the RTP clock, fractionLost as 0..255, in remote-inbound-rtp
the reporter's SSRC, and one inbound-rtp entry a receiver, which the stream of retransmissions
overwrites. Codec, candidates and mid are on its objects; frames, height and received bytes nowhere:
those stay unknown. What is only in private attributes is unknown, too, where they are missing.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from aiortc import RTCPeerConnection

FRACTION_WHOLE: Final = 256
"""RFC 3550, 6.4.1: fraction lost is a fixed point number with the binary point at the left."""

Stats = dict[str, Any]


async def report_of(pc: "RTCPeerConnection", *, addresses: bool = True) -> list[Stats]:
    """The entries of one report; [] before anything was negotiated."""
    entries: dict[str, Stats] = {}
    for transceiver in pc.getTransceivers():
        sent = await transceiver.sender.getStats()
        received = await transceiver.receiver.getStats()
        found = [
            *_outbound(transceiver, sent),
            *_inbound(transceiver, received),
            *_transport(transceiver.receiver.transport, addresses=addresses),
        ]
        # Bundled media share a transport.
        entries |= {entry["id"]: entry for entry in found}
    return list(entries.values())


def _outbound(transceiver: Any, stats: Mapping[str, Any]) -> Iterator[Stats]:
    sender = transceiver.sender
    codec = next(iter(_codecs(transceiver)), None)  # aiortc sends with the first one
    ours = _of_type(stats, "outbound-rtp")
    if ours is None or codec is None:
        return
    codec_id = f"codec_{transceiver.mid}_out"
    yield _codec(codec, codec_id)
    remote_id = f"remote_{ours.id}"
    yield {
        "id": ours.id,
        "type": "outbound-rtp",
        "timestamp": _ms(ours.timestamp),
        "kind": ours.kind,
        "ssrc": ours.ssrc,
        "mid": transceiver.mid,
        "trackIdentifier": None if sender.track is None else sender.track.id,
        "transportId": ours.transportId,
        "codecId": codec_id,
        "remoteId": remote_id,
        "packetsSent": ours.packetsSent,
        "bytesSent": ours.bytesSent,
    }
    theirs = _of_type(stats, "remote-inbound-rtp")
    if theirs is not None:
        yield {
            "id": remote_id,
            "type": "remote-inbound-rtp",
            "timestamp": _ms(theirs.timestamp),
            "kind": ours.kind,
            "ssrc": ours.ssrc,
            "localId": ours.id,
            "packetsReceived": max(theirs.packetsReceived, 0),
            "packetsLost": theirs.packetsLost,
            "fractionLost": theirs.fractionLost / FRACTION_WHOLE,
            "jitter": theirs.jitter / codec.clockRate,
            # A round trip over a clock that was set back is none.
            "roundTripTime": _not_negative(theirs.roundTripTime),
        }


def _inbound(transceiver: Any, stats: Mapping[str, Any]) -> Iterator[Stats]:
    entry = _of_type(stats, "inbound-rtp")
    if entry is None:
        return
    receiver = transceiver.receiver
    for ssrc, packets, lost, jitter, rate in _received(transceiver, entry):
        codec = _only_codec(transceiver, rate)
        codec_id = None if codec is None else f"codec_{transceiver.mid}_in_{codec.payloadType}"
        if codec is not None and codec_id is not None:
            yield _codec(codec, codec_id)
        yield {
            "id": f"{entry.id}_{ssrc}",
            "type": "inbound-rtp",
            "timestamp": _ms(entry.timestamp),
            "kind": entry.kind,
            "ssrc": ssrc,
            "mid": transceiver.mid,
            "trackIdentifier": None if receiver.track is None else receiver.track.id,
            "transportId": entry.transportId,
            "codecId": codec_id,
            "packetsReceived": packets,
            "packetsLost": lost,
            "jitter": jitter / rate if rate else None,
        }


def _received(transceiver: Any, entry: Any) -> Iterator[tuple[int, int, int, int, int | None]]:
    """SSRC, packets, lost, jitter in clock units and clock rate of each stream that is media."""
    receiver = transceiver.receiver
    streams = getattr(receiver, "_RTCRtpReceiver__remote_streams", None)
    repeats = getattr(receiver, "_RTCRtpReceiver__rtx_ssrc", None)
    has_rtx = any(_is_rtx(codec) for codec in getattr(transceiver, "_codecs", ()))
    if not isinstance(streams, dict) or not isinstance(repeats, dict):
        # The one entry is of the last SSRC, which may be that of retransmissions.
        if not has_rtx:
            rates = {codec.clockRate for codec in _codecs(transceiver)}
            rate = rates.pop() if len(rates) == 1 else None
            yield entry.ssrc, entry.packetsReceived, entry.packetsLost, entry.jitter, rate
        return
    media = [(ssrc, stream) for ssrc, stream in streams.items() if ssrc not in repeats]
    if has_rtx and not repeats:
        # Nobody said which SSRC repeats; nothing can be repeated before it was sent.
        media = media[:1]
    for ssrc, stream in media:
        rate = getattr(stream, "_clockrate", None)
        yield ssrc, stream.packets_received, stream.packets_lost, stream.jitter, rate


def _codecs(transceiver: Any) -> list[Any]:
    """The negotiated codecs, without those of retransmissions, the preferred one first."""
    return [codec for codec in getattr(transceiver, "_codecs", ()) if not _is_rtx(codec)]


def _only_codec(transceiver: Any, rate: int | None) -> Any:
    """The codec of what is received, if only one is possible."""
    possible = [codec for codec in _codecs(transceiver) if rate in (None, codec.clockRate)]
    return possible[0] if len(possible) == 1 else None


def _is_rtx(codec: Any) -> bool:
    return bool(codec.mimeType.lower().endswith("/rtx"))


def _codec(codec: Any, codec_id: str) -> Stats:
    fmtp = ";".join(
        key if value is None else f"{key}={value}" for key, value in codec.parameters.items()
    )
    return {
        "id": codec_id,
        "type": "codec",
        "mimeType": codec.mimeType,
        "clockRate": codec.clockRate,
        "payloadType": codec.payloadType,
        "sdpFmtpLine": fmtp or None,
    }


def _transport(transport: Any, *, addresses: bool) -> Iterator[Stats]:
    """The transport, the pair in use and its local candidate."""
    transport_id = getattr(transport, "_stats_id", None)
    connection = getattr(transport.transport, "_connection", None)
    pair = next(iter((getattr(connection, "_nominated", None) or {}).values()), None)
    if transport_id is None or pair is None:
        return
    local = pair.local_candidate
    pair_id, local_id = f"pair_{transport_id}", f"local_{transport_id}"
    yield {"id": transport_id, "type": "transport", "selectedCandidatePairId": pair_id}
    yield {
        "id": pair_id,
        "type": "candidate-pair",
        "localCandidateId": local_id,
        "nominated": True,
        "state": "succeeded",
    }
    candidate: Stats = {
        "id": local_id,
        "type": "local-candidate",
        "candidateType": local.type,
        "protocol": local.transport.lower(),
    }
    if local.type == "relay":
        secure = getattr(connection, "turn_ssl", False)
        candidate["relayProtocol"] = "tls" if secure else getattr(connection, "turn_transport", "")
    if addresses:
        candidate |= {"address": local.host, "relatedAddress": local.related_address}
    yield candidate


def _of_type(stats: Mapping[str, Any], kind: str) -> Any:
    return next((entry for entry in stats.values() if entry.type == kind), None)


def _ms(moment: datetime) -> float:
    return moment.timestamp() * 1000


def _not_negative(value: float | None) -> float | None:
    return value if value is not None and value >= 0 else None
