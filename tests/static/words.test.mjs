// How times and states are said.

import assert from "node:assert/strict";
import { test } from "node:test";

import { dateAndTime, duration, rfc3339, stateWord } from "../../static/js/words.js";

test("durations use the fewest words", () => {
  const cases = { 0: "0 s", 40_000: "40 s", 59_999: "59 s", 60_000: "1 min", 3_540_000: "59 min", 3_600_000: "1 h", 3_900_000: "1 h 5 min" };
  for (const [milliseconds, words] of Object.entries(cases)) assert.equal(duration(Number(milliseconds)), words);
  assert.equal(duration(-5_000), "0 s", "clocks differ a little");
});

test("a booked time keeps its instant and carries an offset", () => {
  const date = new Date(2026, 10, 22, 9, 5);
  assert.match(rfc3339(date), /^2026-11-22T09:05:00[+-]\d\d:\d\d$/);
  assert.equal(Date.parse(rfc3339(date)), date.getTime());
});

test("a date names its time zone", () => {
  assert.match(dateAndTime(0), /(UTC|GMT|[A-Z]{3,4})/);
});

test("an unknown state is shown as it is", () => {
  assert.equal(stateWord("asked-to-wait"), "Asked to wait");
  assert.equal(stateWord("levitating"), "levitating");
});
