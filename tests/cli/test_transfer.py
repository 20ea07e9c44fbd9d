"""`roomtone import` and `export`: good items land, bad ones are named, nothing is changed."""

import csv
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from roomtone import cli
from roomtone.commands import incoming, transfer
from roomtone.model import COLUMNS, STREAM_KINDS, MediaSession, epoch_ms, sample_count, streams_of
from roomtone.simulate import meetings
from tests import conftest
from tests.cli.running import one_line, roomtone
from tests.conftest import DATA, Server, start_server

START_MS = epoch_ms("2025-06-02T09:00:00Z")


def session(session_id: str = "S1", **fields: Any) -> dict[str, Any]:
    """A small session of a day that has been."""
    return conftest.session(session_id, **{"joinTime": "2025-06-02T09:00:00.000Z", **fields})


def stream(**fields: Any) -> dict[str, Any]:
    return conftest.stream("2025-06-02T09:00:00.000Z", **fields)


@dataclass
class Place:
    """Somewhere to import to and export from: flags for near, or far."""

    flags: list[str]


@pytest.fixture(params=["data", "url"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[str], Place]]:
    """A maker of empty places, all near (a folder) or all far (a server)."""
    started: list[Server] = []

    def make(name: str) -> Place:
        data = tmp_path / name
        if request.param == "data":
            data.mkdir()
            return Place(["--data", str(data), "--org", "acme"])
        server = start_server(data)
        started.append(server)
        return Place(["--url", server.url, "--token", server.token()])

    yield make
    for server in started:
        server.stop()


def simulated(count: int = 2) -> list[MediaSession]:
    made = meetings(seed=5, count=count, participants=3, minutes=12, start_ms=START_MS)
    return [one for item in made for one in item.sessions]


def write(path: Path, value: Any) -> Path:
    path.write_bytes(msgspec.json.encode(value))
    return path


def exported(place: Place, *flags: str) -> str:
    result = roomtone("export", *place.flags, *flags)
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.parametrize("form", ["json", "jsonl"])
def test_what_is_exported_is_imported_again_and_equal(
    form: str, place: Callable[[str], Place], tmp_path: Path
) -> None:
    first, second = place("first"), place("second")
    example = json.loads((DATA / "meeting-qualities-example.json").read_bytes())["items"]
    body = write(tmp_path / "in.json", {"items": [*example, *simulated()]})
    result = roomtone("import", body, *first.flags)
    assert (result.returncode, result.stdout) == (0, "imported 7 of 7 items from 1 file\n")
    span = ["--from", "2020-01-01", "--format", form]
    out = tmp_path / f"out.{form}"
    out.write_text(exported(first, *span))
    assert roomtone("import", out, *second.flags).returncode == 0
    assert exported(second, *span) == out.read_text()
    lines = exported(second, "--from", "2020-01-01", "--format", "jsonl").splitlines()
    assert len(lines) == 7
    (again,) = [s for s in map(json.loads, lines) if s["webexUserName"] == "John Andersen"]
    assert again == example[0]


def test_bad_items_are_named_and_the_good_ones_land(
    place: Callable[[str], Place], tmp_path: Path
) -> None:
    here = place("here")
    items = [
        session("S1", audioIn=[stream()]),
        session("S2", audioIn=[stream(), stream(packetLoss=[0, 101])]),
        session("S3", joinTime="yesterday"),
        session("S4", meeting="m2"),
        {"webexUserName": "nobody"},
    ]
    body = write(tmp_path / "in.json", {"items": items})
    result = roomtone("import", body, *here.flags)
    assert result.returncode == 1
    assert result.stdout == "imported 2 of 5 items from 1 file\n"
    errors = result.stderr.splitlines()
    assert len(errors) == 3
    assert errors[0].startswith(f"{body}: ")
    assert "$.items[1].audioIn[1].packetLoss[1]" in errors[0]
    assert "$.items[2].joinTime" in errors[1]
    assert "$.items[4]" in errors[2]
    landed = json.loads(exported(here, "--meeting", "m1", "--meeting", "m2"))["items"]
    assert [item["participantSessionId"] for item in landed] == ["S1", "S4"]


def test_an_item_that_contradicts_what_is_stored_is_named_and_left_out(
    place: Callable[[str], Place], tmp_path: Path
) -> None:
    here = place("here")
    items = [session("S1"), session("S1", meeting="m2"), session("S2")]
    body = write(tmp_path / "in.json", {"items": items})
    result = roomtone("import", body, *here.flags)
    assert result.returncode == 1
    assert result.stdout == "imported 2 of 3 items from 1 file\n"
    assert result.stderr.count("\n") == 1
    assert f"{body}: " in result.stderr


def test_lines_may_be_sessions_or_bodies_and_a_bad_line_is_named(
    place: Callable[[str], Place], tmp_path: Path
) -> None:
    here = place("here")
    lines = [
        json.dumps(session("S1")),
        "{broken",
        json.dumps({"items": [session("S2"), session("S3", leaveTime=5)]}),
        "",
        json.dumps(session("S4", localIP="10.0.0.77")),
    ]
    file = tmp_path / "in.jsonl"
    file.write_text("\n".join(lines))
    result = roomtone("import", file, *here.flags)
    assert result.returncode == 1
    assert result.stdout == "imported 3 of 5 items from 1 file\n"
    errors = result.stderr.splitlines()
    assert [error.partition(": ")[0] for error in errors] == [f"{file}:2", f"{file}:3"]
    assert "$.items[1].leaveTime" in errors[1]
    (_, _, last) = json.loads(exported(here, "--meeting", "m1"))["items"]
    assert last["maskedLocalIP"] == "10.0.0.64"


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[]", b'{"items": 5}', b"\xff\xfe", b"[" * 100_000, b"5\n6"]
)
def test_a_file_that_is_no_such_thing_is_named(text: bytes, tmp_path: Path) -> None:
    file = tmp_path / "in.json"
    file.write_bytes(text)
    (tmp_path / "data").mkdir()
    result = roomtone("import", file, "--data", tmp_path / "data", "--org", "acme")
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert all(line.startswith(str(file)) for line in result.stderr.splitlines())


def test_the_same_file_twice_is_stored_once(tmp_path: Path) -> None:
    here = Place(["--data", str(tmp_path), "--org", "acme"])
    body = write(tmp_path / "in.json", {"items": simulated()})
    for _ in range(2):
        assert roomtone("import", body, *here.flags).returncode == 0
    items = json.loads(exported(here, "--from", "2025-06-02", "--to", "2025-06-03"))["items"]
    assert len(items) == 6
    assert sum(len(item["audioIn"][0]["latency"]) for item in items) < 6 * 12


def test_raw_addresses_are_dropped_when_that_is_set(tmp_path: Path) -> None:
    here = Place(["--data", str(tmp_path), "--org", "acme"])
    body = write(tmp_path / "in.json", {"items": [session(localIP="10.0.0.77")]})
    env = {"ROOMTONE_DROP_RAW_ADDRESSES": "true"}
    assert roomtone("import", body, *here.flags, env=env).returncode == 0
    (item,) = json.loads(exported(here, "--meeting", "m1"))["items"]
    assert (item["localIP"], item["maskedLocalIP"]) == ("", "10.0.0.64")


def test_csv_has_one_row_for_each_sample_of_each_stream(tmp_path: Path) -> None:
    here = Place(["--data", str(tmp_path), "--org", "acme"])
    sessions = simulated(6)
    body = write(tmp_path / "in.json", {"items": sessions})
    assert roomtone("import", body, *here.flags).returncode == 0
    rows = list(
        csv.DictReader(exported(here, "--from", "2025-06-02", "--format", "csv").split("\n"))
    )
    entries = [e for one in sessions for kind in STREAM_KINDS for e in streams_of(one, kind)]
    assert len(rows) == sum(sample_count(entry) for entry in entries)
    first = sessions[0]
    (row,) = [
        row
        for row in rows
        if row["participantSessionId"] == first.participantSessionId
        and (row["stream"], row["time"]) == ("videoIn", first.videoIn[0].startTime)
    ]
    for name in COLUMNS:
        assert row[name] == str(getattr(first.videoIn[0], name)[0])
    muted = [row for row in rows if row["stream"] == "audioOut" and row["packetLoss"] == ""]
    assert muted, "an unknown value is an empty cell"


def csv_rows(tmp_path: Path, *sessions: dict[str, Any]) -> list[dict[str, str]]:
    here = Place(["--data", str(tmp_path), "--org", "acme"])
    body = write(tmp_path / "in.json", {"items": sessions})
    assert roomtone("import", body, *here.flags).returncode == 0
    text = exported(here, "--meeting", "m1", "--format", "csv")
    return list(csv.DictReader(text.splitlines(keepends=True)))


def test_a_session_without_streams_is_one_row_of_a_csv(tmp_path: Path) -> None:
    empty = session("S2", audioIn=[stream(packetLoss=[])])
    rows = csv_rows(tmp_path, session("S1"), empty, session("S3", audioIn=[stream()]))
    assert [row["participantSessionId"] for row in rows] == ["S1", "S2", "S3"]
    assert rows[0]["webexUserName"] == "Ada Example"
    assert {rows[0][name] for name in transfer.CSV_HEAD[5:]} == {""}
    assert [row["stream"] for row in rows] == ["", "", "audioIn"]


def test_no_cell_of_a_csv_begins_a_formula(tmp_path: Path) -> None:
    codec = stream(codec="-1+2", transportType="@SUM(A1)", packetLoss=[None], jitter=[0.5])
    (row,) = csv_rows(
        tmp_path,
        session("+S1", participantId="=P1", webexUserName='=HYPERLINK("x")', audioIn=[codec]),
    )
    assert row["participantSessionId"] == "'+S1"
    assert row["participantId"] == "'=P1"
    assert row["webexUserName"] == '\'=HYPERLINK("x")'
    assert row["webexUserEmail"] == "ada@example.com"
    assert (row["codec"], row["transportType"]) == ("'-1+2", "'@SUM(A1)")
    assert (row["packetLoss"], row["jitter"]) == ("", "0.5")


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("", ""),
        ("Ada", "Ada"),
        ("a=b", "a=b"),
        ("Anne-Marie; Bob", "Anne-Marie; Bob"),
        ("=1+1", "'=1+1"),
        ("-1", "'-1"),
        ("  @x", "'  @x"),
        ("\t=1", "' =1"),
        ("\r=1", "' =1"),
        ("\tx", " x"),
        ("\uff1d1", "'\uff1d1"),
        ("Ada;=1", "Ada;'=1"),
        ("Ada; =1;+2", "Ada;' =1;'+2"),
        ("two\nlines", "two lines"),
        ("\x1b[2J\x9b2J\x7f", " [2J 2J "),
    ],
)
def test_a_text_is_no_formula_and_holds_no_control_character(text: str, cell: str) -> None:
    assert transfer.guarded(text) == cell


def test_an_export_goes_to_a_file_that_it_does_not_overwrite(tmp_path: Path) -> None:
    here = Place(["--data", str(tmp_path), "--org", "acme"])
    body = write(tmp_path / "in.json", {"items": [session()]})
    assert roomtone("import", body, *here.flags).returncode == 0
    out = tmp_path / "out.json"
    assert exported(here, "--meeting", "m1", "-o", str(out)) == ""
    assert len(json.loads(out.read_text())["items"]) == 1
    again = roomtone("export", *here.flags, "--meeting", "m1", "-o", out)
    assert again.returncode == 1
    assert one_line(again) == f"{out}: File exists"


def test_an_export_of_nothing_is_an_empty_body(tmp_path: Path) -> None:
    here = Place(["--data", str(tmp_path), "--org", "acme"])
    assert json.loads(exported(here, "--from", "2025-06-02")) == {"items": []}


def test_an_unknown_meeting_is_an_error_and_another_organisation_s_is_unknown(
    place: Callable[[str], Place], tmp_path: Path
) -> None:
    here = place("here")
    result = roomtone("export", *here.flags, "--meeting", "none")
    assert result.returncode == 1
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("command", "flags", "said"),
    [
        ("export", ["--meeting", "m"], "say where"),
        ("export", ["--org", "acme", "--meeting", "m"], "--data is missing"),
        ("export", ["--org", "a", "--data", "/nowhere", "--meeting", "m"], "which is no folder"),
        ("export", ["--org", "a", "--url", "http://x", "--meeting", "m"], "not both"),
        ("export", ["--url", "http://127.0.0.1:1", "--meeting", "m"], "needs --token"),
        ("export", ["--org", "a", "--data", "/"], "either --meeting"),
        (
            "export",
            ["--org", "a", "--data", "/", "--meeting", "m", "--to", "2026-01-01"],
            "either",
        ),
        ("import", ["--org", "a", "--data", "/"], "name the files"),
        ("purge", ["--org", "a", "--data", "/"], "either --before"),
        (
            "purge",
            ["--org", "a", "--data", "/", "--before", "1.1.2026"],
            "--before is '1.1.2026'",
        ),
        ("erase", ["--org", "a", "--data", "/", "--email", " "], "--email is empty"),
    ],
)
def test_a_wrong_wish_is_one_line(command: str, flags: list[str], said: str) -> None:
    result = roomtone(command, *flags)
    assert result.returncode == 2
    assert said in one_line(result)


def test_a_file_that_cannot_be_read_is_named_and_the_others_land(
    place: Callable[[str], Place], tmp_path: Path
) -> None:
    here = place("here")
    first = write(tmp_path / "a.json", {"items": [session("S1")]})
    last = write(tmp_path / "z.json", {"items": [session("S2")]})
    gone, folder = tmp_path / "none.json", tmp_path / "folder.jsonl"
    folder.mkdir()
    result = roomtone("import", first, gone, folder, last, *here.flags)
    assert result.returncode == 1
    assert result.stdout == "imported 2 of 2 items from 2 of 4 files\n"
    assert result.stderr.splitlines() == [
        f"{gone}: No such file or directory",
        f"{folder}: Is a directory",
    ]
    landed = json.loads(exported(here, "--meeting", "m1"))["items"]
    assert [item["participantSessionId"] for item in landed] == ["S1", "S2"]


def test_a_file_too_large_for_one_document_is_named_and_the_others_land(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(incoming, "FILE_BYTES_MAX", 1_000)
    large = write(tmp_path / "a.json", {"items": [session(webexUserName="x" * 1_000)]})
    small = write(tmp_path / "b.json", {"items": [session("S2")]})
    near = ["--data", str(tmp_path), "--org", "acme"]
    assert cli.run(["import", str(large), str(small), *near]) == 1
    told = capsys.readouterr()
    assert told.out == "imported 1 of 1 item from 1 of 2 files\n"
    assert told.err == f"{large}: larger than 1000 bytes; use JSONL\n"


def test_a_server_that_is_away_is_one_line(tmp_path: Path) -> None:
    body = write(tmp_path / "in.json", {"items": [session()]})
    result = roomtone("import", body, "--url", "http://127.0.0.1:1", "--token", "t")
    assert result.returncode == 1
    assert "http://127.0.0.1:1 does not answer" in one_line(result)


def test_a_token_without_the_scope_is_one_line_that_names_it(
    server: Server, tmp_path: Path
) -> None:
    body = write(tmp_path / "in.json", {"items": [session()]})
    token = server.token("analytics:read_all")
    result = roomtone("import", body, "--url", server.url, env={"ROOMTONE_TOKEN": token})
    assert result.returncode == 1
    assert "telemetry:write" in one_line(result)


def test_a_store_takes_an_import_while_a_server_has_it_open(server: Server, tmp_path: Path) -> None:
    body = write(tmp_path / "in.json", {"items": [session()]})
    near = ["--data", str(server.data), "--org", "acme"]
    assert roomtone("import", body, *near).returncode == 0
    far = Place(["--url", server.url, "--token", server.token()])
    assert len(json.loads(exported(far, "--meeting", "m1"))["items"]) == 1
