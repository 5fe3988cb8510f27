// Groups for tests, and a server and members who keep to no rule of ours: they use ts-mls as it is.

import "./webcrypto.mjs";

import { webcrypto } from "node:crypto";

import { defaultCapabilities } from "ts-mls/defaultCapabilities.js";
import { generateKeyPackageWithKey } from "ts-mls/keyPackage.js";

import { joined, utf8 } from "../../static/js/bytes.js";
import { CLIENT, credentialOf, lifetime, linkPsk } from "../../static/js/group-policy.js";
import { SUITE, drawSigner, suite } from "../../static/js/group-suite.js";
import * as entry from "../../static/js/group-entry.js";
import { drawLinkSecret, linkKeys } from "../../static/js/link-secret.js";
import * as mls from "../../static/vendor/mls.js";

export const ID = "7k2mabcd/0123456789abcdef";
export const KEYS = await linkKeys(drawLinkSecret());
export const HOST = { pid: "T", name: "Dr. Weiß" };

/** @param {string} pid */
export const guest = (pid) => ({ pid, name: `Partner ${pid}` });

/** @param {import("../../static/js/group.js").Group} group */
export const baseKeyOf = async (group) => (await group.epochKey()).baseKey;

/** The ways in, by a page of its own unless told whose. */
export const openGroup = async (settings) => entry.openGroup({ signer: await drawSigner(), ...settings });
export const prepare = async (settings) => entry.prepare({ signer: await drawSigner(), ...settings });

/** What a test expects a refusal to be: `await assert.rejects(…, refusal("tag"))`. */
export const refusal = (code) => ({ name: "GroupError", code });

/**
 * A host with these guests in its group.
 *
 * @param {string[]} pids
 */
export async function roomOf(...pids) {
  const host = await openGroup({ id: ID, me: HOST, keys: KEYS });
  /** @type {Record<string, import("../../static/js/group.js").Group>} */ const members = {};
  const room = {
    host,
    members,
    /** Host commits, everybody follows, newcomers join; gives what the host sent. */
    async change({ add = [], remove = [] }) {
      const newcomers = [];
      for (const pid of add) newcomers.push(await prepare({ id: ID, me: guest(pid), keys: KEYS }));
      const made = await host.commit({ add: newcomers.map(({ offer }, at) => ({ pid: add[at], ...offer })), remove });
      await host.merge();
      for (const [pid, group] of Object.entries(members)) {
        if ((await group.apply(made.commit)).removed) delete members[pid];
      }
      for (const [at, newcomer] of newcomers.entries()) members[add[at]] = await newcomer.join(made.welcome);
      return made;
    },
  };
  if (pids.length > 0) await room.change({ add: pids });
  return room;
}

/** A key package by ts-mls itself, of anybody. */
export async function rawKeyPackage(person, { credential = credentialOf(person), capabilities, extensions = [], leafExtensions, cs, signer } = {}) {
  const can = capabilities ?? { ...defaultCapabilities(), ciphersuites: [SUITE], credentials: ["basic"] };
  const own = signer ?? (await drawSigner());
  return generateKeyPackageWithKey(credential, can, lifetime(), extensions, own, cs ?? (await suite()), leafExtensions);
}

/** A key package as it goes to the host, with the tag of whoever has these keys. */
export async function offerOf(publicPackage, keys = KEYS, id = ID) {
  const message = new Uint8Array(mls.encodeMlsMessage({ version: "mls10", wireformat: "mls_key_package", keyPackage: publicPackage }));
  return { keyPackage: message, tag: await tagOf(message, keys, id) };
}

export async function tagOf(message, keys = KEYS, id = ID) {
  const key = await webcrypto.subtle.importKey("raw", keys.kpKey, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  return new Uint8Array(await webcrypto.subtle.sign("HMAC", key, joined(utf8(id), message)));
}

/** Somebody who uses ts-mls without our policy. */
export class Raw {
  constructor(state, psk) {
    this.state = state;
    this.psk = psk;
  }

  /** A group of its own making. */
  static async host({ id = ID, person = { ...HOST, role: "host" }, extensions = [], psk = KEYS.psk, signer } = {}) {
    const own = await rawKeyPackage(person, { signer });
    const state = await mls.createGroup(utf8(id), own.publicPackage, own.privatePackage, extensions, await suite(), CLIENT);
    return new Raw(state, psk);
  }

  static async join(own, welcome, psk = KEYS.psk) {
    const message = mls.decodeMlsMessage(welcome, 0)[0].welcome;
    const finder = { findPsk: () => psk };
    return new Raw(await mls.joinGroup(message, own.publicPackage, own.privatePackage, finder, await suite(), undefined, undefined, CLIENT), psk);
  }

  /** A commit of these proposals, whatever they are; its own state follows. */
  async commit(extraProposals, { publicly = false, authenticatedData = new Uint8Array() } = {}) {
    const context = { state: this.state, cipherSuite: await suite(), pskIndex: { findPsk: () => this.psk } };
    const made = await mls.createCommit(context, {
      extraProposals,
      ratchetTreeExtension: true,
      wireAsPublicMessage: publicly,
      authenticatedData,
    });
    this.state = made.newState;
    const welcome = made.welcome && mls.encodeMlsMessage({ version: "mls10", wireformat: "mls_welcome", welcome: made.welcome });
    return { commit: new Uint8Array(mls.encodeMlsMessage(made.commit)), welcome: welcome && new Uint8Array(welcome) };
  }

  /** The proposals that add these key packages (MLSMessages), with the link's key unless told otherwise. */
  static adding(packages, psk = linkPsk()) {
    const adds = packages.map((bytes) => ({ proposalType: "add", add: { keyPackage: mls.decodeMlsMessage(bytes, 0)[0].keyPackage } }));
    return psk ? [...adds, { proposalType: "psk", psk: { preSharedKeyId: psk } }] : adds;
  }

  baseKey() {
    return suite().then((cs) => mls.mlsExporter(this.state.keySchedule.exporterSecret, "SFrame 1.0 Base Key", new Uint8Array(), 32, cs));
  }
}
