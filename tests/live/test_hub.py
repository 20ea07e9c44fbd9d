"""Many watch, one looks: how often a meeting is explained, what is kept, and who is let go."""

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from roomtone.errors import Gone, NotFound, RoomtoneError, TimedOut, TooMany, Unavailable
from roomtone.live import channel, hub, watched
from roomtone.live.channel import Watcher
from roomtone.live.hub import Hub
from roomtone.metrics import Metrics
from roomtone.model import MediaSession, MeetingNews, epoch_ms
from roomtone.store import Store
from roomtone.store.memory import MemoryStore
from tests.conftest import NOW, run_apart, session, stream
from tests.live.reader import Known, Told, events_of

EVERY_S = 0.01
WAIT_S_MAX = 20
ORG = "acme"


class Scene:
    """A hub over a store in memory, and what the tests do to both."""

    def __init__(self, **more: Any) -> None:
        self.store: Store = MemoryStore()
        self.metrics = Metrics()
        settings = {"watchers_max": 1_000, "every_s": EVERY_S, "read_s_max": 10.0}
        now_ms = epoch_ms(NOW)
        self.hub = Hub(self.store, self.metrics, now_ms=lambda: now_ms, **(settings | more))

    def write(self, job: Callable[[Store], object]) -> None:
        with self.store.transaction():
            job(self.store)

    def post(self, *sessions: dict[str, Any], org: str = ORG) -> None:
        for one in sessions:
            piece = msgspec.convert(one, MediaSession)
            self.write(lambda store, piece=piece: store.put_session(org, piece, epoch_ms(NOW)))  # type: ignore[misc]

    def end(self) -> None:
        later_ms = epoch_ms(NOW) + 3_600_000
        for _ in range(2):
            self.write(lambda store: store.seal(later_ms, silence_ms=1_000, limit=10))

    async def watch(self, meeting: str = "m1", **more: Any) -> Watcher:
        options = {"hidden": False, "last_event_id": "", **more}
        watcher = await self.hub.admit(ORG, meeting, **options)
        assert watcher is not None
        return watcher

    def leave(self, watcher: Watcher, meeting: str = "m1") -> None:
        self.hub.leave(ORG, meeting, watcher)

    def value(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(name, labels) or 0.0

    @property
    def computations(self) -> float:
        return self.value("roomtone_live_computations_total")


@asynccontextmanager
async def scene(**settings: Any) -> AsyncIterator[Scene]:
    made = Scene(**settings)
    made.post(session("S1", webexUserName="Ada"))
    try:
        async with asyncio.timeout(WAIT_S_MAX):
            yield made
    finally:
        made.hub.close()


def run(coroutine: Awaitable[None]) -> None:
    async def main() -> None:
        await coroutine

    run_apart(main())


async def told(watcher: Watcher) -> list[Told]:
    """The next chunk's events."""
    data = (await watcher.next()).data
    return list(events_of(iter(data.decode().split("\n"))))


async def until(watcher: Watcher, name: str) -> Told:
    while True:
        for event in await told(watcher):
            if event.name == name:
                return event


async def until_true(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 what is waited for has no event
        await asyncio.sleep(EVERY_S)


def test_a_hundred_watchers_cost_one_computation_and_are_told_the_same() -> None:
    async def play() -> None:
        async with scene() as made:
            watchers = await asyncio.gather(*(made.watch() for _ in range(100)))
            assert made.computations == 1
            assert made.value("roomtone_watchers") == 100
            firsts = [await told(one) for one in watchers]
            assert all(first == firsts[0] for first in firsts)
            made.post(session("S2", webexUserName="Bob"))
            joined = [await told(one) for one in watchers]
            assert all(one == joined[0] for one in joined)
            assert [event.name for event in joined[0]] == ["join", "meeting"]
            assert made.computations == 2

    run(play())


def test_a_meeting_that_does_not_change_is_explained_once() -> None:
    async def play() -> None:
        async with scene() as made:
            reads = 0
            version = made.store.version

            def counted(org: str, meeting_id: str) -> int:
                nonlocal reads
                reads += 1
                return version(org, meeting_id)

            made.store.version = counted  # type: ignore[method-assign]
            await made.watch()
            await until_true(lambda: reads > 20)
            assert made.computations == 1

    run(play())


def test_a_meeting_is_explained_at_most_once_an_interval() -> None:
    async def play() -> None:
        async with scene(every_s=3_600.0) as made:
            watcher = await made.watch()
            assert [event.name for event in await told(watcher)] == ["snapshot"]
            # the task looks once when it begins, and finds what the watcher was told
            await asyncio.sleep(0)
            for number in range(5):
                made.post(session(f"T{number}"))
                await made.watch()
            assert made.computations <= 2

    run(play())


def test_what_takes_long_is_done_more_rarely(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        await asyncio.Event().wait()

    async def play() -> None:
        async with scene(every_s=1.0) as made:
            monkeypatch.setattr(watched, "COST_PART_MAX", 1e-9)
            monkeypatch.setattr("roomtone.live.watched.asyncio.sleep", sleep)
            await made.watch()
            real_sleep = asyncio.Event()
            asyncio.get_running_loop().call_later(EVERY_S, real_sleep.set)
            await real_sleep.wait()

    run(play())
    assert slept
    assert slept[0] > 1.0


def test_who_may_not_know_people_is_told_of_the_same_meeting_without_names() -> None:
    async def play() -> None:
        async with scene() as made:
            named, hidden = await made.watch(), await made.watch(hidden=True)
            made.post(session("S2", webexUserName="Bob", audioIn=[stream()]))
            texts = [str(await until(one, "join")) for one in (named, hidden)]
            assert ["Bob" in text for text in texts] == [True, False]
            assert all("P-S2" in text for text in texts)
            assert made.computations == 3, "one for each at first, then one for both"

    run(play())


def test_another_organisations_meeting_is_not_known() -> None:
    async def play() -> None:
        async with scene() as made:
            made.post(session("S9", "theirs"), org="other")
            for meeting in ("theirs", "nowhere"):
                with pytest.raises(NotFound):
                    await made.watch(meeting)
            assert made.value("roomtone_watchers") == 0

    run(play())


def test_who_comes_back_is_told_what_was_missed_and_no_more() -> None:
    async def play() -> None:
        async with scene() as made:
            first = await made.watch()
            (whole,) = await told(first)
            made.post(session("S2"))
            last = (await told(first))[-1]
            made.leave(first)
            made.post(session("S3"))
            again = await made.watch(last_event_id=last.id)
            missed = await told(again)
            assert [event.data["participant"]["participantId"] for event in missed[:1]] == ["P-S3"]
            late = await told(await made.watch(last_event_id=whole.id))
            assert [event.name for event in late] == ["join", "meeting", "join", "meeting"]
            known, now = Known.of(whole), Known.of((await told(await made.watch()))[0])
            for event in late:
                known.hear(event)
            assert known == now

    run(play())


@pytest.mark.parametrize(
    "last_event_id",
    ["", "x", "0" * 12 + "-1", "é", "a" * 4_000, "{0}-99", "{0}--1", "{0}-" + "9" * 12],
)
def test_an_id_that_means_nothing_here_gets_everything(last_event_id: str) -> None:
    async def play() -> None:
        async with scene() as made:
            (whole,) = await told(await made.watch())
            asked = last_event_id.format(whole.id.partition("-")[0])
            assert [one.name for one in await told(await made.watch(last_event_id=asked))] == [
                "snapshot"
            ]

    run(play())


def test_who_was_away_for_too_long_gets_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel, "KEPT_EVENTS_MAX", 3)

    async def play() -> None:
        async with scene() as made:
            first = await made.watch()
            (whole,) = await told(first)
            for number in range(3):
                made.post(session(f"T{number}"))
                await told(first)
            (again,) = await told(await made.watch(last_event_id=whole.id))
            assert again.name == "snapshot"
            assert len(again.data["participants"]) == 4

    run(play())


def test_a_crowd_that_joins_at_once_is_told_as_a_whole() -> None:
    async def play() -> None:
        async with scene() as made:
            watcher = await made.watch()
            (before,) = await told(watcher)
            made.post(*(session(f"T{n}") for n in range(channel.EVENTS_MAX + 1)))
            (after,) = await told(watcher)
            assert (before.name, after.name) == ("snapshot", "snapshot")
            (again,) = await told(await made.watch(last_event_id=before.id))
            assert again == after, "the id from before names nothing any more"

    run(play())


def test_an_erased_name_is_told_to_nobody_any_more() -> None:
    async def play() -> None:
        async with scene() as made:
            watcher = await made.watch()
            (before,) = await told(watcher)
            assert "Ada" in str(before)
            made.post(session("S2", webexUserName="Bob", webexUserEmail="bob@example.com"))
            await told(watcher)
            made.write(lambda store: store.erase(ORG, "ada@example.com"))
            (after,) = await told(watcher)
            assert after.name == "snapshot"
            again = await told(await made.watch(last_event_id=before.id))
            assert "Ada" not in str((after, again))
            assert "Bob" in str(again)

    run(play())


def test_a_watcher_that_does_not_read_is_told_why_it_ends_and_others_go_on() -> None:
    async def play() -> None:
        async with scene() as made:
            slow, quick = await made.watch(), await made.watch()
            for number in range(channel.QUEUE_CHUNKS_MAX + 1):
                made.post(session(f"T{number}"))
                await until(quick, "meeting")
            chunk = await slow.next()
            assert chunk.last
            assert b'event: end\ndata: {"reason":"slow"}' in chunk.data
            made.leave(slow)
            assert made.value("roomtone_watchers_ended_total", reason="slow") == 1
            made.post(session("S2"))
            assert (await until(quick, "join")).data["participant"]["participantId"] == "P-S2"

    run(play())


def test_the_end_of_a_meeting_ends_the_stream_and_who_knows_it_is_not_told_again() -> None:
    async def play() -> None:
        async with scene() as made:
            watcher = await made.watch()
            made.end()
            end = await until(watcher, "end")
            assert end.data == {"reason": "ended"}
            made.leave(watcher)
            late = await made.watch()
            assert [event.name for event in await told(late)] == ["snapshot"]
            assert [event.name for event in await told(late)] == ["end"]
            made.leave(late)
            knows = made.hub.admit(ORG, "m1", hidden=False, last_event_id=end.id)
            assert await knows is None
            made.post(session("S1", audioIn=[stream()]))
            again = await made.watch(last_event_id=end.id)
            assert [event.name for event in await told(again)][-1] == "meeting"
            assert made.value("roomtone_watchers") == 1

    run(play())


def test_a_meeting_that_is_removed_ends_the_stream() -> None:
    async def play() -> None:
        async with scene() as made:
            watcher = await made.watch()
            far_ms = epoch_ms(NOW) + 10**10

            def remove(store: Store) -> None:
                later_ms = epoch_ms(NOW) + 3_600_000
                store.seal(later_ms, silence_ms=1_000, limit=10)
                store.seal(later_ms, silence_ms=1_000, limit=10)
                assert store.purge(None, before_ms=far_ms, limit=10) == 1

            made.write(remove)
            assert (await until(watcher, "end")).data == {"reason": "removed"}
            with pytest.raises(Gone):
                await made.watch()

    run(play())


def test_there_are_so_many_watchers_and_no_more() -> None:
    async def play() -> None:
        async with scene(watchers_max=2) as made:
            first, _ = await made.watch(), await made.watch()
            with pytest.raises(TooMany) as refused:
                await made.watch()
            assert refused.value.retry_after
            made.leave(first)
            await made.watch()

    run(play())


@pytest.mark.parametrize("error", [TimedOut("slow"), Unavailable("full")])
def test_a_store_that_cannot_answer_is_heard_by_who_comes_and_waited_for_by_who_is_there(
    error: RoomtoneError,
) -> None:
    async def play() -> None:
        async with scene() as made:
            watcher = await made.watch()
            await told(watcher)
            sessions = made.store.sessions
            tried = 0

            def fail(*_args: object, **_more: object) -> list[MediaSession]:
                nonlocal tried
                tried += 1
                raise error

            made.store.sessions = fail  # type: ignore[method-assign]
            made.post(session("S2"))
            await until_true(lambda: tried > 1)
            with pytest.raises(type(error)):
                await made.watch(hidden=True)
            assert made.value("roomtone_watchers") == 1
            made.store.sessions = sessions  # type: ignore[method-assign]
            assert [event.name for event in await told(watcher)] == ["join", "meeting"]

    run(play())


def test_a_fault_of_ours_ends_the_stream(caplog: pytest.LogCaptureFixture) -> None:
    async def play() -> None:
        async with scene() as made:
            watcher = await made.watch()

            def fail(*_args: object, **_more: object) -> None:
                raise ZeroDivisionError("a bug")

            made.store.sessions = fail  # type: ignore[assignment]
            made.post(session("S2"))
            assert (await until(watcher, "end")).data == {"reason": "failed"}

    run(play())
    assert "watching failed" in caplog.text


def test_a_server_that_stops_says_so_and_lets_nobody_in() -> None:
    async def play() -> None:
        async with scene() as made:
            watcher = await made.watch()
            made.hub.close()
            assert (await until(watcher, "end")).data == {"reason": "stopping"}
            with pytest.raises(Unavailable):
                await made.watch()

    run(play())


def test_nobody_watching_costs_nothing() -> None:
    async def play() -> None:
        async with scene() as made:
            watcher = await made.watch()
            made.leave(watcher)
            made.post(session("S2"))
            for _ in range(20):
                await asyncio.sleep(EVERY_S)
            assert made.computations == 1

    run(play())


def test_a_state_is_made_at_most_once_in_its_time_for_all_who_ask(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(watched, "COST_PART_MAX", math.inf)

    async def play() -> None:
        async with scene() as made:
            for number in range(5):
                made.post(session(f"T{number}"))
                state = await made.hub.state(ORG, "m1", age_s_max=3_600)
                assert set(state.participants) == {"S1", "T0"}
            assert made.computations == 1
            state = await made.hub.state(ORG, "m1", age_s_max=0)
            assert len(state.participants) == 6
            await made.hub.state(ORG, "m1", age_s_max=0)
            assert made.computations == 2, "the meeting has not changed"

    run(play())


def test_what_is_kept_of_meetings_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "MEETINGS_KEPT_MAX", 3)

    async def play() -> None:
        async with scene(watchers_max=1) as made:
            watcher = await made.watch()
            for number in range(8):
                made.post(session(f"T{number}", f"n{number}"))
                await made.hub.state(ORG, f"n{number}", age_s_max=60)
            assert len(made.hub._meetings) <= 4
            assert (ORG, "m1") in made.hub._meetings, "somebody watches it"
            made.leave(watcher)

    run(play())


def test_what_nobody_asks_for_is_forgotten_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "KEPT_S_MAX", -1.0)
    monkeypatch.setattr(hub, "SWEEP_EVERY_S", 0.0)

    async def play() -> None:
        async with scene() as made:
            made.post(session("T1", "n1"))
            await made.hub.state(ORG, "n1", age_s_max=60)
            await made.watch()
            assert set(made.hub._meetings) == {(ORG, "m1")}

    run(play())


def test_a_meeting_that_was_only_announced_can_be_watched() -> None:
    async def play() -> None:
        async with scene() as made:
            news = MeetingNews(id="m2", start="2026-11-24T12:00:00Z")
            made.write(lambda store: store.put_meeting(ORG, news, epoch_ms(NOW)))
            watcher = await made.watch("m2")
            (whole,) = await told(watcher)
            assert (whole.data["state"], whole.data["participants"]) == ("scheduled", [])
            made.post(session("S5", "m2"))
            assert [event.name for event in await told(watcher)] == ["join", "meeting"]

    run(play())


def test_other_thresholds_are_another_verdict_for_who_watches() -> None:
    async def play() -> None:
        async with scene() as made:
            loss: dict[str, Any] = {
                "packetLoss": [3.0] * 5,
                "latency": [40] * 5,
                "mediaBitRate": [40_000] * 5,
            }
            made.post(session("S1", audioOut=[stream(codec="Opus", **loss)]))
            watcher = await made.watch()
            (whole,) = await told(watcher)
            assert whole.data["verdict"] == "fair"
            strict = msgspec.json.encode({"lossPercent": {"good": 1.0, "poor": 2.0}})
            made.write(lambda store: store.put_setting(ORG, "thresholds", strict))
            assert (await until(watcher, "meeting")).data["verdict"] == "poor"

    run(play())


def test_who_holds_tokens_of_single_meetings_leaves_places_to_others() -> None:
    async def play() -> None:
        async with scene(watchers_max=11) as made:
            guests = [await made.watch(guest=True) for _ in range(2)]
            for _ in range(2):
                with pytest.raises(TooMany):
                    await made.watch(guest=True)
                with pytest.raises(NotFound):
                    await made.watch("unknown")
            await made.watch()
            made.leave(guests[0])
            with pytest.raises(NotFound):
                await made.watch("unknown", guest=True)
            await made.watch(guest=True)

    run(play())
