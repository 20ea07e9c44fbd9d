"""Debian's Firefox on a host of the rig, driven by WebDriver BiDi over a WebSocket."""

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

from websockets.asyncio.client import ClientConnection, connect

from tests.truth.rig import Rig, Side

FIREFOX: Final = Path("/usr/bin/firefox-esr")
PORT: Final = 9222
START_S_MAX: Final = 40
ANSWER_S_MAX: Final = 60
END_S_MAX: Final = 10
ASK_EVERY_S: Final = 0.2
PREFERENCES: Final[dict[str, bool | int | str]] = {
    "media.navigator.streams.fake": True,
    "media.navigator.permission.disabled": True,
    "media.autoplay.default": 0,
    "media.peerconnection.ice.obfuscate_host_addresses": False,
    "browser.shell.checkDefaultBrowser": False,
    "browser.aboutwelcome.enabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "toolkit.telemetry.enabled": False,
    "app.update.enabled": False,
    "app.normandy.enabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "browser.safebrowsing.update.enabled": False,
    "extensions.update.enabled": False,
    "media.gmp-manager.url": "",
    "services.settings.server": "data:,",
}


class FirefoxPage:
    """What the tests use of a page: goto, evaluate with one JSON argument, wait_for_function."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self.context = ""
        self.version = ""
        self.serial = 0
        self.reader = asyncio.ensure_future(self._read())

    async def _read(self) -> None:
        async for text in self.connection:
            message = json.loads(text)
            if (future := self.waiting.pop(message.get("id"), None)) is not None:
                future.set_result(message)

    async def send(self, method: str, **params: Any) -> Any:
        """A command and its result."""
        self.serial += 1
        future = asyncio.get_running_loop().create_future()
        self.waiting[self.serial] = future
        message = {"id": self.serial, "method": method, "params": params}
        await self.connection.send(json.dumps(message))
        answer = await asyncio.wait_for(future, ANSWER_S_MAX)
        assert answer["type"] != "error", f"{method}: {answer['error']}: {answer['message']}"
        return answer["result"]

    async def start(self) -> None:
        session = await self.send("session.new", capabilities={})
        self.version = session["capabilities"]["browserVersion"]
        self.context = (await self.send("browsingContext.getTree"))["contexts"][0]["context"]

    async def goto(self, url: str) -> None:
        await self.send("browsingContext.navigate", context=self.context, url=url, wait="complete")

    async def evaluate(self, expression: str, arg: Any = None) -> Any:
        """Call a function of the page, which gets and gives JSON."""
        function = f"async (t) => JSON.stringify((await ({expression})(JSON.parse(t))) ?? null)"
        done = await self.send(
            "script.callFunction",
            target={"context": self.context},
            awaitPromise=True,
            userActivation=True,
            functionDeclaration=function,
            arguments=[{"type": "string", "value": json.dumps(arg)}],
        )
        assert done["type"] != "exception", done["exceptionDetails"]["text"]
        return json.loads(done["result"]["value"])

    async def wait_for_function(self, expression: str) -> None:
        limit_s = time.monotonic() + ANSWER_S_MAX
        while not await self.evaluate(f"() => Boolean({expression})"):
            assert time.monotonic() < limit_s, f"not after {ANSWER_S_MAX} s: {expression}"
            await asyncio.sleep(ASK_EVERY_S)


@contextlib.asynccontextmanager
async def firefox(rig: Rig, side: Side) -> AsyncIterator[FirefoxPage]:
    """A Firefox with a profile of its own and an empty page."""
    process = start(rig, side)
    try:
        way_in = await when_listening(rig, side, process)
        url = f"ws://127.0.0.1:{PORT}/session"
        async with connect(url, sock=way_in, max_size=None, ping_interval=None) as connection:
            page = FirefoxPage(connection)
            await page.start()
            yield page
            with contextlib.suppress(AssertionError, OSError, TimeoutError):
                await page.send("browser.close")
            page.reader.cancel()
    finally:
        await asyncio.to_thread(end, process)


def start(rig: Rig, side: Side) -> subprocess.Popen[bytes]:
    home = (rig.folder / f"firefox-{side}").resolve()
    profile = home / "profile"
    profile.mkdir(parents=True)
    lines = [f"user_pref({json.dumps(k)}, {json.dumps(v)});" for k, v in PREFERENCES.items()]
    (profile / "user.js").write_text("\n".join(lines))
    flags = ["--headless", "--no-remote", "--profile", str(profile)]
    flags += ["--remote-debugging-port", str(PORT), "about:blank"]
    command = [*rig.within(side), str(FIREFOX), *flags]
    environment = {"HOME": str(home), "PATH": os.environ["PATH"], "MOZ_CRASHREPORTER_DISABLE": "1"}
    with (home / "firefox.log").open("wb") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, env=environment)


async def when_listening(rig: Rig, side: Side, process: subprocess.Popen[bytes]) -> socket.socket:
    limit_s = time.monotonic() + START_S_MAX
    while True:
        try:
            made = rig.socket_in(side, lambda: socket.create_connection(("127.0.0.1", PORT)))
        except OSError:
            assert process.poll() is None, "Firefox ended"
            assert time.monotonic() < limit_s, "Firefox did not open its port"
            await asyncio.sleep(ASK_EVERY_S)
        else:
            made.setblocking(False)
            return made


def end(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(END_S_MAX)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
