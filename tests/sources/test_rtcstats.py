"""rtcstats dumps: whole reports, differences, numbers for names, and lines that are none."""

import json
from typing import Any

import pytest
from msgspec import UNSET

from roomtone.errors import Invalid
from roomtone.sources import Taken, rtcstats
from tests.sources.dumps import INTERVAL_S, Report, cells, dump_of, events, lines

NUMBERS = {name: number for number, name in rtcstats.FIELDS.items() if number != "t"}
TYPES = {name: number for number, name in rtcstats.TYPES.items()}


def read(some: list[bytes]) -> Taken:
    return rtcstats.read(some, interval_s=INTERVAL_S)


def compressed(before: Report, now: Report, *, numbers: bool) -> dict[str, Any]:
    """As rtcstats.js writes a report: what changed, ids implied, the newest time at the top."""
    own = [one["timestamp"] for one in now.values() if "remote" not in one["type"]]
    newest = max(own)
    found: dict[str, Any] = {name: None for name in before if name not in now}
    for name, entry in now.items():
        known = before.get(name, {})
        changed = {
            field: value
            for field, value in entry.items()
            if field != "id" and (field not in known or known[field] != value)
        }
        if changed.get("timestamp") == newest:
            changed["timestamp"] = 0
        if numbers:
            changed.pop("timestamp", None) if changed.get("timestamp") == 0 else None
            changed = {NUMBERS.get(field, field): value for field, value in changed.items()}
            if "timestamp" in changed:
                changed["t"] = changed.pop("timestamp")
            if "type" in changed:
                changed["type"] = int(TYPES[changed["type"]])
        if changed:
            found[name] = changed
    return found | {"t" if numbers else "timestamp": newest}


def as_differences(*, numbers: bool) -> list[bytes]:
    before: dict[str, Report] = {}
    written: list[list[Any]] = []
    for event in events():
        if event[0] == "getStats":
            now = event[2]
            value = compressed(before.get(event[1], {}), now, numbers=numbers)
            before[event[1]] = now
            event = ["g" if numbers else "getStats", event[1], value, event[3]]  # noqa: PLW2901
        written.append(event)
    return dump_of(written)


@pytest.mark.parametrize("numbers", [False, True], ids=["names", "numbers for names"])
def test_differences_between_reports_say_the_same_as_whole_reports(numbers: bool) -> None:
    small = as_differences(numbers=numbers)
    assert sum(map(len, small)) < 0.8 * sum(map(len, lines()))
    assert cells(read(small).sessions) == cells(read(lines()).sessions)


def test_a_zero_in_a_difference_is_a_value() -> None:
    before = {"I": {"type": "inbound-rtp", "packetsLost": 5, "timestamp": 1_795_411_613_000}}
    now = {"I": {"packetsLost": 0}, "timestamp": 1_795_411_614_000}
    at_ms, stats = rtcstats.merged(before, now, 0.0)
    assert at_ms == 1_795_411_614_000
    assert stats["I"] == {"type": "inbound-rtp", "packetsLost": 0, "timestamp": at_ms}


def test_what_a_difference_does_not_mention_stays_and_null_removes() -> None:
    before = {
        "I": {"type": "inbound-rtp", "packetsReceived": 7, "timestamp": 1_795_411_613_000},
        "R": {"type": "remote-inbound-rtp", "timestamp": 1_795_411_612_000},
        "C": {"type": "codec", "timestamp": 1_795_411_613_000},
    }
    at_ms, stats = rtcstats.merged(before, {"C": None, "timestamp": 1_795_411_614_000}, 0.0)
    assert set(stats) == {"I", "R"}
    assert stats["I"]["timestamp"] == at_ms
    assert stats["R"]["timestamp"] == 1_795_411_612_000, "no RTCP came since"
    assert before["I"]["timestamp"] == 1_795_411_613_000, "the report before is not touched"


def test_a_dump_that_was_cut_short_gives_what_is_whole() -> None:
    text = b"".join(lines())
    taken = read(text[: len(text) - 5_000].splitlines(keepends=True))
    assert "1 line: broken or cut short" in taken.unused
    at_once = cells(read(lines()).sessions)
    cut = cells(taken.sessions)
    assert set(cut) == set(at_once)


def test_a_share_is_told_by_the_request_that_gave_its_track() -> None:
    """The far end needs no word for it: the page asked for the screen."""
    changed = [
        json.loads(json.dumps(event).replace("getUserMedia", "getDisplayMedia"))
        for event in events()
    ]
    [session] = read(dump_of(changed)).sessions
    assert session.shareOut
    assert not session.videoOut
    assert session.videoIn
    assert session.camera == session.microphone == ""


def test_a_screen_that_getusermedia_gave_is_a_share_and_no_camera() -> None:
    """As desktop clients built on Chromium do it."""
    changed = [
        json.loads(json.dumps(event).replace("fake_device_0", "screen:0:0")) for event in events()
    ]
    [session] = read(dump_of(changed)).sessions
    assert session.shareOut
    assert not session.videoOut
    assert (session.camera, session.microphone) == ("", "Fake Default Audio Input")


def test_devices_as_older_dumps_write_them_are_known() -> None:
    changed = events()
    for event in changed:
        if event[0].endswith("OnSuccess") and isinstance(event[2], list):
            event[2] = {
                "id": "stream",
                "tracks": [
                    dict(zip(("kind", "id", "label"), one, strict=False)) for one in event[2]
                ],
            }
        event[0] = event[0].replace("getStats", "getstats")
    assert read(dump_of(changed)).sessions == read(lines()).sessions


def test_a_call_that_was_closed_has_its_end() -> None:
    closes = [["close", "6-1", None, 1000.0], ["close", "6-2", None, 500.0]]
    [session] = read(dump_of(events() + closes[:1])).sessions
    assert session.leaveTime is UNSET, "one of its connections is open"
    [session] = read(dump_of(events() + closes)).sessions
    assert session.leaveTime == "2026-11-23T05:27:00.522Z"


def test_pages_of_a_browser_are_sessions_of_their_own() -> None:
    other = [
        json.loads(json.dumps(event).replace('"6-2"', '"7-1"').replace("getUserMedia-6", "x"))
        for event in events()
    ]
    first, second = read(dump_of(other)).sessions
    assert first.participantSessionId != second.participantSessionId
    assert first.meetingInstanceId != second.meetingInstanceId, "who knows what they have in common"


@pytest.mark.parametrize(
    ("some", "said"),
    [
        ([], "does not begin"),
        ([b"RTCStatsDump\n"], "second line"),
        ([b"RTCStatsDump\n", b"[]\n"], "second line"),
        ([b"RTCStatsDump\n", b'{"fileFormat":99}\n'], "format 99"),
        (dump_of([]), "nothing to measure"),
        (dump_of([["getStats", "1", {"x": 5}, 1_795_411_613_000]])[:2], "nothing to measure"),
        (dump_of([["create", f"{n}-1", {}, "u", 1_795_411_613_000] for n in range(300)]), "200"),
    ],
)
def test_what_is_no_dump_is_named(some: list[bytes], said: str) -> None:
    with pytest.raises(Invalid, match=said):
        read(some)


@pytest.mark.parametrize(
    ("line", "noted"),
    [
        (b"5\n", "1 line: broken or cut short"),
        (b"{}\n", "1 line: broken or cut short"),
        (b"[" * 100_000, "1 line: broken or cut short"),
        (b"\xff\n", "1 line: broken or cut short"),
        (b"[]\n", "1 line: no event of rtcstats"),
        (b'["getStats","6-1",{},"soon"]\n', "1 line: no event of rtcstats"),
        (b'["getStats","6-1",[],1]\n', "1 report: no object of entries"),
        (b'["getStats",7,{},1]\n', "1 report: no object of entries"),
        (b'["getStats","6-1",{"x":{"id":"x","type":[1]}},1]\n', "1 entry of type [1]"),
    ],
)
def test_a_line_that_is_none_is_counted_and_the_others_are_used(line: bytes, noted: str) -> None:
    taken = read([*lines(), line])
    assert any(told.startswith(noted) for told in taken.unused)
    assert cells(taken.sessions) == cells(read(lines()).sessions)


def test_what_is_no_telemetry_is_named_once_a_kind() -> None:
    unused = read(lines()).unused
    assert unused == [
        "51 events: neither reports nor devices",
        "28 entries of type certificate: not telemetry",
        "14 entries of type media-playout: not telemetry",
        "14 entries of type remote-candidate: not telemetry",
        "14 entries of type peer-connection: not telemetry",
    ]
