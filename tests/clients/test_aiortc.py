"""`roomtone.aiortc`: real peers over a road whose losses are known, and servers that are away."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from statistics import fmean
from typing import Any

import httpx2
import pytest

from roomtone import aiortc as watching
from roomtone.aiortc import Watcher, watch
from roomtone.client import Client
from roomtone.model import MediaSession, Stream
from tests.clients.aiortc_pair import Pair, pair, ssrc_of
from tests.conftest import run_apart, start_server

DELAY_S = 0.04
CALL_S = 17.0
INTERVAL_S = 5
LOSS = 5.0
URL = "http://roomtone.test"


def whole(stream: Stream, column: str) -> list[float]:
    """Known values of intervals that lie within the call: neither the first nor the last."""
    values: list[float | None] = getattr(stream, column)
    return [value for value in values[1:-1] if value is not None]


async def call(url: str, token: str) -> Pair:
    """A call in which both watch themselves, until it has lasted long enough."""

    def watched(pc: Any, name: str) -> Watcher:
        return watch(
            pc,
            url=url,
            token=token,
            meeting_id="m1",
            participant={"id": name, "name": name},
            sample_every_s=1.0,
            post_every_s=4.0,
        )

    async with pair(delay_s=DELAY_S) as peers, watched(peers.a, "a"), watched(peers.b, "b"):
        await asyncio.sleep(CALL_S)
    return peers


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[Pair, dict[str, MediaSession]]:
    """What happened on the road, and what the API says of it."""
    data: Path = tmp_path_factory.mktemp("aiortc") / "data"
    server = start_server(data, "--interval-s", str(INTERVAL_S))
    try:
        token = server.token()
        peers = run_apart(call(server.url, token))
        with Client(server.url, token=token) as client:
            sessions = {one.participantId: one for one in client.sessions("m1")}
    finally:
        server.stop()
    return peers, sessions


def test_the_road_lost_what_it_should(told: tuple[Pair, dict[str, MediaSession]]) -> None:
    peers, _ = told
    road = peers.roads["a"]
    for kind in ("audio", "video"):
        assert road.percent(ssrc_of(peers.a, kind)) == pytest.approx(LOSS, abs=0.3)
    assert sum(road.others.values()) > 10, "video was retransmitted on an SSRC of its own"
    assert not any(peers.roads["b"].dropped.values())


@pytest.mark.parametrize("kind", ["audio", "video"])
def test_loss_is_what_was_dropped_at_both_ends(
    told: tuple[Pair, dict[str, MediaSession]], kind: str
) -> None:
    _, sessions = told
    incoming: Stream = getattr(sessions["b"], f"{kind}In")[0]
    outgoing: Stream = getattr(sessions["a"], f"{kind}Out")[0]
    for stream, tolerance in ((incoming, 0.5), (outgoing, 1.0)):
        losses = whole(stream, "packetLoss")
        assert losses
        assert fmean(losses) == pytest.approx(LOSS, abs=tolerance)


@pytest.mark.parametrize("kind", ["audio", "video"])
def test_the_way_back_is_clean(told: tuple[Pair, dict[str, MediaSession]], kind: str) -> None:
    _, sessions = told
    assert set(whole(getattr(sessions["a"], f"{kind}In")[0], "packetLoss")) == {0}
    assert set(whole(getattr(sessions["b"], f"{kind}Out")[0], "packetLoss")) == {0}


def test_latency_is_the_round_trip(told: tuple[Pair, dict[str, MediaSession]]) -> None:
    peers, sessions = told
    late_ms = 1000 * sum(road.late_s for road in peers.roads.values())
    for stream in (sessions["a"].audioOut[0], sessions["b"].videoOut[0]):
        latencies = whole(stream, "latency")
        assert latencies
        # aiortc's own value is smoothed over some ten reports: one that was late is in all of them.
        for latency in latencies:
            assert 2000 * DELAY_S - 1 < latency < 2000 * DELAY_S + 10 + 2 * late_ms


def test_jitter_is_in_ms_not_in_units_of_the_clock(
    told: tuple[Pair, dict[str, MediaSession]],
) -> None:
    peers, sessions = told
    jitters = whole(sessions["b"].audioIn[0], "jitter")
    assert jitters
    assert fmean(jitters) == pytest.approx(fmean(peers.arrivals.values), abs=1.5)


def test_what_aiortc_does_not_say_is_unknown(told: tuple[Pair, dict[str, MediaSession]]) -> None:
    _, sessions = told
    one = sessions["a"]
    assert one.audioIn[0].codec == one.audioOut[0].codec == "Opus"
    assert one.videoOut[0].codec == "VP8"
    assert one.videoIn[0].codec == ""  # VP8 and H.264 were negotiated: not certain
    for kind in ("audioIn", "audioOut", "videoIn", "videoOut"):
        assert getattr(one, kind)[0].transportType == "UDP"
    for stream in (one.videoIn[0], one.videoOut[0]):
        assert not any(value is not None for value in stream.resolutionHeight)
        assert not any(value is not None for value in stream.frameRate)
    assert not any(value is not None for value in one.audioIn[0].mediaBitRate)
    assert all(value > 0 for value in whole(one.audioOut[0], "mediaBitRate"))


def test_a_session_says_who_when_and_what(told: tuple[Pair, dict[str, MediaSession]]) -> None:
    _, sessions = told
    assert set(sessions) == {"a", "b"}
    one = sessions["a"]
    assert (one.webexUserName, one.clientType, one.osType) == ("a", "aiortc", "linux")
    assert one.leaveTime
    assert len(one.audioIn) == len(one.videoIn) == 1


# -- a server that does not do what it should


class Site:
    """A server that answers as it is told; the bodies that it took."""

    def __init__(self, *answers: httpx2.Response | type[Exception]) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.tokens: list[str] = []
        self._answers = list(answers)
        self.transport = httpx2.MockTransport(self._take)

    def _take(self, request: httpx2.Request) -> httpx2.Response:
        self.tokens.append(request.headers["Authorization"])
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if not isinstance(answer, httpx2.Response):
            raise answer("no route")
        if answer.is_success:
            self.bodies.append(json.loads(request.content))
        return answer


def run(site: Site, until: Callable[[Watcher], bool], **options: Any) -> tuple[Watcher, list[str]]:
    """Watch one peer of an audio call until a state is reached, then stop."""
    said: list[str] = []

    async def one() -> Watcher:
        async with pair(delay_s=0.0, video=False) as peers:
            given: dict[str, Any] = {
                "token": "t",
                "sample_every_s": 0.05,
                "post_every_s": 0.1,
                "on_problem": said.append,
            } | options
            watcher = watch(
                peers.b,
                url=URL,
                meeting_id="m1",
                transport=site.transport,
                **given,
            )
            async with asyncio.timeout(20):
                while not until(watcher):  # noqa: ASYNC110 a state, not an event
                    await asyncio.sleep(0.02)
            await watcher.stop(timeout_s=0.5)
        return watcher

    return run_apart(one()), said


def test_a_refusal_ends_it_and_is_said_once() -> None:
    site = Site(httpx2.Response(403, json={"message": "no scope"}))
    watcher, said = run(site, lambda watcher: watcher._dead)
    assert len(said) == 1
    assert "no scope" in said[0]
    assert "no more telemetry" in said[0]
    assert watcher.buffered == 0


def test_a_server_that_comes_back_gets_every_report(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching.watcher, "RETRY_S", 0.05)
    busy = httpx2.Response(503, headers={"Retry-After": "0"})
    site = Site(httpx2.ConnectError, busy, httpx2.Response(204))
    watcher, _ = run(site, lambda _: len(site.bodies) > 2)
    times = [report["timestamp"] for body in site.bodies for report in body["reports"]]
    assert times == sorted(times)
    assert watcher.dropped == 0
    assert "leaveTime" in site.bodies[-1]["session"]
    assert {body["participantSessionId"] for body in site.bodies} == {watcher.session_id}


def test_a_buffer_that_is_full_loses_the_oldest_and_counts_them() -> None:
    site = Site(httpx2.Response(503, headers={"Retry-After": "600"}))
    watcher, said = run(site, lambda watcher: watcher.dropped > 2, buffer_bytes_max=6_000)
    assert 0 < watcher.buffered <= 6_000
    assert said[0].endswith("it is tried again")


def test_a_token_is_asked_for_again_after_a_401() -> None:
    site = Site(httpx2.Response(401), httpx2.Response(204))
    tokens = iter(["old", "new"])

    async def give() -> str:
        return next(tokens)

    run(site, lambda _: bool(site.bodies), token=give)
    assert site.tokens[:2] == ["Bearer old", "Bearer new"]


def test_what_the_host_s_own_functions_raise_does_not_reach_it() -> None:
    def fails(*_: object) -> str:
        raise KeyError("the host's own fault")

    site = Site(httpx2.Response(204))
    watcher, _ = run(site, lambda watcher: watcher._dead, token=fails, on_problem=fails)
    assert not site.bodies
    assert watcher.buffered == 0


def test_statistics_that_fail_are_said_and_do_not_end_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object, **__: object) -> list[dict[str, Any]]:
        raise AttributeError("another aiortc")

    monkeypatch.setattr(watching.watcher, "report_of", broken)
    site = Site(httpx2.Response(204))
    _, said = run(site, lambda _: len(site.bodies) > 1)
    assert any("another aiortc" in text for text in said)


def test_a_connection_that_its_host_closes_ends_the_watch() -> None:
    site = Site(httpx2.Response(204))

    async def one() -> None:
        async with pair(delay_s=0.0, video=False) as peers:
            watcher = watch(peers.b, url=URL, token="t", meeting_id="m1", transport=site.transport)
            await peers.b.close()
            async with asyncio.timeout(20):
                await asyncio.wait([watcher._task])

    run_apart(one())
    assert "leaveTime" in site.bodies[-1]["session"]


async def has_both(peers: Pair) -> bool:
    found = await watching.report_of(peers.b)
    return [entry["type"] for entry in found].count("inbound-rtp") == 2


def test_without_private_attributes_retransmissions_are_not_taken_for_media() -> None:
    async def one() -> list[dict[str, Any]]:
        async with pair(delay_s=0.0) as peers:
            async with asyncio.timeout(20):
                while not await has_both(peers):  # noqa: ASYNC110 a state, not an event
                    await asyncio.sleep(0.05)
            for receiver in peers.b.getReceivers():
                receiver._RTCRtpReceiver__rtx_ssrc = None  # type: ignore[attr-defined]
            return await watching.report_of(peers.b)

    found = [entry for entry in run_apart(one()) if entry["type"] == "inbound-rtp"]
    assert [entry["kind"] for entry in found] == ["audio"]
