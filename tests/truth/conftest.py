"""The calls, in two lanes, of which the tests that were chosen need the outcome."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from tests.browser.conftest import CHROMIUM
from tests.truth.calls import Outcome, run_call
from tests.truth.firefox import FIREFOX
from tests.truth.ledger import Ledger
from tests.truth.rig import why_none
from tests.truth.runs import MEASURED, RUNS
from tests.truth.turn import TURNSERVER


@pytest.fixture(scope="session")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    kept = Ledger()
    yield kept
    kept.write(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="session")
def outcome_of(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, ledger: Ledger
) -> Iterator[Callable[[str], Outcome]]:
    """The outcome of a run; the first test that asks for one starts all that are needed."""
    folder = tmp_path_factory.mktemp("truth")
    chosen = {
        item.callspec.params.get("run")
        for item in request.session.items
        if isinstance(item, pytest.Function) and hasattr(item, "callspec")
    }
    # One of which every figure is measured, and one that shows something else beside it: two of the
    # former at once, and what they wait for the machine adds to what the road does.
    with ThreadPoolExecutor(1) as measured, ThreadPoolExecutor(1) as others:
        begun: dict[str, Future[Outcome]] = {}
        for number, (name, (plan, script)) in enumerate(RUNS.items()):
            if name in chosen and not why_not(name):
                lane = measured if name in MEASURED else others
                begun[name] = lane.submit(run_call, plan, script, folder / str(number))

        def outcome(run: str) -> Outcome:
            if why_not(run):
                pytest.skip(why_not(run))
            found = begun[run].result()
            ledger.note(run, found)
            return found

        yield outcome


@pytest.fixture
def outcome(run: str, outcome_of: Callable[[str], Outcome]) -> Outcome:
    """The outcome of the test's parameter `run`."""
    return outcome_of(run)


def why_not(run: str) -> str:
    """Why a run cannot be done here; "" if it can."""
    plan = RUNS[run][0]
    needed = {CHROMIUM: "chromium"}
    if "firefox" in plan.browsers:
        needed[FIREFOX] = "firefox-esr"
    if run == "turn":
        needed[TURNSERVER] = "coturn"
    missing = [package for path, package in needed.items() if not path.exists()]
    return why_none() or (f"needs Debian's {', '.join(missing)}" if missing else "")
