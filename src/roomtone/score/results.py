"""What scoring gives: a score of each stream, of a session, of a meeting.

Figures are floats that nobody has rounded; whoever shows a MOS rounds it to 2 decimals. None is
unknown, and an interval without data is "unclassified" and counts for nothing.
"""

from collections.abc import Mapping
from typing import Final, Literal, get_args

from msgspec import Struct, field

from roomtone.model import StreamKind

VERSION: Final = 1
"""Of the model: whoever keeps scores keeps it with them, and scores anew where it is older."""

Verdict = Literal["good", "fair", "poor", "unclassified"]
VERDICTS: Final[tuple[Verdict, ...]] = get_args(Verdict)
"""From good to poor, and what cannot be told last: the levels 0 to 3 of arrays."""

Figure = Literal["packetLoss", "latency", "jitter", "frameRate", "resolutionHeight", "mos", ""]
"""Which figure decided: a column's name, "mos" for the score, "" for none."""


class StreamScore(Struct, kw_only=True):
    """The scores of one entry of a stream's array; lists have a value per interval.

    `mos` is the fullband listening MOS of audio (G.107.2) and the MOS of video and share
    (P.1203.1); `conversational` takes the delay in, `native` is on the codec's own scale; both are
    [] but for audio. `verdicts` are after hysteresis, `figures` name what decided each before it,
    `cqd` are those of Microsoft's Call Quality Dashboard. `grounded` is False where a constant is
    a guess: an unknown codec or bit rate, loss that TCP hides, video models on a screen.
    """

    mos: list[float | None] = field(default_factory=list)
    conversational: list[float | None] = field(default_factory=list)
    native: list[float | None] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    cqd: list[Verdict] = field(default_factory=list)
    grounded: bool = True
    mos_mean: float | None = None
    mos_p10: float | None = None
    verdict: Verdict = "unclassified"
    minutes: float = 0.0
    minutes_poor: float = 0.0
    minutes_fair: float = 0.0


class SessionScore(Struct, kw_only=True):
    """The scores of one participant session.

    The verdict is that of the worst active kind of stream. `because` is one phrase, "" when it is
    good or unclassified; `kind` and `figure` are the same for programs. Minutes are of the clock:
    two streams that are poor at once make one minute. `network` and `device` are 0 to 100, None
    without data. `streams` has lists parallel to the session's entries, of the kinds that it has.
    """

    version: int = VERSION
    verdict: Verdict = "unclassified"
    because: str = ""
    kind: StreamKind | Literal[""] = ""
    figure: Figure = ""
    minutes: float = 0.0
    minutes_poor: float = 0.0
    minutes_fair: float = 0.0
    streams: dict[StreamKind, list[StreamScore]] = field(default_factory=dict)
    verdicts: dict[StreamKind, Verdict] = field(default_factory=dict)
    cqd: Verdict = "unclassified"
    network: float | None = None
    device: float | None = None


class VerdictCounts(Struct, kw_only=True, frozen=True):
    """How many participant sessions have which verdict, as it is served."""

    good: int
    fair: int
    poor: int
    unclassified: int


def counts_of(counts: Mapping[Verdict, int]) -> VerdictCounts:
    """Counts by verdict as they are served."""
    return VerdictCounts(
        good=counts["good"],
        fair=counts["fair"],
        poor=counts["poor"],
        unclassified=counts["unclassified"],
    )


class PersonScore(Struct, kw_only=True):
    """One participant, who may have come several times: minutes are those of all `sessions`."""

    participant: str
    verdict: Verdict = "unclassified"
    sessions: int = 0
    minutes: float = 0.0
    minutes_poor: float = 0.0
    minutes_fair: float = 0.0


class MeetingScore(Struct, kw_only=True):
    """The scores of a meeting: its participants, and how many sessions have which verdict."""

    version: int = VERSION
    verdict: Verdict = "unclassified"
    because: str = ""
    people: list[PersonScore] = field(default_factory=list)
    counts: dict[Verdict, int] = field(default_factory=lambda: dict.fromkeys(VERDICTS, 0))
    minutes: float = 0.0
    minutes_poor: float = 0.0
    minutes_fair: float = 0.0


class Far(Struct, kw_only=True, frozen=True):
    """The other legs of a conversation: their round trip in ms, a value per `interval_s`."""

    start_ms: int
    interval_s: float
    latency_ms: list[float | None]
