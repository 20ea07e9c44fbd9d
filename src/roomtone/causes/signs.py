"""What the columns say of each session and interval: loss by direction, latency above its base.

Loss that a receiver has from a sender's bad uplink is told apart here: it is the sender's.
"""

from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from roomtone.causes import limits
from roomtone.causes.grid import Grid
from roomtone.causes.spans import Mask, Values, sustained
from roomtone.model import StreamKind
from roomtone.score import Thresholds

UP: Final[tuple[StreamKind, ...]] = ("audioOut", "videoOut", "shareOut")
DOWN: Final[tuple[StreamKind, ...]] = ("audioIn", "videoIn", "shareIn")


class Signs(Struct):
    """Arrays [session, interval] of a meeting.

    `up` and `down` are loss in percent, `own_down` without what a sender's uplink explains, `rtt`
    ms, `base` the least that is usual for the session, `rise` what is above it. `sender` is whose
    uplink explains the loss of an interval, -1 for nobody's.
    """

    grid: Grid
    thresholds: Thresholds
    up: Values
    down: Values
    own_down: Values
    rtt: Values
    base: Values
    rise: Values
    risen: Mask
    jitter_in: Values
    jitter_out: Values
    sender: NDArray[np.intp]
    known: Mask

    def weak(self) -> Mask:
        """Where the network is worse than good or than usual: enough where several agree."""
        fair, poor = self.thresholds.loss_percent.good, self.thresholds.jitter_ms.poor
        return (
            (self.up >= fair)
            | (self.own_down >= fair)
            | self.risen
            | (self.jitter_in > poor)
            | (self.jitter_out > poor)
        )

    def clean(self) -> Mask:
        """Where neither loss nor latency is a reason for anything."""
        return ~(
            (self.up >= self.thresholds.loss_percent.good)
            | self.risen
            | (self.rtt > self.thresholds.latency_ms.poor)
        )


def signs(grid: Grid, thresholds: Thresholds) -> Signs:
    """The signs of a meeting."""
    up = mean_of([grid.columns[kind, "packetLoss"] for kind in UP])
    down = mean_of([grid.columns[kind, "packetLoss"] for kind in DOWN])
    rtt = mean_of([grid.columns[kind, "latency"] for kind in (*UP, *DOWN)])
    base = quantile(rtt, limits.BASE_QUANTILE)[:, np.newaxis]
    rise = rtt - base
    sender = _senders(up, down, thresholds.loss_percent.good)
    return Signs(
        grid=grid,
        thresholds=thresholds,
        up=up,
        down=down,
        own_down=np.where(sender >= 0, 0.0, down),
        rtt=rtt,
        base=base,
        rise=rise,
        risen=rise >= np.maximum(limits.RISE_MS, limits.RISE_PART * base),
        jitter_in=grid.columns["audioIn", "jitter"],
        jitter_out=grid.columns["audioOut", "jitter"],
        sender=sender,
        known=~(np.isnan(up) & np.isnan(down) & np.isnan(rtt)),
    )


def mean_of(parts: list[Values]) -> Values:
    """The mean of what is known, interval by interval."""
    total = np.zeros(parts[0].shape)
    counts = np.zeros(parts[0].shape)
    for part in parts:
        known = ~np.isnan(part)
        total[known] += part[known]
        counts += known
    mean: Values = np.divide(total, counts, out=np.full(total.shape, np.nan), where=counts > 0)
    return mean


def quantile(values: Values, part: float) -> Values:
    """Of the known values of each row, the one that so great a part is below; NaN without any."""
    if not values.shape[-1]:
        return np.full(values.shape[:-1], np.nan)
    ordered = np.sort(values, axis=-1)  # NaN last
    counts = (~np.isnan(values)).sum(axis=-1)
    index = np.maximum(0, np.round(part * (counts - 1)).astype(np.intp))
    found: Values = np.take_along_axis(ordered, index[..., np.newaxis], axis=-1)[..., 0]
    return found


def around(values: Values) -> Values:
    """The most of each interval and its neighbours, 0 for unknown: intervals do not begin alike."""
    found = np.nan_to_num(values)
    wide = found.copy()
    np.maximum(wide[:, 1:], found[:, :-1], out=wide[:, 1:])
    np.maximum(wide[:, :-1], found[:, 1:], out=wide[:, :-1])
    return wide


def _senders(up: Values, down: Values, fair: float) -> NDArray[np.intp]:
    """Whose uplink explains what each session lost: gaps are forwarded to everybody who listens.

    The loss may not be much more than that sender's, nor than what the other listeners lost.
    """
    rows, count = up.shape
    sender = np.full((rows, count), -1, dtype=np.intp)
    if rows < 2:
        return sender
    sent = around(up)
    order = np.argsort(-sent, axis=0, kind="stable")[:2]
    cells = np.arange(count)
    worst, second = order[0], order[1]
    who = np.broadcast_to(worst, (rows, count)).copy()
    who[worst, cells] = second
    loss = sent[who, cells]
    listeners = np.where(np.isnan(down), np.nan, around(down))
    listeners[worst, cells] = np.nan
    listeners.sort(axis=0)
    known = (~np.isnan(listeners)).sum(axis=0)
    common: Values = listeners[np.maximum(0, known - 1) // 2, cells]
    explained = (
        (down >= fair)
        & (loss >= fair)
        & (down <= limits.FORWARDED_PART * loss + limits.FORWARDED_PERCENT)
        & (down <= limits.FORWARDED_PART * common + limits.FORWARDED_PERCENT)
    )
    sender[explained & ~_mostly_own(down >= fair, explained)] = 0
    return np.where(sender == 0, who, sender)


def _mostly_own(bad: Mask, explained: Mask) -> Mask:
    """Where, for a while around, more of what was lost is the receiver's own than a sender's."""
    balance = (bad & ~explained).astype(np.int64) - explained
    count = balance.shape[1]
    sums = np.zeros((len(balance), count + 1), dtype=np.int64)
    balance.cumsum(axis=1, out=sums[:, 1:])
    cells = np.arange(count)
    low = np.maximum(0, cells - limits.OWN_WINDOW)
    high = np.minimum(count, cells + limits.OWN_WINDOW + 1)
    total = sums[:, high] - sums[:, low]
    own: Mask = total > 0
    return own


def directed(values: Values, thresholds: Thresholds) -> Mask:
    """Where loss is poor, or is between fair and poor for long."""
    fair, poor = thresholds.loss_percent.good, thresholds.loss_percent.poor
    return (values > poor) | sustained(values, least=(fair + poor) / 2)
