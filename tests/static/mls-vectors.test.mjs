// The vendored MLS module follows frozen scenarios, and notices when one is altered. The same in Chromium: tests/e2e/test_mls.py.

import "./webcrypto.mjs";

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import * as ours from "../../static/js/group-suite.js";
import * as mls from "../../static/vendor/mls.js";
import { check } from "../vectors/mls.mjs";
import { suitesBeside } from "../vectors/suites.mjs";

const suites = suitesBeside(ours);
const read = (name) => JSON.parse(readFileSync(new URL(`../vectors/${name}`, import.meta.url), "utf8"));
const FROZEN = read("mls.json");
const OTHERS = read("mls-others.json").scenarios;

test("frozen scenarios of both suites are followed", async () => {
  assert.deepEqual(await check(mls, suites, FROZEN), { faults: [], scenarios: 2, epochs: 8, messages: 0 });
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

test("groups that three other implementations made are followed", async () => {
  assert.deepEqual(OTHERS.map(({ made_by }) => made_by.match(/[\w-]+/)[0]), ["rfc9420", "mls-rs", "mls-rs", "OpenMLS"]);
  assert.deepEqual(await check(mls, suites, OTHERS), { faults: [], scenarios: 4, epochs: 22, messages: 22 });
});

test("a flipped bit in what others made is found", async () => {
  const flipped = (text) => text && text.slice(0, -2) + (Number.parseInt(text.slice(-2), 16) ^ 1).toString(16).padStart(2, "0");
  const exporter = (each) => each && { ...each, secret: flipped(each.secret) };
  const last = (alter) => (scenario) => ({
    ...scenario,
    epochs: [...scenario.epochs.slice(0, -1), { ...scenario.epochs.at(-1), ...alter(scenario.epochs.at(-1)) }],
  });
  for (const alter of [
    (scenario) => ({ ...scenario, welcome: flipped(scenario.welcome) }),
    (scenario) => ({
      ...scenario,
      initial_epoch_authenticator: flipped(scenario.initial_epoch_authenticator),
      initial_exporter: exporter(scenario.initial_exporter),
    }),
    last((epoch) => ({ commit: flipped(epoch.commit) })),
    last((epoch) => ({ epoch_authenticator: flipped(epoch.epoch_authenticator), exporter: exporter(epoch.exporter) })),
    last(() => ({ epoch_authenticator: undefined, exporter: undefined })),
    last((epoch) => ({ messages: [{ ...epoch.messages[0], message: flipped(epoch.messages[0].message) }] })),
    last((epoch) => ({ messages: [{ ...epoch.messages[0], text: flipped(epoch.messages[0].text) }] })),
  ]) {
    const { faults } = await check(mls, suites, OTHERS.map(alter));
    assert.equal(faults.length, 4);
  }
  const [withPsks] = OTHERS;
  for (const one of withPsks.external_psks) {
    const external_psks = withPsks.external_psks.map((each) => (each === one ? { ...each, psk: flipped(each.psk) } : each));
    assert.equal((await check(mls, suites, [{ ...withPsks, external_psks }])).faults.length, 1);
  }
});

test("a commit out of a half of the tree whose other half is empty is refused, wrongly: no group of ours has one", async () => {
  const whole = OTHERS.filter((scenario) => scenario.lone_half).map((scenario) => ({ ...scenario, epochs: [...scenario.epochs, scenario.lone_half] }));
  const { faults } = await check(mls, suites, whole);
  assert.deepEqual(faults, [0, 1, 2].map((at) => `scenario ${at}: CryptoVerificationError: Could not verify confirmation tag`));
});
