"""The E-model of ITU-T: impairments to a rating R, and R to MOS, on three scales.

Fullband is G.107.2, wideband G.107.1, narrowband G.107. A MOS of one scale cannot be compared with
one of another. Arrays in, arrays out; NaN is unknown and stays so, and what cannot be, such as a
negative loss, becomes it.
"""

from typing import Final, TypeAlias

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from roomtone.model import NUMBER_MAX

Values: TypeAlias = NDArray[np.float64]

MOS_MIN: Final = 1.0
MOS_MAX: Final = 4.5
DELAY_FREE_MS: Final = 100.0
"""G.107, 7.4: one-way delay up to which nobody minds (mT)."""
PERCENT_MAX: Final = 100.0


class Scale(Struct, frozen=True):
    """One of the three models.

    `top` is R without impairments; `limit` is what Ie,eff tends to; R / `unit` is on G.107's scale.
    """

    top: float
    limit: float
    unit: float


NARROWBAND: Final = Scale(top=93.2062, limit=95.0, unit=1.0)
"""G.107, 7.7: R of the default parameters."""
WIDEBAND: Final = Scale(top=129.0, limit=95.0, unit=1.29)
FULLBAND: Final = Scale(top=148.0, limit=132.0, unit=1.48)


def within(values: Values | float, most: float = NUMBER_MAX) -> Values:
    """The values; NaN for those that are negative or above `most`."""
    array = np.asarray(values, dtype=np.float64)
    return np.where((array >= 0) & (array <= most), array, np.nan)


def effective_impairment(
    ie: Values | float,
    *,
    bpl: Values | float,
    loss_percent: Values | float,
    burst_ratio: float = 1.0,
    limit: Values | float = FULLBAND.limit,
) -> Values:
    """Ie,eff of a codec with packet loss (7.5 of G.107, G.107.1 and G.107.2).

    `burst_ratio` is BurstR: mean length of bursts beside that of random loss, 1 and more.
    """
    if not burst_ratio >= 1:
        raise ValueError("BurstR is 1 for random loss and more for bursts")
    ppl = within(loss_percent, PERCENT_MAX)
    return np.asarray(ie + (limit - ie) * ppl / (ppl / burst_ratio + bpl))


def delay_impairment(one_way_ms: Values | float) -> Values:
    """Idd of the delay from mouth to ear (G.107, 7.4; sT 1, mT 100 ms), on G.107's scale."""
    ta = within(one_way_ms)
    x6 = np.log2(np.maximum(ta, DELAY_FREE_MS) / DELAY_FREE_MS) ** 6
    return np.asarray(25 * ((1 + x6) ** (1 / 6) - 3 * (1 + x6 / 729) ** (1 / 6) + 2))


def mos(rating: Values | float) -> Values:
    """MOS of R on G.107's scale (G.107, Annex B; G.107.1 and G.107.2, Annex A): 1 to 4.5."""
    rx = np.minimum(np.maximum(rating, 0.0), 100.0)
    return np.asarray(np.maximum(1 + 0.035 * rx + rx * (rx - 60) * (100 - rx) * 7e-6, MOS_MIN))


def rating(scale: Scale, *, impairment: Values | float, one_way_ms: Values | float = 0.0) -> Values:
    """R / unit of an effective impairment and a delay (7.1): what `mos` takes."""
    r = scale.top - scale.unit * delay_impairment(one_way_ms) - impairment
    return np.asarray(r / scale.unit)
