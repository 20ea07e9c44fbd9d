"""What Janus' events name: rooms, people, screens, streams, addresses."""

import ipaddress
import re
from typing import Final

from roomtone.sources import janus_events as wire
from roomtone.sources.janus_state import Handle, Person

NAME_LENGTH_MAX: Final = 128
SHARE_WORDS: Final = frozenset({"share", "screen", "screenshare"})
_not_a_word: Final = re.compile(r"[^a-z0-9]+")
_layer: Final = re.compile(r"video-sim([12])")
_not_in_ids: Final = re.compile(r"[\x00-\x1f\x7f-\x9f<>]")


def shown(text: str) -> str:
    """A text without what no id and no name may hold."""
    return _not_in_ids.sub("", text)


def name_of(room_or_feed: int | str) -> str:
    """A room or feed by name, fit to be a part of an id."""
    return shown(str(room_or_feed))[:NAME_LENGTH_MAX]


def participant_of(opaque_id: str) -> str:
    """`alice` of `alice:camera`: the application's name for a person; "" without a colon."""
    name, colon, _ = opaque_id.partition(":")
    return shown(name) if colon else ""


def is_share(text: str) -> bool:
    """Whether a word of an opaque_id or of a stream's description says it is a shared screen."""
    return not SHARE_WORDS.isdisjoint(_not_a_word.split(text.lower()))


def shows_screen(handle: Handle, mid: str) -> bool:
    """Whether a publisher's video is a shared screen: its description tells, else its handle."""
    return handle.shares.get(mid, is_share(handle.opaque))


def layer_of(stats: wire.Stats) -> int:
    """0, or 1 and 2 of simulcast's further layers."""
    found = _layer.fullmatch(stats.media)
    return int(found[1]) if found else 0


def note_address(who: Person, remote: wire.Candidate) -> None:
    """The client's address as its candidate tells it: its own, or its router's."""
    try:
        address = ipaddress.ip_address(remote.address)
    except ValueError:
        return
    if remote.type == "host" or (remote.type != "relay" and address.is_private):
        who.local_ip = who.local_ip or str(address)
    if remote.type != "relay" and address.is_global:
        who.public_ip = who.public_ip or str(address)
