"""The write of what was seen of a participant, and of what that tells those whom it heard."""

from collections.abc import Callable
from dataclasses import dataclass

from roomtone import detail, measure
from roomtone.ingest import mask_addresses
from roomtone.model import MediaSession
from roomtone.store import Store


def put_seen(
    org: str,
    session: MediaSession,
    seen: list[measure.Seen],
    now_ms: int,
    *,
    interval_s: float,
    drop_raw_addresses: bool,
    offset_ms: float | None = None,
    observer: detail.Observer = "client",
) -> Callable[[Store], measure.Measured]:
    """The write of what was seen of a participant: measured against what was seen before.

    What it received of others' streams is news for their sessions, which are measured anew; not
    so what an SFU tells, who counted all of them itself and names no SSRC.
    `offset_ms`: by how much its clock is behind, as this post shows.
    """
    return _SeenWrite(
        org=org,
        session=session,
        seen=seen,
        now_ms=now_ms,
        interval_s=interval_s,
        drop_raw_addresses=drop_raw_addresses,
        offset_ms=offset_ms,
        observer=observer,
    )


@dataclass(frozen=True, kw_only=True)
class _SeenWrite:
    org: str
    session: MediaSession
    seen: list[measure.Seen]
    now_ms: int
    interval_s: float
    drop_raw_addresses: bool
    offset_ms: float | None
    observer: detail.Observer

    def __call__(self, store: Store) -> measure.Measured:
        if self.observer == "sfu":
            return self._measure(store, measure.meeting.Ends())
        key = f"meeting:{self.session.meetingInstanceId}"
        ends = measure.meeting.unpack(store.source_state(self.org, key))
        measured = self._measure(store, ends)
        name = self.session.participantSessionId
        for other, span in list(ends.note(name, measured)):
            self._measure_again(store, ends, other, span)
        store.put_source_state(self.org, key, measure.meeting.pack(ends), self.now_ms)
        return measured

    def _measure(self, store: Store, ends: measure.meeting.Ends) -> measure.Measured:
        name = self.session.participantSessionId
        end = ends.of(name)
        end.sends(self.seen)
        clock = end.clock
        if self.offset_ms is not None:
            clock.hear(self.offset_ms)
        state, measured = measure.advance(
            store.measure_state(self.org, name),
            measure.meeting.moved(self.seen, clock.corrected_ms),
            interval_s=self.interval_s,
            far=ends.far(name),
            now_ms=self.now_ms,
        )
        for field_name, value in measured.header.items():
            if not getattr(self.session, field_name):
                setattr(self.session, field_name, value)
        mask_addresses(self.session, drop_raw_addresses=self.drop_raw_addresses)
        self._keep(store, self.session, state, measured, clock)
        return measured

    def _measure_again(
        self, store: Store, ends: measure.meeting.Ends, other: str, span: tuple[float, float]
    ) -> None:
        """Measure another session, of whose streams something was heard."""
        before = store.measure_state(self.org, other)
        if not before:  # it is over
            return
        state, measured = measure.advance(
            before, [], interval_s=self.interval_s, far=ends.far(other), again=span
        )
        if measured.streams:
            meeting_id = self.session.meetingInstanceId
            piece = MediaSession(meetingInstanceId=meeting_id, participantSessionId=other)
            self._keep(store, piece, state, measured, ends.ends[other].clock)

    def _keep(
        self,
        store: Store,
        piece: MediaSession,
        state: bytes,
        measured: measure.Measured,
        clock: measure.meeting.Clock,
    ) -> None:
        for kind, streams in measured.streams.items():
            setattr(piece, kind, streams)
        name = piece.participantSessionId
        store.put_session(self.org, piece, self.now_ms)
        store.put_measure_state(self.org, name, state)
        told = store.kept_detail(self.org, name)
        known = detail.unpack(told) if told else detail.Detail()
        known.add(measured, self.observer)
        if clock.offsets:
            known.offset_ms, known.corrected_ms = clock.offset_ms(), clock.corrected_ms
        store.put_detail(self.org, name, detail.pack(known))
