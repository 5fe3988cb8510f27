// A page is painted at once, unless keys change: then after them, and soon.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Painting } from "../../static/js/painting.js";
import { Clock } from "./delivery-kit.mjs";

function page() {
  const clock = new Clock();
  const painted = [];
  const painting = new Painting(() => painted.push(clock.now), clock.timers);
  return { clock, painted, painting };
}

test("a page is painted in the step in which that is asked for", () => {
  const { painted, painting } = page();
  painting.repaint();
  painting.release();
  painting.repaint();
  assert.deepEqual(painted, [0, 0]);
});

test("while keys change nothing is painted, and then once, when what was being done is done", () => {
  const { clock, painted, painting } = page();
  painting.hold();
  painting.repaint();
  painting.repaint();
  clock.advance(30);
  painting.release();
  assert.deepEqual(painted, []);
  clock.advance(0);
  assert.deepEqual(painted, [30]);
  painting.repaint();
  assert.deepEqual(painted, [30, 30]);
  clock.advance(1_000);
  assert.equal(painted.length, 2);
});

test("nobody paints what nobody asked for", () => {
  const { clock, painted, painting } = page();
  painting.hold();
  painting.release();
  clock.advance(1_000);
  assert.deepEqual(painted, []);
});

test("keys of which nothing more is heard hold up a page for 200 ms, and no longer if they are spoken of again", () => {
  const { clock, painted, painting } = page();
  for (let at = 0; at < 1_000; at += 10) {
    painting.hold();
    painting.repaint();
    clock.advance(10);
  }
  assert.deepEqual(painted, [200, 400, 600, 800, 1_000]);
});
