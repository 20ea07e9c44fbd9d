"""What the rules of one meeting share: its signs, and what wider troubles explain already."""

import numpy as np
from msgspec import Struct

from roomtone.causes import limits
from roomtone.causes.groups import Hit
from roomtone.causes.signs import Signs, around
from roomtone.causes.spans import Mask, Span, Values


class State(Struct):
    """Arrays [session, interval]. `up`, `down` and `rise` are without what a group's trouble
    explains; `taken` is where another rule has found the root already."""

    signs: Signs
    weak: Mask
    up: Values
    down: Values
    rise: Values
    grouped: Mask
    taken: Mask

    def take(self, row: int, span: Span) -> None:
        """Nobody else may explain this span, and an interval on either side, of a session."""
        self.taken[row, max(0, span.first - 1) : span.last + 1] = True


def state(signs: Signs, hits: list[Hit]) -> State:
    """What is left of the signs when each group's trouble is taken off its members."""
    made = State(
        signs=signs,
        weak=signs.weak(),
        up=signs.up,
        down=signs.own_down,
        rise=signs.rise,
        grouped=np.zeros(signs.up.shape, dtype=np.bool_),
        taken=np.zeros(signs.up.shape, dtype=np.bool_),
    )
    if hits:
        made.up, made.rise = made.up.copy(), made.rise.copy()
        made.down = signs.down.copy()
    for hit in hits:
        rows = hit.group.rows
        cells = slice(max(0, hit.span.first - 1), hit.span.last + 1)
        for values in (made.up, made.down, made.rise):
            values[rows, cells] = _without(values[rows, cells])
        made.grouped[rows, cells] = True
    made.down[signs.sender >= 0] = 0.0
    return made


def _without(values: Values) -> Values:
    """What each member has beyond the group's median, where that is more than the same again."""
    known = ~np.isnan(values)
    ordered = np.sort(np.where(known, around(values), np.nan), axis=0)
    index = np.maximum(0, known.sum(axis=0) - 1) // 2
    median = np.take_along_axis(ordered, index[np.newaxis], axis=0)
    own = values >= limits.OWN_RATIO * np.nan_to_num(median)
    return np.where(known, np.where(own, values - np.nan_to_num(median), 0.0), np.nan)
