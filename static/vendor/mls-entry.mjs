/**
 * What mls.js exports: the part of ts-mls that static/js/group*.js builds on, the algorithms of its suites, and no more.
 * build.mjs bundles it.
 *
 * Deep imports, because the package's own index brings two providers of cryptography with everything they can.
 * `processMessage` is left out on purpose: in 1.6.4 it forgets the pre-shared keys of private messages. `processPublicMessage`
 * and `decodeRatchetTree` are there for vectors only, which run against this very file.
 */

export { Aes256Gcm, CipherSuite, HkdfSha512 } from "@hpke/core";
export { XWing } from "@hpke/hybridkem-x-wing";
export { createGroup, joinGroup } from "ts-mls/clientState.js";
export { createCommit } from "ts-mls/createCommit.js";
export { createApplicationMessage } from "ts-mls/createMessage.js";
export { makeHashImpl } from "ts-mls/crypto/implementation/default/makeHashImpl.js";
export { makeKdfImpl } from "ts-mls/crypto/implementation/default/makeKdfImpl.js";
export { makeGenericHpke } from "ts-mls/crypto/implementation/hpke.js";
export { generateKeyPackageWithKey, makeKeyPackageRef } from "ts-mls/keyPackage.js";
export { defaultKeyPackageEqualityConfig } from "ts-mls/keyPackageEqualityConfig.js";
export { mlsExporter } from "ts-mls/keySchedule.js";
export { decodeMlsMessage, encodeMlsMessage } from "ts-mls/message.js";
export { decryptSenderData } from "ts-mls/privateMessage.js";
export { processPrivateMessage, processPublicMessage } from "ts-mls/processMessages.js";
export { decodeRatchetTree } from "ts-mls/ratchetTree.js";
export { zeroOutUint8Array } from "ts-mls/util/byteArray.js";
