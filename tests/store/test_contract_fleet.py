"""Rows of scored sessions: what is put is what a fleet is asked by, the same in every engine."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from roomtone.errors import TimedOut, TooLarge
from roomtone.fleet.dimensions import DIMENSIONS
from roomtone.fleet.sessions import (
    CODE_MAX,
    FIGURES,
    SUMS,
    VERDICTS,
    FleetQuery,
    Sessions,
    value_at,
)
from roomtone.store import Store, open_store, sqlite_files, sqlite_fleet
from roomtone.store.memory import MemoryStore
from roomtone.store.verdicts import SessionRow
from tests.store.rows import judge, keep, row, some
from tests.store.support import M1, M2, MINUTE, S1, S2, T0, piece, put, scores, seal, soon

ALL = FleetQuery(from_ms=0, to_ms=1 << 45, dimensions=DIMENSIONS, figures=(*SUMS, *FIGURES))
CELL = ("verdict", *DIMENSIONS)


def fleet(store: Store, org: str = "acme", **query: Any) -> Sessions:
    fields = {name: getattr(ALL, name) for name in ALL.__dataclass_fields__}
    return store.fleet(org, FleetQuery(**(fields | query)), deadline=soon())


def told(found: Sessions) -> Counter[tuple[Any, ...]]:
    """The rows again, each as the texts and figures that its numbers stand for."""
    rows = []
    for at in range(len(found)):
        columns: dict[str, Any] = {name: one[at].item() for name, one in found.columns.items()}
        columns["verdict"] = VERDICTS[columns["verdict"]]
        columns |= {name: found.texts(name)[columns[name]] for name in found.values}
        columns |= {n: value_at(n, columns[n]) if columns[n] else None for n in FIGURES}
        rows.append(tuple(columns.values()))
    return Counter(rows)


def by(found: Sessions, *names: str) -> list[tuple[Any, ...]]:
    """Some columns of all rows, texts as texts, sorted."""
    columns = []
    for name in names:
        column = found.columns[name].tolist()
        texts: Any = found.texts(name) if name in DIMENSIONS else None
        columns.append([texts[code] for code in column] if texts else column)
    return sorted(zip(*columns, strict=True))


def settle(store: Store) -> int:
    with store.transaction():
        return store.settle_fleet()


def test_what_was_put_comes_back_in_columns(store: Store) -> None:
    keep(
        store,
        row(S1, networkType="wifi", camera="C920", verdict="poor", packet_loss=0.0),
        row(S2, join=5, networkType="ethernet", latency=None, minutes_poor=2.5),
    )
    found = fleet(store)
    assert by(found, "joinMs", "networkType", "camera", "minutesPoor") == [
        (T0, "wifi", "C920", 0),
        (T0 + 5 * MINUTE, "ethernet", "", 2.5),
    ]
    assert found.columns["verdict"].tolist() == [VERDICTS.index("poor"), VERDICTS.index("good")]
    latency = [value_at("latency", place) for place in found.columns["latency"].tolist() if place]
    assert latency == [pytest.approx(40, rel=0.01)]
    assert [value_at("packetLoss", place) for place in found.columns["packetLoss"].tolist()] == [
        0,
        pytest.approx(0.1, rel=0.01),
    ]
    assert [value_at("audioMos", place) for place in found.columns["audioMos"].tolist()] == [
        4.2,
        4.2,
    ]
    assert found.columns["videoMos"].tolist() == [0, 0]


@pytest.mark.parametrize("seed", range(3))
def test_engines_agree(sqlite: Store, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    monkeypatch.setattr(sqlite_fleet, "PART_SESSIONS_MIN", 12)
    monkeypatch.setattr(sqlite_fleet, "PART_SESSIONS_MAX", 16)
    memory = MemoryStore()
    drawn = some(seed, meetings=60)
    for number, (meeting, rows) in enumerate(drawn):
        for one in (sqlite, memory):
            keep(one, *rows, meeting=meeting)
            if number % 7 == 3:  # scored again, as another would be
                earlier, before = drawn[number - 2]
                again = [structs.replace(row, verdict="poor", latency=9.0) for row in before[:2]]
                keep(one, *again, meeting=earlier)
            if number % 5 == 0:
                settle(one)
    for _ in range(100):
        settle(sqlite)
    assert sqlite.check() == []
    assert told(fleet(sqlite)) == told(fleet(memory))
    hour: dict[str, Any] = {"from_ms": T0 + 60 * MINUTE, "to_ms": T0 + 600 * MINUTE}
    assert told(fleet(sqlite, **hour)) == told(fleet(memory, **hour))
    assert 0 < len(fleet(memory, **hour)) < len(fleet(memory))


def test_a_meetings_sessions_follow_each_other_and_meetings_are_told_apart(store: Store) -> None:
    keep(store, row("A"), row("B"))
    keep(store, row("C"), meeting=M2)
    numbers = fleet(store).meeting.tolist()
    assert numbers[0] == numbers[1] != numbers[2]


def test_rows_that_are_put_again_replace_those_of_the_meeting(store: Store) -> None:
    keep(store, row(S1, camera="old"), row(S2, camera="old"))
    keep(store, row(S1, camera="new"))
    assert by(fleet(store), "camera") == [("new",)]
    assert fleet(store).texts("camera").keys() == {0, *fleet(store).columns["camera"].tolist()}
    keep(store)
    assert len(fleet(store)) == 0


@pytest.mark.parametrize(("from_", "to", "found"), [(0, 9, 2), (1, 9, 1), (0, 1, 1), (2, 9, 0)])
def test_a_session_is_where_it_joined(store: Store, from_: int, to: int, found: int) -> None:
    keep(store, row(S1, join=0), row(S2, join=1))
    within = fleet(store, from_ms=T0 + from_ * MINUTE, to_ms=T0 + to * MINUTE)
    assert len(within) == found


def test_organisations_do_not_see_each_other(store: Store) -> None:
    keep(store, row(S1, camera="theirs"), org="zeta")
    keep(store, row(S1, camera="ours"))
    assert by(fleet(store), "camera") == [("ours",)]
    assert set(fleet(store).texts("camera").values()) == {"", "ours"}
    assert len(fleet(store, org="nobody")) == 0


def test_only_what_is_asked_for_is_read(store: Store) -> None:
    keep(store, row())
    found = fleet(store, dimensions=("site",), figures=("latency",))
    assert list(found.columns) == ["joinMs", "verdict", "latency", "site"]


def test_more_sessions_than_asked_for_are_refused(store: Store) -> None:
    keep(store, row(S1), row(S2))
    assert len(fleet(store, sessions_max=2)) == 2
    with pytest.raises(TooLarge):
        fleet(store, sessions_max=1)


def test_a_read_ends_at_its_deadline(store: Store) -> None:
    with pytest.raises(TimedOut):
        store.fleet("acme", ALL, deadline=0)


def test_rows_go_with_their_meeting(store: Store) -> None:
    keep(store, row(S1, camera="C920"))
    seal(store, now=99)
    seal(store, now=199)
    settle(store)
    with store.transaction():
        assert store.purge("acme", before_ms=T0 + 500 * MINUTE, limit=9) == 1
    assert len(fleet(store)) == 0
    assert fleet(store).texts("camera") == {0: ""}
    assert store.check() == []


@pytest.mark.parametrize("sealed", [False, True])
def test_erasing_a_person_takes_the_rows_of_their_meetings(
    store: Store, monkeypatch: pytest.MonkeyPatch, *, sealed: bool
) -> None:
    monkeypatch.setattr(sqlite_fleet, "PART_SESSIONS_MIN", 1)
    put(store, piece(0, session=S1, webexUserEmail="ada@example.com"))
    put(store, piece(0, session=S2, meeting=M2))
    if sealed:
        assert seal(store, now=99) == 2
    devices: dict[str, Any] = {
        "camera": "Ada's camera",
        "speaker": "Ada's ears",
        "microphone": "C920",
    }
    judge(store, row(S1, region="London", **devices))
    judge(store, row(S2, camera="C920", region="Paris"), meeting=M2)
    assert settle(store) == (2 if not isinstance(store, MemoryStore) else 0)
    with store.transaction():
        assert store.erase("acme", "Ada@example.com") == 1
    found = fleet(store)
    assert by(found, "camera", "region") == [("C920", "Paris")]  # the other is to be scored anew
    for name in ("camera", "microphone", "speaker", "region"):
        assert set(found.texts(name).values()) <= {"", "C920", "Paris"}
    assert store.check() == []


def test_nothing_of_an_erased_persons_devices_is_left_in_the_files(
    sqlite: Store, folder: Path
) -> None:
    put(sqlite, piece(0, session=S1, webexUserEmail="ada@example.com"))
    keep(sqlite, row(S1, camera="Lovelace camera"))
    seal(sqlite, now=99)
    with sqlite.transaction():
        sqlite.erase("acme", "ada@example.com")
    assert [file.name for file in folder.iterdir() if b"Lovelace" in file.read_bytes()] == []


def test_a_transaction_that_fails_keeps_no_rows(store: Store) -> None:
    keep(store, row(S1, camera="kept"))

    def fail() -> None:
        with store.transaction():
            made = scores(store.version("acme", M1), sessions=[row(S1, camera="lost")])
            assert store.put_scores("acme", M1, made)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert by(fleet(store), "camera") == [("kept",)]
    assert store.check() == []


@pytest.mark.parametrize("org", [None, "acme"])
def test_a_backup_holds_the_rows_of_its_organisation_only(
    sqlite: Store, folder: Path, monkeypatch: pytest.MonkeyPatch, org: str | None
) -> None:
    monkeypatch.setattr(sqlite_fleet, "PART_SESSIONS_MIN", 1)
    for name in ("acme", "zeta"):
        keep(sqlite, row(S1, camera=f"{name}'s camera"), org=name)
        assert settle(sqlite) == 1
    target = folder / "copy" / "roomtone.db"
    target.parent.mkdir()
    sqlite.backup(target, org=org)
    assert (b"zeta's camera" in target.read_bytes()) == (org is None)
    again = open_store(target.parent)
    assert by(fleet(again), "camera") == [("acme's camera",)]
    assert len(fleet(again, org="zeta")) == (0 if org else 1)
    assert again.check() == []
    again.close()


# -- SQLite's parts and numbers


def numbered(count: int) -> list[tuple[str, SessionRow]]:
    return [(f"M{n}", row(f"S{n}", join=n, camera=f"C{n % 3}")) for n in range(count)]


def test_rows_are_packed_when_they_are_many_and_repacked_when_one_is_replaced(
    sqlite: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_fleet, "PART_SESSIONS_MIN", 4)
    monkeypatch.setattr(sqlite_fleet, "PART_SESSIONS_MAX", 5)
    for meeting, one in numbered(14):
        keep(sqlite, one, meeting=meeting)
    assert [settle(sqlite) for _ in range(4)] == [5, 5, 4, 0]
    keep(sqlite, row("S7", camera="new"), meeting="M7")
    assert [settle(sqlite) for _ in range(2)] == [4, 0]  # the others of that part
    assert Counter(by(fleet(sqlite), "camera"))["new",] == 1
    assert len(fleet(sqlite)) == 14
    assert sqlite.check() == []


def test_values_beyond_the_greatest_number_are_one_value(
    sqlite: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_fleet, "CODE_MAX", 2)
    for n in range(4):
        keep(sqlite, row(f"S{n}", camera=f"C{n}"), meeting=f"M{n}")
    assert by(fleet(sqlite), "camera") == [("(other)",), ("(other)",), ("C0",), ("C1",)]
    keep(sqlite, meeting="M0")
    keep(sqlite, row("S4", camera="C4"), meeting="M4")  # in the place of C0
    assert by(fleet(sqlite), "camera") == [("(other)",), ("(other)",), ("C1",), ("C4",)]
    assert sqlite.check() == []
    assert CODE_MAX < 2**16


def test_free_codes_are_looked_for_once_for_all_rows_of_a_meeting(
    sqlite: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def fetch(db: Any, sql: str, *values: Any) -> Any:
        asked.append(sql)
        return sqlite_files.fetch(db, sql, *values)

    monkeypatch.setattr(sqlite_fleet, "CODE_MAX", 5)
    for n in range(5):
        keep(sqlite, row(f"S{n}", camera=f"C{n}"), meeting=f"M{n}")
    for n in (1, 3):
        keep(sqlite, meeting=f"M{n}")
    monkeypatch.setattr(sqlite_fleet, "fetch", fetch)
    keep(sqlite, *(row(f"T{n}", camera=f"D{n}") for n in range(4)), meeting="M9")
    assert asked.count(sqlite_fleet._CODES) == 1
    found = [("(other)",), ("(other)",), ("C0",), ("C2",), ("C4",), ("D0",), ("D1",)]
    assert by(fleet(sqlite), "camera") == found
    assert sqlite.check() == []


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE fleet_value SET uses = 7",
        "DELETE FROM fleet_value",
        "UPDATE fleet_column SET data = x'00' WHERE name = 'latency'",
        "UPDATE fleet SET records = zeroblob(length(records))",
    ],
)
def test_damage_is_found(sqlite: Store, monkeypatch: pytest.MonkeyPatch, damage: str) -> None:
    monkeypatch.setattr(sqlite_fleet, "PART_SESSIONS_MIN", 1)
    keep(sqlite, row(S1, camera="C920"))
    settle(sqlite)
    assert sqlite.check() == []
    sqlite._writer.db.execute(damage)  # type: ignore[attr-defined]
    assert sqlite.check() != []
