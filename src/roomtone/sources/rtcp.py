"""RTCP reports (RFC 3550, 6.4), from the JSON that HEP agents make of them or as they are sent.

One compound packet is one `Report`: what its sender sent, and what it says of those it hears.
"""

import struct
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

BLOCKS_MAX: Final = 31
"""The count has 5 bits (RFC 3550, 6.4.1)."""
NAMES_MAX: Final = 256
NAME_LENGTH_MAX: Final = 255
LOST_MODULUS: Final = 2**24
SR: Final = 200
RR: Final = 201
SDES: Final = 202
TYPES: Final = range(192, 224)
CNAME: Final = 1
VERSION: Final = 2
PADDING_BIT: Final = 0x20
SENT_LAYOUT: Final = struct.Struct("!IIIII")
BLOCK_LAYOUT: Final = struct.Struct("!IIIIII")

Word = Annotated[int, Meta(ge=0, lt=2**32)]
Loss = Annotated[int, Meta(ge=-(2**23), lt=2**24)]


class Malformed(Exception):
    """It is no RTCP report, or one that contradicts itself."""


class Sent(Struct):
    """A sender report's part on what was sent: cumulative counts, and one moment on two clocks.

    `ntp_timestamp_usec` is the NTP fraction in 2^-32 s, whatever agents call it. Octets are those
    of payload alone.
    """

    ntp_timestamp_sec: Word = 0
    ntp_timestamp_usec: Word = 0
    rtp_timestamp: Word = 0
    packets: Word = 0
    octets: Word = 0

    def ntp(self) -> int:
        """The 64-bit NTP time stamp; 0 is none."""
        return self.ntp_timestamp_sec << 32 | self.ntp_timestamp_usec


class Block(Struct):
    """A report block: what arrived of one source.

    Cumulative loss has 24 bits and a sign, which agents drop: `lost()` has it again. `ia_jitter` is
    in units of the source's RTP clock, `lsr` and `dlsr` in 2^-16 s.
    """

    source_ssrc: Word
    highest_seq_no: Word
    packets_lost: Loss
    ia_jitter: Word = 0
    lsr: Word = 0
    dlsr: Word = 0

    def lost(self) -> int:
        """Packets lost since the beginning; negative where more came twice than were lost."""
        over = self.packets_lost >= LOST_MODULUS // 2
        return self.packets_lost - LOST_MODULUS if over else self.packets_lost


class Name(Struct):
    """A source description item: type 1 is the CNAME."""

    type: int = 0
    text: str = ""


class Report(Struct):
    """One compound packet: who sent it, what that one sends (None: nothing), and what it hears."""

    ssrc: Word
    sender_information: Sent | None = None
    report_blocks: Annotated[list[Block], Meta(max_length=BLOCKS_MAX)] | None = None
    sdes_information: Annotated[list[Name], Meta(max_length=NAMES_MAX)] | None = None

    def blocks(self) -> list[Block]:
        """The report blocks; an agent may send null for none."""
        return self.report_blocks or []

    def cname(self) -> str:
        """What its sender calls itself in all its streams; "" when it is not said."""
        names = (name.text for name in self.sdes_information or [] if name.type == CNAME)
        return next(names, "")[:NAME_LENGTH_MAX]


_decoder: Final = msgspec.json.Decoder(Report)


def read(payload: bytes) -> Report:
    """A report of JSON or of RTCP itself; Malformed."""
    report = _from_json(payload) if payload.lstrip()[:1] == b"{" else _from_packets(payload)
    if report.sender_information is not None and not report.sender_information.ntp():
        report.sender_information = None  # heplify writes zeros where there was no sender report
    if report.sender_information is None and not report.report_blocks:
        raise Malformed("neither a sender report nor report blocks")
    for block in report.blocks():
        # Expected are at most highest_seq_no + 1, and no more than these can be lost.
        if block.lost() > block.highest_seq_no + 1:
            raise Malformed("more packets lost than were expected")
    return report


def _from_json(payload: bytes) -> Report:
    try:
        return _decoder.decode(payload.rstrip(b"\0"))
    except (msgspec.ValidationError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Malformed(str(error)) from None
    except RecursionError:
        raise Malformed("nested too deeply") from None


def _from_packets(payload: bytes) -> Report:
    """RTCP packets that fill the payload to the last byte, as SRTCP with its tag never does."""
    report: Report | None = None
    names: list[Name] = []
    at = 0
    while at < len(payload):
        if len(payload) - at < 8:
            raise Malformed("a packet is cut off")
        first, kind, words = struct.unpack_from("!BBH", payload, at)
        end = at + 4 + 4 * words
        if first >> 6 != VERSION or kind not in TYPES or end > len(payload) or first & PADDING_BIT:
            raise Malformed("no RTCP in the clear")
        body, count = payload[at + 4 : end], first & BLOCKS_MAX
        if kind in (SR, RR):
            report = report or _report(body, count, sender=kind == SR)
        elif kind == SDES:
            names += _names(body)
        at = end
    if report is None:
        raise Malformed("neither a sender report nor a receiver report")
    report.sdes_information = names
    return report


def _report(body: bytes, count: int, *, sender: bool) -> Report:
    start = 4 + SENT_LAYOUT.size * sender
    if len(body) < start + BLOCK_LAYOUT.size * count:
        raise Malformed("a report is shorter than its count of blocks")
    (ssrc,) = struct.unpack_from("!I", body)
    sent = Sent(*SENT_LAYOUT.unpack_from(body, 4)) if sender else None
    blocks: list[Block] = []
    for index in range(count):
        source, loss, highest, jitter, lsr, dlsr = BLOCK_LAYOUT.unpack_from(
            body, start + BLOCK_LAYOUT.size * index
        )
        blocks.append(Block(source, highest, loss % LOST_MODULUS, jitter, lsr, dlsr))
    return Report(ssrc, sent, blocks)


def _names(body: bytes) -> list[Name]:
    """The items of the first chunk, which is the sender's own."""
    names: list[Name] = []
    at = 4
    while at + 2 <= len(body) and body[at]:
        kind, length = body[at], body[at + 1]
        names.append(Name(kind, body[at + 2 : at + 2 + length].decode("utf-8", "replace")))
        at += 2 + length
    return names
