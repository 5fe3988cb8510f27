// How a link's quality is said.

import assert from "node:assert/strict";
import { test } from "node:test";

import { bars, missingPicture, missingScreen, pausedNotes, pictureOf, qualityWords, screenOf, weakSentence } from "../../static/js/link-words.js";

const LEVELS = /** @type {const} */ (["all", "screen", "sound"]);

test("a link that carries everything is not spoken of", () => {
  assert.equal(weakSentence({ receives: "all", sends: "all" }), null);
});

test("a weak link is told as what is paused, why, and that it comes back", () => {
  for (const receives of LEVELS) {
    for (const sends of LEVELS) {
      if (receives === "all" && sends === "all") continue;
      assert.match(weakSentence({ receives, sends }) ?? "", /^Your connection is weak\. .* paused.*by (it|them)sel(f|ves)\.$/);
    }
  }
});

test("a screen that still comes is not told as paused, and one that does not is", () => {
  assert.match(weakSentence({ receives: "screen", sends: "all" }) ?? "", /see the shared screen/);
  assert.match(weakSentence({ receives: "all", sends: "screen" }) ?? "", /Your camera is paused .* see your screen/);
  assert.match(weakSentence({ receives: "screen", sends: "screen" }) ?? "", /The cameras are paused/);
  assert.match(weakSentence({ receives: "all", sends: "sound" }) ?? "", /also of a shared screen/);
  assert.equal(pictureOf("Partner A", "screen"), "The camera of Partner A is paused: their connection is weak.");
});

test("a tile says whose link is weak, and says nothing of links when none is", () => {
  assert.equal(missingPicture("all", { sends: "all", camera: true }), "No picture at the moment");
  const program = { sends: /** @type {const} */ ("all"), camera: true, program: true };
  assert.equal(missingPicture("all", program), "No picture at the moment", "it may have stopped for a moment");
  const unshown = { ...program, unshown: true };
  for (const receives of LEVELS) {
    assert.equal(missingPicture(receives, unshown), "The program sends no picture that this browser can show");
  }
  assert.equal(missingPicture("sound", program), "Picture paused: your connection is weak");
  assert.equal(missingPicture("sound", { sends: "all", camera: true }), "Picture paused: your connection is weak");
  assert.equal(missingPicture("all", { sends: "sound", camera: true }), "Picture paused: their connection is weak");
  assert.equal(missingPicture("screen", { sends: "sound", camera: true }), "Picture paused: your connection is weak");
});

test("a camera that is off is nobody's weak connection", () => {
  for (const receives of LEVELS) {
    for (const sends of LEVELS) {
      assert.equal(missingPicture(receives, { sends, camera: false }), "No picture at the moment");
    }
  }
});

test("a shared screen that is not seen has a word that says whose link is weak", () => {
  const sharing = (sends = "all") => ({ screen: true, sends });
  assert.equal(missingScreen("sound", [{ screen: false, sends: "sound" }]), null);
  assert.equal(missingScreen("screen", [sharing("screen")]), null);
  assert.equal(missingScreen("sound", [sharing()]), "Shared screen paused: your connection is weak");
  assert.equal(missingScreen("all", [sharing("sound")]), "Shared screen paused: their connection is weak");
  assert.equal(missingScreen("all", [sharing("sound"), sharing()]), null, "the other's is seen");
  assert.equal(screenOf("Partner A", true), "Partner A shares a screen.");
  assert.equal(screenOf("Partner A", false), "Partner A no longer shares a screen.");
});

test("quality is a word and as many bars", () => {
  assert.equal(qualityWords("good", "udp"), "Good connection");
  assert.equal(qualityWords("fair", "tcp"), "Fair connection through a strict network");
  assert.equal(qualityWords("weak", "turn"), "Weak connection through a strict network");
  assert.equal(qualityWords("weak", null), "Weak connection");
  assert.deepEqual(["good", "fair", "weak"].map(bars), [3, 2, 1]);
});

test("a therapist is told which way the pictures are paused", () => {
  assert.deepEqual(pausedNotes({ receives: "all", sends: "all" }), []);
  assert.deepEqual(pausedNotes({ receives: "screen", sends: "all" }), ["Sees only the shared screen"]);
  assert.deepEqual(pausedNotes({ receives: "sound", sends: "screen" }), ["Sees no pictures", "Own picture paused"]);
});
