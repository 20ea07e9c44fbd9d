"""Links lead somewhere, and every function that a page names is in the file that it names."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tests.docs.markdown import DOCS, PAGES, ROOT, SOURCE, links, page, prose, slugs, table

PLACE = re.compile(r"`((?:\w+/)*\w+\.py):([A-Za-z_][\w.]*)`")


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@cache
def names_in(path: Path) -> frozenset[str]:
    """Functions, classes and constants of a module, members as Class.member."""
    found: set[str] = set()

    def visit(body: list[ast.stmt], prefix: str) -> None:
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                found.add(prefix + node.name)
            elif isinstance(node, ast.ClassDef):
                found.add(prefix + node.name)
                visit(node.body, f"{prefix}{node.name}.")
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                found.add(prefix + node.target.id)
            elif isinstance(node, ast.Assign):
                found.update(
                    prefix + target.id for target in node.targets if isinstance(target, ast.Name)
                )

    visit(ast.parse(path.read_text("utf-8")).body, "")
    return frozenset(found)


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_relative_links_lead_to_a_file_and_a_heading(path: Path) -> None:
    for text, target in links(path.read_text("utf-8")):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, heading = target.partition("#")
        aim = (path.parent / file).resolve() if file else path
        assert aim.exists(), f"[{text}]({target})"
        assert aim.is_relative_to(ROOT), f"[{text}]({target})"
        if heading:
            assert heading in slugs(aim.read_text("utf-8")), f"[{text}]({target})"


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_a_named_function_is_where_the_page_says(path: Path) -> None:
    for file, name in PLACE.findall(prose(path.read_text("utf-8"))):
        module = ROOT / file if (ROOT / file).exists() else SOURCE / file
        assert module.exists(), f"{file}:{name}"
        assert name in names_in(module), f"{file}:{name}"


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_a_link_named_after_a_function_leads_to_its_file(path: Path) -> None:
    for text, target in links(path.read_text("utf-8")):
        for file, _ in PLACE.findall(text):
            assert target.endswith(f"/{file}") or target == file, f"[{text}]({target})"


def test_the_tour_names_a_function_at_every_step() -> None:
    steps = re.findall(
        r"^\d+\. .*?(?=^\d+\. |^## )", page("docs/tour.md"), re.MULTILINE | re.DOTALL
    )
    assert len(steps) >= 8
    for step in steps:
        assert PLACE.search(step), step


def test_every_decision_is_in_the_index() -> None:
    folder = DOCS / "decisions"
    listed = {target for _, target in links(page("docs/decisions/README.md"))}
    assert listed == {path.name for path in folder.glob("0*.md")}
    for path in folder.glob("0*.md"):
        text = path.read_text("utf-8")
        assert text.startswith(f"# {path.name[:4]}: ")
        assert re.search(r"^\d{4}-\d{2}-\d{2}$", text, re.MULTILINE), path.name
        for heading in ("Problem", "Decision", "What it costs"):
            assert f"\n## {heading}\n" in text, f"{path.name} lacks {heading}"


def test_every_guide_can_be_reached_from_the_readme() -> None:
    reached: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        path = waiting.pop()
        if path in reached or path.suffix != ".md":
            continue
        reached.add(path)
        for _, target in links(path.read_text("utf-8")):
            if not re.match(r"[a-z]+:|#", target):
                waiting.append((path.parent / target.partition("#")[0]).resolve())
    assert set(PAGES) <= reached


def test_the_notes_on_dependencies_are_those_of_the_project() -> None:
    import tomllib

    declared = tomllib.loads(page("pyproject.toml"))["project"]["dependencies"]
    names = {re.match(r"[\w-]+", entry)[0] for entry in declared}  # type: ignore[index]
    described = {row[0].strip("`") for row in table(page("docs/decisions/0001-dependencies.md"))}
    assert described == names
