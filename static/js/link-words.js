// @ts-check
// How a link's quality is said to people: a word, a shape beside it, and what a weak one means for them. Pure.

/** @typedef {'all' | 'screen' | 'sound'} Level what of the media goes over one direction of a link */
/** @typedef {'good' | 'fair' | 'weak'} Quality */
/** @typedef {'udp' | 'tcp' | 'turn'} Path */

/**
 * What somebody is told of their own weak link.
 *
 * @param {{receives: Level, sends: Level}} link
 * @returns {string | null} null while everything goes over it.
 */
export function weakSentence({ receives, sends }) {
  if (receives === "all" && sends === "all") return null;
  if (receives !== "all" && sends !== "all") {
    const which = receives === "screen" && sends === "screen" ? "cameras" : "pictures";
    return (
      `Your connection is weak. The ${which} are paused, yours too, so that you can keep talking. ` +
      "They come back by themselves."
    );
  }
  if (receives === "sound") {
    return "Your connection is weak. The picture is paused so that you can keep talking. It comes back by itself.";
  }
  if (receives === "screen") {
    return (
      "Your connection is weak. The cameras of the others are paused so that you can keep talking and see the " +
      "shared screen. They come back by themselves."
    );
  }
  if (sends === "screen") {
    return (
      "Your connection is weak. Your camera is paused so that the others can hear you and see your screen. " +
      "It comes back by itself."
    );
  }
  return (
    "Your connection is weak. Your own picture, also of a shared screen, is paused so that the others can hear you. " +
    "It comes back by itself."
  );
}

const NO_WAY_SO_FAR =
  "Your network lets no sound or picture through so far. Try another network, such as mobile data or another Wi-Fi, or " +
  "turn off your VPN: you keep your place.";

/** What somebody is told for whose sound and picture no way was found. */
export const NO_WAY = `${NO_WAY_SO_FAR} If that does not help, call your practice.`;

/** The same for a therapist. */
export const NO_WAY_HOST = `${NO_WAY_SO_FAR} If that does not help, tell whoever runs this server.`;

/** What is said when a way was found after all. */
export const WAY_FOUND = "Sound and picture get through now.";

/**
 * What a therapist is told of a seat for whose sound and picture no way was found.
 *
 * @param {{state: string, program?: boolean}} seat
 * @returns {string}
 */
export function unreachedHint({ state, program = false }) {
  if (program) return "Nothing of the program gets through so far.";
  const told = "Their network lets nothing through so far. They are told to try another one.";
  return state === "admitted" || state === "held" ? told : `${told} Admitting will not help yet.`;
}

/**
 * What is said when somebody else's link begins to carry more or less.
 *
 * @param {string} label whose it is
 * @param {Level} sends what goes over it now
 * @returns {string}
 */
export function pictureOf(label, sends) {
  if (sends === "all") return `The picture of ${label} comes back.`;
  const which = sends === "screen" ? "camera" : "picture";
  return `The ${which} of ${label} is paused: their connection is weak.`;
}

/**
 * What is said when somebody begins to share a screen, or no longer does.
 *
 * @param {string} label whose it is
 * @param {boolean} screen
 * @returns {string}
 */
export function screenOf(label, screen) {
  return screen ? `${label} shares a screen.` : `${label} no longer shares a screen.`;
}

/**
 * Why the screen that somebody shares is not seen.
 *
 * @param {Level} receives what goes over one's own link
 * @param {readonly {screen: boolean, sends: Level}[]} others
 * @returns {string | null} null when no link is the reason, and while nobody shares one.
 */
export function missingScreen(receives, others) {
  const sharing = others.filter(({ screen }) => screen);
  if (sharing.length === 0) return null;
  if (receives === "sound") return "Shared screen paused: your connection is weak";
  return sharing.every(({ sends }) => sends === "sound") ? "Shared screen paused: their connection is weak" : null;
}

/**
 * What stands on the tile of somebody whose picture does not move. A camera that is off is no link's fault.
 *
 * @param {Level} receives what goes over one's own link
 * @param {{sends: Level, camera: boolean, unshown?: boolean}} who what goes over theirs, whether their camera is on,
 *   and whether it sends what this browser does not show
 * @returns {string}
 */
export function missingPicture(receives, { sends, camera, unshown = false }) {
  if (!camera) return "No picture at the moment";
  if (unshown) return "The program sends no picture that this browser can show";
  if (receives !== "all") return "Picture paused: your connection is weak";
  return sends === "all" ? "No picture at the moment" : "Picture paused: their connection is weak";
}

/** @type {Readonly<Record<Quality, string>>} */
const WORDS = Object.freeze({ good: "Good connection", fair: "Fair connection", weak: "Weak connection" });
const STRICT = " through a strict network"; // the detour is ours, nobody else's: no reason to worry
/** @type {Readonly<Record<Path, string>>} */
const PATHS = Object.freeze({ udp: "", tcp: STRICT, turn: STRICT });

/**
 * @param {Quality} quality
 * @param {Path | null} path
 * @returns {string} the way is named only where it is not the usual one.
 */
export function qualityWords(quality, path) {
  return `${WORDS[quality]}${path === null ? "" : PATHS[path]}`;
}

/**
 * How many of three bars are filled.
 *
 * @param {Quality} quality
 * @returns {1 | 2 | 3}
 */
export function bars(quality) {
  return quality === "good" ? 3 : quality === "fair" ? 2 : 1;
}

/**
 * What a therapist is told of a seat whose link does not carry everything.
 *
 * @param {{receives: Level, sends: Level}} link
 * @returns {readonly string[]}
 */
export function pausedNotes({ receives, sends }) {
  const said = [];
  if (receives !== "all") said.push(receives === "screen" ? "Sees only the shared screen" : "Sees no pictures");
  if (sends !== "all") said.push("Own picture paused");
  return said;
}
