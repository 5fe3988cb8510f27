// In place of a page's own script: shows its views in any state, for looking at what takes a broken or a hostile
// server to see. Views, styles and headers are the real ones.

const js = (name) => import(`/static/js/${name}.js`);
const [page, visit, visitView, host, hostWords, hostView, encryption] = await Promise.all(
  ["page", "visit-state", "visit-view", "host-state", "host-words", "host-view", "encryption-state"].map(js),
);

const now = Date.now();
const MINUTES = 60_000;
const PICTURES = [
  { symbol: "🐢", name: "turtle" },
  { symbol: "🎩", name: "top hat" },
  { symbol: "☂️", name: "umbrella" },
  { symbol: "🍄", name: "mushroom" },
  { symbol: "🚲", name: "bicycle" },
];
const PEOPLE = [
  { seat: "T", name: "Therapist" },
  { seat: "A", name: "Partner A" },
  { seat: "B", name: "Partner B" },
];

const place = (state, more = {}) => ({
  type: "place",
  seat: "A",
  label: "Partner A",
  state,
  since: now - 3 * MINUTES,
  reason: null,
  muted: false,
  agreed: true,
  others: ["T", "B"].map((seat, slot) => ({
    seat,
    label: PEOPLE.find((one) => one.seat === seat).name,
    slot,
    presence: "connected",
    muted: false,
    sends: "all",
  })),
  "device-asks": 0,
  "store-ok": true,
  ends: now + 30 * MINUTES,
  receives: "all",
  sends: "all",
  encryption: "end-to-end",
  ...more,
});
const seat = (code, state, more = {}) => ({
  seat: code,
  label: PEOPLE.find((one) => one.seat === code).name,
  role: "patient",
  slot: code === "A" ? 0 : 1,
  state,
  since: now - 2 * MINUTES,
  presence: "connected",
  "presence-since": now - 2 * MINUTES,
  "in-room": state === "admitted",
  muted: false,
  agreed: true,
  knocks: 1,
  "new-device": false,
  suite: "AEAD_AES_256_GCM",
  quality: "good",
  path: "udp",
  receives: "all",
  sends: "all",
  ...more,
});
const roster = (a, b, more = {}) => ({
  type: "roster",
  me: "T",
  entered: true,
  "media-here": true,
  open: true,
  "clinician-present": true,
  "store-ok": true,
  starts: now - 10 * MINUTES,
  ends: now + 40 * MINUTES,
  kind: "couple",
  seats: [seat("A", a), seat("B", b), seat("T", "admitted", { role: "host", slot: null })],
  encryption: "end-to-end",
  ...more,
});
const entered = { meeting: "m", seat: "A", label: "Partner A", kind: "couple", agreed: true, state: "expected", encryption: "end-to-end" };
const keys = (phase, more = {}) => ({
  type: "keys",
  keys: { ...encryption.NO_KEYS, phase, committer: true, members: phase === "secured" ? PEOPLE : [], ...more },
});
const KEYED = (key) => PEOPLE.map((one, index) => ({ ...one, index, key: one.seat === "B" ? key : one.seat }));
const check = (phase, pictures = []) => keys("secured", { check: { phase, pictures, verified: false, kept: false, once: false } });
const verified = keys("secured", { check: { ...encryption.NO_CHECK, verified: true, kept: true } });
const waits = keys("secured", { check: { ...encryption.NO_CHECK, kept: true } });
const said = (group, name, text) => ({ type: "chat-said", group, name, text, at: now });
const open = (group) => ({ type: "chat-opened", group });
const own = (group, text) => [
  { type: "chat-typed", group, text },
  { type: "chat-sending", group },
  { type: "chat-sent", group, at: now },
];
const LONG = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft".repeat(2);
const TALK = (group) => [
  said(group, "Therapist", "Here is the page I spoke of:\nhttps://example.org/breathing"),
  ...own(group, "Thank you."),
  said(group, group === "room" ? "Partner B" : "Therapist", LONG),
];
const GIVEN = { type: "secret-given" };
const IN = [GIVEN, { type: "entered", entered }, { type: "checked" }, { type: "line", line: "open" }];
const there = (state, ...more) => [...IN, place(state), ...more];
const hosts = (a, b, ...more) => [GIVEN, { type: "line", line: "open" }, roster(a, b), { type: "opened", code: null, problem: null }, roster(a, b), ...more];
const NOT_SENT = "Not sent: the connection is interrupted. Your text stays here. Press “Send” again when it is back.";

const VISITS = {
  "securing": there("admitted", keys("securing")),
  "secured": there("admitted", keys("secured")),
  "one person not secured yet": there("admitted", keys("secured", { members: PEOPLE.slice(0, 2) })),
  "one person does not open": there("admitted", keys("secured", { unopened: ["B"] })),
  "transport only": [{ type: "entered", entered: { ...entered, encryption: "transport-only" } }, { type: "checked" }, place("admitted", { encryption: "transport-only" })],
  "transport only, waiting": [{ type: "entered", entered: { ...entered, encryption: "transport-only" } }, { type: "checked" }, place("waiting", { encryption: "transport-only" })],
  "full link needed": [{ type: "entered", entered }],
  "full link needed, wrong code": [{ type: "entered", entered }, { type: "refused", text: encryption.NO_CODE, wrong: ["code"] }],
  "comparing": there("admitted", check("comparing", PICTURES)),
  "check verified": there("admitted", verified),
  "check lost": there("admitted", verified, keys("secured")),
  "unheard": there("admitted", keys("secured", { unheard: true })),
  "somebody unseen": there("admitted", keys("secured", { unseen: ["B"] })),
  "check interrupted": there("admitted", check("aborted")),
  "check mismatch": there("admitted", check("mismatch")),
  "sent clear": there("admitted", keys("secured"), { type: "sent-clear" }),
  "offered strangely": there("admitted", keys("secured"), { type: "offered-strangely" }),
  "keys failed": there("admitted", keys("failed")),
  "downgraded": [GIVEN, { type: "entered", entered: { ...entered, encryption: "transport-only" } }],
  "chat": there("admitted", keys("secured"), open("room"), ...TALK("room")),
  "chat, unread": there("admitted", keys("secured"), ...TALK("room")),
  "chat, empty": there("admitted", keys("secured"), open("room")),
  "chat, not sent": there("admitted", keys("secured"), open("room"), { type: "chat-typed", group: "room", text: "I heard you." }, { type: "chat-not-sent", group: "room", problem: NOT_SENT }),
  "chat after a gap": there("admitted", keys("secured"), open("room"), ...TALK("room"), { type: "line", line: "lost" }, { type: "line", line: "open" }),
  "chat, nearly full": there("admitted", keys("secured"), open("room"), { type: "chat-typed", group: "room", text: "Long ".repeat(390) }),
  "chat while paused": there("paused", keys("secured"), open("room"), ...TALK("room")),
  "chat while paused, not sent": there("paused", keys("secured"), open("room"), { type: "chat-typed", group: "room", text: "I heard you." }, { type: "chat-not-sent", group: "room", problem: NOT_SENT }),
  "chat in the waiting room": there("waiting", keys("none", { pairs: { A: { phase: "secured", members: PEOPLE.slice(0, 2) } } }), ...TALK("A")),
};
const HOSTS = {
  "host, alone, secured": hosts("waiting", "expected", keys("secured", { members: PEOPLE.slice(0, 1) })),
  "host, secured": hosts("admitted", "admitted", keys("secured")),
  "host, securing": hosts("admitted", "admitted", keys("secured", { members: PEOPLE.slice(0, 2) })),
  "host, link does not match": hosts("admitted", "admitted", keys("secured", { members: PEOPLE.slice(0, 2), refused: [{ seat: "B", code: "tag" }] })),
  "host, keys unusable": hosts("admitted", "admitted", keys("secured", { members: PEOPLE.slice(0, 2), refused: [{ seat: "B", code: "key-package" }] })),
  "host, one person does not open": hosts("admitted", "admitted", keys("secured", { unopened: ["B"] })),
  "host, transport only": [{ type: "line", line: "open" }, roster("admitted", "waiting", { encryption: "transport-only" })],
  "host, room code needed": [roster("waiting", "expected")],
  "host, room code wrong": [roster("waiting", "expected"), { type: "secret-refused", problem: encryption.NO_CODE }],
  "host, comparing": hosts("admitted", "admitted", check("comparing", PICTURES)),
  "host, somebody unseen": hosts("admitted", "held", keys("secured", { unseen: ["B"] })),
  "host, new keys": hosts("admitted", "admitted", keys("secured", { generation: "1", index: 0, members: KEYED("b1") }), keys("secured", { generation: "1", index: 0, members: KEYED("b2") })),
  "host, check preparing": hosts("admitted", "admitted", check("exchanging")),
  "host, check verified": hosts("admitted", "admitted", verified),
  "host, check waits": hosts("admitted", "admitted", verified, waits),
  "host, check lost": hosts("admitted", "admitted", verified, keys("secured")),
  "host, check mismatch": hosts("admitted", "admitted", check("mismatch")),
  "host, chat": hosts("admitted", "admitted", keys("secured"), open("room"), ...TALK("room")),
  "host, chat, unread": hosts("admitted", "waiting", keys("secured"), ...TALK("room"), said("B", "Partner B", "Hello?")),
  "host, writes to one who waits": hosts("admitted", "waiting", keys("secured", { pairs: { B: { phase: "secured", members: [PEOPLE[0], PEOPLE[2]] } } }), open("B"), ...TALK("B")),
  "host, keys failed": hosts("admitted", "admitted", keys("failed")),
  "host, sent clear": hosts("admitted", "admitted", keys("secured"), { type: "sent-clear" }),
  "host, downgraded": [GIVEN, roster("waiting", "expected", { encryption: "transport-only" })],
};

const acts = new Proxy({}, { get: () => () => undefined });
const live = {
  now,
  media: () => ({ audio: null, video: null, moving: false }),
  screen: null,
  soundBlocked: false,
  soundUnblocked: 0,
  onBlocked: () => undefined,
};
const paint = page.painter();

window.states = Object.keys(location.pathname.startsWith("/host") ? HOSTS : VISITS);
window.show = (name) => {
  const [machine, view, events] =
    name in HOSTS ? [host, hostView.hostView, HOSTS[name]] : [visit, visitView.visitView, VISITS[name]];
  const state = events.reduce((before, event) => machine.advance(before, event), machine.START);
  const scene = name in HOSTS ? (machine.word(state) === "over" ? "over" : "visit") : machine.scene(state);
  paint(null, { word: "", scene: "", title: "" });
  paint(view(state, acts, live), { word: machine.word(state), scene, title: (visitView.titleOf ?? hostWords.titleOf)(state) });
};
document.body.dataset.gallery = "open";
