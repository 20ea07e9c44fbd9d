"""Calls with one known trouble each, for those who look for causes."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Final

from tests.conftest import run_apart, start_server
from tests.truth import turn
from tests.truth.calls import API_PORT, Call, Plan, Script, run_call
from tests.truth.rig import END_S_MAX, Rig, Side, Way, rig
from tests.truth.room import Room, meet
from tests.truth.runs import lasting, leave

INTERVAL_S: Final = 10
FINE: Final = Way(delay_ms=30)
LOSSY: Final = Way(loss=10, delay_ms=30)
FAR: Final = Way(delay_ms=200)
LOSSY_FAR: Final = Way(loss=2, delay_ms=180)
TROUBLE_S: Final = 75
"""Two intervals of 30 s, which causes look at, and what lies at their edges."""
LONG_TROUBLE_S: Final = 170
"""A way is long when it is for five such intervals."""
FINE_S: Final = 35
RUN_S, PERIOD_S = 0.002, 0.03
"""What the page on a busy computer gets; other programs alone leave it as much as it needs."""
LARGE: Final = {"width": 1280, "height": 720, "frameRate": 30}
AGENT_END_S_MAX: Final = 30
BURN: Final = "import time; end = time.time() + {s}\nwhile time.time() < end: sum(range(10_000))"

ROOMS: Final[dict[str, Room]] = {
    "loss up": Room(road=(LOSSY, FINE), lasting_s=TROUBLE_S, share=False),
    "loss down": Room(road=(FINE, LOSSY), lasting_s=TROUBLE_S, share=False),
    "no trouble": Room(road=(FINE, FINE), lasting_s=TROUBLE_S, share=False),
}


def plan(**more: Any) -> Plan:
    """A small call that tells a lot."""
    return Plan(interval_s=INTERVAL_S, sample_every_s=5, share=False, **more)


async def over_tcp(call: Call) -> None:
    """A server beside b; both hosts come to it over TCP."""
    with turn.turn_server(call.rig, "b"):
        await call.connect()
        call.mark("connected")
        await call.hold(s=TROUBLE_S, since="connected")
        await leave(call)


async def starving(call: Call) -> None:
    """b's computer, whose agent tells how busy it is, gets other work after a while."""
    token = await asyncio.to_thread(call.collector_token, "b")
    async with agent(call.rig, "b", call.meeting, token):
        await call.hold(s=FINE_S, since="connected")
        with burning(call.rig, "b"), limited(call.rig, "b"):
            await call.hold(s=FINE_S + TROUBLE_S, since="connected")
        await leave(call)


CALLS: Final[dict[str, tuple[Plan, Script]]] = {
    "delay": (plan(road=(FAR, FAR)), lasting(LONG_TROUBLE_S)),
    "TCP": (
        plan(
            tcp_too=True,
            connect=False,
            configuration=turn.client("b"),
            road=(LOSSY_FAR, LOSSY_FAR),
        ),
        over_tcp,
    ),
    "CPU": (plan(camera=LARGE, road=(FINE, FINE), first=False), starving),
}


HARD: Final = frozenset({"CPU"})
"""Hard on what goes on beside it..."""
PATIENT: Final = frozenset({"delay"})
"""... and what does not mind."""


def quality(name: str, folder: Path) -> dict[str, Any]:
    """Verdict and findings of a call; to be run in a thread of its own."""
    if name in CALLS:
        return run_call(*CALLS[name], folder).quality
    folder.mkdir()
    with rig(folder) as there:
        server = start_server(folder / "data", "--interval-s", str(INTERVAL_S))
        try:
            return run_apart(meet(ROOMS[name], there, server)).quality
        finally:
            server.stop()


@contextlib.asynccontextmanager
async def agent(there: Rig, side: Side, meeting: str, token: str) -> AsyncIterator[None]:
    """Roomtone's agent on a host. Its last report goes through this loop while it ends."""
    words = ["--url", f"http://127.0.0.1:{API_PORT}", "--meeting", meeting]
    words += ["--process", "chromium", "--interval-s", str(INTERVAL_S)]
    process = await asyncio.create_subprocess_exec(
        *[*there.within(side), sys.executable, "-m", "roomtone", "agent", *words],
        env={**os.environ, "ROOMTONE_TOKEN": token},
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        process.terminate()
        async with asyncio.timeout(AGENT_END_S_MAX):
            await process.wait()


@contextlib.contextmanager
def limited(there: Rig, side: Side) -> Iterator[None]:
    """A host's browser runs for RUN_S of every PERIOD_S, as by cpulimit."""
    over = threading.Event()
    pages = [pid for pid in there.pids(side) if b"--type=renderer" in command_of(pid)]

    def limit() -> None:
        while not over.wait(RUN_S):
            signalled(pages, signal.SIGSTOP)
            over.wait(PERIOD_S - RUN_S)
            signalled(pages, signal.SIGCONT)

    thread = threading.Thread(target=limit)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        signalled(pages, signal.SIGCONT)


def command_of(pid: int) -> bytes:
    """What a process was started with; nothing if it has ended."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def signalled(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


@contextlib.contextmanager
def burning(there: Rig, side: Side) -> Iterator[None]:
    """Programs that take all the CPU that they get, and end by themselves if they must."""
    code = BURN.format(s=TROUBLE_S + FINE_S)
    command = [*there.within(side), sys.executable, "-c", code]
    count = os.cpu_count() or 1
    processes = [subprocess.Popen(command) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(END_S_MAX)
