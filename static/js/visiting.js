// @ts-check
// What a page in a visit is connected by, a patient's like a therapist's: signaling, the transport of its media, its keys.
//
//   Signal ──offers──▶ Peer       Signal ◀──about groups──▶ Sealing ──keys──▶ Peer
//      └──what the page shows──▶ the page ◀──events──┘         │

import { Peer } from "./peer.js";
import { Sealing } from "./sealing.js";
import { Signal, socketUrl } from "./signal.js";

/** @typedef {import('./messages.js').ServerMessage} ServerMessage */
/** @typedef {import('./signal.js').LineState} LineState */
/** @typedef {import('./peer.js').TransportState} TransportState */
/** @typedef {import('./chat-state.js').ChatEvent} ChatEvent */
/** @typedef {import('./encryption-state.js').KeysNow} KeysNow */

/**
 * @typedef {{type: 'transport', transport: TransportState} | {type: 'sent-clear'} | {type: 'offered-strangely'}
 *   | {type: 'keys', keys: KeysNow} | ChatEvent} ConnectionEvent
 */

/**
 * Nothing begins before `signal.start` and `sealing.begin`.
 *
 * @param {object} page
 * @param {() => Promise<string>} page.ticket a fresh single-use ticket for the connection
 * @param {boolean} page.mayCommit whether this is a clinician's page
 * @param {(message: Exclude<ServerMessage, {type: 'offer'}>) => void} page.onMessage fires for what the page shows
 * @param {(line: LineState) => void} page.onLine
 * @param {(end: {code: string, text: string}) => void} page.onEnd
 * @param {(event: ConnectionEvent) => void} page.apply
 * @param {() => void} page.onTracks fires when streams or moving pictures are others
 * @param {import('./painting.js').Painting} page.painting
 * @returns {{signal: Signal, peer: Peer, sealing: Sealing}}
 */
export function connect({ ticket, mayCommit, onMessage, onLine, onEnd, apply, onTracks, painting }) {
  const signal = new Signal({
    url: socketUrl(location),
    ticket,
    mediaKept: () => peer.carries(),
    groupKept: () => sealing.keys?.kept ?? null,
    onMessage: (message) => {
      if (sealing.hear(message)) return;
      if (message.type === "offer") void peer.offer(message);
      else onMessage(message);
    },
    onLine,
    onEnd,
  });
  const peer = new Peer({
    onAnswer: (sdp) => signal.send({ type: "answer", sdp }),
    onTrouble: ({ fresh, unanswered, silent }) => {
      // Neither an offer nor a packet has come since the last request: both connections are dead.
      if (unanswered) signal.suspect();
      if (signal.send({ type: "restart-media", fresh }) && silent) signal.expect();
    },
    onState: (transport) => apply({ type: "transport", transport }),
    onTracks,
    onClear: () => apply({ type: "sent-clear" }),
    onStrange: () => apply({ type: "offered-strangely" }),
  });
  const sealing = new Sealing({
    mayCommit,
    peer,
    send: (message) => void signal.send(message),
    ask: (message) => signal.ask(message),
    apply,
    painting,
  });
  return { signal, peer, sealing };
}
