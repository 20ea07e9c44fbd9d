"""Settings and scores in the store that forgets."""

# ruff: noqa: D102 the protocol `Store` says what each call does

import time

import numpy as np

from roomtone.errors import TimedOut, TooLarge
from roomtone.fleet.sessions import RECORD, FleetQuery, Sessions
from roomtone.store.fleet_rows import record_of, sessions_of, values_in
from roomtone.store.memory_state import MemoryState, OrgState
from roomtone.store.records import meeting_of, order, wanted
from roomtone.store.verdicts import JudgedMeeting, Scores, Stale, VerdictQuery


def watch(deadline: float) -> None:
    """TimedOut after the deadline."""
    if time.monotonic() > deadline:
        raise TimedOut("the read ran over its time limit")


class MemoryVerdicts:
    """What organisations have chosen, and the rows of scores."""

    def __init__(self) -> None:
        self._committed = MemoryState()
        self._open: list[MemoryState] = []

    def _org(self, name: str) -> OrgState:
        assert self._open, "a writing call outside transaction()"
        return self._open[-1].orgs.setdefault(name, OrgState())

    def _data(self, org: str) -> OrgState:
        return self._committed.orgs.get(org) or OrgState()

    def _chosen(self, org: str | None) -> dict[str, OrgState]:
        return self._committed.orgs if org is None else {org: self._data(org)}

    # -- writing

    def put_setting(self, org: str, name: str, value: bytes) -> None:
        data = self._org(org)
        if data.settings.get(name, b"") != value:
            data.settings[name] = value
            data.revision += 1

    def put_scores(self, org: str, meeting_id: str, scores: Scores) -> bool:
        record = self._org(org).meetings.get(meeting_id)
        changed = (org, meeting_id) in self._open[-1].changed
        if record is None or changed or record.version != scores.version:
            return False
        self._org(org).scores[meeting_id] = scores
        return True

    def settle_fleet(self) -> int:
        return 0

    def _forget_changed_scores(self, org: str) -> None:
        """Forget rows that may tell what no read of their meeting tells any more."""
        data = self._org(org)
        for name, kept in list(data.scores.items()):
            changed = (org, name) in self._open[-1].changed
            if changed or kept.version != data.meetings[name].version:
                del data.scores[name]

    # -- reading

    def setting(self, org: str, name: str) -> bytes:
        return self._data(org).settings.get(name, b"")

    def revision(self, org: str) -> int:
        return self._data(org).revision

    def stale(self, org: str | None, *, model: int, limit: int) -> list[Stale]:
        without: list[Stale] = []
        others: list[Stale] = []
        for name, data in self._chosen(org).items():
            for record in reversed(data.meetings.values()):
                if data.is_stale(record, model):
                    kept = data.scores.get(record.id)
                    valid = kept is not None and kept.version == record.version
                    one = Stale(name, record.id, record.version)
                    (others if valid else without).append(one)
        return [*without, *others][:limit]

    def stale_count(self, org: str | None, *, model: int) -> int:
        return sum(
            data.is_stale(record, model)
            for data in self._chosen(org).values()
            for record in data.meetings.values()
        )

    def judged(self, org: str, query: VerdictQuery, *, deadline: float) -> list[JudgedMeeting]:
        watch(deadline)
        data = self._data(org)
        found = []
        for record in data.meetings.values():
            kept = data.scores.get(record.id)
            row = None if kept is None else kept.meeting
            verdict = None if row is None else row.verdict
            if wanted(record, verdict, "" if kept is None else kept.words, query):
                found.append((order(record, row, worst=query.worst), record, row))
        found.sort(key=lambda one: one[0])
        page = found[query.offset : query.offset + query.limit]
        return [JudgedMeeting(meeting_of(record), row) for _, record, row in page]

    def fleet(self, org: str, query: FleetQuery, *, deadline: float) -> Sessions:
        watch(deadline)
        meetings = [kept.sessions for kept in self._data(org).scores.values()]
        rows = [row for sessions in meetings for row in sessions]
        if len(rows) > query.sessions_max:
            raise TooLarge(f"There are more than {query.sessions_max:,} sessions.")
        code_of = {value: code for code, value in enumerate(sorted(values_in(rows)), start=1)}
        records = np.array([record_of(row, code_of) for row in rows], RECORD)
        return sessions_of(
            query,
            [len(sessions) for sessions in meetings],
            {name: [records[name]] for name in query.columns},
            lambda wanted: {code: text for (name, text), code in code_of.items() if name == wanted},
        )
