"""By what a fleet is told apart: the dimensions of a session, and sites from a CSV of subnets."""

import csv
import ipaddress
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, tzinfo
from typing import Final, Literal, get_args

from msgspec import UNSET

from roomtone.errors import Invalid
from roomtone.model import MediaSession, Stream, StreamKind, epoch_ms, streams_of

Dimension = Literal[
    "region", "cluster", "networkType", "clientType", "clientVersion", "osType", "hardware",
    "camera", "microphone", "speaker", "site", "codec", "transport", "hour", "day",
]  # fmt: skip
DIMENSIONS: Final[tuple[Dimension, ...]] = get_args(Dimension)
UNKNOWN: Final = ""
"""The value of a dimension that nobody told; it is never a cause."""

HEADER_FIELD: Final[Mapping[Dimension, str]] = {
    "region": "serverRegion",
    "cluster": "videoMeshCluster",
    "networkType": "networkType",
    "clientType": "clientType",
    "clientVersion": "clientVersion",
    "osType": "osType",
    "hardware": "hardwareType",
    "camera": "camera",
    "microphone": "microphone",
    "speaker": "speakerName",
}
VIDEO_FIRST: Final[tuple[StreamKind, ...]] = (
    "videoIn", "videoOut", "audioIn", "audioOut", "shareIn", "shareOut",
)  # fmt: skip
AUDIO_FIRST: Final[tuple[StreamKind, ...]] = (
    "audioIn", "audioOut", "videoIn", "videoOut", "shareIn", "shareOut",
)  # fmt: skip

SUBNETS_MAX: Final = 100_000
SUBNET_LINES_MAX: Final = 2 * SUBNETS_MAX
"""Empty ones too: of 8 MiB of them each takes its microsecond."""
SUBNET_LINE_LENGTH_MAX: Final = 4_096
SITE_LENGTH_MAX: Final = 256
MASK_BITS: Final = {4: 28, 6: 96}
"""What is left of a masked address (Webex's clients, and ingest when it masks)."""
HOME: Final = tuple(
    ipaddress.ip_network(subnet)
    for subnet in (
        "192.168.0.0/24", "192.168.1.0/24", "192.168.2.0/24", "10.0.0.0/24", "172.20.10.0/24",
        "192.168.43.0/24",
    )
)  # fmt: skip
"""What routers and telephones hand out everywhere: it names no site."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Sites:
    """Names of sites by subnet; the longest prefix wins."""

    def __init__(self, names: Mapping[Network, str] | None = None) -> None:
        if names and len(names) > SUBNETS_MAX:
            raise Invalid(f"more than {SUBNETS_MAX:,} subnets")
        self._names = {
            (subnet.version, subnet.prefixlen, int(subnet.network_address)): name
            for subnet, name in (names or {}).items()
        }
        lengths = {(version, length) for version, length, _ in self._names}
        self._lengths = {
            version: sorted((bits for one, bits in lengths if one == version), reverse=True)
            for version in (4, 6)
        }

    def __len__(self) -> int:
        return len(self._names)

    def name_of(self, address: str, *, masked: bool = False) -> str:
        """The site of an address, or UNKNOWN; of a masked one only by subnets that hold it all."""
        found = _address(address)
        if found is None:
            return UNKNOWN
        version, number, width = found.version, int(found), found.max_prefixlen
        for bits in self._lengths[version]:
            if masked and bits > MASK_BITS[version]:
                continue
            name = self._names.get((version, bits, number >> (width - bits) << (width - bits)))
            if name is not None:
                return name
        return UNKNOWN

    def site_of(self, session: MediaSession) -> str:
        """By the local address, unless that is one that every home has; then by the public one."""
        for address, masked in (
            (session.localIP, False),
            (session.maskedLocalIP, True),
            (session.publicIP, False),
            (session.maskedPublicIP, True),
        ):
            if not _is_home(address) and (name := self.name_of(address, masked=masked)):
                return name
        return UNKNOWN


def _address(text: str) -> Address | None:
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return mapped or found


def _is_home(address: str) -> bool:
    found = _address(address)
    return found is not None and any(found in subnet for subnet in HOME)


def sites_of(lines: Iterable[str]) -> Sites:
    """Sites from the lines of a CSV: a subnet (`10.24.0.0/16`) and a name; a head is skipped.

    `Invalid` names the line of what is no subnet, has no name or stands there twice.
    """
    names: dict[Network, str] = {}
    for number, line in enumerate(lines, start=1):
        if number > SUBNET_LINES_MAX:
            raise Invalid(f"more than {SUBNET_LINES_MAX:,} lines")
        row = _row(line, number)
        if not any(row) or (number == 1 and row[0].strip().lower() in ("subnet", "network")):
            continue
        subnet, name = _subnet(row, number)
        if subnet in names:
            raise Invalid(f"line {number}: {subnet} is there twice")
        if len(names) == SUBNETS_MAX:
            raise Invalid(f"line {number}: more than {SUBNETS_MAX:,} subnets")
        names[subnet] = name
    return Sites(names)


def _row(line: str, number: int) -> list[str]:
    if len(line) > SUBNET_LINE_LENGTH_MAX:
        raise Invalid(f"line {number}: longer than {SUBNET_LINE_LENGTH_MAX:,} characters")
    try:
        return next(csv.reader([line.removeprefix("\ufeff")], strict=True), [])
    except csv.Error as error:
        raise Invalid(f"line {number}: {error}") from None


def _subnet(row: list[str], number: int) -> tuple[Network, str]:
    text, name = (cell.strip() for cell in [*row, ""][:2])
    try:
        subnet = ipaddress.ip_network(text)
    except ValueError:
        raise Invalid(f"line {number}: {text!r} is no subnet such as 10.24.0.0/16") from None
    if not 0 < len(name) <= SITE_LENGTH_MAX or not name.isprintable():
        raise Invalid(f"line {number}: {text} has no name, or one that cannot be shown")
    return subnet, name


def values_of(session: MediaSession, *, sites: Sites, zone: tzinfo = UTC) -> dict[Dimension, str]:
    """A session's value in every dimension; UNKNOWN where it does not tell.

    `hour` is 00..23 and `day` 2026-11-23, of the join (or of the first sample) in `zone`; `codec`
    and `transport` are those of the stream with most entries, video before audio for the codec.
    """
    values = {name: str(getattr(session, field)) for name, field in HEADER_FIELD.items()}
    moment = _begin(session, zone)
    values["site"] = sites.site_of(session)
    values["codec"] = _most(session, VIDEO_FIRST, "codec")
    values["transport"] = _most(session, AUDIO_FIRST, "transportType")
    values["hour"] = f"{moment:%H}" if moment else UNKNOWN
    values["day"] = f"{moment:%Y-%m-%d}" if moment else UNKNOWN
    return {name: values[name] for name in DIMENSIONS}


def _begin(session: MediaSession, zone: tzinfo) -> datetime | None:
    if session.joinTime is not UNSET and session.joinTime:
        first_ms = epoch_ms(session.joinTime)
    else:
        starts = [epoch_ms(entry.startTime) for entry in _entries(session, AUDIO_FIRST)]
        if not starts:
            return None
        first_ms = min(starts)
    return datetime.fromtimestamp(first_ms / 1000, UTC).astimezone(zone)


def _entries(session: MediaSession, kinds: Iterable[StreamKind]) -> Iterable[Stream]:
    for kind in kinds:
        yield from streams_of(session, kind)


def _most(session: MediaSession, kinds: Iterable[StreamKind], name: str) -> str:
    """The commonest text of the first kind that has one; of equals, the first."""
    for kind in kinds:
        counts: dict[str, int] = {}
        for entry in streams_of(session, kind):
            text = getattr(entry, name)
            if text:
                counts[text] = counts.get(text, 0) + 1
        if counts:
            return max(counts, key=counts.__getitem__)
    return UNKNOWN
