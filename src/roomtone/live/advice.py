"""What to tell somebody in a meeting of their own trouble now, in plain words. Pure."""

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

from roomtone.causes import Family, Finding
from roomtone.live.state import Now, State

SHARED: Final[frozenset[Family]] = frozenset({"site", "server"})
"""Families whose owner is no session: they concern all who suffer."""
NEARER: Final = "Move nearer to the Wi-Fi, or use a cable."


class Said(NamedTuple):
    """Words for a person, and what their cause is: "" while no figure says it."""

    text: str = ""
    advice: str = ""
    family: Family | Literal["", "others"] = ""


OWN: Final[Mapping[Family, tuple[str, str]]] = {
    "uplink": (
        "Your connection is weak: others lose parts of what you say and show.",
        NEARER,
    ),
    "downlink": (
        "Your connection is weak: parts of what others say and show do not reach you.",
        NEARER,
    ),
    "server": (
        "The meeting service has trouble. It is not your connection.",
        "There is nothing that you can mend.",
    ),
    "site": (
        "The network where you are has trouble.",
        "Tell whoever runs it; meanwhile a telephone's network may do better.",
    ),
    "cpu": (
        "Your computer is busy: your picture stutters.",
        "Close other programs, or switch off a virtual background.",
    ),
    "bandwidth": (
        "Your connection is narrow: there is too little room for the video.",
        "End other downloads and uploads, or send a smaller picture.",
    ),
    "device": (
        "Your camera or microphone gives less than it should.",
        "See which one is chosen, or plug it in anew.",
    ),
    "path": (
        "Your connection is slow: what is said takes long to arrive.",
        "Leave a VPN, or try another network.",
    ),
}
OTHERS: Final = Said(
    "Somebody else's connection or computer is weak. It is not yours.",
    "There is nothing that you can mend.",
    "others",
)
SENT: Final = Said("Others do not hear or see you well.", NEARER)
RECEIVED: Final = Said("You do not hear or see others well.")
LATE: Final = Said(*OWN["path"])


def said(state: State, session: str, participant: str) -> Said:
    """What to tell the person of a session now; nothing while it is good, muted or over."""
    now = state.nows[session]
    if now.verdict not in ("fair", "poor"):
        return Said()
    last = [one.finding for one in state.findings.values() if one.open]
    own = [one for one in last if one.session == session and one.family in OWN]
    if own:
        return _worst(own)
    felt = [one for one in last if participant and participant in one.suffered]
    shared = [one for one in felt if one.family in SHARED]
    if shared:
        return _worst(shared)
    return OTHERS if felt else _by_figure(now)


def _worst(findings: list[Finding]) -> Said:
    one = max(findings, key=lambda finding: finding.confidence)
    return Said(*OWN[one.family], one.family)


def _by_figure(now: Now) -> Said:
    """Before a cause is known: what is sent and lost was lost by the sender's line, as a rule."""
    if now.figure == "latency":
        return LATE
    if now.kind in ("audioOut", "videoOut", "shareOut"):
        return Said(OWN["uplink"][0], NEARER) if now.figure in ("packetLoss", "jitter") else SENT
    return RECEIVED
