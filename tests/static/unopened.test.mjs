// Whose frames do not open: told only when it lasts, and not for longer than it does.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Unopened } from "../../static/js/unopened.js";

function play() {
  const told = [];
  return { told, unopened: new Unopened((seats) => told.push(seats)) };
}

test("frames that do not open are told of after three seconds, once, until one opens", () => {
  const { told, unopened } = play();
  for (let now = 0; now < 3_000; now += 20) unopened.note(1, "A", false, now);
  assert.deepEqual(told, []);
  for (let now = 3_000; now < 9_000; now += 20) unopened.note(1, "A", false, now);
  assert.deepEqual(told, [["A"]]);
  unopened.note(1, "A", true, 9_000);
  assert.deepEqual(told, [["A"], []]);
});

test("one frame that opens begins the time anew", () => {
  const { told, unopened } = play();
  for (let now = 0; now < 20_000; now += 20) unopened.note(1, "A", now % 2_900 === 0, now);
  assert.deepEqual(told, []);
});

test("sound and picture count each for itself, and a seat is named once", () => {
  const { told, unopened } = play();
  for (let now = 0; now <= 3_000; now += 20) {
    unopened.note(1, "A", false, now);
    unopened.note(2, "A", false, now);
    unopened.note(3, "B", false, now);
  }
  assert.deepEqual(told.at(-1), ["A", "B"]);
  unopened.note(1, "A", true, 3_020);
  assert.deepEqual(told.at(-1), ["A", "B"], "the picture still does not open");
  unopened.note(2, "A", true, 3_020);
  assert.deepEqual(told.at(-1), ["B"]);
});

test("a camera that is turned off leaves no complaint behind", () => {
  const { told, unopened } = play();
  for (let now = 0; now <= 4_000; now += 20) unopened.note(1, "A", false, now);
  for (let now = 4_020; now <= 6_000; now += 20) unopened.note(2, "A", true, now);
  assert.deepEqual(told, [["A"], []]);
});

test("of a slot that changes hands, or ends, nothing is told", () => {
  const { told, unopened } = play();
  for (let now = 0; now <= 2_000; now += 20) unopened.note(1, "A", false, now);
  for (let now = 2_020; now <= 4_000; now += 20) unopened.note(1, "B", false, now);
  for (let now = 4_020; now <= 8_000; now += 20) unopened.note(1, null, false, now);
  assert.deepEqual(told, []);
  for (let now = 8_020; now <= 12_000; now += 20) unopened.note(1, "A", false, now);
  unopened.forget(1, 12_020);
  assert.deepEqual(told, [["A"], []]);
});
