// Rings of members, and frames on their way between them.

import assert from "node:assert/strict";

import { clearBytes } from "../../static/js/frames.js";
import { KeyRing } from "../../static/js/key-ring.js";
import { decodeHeader } from "../../static/js/sframe.js";

export const ANNE = "anne";
export const BEN = "ben";
export const PEOPLE = [
  { seat: ANNE, index: 0 },
  { seat: BEN, index: 1 },
];
export const KEY_FRAME = [0x10, 2, 0, 0x9d, 1, 0x2a, 64, 1, 240, 0, 77, 78, 79];
export const DELTA_FRAME = [0x11, 2, 0, 4, 5, 6, 7, 8, 9, 10, 11, 12];

export const NAME = "0000000000000000";
export const base = (seed) => new Uint8Array(32).fill(seed);

/** The ring of a member who knows these epochs; the key of epoch n is full of n unless said otherwise. */
export function ring({ epochs = [1], index = 0, sendOn = epochs.at(-1), seed = (epoch) => epoch } = {}) {
  const made = new KeyRing();
  const generation = made.generation(NAME);
  for (const epoch of epochs) {
    generation.install({ epoch, baseKey: base(seed(epoch)) });
    generation.people({ epoch, members: PEOPLE, own: index });
  }
  if (sendOn !== undefined) generation.sendOn({ epoch: sendOn, index });
  return made;
}

export const frameOf = (bytes, type) => ({ data: new Uint8Array(bytes).buffer, type });
export const bytesOf = (frame) => [...new Uint8Array(frame.data)];

export async function sealed(sealer, bytes, type) {
  const frame = frameOf(bytes, type);
  assert.ok(await sealer.pass(frame));
  return frame;
}

export const copy = (frame) => frameOf(bytesOf(frame), frame.type);

/** A frame's key id and counter, as anybody on the way reads them. */
export function onTheWay(frame, codec) {
  const bytes = new Uint8Array(frame.data);
  return decodeHeader(bytes.subarray(clearBytes(codec, bytes)));
}
