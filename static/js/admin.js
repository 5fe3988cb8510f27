// @ts-check
// The admin's live board: every room and its seats as codes; nobody's name, nothing of what is said.

import { html } from "../vendor/preact-htm.js";
import { post, sentence } from "./api.js";
import { numbers, overview, pausedVideo, roomEncryption, suiteWord, tlsWord } from "./admin-state.js";
import { Heading, announce, bannerView, painter } from "./page.js";
import { LinkMark } from "./parts.js";
import { installSignOut, signIn } from "./staff-account.js";
import { duration, stateWord, timeOfDay } from "./words.js";

/** @typedef {import('./messages.js').Board} Board */
/** @typedef {import('./messages.js').BoardRoom} BoardRoom */
/** @typedef {import('./messages.js').BoardSeat} BoardSeat */

/** @type {Board | null} */
let board = null;
let live = false;
let skew = 0; // server time minus this device's, milliseconds
/** @type {string | null} */
let problem = null;

const paint = painter();

/** @type {Readonly<Record<BoardRoom['state'], string>>} */
const ROOM_STATES = Object.freeze({
  scheduled: "Scheduled",
  waiting: "Waiting",
  live: "Live",
  paused: "Paused: no clinician",
  ended: "Ended",
});

function repaint() {
  paint(html`<${Page} />`, {
    word: board === null ? "loading" : live ? "live" : "stale",
    scene: "board",
    title: "Live board – Quietroom",
  });
}

/** @returns {{tone: 'alarm' | 'calm', text: string} | null} */
function banner() {
  if (board !== null && !live) {
    return { tone: "alarm", text: "The connection was lost; what is shown is not live. Connecting again …" };
  }
  if (board !== null && !board["store-ok"]) {
    return {
      tone: "alarm",
      text: "The store does not take audit events at the moment: nobody new is let in, running visits go on. Run “quietroom doctor”.",
    };
  }
  return null;
}

function Page() {
  return html`<div class="board">
    <${Heading}>Live board<//>
    ${bannerView(banner())}
    <p class="problem" role="alert">${problem}</p>
    ${board === null
      ? html`<p class="quiet" role="status">One moment …</p>`
      : html`<p class="lead">${overview(board)}</p>
          ${board.rooms.length > 0 && html`<${Rooms} board=${board} />`}`}
    <p class="quiet">Looking at this board is itself recorded in the audit stream.</p>
  </div>`;
}

/** @param {{board: Board}} props */
function Rooms({ board: { rooms } }) {
  return html`<div class="scroll" role="region" aria-label="Rooms and seats" tabindex="0">
    <table>
      <caption class="visually-hidden">Rooms and their seats, live</caption>
      <thead>
        <tr>
          <th scope="col">Room</th>
          <th scope="col">Seat</th>
          <th scope="col">State</th>
          <th scope="col">Waiting</th>
          <th scope="col">Presence</th>
          <th scope="col">Encryption</th>
          <th scope="col">Connection</th>
          <th scope="col">Access</th>
        </tr>
      </thead>
      ${rooms.map((room) => html`<${Room} key=${room.room} room=${room} />`)}
    </table>
  </div>`;
}

/** @param {{room: BoardRoom}} props */
function Room({ room }) {
  return html`<tbody data-room=${room.code} data-state=${room.state}>
    ${room.seats.map(
      (seat, index) => html`<tr key=${seat.seat} data-seat=${seat.seat}>
        ${index === 0 &&
        html`<th scope="rowgroup" rowspan=${room.seats.length}>
          <span class="code">${room.code}</span>
          <span class="quiet">${room.kind === "couple" ? "Couple" : "Individual"}</span>
          <span class=${`mark ${room.state}`}>${ROOM_STATES[room.state]}</span>
          <span class="quiet">${room["clinician-present"] ? "Clinician present" : "No clinician"}</span>
          <span class="quiet">${timeOfDay(room.starts)}–${timeOfDay(room.ends)}</span>
          ${roomEncryption(room).map(({ text, poor }) => html`<span key=${text} class=${poor ? "poor" : "quiet"}>${text}</span>`)}
        </th>`}
        <${SeatCells} room=${room} seat=${seat} />
      </tr>`,
    )}
  </tbody>`;
}

/** @param {{room: BoardRoom, seat: BoardSeat}} props */
function SeatCells({ room, seat }) {
  const lines = numbers(seat);
  const paused = pausedVideo(seat);
  return html`<td><span class="code">${seat.seat}</span> <span class="quiet">${seat.role}</span></td>
    <td>${stateWord(seat.state)}${seat.state !== "expected" && html`<br /><span class="quiet">${duration(Date.now() + skew - seat.since)}</span>`}</td>
    <td>${seat["waiting-ms"] === null ? "–" : duration(seat["waiting-ms"])}</td>
    <td>${seat.presence}${seat.program && html`<br /><span class="quiet">program</span>`}</td>
    <td>${suiteWord(seat.suite)}${seat.tls !== null && html`<br /><span class="quiet">${tlsWord(seat.tls)}</span>`}</td>
    <td>
      ${seat.quality === null
        ? "–"
        : html`<${LinkMark} link=${{ quality: seat.quality, path: null }} />
            ${paused && html`<br /><span class="poor">${paused}</span>`}
            ${lines.map((line) => html`<br key=${line} /><span class="quiet">${line}</span>`)}`}
    </td>
    <td>
      ${seat.locked
        ? html`Locked <button type="button" aria-label=${`Unlock seat ${seat.seat} of room ${room.code}`}
            onClick=${() => void unlock(room, seat)}>Unlock</button>`
        : "Open"}
    </td>`;
}

/**
 * @param {BoardRoom} room
 * @param {BoardSeat} seat
 */
async function unlock(room, seat) {
  problem = null;
  try {
    await post(`/api/sessions/${encodeURIComponent(room.room)}/seats/${seat.seat}/unlock`, undefined, {
      "Quietroom-Role": "admin",
    });
    announce({ assertive: false, text: `Seat ${seat.seat} of room ${room.code} is unlocked.` });
  } catch (error) {
    problem = sentence(error);
  }
  repaint();
}

function follow() {
  const stream = new EventSource("/api/board/stream");
  stream.addEventListener("board", (event) => {
    board = JSON.parse(event.data);
    skew = (board?.now ?? Date.now()) - Date.now();
    const wasLive = live;
    live = true;
    if (!wasLive) announce({ assertive: false, text: "The board is live." });
    repaint();
  });
  stream.onerror = () => {
    if (live) announce({ assertive: true, text: "The connection was lost. Connecting again." });
    live = false;
    repaint();
    if (stream.readyState !== EventSource.CLOSED) return; // the browser tries again by itself
    window.setTimeout(async () => {
      if (await signIn("admin")) follow();
    }, 2_000);
  };
}

repaint();
installSignOut("admin");
if (await signIn("admin")) follow();
