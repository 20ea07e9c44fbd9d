/**
 * Two peer connections in one page that call each other: A is the participant, B the far end.
 * Each sends its own copy of every source, so that the two directions are independent.
 */
export class Pair {
  constructor() {
    this.a = new RTCPeerConnection();
    this.b = new RTCPeerConnection();
    /** @type {Map<string, {transceiver: RTCRtpTransceiver, copy: MediaStreamTrack | null}>} */
    this.lines = new Map();
    this.described = new Promise((resolve) => { this.allDescribed = resolve; });
    this.exchange(this.a, this.b);
    this.exchange(this.b, this.a);
  }

  exchange(/** @type {RTCPeerConnection} */ from, /** @type {RTCPeerConnection} */ to) {
    from.addEventListener("icecandidate", async ({ candidate }) => {
      await this.described;
      if (to.signalingState !== "closed") await to.addIceCandidate(candidate ?? undefined);
    });
  }

  /**
   * Sends a track both ways under a name; `negotiate()` makes it happen.
   * @param {string} name
   * @param {MediaStreamTrack} track
   * @param {string} codec such as "vp9"; "" leaves the choice to the browser
   */
  async send(name, track, codec = "") {
    const line = this.lines.get(name);
    if (line) {
      await line.transceiver.sender.replaceTrack(track);
      line.transceiver.direction = "sendrecv";
      line.copy = copyOf(track);
      return;
    }
    const transceiver = this.a.addTransceiver(track, { direction: "sendrecv" });
    const wanted = codecsOf(track.kind, codec);
    if (wanted.length) transceiver.setCodecPreferences(wanted);
    this.lines.set(name, { transceiver, copy: copyOf(track) });
  }

  /** Stops what was sent under a name. */
  async unsend(/** @type {string} */ name) {
    const line = this.lines.get(name);
    if (!line) return;
    line.copy?.stop();
    line.copy = null;
    await line.transceiver.sender.replaceTrack(null);
    line.transceiver.direction = "inactive";
  }

  async negotiate() {
    const { a, b } = this;
    await a.setLocalDescription();
    await b.setRemoteDescription(/** @type {RTCSessionDescription} */ (a.localDescription));
    for (const { transceiver, copy } of this.lines.values()) {
      const far = b.getTransceivers().find((t) => t.mid === transceiver.mid);
      if (!far) continue;
      if (far.sender.track !== copy) await far.sender.replaceTrack(copy);
      far.direction = copy ? "sendrecv" : "inactive";
    }
    await b.setLocalDescription();
    await a.setRemoteDescription(/** @type {RTCSessionDescription} */ (b.localDescription));
    this.allDescribed?.(undefined);
  }

  /** Resolves when media can flow; rejects with a sentence when it cannot. */
  connected(/** @type {number} */ secondsMax) {
    const { a } = this;
    return new Promise((resolve, reject) => {
      const fail = () => reject(new Error("The two ends found no way to each other."));
      const timer = setTimeout(fail, secondsMax * 1000);
      a.addEventListener("connectionstatechange", () => {
        if (a.connectionState === "connected") resolve(clearTimeout(timer));
        if (a.connectionState === "failed") fail();
      });
    });
  }

  /** The track that A receives under a name. */
  received(/** @type {string} */ name) {
    return this.lines.get(name)?.transceiver.receiver.track;
  }

  close() {
    for (const line of this.lines.values()) line.copy?.stop();
    this.a.close();
    this.b.close();
  }
}

function copyOf(/** @type {MediaStreamTrack} */ track) {
  const copy = track.clone();
  copy.contentHint = track.contentHint;
  return copy;
}

/** The wanted codec first, then what goes with it; empty when the browser does not know it. */
function codecsOf(/** @type {string} */ kind, /** @type {string} */ codec) {
  const all = RTCRtpReceiver.getCapabilities(kind)?.codecs ?? [];
  const is = (/** @type {RTCRtpCodec} */ c) => c.mimeType.toLowerCase() === "video/" + codec;
  return all.some(is) ? [...all.filter(is), ...all.filter((c) => !is(c))] : [];
}
