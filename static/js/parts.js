// @ts-check
// Pieces that several views show: pictures, sound, the level meter, the room's buttons.

import { html, useEffect, useRef, useState } from "../vendor/preact-htm.js";
import { followLevel } from "./devices.js";
import { bars, missingPicture, qualityWords } from "./link-words.js";

/** @typedef {import('../vendor/preact-htm.js').Child} Child */
/** @typedef {import('./devices.js').DeviceReport} DeviceReport */
/** @typedef {import('./link-words.js').Level} Level */

/**
 * A moving picture without sound.
 *
 * @param {{stream: MediaStream | null, label: string, mirrored?: boolean, whole?: boolean}} props `whole`: show
 *   all of it instead of filling the frame
 */
export function Picture({ stream, label, mirrored = false, whole = false }) {
  const ref = useRef(/** @type {HTMLVideoElement | null} */ (null));
  useEffect(() => {
    const video = ref.current;
    if (!video) return;
    video.srcObject = stream;
    if (stream) video.play().catch(() => undefined); // muted video may always play; a replaced one rejects
  }, [stream]);
  useLettingGo(ref);
  const kind = `picture${mirrored ? " mirrored" : ""}${whole ? " whole" : ""}`;
  return html`<video ref=${ref} class=${kind} aria-label=${label} muted playsinline></video>`;
}

/**
 * What somebody says. Sound and picture have elements of their own: a picture without frames must not hold
 * back the sound, and only sound needs the browser's permission to play.
 *
 * @param {{stream: MediaStream | null, onBlocked: () => void, unblocked: number}} props `onBlocked` fires when the
 *   browser wants a click first; count `unblocked` up after it
 */
export function Sound({ stream, onBlocked, unblocked }) {
  const ref = useRef(/** @type {HTMLAudioElement | null} */ (null));
  useEffect(() => {
    const audio = ref.current;
    if (!audio) return;
    if (audio.srcObject !== stream) audio.srcObject = stream;
    if (!stream) return;
    audio.play().catch((error) => {
      if (error instanceof DOMException && error.name === "NotAllowedError") onBlocked();
    });
  }, [stream, unblocked]);
  useLettingGo(ref);
  return html`<audio ref=${ref}></audio>`;
}

/**
 * Let an element that leaves the page go of its stream. Until it is collected it would hold frames of the camera,
 * which has only a few to give: after some changes of scene it gives none, to anyone, for seconds.
 *
 * @param {{current: HTMLMediaElement | null}} ref
 */
function useLettingGo(ref) {
  useEffect(() => {
    const element = ref.current;
    return () => {
      if (element) element.srcObject = null;
    };
  }, []);
}

/**
 * One's own picture, mirrored as in a mirror.
 *
 * @param {{devices: DeviceReport | null, note?: Child}} props
 */
export function SelfView({ devices, note }) {
  const camera = devices?.camera ?? null;
  const ref = useRef(/** @type {{track: MediaStreamTrack | null, stream: MediaStream | null}} */ ({ track: null, stream: null }));
  if (ref.current.track !== camera) ref.current = { track: camera, stream: camera && new MediaStream([camera]) };
  const shown = camera !== null && devices?.cameraOn;
  return html`<figure class="self">
    ${shown
      ? html`<${Picture} stream=${ref.current.stream} label="Your own picture" mirrored />`
      : html`<div class="no-picture"><span>${camera ? "Your camera is off" : "No camera"}</span></div>`}
    <figcaption>${note ?? "You"}</figcaption>
  </figure>`;
}

/**
 * How loud one's own microphone is.
 *
 * @param {{track: MediaStreamTrack | null, onHeard?: () => void}} props `onHeard` fires when a voice was clearly heard
 */
export function Level({ track, onHeard }) {
  const [level, setLevel] = useState(0);
  useEffect(() => {
    if (!track) return undefined;
    return followLevel(track, (now) => {
      setLevel(Math.round(now * 20) / 20); // twenty steps: no need to paint more often
      if (now > 0.35) onHeard?.();
    });
  }, [track]);
  return html`<meter id="level" class="level" min="0" max="1" value=${track ? level : 0}></meter>`;
}

/** @type {Readonly<Record<string, string>>} */
const SHAPES = Object.freeze({
  microphone: "M12 3a3 3 0 0 0-3 3v5a3 3 0 0 0 6 0V6a3 3 0 0 0-3-3Z M6 11a6 6 0 0 0 12 0 M12 17v4",
  camera: "M4 7h10a1 1 0 0 1 1 1v8a1 1 0 0 1-1 1H4a1 1 0 0 1-1-1V8a1 1 0 0 1 1-1Z M15 11l6-3v8l-6-3",
  screen: "M4 5h16a1 1 0 0 1 1 1v10a1 1 0 0 1-1 1H4a1 1 0 0 1-1-1V6a1 1 0 0 1 1-1Z M9 21h6 M12 14V9 M9.5 11L12 8.5l2.5 2.5",
  chat: "M5 5h14a1 1 0 0 1 1 1v9a1 1 0 0 1-1 1h-8l-4.5 4v-4H5a1 1 0 0 1-1-1V6a1 1 0 0 1 1-1Z",
  lock: "M6.5 10.5h11a1 1 0 0 1 1 1v7a1 1 0 0 1-1 1h-11a1 1 0 0 1-1-1v-7a1 1 0 0 1 1-1Z M8.5 10.5V8a3.5 3.5 0 0 1 7 0v2.5",
  "lock-checked":
    "M6.5 10.5h11a1 1 0 0 1 1 1v7a1 1 0 0 1-1 1h-11a1 1 0 0 1-1-1v-7a1 1 0 0 1 1-1Z M8.5 10.5V8a3.5 3.5 0 0 1 7 0v2.5 M9 15l2.2 2.2L15.2 13",
  "lock-open":
    "M6.5 10.5h11a1 1 0 0 1 1 1v7a1 1 0 0 1-1 1h-11a1 1 0 0 1-1-1v-7a1 1 0 0 1 1-1Z M8.5 10.5V7a3.5 3.5 0 0 1 6.6-1.6",
  leave: "M14 4H6a1 1 0 0 0-1 1v14a1 1 0 0 0 1 1h8 M10 12h11 M17 8l4 4-4 4",
});

/**
 * @param {{shape: string, off?: boolean}} props `off` strikes it through
 */
export function Icon({ shape, off = false }) {
  return html`<svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
    <path d=${SHAPES[shape]} />
    ${off && html`<path class="strike" d="M4 4l16 16" />`}
  </svg>`;
}

/**
 * The buttons of the room.
 *
 * @param {object} props
 * @param {DeviceReport | null} props.devices
 * @param {boolean} props.sharing
 * @param {boolean} props.canShare
 * @param {() => void} props.onMicrophone
 * @param {() => void} props.onCamera
 * @param {() => void} props.onShare
 * @param {unknown} [props.children] further buttons
 */
export function Controls({ devices, sharing, canShare, onMicrophone, onCamera, onShare, children }) {
  const microphone = devices?.microphone && devices.microphoneOn;
  const camera = devices?.camera && devices.cameraOn;
  return html`<div class="controls" role="group" aria-label="Your sound and picture">
    <button type="button" class=${microphone ? "" : "off"} disabled=${!devices?.microphone} onClick=${onMicrophone}>
      <${Icon} shape="microphone" off=${!microphone} />
      ${devices?.microphone ? `Turn microphone ${microphone ? "off" : "on"}` : "No microphone"}
    </button>
    <button type="button" class=${camera ? "" : "off"} disabled=${!devices?.camera} onClick=${onCamera}>
      <${Icon} shape="camera" off=${!camera} />
      ${devices?.camera ? `Turn camera ${camera ? "off" : "on"}` : "No camera"}
    </button>
    ${"getDisplayMedia" in navigator.mediaDevices &&
    html`<button type="button" disabled=${!canShare && !sharing} onClick=${onShare}>
      <${Icon} shape="screen" />
      ${sharing ? "Stop sharing" : "Share screen"}
    </button>`}
    ${children}
  </div>`;
}

/** The arrow out of a door. */
export function LeaveIcon() {
  return html`<${Icon} shape="leave" />`;
}

/**
 * Another person in the room.
 *
 * @param {object} props
 * @param {{label: string, presence: string, muted: boolean, sends: Level, camera: boolean, program?: boolean, unshown?: boolean}} props.who
 * @param {{audio: MediaStream | null, video: MediaStream | null, moving: boolean}} props.media
 * @param {() => void} props.onBlocked
 * @param {number} props.unblocked
 * @param {Level} props.receives what goes over one's own link
 * @param {boolean} [props.silent] their sound must not be played now
 * @param {string | null} [props.unopened] why what they send cannot be opened
 */
export function Tile({ who, media, onBlocked, unblocked, receives, silent = false, unopened = null }) {
  // A pause is told before the page notices that the frames have stopped: no frozen face stays behind.
  const moves = media.moving && receives === "all" && who.sends === "all";
  const missing = unopened ?? (moves ? null : missingPicture(receives, who));
  const note = who.presence === "away" ? "Reconnecting …" : missing;
  return html`<figure class="tile" data-presence=${who.presence}>
    <${Picture} stream=${media.video} label=${`Picture of ${who.label}`} />
    ${note && html`<div class="no-picture"><span>${note}</span></div>`}
    <${Sound} stream=${silent ? null : media.audio} onBlocked=${onBlocked} unblocked=${unblocked} />
    <figcaption>${who.label}${who.program && html`<span class="quiet"> · program</span>`}${who.muted && html`<span class="quiet"> · muted</span>`}</figcaption>
  </figure>`;
}

/**
 * How good somebody's link is: three bars for the eye, a word for everybody.
 *
 * @param {{link: {quality: import('./link-words.js').Quality | null, path: import('./link-words.js').Path | null}}} props
 */
export function LinkMark({ link: { quality, path } }) {
  if (quality === null) return null;
  const filled = bars(quality);
  return html`<span class="link-mark" data-quality=${quality}>
    <svg class="bars" viewBox="0 0 15 12" aria-hidden="true" focusable="false">
      ${[1, 2, 3].map((bar) => {
        const height = 4 * bar - 1;
        const full = bar <= filled;
        return html`<rect class=${full ? "full" : "empty"} x=${5 * bar - 4.5} y=${11.5 - height} width="3" height=${height} />`;
      })}
    </svg>
    ${qualityWords(quality, path)}
  </span>`;
}

/**
 * A shared screen.
 *
 * @param {object} props
 * @param {MediaStream | null} props.stream
 * @param {string | null} props.missing why it is not seen
 */
export function SharedScreen({ stream, missing }) {
  return (
    (stream || missing) &&
    html`<figure class="tile screen">
      <${Picture} stream=${stream} label="Shared screen" whole />
      ${missing && html`<div class="no-picture"><span>${missing}</span></div>`}
      <figcaption>Shared screen</figcaption>
    </figure>`
  );
}

/**
 * What to do when the browser holds sound back until a click.
 *
 * @param {{blocked: boolean, onUnblock: () => void}} props
 */
export function SoundBlocked({ blocked, onUnblock }) {
  return (
    blocked &&
    html`<p class="banner calm">
      Your browser holds the sound back.
      <button type="button" class="primary" onClick=${onUnblock}>Turn sound on</button>
    </p>`
  );
}
