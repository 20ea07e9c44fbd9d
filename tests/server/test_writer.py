"""The writer's queue is bounded: what is over the bound hears so at once, and is not written."""

import asyncio
import threading

import pytest

from roomtone.errors import TooMany
from roomtone.metrics import Metrics
from roomtone.store import Store
from roomtone.store.memory import MemoryStore
from roomtone.writer import Writer
from tests.conftest import run_apart

JOBS_MAX = 3
WAIT_S_MAX = 20


def test_a_queue_that_is_full_takes_nothing_until_a_commit() -> None:
    run_apart(_fill_and_empty())


async def _fill_and_empty() -> None:
    metrics, gate, ran = Metrics(), threading.Event(), []
    writer = Writer(MemoryStore(), metrics, jobs_max=JOBS_MAX)
    writer.start()

    def job(_: Store) -> None:
        assert gate.wait(WAIT_S_MAX)
        ran.append(1)

    waiting = [asyncio.create_task(writer.run(job)) for _ in range(JOBS_MAX)]
    await asyncio.sleep(0)  # they are in the queue now
    assert metrics.registry.get_sample_value("roomtone_queue_depth") == JOBS_MAX
    with pytest.raises(TooMany):
        await writer.run(job)
    gate.set()
    await asyncio.gather(*waiting)
    assert len(ran) == JOBS_MAX
    await writer.run(job)
    assert metrics.registry.get_sample_value("roomtone_queue_depth") == 0
    await writer.stop()
