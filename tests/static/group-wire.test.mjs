// What a group's session says on the wire, and how much it reads from it.

import assert from "node:assert/strict";
import { test } from "node:test";

import { GroupWire, bytesOf } from "../../static/js/group-wire.js";
import { GROUP_BOUNDS } from "../../static/js/protocol.js";

const GENERATION = "0123456789abcdef";
const BYTES = new Uint8Array([251, 255, 1]);
const TEXT = "-_8B";

function spoken(say) {
  const sent = [];
  say(new GroupWire("room", (message) => sent.push(message)));
  return sent;
}

test("bytes go out as base64url, each message under the group's name and generation", () => {
  const head = { group: "room", generation: GENERATION };
  assert.deepEqual(
    spoken((wire) => {
      wire.keyPackage(GENERATION, { keyPackage: BYTES, tag: BYTES });
      wire.commit(GENERATION, { epoch: 3, commit: BYTES, welcome: BYTES, adds: ["A"], removes: ["B"] });
      wire.ready(GENERATION, 4);
      wire.resync(GENERATION);
    }),
    [
      { type: "key-package", ...head, "key-package": TEXT, tag: TEXT },
      { type: "commit", ...head, epoch: 3, commit: TEXT, welcome: TEXT, adds: ["A"], removes: ["B"] },
      { type: "ready", ...head, epoch: 4 },
      { type: "resync", ...head },
    ],
  );
});

test("a commit that adds nobody has no Welcome", () => {
  const [said] = spoken((wire) => wire.commit(GENERATION, { epoch: 0, commit: BYTES, welcome: null, adds: [], removes: ["A"] }));
  assert.equal(said.welcome, null);
});

test("the server is asked what became of a sealed message only where somebody wants to know", () => {
  const [asked, told] = spoken((wire) => {
    wire.sealed(GENERATION, BYTES, 7);
    wire.sealed(GENERATION, BYTES);
  });
  assert.equal(asked.id, 7);
  assert.equal("id" in told, false);
});

test("each field is read within its bound, and what is no base64url not at all", () => {
  for (const [field, bound] of Object.entries(GROUP_BOUNDS)) {
    const most = Buffer.alloc(bound).toString("base64url");
    assert.equal(bytesOf(most, field).length, bound);
    const more = Buffer.alloc(bound + 1).toString("base64url");
    for (const text of [more, "=", "a b", null, undefined, 7, {}]) {
      assert.throws(() => bytesOf(text, field), { code: "malformed" });
    }
  }
});
