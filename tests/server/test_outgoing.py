"""What is written in one turn of the event loop leaves at its end, whole and in order."""

import asyncio
from collections.abc import Callable, Iterable
from typing import cast

import pytest

from roomtone.protocol import Outbox, Outgoing

HEAD = b"HTTP/1.1 200 OK\r\n\r\n"


class Turn:
    """An event loop of which the test says when its turn ends."""

    def __init__(self) -> None:
        self.soon: list[Callable[[], None]] = []

    def call_soon(self, callback: Callable[[], None]) -> None:
        self.soon.append(callback)

    def end(self) -> None:
        soon, self.soon = self.soon, []
        for callback in soon:
            callback()


class Wire:
    """What was handed to the system, call by call."""

    def __init__(self) -> None:
        self.calls: list[bytes] = []
        self.closed = False

    def writelines(self, parts: Iterable[bytes]) -> None:
        assert not self.closed
        self.calls.append(b"".join(parts))

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed


@pytest.fixture
def turn() -> Turn:
    return Turn()


@pytest.fixture
def outbox(turn: Turn) -> Outbox:
    return Outbox(cast("asyncio.AbstractEventLoop", turn))


def outgoing_over(wire: Wire, outbox: Outbox) -> Outgoing:
    return Outgoing(cast("asyncio.Transport", wire), outbox)


@pytest.mark.parametrize(
    "written",
    [[HEAD], [HEAD, b"body"], [HEAD, b"one", b"two"], [HEAD, b"body", HEAD, b"next"]],
    ids=["no body", "whole", "in parts", "two answers"],
)
def test_what_a_turn_writes_leaves_in_one_call_at_its_end(
    turn: Turn, outbox: Outbox, written: list[bytes]
) -> None:
    wire = Wire()
    outgoing = outgoing_over(wire, outbox)
    for data in written:
        outgoing.write(data)
    assert wire.calls == []
    turn.end()
    assert wire.calls == [b"".join(written)]
    assert turn.soon == []


def test_further_turns_send_further_parts(turn: Turn, outbox: Outbox) -> None:
    wire = Wire()
    outgoing = outgoing_over(wire, outbox)
    for part in (HEAD + b"one", b"two", b"three"):
        outgoing.write(part)
        turn.end()
    assert wire.calls == [HEAD + b"one", b"two", b"three"]


def test_connections_send_in_the_order_in_which_they_first_wrote(
    turn: Turn, outbox: Outbox
) -> None:
    sent: list[str] = []

    class Named(Wire):
        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

        def writelines(self, parts: Iterable[bytes]) -> None:
            sent.append(self.name)

    first, second = (outgoing_over(Named(name), outbox) for name in ("first", "second"))
    first.write(HEAD)
    second.write(HEAD)
    first.write(b"body")
    turn.end()
    assert sent == ["first", "second"]


def test_a_connection_that_is_closed_sends_what_was_written_first(
    turn: Turn, outbox: Outbox
) -> None:
    wire = Wire()
    outgoing = outgoing_over(wire, outbox)
    outgoing.write(HEAD)
    outgoing.close()
    assert wire.calls == [HEAD]
    assert outgoing.is_closing()
    turn.end()
    assert wire.calls == [HEAD]


def test_a_connection_that_was_lost_meanwhile_harms_no_other(turn: Turn, outbox: Outbox) -> None:
    lost, alive = Wire(), Wire()
    gone, there = outgoing_over(lost, outbox), outgoing_over(alive, outbox)
    gone.write(HEAD)
    there.write(HEAD)
    lost.closed = True
    turn.end()
    assert lost.calls == []
    assert alive.calls == [HEAD]
