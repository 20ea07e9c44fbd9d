"""What /collector.js promises to a host page, against a server that does as the test tells it."""

import gzip
import itertools
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page

from roomtone.model import epoch_ms
from roomtone.web import pages
from tests.browser.fake import FakeRoomtone
from tests.browser.host import Host

pytestmark = pytest.mark.browser

COLLECTOR_GZIP_BYTES_MAX = 6_000
POST_BYTES_MAX = 64 * 1024
# One report of this connection is about 20 kB.
FAT = "[connection({ streams: 20, padding: 800 })]"


@pytest.fixture
def host(page: Page, fake: FakeRoomtone) -> Iterator[Host]:
    opened = Host(page, fake)
    opened.open()
    yield opened
    assert opened.value("window.rejections ?? []") == []


def test_it_is_at_most_6_kb_as_it_is_served() -> None:
    served = pages.COLLECTOR
    assert len(served.packed) <= COLLECTOR_GZIP_BYTES_MAX
    assert gzip.decompress(served.packed) == served.plain


def test_it_samples_at_once_then_every_10_s_and_posts_every_60_s(host: Host) -> None:
    host.begin()
    host.fake.wait("announced the participant", lambda posts: len(posts) == 1)
    host.pass_s(120)
    host.fake.wait("posted twice more", lambda posts: len(posts) == 3)
    first, *others = [report["timestamp"] for post in host.fake.posts for report in post.reports]
    assert [(time - first) / 1000 for time in others] == [10.0 * k for k in range(1, 13)]
    assert [len(post.reports) for post in host.fake.posts] == [1, 6, 6]


def test_a_post_says_who_where_and_with_what(host: Host) -> None:
    host.begin(
        "({ main: connection() })",
        """{ participant: { id: "p1", name: "Ada", email: "ada@example.com" },
             session: { serverRegion: "eu-north", clientType: "Demo" } }""",
    )
    (post,) = host.fake.wait("posted", len)
    assert (post.token, post.content_type) == ("t0", "application/json")
    assert post.body["meetingId"] == "m1"
    assert post.body["participantSessionId"] == host.value("handle.sessionId")
    assert post.body["participantSessionId"] == post.body["participantSessionId"].upper()
    assert post.reports[0]["connection"] == "main"
    assert post.session["participantId"] == "p1"
    assert post.session["webexUserEmail"] == "ada@example.com"
    assert post.session["serverRegion"] == "eu-north"
    assert post.session["clientType"] == "Demo"
    assert post.session["clientVersion"].count(".") == 3
    assert post.session["osType"] == "linux"
    assert epoch_ms(post.session["joinTime"]) == epoch_ms("2026-11-24T12:00:01Z")
    assert "leaveTime" not in post.session


def test_the_join_duration_runs_from_collect_to_the_first_connection(host: Host) -> None:
    host.begin("[connection({ connectionState: 'new', streams: 0 })]")
    host.wait_for("samples > 0")
    host.pass_s(3)
    host.value("connections[0].streams = 1, connections[0].become('connected')")
    host.pass_s(7)
    posts = host.fake.wait("posted", len)  # a sample taken meanwhile may have gone after the first
    assert {post.session["joinMeetingTime"] for post in posts} == {"3.000"}


def test_a_connection_that_was_up_before_has_no_join_duration(host: Host) -> None:
    host.begin()
    (post,) = host.fake.wait("posted", len)
    assert "joinMeetingTime" not in post.session


def test_64_kb_are_posted_at_once_and_no_post_is_larger(host: Host) -> None:
    host.begin(FAT)
    host.pass_s(40)
    posts = host.fake.wait("posted early", lambda posts: len(posts) == 2)
    assert len(posts[1].reports) == 3
    assert all(post.size_bytes <= POST_BYTES_MAX for post in posts)


def test_a_page_that_goes_away_posts_what_it_has_and_that_it_left(host: Host) -> None:
    host.begin()
    host.fake.wait("announced", lambda posts: len(posts) == 1)
    host.pass_s(20)
    host.page.goto(f"{host.fake.url}/elsewhere")
    _, *others = host.fake.wait("said it left", lambda posts: "leaveTime" in posts[-1].session)
    assert [len(post.reports) for post in others if post.reports] == [2]
    last = others[-1]
    assert epoch_ms(last.session["leaveTime"]) >= epoch_ms("2026-11-24T12:00:21Z")


def test_nobody_leaves_before_joining_by_the_clock_of_another(host: Host) -> None:
    ahead = "2026-11-24T14:00:00+01:00"
    host.begin(options=f"{{ session: {{ joinTime: '{ahead}' }} }}")
    host.fake.wait("announced", lambda posts: len(posts) == 1)
    host.page.goto(f"{host.fake.url}/elsewhere")
    posts = host.fake.wait("said it left", lambda posts: "leaveTime" in posts[-1].session)
    assert posts[-1].session["leaveTime"] == posts[-1].session["joinTime"] == ahead


def test_a_page_that_goes_away_with_too_much_sends_the_newest(host: Host) -> None:
    host.fake.answers.extend([(204, {}), (503, {"Retry-After": "600"})])
    host.begin(FAT)
    host.fake.wait("announced", lambda posts: len(posts) == 1)
    host.pass_s(60)
    host.fake.wait("was refused", lambda posts: len(posts) == 2)
    host.wait_for("handle.buffered > 100000")
    newest = host.value("Date.now()")
    host.page.goto(f"{host.fake.url}/elsewhere")
    last = host.fake.wait("posted on pagehide", lambda posts: len(posts) == 3)[-1]
    assert last.size_bytes <= POST_BYTES_MAX
    assert [newest - report["timestamp"] for report in last.reports] == [20_000, 10_000, 0]
    assert "leaveTime" in last.session


def test_back_from_the_back_forward_cache_begins_a_new_session(host: Host) -> None:
    host.begin()
    host.fake.wait("announced", lambda posts: len(posts) == 1)
    host.value("dispatchEvent(new PageTransitionEvent('pagehide', { persisted: true }))")
    host.fake.wait("said it left", lambda posts: "leaveTime" in posts[-1].session)
    host.value("dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")
    posts = host.fake.wait("came back", lambda posts: len(posts) == 3)
    assert "leaveTime" not in posts[2].session
    assert posts[2].body["participantSessionId"] != posts[0].body["participantSessionId"]


def test_a_page_that_is_hidden_posts_what_it_has(host: Host) -> None:
    host.begin()
    host.fake.wait("announced", lambda posts: len(posts) == 1)
    host.wait_for("handle.buffered === 0")
    host.pass_s(10)
    host.value("""Object.defineProperty(document, "visibilityState", { value: "hidden" }),
                  document.dispatchEvent(new Event("visibilitychange"))""")
    last = host.fake.wait("posted", lambda posts: len(posts) == 2)[-1]
    assert len(last.reports) == 1
    assert "leaveTime" not in last.session


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_honoured_and_nothing_is_lost(host: Host, status: int) -> None:
    host.fake.answers.append((status, {"Retry-After": "100"}))
    host.begin()
    host.wait_for("fetches === 1")
    host.fake.wait("posted", len)
    host.pass_s(99)
    assert host.value("fetches") == 1
    host.pass_s(20)
    posts = host.fake.wait("tried again", lambda posts: len(posts) >= 2)
    assert posts[1].reports[0] == posts[0].reports[0]


def test_without_retry_after_the_pauses_grow(host: Host) -> None:
    host.fake.answers.extend([(500, {})] * 5)
    host.begin(options="{ sampleEvery: 1000 }")
    tried_at = []
    for tries in range(1, 7):
        while host.value("fetches") < tries:
            host.pass_s(1)
        tried_at.append(host.value("performance.now()"))
    pauses = [later - earlier for earlier, later in itertools.pairwise(tried_at)]
    assert all(pause <= 1000 * 2 ** (n + 1) + 1000 for n, pause in enumerate(pauses))
    assert pauses[4] > pauses[1]


def test_a_refused_token_is_asked_for_again(host: Host) -> None:
    host.fake.answers.append((401, {}))
    host.begin(options="{ token: async () => 'fresh-' + (window.asked = (window.asked ?? 0) + 1) }")
    posts = host.fake.wait("posted again", lambda posts: len(posts) == 2)
    assert [post.token for post in posts] == ["fresh-1", "fresh-2"]
    assert posts[0].body == posts[1].body


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 410, 413, 415])
def test_a_final_refusal_ends_it_and_is_said_once(host: Host, status: int) -> None:
    host.fake.answers.append((status, {}))
    host.begin()
    host.wait_for("errors.length > 0")
    samples = host.value("samples")
    host.pass_s(130)
    assert host.value("errors.length") == 1
    assert f"({status}, scripted)" in host.value("errors[0]")
    assert (host.value("fetches"), host.value("samples")) == (1, samples)


def test_the_buffer_is_bounded_and_drops_the_oldest(host: Host) -> None:
    host.fake.answers.append((503, {"Retry-After": "300"}))
    host.begin(FAT, "{ bufferBytes: 100000 }")
    host.fake.wait("posted", len)
    host.pass_s(200)
    kept_bytes, dropped, samples = host.value("[handle.buffered, handle.dropped, samples]")
    assert kept_bytes <= 100_000
    assert samples == 21
    assert dropped == 21 - 5
    host.pass_s(140)
    host.value("handle.flush()")
    dropped, samples = host.value("[handle.dropped, samples]")
    later = [report["timestamp"] for post in host.fake.posts[1:] for report in post.reports]
    assert later == sorted(later)
    assert len(later) + dropped == samples


def test_one_post_is_under_way_at_a_time(host: Host) -> None:
    host.begin(FAT, "{ postEvery: 1, sampleEvery: 1 }")
    host.pass_s(10)
    host.value("Promise.all([handle.flush(), handle.flush(), handle.stop()])")
    host.fake.wait("posted the end", lambda posts: "leaveTime" in posts[-1].session)
    assert host.value("most_under_way") == 1


def test_offline_reports_wait_for_the_network(host: Host) -> None:
    host.begin()
    host.fake.wait("announced", lambda posts: len(posts) == 1)
    host.wait_for("handle.buffered === 0")
    host.page.context.set_offline(True)
    host.pass_s(60)
    host.wait_for("fetches >= 2 && handle.buffered > 0")
    host.page.context.set_offline(False)
    host.pass_s(60)
    posts = host.fake.wait("posted", lambda posts: len(posts) >= 2)
    assert posts[1].reports[0]["timestamp"] == posts[0].reports[0]["timestamp"] + 10_000
    assert host.value("errors") == []


@pytest.mark.parametrize(
    ("connections", "options"),
    [
        ("null", "{}"),
        ("[connection({ broken: true })]", "{}"),
        ("[connection({ getTransceivers() { throw new Error('no') } })]", "{}"),
        ("[null]", "{}"),
        ("[connection()]", "{ connections: () => { throw new Error('mine') } }"),
        ("[connection()]", "{ tracks: () => { throw new Error('mine') } }"),
        ("[connection()]", "{ token: async () => { throw new Error('mine') } }"),
        ("[connection()]", "{ token: '' }"),
        ("[connection()]", "{ url: 'not a url' }"),
        ("[connection()]", "{ url: '', onerror: () => { throw new Error('mine') } }"),
        ("[connection()]", "{ meetingId: undefined, onerror: undefined }"),
        ("[connection()]", "{ session: { get camera() { throw new Error('mine') } } }"),
        ("[connection()]", "undefined"),
    ],
)
def test_it_never_throws_into_the_page(host: Host, connections: str, options: str) -> None:
    host.begin(connections, options)
    host.pass_s(70)
    host.value("handle.add(connection({ broken: true })), handle.name('x', 'share')")
    host.value("handle.update(undefined), handle.remove(connection()), handle.add(null)")
    host.value("Promise.all([handle.flush(), handle.stop(), handle.stop(), handle.flush()])")
    host.value("dispatchEvent(new PageTransitionEvent('pagehide', { persisted: false }))")
    assert host.value("rejections") == []


def test_stop_takes_a_last_sample_and_says_when_it_left(host: Host) -> None:
    host.begin()
    host.fake.wait("announced", lambda posts: len(posts) == 1)
    host.pass_s(5)
    host.value("handle.stop()")
    (_, last) = host.fake.wait("posted the end", lambda posts: len(posts) == 2)
    assert [r["timestamp"] for r in last.reports] == [epoch_ms("2026-11-24T12:00:06Z")]
    assert last.session["leaveTime"] == "2026-11-24T12:00:06.000Z"
    host.pass_s(120)
    assert host.value("fetches") == 2


@pytest.mark.parametrize(
    "end",
    [
        "connections[0].become('closed')",
        "connections[0].become('failed')",
        "handle.remove(connections[0])",
        "connections = []",
    ],
)
def test_a_connection_that_ends_gets_a_last_sample(host: Host, end: str) -> None:
    host.begin()
    host.fake.wait("announced", lambda posts: len(posts) == 1)
    host.pass_s(4)
    host.value(f"{end}, null")
    host.pass_s(10)
    host.value("handle.flush()")
    (_, post) = host.fake.wait("posted", lambda posts: len(posts) == 2)[:2]
    assert post.reports[0]["timestamp"] <= epoch_ms("2026-11-24T12:00:11Z")


def test_a_connection_that_the_page_closed_is_sampled_once_more_and_then_left(host: Host) -> None:
    host.begin()
    host.value("connections[0].connectionState = 'closed', null")
    host.pass_s(50)
    assert host.value("samples") == 2


def test_what_goes_wrong_again_and_again_is_said_once(host: Host) -> None:
    host.begin(options="{ tracks: () => { throw new Error('mine') } }")
    host.pass_s(60)
    assert host.value("errors") == ["Roomtone: Error: mine"]


def test_added_connections_have_names_of_their_own(host: Host) -> None:
    host.begin("new Map([['publish', connection()]])")
    host.fake.wait("announced", lambda posts: len(posts) == 1)
    host.value("handle.add(connection(), 'subscribe'), handle.add(connection())")
    host.value("handle.flush()")
    (_, post) = host.fake.wait("posted", lambda posts: len(posts) == 2)[:2]
    assert {"publish", "subscribe", "pc1"} <= {report["connection"] for report in post.reports}


def test_tracks_are_named_or_guessed(host: Host) -> None:
    host.begin(
        """[connection({ transceivers: [
          { mid: "0", sender: { track: track("mic", "audio") }, receiver: { track: track("r0") } },
          { mid: "1", sender: { track: track("cam", "video") }, receiver: { track: track("r1") } },
          { mid: "2", sender: { track: track("hinted", "video", { contentHint: "detail" }) },
            receiver: { track: track("r2") } },
          { mid: "3", sender: { track: track("tab", "video", {
            getSettings: () => ({ displaySurface: "browser" }) }) },
            receiver: { track: track("r3") } },
          { mid: "4", sender: { track: null }, receiver: { track: track("r4") } },
          { mid: "5", sender: { track: null }, receiver: { track: track("r5") } },
        ] })]""",
        "{ tracks: new Map([[track('mic'), 'microphone'], ['r1', 'camera']]) }",
    )
    host.value("handle.name('4', 'share'), handle.name('pc1/5', 'camera')")
    host.value("handle.name(track('cam'), 'camera')")
    host.value("handle.flush()")
    assert host.fake.posts[-1].reports[-1]["roles"] == {
        "mic": "microphone",
        "r1": "camera",
        "cam": "camera",
        "hinted": "share",
        "tab": "share",
        "r4": "share",
        "r5": "camera",
    }


MORE = """{ more: [
  { id: "T", type: "transport", selectedCandidatePairId: "P1", localCertificateId: "secret" },
  { id: "P1", type: "candidate-pair", localCandidateId: "L1", remoteCandidateId: "R1" },
  { id: "P2", type: "candidate-pair", localCandidateId: "L2", remoteCandidateId: "R2" },
  { id: "L1", type: "local-candidate", address: "10.1.2.3", port: 9, protocol: "udp" },
  { id: "L2", type: "local-candidate", address: "10.9.9.9" },
  { id: "R1", type: "remote-candidate", address: "203.0.113.9", candidateType: "host" },
  { id: "C1", type: "codec", mimeType: "audio/opus" },
  { id: "C2", type: "codec", mimeType: "audio/PCMU" },
  { id: "X", type: "certificate", base64Certificate: "secret" },
] }"""


@pytest.mark.parametrize(("addresses", "local"), [("true", "10.1.2.3"), ("false", None)])
def test_only_what_is_measured_leaves_the_page(
    host: Host, addresses: str, local: str | None
) -> None:
    host.begin(f"[connection({MORE})]", f"{{ addresses: {addresses} }}")
    (post,) = host.fake.wait("posted", len)
    entries = {entry["id"]: entry for entry in post.reports[0]["stats"]}
    assert set(entries) == {"IT0", "T", "P1", "L1", "R1", "C1"}
    assert "localCertificateId" not in entries["T"]
    assert entries["L1"].get("address") == local
    assert "address" not in entries["R1"]
    assert "port" not in entries["L1"]
    assert entries["C1"]["mimeType"] == "audio/opus"


# -- what the person is told

WEAK = {
    "verdict": "fair",
    "because": "3.0 % packet loss in sent audio, 2 of 9 min",
    "now": "poor",
    "trouble": "uplink",
    "text": "Your connection is weak.",
    "advice": "Use a cable.",
}
ON_VERDICT = "{ onVerdict: (verdict) => (window.verdicts ??= []).push(verdict) }"


def test_a_page_that_wants_to_know_is_told_the_verdict_after_each_post(host: Host) -> None:
    host.fake.verdict = WEAK
    host.begin(options=ON_VERDICT)
    host.fake.wait("announced", lambda posts: len(posts) == 1)
    host.wait_for("window.verdicts?.length === 1")
    host.pass_s(120)
    host.fake.wait("posted twice more", lambda posts: len(posts) == 3)
    host.wait_for("verdicts.length === 3")
    session = host.value("handle.sessionId")
    assert host.value("verdicts[2]") == {"participantSessionId": session, **WEAK}
    assert host.fake.asked == [("t0", session)] * 3


def test_a_page_that_does_not_want_to_know_asks_nothing(host: Host) -> None:
    host.fake.verdict = WEAK
    host.begin()
    host.pass_s(60)
    host.fake.wait("posted", lambda posts: len(posts) == 2)
    host.value("handle.stop()")
    assert host.fake.asked == []


def test_a_verdict_that_is_not_to_be_had_harms_nothing(host: Host) -> None:
    host.begin(options=ON_VERDICT)
    host.pass_s(60)
    host.fake.wait("posted", lambda posts: len(posts) == 2)
    host.wait_for("under_way === 0 && fetches >= 4")
    host.page.context.set_offline(True)
    host.pass_s(60)
    host.page.context.set_offline(False)
    assert host.value("[errors, window.verdicts ?? []]") == [[], []]


def test_a_page_that_fails_at_its_verdict_goes_on_being_measured(host: Host) -> None:
    host.fake.verdict = WEAK
    host.begin(options="{ onVerdict: () => { throw new Error('mine') } }")
    host.pass_s(120)
    host.fake.wait("posted", lambda posts: len(posts) == 3)
    host.wait_for("errors.length === 1")
    assert host.value("errors") == ["Roomtone: Error: mine"]


def test_who_has_left_is_told_nothing_more(host: Host) -> None:
    host.fake.verdict = WEAK
    host.begin(options=ON_VERDICT)
    host.wait_for("window.verdicts?.length === 1")
    host.value("handle.stop()")
    host.fake.wait("said it left", lambda posts: "leaveTime" in posts[-1].session)
    host.pass_s(60)
    assert len(host.fake.asked) == 1
    assert host.value("verdicts.length") == 1
