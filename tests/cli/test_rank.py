"""`roomtone rank`: a CSV of anybody's, its complaints by file and line, and its lines."""

import json
from pathlib import Path
from typing import Any

import pytest

from roomtone import cli
from tests.cli.running import one_line, roomtone

HEAD = "week,cdn,bitrate,stalls,plays\n"


def body(week: str, *, bad: int = 10) -> str:
    """Six groups of 200; of cdn 7 at 500 kbit/s `bad` stall."""
    rows = [
        (week, cdn, rate, bad if (cdn, rate) == ("7", "500") else 10, 200)
        for cdn in ("3", "5", "7")
        for rate in ("500", "2000")
    ]
    return "".join(",".join(map(str, row)) + "\n" for row in rows)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "plays.csv"
    path.write_text(HEAD + body("46") + body("47", bad=80))
    return path


def ranked(*arguments: str | Path) -> Any:
    result = roomtone("rank", *arguments, "--json")
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


COUNTS = ("--metric", "stalls", "--total", "plays")


def test_a_file_is_ranked_against_its_earlier_rows(file: Path) -> None:
    found = ranked(file, *COUNTS, "--baseline-where", "week=46")
    (line,) = found["findings"]
    assert line["where"] == {"cdn": "7", "bitrate": "500"}
    assert line["now"] == {"poor": 80, "total": 200}
    assert found["before"]["rate"] == 0.05
    assert line["ratio"]["low"] > 2


@pytest.mark.parametrize(
    "flags",
    [
        ("--baseline-where", "week<47"),
        ("--baseline-where", "week<=46.5"),
        ("--baseline", "before.csv"),
        ("--baseline-metric", "was", "--baseline-total", "plays"),
        (),
    ],
)
def test_the_time_before_can_be_given_in_several_ways(flags: tuple[str, ...], file: Path) -> None:
    now = HEAD + body("47", bad=80)
    if "--baseline" in flags:
        (file.parent / "before.csv").write_text(HEAD + body("46"))
    if "--baseline" in flags or not flags:
        file.write_text(now)
    if "--baseline-metric" in flags:
        lines = now.replace("plays\n", "plays,was\n").replace(",200\n", ",200,10\n")
        file.write_text(lines)
    given = [str(file.parent / flag) if flag.endswith(".csv") else flag for flag in flags]
    found = ranked(file, *COUNTS, *given)
    assert [line["where"] for line in found["findings"]] == [{"cdn": "7", "bitrate": "500"}]
    assert (found["before"] is None) == (not flags)


def test_dimensions_can_be_named(file: Path) -> None:
    found = ranked(file, *COUNTS, "--baseline-where", "week=46", "--by", "cdn")
    assert [line["where"] for line in found["findings"]] == [{"cdn": "7"}]


def test_without_a_total_a_row_is_one_case(tmp_path: Path) -> None:
    rows = [("x", "1" if n < 30 else "0", f"m{n}") for n in range(60)]
    rows += [("y", "1" if n < 30 else "0", f"m{n % 40}") for n in range(600)]
    path = tmp_path / "calls.csv"
    path.write_text("os;poor;meeting\n" + "".join(";".join(row) + "\n" for row in rows))
    found = ranked(path, "--metric", "poor", "--meeting", "meeting")
    assert [line["where"] for line in found["findings"]] == [{"os": "x"}]


def test_what_is_empty_is_left_out_and_said(file: Path) -> None:
    file.write_text(file.read_text() + "47,3,500,,200\n\n47,3,500,10,\n")
    result = roomtone("rank", file, *COUNTS)
    assert result.returncode == 0
    assert "left out 2 rows with an empty cell where a count should be" in result.stderr
    assert result.stdout.startswith("poor: 190 of 2,400 (7.9 %), ")


def test_a_person_reads_a_table(file: Path) -> None:
    result = roomtone("rank", file, *COUNTS, "--baseline-where", "week=46")
    assert result.stderr == ""
    lines = result.stdout.splitlines()
    assert lines[0] == (
        "poor: 130 of 1,200 (10.8 %), before 5.0 %, change +5.8 (+3.7..+8.0) points"
    )
    assert "cdn=7, bitrate=500" in lines[2]
    assert "80 of 200" in lines[2]


def test_nothing_stands_out_where_nothing_does(file: Path) -> None:
    file.write_text(HEAD + body("47"))
    assert "Nothing stands out." in roomtone("rank", file, *COUNTS).stdout


def test_a_name_cannot_command_the_terminal(file: Path) -> None:
    file.write_text(file.read_text().replace(",7,", ",\x1b[31m[bold]7,"))
    result = roomtone("rank", file, *COUNTS, "--baseline-where", "week=46")
    assert "\x1b" not in result.stdout
    assert "[bold]7" in result.stdout


@pytest.mark.parametrize(
    ("text", "flags", "complaint"),
    [
        (HEAD, ("--metric", "stall"), "{file} has no column stall; did you mean stalls?"),
        (HEAD + "47,7,500,ten,200\n", COUNTS, "{file}, line 2: stalls is 'ten', no number"),
        (HEAD + "47,7,500,nan,200\n", COUNTS, "{file}, line 2: stalls is 'nan', no number"),
        (HEAD + "47,7,500,201,200\n", COUNTS, "{file}, line 2: 201 of 200 is no rate"),
        (HEAD + "47,7,500,-1,200\n", COUNTS, "{file}, line 2: -1 of 200 is no rate"),
        (HEAD + "47,7,500\n", COUNTS, "{file}, line 2: 3 cells under a head of 5"),
        (HEAD + '47,"7\n', COUNTS, "{file}, line 2: unexpected end of data"),
        ("a,a,stalls\n", ("--metric", "stalls"), "{file}, line 1: a column is named twice"),
        ("", COUNTS, "{file} has no column stalls"),
        ("stalls\n1\n", ("--metric", "stalls"), "0 dimensions; there must be 1 to 32"),
        ("a,stalls\nb,2\n", ("--metric", "stalls"), "{file}, line 2: 2 of 1 is no rate"),
        (HEAD, (*COUNTS, "--depth", "4"), "depth must be 1 to 3"),
        (HEAD, (*COUNTS, "--top", "0"), "there can be 1 to 100 lines"),
        (
            HEAD,
            (*COUNTS, "--baseline-where", "week"),
            "--baseline-where is 'week', but must be like week=46 or time<2026-11-16",
        ),
        (
            HEAD,
            (*COUNTS, "--baseline-where", "wek=46"),
            "{file} has no column wek; did you mean week?",
        ),
        (
            HEAD,
            (*COUNTS, "--baseline-where", "week=46", "--baseline-metric", "stalls"),
            "give one baseline only",
        ),
        (
            HEAD,
            (*COUNTS, "--baseline-metric", "stalls"),
            "--baseline-metric and --baseline-total go together",
        ),
    ],
)
def test_a_complaint_names_file_and_line(
    text: str, flags: tuple[str, ...], complaint: str, tmp_path: Path, capsys: Any
) -> None:
    path = tmp_path / "x.csv"
    path.write_text(text)
    assert cli.run(["rank", str(path), *flags]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err == f"roomtone: {complaint.format(file=path)}\n"


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(b"a,b\n\xff\xfe,1\n")
    assert one_line(roomtone("rank", path, "--metric", "b")) == f"{path}: is no text in UTF-8"


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    result = roomtone("rank", path, "--metric", "b")
    assert one_line(result) == f"{path}: No such file or directory"
    assert result.returncode == 1
