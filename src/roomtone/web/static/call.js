/** The test call: a page that calls itself, shows its figures and the answer of the API. */
import { collect } from "/collector.js";
import { Figures } from "/static/figures.js";
import { device, picture, screen, sound } from "/static/media.js";
import { Pair } from "/static/pair.js";

const SAMPLE_EVERY_S = 5;
const POST_EVERY_S = 10;
const ASK_EVERY_S = 15;
const CONNECT_S_MAX = 15;
const INTERVAL_S = 60;
const STREAMS = /** @type {const} */ ([
  ["Audio", "audio"], ["Video", "video"], ["Share", "share"],
]);
const codec = new URLSearchParams(location.search).get("codec")?.toLowerCase() ?? "";

const $ = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id));
const video = (/** @type {string} */ id) => /** @type {HTMLVideoElement} */ ($(id));

/** @typedef {{meetingId: string, token: string, participantId: string}} Session */
/** @type {{session: Session, pair: Pair, figures: Figures, collector: ReturnType<typeof collect>,
 *   sources: import("./media.js").Source[], timers: number[], began: number} | undefined} */
let call;
/** @type {import("./media.js").Source | undefined} */
let shared;
/** @type {Session | undefined} */
let session;

const STATES = {
  idle: "Not in a call",
  asking: "Waiting for camera and microphone: the browser asks you now",
  connecting: "Connecting",
  "in-call": "In a call",
  ended: "The call has ended",
  failed: "No call",
};

function show(/** @type {keyof typeof STATES} */ state) {
  $("state").dataset.state = state;
  $("state").textContent = STATES[state];
  const busy = state === "asking" || state === "connecting";
  const live = state === "in-call";
  for (const id of ["start", "start-generated"]) {
    $(id).hidden = live;
    /** @type {HTMLButtonElement} */ ($(id)).disabled = busy;
  }
  for (const id of ["share", "hang-up", "in-call"]) $(id).hidden = !live;
  $("intro").hidden = live;
}

function say(/** @type {string} */ text, trouble = false) {
  $("notice").textContent = text;
  $("notice").hidden = !text;
  $("notice").classList.toggle("trouble", trouble);
}

async function start(/** @type {boolean} */ generated) {
  say("");
  show(generated ? "connecting" : "asking");
  /** @type {import("./media.js").Source[]} */
  const sources = [];
  let pair;
  try {
    sources.push(...await sourcesOf(generated));
    show("connecting");
    session = await newSession();
    pair = new Pair();
    await begin(session, pair, sources);
  } catch (error) {
    pair?.close();
    for (const source of sources) source.stop();
    show("failed");
    say(error instanceof Error ? error.message : String(error), true);
  }
}

async function begin(/** @type {Session} */ session, /** @type {Pair} */ pair,
  /** @type {import("./media.js").Source[]} */ sources) {
  const collector = collect({
    url: location.origin, token: session.token, meetingId: session.meetingId,
    connections: { call: pair.a }, tracks: () => rolesOf(pair),
    sampleEvery: SAMPLE_EVERY_S, postEvery: POST_EVERY_S,
    onerror: (error) => say(error.message, true), onVerdict: judge,
  });
  judge({ now: "unclassified", text: "", advice: "" });
  const open = pair.connected(CONNECT_S_MAX);
  try {
    await pair.send("audio", sources[0].track);
    await pair.send("video", sources[1].track, codec);
    await pair.negotiate();
    await open;
  } catch (error) {
    open.catch(() => {});
    await collector.stop();
    throw new Error(`${error instanceof Error ? error.message : error} Does this computer have a ` +
      "network, and does its firewall let a browser reach itself? Then try again.");
  }
  call = { session, pair, sources, collector, figures: new Figures(pair.a),
    began: performance.now(), timers: [] };
  call.timers.push(setInterval(tick, 1000), setInterval(ask, ASK_EVERY_S * 1000));
  watchPictures(pair);
  show("in-call");
  showQuestion(session);
  tick();
}

/** What a page can show its person: how it is now, and what to do when it is not good. */
function judge(/** @type {{now: string, text: string, advice: string}} */ { now, text, advice }) {
  const known = now !== "unclassified";
  $("verdict").dataset.now = now;
  $("verdict").textContent = `This call is ${now} now. ${text} ${advice}`.trim();
  $("verdict").hidden = !known;
  $("verdict").classList.toggle("trouble", now === "poor");
}

async function sourcesOf(/** @type {boolean} */ generated) {
  if (generated) return [sound(), picture()];
  const [heard, seen] = [await device("audio"), await device("video")];
  const missing = [
    heard.why && `No microphone: ${heard.why}. A generated sound is sent.`,
    seen.why && `No camera: ${seen.why}. A generated picture is sent.`,
  ].filter(Boolean);
  say(missing.join(" "));
  return [heard.source, seen.source];
}

/** @returns {Promise<Session>} */
async function newSession() {
  let response;
  try {
    response = await fetch("/call/session", { method: "POST" });
  } catch {
    throw new Error("The server does not answer. Is it still running? Then try again.");
  }
  if (response.ok) return response.json();
  if (response.status === 404) {
    throw new Error("Test calls are off on this server. Its administrator can turn them on with " +
      "the setting test_call_org.");
  }
  const answer = await response.json().catch(() => ({}));
  const wait = Number(response.headers.get("retry-after"));
  throw new Error(`The server gave no test call: ${answer.message ?? response.status}. ` +
    (wait ? `Try again in ${wait} s.` : "Try again."));
}

/** @returns {Map<MediaStreamTrack, "camera" | "share" | "microphone">} */
function rolesOf(/** @type {Pair} */ pair) {
  const names = /** @type {const} */ ({ audio: "microphone", video: "camera", share: "share" });
  const roles = new Map();
  for (const [, name] of STREAMS) {
    const line = pair.lines.get(name)?.transceiver;
    for (const track of [line?.sender.track, line?.receiver.track]) {
      if (track) roles.set(track, names[name]);
    }
  }
  return roles;
}

function watchPictures(/** @type {Pair} */ pair) {
  const tracks = (/** @type {string[]} */ ...names) =>
    new MediaStream(names.flatMap((name) => pair.received(name) ?? []));
  video("picture-in").srcObject = tracks("audio", "video");
  video("share-in").srcObject = shared ? tracks("share") : null;
  $("share-stage").hidden = !shared;
}

async function toggleShare() {
  if (!call) return;
  const { pair } = call;
  const button = /** @type {HTMLButtonElement} */ ($("share"));
  button.disabled = true;
  try {
    if (shared) await unshare();
    else await share(pair);
  } catch (error) {
    say(`The share failed: ${error instanceof Error ? error.message : error}.`, true);
  }
  button.disabled = false;
}

async function share(/** @type {Pair} */ pair) {
  const { source, why } = await screen();
  if (!call) return source.stop();
  say(why && `No screen: ${why}. A generated slide is shared.`);
  shared = source;
  source.track.addEventListener("ended", () => { if (shared === source) toggleShare(); });
  await pair.send("share", source.track, codec);
  await pair.negotiate();
  showShare();
}

async function unshare() {
  const source = shared;
  shared = undefined;
  source?.stop();
  if (call) {
    await call.pair.unsend("share");
    await call.pair.negotiate();
  }
  showShare();
}

function showShare() {
  $("share").textContent = shared ? "Stop sharing" : "Share a screen";
  $("share").setAttribute("aria-pressed", String(Boolean(shared)));
  if (call) watchPictures(call.pair);
}

async function hangUp() {
  if (!call) return;
  const { pair, collector, sources, timers } = call;
  call = undefined;
  timers.forEach(clearInterval);
  show("ended");
  await collector.stop();
  pair.close();
  for (const source of [...sources, ...(shared ? [shared] : [])]) source.stop();
  shared = undefined;
  showShare();
  await ask();
}

async function tick() {
  if (!call) return;
  const { figures, pair, began } = call;
  const seconds = (performance.now() - began) / 1000;
  $("minute").textContent = `Minute ${Math.floor(seconds / INTERVAL_S) + 1}`;
  /** @type {HTMLProgressElement} */ ($("minute-progress")).value = seconds % INTERVAL_S;
  await figures.sample();
  const rows = STREAMS.flatMap(([label, name]) => {
    const line = pair.lines.get(name)?.transceiver;
    return [
      row(label, "received", figures.figure("inbound-rtp", line)),
      row(label, "sent", figures.figure("outbound-rtp", line)),
    ];
  });
  $("figures").querySelector("tbody")?.replaceChildren(...rows);
}

function row(/** @type {string} */ label, /** @type {string} */ direction,
  /** @type {import("./figures.js").Figure | null} */ figure) {
  const tr = document.createElement("tr");
  const th = document.createElement("th");
  const name = document.createElement("b");
  name.textContent = label;
  th.scope = "row";
  th.append(name, " " + direction);
  tr.append(th);
  if (!figure) {
    const absent = document.createElement("td");
    absent.colSpan = 7;
    absent.textContent = label === "Share" && !shared ? "nothing is shared" : "waiting for packets";
    tr.className = "absent";
    tr.append(absent);
    return tr;
  }
  const { loss, estimated, latency, jitter, bitRate, height, frameRate } = figure;
  const kilobits = bitRate !== null && bitRate < 1e6;
  tr.append(
    cell(loss, 1, "%", estimated ? "≈ " : "", loss !== null && loss > 5),
    cell(latency, 0, "ms"), cell(jitter, 0, "ms"),
    kilobits ? cell(bitRate / 1e3, 0, "kbit/s") : cell(bitRate && bitRate / 1e6, 2, "Mbit/s"),
    cell(height, 0, "px"), cell(frameRate, 0, "/s"),
  );
  const codecCell = document.createElement("td");
  codecCell.textContent = figure.codec === "opus" ? "Opus" : figure.codec;
  tr.append(codecCell);
  return tr;
}

function cell(/** @type {number | null} */ value, /** @type {number} */ digits,
  /** @type {string} */ unit, prefix = "", poor = false) {
  const td = document.createElement("td");
  td.textContent = value === null ? "–" : `${prefix}${value.toFixed(digits)}\u2009${unit}`;
  td.classList.toggle("poor", poor);
  return td;
}

const addressOf = (/** @type {Session} */ { meetingId }) =>
  `${location.origin}/v1/meeting/qualities?meetingId=${encodeURIComponent(meetingId)}`;

function showQuestion(/** @type {Session} */ session) {
  $("answer").hidden = false;
  $("answer-json").hidden = true;
  $("answer-state").textContent = "The first interval appears after about a minute.";
  $("curl").textContent =
    `curl -H "Authorization: Bearer ${session.token}" "${addressOf(session)}"`;
}

async function ask() {
  if (!session) return;
  const asked = session;
  let text;
  try {
    const response = await fetch(addressOf(asked), {
      headers: { authorization: `Bearer ${asked.token}` }, cache: "no-store",
    });
    const answer = await response.json();
    if (asked !== session) return;
    $("answer-json").textContent = JSON.stringify(answer, null, 2);
    $("answer-json").hidden = false;
    text = response.ok ? summary(answer.items)
      : `The API answers ${response.status}: ${answer.message ?? "no reason given"}`;
  } catch {
    text = "The server does not answer.";
  }
  const time = new Date().toLocaleTimeString([], { timeZoneName: "short" });
  $("answer-state").textContent = `${time}: ${text}`;
}

function summary(/** @type {any[]} */ items) {
  const count = (/** @type {string} */ kind) => items.flatMap((item) => item[kind] ?? [])
    .reduce((sum, stream) => sum + stream.mediaBitRate.length, 0);
  const found = STREAMS.flatMap(([label, name]) => {
    const [received, sent] = [count(name + "In"), count(name + "Out")];
    return received || sent ? `${label.toLowerCase()} ${received} received, ${sent} sent` : [];
  });
  return found.length ? `intervals of a minute so far: ${found.join("; ")}.`
    : "no interval is complete yet; the first appears after about a minute.";
}

async function copy() {
  const line = $("curl");
  try {
    await navigator.clipboard.writeText(line.textContent ?? "");
    $("copy").textContent = "Copied";
    setTimeout(() => { $("copy").textContent = "Copy the curl line"; }, 2000);
  } catch {
    getSelection()?.selectAllChildren(line); // no clipboard here: the person copies it
  }
}

$("start").addEventListener("click", () => start(false));
$("start-generated").addEventListener("click", () => start(true));
$("share").addEventListener("click", toggleShare);
$("hang-up").addEventListener("click", hangUp);
$("ask").addEventListener("click", ask);
$("copy").addEventListener("click", copy);
