"""Server-sent events as a client reads them, and a watcher that keeps what it is told."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, Self

import httpx2

READ_S_MAX = 30


class Told(NamedTuple):
    """One event."""

    name: str
    data: dict[str, Any]
    id: str


def events_of(lines: Iterator[str]) -> Iterator[Told]:
    """Events of the lines of a stream (HTML, 9.2.6), comments and `retry` left out."""
    fields: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")
        elif "data" in fields:
            yield Told(fields["event"], json.loads(fields["data"]), fields.get("id", ""))
            fields = {}


class Known:
    """What a watcher knows: a snapshot, kept up to date by events alone."""

    def __init__(self) -> None:
        self.meeting: dict[str, Any] = {}
        self.participants: dict[str, dict[str, Any]] = {}
        self.findings: dict[str, dict[str, Any]] = {}

    def hear(self, event: Told) -> None:
        getattr(self, f"_{event.name}")(dict(event.data))

    def _snapshot(self, data: dict[str, Any]) -> None:
        people, findings = data.pop("participants"), data.pop("findings")
        del data["time"]
        self.meeting = data
        self.participants = {one["participantSessionId"]: one for one in people}
        self.findings = {one["finding"]["id"]: one for one in findings}

    def _join(self, data: dict[str, Any]) -> None:
        one = data["participant"]
        self.participants[one["participantSessionId"]] = one

    def _leave(self, data: dict[str, Any]) -> None:
        self.participants[data["participantSessionId"]]["leaveTime"] = data["leaveTime"]

    def _verdict(self, data: dict[str, Any]) -> None:
        del data["time"]
        self.participants[data["participantSessionId"]].update(data)

    def _meeting(self, data: dict[str, Any]) -> None:
        del data["time"]
        self.meeting.update(data)

    def _finding(self, data: dict[str, Any]) -> None:
        key = data["finding"]["id"]
        if data["change"] == "withdrawn":
            del self.findings[key]
        else:
            self.findings[key] = {"open": data["open"], "finding": data["finding"]}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Known) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]

    @classmethod
    def of(cls, snapshot: Told) -> Self:
        found = cls()
        found.hear(snapshot)
        return found


class Stream:
    """An open stream; `next` waits for an event, `until` for one of a kind."""

    def __init__(self, answer: httpx2.Response) -> None:
        self.answer = answer
        self.lines = answer.iter_lines()
        self._events = events_of(self.lines)

    def next(self) -> Told:
        return next(self._events)

    def until(self, name: str, **data: Any) -> Told:
        """The next event of this name with these values."""
        return next(
            one for one in self._events if one.name == name and data.items() <= one.data.items()
        )

    def rest(self) -> list[Told]:
        return list(self._events)


@contextmanager
def watching(
    url: str, token: str, meeting: str = "m1", *, last_event_id: str = ""
) -> Iterator[Stream]:
    headers = {"Authorization": f"Bearer {token}"}
    if last_event_id:
        headers["Last-Event-ID"] = last_event_id
    path = f"{url}/v1/meetings/{meeting}/events"
    with httpx2.stream("GET", path, headers=headers, timeout=READ_S_MAX) as answer:
        assert answer.status_code == 200, answer.read()
        yield Stream(answer)
