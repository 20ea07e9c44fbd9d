"""Cumulative counters in, interval metrics out: `advance(state, reports)` is the whole of it.

Pure functions; time is an argument. `report` is the wire, `getstats` normalises it to a `snapshot`,
`counters` takes differences, `intervals` folds them into columns, `runs` makes entries of these,
`state` is what is kept until the next post, `series` puts it together.
"""

from roomtone.measure.getstats import snapshot
from roomtone.measure.intervals import Origin
from roomtone.measure.report import Entry, Report
from roomtone.measure.series import HORIZON_S_DEFAULT, advance
from roomtone.measure.snapshot import Snapshot
from roomtone.measure.state import Measured

__all__ = [
    "HORIZON_S_DEFAULT",
    "Entry",
    "Measured",
    "Origin",
    "Report",
    "Snapshot",
    "advance",
    "snapshot",
]
