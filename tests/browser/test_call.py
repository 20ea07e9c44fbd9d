"""Real calls of 130 s on /call, one clean and one under an exact 5 % loss, side by side.

The two calls run in threads of their own from the moment the first test asks for one, because
each of them takes as long as it takes.
"""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Request, sync_playwright

from roomtone.model import STREAM_KINDS, epoch_ms
from tests.browser.conftest import CHROMIUM, MEDIA_FLAGS
from tests.conftest import Server, start_server

pytestmark = pytest.mark.browser

INTERVALS = 2
CALL_MS = 130_000
CALL_S_MAX = 240
ASK_EVERY_MS = 500
NAMESPACE = f"roomtone-{os.getpid()}"
HEIGHTS = {"videoIn": 360, "videoOut": 360, "shareIn": 720, "shareOut": 720}

# The page keeps its connections to itself; the test needs their SSRCs.
KEEP_CONNECTIONS = """
window.connections = [];
window.RTCPeerConnection = class extends RTCPeerConnection {
  constructor(...args) { super(...args); connections.push(this); }
};
"""
SENT_SSRCS = """async () => {
  const found = [];
  for (const connection of connections)
    for (const entry of (await connection.getStats()).values())
      if (entry.type === "outbound-rtp" && entry.packetsSent) found.push(entry.ssrc);
  return found;
}"""
ANSWER = """async () => {
  const curl = document.querySelector("#curl").textContent;
  const [, token, url] = /Bearer (\\S+)" "(\\S+)"/.exec(curl);
  const response = await fetch(url, { headers: { authorization: `Bearer ${token}` } });
  return (await response.json()).items ?? [];
}"""


@dataclass
class Outcome:
    """What the API answered after a call, and what the page's connection counted meanwhile."""

    items: list[dict[str, Any]]
    heights: dict[str, set[int]] = field(default_factory=dict)

    def streams(self, kind: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.items[0][kind]
        return found

    def column(self, kind: str, name: str) -> list[float]:
        """The full intervals: the last one may have ended with the call."""
        (stream,) = self.streams(kind)
        values: list[float] = stream[name][:INTERVALS]
        assert len(values) == INTERVALS
        return values


class Call:
    """One browser on one /call page, from the click on Call to the click on Hang up."""

    def __init__(self, page: Page, url: str, *, codec: str) -> None:
        self.page = page
        self.heights: dict[str, set[int]] = {}
        page.on("request", self._posted)
        page.add_init_script(KEEP_CONNECTIONS)
        page.goto(f"{url}/call?codec={codec}")

    def _posted(self, request: Request) -> None:
        if not request.url.endswith("/v1/webrtc/reports"):
            return
        for report in json.loads(request.post_data or "{}")["reports"]:
            for entry in report["stats"]:
                way = {"inbound-rtp": "In", "outbound-rtp": "Out"}.get(entry["type"])
                if way and entry["kind"] == "video" and entry.get("frameHeight"):
                    share = entry.get("contentType") == "screenshare"
                    kind = ("share" if share else "video") + way
                    self.heights.setdefault(kind, set()).add(entry["frameHeight"])

    def start(self) -> None:
        self.page.click("#start")
        self.page.wait_for_selector("#state[data-state=in-call]")

    def share(self) -> None:
        self.page.click("#share")
        self.page.wait_for_selector("#share[aria-pressed=true]")

    def until(self, script: str, arg: Any, done: Callable[[Any], bool]) -> Any:
        """Evaluate a script again and again, in the page's time, until its value is right."""
        limit_s = time.monotonic() + CALL_S_MAX
        while not done(value := self.page.evaluate(script, arg)):
            assert time.monotonic() < limit_s, f"not after {CALL_S_MAX} s; now {value}"
            self.page.wait_for_timeout(ASK_EVERY_MS)
        return value

    def sent_ssrcs(self, *, at_least: int) -> list[int]:
        """The SSRCs of everything that either end sends."""
        found: list[int] = self.until(SENT_SSRCS, None, lambda ssrcs: len(ssrcs) >= at_least)
        return found

    def finish(self) -> Outcome:
        """Hold the call until every stream has its intervals, hang up, and ask a last time."""
        self.until(ANSWER, None, has_every_interval)
        self.page.click("#hang-up")
        self.page.wait_for_selector("#state[data-state=ended]")
        items = self.until(ANSWER, None, lambda items: "leaveTime" in items[0])
        return Outcome(items, self.heights)


def has_every_interval(items: list[dict[str, Any]]) -> bool:
    return len(items) == 1 and all(
        any(lasted_ms(stream) >= CALL_MS for stream in items[0][kind]) for kind in STREAM_KINDS
    )


def lasted_ms(stream: dict[str, Any]) -> int:
    return epoch_ms(stream["endTime"]) - epoch_ms(stream["startTime"])


@contextmanager
def calling(server: Server, chromium: Path, *, codec: str) -> Iterator[Call]:
    """A browser of its own (and a driver of its own, for it runs in a thread)."""
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=MEDIA_FLAGS)
            yield Call(browser.new_page(), server.url, codec=codec)
            browser.close()
    finally:
        server.stop()


def clean_call(data: Path) -> Outcome:
    """A call over a road that loses nothing."""
    with calling(start_server(data, "--test-call-org", "test"), CHROMIUM, codec="vp8") as call:
        call.start()
        call.share()
        return call.finish()


def lossy_call(data: Path) -> Outcome:
    """A call in a namespace where every 20th packet of every stream is dropped on arrival."""
    within = ["ip", "netns", "exec", NAMESPACE]
    wrapper = data.with_suffix(".sh")
    wrapper.write_text(f'#!/bin/sh\nexec {" ".join(within)} {CHROMIUM} "$@"\n')
    wrapper.chmod(0o755)
    with namespace():
        server = start_server(data, "--test-call-org", "test", within=within)
        with calling(server, wrapper, codec="h264") as call:
            call.start()
            first = call.sent_ssrcs(at_least=4)
            drop_every_20th(first)
            call.share()
            drop_every_20th(sorted(set(call.sent_ssrcs(at_least=6)) - set(first)))
            return call.finish()


@contextmanager
def namespace() -> Iterator[None]:
    """A network namespace that has nothing but an IPv4 loopback."""
    run("ip", "netns", "add", NAMESPACE)
    try:
        no_ipv6 = "net.ipv6.conf.all.disable_ipv6=1"
        run("ip", "netns", "exec", NAMESPACE, "sysctl", "-qw", no_ipv6)
        run("ip", "-n", NAMESPACE, "link", "set", "dev", "lo", "up")
        yield
    finally:
        run("ip", "netns", "del", NAMESPACE)


def drop_every_20th(ssrcs: Sequence[int]) -> None:
    """A counter for each stream: RTP's SSRC stands 16 bytes behind the IP header."""
    for ssrc in ssrcs:
        match = ["-p", "udp", "-m", "u32", "--u32", f"0>>22&0x3C@16=0x{ssrc:08x}"]
        nth = ["-m", "statistic", "--mode", "nth", "--every", "20", "--packet", "0"]
        run(
            *["ip", "netns", "exec", NAMESPACE, "iptables", "-A", "INPUT"],
            *[*match, *nth, "-j", "DROP"],
        )


def run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"


def why_no_rig() -> str:
    missing = [tool for tool in ("ip", "iptables", "sysctl") if shutil.which(tool) is None]
    if os.geteuid() != 0:
        return "needs root for a network namespace"
    return f"needs {', '.join(missing)}" if missing else ""


@pytest.fixture(scope="module")
def calls(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[Outcome]]]:
    """Both calls, begun at once; the second only when a test that was chosen looks at it."""
    if not CHROMIUM.exists():
        pytest.skip("needs Debian's chromium package")
    folder = tmp_path_factory.mktemp("calls")
    chosen = [item for item in request.session.items if item.path == request.path]
    with ThreadPoolExecutor() as pool:
        begun = {"clean": pool.submit(clean_call, folder / "clean")}
        if not why_no_rig() and any(item.get_closest_marker("rig") for item in chosen):
            begun["lossy"] = pool.submit(lossy_call, folder / "lossy")
        yield begun


@pytest.fixture(scope="module")
def clean(calls: dict[str, Future[Outcome]]) -> Outcome:
    return calls["clean"].result()


@pytest.fixture(scope="module")
def lossy(calls: dict[str, Future[Outcome]]) -> Outcome:
    if why_no_rig():
        pytest.skip(why_no_rig())
    return calls["lossy"].result()


def sent_and_lost(call: Outcome) -> bool:
    """Whether a packet was lost on the way out: a machine that is very busy drops some."""
    kinds = ("audioOut", "videoOut", "shareOut")
    return any(percent != 0 for kind in kinds for percent in call.column(kind, "packetLoss"))


@pytest.mark.parametrize("kind", STREAM_KINDS)
def test_a_call_has_two_full_intervals_of_every_stream(clean: Outcome, kind: str) -> None:
    """Sent video has these too if nothing was lost, so that no padding is in doubt."""
    (stream,) = clean.streams(kind)
    assert stream["samplingInterval"] == 60
    assert stream["transportType"] == "UDP"
    losses, rates = clean.column(kind, "packetLoss"), clean.column(kind, "mediaBitRate")
    if kind in ("videoOut", "shareOut") and sent_and_lost(clean):
        losses, rates = ([x for x in column if x is not None] for column in (losses, rates))
    assert all(percent < 0.5 for percent in losses)
    assert all(rate > 5_000 for rate in rates)
    assert all(0 < ms < 1_000 for ms in clean.column(kind, "latency"))
    assert all(0 <= ms < 1_000 for ms in clean.column(kind, "jitter"))


@pytest.mark.parametrize("kind", STREAM_KINDS)
def test_a_call_names_its_codecs(clean: Outcome, kind: str) -> None:
    expected = "Opus" if kind.startswith("audio") else "VP8"
    assert {stream["codec"] for stream in clean.streams(kind)} == {expected}


@pytest.mark.parametrize("kind", HEIGHTS)
def test_a_call_has_the_heights_that_the_browser_counted(clean: Outcome, kind: str) -> None:
    counted = clean.heights[kind]
    assert max(counted) == HEIGHTS[kind]
    assert all(
        min(counted) <= height <= max(counted) for height in clean.column(kind, "resolutionHeight")
    )
    assert all(0 < rate <= 31 for rate in clean.column(kind, "frameRate"))


def test_a_call_says_who_was_in_it_from_when_to_when(clean: Outcome) -> None:
    (session,) = clean.items
    assert session["clientType"] == "Chromium"
    assert session["osType"] == "linux"
    assert session["camera"] == "fake_device_0"
    assert session["microphone"].startswith("Fake")
    assert 0 < float(session["joinMeetingTime"]) < 60
    assert epoch_ms(session["leaveTime"]) - epoch_ms(session["joinTime"]) >= CALL_MS


@pytest.mark.rig
@pytest.mark.parametrize("kind", ["audioIn", "videoIn", "shareIn"])
def test_under_5_percent_loss_the_answer_says_5_percent(lossy: Outcome, kind: str) -> None:
    losses = lossy.column(kind, "packetLoss")
    assert losses == pytest.approx([5.0] * INTERVALS, abs=0.5)


@pytest.mark.rig
def test_under_loss_the_sound_that_was_sent_lost_as_much(lossy: Outcome) -> None:
    losses = lossy.column("audioOut", "packetLoss")
    assert losses == pytest.approx([5.0] * INTERVALS, abs=0.5)


@pytest.mark.rig
@pytest.mark.parametrize("kind", ["videoOut", "shareOut"])
def test_under_loss_the_figures_of_sent_video_are_right_or_unknown(
    lossy: Outcome, kind: str
) -> None:
    """The page sends itself the same picture both ways: what it receives tells the bit rate."""
    (stream,) = lossy.streams(kind)
    losses = [loss for loss in stream["packetLoss"][:INTERVALS] if loss is not None]
    assert losses == pytest.approx([5.0] * len(losses), abs=1.0)
    received = lossy.column(kind.replace("Out", "In"), "mediaBitRate")
    for rate, true_rate in zip(stream["mediaBitRate"], received, strict=False):
        assert rate is None or rate == pytest.approx(true_rate, rel=0.1)
    assert all(0 < rate <= 31 for rate in lossy.column(kind, "frameRate"))


@pytest.mark.rig
@pytest.mark.parametrize("kind", HEIGHTS)
def test_the_codec_that_was_asked_for_is_named(lossy: Outcome, kind: str) -> None:
    assert {stream["codec"].partition(" ")[0] for stream in lossy.streams(kind)} == {"H.264"}
