// What the therapist's page is told, for telling what happens on it.

import { NO_KEYS } from "../../static/js/encryption-state.js";
import { START, advance } from "../../static/js/host-state.js";

export const seat = (letter, state, more = {}) => ({
  seat: letter,
  label: `Partner ${letter}`,
  role: "patient",
  slot: 0,
  state,
  since: 0,
  presence: "connected",
  "presence-since": 0,
  "in-room": state === "admitted",
  muted: false,
  quality: "good",
  path: "udp",
  receives: "all",
  sends: "all",
  camera: true,
  screen: false,
  agreed: true,
  knocks: 1,
  "new-device": false,
  unreached: false,
  suite: null,
  ...more,
});
export const roster = (a, b, more = {}) => ({
  type: "roster",
  me: "T",
  entered: true,
  "media-here": true,
  open: true,
  "clinician-present": true,
  "store-ok": true,
  starts: 0,
  ends: 1,
  kind: "couple",
  seats: [
    typeof a === "string" ? seat("A", a) : a,
    typeof b === "string" ? seat("B", b) : b,
    seat("T", "admitted", { role: "host", label: "Therapist", slot: null }),
  ],
  ...more,
});
export const shown = (...events) => events.reduce((state, event) => advance(state, event), START);
export const SEALED = { encryption: "end-to-end" };
export const keys = (more = {}) => ({
  type: "keys",
  keys: { ...NO_KEYS, phase: "secured", committer: true, members: [{ seat: "T", name: "Therapist" }], ...more },
});
