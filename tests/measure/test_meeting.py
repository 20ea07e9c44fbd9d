"""Clocks that are off, and who tells whom: what participants of a meeting know of each other."""

import pytest

from roomtone.measure import Carried, Measured, Row, Seen, Snapshot, meeting, seen
from roomtone.measure.meeting import ENDS_MAX, Clock, Ends
from tests.measure.calls import report

YEAR_MS = 365 * 86_400_000


def clock(*offsets: float) -> Clock:
    found = Clock()
    for offset in offsets:
        found.hear(offset)
    return found


@pytest.mark.parametrize(
    ("offsets", "offset", "corrected"),
    [
        pytest.param([], 0, 0, id="nobody told"),
        pytest.param([120, 80, 4_000], 80, 0, id="right, and one slow post"),
        pytest.param([YEAR_MS + 90, YEAR_MS + 60], YEAR_MS + 60, YEAR_MS, id="a year behind"),
        pytest.param([-YEAR_MS + 90], -YEAR_MS + 90, -YEAR_MS, id="a year ahead"),
        pytest.param([90, 30_000, 110], 90, 0, id="one post that took half a minute"),
        pytest.param([90, -60_000, -59_900], -60_000, -60_000, id="set forward by NTP"),
        pytest.param([90, 60_090, 60_100, 60_070], 60_070, 60_000, id="set back by NTP"),
    ],
)
def test_a_clock_is_corrected_when_it_is_off_by_more_than_a_slow_post(
    offsets: list[float], offset: float, corrected: int
) -> None:
    found = clock(*offsets)
    assert (found.offset_ms(), found.corrected_ms) == (offset, corrected)


def span(start: float, end: float) -> Carried:
    return Carried(start, end, 1, 100, 1, 8_000, 5)


def heard(
    ends: Ends,
    name: str,
    *,
    sent: tuple[int, ...] = (),
    received: dict[int, list[Carried]] | None = None,
) -> dict[str, tuple[float, float]]:
    rows = [Row("audioOut", ssrc, 1) for ssrc in sent]
    ends.of(name).sends([Seen("pc1", Snapshot(0, rows))])
    return dict(ends.note(name, Measured(received=received or {})))


def test_what_was_received_is_news_for_who_sends_it() -> None:
    ends = Ends()
    assert heard(ends, "ada", sent=(1, 2)) == {}
    news = heard(ends, "bob", sent=(3,), received={1: [span(0, 10)], 9: [span(0, 10)]})
    assert news == {"ada": (0, 10)}
    again = meeting.unpack(meeting.pack(ends))
    assert again.far("ada") == {1: [span(0, 10)]}
    assert again.far("bob") == {}


def test_times_are_moved_between_clocks_that_differ_a_little() -> None:
    ends = Ends()
    ends.of("ada").clock.hear(500)
    heard(ends, "ada", sent=(1,))
    ends.of("bob").clock.hear(-1_500)
    assert heard(ends, "bob", received={1: [span(3_000, 4_000)]}) == {"ada": (1_000, 2_000)}
    assert ends.far("ada") == {1: [span(1_000, 2_000)]}


def test_later_spans_replace_what_they_overlap() -> None:
    ends = Ends()
    heard(ends, "ada", sent=(1,))
    heard(ends, "bob", received={1: [span(0, 10), span(10, 20)]})
    heard(ends, "bob", received={1: [span(10, 15), span(15, 30)]})
    assert [one.start_ms for one in ends.far("ada")[1]] == [0, 10, 15]


def test_a_meeting_of_many_is_not_matched_without_bound() -> None:
    ends = Ends()
    for number in range(3 * ENDS_MAX):
        heard(ends, f"p{number}", sent=(number,))
    assert len(ends.ends) == ENDS_MAX


def test_what_was_seen_moves_with_its_reports_of_the_far_end() -> None:
    one = seen(
        report(
            1,
            {"id": "o", "type": "outbound-rtp", "kind": "audio", "ssrc": 1, "packetsSent": 9},
            {"id": "r", "type": "remote-inbound-rtp", "ssrc": 1, "localId": "o", "packetsLost": 1},
        )
    )
    [(_, shot)] = meeting.moved([one], 5_000)
    assert shot.at_ms == one.shot.at_ms + 5_000
    before, after = one.shot.rows[0].remote, shot.rows[0].remote
    assert before is not None
    assert after is not None
    assert after.at_ms == before.at_ms + 5_000
