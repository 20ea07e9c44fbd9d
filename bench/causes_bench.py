"""Measures causes: precision and recall on scripted meetings, and what an hour costs.

Every meeting is simulated. The seeds are none that the rules were written with. Writes the tables
into docs/causes.md.
"""

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tests.scenarios.after import AFTER
from tests.scenarios.before import BEFORE
from tests.scenarios.hard import HARD
from tests.scenarios.judge import Tally, judge, judge_demonstration
from tests.scenarios.stage import START_MS, Scenario
from tests.scenarios.weak import STRENGTHS, judge_weak

from bench.rows import Bench, Row
from roomtone import simulate
from roomtone.causes import FAMILIES, explain

PAGE: Final = Path(__file__).parents[1] / "docs" / "causes.md"
BEGIN: Final = "<!-- written by python -m bench causes: {name} begins -->"
END: Final = "<!-- written by python -m bench causes: {name} ends -->"
SEEDS: Final = range(201, 211)
DEMONSTRATION_SEEDS: Final = range(201, 241)
WEAK_SEEDS: Final = range(301, 311)
PRECISION_MIN: Final = 0.95
RECALL_MIN: Final = 0.9
PARTICIPANTS: Final = 50
MINUTES: Final = 60
LIMIT_MS: Final = 50.0
"""Of the 150 ms that scoring and explaining such an hour may take together."""
PARTS: Final[dict[str, Callable[[], Tally]]] = {
    "written before the rules": lambda: judge(BEFORE, SEEDS),
    "written after the rules": lambda: judge(AFTER, SEEDS),
    "harder ones, written last": lambda: judge(HARD, SEEDS),
    "the demonstration's meetings": lambda: judge_demonstration(DEMONSTRATION_SEEDS),
}


def rows(bench: Bench) -> list[Row]:
    """Precision, recall, false findings on clean meetings, CPU of an hour; the tables to docs."""
    tallies = {name: tally() for name, tally in PARTS.items()}
    write(tables(tallies), "how often")
    write(weak(), "how weak")
    whole = together(list(tallies.values()))
    times = hour_ms(rounds=bench.rounds)
    note = f"{whole.meetings} simulated meetings"
    return [
        Row(what="causes: precision", unit="", measured=whole.precision(), limit=PRECISION_MIN,
            note=note),
        Row(what="causes: recall", unit="", measured=whole.recall(), limit=RECALL_MIN, note=note),
        Row(what="causes: findings on clean meetings", unit="", less_is_better=True, limit=0,
            measured=whole.false_on_clean, note=f"{whole.clean_meetings} clean simulated meetings"),
        Row(what="explain an hour of 50", unit="ms", less_is_better=True, limit=LIMIT_MS,
            measured=statistics.median(times), runs=tuple(times), note="CPU"),
    ]  # fmt: skip


def hour_ms(*, rounds: int) -> list[float]:
    """CPU of explaining an hour of 50 participants, of other troubles each time."""
    found = []
    for index in range(rounds):
        made = simulate.meeting(
            seed=SEEDS[0],
            index=index,
            participants=PARTICIPANTS,
            minutes=MINUTES,
            start_ms=START_MS,
        )
        explain(made.sessions[:2])
        started = time.process_time()
        explain(made.sessions)
        found.append(1000 * (time.process_time() - started))
    return found


def weak() -> str:
    """Markdown: how often each trouble alone is found when it is weaker, and another one told."""
    lines = [
        f"Seeds {WEAK_SEEDS[0]} to {WEAK_SEEDS[-1]}; every meeting is simulated.",
        "",
        f"| trouble | {' | '.join(f'{100 * strength:.0f} %' for strength in STRENGTHS)} |",
        f"|---|{'---|' * len(STRENGTHS)}",
    ]
    every = (*BEFORE, *AFTER)
    alone = [one for one in every if len(one.expected) == 1 and one.change is None]
    return "\n".join([*lines, *map(_weak_line, alone)])


def _weak_line(scenario: Scenario) -> str:
    families = scenario.expected[0].family.split("|")
    cells = []
    for strength in STRENGTHS:
        tally = judge_weak(scenario, WEAK_SEEDS, strength)
        others = sum(count for family, count in tally.false.items() if family not in families)
        found = f"{100 * tally.recall():.0f}"
        told = f", {others} other{'s' * (others > 1)}" if others else ""
        cells.append(f"{found}{told}")
    return f"| {scenario.name} (`{families[0]}`) | {' | '.join(cells)} |"


def together(tallies: list[Tally]) -> Tally:
    """The sum of tallies."""
    whole = Tally()
    for tally in tallies:
        whole.add(tally)
    return whole


def tables(tallies: dict[str, Tally]) -> str:
    """Markdown: each family, each part, and the mistakes."""
    whole = together(list(tallies.values()))
    lines = [
        f"Seeds {SEEDS[0]} to {SEEDS[-1]}, of the demonstration {DEMONSTRATION_SEEDS[0]} to "
        f"{DEMONSTRATION_SEEDS[-1]}; all figures are of simulated meetings.",
        "",
        "| family | right | false | missed | precision | recall |",
        "|---|---|---|---|---|---|",
        *(_line(family, whole, family) for family in FAMILIES if family != "unknown"),
        _line("**all**", whole, None),
        "",
        "| scenarios | meetings | precision | recall | clean meetings | false findings on them |",
        "|---|---|---|---|---|---|",
    ]
    for name, tally in (*tallies.items(), ("**all**", whole)):
        lines.append(
            f"| {name} | {tally.meetings} | {tally.precision():.3f} | {tally.recall():.3f} "
            f"| {tally.clean_meetings} | {tally.false_on_clean} |"
        )
    lines += ["", _sure(whole), ""]
    mistakes = [f"* {text}" for tally in tallies.values() for text in tally.mistakes]
    return "\n".join([*lines, *(["The mistakes:", "", *mistakes] if mistakes else ["No mistake."])])


def _line(title: str, tally: Tally, family: str | None) -> str:
    counts = (tally.right, tally.false, tally.missed)
    numbers = [count.total() if family is None else count[family] for count in counts]
    shown = " | ".join(map(str, numbers))
    return f"| {title} | {shown} | {tally.precision(family):.3f} | {tally.recall(family):.3f} |"


def _sure(tally: Tally) -> str:
    right, false = tally.sure_right, tally.sure_false
    text = f"Mean confidence of the right ones {statistics.fmean(right):.2f}"
    return f"{text}, of the false ones {statistics.fmean(false):.2f}." if false else f"{text}."


def write(text: str, name: str) -> None:
    """Put a part between its marks in docs/causes.md."""
    begin, end = BEGIN.format(name=name), END.format(name=name)
    page = PAGE.read_text("utf-8")
    before, _, rest = page.partition(begin)
    _, _, after = rest.partition(end)
    assert after, f"{PAGE} has no place for {name}"
    PAGE.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}", "utf-8")
