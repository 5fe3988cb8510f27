// That an admission is rehearsed as it will be.

import "./webcrypto.mjs";

import assert from "node:assert/strict";
import { test } from "node:test";

import { rehearse } from "../../static/js/rehearsal.js";

test("a rehearsed admission brings the newcomer to the host's key", async () => {
  assert.equal(await rehearse(), true);
});
