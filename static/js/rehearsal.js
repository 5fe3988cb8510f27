// @ts-check
// An admission as it will be, once, with keys that are thrown away: between nobody and nobody, while people wait.
//
// Browsers compile what they run for the first time, and run it slowly then. The first admission of a visit is the only one
// that most visits have; so that people do not wait for the compiler, its work is done before.

import { openGroup, prepare } from "./group-entry.js";
import { drawSigner } from "./group-suite.js";

/**
 * @returns {Promise<boolean>} whether the newcomer came to have the host's key.
 */
export async function rehearse() {
  const keys = { psk: crypto.getRandomValues(new Uint8Array(64)), kpKey: crypto.getRandomValues(new Uint8Array(32)) };
  const id = "rehearsal";
  const host = await openGroup({ id, me: { pid: "A", name: "nobody" }, keys, signer: await drawSigner() });
  const newcomer = await prepare({ id, me: { pid: "B", name: "nobody" }, keys, signer: await drawSigner() });
  const { welcome } = await host.commit({ add: [{ pid: "B", ...newcomer.offer }] });
  await host.merge();
  if (welcome === null) return false;
  const guest = await newcomer.join(welcome);
  const [hers, theirs] = [(await host.epochKey()).baseKey, (await guest.epochKey()).baseKey];
  await Promise.all([host.close(), guest.close()]);
  return hers.every((byte, at) => byte === theirs[at]);
}
