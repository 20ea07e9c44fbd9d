"""What the sources that know calls by SIP's Call-ID have in common."""

import re
import uuid
from collections.abc import Sequence
from typing import Final

import msgspec

from roomtone.model import ID_LENGTH_MAX

# Both may stand in a Call-ID (RFC 3261, 25.1, `word`), but in no meeting's id.
_ANGLES: Final = re.compile("[<>]")
_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f]")
_NAMESPACE: Final = uuid.UUID("2c9d5a1e-0b7f-5d53-8f0a-6a3c1f9e7b20")


def meeting_id(call_id: str) -> str:
    """The meeting of a call: its Call-ID, < and > percent-encoded; "" when it can be none."""
    text = _ANGLES.sub(lambda found: f"%{ord(found[0]):02X}", call_id.strip())
    return "" if len(text) > ID_LENGTH_MAX or _CONTROL.search(text) else text


def minted_id(parts: Sequence[str | int]) -> str:
    """An upper-case UUID, the same for the same parts.

    One part must be random (an SSRC, a SIP tag): who guesses a name or an address could check the
    guess by the id otherwise.
    """
    return str(uuid.uuid5(_NAMESPACE, msgspec.json.encode(parts).decode())).upper()
