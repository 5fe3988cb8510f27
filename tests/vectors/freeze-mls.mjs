// Made mls.json, once: two scenarios in the form of the official ones, one of each suite.
//
//     node tests/vectors/freeze-mls.mjs > tests/vectors/mls.json
//
// The hybrid suite is a draft and has no official vectors. What was made by ts-mls 1.6.4 in Node is followed by every later
// version in every browser, or it is another protocol.

import "../static/webcrypto.mjs";

import { webcrypto } from "node:crypto";

import { defaultCapabilities } from "ts-mls/defaultCapabilities.js";
import { generateKeyPackage } from "ts-mls/keyPackage.js";

import { utf8 } from "../../static/js/bytes.js";
import * as ours from "../../static/js/group-suite.js";
import { CLIENT } from "../../static/js/group-policy.js";
import * as mls from "../../static/vendor/mls.js";
import { SUITE_1, suitesBeside } from "./suites.mjs";

const NAMES = { 1: SUITE_1, 83: ours.SUITE };
const hex = (bytes) => Buffer.from(bytes).toString("hex");
const encoded = (message) => hex(mls.encodeMlsMessage({ version: "mls10", ...message }));

async function scenario(number) {
  const suite = await suitesBeside(ours)[number]();
  const psk = webcrypto.getRandomValues(new Uint8Array(64));
  const pskIndex = { findPsk: () => psk };
  const someone = (pid, role) => {
    const credential = { credentialType: "basic", identity: utf8(JSON.stringify({ pid, name: `Person ${pid}`, role })) };
    const can = { ...defaultCapabilities(), ciphersuites: [NAMES[number]], credentials: ["basic"] };
    return generateKeyPackage(credential, can, { notBefore: 0n, notAfter: 2n ** 63n }, [], suite);
  };
  const [host, passive, other] = [await someone("T", "host"), await someone("A", "guest"), await someone("B", "guest")];
  let state = await mls.createGroup(utf8("7k2mabcd/0123456789abcdef"), host.publicPackage, host.privatePackage, [], suite, CLIENT);
  const commit = async (extraProposals) => {
    const made = await mls.createCommit({ state, cipherSuite: suite, pskIndex }, { extraProposals, ratchetTreeExtension: true });
    state = made.newState;
    return { welcome: made.welcome, epoch: { proposals: [], commit: hex(mls.encodeMlsMessage(made.commit)), epoch_authenticator: hex(state.keySchedule.epochAuthenticator) } };
  };
  const adding = ({ publicPackage }) => [
    { proposalType: "add", add: { keyPackage: publicPackage } },
    { proposalType: "psk", psk: { preSharedKeyId: { psktype: "external", pskId: utf8("quietroom link v1"), pskNonce: webcrypto.getRandomValues(new Uint8Array(suite.kdf.size)) } } },
  ];
  const { welcome, epoch } = await commit(adding(passive));
  const epochs = [];
  for (const proposals of [adding(other), [{ proposalType: "remove", remove: { removed: 2 } }], []]) epochs.push((await commit(proposals)).epoch);
  return {
    cipher_suite: number,
    external_psks: [{ psk_id: hex(utf8("quietroom link v1")), psk: hex(psk) }],
    key_package: encoded({ wireformat: "mls_key_package", keyPackage: passive.publicPackage }),
    signature_priv: "", // cannot be read, and who only follows signs nothing
    encryption_priv: hex(passive.privatePackage.hpkePrivateKey),
    init_priv: hex(passive.privatePackage.initPrivateKey),
    welcome: encoded({ wireformat: "mls_welcome", welcome }),
    ratchet_tree: null,
    initial_epoch_authenticator: epoch.epoch_authenticator,
    epochs,
  };
}

console.log(JSON.stringify([await scenario(1), await scenario(83)], null, 1));
