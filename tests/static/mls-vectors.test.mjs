// The vendored MLS module follows frozen scenarios, and notices when one is altered. The same in Chromium: tests/e2e/test_mls.py.

import "./webcrypto.mjs";

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import * as suites from "../../static/js/group-suite.js";
import * as mls from "../../static/vendor/mls.js";
import { check } from "../vectors/mls.mjs";

const FROZEN = JSON.parse(readFileSync(new URL("../vectors/mls.json", import.meta.url), "utf8"));

test("frozen scenarios of both suites are followed", async () => {
  assert.deepEqual(await check(mls, suites, FROZEN), { faults: [], scenarios: 2, epochs: 8 });
});

test("a scenario that leads elsewhere is found", async () => {
  for (const alter of [
    (scenario) => ({ ...scenario, initial_epoch_authenticator: scenario.epochs[0].epoch_authenticator }),
    (scenario) => ({ ...scenario, external_psks: [{ ...scenario.external_psks[0], psk: "00".repeat(64) }] }),
    (scenario) => ({ ...scenario, epochs: scenario.epochs.slice(1) }),
  ]) {
    const { faults } = await check(mls, suites, FROZEN.map(alter));
    assert.equal(faults.length, 2);
  }
});
