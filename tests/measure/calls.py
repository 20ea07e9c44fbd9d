"""Synthetic calls: getStats() entries and reports as a browser would write them, and the fold."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

import roomtone.measure
from roomtone.measure import Measured, Report
from roomtone.model import COLUMNS, Stream, StreamKind, column_of, epoch_ms

START_MS = 1_795_400_000_000
Entry = dict[str, Any]
Value = int | float | None


def advance(state: bytes, reports: Iterable[Report], **settings: Any) -> tuple[bytes, Measured]:
    return roomtone.measure.advance(
        state, [roomtone.measure.seen(one) for one in reports], **settings
    )


def report(
    at_s: float, *stats: Entry, connection: str = "pc1", roles: dict[str, str] | None = None
) -> Report:
    body = {
        "connection": connection,
        "timestamp": START_MS + 1000 * at_s,
        "stats": list(stats),
        "roles": roles or {},
    }
    return msgspec.json.decode(msgspec.json.encode(body), type=Report)


def inbound(received: float, lost: float | None = 0, /, **more: Any) -> Entry:
    """An inbound-rtp entry, of audio and SSRC 1 unless told otherwise."""
    ssrc = more.get("ssrc", 1)
    entry: Entry = {"type": "inbound-rtp", "id": f"I{ssrc}", "kind": "audio", "ssrc": ssrc}
    return entry | {"packetsReceived": received, "packetsLost": lost} | more


def outbound(sent: float, /, **more: Any) -> Entry:
    """An outbound-rtp entry, of audio and SSRC 2 unless told otherwise."""
    ssrc = more.get("ssrc", 2)
    entry: Entry = {"type": "outbound-rtp", "id": f"O{ssrc}", "kind": "audio", "ssrc": ssrc}
    return entry | {"packetsSent": sent} | more


def remote(lost: float, /, **more: Any) -> Entry:
    """The far end's report on the outbound stream of that SSRC."""
    ssrc = more.get("ssrc", 2)
    entry: Entry = {"type": "remote-inbound-rtp", "id": f"R{ssrc}", "kind": "audio", "ssrc": ssrc}
    return entry | {"packetsLost": lost, "localId": f"O{ssrc}"} | more


def path(
    protocol: str = "udp",
    *,
    rtt: tuple[float, int] | None = None,
    candidate: dict[str, str] | None = None,
) -> list[Entry]:
    """Transport, candidate pair and local candidate; `rtt` is (total in s, responses)."""
    total, responses = rtt or (None, None)
    return [
        {"type": "transport", "id": "T", "selectedCandidatePairId": "P"},
        {
            "type": "candidate-pair",
            "id": "P",
            "localCandidateId": "L",
            "totalRoundTripTime": total,
            "responsesReceived": responses,
        },
        {"type": "local-candidate", "id": "L", "candidateType": "host", "protocol": protocol}
        | (candidate or {}),
    ]


def measure(*reports: Report, interval_s: float = 10) -> Measured:
    return advance(b"", reports, interval_s=interval_s)[1]


def only(told: Measured, kind: StreamKind, column: str) -> list[Value]:
    """A column of a kind's only entry."""
    [stream] = told.streams[kind]
    values: list[Value] = getattr(stream, column)
    return values


def span_s(stream: Stream) -> tuple[float, float]:
    """When an entry starts and ends, in s from the start of the call."""
    start_ms, end_ms = epoch_ms(stream.startTime), epoch_ms(stream.endTime)
    return (start_ms - START_MS) / 1000, (end_ms - START_MS) / 1000


Cells = dict[tuple[StreamKind, int], dict[str, Value | str]]


def fold(told: Iterable[Measured]) -> Cells:
    """As a store merges: by kind and time; a value overwrites, an unknown one never erases."""
    cells: Cells = {}
    for one in told:
        for kind, streams in one.streams.items():
            for stream in streams:
                start_ms = epoch_ms(stream.startTime) - START_MS
                for column in COLUMNS:
                    for number, value in enumerate(column_of(stream, column)):
                        at_ms = start_ms + round(1000 * number * stream.samplingInterval)
                        cell = cells.setdefault((kind, at_ms), {})
                        cell |= {"codec": stream.codec, "transport": stream.transportType}
                        if value is not None:
                            cell[column] = value
    return cells


def posts(sequence: Sequence[Sequence[Report]], **settings: Any) -> list[Measured]:
    """What each post told, one after the other on the same state."""
    state, told = b"", []
    for post in sequence:
        state, one = advance(state, post, **settings)
        told.append(one)
    return told


def origin_of(told: Measured, kind: StreamKind, column: str) -> str | None:
    """Where all figures of a column are from; None where there is none."""
    spans = told.origins.get(kind, {}).get(column, [])  # type: ignore[call-overload]
    found = {origin for _, _, origin in spans}
    assert len(found) <= 1, found
    return found.pop() if found else None
