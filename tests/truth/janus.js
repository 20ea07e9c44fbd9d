// A small Janus client: one session over a WebSocket, handles that publish and handles that watch.

const KEEPALIVE_MS = 20_000;
const PAINT_MS = 100;

class Session {
  #waiting = new Map();
  #handles = new Map();
  #serial = 0;
  #id;

  static async open(url) {
    const session = new Session();
    session.socket = new WebSocket(url, "janus-protocol");
    session.socket.onmessage = ({ data }) => session.#heard(JSON.parse(data));
    await new Promise((done, failed) => {
      session.socket.onopen = done;
      session.socket.onerror = () => failed(new Error(`no connection to ${url}`));
    });
    session.#id = (await session.ask({ janus: "create" })).data.id;
    setInterval(() => session.ask({ janus: "keepalive" }, true), KEEPALIVE_MS);
    return session;
  }

  ask(message, acknowledged = false) {
    const transaction = `t${++this.#serial}`;
    const whole = { ...message, transaction };
    if (this.#id) whole.session_id = this.#id;
    return new Promise((done, failed) => {
      this.#waiting.set(transaction, { done, failed, acknowledged });
      this.socket.send(JSON.stringify(whole));
    });
  }

  #heard(message) {
    const waiting = this.#waiting.get(message.transaction);
    if (waiting && (message.janus !== "ack" || waiting.acknowledged)) {
      this.#waiting.delete(message.transaction);
      const wrong = message.janus === "error" || message.plugindata?.data?.error;
      if (wrong) waiting.failed(new Error(JSON.stringify(message)));
      else waiting.done(message);
    } else {
      this.#handles.get(message.sender)?.(message.plugindata?.data ?? {});
    }
  }

  async attach(opaqueId, heard) {
    const plugin = "janus.plugin.videoroom";
    const { id } = (await this.ask({ janus: "attach", plugin, opaque_id: opaqueId })).data;
    if (heard) this.#handles.set(id, heard);
    return {
      send: (body, jsep) => this.ask({ janus: "message", handle_id: id, body, jsep }),
      trickle: (candidate) =>
        this.ask({ janus: "trickle", handle_id: id, candidate: candidate ?? { completed: true } }, true),
    };
  }
}

const person = (window.person = {
  connections: {},

  async enter({ url, room, name, camera, share }) {
    Object.assign(this, { room, name, own: new Set() });
    this.session = await Session.open(url);
    const media = await navigator.mediaDevices.getUserMedia({
      audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false },
      video: camera,
    });
    await this.publish("camera", media);
    if (share) {
      const shown = await navigator.mediaDevices.getDisplayMedia({
        video: { frameRate: 10 },
        preferCurrentTab: true,
      });
      await this.publish("share", shown);
    }
  },

  connection(name, handle) {
    const made = (this.connections[name] = new RTCPeerConnection());
    made.onicecandidate = ({ candidate }) => handle.trickle(candidate?.toJSON());
    return made;
  },

  async publish(what, media) {
    const handle = await this.session.attach(`${this.name}:${what}`, ({ publishers }) => {
      if (what === "camera") this.watch(publishers);
    });
    const display = what === "camera" ? this.name : `${this.name} ${what}`;
    const joined = await handle.send({ request: "join", ptype: "publisher", room: this.room, display });
    this.own.add(joined.plugindata.data.id);
    const made = this.connection(what, handle);
    for (const track of media.getTracks()) made.addTrack(track, media);
    await made.setLocalDescription();
    const answered = await handle.send({ request: "publish" }, made.localDescription.toJSON());
    await made.setRemoteDescription(answered.jsep);
    if (what === "camera") await this.watch(joined.plugindata.data.publishers);
  },

  async watch(publishers) {
    for (const { id, display } of publishers ?? []) {
      if (this.own.has(id) || display.startsWith(this.name)) continue;
      const handle = await this.session.attach(`${this.name}:watching`);
      const streams = [{ feed: id }];
      const offered = await handle.send({ request: "join", ptype: "subscriber", room: this.room, streams });
      const made = this.connection(`from ${display}`, handle);
      await made.setRemoteDescription(offered.jsep);
      await made.setLocalDescription();
      await handle.send({ request: "start" }, made.localDescription.toJSON());
    }
  },

  connected(count) {
    const all = Object.values(this.connections);
    return all.length === count && all.every((one) => one.connectionState === "connected");
  },

  // [{connection, type, kind, ssrc}] of every RTP stream.
  async streams() {
    const found = [];
    for (const [connection, one] of Object.entries(this.connections)) {
      for (const { type, kind, ssrc } of (await one.getStats()).values()) {
        if (type === "inbound-rtp" || type === "outbound-rtp") found.push({ connection, type, kind, ssrc });
      }
    }
    return found;
  },

  async leave() {
    await this.session.ask({ janus: "destroy" });
    for (const one of Object.values(this.connections)) one.close();
  },
});

// A tab that never paints has nothing to share.
let tick = 0;
const paper = document.getElementById("moving").getContext("2d");
setInterval(() => {
  paper.fillStyle = `hsl(${(tick += 3) % 360} 70% 60%)`;
  paper.fillRect(0, 0, 640, 360);
  paper.fillStyle = "black";
  paper.fillText(`${tick}`, tick % 600, 180);
}, PAINT_MS);
