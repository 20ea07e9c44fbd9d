"""While an erasure rewrites the files, reads go on, posts wait, and nothing is lost."""

import threading
from concurrent.futures import ThreadPoolExecutor

import apsw
import pytest

from roomtone.store import sqlite_care
from tests.conftest import Api, session

WAIT_S_MAX = 20


def test_posts_wait_for_an_erasure_and_reads_do_not(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.post_sessions(session("S1"))
    scrub, begun, go = sqlite_care.scrub, threading.Event(), threading.Event()

    def slow(db: apsw.Connection) -> None:
        begun.set()
        assert go.wait(WAIT_S_MAX)
        scrub(db)

    monkeypatch.setattr(sqlite_care, "scrub", slow)
    with ThreadPoolExecutor(2) as pool:
        erased = pool.submit(api.post, "/v1/roomtone/erase", {"email": "ada@example.com"})
        assert begun.wait(WAIT_S_MAX)
        posted = pool.submit(api.post_sessions, session("S2"))
        (item,) = api.qualities("m1").json()["items"]
        assert (item["participantSessionId"], item["webexUserName"]) == ("S1", "")
        assert not posted.done()
        go.set()
        assert erased.result().json() == {"changed": 1}
        assert posted.result().status_code == 204
    names = [item["participantSessionId"] for item in api.qualities("m1").json()["items"]]
    assert names == ["S1", "S2"]
