"""Files that somebody or something has damaged: a named error or sessions, never anything else."""

import json
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from roomtone.errors import Invalid
from roomtone.ingest import parse_sessions
from roomtone.model import epoch_ms
from roomtone.sources import Taken, internals, recognise, reports, rtcstats
from tests.measure.truth import SERIES
from tests.sources.dumps import INTERNALS, RTCSTATS

NOW_MS = epoch_ms("2026-12-01T00:00:00Z")
DUMP: dict[str, Any] = json.loads(INTERNALS)
SMALL = json.dumps(
    DUMP | {"PeerConnections": {"6-1": DUMP["PeerConnections"]["6-1"]}}, separators=(",", ":")
).encode()
LINES = b"\n".join(RTCSTATS.splitlines()[:4] + RTCSTATS.splitlines()[60:64])
REPORTS = json.dumps(SERIES["A"][:4]).encode()
TOKENS = [
    b"null", b"0", b"-1", b"1e308", b"99999999999999999999", b'""', b"[]", b"{}", b'"\\u0000"',
    b'"\\ud800"', b"\xff", b",", b'"', b"true", b"[[[", b"1795411613015.043",
]  # fmt: skip


VALUES = [b"null", b"0", b"-7", b"1e300", b"4294967296", b'"x"', b"[1]", b'{"id":1}', b"true"]
PLACE = st.floats(0, 1, exclude_max=True)


class Damage(NamedTuple):
    """What happened to a file: bytes overwritten, cut out or added; values that are others; an end
    that is missing. Places are shares of the length."""

    edits: list[tuple[float, int, bytes]]
    values: list[tuple[float, bytes]]
    end: float | None

    def done_to(self, text: bytes) -> bytes:
        """The damaged file."""
        parts = text.split(b":")
        for place, value in self.values:
            at = int(place * len(parts))
            old, mark, rest = parts[at].partition(b",")
            if at and mark and not old.rstrip().endswith((b"}", b"]")):
                parts[at] = value + mark + rest
        text = b":".join(parts)
        for place, length, middle in self.edits:
            at = int(place * len(text))
            text = text[:at] + middle + text[at + length :]
        return text if self.end is None else text[: int(self.end * len(text))]


EDITS = st.lists(
    st.tuples(
        PLACE,
        st.sampled_from([0, 1, 2, 5, 40, 1_000]),
        st.one_of(st.sampled_from(TOKENS), st.binary(max_size=4)),
    ),
    max_size=4,
)
DAMAGES = st.builds(Damage, EDITS, st.just([]), st.none() | PLACE) | st.builds(
    Damage, st.just([]), st.lists(st.tuples(PLACE, st.sampled_from(VALUES)), max_size=8), st.none()
)


def taken_or_named(taken: Taken | None) -> None:
    """What was taken goes through the door or is refused there with a path."""
    for session in taken.sessions if taken else []:
        try:
            parse_sessions(b'{"items":[' + msgspec.json.encode(session) + b"]}", NOW_MS)
        except Invalid as error:
            assert "$.items[0]" in error.message  # noqa: PT017


def attempt(text: bytes, form: str) -> Taken | None:
    try:
        if form == "internals":
            return internals.read(text, interval_s=2.0)
        if form == "rtcstats":
            return rtcstats.read(text.splitlines(keepends=True), interval_s=2.0)
        return reports.read([text], interval_s=2.0)
    except Invalid:
        return None


@settings(max_examples=150, deadline=None)
@given(DAMAGES)
def test_a_damaged_webrtc_internals_dump_is_named_or_used(damage: Damage) -> None:
    taken_or_named(attempt(damage.done_to(SMALL), "internals"))


@settings(max_examples=200, deadline=None)
@given(DAMAGES)
def test_a_damaged_rtcstats_dump_is_named_or_used(damage: Damage) -> None:
    taken_or_named(attempt(damage.done_to(LINES), "rtcstats"))


@settings(max_examples=200, deadline=None)
@given(DAMAGES)
def test_damaged_reports_are_named_or_used(damage: Damage) -> None:
    taken_or_named(attempt(damage.done_to(REPORTS), "reports"))


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200) | st.tuples(st.sampled_from(["R", "L", "S"]), DAMAGES))
def test_any_file_is_recognised_or_refused_by_name(
    tmp_path_factory: pytest.TempPathFactory, how: bytes | tuple[str, Damage]
) -> None:
    path = tmp_path_factory.getbasetemp() / "any"
    if isinstance(how, tuple):
        how = how[1].done_to({"R": REPORTS, "L": LINES, "S": SMALL}[how[0]])
    path.write_bytes(how)
    try:
        found = recognise.recognise(path)
        if found.form != "sessions":
            taken_or_named(recognise.read(path, found))
    except Invalid:
        return
