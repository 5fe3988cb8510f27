// What people were given, as they type or paste it.

import assert from "node:assert/strict";
import { test } from "node:test";

import { meetingOfPath, pageAfterLogin, readFragment, readMeeting, seatOfToken, tidyCode } from "../../static/js/credentials.js";

test("a fragment holds a seat token and perhaps a password", () => {
  assert.deepEqual(readFragment("#A-7XKM-29DT"), { token: "A-7XKM-29DT", password: null });
  assert.deepEqual(readFragment("#A-7XKM-29DT.Q7XM2-9KD4T"), { token: "A-7XKM-29DT", password: "Q7XM2-9KD4T" });
  assert.deepEqual(readFragment("#a-7xkm-29dt%20"), { token: "A-7XKM-29DT", password: null });
});

test("a link secret in the fragment is not taken for the password", () => {
  const secret = "0123456789ABCDEFGHJKMNPQRS";
  assert.deepEqual(readFragment(`#A-7XKM-29DT.${secret}`), { token: "A-7XKM-29DT", password: null });
  assert.deepEqual(readFragment(`#A-7XKM-29DT.${secret}.Q7XM2-9KD4T`), { token: "A-7XKM-29DT", password: "Q7XM2-9KD4T" });
  assert.equal(readFragment(`#${secret}`), null);
});

test("any other fragment is none", () => {
  for (const hash of ["", "#", "#main", "#%", "#A", "#A-", `#A-${"7".repeat(200)}`, "#<b>"]) {
    assert.equal(readFragment(hash), null, hash);
  }
});

test("a meeting is found in our paths only", () => {
  assert.equal(meetingOfPath("/j/7k2mabc"), "7k2mabc");
  assert.equal(meetingOfPath("/host/7k2mabc/"), "7k2mabc");
  for (const path of ["/", "/j/", "/j/a/b", "/x/7k2m", "/j/a%20b"]) assert.equal(meetingOfPath(path), "");
});

test("the whole link may be pasted where the meeting ID goes", () => {
  assert.deepEqual(readMeeting(" https://q.example/j/7K2M#A-7XKM-29DT "), {
    meeting: "7k2m",
    fragment: { token: "A-7XKM-29DT", password: null },
  });
  assert.deepEqual(readMeeting(" 7K2M abcd "), { meeting: "7k2mabcd", fragment: null });
});

test("codes are tidied as people copy them", () => {
  assert.equal(tidyCode(" q7xm2–9kd4t "), "Q7XM2-9KD4T");
  assert.equal(seatOfToken("B-7XKM"), "B");
  assert.equal(seatOfToken(tidyCode("b 7xkm 0000 0000 0000")), "B");
  assert.equal(seatOfToken("nonsense"), "");
});

test("signing in leads only to our own pages, and only to those of the role", () => {
  assert.equal(pageAfterLogin("/host/7k2m", "therapist"), "/host/7k2m");
  assert.equal(pageAfterLogin("/staff", "therapist"), "/staff");
  assert.equal(pageAfterLogin("/admin", "admin"), "/admin");
  for (const wanted of [null, "", "//evil.example", "/\\evil.example", "https://evil.example", "/host/../../x", "/admin", "javascript:alert(1)"]) {
    assert.equal(pageAfterLogin(wanted, "therapist"), "/staff", String(wanted));
  }
  assert.equal(pageAfterLogin("/host/7k2m", "admin"), "/admin");
});
