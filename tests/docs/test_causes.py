"""The bounds and the examples of docs/causes.md are what the code has and what it finds."""

import re
import textwrap
from typing import Final

import pytest

from roomtone.causes import FAMILIES, explain, limits
from tests.docs.markdown import code, page, section, table
from tests.scenarios.after import AFTER
from tests.scenarios.before import BEFORE
from tests.scenarios.stage import play

PAGE: Final = page("docs/causes.md")
EXAMPLE: Final = re.compile(r"Example \(simulated, `([^`]+)`\):\n\n((?:>[^\n]*\n)+)")
EXAMPLES: Final = dict(EXAMPLE.findall(PAGE))
SEED: Final = 1
WIDTH: Final = 104


def told(name: str) -> str:
    """What is found in a scenario, as the page quotes it."""
    scenario = next(item for item in (*BEFORE, *AFTER) if item.name == name)
    (finding,) = explain(play(scenario, SEED))
    text = f"{finding.text} {finding.advice} (`{finding.family}`, confidence {finding.confidence})"
    return "".join(f"> {line}\n" for line in textwrap.wrap(text, WIDTH))


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_what_is_found(name: str) -> None:
    assert EXAMPLES[name] == told(name)


def test_every_family_has_an_example() -> None:
    shown = {match for quote in EXAMPLES.values() for match in re.findall(r"\(`(\w+)`,", quote)}
    assert shown == set(FAMILIES) - {"unknown"}


def test_the_bounds_are_those_of_the_code() -> None:
    rows = {
        code(name): (value, source) for name, value, source, _ in table(section(PAGE, "Bounds"))
    }
    names = {name for name in vars(limits) if name.isupper()} - {"HOME_SUBNETS"}
    assert rows.keys() == names
    for name, (value, source) in rows.items():
        assert float(value) == pytest.approx(float(getattr(limits, name)), abs=0.005)
        assert source in ("S", "O")
