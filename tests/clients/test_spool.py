"""What the spool promises: nothing that was accepted is lost, nothing is seen twice."""

import json
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest

from roomtone.client import Client, Poster, Spool
from roomtone.client.spool import BYTES_MIN
from roomtone.errors import RoomtoneError
from roomtone.model import MediaSession, Stream
from tests.cli.running import clean_environment
from tests.conftest import Server

KILLS = 6
WAIT_S_MAX = 30.0
NOON = "2026-11-23T12:00:00.000Z"
URL = "http://roomtone.test"

# Posts S1, S2, ... and names each on its standard output once post() has returned.
POSTER = """
import sys
from pathlib import Path
from roomtone.client import Poster
from roomtone.model import MediaSession, Stream
url, token, folder, first = sys.argv[1:]
with Poster(url, token=token, folder=Path(folder)) as poster:
    for n in range(int(first), 1_000_000):
        audio = Stream(startTime="2026-11-23T12:00:00.000Z", packetLoss=[n % 100 / 4])
        poster.post([MediaSession(
            meetingInstanceId="m1", participantSessionId=f"S{n}", participantId=f"P{n}",
            joinTime="2026-11-23T12:00:00.000Z", leaveTime="2026-11-23T12:01:00.000Z",
            audioIn=[audio])])
        print(n, flush=True)
"""


def session(name: str = "S1", **fields: object) -> MediaSession:
    audio = Stream(startTime=NOON, packetLoss=[0.5])
    return MediaSession(
        meetingInstanceId="m1",
        participantSessionId=name,
        joinTime=NOON,
        audioIn=[audio],
        **fields,  # type: ignore[arg-type]
    )


def records(folder: Path, *, bytes_max: int = BYTES_MIN) -> list[bytes]:
    """All that a spool holds, taken out of it."""
    found = []
    with Spool(folder, bytes_max=bytes_max) as spool:
        while (record := spool.first()) is not None:
            found.append(record.data)
            spool.done(record)
    return found


def test_records_come_back_in_order_after_a_restart(tmp_path: Path) -> None:
    with Spool(tmp_path) as spool:
        for text in (b"a", b"b", b"\0"):
            spool.append(text)
    with Spool(tmp_path) as spool:
        first = spool.first()
        assert first is not None
        assert first.data == b"a"
        spool.done(first)
        spool.append(b"d")
    assert records(tmp_path) == [b"b", b"\0", b"d"]
    assert records(tmp_path) == []
    assert list(tmp_path.glob("*.spool")) == []


@pytest.mark.parametrize("cut", range(1, 17))
def test_a_record_that_was_cut_off_hides_no_other(tmp_path: Path, cut: int) -> None:
    for text in (b"one", b"half of it"):
        with Spool(tmp_path) as spool:
            spool.append(b"whole")
            spool.append(text)
    last = max(tmp_path.glob("*.spool"))
    last.write_bytes(last.read_bytes()[:-cut])
    with Spool(tmp_path) as spool:
        spool.append(b"later")
    assert records(tmp_path) == [b"whole", b"one", b"whole", b"later"]


def test_a_flipped_bit_is_not_delivered(tmp_path: Path) -> None:
    with Spool(tmp_path) as spool:
        spool.append(b"payload")
    file = next(tmp_path.glob("*.spool"))
    file.write_bytes(file.read_bytes()[:-1] + b"\xff")
    assert records(tmp_path) == []
    with Spool(tmp_path, bytes_max=BYTES_MIN) as spool:
        assert spool.dropped == 1


def test_zeros_at_the_end_of_a_file_are_no_records(tmp_path: Path) -> None:
    with Spool(tmp_path) as spool:
        spool.append(b"whole")
    file = next(tmp_path.glob("*.spool"))
    file.write_bytes(file.read_bytes() + b"\0" * 100)
    assert records(tmp_path) == [b"whole"]


def test_a_lost_position_only_brings_records_again(tmp_path: Path) -> None:
    with Spool(tmp_path) as spool:
        spool.append(b"a")
        spool.append(b"b")
        record = spool.first()
        assert record is not None
        spool.done(record)
    (tmp_path / "position").write_bytes(b"\0" * 28)
    assert records(tmp_path) == [b"a", b"b"]


def test_a_full_spool_drops_the_oldest_and_counts_them(tmp_path: Path) -> None:
    texts = [f"{n:04}".encode() * 100 for n in range(200)]
    with Spool(tmp_path, bytes_max=BYTES_MIN) as spool:
        for text in texts:
            spool.append(text)
        assert spool.waiting_bytes <= BYTES_MIN
        dropped = spool.dropped
        assert sum(file.stat().st_size for file in tmp_path.glob("*.spool")) <= BYTES_MIN
    with Spool(tmp_path, bytes_max=BYTES_MIN) as spool:
        assert spool.dropped == dropped
    left = records(tmp_path)
    assert dropped > 0
    assert left == texts[dropped:]


def test_what_fits_into_no_segment_is_refused_and_harms_nothing(tmp_path: Path) -> None:
    with Spool(tmp_path, bytes_max=BYTES_MIN) as spool:
        spool.append(b"small")
        with pytest.raises(RoomtoneError, match="too large for the spool"):
            spool.append(b"x" * BYTES_MIN)
    assert records(tmp_path) == [b"small"]


def test_a_folder_belongs_to_one_process(tmp_path: Path) -> None:
    with Spool(tmp_path), pytest.raises(RoomtoneError, match="used by another process"):
        Spool(tmp_path)


def test_a_full_disk_is_said_and_the_next_record_lands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Spool(tmp_path) as spool:
        spool.append(b"before")
        with monkeypatch.context() as patch:
            patch.setattr("os.fsync", full_disk)
            with pytest.raises(RoomtoneError, match="No space left"):
                spool.append(b"lost")
        spool.append(b"after")
    assert [text for text in records(tmp_path) if text != b"lost"] == [b"before", b"after"]


def full_disk(_: int) -> None:
    raise OSError(28, "No space left on device")


# -- the poster


class Site:
    """A server that answers as it is told; what it was sent is in `bodies`."""

    def __init__(self, answer: Callable[[httpx2.Request], httpx2.Response]) -> None:
        self.bodies: list[bytes] = []
        self._answer = answer
        self.transport = httpx2.MockTransport(self._take)

    def _take(self, request: httpx2.Request) -> httpx2.Response:
        answer = self._answer(request)
        if answer.is_success:
            self.bodies.append(request.content)
        return answer


def test_a_server_that_comes_back_gets_everything(tmp_path: Path) -> None:
    away = threading.Event()
    said: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        if not away.is_set():
            raise httpx2.ConnectError("no route", request=request)
        return httpx2.Response(204)

    site = Site(answer)
    with Poster(
        URL, token="t", folder=tmp_path, transport=site.transport, on_problem=said.append
    ) as poster:
        for n in range(5):
            poster.post([session(f"S{n}")])
        assert not poster.flush(0.2)
        away.set()
        assert poster.flush(WAIT_S_MAX)
        assert (poster.sent, poster.refused, poster.dropped) == (5, 0, 0)
    names = [json.loads(body)["items"][0]["participantSessionId"] for body in site.bodies]
    assert names == [f"S{n}" for n in range(5)]
    assert said == [f"{URL} does not answer: no route; it is tried again"]


def test_one_bad_session_does_not_take_the_others_with_it(tmp_path: Path) -> None:
    def answer(request: httpx2.Request) -> httpx2.Response:
        bad = b'"bad"' in request.content
        return httpx2.Response(400, json={"message": "rule"}) if bad else httpx2.Response(204)

    said: list[str] = []
    site = Site(answer)
    with Poster(
        URL, token="t", folder=tmp_path, transport=site.transport, on_problem=said.append
    ) as poster:
        poster.post([session("a"), session("bad"), session("c")])
        assert poster.flush(WAIT_S_MAX)
        assert (poster.sent, poster.refused) == (2, 1)
    assert len(said) == 1
    assert "rule" in said[0]


def test_an_expired_token_is_asked_for_again(tmp_path: Path) -> None:
    tokens = iter(["old", "new"])

    def answer(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(204 if request.headers["Authorization"] == "Bearer new" else 401)

    site = Site(answer)
    with Poster(
        URL, token=lambda: next(tokens), folder=tmp_path, transport=site.transport
    ) as poster:
        poster.post([session()])
        assert poster.flush(WAIT_S_MAX)
    assert len(site.bodies) == 1


def test_a_token_function_that_fails_is_asked_again(tmp_path: Path) -> None:
    asked: list[int] = []

    def token() -> str:
        asked.append(1)
        if len(asked) == 1:
            raise KeyError("the host's own fault")
        return "t"

    said: list[str] = []
    site = Site(lambda _: httpx2.Response(204))
    with Poster(
        URL, token=token, folder=tmp_path, transport=site.transport, on_problem=said.append
    ) as poster:
        poster.post([session()])
        assert poster.flush(WAIT_S_MAX)
    assert len(site.bodies) == 1
    assert "the host's own fault" in said[0]


def test_what_was_not_sent_is_sent_by_the_next_run(tmp_path: Path) -> None:
    busy = Site(lambda _: httpx2.Response(503, headers={"Retry-After": "600"}))
    with Poster(URL, token="t", folder=tmp_path, transport=busy.transport) as poster:
        poster.post([session()])
        assert not poster.close(0.2)
    well = Site(lambda _: httpx2.Response(204))
    with Poster(URL, token="t", folder=tmp_path, transport=well.transport) as poster:
        assert poster.flush(WAIT_S_MAX)
    assert len(well.bodies) == 1


# -- killed


@pytest.fixture
def children() -> Iterator[list[subprocess.Popen[str]]]:
    """Processes that a test starts; none of them outlives it."""
    started: list[subprocess.Popen[str]] = []
    yield started
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait()


def test_sigkill_at_any_moment_loses_nothing_and_doubles_nothing(
    server: Server, tmp_path: Path, children: list[subprocess.Popen[str]]
) -> None:
    folder, token = tmp_path / "spool", server.token()
    chance = random.Random(3)
    accepted = 0
    for _ in range(KILLS):
        arguments = [server.url, token, str(folder), str(accepted + 1)]
        process = subprocess.Popen(
            [sys.executable, "-c", POSTER, *arguments],
            stdout=subprocess.PIPE,
            text=True,
            env=clean_environment(),
        )
        children.append(process)
        assert process.stdout is not None
        enough = accepted + chance.randrange(1, 60)
        with process.stdout as lines:
            for line in lines:
                accepted = int(line)
                if accepted == enough:
                    time.sleep(chance.random() / 50)  # anywhere within a post, not only behind one
                    process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    with Poster(server.url, token=token, folder=folder) as poster:
        assert poster.flush(WAIT_S_MAX)
        assert (poster.dropped, poster.refused) == (0, 0)
    with Client(server.url, token=token) as client:
        stored = {one.participantSessionId: one for one in client.sessions("m1")}
    assert set(stored) >= {f"S{n}" for n in range(1, accepted + 1)}
    for name, one in stored.items():
        assert [entry.packetLoss for entry in one.audioIn] == [[int(name[1:]) % 100 / 4]]
