"""A host page with made-up peer connections, a clock that the test moves, and a collector."""

from dataclasses import dataclass
from typing import Any

from playwright.sync_api import Page

from tests.browser.conftest import NOON, NOON_AND_A_SECOND
from tests.browser.fake import FakeRoomtone

HOST = """
window.errors = [];
window.fetches = 0;
window.samples = 0;
window.rejections = [];
addEventListener("unhandledrejection", (event) => rejections.push(String(event.reason)));
const realFetch = window.fetch;
window.under_way = 0;
window.most_under_way = 0;
window.fetch = async (...args) => {
  fetches++;
  most_under_way = Math.max(most_under_way, ++under_way);
  try {
    return await realFetch(...args);
  } finally {
    under_way--;
  }
};
window.calm = async () => {
  do {
    await new Promise((done) => {
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = done;
      port2.postMessage(0);
    });
  } while (under_way);
};
const track = (id, kind, more = {}) => ({
  id, kind, label: "", contentHint: "", readyState: "live", getSettings: () => ({}), ...more });
window.connection = (options = {}) => Object.assign(new EventTarget(), {
  connectionState: "connected", streams: 1, padding: 0, transceivers: [],
  getTransceivers() { return this.transceivers; },
  getSenders() { return this.transceivers.map((t) => t.sender); },
  async getStats() {
    samples++;
    if (this.broken) throw new DOMException("gone", "InvalidStateError");
    const timestamp = Date.now();
    const entries = Array.from({ length: this.streams }, (_, i) => ({
      id: "IT" + i, type: "inbound-rtp", timestamp, kind: "audio", ssrc: i + 1, mid: "0",
      packetsReceived: samples, decoderImplementation: "x".repeat(this.padding),
      codecId: "C1", transportId: "T" }));
    return new Map([...entries, ...(this.more ?? [])].map((e) => [e.id, e]));
  },
  become(state) {
    this.connectionState = state;
    this.dispatchEvent(new Event("connectionstatechange"));
  },
  ...options });
window.track = track;
window.begin = async (options) => {
  const { collect } = await import("/collector.js");
  window.handle = collect({
    url: location.origin, token: "t0", meetingId: "m1", connections: () => window.connections,
    onerror: (error) => errors.push(error.message), ...options });
};
null;
"""


@dataclass
class Host:
    """The page, driven: time stands still until `pass_s`."""

    page: Page
    fake: FakeRoomtone

    def open(self) -> None:
        self.page.clock.install(time=NOON)
        self.page.goto(f"{self.fake.url}/host")
        self.page.clock.pause_at(NOON_AND_A_SECOND)
        self.page.evaluate(HOST)

    def begin(self, connections: str = "[connection()]", options: str = "{}") -> None:
        """Start a collector; both arguments are JavaScript."""
        self.page.evaluate(f"window.connections = {connections}")
        self.page.evaluate(f"begin({options}).then(calm)")

    def pass_s(self, seconds: int) -> None:
        """Move the clock in steps, and let what the timers started come to rest after each."""
        while seconds > 0:
            step_s = min(seconds, 10)
            self.page.clock.run_for(step_s * 1000)
            self.page.evaluate("calm().then(calm)")
            seconds -= step_s

    def value(self, expression: str) -> Any:
        return self.page.evaluate(expression)

    def wait_for(self, expression: str) -> None:
        """Wait, in real time, until a JavaScript expression holds."""
        self.page.wait_for_function(expression, polling=20)
