// Written by `make schema` from signaling/messages.py. Do not edit.

/** The subprotocol of the signaling connection. */
export const PROTOCOL = "quietroom.v1";

/** Bytes of opaque fields, before base64url. */
export const GROUP_BOUNDS = Object.freeze({
  "key-package": 8192,
  "tag": 32,
  "commit": 16384,
  "welcome": 24576,
  "sealed": 8192
});

/** After these a page connects again by itself. */
export const COMES_BACK = Object.freeze([
  "audit-unavailable",
  "bad-ticket",
  "draining",
  "gone",
  "internal",
  "moved",
  "too-slow"
]);
