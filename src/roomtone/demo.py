"""The demonstration: an organisation with simulated meetings, one of them growing."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Final

from msgspec import UNSET, structs

from roomtone.auth import SCOPES, hash_token, new_token
from roomtone.errors import RoomtoneError
from roomtone.ingest import normalise
from roomtone.model import MediaSession, Meeting, MeetingNews, epoch_ms
from roomtone.services import Services
from roomtone.simulate import TITLE_PREFIX, SimulatedMeeting, meeting, piece
from roomtone.store import MeetingQuery, Store, Token

ORG: Final = "demo"
TOKEN_LABEL: Final = "administrator of the demonstration"  # noqa: S105 a label
LIVE_TITLE: Final = "open house"
SEED: Final = 1
ENDED_COUNT: Final = 11
LIVE_INDEX: Final = 8
"""The calm meeting of simulate's round of troubles, so that a first look is at a normal call."""
LIVE_PARTICIPANTS: Final = 6
LIVE_MINUTES: Final = 180
LIVE_AGE_MS: Final = 17 * 60_000
"""How long the meeting in progress has lasted when it is made."""
GROW_EVERY_S: Final = 5.0
DAY_MS: Final = 86_400_000
STARTS_MS: Final = (32_400_000, 39_600_000, 48_600_000, 57_600_000)
"""When meetings of a past day start: 09:00, 11:00, 13:30, 16:00 UTC."""
READ_S_MAX: Final = 10.0
SILENCE_MS: Final = 300_000
SEEDED_SESSIONS_MAX: Final = 1_000

log = logging.getLogger("roomtone")


@dataclass(frozen=True, kw_only=True)
class Demo:
    """What a newcomer is told: a token, and the meeting in progress."""

    token: str
    live: SimulatedMeeting


def prepare(store: Store, *, now_ms: int, interval_s: int) -> Demo:
    """Put the organisation into the store, or keep what is there; make a new token for it."""
    with store.transaction():
        if not _meetings(store, from_ms=0, to_ms=now_ms):
            _seed(store, now_ms)
        live = _live(store, now_ms, interval_s)
        _put(store, live.news, pieces(live, from_ms=0, to_ms=now_ms), now_ms)
        token = _renew_token(store, now_ms)
    return Demo(token=token, live=live)


def _seed(store: Store, now_ms: int) -> None:
    """Ended meetings over the last days, as if each had been heard of at its end."""
    today_ms = now_ms - now_ms % DAY_MS
    for index in range(ENDED_COUNT):
        days, slot = divmod(index, len(STARTS_MS))
        simulated = meeting(
            seed=SEED,
            index=index,
            participants=3 + index * 5 % 7,
            minutes=25 + index * 10 % 25,
            start_ms=today_ms - (days + 1) * DAY_MS + STARTS_MS[slot],
        )
        assert simulated.news.end is not UNSET
        _put(store, simulated.news, simulated.sessions, epoch_ms(simulated.news.end))
    store.seal(now_ms, silence_ms=SILENCE_MS, limit=SEEDED_SESSIONS_MAX)


def _live(store: Store, now_ms: int, interval_s: int) -> SimulatedMeeting:
    """The meeting in progress: the one that an earlier start began, if it still lasts; else new."""
    for found in _meetings(store, from_ms=now_ms - LIVE_MINUTES * 60_000, to_ms=now_ms):
        start_ms = epoch_ms(found.start)
        again = live_meeting(start_ms, interval_s)
        if again.news.id == found.id:
            return again
    return live_meeting(now_ms - now_ms % 1000 - LIVE_AGE_MS, interval_s)


def live_meeting(start_ms: int, interval_s: int) -> SimulatedMeeting:
    """The whole of a meeting that is told piece by piece; nobody has announced its end."""
    simulated = meeting(
        seed=SEED,
        index=LIVE_INDEX,
        participants=LIVE_PARTICIPANTS,
        minutes=LIVE_MINUTES,
        start_ms=start_ms,
        interval_s=interval_s,
        title=LIVE_TITLE,
    )
    simulated.news.end = UNSET
    return simulated


def _meetings(store: Store, *, from_ms: int, to_ms: int) -> Sequence[Meeting]:
    query = MeetingQuery(from_ms=from_ms, to_ms=to_ms)
    found = store.meetings(ORG, query, deadline=monotonic() + READ_S_MAX)
    return [item for item in found if item.title.startswith(TITLE_PREFIX)]


def pieces(live: SimulatedMeeting, *, from_ms: int, to_ms: int) -> list[MediaSession]:
    """What the participants of a meeting have to say of (from_ms, to_ms]."""
    cut = (piece(session, from_ms=from_ms, to_ms=to_ms) for session in live.sessions)
    return [session for session in cut if session is not None]


def _put(store: Store, news: MeetingNews, sessions: list[MediaSession], now_ms: int) -> None:
    """Write a meeting and sessions as ingest would."""
    store.put_meeting(ORG, news, now_ms)
    for session in sessions:
        copy = structs.replace(session)
        normalise(copy, now_ms)
        store.put_session(ORG, copy, now_ms)


def _renew_token(store: Store, now_ms: int) -> str:
    """A new administrator's token; the one that an earlier start printed is revoked."""
    for old in store.tokens(ORG):
        if old.label == TOKEN_LABEL and old.revoked_ms is None:
            store.revoke_token(ORG, old.hash.hex(), now_ms)
    token = new_token()
    store.put_token(
        Token(
            hash=hash_token(token),
            org=ORG,
            kind="access",
            scopes=frozenset(SCOPES) - {"analytics:read_anonymous"},
            created_ms=now_ms,
            label=TOKEN_LABEL,
        )
    )
    return token


class Growth:
    """Tells the meeting in progress on, beside the server and through its writer."""

    def __init__(self, live: SimulatedMeeting, *, told_ms: int) -> None:
        self._live = live
        self._told_ms = told_ms

    async def __call__(self, services: Services) -> None:
        """Run until cancelled; when the meeting is over, the next begins."""
        interval_s = services.settings.interval_s
        while True:
            await asyncio.sleep(min(GROW_EVERY_S, interval_s))
            try:
                await self._tell(services, services.now_ms())
            except RoomtoneError as error:
                log.warning("demonstration put off", extra={"fields": {"reason": error.message}})

    async def _tell(self, services: Services, now_ms: int) -> None:
        live = self._live
        sessions = pieces(live, from_ms=self._told_ms, to_ms=now_ms)
        if sessions:
            await services.writer.run(lambda store: _put(store, live.news, sessions, now_ms))
        self._told_ms = now_ms
        assert live.news.start is not UNSET
        if now_ms >= epoch_ms(live.news.start) + LIVE_MINUTES * 60_000:
            start_ms = now_ms - now_ms % 1000
            self._live = live_meeting(start_ms, services.settings.interval_s)
            self._told_ms = start_ms - 1
