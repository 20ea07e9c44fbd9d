"""Settings, rows of scores and what is stale; the same in every engine."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from roomtone.errors import Gone
from roomtone.fleet.sessions import FleetQuery
from roomtone.score import Verdict
from roomtone.store import Store, open_store, sqlite_verdicts
from roomtone.store.verdicts import FindingRow, JudgedMeeting, VerdictQuery
from tests.store.support import (
    M1,
    M2,
    MINUTE,
    S1,
    S2,
    T0,
    announce,
    piece,
    put,
    read,
    scores,
    seal,
    session_row,
    soon,
    whole_time,
)

ADA: dict[str, Any] = {"webexUserEmail": "ada@example.com", "webexUserName": "Ada"}
FINDING = FindingRow(family="uplink", session=S1, confidence=0.9, text="Ada's own way loses 8 %")


def choose(store: Store, value: bytes, *, org: str = "acme", name: str = "thresholds") -> None:
    with store.transaction():
        store.put_setting(org, name, value)


def keep(store: Store, verdict: Verdict = "good", *, meeting: str = M1, **made: Any) -> bool:
    """Put rows made of the meeting as it is now."""
    made = {"revision": store.revision("acme"), **made}
    version = made.pop("version", None) or store.version("acme", meeting)
    with store.transaction():
        return store.put_scores("acme", meeting, scores(version, verdict, **made))


def stale(store: Store, org: str | None = "acme", *, model: int = 1, limit: int = 9) -> list[str]:
    found = store.stale(org, model=model, limit=limit)
    assert all(store.version(one.org, one.meeting) == one.version for one in found)
    return [one.meeting for one in found]


def found(store: Store, **wanted: Any) -> list[JudgedMeeting]:
    return store.judged("acme", whole_time(**wanted), deadline=soon())


def ended(store: Store, *, org: str = "acme", meeting: str = M1, session: str = S1) -> None:
    """A meeting that is over."""
    put(store, piece(0, session=session, meeting=meeting, **ADA), org=org)
    seal(store, now=20)
    seal(store, now=40)


def sessions_of(store: Store) -> int:
    """How many sessions have rows."""
    query = FleetQuery(from_ms=0, to_ms=1 << 45)
    return len(store.fleet("acme", query, deadline=soon()))


# -- settings


def test_a_setting_is_one_organisations_and_stays_until_it_is_removed(store: Store) -> None:
    assert (store.setting("acme", "thresholds"), store.revision("acme")) == (b"", 0)
    choose(store, b"one")
    choose(store, b"two")
    choose(store, b"csv", name="sites")
    assert store.setting("acme", "thresholds") == b"two"
    assert store.setting("acme", "sites") == b"csv"
    assert (store.setting("zeta", "thresholds"), store.revision("zeta")) == (b"", 0)
    choose(store, b"")
    assert store.setting("acme", "thresholds") == b""


def test_the_revision_grows_with_each_change_and_only_with_one(store: Store) -> None:
    seen = []
    for name, value in (
        ("thresholds", b""),
        ("thresholds", b"1"),
        ("thresholds", b"1"),
        ("sites", b"a"),
        ("thresholds", b"2"),
        ("thresholds", b""),
        ("sites", b""),
    ):
        choose(store, value, name=name)
        seen.append(store.revision("acme"))
    assert seen == [0, 1, 1, 2, 3, 4, 5]


def test_a_change_that_is_undone_changes_no_revision(store: Store) -> None:
    def cut_off() -> None:
        with store.transaction():
            store.put_setting("acme", "thresholds", b"1")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        cut_off()
    assert (store.setting("acme", "thresholds"), store.revision("acme")) == (b"", 0)


# -- what is stale


def test_only_an_ended_meeting_can_be_stale(store: Store) -> None:
    put(store, piece(0))
    assert stale(store) == []
    seal(store, now=20)
    seal(store, now=40)
    assert stale(store) == [M1]
    assert store.stale_count("acme", model=1) == 1
    assert stale(store, "zeta") == []
    assert keep(store)
    assert stale(store) == []
    assert store.stale_count(None, model=1) == 0


def test_putting_scores_changes_no_version(store: Store) -> None:
    ended(store)
    before = store.version("acme", M1)
    assert keep(store)
    assert store.version("acme", M1) == before


CHANGES: dict[str, Callable[[Store], object]] = {
    "the title": lambda store: announce(store, now=41, title="Weekly"),
    "a person is erased": lambda store: erase(store, "ada@example.com"),
    "the thresholds": lambda store: choose(store, b"{}"),
    "the sites": lambda store: choose(store, b"csv", name="sites"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_changes_a_meeting_or_the_settings_makes_it_stale(store: Store, change: str) -> None:
    ended(store)
    keep(store)
    CHANGES[change](store)
    assert stale(store) == [M1]
    keep(store)
    assert stale(store) == []


def test_a_late_piece_makes_it_stale_once_it_has_ended_again(store: Store) -> None:
    ended(store)
    keep(store)
    put(store, piece(1), now=41)
    assert stale(store) == []
    seal(store, now=60)
    seal(store, now=80)
    assert stale(store) == [M1]


@pytest.mark.parametrize("model", [2, 4])
def test_another_model_makes_every_meeting_stale(store: Store, model: int) -> None:
    ended(store)
    keep(store, model=3)
    assert stale(store, model=3) == []
    assert stale(store, model=model) == [M1]
    assert store.stale_count("acme", model=model) == 1


def test_those_without_rows_come_first_and_a_step_is_bounded(store: Store) -> None:
    for name in ("a", "b", "c", "d"):
        ended(store, meeting=name, session=name)
    keep(store, meeting="b")
    keep(store, meeting="d")
    assert stale(store, model=2) == ["c", "a", "d", "b"]
    assert stale(store, model=2, limit=3) == ["c", "a", "d"]
    assert store.stale_count("acme", model=2) == 4
    assert stale(store) == ["c", "a"]


def test_each_organisation_has_its_own_revision(store: Store) -> None:
    ended(store)
    keep(store)
    ended(store, org="zeta", session=S2)
    with store.transaction():
        store.put_scores("zeta", M1, scores(store.version("zeta", M1)))
    choose(store, b"{}", org="zeta")
    assert [(one.org, one.meeting) for one in store.stale(None, model=1, limit=9)] == [("zeta", M1)]


def test_rows_of_a_meeting_that_has_changed_meanwhile_are_not_kept(store: Store) -> None:
    ended(store)
    before = store.version("acme", M1)
    announce(store, now=41, title="Weekly")
    assert not keep(store, version=before)
    assert stale(store) == [M1]
    assert not keep(store, meeting="nobody's", version=1)


def test_rows_put_before_a_change_in_the_same_commit_are_stale(store: Store) -> None:
    ended(store)
    made = scores(store.version("acme", M1))
    with store.transaction():
        assert store.put_scores("acme", M1, made)
        store.put_session("acme", piece(2), T0 + 41 * MINUTE)
    seal(store, now=60)
    seal(store, now=80)
    assert stale(store) == [M1]


def test_rows_put_behind_an_erasure_in_the_same_commit_bring_nobody_back(store: Store) -> None:
    ended(store)
    made = scores(store.version("acme", M1), words="ada@example.com", sessions=[session_row()])
    with store.transaction():
        store.erase("acme", "ada@example.com")
        assert not store.put_scores("acme", M1, made)
    assert (found(store, text="ada@example.com"), sessions_of(store)) == ([], 0)
    assert stale(store) == [M1]


def test_rows_come_back_as_they_were_put(store: Store) -> None:
    ended(store)
    row = session_row(verdict="poor", kind="audioIn", figure="packetLoss", join_s=5.793)
    keep(store, "poor", minutes_poor=3.25, findings=[FINDING], sessions=[row, session_row(S2)])
    (one,) = found(store)
    assert one.row == scores(0, "poor", minutes_poor=3.25, findings=[FINDING]).meeting
    assert one.meeting == store.meeting("acme", M1)
    assert sessions_of(store) == 2
    keep(store, "good")
    assert sessions_of(store) == 0


# -- what is found


@pytest.fixture
def week(store: Store) -> Store:
    """Six meetings, an hour apart: one of each verdict, two poor, one in progress, one to come."""
    for at, name in enumerate(("a", "b", "c", "d")):
        announce(store, id=name, title=f"Straße {name}", start=f"2026-11-02T1{at}:00:00.000Z")
        ended(store, meeting=name, session=name)
    announce(store, id="e", hostEmail="Hugo@example.com", start="2026-11-02T14:00:00.000Z")
    put(store, piece(0, meeting="e", session="e"), now=500)
    announce(store, id="f", now=500, start="2027-11-02T14:00:00.000Z")
    keep(store, "poor", meeting="a", minutes_poor=2.0, words="a\nstrasse a")
    keep(store, "good", meeting="b", words="b\nstrasse b\nmaría\nlogitech brio")
    keep(store, "poor", meeting="c", minutes_poor=7.5, words="c\nstrasse c\ncleo@example.com")
    keep(store, "unclassified", meeting="d", words="d\nstrasse d")
    return store


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        pytest.param({}, "edcba", id="newest first"),
        pytest.param({"worst": True}, "cabde", id="worst first"),
        pytest.param({"verdicts": frozenset({"poor"})}, "ca", id="poor"),
        pytest.param({"verdicts": frozenset({"good", "unclassified"})}, "db", id="two verdicts"),
        pytest.param({"text": "strasse"}, "dcba", id="title, ß"),
        pytest.param({"text": "strasse", "names": False}, "", id="a title without names"),
        pytest.param({"text": "hugo@"}, "e", id="host, not scored yet"),
        pytest.param({"text": "maría"}, "b", id="person"),
        pytest.param({"text": "brio"}, "b", id="device"),
        pytest.param({"text": "brio", "names": False}, "", id="a device without names"),
        pytest.param({"text": "e", "names": False}, "e", id="id"),
        pytest.param({"from_ms": T0 + 120 * MINUTE, "to_ms": T0 + 240 * MINUTE}, "cb", id="window"),
        pytest.param({"worst": True, "offset": 1, "limit": 2}, "ab", id="a page"),
        pytest.param({"offset": 9}, "", id="behind the last"),
    ],
)
def test_meetings_are_found_by_verdict_words_and_time(
    week: Store, wanted: dict[str, Any], names: str
) -> None:
    assert "".join(one.meeting.id for one in found(week, **wanted)) == names


def test_a_meeting_whose_title_has_changed_is_found_by_the_new_one(week: Store) -> None:
    announce(week, id="b", now=501, title="Reise")
    assert [one.meeting.id for one in found(week, text="reise")] == ["b"]


def test_a_meeting_without_scores_has_no_row(week: Store) -> None:
    assert [one.row is None for one in found(week)] == [True, False, False, False, False]


# -- what goes


def erase(store: Store, email: str) -> int:
    with store.transaction():
        return store.erase("acme", email)


def test_erasing_a_person_forgets_the_rows_of_their_meetings_at_once(store: Store) -> None:
    ended(store)
    ended(store, meeting=M2, session=S2)
    put(store, piece(5, session=S2, meeting=M2, webexUserEmail="bob@example.com"), now=41)
    seal(store, now=60)
    seal(store, now=80)
    for meeting in (M1, M2):
        keep(store, "poor", meeting=meeting, words="ada\nbob", sessions=[session_row()])
    erase(store, "Ada@Example.com")
    rows = {one.meeting.id: one.row for one in found(store)}
    assert rows[M1] is None
    assert rows[M2] is not None
    assert found(store, text="ada") == [one for one in found(store) if one.meeting.id == M2]
    assert sessions_of(store) == 1


def test_erasing_a_person_whom_a_later_piece_has_replaced_forgets_them_too(store: Store) -> None:
    ended(store)
    keep(store, words="ada@example.com")
    put(store, piece(3, webexUserEmail="bob@example.com"), now=41)
    assert len(found(store, text="ada@example.com")) == 1
    erase(store, "ada@example.com")
    assert found(store, text="ada@example.com") == []


def test_erasing_the_host_forgets_the_meetings_rows(store: Store) -> None:
    announce(store, hostEmail="hugo@example.com")
    ended(store)
    keep(store, words="hugo")
    erase(store, "hugo@example.com")
    assert found(store, text="hugo") == []


def test_a_removed_meeting_has_no_rows_and_is_not_stale(store: Store) -> None:
    ended(store)
    ended(store, meeting=M2, session=S2)
    keep(store)
    with store.transaction():
        assert store.purge("acme", before_ms=T0 + 500 * MINUTE, limit=9) == 2
    assert (found(store), stale(store), store.stale_count(None, model=9)) == ([], [], 0)
    with pytest.raises(Gone):
        store.version("acme", M1)
    assert sessions_of(store) == 0
    with store.transaction():
        assert not store.put_scores("acme", M1, scores(1))


# -- files


def folder_text(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.glob("roomtone.db*")))


@pytest.mark.parametrize("late", [False, True], ids=["as it was scored", "changed since"])
def test_nothing_of_an_erased_person_remains_in_the_files(
    sqlite: Store, folder: Path, late: bool
) -> None:
    ended(sqlite)
    row = session_row(values={"camera": "camera-of-ada"})
    found_words = FindingRow(family="device", session=S1, confidence=0.5, text="words-of-ada")
    keep(sqlite, words="name-of-ada\nada@example.com", sessions=[row], findings=[found_words])
    secrets = [b"words-of-ada", b"name-of-ada", b"ada@example.com"]
    assert all(secret in folder_text(folder) for secret in secrets)
    if late:
        put(sqlite, piece(3, webexUserEmail="bob@example.com", webexUserName="Bob"), now=41)
    erase(sqlite, "ada@example.com")
    text = folder_text(folder)
    assert [secret for secret in secrets if secret in text] == []
    assert sessions_of(sqlite) == 0


def test_nothing_of_a_removed_meetings_rows_remains_in_the_file(
    sqlite: Store, folder: Path
) -> None:
    ended(sqlite)
    keep(sqlite, words="name-of-ada")
    with sqlite.transaction():
        sqlite.purge("acme", before_ms=T0 + 500 * MINUTE, limit=9)
    sqlite.close()
    assert b"name-of-ada" not in folder_text(folder)


@pytest.mark.parametrize("org", [None, "acme"])
def test_a_backup_holds_the_rows_and_settings_of_whom_it_is_of(
    sqlite: Store, folder: Path, org: str | None
) -> None:
    ended(sqlite)
    ended(sqlite, org="zeta", session=S2)
    choose(sqlite, b"mine")
    choose(sqlite, b"theirs-chosen", org="zeta")
    keep(sqlite, "poor", sessions=[session_row()])
    with sqlite.transaction():
        made = scores(sqlite.version("zeta", M1), revision=1, words="theirs-in-words")
        assert sqlite.put_scores("zeta", M1, made)
    target = folder / "copy" / "roomtone.db"
    target.parent.mkdir()
    sqlite.backup(target, org=org)
    for secret in (b"theirs-chosen", b"theirs-in-words"):
        assert (secret in target.read_bytes()) == (org is None)
    again = open_store(target.parent)
    assert again.setting("acme", "thresholds") == b"mine"
    assert again.revision("acme") == 1
    assert (again.revision("zeta"), stale(again, None)) == (0 if org else 1, [])
    assert sessions_of(again) == 1
    assert read(again) == read(sqlite)
    assert again.check() == []
    again.close()


def test_meetings_that_ended_before_there_were_rows_are_stale(
    sqlite: Store, reopen: Callable[[], Store]
) -> None:
    ended(sqlite)
    put(sqlite, piece(0, session=S2, meeting=M2))
    db = sqlite._writer.db  # type: ignore[attr-defined]
    db.execute("DROP TABLE verdict; DROP TABLE setting; PRAGMA user_version = 4")
    sqlite.close()
    assert stale(reopen()) == [M1]


@pytest.mark.parametrize("names", [True, False])
def test_the_names_are_not_looked_through_for_who_must_not_know_them(names: bool) -> None:
    query = VerdictQuery(from_ms=0, to_ms=1, text="ada", names=names)
    assert ("words" in sqlite_verdicts._found_sql(query)) is names
