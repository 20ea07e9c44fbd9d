"""The baseline's pydantic models, with the limits that Roomtone checks too, and its merge."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field

Text = Annotated[str, Field(max_length=1024)]
Number = Annotated[int | float, Field(ge=0)]
Percent = Annotated[int | float, Field(ge=0, le=100)]
Numbers = Annotated[list[Number | None], Field(max_length=10_000)]
Percents = Annotated[list[Percent | None], Field(max_length=10_000)]

KINDS = ("videoIn", "videoOut", "audioIn", "audioOut", "shareIn", "shareOut")
COLUMNS = ("packetLoss", "latency", "resolutionHeight", "frameRate", "mediaBitRate", "jitter")


class Stream(BaseModel):
    """One stream of a session: columns from startTime on, a value per samplingInterval seconds."""

    samplingInterval: Annotated[int | float, Field(gt=0)] = 60
    startTime: Text
    endTime: Text = ""
    packetLoss: Percents = []
    latency: Numbers = []
    resolutionHeight: Numbers = []
    frameRate: Numbers = []
    mediaBitRate: Numbers = []
    codec: Text = ""
    jitter: Numbers = []
    transportType: Text = ""


class Resources(BaseModel):
    """CPU in percent."""

    processAverageCPU: Percents = []
    processMaxCPU: Percents = []
    systemAverageCPU: Percents = []
    systemMaxCPU: Percents = []


class MediaSession(BaseModel):
    """One participant session of one meeting."""

    meetingInstanceId: Annotated[str, Field(min_length=1, max_length=1024)]
    webexUserName: Text = ""
    webexUserEmail: Text = ""
    joinTime: Text = ""
    leaveTime: Text | None = None
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
    participantId: Text = ""
    participantSessionId: Text
    videoIn: list[Stream] = []
    videoOut: list[Stream] = []
    audioIn: list[Stream] = []
    audioOut: list[Stream] = []
    shareIn: list[Stream] = []
    shareOut: list[Stream] = []
    resources: list[Resources] = []


class MediaSessions(BaseModel):
    """The body of GET and POST /v1/meeting/qualities."""

    items: Annotated[list[MediaSession], Field(max_length=1000)]


def merged(stored: dict | None, posted: dict) -> dict:
    """The stored body with the posted piece in it: header replaced, streams continued."""
    if stored is None:
        return posted
    streams = {
        kind: continued(stored.get(kind, []), posted[kind]) for kind in KINDS if kind in posted
    }
    return stored | posted | streams


def continued(entries: list[dict], pieces: list[dict]) -> list[dict]:
    """Append each piece that starts where the last entry stops; keep others as new entries."""
    for piece in pieces:
        if not (entries and follows(entries[-1], piece)):
            entries = [*(entry for entry in entries if not same_start(entry, piece)), piece]
            continue
        last = entries[-1]
        for column in COLUMNS:
            last[column] = last.get(column, []) + piece.get(column, [])
        last["endTime"] = piece.get("endTime", "")
    return entries


def same_start(entry: dict, piece: dict) -> bool:
    """A repeated piece: it replaces the one that is there."""
    return entry["startTime"] == piece["startTime"]


def follows(entry: dict, piece: dict) -> bool:
    """The piece's first sample stands right after the entry's last one, at the same interval."""
    interval = entry.get("samplingInterval", 60)
    if piece.get("samplingInterval", 60) != interval:
        return False
    count = max(len(entry.get(column, [])) for column in COLUMNS)
    start, piece_start = (datetime.fromisoformat(x["startTime"]) for x in (entry, piece))
    return (piece_start - start).total_seconds() == count * interval
