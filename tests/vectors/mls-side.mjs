// Our side of freeze_mls_others.py: the vendored MLS module, asked in lines of JSON on standard input, answering in lines on
// standard output. Bytes are in hex. One person, one group, suite 1, no rules of ours: what is tried is MLS itself.

import "../static/webcrypto.mjs";

import { createInterface } from "node:readline";

import { utf8 } from "../../static/js/bytes.js";
import { CLIENT } from "../../static/js/group-policy.js";
import * as ours from "../../static/js/group-suite.js";
import * as mls from "../../static/vendor/mls.js";
import { check } from "./mls.mjs";
import { SUITE_1, suitesBeside } from "./suites.mjs";

const suites = suitesBeside(ours);
const suite = await suites[1]();
const hex = (bytes) => Buffer.from(bytes).toString("hex");
const bytes = (text) => Uint8Array.from(Buffer.from(text, "hex"));
const encoded = (message) => hex(mls.encodeMlsMessage({ version: "mls10", ...message }));
const decoded = (text) => mls.decodeMlsMessage(bytes(text), 0)[0];
const pskIndex = { findPsk: () => undefined };

// People of other programs do not name themselves as ours do.
const client = { ...CLIENT, authService: { validateCredential: async () => true } };

let own;
let state;

const ASKED = {
  async person({ identity }) {
    const now = BigInt(Math.floor(Date.now() / 1000));
    own = await mls.generateKeyPackageWithKey(
      { credentialType: "basic", identity: bytes(identity) },
      { versions: ["mls10"], ciphersuites: [SUITE_1], extensions: [], proposals: [], credentials: ["basic", "x509"] }, // Wire's groups want both
      { notBefore: now - 3600n, notAfter: now + 28n * 86_400n },
      [],
      await suite.signature.keygen(),
      suite,
    );
    return {
      key_package: encoded({ wireformat: "mls_key_package", keyPackage: own.publicPackage }),
      signature_priv: "", // cannot be read, and who only follows signs nothing
      encryption_priv: hex(own.privatePackage.hpkePrivateKey),
      init_priv: hex(own.privatePackage.initPrivateKey),
    };
  },
  async follow({ scenarios }) {
    return check(mls, suites, scenarios);
  },
  async group({ id }) {
    state = await mls.createGroup(bytes(id), own.publicPackage, own.privatePackage, [], suite, client);
    return {};
  },
  async commit({ add = [], remove = [], public: inPublic = false }) {
    const extraProposals = [
      ...add.map((text) => ({ proposalType: "add", add: { keyPackage: decoded(text).keyPackage } })),
      ...remove.map((removed) => ({ proposalType: "remove", remove: { removed } })),
    ];
    const how = { extraProposals, ratchetTreeExtension: true, wireAsPublicMessage: inPublic };
    const made = await mls.createCommit({ state, cipherSuite: suite, pskIndex }, how);
    state = made.newState;
    const welcome = made.welcome && encoded({ wireformat: "mls_welcome", welcome: made.welcome });
    return { commit: hex(mls.encodeMlsMessage(made.commit)), welcome };
  },
  async apply({ message }) {
    const { wireformat, privateMessage, publicMessage } = decoded(message);
    const result =
      wireformat === "mls_private_message"
        ? await mls.processPrivateMessage(state, privateMessage, pskIndex, suite)
        : await mls.processPublicMessage(state, publicMessage, pskIndex, suite);
    state = result.newState;
    return result.kind === "applicationMessage" ? { text: hex(result.message) } : {};
  },
  async say({ text }) {
    const made = await mls.createApplicationMessage(state, bytes(text), suite);
    state = made.newState;
    return { message: encoded({ wireformat: "mls_private_message", privateMessage: made.privateMessage }) };
  },
  async exported({ label, context, length }) {
    return { secret: hex(await mls.mlsExporter(state.keySchedule.exporterSecret, label, bytes(context), length, suite)) };
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { ask, ...what } = JSON.parse(line);
  console.log(JSON.stringify(await ASKED[ask](what)));
}
