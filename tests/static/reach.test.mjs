// How long a way for sound and picture is looked for before a person is told that there is none.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Reach, UNREACHED_AFTER } from "../../static/js/reach.js";

test("it is told once for each search that found nothing, and no other", (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  let told = 0;
  const reach = new Reach(() => (told += 1));
  const later = (looking, ms) => {
    reach.follow(looking);
    t.mock.timers.tick(ms);
    return told;
  };
  assert.equal(later(true, UNREACHED_AFTER - 1), 0);
  assert.equal(later(true, 1), 1, "looking on does not begin anew");
  assert.equal(later(true, 10 * UNREACHED_AFTER), 1);
  assert.equal(later(false, 10 * UNREACHED_AFTER), 1);
  assert.equal(later(true, UNREACHED_AFTER - 1), 1);
  assert.equal(later(false, 10), 1, "a way was found just in time");
  assert.equal(later(true, UNREACHED_AFTER - 1), 1);
  assert.equal(later(true, 1), 2);
});
