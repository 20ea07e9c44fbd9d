"""What the protocol says about meetings, their life, participants, tokens, transactions."""

import json
import time
from typing import Any

import pytest
from msgspec import UNSET, structs

from roomtone.errors import Gone, TimedOut
from roomtone.model import Meeting, MeetingState, iso_s
from roomtone.store import TOKEN_KEPT_MS, Counts, MeetingQuery, Store, Token
from tests.store.support import (
    M1,
    M2,
    MINUTE,
    S1,
    S2,
    T0,
    announce,
    at,
    everything,
    piece,
    put,
    read,
    read_one,
    seal,
    soon,
    stream,
)


def meeting(store: Store, name: str = M1, org: str = "acme") -> Meeting:
    found = store.meeting(org, name)
    assert found is not None
    return found


def clock(minute: float) -> str:
    return iso_s(T0 + round(minute * MINUTE))


def test_an_unknown_meeting_is_none_and_has_version_0(store: Store) -> None:
    assert store.meeting("acme", M1) is None
    assert store.version("acme", M1) == 0
    assert read(store) == []
    assert store.participants("acme", M1, offset=0, limit=9, deadline=soon()) == []


def test_an_announcement_changes_only_what_was_sent(store: Store) -> None:
    announce(store, title="Weekly", hostEmail="ann@example.com", start=at(5), siteUrl="s")
    announce(store, now=1, title="Daily", hostEmail="")
    found = meeting(store)
    assert (found.title, found.hostEmail, found.siteUrl) == ("Daily", "", "s")
    assert (found.state, found.start, found.timezone) == ("scheduled", clock(5), "UTC")


def test_telemetry_creates_the_meeting_and_starts_it(store: Store) -> None:
    put(store, piece(3), now=4)
    assert meeting(store) == Meeting(id=M1, title="", state="inProgress", start=clock(3))
    put(store, piece(1, session=S2), now=4)
    assert meeting(store).start == clock(1)
    put(store, piece(None, session=S2, joinTime=at(2.5)), now=4)
    assert meeting(store).start == clock(2.5)
    announce(store, now=5, start=at(0.5))
    assert meeting(store).start == clock(0.5)


@pytest.mark.parametrize(
    ("news", "pieces", "now", "state", "end"),
    [
        ({"start": at(30)}, [], 29, "scheduled", None),
        ({"start": at(30)}, [], 30, "inProgress", None),
        ({"start": at(30)}, [], 35, "ended", 30),
        ({"start": at(30), "end": at(32)}, [], 35, "ended", 32),
        ({}, [], 4.9, "inProgress", None),
        ({}, [], 5, "ended", 0),
        ({}, [piece(0)], 4.9, "inProgress", None),
        ({}, [piece(0)], 5, "ended", 1),
        ({}, [piece(0, leaveTime=at(2))], 3, "inProgress", None),
        ({"end": at(4)}, [piece(0)], 5, "ended", 4),
        ({"end": at(40)}, [piece(0)], 5, "ended", 1),
    ],
)
def test_time_moves_a_meeting_on(
    store: Store,
    news: dict[str, Any],
    pieces: list[Any],
    now: float,
    state: MeetingState,
    end: float | None,
) -> None:
    announce(store, **news)
    put(store, *pieces)
    seal(store, now=now)
    found = meeting(store)
    assert (found.state, found.end) == (state, UNSET if end is None else clock(end))


@pytest.mark.parametrize(
    ("news", "header", "now", "due"),
    [
        ({}, {"leaveTime": at(2)}, 1.9, 0),
        ({}, {"leaveTime": at(2)}, 2, 1),
        ({"end": at(2)}, {}, 1.9, 0),
        ({"end": at(2)}, {}, 2, 1),
        ({}, {}, 4.9, 0),
        ({}, {}, 5, 1),
    ],
)
def test_sessions_are_sealed_when_they_are_due(
    store: Store, news: dict[str, Any], header: dict[str, Any], now: float, due: int
) -> None:
    announce(store, **news)
    put(store, piece(0, **header))
    assert seal(store, now=now) == due
    assert store.counts("acme") == Counts(meetings=1, sessions=1, sealed=due, live=1 - due)
    assert seal(store, now=now) == 0


def test_sealing_goes_in_steps(store: Store) -> None:
    put(store, *(piece(0, session=f"s{n}") for n in range(5)))
    assert [seal(store, now=99, limit=2) for _ in range(4)] == [2, 2, 1, 0]


def test_an_ended_meeting_is_amended_without_being_reopened(store: Store) -> None:
    put(store, piece(0))
    seal(store, now=9)
    announce(store, now=10, title="Known at last", end=at(8))
    found = meeting(store)
    assert (found.state, found.title, found.end) == ("ended", "Known at last", clock(8))


def test_versions_grow_with_every_change(store: Store) -> None:
    seen = [0]

    def grown() -> bool:
        seen.append(store.version("acme", M1))
        return seen[-1] > seen[-2]

    announce(store)
    assert grown()
    put(store, piece(0, webexUserEmail="ann@example.com"))
    assert grown()
    put(store, piece(1), now=1)
    assert grown()
    seal(store, now=9)
    assert grown()
    put(store, piece(2), now=10)
    assert grown()
    with store.transaction():
        store.erase("acme", "ann@example.com")
    assert grown()
    put(store, piece(0, meeting=M2, session=S2))
    put(store, piece(3), org="umbrella")
    seal(store, now=10)
    assert not grown()


def test_meetings_come_newest_first_by_page(store: Store) -> None:
    for name, start in (("b", 1), ("a", 1), ("c", 2), ("d", 90)):
        announce(store, now=3, id=name, start=at(start), hostEmail="Ann@example.com", siteUrl=name)
    announce(store, org="umbrella", id="theirs", start=at(1))

    def ids(**fields: Any) -> list[str]:
        base = {"from_ms": T0, "to_ms": T0 + 60 * MINUTE, "host_email": "ann@EXAMPLE.com"}
        query = MeetingQuery(**{**base, **fields})
        return [found.id for found in store.meetings("acme", query, deadline=soon())]

    assert ids() == ["c", "a", "b"]
    assert ids(limit=1) == ["c"]
    assert ids(offset=1, limit=5) == ["a", "b"]
    assert ids(from_ms=T0 + 2 * MINUTE) == ["c"]
    assert ids(to_ms=T0 + 2 * MINUTE) == ["a", "b"]
    assert ids(site_url="a") == ["a"]
    assert ids(host_email="bob@example.com") == []
    assert ids(to_ms=T0 + 99 * MINUTE, states=frozenset({"scheduled"})) == ["d"]
    assert ids(states=frozenset({"ended"})) == []
    with pytest.raises(TimedOut):
        store.meetings("acme", everything(), deadline=time.monotonic() - 1)


def test_participants_are_folded_from_their_sessions(store: Store) -> None:
    announce(store, hostEmail="ANN@example.com", siteUrl="site")
    ann: dict[str, Any] = {"participantId": "ann", "webexUserEmail": "ann@example.com"}
    put(
        store,
        piece(0, 2, session="s1", webexUserName="Ann", clientType="SIP", **ann),
        piece(1, session="s2", joinTime=at(1), leaveTime=at(3), osType="mac"),
        piece(5, session="s3", webexUserName="Ann B.", leaveTime=at(9), **ann),
    )
    first, second = store.participants("acme", M1, offset=0, limit=9, deadline=soon())
    assert (first.id, first.host, first.displayName, first.state) == (
        "ann",
        True,
        "Ann B.",
        "joined",
    )
    assert (first.joinedTime, first.leftTime, first.orgId) == (clock(0), UNSET, "acme")
    assert [device.correlationId for device in first.devices] == ["s1", "s3"]
    assert [device.durationSecond for device in first.devices] == [120, 240]
    assert [device.deviceType for device in first.devices] == ["SIP", "unknown"]
    assert (second.id, second.host, second.state) == ("s2", False, "end")
    assert (second.leftTime, second.devices[0].deviceType) == (clock(3), "mac")
    seal(store, now=99)
    first, _ = store.participants("acme", M1, offset=0, limit=9, deadline=soon())
    assert (first.state, first.leftTime) == ("end", clock(9))
    page = store.participants("acme", M1, offset=1, limit=1, deadline=soon())
    assert [person.id for person in page] == ["s2"]


def test_summaries_tell_of_sealed_sessions(store: Store) -> None:
    one = piece(None, joinTime=at(0), leaveTime=at(5))
    one.audioIn = [stream(0, packetLoss=[1, None, 2], latency=[10, 20.5], jitter=[])]
    one.videoOut = [stream(0, packetLoss=[2], latency=[])]
    put(store, one, piece(1, session=S2))
    put(store, piece(None, session="empty", leaveTime=at(1)), now=2)
    seal(store, now=6)
    first, second, third = store.summaries("acme", from_ms=T0, to_ms=T0 + MINUTE * 9, limit=9)
    assert (first.meeting, first.session, first.samples) == (M1, S1, 4)
    assert (first.join_ms, first.leave_ms) == (T0, T0 + 5 * MINUTE)
    assert (first.packet_loss_mean, first.packet_loss_max) == (1.667, 2)
    assert (first.latency_mean, first.latency_max) == (15.25, 20.5)
    assert (first.jitter_mean, first.jitter_max) == (None, None)
    assert (second.session, third.samples, third.latency_mean) == (S2, 0, None)
    assert store.summaries("acme", from_ms=T0 + 1, to_ms=T0 + MINUTE + 1, limit=9) == [second]
    assert store.summaries("acme", from_ms=T0, to_ms=1 << 90, limit=1) == [first]
    assert store.summaries("umbrella", from_ms=0, to_ms=1 << 45, limit=9) == []


def test_retention_removes_ended_meetings_and_remembers_their_ids(store: Store) -> None:
    put(store, piece(0), piece(0, meeting=M2, session=S2))
    put(store, piece(0, meeting="theirs"), org="umbrella")
    seal(store, now=9)
    put(store, piece(1, meeting=M2, session=S2), now=10)
    with store.transaction():
        assert store.purge("acme", before_ms=T0 + MINUTE, limit=9) == 0
        assert store.purge("acme", before_ms=T0 + MINUTE + 1, limit=9) == 1
    for call in (
        lambda: store.meeting("acme", M1),
        lambda: store.version("acme", M1),
        lambda: read(store),
        lambda: store.participants("acme", M1, offset=0, limit=9, deadline=soon()),
        lambda: put(store, piece(0)),
        lambda: announce(store, title="again"),
    ):
        with pytest.raises(Gone):
            call()
    assert store.counts(None) == Counts(meetings=2, sessions=2, sealed=1, live=1)
    assert meeting(store, "theirs", "umbrella").state == "ended"
    assert [s.session for s in store.summaries("acme", from_ms=0, to_ms=1 << 45, limit=9)] == []
    put(store, piece(0, meeting="other"), org="acme")
    assert read_one(store, meeting="other").participantSessionId == S1


def test_retention_of_all_organisations_goes_in_steps(store: Store) -> None:
    for org in ("acme", "umbrella"):
        put(store, piece(0), piece(0, meeting=M2, session=S2), org=org)
    seal(store, now=9)
    removed = []
    for _ in range(4):
        with store.transaction():
            removed.append(store.purge(None, before_ms=1 << 45, limit=3))
    assert removed == [3, 1, 0, 0]
    assert store.organisations() == []


def test_erasing_a_person_leaves_the_metrics(store: Store) -> None:
    named: dict[str, Any] = {
        "webexUserName": "Ann",
        "webexUserEmail": "Ann@Example.com",
        "localIP": "10.0.0.7",
        "maskedLocalIP": "10.0.0.0",
        "publicIP": "203.0.113.9",
        "camera": "Ann's camera",
        "participantId": "p1",
    }
    announce(store, hostEmail="ann@example.com", hostDisplayName="Ann", hostUserId="u")
    put(store, piece(0, **named), piece(0, meeting=M2, session="theirs", webexUserName="Bob"))
    seal(store, now=9)
    put(store, piece(3, session=S2, **named), piece(4, session=S2), now=10)
    put(store, piece(0, **named), org="umbrella")
    with store.transaction():
        assert store.erase("acme", "ANN@example.COM") == 3
        assert store.erase("acme", "ann@example.com") == 0
        assert store.erase("acme", "") == 0
    for session in read(store):
        assert (session.webexUserName, session.webexUserEmail, session.camera) == ("", "", "")
        assert (session.localIP, session.publicIP) == ("", "")
        assert (session.maskedLocalIP, session.participantId) == ("10.0.0.0", "p1")
        assert session.audioIn[0].latency
    found = meeting(store)
    assert (found.hostEmail, found.hostDisplayName, found.hostUserId) == ("", "", "")
    assert read_one(store, meeting=M2).webexUserName == "Bob"
    assert read_one(store, org="umbrella").webexUserName == "Ann"
    assert len(store.summaries("acme", from_ms=0, to_ms=1 << 45, limit=9)) == 2


def token(number: int, **fields: Any) -> Token:
    base: dict[str, Any] = {
        "hash": bytes([number]) * 32,
        "org": "acme",
        "kind": "access",
        "scopes": frozenset({"analytics:read_all", "telemetry:write"}),
        "created_ms": T0 - number,
    }
    return Token(**{**base, **fields})


def test_tokens_are_found_by_hash_and_listed_by_age(store: Store) -> None:
    one, two = token(1), token(2, kind="refresh", client_id="c", client_secret_hash=b"\x00s")
    collector = token(3, kind="collector", meeting=M1, participant=b'{"a":1}', expires_ms=T0)
    theirs = token(4, org="umbrella", label="theirs")
    with store.transaction():
        for each in (one, two, collector, theirs):
            store.put_token(each)
        assert store.token(one.hash) is None
    assert [store.token(t.hash) for t in (one, two, collector)] == [one, two, collector]
    assert store.token(b"?" * 32) is None
    assert store.tokens("acme") == [two, one]
    assert store.organisations() == ["acme", "umbrella"]
    renamed = structs.replace(one, label="renamed")
    with store.transaction():
        store.put_token(renamed)
    assert store.tokens("acme") == [two, renamed]


KINDS = {
    "access": {},
    "collector": {"meeting": M1, "participant": b'{"webexUserName":"Ann"}'},
    "refresh": {"client_id": "c", "client_secret_hash": b"s"},
}


@pytest.mark.parametrize("kind", KINDS)
def test_tokens_are_removed_a_day_after_they_expired_a_few_at_a_time(
    store: Store, kind: str
) -> None:
    bound = {"kind": kind, **KINDS[kind]}
    old = token(1, **bound, expires_ms=T0)
    older = token(2, **bound, expires_ms=T0 - 1)
    young = token(3, **bound, expires_ms=T0 + 1)
    eternal = token(4, **bound, revoked_ms=T0)
    day = TOKEN_KEPT_MS / MINUTE
    with store.transaction():
        for each in (old, older, young, eternal):
            store.put_token(each)
    seal(store, now=day - 1)
    assert store.token(older.hash) == older
    seal(store, now=day, limit=1)
    assert [store.token(t.hash) for t in (old, older)] == [old, None]
    seal(store, now=day)
    assert [store.token(t.hash) for t in (old, young, eternal)] == [None, young, eternal]


@pytest.mark.parametrize(
    ("named", "theirs"),
    [
        ("ann@example.com", True),
        ("ANN@Example.com", True),
        ("for 'ann@example.com'.", True),
        ("to=ann@example.com", True),
        ("Ann <ann@example.com>", True),
        ("joann@example.com", False),
        ("jo.ann@example.com", False),
        ("jo+ann@example.com", False),
        ("ann@example.com.au", False),
        ("ann@example.community", False),
    ],
)
def test_erasing_clears_a_persons_tokens_and_not_those_of_one_with_a_longer_e_mail(
    store: Store, named: str, theirs: bool
) -> None:
    who = json.dumps({"participantId": "P", "webexUserName": "Jo", "webexUserEmail": named})
    one = token(1, label=named)
    two = token(2, kind="collector", participant=who.encode())
    with store.transaction():
        store.put_token(one)
        store.put_token(two)
        store.erase("acme", "ann@example.com")
    left, bound = store.token(one.hash), store.token(two.hash)
    assert left is not None
    assert bound is not None
    assert left.label == ("" if theirs else named)
    assert json.loads(bound.participant) == ({"participantId": "P"} if theirs else json.loads(who))


def test_revoking_counts_the_tokens_that_were_valid(store: Store) -> None:
    with store.transaction():
        for each in (token(0xA1), token(0xA2, expires_ms=T0), token(0xB1), token(0xA3, org="x")):
            store.put_token(each)
    revoked = []
    for prefix in ("A", "a", "b1b1", "%", ""):
        with store.transaction():
            revoked.append(store.revoke_token("acme", prefix, T0))
    assert revoked == [1, 0, 1, 0, 0]
    found = store.token(token(0xA1).hash)
    assert found is not None
    assert found.revoked_ms == T0


def test_a_failed_transaction_leaves_nothing_and_a_failed_savepoint_only_the_rest(
    store: Store,
) -> None:
    put(store, piece(0))
    with pytest.raises(ZeroDivisionError), store.transaction():  # noqa: PT012
        store.put_session("acme", piece(1), T0)
        store.put_session("new", piece(1, meeting=M2), T0)
        raise ZeroDivisionError
    assert read_one(store).audioIn[0].latency == [40]
    assert store.organisations() == ["acme"]
    with store.transaction():
        store.put_session("acme", piece(1), T0)
        with pytest.raises(ZeroDivisionError), store.transaction():  # noqa: PT012
            store.put_session("acme", piece(2, joinTime=at(-9)), T0)
            store.put_session("acme", piece(2, session=S2), T0)
            store.put_session("new", piece(1, meeting=M2), T0)
            raise ZeroDivisionError
        with store.transaction():
            store.put_session("acme", piece(3), T0)
        assert read_one(store).audioIn[0].latency == [40]
    assert [entry.latency for entry in read_one(store).audioIn] == [[40, 41], [43]]
    assert meeting(store).start == clock(0)
    put(store, piece(5), org="new")
    assert read_one(store, org="new").audioIn[0].latency == [45]


def test_a_sound_store_has_nothing_to_complain_of(store: Store) -> None:
    put(store, piece(0), piece(1, session=S2))
    seal(store, now=9)
    put(store, piece(4), now=9)
    assert store.check() == []
    store.ping()
