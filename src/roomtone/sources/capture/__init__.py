"""Captures of RTP (PCAP, PCAPNG) as meetings: a session for each endpoint.

`file` reads packets with libpcap, `frames` finds UDP in them, `table` which of it is RTP, `stream`
counts, `sdp` knows payload types, `sessions` measures; docs/sources/captures.md has what it means.
"""

import hashlib
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Final, NamedTuple

from roomtone.errors import Invalid
from roomtone.sources import Taken
from roomtone.sources.capture.file import PROGRESS_PACKETS, File, recognises
from roomtone.sources.capture.frames import datagram, opener
from roomtone.sources.capture.sessions import taken
from roomtone.sources.capture.stream import Line, Stream
from roomtone.sources.capture.table import TICK_NS, Table, ends_of, ports_of

__all__ = ["Total", "read", "recognises", "totals"]

INTERVAL_S_DEFAULT: Final = 60.0


class Total(NamedTuple):
    """A stream's totals as tshark prints them; addresses are packed (4 or 16 bytes)."""

    source: bytes
    source_port: int
    destination: bytes
    destination_port: int
    ssrc: int
    line: Line


def silent(octets: int) -> None:
    """Nobody asked for progress."""


def read(
    path: Path,
    *,
    ports: Collection[int] = (),
    interval_s: float = INTERVAL_S_DEFAULT,
    progress: Callable[[int], None] = silent,
) -> Taken:
    """The meeting in a capture; no sessions when there is no RTP in it.

    RTP is found by itself; `ports`: what goes from or to these UDP ports is believed to be RTP from
    its first packet on. `progress` is told the bytes read so far, about. The same content gives the
    same ids. A capture that ends in the middle gives what was there, and `unused` says so. Invalid:
    it is no capture, its link type is not known here, or libpcap is not installed.
    """
    table = Table(ports, tick_ns=min(TICK_NS, round(interval_s * 1_000_000_000)))
    streams = streams_in(path, table, progress)
    with path.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    return taken(streams, digest, table.skipped, interval_s=interval_s)


def totals(path: Path, *, ports: Collection[int] = ()) -> list[Total]:
    """Each stream's totals over all the file, in the order of their first packets."""
    found: list[Total] = []
    for stream in streams_in(path, Table(ports), silent):
        source, destination = ends_of(stream.flow)
        source_port, destination_port = ports_of(stream.flow)
        found.append(
            Total(source, source_port, destination, destination_port, stream.ssrc, stream.line)
        )
    return found


def streams_in(path: Path, table: Table, progress: Callable[[int], None]) -> list[Stream]:
    """Read all packets into a table; its streams."""
    file = File(path)
    try:
        find = opener(file.link)
        if find is None:
            raise Invalid(f"captures of link type {file.link} are not read")
        skipped, take = table.skipped, table.take
        for at_ns, data, _ in file:
            found = datagram(data, find(data), skipped)
            if found is not None:
                take(at_ns, found[0], data, found[1], found[2])
            if not file.packets % PROGRESS_PACKETS:
                progress(file.octets)
    finally:
        file.close()
    if file.trouble:
        if not file.packets:
            raise Invalid(f"it is no capture that can be read: {file.trouble}")
        skipped[f"part not read, after packet {file.packets}: {file.trouble}"] += 1
    progress(path.stat().st_size)
    return table.finish()
