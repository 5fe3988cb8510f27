// The suites of our vectors, by their numbers: ours, and RFC 9420's mandatory one, which other programs speak too. Pages do
// not have that one; here its algorithms come from where those of ours do.

import { Aes128Gcm, DhkemX25519HkdfSha256, HkdfSha256 } from "@hpke/core";

export const SUITE_1 = "MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519";

/**
 * @param {typeof import("../../static/js/group-suite.js")} ours as the pages have it
 * @returns {Record<number, () => Promise<import("ts-mls/crypto/ciphersuite.js").CiphersuiteImpl>>}
 */
export function suitesBeside(ours) {
  const parts = { kem: new DhkemX25519HkdfSha256(), kdf: new HkdfSha256(), aead: new Aes128Gcm() };
  const algorithm = /** @type {const} */ ({ kem: "DHKEM-X25519-HKDF-SHA256", kdf: "HKDF-SHA256", aead: "AES128GCM" });
  return { 1: () => ours.assembled(SUITE_1, algorithm, "SHA-256", parts), 83: ours.suite };
}
