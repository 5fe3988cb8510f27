// Which browsers can hold a visit, and how their owners get camera and microphone back.

import assert from "node:assert/strict";
import { test } from "node:test";

import { canSeal, lackOf, permissionSteps } from "../../static/js/support.js";

const CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36";
const SAFARI = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.0 Safari/605.1.15";
const IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.0 Mobile/15E148 Safari/604.1";
const FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:153.0) Gecko/20100101 Firefox/153.0";
const ABLE = { secure: true, media: true, peer: true };

test("current browsers lack nothing", () => {
  for (const userAgent of [CHROME, SAFARI, IPHONE, FIREFOX]) assert.equal(lackOf({ userAgent, ...ABLE }), null);
});

test("a browser inside another app is told apart", () => {
  for (const inside of [`${IPHONE} [FBAN/FBIOS;FBAV/400]`, `${IPHONE} Instagram 300.0`, "Mozilla/5.0 (Linux; Android 15; wv) Chrome/156"]) {
    assert.equal(lackOf({ userAgent: inside, ...ABLE }), "in-app");
  }
});

test("a page without encryption is told before an old browser", () => {
  assert.equal(lackOf({ userAgent: CHROME, secure: false, media: false, peer: true }), "insecure");
  assert.equal(lackOf({ userAgent: CHROME, secure: true, media: true, peer: false }), "old");
});

test("the steps to allow the camera are those of the browser at hand", () => {
  assert.match(permissionSteps(IPHONE).join(" "), /Website Settings/);
  assert.match(permissionSteps(SAFARI).join(" "), /Safari menu/);
  assert.match(permissionSteps(FIREFOX).join(" "), /Firefox/);
  assert.match(permissionSteps(CHROME).join(" "), /left of the address/);
});

test("a browser can seal when it lets a worker have the frames and has the curves", async () => {
  assert.equal(await canSeal({ transforms: true }), true);
  assert.equal(await canSeal({ transforms: false }), false);
  assert.equal(await canSeal(), false, "Node has no transforms");
  for (const missing of ["X25519", "Ed25519"]) {
    const subtle = {
      generateKey: async ({ name }) => {
        if (name === missing) throw new DOMException("no", "NotSupportedError");
      },
    };
    assert.equal(await canSeal({ transforms: true, subtle }), false);
  }
});
