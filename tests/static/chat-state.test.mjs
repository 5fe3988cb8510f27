// Writing to each other: what is sent, what stays in the box, what is new, and that it does not grow without bound.

import assert from "node:assert/strict";
import { test } from "node:test";

import { NO_KEYS } from "../../static/js/encryption-state.js";
import { ANEW_GAP, GAP, MAX_TEXT, NO_CHAT, ROOM, advanceChat, afterKeys, afterLine, chatNews, obstacle, threadOf, tidyText, unread } from "../../static/js/chat-state.js";

const after = (...events) => events.reduce((chat, event) => advanceChat(chat, { group: ROOM, ...event }), NO_CHAT);
const typed = (text) => ({ type: "chat-typed", text });
const said = (text, more = {}) => ({ type: "chat-said", name: "Partner A", text, at: 5, ...more });

test("what was sent becomes a line and leaves the box", () => {
  const thread = threadOf(after(typed(" Hello \r\nyou "), { type: "chat-sending" }, { type: "chat-sent", at: 9 }), ROOM);
  assert.deepEqual(thread.lines, [{ id: 1, name: null, text: "Hello \nyou", at: 9 }]);
  assert.equal(thread.draft, "");
  assert.equal(thread.sending, null);
});

test("what was typed while it was being sent stays", () => {
  const events = [typed("One."), { type: "chat-sending" }, typed("One. Two"), { type: "chat-sent", at: 9 }];
  assert.equal(threadOf(after(...events), ROOM).draft, "Two");
});

test("what could not be sent stays in the box, with what to do", () => {
  const thread = threadOf(after(typed("Hello"), { type: "chat-sending" }, { type: "chat-not-sent", problem: "Wait." }), ROOM);
  assert.equal(thread.draft, "Hello");
  assert.equal(thread.problem, "Wait.");
  assert.deepEqual(thread.lines, []);
  assert.equal(thread.sending, null);
  assert.equal(threadOf(advanceChat({ [ROOM]: thread }, { ...typed("Hello!"), group: ROOM }), ROOM).problem, null);
});

test("an answer about something that is not being sent makes no line", () => {
  const chat = after(typed("Hello"));
  assert.equal(advanceChat(chat, { type: "chat-sent", group: ROOM, at: 9 }), chat);
});

test("messages count as new until the conversation is opened", () => {
  const closed = after(said("a"), said("b"));
  assert.equal(unread(closed), 2);
  const opened = advanceChat(closed, { type: "chat-opened", group: ROOM });
  assert.equal(unread(opened), 0);
  assert.equal(unread(advanceChat(opened, { ...said("c"), group: ROOM })), 0);
  const again = advanceChat(advanceChat(opened, { type: "chat-closed", group: ROOM }), { ...said("c"), group: ROOM });
  assert.equal(unread(again), 1);
});

test("a listener hears who wrote, not what, and only while the conversation is closed", () => {
  const before = after();
  assert.equal(chatNews(before, after(said("my secret"))), "New message from Partner A.");
  const open = after({ type: "chat-opened" });
  assert.equal(chatNews(open, advanceChat(open, { ...said("my secret"), group: ROOM })), null);
  const own = after(typed("x"), { type: "chat-sending" });
  assert.equal(chatNews(own, advanceChat(own, { type: "chat-sent", group: ROOM, at: 1 })), null);
});

test("who was not connected is told that something may be missing, once for each time", () => {
  const begun = after(said("a"));
  for (const [before, now] of [["open", "lost"], ["lost", "connecting"], ["connecting", "open"], ["idle", "connecting"]]) {
    assert.equal(afterLine(begun, before, now, true), begun);
  }
  const gap = afterLine(begun, "lost", "open", true);
  assert.deepEqual(threadOf(gap, ROOM).lines.map(({ text }) => text), ["a", GAP]);
  assert.equal(chatNews(begun, gap), null);
  assert.equal(unread(gap), 1);
  assert.deepEqual(afterLine(gap, "moving", "open", true), gap, "nothing came between the two");
  const more = afterLine(advanceChat(gap, { ...said("b"), group: ROOM }), "moving", "open", true);
  assert.deepEqual(threadOf(more, ROOM).lines.map(({ id, text }) => [id, text]), [[1, "a"], [2, GAP], [3, "b"], [4, GAP]]);
});

test("what may be missing in a room is told though nobody has written yet; outside, only where somebody has", () => {
  assert.deepEqual(threadOf(afterLine(NO_CHAT, "lost", "open", true), ROOM).lines.map(({ gap }) => gap), [true]);
  assert.deepEqual(afterLine(NO_CHAT, "lost", "open", false), NO_CHAT);
  const pair = advanceChat(NO_CHAT, { ...said("to you alone"), group: "A" });
  assert.deepEqual(Object.keys(afterLine(pair, "lost", "open", false)), ["A"]);
  assert.equal(threadOf(afterLine(pair, "lost", "open", false), "A").lines.length, 2);
});

test("who is put in anew is told that something may be missing, in the room and between two", () => {
  const keys = (phase, pair = "none") => ({ ...NO_KEYS, phase, pairs: { A: { phase: pair, members: [] } } });
  const begun = after(said("a"));
  for (const [before, now] of [["off", "none"], ["none", "securing"], ["securing", "secured"], ["secured", "secured"], ["secured", "failed"]]) {
    assert.equal(afterKeys(begun, keys(before), keys(now)), begun);
  }
  const gap = afterKeys(begun, keys("secured"), keys("securing"));
  assert.deepEqual(threadOf(gap, ROOM).lines.map(({ text }) => text), ["a", ANEW_GAP]);
  assert.equal(chatNews(begun, gap), null);
  assert.equal(afterLine(gap, "lost", "open", true)[ROOM].lines.length, 2, "once is enough");
  assert.deepEqual(Object.keys(afterKeys(NO_CHAT, keys("none", "secured"), keys("none", "securing"))), ["A"]);
  assert.equal(threadOf(advanceChat(begun, { type: "chat-missed", group: ROOM }), ROOM).lines.at(-1).text, ANEW_GAP);
});

test("conversations do not mix", () => {
  const chat = advanceChat(after(said("in the room")), { ...said("to you alone"), group: "A" });
  assert.deepEqual(threadOf(chat, ROOM).lines.map(({ text }) => text), ["in the room"]);
  assert.deepEqual(threadOf(chat, "A").lines.map(({ text }) => text), ["to you alone"]);
});

test("a long text is cut at the bound, a long conversation loses its oldest lines", () => {
  assert.equal(threadOf(after(typed("x".repeat(MAX_TEXT + 1))), ROOM).draft.length, MAX_TEXT);
  const { lines } = threadOf(after(...Array.from({ length: 600 }, (_, at) => said(`${at}`))), ROOM);
  assert.equal(lines.length, 500);
  assert.equal(lines[0].text, "100");
  assert.equal(new Set(lines.map(({ id }) => id)).size, 500);
});

test("control characters are taken out, new lines are kept", () => {
  assert.equal(tidyText("\u0000a\tb\u001b[31m\r\n\u0085c "), "a b [31m\n c");
});

test("what stands in the way is said, with what to do", () => {
  const free = { connected: true, phase: "secured", members: 2 };
  assert.equal(obstacle(free), null);
  assert.match(obstacle({ ...free, connected: false }), /interrupted.*Press “Send” again/);
  for (const phase of ["off", "none", "securing", "failed"]) assert.match(obstacle({ ...free, phase }), /being secured/);
  assert.match(obstacle({ ...free, members: 1 }), /nobody is here/);
});
