// Holds an SFrame module to the official vectors; the same code runs in Node and in real browsers.

const LARGEST = 2n ** 53n;

/**
 * @param {typeof import('../../static/js/sframe.js')} sframe
 * @param {any} vectors tests/vectors/sframe.json
 * @returns {Promise<{faults: string[], headers: number, refused: number, frames: number}>} what differs, and how
 *   many were looked at; `refused`: headers with numbers beyond 2^53, which must not be taken.
 */
export async function check(sframe, vectors) {
  const faults = [];
  let headers = 0;
  let refused = 0;
  for (const [kidHex, ctrHex, encoded] of vectors.header) {
    const [kid, ctr] = [BigInt(`0x${kidHex}`), BigInt(`0x${ctrHex}`)];
    const read = sframe.decodeHeader(bytes(encoded));
    if (kid >= LARGEST || ctr >= LARGEST) {
      refused += 1;
      if (read !== null) faults.push(`header ${encoded} was taken`);
      continue;
    }
    headers += 1;
    const length = encoded.length / 2;
    if (hex(sframe.encodeHeader(Number(kid), Number(ctr))) !== encoded) faults.push(`header ${encoded} is written otherwise`);
    if (read?.kid !== Number(kid) || read.ctr !== Number(ctr) || read.length !== length) faults.push(`header ${encoded} is read otherwise`);
    if (sframe.decodeHeader(bytes(encoded).subarray(0, length - 1)) !== null) faults.push(`header ${encoded} was taken cut short`);
  }
  for (const { kid, ctr, base_key, sframe_salt, metadata, pt, ct } of vectors.sframe) {
    const key = await sframe.deriveKey(await sframe.importBaseKey(bytes(base_key)), kid);
    if (hex(key.salt) !== sframe_salt) faults.push("the salt differs");
    const header = sframe.encodeHeader(kid, ctr);
    const sealed = new Uint8Array(await sframe.seal(key, header, ctr, bytes(metadata), bytes(pt)));
    if (hex(header) + hex(sealed) !== ct) faults.push("the ciphertext differs");
    const opened = await sframe.open(key, header, ctr, bytes(metadata), sealed);
    if (opened === null || hex(new Uint8Array(opened)) !== pt) faults.push("the plaintext differs");
    sealed[0] ^= 1;
    if ((await sframe.open(key, header, ctr, bytes(metadata), sealed)) !== null) faults.push("a changed ciphertext opened");
  }
  return { faults, headers, refused, frames: vectors.sframe.length };
}

/** @param {string} text */
function bytes(text) {
  return new Uint8Array((text.match(/../g) ?? []).map((pair) => parseInt(pair, 16)));
}

/** @param {Uint8Array} value */
function hex(value) {
  return [...value].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
