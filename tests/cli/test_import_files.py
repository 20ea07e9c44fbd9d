"""`roomtone import` of what people already have: known by content, again without change, named."""

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from roomtone.store import MeetingQuery, open_store
from tests.cli.running import one_line, roomtone
from tests.conftest import DATA, start_server
from tests.measure.truth import SERIES
from tests.sources.dumps import INTERNALS, RTCSTATS


@dataclass
class Place:
    """Where to import to and export from."""

    flags: list[str]
    folder: Path
    files: list[Path] = field(default_factory=list)

    def file(self, content: bytes) -> Path:
        """A file without a telling name."""
        path = self.folder / f"file-{len(self.files)}"
        path.write_bytes(content)
        self.files.append(path)
        return path

    def exported(self) -> list[dict[str, Any]]:
        span = ["--from", "2026-11-01", "--format", "jsonl"]
        result = roomtone("export", *self.flags, *span)
        assert result.returncode == 0, result.stderr
        found = [json.loads(line) for line in result.stdout.splitlines()]
        return sorted(found, key=lambda one: str(one["participantSessionId"]))


@pytest.fixture
def near(tmp_path: Path) -> Place:
    """A folder that importing makes."""
    return Place(["--data", str(tmp_path / "data"), "--org", "acme"], tmp_path)


@pytest.fixture(params=["data", "url"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """A folder, or a server."""
    if request.param == "data":
        yield request.getfixturevalue("near")
        return
    server = start_server(tmp_path / "data")
    yield Place(["--url", server.url, "--token", server.token()], tmp_path)
    server.stop()


SERIES_TEXT = json.dumps(SERIES).encode()


def test_dumps_and_reports_land_and_again_change_nothing(place: Place) -> None:
    files = [place.file(INTERNALS), place.file(gzip.compress(SERIES_TEXT))]
    for _ in range(2):
        result = roomtone("import", *files, "--interval-s", "3", *place.flags)
        assert (result.returncode, result.stdout) == (0, "imported 3 of 3 items from 2 files\n")
        found = place.exported()
        assert len(found) == 3
    assert place.exported() == found
    [dump] = [one for one in found if one["clientType"] == "Chromium"]
    assert dump["videoIn"][0]["packetLoss"] == [0, 0]
    assert {one["webexUserName"] for one in found} == {"", "A", "B"}


def test_what_was_of_no_use_is_one_line_a_kind(near: Place) -> None:
    file = near.file(INTERNALS)
    result = roomtone("import", file, *near.flags)
    assert result.stderr.splitlines() == [
        f"{file}: 14 reports: no figures: these need 30 s of a stream that flows; "
        "less with a smaller --interval-s",
        f"{file}: 4 entries of type certificate: not telemetry",
        f"{file}: 2 entries of type media-playout: not telemetry",
        f"{file}: 2 entries of type remote-candidate: not telemetry",
        f"{file}: 2 entries of type peer-connection: not telemetry",
        f"{file}: meeting {near.exported()[0]['meetingInstanceId']}",
    ]


@pytest.mark.parametrize("flags", [(), ("--meeting", "the call")], ids=["made", "named"])
def test_whoever_imports_hears_which_meeting_it_became(flags: tuple[str, ...], near: Place) -> None:
    file = near.file(SERIES_TEXT)
    result = roomtone("import", file, *flags, *near.flags)
    [meeting] = {one["meetingInstanceId"] for one in near.exported()}
    assert result.stderr.splitlines()[-1] == f"{file}: meeting {meeting}"
    assert not flags or meeting == "the call"


def test_both_dumps_of_one_browser_are_one_session(near: Place) -> None:
    files = [near.file(INTERNALS), near.file(RTCSTATS)]
    result = roomtone("import", *files, "--interval-s", "3", *near.flags)
    assert result.returncode == 0
    assert len(near.exported()) == 1


def test_both_sides_of_a_call_can_be_joined_in_one_meeting(place: Place) -> None:
    """Also after one of them was imported on its own."""
    sides = [place.file(json.dumps(SERIES[peer]).encode()) for peer in ("A", "B")]
    assert roomtone("import", sides[0], *place.flags).returncode == 0
    for _ in range(2):
        result = roomtone("import", *sides, "--meeting", "the call", *place.flags)
        assert result.returncode == 0, result.stderr
    joined = [one for one in place.exported() if one["meetingInstanceId"] == "the call"]
    assert len(joined) == 2
    assert len(place.exported()) == 3
    first, second = joined
    assert first["audioOut"][0]["startTime"][:16] == second["audioOut"][0]["startTime"][:16]


def test_a_meeting_made_of_a_file_says_so_and_a_named_one_keeps_its_title(near: Place) -> None:
    files = [near.file(RTCSTATS), near.file(json.dumps(SERIES["A"]).encode())]
    assert roomtone("import", files[0], *near.flags).returncode == 0
    assert roomtone("import", files[1], "--meeting", "weekly", *near.flags).returncode == 0
    store = open_store(near.flags[1])
    try:
        query = MeetingQuery(from_ms=0, to_ms=2**42, offset=0, limit=10)
        found = store.meetings("acme", query, deadline=monotonic() + 10)
    finally:
        store.close()
    titles = {meeting.id == "weekly": meeting.title for meeting in found}
    assert titles[False] == "Imported: rtcstats dump"
    assert "Imported" not in titles[True]


def test_a_capture_lands_with_its_ports_and_again_changes_nothing(near: Place) -> None:
    pytest.importorskip("libpcap")
    file = near.file((DATA / "rtp" / "g711-5pct-exact-loopback.pcapng").read_bytes())
    for _ in range(2):
        result = roomtone("import", file, "--port", "5004", *near.flags)
        assert (result.returncode, result.stdout) == (0, "imported 2 of 2 items from 1 file\n")
        found = near.exported()
    [loss] = [one["audioIn"][0]["packetLoss"] for one in found if one["audioIn"]]
    assert loss == [pytest.approx(5.0, abs=0.1)]
    assert near.exported() == found


def test_a_bad_file_is_named_and_the_others_land(near: Place) -> None:
    bad = near.file(INTERNALS[:90_000])
    other = near.file(b"a,b\n1,2\n")
    good = near.file(RTCSTATS)
    result = roomtone("import", bad, other, good, *near.flags)
    assert result.returncode == 1
    assert result.stdout == "imported 1 of 1 item from 1 of 3 files\n"
    said = result.stderr.splitlines()
    assert said[0] == f"{bad}: broken JSON: was the file cut short?"
    assert said[1].startswith(f"{other}: not recognised: ")
    assert len(near.exported()) == 1


def test_a_clock_that_is_a_year_ahead_is_refused_by_name(near: Place) -> None:
    ahead = json.loads(json.dumps(SERIES["A"]).replace('"t": 1795', '"t": 2395'))
    result = roomtone("import", near.file(json.dumps(ahead).encode()), *near.flags)
    assert result.returncode == 1
    assert "at most a day ahead" in result.stderr
    assert near.exported() == []


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--meeting", "a<b"], "--meeting is no meeting's id"),
        (["--port", "0"], "--port is 0, but must be 1..65535"),
        (["--port", "70000"], "--port is 70000, but must be 1..65535"),
        (["--port", "rtp"], '"rtp"'),
        (["--interval-s", "0"], "--interval-s is 0, but must be 1..3600"),
    ],
)
def test_a_wrong_flag_is_one_line(flags: list[str], said: str, near: Place) -> None:
    result = roomtone("import", near.file(RTCSTATS), *flags, *near.flags)
    assert result.returncode == 2
    assert said in one_line(result)
