"""A browser's call with itself, measured, scored and judged by a real server, and told to it."""

from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from playwright.sync_api import Page

from tests.conftest import Server, start_server

pytestmark = pytest.mark.browser

INTERVAL_S = 5
JUDGED_MS_MAX = 120_000
JUDGED = "#verdict:not([hidden])"


@pytest.fixture
def quick(tmp_path: Path) -> Iterator[Server]:
    """A server whose intervals are short, so that a call is judged soon."""
    flags = ("--test-call-org", "acme", "--interval-s", str(INTERVAL_S))
    server = start_server(tmp_path / "data", *flags)
    yield server
    assert server.stop() == 0


def test_a_real_call_is_judged_for_its_person(page: Page, quick: Server) -> None:
    page.goto(f"{quick.url}/call")
    page.click("#start-generated")
    page.wait_for_selector(JUDGED, timeout=JUDGED_MS_MAX)
    said = page.inner_text("#verdict")
    now = page.get_attribute("#verdict", "data-now")
    assert said.startswith(f"This call is {now} now.")
    page.click("#hang-up")
    page.wait_for_selector("#state[data-state=ended]")
    metrics = httpx2.get(f"{quick.url}/metrics").text
    route = 'route="/v1/collector/verdict",status="200"'
    assert route in metrics
    assert f"{route.replace('200', '500')}" not in metrics
