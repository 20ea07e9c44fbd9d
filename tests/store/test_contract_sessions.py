"""What the protocol says about sessions and their pieces, on every engine."""

import json
import time
from typing import Any

import pytest
from msgspec import UNSET

from roomtone.errors import Conflict, TimedOut
from roomtone.model import Resources
from roomtone.store import Attendance, Store
from tests.store.support import (
    M1,
    M2,
    MINUTE,
    S1,
    S2,
    T0,
    at,
    exact,
    example,
    example_text,
    piece,
    put,
    read,
    read_one,
    seal,
    stream,
)


@pytest.mark.parametrize("sealed", [False, True])
def test_the_specifications_example_comes_out_as_it_went_in(store: Store, sealed: bool) -> None:
    put(store, example())
    if sealed:
        assert seal(store, now=0) == 1
    (session,) = read(store, meeting=example().meetingInstanceId)
    assert json.loads(exact(session)) == example_text()["items"][0]
    assert exact(session) == exact(example())


def test_pieces_come_out_once_and_whole(store: Store) -> None:
    put(store, piece(3), piece(0, 2), piece(2), piece(0, 2), piece(6))
    first, second = read_one(store).audioIn
    assert (first.startTime, first.endTime) == (at(0), at(4))
    assert first.packetLoss == [0.0, 0.01, 0.02, 0.03]
    assert (second.startTime, second.latency) == (at(6), [46])


@pytest.mark.parametrize(
    ("change", "entries"),
    [
        ({}, 1),
        ({"codec": "PCMU"}, 2),
        ({"transportType": "TCP"}, 2),
        ({"samplingInterval": 30}, 2),
        ({"startTime": at(1.5)}, 2),
        ({"codec": "", "transportType": ""}, 1),
    ],
)
def test_an_entry_ends_where_the_run_is_broken(
    store: Store, change: dict[str, Any], entries: int
) -> None:
    later = piece(None)
    later.audioIn = [stream(1, **change)]
    put(store, piece(0), later)
    assert len(read_one(store).audioIn) == entries


def test_null_never_erases_a_value_and_a_value_overwrites(store: Store) -> None:
    again = piece(None)
    again.audioIn = [stream(0, packetLoss=[None, 7, None], latency=[])]
    put(store, piece(0, 3), again)
    (entry,) = read_one(store).audioIn
    assert entry.packetLoss == [0.0, 7, 0.02]
    assert entry.latency == [40, 41, 42]


def test_missing_values_inside_a_column_are_null_and_at_its_end_absent(store: Store) -> None:
    short = piece(None)
    short.audioIn = [stream(0, packetLoss=[1, 2, 3], latency=[5])]
    rest = piece(None)
    rest.audioIn = [stream(3, packetLoss=[4, 5], latency=[8])]
    put(store, short, rest)
    (entry,) = read_one(store).audioIn
    assert entry.latency == [5, None, None, 8]
    assert entry.packetLoss == [1, 2, 3, 4, 5]
    assert entry.jitter == []


def test_header_fields_replace_and_empty_ones_change_nothing(store: Store) -> None:
    put(store, piece(webexUserName="Ann", osType="mac", joinTime=at(0), leaveTime=at(9)))
    put(store, piece(webexUserName="Ann B.", osType="", joinTime="", leaveTime=""))
    session = read_one(store)
    assert (session.webexUserName, session.osType) == ("Ann B.", "mac")
    assert (session.joinTime, session.leaveTime) == (at(0), at(9))


def test_resources_merge_by_time_or_by_position(store: Store) -> None:
    timed = Resources(startTime=at(0), samplingInterval=60, systemMaxCPU=[1])
    later = Resources(startTime=at(1), samplingInterval=60, systemMaxCPU=[2])
    untimed = Resources(processMaxCPU=[5, None, 7])
    again = Resources(processMaxCPU=[None, 6])
    put(store, piece(resources=[later, untimed]), piece(resources=[again, timed]))
    plain, merged = read_one(store).resources
    assert plain == Resources(processMaxCPU=[5, 6, 7])
    assert merged == Resources(startTime=at(0), samplingInterval=60, systemMaxCPU=[1, 2])


@pytest.mark.parametrize(
    ("first", "header", "join"),
    [
        (3.0, {"joinTime": at(2)}, at(2)),
        (3.0, {}, at(3)),
        (None, {}, at(8)),
    ],
)
def test_join_time_is_always_there(
    store: Store, first: float | None, header: dict[str, Any], join: str
) -> None:
    put(store, piece(first, **header), now=8)
    put(store, piece(None), now=9)
    assert read_one(store).joinTime == join
    seal(store, now=99)
    assert read_one(store).joinTime == join


@pytest.mark.parametrize(
    ("first", "header", "leave"),
    [
        (3.0, {"leaveTime": at(7)}, at(7)),
        (3.0, {}, at(4)),
        (3.0, {"joinTime": at(5)}, at(5)),
        (None, {}, at(8)),
    ],
)
def test_a_closed_session_has_a_leave_time(
    store: Store, first: float | None, header: dict[str, Any], leave: str
) -> None:
    put(store, piece(first, **header), now=8)
    assert read_one(store).leaveTime == header.get("leaveTime", UNSET)
    seal(store, now=99)
    assert read_one(store).leaveTime == leave


def test_late_data_reopens_a_sealed_session_and_its_meeting(store: Store) -> None:
    put(store, piece(0, 2), now=2)
    assert seal(store, now=50) == 1
    put(store, piece(2), now=51)
    session = read_one(store)
    assert session.leaveTime is UNSET
    assert session.audioIn[0].latency == [40, 41, 42]
    meeting = store.meeting("acme", M1)
    assert meeting is not None
    assert (meeting.state, meeting.end) == ("inProgress", UNSET)
    assert store.summaries("acme", from_ms=0, to_ms=1 << 45, limit=9) == []
    assert seal(store, now=51) == 0
    assert seal(store, now=56) == 1
    assert read_one(store).leaveTime == at(3)


@pytest.mark.parametrize("sealed", [False, True])
def test_what_contradicts_is_a_conflict_and_nothing_of_it_is_written(
    store: Store, sealed: bool
) -> None:
    put(store, piece(0, participantId="ann"))
    if sealed:
        seal(store, now=99)
    before = exact(read(store)), store.version("acme", M1)
    with store.transaction():
        with pytest.raises(Conflict):
            store.put_session("acme", piece(5, meeting=M2), 0)
        with pytest.raises(Conflict):
            store.put_session("acme", piece(5, participantId="bob"), 0)
    assert (exact(read(store)), store.version("acme", M1)) == before
    assert store.meeting("acme", M2) is None
    put(store, piece(1), piece(2, participantId="ann"))
    assert read_one(store).audioIn[0].latency == [40, 41, 42]


def test_a_participant_may_become_known_later(store: Store) -> None:
    put(store, piece(0), piece(1, participantId="ann"))
    with store.transaction(), pytest.raises(Conflict):
        store.put_session("acme", piece(2, participantId="bob"), 0)
    assert read_one(store).participantId == "ann"


def test_organisations_are_kept_apart(store: Store) -> None:
    put(store, piece(0, webexUserName="theirs"), org="umbrella")
    put(store, piece(1, webexUserName="ours"), piece(0, session=S2))
    assert [s.webexUserName for s in read(store)] == ["ours", ""]
    assert [s.webexUserName for s in read(store, org="umbrella")] == ["theirs"]
    assert read(store, org="nobody") == []
    assert store.organisations() == ["acme", "umbrella"]
    assert (store.counts("acme").sessions, store.counts(None).sessions) == (2, 3)


def test_sessions_come_in_order_of_first_arrival_by_page(store: Store) -> None:
    names = [f"session {n}" for n in (3, 1, 2)]
    put(store, *(piece(0, session=name) for name in names), piece(1, session=names[2]))

    def page(offset: int, limit: int) -> list[str]:
        found = store.sessions(
            "acme", M1, offset=offset, limit=limit, deadline=time.monotonic() + 9
        )
        return [session.participantSessionId for session in found]

    assert page(0, 9) == names
    assert page(1, 1) == names[1:2]
    assert page(3, 9) == []
    assert page(10**9, 9) == []


def test_a_read_after_its_deadline_times_out(store: Store) -> None:
    put(store, piece(0))
    past = time.monotonic() - 1
    with pytest.raises(TimedOut):
        store.sessions("acme", M1, offset=0, limit=9, deadline=past)
    with pytest.raises(TimedOut):
        store.participants("acme", M1, offset=0, limit=9, deadline=past)
    assert len(read(store)) == 1


def test_what_is_read_is_the_readers_own(store: Store) -> None:
    put(store, piece(0))
    read_one(store).audioIn[0].latency.append(1)
    assert read_one(store).audioIn[0].latency == [40]


def test_numbers_keep_value_and_type_sealed_or_not(store: Store) -> None:
    odd = piece(None)
    values = [0, 0.0, -0.0, 1, 1.0, 0.1, 1e-300, 1e300, 25.940001, 2**53 + 1, 2**70, None]
    odd.audioIn = [stream(0, packetLoss=[0.5, 60, 60.0], latency=[], jitter=values)]
    put(store, odd)
    want = exact(odd.audioIn[0].packetLoss), repr(odd.audioIn[0].jitter)
    for _ in range(2):
        (entry,) = read_one(store).audioIn
        assert (exact(entry.packetLoss), repr(entry.jitter)) == want
        seal(store, now=99)


def test_many_pieces_of_one_session_fold_as_few_do(store: Store) -> None:
    put(store, *(piece(n % 150) for n in range(300)))
    (entry,) = read_one(store).audioIn
    assert entry.latency == [40 + n for n in range(150)]


def test_measure_state_is_kept_until_the_session_is_sealed(store: Store) -> None:
    put(store, piece(0))
    with store.transaction():
        assert store.measure_state("acme", S1) == b""
        assert store.measure_state("acme", S2) == b""
        store.put_measure_state("acme", S1, b"\x00one")
        store.put_measure_state("acme", S1, b"\x00two")
    put(store, piece(1))
    with store.transaction():
        assert store.measure_state("acme", S1) == b"\x00two"
        assert store.measure_state("umbrella", S1) == b""
    seal(store, now=99)
    with store.transaction():
        assert store.measure_state("acme", S1) == b""


def moment(minute: float) -> int:
    return T0 + round(minute * MINUTE)


def test_open_sessions_of_a_participant_are_found_last_joined_first(store: Store) -> None:
    put(store, piece(None, participantId="P1", joinTime=at(0)), now=1)
    put(store, piece(None, session=S2, participantId="P1", joinTime=at(5)), now=6)
    put(store, piece(None, session="other", participantId="P2", joinTime=at(1)), now=6)
    put(store, piece(3, participantId="P1", leaveTime=at(4)), now=7)
    with store.transaction():
        found = store.attendances("acme", M1, "P1")
        assert store.attendances("acme", M1, "P3") == []
        assert store.attendances("acme", M2, "P1") == []
        assert store.attendances("elsewhere", M1, "P1") == []
    assert [one.session for one in found] == [S2, S1]
    assert found[0] == Attendance(S2, moment(5), None, moment(6))
    assert found[1] == Attendance(S1, moment(0), moment(4), moment(7))


def test_a_sealed_session_is_not_open_until_more_of_it_comes(store: Store) -> None:
    put(store, piece(0, participantId="P1", joinTime=at(0), leaveTime=at(2)), now=2)
    seal(store, now=3)
    with store.transaction():
        assert store.attendances("acme", M1, "P1") == []
    put(store, piece(1), now=4)
    with store.transaction():
        assert store.attendances("acme", M1, "P1") == [
            Attendance(S1, moment(0), moment(2), moment(4))
        ]
