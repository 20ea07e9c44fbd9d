"""An answer's head leaves together with the first part of its body, and nothing stays behind."""

import asyncio
from collections.abc import Iterable
from typing import cast

import pytest

from roomtone.protocol import AnswerTransport

HEAD = b"HTTP/1.1 200 OK\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Wire:
    """What was handed to the system, call by call."""

    def __init__(self) -> None:
        self.calls: list[bytes] = []
        self.closed = False

    def write(self, data: bytes) -> None:
        assert not self.closed
        self.calls.append(data)

    def writelines(self, parts: Iterable[bytes]) -> None:
        self.write(b"".join(parts))

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed


@pytest.mark.parametrize(
    ("written", "calls"),
    [
        ([HEAD, b"body"], [HEAD + b"body"]),
        ([HEAD, b""], [HEAD]),
        ([HEAD, b"one", b"two", b"three"], [HEAD + b"one", b"two", b"three"]),
        ([HEAD, b"one", HEAD], [HEAD + b"one", HEAD]),
        ([CONTINUE, HEAD, b"body"], [CONTINUE, HEAD + b"body"]),
    ],
    ids=["whole", "no body", "in parts", "a part that looks like a head", "after 100 Continue"],
)
def test_a_head_waits_for_the_body_and_no_longer(written: list[bytes], calls: list[bytes]) -> None:
    wire = Wire()
    answer = AnswerTransport(cast("asyncio.Transport", wire))
    for data in written:
        answer.write(data)
    assert wire.calls == calls


def test_an_answer_that_breaks_off_after_its_head_still_sends_it() -> None:
    wire = Wire()
    answer = AnswerTransport(cast("asyncio.Transport", wire))
    answer.write(HEAD)
    answer.close()
    assert wire.calls == [HEAD]
    assert answer.is_closing()
