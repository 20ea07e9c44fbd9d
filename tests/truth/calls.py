"""A real call over the rig: two browsers with the collector, a server, and what came of it."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, Protocol
from uuid import uuid4

import httpx2
from playwright.async_api import Playwright, async_playwright

from tests.browser.conftest import CHROMIUM
from tests.conftest import Server, start_server
from tests.truth import wire
from tests.truth.firefox import FirefoxPage, firefox
from tests.truth.rig import SIDES, Handler, Rig, Side, Way, listening, pump, rig

Browser = Literal["chromium", "firefox"]
HERE: Final = Path(__file__).parent
API_PORT: Final = 8080
PAGE_PORT: Final = 8081
ANSWER_S_MAX: Final = 30
ASK_EVERY_S: Final = 0.5
CAMERA: Final = {"width": 640, "height": 360, "frameRate": 15}
KINDS: Final = {"0": "audio", "1": "video", "2": "share"}
"""By mid: the pages add microphone, camera and share in this order."""
SERVED: Final = {
    **dict.fromkeys(("peer.html", "janus.html"), "text/html; charset=utf-8"),
    **dict.fromkeys(("peer.js", "janus.js"), "text/javascript"),
}
CHROMIUM_FLAGS: Final = [
    "--no-sandbox",
    "--use-fake-ui-for-media-stream",
    "--auto-accept-this-tab-capture",
    "--autoplay-policy=no-user-gesture-required",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-features=WebRtcHideLocalIpsWithMdns",
    "--mute-audio",
]


class Page(Protocol):
    """What both drivers have."""

    async def evaluate(self, expression: str, arg: Any = None) -> Any: ...

    async def goto(self, url: str) -> Any: ...


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How a call is set up."""

    browsers: tuple[Browser, Browser] = ("chromium", "chromium")
    interval_s: int = 60
    sample_every_s: int = 10
    post_every_s: int = 60
    share: bool = True
    camera: dict[str, int] = field(default_factory=lambda: CAMERA)
    codec: tuple[str, str] | None = None
    """MIME type, and a part of the format parameters."""
    configuration: dict[str, Any] = field(default_factory=dict)
    tcp_too: bool = False
    connect: bool = True
    """False: the script connects."""
    road: tuple[Way, Way] = (Way(), Way())
    first: bool = True
    """The browsers go before other work of the machine."""


@dataclass(frozen=True)
class Outcome:
    """What the API answered when all was over, and what there is to hold it against."""

    plan: Plan
    sessions: dict[Side, list[dict[str, Any]]]
    quality: dict[str, Any]
    """The verdict and the findings."""
    reports: dict[Side, list[dict[str, Any]]]
    wire: wire.Wire
    marks: dict[str, float]
    changes: list[tuple[float, Way, Way]]
    versions: dict[Side, str]

    def streams(self, side: Side, kind: str) -> list[dict[str, Any]]:
        """All entries of a kind that a participant's sessions have."""
        return [stream for session in self.sessions[side] for stream in session[kind]]


class Call:
    """A call that runs: two pages, their server, and the road between."""

    def __init__(self, plan: Plan, there: Rig, server: Server, pages: dict[Side, Page]) -> None:
        self.plan = plan
        self.rig = there
        self.server = server
        self.pages = pages
        self.meeting = f"truth-{uuid4()}"
        self.token = server.token()
        self.marks: dict[str, float] = {}
        self.reports: dict[Side, list[dict[str, Any]]] = {"a": [], "b": []}
        self.versions: dict[Side, str] = {}

    def mark(self, name: str) -> None:
        """Note when something happened."""
        self.marks[name] = time.time()

    async def join(self, side: Side) -> None:
        """Open the page, its media and its collector."""
        page = self.pages[side]
        await page.goto(f"http://127.0.0.1:{PAGE_PORT}/peer.html")
        await until(page, "window.peer")
        screen = "canvas" if self.browser(side) == "firefox" else "screen"
        options = {
            "camera": self.plan.camera,
            "shared": screen if self.plan.share else None,
            "collecting": {
                "token": await asyncio.to_thread(self.collector_token, side),
                "meetingId": self.meeting,
                "sampleEvery": self.plan.sample_every_s,
                "postEvery": self.plan.post_every_s,
                # Only Chromium marks a share, and only a captured one.
                "names": {"2": "share"} if "firefox" in self.plan.browsers else {},
            },
        }
        await page.evaluate("(options) => peer.open(options)", options)

    def browser(self, side: Side) -> Browser:
        return self.plan.browsers[SIDES.index(side)]

    def collector_token(self, side: Side) -> str:
        person = {"id": side, "name": {"a": "Ada", "b": "Bob"}[side]}
        body = {"meetingId": self.meeting, "participant": person}
        answer = httpx2.post(
            f"{self.server.url}/v1/collector/tokens", json=body, headers=self.headers()
        )
        assert answer.status_code == 201, answer.text
        token: str = answer.json()["token"]
        return token

    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    async def connect(self) -> None:
        """New connections, offered by a; returns when both are up."""
        a, b = self.pages["a"], self.pages["b"]
        for page in (a, b):
            await page.evaluate("(given) => peer.connect(given)", self.plan.configuration)
        if self.plan.codec:
            wanted = dict(zip(("mimeType", "fmtp"), self.plan.codec, strict=True))
            assert await a.evaluate("(codec) => peer.prefer(codec)", wanted), f"no {wanted}"
        offer = await a.evaluate("() => peer.offer()")
        answer = await b.evaluate("(offer) => peer.answer(offer)", offer)
        await a.evaluate("(answer) => peer.accept(answer)", answer)
        for page in (a, b):
            await until(page, "peer.state === 'connected'")
        if self.plan.first:
            await asyncio.to_thread(self.rig.let_go_first)

    async def hold(self, *, s: float, since: str) -> None:
        """Go on until so long after a mark."""
        await asyncio.sleep(self.marks[since] + s - time.time())

    async def keep_reports(self, side: Side) -> None:
        """What the page's collector posted; a reload would forget it."""
        self.reports[side] += await self.pages[side].evaluate("() => peer.reports")

    async def leave(self, side: Side) -> None:
        page = self.pages[side]
        await page.evaluate("() => peer.leave()")
        assert await page.evaluate("() => peer.error") is None
        await self.keep_reports(side)

    def sessions(self) -> dict[Side, list[dict[str, Any]]]:
        """The API's answer, by participant."""
        answer = httpx2.get(
            f"{self.server.url}/v1/meeting/qualities",
            params={"meetingId": self.meeting, "max": "100"},
            headers=self.headers(),
        )
        assert answer.status_code == 200, answer.text
        items = answer.json()["items"]
        return {side: [item for item in items if item["participantId"] == side] for side in SIDES}


def quality_of(server: Server, token: str, meeting: str) -> dict[str, Any]:
    """The meeting's verdict and its causes, as the API tells them."""
    url = f"{server.url}/v1/roomtone/meetings/{meeting}"
    answer = httpx2.get(url, headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200, answer.text
    quality: dict[str, Any] = answer.json()
    return quality


class Script(Protocol):
    """What happens in a call, from two open pages to the end."""

    async def __call__(self, call: Call) -> None: ...


async def until(page: Page, condition: str) -> None:
    limit_s = time.monotonic() + ANSWER_S_MAX
    while not await page.evaluate(f"() => Boolean({condition})"):
        assert time.monotonic() < limit_s, f"not after {ANSWER_S_MAX} s: {condition}"
        await asyncio.sleep(ASK_EVERY_S)


def run_call(plan: Plan, script: Script, folder: Path) -> Outcome:
    """A whole call; to be run in a thread of its own."""
    folder.mkdir()
    flags = ["--interval-s", str(plan.interval_s)]
    flags += ["--allowed-origins", f"http://127.0.0.1:{PAGE_PORT}"]
    with rig(folder, tcp_too=plan.tcp_too) as there:
        server = start_server(folder / "data", *flags)
        try:
            call, sessions = asyncio.run(in_browsers(plan, script, there, server))
            quality = quality_of(server, call.token, call.meeting)
        finally:
            server.stop()
    log = wire.read(there.road.log)
    changes = there.road.changes
    return Outcome(plan, sessions, quality, call.reports, log, call.marks, changes, call.versions)


async def in_browsers(
    plan: Plan, script: Script, there: Rig, server: Server
) -> tuple[Call, dict[Side, list[dict[str, Any]]]]:
    async with contextlib.AsyncExitStack() as stack:
        for side in SIDES:
            for port, handler in ((API_PORT, api(server)), (PAGE_PORT, give_page)):
                await stack.enter_async_context(listening(there, side, port, handler))
        playwright = await stack.enter_async_context(async_playwright())
        pages: dict[Side, Page] = {}
        versions: dict[Side, str] = {}
        for side, browser in zip(SIDES, plan.browsers, strict=True):
            opened = chromium_page(playwright, there, side, plan.camera)
            if browser == "firefox":
                opened = firefox_page(there, side)
            pages[side], versions[side] = await stack.enter_async_context(opened)
        call = Call(plan, there, server, pages)
        call.versions = versions
        there.road.become(*plan.road)
        for side in SIDES:
            await call.join(side)
        if plan.connect:
            await call.connect()
            call.mark("connected")
        await script(call)
        return call, await asyncio.to_thread(call.sessions)


@contextlib.asynccontextmanager
async def chromium_page(
    playwright: Playwright, there: Rig, side: Side, camera: dict[str, int]
) -> AsyncIterator[tuple[Page, str]]:
    program, flags = there.program(side, CHROMIUM), chromium_flags(camera)
    browser = await playwright.chromium.launch(executable_path=program, args=flags)
    page = await browser.new_page(viewport={"width": 1280, "height": 720})
    yield page, f"Chromium {browser.version}"
    await browser.close()


@contextlib.asynccontextmanager
async def firefox_page(there: Rig, side: Side) -> AsyncIterator[tuple[FirefoxPage, str]]:
    async with firefox(there, side) as page:
        yield page, f"Firefox {page.version}"


def chromium_flags(camera: dict[str, int]) -> list[str]:
    """With a microphone and a camera that are made up."""
    device = f"--use-fake-device-for-media-stream=fps={camera['frameRate']}"
    return [*CHROMIUM_FLAGS, device]


def api(server: Server) -> Handler:
    """A connection to the server, passed through."""
    host, port = server.url.removeprefix("http://").split(":")

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inward, outward = await asyncio.open_connection(host, int(port))
        await asyncio.gather(pump(reader, outward), pump(inward, writer))

    return pass_on


async def give_page(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """The pages of this folder, one a connection."""
    request = (await reader.readuntil(b"\r\n\r\n")).decode()
    name = request.split(" ")[1].removeprefix("/")
    known = name in SERVED
    body = (HERE / name).read_bytes() if known else b""
    head = f"HTTP/1.1 {'200 OK' if known else '404 Not Found'}\r\nConnection: close\r\n"
    head += f"Content-Type: {SERVED.get(name, 'text/plain')}\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    await writer.drain()
    writer.close()
