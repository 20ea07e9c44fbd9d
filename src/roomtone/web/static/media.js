/**
 * What the test call sends: camera and microphone, or a drawn picture and a made sound.
 * @typedef {object} Source
 * @property {MediaStreamTrack} track
 * @property {boolean} generated
 * @property {() => void} stop
 */

const PICTURE = { width: 640, height: 360, framesPerSecond: 20 };
const SHARE = { width: 1280, height: 720, framesPerSecond: 5 };

/**
 * The person's device, or what stands in for it; `why` says why it stands in.
 * @param {"audio" | "video"} kind
 * @returns {Promise<{source: Source, why: string}>}
 */
export async function device(kind) {
  const stand = kind === "audio" ? sound : picture;
  if (!navigator.mediaDevices?.getUserMedia) {
    return { source: stand(), why: "this address is not secure (https or localhost)" };
  }
  const { width, height } = PICTURE;
  const video = { width: { ideal: width }, height: { ideal: height }, frameRate: { max: 30 } };
  try {
    const stream = await navigator.mediaDevices.getUserMedia(
      kind === "audio" ? { audio: true } : { video });
    const [track] = stream.getTracks();
    return { source: { track, generated: false, stop: () => track.stop() }, why: "" };
  } catch (error) {
    return { source: stand(), why: reason(error) };
  }
}

/** A screen, window or tab that the person picks; a drawn slide when there is none. */
export async function screen() {
  try {
    const stream = await navigator.mediaDevices.getDisplayMedia({
      video: { frameRate: { max: 10 }, width: { max: 1280 }, height: { max: 720 } },
    });
    const [track] = stream.getVideoTracks();
    track.contentHint = "detail";
    return { source: { track, generated: false, stop: () => track.stop() }, why: "" };
  } catch (error) {
    return { source: slide(), why: reason(error) };
  }
}

function reason(/** @type {unknown} */ error) {
  const name = error instanceof DOMException ? error.name : "";
  if (name === "NotAllowedError") return "it was not allowed";
  if (name === "NotFoundError") return "there is none";
  if (name === "NotReadableError") return "another program holds it";
  return "this browser cannot give it";
}

/**
 * A canvas that `draw` paints so many times a second, as a video track.
 * @param {{width: number, height: number, framesPerSecond: number}} size
 * @param {(context: CanvasRenderingContext2D, seconds: number) => void} draw
 * @returns {Source}
 */
function painted({ width, height, framesPerSecond }, draw) {
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width, height });
  const context = /** @type {CanvasRenderingContext2D} */ (
    canvas.getContext("2d", { alpha: false }));
  const began = performance.now();
  const paint = () => draw(context, (performance.now() - began) / 1000);
  paint();
  const timer = setInterval(paint, 1000 / framesPerSecond);
  const [track] = canvas.captureStream(framesPerSecond).getVideoTracks();
  return { track, generated: true, stop: () => { clearInterval(timer); track.stop(); } };
}

/** Hills that wander and a clock. @returns {Source} */
export function picture() {
  const { width, height } = PICTURE;
  return painted(PICTURE, (context, seconds) => {
    context.fillStyle = "#10302c";
    context.fillRect(0, 0, width, height);
    ["#1b5049", "#2a7a6f", "#6fb3a8"].forEach((colour, layer) => {
      context.fillStyle = colour;
      context.beginPath();
      context.moveTo(0, height);
      for (let x = 0; x <= width; x += 8) {
        const phase = x / (120 - 25 * layer) + seconds * (0.6 + 0.5 * layer);
        context.lineTo(x, height * (0.5 + 0.13 * layer) + Math.sin(phase) * (36 - 8 * layer));
      }
      context.lineTo(width, height);
      context.fill();
    });
    context.fillStyle = "#e69f00";
    context.beginPath();
    context.arc(width / 2 + Math.cos(seconds / 3) * 220, 96 + Math.sin(seconds / 3) * 24, 28, 0, 7);
    context.fill();
    clock(context, 24, 64, 40);
  });
}

/** A slide with lines of text, a pointer and a clock. @returns {Source} */
function slide() {
  const { width, height } = SHARE;
  const source = painted(SHARE, (context, seconds) => {
    context.fillStyle = "#fbfbf9";
    context.fillRect(0, 0, width, height);
    context.fillStyle = "#17645c";
    context.fillRect(0, 0, width, 96);
    context.fillStyle = "#1b2524";
    context.font = "28px system-ui, sans-serif";
    for (let line = 0; line < 9; line++) {
      const number = Math.floor(seconds) + line;
      context.fillText(`Line ${number}: a slide in place of a screen`, 64, 168 + line * 56);
    }
    context.fillStyle = "#d55e00";
    context.beginPath();
    context.arc(900 + Math.cos(seconds) * 220, 400 + Math.sin(seconds * 1.3) * 200, 12, 0, 7);
    context.fill();
    clock(context, 64, 64, 40);
  });
  source.track.contentHint = "detail";
  return source;
}

function clock(/** @type {CanvasRenderingContext2D} */ context, /** @type {number} */ x,
  /** @type {number} */ y, /** @type {number} */ size) {
  context.fillStyle = "#fff";
  context.font = `600 ${size}px system-ui, sans-serif`;
  const now = new Date();
  context.fillText(`${now.toTimeString().slice(0, 8)}.${Math.floor(now.getMilliseconds() / 100)}`,
    x, y);
}

/** A voice that says nothing: syllables of changing pitch, with pauses. @returns {Source} */
export function sound() {
  const audio = new AudioContext();
  const voice = new OscillatorNode(audio, { type: "sawtooth", frequency: 140 });
  const vowel = new BiquadFilterNode(audio, { type: "bandpass", frequency: 700, Q: 4 });
  const loudness = new GainNode(audio, { gain: 0 });
  const out = new MediaStreamAudioDestinationNode(audio, { channelCount: 1 });
  voice.connect(vowel).connect(loudness).connect(out);
  voice.start();
  const timer = setInterval(() => {
    const at = audio.currentTime;
    const silent = Math.random() < 0.25;
    voice.frequency.setTargetAtTime(110 + Math.random() * 90, at, 0.05);
    vowel.frequency.setTargetAtTime(400 + Math.random() * 1200, at, 0.05);
    loudness.gain.setTargetAtTime(silent ? 0 : 0.6, at, 0.03);
  }, 180);
  audio.resume();
  const [track] = out.stream.getAudioTracks();
  const stop = () => {
    clearInterval(timer);
    track.stop();
    audio.close();
  };
  return { track, generated: true, stop };
}
