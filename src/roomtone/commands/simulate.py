"""`roomtone simulate`: send believable meetings to a server, whole or as time goes by."""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Final

import msgspec
from cyclopts import Parameter

from roomtone import simulate as simulation
from roomtone.client import Client, bodies, body_of
from roomtone.commands.terminal import moment_ms, now_ms, plural, progress, say
from roomtone.errors import Invalid
from roomtone.model import MediaSession
from roomtone.simulate import PAUSE_MS, SimulatedMeeting, piece

MEETINGS_MAX: Final = 100_000
PARTICIPANTS_MAX: Final = 10_000
MINUTES_MAX: Final = 10_000
MINUTE_MS: Final = 60_000
SPEED_MAX: Final = 1_000_000.0


def simulate(
    *,
    url: str,
    token: Annotated[str, Parameter(env_var="ROOMTONE_TOKEN")],
    meetings: int = 1,
    participants: int = 6,
    minutes: int = 45,
    seed: int = 1,
    start: str = "",
    speed: float | None = None,
) -> None:
    """Send simulated meetings to a server. Their titles start with "Simulated:".

    Parameters
    ----------
    url
        Address of the server, as in http://127.0.0.1:8080.
    token
        Bearer token with scope telemetry:write.
    meetings
        How many.
    participants
        How many in each.
    minutes
        How long each is.
    seed
        The same seed and start give the same meetings.
    start
        When the first meeting starts, as in 2026-11-01T09:30:00Z; if left out, the last ends now.
    speed
        Play the meetings at this many times the speed of the clock, all at once, posting each
        minute when it has passed; if left out, they are sent whole.
    """
    _check("--meetings", meetings, MEETINGS_MAX)
    _check("--participants", participants, PARTICIPANTS_MAX)
    _check("--minutes", minutes, MINUTES_MAX)
    if speed is not None and not 0 < speed <= SPEED_MAX:
        raise Invalid(f"--speed is {speed}, but must be over 0 and at most {SPEED_MAX:.0f}")
    length_ms = minutes * MINUTE_MS
    span_ms = length_ms if speed else meetings * (length_ms + PAUSE_MS) - PAUSE_MS
    late_ms = round(length_ms / speed) if speed else 0
    start_ms = moment_ms(start, name="--start") if start else now_ms() + late_ms - span_ms
    with Client(url, token=token) as client:
        if speed is None:
            made = _made(seed, meetings, participants, minutes, start_ms)
            count = _send_whole(client, made, meetings)
        else:
            together = _together(seed, meetings, participants, minutes, start_ms)
            count = _play(client, together, minutes=minutes, start_ms=start_ms, speed=speed)
    say(f"sent {plural(count, 'session')} of {plural(meetings, 'meeting')}")


def _check(flag: str, value: int, greatest: int) -> None:
    if not 1 <= value <= greatest:
        raise Invalid(f"{flag} is {value}, but must be 1..{greatest}")


def _made(
    seed: int, count: int, participants: int, minutes: int, start_ms: int
) -> Iterator[SimulatedMeeting]:
    """Meetings one after the other."""
    return simulation.meetings(
        seed=seed, count=count, participants=participants, minutes=minutes, start_ms=start_ms
    )


def _together(
    seed: int, count: int, participants: int, minutes: int, start_ms: int
) -> list[SimulatedMeeting]:
    """Meetings that all start at once."""
    return [
        simulation.meeting(
            seed=seed,
            index=index,
            participants=participants,
            minutes=minutes,
            start_ms=start_ms,
        )
        for index in range(count)
    ]


def _post(client: Client, sessions: Sequence[MediaSession]) -> None:
    for body in bodies(sessions):
        client.post("/v1/meeting/qualities", body_of(body))


def _send_whole(client: Client, made: Iterator[SimulatedMeeting], total: int) -> int:
    count = 0
    with progress("simulate", total=total) as advance:
        for simulated in made:
            client.post("/v1/meetings", msgspec.json.encode(simulated.news))
            _post(client, simulated.sessions)
            count += len(simulated.sessions)
            advance(1)
    return count


def _play(
    client: Client,
    playing: list[SimulatedMeeting],
    *,
    minutes: int,
    start_ms: int,
    speed: float,
    sleep: Callable[[float], None] = time.sleep,
) -> int:
    """Post minute after minute; an end is announced only when it has come."""
    began = time.monotonic()
    for simulated in playing:
        opening = msgspec.structs.replace(simulated.news, end=msgspec.UNSET)
        client.post("/v1/meetings", msgspec.json.encode(opening))
    with progress("simulate", total=minutes) as advance:
        for minute in range(1, minutes + 1):
            sleep(max(0.0, began + minute * 60 / speed - time.monotonic()))
            to_ms = start_ms + minute * MINUTE_MS
            for simulated in playing:
                cut = (
                    piece(session, from_ms=to_ms - MINUTE_MS, to_ms=to_ms)
                    for session in simulated.sessions
                )
                _post(client, [session for session in cut if session is not None])
            advance(1)
    for simulated in playing:
        client.post("/v1/meetings", msgspec.json.encode(simulated.news))
    return sum(len(simulated.sessions) for simulated in playing)
