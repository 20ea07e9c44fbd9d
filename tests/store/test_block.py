"""Blocks give back exactly what was put in, and refuse what is not a block."""

import contextlib
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET, json

from roomtone.model import COLUMNS, RESOURCE_COLUMNS, MediaSession, Resources, Stream, iso_ms
from roomtone.store import block
from roomtone.store.columns import fold
from roomtone.store.pack import Packer
from roomtone.store.unpack import Packed, json_columns, plain
from tests.store.support import T0, exact, example, piece

decimals = st.integers(0, 10**6).flatmap(
    lambda n: st.sampled_from([n / 10, n / 100, n / 1000, float(n), n / 100_000])
)
numbers = st.one_of(
    st.integers(0, 300),
    st.integers(0, 2**80),
    decimals,
    st.floats(0, allow_nan=False, allow_infinity=False),
    st.just(-0.0),
)
uniform = st.sampled_from([st.integers(0, 5), st.integers(0, 2**31), decimals, numbers])
series = uniform.flatmap(
    lambda kind: st.lists(st.one_of(kind, kind, kind, st.none()), min_size=1, max_size=30)
)
slopes = st.builds(
    lambda first, step, size, scale: [(first + step * k) / scale for k in range(size)],
    st.integers(10**4, 10**6),
    st.integers(-90, 900),
    st.integers(1, 60),
    st.sampled_from([1, 10, 100]),
)


def packed(columns: list[list[Any]]) -> Packed:
    packer = Packer()
    for column in columns:
        packer.add(column)
    return Packed([len(column) for column in columns], *packer.packed())


@given(st.lists(st.lists(st.one_of(series, slopes), max_size=12), max_size=3))
def test_columns_come_back_value_for_value_and_type_for_type(several: list[Any]) -> None:
    found = json_columns([packed(columns) for columns in several])
    assert [list(map(bytes, mine)) for mine in found] == [
        list(map(json.encode, columns)) for columns in several
    ]
    assert repr([list(map(plain, mine)) for mine in found]) == repr(several)


def stream_of(start: int, columns: list[list[Any]], codec: str) -> Stream:
    return Stream(
        startTime=iso_ms(T0 + start), codec=codec, **dict(zip(COLUMNS, columns, strict=True))
    )


maybe: st.SearchStrategy[list[Any]] = st.one_of(st.just([]), series)
streams = st.builds(
    stream_of,
    st.integers(0, 10**9),
    st.lists(maybe, min_size=len(COLUMNS), max_size=len(COLUMNS)),
    st.text(max_size=5),
)


@given(
    st.lists(streams, max_size=3),
    st.lists(streams, max_size=2),
    st.lists(st.lists(maybe, min_size=4, max_size=4), max_size=2),
    st.lists(st.text(max_size=9), min_size=4, max_size=4),
    st.sampled_from([UNSET, iso_ms(T0 - 1), iso_ms(0)]),
)
def test_sessions_come_back_as_they_were(
    audio: list[Stream], video: list[Stream], cpu: list[Any], texts: list[str], leave: Any
) -> None:
    made = MediaSession(
        meetingInstanceId=texts[0] + "_I_1",
        webexUserName=texts[1],
        webexUserEmail=texts[2],
        participantId=texts[0] + texts[3],
        leaveTime=leave,
        audioIn=audio,
        videoOut=video,
        resources=[Resources(**dict(zip(RESOURCE_COLUMNS, c, strict=True))) for c in cpu],
    )
    whole = fold([made])
    again = block.decode(block.encode(whole, whole.meetingInstanceId), whole.meetingInstanceId)
    assert repr(again) == repr(whole)
    header = block.decode_header(
        block.encode(whole, whole.meetingInstanceId), whole.meetingInstanceId
    )
    assert (header.webexUserName, header.participantId) == (texts[1], whole.participantId)


def test_the_specifications_example_fits_in_a_block() -> None:
    whole = fold([example()])
    again = block.decode(block.encode(whole, whole.meetingInstanceId), whole.meetingInstanceId)
    again.participantSessionId = whole.participantSessionId
    assert exact(again) == exact(example())


@given(st.data())
def test_a_damaged_block_is_refused_or_read_but_never_breaks(data: Any) -> None:
    octets = bytearray(block.encode(fold([piece(0, 9)]), "m"))
    at = data.draw(st.integers(0, len(octets) - 1))
    octets[at] ^= data.draw(st.integers(1, 255))
    cut = bytes(octets[: data.draw(st.integers(0, len(octets)))])
    # what is asserted is that nothing else than Damaged comes out
    with contextlib.suppress(block.Damaged):
        assert isinstance(block.decode(cut, "m"), MediaSession)


@pytest.mark.parametrize("octets", [b"", b"\x00", b"\x02abc", b"\x01", b"\x01\xff\xff\xffabc"])
def test_what_is_not_a_block_is_refused(octets: bytes) -> None:
    with pytest.raises(block.Damaged):
        block.decode(octets, "m")
    with pytest.raises(block.Damaged):
        block.decode_header(octets, "m")


def test_the_dictionary_of_heads_never_changes() -> None:
    # blocks that were written with another one could not be read
    assert (len(block._dictionary()), zlib.crc32(block._dictionary())) == (841, 4_216_978_377)
