"""How tests run the command: as a process of its own, as a person would."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

RUN_S_MAX = 60


def clean_environment(**variables: str) -> dict[str, str]:
    """This process's environment without settings of Roomtone, and with some of one's own."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith("ROOMTONE_")}
    return kept | variables


def roomtone(
    *arguments: str | Path, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run `python -m roomtone ...` and wait for its end."""
    return subprocess.run(
        [sys.executable, "-m", "roomtone", *(str(argument) for argument in arguments)],
        env=clean_environment(**(env or {})),
        capture_output=True,
        text=True,
        timeout=RUN_S_MAX,
    )


def one_line(result: subprocess.CompletedProcess[str]) -> str:
    """The single line of an error, once it is sure that there is no other and no traceback."""
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1, result.stderr
    assert result.stderr.startswith("roomtone: ")
    return result.stderr.removeprefix("roomtone: ").rstrip("\n")
