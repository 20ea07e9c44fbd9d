"""Cumulative counters in, interval metrics out: `advance(state, seen)` is the whole of it.

Pure functions; time is an argument. `report` is a browser's wire, `getstats` normalises it to a
`snapshot`, as roomtone/sources does with what others send; `gaps` says where it was silent,
`counters`, `rtcp` and `round_trips` take differences, `followed` goes on with them from post to
post, `cells` sums them by interval, `intervals` folds these into columns, `runs` makes entries of
them, `state` and its `shots` are what is kept until the next post, `settled` says how far back that
may reach, `series` puts it together. `far` gives a sender's streams what their receivers counted,
`meeting` says who they are, `origins` where figures are from.
"""

from roomtone.measure import meeting
from roomtone.measure.far import Carried, Far, merged
from roomtone.measure.getstats import seen, snapshot
from roomtone.measure.intervals import Origin
from roomtone.measure.meeting import CLOCK_OFF_MS
from roomtone.measure.origins import Origins
from roomtone.measure.report import TIMESTAMP_MS_MAX, Entry, Report
from roomtone.measure.series import AHEAD_MS_MAX, HORIZON_S_DEFAULT, advance
from roomtone.measure.snapshot import Remote, Row, Seen, Snapshot, Stun
from roomtone.measure.state import Measured

__all__ = [
    "AHEAD_MS_MAX",
    "CLOCK_OFF_MS",
    "HORIZON_S_DEFAULT",
    "TIMESTAMP_MS_MAX",
    "Carried",
    "Entry",
    "Far",
    "Measured",
    "Origin",
    "Origins",
    "Remote",
    "Report",
    "Row",
    "Seen",
    "Snapshot",
    "Stun",
    "advance",
    "meeting",
    "merged",
    "seen",
    "snapshot",
]
