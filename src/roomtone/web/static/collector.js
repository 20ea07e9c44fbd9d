/**
 * Roomtone's collector: samples getStats() of a page's peer connections and posts the reports.
 * It never throws into the page. docs/telemetry-collector.md tells how to use it.
 * @typedef {"camera" | "share" | "microphone"} Role
 * @typedef {Record<string, string | undefined>} Header
 * @typedef {Iterable<RTCPeerConnection> | Map<string, RTCPeerConnection> |
 *   Record<string, RTCPeerConnection>} Connections
 * @typedef {Map<string | MediaStreamTrack, Role> | Record<string, Role>} Tracks
 * @typedef {object} Options
 * @property {string} url Roomtone's address, such as https://roomtone.example
 * @property {string | (() => string | Promise<string>)} token a function is asked again after a 401
 * @property {string} meetingId
 * @property {{id?: string, name?: string, email?: string}} [participant]
 * @property {Connections | (() => Connections)} [connections]
 * @property {Tracks | (() => Tracks)} [tracks]
 * @property {number} [sampleEvery] seconds
 * @property {number} [postEvery] seconds
 * @property {number} [postBytes] a fuller buffer is posted at once; no post is larger
 * @property {number} [bufferBytes] a fuller buffer loses its oldest reports
 * @property {number} [retryAfter] seconds before the first retry; doubles up to 300
 * @property {boolean} [labels] send the labels of the devices in use
 * @property {boolean} [addresses] send the local address
 * @property {Header} [session] header fields that the page knows better
 * @property {(error: Error) => void} [onerror]
 * @property {(verdict: Verdict) => void} [onVerdict] told after posts how the person has it
 * @typedef {object} Verdict
 * @property {string} verdict good, fair, poor or unclassified: of the whole session
 * @property {string} because
 * @property {string} now the same of its last intervals
 * @property {string} trouble
 * @property {string} text for the person; empty while it is good now
 * @property {string} advice
 * @typedef {{text: string, size: number}} Report
 */

const TYPES = new RegExp("^((remote-)?(in|out)bound-rtp|media-source|codec|transport|" +
  "candidate-pair|(local|remote)-candidate)$");
const FIELDS = new RegExp("^(?!mediaType|totalSamplesD|.*(Certificate|With|OnSend|Assembled))(" +
  "kind|ssrc|[mr]id|active|state|nominated|selected|width|height|channels|jitter|audioLevel|" +
  "protocol|clockRate|sdpFmtpLine|scalabilityMode|trackIdentifier|remoteTimestamp|frame\\w+|" +
  "qualityLimitation\\w+|jitterBufferDelay|totalPacketSendDelay|\\w*[rR]oundTripTime\\w*|" +
  "\\w+(Id|Lost|Sent|Received|Discarded|Count|Samples|Events|Type|State|Protocol|itrate|" +
  "Implementation|Duration|codeTime))$");
const STATES = ["connected", "disconnected", "failed", "closed"];
const POST_S_MAX = 30, RETRY_S_MAX = 300, RETRY_AFTER_S_MAX = 86400, LAST_TRIES_MAX = 8;
const LEAVE_BYTES_MAX = 64000;

const now = () => new Date().toISOString();
const uuid = () => {
  const b = crypto.getRandomValues(new Uint8Array(16));
  b[6] = (b[6] & 15) | 64;
  b[8] = (b[8] & 63) | 128;
  const hex = Array.from(b, (x) => x.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(....)(....)(....)/, "$1-$2-$3-$4-").toUpperCase();
};
const idOf = (/** @type {MediaStreamTrack | string} */ track) =>
  typeof track === "string" ? track : track?.id;
const sizeOf = (/** @type {string} */ text) => new TextEncoder().encode(text).length;

/**
 * The entries and fields that Roomtone measures, codecs and candidates only when in use.
 * @param {Map<string, any>} report
 * @param {RTCRtpTransceiver[]} transceivers
 * @param {boolean} addresses
 */
function filter(report, transceivers, addresses) {
  const all = [...report.values()];
  const used = new Set();
  for (const e of all) {
    used.add(e.codecId).add(e.selectedCandidatePairId);
    if (e.selected) used.add(e.id);
  }
  for (const e of all) {
    if (e.type === "candidate-pair" && used.has(e.id)) {
      used.add(e.localCandidateId).add(e.remoteCandidateId);
    }
  }
  const stats = [];
  for (const e of all) {
    if (!TYPES.test(e.type) || (/^codec|candidate/.test(e.type) && !used.has(e.id))) continue;
    /** @type {Record<string, any>} */
    const kept = { id: e.id, type: e.type, timestamp: e.timestamp };
    for (const name in e) if (FIELDS.test(name)) kept[name] = e[name];
    if (addresses && e.type === "local-candidate") kept.address = e.address;
    if (e.type === "outbound-rtp" && !e.mediaSourceId) {
      // Firefox does not link what is sent with its source: the transceiver does.
      const id = transceivers.find((t) => t.mid === e.mid)?.sender.track?.id;
      const source = all.find((s) => s.type === "media-source" && s.trackIdentifier === id);
      if (id && source) kept.mediaSourceId = source.id;
    }
    stats.push(kept);
  }
  return stats;
}

/** What the browser says of itself. @returns {Promise<Header>} */
async function client() {
  const ua = navigator.userAgent;
  const hints = await /** @type {any} */ (navigator).userAgentData
    ?.getHighEntropyValues?.(["platformVersion", "model", "fullVersionList"])
    .catch(() => undefined);
  const brands = (hints?.fullVersionList ?? [])
    .filter((/** @type {any} */ b) => !/not.?a.?brand/i.test(b.brand));
  const brand = brands.find((/** @type {any} */ b) => b.brand !== "Chromium") ?? brands[0];
  const named = /(Edg|OPR|Firefox|FxiOS|CriOS|Chrome)\/([\d.]+)/.exec(ua) ??
    /()Version\/([\d.]+).*Safari/.exec(ua);
  const os = /Android/.test(ua) ? "android" : /CrOS/.test(ua) ? "chrome"
    : /iP(hone|ad|od)/.test(ua) || (/Mac/.test(ua) && navigator.maxTouchPoints > 1) ? "ios"
    : /Mac/.test(ua) ? "mac" : /Win/.test(ua) ? "windows" : /Linux|X11/.test(ua) ? "linux"
    : "other";
  let version = hints?.platformVersion || /Android ([\d.]+)/.exec(ua)?.[1];
  // Windows gives the version of its API: 13 and more are Windows 11.
  if (os === "windows" && version) version = parseInt(version) >= 13 ? "11" : "10";
  return {
    clientType: brand?.brand ?? (named && (named[1] || "Safari")) ?? undefined,
    clientVersion: brand?.version ?? named?.[2],
    osType: os,
    osVersion: version || undefined,
    hardwareType: hints?.model || undefined,
  };
}

/**
 * Starts to collect. Everything that goes wrong goes to `onerror`, once when it is final.
 * @param {Options} options
 */
export function collect(options) {
  const o = {
    sampleEvery: 10, postEvery: 60, postBytes: 64000, bufferBytes: 512000, retryAfter: 2,
    labels: true, addresses: true, ...options,
  };
  const started = performance.now();
  /** @type {Map<RTCPeerConnection, string>} */
  const watched = new Map();
  /** @type {WeakMap<RTCPeerConnection, string>} */
  const connectionNames = new WeakMap();
  /** @type {Set<RTCPeerConnection>} */
  const added = new Set(), sampling = new Set();
  /** @type {Map<string, Role>} */
  const roles = new Map();
  /** @type {Report[]} */
  let buffer = [];
  /** @type {{reports: Set<Report>, size: number} | undefined} what outlives the page */
  let safe;
  /** @type {Promise<void> | undefined} */
  let posting;
  /** @type {string | undefined} */
  let bearer;
  let valid = false;
  /** @type {Header} */
  let seen = {}, told = {};
  /** @type {number | undefined} */
  let sampleTimer;
  /** @type {number | undefined} */
  let retryTimer;
  let sessionId = uuid(), joinTime = now(), leaveTime = "", joinMeetingTime = "";
  let devices = "", warned = "";
  let counter = 0, buffered = 0, dropped = 0, failures = 0, notBefore = 0, postedAt = started;
  let everything = false, urgent = false, joined = false, announced = false;
  let stopped = false, dead = false;

  const warn = (/** @type {string} */ text) => {
    if (text === warned) return;
    warned = text;
    try {
      (o.onerror ?? console.warn)(new Error("Roomtone: " + text));
    } catch { /* the page's own handler failed: nothing to do about it here */ }
  };
  const giveUp = (/** @type {string} */ text) => {
    if (dead) return;
    dead = true;
    halt();
    buffer = [];
    buffered = 0;
    warn(text + "; no more telemetry is sent");
  };
  const guard = (/** @type {() => any} */ work) =>
    Promise.resolve().then(work).catch((error) => warn(String(error)));

  /** @returns {[string | undefined, RTCPeerConnection][]} */
  function given() {
    const c = /** @type {any} */ (
      typeof o.connections === "function" ? o.connections() : o.connections ?? []);
    if (typeof c.getStats === "function") return [[undefined, c]];
    if (c instanceof Map) return [...c];
    return Symbol.iterator in c ? [...c].map((pc) => [undefined, pc]) : Object.entries(c);
  }

  function refresh() {
    const all = [...given(), ...Array.from(added, (pc) => /** @type {const} */ ([undefined, pc]))]
      .filter((pair) => pair[1]);
    for (const [name, pc] of all) {
      if (pc.connectionState === "closed") {
        forget(pc);
        continue;
      }
      if (!connectionNames.has(pc)) connectionNames.set(pc, name ?? "pc" + ++counter);
      if (watched.has(pc)) continue;
      watched.set(pc, String(connectionNames.get(pc)));
      pc.addEventListener?.("connectionstatechange", changed);
      if (!joined && pc.connectionState === "connected") joined = true;
    }
    for (const pc of watched.keys()) if (!all.some((pair) => pair[1] === pc)) forget(pc);
  }

  function forget(/** @type {RTCPeerConnection} */ pc) {
    pc.removeEventListener?.("connectionstatechange", changed);
    const name = watched.get(pc);
    watched.delete(pc);
    added.delete(pc);
    return name === undefined ? undefined : sample(pc, name).catch(() => {});
  }

  function changed(/** @type {Event} */ event) {
    const pc = /** @type {RTCPeerConnection} */ (event.target);
    if (!STATES.includes(pc.connectionState)) return;
    guard(async () => {
      if (!joined && pc.connectionState === "connected") {
        joined = true;
        joinMeetingTime = ((performance.now() - started) / 1000).toFixed(3);
      }
      await sample(pc, watched.get(pc) ?? "");
      if (pc.connectionState === "closed") forget(pc);
      await announce();
    });
  }

  /** Roles by track id; a mid names what is received there. */
  function rolesOf(/** @type {RTCRtpTransceiver[]} */ transceivers, /** @type {string} */ name) {
    const given = typeof o.tracks === "function" ? o.tracks() : o.tracks;
    const pairs = given instanceof Map ? given : Object.entries(given ?? {});
    for (const [track, role] of pairs) roles.set(idOf(track), role);
    /** @type {Record<string, Role>} */
    const found = {};
    for (const { mid, sender, receiver } of transceivers) {
      const out = sender.track, into = receiver.track;
      const share = out?.kind === "video" && (/** @type {any} */ (out.getSettings()).displaySurface
        || /^(detail|text)$/.test(out.contentHint));
      const sent = out && (roles.get(out.id) ?? (share ? "share" : undefined));
      const received = roles.get(into.id) ?? roles.get(name + "/" + mid) ?? roles.get(mid ?? "");
      if (out && sent) found[out.id] = sent;
      if (received) found[into.id] = received;
    }
    return found;
  }

  async function sample(/** @type {RTCPeerConnection} */ pc, /** @type {string} */ name) {
    if (dead || sampling.has(pc)) return;
    sampling.add(pc);
    try {
      const transceivers = pc.getTransceivers?.() ?? [];
      const stats = filter(/** @type {any} */ (await pc.getStats()), transceivers, o.addresses);
      const media = stats.find((e) => /^(in|out)bound/.test(e.type));
      if (!media) return;
      keep(JSON.stringify({ connection: name, timestamp: media.timestamp, stats,
        roles: rolesOf(transceivers, name) }));
    } finally {
      sampling.delete(pc);
    }
  }

  function keep(/** @type {string} */ text) {
    const report = { text, size: sizeOf(text) + 1 };
    buffer.push(report);
    buffered += report.size;
    while (buffered > o.bufferBytes && buffer.length) {
      buffered -= /** @type {Report} */ (buffer.shift()).size;
      dropped++;
    }
    if (full()) guard(() => post(false));
  }

  const full = () => buffered + 1500 >= o.postBytes;

  function header() {
    const p = o.participant ?? {};
    const type = /** @type {any} */ (navigator).connection?.type;
    const known = /^(wifi|cellular|ethernet)$/.test(type);
    const fields = { ...seen, networkType: known ? type : undefined, participantId: p.id,
      webexUserName: p.name, webexUserEmail: p.email, joinTime,
      joinMeetingTime: joinMeetingTime || undefined, leaveTime: leaveTime || undefined,
      ...o.session, ...told };
    // A clock that was set back in the call, or a joinTime of another clock, would cost the post.
    if (new Date(fields.leaveTime) < new Date(fields.joinTime)) fields.leaveTime = fields.joinTime;
    return fields;
  }

  /** The labels of the devices whose tracks are being sent; a drawn picture has none. */
  async function lookAtDevices() {
    const tracks = [...watched.keys()].flatMap((pc) => pc.getSenders?.() ?? [])
      .flatMap((sender) => sender.track ?? []);
    const key = tracks.map((track) => track.label + track.readyState).join();
    if (!o.labels || key === devices) return;
    devices = key;
    const all = await navigator.mediaDevices?.enumerateDevices() ?? [];
    const label = (/** @type {string} */ kind) => all.find((d) => d.kind === kind + "input" &&
      tracks.some((t) => t.kind === kind && d.deviceId === t.getSettings().deviceId))?.label;
    const speaker = all.find((d) => d.kind === "audiooutput")?.label;
    seen = { ...seen, camera: label("video") ?? seen.camera,
      microphone: label("audio") ?? seen.microphone,
      speakerName: speaker?.replace(/^Default - /, "") || seen.speakerName };
  }

  /** A body of at most `limit` bytes, from the oldest report on, or from the newest back. */
  function pack(/** @type {number} */ limit, newest = false, without = new Set()) {
    const head = JSON.stringify({ meetingId: o.meetingId, participantSessionId: sessionId,
      sentAt: performance.timeOrigin + performance.now(), // on the clock of getStats()
      session: header() }).slice(0, -1) + ',"reports":[';
    let size = sizeOf(head) + 2;
    const chosen = [];
    const waiting = buffer.filter((report) => !without.has(report));
    for (const report of newest ? waiting.reverse() : waiting) {
      if (size + report.size > limit && (newest || chosen.length)) break;
      size += report.size;
      chosen.push(report);
    }
    if (newest) chosen.reverse();
    return { body: head + chosen.map((r) => r.text).join() + "]}", size, reports: new Set(chosen) };
  }

  const request = (/** @type {string} */ path, /** @type {RequestInit} */ init = {}) =>
    fetch(new URL(path, o.url), {
      ...init, credentials: "omit", cache: "no-store", referrerPolicy: "no-referrer",
      signal: AbortSignal.timeout?.(POST_S_MAX * 1000),
      headers: { authorization: "Bearer " + bearer, ...init.headers },
    });
  const send = (/** @type {string} */ body, /** @type {boolean} */ keepalive) =>
    request("/v1/webrtc/reports", {
      method: "POST", body, keepalive, headers: { "content-type": "application/json" },
    });

  /** Tells the page how its person has it; who cannot be asked now is asked after the next post. */
  async function ask() {
    const answer = await request("/v1/collector/verdict?participantSessionId=" + sessionId)
      .catch(() => undefined);
    if (answer?.ok && !stopped) o.onVerdict?.(await answer.json());
  }

  /** One post at a time; `all` goes on until the buffer is empty. @returns {Promise<void>} */
  function post(all = true) {
    everything ||= all;
    posting ??= drain().finally(() => {
      posting = undefined;
      everything = false;
    });
    return posting;
  }

  async function drain() {
    postedAt = performance.now();
    do {
      if (dead || performance.now() < notBefore) return;
      await lookAtDevices().catch(() => {});
      const parcel = pack(o.postBytes);
      if (!parcel.reports.size && announced && !leaveTime) return;
      // Browsers allow 64 KiB of keepalive bodies at a time: only a page that hides needs them.
      if (urgent && parcel.size <= LEAVE_BYTES_MAX) safe = parcel;
      urgent = false;
      const refused = await deliver(parcel.body, safe === parcel);
      safe = undefined;
      if (refused) return retry(refused);
      failures = 0;
      announced = true;
      const before = buffer.length;
      buffer = buffer.filter((report) => !parcel.reports.has(report));
      dropped -= parcel.reports.size - (before - buffer.length);
      buffered = buffer.reduce((sum, report) => sum + report.size, 0);
    } while (buffer.length && (everything || full()));
    if (o.onVerdict && !stopped) guard(ask);
  }

  /**
   * Undefined when it is stored, else the seconds that the server asks to wait, or -1.
   * @param {string} body
   * @param {boolean} keepalive
   * @returns {Promise<number | undefined>}
   */
  async function deliver(body, keepalive, again = true) {
    try {
      bearer ??= await (typeof o.token === "function" ? o.token() : o.token);
      const response = await send(body, keepalive);
      const { status } = response;
      if (response.ok) return;
      if (status === 401 && typeof o.token === "function") {
        bearer = undefined;
        return again ? deliver(body, keepalive, false) : -1;
      }
      if (status < 500 && status !== 408 && status !== 429) {
        const answer = await response.json().catch(() => ({}));
        giveUp(`the server refused (${status}${answer.message ? ", " + answer.message : ""})`);
      }
      return Number(response.headers.get("retry-after")) || -1;
    } catch {
      return -1; // offline, timed out, or the page's token function failed: later, then
    }
  }

  function retry(/** @type {number} */ asked) {
    if (dead) return;
    failures++;
    if (stopped && failures > LAST_TRIES_MAX) return giveUp("the last reports were not taken");
    const backOff = Math.min(o.retryAfter * 2 ** (failures - 1), RETRY_S_MAX);
    const wait = asked > 0 ? Math.min(asked, RETRY_AFTER_S_MAX) * (1 + Math.random() / 10)
      : backOff * (0.5 + Math.random() / 2);
    notBefore = performance.now() + wait * 1000;
    clearTimeout(retryTimer);
    retryTimer = setTimeout(() => { notBefore = 0; guard(post); }, wait * 1000);
  }

  async function tick() {
    const every = o.sampleEvery * 1000;
    const step = Math.round((performance.now() - started) / every) + 1;
    sampleTimer = setTimeout(() => guard(tick), started + step * every - performance.now());
    await sampleAll().catch((error) => warn(String(error)));
    if (performance.now() - postedAt >= o.postEvery * 1000 - every / 2) await post();
    else await announce();
  }

  /** Whoever is in the meeting is said to be in it at once. */
  async function announce() {
    if (joined && !announced && !failures) await post();
  }

  async function sampleAll() {
    refresh();
    await Promise.all(Array.from(watched, ([pc, name]) =>
      sample(pc, name).catch((error) => warn(String(error)))));
  }

  function halt() {
    stopped = true;
    clearTimeout(sampleTimer);
    removeEventListener("pagehide", leave);
    document.removeEventListener("visibilitychange", hidden);
    for (const pc of watched.keys()) pc.removeEventListener?.("connectionstatechange", changed);
  }

  /** The page goes: what fits into a keepalive post goes with it, the newest first. */
  function leave() {
    clearTimeout(sampleTimer);
    clearTimeout(retryTimer);
    addEventListener("pageshow", comeBack, { once: true });
    leaveTime = now();
    try {
      sendTheRest();
    } catch (error) {
      warn(String(error));
    }
  }

  function sendTheRest() {
    const parcel = pack(LEAVE_BYTES_MAX - (safe?.size ?? 0), true, safe?.reports);
    dropped += buffer.length - parcel.reports.size - (safe?.reports.size ?? 0);
    buffer = [];
    buffered = 0;
    if (bearer && !dead) send(parcel.body, true).catch(() => {});
  }

  /** Back from the back-forward cache: somebody who had left joins again, as a new session. */
  function comeBack() {
    if (stopped) return;
    sessionId = uuid();
    joinTime = now();
    leaveTime = joinMeetingTime = "";
    announced = false;
    guard(tick);
  }

  const hidden = () => {
    // A hidden page on a phone may end without another word.
    if (document.visibilityState !== "hidden" || !announced || leaveTime) return;
    urgent = true;
    guard(post);
  };

  Promise.resolve().then(async () => {
    if (!o.token || !o.meetingId) return giveUp("url, token and meetingId are needed");
    valid = !!new URL(o.url);
    addEventListener("pagehide", leave);
    document.addEventListener("visibilitychange", hidden);
    seen = { ...(await client()), ...seen };
    if (!stopped) await tick();
  }).catch((error) => (valid ? warn(String(error)) : giveUp(String(error))));

  return {
    get sessionId() { return sessionId; },
    get dropped() { return dropped; },
    get buffered() { return buffered; },
    /** Watches one more connection. */
    add(/** @type {RTCPeerConnection} */ pc, /** @type {string | undefined} */ name) {
      return guard(() => {
        if (stopped) return;
        if (name) connectionNames.set(pc, name);
        added.add(pc);
        return sampleAll();
      });
    },
    /** Forgets a connection after a last sample: call it before `pc.close()`. */
    remove(/** @type {RTCPeerConnection} */ pc) { return guard(() => forget(pc)); },
    /** Says what a track (or its id, or the mid it is received on) shows. */
    name(/** @type {MediaStreamTrack | string} */ track, /** @type {Role} */ role) {
      roles.set(idOf(track), role);
    },
    /** Header fields that the page learns later. */
    update(/** @type {Header} */ fields) { told = { ...told, ...fields }; },
    /** Samples and posts now. Never rejects. */
    flush() {
      return guard(async () => {
        if (stopped) return;
        await sampleAll();
        await post();
      });
    },
    /** A last sample, leaveTime, and the last post. Never rejects. */
    stop() {
      return guard(async () => {
        if (stopped) return;
        halt();
        await sampleAll().catch(() => {});
        leaveTime = now();
        await posting;
        await post();
      });
    },
  };
}
