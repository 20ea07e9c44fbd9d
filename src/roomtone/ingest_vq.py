"""The write of an RFC 6035 report: figures go where no earlier report of the session told any."""

from collections.abc import Callable
from typing import Final

import msgspec

from roomtone.errors import Invalid
from roomtone.ingest import AHEAD_MS_MAX, TIME_MS_MIN, normalise
from roomtone.model import STREAM_KINDS, sample_count, streams_of
from roomtone.sources import rtcpxr
from roomtone.sources.rtcpxr import Report, Told
from roomtone.store import Store

_decoder: Final = msgspec.json.Decoder(Told)


def parse_report(body: bytes, now_ms: int) -> Report:
    """The report of a body; Invalid with the line's number and the rule."""
    try:
        return rtcpxr.read(body, earliest_ms=TIME_MS_MIN, latest_ms=now_ms + AHEAD_MS_MAX)
    except rtcpxr.Refused as error:
        raise Invalid(str(error)) from None


def put_report(
    org: str, report: Report, now_ms: int, *, drop_raw_addresses: bool
) -> Callable[[Store], int]:
    """The write of a report; it returns how many stream-samples were new."""

    def job(store: Store) -> int:
        session = report.session
        key = f"vq:{session.participantSessionId}"
        known = store.source_state(org, key)
        told = _decoder.decode(known) if known else {}
        after = told if report.kind == "alert" else rtcpxr.place(report, told)
        normalise(session, now_ms, drop_raw_addresses=drop_raw_addresses)
        store.put_session(org, session, now_ms)
        if after != told:
            store.put_source_state(org, key, msgspec.json.encode(after), now_ms)
        return sum(sample_count(one) for kind in STREAM_KINDS for one in streams_of(session, kind))

    return job
