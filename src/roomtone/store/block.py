"""A sealed session in one compact block."""

import json
from typing import Any

import msgspec
import zstandard

from roomtone.model import MediaSession
from roomtone.store.columns import fields_of, folded

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode


def pack(values: list[Any]) -> bytes:
    """Plain values as bytes: MessagePack, or JSON where a whole number exceeds 64 bits."""
    try:
        return _encode(values)
    except OverflowError:
        return json.dumps(values).encode()


def unpack(data: bytes) -> Any:
    """The opposite of `pack`: a list in MessagePack never starts with a bracket."""
    return json.loads(data) if data[:1] == b"[" else _decode(data)


def encode(session: MediaSession) -> bytes:
    """A folded session as bytes."""
    return zstandard.ZstdCompressor(level=9).compress(pack(fields_of(session)))


def decode(data: bytes) -> MediaSession:
    """The session that `encode` was given, value for value and type for type."""
    return folded([unpack(zstandard.ZstdDecompressor().decompress(data))])


def decode_header(data: bytes) -> MediaSession:
    """The session without streams and resources."""
    return decode(data)


class Damaged(Exception):
    """The bytes are not a block."""
