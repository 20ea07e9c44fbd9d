/**
 * Live figures of one peer connection, from the differences of its counters over some seconds.
 * The rules are the server's: retransmissions do not count, too few packets are unknown.
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
const PACKETS_MIN = 50;

export class Figures {
  constructor(/** @type {RTCPeerConnection} */ connection) {
    this.connection = connection;
    /** @type {Map<string, any>[]} */
    this.reports = [];
  }

  /** Takes a report; the oldest one kept is the first that is no older than the window. */
  async sample() {
    const report = /** @type {any} */ (await this.connection.getStats());
    this.reports.push(report);
    if (this.reports.length > WINDOW_S + 1) this.reports.shift();
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
    const loss = sent ? lossReported(entry, before, remotes) : lossReceived(d);
    const jitter = sent ? remotes.at(-1)?.jitter : entry.jitter;
    return {
      loss, estimated: sent && video && loss !== null,
      latency: milliseconds(remotes.at(-1)?.roundTripTime ?? roundTrip(last)),
      jitter: milliseconds(jitter),
      bitRate: (8 * (d(bytes) - d(again))) / seconds,
      height: video ? entry.frameHeight ?? null : null,
      frameRate: video ? d(sent ? "framesSent" : "framesDecoded") / seconds : null,
      codec: (last.get(entry.codecId)?.mimeType ?? "").split("/").at(-1),
    };
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

/** Sound: what the far end lost of what we sent. Picture: the mean of the shares it reported. */
function lossReported(/** @type {any} */ entry, /** @type {any} */ before,
  /** @type {any[]} */ remotes) {
  const packets = entry.packetsSent - before.packetsSent;
  if (remotes.length < 2 || packets < PACKETS_MIN) return null;
  if (entry.kind === "audio") {
    const lost = remotes[remotes.length - 1].packetsLost - remotes[0].packetsLost;
    return Math.min(100, (100 * Math.max(lost, 0)) / packets);
  }
  const shares = remotes.map((r) => r.fractionLost ?? 0);
  return (100 * shares.reduce((sum, share) => sum + share, 0)) / shares.length;
}

function roundTrip(/** @type {Map<string, any>} */ report) {
  const transport = entries(report).find((e) => e.type === "transport");
  return report.get(transport?.selectedCandidatePairId)?.currentRoundTripTime;
}
