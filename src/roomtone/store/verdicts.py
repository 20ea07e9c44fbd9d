"""What is stored of scores: a row for a meeting and for each of its sessions.

Rows answer questions about many meetings without opening one. They are made anew when the
meeting, the model or the organisation's thresholds change, so they are never merged or amended.
"""

from collections.abc import Mapping
from typing import Final

from msgspec import Struct, field

from roomtone.causes import Family
from roomtone.fleet.dimensions import Dimension
from roomtone.model import Meeting, StreamKind
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


class Scores(Struct, kw_only=True, frozen=True):
    """What was made of a meeting, and of what it was made.

    `version` is the meeting's, `model` score.VERSION, `revision` that of the organisation's
    settings. `words` is what a search looks through, in casefolded lines: id, title, host, who was
    there and with which devices; it names people, and goes when one is erased.
    """

    version: int
    model: int
    revision: int
    meeting: MeetingRow
    words: str = ""
    sessions: list[SessionRow] = field(default_factory=list)


class Stale(Struct, frozen=True):
    """An ended meeting whose scores are missing or were made of something else."""

    org: str
    meeting: str
    version: int


class VerdictQuery(Struct, kw_only=True, frozen=True):
    """Which meetings: not scheduled ones, start >= from_ms and < to_ms.

    `verdicts`: only scored ones with one of these; None: all, also those without scores yet.
    `text`, casefolded, is part of the id, or (with `names`) of `words`; of a meeting without valid
    scores it may also be part of the title, the host's name or e-mail. The newest first, or
    (`worst`) by verdict, then minutes poor, then newest.
    """

    from_ms: int
    to_ms: int
    verdicts: frozenset[Verdict] | None = None
    text: str = ""
    names: bool = True
    worst: bool = False
    offset: int = 0
    limit: int = 100


class JudgedMeeting(Struct, frozen=True):
    """A meeting and its row, None while it has none."""

    meeting: Meeting
    row: MeetingRow | None
