// A page is painted at once, unless keys change: then after them, and soon.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Painting } from "../../static/js/painting.js";
import { Clock } from "./delivery-kit.mjs";

function page() {
  const clock = new Clock();
  const painted = [];
  const painting = new Painting(() => painted.push(clock.now), { timers: clock.timers, now: () => clock.now });
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

test("keys of which nothing more is heard hold up a page for 100 ms", () => {
  const { clock, painted, painting } = page();
  painting.hold();
  painting.repaint();
  clock.advance(99);
  assert.deepEqual(painted, []);
  clock.advance(1);
  assert.deepEqual(painted, [100]);
});

test("a server that speaks of keys without end leaves a page unpainted for 200 ms at most", () => {
  const { clock, painted, painting } = page();
  for (let at = 0; at < 2_000; at += 10) {
    painting.hold();
    painting.repaint();
    clock.advance(10);
  }
  assert.ok(painted.length >= 9, `${painted}`);
  for (const [n, at] of painted.entries()) assert.ok(at - (painted[n - 1] ?? 0) <= 210, `${painted}`);
});
