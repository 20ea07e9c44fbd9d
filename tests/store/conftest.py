"""Every engine as a fixture."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from roomtone.store import Store, open_store


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    opened = open_store(":memory:" if request.param == "memory" else tmp_path / "data")
    yield opened
    opened.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def sqlite(folder: Path) -> Iterator[Store]:
    opened = open_store(folder)
    yield opened
    opened.close()


@pytest.fixture
def reopen(folder: Path) -> Iterator[Callable[[], Store]]:
    """Open the same folder once more; every one is closed at the end."""
    opened: list[Store] = []

    def again() -> Store:
        opened.append(open_store(folder))
        return opened[-1]

    yield again
    for one in opened:
        one.close()
