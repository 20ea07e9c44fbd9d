"""`roomtone fleet`: near and far, for people and programs."""

import json
import re
from pathlib import Path
from typing import Any

import httpx2
import pytest

from roomtone.store import open_store
from tests.cli.running import one_line, roomtone
from tests.cli.test_rescore import fill
from tests.conftest import Server
from tests.store.rows import keep, row

WHEN = ("--from", "2026-11-01", "--to", "2026-12-01")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    store = open_store(folder)
    for n in range(40):
        wifi = n % 2 == 0
        values: dict[str, Any] = {
            "networkType": "wifi" if wifi else "ethernet",
            "camera": "Bad\x1b[31m",
        }
        keep(
            store,
            row(f"S{n}", verdict="poor" if wifi and n % 8 else "good", minutes=60.0, **values),
            meeting=f"M{n}",
        )
    store.close()
    return folder


def told(data: Path, *flags: str, **variables: str) -> str:
    where = ("--data", data, "--org", "acme")
    result = roomtone("fleet", *flags, *where, *WHEN, env=variables)
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    return result.stdout


def test_the_worst_stands_first_and_all_of_them_last(data: Path) -> None:
    lines = told(data, "networkType").splitlines()
    assert lines[0].split()[:3] == ["networkType", "sessions", "minutes"]
    assert [line.split()[:4] for line in lines[1:4]] == [
        ["wifi", "20", "1,200", "75.0"],
        ["ethernet", "20", "1,200", "0.0"],
        ["all", "40", "2,400", "37.5"],
    ]
    assert "40 meetings, 2 values. " in lines[4]


def test_lines_can_be_few_and_chosen(data: Path) -> None:
    lines = told(data, "networkType", "region", "--top", "1").splitlines()
    assert [line.split()[0] for line in lines[1:4]] == ["wifi", "(others)", "all"]
    assert "(unknown)" in lines[1]
    alone = told(data, "--filter", "networkType=ethernet").splitlines()
    assert alone[1].split()[:2] == ["all", "20"]


@pytest.mark.parametrize("columns", [60, 80, 140])
def test_a_value_can_be_read_however_narrow_the_terminal_is(data: Path, columns: int) -> None:
    output = told(data, "networkType", "hour", COLUMNS=str(columns), FORCE_COLOR="1", TERM="xterm")
    output = re.sub(r"\x1b\[[0-9;]*m", "", output)
    lines = output.splitlines()
    assert max(map(len, lines)) <= columns
    assert lines[0].split()[:3] == ["networkType", "hour", "sessions"]
    assert {"wifi", "ethernet"} == {line.split()[0] for line in lines[1:3]}
    assert ("join s" in lines[0]) is (columns == 140)
    assert ("Too narrow for join s" in " ".join(output.split())) is (columns < 140)


@pytest.mark.parametrize(
    ("metric", "head"), [("jitter", "jitter"), ("minutesPoor", "min poor"), ("joinTime", "join s")]
)
def test_what_lines_are_ordered_by_is_shown(data: Path, metric: str, head: str) -> None:
    narrow = {"COLUMNS": "80", "FORCE_COLOR": "1", "TERM": "xterm"}
    assert head in told(data, "networkType", "hour", "--metric", metric, **narrow)
    assert "jitter" not in told(data, "networkType")


def test_no_devices_name_writes_to_the_terminal(data: Path) -> None:
    output = told(data, "camera")
    assert "\x1b" not in output
    assert "Bad [31m" in output


def test_json_is_what_the_server_answers(data: Path) -> None:
    found = json.loads(told(data, "networkType", "--json"))
    assert [line["values"]["networkType"] for line in found["lines"]] == ["wifi", "ethernet"]


def test_a_server_is_asked_over_http(server: Server) -> None:
    token = server.token()
    result = roomtone("fleet", "site", "--url", server.url, "--token", token, "--json")
    assert result.returncode == 0, result.stderr
    answer = httpx2.get(
        f"{server.url}/v1/roomtone/fleet?by=site", headers={"Authorization": f"Bearer {token}"}
    )
    assert json.loads(result.stdout).keys() == answer.json().keys()


def test_meetings_that_were_scored_are_told(tmp_path: Path) -> None:
    fill(tmp_path, count=2, participants=3)
    assert roomtone("rescore", "--data", tmp_path).returncode == 0
    lines = told(tmp_path, "clientType", "hour").splitlines()
    all_of_them = next(line.split() for line in lines if line.startswith("all"))
    assert int(all_of_them[1]) == 6
    assert all(float(figure) > 0 for figure in all_of_them[5:7]), "medians of MOS"


@pytest.mark.parametrize(
    "flags", [("shoes",), ("region", "site", "hour"), ("--metric", "shoes"), ("--top", "0")]
)
def test_what_cannot_be_asked_is_one_line(data: Path, flags: tuple[str, ...]) -> None:
    result = roomtone("fleet", *flags, "--data", data, "--org", "acme")
    assert result.returncode == 2
    assert "expected" in one_line(result)
