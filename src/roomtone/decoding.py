"""JSON bodies: decoded with bounds, and what is wrong with them in words."""

from typing import Any, Final, TypeVar

import msgspec
from msgspec import Struct

from roomtone.errors import Invalid
from roomtone.model import PATTERN_RULES

T = TypeVar("T")
OBJECTS_MAX: Final = 50_000
"""So many objects in one body are decoded in 0.1 s, in which nobody else is heard."""
NAME_SHOWN_MAX: Final = 64
MESSAGE_LENGTH_MAX: Final = 400
NUL_ESCAPED: Final = b"\\u0000"

_decoders: dict[Any, msgspec.json.Decoder[Any]] = {}


def decode(body: bytes, shape: type[T]) -> T:
    """JSON bytes as `shape`; Invalid with the JSON path and the rule otherwise."""
    # Counted before anything is made of it: 8 MiB of `{}` would become a gigabyte.
    if len(body) > 2 * OBJECTS_MAX and body.count(b"{") > OBJECTS_MAX:
        raise Invalid(f"Expected at most {OBJECTS_MAX} objects in a body - at `$`")
    decoder = _decoders.get(shape)
    if decoder is None:
        decoder = _decoders[shape] = msgspec.json.Decoder(shape)
    try:
        result: T = decoder.decode(body)
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        raise Invalid(in_words(error)) from None
    except UnicodeDecodeError:
        raise Invalid("JSON is malformed: it is not UTF-8") from None
    except RecursionError:
        raise Invalid("JSON is nested too deeply") from None
    if NUL_ESCAPED in body:  # the only way in which JSON can write it
        _refuse_nul(result, "$")
    return result


def in_words(error: msgspec.MsgspecError) -> str:
    """What msgspec says, a pattern in words, and what it quotes of the body cut short."""
    text = str(error)
    for pattern, rule in PATTERN_RULES.items():
        text = text.replace(f"matching regex {pattern!r}", rule)
    half = MESSAGE_LENGTH_MAX // 2
    return text if len(text) <= MESSAGE_LENGTH_MAX else f"{text[:half]}...{text[-half:]}"


def _refuse_nul(value: object, path: str) -> None:
    """Invalid with the path of a text that holds NUL: to much that reads text it is the end."""
    if isinstance(value, str):
        if "\0" in value:
            raise Invalid(f"Expected `str` without NUL - at `{path}`")
    elif isinstance(value, Struct):
        # Most of the 50 fields of an entry of a report are empty; 50,000 entries take 0.1 s so.
        for at, part in enumerate(msgspec.structs.astuple(value)):
            if part and not isinstance(part, int | float):
                _refuse_nul(part, f"{path}.{value.__struct_encode_fields__[at]}")
    elif isinstance(value, dict):
        for key, part in value.items():
            _refuse_nul(key, path)
            _refuse_nul(part, f"{path}.{key[:NAME_SHOWN_MAX]}")
    elif isinstance(value, list) and value and isinstance(value[0], Struct):
        for index, part in enumerate(value):
            _refuse_nul(part, f"{path}[{index}]")
