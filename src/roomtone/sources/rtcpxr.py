"""RFC 6035 reports (application/vq-rtcpxr), which IP telephones publish: a body -> a session.

LocalMetrics are of what the telephone received, RemoteMetrics of what the far end received of it.
"""

import re
from typing import Final, Literal, NamedTuple

from msgspec import Struct, field

from roomtone.measure.codecs import codec_label
from roomtone.model import (
    INTERVAL_S_MAX,
    STRING_LENGTH_MAX,
    MediaSession,
    Stream,
    StreamKind,
    epoch_ms,
    iso_ms,
)
from roomtone.sources.sip import meeting_id, minted_id

LINES_MAX: Final = 500
LINE_LENGTH_MAX: Final = 4_096
SPANS_MAX: Final = 256
PIECE_MS_MIN: Final = 1_000
ReportKind = Literal["interval", "session", "alert"]
KINDS: Final[dict[str, ReportKind]] = {
    "vqintervalreport": "interval",
    "vqsessionreport": "session",
    "vqalertreport": "alert",
}
METRICS: Final = {
    "localmetrics": "", "remotemetrics": "",
    "timestamps": "", "sessiondesc": "", "packetloss": "", "delay": "",
    "jitterbuffer": "JitterBuffer", "burstgaploss": "BurstGapLoss",
    "signal": "Signal", "qualityest": "QualityEst",
}  # fmt: skip
"""Lines of LocalMetrics and RemoteMetrics; those with a name here tell nothing that is kept."""
_KIND_OF: Final[dict[tuple[bool, str], StreamKind]] = {
    (False, "In"): "audioIn",
    (False, "Out"): "audioOut",
    (True, "In"): "videoIn",
    (True, "Out"): "videoOut",
}
STATIC_CODECS: Final = {
    "0": "PCMU", "3": "GSM", "4": "G723", "8": "PCMA", "9": "G722", "15": "G728", "18": "G729",
}  # fmt: skip
"""RFC 3551, table 4."""
VIDEO_CODECS: Final = frozenset({"h261", "h263", "h263-1998", "h264", "h265", "vp8", "vp9", "av1"})
VIDEO_RATE: Final = "90000"

_SIP_START: Final = re.compile(r"[A-Z]+ \S+ SIP/2\.0|SIP/2\.0 \d{3}\b.*")
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9-]*")
_CONTROL: Final = re.compile("[\x00-\x08\x0a-\x1f\x7f]")
_PAIR: Final = re.compile(r'(?<![A-Za-z0-9-])([A-Za-z][A-Za-z0-9-]*)=("[^"]*"|\S*)')
_NUMBER: Final = re.compile(r"[0-9]{1,5}(\.[0-9]{1,6})?")
_TAG: Final = re.compile(r";\s*(?:to|from)-tag=([^;\s]+)", re.IGNORECASE)
_URI: Final = re.compile(r"(?:sips?|tel):([^;?>]*).*", re.IGNORECASE)
"""E.g. sip:alice@example.com;user=phone, of which the first part says who it is."""


class Refused(Exception):
    """A line that breaks a rule of RFC 6035; lines count from 1."""

    def __init__(self, line: int, rule: str) -> None:
        super().__init__(f"{rule} - at line {line}")


class Line(NamedTuple):
    """A line `Name: value` and its number."""

    number: int
    name: str
    value: str


class Figures(NamedTuple):
    """What one direction was like from `start_ms` to `stop_ms`; None is unknown."""

    kind: StreamKind
    start_ms: int
    stop_ms: int
    loss_percent: int | float | None
    latency_ms: int | float | None
    jitter_ms: int | float | None
    codec: str


class Report(Struct):
    """One report: the telephone's session without streams, and up to two directions' figures."""

    kind: ReportKind
    session: MediaSession
    figures: list[Figures]
    unused: dict[str, int] = field(default_factory=dict)


Spans = list[tuple[int, int]]
Told = dict[StreamKind, Spans]
"""The time, in ms since 1970, that a session's figures stand for; sorted, disjoint."""


def read(body: bytes, *, earliest_ms: int, latest_ms: int) -> Report:
    """The report of a body, or of a whole SIP message around it; Refused.

    Times must lie from `earliest_ms` to `latest_ms`.
    """
    lines = _lines(body)
    agent = _skip_head(lines)
    first = lines[0] if lines else Line(1, "", "")
    kind = KINDS.get(first.name.lower())
    if kind is None:
        raise Refused(first.number, "Expected VQIntervalReport, VQSessionReport or VQAlertReport")
    top, local, remote = _parts(lines[1:])
    session = _session(first, top, agent)
    figures: list[Figures] = []
    bounds = (earliest_ms, latest_ms)
    if local is not None:
        mine = _figures(local, None, "In", bounds)
        figures.append(mine)
        if kind == "session":
            session.joinTime = iso_ms(mine.start_ms)
            if first.value.lower() == "callterm":
                session.leaveTime = iso_ms(mine.stop_ms)
        if remote is not None:
            figures.append(_figures(remote, mine, "Out", bounds))
    unused = _unused([*(local or []), *(remote or [])])
    return Report(kind, session, figures, unused)


def place(report: Report, told: Told) -> Told:
    """Give the session those figures whose time no report has told of; return what is told then.

    An interval takes the longest piece that is left of its time: some telephones let START stand at
    the beginning of the call. A session report must have all of its time to itself.
    """
    after = dict(told)
    for one in report.figures:
        pieces = uncovered(told.get(one.kind, []), one.start_ms, one.stop_ms)
        start_ms, stop_ms = max(pieces, key=lambda piece: piece[1] - piece[0], default=(0, 0))
        whole = (start_ms, stop_ms) == (one.start_ms, one.stop_ms)
        if stop_ms - start_ms < PIECE_MS_MIN or (report.kind == "session" and not whole):
            continue
        if stop_ms - start_ms > 1000 * INTERVAL_S_MAX or _is_empty(one):
            continue
        setattr(report.session, one.kind, [_entry(one, start_ms, stop_ms)])
        after[one.kind] = _with(after.get(one.kind, []), start_ms, stop_ms)
    return after


def uncovered(spans: Spans, start_ms: int, stop_ms: int) -> Spans:
    """The pieces of a time that lie in none of the spans."""
    pieces: Spans = []
    for low_ms, high_ms in spans:
        if start_ms < low_ms:
            pieces.append((start_ms, min(low_ms, stop_ms)))
        start_ms = max(start_ms, high_ms)
        if start_ms >= stop_ms:
            return [piece for piece in pieces if piece[0] < piece[1]]
    return [piece for piece in [*pieces, (start_ms, stop_ms)] if piece[0] < piece[1]]


def _with(spans: Spans, start_ms: int, stop_ms: int) -> Spans:
    """The spans and one more, neighbours joined; above SPANS_MAX the oldest gap is closed too."""
    joined: Spans = []
    for low_ms, high_ms in sorted([*spans, (start_ms, stop_ms)]):
        if joined and low_ms <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(high_ms, joined[-1][1]))
        else:
            joined.append((low_ms, high_ms))
    if len(joined) > SPANS_MAX:
        joined[:2] = [(joined[0][0], joined[1][1])]
    return joined


def _is_empty(one: Figures) -> bool:
    return one.loss_percent is None and one.latency_ms is None and one.jitter_ms is None


def _entry(one: Figures, start_ms: int, stop_ms: int) -> Stream:
    seconds = (stop_ms - start_ms) / 1000
    return Stream(
        samplingInterval=int(seconds) if seconds.is_integer() else seconds,
        startTime=iso_ms(start_ms),
        endTime=iso_ms(stop_ms),
        packetLoss=[] if one.loss_percent is None else [one.loss_percent],
        latency=[] if one.latency_ms is None else [one.latency_ms],
        jitter=[] if one.jitter_ms is None else [one.jitter_ms],
        codec=one.codec,
    )


def _lines(body: bytes) -> list[Line]:
    """The lines that are not blank; the name of one without a colon is all of it."""
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        number = body.count(b"\n", 0, error.start) + 1
        raise Refused(number, "Expected UTF-8") from None
    found: list[Line] = []
    for number, raw in enumerate(text.split("\n"), 1):
        if number > LINES_MAX:
            raise Refused(number, f"Expected at most {LINES_MAX} lines")
        line = raw.removesuffix("\r")
        if len(line) > LINE_LENGTH_MAX:
            raise Refused(number, f"Expected at most {LINE_LENGTH_MAX} characters")
        if _CONTROL.search(line):
            raise Refused(number, "Expected no control characters")
        name, _, value = line.partition(":")
        if number == 1 and _SIP_START.fullmatch(line):
            name, value = line, ""
        found.append(Line(number, name.strip(), value.strip()))
    return found


def _skip_head(lines: list[Line]) -> str:
    """Drop a SIP message's start and header, and blank lines; return its User-Agent."""
    agent = ""
    if lines and _SIP_START.fullmatch(lines[0].name):
        while lines and (lines[0].name or lines[0].value):
            if lines[0].name.lower() == "user-agent":
                agent = lines[0].value
            del lines[0]
    lines[:] = [line for line in lines if line.name or line.value]
    return agent


def _parts(lines: list[Line]) -> tuple[dict[str, Line], list[Line] | None, list[Line] | None]:
    """Lines about the call by lower-case name, those of LocalMetrics, those of RemoteMetrics."""
    top: dict[str, Line] = {}
    metrics: dict[str, list[Line]] = {}
    section: list[Line] | None = None
    for line in lines:
        name = line.name.lower()
        if not _NAME.fullmatch(line.name):
            raise Refused(line.number, "Expected `Name: value`")
        if name in ("localmetrics", "remotemetrics"):
            if name in metrics:
                raise Refused(line.number, f"Expected {line.name} once")
            section = metrics[name] = [line]
        elif name in METRICS and section is not None:
            if any(other.name.lower() == name for other in section):
                raise Refused(line.number, f"Expected {line.name} once in its metrics")
            section.append(line)
        else:
            top.setdefault(name, line)
    return top, metrics.get("localmetrics"), metrics.get("remotemetrics")


def _session(first: Line, top: dict[str, Line], agent: str) -> MediaSession:
    """Whose report it is, and of which call."""
    call = top.get("callid")
    if call is None or not call.value:
        raise Refused(first.number, "Expected a CallID")
    meeting = meeting_id(call.value)
    if not meeting:
        raise Refused(call.number, "Expected a CallID of at most 256 characters")
    local = top["localid"].value if "localid" in top else ""
    address = _pairs(top.get("localaddr"))
    end = _end(first, top, meeting, local, address.get("ssrc", ""))
    agent = agent or _pairs(top.get("linphoneext")).get("ua", "")
    if not agent and "x-useragent" in top:
        agent = top["x-useragent"].value
    return MediaSession(
        meetingInstanceId=meeting,
        participantId=end,
        participantSessionId=end,
        webexUserName=_who(local),
        clientVersion=agent[:STRING_LENGTH_MAX],
        localIP=address.get("ip", "")[:STRING_LENGTH_MAX],
    )


def _end(first: Line, top: dict[str, Line], meeting: str, local: str, ssrc: str) -> str:
    """The participant's id: of the dialogue's random tags and the local name, or of the SSRC."""
    tags = sorted(_TAG.findall(top["dialogid"].value)) if "dialogid" in top else []
    if tags and local:
        return minted_id([meeting, *tags, local])
    if not ssrc:
        raise Refused(first.number, "Expected DialogID with tags and LocalID, or LocalAddr's SSRC")
    return minted_id([meeting, ssrc.lower()])


def _who(local: str) -> str:
    """The name in `"Alice" <sip:alice@example.com>`, else its address."""
    display, angle, rest = local.rpartition("<")
    if angle:
        local = rest.partition(">")[0]
        if name := display.strip().strip('"').strip():
            return name[:STRING_LENGTH_MAX]
    uri = _URI.fullmatch(local.strip())
    return (uri[1] if uri else local.strip())[:STRING_LENGTH_MAX]


def _pairs(line: Line | None) -> dict[str, str]:
    """`A=1 B="x y"` by lower-case key."""
    found = _PAIR.findall(line.value) if line is not None else []
    return {key.lower(): value.strip('"') for key, value in found}


def _figures(
    section: list[Line], other: Figures | None, direction: str, bounds: tuple[int, int]
) -> Figures:
    """The figures of a section; what the far end's leaves out of the time is as in `other`."""
    lines = {line.name.lower(): line for line in section}
    described = _pairs(lines.get("sessiondesc"))
    name = described.get("pd") or STATIC_CODECS.get(described.get("pt", ""), "")
    is_video = described.get("sr") == VIDEO_RATE or name.lower() in VIDEO_CODECS
    if not described and other is not None:
        is_video = other.kind.startswith("video")
    if "timestamps" in lines:
        start_ms, stop_ms = _span(lines["timestamps"], bounds)
    elif other is not None:
        start_ms, stop_ms = other.start_ms, other.stop_ms
    else:
        raise Refused(section[0].number, "Expected Timestamps")
    latency, jitter = _delay(lines.get("delay"))
    kind = _KIND_OF[is_video, direction]
    loss = _number(lines.get("packetloss"), "NLR", 100)
    codec = codec_label(name, described.get("fmtp", "")) if name else ""
    return Figures(kind, start_ms, stop_ms, loss, latency, jitter, codec)


def _span(line: Line, bounds: tuple[int, int]) -> tuple[int, int]:
    pairs = _pairs(line)
    try:
        start_ms, stop_ms = epoch_ms(pairs["start"]), epoch_ms(pairs["stop"])
    except (KeyError, ValueError, OverflowError):
        raise Refused(line.number, "Expected START and STOP as times with a zone") from None
    if not bounds[0] <= start_ms <= stop_ms <= bounds[1]:
        rule = "Expected START before STOP, from 2000 on and at most a day ahead"
        raise Refused(line.number, rule)
    return start_ms, stop_ms


def _delay(line: Line | None) -> tuple[int | float | None, int | float | None]:
    """(round trip, jitter) in ms. RTD 0 is not measured; nor is IAJ 0 beside it."""
    latency = _number(line, "RTD", 65_535) or None
    jitter = _number(line, "IAJ", 65_535)
    return latency, jitter if jitter or latency else None


def _number(line: Line | None, key: str, most: int) -> int | float | None:
    """A number from 0 to `most`; None where it is not said, Refused for anything else."""
    text = _pairs(line).get(key.lower())
    if line is None or text is None:
        return None
    if not _NUMBER.fullmatch(text) or float(text) > most:
        raise Refused(line.number, f"Expected {key} from 0 to {most}")
    return float(text) if "." in text else int(text)


def _unused(lines: list[Line]) -> dict[str, int]:
    """How often each kind of line came that nothing is made of."""
    found: dict[str, int] = {}
    for line in lines:
        if name := METRICS[line.name.lower()]:
            found[name] = found.get(name, 0) + 1
    return found
