/**
 * Live figures of one peer connection, from the differences of its counters over some seconds.
 * The rules are the server's: retransmissions do not count, too few packets are unknown, and so is
 * what padding may hide in (docs/decisions/0009-padding-in-sent-video.md).
 * @typedef {object} Figure
 * @property {number | null} loss percent
 * @property {boolean} estimated
 * @property {number | null} latency ms
 * @property {number | null} jitter ms
 * @property {number | null} bitRate bit/s
 * @property {number | null} height px
 * @property {number | null} frameRate 1/s
 * @property {string} codec
 */

const WINDOW_S = 10;
const HOLD_S = 10;
const PACKETS_MIN = 50;
const DOUBT_POINTS_MAX = 1;
const BIT_RATE_MIN = 140_000;

export class Figures {
  constructor(/** @type {RTCPeerConnection} */ connection) {
    this.connection = connection;
    /** @type {Map<string, any>[]} with those before the window, too */
    this.all = [];
    /** @type {Map<string, any>[]} */
    this.reports = [];
  }

  /** Takes a report, one a second; the window begins with the first that is no older. */
  async sample() {
    const report = /** @type {any} */ (await this.connection.getStats());
    this.all.push(report);
    if (this.all.length > WINDOW_S + HOLD_S + 1) this.all.shift();
    this.reports = this.all.slice(-WINDOW_S - 1);
  }

  /**
   * The figure of a direction of a transceiver, or null while nothing flows.
   * @param {"inbound-rtp" | "outbound-rtp"} type
   * @param {RTCRtpTransceiver | undefined} transceiver
   * @returns {Figure | null}
   */
  figure(type, transceiver) {
    const last = this.reports.at(-1);
    const entry = last && entries(last).find((e) => e.type === type && e.mid === transceiver?.mid);
    if (!last || !entry) return null;
    const base = this.reports.find((report) => report.has(entry.id));
    const before = base?.get(entry.id);
    const seconds = (entry.timestamp - before.timestamp) / 1000;
    if (seconds <= 0) return null;
    const d = (/** @type {string} */ name) => (entry[name] ?? 0) - (before[name] ?? 0);
    const sent = type === "outbound-rtp";
    if (d(sent ? "packetsSent" : "packetsReceived") === 0) return null;
    const [bytes, again] = sent ? ["bytesSent", "retransmittedBytesSent"]
      : ["bytesReceived", "retransmittedBytesReceived"];
    const video = entry.kind === "video";
    const remotes = sent ? this.remotes(entry) : [];
    const pads = sent && video;
    const hides = pads && remotes.at(-1)?.packetsReceived === undefined;
    const loss = sent ? lossReported(d, remotes, hides) : lossReceived(d);
    const bitRate = (8 * (d(bytes) - d(again))) / seconds;
    const jitter = sent ? remotes.at(-1)?.jitter : entry.jitter;
    return {
      loss, estimated: hides && loss !== null,
      latency: milliseconds(remotes.at(-1)?.roundTripTime ?? roundTrip(last)),
      jitter: milliseconds(jitter),
      bitRate: (pads && !this.quiet()) || (hides && bitRate < BIT_RATE_MIN) ? null : bitRate,
      height: video ? entry.frameHeight ?? null : null,
      frameRate: video ? d(sent ? "framesSent" : "framesDecoded") / seconds : null,
      codec: (last.get(entry.codecId)?.mimeType ?? "").split("/").at(-1),
    };
  }

  /**
   * Whether the far end lost nothing of any stream, and asked for nothing again, in the window and
   * for a while before.
   */
  quiet() {
    const [first, last] = [this.all[0], this.all[this.all.length - 1]].map((report) =>
      entries(report).map((e) => e.type === "outbound-rtp" ? e.retransmittedPacketsSent
        : e.type === "remote-inbound-rtp" && e.packetsLost)
        .reduce((sum, count) => sum + (count || 0), 0));
    return first === last;
  }

  /** The distinct reports of the far end on a stream that we send, oldest first. */
  remotes(/** @type {any} */ entry) {
    const all = this.reports.flatMap((r) => r.get(r.get(entry.id)?.remoteId) ?? []);
    return all.filter((r, i) => i === 0 || r.timestamp !== all[i - 1].timestamp);
  }
}

const entries = (/** @type {Map<string, any>} */ report) => [...report.values()];
const milliseconds = (/** @type {number | undefined} */ s) => s === undefined ? null : s * 1000;

function lossReceived(/** @type {(name: string) => number} */ d) {
  const lost = Math.max(d("packetsLost"), 0);
  const expected = lost + d("packetsReceived") - d("retransmittedPacketsReceived");
  return expected < PACKETS_MIN ? null : (100 * lost) / expected;
}

/**
 * What the far end lost of what it received, else of what we sent. Where padding hides in that, the
 * loss is between this and that of one packet per frame: unknown when these are far apart.
 */
function lossReported(/** @type {(name: string) => number} */ d, /** @type {any[]} */ remotes,
  /** @type {boolean} */ hides) {
  if (remotes.length < 2) return null;
  const [first, last] = [remotes[0], remotes[remotes.length - 1]];
  const lost = Math.max(last.packetsLost - first.packetsLost, 0);
  const packets = last.packetsReceived === undefined
    ? d("packetsSent") - d("retransmittedPacketsSent")
    : lost + last.packetsReceived - first.packetsReceived;
  if (packets < PACKETS_MIN) return null;
  const loss = Math.min(100, (100 * lost) / packets);
  const most = lost && (100 * lost) / Math.min(d("framesSent"), packets);
  return hides && most - loss > DOUBT_POINTS_MAX ? null : loss;
}

function roundTrip(/** @type {Map<string, any>} */ report) {
  const transport = entries(report).find((e) => e.type === "transport");
  return report.get(transport?.selectedCandidatePairId)?.currentRoundTripTime;
}
