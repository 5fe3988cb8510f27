// @ts-check
// Camera, microphone, screen and the level meter of this device. Nothing here leaves the device.

/** @typedef {'denied' | 'missing' | 'busy'} DeviceProblem */

/**
 * What there is to use.
 *
 * @typedef {object} DeviceReport
 * @property {boolean} asking the browser is asking the person
 * @property {DeviceProblem | null} microphoneProblem
 * @property {DeviceProblem | null} cameraProblem
 * @property {MediaStreamTrack | null} microphone
 * @property {MediaStreamTrack | null} camera
 * @property {boolean} microphoneOn
 * @property {boolean} cameraOn
 * @property {readonly {id: string, label: string}[]} microphones
 * @property {readonly {id: string, label: string}[]} cameras
 * @property {boolean} headphones an output that sounds like headphones is connected
 */

/** @type {Readonly<DeviceReport>} */
const NOTHING_YET = Object.freeze({
  asking: true,
  microphoneProblem: null,
  cameraProblem: null,
  microphone: null,
  camera: null,
  microphoneOn: true,
  cameraOn: true,
  microphones: [],
  cameras: [],
  headphones: false,
});

const PICTURE = { width: { ideal: 640 }, height: { ideal: 480 }, frameRate: { ideal: 30, max: 30 } };
const SOUND = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };

export class Devices {
  /** @type {(report: DeviceReport) => void} */ #onChange;
  /** @type {DeviceReport} */ #report = NOTHING_YET;
  #turn = 0;

  /**
   * @param {(report: DeviceReport) => void} onChange fires whenever anything in the report changed, also when a
   *   device was unplugged or plugged in
   */
  constructor(onChange) {
    this.#onChange = onChange;
    navigator.mediaDevices.addEventListener?.("devicechange", () => void this.#list());
  }

  /** @returns {DeviceReport} */
  get report() {
    return this.#report;
  }

  /**
   * Ask for microphone and camera; what cannot be had is left out and its problem reported.
   *
   * @param {object} [want]
   * @param {boolean} [want.camera] false to go on without a camera
   * @param {string} [want.microphoneId]
   * @param {string} [want.cameraId]
   * @returns {Promise<DeviceReport>}
   */
  async open({ camera = true, microphoneId, cameraId } = {}) {
    this.#turn += 1;
    const turn = this.#turn;
    this.#set({ asking: true });
    const audio = microphoneId ? { ...SOUND, deviceId: { exact: microphoneId } } : SOUND;
    const video = cameraId ? { ...PICTURE, deviceId: { exact: cameraId } } : PICTURE;
    // Together first, so that the person is asked once; then one by one to learn which of the two is missing.
    /** @type {{microphone: Opened, camera: Opened}} */
    let opened;
    try {
      const stream = await navigator.mediaDevices.getUserMedia(camera ? { audio, video } : { audio });
      opened = {
        microphone: { track: stream.getAudioTracks()[0] ?? null, problem: null },
        camera: { track: stream.getVideoTracks()[0] ?? null, problem: null },
      };
    } catch {
      const microphone = await openOne({ audio });
      opened = { microphone, camera: camera ? await openOne({ video }) : { track: null, problem: null } };
    }
    if (turn !== this.#turn) {
      opened.microphone.track?.stop();
      opened.camera.track?.stop();
      return this.#report;
    }
    this.#release();
    for (const track of [opened.microphone.track, opened.camera.track]) {
      if (track) track.onended = () => this.#unplugged(track);
    }
    if (opened.microphone.track) {
      opened.microphone.track.enabled = this.#report.microphoneOn;
      opened.microphone.track.contentHint = "speech";
    }
    if (opened.camera.track) opened.camera.track.enabled = this.#report.cameraOn;
    this.#set({
      asking: false,
      microphone: opened.microphone.track,
      microphoneProblem: opened.microphone.problem,
      camera: opened.camera.track,
      cameraProblem: opened.camera.problem,
    });
    await this.#list();
    return this.#report;
  }

  /** @param {boolean} on */
  setMicrophone(on) {
    if (this.#report.microphone) this.#report.microphone.enabled = on;
    this.#set({ microphoneOn: on });
  }

  /** @param {boolean} on */
  setCamera(on) {
    if (this.#report.camera) this.#report.camera.enabled = on;
    this.#set({ cameraOn: on });
  }

  /** Let go of camera and microphone; their lights go out. May be called twice. */
  close() {
    this.#turn += 1;
    this.#release();
    this.#set({ asking: false, microphone: null, camera: null });
  }

  #release() {
    for (const track of [this.#report.microphone, this.#report.camera]) {
      if (!track) continue;
      track.onended = null;
      track.stop();
    }
  }

  /** @param {MediaStreamTrack} track */
  #unplugged(track) {
    if (track === this.#report.camera) this.#set({ camera: null, cameraProblem: "missing" });
    if (track === this.#report.microphone) this.#set({ microphone: null, microphoneProblem: "missing" });
  }

  async #list() {
    const all = await navigator.mediaDevices.enumerateDevices();
    const named = (/** @type {MediaDeviceKind} */ kind, /** @type {string} */ word) =>
      all
        .filter((device) => device.kind === kind && device.deviceId !== "")
        .map((device, index) => ({ id: device.deviceId, label: device.label || `${word} ${index + 1}` }));
    this.#set({
      microphones: named("audioinput", "Microphone"),
      cameras: named("videoinput", "Camera"),
      headphones: all.some(({ kind, label }) => kind === "audiooutput" && /head|ear|buds|airpods/i.test(label)),
    });
  }

  /** @param {Partial<DeviceReport>} change */
  #set(change) {
    this.#report = { ...this.#report, ...change };
    this.#onChange(this.#report);
  }
}

/** @typedef {{track: MediaStreamTrack | null, problem: DeviceProblem | null}} Opened */

/**
 * @param {MediaStreamConstraints} constraints for one device
 * @returns {Promise<Opened>}
 */
async function openOne(constraints) {
  try {
    const stream = await navigator.mediaDevices.getUserMedia(constraints);
    return { track: stream.getTracks()[0] ?? null, problem: null };
  } catch (error) {
    return { track: null, problem: problemOf(error) };
  }
}

/**
 * @param {unknown} error what getUserMedia rejected with
 * @returns {DeviceProblem}
 */
export function problemOf(error) {
  switch (error instanceof Error ? error.name : "") {
    case "NotAllowedError":
    case "SecurityError":
      return "denied";
    case "NotReadableError":
    case "AbortError":
      return "busy";
    default:
      return "missing";
  }
}

/**
 * Ask which window or screen to share.
 *
 * @param {() => void} onEnded fires when sharing was stopped outside our page
 * @returns {Promise<MediaStreamTrack | null>} null when the person changed their mind.
 */
export async function shareScreen(onEnded) {
  try {
    const stream = await navigator.mediaDevices.getDisplayMedia({ video: { frameRate: { max: 15 } }, audio: false });
    const track = stream.getVideoTracks()[0] ?? null;
    if (track) {
      track.contentHint = "detail";
      track.onended = onEnded;
    }
    return track;
  } catch {
    return null;
  }
}

/**
 * Follow how loud a microphone is. Computed on this device; no sound is sent for it.
 *
 * @param {MediaStreamTrack} track
 * @param {(level: number) => void} onLevel fires ten times a second with 0 (silent) … 1 (loud)
 * @returns {() => void} stops it.
 */
export function followLevel(track, onLevel) {
  const context = new AudioContext();
  const analyser = context.createAnalyser();
  analyser.fftSize = 1024;
  context.createMediaStreamSource(new MediaStream([track])).connect(analyser);
  void context.resume();
  const samples = new Float32Array(analyser.fftSize);
  const timer = window.setInterval(() => {
    analyser.getFloatTimeDomainData(samples);
    onLevel(loudness(samples));
  }, 100);
  return () => {
    window.clearInterval(timer);
    void context.close();
  };
}

/**
 * How loud samples sound. Pure.
 *
 * @param {ArrayLike<number>} samples -1 … 1
 * @returns {number} 0 at −60 dB and below, 1 at −12 dB and above, where speech close to a microphone lies.
 */
export function loudness(samples) {
  let sum = 0;
  for (let index = 0; index < samples.length; index += 1) sum += (samples[index] ?? 0) ** 2;
  const decibels = 10 * Math.log10(sum / Math.max(1, samples.length) + 1e-12);
  return Math.min(1, Math.max(0, (decibels + 60) / 48));
}
