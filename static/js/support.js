// @ts-check
// Whether this browser can hold a visit, and what to tell the person if it cannot. Pure.

/** @typedef {'in-app' | 'insecure' | 'old' | 'no-keys'} Lack `no-keys`: it cannot encrypt from end to end */

/**
 * Browsers inside other apps: they have no camera, or forget the visit when the app is left.
 */
const IN_APP = /FBAN|FBAV|FB_IAB|Instagram|Line\/|MicroMessenger|Snapchat|Twitter|TikTok|musical_ly|BytedanceWebview|; wv\)/;

/**
 * What this browser lacks for a visit.
 *
 * @param {{userAgent: string, secure: boolean, media: boolean, peer: boolean}} browser
 *   `secure`: a secure context (HTTPS or localhost); `media`: has getUserMedia; `peer`: has RTCPeerConnection.
 * @returns {Lack | null} null when it has all that a visit needs.
 */
export function lackOf({ userAgent, secure, media, peer }) {
  if (IN_APP.test(userAgent)) return "in-app";
  if (!secure) return "insecure";
  return media && peer ? null : "old";
}

/** What the person is told whose browser cannot seal. */
export const CANNOT_SEAL =
  "This browser cannot encrypt your visit from end to end, so your camera and microphone stay closed. You need " +
  "Chrome or Edge 141, Firefox 130, Safari 17, or a newer version of them. Updating this browser may be enough.";

/**
 * Whether this browser can take part in a visit that is end-to-end encrypted: Chrome and Edge from 141, Firefox from
 * 130, Safari from 17. What is asked is what is needed, not a version that a browser may claim.
 *
 * @param {object} [browser]
 * @param {boolean} [browser.transforms] it lets a worker seal frames, in the form of the standard
 * @param {Pick<SubtleCrypto, 'generateKey'>} [browser.subtle]
 * @returns {Promise<boolean>}
 */
export async function canSeal({ transforms = "RTCRtpScriptTransform" in globalThis, subtle = crypto.subtle } = {}) {
  if (!transforms) return false;
  try {
    await subtle.generateKey({ name: "X25519" }, false, ["deriveBits"]);
    await subtle.generateKey({ name: "Ed25519" }, false, ["sign"]);
    return true;
  } catch {
    return false;
  }
}

/**
 * How to give camera and microphone back after they were refused, for this browser.
 *
 * @param {string} userAgent
 * @returns {readonly string[]} steps in order.
 */
export function permissionSteps(userAgent) {
  if (/iPhone|iPad/.test(userAgent)) {
    return [
      "Select the button at the side of the address (“aA” or a small page).",
      "Choose “Website Settings”, then set Camera and Microphone to “Allow”.",
      "Come back here and select “Try again”.",
    ];
  }
  if (/Firefox\//.test(userAgent)) {
    return [
      "Select the crossed-out camera or microphone beside the address.",
      "Remove the block for camera and microphone.",
      "Select “Try again” here and allow both when Firefox asks.",
    ];
  }
  if (/Safari\//.test(userAgent) && !/Chrom(e|ium)\/|Edg\//.test(userAgent)) {
    return [
      "Open the Safari menu and choose “Settings for This Website”.",
      "Set Camera and Microphone to “Allow”.",
      "Select “Try again” here.",
    ];
  }
  return [
    "Select the small symbol at the left of the address.",
    "Switch Camera and Microphone on.",
    "Select “Try again” here. If it still fails, look at the privacy settings of your device.",
  ];
}
