"""The /call page in a browser: its states, what it says when something is missing, its layout."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserType, ConsoleMessage, Page

from tests.browser.conftest import CHROMIUM
from tests.browser.fake import FakeRoomtone

pytestmark = pytest.mark.browser

IN_CALL = "#state[data-state=in-call]"
FAILED = "#state[data-state=failed]"
ENDED = "#state[data-state=ended]"
MEASURED_ROWS = "#figures tbody tr:not(.absent)"
WITHOUT_DEVICES = ["--no-sandbox", "--allow-loopback-in-peer-connection"]

# Headless Chromium has nobody to ask for a screen: it would wait for ever.
REFUSE_SCREENS = """navigator.mediaDevices.getDisplayMedia =
  () => Promise.reject(new DOMException("no", "NotAllowedError"));"""


@pytest.fixture
def calm(page: Page) -> Iterator[Page]:
    """A page whose console stays free of errors, such as breaches of the security policy."""
    said: list[str] = []

    def hear(message: ConsoleMessage) -> None:
        if message.type == "error" and "Failed to load resource" not in message.text:
            said.append(message.text)

    page.on("console", hear)
    yield page
    assert said == []


def test_a_call_shows_figures_of_both_directions_and_ends_with_leave_time(
    calm: Page, fake: FakeRoomtone
) -> None:
    calm.goto(f"{fake.url}/call")
    calm.click("#start-generated")
    calm.wait_for_selector(IN_CALL)
    calm.click("#share")
    calm.wait_for_selector(f"{MEASURED_ROWS} >> nth=5")
    assert "VP8" in calm.inner_text("#figures")
    assert "Bearer t1" in calm.inner_text("#curl")
    calm.click("#hang-up")
    calm.wait_for_selector(ENDED)
    posts = fake.wait("said it left", lambda posts: posts and "leaveTime" in posts[-1].session)
    roles = {role for report in posts[-1].reports for role in report["roles"].values()}
    assert roles == {"camera", "microphone", "share"}
    assert calm.is_visible("#start")


@pytest.mark.parametrize("now", ["good", "poor", "unclassified"])
def test_the_person_is_told_how_it_is_and_what_to_do(
    calm: Page, fake: FakeRoomtone, now: str
) -> None:
    words = {"text": "", "advice": ""} if now != "poor" else {"text": "Weak.", "advice": "Cable."}
    fake.verdict = {"verdict": "unclassified", "because": "", "now": now, "trouble": "", **words}
    calm.goto(f"{fake.url}/call")
    calm.click("#start-generated")
    calm.wait_for_selector(IN_CALL)
    calm.wait_for_selector(f"#verdict[data-now={now}]", state="attached")
    if now == "unclassified":
        assert calm.is_hidden("#verdict")
        return
    said = {"good": "This call is good now.", "poor": "This call is poor now. Weak. Cable."}
    calm.wait_for_selector("#verdict:not([hidden])")
    assert calm.inner_text("#verdict") == said[now]
    assert calm.locator("#verdict.trouble").count() == (now == "poor")


def test_a_share_can_be_stopped_and_begun_again(calm: Page, fake: FakeRoomtone) -> None:
    calm.goto(f"{fake.url}/call")
    calm.click("#start-generated")
    calm.wait_for_selector(IN_CALL)
    for _ in range(2):
        calm.click("#share")
        calm.wait_for_selector("#share[aria-pressed=true]:enabled")
        while not calm.evaluate("document.querySelector('#share-in').videoWidth"):
            calm.wait_for_timeout(50)
        calm.click("#share")
        calm.wait_for_selector("#share[aria-pressed=false]:enabled")
    assert calm.is_hidden("#share-stage")


def test_without_camera_and_microphone_it_sends_what_it_makes(
    chromium: Browser, fake: FakeRoomtone
) -> None:
    launcher: BrowserType = chromium.browser_type
    browser = launcher.launch(executable_path=CHROMIUM, args=WITHOUT_DEVICES)
    page = browser.new_page()
    page.add_init_script(REFUSE_SCREENS)
    page.goto(f"{fake.url}/call")
    page.click("#start")
    page.wait_for_selector(IN_CALL)
    notice = page.inner_text("#notice")
    assert "A generated sound is sent." in notice
    assert "A generated picture is sent." in notice
    page.click("#share")
    page.wait_for_selector("#share[aria-pressed=true]")
    page.wait_for_selector(f"{MEASURED_ROWS} >> nth=5")
    assert "A generated slide is shared." in page.inner_text("#notice")
    browser.close()


@pytest.mark.parametrize(
    ("status", "headers", "said"),
    [
        (404, {}, "Test calls are off on this server."),
        (429, {"Retry-After": "7"}, "Try again in 7 s."),
        (503, {}, "The server gave no test call: busy. Try again."),
        (None, {}, "The server does not answer."),
    ],
)
def test_when_there_is_no_call_it_says_what_to_do(
    page: Page, fake: FakeRoomtone, status: int | None, headers: dict[str, str], said: str
) -> None:
    page.route(
        "**/call/session",
        lambda route: (
            route.abort()
            if status is None
            else route.fulfill(status=status, headers=headers, json={"message": "busy"})
        ),
    )
    page.goto(f"{fake.url}/call")
    page.click("#start-generated")
    page.wait_for_selector(FAILED)
    assert said in page.inner_text("#notice")
    assert page.is_enabled("#start")


@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize("path", ["/", "/call"])
def test_pages_fit_their_window(page: Page, fake: FakeRoomtone, width: int, path: str) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(fake.url + path)
    if path == "/call":
        page.click("#start-generated")
        page.wait_for_selector(IN_CALL)
        page.wait_for_selector(MEASURED_ROWS)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    if width == 390:
        heights = page.evaluate(
            "[...document.querySelectorAll('button, a')].map((e) => e.offsetHeight)"
            ".filter((height) => height > 0)"
        )
        assert min(heights) >= 44


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(page: Page, fake: FakeRoomtone, scheme: str) -> None:
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.goto(f"{fake.url}/call")
    contrasts = page.evaluate(
        """() => {
          const style = getComputedStyle(document.documentElement);
          const light = (name) => {
            const hex = style.getPropertyValue(name).trim().slice(1);
            const [r, g, b] = [0, 2, 4].map((i) => parseInt(hex.slice(i, i + 2), 16) / 255)
              .map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
            return 0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05;
          };
          const pairs = [["--ink", "--paper"], ["--quiet", "--paper"], ["--quiet", "--wash"],
            ["--accent", "--paper"], ["--on-accent", "--accent"], ["--poor-ink", "--paper"]];
          return pairs.map(([a, b]) => {
            const [x, y] = [light(a), light(b)];
            return [a + " on " + b, Math.max(x, y) / Math.min(x, y)];
          });
        }"""
    )
    assert {name: ratio for name, ratio in contrasts if ratio < 4.5} == {}
