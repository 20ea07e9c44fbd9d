"""Reads the documentation: its pages, and of a page the blocks, headings, links and tables."""

import re
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).parents[2]
DOCS: Final = ROOT / "docs"
SOURCE: Final = ROOT / "src" / "roomtone"
PAGES: Final = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])

FENCE: Final = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
CODE_SPAN: Final = re.compile(r"`([^`\n]+)`")
LINK: Final = re.compile(r"\[([^\]]+)\]\(([^)\s]+)\)")
HEADING: Final = re.compile(r"^(#{1,6}) +(.+?) *$", re.MULTILINE)


class Block(NamedTuple):
    """A fenced block; `follows` when nothing but a blank line is between it and the one before."""

    language: str
    text: str
    line: int
    follows: bool


def page(name: str) -> str:
    """The text of a page, by its path from the project's folder."""
    return (ROOT / name).read_text("utf-8")


def blocks(text: str) -> list[Block]:
    found: list[Block] = []
    end = 0
    for match in FENCE.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        follows = bool(found) and not text[end : match.start()].strip()
        found.append(Block(match[1], match[2], line, follows))
        end = match.end()
    return found


def prose(text: str) -> str:
    """The page without its fenced blocks."""
    return FENCE.sub("", text)


def links(text: str) -> list[tuple[str, str]]:
    """(text, target) of each link, line breaks inside the text folded."""
    return [(" ".join(match[1].split()), match[2]) for match in LINK.finditer(prose(text))]


def slugs(text: str) -> set[str]:
    """What a link can name after `#`, as GitHub makes it of a heading."""
    kept = (re.sub(r"[^\w\- ]", "", match[2].lower()) for match in HEADING.finditer(prose(text)))
    return {heading.replace(" ", "-") for heading in kept}


def section(text: str, heading: str) -> str:
    """What stands under a heading, up to the next one of its level or above."""
    found = list(HEADING.finditer(text))
    index = next(i for i, match in enumerate(found) if match[2] == heading)
    later = (match for match in found[index + 1 :] if len(match[1]) <= len(found[index][1]))
    end = next((match.start() for match in later), len(text))
    return text[found[index].end() : end]


def table(text: str) -> list[list[str]]:
    """The cells of the first table's rows, its head left out."""
    rows: list[list[str]] = []
    for line in text.splitlines():
        if line.startswith("|"):
            rows.append([cell.strip() for cell in line.strip("|").split("|")])
        elif rows:
            break
    return rows[2:]


def code(cell: str) -> str:
    """The text of a cell that is one span of code."""
    match = CODE_SPAN.fullmatch(cell)
    assert match, f"expected a span of code: {cell}"
    return match[1]
