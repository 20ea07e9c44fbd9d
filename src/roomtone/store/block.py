"""A sealed session in one compact block, exactly as it was sent.

Layout: one byte for the edition of the format (1), four bytes each (little-endian) m and n, then m
bytes of head, n bytes of the columns' low bits and what is above them (see pack.py and bits.py).

The head is MessagePack, compressed by zstd with a fixed dictionary of words that heads have in
common: the header's strings without what the session's row knows (participantId without the
beginning that it shares with the meeting's id, or its digits as bytes), times in ms relative to the
first entry's start, then per kind and entry: interval, start, end (relative to the end of the last
sample), codec, transport, the lengths of the columns; at last the parameters of the columns.
"""

import re
import zlib
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import chain, repeat, takewhile
from threading import local
from typing import Any, Final

import msgspec
import zstandard
from msgspec import UNSET

from roomtone.errors import Unavailable
from roomtone.model import (
    COLUMNS,
    HEADER_FIELDS,
    RESOURCE_COLUMNS,
    STREAM_KINDS,
    MediaSession,
    Resources,
    Stream,
    column_of,
    sample_count,
    streams_of,
)
from roomtone.store.pack import Packer, Values, pack, unpack
from roomtone.store.timeline import period_ms, time_ms, time_text
from roomtone.store.unpack import Packed, json_columns, plain

_Lengths = tuple[list[int], list[int]]
"""Of all columns, of streams and of resources, in the order in which they are kept."""

EDITION: Final = 1
TIMES_CACHED_MAX: Final = 4_096
LEVEL: Final = 19
_HEAD_BYTES: Final = 9
_WORDS: Final = (
    "Integrated Camera: 1080p FaceTime HD Camera HD Pro Webcam USB Audio External Microphone"
    " Headset Earphone Built-in Audio Analogue Stereo MacBook Pro Microphone MacBook Pro Speakers"
    " Default ThinkPad linux mac ios android chrome other TEAMS_DEVICE SIP WEBEX_SDK WEBEX_JS_SDK"
    " TEAMS_CLIENT Chrome 1 Firefox Safari San Jose, USA 2001:db8: 10.24. 198.51.100. @example.com"
    " cellular ethernet unknown TCP PCMU Version 11 (Build 26100) Version 15.6 (Build 24G84)"
)
_LIKELY_TEXTS: Final = (
    "", "", "2.417", "MEETING_CENTER", "45.6", "windows", "Version 10.0 (Build 19045)", "",
    "Speakers", "wifi", "192.168.1.", "203.0.113.", "192.168.1.", "203.0.113.",
    "Integrated Camera", "Headset Microphone", "Frankfurt, Germany", "", "",
)  # fmt: skip
_ELSEWHERE: Final = frozenset(
    {"meetingInstanceId", "participantSessionId", "participantId", "joinTime", "leaveTime"}
)
_KEPT: Final = tuple(name for name in HEADER_FIELDS if name not in _ELSEWHERE)
_HEX_BYTES: Final = 16
_DIGITS: Final = 18
_DIGITS_BYTES: Final = 8
_WEBEX_ID_BYTES: Final = _HEX_BYTES + _DIGITS_BYTES
_WEBEX_ID: Final = re.compile(r"([0-9a-f]{32})_I_([0-9]{18})(_[0-9]*)?")


def _likely(samples: int, *codecs: str, picture: bool) -> list[Any]:
    """The heads of entries in most sessions; the last three lengths of sound without a picture."""
    heads = [[[60, codec, "UDP", samples, 0, 0]] for codec in codecs]
    if not picture:
        for head in heads[2:]:
            head[0][3] = [samples, samples, 0, 0, samples, samples]
    return [[*heads, [], []], [[60, 0, samples]]]


def _dictionary() -> bytes:
    """What heads have in common, the likeliest last. It is a part of the format."""
    likely = (
        [[[60, codec, "UDP", 45, 0, 0]] for codec in ("VP8", "AV1", "VP9")],
        list(_LIKELY_TEXTS),
        *_likely(45, "H.264 BP", "H.264 BP", "opus", "opus", picture=True),
        *_likely(45, "H.264 BP", "H.264 BP", "Opus", "Opus", picture=False),
    )
    return _WORDS.encode() + b"".join(map(pack, likely))


_DICTIONARY: Final = zstandard.ZstdCompressionDict(
    _dictionary(), dict_type=zstandard.DICT_TYPE_RAWCONTENT
)
_PARAMETERS: Final = zstandard.ZstdCompressionParameters.from_level(
    LEVEL, format=zstandard.FORMAT_ZSTD1_MAGICLESS, write_dict_id=False
)


class Damaged(Unavailable):
    """The bytes are not a block."""


class _Tools(local):
    """One compressor and one decompressor for each thread: they cannot be shared."""

    def __init__(self) -> None:
        self.compress = zstandard.ZstdCompressor(
            dict_data=_DICTIONARY, compression_params=_PARAMETERS
        ).compress
        self.decompress = zstandard.ZstdDecompressor(
            dict_data=_DICTIONARY, format=zstandard.FORMAT_ZSTD1_MAGICLESS
        ).decompress


_tools = _Tools()


def encode(session: MediaSession, meeting_id: str) -> bytes:
    """A folded session as bytes."""
    packer = Packer()
    for column in _columns(session):
        packer.add(column)
    parameters, low, rests = packer.packed()
    starts = [entry.startTime for kind in STREAM_KINDS for entry in streams_of(session, kind)]
    base = time_ms(min(starts)) if starts else 0
    head = [
        *(getattr(session, name) for name in _KEPT),
        *_split(session.participantId, meeting_id),
        base,
        None if session.joinTime is UNSET else time_ms(session.joinTime) - base,
        None if session.leaveTime is UNSET else time_ms(session.leaveTime) - base,
        [[_entry_head(e, base) for e in streams_of(session, kind)] for kind in STREAM_KINDS],
        [_resource_head(entry, base) for entry in session.resources],
        parameters,
    ]
    packed = _tools.compress(pack(head))
    sizes = len(packed).to_bytes(4, "little") + len(low).to_bytes(4, "little")
    return bytes([EDITION]) + sizes + packed + low + rests


def _split(participant: str, meeting_id: str) -> tuple[int, str | bytes]:
    """(how much it shares with the beginning of the meeting's id, the rest)."""
    pairs = zip(participant, meeting_id, strict=False)
    shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
    found = _WEBEX_ID.fullmatch(participant)
    if found is None or shared >= len(found[1]):
        return shared, participant[shared:]
    octets = bytes.fromhex(found[1]) + int(found[2]).to_bytes(_DIGITS_BYTES, "little")
    return 0, octets + (found[3] or "").encode()


def _participant(shared: int, rest: str | bytes, meeting_id: str) -> str:
    if isinstance(rest, str):
        return meeting_id[:shared] + rest
    digits = int.from_bytes(rest[_HEX_BYTES:_WEBEX_ID_BYTES], "little")
    text = rest[_WEBEX_ID_BYTES:].decode()
    return f"{rest[:_HEX_BYTES].hex()}_I_{digits:0{_DIGITS}d}{text}"


def _columns(session: MediaSession) -> Iterator[Values]:
    """All columns that are not empty, column by column over all entries."""
    entries = [entry for kind in STREAM_KINDS for entry in streams_of(session, kind)]
    for name in COLUMNS:
        yield from (values for entry in entries if (values := column_of(entry, name)))
    for resource in RESOURCE_COLUMNS:
        yield from (v for entry in session.resources if (v := getattr(entry, resource)))


def _lengths(lengths: list[int]) -> int | list[int]:
    """One number when all columns are as long."""
    return lengths[0] if len(set(lengths)) == 1 else lengths


def _end_of_samples(entry: Stream) -> int:
    length = int(sample_count(entry) * period_ms(entry.samplingInterval))
    return time_ms(entry.startTime) + length


def _entry_head(entry: Stream, base: int) -> list[Any]:
    return [
        entry.samplingInterval,
        entry.codec,
        entry.transportType,
        _lengths([len(column_of(entry, name)) for name in COLUMNS]),
        time_ms(entry.startTime) - base,
        time_ms(entry.endTime) - _end_of_samples(entry),
    ]


def _resource_head(entry: Resources, base: int) -> list[Any]:
    return [
        None if entry.samplingInterval is UNSET else entry.samplingInterval,
        None if entry.startTime is UNSET else time_ms(entry.startTime) - base,
        _lengths([len(getattr(entry, name)) for name in RESOURCE_COLUMNS]),
    ]


def decode(data: bytes, meeting_id: str) -> MediaSession:
    """The session that `encode` was given, value for value and type for type."""
    return decode_all([data], meeting_id, for_json=False)[0]


def decode_all(blocks: Sequence[bytes], meeting_id: str, *, for_json: bool) -> list[MediaSession]:
    """Sessions of one meeting; several at once take less time than one by one.

    `for_json`: they will only be encoded as JSON, and each column is a `msgspec.Raw`.
    """
    try:
        heads = [_head(data) for data in blocks]
        lengths = [_lengths_of(head) for head in heads]
        found: list[list[Any]] = json_columns(list(map(_packed, blocks, heads, lengths)))
        if not for_json:
            found = [list(map(plain, columns)) for columns in found]
        return [
            _whole(head, mine, columns, meeting_id)
            for head, mine, columns in zip(heads, lengths, found, strict=True)
        ]
    except _WRONG as error:
        raise Damaged("a block cannot be read") from error


def decode_header(data: bytes, meeting_id: str) -> MediaSession:
    """The session without streams and resources."""
    try:
        return _session(_head(data), meeting_id)
    except _WRONG as error:
        raise Damaged("a block cannot be read") from error


_WRONG: Final = (
    zstandard.ZstdError,
    zlib.error,
    msgspec.DecodeError,
    ValueError,
    TypeError,
    OverflowError,
    IndexError,
    EOFError,
    StopIteration,
    MemoryError,  # a damaged head may claim any size; zstd asks for it at once
)


def _head(data: bytes) -> list[Any]:
    if data[:1] != bytes([EDITION]):
        raise Damaged("a block of an unknown edition")
    size = int.from_bytes(data[1:5], "little")
    head: list[Any] = unpack(_tools.decompress(data[_HEAD_BYTES : _HEAD_BYTES + size]))
    return head


def _session(head: list[Any], meeting_id: str) -> MediaSession:
    *texts, shared, rest, base, join, leave, _, _, _ = head
    values = dict(zip(_KEPT, texts, strict=True))
    return MediaSession(
        meetingInstanceId=meeting_id,
        participantId=_participant(shared, rest, meeting_id),
        joinTime=UNSET if join is None else time_text(base + join),
        leaveTime=UNSET if leave is None else time_text(base + leave),
        **values,
    )


def _packed(data: bytes, head: list[Any], lengths: _Lengths) -> Packed:
    at_low = _HEAD_BYTES + int.from_bytes(data[1:5], "little")
    at_rests = at_low + int.from_bytes(data[5:9], "little")
    kept = lengths[0] + lengths[1]
    if 0 in kept:
        kept = [length for length in kept if length]
    return Packed(kept, head[-1], data[at_low:at_rests], data[at_rests:])


def _lengths_of(head: list[Any]) -> _Lengths:
    streams = [entry[3] for kind in head[-3] for entry in kind]
    resources = [entry[2] for entry in head[-2]]
    return _by_column(streams, len(COLUMNS)), _by_column(resources, len(RESOURCE_COLUMNS))


def _by_column(lengths: list[Any], columns: int) -> list[int]:
    """The opposite of `_lengths`, for several entries: column by column, all entries in each."""
    if list not in map(type, lengths):
        return lengths * columns
    entries = [[n] * columns if type(n) is int else n for n in lengths]
    return list(chain.from_iterable(zip(*entries, strict=True)))


def _whole(head: list[Any], lengths: _Lengths, found: list[Any], meeting_id: str) -> MediaSession:
    session = _session(head, meeting_id)
    kinds, resources = head[-3:-1]
    if len(found) < len(lengths[0]) + len(lengths[1]):
        kept = iter(found)
        found = [next(kept) if length else [] for length in chain(*lengths)]
    mine = len(lengths[0])
    base = head[-6]
    at, count = 0, mine // len(COLUMNS)
    for kind, entries in zip(STREAM_KINDS, kinds, strict=True):
        if entries:
            columns = (found[entry:mine:count] for entry in range(at, count))
            setattr(session, kind, list(map(_stream, entries, columns, repeat(base))))
            at += len(entries)
    session.resources = [
        _resource(entry, found[mine + at :: len(resources)], base)
        for at, entry in enumerate(resources)
    ]
    return session


def _stream(head: list[Any], columns: list[Any], base: int) -> Stream:
    interval, codec, transport, lengths, start, end = head
    loss, latency, height, rate, bits, jitter = columns
    samples = lengths if type(lengths) is int else max(lengths)
    start_text, end_text = _times(base + start, interval, samples, end)
    return Stream(
        samplingInterval=interval,
        startTime=start_text,
        endTime=end_text,
        packetLoss=loss,
        latency=latency,
        resolutionHeight=height,
        frameRate=rate,
        mediaBitRate=bits,
        codec=codec,
        jitter=jitter,
        transportType=transport,
    )


@lru_cache(TIMES_CACHED_MAX)
def _times(start_ms: int, interval: float, samples: int, after_ms: int) -> tuple[str, str]:
    """(startTime, endTime): streams of one session mostly have the same."""
    end_ms = start_ms + int(samples * period_ms(interval)) + after_ms
    return time_text(start_ms), time_text(end_ms)


def _resource(head: list[Any], columns: list[Any], base: int) -> Resources:
    interval, start, _ = head
    return Resources(
        **dict(zip(RESOURCE_COLUMNS, columns, strict=True)),
        samplingInterval=UNSET if interval is None else interval,
        startTime=UNSET if start is None else time_text(base + start),
    )
