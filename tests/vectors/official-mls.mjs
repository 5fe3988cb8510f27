// Follows the official RFC 9420 passive-client scenarios, from a copy of github.com/mlswg/mls-implementations:
//
//     node tests/vectors/official-mls.mjs <its folder test-vectors>
//
// They are not kept here: that repository states no licence. All of suite 1, the one of its suites that suites.mjs has,
// passed in Node 20 and Chromium 156 at commit cfd450286d1bfd9cd2519b95c80f9771f94a5b1a: 22 scenarios, 248 epochs. What CI
// follows in their place was made by three other implementations: mls-others.json, by freeze_mls_others.py.

import "../static/webcrypto.mjs";

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";

import * as ours from "../../static/js/group-suite.js";
import * as mls from "../../static/vendor/mls.js";
import { check } from "./mls.mjs";
import { suitesBeside } from "./suites.mjs";

const FILES = {
  "passive-client-welcome.json": "92ebb04b67b1aca4290965ae363650921842ceebe275bd79a2733414078d849c",
  "passive-client-handling-commit.json": "b24949fdf857bf79d511f57504a8bdc7ce3247eb199684745e439c11b1a1da21",
  "passive-client-random.json": "0095d863e9d316872e237fc708debcd20ba2687ee905a3e831f97dd3e578d3c1",
};

let failed = false;
for (const [name, sha256] of Object.entries(FILES)) {
  const text = readFileSync(join(process.argv[2] ?? ".", name));
  if (createHash("sha256").update(text).digest("hex") !== sha256) console.log(`${name}: another version than the recorded one`);
  const { faults, scenarios, epochs } = await check(mls, suitesBeside(ours), JSON.parse(text.toString()));
  for (const fault of faults) console.log(`${name}: ${fault}`);
  console.log(`${name}: ${scenarios} scenarios, ${epochs} epochs, ${faults.length} faults`);
  failed ||= faults.length > 0 || scenarios === 0;
}
process.exitCode = failed ? 1 : 0;
