"""`roomtone explain`: who had it bad, when and why, near and far, for people and programs."""

import json
import re
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest

from roomtone.commands import sparkline
from roomtone.model import MediaSession, Stream, epoch_ms, iso_ms
from roomtone.score import SessionScore, StreamScore, Verdict
from roomtone.store import open_store
from tests.cli.running import one_line, roomtone
from tests.conftest import Server, session, stream

START = "2026-11-24T09:00:00.000Z"
START_MS = epoch_ms(START)
MINUTE_MS = 60_000


def sound(*loss: float) -> list[dict[str, Any]]:
    count = len(loss)
    calm = {"latency": [40] * count, "jitter": [4] * count, "mediaBitRate": [40_000] * count}
    return [stream(START, codec="Opus", packetLoss=list(loss), **calm)]


MEETING = [
    session("S1", webexUserName="Ada", audioIn=sound(*[0] * 10)),
    session("S2", webexUserName="Bob\x1b[31m\nBad", audioIn=sound(*[0] * 4, *[12] * 6)),
]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    store = open_store(folder)
    with store.transaction():
        for item in MEETING:
            piece: MediaSession = msgspec.convert(item, MediaSession)
            store.put_session("acme", piece, START_MS)
    store.close()
    return folder


def told(data: Path, *flags: str, meeting: str = "m1", **variables: str) -> str:
    where = ("--data", data, "--org", "acme")
    result = roomtone("explain", meeting, *where, *flags, env=variables)
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    return result.stdout


def row(output: str, name: str) -> str:
    return next(line for line in output.splitlines() if line.startswith(name))


def test_the_worst_stands_first_with_its_score_over_time_and_the_reason(data: Path) -> None:
    lines = told(data).splitlines()
    assert lines[0].startswith("m1: poor (1 of 2 participants poor: 12.0 % packet loss")
    assert "2026-11-24T09:00:00Z to 2026-11-24T09:10:00Z, 2 sessions (1 poor, 1 good)" in lines[1]
    bob, ada = row(told(data), "Bob"), row(told(data), "Ada")
    assert lines.index(bob) < lines.index(ada)
    assert bob.count("▇") == 4, "four good minutes"
    assert ada.count("▇") == 10
    assert "12.0 % packet loss in received audio" in bob


def test_a_finding_is_told_with_what_to_do(data: Path) -> None:
    output = told(data)
    assert "1. 09:04 to 09:10, downlink, confidence 0." in output
    assert "Felt by Bob" in output


def test_nobodys_name_writes_to_the_terminal(data: Path) -> None:
    output = told(data)
    assert "\x1b" not in output
    assert row(output, "Bob").startswith("Bob [31m Bad")


def test_json_is_what_the_api_answers_near_and_far(data: Path, server: Server) -> None:
    token = server.token()
    headers = {"Authorization": f"Bearer {token}"}
    with httpx2.Client(base_url=server.url, headers=headers) as client:
        assert client.post("/v1/meeting/qualities", json={"items": MEETING}).status_code == 204
        answer = client.get("/v1/roomtone/meetings/m1")
    far = roomtone("explain", "m1", "--url", server.url, "--json", env={"ROOMTONE_TOKEN": token})
    assert json.loads(far.stdout) == answer.json()
    assert json.loads(told(data, "--json")) == answer.json()
    shown = roomtone("explain", "m1", "--url", server.url, env={"ROOMTONE_TOKEN": token})
    assert shown.stdout == told(data)


def test_who_may_not_know_people_is_told_of_participants(server: Server) -> None:
    headers = {"Authorization": f"Bearer {server.token()}"}
    posted = httpx2.post(
        f"{server.url}/v1/meeting/qualities", json={"items": MEETING}, headers=headers
    )
    assert posted.status_code == 204
    token = server.token("analytics:read_anonymous")
    result = roomtone("explain", "m1", "--url", server.url, env={"ROOMTONE_TOKEN": token})
    assert row(result.stdout, "P-S2")
    assert "Bob" not in result.stdout


@pytest.mark.parametrize(("encoding", "sign"), [("utf-8", "▇"), ("ascii", "4")])
def test_a_terminal_without_the_signs_gets_numbers(data: Path, encoding: str, sign: str) -> None:
    assert sign * 10 in row(told(data, PYTHONIOENCODING=encoding), "Ada")


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_lines_are_no_wider_than_the_terminal(data: Path, columns: int) -> None:
    env = {"COLUMNS": str(columns), "FORCE_COLOR": "1", "TERM": "xterm"}
    output = told(data, **env)
    plain = re.sub(r"\x1b\[[0-9;]*m", "", output)
    assert max(map(len, plain.splitlines())) <= columns


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("explain", "m9", "--org", "acme"), 1, "meeting m9 is not known"),
        (("explain", "m1", "--org", "other"), 2, "--org is other"),
        (("explain", "m1"), 2, "say where"),
    ],
)
def test_what_cannot_be_explained_is_one_line(
    data: Path, arguments: tuple[str, ...], code: int, said: str
) -> None:
    result = roomtone(*arguments, "--data", data)
    assert result.returncode == code
    assert said in one_line(result)


def test_a_meeting_without_samples_has_no_lines(data: Path) -> None:
    store = open_store(data)
    with store.transaction():
        store.put_session(
            "acme", MediaSession(meetingInstanceId="m2", participantSessionId="S9"), START_MS
        )
    store.close()
    output = told(data, meeting="m2")
    assert output.startswith("m2: unclassified\n1 session (1 unclassified), 0 of 0 minutes poor")
    assert "No trouble was found." in output


# -- scores as signs


def scored(start_ms: int, interval_s: int, *mos: float | None) -> tuple[MediaSession, SessionScore]:
    entry = Stream(
        startTime=iso_ms(start_ms),
        samplingInterval=interval_s,
        packetLoss=[0] * len(mos),
    )
    verdicts: list[Verdict] = ["unclassified" if one is None else "good" for one in mos]
    found = StreamScore(mos=list(mos), verdicts=verdicts)
    return (
        MediaSession(meetingInstanceId="m1", audioIn=[entry]),
        SessionScore(streams={"audioIn": [found]}),
    )


def slots(*several: tuple[MediaSession, SessionScore], most: int = 60) -> list[list[float | None]]:
    axis = sparkline.axis([one for one, _ in several], slots_max=most)
    assert axis is not None
    return [sparkline.lowest(axis, sparkline.spells(*one, ["audioIn"])) for one in several]


@pytest.mark.parametrize(
    ("told", "most", "expected"),
    [
        ([(0, 60, 4, 3, 2)], 60, [[4, 3, 2]]),
        ([(0, 60, 4, None, 2)], 60, [[4, None, 2]]),
        ([(0, 60, 4, 3, 2, 5, 1)], 3, [[3, 2, 1]]),
        ([(0, 60, 4, 4, 4), (60, 60, 1)], 60, [[4, 4, 4], [None, 1, None]]),
        ([(0, 60, 4, 3), (20, 60, 1)], 60, [[4, 3], [1, None]]),
        ([(0, 60, 4, 4, 4, 4), (60, 120, 2)], 60, [[4, 4, 4, 4], [None, 2, 2, None]]),
    ],
    ids=["as it is", "unknown", "too many", "later", "another phase", "longer"],
)
def test_sessions_stand_on_one_axis(
    told: list[tuple[Any, ...]], most: int, expected: list[list[float | None]]
) -> None:
    several = [scored(START_MS + at * 1000, step, *mos) for at, step, *mos in told]
    assert slots(*several, most=most) == expected


def test_the_time_that_is_told_ends_with_the_samples_and_not_with_the_last_sign() -> None:
    axis = sparkline.axis([scored(START_MS, 60, *[4] * 7)[0]], slots_max=3)
    assert axis is not None
    assert (axis.slot_ms, axis.count) == (3 * MINUTE_MS, 3)
    assert axis.end_ms == START_MS + 7 * MINUTE_MS


def test_a_sign_is_on_a_fixed_scale() -> None:
    assert sparkline.line([1, 5, None, 3, 4.99, 0], plain=False) == "▁█ ▅█▁"
    assert sparkline.line([1, 5, None, 3, 4.99, 0], plain=True) == "15 351"
