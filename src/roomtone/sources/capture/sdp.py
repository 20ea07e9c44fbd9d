"""What SIP messages in a capture say of the media that follow: payload types, clocks, kinds."""

import ipaddress
from typing import Final, Literal

from msgspec import Struct, field

from roomtone.measure.codecs import codec_label

MESSAGE_BYTES_MAX: Final = 65_536
LINES_MAX: Final = 2_000
MEDIA_MAX: Final = 64
TYPES_MAX: Final = 128
CLOCK_HZ_MAX: Final = 1_000_000
SIP_MARK: Final = b"SIP/2.0"
SIP_MARK_WITHIN: Final = 2_048

Kind = Literal["audio", "video", "share"]


class Format(Struct, frozen=True):
    """What a payload type stands for; `again` of RTX is the payload type that it repeats."""

    label: str
    clock_hz: int
    again: int | None = None
    event: bool = False


STATIC: Final[dict[int, tuple[str, int, Kind]]] = {
    0: ("PCMU", 8000, "audio"), 3: ("GSM", 8000, "audio"), 4: ("G723", 8000, "audio"),
    5: ("DVI4", 8000, "audio"), 6: ("DVI4", 16000, "audio"), 7: ("LPC", 8000, "audio"),
    8: ("PCMA", 8000, "audio"), 9: ("G722", 8000, "audio"), 10: ("L16", 44100, "audio"),
    11: ("L16", 44100, "audio"), 12: ("QCELP", 8000, "audio"), 13: ("CN", 8000, "audio"),
    14: ("MPA", 90000, "audio"), 15: ("G728", 8000, "audio"), 16: ("DVI4", 11025, "audio"),
    17: ("DVI4", 22050, "audio"), 18: ("G729", 8000, "audio"), 25: ("CelB", 90000, "video"),
    26: ("JPEG", 90000, "video"), 28: ("nv", 90000, "video"), 31: ("H261", 90000, "video"),
    32: ("MPV", 90000, "video"), 33: ("MP2T", 90000, "video"), 34: ("H263", 90000, "video"),
}  # fmt: skip
"""RFC 3551, tables 4 and 5: name, clock rate in Hz (G.722's is 8000 for history's sake), kind."""


class Media(Struct):
    """One `m=` line: where it wants to be sent to, and what its payload types are."""

    kind: Kind
    address: bytes
    port: int
    formats: dict[int, Format] = field(default_factory=dict)


def is_sip(payload: bytes) -> bool:
    """Whether a datagram is a SIP request or response (RFC 3261, 7)."""
    return SIP_MARK in payload[:SIP_MARK_WITHIN]


def media_of(message: bytes) -> list[Media]:
    """The media of a message's SDP (RFC 8866); what cannot be read is left out."""
    head, gap, body = message[:MESSAGE_BYTES_MAX].partition(b"\r\n\r\n")
    if not gap or b"application/sdp" not in head.lower():
        return []
    found: list[Media] = []
    session_address = b""
    lines = body.decode("utf-8", "replace").splitlines()[:LINES_MAX]
    for line in lines:
        if line.startswith("c="):
            address = address_of(line)
            if found:
                found[-1].address = address
            else:
                session_address = address
        elif line.startswith("m="):
            if len(found) == MEDIA_MAX:
                break
            if (media := media_line(line, session_address)) is None:
                media = Media("audio", b"", 0)  # not ours, but the lines below it are its own
            found.append(media)
        elif found:
            take_attribute(found[-1], line)
    return [media for media in found if media.address and media.port]


def address_of(line: str) -> bytes:
    """`c=IN IP4 192.0.2.1` -> its 4 bytes; b"" for names and malformed lines."""
    try:
        return ipaddress.ip_address(line.split()[2].partition("/")[0]).packed
    except (IndexError, ValueError):
        return b""


def media_line(line: str, address: bytes) -> Media | None:
    """`m=audio 49170 RTP/AVP 0 101`; None when it is no RTP or malformed."""
    parts = line[2:].split()
    if len(parts) < 4 or "RTP/" not in parts[2] or parts[0] not in ("audio", "video"):
        return None
    port = parts[1].partition("/")[0]
    if not (port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65_536):
        return None
    return Media("video" if parts[0] == "video" else "audio", address, int(port))


def take_attribute(media: Media, line: str) -> None:
    """Put `a=rtpmap`, `a=fmtp` and `a=content` of a medium to what is known of it."""
    name, _, value = line.partition(":")
    if name == "a=content" and "slides" in value and media.kind == "video":
        media.kind = "share"
        return
    number, _, rest = value.strip().partition(" ")
    if not (number.isascii() and number.isdigit() and int(number[:4]) < TYPES_MAX):
        return
    if name == "a=rtpmap":
        take_map(media, int(number), rest)
    elif name == "a=fmtp" and (known := media.formats.get(int(number))) is not None:
        take_parameters(media, int(number), known, rest)


def take_map(media: Media, number: int, rest: str) -> None:
    """`opus/48000/2`"""
    encoding, _, tail = rest.strip().partition("/")
    clock = tail.partition("/")[0]
    if not (clock.isascii() and clock.isdigit() and 0 < int(clock[:9]) <= CLOCK_HZ_MAX):
        return
    name = encoding.lower()
    event = name in ("telephone-event", "tone", "cn")
    label = "" if event else codec_label(f"{media.kind}/{encoding}")
    media.formats[number] = Format(label, int(clock), event=event)


def take_parameters(media: Media, number: int, known: Format, rest: str) -> None:
    """`apt=96` of RTX (RFC 4588, 8.1), and H.264's profile."""
    if known.label.lower() == "rtx":
        apt = rest.strip().removeprefix("apt=").partition(";")[0].strip()
        if apt.isascii() and apt.isdigit() and int(apt[:4]) < TYPES_MAX:
            media.formats[number] = Format("", known.clock_hz, again=int(apt))
    elif known.label.startswith("H.264"):
        media.formats[number] = Format(codec_label("video/H264", rest), known.clock_hz)


def static_format(number: int) -> Format | None:
    """A payload type that needs no SDP."""
    if (known := STATIC.get(number)) is None:
        return None
    name, clock_hz, kind = known
    return Format("" if name == "CN" else codec_label(f"{kind}/{name}"), clock_hz)
