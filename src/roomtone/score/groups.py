"""Means and percentiles of many groups at once: of entries, of streams, of sessions.

`group` says of each value to which group it belongs, 0 to `count` - 1; NaN is left out, and what a
group without values has.
"""

import numpy as np
from numpy.typing import NDArray

from roomtone.score.emodel import Values

Groups = NDArray[np.intp]


def means(values: Values, group: Groups, count: int) -> Values:
    """The mean of each group."""
    known = ~np.isnan(values)
    totals = np.bincount(group[known], weights=values[known], minlength=count)
    numbers = np.bincount(group[known], minlength=count)
    return np.where(numbers > 0, totals / np.maximum(numbers, 1), np.nan)


def percentiles(values: Values, group: Groups, count: int, share: float) -> Values:
    """The percentile of each group, linear between neighbours."""
    known = ~np.isnan(values)
    if not known.any():
        return np.full(count, np.nan)
    kept, of = values[known], group[known]
    ordered = kept[np.lexsort((kept, of))]
    numbers = np.bincount(of, minlength=count)
    first = np.cumsum(numbers) - numbers
    at = np.maximum(numbers - 1, 0) * share / 100
    low = np.floor(at).astype(np.intp)
    high = np.minimum(low + 1, np.maximum(numbers - 1, 0))
    most = len(ordered) - 1
    below, above = (ordered[np.minimum(first + index, most)] for index in (low, high))
    return np.where(numbers > 0, below + (at - low) * (above - below), np.nan)
