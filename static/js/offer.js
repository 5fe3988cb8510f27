// @ts-check
// Whether an offer asks for what our own server asks for, and for nothing else. Pure.
//
// Keys keep out who has none of what is said. But sizes and header extensions are not encrypted, and an offer decides on
// them: without a constant bit rate the sizes of packets tell words (RFC 6562), and an audio level is readable by
// everybody on the way. So where a visit is end-to-end encrypted every line must be one that rooms/sdp.py writes:
// the ten m-lines, each with its one codec; constant bit rate and no silence left out; no header extension but the time
// of sending. What is left free is where the server is and how it is recognised.

const MAX_LENGTH = 64 * 1024; // characters, as much as a frame of the connection
const SLOTS = 3;

/** @typedef {{media: 'audio' | 'video', direction: 'recvonly' | 'sendonly'}} MLine */

/** @type {readonly MLine[]} ours, then sound and picture of each slot, then the screen that is shown */
const M_LINES = Object.freeze([
  { media: "audio", direction: "recvonly" },
  { media: "video", direction: "recvonly" },
  { media: "video", direction: "recvonly" },
  ...Array.from({ length: SLOTS }, () => /** @type {MLine[]} */ ([
    { media: "audio", direction: "sendonly" },
    { media: "video", direction: "sendonly" },
  ])).flat(),
  { media: "video", direction: "sendonly" },
]);

/** What must stand in every section of a kind, once. */
const REQUIRED = Object.freeze({
  audio: ["a=rtpmap:111 opus/48000/2", "a=fmtp:111 minptime=10;useinbandfec=1;usedtx=0;cbr=1"],
  video: ["a=rtpmap:96 VP8/90000", "a=rtpmap:97 rtx/90000", "a=fmtp:97 apt=96"],
});
const EVERYWHERE = ["a=rtcp-mux", "a=setup:actpass"];

/** What may stand there besides. */
const FREE = [
  /^c=IN IP[46] \S+$/,
  /^a=(?:rtcp:9 IN IP4 0\.0\.0\.0|end-of-candidates|rtcp-rsize)$/,
  /^a=(?:candidate|ice-ufrag|ice-pwd|msid|ssrc):\S+(?: \S+)*$/,
  /^a=ssrc-group:FID \d+ \d+$/,
  /^a=fingerprint:sha-256 [0-9A-F:]+$/,
  /^a=extmap:2 http:\/\/www\.webrtc\.org\/experiments\/rtp-hdrext\/abs-send-time$/,
];
const FEEDBACK = /^a=rtcp-fb:96 (?:goog-remb|ccm fir|nack|nack pli)$/;

/** What stands before the sections. */
const SESSION = [
  /^v=0$/,
  /^o=- \d+ \d+ IN IP4 127\.0\.0\.1$/,
  /^s=-$/,
  /^t=0 0$/,
  /^a=ice-lite$/,
  new RegExp(`^a=group:BUNDLE ${M_LINES.map((_, mid) => mid).join(" ")}$`),
  /^a=msid-semantic:WMS \*$/,
];

/**
 * @param {string} sdp of an offer, from outside
 * @returns {boolean} whether a visit that is end-to-end encrypted may answer it.
 */
export function isOurOffer(sdp) {
  // Lines as every browser splits them, so that none reads another offer than this.
  if (sdp.length > MAX_LENGTH || !sdp.endsWith("\r\n")) return false;
  const lines = sdp.slice(0, -2).split("\r\n");
  if (lines.some((line) => /[^\x20-\x7e]/.test(line))) return false;
  const [session = [], ...sections] = inSections(lines);
  return (
    session.every((line) => SESSION.some((allowed) => allowed.test(line))) &&
    sections.length === M_LINES.length &&
    M_LINES.every((expected, mid) => isOurs(sections[mid] ?? [], mid, expected))
  );
}

/**
 * @param {readonly string[]} lines
 * @returns {string[][]} what stands before the first m-line, then each section.
 */
function inSections(lines) {
  /** @type {string[][]} */
  const sections = [[]];
  for (const line of lines) {
    if (line.startsWith("m=")) sections.push([]);
    sections.at(-1)?.push(line);
  }
  return sections;
}

/**
 * @param {readonly string[]} section
 * @param {number} mid
 * @param {MLine} expected
 */
function isOurs([first = "", ...lines], mid, { media, direction }) {
  const formats = media === "audio" ? "111" : "96 97";
  if (!new RegExp(`^m=${media} \\d{1,5} UDP/TLS/RTP/SAVPF ${formats}$`).test(first)) return false;
  const required = [`a=mid:${mid}`, `a=${direction}`, ...EVERYWHERE, ...REQUIRED[media]];
  const rest = lines.filter((line) => !required.includes(line));
  return (
    lines.length - rest.length === required.length &&
    required.every((line) => lines.includes(line)) &&
    rest.every((line) => FREE.some((allowed) => allowed.test(line)) || (media === "video" && FEEDBACK.test(line)))
  );
}
