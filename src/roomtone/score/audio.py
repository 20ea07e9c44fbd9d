"""Sound: from loss, jitter, delay and codec to MOS, on the fullband scale and the codec's own."""

from collections.abc import Sequence
from itertools import chain
from typing import Final, NamedTuple

import numpy as np
from msgspec import Struct

from roomtone.score import codecs, emodel
from roomtone.score.emodel import FULLBAND, Values
from roomtone.score.results import Far
from roomtone.score.table import Piece, Table

PACKET_MS: Final = 20.0
LOOK_AHEAD_MS: Final = 6.5
DEVICE_MS: Final = 20.0
FIXED_DELAY_MS: Final = PACKET_MS + LOOK_AHEAD_MS + DEVICE_MS
"""A packet's length, Opus' look-ahead, what the devices' buffers hold (O)."""
BUFFER_MS_MIN: Final = 20.0
BUFFER_PER_JITTER: Final = 2.0
LATE_JITTER_MS: Final = (20.0, 60.0)
LATE_LOSS_MAX: Final = 0.03
"""What comes too late for the jitter buffer: none up to 20 ms of jitter, 3 % from 60 ms (O)."""
NOBODY: Final = Far(start_ms=0, interval_s=60.0, latency_ms=[])
RELIABLE: Final = frozenset({"TCP", "TLS", "XTLS"})


class Mos(NamedTuple):
    """Fullband listening and conversational MOS, and listening on the codec's own scale."""

    listening: Values
    conversational: Values
    native: Values


class Sound(NamedTuple):
    """The MOS of each interval of audio; `grounded` by entry."""

    mos: Mos
    grounded: list[bool]


def jitter_buffer_ms(jitter_ms: Values | float) -> Values:
    """How long the jitter buffer holds a packet (O); the least where the jitter is unknown."""
    return np.asarray(np.fmax(BUFFER_PER_JITTER * emodel.within(jitter_ms), BUFFER_MS_MIN))


def one_way_ms(
    latency_ms: Values | float, far_latency_ms: Values | float, jitter_ms: Values | float
) -> Values:
    """Ta from mouth to ear: half of both round trips, jitter buffer, packet and devices.

    Latency is a round trip, and a figure of this leg alone: the far leg has one of its own.
    """
    legs = emodel.within(latency_ms) / 2 + emodel.within(far_latency_ms) / 2
    return np.asarray(legs + jitter_buffer_ms(jitter_ms) + FIXED_DELAY_MS)


def late_loss(jitter_ms: Values | float) -> Values:
    """The fraction of packets that come too late to be played; 0 where the jitter is unknown."""
    first, last = LATE_JITTER_MS
    share = (np.nan_to_num(emodel.within(jitter_ms), nan=0.0) - first) / (last - first)
    return np.asarray(LATE_LOSS_MAX * np.minimum(np.maximum(share, 0.0), 1.0))


def played_loss_percent(loss_percent: Values | float, jitter_ms: Values | float) -> Values:
    """Ppl: packets that never come, and those that come too late."""
    lost = emodel.within(loss_percent, emodel.PERCENT_MAX) / 100
    return np.asarray(100 * (1 - (1 - lost) * (1 - late_loss(jitter_ms))))


def score(
    codec: codecs.Codec,
    *,
    loss_percent: Values | float,
    jitter_ms: Values | float = 0.0,
    latency_ms: Values | float = 0.0,
    far_latency_ms: Values | float | None = None,
) -> Mos:
    """MOS of one codec; without the far leg's latency, that of the own leg stands for it."""
    far = latency_ms if far_latency_ms is None else far_latency_ms
    delay = one_way_ms(latency_ms, far, jitter_ms)
    ppl = played_loss_percent(loss_percent, jitter_ms)
    return _mos(_Constants(*np.array(_constants(codec))), ppl, delay)


class _Constants(Struct):
    """What the formulas need of a codec, or of each interval's."""

    ie: Values
    bpl: Values
    limit: Values
    top: Values
    unit: Values
    bridge: Values


def _constants(codec: codecs.Codec) -> tuple[float, ...]:
    scale = codec.scale
    return (codec.ie, codec.bpl, scale.limit, scale.top, scale.unit, codecs.BRIDGES[scale])


def _mos(codec: _Constants, ppl: Values, one_way: Values) -> Mos:
    impairment = emodel.effective_impairment(
        codec.ie, bpl=codec.bpl, loss_percent=ppl, limit=codec.limit
    )
    rating = (FULLBAND.top - codec.bridge - impairment) / FULLBAND.unit
    return Mos(
        emodel.mos(rating),
        emodel.mos(rating - emodel.delay_impairment(one_way)),
        emodel.mos((codec.top - impairment) / codec.unit),
    )


def sound(table: Table, fars: Sequence[Far | None], *, fec: bool) -> Sound:
    """The MOS of all intervals of audio of some sessions."""
    end, pieces, piece = table.audio, table.pieces[: table.voices], table.piece[: table.audio]
    rates = _usual_rates(table, pieces)
    found = [
        codecs.audio(one.entry.codec, rate, fec=fec)
        for one, rate in zip(pieces, rates, strict=True)
    ]
    reliable = [one.entry.transportType.upper() in RELIABLE for one in pieces]
    loss = table.columns["packetLoss"][:end]
    hidden = np.isnan(loss) & np.array(reliable, dtype=np.bool_)[piece]
    jitter, latency = table.columns["jitter"][:end], table.columns["latency"][:end]
    ppl = played_loss_percent(np.where(hidden, 0.0, loss), jitter)
    delay = one_way_ms(latency, _far_latency(table, fars, latency), jitter)
    guesses = np.bincount(piece[hidden], minlength=len(pieces)).tolist()
    grounded = [codec.grounded and not n for codec, n in zip(found, guesses, strict=True)]
    rows = np.array([_constants(codec) for codec in found]).reshape(-1, 6).T
    return Sound(_mos(_Constants(*rows[:, piece]), ppl, delay), grounded)


def _usual_rates(table: Table, pieces: list[Piece]) -> list[float]:
    """The usual bit rate of each entry's kind of stream and codec, over all of their entries."""
    numbers: dict[tuple[int, str], int] = {}
    of = [numbers.setdefault((one.run, one.entry.codec), len(numbers)) for one in pieces]
    group = np.array(of, dtype=np.intp)
    bit_rates = table.columns["mediaBitRate"][: table.audio]
    rates = codecs.usual_kbps(bit_rates, group[table.piece[: table.audio]], len(numbers))
    found: list[float] = rates[group].tolist()
    return found


def _far_latency(table: Table, fars: Sequence[Far | None], own: Values) -> Values:
    """The far leg's round trip at each interval of audio; the own one where it is unknown."""
    if not any(fars):
        return own
    known = [far or NOBODY for far in fars]
    legs = np.array([*chain(*(far.latency_ms for far in known)), None], dtype=np.float64)
    counts = np.array([len(far.latency_ms) for far in known])
    owner, end = table.owner[: table.audio], table.audio
    first = (np.cumsum(counts) - counts)[owner]
    start_ms = np.array([far.start_ms for far in known], dtype=np.float64)[owner]
    step_ms = np.array([far.interval_s for far in known], dtype=np.float64)[owner] * 1000
    at = np.floor((table.start_ms[:end] + table.length_ms[:end] / 2 - start_ms) / step_ms)
    outside = (at < 0) | (at >= counts[owner])
    theirs = legs[np.where(outside, len(legs) - 1, first + at).astype(np.intp)]
    return np.where(np.isnan(theirs), own, theirs)
