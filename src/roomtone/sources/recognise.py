"""Which of the known forms a file is of, by its content and never by its name, and reading it.

| form | is known by |
|---|---|
| capture | the magic number of PCAP or PCAPNG |
| rtcstats | the first line `RTCStatsDump` |
| internals | a JSON object with `PeerConnections` |
| sessions | a JSON object with `items` or `meetingInstanceId`: the API's own, read by the command |
| reports | JSON in which RTCStats dictionaries are found where getStats reports may be |

JSON is one document, or one on each line. All of it may be packed with gzip.
"""

import gzip
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final, Literal, NamedTuple

from roomtone.errors import Invalid
from roomtone.sources import Taken, capture, internals, reports, rtcstats
from roomtone.sources.recording import INTERVAL_S_DEFAULT

DOCUMENT_BYTES_MAX: Final = 256 * 2**20
"""A JSON document is read whole, and takes up to four times its size while it is read."""
LINE_BYTES_MAX: Final = 64 * 2**20
UNPACKED_BYTES_MAX: Final = 4 * 2**30
"""Of a file packed with gzip, in lines."""
CAPTURE_HEAD_BYTES: Final = 4
GZIP_MAGIC: Final = b"\x1f\x8b"
BOM: Final = b"\xef\xbb\xbf"

Form = Literal["capture", "rtcstats", "internals", "reports", "sessions"]
Progress = Callable[[float], None]
KNOWN: Final = (
    "a capture, a webrtc-internals or rtcstats dump, getStats reports, or the API's media sessions"
)


class Found(NamedTuple):
    """The form of a file; `text` is the whole of it when it is one document."""

    form: Form
    text: bytes | None = None


def form_of_json(found: object) -> Form | None:
    """The form of a decoded JSON document, None if it is none of them."""
    if isinstance(found, dict):
        if "PeerConnections" in found:
            return "internals"
        if "items" in found or "meetingInstanceId" in found:
            return "sessions"
    return "reports" if reports.recognises(found) else None


def recognise(path: Path, *, document_bytes_max: int = DOCUMENT_BYTES_MAX) -> Found:
    """The form of a file; Invalid when it is of none. OSError as it comes."""
    with opened(path) as file:
        if isinstance(file, gzip.GzipFile):  # how large it is shows only when it is unpacked
            document_bytes_max = min(document_bytes_max, DOCUMENT_BYTES_MAX)
        if capture.recognises(file.read(CAPTURE_HEAD_BYTES)):
            if isinstance(file, gzip.GzipFile):
                raise Invalid("a packed capture: unpack it first")
            return Found("capture")
        file.seek(0)
        first = _first_line(file)
        if not first:
            raise Invalid("there is nothing in it")
        if first.strip() == rtcstats.MAGIC:
            return Found("rtcstats")
        if first.lstrip()[:1] not in (b"{", b"["):
            raise Invalid(f"not recognised: neither {KNOWN}")
        second = file.readline(LINE_BYTES_MAX)
        if second.strip() and (form := form_of_json(reports.decoded(first))):
            return Found(form)
        too_large = Invalid(f"larger than {document_bytes_max} bytes; use JSONL")
        if path.stat().st_size > document_bytes_max:
            raise too_large
        text = first + second + file.read(max(document_bytes_max + 1 - len(first + second), 0))
    if len(text) > document_bytes_max:
        raise too_large
    return _document(text, second)


def _document(text: bytes, second: bytes) -> Found:
    """The form of one document; or of lines, when it is none, by the second: the first is bad."""
    found = reports.decoded(text)
    if found is not None:
        if form := form_of_json(found):
            return Found(form, text)
        raise Invalid(f"not recognised: JSON, but neither {KNOWN}")
    following = reports.decoded(second)
    if form := form_of_json(following):
        return Found(form)
    if following is not None:
        raise Invalid(f"not recognised: lines of JSON, but neither {KNOWN}")
    raise Invalid("broken JSON: was the file cut short?")


def _first_line(file: IO[bytes]) -> bytes:
    """The first line that is not empty; of blank ones at most a thousand are passed over."""
    line = file.readline(LINE_BYTES_MAX).removeprefix(BOM)
    for _ in range(1_000):
        if line.strip():
            break
        line = file.readline(LINE_BYTES_MAX)
    return line


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """A file's content, unpacked where it is packed; Invalid when the packing is broken."""
    with path.open("rb") as raw:
        packed = raw.read(2) == GZIP_MAGIC
        raw.seek(0)
        if not packed:
            yield raw
            return
        try:
            with gzip.GzipFile(fileobj=raw) as file:
                yield file  # type: ignore[misc]  # a GzipFile reads like any other
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise Invalid(f"broken gzip: {error}") from None


def lines_of(path: Path, *, progress: Progress = lambda by: None) -> Iterator[bytes]:
    """The lines of a file; `progress` hears of each line's bytes."""
    with opened(path) as file:
        left = UNPACKED_BYTES_MAX
        while line := file.readline(LINE_BYTES_MAX):
            if isinstance(file, gzip.GzipFile):
                left -= len(line)
                if left < 0:
                    raise Invalid(f"unpacks to more than {UNPACKED_BYTES_MAX} bytes")
            progress(len(line))
            yield line.removeprefix(BOM)


def _by_steps(progress: Progress) -> Callable[[int], None]:
    """Who tells how much there was in all tells `progress` how much that is more."""
    before = 0

    def step(octets: int) -> None:
        nonlocal before
        progress(octets - before)
        before = octets

    return step


def read(
    path: Path,
    found: Found,
    *,
    ports: Sequence[int] = (),
    interval_s: float = INTERVAL_S_DEFAULT,
    progress: Progress = lambda by: None,
) -> Taken:
    """What a file of a foreign form holds. Invalid when nothing of it can be used."""
    assert found.form != "sessions", "these are read as they are"
    if found.form == "internals" and found.text is None:
        raise Invalid("webrtc-internals dumps one a line are not known: one a file")
    if found.form == "capture":
        return capture.read(path, ports=ports, interval_s=interval_s, progress=_by_steps(progress))
    if found.text is not None:
        if len(found.text) > DOCUMENT_BYTES_MAX:
            raise Invalid(f"larger than {DOCUMENT_BYTES_MAX} bytes")
        progress(len(found.text))
        if found.form == "internals":
            return internals.read(found.text, interval_s=interval_s)
        return reports.read([found.text], interval_s=interval_s)
    if found.form == "rtcstats":
        return rtcstats.read(lines_of(path, progress=progress), interval_s=interval_s)
    nonempty = (line for line in lines_of(path, progress=progress) if line.strip())
    return reports.read(nonempty, interval_s=interval_s)
