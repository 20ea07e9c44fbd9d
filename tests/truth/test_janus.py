"""A real Janus between two Chromiums: what its events give, against the relay's log.

alice talks to Janus over a road that loses 5 % each way; bob sits beside Janus on a clean link.
"""

from dataclasses import dataclass
from itertools import product
from typing import Any, Final

import pytest

from roomtone.model import epoch_ms
from tests.browser.conftest import CHROMIUM
from tests.conftest import run_apart, start_server
from tests.truth import wire
from tests.truth.compare import Row
from tests.truth.ledger import Ledger
from tests.truth.rig import Way, rig, why_none
from tests.truth.room import Room, meet
from tests.truth.sfu import JANUS

pytestmark = [
    pytest.mark.browser,
    pytest.mark.rig,
    pytest.mark.timeout(180),
]

RUN: Final = "janus"
ROAD: Final = Way(loss=5, delay_ms=80, jitter_ms=20)
INTERVAL_S: Final = 60
CALL_S: Final = 70
LOSS_LIMIT: Final = 0.5
EDGE_PACKETS: Final = 2
"""A picture is a burst: so many packets fall on either side of an edge."""
EDGE_S: Final = (-1, 0, 1)
"""Janus counts once a second, and a receiver tells it no more often: an edge may lie so far off."""
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
            told = run_apart(meet(Room(road=(ROAD, ROAD), lasting_s=CALL_S), there, server))
        finally:
            server.stop()
    ledger.runs[RUN] = {
        "browsers": ["Chromium", "Chromium"],
        "interval_s": INTERVAL_S,
        "sample_every_s": 1,
        "roads": [{"after_s": 0, "ways": [vars(ROAD), vars(ROAD)]}],
    }
    return Outcome(told.sessions, told.ssrcs, wire.read(there.road.log), told.metrics)


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
    ssrc, reported = outcome.ssrcs[(OUT | IN)[kind]], stream["packetLoss"][0]
    spans = [(span[0] + low, span[1] + high) for low, high in product(EDGE_S, EDGE_S)]
    losses = [outcome.wire.loss(ssrc, one) for one in spans]
    lost, packets = min(losses, key=lambda one: abs(one[0] - reported))
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
