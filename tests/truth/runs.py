"""The calls of the truth table: how each is set up, and what happens in it."""

import asyncio
import os
import signal
from typing import Final

from tests.truth import turn
from tests.truth.calls import Call, Plan, Script
from tests.truth.rig import SIDES, Way

CLEAN: Final = Way(delay_ms=80, jitter_ms=20)
LOSSY: Final = Way(loss=5, delay_ms=80, jitter_ms=20)
NEAR: Final = Way(delay_ms=20)
SLEEP_S: Final = 90
STEP_ONE_WAY_S, STEP_BOTH_WAYS_S, STEPS_END_S = 75, 135, 195
CODECS: Final = {
    "H.264 BP": ("video/H264", "profile-level-id=42001f"),
    "VP9": ("video/VP9", "profile-id=0"),
    "AV1": ("video/AV1", ""),
}


def lasting(s: float) -> Script:
    """A call that goes on for so many seconds after it was connected."""

    async def script(call: Call) -> None:
        await call.hold(s=s, since="connected")
        await leave(call)

    return script


async def leave(call: Call) -> None:
    for side in SIDES:
        await call.leave(side)


async def steps(call: Call) -> None:
    """Clean for a while, then 5 % from a to b only, then both ways."""
    await call.hold(s=STEP_ONE_WAY_S, since="connected")
    call.rig.road.become(LOSSY, CLEAN)
    await call.hold(s=STEP_BOTH_WAYS_S, since="connected")
    call.rig.road.become(LOSSY, LOSSY)
    await call.hold(s=STEPS_END_S, since="connected")
    await leave(call)


async def over_turn(call: Call) -> None:
    """A server beside b; both hosts come to it over TCP."""
    with turn.turn_server(call.rig, "b"):
        await call.connect()
        call.mark("connected")
        await call.hold(s=35, since="connected")
        await leave(call)


async def reload(call: Call) -> None:
    """b reloads its page; a replaces its connection, and stays in the meeting."""
    await call.hold(s=35, since="connected")
    await call.keep_reports("b")
    call.mark("reloaded")
    await call.join("b")
    await call.connect()
    call.mark("connected again")
    await call.hold(s=35, since="connected again")
    await leave(call)


async def sleep(call: Call) -> None:
    """b's computer sleeps: every process of it stands still."""
    await call.hold(s=35, since="connected")
    asleep = call.rig.pids("b")
    call.mark("asleep")
    try:
        for pid in asleep:
            os.kill(pid, signal.SIGSTOP)
        await asyncio.sleep(SLEEP_S)
    finally:
        for pid in asleep:
            os.kill(pid, signal.SIGCONT)
    call.mark("awake")
    await call.hold(s=45, since="awake")
    await leave(call)


def codec(label: str) -> tuple[Plan, Script]:
    """A short call with one codec, on a road that loses."""
    plan = Plan(
        interval_s=10, sample_every_s=5, share=False, codec=CODECS[label], road=(LOSSY, LOSSY)
    )
    return plan, lasting(24)


RUNS: Final[dict[str, tuple[Plan, Script]]] = {
    "both ways": (Plan(road=(LOSSY, LOSSY)), lasting(145)),
    "steps": (Plan(interval_s=20, sample_every_s=2, road=(CLEAN, CLEAN)), steps),
    "firefox": (
        Plan(
            browsers=("chromium", "firefox"),
            interval_s=30,
            sample_every_s=2,
            road=(LOSSY, LOSSY),
        ),
        lasting(75),
    ),
    "sleep": (Plan(interval_s=10, sample_every_s=5, road=(NEAR, NEAR)), sleep),
    "reload": (Plan(interval_s=10, sample_every_s=5, road=(NEAR, NEAR)), reload),
    "turn": (
        Plan(
            interval_s=10,
            sample_every_s=5,
            share=False,
            tcp_too=True,
            connect=False,
            configuration=turn.client("b"),
            road=(Way(loss=2, delay_ms=40), Way(loss=2, delay_ms=40)),
        ),
        over_turn,
    ),
    **{label: codec(label) for label in CODECS},
}
MEASURED: Final = ("both ways", "steps", "firefox")
"""Those of which every figure is held against the wire; they do not run beside each other."""
