"""Findings from one look at a meeting to the next: which are the same, and which still last."""

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Final, NamedTuple

from msgspec import structs

from roomtone.causes import Finding
from roomtone.model import epoch_ms

LASTS_INTERVALS: Final = 3
"""A trouble is over when so many intervals since were fine: a rule bridges gaps of two."""
STEP_MS_MIN: Final = 30_000.0
LINE: Final = {"uplink", "downlink"}


class Edge(NamedTuple):
    """Until when samples reach, and the length of an interval there, in ms."""

    end_ms: int
    step_ms: float


class Ages:
    """Tells whether a finding's trouble lasts, by the samples of whom it is about."""

    def __init__(self, edges: Mapping[str, Edge], present: AbstractSet[str]) -> None:
        self._edges = {session: edges[session] for session in present}
        self._all = max(self._edges.values(), default=Edge(0, 0.0))

    def lasts(self, finding: Finding) -> bool:
        """Whether it reaches to the last samples; never of a session that has ended."""
        # Who has it bad posts late, so the last sample of somebody else says nothing of them.
        edge = self._edges.get(finding.session) if finding.session else self._all
        if edge is None or not edge.end_ms:
            return False
        return epoch_ms(finding.end) > edge.end_ms - LASTS_INTERVALS * max(
            edge.step_ms, STEP_MS_MIN
        )


def same(known: Mapping[str, Finding], found: Sequence[Finding]) -> list[Finding]:
    """What was found, each under the id by which it is known already.

    More data can move the beginning of a trouble, and with it the id that a look gives. It is the
    same when family, owner and session are, and the times touch. A line that is bad both ways is
    the same whether it is called an uplink or a downlink.
    """
    left = dict(known)
    named: dict[int, str] = {}
    for at, one in enumerate(found):
        if left.pop(one.id, None) is not None:
            named[at] = one.id
    for at, one in enumerate(found):
        if at not in named:
            match = next(_alike(one, left), "")
            left.pop(match, None)
            named[at] = match or one.id
    return [_named(one, named[at]) for at, one in enumerate(found)]


def _alike(finding: Finding, known: Mapping[str, Finding]) -> Iterator[str]:
    # Times are all written alike, so that texts compare as they do.
    for key, one in known.items():
        whose = one.owner == finding.owner and one.session == finding.session
        if whose and one.start <= finding.end and finding.start <= one.end:
            both = "both" in (one.direction, finding.direction)
            if one.family == finding.family or (both and {one.family, finding.family} == LINE):
                yield key


def _named(finding: Finding, name: str) -> Finding:
    return finding if finding.id == name else structs.replace(finding, id=name)
