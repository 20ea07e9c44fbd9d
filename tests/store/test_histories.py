"""Random histories, told to SQLite and to memory at once: both must answer the same."""

import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from roomtone.errors import Conflict, Gone
from roomtone.fleet.sessions import FleetQuery
from roomtone.model import MediaSession, MeetingNews, Resources
from roomtone.store import Store, open_store
from tests.store.support import (
    MINUTE,
    T0,
    at,
    everything,
    exact,
    scores,
    session_row,
    soon,
    stream,
    whole_time,
)

ORGS = ("acme", "umbrella")
MEETINGS = ("m1", "m2")
SESSIONS = ("3324C9D0-9EA7-45A2-B249-5B62A384AFEF", "s2", "s3")
EMAILS = ("", "ann@example.com", "Ann@Example.com", "bob@example.com")

orgs = st.sampled_from(ORGS)
minutes = st.integers(0, 20)
times = st.one_of(st.just(""), minutes.map(at))
values = st.lists(st.sampled_from([None, 0, 1, 0.5, 33.25]), max_size=3)


@st.composite
def pieces(draw: Any) -> MediaSession:
    """A piece of one of few sessions in one of few meetings, often a contradiction."""
    name = draw(st.sampled_from(SESSIONS))
    made = MediaSession(
        meetingInstanceId=MEETINGS[SESSIONS.index(name) % 2],
        participantSessionId=name,
        webexUserEmail=draw(st.sampled_from(EMAILS)),
        webexUserName=draw(st.sampled_from(["", "Ann", "Bob"])),
        participantId=draw(st.sampled_from(["", "", "p1", "p2"])),
        camera=draw(st.sampled_from(["", "a camera"])),
        joinTime=draw(times),
        leaveTime=draw(times),
    )
    if draw(st.integers(0, 9)) == 0:
        made.meetingInstanceId = draw(st.sampled_from(MEETINGS))
    for kind in draw(st.sets(st.sampled_from(["audioIn", "videoOut"]))):
        entry = stream(
            draw(minutes),
            packetLoss=draw(values),
            latency=draw(values),
            codec=draw(st.sampled_from(["", "opus", "opus", "PCMU"])),
        )
        setattr(made, kind, [entry])
    if draw(st.booleans()):
        made.resources = [Resources(systemMaxCPU=draw(values))]
    return made


@st.composite
def announcements(draw: Any) -> MeetingNews:
    fields: dict[str, Any] = {"id": draw(st.sampled_from(MEETINGS))}
    for name, choice in (
        ("title", st.sampled_from(["", "Weekly"])),
        ("start", times),
        ("end", times),
        ("hostEmail", st.sampled_from(EMAILS)),
    ):
        if draw(st.booleans()):
            fields[name] = draw(choice)
    return MeetingNews(**fields)


class Broken(Exception):
    """Thrown into transactions to undo them."""


class Histories(RuleBasedStateMachine):
    """Every rule is one commit, or one that fails."""

    @initialize()
    def open(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="roomtone-history-"))
        self.stores: list[Store] = [open_store(":memory:"), open_store(self.folder)]
        self.now = T0

    def teardown(self) -> None:
        for store in self.stores:
            store.close()
        shutil.rmtree(self.folder)

    def both(self, call: Any) -> None:
        """Tell both engines; they must give the same answer or the same refusal."""
        answers = []
        for store in self.stores:
            try:
                answers.append(exact(call(store)))
            except (Conflict, Gone) as error:
                answers.append(type(error).__name__)
        assert answers[0] == answers[1]

    def write(self, call: Any) -> None:
        def commit(store: Store) -> Any:
            with store.transaction():
                return call(store)

        self.both(commit)

    @rule(minutes=st.integers(0, 6))
    def time_passes(self, minutes: int) -> None:
        self.now += minutes * MINUTE

    @rule(org=orgs, found=st.lists(pieces(), min_size=1, max_size=4), fails=st.booleans())
    def put(self, org: str, found: list[MediaSession], fails: bool) -> None:
        def call(store: Store) -> list[str]:
            told = []
            for piece in found:
                try:
                    store.put_session(org, piece, self.now)
                except (Conflict, Gone) as error:
                    told.append(type(error).__name__)
            try:
                with store.transaction():
                    store.put_session(org, found[0], self.now + 1)
                    store.put_meeting("new", MeetingNews(id="m"), self.now)
                    if fails:
                        raise Broken
            except (Broken, Conflict, Gone) as error:
                told.append(type(error).__name__)
            return told

        self.write(call)

    @rule(org=orgs, found=pieces())
    def put_in_vain(self, org: str, found: MediaSession) -> None:
        def call(store: Store) -> None:
            try:
                with store.transaction():
                    store.put_session(org, found, self.now)
                    store.seal(self.now + MINUTE, silence_ms=0, limit=99)
                    store.erase(org, "ann@example.com")
                    store.purge(None, before_ms=self.now, limit=99)
                    raise Broken
            except Broken:
                pass

        self.both(call)

    @rule(org=orgs, news=announcements())
    def announce(self, org: str, news: MeetingNews) -> None:
        self.write(lambda store: store.put_meeting(org, news, self.now))

    @rule()
    def seal(self) -> None:
        self.write(lambda store: store.seal(self.now, silence_ms=3 * MINUTE, limit=99))

    @rule(org=st.one_of(st.none(), orgs), age=minutes)
    def purge(self, org: str | None, age: int) -> None:
        before = self.now - age * MINUTE
        self.write(lambda store: store.purge(org, before_ms=before, limit=99))

    @rule(org=orgs, email=st.sampled_from(EMAILS))
    def erase(self, org: str, email: str) -> None:
        self.write(lambda store: store.erase(org, email))

    @rule(org=orgs, name=st.sampled_from(SESSIONS), state=st.binary(max_size=4))
    def keep_state(self, org: str, name: str, state: bytes) -> None:
        def call(store: Store) -> str:
            known = any(
                session.participantSessionId == name
                for meeting in MEETINGS
                for session in _read(store, org, meeting)
            )
            if known:
                store.put_measure_state(org, name, state)
            return store.measure_state(org, name).hex()

        self.write(call)

    @rule(org=orgs, value=st.sampled_from([b"", b"1", b"2"]))
    def choose(self, org: str, value: bytes) -> None:
        self.write(lambda store: store.put_setting(org, "thresholds", value))

    @rule(org=st.one_of(st.none(), orgs), limit=st.integers(1, 4))
    def score(self, org: str | None, limit: int) -> None:
        def call(store: Store) -> list[Any]:
            found = store.stale(org, model=1, limit=limit)
            for one in found:
                made = scores(
                    one.version,
                    revision=store.revision(one.org),
                    words=one.meeting,
                    sessions=[session_row()],
                )
                assert store.put_scores(one.org, one.meeting, made)
            return [(one.org, one.meeting) for one in found]

        if org is not None or limit == 4:  # the order of organisations is nobody's promise
            self.write(lambda store: sorted(call(store)))

    @rule()
    def reopen(self) -> None:
        self.stores[1].close()
        self.stores[1] = open_store(self.folder)

    @rule()
    def another_process_writes(self) -> None:
        store = open_store(self.folder)
        # Gone: retention may have removed it, in both
        with suppress(Gone), store.transaction():
            store.put_meeting("elsewhere", MeetingNews(id="m", title=""), T0)
        store.close()
        with suppress(Gone), self.stores[0].transaction():
            self.stores[0].put_meeting("elsewhere", MeetingNews(id="m", title=""), T0)

    @invariant()
    def they_answer_the_same(self) -> None:
        if not hasattr(self, "stores"):
            return
        for org in ORGS:
            for meeting in MEETINGS:
                self._same_meeting(org, meeting)
            self.both(lambda store, org=org: store.meetings(org, everything(), deadline=soon()))
            self.both(lambda store, org=org: _summaries(store, org))
            self.both(lambda store, org=org: _scores(store, org))
        self.both(lambda store: [store.counts(None), store.organisations()])

    def _same_meeting(self, org: str, meeting: str) -> None:
        self.both(lambda store: store.meeting(org, meeting))
        self.both(lambda store: bool(store.version(org, meeting)))
        self.both(lambda store: _read(store, org, meeting))
        self.both(
            lambda store: store.participants(org, meeting, offset=0, limit=9, deadline=soon())
        )


def _read(store: Store, org: str, meeting: str) -> list[MediaSession]:
    try:
        return store.sessions(org, meeting, offset=0, limit=9, deadline=soon())
    except Gone:
        return []


def _summaries(store: Store, org: str) -> Any:
    found = store.summaries(org, from_ms=0, to_ms=1 << 45, limit=9)
    return sorted(found, key=lambda summary: summary.session)


def _scores(store: Store, org: str) -> list[Any]:
    found = store.judged(org, whole_time(), deadline=soon())
    query = FleetQuery(from_ms=0, to_ms=1 << 45)
    rows = len(store.fleet(org, query, deadline=soon()))
    counts = [store.stale_count(one, model=model) for one in (org, None) for model in (1, 2)]
    return [found, rows, counts, store.setting(org, "thresholds"), store.revision(org)]


TestHistories = Histories.TestCase
TestHistories.settings = settings(
    max_examples=40,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
