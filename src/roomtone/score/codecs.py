"""What is known of codecs: impairment and robustness of audio, the bit rate that video needs.

Sources: S read, M from memory of G.113, O our choice (docs/scoring.md has the tables).
"""

import bisect
from functools import lru_cache
from math import isnan
from typing import Final, NamedTuple

import numpy as np

from roomtone.score import groups
from roomtone.score.emodel import FULLBAND, NARROWBAND, WIDEBAND, Scale, Values
from roomtone.score.groups import Groups

BRIDGES: Final = {NARROWBAND: 54.8, WIDEBAND: 19.0, FULLBAND: 0.0}
"""What is added to Ie,eff to stand on the fullband scale: 148 - 129, 148 - 93.2 (O)."""
FEC_FACTOR: Final = 2.0
OPUS_KBPS_UNKNOWN: Final = 32.0
"""What browsers send of speech when nothing tells them otherwise (M)."""


USUAL_PERCENTILE: Final = 90.0
MUTED_BIT_RATE: Final = 3_000.0
"""Below this, bit/s as sent, audio carries no voice (O)."""
QUIET_KBPS: Final = 16.0
"""Below this Opus may be silence or a voice: without DTX, a browser sends so much of either (O)."""


class Codec(NamedTuple):
    """A codec's Ie and Bpl, on which scale; `grounded` is False for a guess."""

    ie: float
    bpl: float
    scale: Scale
    grounded: bool = True


class Opus(NamedTuple):
    """A row of the table of Opus: kbit/s, Ie, Bpl of random losses and of bursts."""

    kbps: float
    ie: float
    bpl_random: float
    bpl_bursty: float


OPUS: Final = (
    Opus(14, 38.06, 16.51, 9.13),
    Opus(16, 30.16, 11.83, 10.06),
    Opus(19, 23.81, 10.67, 8.92),
    Opus(22, 20.22, 10.47, 8.57),
    Opus(25, 20.21, 11.28, 9.18),
    Opus(28, 18.48, 10.63, 8.91),
    Opus(31, 16.83, 10.44, 8.82),
    Opus(34, 14.76, 10.12, 8.54),
    Opus(37, 12.08, 10.38, 8.30),
    Opus(40, 10.67, 9.79, 8.04),
)
"""Super-wideband, VBR: Alahmadi, Pocta and Melvin 2021, doi 10.1145/3458751 (S)."""
EVS: Final = {13.2: (17.1, 11.7), 16.4: (10.8, 10.3), 24.4: (7.2, 11.4), 48.0: (10.2, 9.6)}
"""Super-wideband modes in kbit/s: Ie and Bpl, G.113 (S)."""
AAC_LD_MORE: Final = 5.0
AAC_LD_BPL: Final = 10.0
G711: Final = Codec(0.0, 25.1, NARROWBAND)
"""With concealment, as every client of a meeting has."""
FIXED: Final = {
    "pcmu": G711,
    "pcma": G711,
    "g711": G711,
    "g729": Codec(11.0, 19.0, NARROWBAND),
    "g729a": Codec(11.0, 19.0, NARROWBAND),
    "g722": Codec(13.0, 4.5, WIDEBAND),
    "amrwb": Codec(20.0, 4.3, WIDEBAND),
}
UNKNOWN: Final = Codec(20.0, 10.0, FULLBAND, grounded=False)
VIDEO_FACTORS: Final = {"vp9": 1.2, "av1": 1.43, "h265": 1.2, "hevc": 1.2, "h264": 1.0, "vp8": 1.0}
"""How many times the bit rate H.264 would need for the same picture (O)."""


@lru_cache(maxsize=256)
def name_of(label: str) -> str:
    """A codec's label without writing's whims: "H.264 BP" and "video/H264" are "h264"."""
    word = label.strip().lower().removeprefix("audio/").removeprefix("video/").partition("/")[0]
    plain = word.replace(".", "").replace("-", "").replace("_", "")
    return plain.partition(" ")[0]


def opus(kbps: float, *, bursty: bool = False) -> Codec:
    """Opus at a bit rate: linear between the rows, the first and the last beyond them."""
    rows = OPUS
    at = min(max(kbps, rows[0].kbps), rows[-1].kbps)
    index = min(bisect.bisect_right(rows, at, key=lambda row: row.kbps), len(rows) - 1)
    low, high = rows[index - 1], rows[index]
    share = (at - low.kbps) / (high.kbps - low.kbps)
    ie = low.ie + share * (high.ie - low.ie)
    bpl, above = ((row.bpl_bursty if bursty else row.bpl_random) for row in (low, high))
    return Codec(ie, bpl + share * (above - bpl), FULLBAND)


def evs(kbps: float) -> Codec:
    """EVS in the mode that is nearest to a bit rate."""
    return Codec(*EVS[min(EVS, key=lambda mode: abs(mode - kbps))], FULLBAND)


def audio(label: str, kbps: float | None, *, fec: bool = False, bursty: bool = False) -> Codec:
    """A codec by its label and the stream's bit rate (`usual_kbps`; None and NaN: unknown).

    Opus below QUIET_KBPS is unknown, too: so much is sent of silence, at whatever setting.
    `fec`: in-band FEC is known to be used; `bursty`: losses are known to come in bursts.
    """
    name = name_of(label)
    if name in ("opus", "aacld", "evs"):
        unknown = kbps is None or isnan(kbps) or (name != "evs" and kbps < QUIET_KBPS)
        rate = OPUS_KBPS_UNKNOWN if kbps is None or unknown else kbps
        found = _by_rate(name, rate, bursty=bursty)
        if unknown:
            found = found._replace(grounded=False)
    else:
        found = FIXED.get(name, UNKNOWN)
    return found._replace(bpl=found.bpl * FEC_FACTOR) if fec else found


def _by_rate(name: str, kbps: float, *, bursty: bool) -> Codec:
    if name == "evs":
        return evs(kbps)
    found = opus(kbps, bursty=bursty)
    if name == "aacld":
        return Codec(found.ie + AAC_LD_MORE, AAC_LD_BPL, FULLBAND, grounded=False)
    return found


def usual_kbps(bit_rates: Values, group: Groups, count: int) -> Values:
    """The 90th percentile of each group's bit rates (bit/s), in kbit/s; NaN where none is known.

    Opus sends next to nothing while nobody speaks (DTX): the mean would take silence for a bad
    codec. Intervals that carry no voice at all are left out, else a person who is muted for most
    of a meeting would be thought to speak through a bad one.
    """
    spoken = np.where(bit_rates >= MUTED_BIT_RATE, bit_rates, np.nan)
    return groups.percentiles(spoken, group, count, USUAL_PERCENTILE) / 1000


def video_factor(label: str) -> tuple[float, bool]:
    """By how much a bit rate counts as H.264's, and whether the codec is known."""
    name = name_of(label)
    return VIDEO_FACTORS.get(name, 1.0), name in VIDEO_FACTORS
