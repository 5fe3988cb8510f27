/**
 * X25519 as X-Wing asks for it, done by the browser. build.mjs puts it in the place of @hpke/dhkem-x25519, which does it in
 * JavaScript: slower, in a time that depends on the key, and with hashes that nobody asks for.
 */

// A private key of 32 bytes follows (RFC 8410 §7).
const PKCS8 = [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x6e, 0x04, 0x22, 0x04, 0x20];

const X25519_KEY = { name: "X25519" };

/** What X-Wing gives to X25519, which needs it for more than X-Wing does. */
export class HkdfSha256 {}

export class X25519 {
  /**
   * The function of RFC 7748 §5.
   *
   * @param {Uint8Array} privateKey 32 bytes
   * @param {Uint8Array} publicKey 32 bytes, a u-coordinate
   * @returns {Promise<Uint8Array>} 32 bytes
   * @throws {DOMException} where the outcome is all zeroes: the public key is one of the few that are worth nothing.
   */
  async derive(privateKey, publicKey) {
    const { subtle } = crypto;
    const pkcs8 = Uint8Array.from([...PKCS8, ...privateKey]);
    const mine = await subtle.importKey("pkcs8", pkcs8, X25519_KEY, false, ["deriveBits"]);
    pkcs8.fill(0);
    const theirs = await subtle.importKey("raw", publicKey.slice(), X25519_KEY, true, []);
    return new Uint8Array(await subtle.deriveBits({ ...X25519_KEY, public: theirs }, mine, 256));
  }
}
