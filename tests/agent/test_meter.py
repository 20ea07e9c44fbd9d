"""CPU of the system and of a client with its children, in percent of the whole computer."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pytest

from roomtone.agent import Meter


class System(NamedTuple):
    user: float = 0.0
    system: float = 0.0
    idle: float = 0.0
    iowait: float = 0.0
    guest: float = 0.0


class Times(NamedTuple):
    user: float
    system: float


class Ended(Exception):
    pass


@dataclass
class Process:
    pid: int
    title: str
    s: float = 0.0
    below: list["Process"] = field(default_factory=list)
    ended: bool = False

    def name(self) -> str:
        return self.title

    def cpu_times(self) -> Times:
        if self.ended:
            raise Ended
        return Times(self.s / 2, self.s / 2)

    def children(self, *, recursive: bool) -> list["Process"]:
        assert recursive
        return self.below


@dataclass
class Computer:
    """A computer of four CPUs whose time a test moves."""

    processes: list[Process] = field(default_factory=list)
    now: float = 0.0
    system: System = field(default_factory=System)
    Error: type[Exception] = Ended

    def cpu_times(self) -> System:
        return self.system

    def cpu_count(self) -> int:
        return 4

    def process_iter(self) -> list[Process]:
        return self.processes

    def meter(self, process: str = "") -> Meter:
        return Meter(process, ps=self, monotonic=lambda: self.now)

    def work(self, process: Process, s: float) -> None:
        process.s += s


def test_the_system_is_busy_for_what_is_not_idle() -> None:
    computer = Computer()
    meter = computer.meter()
    computer.now = 1.0
    computer.system = System(user=1.0, system=0.5, idle=2.0, iowait=0.5, guest=0.25)
    reading = meter.read()
    assert reading.elapsed_s == 1.0
    assert reading.system == pytest.approx(100 * 1.5 / 4)
    assert reading.process is None


@pytest.mark.parametrize("wanted", ["chrome", "Chrome.EXE", "7"])
def test_a_client_counts_with_its_children(wanted: str) -> None:
    child = Process(8, "renderer")
    chrome = Process(7, "chrome", s=100.0, below=[child])
    computer = Computer([Process(1, "init", s=9.0), chrome])
    meter = computer.meter(wanted)
    computer.now = 1.0
    computer.work(chrome, 0.4)
    computer.work(child, 0.4)
    assert meter.read().process == pytest.approx(20.0)


def test_a_client_that_is_not_there_is_unknown_not_idle() -> None:
    computer = Computer([Process(1, "init")])
    meter = computer.meter("chrome")
    computer.now = 1.0
    assert meter.read().process is None
    late = Process(9, "chrome", s=50.0)
    computer.processes.append(late)
    computer.now = 2.0
    assert meter.read().process is None  # found now: what it did before is not of this second
    computer.now = 3.0
    computer.work(late, 1.0)
    assert meter.read().process == pytest.approx(25.0)


def test_a_client_that_ends_becomes_unknown() -> None:
    chrome = Process(7, "chrome")
    computer = Computer([chrome])
    meter = computer.meter("chrome")
    chrome.ended = True
    computer.now = 1.0
    meter.read()
    computer.now = 2.0
    assert meter.read().process is None


def test_clocks_that_tick_in_steps_give_no_more_than_all() -> None:
    chrome = Process(7, "chrome")
    computer = Computer([chrome])
    meter = computer.meter("chrome")
    computer.now = 0.01
    computer.work(chrome, 0.05)
    assert meter.read().process == 100.0


def test_without_time_there_is_no_share() -> None:
    computer = Computer()
    reading = computer.meter().read()
    assert (reading.process, reading.system) == (None, None)


def test_this_computer_can_be_read() -> None:
    import os

    meter = Meter(str(os.getpid()))
    spun = 0
    reading: Any = None
    while reading is None or not reading.process:  # until a tick of its clock has been used up
        spun += sum(range(100_000))
        reading = meter.read()
    assert 0 < reading.process <= 100
