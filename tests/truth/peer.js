/** One end of a call whose signalling the test carries; the collector is the server's own. */
import { collect } from "http://127.0.0.1:8080/collector.js";

const GATHERING_MS_MAX = 5000;
const canvas = document.querySelector("#picture");
const reports = [];
const tracks = [];
let connection, collector, ticks = 0;

// A tab share has frames only when the tab paints.
setInterval(() => {
  const context = canvas.getContext("2d");
  context.fillStyle = `hsl(${(ticks * 3) % 360} 70% 60%)`;
  context.fillRect(0, 0, 640, 360);
  context.fillStyle = "#000";
  context.font = "40px sans-serif";
  context.fillText(`tick ${ticks}`, 20 + (ticks++ % 300), 180);
}, 100);

// The moments at which the collector sampled, for the test to look at the same in the log.
const send = window.fetch.bind(window);
window.fetch = (url, options) => {
  if (String(url).endsWith("/v1/webrtc/reports")) reports.push(...JSON.parse(options.body).reports);
  return send(url, options);
};

async function share(how) {
  if (how === "canvas") return canvas.captureStream(5);
  return navigator.mediaDevices.getDisplayMedia({
    video: { displaySurface: "browser", width: 1280, height: 720, frameRate: 5 },
    preferCurrentTab: true, selfBrowserSurface: "include",
  });
}

window.peer = {
  reports,
  get state() { return connection?.connectionState; },
  /** Media first, as a page would: what is sent stays the same when a connection is replaced. */
  async open({ camera, shared, collecting }) {
    const sound = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
    const stream = await navigator.mediaDevices.getUserMedia({ audio: sound, video: camera });
    tracks.push(...stream.getAudioTracks(), ...stream.getVideoTracks());
    if (shared) {
      const [track] = (await share(shared)).getVideoTracks();
      track.contentHint = "detail";
      tracks.push(track);
    }
    const { names, ...options } = collecting;
    collector = collect({
      ...options, url: "http://127.0.0.1:8080", tracks: names,
      connections: () => (connection ? [connection] : []),
      onerror: (error) => { peer.error = String(error); },
    });
    return collector.sessionId;
  },
  /** A connection in the place of the one before, if there was one. */
  async connect(configuration) {
    if (connection) await collector.remove(connection);
    connection?.close();
    connection = new RTCPeerConnection(configuration);
    for (const track of tracks) connection.addTrack(track);
  },
  /** Offers one codec with one profile for all video; answers how many fitted. */
  prefer({ mimeType, fmtp }) {
    const all = RTCRtpReceiver.getCapabilities("video").codecs;
    const wanted = all.filter((codec) => codec.mimeType === mimeType &&
      (codec.sdpFmtpLine ?? "").includes(fmtp));
    const helpers = all.filter((codec) => /rtx|red|ulpfec/.test(codec.mimeType));
    for (const line of connection.getTransceivers()) {
      if (line.sender.track?.kind === "video") line.setCodecPreferences([...wanted, ...helpers]);
    }
    return wanted.length;
  },
  async gathered() {
    if (connection.iceGatheringState !== "complete") {
      await new Promise((resolve) => {
        const limit = setTimeout(resolve, GATHERING_MS_MAX);
        connection.addEventListener("icegatheringstatechange", () => {
          if (connection.iceGatheringState !== "complete") return;
          clearTimeout(limit);
          resolve();
        });
      });
    }
    return connection.localDescription.toJSON();
  },
  async offer() {
    await connection.setLocalDescription();
    return peer.gathered();
  },
  async answer(offer) {
    await connection.setRemoteDescription(offer);
    await connection.setLocalDescription();
    return peer.gathered();
  },
  accept: (answer) => connection.setRemoteDescription(answer),
  leave: () => collector.stop(),
};
