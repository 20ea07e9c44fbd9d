"""Why it was not good: `explain` takes the sessions of one meeting and gives findings.

Pure functions, without a clock. `grid` puts all sessions on one axis of time, `signs` reads loss by
direction and latency above its base off it, `groups` finds what many share, and each family has
its rule: access, bandwidth, cpu, device, path, together. Rules and bounds: docs/causes.md.
"""

from roomtone.causes.explain import explain
from roomtone.causes.finding import (
    FAMILIES,
    Direction,
    Evidence,
    Family,
    Finding,
    Part,
    Rival,
)

__all__ = [
    "FAMILIES",
    "Direction",
    "Evidence",
    "Family",
    "Finding",
    "Part",
    "Rival",
    "explain",
]
