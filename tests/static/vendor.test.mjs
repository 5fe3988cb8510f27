// What the pages load from static/vendor/ is complete, typed and unaltered.

import assert from "node:assert/strict";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import * as mls from "../../static/vendor/mls.js";
import * as entry from "../../static/vendor/mls-entry.mjs";
import * as preact from "../../static/vendor/preact-htm.js";
import { bundled } from "../../static/vendor/build.mjs";
import { buildFaults, localFaults } from "../../static/vendor/verify.mjs";

const VENDOR = fileURLToPath(new URL("../../static/vendor/", import.meta.url));
const MANIFEST = JSON.parse(readFileSync(join(VENDOR, "manifest.json"), "utf8"));

/** Runs `check` on a copy of the vendor folder. */
function onACopy(check) {
  const copy = mkdtempSync(join(tmpdir(), "quietroom-vendor-test-"));
  try {
    cpSync(VENDOR, copy, { recursive: true });
    check(copy);
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}

test("the vendored files match their manifest", () => {
  assert.deepEqual(localFaults(VENDOR, MANIFEST), []);
});

test("one altered byte is found", () => {
  onACopy((copy) => {
    const path = join(copy, "preact-htm.js");
    writeFileSync(path, `${readFileSync(path, "utf8")} `);
    assert.deepEqual(localFaults(copy, MANIFEST), ["preact-htm.js does not have the recorded SHA-256"]);
  });
});

test("a script without an entry and a lost licence are found", () => {
  onACopy((copy) => {
    writeFileSync(join(copy, "unknown.js"), "");
    rmSync(join(copy, "licences", "preact.txt"));
    assert.deepEqual(localFaults(copy, MANIFEST), [
      "unknown.js is not in manifest.json",
      "licences/preact.txt, a licence of preact-htm.js, is missing",
    ]);
  });
});

test("the modules we build come out the same when they are built again", async () => {
  assert.deepEqual(await buildFaults(VENDOR, MANIFEST), []);
});

test("an altered build and a package without a licence are found", async () => {
  const altered = MANIFEST.map((listed) => ({
    ...listed,
    contains: listed.contains?.filter((part) => part.package !== "mlkem"),
  }));
  const copy = mkdtempSync(join(tmpdir(), "quietroom-vendor-test-"));
  try {
    writeFileSync(join(copy, "mls.js"), `${readFileSync(join(VENDOR, "mls.js"), "utf8")} `);
    assert.deepEqual(await buildFaults(copy, altered), [
      "mls.js differs from what build.mjs builds",
      "mlkem 2.7.0 is in mls.js, and not in manifest.json",
    ]);
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
});

test("the MLS module is one file that loads nothing with it", async () => {
  const { imports } = await bundled("mls-entry.mjs");
  // What is left is Node's own module, asked for where there is no global `crypto`.
  assert.deepEqual(new Set(imports.map(({ kind, path }) => `${kind} ${path}`)), new Set(["dynamic-import crypto"]));
  assert.deepEqual(Object.keys(mls).sort(), Object.keys(entry).sort());
});

test("every value the types declare is exported", () => {
  const types = readFileSync(join(VENDOR, "preact-htm.d.ts"), "utf8");
  const declared = [...types.matchAll(/^export (?:function|class) (\w+)/gm)].map((match) => match[1]).sort();
  assert.deepEqual(Object.keys(preact).sort(), declared);
});

test("text given to html stays text", () => {
  const node = preact.html`<p>${"<b>not markup</b>"}</p>`;
  assert.equal(node.type, "p");
  assert.equal(node.props.children, "<b>not markup</b>");
});
