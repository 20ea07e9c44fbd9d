"""Measures the store alone: a put, a commit, a seal, a cold read, and bytes on the disk."""

import tempfile
import time
from pathlib import Path
from typing import Final

from bench import data
from roomtone import simulate
from roomtone.model import STREAM_KINDS, MediaSession, sample_count, streams_of
from roomtone.store import Store, block, open_store
from roomtone.store.sqlite_rows import packed

ORG: Final = "bench"
MEETINGS: Final = 100
PARTICIPANTS: Final = 6
MINUTES: Final = 45
COMMIT_POSTS: Final = 64
POSTS: Final = 64 * 100
ROUNDS: Final = 50
ON_DISK: Final = "/var/tmp"  # noqa: S108 not /tmp, which may be memory
T0: Final = 1_790_000_000_000


def simulated() -> list[list[MediaSession]]:
    return [
        simulate.meeting(
            seed=1, index=n, participants=PARTICIPANTS, minutes=MINUTES, start_ms=T0
        ).sessions
        for n in range(MEETINGS)
    ]


def full() -> list[list[MediaSession]]:
    return [
        [
            data.session(meeting=n, participant=p, start_ms=T0, samples=MINUTES, ended=True)
            for p in range(PARTICIPANTS)
        ]
        for n in range(MEETINGS)
    ]


def samples_of(meetings: list[list[MediaSession]]) -> int:
    sessions = [session for meeting in meetings for session in meeting]
    return sum(
        sample_count(entry)
        for s in sessions
        for kind in STREAM_KINDS
        for entry in streams_of(s, kind)
    )


def seal_all(store: Store) -> None:
    now = T0 + 10**9
    for _ in range(1000):
        with store.transaction():
            sealed = store.seal(now, silence_ms=1, limit=500)
        if not sealed:
            break
    for _ in range(100):
        with store.transaction():
            store.seal(now, silence_ms=1, limit=500)


def measure_disk(name: str, meetings: list[list[MediaSession]], folder: Path) -> None:
    store = open_store(folder)
    try:
        for meeting in meetings:
            for minute in range(0, MINUTES, 15):
                from_ms, to_ms = T0 + minute * 60_000, T0 + (minute + 15) * 60_000
                pieces = [simulate.piece(s, from_ms=from_ms, to_ms=to_ms) for s in meeting]
                with store.transaction():
                    for piece in pieces:
                        if piece is not None:
                            store.put_session(ORG, piece, T0 + minute * 60_000)
        started = time.process_time()
        seal_all(store)
        seconds = time.process_time() - started
    finally:
        store.close()
    size = sum(path.stat().st_size for path in folder.iterdir())
    count = len(meetings) * PARTICIPANTS
    blocks = [block.encode(s, s.meetingInstanceId) for m in meetings[:20] for s in m]
    in_blocks = sum(map(len, blocks)) / samples_of(meetings[:20])
    print(f"{name}: {size / samples_of(meetings):.2f} bytes per stream-sample on disk,")
    print(f"  {in_blocks:.2f} of them in blocks; sealing {seconds / count * 1e3:.2f} ms a session")
    measure_decoding(blocks[:PARTICIPANTS], meetings[0])
    measure_cold_read(folder, meetings[0][0].meetingInstanceId)


def measure_decoding(blocks: list[bytes], meeting: list[MediaSession]) -> None:
    name = meeting[0].meetingInstanceId
    best = min(_timed(lambda: [block.decode(one, name) for one in blocks]) for _ in range(ROUNDS))
    print(f"  decoding {len(blocks)} blocks: {best * 1e3:.2f} ms")


def measure_cold_read(folder: Path, meeting: str) -> None:
    store = open_store(folder)
    try:

        def read() -> object:
            return store.sessions_for_json(
                ORG, meeting, offset=0, limit=100, deadline=time.monotonic() + 9
            )

        print(f"  reading it: {min(_timed(read) for _ in range(ROUNDS)) * 1e3:.2f} ms")
        best = min(_timed(lambda: store.version(ORG, meeting)) for _ in range(ROUNDS))
        print(f"  version(): {best * 1e6:.1f} us")
    finally:
        store.close()


def _timed(call: object) -> float:
    assert callable(call)
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def measure_puts(folder: Path) -> None:
    """Posts of one session with 6 streams x 1 sample, 640 sessions, commits of 64."""
    store = open_store(folder)
    posts = [
        data.session(meeting=n // 6, participant=n % 6, start_ms=T0, samples=1, first_sample=k)
        for k in range(POSTS // 640)
        for n in range(640)
    ]
    cpu, wall = time.process_time(), time.perf_counter()
    putting = 0.0
    try:
        for first in range(0, len(posts), COMMIT_POSTS):
            with store.transaction():
                started = time.perf_counter()
                for post in posts[first : first + COMMIT_POSTS]:
                    store.put_session(ORG, post, T0)
                putting += time.perf_counter() - started
    finally:
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        store.close()
    print(f"put_session: {putting / len(posts) * 1e6:.1f} us; with its share of the commit")
    print(f"  {cpu / len(posts) * 1e6:.1f} us of CPU, {len(posts) / wall:,.0f} posts a second")
    packing = min(_timed(lambda: packed(posts[0])) for _ in range(ROUNDS))
    print(f"  of it packing the piece: {packing * 1e6:.1f} us ({len(packed(posts[0]))} bytes)")


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="roomtone-store-", dir=ON_DISK) as folder:
        measure_puts(Path(folder) / "puts")
        measure_disk("simulated meetings", simulated(), Path(folder) / "simulated")
        measure_disk("six full columns in six streams", full(), Path(folder) / "full")


if __name__ == "__main__":
    main()
