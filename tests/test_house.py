"""House rules as a test, so that nobody has to argue them in a review."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "roomtone"
FUNCTION_LINES_MAX = 70
MODULE_LINES_MAX = 420

# A module imports from its own line or from lines above it.
LAYERS = (
    ("__init__", "errors", "model"),
    ("config",),
    ("measure", "score", "fleet"),
    ("causes",),
    ("sources",),
    ("store", "metrics"),
    ("auth", "cache", "decoding", "detail", "limits", "scoring", "writer"),
    ("ingest", "ingest_agent", "ingest_vq", "seeing", "live"),
    ("services",),
    ("api",),
    ("web",),
    ("observe", "protocol", "hep"),
    ("app",),
    ("simulate", "client", "aiortc", "agent"),
    ("demo", "commands"),
    ("cli", "__main__"),
)
MODULES = sorted(SOURCE.rglob("*.py"))


def part_of(module: str) -> str:
    """`roomtone.store.sqlite` -> `store`; `roomtone` -> `__init__`."""
    return [*module.split("."), "__init__"][1]


def layer_of(part: str) -> int:
    return next(index for index, parts in enumerate(LAYERS) if part in parts)


def imports_of(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert not node.level, "imports are absolute"
            if node.module == "roomtone":
                yield from (f"roomtone.{alias.name}" for alias in node.names)
            else:
                yield node.module


def name_of(path: Path) -> str:
    return str(path.relative_to(SOURCE))


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_point_upwards(path: Path) -> None:
    own = layer_of(path.relative_to(SOURCE).parts[0].removesuffix(".py"))
    for module in imports_of(ast.parse(path.read_text())):
        if module.split(".")[0] == "roomtone" and not module.startswith("roomtone.__"):
            assert layer_of(part_of(module)) <= own, module


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_modules_and_functions_are_short_and_say_what_they_are(path: Path) -> None:
    text = path.read_text()
    tree = ast.parse(text)
    assert ast.get_docstring(tree), "a module opens with what it is"
    assert len(text.splitlines()) <= MODULE_LINES_MAX
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            assert node.end_lineno - node.lineno < FUNCTION_LINES_MAX, node.name


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_the_pure_parts_see_neither_store_nor_http(path: Path) -> None:
    part = path.relative_to(SOURCE).parts[0].removesuffix(".py")
    imported = {module.split(".")[0] for module in imports_of(ast.parse(path.read_text()))}
    if part in ("measure", "score", "causes", "sources", "fleet"):
        assert imported.isdisjoint({"apsw", "starlette", "uvicorn", "time", "asyncio"})
    if part == "store":
        assert imported.isdisjoint({"starlette", "uvicorn", "httpx2"})
    if part in ("api", "web"):
        assert "apsw" not in imported
