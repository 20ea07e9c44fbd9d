"""Whatever a client sends that decodes as reports is measured without an error or a wrong value."""

import math
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from roomtone.measure import Report
from roomtone.measure.report import Entry
from roomtone.measure.series import INTERVALS_MAX
from roomtone.measure.state import unpack
from roomtone.model import COLUMNS, Stream, column_of
from tests.measure.calls import START_MS, advance, inbound, report

TYPES = [
    "inbound-rtp", "outbound-rtp", "remote-inbound-rtp", "remote-outbound-rtp", "codec",
    "transport", "candidate-pair", "local-candidate", "media-source", "track",
]  # fmt: skip
WORDS = ["a", "b", "audio", "video", "screenshare", "share", "camera", "udp", "tcp", "relay"]
COUNTS = st.one_of(st.integers(0, 300), st.integers(0, 2**33), st.floats(0, 1e6))


def values_of(name: str) -> st.SearchStrategy[object]:
    if name == "type":
        return st.sampled_from(TYPES)
    if name == "ssrc":
        return st.integers(0, 3)
    if name in ("nominated", "selected"):
        return st.booleans()
    if name == "timestamp":
        return st.one_of(st.floats(-1e13, 1e13), st.just("2026-11-23T05:02:27.377350+00:00"))
    if name == "packetsLost":
        return st.integers(-300, 300)
    text = str(Entry.__annotations__[attributes[name]])
    return st.sampled_from(WORDS) if "str" in text else COUNTS


attributes = {field.encode_name: field.name for field in msgspec.structs.fields(Entry)}
entries = st.fixed_dictionaries(
    {"type": values_of("type"), "kind": st.sampled_from(["audio", "video"])},
    optional={name: values_of(name) for name in attributes if name not in ("type", "kind")},
)
reports = st.fixed_dictionaries(
    {
        "connection": st.sampled_from(["pc1", "pc2"]),
        "timestamp": st.integers(0, 90_000).map(lambda ms: START_MS + ms),
        "stats": st.lists(entries, max_size=5),
        "roles": st.dictionaries(st.sampled_from(WORDS), st.sampled_from(["camera", "share"])),
    }
)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(reports, min_size=1, max_size=5), max_size=4))
def test_nonsense_measures_to_values_that_the_model_takes(
    sequence: list[list[dict[str, object]]],
) -> None:
    state = b""
    for post in sequence:
        taken = msgspec.json.decode(msgspec.json.encode(post), type=list[Report])
        state, told = advance(state, taken, interval_s=1)
        for stream in (one for streams in told.streams.values() for one in streams):
            msgspec.convert(msgspec.to_builtins(stream), Stream)
            values = [value for column in COLUMNS for value in column_of(stream, column)]
            assert all(value is None or math.isfinite(value) for value in values)
            assert any(value is not None for value in values)


def test_one_post_reaches_back_so_many_intervals_and_no_further() -> None:
    times = [100.0 * n for n in range(100)]
    posted = [report(at, inbound(1 + at, bytesReceived=at)) for at in times]
    _, told = advance(b"", posted, interval_s=1)
    assert told.late == sum(times[-1] - at > INTERVALS_MAX for at in times) > 0


def test_long_names_do_not_swell_the_state() -> None:
    long = "x" * 1_000
    stats: list[dict[str, Any]] = [
        {"type": "codec", "id": "C", "mimeType": f"audio/{long}"},
        {"type": "candidate-pair", "id": long, "nominated": True, "state": "succeeded",
         "localCandidateId": "L", "totalRoundTripTime": 1, "responsesReceived": 1},
        {"type": "local-candidate", "id": "L", "candidateType": "host", "address": long},
        inbound(5, codecId="C"),
    ]  # fmt: skip
    state, told = advance(b"", [report(0, *stats)], interval_s=60)
    assert len(msgspec.msgpack.encode(unpack(state))) < 500
    assert told.header == {}
