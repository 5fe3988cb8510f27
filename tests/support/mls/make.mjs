// Writes messages.json: one small visit, as bytes that a browser would send, by the vendored MLS module itself.
// Run by hand when that changes: node tests/support/mls/make.mjs

import { writeFileSync } from "node:fs";
import * as mls from "../../../static/vendor/mls.js";

const MEETING = "abc-defg-hjk";
const GENERATION = "00112233aabbccdd";
const SUITE = "MLS_256_XWING_AES256GCM_SHA512_Ed25519";
const suite = await mls.defaultCryptoProvider.getCiphersuiteImpl(mls.getCiphersuiteFromName(SUITE));
const text = new TextEncoder();
const groupId = text.encode(`${MEETING}/${GENERATION}`);
const psk = new Uint8Array(64).fill(7);
const noPsk = { findPsk: () => psk };
const lifetime = { notBefore: 0n, notAfter: 4_102_444_800n }; // the year 2100
const capabilities = { versions: ["mls10"], ciphersuites: [SUITE], extensions: [], proposals: [], credentials: ["basic"] };
const clientConfig = {
  keyRetentionConfig: { retainKeysForGenerations: 10, retainKeysForEpochs: 4, maximumForwardRatchetSteps: 200 },
  lifetimeConfig: { maximumTotalLifetime: 2n ** 62n, validateLifetimeOnReceive: false },
  keyPackageEqualityConfig: mls.defaultKeyPackageEqualityConfig,
  paddingConfig: { kind: "padUntilLength", padUntilLength: 256 },
  authService: { validateCredential: async () => true },
};
const b64 = (bytes) => Buffer.from(bytes).toString("base64url");
const wire = (wireformat, body) => mls.encodeMlsMessage({ version: "mls10", wireformat, ...body });
const keyPackage = (pid, name, role) =>
  mls.generateKeyPackage(
    { credentialType: "basic", identity: text.encode(JSON.stringify({ pid, name, role })) },
    capabilities,
    lifetime,
    [],
    suite,
  );
const add = (kp) => ({ proposalType: "add", add: { keyPackage: kp.publicPackage } });
const withPsk = () => ({
  proposalType: "psk",
  psk: { preSharedKeyId: { psktype: "external", pskId: text.encode("link v1"), pskNonce: crypto.getRandomValues(new Uint8Array(64)) } },
});

const host = await keyPackage("T", "Therapist", "host");
const a = await keyPackage("A", "Partner A", "guest");
const b = await keyPackage("B", "Partner B", "guest");
let state = await mls.createGroup(groupId, host.publicPackage, host.privatePackage, [], suite, clientConfig);

/** @param {object[]} extraProposals */
async function commit(extraProposals, ratchetTreeExtension) {
  const made = await mls.createCommit({ state, cipherSuite: suite, pskIndex: noPsk }, { extraProposals, ratchetTreeExtension });
  const epoch = Number(state.groupContext.epoch);
  state = made.newState;
  return { epoch, commit: b64(mls.encodeMlsMessage(made.commit)), welcome: made.welcome ? b64(wire("mls_welcome", { welcome: made.welcome })) : null };
}

const addBoth = await commit([add(a), add(b), withPsk()], true);
const said = await mls.createApplicationMessage(state, text.encode("Good morning."), suite);
state = said.newState;
const removeB = await commit([{ proposalType: "remove", remove: { removed: 2 } }], false);
const rotate = await commit([], false);

writeFileSync(
  new URL("messages.json", import.meta.url),
  JSON.stringify(
    {
      meeting: MEETING,
      generation: GENERATION,
      "key-packages": {
        A: b64(wire("mls_key_package", { keyPackage: a.publicPackage })),
        B: b64(wire("mls_key_package", { keyPackage: b.publicPackage })),
        T: b64(wire("mls_key_package", { keyPackage: host.publicPackage })),
      },
      "add-both": addBoth,
      application: { epoch: 1, message: b64(wire("mls_private_message", { privateMessage: said.privateMessage })) },
      "remove-b": removeB,
      rotate,
    },
    null,
    1,
  ) + "\n",
);
