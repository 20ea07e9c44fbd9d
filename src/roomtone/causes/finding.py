"""What explaining gives: one finding for each root of a trouble, with what speaks for it."""

from hashlib import blake2b
from typing import Final, Literal, get_args

from msgspec import Struct, field

Family = Literal[
    "uplink", "downlink", "server", "site", "cpu", "bandwidth", "device", "path", "unknown"
]
FAMILIES: Final[tuple[Family, ...]] = get_args(Family)
"""The eight of docs/causes.md; `unknown` where somebody had it bad and no figure says why."""

Direction = Literal["up", "down", "both", ""]
ID_BYTES: Final = 10


class Evidence(Struct, kw_only=True):
    """A figure that speaks for it: its mean over the intervals that passed the threshold.

    `of` is how many intervals of the span had the figure, `count` how many passed. Units are the
    model's: percent, ms, px, 1/s, bit/s.
    """

    figure: str
    value: float
    threshold: float
    count: int
    of: int


class Rival(Struct, kw_only=True):
    """Another cause that would show alike, and what the figures say of it."""

    family: str
    why: str


class Part(Struct, kw_only=True):
    """One factor of a confidence, 0 to 1."""

    name: str
    value: float


class Finding(Struct, kw_only=True, rename="camel"):
    """One root of a trouble.

    `owner` is whose it is: a participantId, an address, a region, a cluster or a device's label;
    `session` is the participantSessionId where it is one session's. `start` and `end` are ISO 8601,
    `minutes` how long it really was in between. `confidence` is the geometric mean of `made_of`,
    cut where a rule cannot know better. `suffered` are participantIds. The id stays when the
    meeting is explained again with more data, unless that shows another cause or beginning.
    """

    id: str
    family: Family
    owner: str
    session: str = ""
    direction: Direction = ""
    start: str
    end: str
    minutes: float
    evidence: list[Evidence] = field(default_factory=list)
    ruled_out: list[Rival] = field(default_factory=list)
    left_open: list[Rival] = field(default_factory=list)
    """Rivals that these figures cannot rule out: nobody to compare with, or a figure is missing."""
    confidence: float
    made_of: list[Part] = field(default_factory=list)
    suffered: list[str] = field(default_factory=list)
    text: str
    advice: str


def finding_id(family: Family, owner: str, session: str, start: str) -> str:
    """The same for the same root: 20 hexadecimal digits."""
    key = "\x1f".join((family, owner, session, start)).encode()
    return blake2b(key, digest_size=ID_BYTES).hexdigest()
