"""Why a session is not good, in one phrase: the figure that made most of the worst stream's time.

"8.4 % packet loss in sent audio, 14 of 39 min".
"""

from typing import Final

import numpy as np
from msgspec import Struct

from roomtone.model import StreamKind
from roomtone.score.audio import Sound
from roomtone.score.emodel import Values
from roomtone.score.results import Figure
from roomtone.score.table import Run, Table
from roomtone.score.verdict import FIGURES, Judged, at_least
from roomtone.score.video import Picture

MINUTE_MS: Final = 60_000.0
KIND_WORDS: Final[dict[StreamKind, str]] = {
    "audioIn": "received audio", "audioOut": "sent audio", "videoIn": "received video",
    "videoOut": "sent video", "shareIn": "received share", "shareOut": "sent share",
}  # fmt: skip
FIGURE_WORDS: Final[dict[Figure, str]] = {
    "packetLoss": "{:.1f} % packet loss", "jitter": "{:.0f} ms jitter",
    "latency": "{:.0f} ms round trip", "frameRate": "{:.1f} pictures a second",
    "resolutionHeight": "{:.0f} px height", "mos": "MOS {:.1f}",
}  # fmt: skip


class Scored(Struct):
    """Sessions in the middle of scoring."""

    table: Table
    sound: Sound
    picture: Picture
    mos: Values
    judged: Judged


def because(scored: Scored, run: Run, level: int) -> tuple[Figure, str]:
    """The figure and the phrase for a kind of stream that came to this level, fair or poor."""
    table, judged, span = scored.table, scored.judged, run.span
    bad = judged.active[span] & (judged.raw[span] >= level)
    index = int(np.bincount(judged.figures[span][bad], minlength=1).argmax())
    figure = FIGURES[index]
    chosen = bad & (judged.figures[span] == index)
    value = float(_values(scored, figure)[span][chosen].mean())
    length_ms = table.length_ms[span]
    minutes = float(length_ms[at_least(judged.steady[span], level)].sum()) / MINUTE_MS
    total = float(length_ms[judged.active[span]].sum()) / MINUTE_MS
    codec = table.pieces[table.piece[run.first + int(chosen.argmax())]].entry.codec
    by = f" with {codec}" if figure == "mos" and codec else ""
    return figure, (
        f"{FIGURE_WORDS[figure].format(value)}{by} in {KIND_WORDS[run.kind]}, "
        f"{round(minutes, 1):g} of {round(total, 1):g} min"
    )


def _values(scored: Scored, figure: Figure) -> Values:
    if figure == "mos" or not figure:
        return scored.mos
    return scored.table.columns[figure]
