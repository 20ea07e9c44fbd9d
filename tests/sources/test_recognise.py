"""A file is known by what is in it, whatever it is called and however it is packed."""

import gzip
import json
from pathlib import Path

import pytest

from roomtone.errors import Invalid
from roomtone.sources import recognise
from tests.conftest import DATA
from tests.measure.truth import SERIES
from tests.sources.dumps import INTERNALS, RTCSTATS

A = SERIES["A"]
API = (DATA / "meeting-qualities-example.json").read_bytes()
SESSION = json.dumps({"meetingInstanceId": "m1"}).encode()
FORMS = [
    pytest.param(RTCSTATS, "rtcstats", id="rtcstats"),
    pytest.param(INTERNALS, "internals", id="webrtc-internals"),
    pytest.param(json.dumps(SERIES).encode(), "reports", id="reports by name"),
    pytest.param(json.dumps(A, indent=1).encode(), "reports", id="reports on many lines"),
    pytest.param(b"\n".join(json.dumps(one).encode() for one in A), "reports", id="JSONL"),
    pytest.param(json.dumps(A[0]["r"]).encode(), "reports", id="one report"),
    pytest.param(API, "sessions", id="the API's answer"),
    pytest.param(b'{"items":[\n' + SESSION + b"\n]}\n", "sessions", id="an export"),
    pytest.param(SESSION + b"\n" + SESSION, "sessions", id="sessions in lines"),
    pytest.param(b"{broken\n" + SESSION, "sessions", id="lines, the first of them broken"),
    pytest.param(b"\xef\xbb\xbf\n\n" + SESSION, "sessions", id="behind a byte order mark"),
    pytest.param(bytes.fromhex("0a0d0d0a") + bytes(60), "capture", id="PCAPNG"),
    pytest.param(bytes.fromhex("d4c3b2a1") + bytes(20), "capture", id="PCAP"),
]


@pytest.mark.parametrize(("text", "form"), FORMS)
@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a.pcap"])
def test_a_form_is_known_by_content(text: bytes, form: str, name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(text)
    assert recognise.recognise(path).form == form


@pytest.mark.parametrize(("text", "form"), FORMS)
def test_a_packed_file_is_what_is_in_it(text: bytes, form: str, tmp_path: Path) -> None:
    path = tmp_path / "any"
    path.write_bytes(gzip.compress(text))
    if form == "capture":
        with pytest.raises(Invalid, match="unpack"):
            recognise.recognise(path)
    else:
        assert recognise.recognise(path).form == form


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "there is nothing in it"),
        (b"\n\n", "there is nothing in it"),
        (gzip.compress(b"", mtime=0), "there is nothing in it"),
        (b"a,b\n1,2\n", "not recognised"),
        (b"{}", "not recognised: JSON"),
        (b"[]", "not recognised: JSON"),
        (b'[{"type": "offer", "sdp": ""}]', "not recognised: JSON"),
        (
            b'{"emitter": "J", "type": 1}\n{"emitter": "J", "type": 2}\n',
            "lines of JSON, but neither",
        ),
        (b'{"items": [', "cut short"),
        (b"[" * 100_000, "cut short"),
        (gzip.compress(RTCSTATS, mtime=0)[:-2_000], "broken gzip"),
        (b"\x1f\x8b" + bytes(50), "broken gzip"),
    ],
)
def test_what_is_none_is_refused_with_the_reason(text: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "any"
    path.write_bytes(text)
    with pytest.raises(Invalid, match=said):
        recognise.read(path, recognise.recognise(path))


def test_a_document_has_a_largest_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "any"
    path.write_bytes(gzip.compress(INTERNALS))
    with pytest.raises(Invalid, match="larger than 100000 bytes"):
        recognise.recognise(path, document_bytes_max=100_000)
    monkeypatch.setattr(recognise, "DOCUMENT_BYTES_MAX", 100_000)
    with pytest.raises(Invalid, match="larger than 100000 bytes"):
        recognise.read(path, recognise.recognise(path, document_bytes_max=10**6))


def test_lines_that_are_packed_have_a_largest_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "any"
    path.write_bytes(gzip.compress(RTCSTATS))
    monkeypatch.setattr(recognise, "UNPACKED_BYTES_MAX", 100_000)
    with pytest.raises(Invalid, match="unpacks to more"):
        recognise.read(path, recognise.recognise(path))
