"""Every setting of a server: its default, meaning and range.

Flags, ROOMTONE_* variables and a TOML file fill it, in this order of precedence.
"""

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from roomtone.errors import Invalid


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of `roomtone serve`. The docstring below each field is its help text."""

    data: Path = Path("roomtone-data")
    """Folder of the store; made when it is not there. ":memory:" keeps nothing."""

    host: str = "127.0.0.1"
    """Address to listen on."""

    port: int = 8080
    """Port to listen on; 0 picks a free one."""

    certificate: Path | None = None
    """PEM file with the TLS certificate chain; with it, --key is needed."""

    key: Path | None = None
    """PEM file with the TLS private key."""

    keep: str = ""
    """Remove ended meetings after so long, as in 90d, 12h; empty keeps everything for ever."""

    webex_limits: bool = False
    """Answer as Webex documents: 10 minutes after the start, for 7 days, once per 5 minutes."""

    interval_s: int = 60
    """Sampling interval in seconds of what Roomtone measures itself, 1..3600."""

    silence_s: int = 300
    """A session that sends nothing for so many seconds has ended."""

    drop_raw_addresses: bool = False
    """Forget localIP and publicIP before they are stored; the masked ones stay."""

    trusted_proxies: tuple[str, ...] = ()
    """Addresses or networks whose X-Forwarded-For is believed."""

    allowed_origins: tuple[str, ...] = ()
    """Origins of web pages that may use the collector's endpoints; "*" allows every one."""

    test_call_org: str = ""
    """Organisation that test calls on /call are stored in; empty turns the page off."""

    hep_port: int = 0
    """UDP port to take HEP3 on, from rtpengine or heplify; 0 turns it off."""

    hep_host: str = "127.0.0.1"
    """Address to take HEP3 on."""

    hep_org: str = ""
    """Organisation that calls told by HEP3 are stored in."""

    hep_key: str = ""
    """Authentication key that HEP3 datagrams must have; needed unless hep_host is private."""

    collector_token_s: int = 14_400
    """The longest life, in seconds, of a collector's token."""

    collector_posts_max: int = 120
    """Posts and questions a minute with one collector's token; more are answered 429."""

    collector_sessions_max: int = 100
    """Sessions that one collector's token may post to; another is answered 409."""

    body_bytes_max: int = 8 * 1024 * 1024
    """Largest request body, before and after unpacking."""

    queue_posts_max: int = 2_048
    """Posts that wait for a commit; more are answered 429."""

    read_s_max: float = 10.0
    """A read that takes longer is answered 504."""

    cache_bytes_max: int = 64 * 1024 * 1024
    """Memory for finished answers of /v1/meeting/qualities."""

    live_every_s: int = 10
    """A meeting that somebody watches is scored and explained at most once in so many seconds."""

    watchers_max: int = 1_000
    """Watchers of live meetings at once; more are answered 429."""

    stop_s_max: float = 10.0
    """After SIGTERM, requests that run and the queue have so many seconds."""


Network = IPv4Network | IPv6Network

VARIABLE_PREFIX: Final = "ROOMTONE_"
CLIENT_VARIABLES: Final = ("ROOMTONE_CONFIG", "ROOMTONE_TOKEN")
"""Variables of the command line that are no settings of a server."""

FILE_BYTES_MAX: Final = 1024 * 1024
LIKENESS_MIN: Final = 0.65
"""As difflib's ratio, 0..1: below it a suggestion misleads (`exit` and `export` have 0.6)."""
DURATION_DAYS_MAX: Final = 36_500
_UNITS_MS: Final = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}

RANGES: Final[dict[str, tuple[float, float]]] = {
    "port": (0, 65_535),
    "hep_port": (0, 65_535),
    "interval_s": (1, 3_600),
    "silence_s": (1, 86_400),
    "collector_token_s": (60, 604_800),
    "collector_posts_max": (1, 1_000_000),
    "collector_sessions_max": (1, 10_000),
    "body_bytes_max": (1_024, 1024**3),
    "queue_posts_max": (1, 1_000_000),
    "read_s_max": (0.01, 3_600),
    "cache_bytes_max": (0, 1024**4),
    "live_every_s": (1, 3_600),
    "watchers_max": (0, 100_000),
    "stop_s_max": (0, 600),
}
"""The least and the greatest value of every setting that is a number."""


def names() -> tuple[str, ...]:
    """Every setting's name, as in Settings and in the TOML file."""
    return tuple(item.name for item in fields(Settings))


def nearest(name: str, known: Iterable[str]) -> str:
    """`; did you mean X?` with the known name most like `name`, "" when none is much like it."""
    # What every name begins with tells nothing, and would make all of them alike.
    bare = {one.removeprefix(VARIABLE_PREFIX).lstrip("-"): one for one in known}
    wanted = name.removeprefix(VARIABLE_PREFIX).lstrip("-")
    found = difflib.get_close_matches(wanted, bare, n=1, cutoff=LIKENESS_MIN)
    return f"; did you mean {bare[found[0]]}?" if found else ""


def from_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Settings named by ROOMTONE_* variables, as text. Invalid for an unknown variable."""
    variables = {VARIABLE_PREFIX + name.upper(): name for name in names()}
    found: dict[str, str] = {}
    for variable, value in environ.items():
        if not variable.startswith(VARIABLE_PREFIX) or variable in CLIENT_VARIABLES:
            continue
        if variable not in variables:
            known = (*variables, *CLIENT_VARIABLES)
            raise Invalid(
                f"unknown setting {variable} in the environment" + nearest(variable, known)
            )
        found[variables[variable]] = value
    return found


def from_file(path: Path) -> dict[str, list[str]]:
    """Settings of a TOML file, each as a list of texts. Invalid for an unknown key."""
    found: dict[str, list[str]] = {}
    for key, value in _toml(path).items():
        name = key.replace("-", "_")
        if name not in names():
            raise Invalid(f"unknown setting {key} in {path}" + nearest(name, names()))
        found[name] = _texts(value, name=name, path=path)
    return found


def _toml(path: Path) -> dict[str, object]:
    try:
        with path.open("rb") as file:
            text = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise Invalid(f"cannot read {path}: {error.strerror}") from None
    if len(text) > FILE_BYTES_MAX:
        raise Invalid(f"{path} is larger than {FILE_BYTES_MAX} bytes")
    try:
        return tomllib.loads(text.decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise Invalid(f"{path} is not TOML: {error}") from None


def _texts(value: object, *, name: str, path: Path) -> list[str]:
    """A TOML value as the texts that a command line would hold."""
    several = isinstance(Settings.__dataclass_fields__[name].default, tuple)
    items = value if isinstance(value, list) and several else [value]
    for item in items:
        if not isinstance(item, str | int | float):
            raise Invalid(f"{name} in {path} is a {type(item).__name__}, which it cannot be")
    return [str(item).lower() if isinstance(item, bool) else str(item) for item in items]


def checked(settings: Settings) -> Settings:
    """The settings, lists cut at commas, once every value is in its range; else Invalid."""
    settings = replace(
        settings,
        trusted_proxies=_items(settings.trusted_proxies),
        allowed_origins=_items(settings.allowed_origins),
    )
    for name, (least, greatest) in RANGES.items():
        value = getattr(settings, name)
        if not least <= value <= greatest:
            raise Invalid(f"{name} is {value}, but must be {least}..{greatest}")
    if not settings.host:
        raise Invalid("host is empty, but must be an address to listen on")
    keep_ms(settings)
    trusted_networks(settings)
    for origin in settings.allowed_origins:
        _check_origin(origin)
    _check_tls(settings)
    _check_hep(settings)
    return settings


def keep_ms(settings: Settings) -> int | None:
    """How long ended meetings are kept, in ms; None is for ever."""
    return duration_ms(settings.keep, name="keep") if settings.keep else None


def duration_ms(text: str, *, name: str) -> int:
    """Milliseconds of 90d, 12h, 30m, 45s or 2w; Invalid, naming `name`, for anything else."""
    number, unit = text[:-1], text[-1:]
    if not (number.isascii() and number.isdigit() and unit in _UNITS_MS):
        raise Invalid(f"{name} is {text!r}, but must be a number with s, m, h, d or w, as in 90d")
    length_ms = int(number[:12]) * _UNITS_MS[unit]
    if not 0 < length_ms <= DURATION_DAYS_MAX * _UNITS_MS["d"]:
        raise Invalid(f"{name} is {text}, but must be 1s..{DURATION_DAYS_MAX}d")
    return length_ms


def trusted_networks(settings: Settings) -> tuple[Network, ...]:
    """The networks whose X-Forwarded-For is believed."""
    try:
        return tuple(ip_network(text) for text in settings.trusted_proxies)
    except ValueError as error:
        raise Invalid(f"trusted_proxies: {error}") from None


def _items(values: Iterable[str]) -> tuple[str, ...]:
    parts = (part.strip() for value in values for part in value.split(","))
    return tuple(part for part in parts if part)


def _check_origin(origin: str) -> None:
    parts = urlsplit(origin)
    if origin != "*" and (
        parts.scheme not in {"http", "https"} or f"{parts.scheme}://{parts.netloc}" != origin
    ):
        raise Invalid(f"allowed_origins: {origin!r} must be like https://meet.example.com, or *")


def _check_tls(settings: Settings) -> None:
    if (settings.certificate is None) != (settings.key is None):
        missing = "key" if settings.key is None else "certificate"
        raise Invalid(f"{missing} is missing: TLS needs both a certificate and a key")
    for name in ("certificate", "key"):
        path: Path | None = getattr(settings, name)
        if path is not None and not path.is_file():
            raise Invalid(f"{name} is {path}, which is no file")


def _check_hep(settings: Settings) -> None:
    if not settings.hep_port:
        return
    if not settings.hep_org:
        raise Invalid("hep_org is missing: hep_port needs an organisation to store calls in")
    try:
        address = ip_address(settings.hep_host)
    except ValueError:
        raise Invalid(f"hep_host is {settings.hep_host!r}, but must be an IP address") from None
    # 0.0.0.0 counts as private, and means every address of the computer.
    if not settings.hep_key and (address.is_unspecified or not address.is_private):
        raise Invalid(f"hep_key is missing: who reaches hep_host {address} could forge calls")
