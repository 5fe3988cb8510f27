// @ts-check
/**
 * Builds the vendored modules that no package publishes as one file.
 *
 *     node static/vendor/build.mjs              writes them beside this script, and their hashes into manifest.json
 *
 * It reads node_modules as `npm ci` leaves it, so package-lock.json decides every byte that goes in. verify.mjs builds
 * again and compares.
 */

import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

import { build } from "esbuild";

const HERE = dirname(fileURLToPath(import.meta.url));

// Node's own, for versions without a global one; a browser never asks for it.
const NOT_BUNDLED = ["crypto"];

// In their place stands a file of this folder, which says why.
const REPLACED = { "@hpke/dhkem-x25519": "./x25519.mjs" };

/**
 * Leaves out what nobody imports of the packages that allow it. esbuild reads that in the nearest package.json, and these
 * packages have another one, without it, below their own.
 *
 * @type {import("esbuild").Plugin}
 */
const unused = {
  name: "unused",
  setup(build) {
    build.onResolve({ filter: /./ }, async ({ path, pluginData, ...from }) => {
      if (pluginData === unused || from.kind === "entry-point") return undefined;
      const found = await build.resolve(path, { ...from, pluginData: unused });
      const folder = /.*node_modules\/(?:@[^/]+\/)?[^/]+\//.exec(found.path)?.[0];
      if (folder === undefined) return found;
      return { ...found, sideEffects: JSON.parse(readFileSync(`${folder}package.json`, "utf8")).sideEffects !== false };
    });
  },
};

/**
 * One module out of an entry file and the packages it names.
 *
 * @param {string} entry name in this folder
 * @returns {Promise<{bytes: Buffer, packages: string[], imports: {path: string, kind: string}[]}>} the module, the
 *   packages whose code is in it, sorted, and what it still imports
 */
export async function bundled(entry) {
  const result = await build({
    absWorkingDir: HERE,
    entryPoints: [entry],
    bundle: true,
    format: "esm",
    target: "es2022",
    minify: true,
    legalComments: "none",
    charset: "utf8",
    external: NOT_BUNDLED,
    alias: REPLACED,
    plugins: [unused],
    banner: { js: `/*! Built by build.mjs from ${entry}; packages, versions and licences: manifest.json */` },
    metafile: true,
    write: false,
    logLevel: "error",
  });
  const packages = new Set();
  const imports = [];
  for (const output of Object.values(result.metafile.outputs)) {
    imports.push(...output.imports);
    for (const [path, { bytesInOutput }] of Object.entries(output.inputs)) {
      const name = /.*node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1];
      if (name !== undefined && bytesInOutput > 0) packages.add(name);
    }
  }
  return { bytes: Buffer.from(result.outputFiles[0].contents), packages: [...packages].sort(), imports };
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const path = join(HERE, "manifest.json");
  /** @type {import("./verify.mjs").Vendored[]} */
  const manifest = JSON.parse(readFileSync(path, "utf8"));
  let text = readFileSync(path, "utf8");
  for (const entry of manifest) {
    if (entry.built_from === undefined) continue;
    const { bytes } = await bundled(entry.built_from);
    writeFileSync(join(HERE, entry.file), bytes);
    text = text.replace(entry.sha256, createHash("sha256").update(bytes).digest("hex"));
  }
  writeFileSync(path, text);
}
