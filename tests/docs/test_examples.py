"""The shell examples of the pages, run in order against a real server."""

import itertools
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest

from tests.conftest import Server
from tests.docs.markdown import Block, blocks, page

ANY: Final = "..."
EXAMPLES_S_MAX: Final = 120
PAGES_WITH_EXAMPLES: Final = ("docs/api.md", "docs/telemetry.md")

needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")


def difference(expected: Any, actual: Any, path: str = "$") -> str:
    """Where an answer is not what the page shows; "" when it is.

    "..." stands for any value, as a key for any further keys, as the last item for any further.
    """
    if expected == ANY:
        return ""
    if isinstance(expected, dict) and isinstance(actual, dict):
        shown = {key: value for key, value in expected.items() if key != ANY}
        if missing := shown.keys() - actual.keys():
            return f"{path} lacks {sorted(missing)}"
        if ANY not in expected and (more := actual.keys() - shown.keys()):
            return f"{path} has {sorted(more)} too"
        found = (difference(value, actual[key], f"{path}.{key}") for key, value in shown.items())
        return next(filter(None, found), "")
    if isinstance(expected, list) and isinstance(actual, list):
        if expected[-1:] == [ANY]:
            expected, actual = expected[:-1], actual[: len(expected) - 1]
        if len(expected) != len(actual):
            return f"{path} has {len(actual)} items, not {len(expected)}"
        pairs = enumerate(zip(expected, actual, strict=True))
        return next(filter(None, (difference(e, a, f"{path}[{i}]") for i, (e, a) in pairs)), "")
    same = type(expected) is type(actual) and expected == actual
    return "" if same else f"{path} is {actual!r}, not {expected!r}"


def json_values(text: str) -> list[Any]:
    """JSON values that follow each other."""
    values: list[Any] = []
    decoder, at = json.JSONDecoder(), 0
    while at < len(text):
        value, end = decoder.raw_decode(text, at)
        values.append(value)
        at = end + len(text[end:]) - len(text[end:].lstrip())
    return values


def lines_in_order(expected: str, actual: str) -> str:
    """The first line of a page that is not in the output, after the one before; "" when all are."""
    rest = actual.replace("\r", "").splitlines()
    for line in expected.splitlines():
        pattern = re.compile(".*".join(map(re.escape, line.split(ANY))))
        while rest and not pattern.fullmatch(rest[0]):
            rest.pop(0)
        if not rest:
            return f"expected {line!r} in:\n{actual}"
        rest.pop(0)
    return ""


def complaint(shown: Block, output: str) -> str:
    """How an output differs from the block that shows it; "" when it does not."""
    if shown.language == "json":
        trouble = difference(json_values(shown.text.strip()), json_values(output.strip()))
        return f"{trouble} in:\n{output}" if trouble else ""
    return lines_in_order(shown.text, output)


def environment(server: Server) -> dict[str, str]:
    """The variables that the pages use."""
    command = [sys.executable, "-m", "roomtone", "token", "create", "--data", str(server.data)]
    flags = ["--org", "acme", "--scope", "analytics:read_all", "--refresh"]
    made = subprocess.run([*command, *flags], check=True, capture_output=True, text=True)
    refresh = {name.upper(): value for name, value in json.loads(made.stdout).items()}
    return {**os.environ, "LC_ALL": "C.UTF-8", "URL": server.url, "TOKEN": server.token()} | refresh


def run(examples: list[Block], folder: Path, env: dict[str, str]) -> list[str]:
    """Run the examples in one shell, so that variables last; return the output of each."""
    parts = [
        f"{{\n{block.text}}} > '{folder}/out.{index}' 2> '{folder}/err.{index}'"
        for index, block in enumerate(examples)
    ]
    work = folder / "work"
    work.mkdir()
    result = subprocess.run(
        ["bash", "-c", "set -eu\n" + "\n".join(parts)],
        cwd=work,
        env=env,
        capture_output=True,
        text=True,
        timeout=EXAMPLES_S_MAX,
    )
    done = sorted(folder.glob("err.*"), key=lambda path: int(path.suffix[1:]))
    errors = "".join(path.read_text() for path in done)
    assert result.returncode == 0, f"line {examples[len(done) - 1].line}: {errors}{result.stderr}"
    return [(folder / f"out.{index}").read_text() for index in range(len(examples))]


@needs_curl
@pytest.mark.parametrize("name", PAGES_WITH_EXAMPLES)
def test_the_examples_of_a_page_give_what_it_shows(
    name: str, server: Server, tmp_path: Path
) -> None:
    found = blocks(page(name))
    examples = [block for block in found if block.language == "sh"]
    outputs = run(examples, tmp_path, environment(server))
    shown = 0
    for block, after in itertools.pairwise(found):
        if block.language == "sh" and after.follows:
            shown += 1
            trouble = complaint(after, outputs[examples.index(block)])
            assert not trouble, f"{name}, line {after.line}: {trouble}"
    assert shown >= len(examples) - 1, "an example shows what it gives"


PYTHON_EXAMPLES: Final = [
    block for block in blocks(page("docs/api.md")) if block.language == "python"
]


@pytest.mark.parametrize("example", PYTHON_EXAMPLES, ids=lambda block: block.text.split()[1])
def test_a_webex_client_reads_all_pages_as_the_page_shows(example: Block, server: Server) -> None:
    token = server.token()
    items = [{"meetingInstanceId": "m1", "participantSessionId": f"S{n}"} for n in range(101)]
    headers = {"Authorization": f"Bearer {token}"}
    posted = httpx2.post(
        f"{server.url}/v1/meeting/qualities", json={"items": items}, headers=headers
    )
    assert posted.status_code == 204
    before = f"URL, TOKEN = {server.url!r}, {token!r}\n"
    after = "print(*(session['participantSessionId'] for session in sessions))"
    code = before + example.text + after
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.split() == [item["participantSessionId"] for item in items], done.stderr


@pytest.mark.parametrize(
    ("expected", "actual", "where"),
    [
        ({"a": 1}, {"a": 1}, ""),
        ({"a": 1}, {"a": 1.0}, "$.a is 1.0"),
        ({"a": 1}, {"a": 1, "b": 2}, "$ has ['b']"),
        ({"a": 1, "...": "..."}, {"a": 1, "b": 2}, ""),
        ({"a": 1, "...": "..."}, {"b": 2}, "$ lacks ['a']"),
        ([1, "..."], [1, 2, 3], ""),
        ([1, 2], [1], "$ has 1 items"),
        ({"a": [None, "..."]}, {"a": [0, 1]}, "$.a[0] is 0"),
    ],
)
def test_a_difference_from_the_page_is_found(expected: Any, actual: Any, where: str) -> None:
    found = difference(expected, actual)
    assert found.startswith(where)
    assert bool(found) == bool(where)


@pytest.mark.parametrize(
    ("expected", "actual", "fits"),
    [
        ("200\n", "200\n", True),
        ("200\n", "204\n", False),
        ("a: ...\nc: 3\n", "a: 1\r\nb: 2\r\nc: 3\r\n", True),
        ("c: 3\na: 1\n", "a: 1\nc: 3\n", False),
    ],
)
def test_lines_are_looked_for_in_order(expected: str, actual: str, *, fits: bool) -> None:
    assert (lines_in_order(expected, actual) == "") == fits
