"""The shapes of the Webex API, which are also Roomtone's own: domain and wire in one.

A `MediaSession` is one participant's connection to one meeting: a header, up to six kinds of
streams, each a set of parallel columns, and `resources`. Field names and their order are the
specification's (*Get Meeting Qualities*); value limits are ours and are checked while JSON is
decoded, so that an error carries its JSON path.
"""

from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal, get_args

from msgspec import UNSET, Meta, Struct, UnsetType, field, structs

ITEMS_MAX: Final = 1_000
SAMPLES_MAX: Final = 10_000
ENTRIES_MAX: Final = 1_000
STRING_LENGTH_MAX: Final = 1_024
INTERVAL_S_MAX: Final = 86_400
NUMBER_MAX: Final = 2**53
"""The largest whole number that every JSON reader gives back exactly (RFC 8259, 6)."""

ID_LENGTH_MAX: Final = 256

# Before a line end at the end of a text `$` matches as well, hence what follows it.
NAME_PATTERN: Final = r"^[^\x00-\x1f\x7f-\x9f]*$(?!\n)"
ID_PATTERN: Final = r"^[^\x00-\x1f\x7f-\x9f<>]+$(?!\n)"
PATTERN_RULES: Final = {
    NAME_PATTERN: "without control characters",
    ID_PATTERN: "without control characters, < and >",
}
"""The patterns in words, for error messages."""

Id = Annotated[str, Meta(min_length=1, max_length=ID_LENGTH_MAX, pattern=ID_PATTERN)]
"""A meeting's id: Webex's form or any name without control characters and angle brackets."""
Key = Annotated[str, Meta(max_length=STRING_LENGTH_MAX, pattern=NAME_PATTERN)]
"""Another id, or "" for none: any text without control characters."""
Text = Annotated[str, Meta(max_length=STRING_LENGTH_MAX)]
"""What people and devices are called. It may hold control characters, but no NUL (see ingest)."""
Time = Annotated[str, Meta(max_length=40, extra_json_schema={"format": "date-time"})]
"""ISO 8601 with a zone on input; always `2020-04-10T17:00:00.000Z` once it is inside."""
TimeOrEmpty = Annotated[
    str,
    Meta(
        max_length=40,
        extra_json_schema={"anyOf": [{"format": "date-time"}, {"maxLength": 0}]},
    ),
]
"""A `Time`, or "", which is the same as none."""

Number = (
    Annotated[int, Meta(ge=0, le=NUMBER_MAX)] | Annotated[float, Meta(ge=0, le=float(NUMBER_MAX))]
)
Percent = Annotated[int, Meta(ge=0, le=100)] | Annotated[float, Meta(ge=0, le=100)]
Interval = (
    Annotated[int, Meta(gt=0, le=INTERVAL_S_MAX)] | Annotated[float, Meta(gt=0, le=INTERVAL_S_MAX)]
)
Numbers = Annotated[list[Number | None], Meta(max_length=SAMPLES_MAX)]
Percents = Annotated[list[Percent | None], Meta(max_length=SAMPLES_MAX)]

StreamKind = Literal["videoIn", "videoOut", "audioIn", "audioOut", "shareIn", "shareOut"]
STREAM_KINDS: Final[tuple[StreamKind, ...]] = get_args(StreamKind)
AUDIO_KINDS: Final[tuple[StreamKind, ...]] = ("audioIn", "audioOut")
VIDEO_KINDS: Final[tuple[StreamKind, ...]] = ("videoIn", "videoOut")
SHARE_KINDS: Final[tuple[StreamKind, ...]] = ("shareIn", "shareOut")
Column = Literal["packetLoss", "latency", "resolutionHeight", "frameRate", "mediaBitRate", "jitter"]
COLUMNS: Final[tuple[Column, ...]] = get_args(Column)
ResourceColumn = Literal["processAverageCPU", "processMaxCPU", "systemAverageCPU", "systemMaxCPU"]
RESOURCE_COLUMNS: Final[tuple[ResourceColumn, ...]] = get_args(ResourceColumn)


class Stream(Struct, kw_only=True):
    """One unbroken run of samples: sample i stands at startTime + i * samplingInterval.

    Units: samplingInterval s, packetLoss percent, latency and jitter ms (latency is a round trip),
    resolutionHeight px, frameRate 1/s, mediaBitRate bit/s. Columns may differ in length; `null` is
    one unknown value, `[]` a column that nobody measured.
    """

    samplingInterval: Interval = 60
    startTime: Time
    endTime: TimeOrEmpty = ""
    packetLoss: Percents = field(default_factory=list)
    latency: Numbers = field(default_factory=list)
    resolutionHeight: Numbers = field(default_factory=list)
    frameRate: Numbers = field(default_factory=list)
    mediaBitRate: Numbers = field(default_factory=list)
    codec: Text = ""
    jitter: Numbers = field(default_factory=list)
    transportType: Text = ""


class Resources(Struct, kw_only=True):
    """CPU in percent (0..100) per interval.

    The specification gives `resources` no time axis. A sender that wants its samples merged by time
    adds startTime and samplingInterval (ours, served only when they were sent).
    """

    processAverageCPU: Percents = field(default_factory=list)
    processMaxCPU: Percents = field(default_factory=list)
    systemAverageCPU: Percents = field(default_factory=list)
    systemMaxCPU: Percents = field(default_factory=list)
    samplingInterval: Interval | UnsetType = UNSET
    startTime: Time | UnsetType = UNSET


Streams = Annotated[list[Stream], Meta(max_length=ENTRIES_MAX)]


class MediaSession(Struct, kw_only=True):
    """One participant session of one meeting: what is posted, stored, served and drawn.

    Only meetingInstanceId is required on input. `joinTime` is always served; `leaveTime` is absent
    while the participant is in the meeting. `joinMeetingTime` is a string of seconds ("5.793").
    """

    meetingInstanceId: Id
    webexUserName: Text = ""
    webexUserEmail: Text = ""
    joinTime: TimeOrEmpty | UnsetType = UNSET
    leaveTime: TimeOrEmpty | UnsetType = UNSET
    joinMeetingTime: Text = ""
    clientType: Text = ""
    clientVersion: Text = ""
    osType: Text = ""
    osVersion: Text = ""
    hardwareType: Text = ""
    speakerName: Text = ""
    networkType: Text = ""
    localIP: Text = ""
    publicIP: Text = ""
    maskedLocalIP: Text = ""
    maskedPublicIP: Text = ""
    camera: Text = ""
    microphone: Text = ""
    serverRegion: Text = ""
    videoMeshCluster: Text = ""
    videoMeshServer: Text = ""
    participantId: Key = ""
    participantSessionId: Key = ""
    videoIn: Streams = field(default_factory=list)
    videoOut: Streams = field(default_factory=list)
    audioIn: Streams = field(default_factory=list)
    audioOut: Streams = field(default_factory=list)
    shareIn: Streams = field(default_factory=list)
    shareOut: Streams = field(default_factory=list)
    resources: Annotated[list[Resources], Meta(max_length=ENTRIES_MAX)] = field(
        default_factory=list
    )


class MediaSessions(Struct, kw_only=True):
    """The body of GET and POST /v1/meeting/qualities."""

    items: Annotated[list[MediaSession], Meta(max_length=ITEMS_MAX)]


HEADER_FIELDS: Final[tuple[str, ...]] = tuple(
    name for name in MediaSession.__struct_fields__ if name not in (*STREAM_KINDS, "resources")
)
IDENTITY_FIELDS: Final = ("webexUserName", "webexUserEmail")
ADDRESS_FIELDS: Final = ("localIP", "publicIP")
DEVICE_LABEL_FIELDS: Final = ("speakerName", "camera", "microphone", "hardwareType")

MeetingState = Literal["scheduled", "inProgress", "ended"]


class Meeting(Struct, kw_only=True, omit_defaults=True):
    """A meeting instance, as GET /v1/meetings serves it. Times are `2019-11-01T12:12:15Z`."""

    id: str
    meetingSeriesId: str = ""
    scheduledMeetingId: str = ""
    title: str
    meetingType: Literal["meeting"] = field(default_factory=lambda: "meeting")
    state: MeetingState
    timezone: str = field(default_factory=lambda: "UTC")
    start: str
    end: str | UnsetType = UNSET
    hostUserId: str = ""
    hostDisplayName: str = ""
    hostEmail: str = ""
    siteUrl: str = ""
    webLink: str = ""


class MeetingNews(Struct, kw_only=True, forbid_unknown_fields=True):
    """What POST /v1/meetings announces or amends: only the fields that are sent change.

    meetingType and state are taken, so that a meeting that was read can be sent back amended, and
    change nothing: telemetry and the times tell whether a meeting is in progress.
    """

    id: Id | UnsetType = UNSET
    meetingSeriesId: Key | UnsetType = UNSET
    scheduledMeetingId: Key | UnsetType = UNSET
    title: Text | UnsetType = UNSET
    timezone: Text | UnsetType = UNSET
    start: Time | UnsetType = UNSET
    end: Time | UnsetType = UNSET
    hostUserId: Key | UnsetType = UNSET
    hostDisplayName: Text | UnsetType = UNSET
    hostEmail: Text | UnsetType = UNSET
    siteUrl: Text | UnsetType = UNSET
    webLink: Text | UnsetType = UNSET
    meetingType: Literal["meeting"] | UnsetType = UNSET
    state: MeetingState | UnsetType = UNSET


class Device(Struct, kw_only=True, omit_defaults=True):
    """One session of a participant, in the shape of `meetingParticipants[].devices[]`."""

    correlationId: str
    deviceType: str
    audioType: str = field(default_factory=lambda: "voip")
    joinedTime: str
    leftTime: str | UnsetType = UNSET
    durationSecond: int


class Participant(Struct, kw_only=True, omit_defaults=True):
    """A person in a meeting, as GET /v1/meetingParticipants serves it."""

    id: str
    orgId: str
    host: bool = field(default_factory=lambda: False)
    email: str
    displayName: str
    state: Literal["joined", "end"]
    joinedTime: str
    leftTime: str | UnsetType = UNSET
    meetingId: str
    hostEmail: str
    siteUrl: str
    devices: list[Device]


def epoch_ms(text: str) -> int:
    """Milliseconds since 1970 of an ISO 8601 time with a zone; ValueError for anything else."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a time needs a zone, such as Z")
    return round(moment.timestamp() * 1000)


def iso_ms(epoch: int) -> str:
    """`2020-04-10T17:00:00.000Z`: how session and stream times are written."""
    return f"{datetime.fromtimestamp(epoch // 1000, UTC).isoformat()[:19]}.{epoch % 1000:03d}Z"


def iso_s(epoch: int) -> str:
    """`2019-11-01T12:12:15Z`: how meeting times are written (cut, not rounded, to the second)."""
    return f"{datetime.fromtimestamp(epoch // 1000, UTC).isoformat()[:19]}Z"


def streams_of(session: MediaSession, kind: StreamKind) -> list[Stream]:
    """The entries of one kind of stream."""
    entries: list[Stream] = getattr(session, kind)
    return entries


def column_of(stream: Stream, column: Column) -> list[int | float | None]:
    """One column of an entry."""
    values: list[int | float | None] = getattr(stream, column)
    return values


def sample_count(stream: Stream) -> int:
    """How many intervals an entry covers: the length of its longest column."""
    # Spelled out, not a loop over COLUMNS: this runs for every stream of every post.
    return max(
        len(stream.packetLoss),
        len(stream.latency),
        len(stream.resolutionHeight),
        len(stream.frameRate),
        len(stream.mediaBitRate),
        len(stream.jitter),
    )


def anonymous(session: MediaSession) -> MediaSession:
    """A copy without names, e-mails, raw addresses and device labels (each becomes "")."""
    hidden: dict[str, Any] = dict.fromkeys(
        (*IDENTITY_FIELDS, *ADDRESS_FIELDS, *DEVICE_LABEL_FIELDS), ""
    )
    return structs.replace(session, **hidden)
