// What happens in a patient's visit, for telling it as a story.

import { START, advance } from "../../static/js/visit-state.js";

export const AGREED = { meeting: "m", seat: "A", label: "Partner A", kind: "couple", agreed: true, state: "expected" };
export const NEW = { ...AGREED, agreed: false };

export const place = (state, more = {}) => ({
  type: "place",
  seat: "A",
  label: "Partner A",
  state,
  since: 1_000,
  reason: null,
  muted: false,
  receives: "all",
  sends: "all",
  agreed: true,
  others: [],
  "device-asks": 0,
  "store-ok": true,
  ends: 9_000,
  ...more,
});
export const other = (seat, presence = "connected") => ({ seat, label: `Partner ${seat}`, slot: 0, presence, muted: false, sends: "all", camera: true, screen: false });
export const after = (...events) => events.reduce((state, event) => advance(state, event), START);
export const entered = (seat = AGREED) => ({ type: "entered", entered: seat });
export const CHECKED = { type: "checked" };
export const OPEN = { type: "line", line: "open" };
export const TRANSPORT = (transport) => ({ type: "transport", transport });
export const UNREACHED = { type: "unreached" };
export const LOST = { type: "line", line: "lost" };
