"""Real calls over a road that loses and delays: the API's figures against the relay's log.

Limits are those of tests/truth/compare.py; what was found is written to docs/truth.md.
"""

import pytest

from roomtone.model import Column
from tests.truth.calls import Outcome
from tests.truth.compare import Row, Told
from tests.truth.ledger import Ledger
from tests.truth.rig import SIDES, Side
from tests.truth.runs import MEASURED

pytestmark = [
    pytest.mark.browser,
    pytest.mark.rig,
    pytest.mark.timeout(900),
]

RECEIVED = ("audioIn", "videoIn", "shareIn")
SENT = ("audioOut", "videoOut", "shareOut")
PICTURES = ("videoIn", "shareIn", "videoOut", "shareOut")


def rows(run: str, outcome: Outcome, side: Side, kind: str, column: Column) -> list[Row]:
    return Told(run, outcome, side, kind).rows(column)


runs = pytest.mark.parametrize("run", MEASURED)
sides = pytest.mark.parametrize("side", SIDES)


@pytest.mark.parametrize("kind", RECEIVED + SENT)
@sides
@pytest.mark.parametrize("run", ["both ways"])
def test_the_call_has_two_full_minutes_of_every_stream(
    run: str, outcome: Outcome, side: Side, kind: str
) -> None:
    (stream,) = outcome.streams(side, kind)
    assert stream["samplingInterval"] == 60
    assert stream["transportType"] == "UDP"
    assert len(list(Told(run, outcome, side, kind).intervals())) >= 2
    if kind in PICTURES:
        assert stream["resolutionHeight"][1] == (720 if kind.startswith("share") else 360)


@pytest.mark.parametrize("kind", RECEIVED)
@sides
@runs
def test_loss_of_what_is_received_is_the_wires_within_half_a_point(
    run: str, outcome: Outcome, side: Side, kind: str, ledger: Ledger
) -> None:
    ledger.check(rows(run, outcome, side, kind, "packetLoss"))


@pytest.mark.parametrize("kind", SENT)
@sides
@runs
def test_loss_of_what_is_sent_is_the_wires_within_half_a_point(
    run: str, outcome: Outcome, side: Side, kind: str, ledger: Ledger
) -> None:
    ledger.check(rows(run, outcome, side, kind, "packetLoss"))


@pytest.mark.parametrize("kind", RECEIVED + SENT)
@sides
@runs
def test_latency_is_the_roads_within_10_ms(
    run: str, outcome: Outcome, side: Side, kind: str, ledger: Ledger
) -> None:
    ledger.check(rows(run, outcome, side, kind, "latency"))


@pytest.mark.parametrize("kind", RECEIVED + SENT)
@sides
@runs
def test_jitter_is_that_of_packets_in_order_within_1_5_ms(
    run: str, outcome: Outcome, side: Side, kind: str, ledger: Ledger
) -> None:
    ledger.check(rows(run, outcome, side, kind, "jitter"))


@pytest.mark.parametrize("kind", RECEIVED)
@sides
@runs
def test_bit_rate_of_what_is_received_is_net_media_on_the_wire_within_5_percent(
    run: str, outcome: Outcome, side: Side, kind: str, ledger: Ledger
) -> None:
    ledger.check(rows(run, outcome, side, kind, "mediaBitRate"))


@pytest.mark.parametrize("kind", SENT)
@sides
@runs
def test_bit_rate_of_what_is_sent_is_net_media_on_the_wire_within_5_percent(
    run: str, outcome: Outcome, side: Side, kind: str, ledger: Ledger
) -> None:
    ledger.check(rows(run, outcome, side, kind, "mediaBitRate"))


@pytest.mark.parametrize("column", ["resolutionHeight", "frameRate"])
@pytest.mark.parametrize("kind", PICTURES)
@sides
@runs
def test_pictures_are_as_they_were_sent(
    run: str, outcome: Outcome, side: Side, kind: str, column: Column, ledger: Ledger
) -> None:
    ledger.check(rows(run, outcome, side, kind, column))
