// Debian 12's Node 18 has the browser's cryptography only in a module of its own. Import this before what uses it.

import { webcrypto } from "node:crypto";

globalThis.crypto ??= /** @type {Crypto} */ (webcrypto);
