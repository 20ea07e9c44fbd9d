"""What the collector costs a page: CPU time of the whole browser with it and without it.

The browser holds one call of six streams with itself. At its real rate the collector drowns in the
noise of the video codecs, so it samples and posts `FASTER` times as often, and what the browser
needs more than without it is divided by that. All processes of the browser count: its threads
that gather the figures and its network process too, not only the page's own script.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from playwright.sync_api import Browser, CDPSession, Page, sync_playwright

CHROMIUM: Final = Path("/usr/bin/chromium")
FLAGS: Final = [
    "--no-sandbox",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    "--allow-loopback-in-peer-connection",
]
FASTER: Final = 100
SAMPLE_EVERY_S: Final = 10
POST_EVERY_S: Final = 60
SETTLE_S: Final = 10
SERVER_START_S_MAX: Final = 20

# The call of the test page without the page: its figures and its pictures would cost more.
CALL: Final = """async () => {
  const { Pair } = await import("/static/pair.js");
  const { picture, sound } = await import("/static/media.js");
  const pair = window.pair = new Pair();
  const share = picture().track;
  share.contentHint = "detail";
  await pair.send("audio", sound().track);
  await pair.send("video", picture().track);
  await pair.send("share", share);
  const connected = pair.connected(15);
  await pair.negotiate();
  await connected;
  window.session = await (await fetch("/call/session", { method: "POST" })).json();
}"""
BEGIN: Final = """async ([sampleEvery, postEvery]) => {
  const { collect } = await import("/collector.js");
  const { token, meetingId } = session;
  window.handle = collect({ url: location.origin, token, meetingId, sampleEvery, postEvery,
    connections: { call: pair.a }, onerror: (error) => { window.fault = error.message; } });
}"""


def measure(*, seconds: int, rounds: int) -> float:
    """Percent of one core that the collector needs at its real rate; the median of the rounds."""
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(Path(folder)) as url,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page()
        page.goto(f"{url}/call")
        page.evaluate(CALL)
        page.wait_for_timeout(SETTLE_S * 1000)
        costs = [one_round(browser, page, seconds) for _ in range(rounds)]
        browser.close()
    return statistics.median(costs)


def one_round(browser: Browser, page: Page, seconds: int) -> float:
    """Without, with, without: what lies between the two outer ones is the collector's."""
    session = browser.new_browser_cdp_session()
    before = load(session, page, seconds)
    page.evaluate(BEGIN, [SAMPLE_EVERY_S / FASTER, POST_EVERY_S / FASTER])
    during = load(session, page, seconds)
    fault = page.evaluate("handle.stop().then(() => window.fault)")
    assert fault is None, fault
    after = load(session, page, seconds)
    session.detach()
    return (during - (before + after) / 2) / FASTER


def load(session: CDPSession, page: Page, seconds: int) -> float:
    """Percent of one core that all of the browser's processes use."""
    began_s, used_s = time.monotonic(), cpu_s(session)
    page.wait_for_timeout(seconds * 1000)
    return 100 * (cpu_s(session) - used_s) / (time.monotonic() - began_s)


def cpu_s(session: CDPSession) -> float:
    """CPU seconds of the browser's processes so far."""
    answer = session.send("SystemInfo.getProcessInfo")
    return sum(float(process["cpuTime"]) for process in answer["processInfo"])


@contextmanager
def serving(data: Path) -> Iterator[str]:
    """A server with the test call on; its address."""
    command = [sys.executable, "-m", "roomtone", "serve", "--data", str(data), "--port", "0"]
    process = subprocess.Popen(
        [*command, "--test-call-org", "bench"], stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    try:
        line = process.stderr.readline()
        while '"listening"' not in line:
            assert line, "the server did not start"
            line = process.stderr.readline()
        # From now on nobody reads the pipe but this: it must not fill.
        drain = subprocess.Popen(["cat"], stdin=process.stderr, stdout=subprocess.DEVNULL)
        yield line.split('"address":"')[1].split('"')[0]
        process.terminate()
        drain.wait()
    finally:
        process.kill()
        process.wait()


def main() -> None:
    """Print the cost."""
    parser = argparse.ArgumentParser(prog="python -m bench.collector_bench", description=__doc__)
    parser.add_argument("--seconds", type=int, default=12, help="length of each of three phases")
    parser.add_argument("--rounds", type=int, default=3, help="the median counts")
    options = parser.parse_args()
    percent = measure(seconds=options.seconds, rounds=options.rounds)
    print(f"collector in the page: {percent:.3f} % of one core")


if __name__ == "__main__":
    main()
