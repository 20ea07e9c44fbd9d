"""What SQLite's writer remembers of meetings and sessions that it met."""

from typing import Final

from msgspec import UNSET, Struct

from roomtone.errors import Conflict
from roomtone.model import STREAM_KINDS, MediaSession, sample_count
from roomtone.store.records import MeetingRecord
from roomtone.store.size import Size
from roomtone.store.sqlite_rows import participant_hash
from roomtone.store.timeline import time_ms, time_text

_AFTER_ALL_TIMES: Final = "~"  # sorts behind every digit


class KnownMeeting(Struct):
    """A meeting as the writer remembers it."""

    key: int
    record: MeetingRecord


class KnownSession(Struct):
    """A session as the writer remembers it; `pieces` is the number of its next live row.

    Its weight (size.py) is at most `weight_max`, estimates added up. Once that is over the bound,
    its size is at most `size`, and just that if it was `counted` since the last piece.
    """

    key: int
    meeting: str
    created_ms: int
    pieces: int = 0
    sealed: bool = False
    has_block: bool = False
    weight_max: int = 0
    size: Size | None = None
    counted: bool = False
    participant: bytes = b""
    join_sent_ms: int | None = None
    first_ms: int | None = None
    first_text: str = _AFTER_ALL_TIMES
    left_ms: int | None = None

    @property
    def join_ms(self) -> int:
        """As sent, else the first sample's start, else the first arrival."""
        if self.join_sent_ms is not None:
            return self.join_sent_ms
        return self.created_ms if self.first_ms is None else self.first_ms


def refuse_contradiction(known: KnownSession, session: MediaSession) -> None:
    """Conflict when a piece is of another meeting or person."""
    if known.meeting != session.meetingInstanceId:
        raise Conflict("the session is in another meeting")
    if known.participant and participant_hash(session.participantId) not in (
        b"",
        known.participant,
    ):
        raise Conflict("the session belongs to another participantId")


def set_times(known: KnownSession, join_sent_ms: int | None, first_ms: int | None) -> None:
    """Put in when the session began."""
    known.join_sent_ms = join_sent_ms
    known.first_ms = first_ms
    known.first_text = _AFTER_ALL_TIMES if first_ms is None else time_text(first_ms)


def take_header(known: KnownSession, session: MediaSession) -> bool:
    """Note what a piece says about the session's row; return whether that is anything new."""
    before = (known.join_sent_ms, known.left_ms, known.participant, known.first_text)
    if session.joinTime is not UNSET and session.joinTime:
        known.join_sent_ms = time_ms(session.joinTime)
    if session.leaveTime is not UNSET and session.leaveTime:
        known.left_ms = time_ms(session.leaveTime)
    known.participant = participant_hash(session.participantId) or known.participant
    for kind in STREAM_KINDS:
        for entry in getattr(session, kind):
            # times are canonical, so they compare as text; most pieces continue and stop here
            if entry.startTime < known.first_text and sample_count(entry):
                set_times(known, known.join_sent_ms, time_ms(entry.startTime))
    return before != (known.join_sent_ms, known.left_ms, known.participant, known.first_text)
