"""A real Janus between two Chromiums: what its events give, against the relay's log.

alice talks to Janus over a road that loses 5 % each way; bob sits beside Janus on a clean link.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest
from playwright.async_api import Page, async_playwright

from roomtone.model import epoch_ms
from tests.browser.conftest import CHROMIUM
from tests.conftest import Server, run_apart, start_server
from tests.truth import wire
from tests.truth.calls import API_PORT, CAMERA, CHROMIUM_FLAGS, PAGE_PORT, api, until
from tests.truth.compare import Row
from tests.truth.ledger import Ledger
from tests.truth.rig import SIDES, Rig, Side, Way, listening, rig, why_none
from tests.truth.sfu import JANUS, ROOM, janus

pytestmark = [
    pytest.mark.browser,
    pytest.mark.rig,
    pytest.mark.timeout(180),
    pytest.mark.xdist_group("truth"),
]

HERE: Final = Path(__file__).parent
RUN: Final = "janus"
NAMES: Final[dict[Side, str]] = {"a": "alice", "b": "bob"}
CONNECTIONS: Final[dict[Side, int]] = {"a": 3, "b": 3}
"""alice publishes two and watches bob's; bob publishes one and watches both of alice's."""
ROAD: Final = Way(loss=5, delay_ms=80, jitter_ms=20)
MEETING: Final = "rig-{room}"
INTERVAL_S: Final = 60
CALL_S: Final = 70
LOSS_LIMIT: Final = 0.5
EDGE_PACKETS: Final = 2
"""Janus counts once a second, and a picture is a burst: so many fall on either side of an edge."""
OUT: Final = {
    "audioOut": ("camera", "outbound-rtp", "audio"),
    "videoOut": ("camera", "outbound-rtp", "video"),
    "shareOut": ("share", "outbound-rtp", "video"),
}
IN: Final = {
    "audioIn": ("from bob", "inbound-rtp", "audio"),
    "videoIn": ("from bob", "inbound-rtp", "video"),
}


@dataclass(frozen=True)
class Outcome:
    """What the API says of each participant, alice's SSRCs, and what was on the road."""

    sessions: dict[str, dict[str, Any]]
    ssrcs: dict[tuple[str, str, str], int]
    wire: wire.Wire
    metrics: str


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory, ledger: Ledger) -> Outcome:
    missing = [path.name for path in (CHROMIUM, JANUS) if not path.exists()]
    if why := why_none() or (f"needs Debian's {', '.join(missing)}" if missing else ""):
        pytest.skip(why)
    folder = tmp_path_factory.mktemp("janus")
    with rig(folder) as there:
        server = start_server(folder / "data", "--interval-s", str(INTERVAL_S))
        try:
            sessions, ssrcs, metrics = run_apart(call(there, server))
        finally:
            server.stop()
    ledger.runs[RUN] = {
        "browsers": ["Chromium", "Chromium"],
        "interval_s": INTERVAL_S,
        "sample_every_s": 1,
        "roads": [{"after_s": 0, "ways": [vars(ROAD), vars(ROAD)]}],
    }
    return Outcome(sessions, ssrcs, wire.read(there.road.log), metrics)


async def call(
    there: Rig, server: Server
) -> tuple[dict[str, dict[str, Any]], dict[tuple[str, str, str], int], str]:
    token = server.token("telemetry:write", "analytics:read_all")
    backend = f"http://127.0.0.1:{API_PORT}/v1/janus/events?token={token}&meetingId={MEETING}"
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(listening(there, "b", API_PORT, api(server)))
        for side in SIDES:
            await stack.enter_async_context(listening(there, side, PAGE_PORT, give_page))
        async with beside(there, backend) as url:
            there.road.become(ROAD, ROAD)
            ssrcs = await talk(there, url)
        headers = {"Authorization": f"Bearer {token}"}
        params = {"meetingId": MEETING.replace("{room}", str(ROOM))}
        async with httpx2.AsyncClient(base_url=server.url, headers=headers) as client:
            answer = await client.get("/v1/meeting/qualities", params=params)
            assert answer.status_code == 200, answer.text
            metrics = (await client.get("/metrics")).text
    return {item["participantId"]: item for item in answer.json()["items"]}, ssrcs, metrics


@contextlib.asynccontextmanager
async def beside(there: Rig, backend: str) -> AsyncIterator[str]:
    """Janus beside bob. It starts and ends in a thread: this one has to answer its events."""
    server = janus(there, "b", backend)
    url = await asyncio.to_thread(server.__enter__)
    try:
        yield url
    finally:
        await asyncio.to_thread(server.__exit__, None, None, None)


async def talk(there: Rig, url: str) -> dict[tuple[str, str, str], int]:
    """A call of two; alice's SSRCs by connection, direction and kind."""
    async with async_playwright() as playwright:
        pages: dict[Side, Page] = {}
        for side in SIDES:
            browser = await playwright.chromium.launch(
                executable_path=there.program(side, CHROMIUM), args=CHROMIUM_FLAGS
            )
            pages[side] = await browser.new_page(viewport={"width": 1280, "height": 720})
            await pages[side].goto(f"http://127.0.0.1:{PAGE_PORT}/janus.html")
            await until(pages[side], "window.person")
        for side, page in pages.items():
            options = {"url": url, "room": ROOM, "name": NAMES[side], "camera": CAMERA}
            await page.evaluate("(o) => person.enter(o)", options | {"share": side == "a"})
        for side, page in pages.items():
            await until(page, f"person.connected({CONNECTIONS[side]})")
        await asyncio.to_thread(there.let_go_first)
        await asyncio.sleep(CALL_S)
        streams = await pages["a"].evaluate("() => person.streams()")
        for page in pages.values():
            await page.evaluate("() => person.leave()")
    return {(one["connection"], one["type"], one["kind"]): one["ssrc"] for one in streams}


async def give_page(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """janus.html and janus.js, one a connection."""
    name = (await reader.readuntil(b"\r\n\r\n")).decode().split(" ")[1].removeprefix("/")
    kinds = {"janus.html": "text/html; charset=utf-8", "janus.js": "text/javascript"}
    body = (HERE / name).read_bytes() if name in kinds else b""
    head = f"HTTP/1.1 {'200 OK' if name in kinds else '404 Not Found'}\r\nConnection: close\r\n"
    head += f"Content-Type: {kinds.get(name, 'text/plain')}\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    await writer.drain()
    writer.close()


def first_full_interval(session: dict[str, Any], kind: str) -> tuple[dict[str, Any], wire.Span]:
    """The entry of a kind and the time of its first interval, which the call covers."""
    (stream,) = session[kind]
    assert stream["samplingInterval"] == INTERVAL_S
    start_s = epoch_ms(stream["startTime"]) / 1000
    assert epoch_ms(stream["endTime"]) / 1000 - start_s >= INTERVAL_S
    return stream, (start_s, start_s + INTERVAL_S)


def loss_row(
    name: str, kind: str, injected: float, lost: float, stream: dict[str, Any], limit: float
) -> Row:
    reported = stream["packetLoss"][0]
    return Row(RUN, f"{name} {kind}", 0, "packetLoss", injected, lost, reported, limit)


@pytest.mark.parametrize("kind", [*OUT, *IN])
def test_the_loss_of_a_lossy_road_is_the_wires_within_half_a_point(
    outcome: Outcome, kind: str, ledger: Ledger
) -> None:
    stream, span = first_full_interval(outcome.sessions["alice"], kind)
    lost, packets = outcome.wire.loss(outcome.ssrcs[(OUT | IN)[kind]], span)
    assert packets > 100
    assert lost > 1
    limit = max(LOSS_LIMIT, 100 * EDGE_PACKETS / packets)
    ledger.check([loss_row("alice", kind, ROAD.loss, lost, stream, limit)])


@pytest.mark.parametrize("kind", ["audioIn", "videoIn", "shareIn", "audioOut", "videoOut"])
def test_who_is_on_a_clean_link_shows_no_loss_of_somebody_elses(
    outcome: Outcome, kind: str, ledger: Ledger
) -> None:
    stream, _ = first_full_interval(outcome.sessions["bob"], kind)
    ledger.check([loss_row("bob", kind, 0, 0, stream, LOSS_LIMIT)])


@pytest.mark.parametrize("kind", IN)
def test_the_round_trip_is_the_roads(outcome: Outcome, kind: str) -> None:
    stream, span = first_full_interval(outcome.sessions["alice"], kind)
    assert stream["latency"][0] == pytest.approx(outcome.wire.round_trip_ms(span), abs=25)


@pytest.mark.parametrize("kind", ["audioOut", "videoOut", "shareOut", "videoIn"])
def test_the_bit_rate_is_the_medias_but_for_header_extensions(outcome: Outcome, kind: str) -> None:
    stream, span = first_full_interval(outcome.sessions["alice"], kind)
    ssrc = outcome.ssrcs[(OUT | IN)[kind]]
    packets = len([one for one in outcome.wire.streams[ssrc] if span[0] <= one.in_s < span[1]])
    extensions = 8 * 8 * packets / INTERVAL_S
    sent = outcome.wire.sent_bit_rate(ssrc, span)
    assert 0.93 * sent <= stream["mediaBitRate"][0] <= 1.05 * (sent + 1.5 * extensions)


def test_each_participant_is_one_session_with_all_its_handles(outcome: Outcome) -> None:
    alice, bob = outcome.sessions["alice"], outcome.sessions["bob"]
    kinds = {name for name in alice if name.endswith(("In", "Out")) and alice[name]}
    assert kinds == {*OUT, *IN}
    assert {name for name in bob if name.endswith(("In", "Out")) and bob[name]} == {
        "audioIn", "videoIn", "shareIn", "audioOut", "videoOut"
    }  # fmt: skip
    for name, session in outcome.sessions.items():
        assert session["webexUserName"] == name
        assert session["leaveTime"] > session["joinTime"]
        assert float(session["joinMeetingTime"]) > 0
        labels = {entry["codec"] for kind in (*OUT, *IN) for entry in session[kind]}
        assert labels == {"Opus", "VP8"}
        ways = {entry["transportType"] for kind in (*OUT, *IN) for entry in session[kind]}
        assert ways == {"UDP"}
    assert alice["localIP"] == "10.77.0.1"


def test_every_event_was_understood(outcome: Outcome) -> None:
    told = [line for line in outcome.metrics.splitlines() if "roomtone_janus_events_total{" in line]
    counts = {line.split('"')[1]: float(line.split()[-1]) for line in told}
    assert counts["used"] > 300
    assert counts.get("bad") == counts.get("refused") == 0
    assert counts.get("unplaced", 0) == 0
