"""Where figures are from, interval by interval: kept as spans, not a word for each value (pure)."""

from collections.abc import Iterable
from typing import Final

import msgspec

from roomtone.measure.intervals import Origin
from roomtone.model import Column, StreamKind

Span = tuple[int, int, Origin]
"""(start_ms, end_ms, origin) of neighbouring intervals."""
Origins = dict[StreamKind, dict[Column, list[Span]]]

SPANS_MAX: Final = 200
"""Spans of one column; the oldest are forgotten."""

_decode = msgspec.msgpack.Decoder(Origins).decode
_encode = msgspec.msgpack.Encoder().encode


def unpack(data: bytes) -> Origins:
    """What `pack` gave; b"" is nothing."""
    return _decode(data) if data else {}


def pack(origins: Origins) -> bytes:
    """As bytes."""
    return _encode(origins)


def note(spans: list[Span], start_ms: int, end_ms: int, origin: Origin) -> None:
    """Add an interval behind those that are there."""
    if spans and spans[-1][1] == start_ms and spans[-1][2] == origin:
        spans[-1] = (spans[-1][0], end_ms, origin)
    else:
        spans.append((start_ms, end_ms, origin))


def overlay(known: Origins, told: Origins) -> Origins:
    """What was told over what was known of the same times."""
    merged: Origins = {kind: dict(columns) for kind, columns in known.items()}
    for kind, columns in told.items():
        mine = merged.setdefault(kind, {})
        for column, spans in columns.items():
            mine[column] = _over(mine.get(column, []), spans)[-SPANS_MAX:]
    return merged


def _over(known: Iterable[Span], told: list[Span]) -> list[Span]:
    """Cut what was known where something was told, and join neighbours that agree."""
    low, high = told[0][0], told[-1][1]
    cut: list[Span] = list(told)
    for start_ms, end_ms, origin in known:
        if start_ms < low:
            cut.append((start_ms, min(end_ms, low), origin))
        if end_ms > high:
            cut.append((max(start_ms, high), end_ms, origin))
    joined: list[Span] = []
    for start_ms, end_ms, origin in sorted(cut):
        note(joined, start_ms, end_ms, origin)
    return joined
