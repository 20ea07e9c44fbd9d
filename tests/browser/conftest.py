"""Debian's Chromium under Playwright, and the fake server that the collector talks to."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.fake import FakeRoomtone, fake_roomtone

CHROMIUM = Path("/usr/bin/chromium")
MEDIA_FLAGS = [
    "--no-sandbox",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    "--allow-loopback-in-peer-connection",
    "--auto-accept-this-tab-capture",
]
NOON = "2026-11-24T12:00:00Z"
NOON_AND_A_SECOND = "2026-11-24T12:00:01Z"


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """A headless Chromium with a fake camera, a fake microphone and a say-yes person."""
    if not CHROMIUM.exists():
        pytest.skip("needs Debian's chromium package")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=MEDIA_FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def fake() -> Iterator[FakeRoomtone]:
    with fake_roomtone() as running:
        yield running


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """A fresh page; an uncaught error in it fails the test."""
    context = chromium.new_context()
    opened = context.new_page()
    faults: list[str] = []
    opened.on("pageerror", lambda error: faults.append(str(error)))
    yield opened
    context.close()
    assert faults == []
