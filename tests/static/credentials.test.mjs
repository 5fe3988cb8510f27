// What people were given, as they type or paste it.

import assert from "node:assert/strict";
import { test } from "node:test";

import { meetingOfPath, pageAfterLogin, readEntry, readFragment, seatOfToken, tidyCode } from "../../static/js/credentials.js";

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

const MEETING = "7k2mabcdefghjkmnpqrstvwxyz";
const TOKEN = "A-7XKM-29DT-7XKM-29DT";
const PASSWORD = "Q7XM2-9KD4T";
const SECRET = "ZYXWVTSRQPNMKJHGFEDCBA9876";
const EMPTY = { meeting: "", token: "", code: "", password: "" };
const FIELDS = /** @type {const} */ (["meeting", "token", "code", "password"]);

test("what was typed where it belongs is taken as it is, as people type it", () => {
  const typed = {
    meeting: ` ${MEETING.toUpperCase()} `,
    token: TOKEN.toLowerCase().replaceAll("-", " "),
    code: SECRET.toLowerCase().replace(/.{5}/g, "$& "),
    password: "q7xm2–9kd4t",
  };
  const read = readEntry(typed);
  assert.deepEqual(read, { meeting: MEETING, token: TOKEN.replaceAll("-", ""), password: PASSWORD, secret: SECRET, strange: [] });
});

test("a link is taken apart in whichever field it is, and also behind what trackers add to it", () => {
  for (const link of [
    `https://q.example/j/${MEETING}#${TOKEN}.${SECRET}.${PASSWORD}`,
    ` https://q.example/j/${MEETING.toUpperCase()}/?utm_source=mail&x=/j/1#${TOKEN}.${SECRET}.${PASSWORD} `,
    `q.example/j/${MEETING}#${TOKEN}%2E${SECRET}%2E${PASSWORD}`,
  ]) {
    for (const field of FIELDS) {
      const read = readEntry({ ...EMPTY, [field]: link });
      assert.deepEqual(read, { meeting: MEETING, token: TOKEN, password: PASSWORD, secret: SECRET, strange: [] }, `${field} ${link}`);
    }
  }
  const end = readEntry({ ...EMPTY, token: `${TOKEN}.${SECRET}`, password: PASSWORD });
  assert.deepEqual(end, { meeting: "", token: TOKEN, password: PASSWORD, secret: SECRET, strange: [] });
  assert.equal(readEntry({ ...EMPTY, meeting: `https://q.example/j/${MEETING}` }).meeting, MEETING);
  assert.equal(readEntry({ ...EMPTY, code: `https://q.example/host/${MEETING}?a=b#${SECRET}` }).secret, SECRET);
});

test("a room code is taken for what it is in whichever field", () => {
  for (const field of FIELDS) {
    for (const code of [SECRET, SECRET.toLowerCase(), SECRET.replace(/.{4}/g, "$&-"), `#${SECRET}`]) {
      assert.deepEqual(readEntry({ ...EMPTY, [field]: code }), { meeting: "", token: "", password: "", secret: SECRET, strange: [] });
    }
  }
});

test("nothing that holds the link secret, or most of it, is shown to the server", () => {
  const wraps = [
    (secret) => secret,
    (secret) => secret.slice(0, -1),
    (secret) => `${secret.slice(0, 20)}`,
    (secret) => `${secret}A`,
    (secret) => `Room code: ${secret}`,
    (secret) => `"${secret}"`,
    (secret) => `https://q.example/j/${MEETING}?utm_source=mail#${TOKEN}.${secret} Regards`,
    (secret) => `https://q.example/j/${MEETING}#${TOKEN}-${secret}`,
    (secret) => `https://q.example/j/${MEETING}%23${TOKEN}.${secret}`,
    (secret) => `https://q.example/j/${secret}x`,
    (secret) => `${TOKEN} ${secret}`,
    (secret) => `${TOKEN}.${secret}.${secret}`,
    (secret) => `${secret}.${TOKEN}`,
    (secret) => `${PASSWORD} ${secret}`,
    (secret) => `<b>${secret}</b>`,
    (secret) => "x".repeat(5_000) + secret,
  ];
  const heart = SECRET.slice(4, 14);
  for (const wrap of wraps) {
    for (const field of FIELDS) {
      const { meeting, token, password } = readEntry({ ...EMPTY, [field]: wrap(SECRET) });
      const shown = `${meeting} ${token} ${password}`.toUpperCase().replaceAll("-", "");
      assert.ok(!shown.includes(heart), `${field}: ${wrap(SECRET)}`);
    }
  }
});

test("what is none of these is named, so that it is looked at again", () => {
  for (const [field, text] of [["meeting", "7K2M"], ["token", "A-7XKM"], ["code", SECRET.slice(1)], ["password", "hunter2"]]) {
    assert.deepEqual(readEntry({ ...EMPTY, [field]: text }).strange, [field]);
  }
  assert.deepEqual(readEntry(EMPTY), { meeting: "", token: "", password: "", secret: null, strange: [] });
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
