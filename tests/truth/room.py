"""A call in a room of a real Janus, which tells of it by its events.

alice talks to Janus over the rig's road; bob sits beside Janus on a clean link.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Final

import httpx2
from playwright.async_api import Page, async_playwright

from tests.browser.conftest import CHROMIUM
from tests.conftest import Server
from tests.truth.calls import (
    API_PORT,
    CAMERA,
    PAGE_PORT,
    api,
    chromium_flags,
    give_page,
    quality_of,
    until,
)
from tests.truth.rig import SIDES, Rig, Side, Way, listening
from tests.truth.sfu import ROOM, janus

NAMES: Final[dict[Side, str]] = {"a": "alice", "b": "bob"}
MEETING: Final = "rig-{room}"
Ssrcs = dict[tuple[str, str, str], int]


@dataclass(frozen=True, kw_only=True)
class Room:
    """What is done in a room: alice may share her tab, too."""

    road: tuple[Way, Way]
    lasting_s: float
    share: bool = True


@dataclass(frozen=True)
class Told:
    """What the API says of each participant and of the meeting, and alice's SSRCs."""

    sessions: dict[str, dict[str, Any]]
    quality: dict[str, Any]
    ssrcs: Ssrcs
    metrics: str


async def meet(room: Room, there: Rig, server: Server) -> Told:
    """The whole call."""
    token = server.token("telemetry:write", "analytics:read_all")
    backend = f"http://127.0.0.1:{API_PORT}/v1/janus/events?token={token}&meetingId={MEETING}"
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(listening(there, "b", API_PORT, api(server)))
        for side in SIDES:
            await stack.enter_async_context(listening(there, side, PAGE_PORT, give_page))
        async with beside(there, backend) as url:
            there.road.become(*room.road)
            ssrcs = await talk(room, there, url)
        headers = {"Authorization": f"Bearer {token}"}
        meeting = MEETING.replace("{room}", str(ROOM))
        async with httpx2.AsyncClient(base_url=server.url, headers=headers) as client:
            answer = await client.get("/v1/meeting/qualities", params={"meetingId": meeting})
            assert answer.status_code == 200, answer.text
            metrics = (await client.get("/metrics")).text
    sessions = {item["participantId"]: item for item in answer.json()["items"]}
    return Told(sessions, quality_of(server, token, meeting), ssrcs, metrics)


@contextlib.asynccontextmanager
async def beside(there: Rig, backend: str) -> AsyncIterator[str]:
    """Janus beside bob. It starts and ends in a thread: this one has to answer its events."""
    server = janus(there, "b", backend)
    url = await asyncio.to_thread(server.__enter__)
    try:
        yield url
    finally:
        await asyncio.to_thread(server.__exit__, None, None, None)


async def talk(room: Room, there: Rig, url: str) -> Ssrcs:
    """A call of two; alice's SSRCs by connection, direction and kind."""
    connections = {"a": 3 if room.share else 2, "b": 3 if room.share else 2}
    async with async_playwright() as playwright:
        pages: dict[Side, Page] = {}
        for side in SIDES:
            browser = await playwright.chromium.launch(
                executable_path=there.program(side, CHROMIUM), args=chromium_flags(CAMERA)
            )
            pages[side] = await browser.new_page(viewport={"width": 1280, "height": 720})
            await pages[side].goto(f"http://127.0.0.1:{PAGE_PORT}/janus.html")
            await until(pages[side], "window.person")
        for side, page in pages.items():
            options = {"url": url, "room": ROOM, "name": NAMES[side], "camera": CAMERA}
            share = room.share and side == "a"
            await page.evaluate("(o) => person.enter(o)", options | {"share": share})
        for side, page in pages.items():
            await until(page, f"person.connected({connections[side]})")
        await asyncio.to_thread(there.let_go_first)
        await asyncio.sleep(room.lasting_s)
        streams = await pages["a"].evaluate("() => person.streams()")
        for page in pages.values():
            await page.evaluate("() => person.leave()")
    return {(one["connection"], one["type"], one["kind"]): one["ssrc"] for one in streams}
