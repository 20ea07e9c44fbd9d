"""Every setting of a server, with its default and its meaning: flags, ROOMTONE_* and TOML fill this."""

from dataclasses import dataclass
from pathlib import Path


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
    """Answer as Webex documents: from 10 minutes after the start, for 7 days, one call per 5 minutes."""

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

    collector_token_s: int = 14_400
    """The longest life, in seconds, of a collector's token."""

    body_bytes_max: int = 8 * 1024 * 1024
    """Largest request body, before and after unpacking."""

    queue_posts_max: int = 2_048
    """Posts that wait for a commit; more are answered 429."""

    read_s_max: float = 10.0
    """A read that takes longer is answered 504."""

    cache_bytes_max: int = 64 * 1024 * 1024
    """Memory for finished answers of /v1/meeting/qualities."""

    stop_s_max: float = 10.0
    """After SIGTERM, requests that run and the queue have so many seconds."""
