"""Believable meetings, made up: the same seed and start always give the same ones.

Pure generators for the demonstration, for `roomtone simulate` and for benchmarks. Titles start with
"Simulated:", so that nobody takes them for real.
"""

from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass
from random import Random
from typing import Final

from msgspec import UNSET, structs

from roomtone.model import (
    COLUMNS,
    RESOURCE_COLUMNS,
    STREAM_KINDS,
    MediaSession,
    MeetingNews,
    Resources,
    Stream,
    StreamKind,
    column_of,
    epoch_ms,
    iso_ms,
    iso_s,
    sample_count,
    streams_of,
)
from roomtone.simulate import series
from roomtone.simulate.cast import TITLES, Person, cast
from roomtone.simulate.effects import Condition
from roomtone.simulate.script import Trouble, conditions, troubles

TITLE_PREFIX: Final = "Simulated: "
PAUSE_MS: Final = 10 * 60_000
"""Between the end of one simulated meeting and the start of the next."""
SHARE_CHANCE: Final = 0.7

_AUDIO: Final[tuple[tuple[StreamKind, str, series.Sampler], ...]] = (
    ("audioIn", "Opus", series.audio_in),
    ("audioOut", "Opus", series.audio_out),
)
_VIDEO: Final[tuple[tuple[StreamKind, str, series.Sampler], ...]] = (
    ("videoIn", "H.264 BP", series.video_in),
    ("videoOut", "H.264 BP", series.video_out),
)


@dataclass(frozen=True, kw_only=True)
class SimulatedMeeting:
    """A meeting with every session whole, and the script of what happens in it."""

    news: MeetingNews
    sessions: list[MediaSession]
    troubles: list[Trouble]
    people: list[Person]


@dataclass(frozen=True, kw_only=True)
class _Stage:
    """All that one meeting's series are drawn from."""

    meeting_id: str
    start_ms: int
    interval_s: int
    intervals: int
    people: list[Person]
    script: list[Trouble]
    states: list[list[Condition]]
    speakers: list[int]
    share: tuple[int, range]
    """Who shares, and during which intervals."""


def meetings(
    *,
    seed: int,
    count: int,
    participants: int,
    minutes: int,
    start_ms: int,
    interval_s: int = 60,
) -> Iterator[SimulatedMeeting]:
    """`count` meetings one after the other, the first from `start_ms` on."""
    for index in range(count):
        yield meeting(
            seed=seed,
            index=index,
            participants=participants,
            minutes=minutes,
            start_ms=start_ms + index * (minutes * 60_000 + PAUSE_MS),
            interval_s=interval_s,
        )


def meeting(
    *,
    seed: int,
    index: int,
    participants: int,
    minutes: int,
    start_ms: int,
    interval_s: int = 60,
    title: str = "",
) -> SimulatedMeeting:
    """One meeting. `index` chooses the title and the troubles; all of it is chance by the seed."""
    assert participants > 0
    rng = Random(f"roomtone/{seed}/{index}/{start_ms}/{interval_s}")
    intervals = max(1, minutes * 60 // interval_s)
    people = cast(rng, participants)
    script = troubles(rng, people, intervals, index=index)
    stage = _stage(rng, people, script, intervals, start_ms=start_ms, interval_s=interval_s)
    return _played(rng, stage, minutes, title or TITLES[index % len(TITLES)])


def scripted(
    people: list[Person],
    script: list[Trouble],
    *,
    seed: int,
    minutes: int,
    start_ms: int,
    interval_s: int = 60,
    title: str = "scripted",
) -> SimulatedMeeting:
    """A meeting of these people in which this happens; all else is chance by the seed."""
    rng = Random(f"roomtone/scripted/{seed}/{title}")
    intervals = max(1, minutes * 60 // interval_s)
    stage = _stage(rng, people, script, intervals, start_ms=start_ms, interval_s=interval_s)
    return _played(rng, stage, minutes, title)


def _played(rng: Random, stage: _Stage, minutes: int, title: str) -> SimulatedMeeting:
    host = stage.people[0]
    news = MeetingNews(
        id=stage.meeting_id,
        title=TITLE_PREFIX + title,
        start=iso_s(stage.start_ms),
        end=iso_s(stage.start_ms + minutes * 60_000),
        hostDisplayName=host.name,
        hostEmail=host.email,
        siteUrl="roomtone.example",
    )
    sessions = [_session(rng, stage, who) for who in range(len(stage.people))]
    return SimulatedMeeting(
        news=news, sessions=sessions, troubles=stage.script, people=stage.people
    )


def _stage(
    rng: Random,
    people: list[Person],
    script: list[Trouble],
    intervals: int,
    *,
    start_ms: int,
    interval_s: int,
) -> _Stage:
    length = max(1, intervals // 3) if rng.random() < SHARE_CHANCE else 0
    first = rng.randint(0, intervals - length)
    talkative = [rng.expovariate(1.0) + 0.05 for _ in people]
    return _Stage(
        meeting_id=f"{rng.getrandbits(128):032x}_I_{rng.randrange(10**17, 10**18)}",
        start_ms=start_ms,
        interval_s=interval_s,
        intervals=intervals,
        people=people,
        script=script,
        states=conditions(rng, people, script, intervals),
        speakers=rng.choices(range(len(people)), talkative, k=intervals),
        share=(rng.randrange(len(people)), range(first, first + length)),
    )


def _session(rng: Random, stage: _Stage, who: int) -> MediaSession:
    person = stage.people[who]
    late = [item.last for item in stage.script if item.kind == "late joiner" and item.target == who]
    first = late[0] if late else 0
    joining_s = round(rng.uniform(9, 24) if late else rng.uniform(1.2, 6.5), 3)
    spare_ms = min(stage.interval_s * 1000, 45_000)
    join_ms = stage.start_ms + first * stage.interval_s * 1000 + rng.randrange(spare_ms)
    base_ms = join_ms + round(joining_s * 1000) - first * stage.interval_s * 1000
    last = max(first, stage.intervals - 1)  # the interval that the end cuts off is not reported
    leave_ms = stage.start_ms + stage.intervals * stage.interval_s * 1000
    header = _header(stage, person, joining_s=joining_s)
    session = structs.replace(header, joinTime=iso_ms(join_ms), leaveTime=iso_ms(leave_ms))
    _fill(rng, stage, who, session, at=range(first, last), base_ms=base_ms)
    return session


def _header(stage: _Stage, person: Person, *, joining_s: float) -> MediaSession:
    client, site = person.client, person.site
    return MediaSession(
        meetingInstanceId=stage.meeting_id,
        webexUserName=person.name,
        webexUserEmail=person.email,
        joinMeetingTime=f"{joining_s:.3f}",
        clientType=client.client_type,
        clientVersion=client.version,
        osType=client.os_type,
        osVersion=client.os_version,
        hardwareType=client.hardware,
        speakerName=client.speaker,
        camera=client.camera,
        microphone=client.microphone,
        networkType=site.network,
        localIP=person.local_ip,
        publicIP=site.public_ip,
        serverRegion=site.region,
        participantId=person.participant_id,
        participantSessionId=person.session_id,
    )


def _fill(
    rng: Random, stage: _Stage, who: int, session: MediaSession, *, at: range, base_ms: int
) -> None:
    """Give a session the streams and resources of the intervals `at`."""
    for part, tcp in _transports(stage, who, at):
        presenter, shared = stage.share
        common = range(max(part.start, shared.start), min(part.stop, shared.stop))
        share_kind: StreamKind = "shareOut" if presenter == who else "shareIn"
        sampler = series.share_out if presenter == who else series.share_in
        plans = [(kind, codec, draw, part) for kind, codec, draw in (*_VIDEO, *_AUDIO)]
        for kind, codec, draw, span in [*plans, (share_kind, "H.264 BP", sampler, common)]:
            if len(span) > 0:
                samples = [
                    draw(rng, stage.states[who][i], _around(stage, who, i, tcp=tcp)) for i in span
                ]
                start_ms = base_ms + span.start * stage.interval_s * 1000
                streams_of(session, kind).append(
                    series.entry(
                        samples,
                        start_ms=start_ms,
                        interval_s=stage.interval_s,
                        codec=codec,
                        tcp=tcp,
                    )
                )
    if stage.people[who].client.reads_cpu and len(at) > 0:
        states = stage.states[who][at.start : at.stop]
        start_ms = base_ms + at.start * stage.interval_s * 1000
        session.resources.append(
            series.resources(rng, states, start_ms=start_ms, interval_s=stage.interval_s)
        )


def _transports(stage: _Stage, who: int, at: range) -> list[tuple[range, bool]]:
    """The intervals over UDP, then those over TCP; while the client falls back, one is missing."""
    person = stage.people[who]
    for trouble in stage.script:
        if trouble.kind in ("TCP fall-back", "slow TCP") and trouble.hits(who, person):
            switch = min(max(trouble.first, at.start), at.stop)
            return [(range(at.start, switch), False), (range(switch + 1, at.stop), True)]
    return [(at, False)]


def _around(stage: _Stage, who: int, interval: int, *, tcp: bool) -> series.Around:
    speaker = stage.speakers[interval]
    state = stage.states[speaker][interval]
    return series.Around(
        interval_s=stage.interval_s,
        people=len(stage.people),
        speaks=speaker == who,
        source_loss=0.0 if speaker == who or state.muted else state.loss_up,
        tcp=tcp,
    )


def piece(session: MediaSession, *, from_ms: int, to_ms: int) -> MediaSession | None:
    """What a client sends of a session at `to_ms` when it last sent at `from_ms`.

    The header, the samples whose interval ended in (from_ms, to_ms], and leaveTime once it has
    come; None before the join and when there is nothing new.
    """
    assert session.joinTime is not UNSET
    if epoch_ms(session.joinTime) > to_ms:
        return None
    part = copy(session)
    news = False
    for kind in STREAM_KINDS:
        cut = [_cut(entry, from_ms=from_ms, to_ms=to_ms) for entry in streams_of(session, kind)]
        setattr(part, kind, [entry for entry in cut if entry is not None])
        news = news or bool(streams_of(part, kind))
    cut_resources = [_cut_resources(r, from_ms=from_ms, to_ms=to_ms) for r in session.resources]
    part.resources = [entry for entry in cut_resources if entry is not None]
    joined = epoch_ms(session.joinTime) > from_ms
    left = session.leaveTime is not UNSET and from_ms < epoch_ms(session.leaveTime) <= to_ms
    if not left:
        part.leaveTime = UNSET
    return part if news or part.resources or joined or left else None


def _span(start_ms: int, interval_s: float, count: int, from_ms: int, to_ms: int) -> range:
    """Indexes of the samples whose interval ended in (from_ms, to_ms]."""
    length_ms = interval_s * 1000
    first = max(0, int((from_ms - start_ms) // length_ms))
    last = min(count, int((to_ms - start_ms) // length_ms))
    return range(first, max(first, last))


def _cut(entry: Stream, *, from_ms: int, to_ms: int) -> Stream | None:
    start_ms = epoch_ms(entry.startTime)
    span = _span(start_ms, entry.samplingInterval, sample_count(entry), from_ms, to_ms)
    if not span:
        return None
    length_ms = entry.samplingInterval * 1000
    columns = {name: column_of(entry, name)[span.start : span.stop] for name in COLUMNS}
    return structs.replace(
        entry,
        startTime=iso_ms(round(start_ms + span.start * length_ms)),
        endTime=iso_ms(round(start_ms + span.stop * length_ms)),
        **columns,
    )


def _cut_resources(entry: Resources, *, from_ms: int, to_ms: int) -> Resources | None:
    assert entry.startTime is not UNSET
    assert entry.samplingInterval is not UNSET
    start_ms = epoch_ms(entry.startTime)
    count = max(len(getattr(entry, name)) for name in RESOURCE_COLUMNS)
    span = _span(start_ms, entry.samplingInterval, count, from_ms, to_ms)
    if not span:
        return None
    columns = {name: getattr(entry, name)[span.start : span.stop] for name in RESOURCE_COLUMNS}
    moment = iso_ms(round(start_ms + span.start * entry.samplingInterval * 1000))
    return structs.replace(entry, startTime=moment, **columns)
