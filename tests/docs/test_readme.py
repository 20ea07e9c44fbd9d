"""The README's facts, and what all pages say about commands."""

import json
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import roomtone
from roomtone.cli import COMMANDS, TOKEN_COMMANDS
from tests.conftest import Server
from tests.docs.markdown import CODE_SPAN, PAGES, ROOT, blocks, page, prose
from tests.docs.test_examples import needs_curl

README_LINES_MAX = 70
MAKE = re.compile(r"\bmake ([a-z]+)\b")
COMMAND = re.compile(r"\broomtone ((?:token )?[a-z]+)((?:\\\n|[^\n`|])*)")


def code_of(text: str) -> list[str]:
    """Every span and block of code of a page."""
    return [*CODE_SPAN.findall(prose(text)), *(block.text for block in blocks(text))]


def test_the_readme_fits_one_screen() -> None:
    assert len(page("README.md").splitlines()) <= README_LINES_MAX


def test_the_makefile_has_every_target_that_a_page_names() -> None:
    targets = set(re.findall(r"^([a-z]+):", page("Makefile"), re.MULTILINE))
    for path in PAGES:
        named = {name for text in code_of(path.read_text("utf-8")) for name in MAKE.findall(text)}
        assert named <= targets, path.name


def test_the_readme_names_the_two_commands() -> None:
    text = "\n".join(code_of(page("README.md")))
    assert {"run", "test"} <= set(MAKE.findall(text))


@needs_curl
def test_the_readmes_curl_line_works_as_printed(server: Server) -> None:
    lines = [
        line
        for block in blocks(page("README.md"))
        for line in block.text.splitlines()
        if line.startswith("curl ")
    ]
    assert len(lines) == 1
    token, address = server.token(), "http://127.0.0.1:8080"
    meeting = {"meetingInstanceId": "m1", "participantSessionId": "S1"}
    post = ["curl", "-sS", "--fail", f"{server.url}/v1/meeting/qualities"]
    post += ["-H", f"Authorization: Bearer {token}", "-H", "Content-Type: application/json"]
    subprocess.run([*post, "-d", json.dumps({"items": [meeting]})], check=True)
    assert address in lines[0]
    line = lines[0].replace(address, server.url).replace("TOKEN", token)
    line = re.sub(r"\bID\b", "m1", line)
    answer = subprocess.run(["bash", "-c", line], capture_output=True, check=True).stdout
    assert json.loads(answer)["items"][0]["participantSessionId"] == "S1"


@cache
def help_of(command: str) -> str:
    words = [sys.executable, "-m", "roomtone", *command.split(), "--help"]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_commands_and_flags_that_a_page_names_exist(path: Path) -> None:
    known = {*COMMANDS, *(f"token {name}" for name in TOKEN_COMMANDS)}
    for text in code_of(path.read_text("utf-8")):
        for command, rest in COMMAND.findall(text):
            assert command in known, f"roomtone {command}"
            for flag in re.findall(r"(?<!\S)--[a-z-]+", rest.partition("$(")[0]):
                assert flag == "--help" or flag in help_of(command), f"roomtone {command} {flag}"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_flags_that_a_page_names_alone_exist(path: Path) -> None:
    commands = (*COMMANDS, *(f"token {name}" for name in TOKEN_COMMANDS))
    for text in CODE_SPAN.findall(prose(path.read_text("utf-8"))):
        flag = re.match(r"--[a-z-]+", text)
        if flag and flag[0] != "--help":
            assert any(flag[0] in help_of(command) for command in commands), text


def test_the_changelog_has_this_version() -> None:
    assert f"\n## [{roomtone.__version__}] - " in page("CHANGELOG.md")


def test_the_licence_is_the_one_that_is_named() -> None:
    assert "Apache License" in (ROOT / "LICENSE").read_text("utf-8")
