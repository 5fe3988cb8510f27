// Writing through the keys: what is sealed, for whom, and what happens when it cannot be.

import assert from "node:assert/strict";
import { mock, test } from "node:test";

import { NO_CHAT, ROOM, advanceChat, threadOf } from "../../static/js/chat-state.js";
import { NO_KEYS } from "../../static/js/encryption-state.js";
import { chatPayload, readPayload } from "../../static/js/payloads.js";
import { said, talkActions } from "../../static/js/talk.js";

const members = [
  { seat: "T", name: "Therapist" },
  { seat: "A", name: "Partner A" },
];

function page({ phase = "secured", line = "open", refused = null, pairs = {} } = {}) {
  const now = { chat: NO_CHAT, keys: { ...NO_KEYS, phase, members, pairs }, line };
  const sealed = [];
  const asked = [];
  const actions = talkActions({
    state: () => now,
    apply: (event) => (now.chat = advanceChat(now.chat, event)),
    seals: () => ({ seal: async (group, payload) => {
      sealed.push([group, readPayload(payload).text]);
      return Array.isArray(refused) ? (refused.shift() ?? null) : refused;
    } }),
    pair: (seat) => asked.push(seat),
  });
  return { now, sealed, asked, ...actions };
}

test("a message is sealed for its group and shown once it is out", async () => {
  const at = page();
  at.typeChat(ROOM, "Hello");
  await at.sendChat(ROOM);
  assert.deepEqual(at.sealed, [[ROOM, "Hello"]]);
  assert.deepEqual(threadOf(at.now.chat, ROOM).lines.map(({ text }) => text), ["Hello"]);
});

test("nothing is sealed while the line or the group is away, and the text stays", async () => {
  for (const trouble of [{ line: "lost" }, { phase: "securing" }, { phase: "off" }]) {
    const at = page(trouble);
    at.typeChat(ROOM, "Hello");
    await at.sendChat(ROOM);
    const { draft, lines, problem } = threadOf(at.now.chat, ROOM);
    assert.deepEqual([draft, lines], ["Hello", []]);
    assert.match(problem, /^Not sent/);
    assert.equal(at.sealed.length, 0);
  }
});

/** Let time pass until this has come to an end, for so many milliseconds at most. */
async function ends(promise, most) {
  let isOver = false;
  void promise.then(() => (isOver = true));
  let passed = 0;
  for (; passed <= most; passed += 10) {
    await new Promise((resolve) => setImmediate(resolve));
    if (isOver) return passed;
    mock.timers.tick(10);
  }
  return Infinity;
}

test("what is written to one person before there are keys waits for them, and is sent by itself", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const at = page();
  at.openChat("A");
  at.typeChat("A", "Hello");
  const sent = at.sendChat("A");
  for (const pair of [{ phase: "securing", members: [] }, { phase: "secured", members: members.slice(0, 1) }]) {
    at.now.keys = { ...at.now.keys, pairs: { A: pair } };
    assert.equal(await ends(sent, 1_000), Infinity);
    assert.deepEqual([at.sealed, threadOf(at.now.chat, "A").sending], [[], "Hello"]);
  }
  at.typeChat("A", "Hello. And");
  at.now.keys = { ...at.now.keys, pairs: { A: { phase: "secured", members } } };
  assert.ok((await ends(sent, 100)) <= 100);
  assert.deepEqual(at.sealed, [["A", "Hello"]], "what stood there when it was sent");
  const { lines, draft, problem } = threadOf(at.now.chat, "A");
  assert.deepEqual([lines.map(({ text }) => text), draft, problem], [["Hello"], ". And", null]);
  mock.timers.reset();
});

test("where no keys come the text stays, and that is said after 5 s; where none can come, at once", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const at = page({ pairs: { A: { phase: "securing", members: [] }, B: { phase: "failed", members: [] } } });
  for (const [group, least, most] of [["A", 4_900, 5_100], ["B", 0, 0]]) {
    at.typeChat(group, "Hello");
    const took = await ends(at.sendChat(group), 6_000);
    assert.ok(took >= least && took <= most, `${took} ms`);
    const { draft, lines, problem, sending } = threadOf(at.now.chat, group);
    assert.deepEqual([draft, lines, sending], ["Hello", [], null]);
    assert.match(problem, /^Not sent: the conversation is being secured/);
  }
  at.typeChat("A", "Hello");
  const sent = at.sendChat("A");
  assert.equal(await ends(sent, 200), Infinity);
  at.now.line = "lost";
  assert.ok((await ends(sent, 100)) <= 100);
  assert.match(threadOf(at.now.chat, "A").problem, /^Not sent: the connection is interrupted/);
  at.now.line = "open";
  at.typeChat("A", "  ");
  assert.equal(await ends(at.sendChat("A"), 6_000), 0, "nothing is not waited with");
  assert.deepEqual(at.sealed, []);
  mock.timers.reset();
});

test("what was forwarded to nobody is not shown as sent, in the room or between two", async () => {
  for (const [refused, said] of [
    ["clinician-absent", /^Not sent: the therapist is not in the room.*Your text stays here\. Press “Send” again when/],
    ["nobody-there", /^Not sent: nobody is here to read it\. Your text stays here\. Press “Send” again when/],
    ["keys-changed", /^Not sent: the conversation is being secured\. Your text stays here\. Press “Send” again in/],
    ["connection-lost", /perhaps this was not sent\. Your text stays here\. Press “Send” again when/],
    ["some-new-code", /^Not sent\. Your text is still in the box: press “Send” again\.$/],
  ]) {
    for (const group of [ROOM, "A"]) {
      const at = page({ refused, pairs: { A: { phase: "secured", members } } });
      at.typeChat(group, "Hello");
      await at.sendChat(group);
      const { draft, lines, problem, sending } = threadOf(at.now.chat, group);
      assert.deepEqual([draft, lines, sending], ["Hello", [], null]);
      assert.match(problem, group !== ROOM && refused === "keys-changed" ? /^Not sent: this conversation has to be secured anew/ : said);
      assert.deepEqual(at.asked, group !== ROOM && refused === "keys-changed" ? ["A"] : [], "a pair that is gone is made anew");
      assert.equal(at.sealed.length, refused === "keys-changed" ? 2 : 1);
    }
  }
});

test("what was sealed while the keys changed is sealed and sent once more, by itself", async () => {
  for (const group of [ROOM, "A"]) {
    const at = page({ refused: ["keys-changed"], pairs: { A: { phase: "secured", members } } });
    at.typeChat(group, "Hello");
    await at.sendChat(group);
    assert.deepEqual(at.sealed, [[group, "Hello"], [group, "Hello"]]);
    assert.deepEqual(threadOf(at.now.chat, group).lines.map(({ text }) => text), ["Hello"]);
    assert.deepEqual(at.asked, [], "the pair is there");
  }
});

test("a message is shown only when it is known to be forwarded", async () => {
  const at = page();
  at.typeChat(ROOM, "Hello");
  const sent = at.sendChat(ROOM);
  assert.deepEqual(threadOf(at.now.chat, ROOM).lines, []);
  assert.equal(threadOf(at.now.chat, ROOM).sending, "Hello");
  await sent;
  assert.equal(threadOf(at.now.chat, ROOM).lines.length, 1);
});

test("opening a conversation with somebody who waits asks for a group of two, once", () => {
  const at = page({ pairs: { B: { phase: "secured", members } } });
  at.openChat("A");
  at.openChat("B");
  at.openChat(ROOM);
  assert.deepEqual(at.asked, ["A"]);
});

test("what is shown bears the name of the member who signed it", () => {
  const { keys } = page().now;
  assert.equal(said(keys, ROOM, "A", chatPayload("Hi")).name, "Partner A");
  assert.equal(said(keys, ROOM, "B", chatPayload("Hi")), null);
  assert.equal(said(keys, "A", "A", chatPayload("Hi")), null);
});

test("only what our pages would send is shown", () => {
  const { keys } = page().now;
  const bytes = (...values) => Uint8Array.from(values);
  for (const payload of [bytes(), bytes(9), bytes(2, 65), bytes(1, 0x20), bytes(1, 0xff), chatPayload("x".repeat(2_001))]) {
    assert.equal(said(keys, ROOM, "A", payload), null);
  }
  assert.equal(said(keys, ROOM, "A", bytes(1, 0x61, 0, 0x1b, 0x62)).text, "a  b");
  assert.equal(said(keys, ROOM, "A", chatPayload("漢".repeat(2_000))).text.length, 2_000);
});
