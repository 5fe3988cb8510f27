// @ts-check
// The cryptography behind our groups, put together by us: ts-mls's own provider brings every suite it knows along.
// Hashes, AES-GCM, X25519 and Ed25519 are the browser's; ML-KEM-768 of X-Wing is plain JavaScript, for keys used once.

import * as mls from "../vendor/mls.js";

/** @typedef {import("ts-mls/crypto/ciphersuite.js").CiphersuiteImpl} CiphersuiteImpl */

// Hybrid of X25519 and ML-KEM-768, AES-256 throughout. A draft; ts-mls 2 writes its number differently, so that changing
// the version of the library is a new version of our protocol.
export const SUITE = "MLS_256_XWING_AES256GCM_SHA512_Ed25519";

/** @type {Promise<CiphersuiteImpl> | undefined} */
let made;

/**
 * Our suite, made once.
 *
 * @returns {Promise<CiphersuiteImpl>}
 */
export function suite() {
  made ??= assembled(SUITE, { kem: "X-Wing", kdf: "HKDF-SHA512", aead: "AES256GCM" }, "SHA-512", {
    kem: new mls.XWing(),
    kdf: new mls.HkdfSha512(),
    aead: new mls.Aes256Gcm(),
  });
  return made;
}

/**
 * A suite of these parts; any other than ours is for tests.
 *
 * @param {import("ts-mls/crypto/ciphersuite.js").CiphersuiteName} name
 * @param {import("ts-mls/crypto/hpke.js").HpkeAlgorithm} algorithm
 * @param {import("ts-mls/crypto/hash.js").HashAlgorithm} hash
 * @param {ConstructorParameters<typeof mls.CipherSuite>[0] & {kdf: any}} parts
 * @returns {Promise<CiphersuiteImpl>}
 */
export async function assembled(name, algorithm, hash, parts) {
  return {
    name,
    hash: mls.makeHashImpl(crypto.subtle, hash),
    kdf: mls.makeKdfImpl(parts.kdf),
    hpke: await mls.makeGenericHpke(algorithm, AES_GCM, new mls.CipherSuite(parts)),
    signature: ED25519,
    rng: { randomBytes: (length) => crypto.getRandomValues(new Uint8Array(length)) },
  };
}

/** @type {Parameters<typeof mls.makeGenericHpke>[1]} */
const AES_GCM = {
  async encrypt(key, nonce, aad, plaintext) {
    return new Uint8Array(await crypto.subtle.encrypt(gcm(nonce, aad), await gcmKey(key, "encrypt"), plaintext.slice()));
  },
  async decrypt(key, nonce, aad, ciphertext) {
    return new Uint8Array(await crypto.subtle.decrypt(gcm(nonce, aad), await gcmKey(key, "decrypt"), ciphertext.slice()));
  },
};

/**
 * @param {Uint8Array} nonce
 * @param {Uint8Array} aad
 */
function gcm(nonce, aad) {
  return { name: "AES-GCM", iv: nonce.slice(), additionalData: aad.slice() };
}

/**
 * @param {Uint8Array} key
 * @param {KeyUsage} use
 */
function gcmKey(key, use) {
  return crypto.subtle.importKey("raw", key.slice(), "AES-GCM", false, [use]);
}

/** @type {WeakMap<Uint8Array, CryptoKey>} private keys that cannot be read, by what the library has in place of their bytes */
const privateKeys = new WeakMap();

/** @type {CiphersuiteImpl["signature"]} */
const ED25519 = {
  async sign(privateKey, message) {
    const key = privateKeys.get(privateKey);
    if (key === undefined) throw new TypeError("Only keys that were drawn here sign.");
    return new Uint8Array(await crypto.subtle.sign("Ed25519", key, message.slice()));
  },
  async verify(publicKey, message, signature) {
    const key = await crypto.subtle.importKey("raw", publicKey.slice(), "Ed25519", false, ["verify"]);
    return crypto.subtle.verify("Ed25519", key, signature.slice(), message.slice());
  },
  async keygen() {
    const pair = /** @type {CryptoKeyPair} */ (await crypto.subtle.generateKey("Ed25519", false, ["sign", "verify"]));
    const signKey = new Uint8Array();
    privateKeys.set(signKey, pair.privateKey);
    return { signKey, publicKey: new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey)) };
  },
};

/** @typedef {Readonly<{signKey: Uint8Array, publicKey: Uint8Array}>} Signer a pair of signature keys; `signKey` holds no bytes, and is good on this page only */

/**
 * Signature keys that nobody else has: good for every group that a page is in, since what is signed names its group.
 *
 * @returns {Promise<Signer>}
 */
export async function drawSigner() {
  return (await suite()).signature.keygen();
}
