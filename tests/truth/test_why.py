"""Real calls with one known trouble each: what the API says of the cause. docs/truth.md has them.

They go on beside each other, for a cause is not a matter of milliseconds. The one in which the
computer has too much to do comes later, for it would be a trouble of the others, too; only the
long way does not mind.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final

import pytest

from tests.browser.conftest import CHROMIUM
from tests.truth.ledger import Ledger
from tests.truth.rig import why_none
from tests.truth.sfu import JANUS
from tests.truth.troubles import CALLS, HARD, PATIENT, ROOMS, quality
from tests.truth.turn import TURNSERVER

pytestmark = [
    pytest.mark.browser,
    pytest.mark.rig,
    pytest.mark.timeout(600),
]

Quality = dict[str, Any]
EXPECTED: Final[dict[str, tuple[list[tuple[str, str]], list[str]]]] = {
    "no trouble": ([], []),
    "loss up": ([("uplink", "up")], ["alice"]),
    "loss down": ([("downlink", "down")], ["alice"]),
    "TCP": ([("path", "both")], ["a", "b"]),
    "CPU": ([("cpu", "")], ["b"]),
    "delay": ([("path", "both")], ["a", "b"]),
}
"""Family and direction of each finding, and who may be called its owner."""


@pytest.fixture(scope="module")
def quality_of(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[[str], Quality]]:
    """Verdict and findings of a call; all of them are begun when the first is asked for."""
    paths = (CHROMIUM, JANUS, TURNSERVER)
    missing = [path.name for path in paths if not path.exists()]
    if why := why_none() or (f"needs Debian's {', '.join(missing)}" if missing else ""):
        pytest.skip(why)
    folder = tmp_path_factory.mktemp("why")
    beside = [name for name in (*ROOMS, *CALLS) if name not in HARD]
    with ThreadPoolExecutor(len(beside)) as pool:
        begun: dict[str, Future[Quality]] = {
            name: pool.submit(quality, name, folder / str(number))
            for number, name in enumerate(beside)
        }

        def found(name: str) -> Quality:
            if name in HARD and name not in begun:
                for other in begun.keys() - PATIENT:
                    begun[other].exception()
                begun[name] = pool.submit(quality, name, folder / name)
            return begun[name].result()

        yield found


@pytest.mark.parametrize("call", EXPECTED)
def test_the_cause_that_is_told_is_the_one_that_was_made(
    call: str, quality_of: Callable[[str], Quality], ledger: Ledger
) -> None:
    told = quality_of(call)
    expected, owners = EXPECTED[call]
    findings = told["findings"]
    ledger.cause(call, told)
    if call in HARD:  # some of what it does may be left unexplained, but not be told as another
        findings = [one for one in findings if one["family"] != "unknown"]
        if not findings:
            pytest.xfail("how much a limit of CPU hurts is the machine's; no cause was told")
    assert [(one["family"], one["direction"]) for one in findings] == expected, findings
    assert all(one["owner"] in owners for one in findings), findings


def test_a_call_without_trouble_is_poor_for_nobody(
    quality_of: Callable[[str], Quality],
) -> None:
    """Four calls at once are hard on the machine: their jitter is real, and may be fair."""
    told = quality_of("no trouble")
    verdicts = {one["participantId"]: one["verdict"] for one in told["sessions"]}
    assert verdicts.keys() == {"alice", "bob"}
    assert set(verdicts.values()) <= {"good", "fair"}, told


@pytest.mark.parametrize("call", ["loss up", "loss down"])
def test_loss_makes_it_poor_for_who_has_it_and_not_for_the_other(
    call: str, quality_of: Callable[[str], Quality]
) -> None:
    verdicts = {one["participantId"]: one["verdict"] for one in quality_of(call)["sessions"]}
    assert verdicts["alice"] == "poor"
    assert verdicts["bob"] != "poor"
