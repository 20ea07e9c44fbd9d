"""The one thread that writes: jobs queue up, one transaction takes all that wait.

An acknowledgement means durable: a caller hears after the commit that holds its job.
"""

import asyncio
import queue
import threading
import time
from collections.abc import Callable
from typing import Any, Final, NamedTuple, TypeVar

from roomtone.errors import TooMany, Unavailable
from roomtone.metrics import Metrics
from roomtone.store import Store

T = TypeVar("T")
Job = Callable[[Store], T]
BATCH_JOBS_MAX: Final = 256


class _Waiting(NamedTuple):
    job: Job[Any]
    future: asyncio.Future[Any]


class _Outcome(NamedTuple):
    future: asyncio.Future[Any]
    result: Any
    error: BaseException | None


class Writer:
    """Group commit. `run` belongs to the event loop's thread, the store's writing calls to ours."""

    def __init__(self, store: Store, metrics: Metrics, *, jobs_max: int) -> None:
        self._store = store
        self._metrics = metrics
        self._jobs_max = jobs_max
        self._waiting_count = 0
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="roomtone-writer", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        metrics.queue_depth.set_function(lambda: float(self._waiting_count))

    def start(self) -> None:
        """Begin to write; called from the running event loop."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    async def stop(self) -> None:
        """Commit what waits, then end the thread."""
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    async def run(self, job: Job[T]) -> T:
        """Run `job(store)` inside a transaction and return its result once that is durable.

        TooMany when the queue is full; Unavailable when the store cannot write (nothing was kept);
        whatever the job raises (its own writes are undone, its neighbours' are not).
        """
        if self._waiting_count >= self._jobs_max:
            raise TooMany("Too many writes are waiting; send it again.")
        assert self._loop is not None
        future: asyncio.Future[T] = self._loop.create_future()
        self._waiting_count += 1
        self._queue.put(_Waiting(job, future))
        return await future

    def _work(self) -> None:
        while (first := self._queue.get()) is not None:
            batch, last = self._gather(first)
            started = time.perf_counter()
            outcomes = self._commit(batch)
            self._metrics.commit_seconds.observe(time.perf_counter() - started)
            assert self._loop is not None
            self._loop.call_soon_threadsafe(self._resolve, outcomes)
            if last:
                return

    def _gather(self, first: _Waiting) -> tuple[list[_Waiting], bool]:
        batch = [first]
        while len(batch) < BATCH_JOBS_MAX:
            try:
                waiting = self._queue.get_nowait()
            except queue.Empty:
                break
            if waiting is None:
                return batch, True
            batch.append(waiting)
        return batch, False

    def _commit(self, batch: list[_Waiting]) -> list[_Outcome]:
        try:
            with self._store.transaction():
                return [self._run_one(waiting) for waiting in batch]
        except Exception as error:  # noqa: BLE001 every caller hears it; this thread must live on
            return [_Outcome(waiting.future, None, error) for waiting in batch]

    def _run_one(self, waiting: _Waiting) -> _Outcome:
        try:
            with self._store.transaction():
                return _Outcome(waiting.future, waiting.job(self._store), None)
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001 it is the caller's: raised again where run() waits
            return _Outcome(waiting.future, None, error)

    def _resolve(self, outcomes: list[_Outcome]) -> None:
        self._waiting_count -= len(outcomes)
        for future, result, error in outcomes:
            if future.done():  # the client went away; its write stands all the same
                continue
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)
        self._metrics.commit_writes.inc(sum(outcome.error is None for outcome in outcomes))
