// Plays the passive client of scenarios in the form of the official RFC 9420 vectors, with the vendored MLS module: the same
// code in Node and in real browsers.

/**
 * Follow every scenario of the suites: join by the welcome, apply the proposals and commits, and be in
 * the same epoch as the group each time.
 *
 * @param {typeof import("../../static/vendor/mls.js")} mls
 * @param {Record<number, () => Promise<import("ts-mls/crypto/ciphersuite.js").CiphersuiteImpl>>} suites by their numbers
 * @param {any[]} scenarios as in passive-client-*.json of github.com/mlswg/mls-implementations. Where who made one does not
 *   tell its epoch authenticator, `exporter` stands for it, as in key-schedule.json there; `messages`: what members wrote
 * @returns {Promise<{faults: string[], scenarios: number, epochs: number, messages: number}>} what differs, and how much
 *   was looked at
 */
export async function check(mls, suites, scenarios) {
  const faults = [];
  let followed = 0;
  let epochs = 0;
  let messages = 0;
  for (const [at, scenario] of scenarios.entries()) {
    const suite = suites[scenario.cipher_suite];
    if (suite === undefined) continue;
    followed += 1;
    try {
      const seen = await follow(mls, await suite(), scenario);
      epochs += seen.epochs;
      messages += seen.messages;
    } catch (error) {
      faults.push(`scenario ${at}: ${error instanceof Error ? `${error.name}: ${error.message}` : error}`);
    }
  }
  return { faults, scenarios: followed, epochs, messages };
}

/**
 * @param {typeof import("../../static/vendor/mls.js")} mls
 * @param {import("ts-mls/crypto/ciphersuite.js").CiphersuiteImpl} suite
 * @param {any} scenario
 * @returns {Promise<{epochs: number, messages: number}>} how many epochs it was in, and how many messages it opened
 */
async function follow(mls, suite, scenario) {
  const psks = new Map(scenario.external_psks.map((/** @type {any} */ each) => [each.psk_id, bytes(each.psk)]));
  /** @type {import("ts-mls/clientState.js").ClientState | undefined} */ let state;
  const finder = {
    /** @param {import("ts-mls/presharedkey.js").PreSharedKeyID} id */
    findPsk(id) {
      if (id.psktype === "external") return psks.get(hex(id.pskId));
      if (state?.groupContext.epoch === id.pskEpoch) return state.keySchedule.resumptionPsk;
      return state?.historicalReceiverData.get(id.pskEpoch)?.resumptionPsk;
    },
  };
  const { keyPackage } = message(mls, scenario.key_package, "mls_key_package");
  const { welcome } = message(mls, scenario.welcome, "mls_welcome");
  const tree = scenario.ratchet_tree === null ? undefined : mls.decodeRatchetTree(bytes(scenario.ratchet_tree), 0)?.[0];
  const own = {
    initPrivateKey: bytes(scenario.init_priv),
    hpkePrivateKey: bytes(scenario.encryption_priv),
    signaturePrivateKey: bytes(scenario.signature_priv),
  };
  state = await mls.joinGroup(welcome, keyPackage, own, finder, suite, tree);
  const initial = {
    proposals: [],
    epoch_authenticator: scenario.initial_epoch_authenticator,
    exporter: scenario.initial_exporter,
    messages: scenario.initial_messages,
  };
  let messages = 0;
  for (const [commits, epoch] of [initial, ...scenario.epochs].entries()) {
    for (const text of commits === 0 ? [] : [...epoch.proposals, epoch.commit]) state = (await processed(mls, suite, state, text, finder)).newState;
    await isIn(mls, suite, state, epoch, commits);
    for (const { message, text } of epoch.messages ?? []) {
      const opened = await processed(mls, suite, state, message, finder);
      if (opened.kind !== "applicationMessage" || hex(opened.message) !== text) throw new Error(`another text, after ${commits} commits`);
      state = opened.newState;
      messages += 1;
    }
  }
  return { epochs: scenario.epochs.length + 1, messages };
}

/**
 * @param {typeof import("../../static/vendor/mls.js")} mls
 * @param {import("ts-mls/crypto/ciphersuite.js").CiphersuiteImpl} suite
 * @param {import("ts-mls/clientState.js").ClientState} state
 * @param {string} text
 * @param {import("ts-mls/pskIndex.js").PskIndex} finder
 */
async function processed(mls, suite, state, text, finder) {
  const decoded = mls.decodeMlsMessage(bytes(text), 0)?.[0];
  if (decoded?.wireformat === "mls_public_message") return mls.processPublicMessage(state, decoded.publicMessage, finder, suite);
  if (decoded?.wireformat === "mls_private_message") return mls.processPrivateMessage(state, decoded.privateMessage, finder, suite);
  throw new Error("neither a public nor a private message");
}

/**
 * @param {typeof import("../../static/vendor/mls.js")} mls
 * @param {import("ts-mls/crypto/ciphersuite.js").CiphersuiteImpl} suite
 * @param {import("ts-mls/clientState.js").ClientState} state
 * @param {any} epoch
 * @param {number} commits
 */
async function isIn(mls, suite, state, { epoch_authenticator: authenticator, exporter }, commits) {
  const { epochAuthenticator, exporterSecret } = state.keySchedule;
  const same = exporter
    ? hex(await mls.mlsExporter(exporterSecret, exporter.label, bytes(exporter.context), exporter.length, suite)) === exporter.secret
    : hex(epochAuthenticator) === authenticator;
  if (!same) throw new Error(`in another epoch than the group, after ${commits} commits`);
}

/**
 * @template {import("ts-mls/message.js").MLSMessage["wireformat"]} W
 * @param {typeof import("../../static/vendor/mls.js")} mls
 * @param {string} text
 * @param {W} wireformat
 * @returns {Extract<import("ts-mls/message.js").MLSMessage, {wireformat: W}>}
 */
function message(mls, text, wireformat) {
  const decoded = mls.decodeMlsMessage(bytes(text), 0)?.[0];
  if (decoded?.wireformat !== wireformat) throw new Error(`not an ${wireformat}`);
  return /** @type {any} */ (decoded);
}

/** @param {string} text */
function bytes(text) {
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

/** @param {Uint8Array} value */
function hex(value) {
  return Array.from(value, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
