"""Packets of a capture file, one after the other, as libpcap reads them: PCAP and PCAPNG."""

import ctypes
import importlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from roomtone.errors import Invalid

MAGICS: Final = frozenset(
    bytes.fromhex(text)
    for text in ("a1b2c3d4", "d4c3b2a1", "a1b23c4d", "4d3cb2a1", "a1b2cd34", "34cdb2a1", "0a0d0d0a")
)
"""PCAP in both byte orders, with microseconds, nanoseconds and Kuznetzov's; PCAPNG."""
RECORD_BYTES: Final = 16
"""What PCAP stores beside a packet; PCAPNG stores 32 bytes at least."""
PROGRESS_PACKETS: Final = 4_096
NS: Final = 1_000_000_000
PACKET_READ: Final = 1
FILE_ENDED: Final = -2
EXTRA: Final = (
    "captures are read with libpcap, which is not installed: pip install 'roomtone[capture]'"
)

Progress = Callable[[int], None]


def recognises(head: bytes) -> bool:
    """Whether a file that begins with these bytes (4 are enough) is a capture."""
    return head[:4] in MAGICS


def library() -> ModuleType:
    """The binding, on the libpcap that comes with it, else on the system's; Invalid: no extra."""
    try:
        libpcap = importlib.import_module("libpcap")
    except (ImportError, OSError):
        raise Invalid(EXTRA) from None
    for choice in ("tcpdump", None):
        try:
            libpcap.config(LIBPCAP=choice)
            libpcap.lib_version()
        except (AttributeError, ImportError, OSError):
            continue
        return libpcap
    raise Invalid(EXTRA)


class File:
    """An open capture: iterate it once for (ns since 1970, bytes captured, bytes on the wire).

    `link` is libpcap's DLT number. `trouble` is "" or, after the last packet that could be read,
    why there are no more. `packets` and `octets` count what was read.
    """

    def __init__(self, path: Path) -> None:
        self.lib = library()
        self.trouble = ""
        self.packets = 0
        self.octets = 0
        reason = ctypes.create_string_buffer(self.lib.PCAP_ERRBUF_SIZE)
        self.handle: Any = self.lib.open_offline_with_tstamp_precision(
            os.fsencode(path), self.lib.PCAP_TSTAMP_PRECISION_NANO, reason
        )
        if not self.handle:
            raise Invalid(f"it is no capture that can be read: {words(reason.value, path)}")
        self.path = path
        self.link: int = self.lib.datalink(self.handle)

    def close(self) -> None:
        """Close the file; once is enough, twice does no harm."""
        if self.handle:
            self.lib.close(self.handle)
            self.handle = None

    def __iter__(self) -> Iterator[tuple[int, bytes, int]]:
        lib, handle, string_at = self.lib, self.handle, ctypes.string_at
        header_at = ctypes.POINTER(lib.pkthdr)()
        data_at = ctypes.POINTER(ctypes.c_ubyte)()
        header_ref, data_ref = ctypes.byref(header_at), ctypes.byref(data_at)
        next_packet = lib.next_ex
        while (result := next_packet(handle, header_ref, data_ref)) == PACKET_READ:
            header = header_at.contents
            stamp = header.ts
            size: int = header.caplen
            self.packets += 1
            self.octets += size + RECORD_BYTES
            yield stamp.tv_sec * NS + stamp.tv_usec, string_at(data_at, size), header.len
        if result != FILE_ENDED:
            self.trouble = words(lib.geterr(handle), self.path)


def words(reason: bytes, path: Path) -> str:
    """What libpcap says, without the path before it."""
    return reason.decode("utf-8", "replace").removeprefix(f"{path}: ").strip()
