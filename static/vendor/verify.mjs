// @ts-check
/**
 * Proves that the vendored modules are what their authors published.
 *
 * For every entry of manifest.json: the file has the recorded SHA-256, its licence texts are there, and the
 * same version taken from the npm registry again holds the same bytes; a module that we build from packages comes
 * out the same byte for byte when it is built again. Every .js file here needs an entry.
 *
 *     node static/vendor/verify.mjs             hashes, building again, then the published packages
 *     node static/vendor/verify.mjs --offline   hashes only
 */

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const HERE = dirname(fileURLToPath(import.meta.url));
const ROOT = join(HERE, "..", "..");

/**
 * @typedef {object} Vendored
 * @property {string} file name in this folder
 * @property {string} package npm package it comes from
 * @property {string} version exact version
 * @property {string} [source] path of the file inside that package, where it is copied
 * @property {string} [built_from] entry file in this folder, where build.mjs makes it
 * @property {string} licence SPDX expression
 * @property {string} licence_file path in this folder
 * @property {{package: string, version: string, licence: string, licence_file: string}[]} [contains]
 *   packages bundled into the file by its authors
 * @property {string} sha256 hex digest of the file
 */

/**
 * What is wrong with the files of a folder, by their manifest alone.
 *
 * @param {string} folder
 * @param {Vendored[]} manifest
 * @returns {string[]} one sentence per fault; empty when all is well
 */
export function localFaults(folder, manifest) {
  const faults = [];
  const listed = new Set(manifest.map((entry) => entry.file));
  for (const name of readdirSync(folder)) {
    if (name.endsWith(".js") && !listed.has(name)) faults.push(`${name} is not in manifest.json`);
  }
  for (const entry of manifest) {
    const path = join(folder, entry.file);
    if (!existsSync(path)) {
      faults.push(`${entry.file} is missing`);
    } else if (createHash("sha256").update(readFileSync(path)).digest("hex") !== entry.sha256) {
      faults.push(`${entry.file} does not have the recorded SHA-256`);
    }
    for (const licence of [entry.licence_file, ...(entry.contains ?? []).map((part) => part.licence_file)]) {
      if (!existsSync(join(folder, licence))) faults.push(`${licence}, a licence of ${entry.file}, is missing`);
    }
  }
  return faults;
}

/**
 * What differs when the modules that we build are built again, from the packages that package-lock.json pins.
 *
 * @param {string} folder
 * @param {Vendored[]} manifest
 * @returns {Promise<string[]>}
 */
export async function buildFaults(folder, manifest) {
  const faults = [];
  // Imported here: the hashes can be checked without any package installed.
  const { bundled } = await import("./build.mjs");
  for (const entry of manifest) {
    if (entry.built_from === undefined) continue;
    const { bytes, packages } = await bundled(entry.built_from);
    if (!bytes.equals(readFileSync(join(folder, entry.file)))) faults.push(`${entry.file} differs from what build.mjs builds`);
    const listed = new Map([entry, ...(entry.contains ?? [])].map((part) => [part.package, part.version]));
    for (const name of packages) {
      const installed = JSON.parse(readFileSync(join(ROOT, "node_modules", name, "package.json"), "utf8")).version;
      if (listed.get(name) !== installed) faults.push(`${name} ${installed} is in ${entry.file}, and not in manifest.json`);
    }
  }
  return faults;
}

/**
 * What differs from the published packages, installed into a temporary folder.
 *
 * @param {string} folder
 * @param {Vendored[]} manifest
 * @returns {string[]}
 */
function publishedFaults(folder, manifest) {
  const faults = [];
  const place = mkdtempSync(join(tmpdir(), "quietroom-vendor-"));
  try {
    const copied = manifest.flatMap((entry) => (entry.source === undefined ? [] : [{ ...entry, source: entry.source }]));
    const wanted = copied.map((entry) => `${entry.package}@${entry.version}`);
    // Scripts of a package have no business here: only its files are compared.
    const options = ["install", "--prefix", place, "--ignore-scripts", "--no-save", "--no-audit", "--no-fund", "--silent"];
    execFileSync("npm", [...options, ...new Set(wanted)], { stdio: "inherit", timeout: 300_000 });
    for (const entry of copied) {
      const published = readFileSync(join(place, "node_modules", entry.package, entry.source));
      if (!published.equals(readFileSync(join(folder, entry.file)))) {
        faults.push(`${entry.file} differs from ${entry.source} of ${entry.package} ${entry.version}`);
      }
    }
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
  return faults;
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  /** @type {Vendored[]} */
  const manifest = JSON.parse(readFileSync(join(HERE, "manifest.json"), "utf8"));
  const faults = localFaults(HERE, manifest);
  if (faults.length === 0 && !process.argv.includes("--offline")) {
    faults.push(...(await buildFaults(HERE, manifest)), ...publishedFaults(HERE, manifest));
  }
  for (const fault of faults) console.error(`vendor: ${fault}`);
  if (faults.length === 0) console.log(`vendor: ${manifest.length} file(s) as published`);
  process.exitCode = faults.length === 0 ? 0 : 1;
}
