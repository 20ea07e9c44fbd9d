"""Was it good: `session` and `sessions` score columns, `meeting` sums sessions up.

Pure functions, without a clock. `emodel` is ITU-T's E-model, `codecs` what is known of codecs,
`audio` and `video` make MOS of columns, `verdict` good, fair and poor of it, `cqd` Microsoft's
verdict, `parts` sub-scores of network and device; `far` tells a session of the others' legs,
`table` is a session as arrays. Every formula
with its source: docs/scoring.md.
"""

from roomtone.score.far import fars
from roomtone.score.meeting import meeting
from roomtone.score.results import (
    VERDICTS,
    VERSION,
    Far,
    Figure,
    MeetingScore,
    PersonScore,
    SessionScore,
    StreamScore,
    Verdict,
    VerdictCounts,
    counts_of,
)
from roomtone.score.session import session, sessions
from roomtone.score.thresholds import Bounds, Thresholds, checked

__all__ = [
    "VERDICTS",
    "VERSION",
    "Bounds",
    "Far",
    "Figure",
    "MeetingScore",
    "PersonScore",
    "SessionScore",
    "StreamScore",
    "Thresholds",
    "Verdict",
    "VerdictCounts",
    "checked",
    "counts_of",
    "fars",
    "meeting",
    "session",
    "sessions",
]
