"""What is stored of scores: a row for a meeting and for each of its sessions.

Rows answer questions about many meetings without opening one. They are made anew when the
meeting, the model or the organisation's thresholds change, so they are never merged or amended.
"""

from collections.abc import Mapping
from typing import Final

from msgspec import Struct, field

from roomtone.causes import Family
from roomtone.fleet.dimensions import Dimension
from roomtone.model import StreamKind
from roomtone.score import Figure, Verdict

FINDINGS_KEPT_MAX: Final = 5
"""A meeting's row is for lists; whoever asks for the meeting gets all findings."""


class SessionRow(Struct, kw_only=True, frozen=True):
    """How one session was, in one row, for questions about many.

    `session` is the participantSessionId; times are milliseconds since 1970. `kind` and `figure`
    say what made the verdict, None where it is good or unclassified. MOS are means, 1 to 5;
    `network` and `device` 0 to 100; `packet_loss` (percent), `latency` and `jitter` (ms) means
    over all samples of all streams; `join_s` the joinMeetingTime in seconds. None is unknown.
    `values` has the dimensions of fleet.dimensions, "" where nobody told.
    """

    session: str
    join_ms: int
    leave_ms: int
    verdict: Verdict
    kind: StreamKind | None
    figure: Figure | None
    minutes: float
    minutes_poor: float
    minutes_fair: float
    audio_mos: float | None
    video_mos: float | None
    network: float | None
    device: float | None
    packet_loss: float | None
    latency: float | None
    jitter: float | None
    join_s: float | None
    values: Mapping[Dimension, str]


class FindingRow(Struct, kw_only=True, frozen=True):
    """A finding of a meeting's row: the session it belongs to, "" for several, in plain words."""

    family: Family
    session: str
    confidence: float
    text: str


class MeetingRow(Struct, kw_only=True, frozen=True):
    """How one meeting was, in one row. `counts`: how many sessions have which verdict.

    `findings` are at most FINDINGS_KEPT_MAX, those that cost most minutes first.
    """

    verdict: Verdict
    because: str
    minutes: float
    minutes_poor: float
    counts: Mapping[Verdict, int]
    findings: list[FindingRow] = field(default_factory=list)
