"""The client of --url commands: patient with a busy server, plain about one that refuses."""

from pathlib import Path

import httpx2
import pytest

from roomtone.client import ATTEMPTS_MAX, SILENCES_MAX, WAIT_S_MAX, Client, Refused
from roomtone.errors import RoomtoneError


def client_of(*answers: httpx2.Response | type[Exception]) -> tuple[Client, list[float], list[str]]:
    """A client whose server answers so, the last answer for ever; what it waited and asked."""
    waits: list[float] = []
    asked: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(str(request.url))
        given = answers[min(len(asked), len(answers)) - 1]
        if isinstance(given, httpx2.Response):
            return given
        raise given("no route")

    transport = httpx2.MockTransport(answer)
    client = Client("http://roomtone.test", token="t", sleep=waits.append, transport=transport)
    return client, waits, asked


def busy(status: int, retry_after: str | None) -> httpx2.Response:
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    return httpx2.Response(status, headers=headers)


@pytest.mark.parametrize(
    ("status", "retry_after", "wait_s"),
    [(429, "7", 7), (503, "5", 5), (429, "9999", WAIT_S_MAX), (503, None, 0.5), (429, "soon", 0.5)],
)
def test_a_busy_server_is_asked_again_when_it_says(
    status: int, retry_after: str | None, wait_s: float
) -> None:
    client, waits, asked = client_of(busy(status, retry_after), httpx2.Response(204))
    with client:
        assert client.post("/v1/meetings", b"{}") == b""
    assert waits == [wait_s]
    assert len(asked) == 2


def test_a_server_that_stays_busy_is_given_up() -> None:
    client, waits, asked = client_of(busy(503, "1"))
    with client, pytest.raises(Refused, match="503"):
        client.post("/v1/meetings", b"{}")
    assert (len(asked), len(waits)) == (ATTEMPTS_MAX, ATTEMPTS_MAX - 1)


def test_a_server_that_is_away_is_given_up_soon() -> None:
    client, _, asked = client_of(httpx2.ConnectError)
    with client, pytest.raises(RoomtoneError, match=r"http://roomtone\.test does not answer"):
        client.post("/v1/meetings", b"{}")
    assert len(asked) == SILENCES_MAX


def test_a_refusal_carries_the_server_s_words_and_its_tracking_id() -> None:
    body = {"message": "No such scope.", "errors": [], "trackingId": "ROUTER_1"}
    client, _, _ = client_of(httpx2.Response(403, json=body))
    with client, pytest.raises(Refused, match=r"403: No such scope\. \(ROUTER_1\)") as caught:
        client.post("/v1/meetings", b"{}")
    assert caught.value.status == 403


def test_a_refusal_of_something_else_than_roomtone_is_readable_too() -> None:
    client, _, _ = client_of(httpx2.Response(502, text="<html>"))
    with client, pytest.raises(Refused, match="502: Bad Gateway"):
        client.post("/v1/meetings", b"{}")


def test_pages_are_followed_by_their_link() -> None:
    second = "http://roomtone.test/v1/meetings?offset=2"
    pages = (
        httpx2.Response(200, json={"items": [1, 2]}, headers={"Link": f'<{second}>; rel="next"'}),
        httpx2.Response(200, json={"items": [3]}),
    )
    client, _, asked = client_of(*pages)
    with client:
        assert list(client.items("/v1/meetings", {"max": 2})) == [b"1", b"2", b"3"]
    assert asked == ["http://roomtone.test/v1/meetings?max=2", second]


@pytest.mark.parametrize("url", ["", "roomtone", "ftp://x", "http://"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(RoomtoneError, match="is no address"):
        Client(url, token="t")


@pytest.mark.parametrize("url", ["http://h:1", "http://h:1/", "http://h:1/v1", "http://h:1/v1/"])
def test_an_address_may_end_in_v1(url: str) -> None:
    with Client(url, token="t") as client:
        assert client.base == "http://h:1"


def test_a_download_does_not_overwrite(tmp_path: Path) -> None:
    target = tmp_path / "copy"
    client, _, _ = client_of(httpx2.Response(200, content=b"data"))
    with client:
        assert client.download("/v1/roomtone/backup", target) == 4
        with pytest.raises(FileExistsError):
            client.download("/v1/roomtone/backup", target)
    assert target.read_bytes() == b"data"


def test_a_refused_download_writes_no_file(tmp_path: Path) -> None:
    client, _, _ = client_of(httpx2.Response(403, json={"message": "no"}))
    with client, pytest.raises(Refused, match="403: no"):
        client.download("/v1/roomtone/backup", tmp_path / "copy")
    assert not (tmp_path / "copy").exists()
