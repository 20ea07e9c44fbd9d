"""The store a command works on: its folder (also while a server runs), or a server over HTTP."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from time import monotonic
from typing import Annotated, Final, Protocol, TypeVar
from urllib.parse import quote, urlencode

import msgspec
from cyclopts import Parameter
from msgspec import Struct

from roomtone.client import Client, Refused, bodies, body_of
from roomtone.commands.terminal import now_ms
from roomtone.errors import Conflict, Gone, Invalid, NotFound, RoomtoneError
from roomtone.model import ITEMS_MAX, MediaSession, MeetingNews, iso_ms
from roomtone.store import MeetingQuery, Store, open_store

PAGE_SESSIONS: Final = 100
PAGE_MEETINGS: Final = 100
PURGE_BATCH: Final = 100
READ_S_MAX: Final = 300.0

T = TypeVar("T")
Bad = tuple[int, str]
"""The index of an item that was not taken, and why."""


@dataclass(frozen=True, kw_only=True)
class Where:
    """Either --data and --org (the store itself), or --url and --token (a server)."""

    data: Path | None = None
    """Folder of the store; also while a server uses it. ROOMTONE_DATA when --url is not given."""

    org: str = ""
    """Organisation, with --data."""

    url: str = ""
    """Address of a server, as in http://127.0.0.1:8080."""

    token: Annotated[str, Parameter(env_var="ROOMTONE_TOKEN")] = ""
    """Bearer token, with --url."""


WhereFlags = Annotated[Where, Parameter(name="*", negative_none=(), show_default=False)]


class Target(Protocol):
    """What import, export, explain, fleet, erase, purge and backup need of a store near or far."""

    def put(self, sessions: Sequence[MediaSession]) -> list[Bad]:
        """Merge sessions; return those that contradict what is there. The others are durable."""

    def announce(self, news: MeetingNews) -> str:
        """Announce or amend a meeting whose id is known; return why it was refused, or ""."""

    def meetings(self, *, from_ms: int, to_ms: int) -> Iterator[str]:
        """Ids of meetings that started in [from_ms, to_ms)."""

    def sessions(self, meeting: str) -> Iterator[MediaSession]:
        """Every session of a meeting; NotFound when it is unknown, Gone when it was removed."""

    def quality(self, meeting: str) -> bytes:
        """What GET /v1/roomtone/meetings/{id} answers; errors as with `sessions`."""

    def fleet(self, query: Mapping[str, str]) -> bytes:
        """What GET /v1/roomtone/fleet answers to the query."""

    def erase(self, email: str) -> int:
        """Forget a person; return how many sessions and meetings were changed."""

    def purge(self, *, before_ms: int) -> int:
        """Remove meetings that ended before a time; return how many."""

    def backup(self, file: Path, *, progress: Callable[[float], None]) -> None:
        """Write a copy to a file that must not exist; progress gets 0..1."""


@contextmanager
def opened(where: Where, *, known_org: bool = False, create: bool = False) -> Iterator[Target]:
    """The target that the flags name, closed afterwards; with `known_org` no new organisation's.

    `create`: a folder that is not there is made, as `serve` does.
    """
    if where.url and (where.data or where.org):
        raise Invalid("give --url and --token, or --data and --org, not both")
    if where.url:
        if not where.token:
            raise Invalid("--url needs --token, or ROOMTONE_TOKEN")
        with Client(where.url, token=where.token) as client:
            yield ServerTarget(client)
        return
    if not where.org:
        raise Invalid("say where: --data DIR --org ORG, or --url URL --token TOKEN")
    with store_at(where.data, create=create) as store:
        if known_org and where.org not in store.organisations():
            raise Invalid(f"--org is {where.org}, which nothing in the store belongs to")
        yield StoreTarget(store, where.org)


@contextmanager
def store_at(data: Path | None, *, create: bool = False) -> Iterator[Store]:
    """The store in a folder (by default that of ROOMTONE_DATA); the folder must be there."""
    text = os.environ.get("ROOMTONE_DATA", "") if data is None else str(data)
    if not text:
        raise Invalid("--data is missing: the folder of the store")
    if not create and not Path(text).is_dir():
        raise Invalid(f"--data is {text}, which is no folder")
    store = open_store(text)
    try:
        yield store
    finally:
        store.close()


class StoreTarget:
    """The store's own files, one organisation."""

    def __init__(self, store: Store, org: str) -> None:
        self._store = store
        self._org = org

    def put(self, sessions: Sequence[MediaSession]) -> list[Bad]:
        """One commit; a session that contradicts is left out of it."""
        bad: list[Bad] = []
        with self._store.transaction():
            for index, session in enumerate(sessions):
                try:
                    with self._store.transaction():
                        self._store.put_session(self._org, session, now_ms())
                except (Conflict, Gone) as error:
                    bad.append((index, error.message))
        return bad

    def announce(self, news: MeetingNews) -> str:
        """One commit."""
        try:
            with self._store.transaction():
                self._store.put_meeting(self._org, news, now_ms())
        except (Conflict, Gone) as error:
            return error.message
        return ""

    def meetings(self, *, from_ms: int, to_ms: int) -> Iterator[str]:
        """All pages are read first, so that meetings that come meanwhile shift nothing."""
        found: list[str] = []
        while True:
            query = MeetingQuery(
                from_ms=from_ms, to_ms=to_ms, offset=len(found), limit=PAGE_MEETINGS
            )
            page = self._store.meetings(self._org, query, deadline=monotonic() + READ_S_MAX)
            found += [meeting.id for meeting in page]
            if len(page) < PAGE_MEETINGS:
                return iter(dict.fromkeys(found))

    def sessions(self, meeting: str) -> Iterator[MediaSession]:
        """Page after page."""
        if self._store.meeting(self._org, meeting) is None:
            raise NotFound(f"meeting {meeting} is not known in organisation {self._org}")
        offset = 0
        while page := self._store.sessions(
            self._org,
            meeting,
            offset=offset,
            limit=PAGE_SESSIONS,
            deadline=monotonic() + READ_S_MAX,
        ):
            yield from page
            offset += len(page)

    def quality(self, meeting: str) -> bytes:
        """Scored here and now."""
        from roomtone import scoring
        from roomtone.api import scores  # half a second that the other commands need not wait

        sessions = list(islice(self.sessions(meeting), ITEMS_MAX + 1))
        more = len(sessions) > ITEMS_MAX
        thresholds = scoring.thresholds_of(self._store, self._org)
        found = scores.quality(meeting, sessions[:ITEMS_MAX], thresholds, more=more)
        return msgspec.json.encode(found)

    def fleet(self, query: Mapping[str, str]) -> bytes:
        """Counted here and now."""
        from roomtone.api import fleet  # as above

        asked = fleet.asked_of(query, now_ms=now_ms())
        deadline = monotonic() + READ_S_MAX
        return msgspec.json.encode(fleet.answered(self._store, self._org, asked, deadline=deadline))

    def erase(self, email: str) -> int:
        """In one commit."""
        with self._store.transaction():
            return self._store.erase(self._org, email)

    def purge(self, *, before_ms: int) -> int:
        """In short commits, so that a running server gets its turn."""
        removed = 0
        while True:
            with self._store.transaction():
                batch = self._store.purge(self._org, before_ms=before_ms, limit=PURGE_BATCH)
            removed += batch
            if batch < PURGE_BATCH:
                return removed

    def backup(self, file: Path, *, progress: Callable[[float], None]) -> None:
        """The store's own copy, of this organisation."""
        self._store.backup(file, org=self._org, progress=progress)


class _Erased(Struct):
    changed: int


class _Purged(Struct):
    meetings: int


class ServerTarget:
    """A server over HTTP; the token says which organisation."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def put(self, sessions: Sequence[MediaSession]) -> list[Bad]:
        """In bodies that a server takes; a body that is refused is sent again item by item."""
        bad: list[Bad] = []
        start = 0
        for body in bodies(sessions):
            count = len(body)
            bad += [(start + index, why) for index, why in self._post(body)]
            start += count
        return bad

    def _post(self, items: list[bytes]) -> list[Bad]:
        try:
            self._client.post("/v1/meeting/qualities", body_of(items))
        except Refused as error:
            if error.status not in {400, 409, 410, 413}:
                raise
            if len(items) == 1:
                return [(0, error.message)]
            return [(at, why) for at, item in enumerate(items) for _, why in self._post([item])]
        return []

    def announce(self, news: MeetingNews) -> str:
        """POST /v1/meetings."""
        try:
            self._client.post("/v1/meetings", msgspec.json.encode(news))
        except Refused as error:
            if error.status not in {400, 409, 410}:
                raise
            return error.message
        return ""

    def meetings(self, *, from_ms: int, to_ms: int) -> Iterator[str]:
        """GET /v1/meetings."""
        params: dict[str, str | int] = {
            "meetingType": "meeting",
            "from": iso_ms(from_ms),
            "to": iso_ms(to_ms),
            "max": PAGE_MEETINGS,
        }
        found = [
            msgspec.json.decode(item)["id"] for item in self._client.items("/v1/meetings", params)
        ]
        return iter(dict.fromkeys(found))

    def sessions(self, meeting: str) -> Iterator[MediaSession]:
        """GET /v1/meeting/qualities."""
        return self._client.sessions(meeting)

    def quality(self, meeting: str) -> bytes:
        """GET /v1/roomtone/meetings/{id}."""
        return self._client.get(f"/v1/roomtone/meetings/{quote(meeting, safe='')}")

    def fleet(self, query: Mapping[str, str]) -> bytes:
        """GET /v1/roomtone/fleet."""
        return self._client.get(f"/v1/roomtone/fleet?{urlencode(query)}")

    def erase(self, email: str) -> int:
        """POST /v1/roomtone/erase."""
        body = msgspec.json.encode({"email": email})
        return _answer(self._client.post("/v1/roomtone/erase", body), _Erased).changed

    def purge(self, *, before_ms: int) -> int:
        """POST /v1/roomtone/purge."""
        body = msgspec.json.encode({"before": iso_ms(before_ms)})
        return _answer(self._client.post("/v1/roomtone/purge", body), _Purged).meetings

    def backup(self, file: Path, *, progress: Callable[[float], None]) -> None:
        """GET /v1/roomtone/backup."""
        self._client.download("/v1/roomtone/backup", file, progress=progress)


def _answer(body: bytes, shape: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=shape)
    except msgspec.DecodeError:
        raise RoomtoneError("the server's answer is not one of Roomtone") from None
