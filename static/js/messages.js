// Written by `make schema` from signaling/messages.py. Do not edit.

/**
 * Sent by every page, first. Answered by `welcome` and the page's view, then an `offer` if due.
 *
 * Attributes:
 *     media-kept: the page still has a connected transport from before and wants to keep it.
 *     generation, epoch: of the room's group that this very page is in and has kept, if it is in one; it
 *         goes on in it, else its keys are made anew.
 *
 * @typedef {{ type: 'hello', "media-kept"?: boolean, "generation"?: string|null, "epoch"?: number|null }} Hello
 */

/**
 * Sent by a patient who accepted the agreement. Answered by `reply`, then `place` and `offer`.
 *
 * @typedef {{ type: 'knock', "id": number }} Knock
 */

/**
 * Sent by a host to come into the room with media. Answered by `reply`, then `offer`.
 *
 * @typedef {{ type: 'enter', "id": number }} Enter
 */

/**
 * Sent by anyone who leaves on purpose. Answered by `reply`; the place is given up.
 *
 * Attributes:
 *     quickly: the page is gone by the time of the answer, and ends its cookie with `/api/seat-leave`.
 *
 * @typedef {{ type: 'leave', "id": number, "quickly"?: boolean }} Leave
 */

/**
 * Sent by a host. All named seats or none. Answered by `reply`; everybody's view follows.
 *
 * Attributes:
 *     action: what to do; `end` needs no seats.
 *     reason: shown to the person for `deny` and `remove`; kept in the audit stream.
 *
 * @typedef {{ type: 'act', "id": number, "action": 'admit'|'ask-to-wait'|'deny'|'end'|'hold'|'move-back'|'mute'|'readmit'|'remove'|'resume'|'unmute', "seats"?: ReadonlyArray<string>, "reason"?: string|null }} Act
 */

/**
 * Sent by a page in answer to `offer`: its SDP answer.
 *
 * @typedef {{ type: 'answer', "sdp": string }} Answer
 */

/**
 * Sent by a page whose transport was disconnected or failed. Answered by `offer`.
 *
 * Attributes:
 *     fresh: start over with a new transport instead of an ICE restart.
 *
 * @typedef {{ type: 'restart-media', "fresh"?: boolean }} RestartMedia
 */

/**
 * Sent by the first device of a seat that was asked whether another may take its place.
 *
 * Attributes:
 *     asking: the number in `device-asks` when the person decided; an older one does nothing.
 *
 * @typedef {{ type: 'device-answer', "allow": boolean, "asking": number }} DeviceAnswer
 */

/**
 * Sent once for each `group` with role guest: a fresh MLS key package, never used before.
 *
 * Kept by the server until the seat is admitted; refused with an `error` (`bad-key-package`).
 *
 * Attributes:
 *     key-package: at most 8 KiB, an MLSMessage (RFC 9420 §6).
 *     tag: 32 bytes, HMAC of group id and key package under a key from the link secret.
 *
 * @typedef {{ type: 'key-package', "group": string, "generation": string, "key-package": string, "tag": string }} SendKeyPackage
 */

/**
 * Sent by the committer. Answered by `accepted` or `commit-refused`; one commit of an epoch wins.
 *
 * Attributes:
 *     epoch: the one it starts from.
 *     commit: at most 16 KiB, an MLSMessage holding a PrivateMessage.
 *     welcome: at most 24 KiB; with `adds` only. The whole message still fits one frame.
 *     adds: whom it adds, all of them told by `candidate`; one named in `removes` too is put in anew.
 *     removes: whom it removes.
 *
 * @typedef {{ type: 'commit', "group": string, "generation": string, "epoch": number, "commit": string, "welcome"?: string|null, "adds"?: ReadonlyArray<string>, "removes"?: ReadonlyArray<string> }} SendCommit
 */

/**
 * Sent by a member that has the keys of this epoch. Told to the other members.
 *
 * @typedef {{ type: 'ready', "group": string, "generation": string, "epoch": number }} SayReady
 */

/**
 * Sent by a member to the other members: a PrivateMessage of at most 8 KiB. Nobody else gets it.
 *
 * Attributes:
 *     id: answered by `reply`, if given: forwarded to somebody, or why to nobody.
 *
 * @typedef {{ type: 'sealed', "group": string, "generation": string, "message": string, "id"?: number|null }} SendSealed
 */

/**
 * Sent by a member whose state is broken. A guest is asked by `group` for a fresh key package.
 *
 * The committer's own ends the generation: `group` with a new one follows.
 *
 * @typedef {{ type: 'resync', "group": string, "generation": string }} Resync
 */

/**
 * Sent by the committer that wants to write to a waiting seat. Answered by `group` of that pair.
 *
 * The waiting page hears of the pair only now, so that until a clinician writes nothing tells it of one.
 *
 * @typedef {{ type: 'pair', "seat": string }} OpenPair
 */

/**
 * Sent by the committer when a spoken check has come to its end; for the board and the audit stream.
 *
 * @typedef {{ type: 'checked', "generation": string, "epoch": number, "verified": boolean }} Checked
 */

/**
 * Sent first. `now` is server time in milliseconds since the epoch, for showing durations.
 *
 * @typedef {{ type: 'welcome', "seat": string, "role": 'host'|'patient', "now": number }} Welcome
 */

/**
 * Another participant in the room.
 *
 * Attributes:
 *     slot: which received tracks are theirs.
 *     sends: what of theirs is sent; screen (no camera) or sound while their link is weak.
 *     camera, screen: pictures of it come from them, or would come were their link not weak.
 *
 * @typedef {{ "seat": string, "label": string, "slot": number, "presence": 'absent'|'away'|'connected', "muted": boolean, "sends": 'all'|'screen'|'sound', "camera": boolean, "screen": boolean }} Other
 */

/**
 * Sent to a patient: their own place, and who is in the room while they are in it.
 *
 * Attributes:
 *     state: expected, waiting, asked-to-wait, admitted, paused (admitted, no clinician present), held,
 *         denied, removed, left, ended, or asking-device (another device of this seat is being asked).
 *     since: milliseconds since the epoch.
 *     device-asks: number of the asking of another device that wants this place; 0 while none does.
 *     store-ok: false while nobody can be let in for want of the audit stream.
 *     receives: what is sent to this page; screen (no cameras) or sound while its link is weak.
 *     sends: what this page is to send, likewise; both say all outside the room.
 *     encryption: transport-only where the server could decrypt, because programs publish; a page that
 *         holds a link secret refuses such a session.
 *
 * @typedef {{ type: 'place', "seat": string, "label": string, "state": string, "since": number, "reason": string|null, "muted": boolean, "agreed": boolean, "others": ReadonlyArray<Other>, "device-asks": number, "store-ok": boolean, "ends": number, "receives": 'all'|'screen'|'sound', "sends": 'all'|'screen'|'sound', "encryption": 'end-to-end'|'transport-only' }} Place
 */

/**
 * One seat on a host's page; times in milliseconds since the epoch; no `slot` for one's own seat.
 *
 * Attributes:
 *     program: a program that publishes is there, not a page.
 *     unshown: its picture comes in a format that this page's browser does not show.
 *     quality: how well its transport carries; null while it has none. Says what held for seconds.
 *     path: how its media comes; null while it has no transport.
 *     receives: what is sent to its page; screen (no cameras) or sound while its link is weak.
 *     sends: what its page is to send, likewise.
 *     camera, screen: in the room, pictures of it come from the seat, or would come were its link not weak.
 *
 * @typedef {{ "seat": string, "label": string, "role": 'host'|'patient', "slot": number|null, "state": string, "since": number, "presence": 'absent'|'away'|'connected', "presence-since": number, "in-room": boolean, "muted": boolean, "agreed": boolean, "knocks": number, "new-device": boolean, "program": boolean, "unshown": boolean, "suite": string|null, "quality": 'fair'|'good'|'weak'|null, "path": 'tcp'|'turn'|'udp'|null, "receives": 'all'|'screen'|'sound', "sends": 'all'|'screen'|'sound', "camera": boolean, "screen": boolean }} RosterSeat
 */

/**
 * Sent to a host: the whole session, as seats.
 *
 * Attributes:
 *     entered: this host's seat is in the room.
 *     media-here: the seat's media is on this very page, not on another tab.
 *
 * @typedef {{ type: 'roster', "me": string, "entered": boolean, "media-here": boolean, "open": boolean, "clinician-present": boolean, "store-ok": boolean, "starts": number, "ends": number, "kind": 'couple'|'individual', "seats": ReadonlyArray<RosterSeat>, "encryption": 'end-to-end'|'transport-only' }} Roster
 */

/**
 * A TURN server that the page may go through where UDP is blocked, and its short-lived credential.
 *
 * @typedef {{ "urls": ReadonlyArray<string>, "username": string, "credential": string }} IceServer
 */

/**
 * Sent when a transport is to be made (`restart` false: a new connection) or ICE restarted (true).
 *
 * Attributes:
 *     ice-servers: in place of those of an earlier offer.
 *
 * @typedef {{ type: 'offer', "sdp": string, "restart": boolean, "ice-servers"?: ReadonlyArray<IceServer> }} Offer
 */

/**
 * Answers the request with that id. `code` is null when done, else why not; `text` is for people.
 *
 * @typedef {{ type: 'reply', "id": number, "code": string|null, "text"?: string|null }} Reply
 */

/**
 * A message that could not be understood or is not allowed now; the connection stays open.
 *
 * @typedef {{ type: 'error', "code": string, "text": string }} ErrorMessage
 */

/**
 * The last message before the server closes the connection, saying why and what to do.
 *
 * @typedef {{ type: 'bye', "code": string, "text": string }} Bye
 */

/**
 * Sent to a page that is to be in a group. In place of what it was told of this group before.
 *
 * A host makes the group, once. A guest answers each with a fresh `key-package`, also when the generation
 * is the one it knows: it was out, or its keys are lost, and it is to be put in anew. A guest that waits is
 * asked once, at its knock; nothing about others can be told from it.
 *
 * @typedef {{ type: 'group', "group": string, "generation": string, "role": 'guest'|'host' }} Group
 */

/**
 * Sent to the committer when an admission is durable: add this one.
 *
 * A seat that is a member already is removed and added in the same commit.
 *
 * @typedef {{ type: 'candidate', "group": string, "generation": string, "seat": string, "key-package": string, "tag": string }} Candidate
 */

/**
 * Sent to the committer: remove these, or forget them as candidates; their places have changed.
 *
 * @typedef {{ type: 'drop', "group": string, "generation": string, "seats": ReadonlyArray<string> }} Drop
 */

/**
 * Sent to the committer: its commit made this epoch.
 *
 * Also after a reconnect, with the epoch that stands: a pending commit leads to it, or never arrived.
 *
 * @typedef {{ type: 'accepted', "group": string, "generation": string, "epoch": number }} Accepted
 */

/**
 * Sent to the committer: its commit is void, the state is as it was. `epoch` is the one that stands.
 *
 * The candidates it named are forgotten; each that may still be added follows as `candidate` again.
 *
 * @typedef {{ type: 'commit-refused', "group": string, "generation": string, "epoch": number }} CommitDiscarded
 */

/**
 * Sent to the other members: a commit; `epoch` is the one it leads to.
 *
 * @typedef {{ type: 'commit', "group": string, "generation": string, "epoch": number, "commit": string }} GroupCommit
 */

/**
 * Sent to those a commit added: their way into this epoch.
 *
 * @typedef {{ type: 'group-welcome', "group": string, "generation": string, "epoch": number, "welcome": string }} GroupWelcome
 */

/**
 * Sent to the other members: that seat has the keys of this epoch.
 *
 * @typedef {{ type: 'ready', "group": string, "generation": string, "epoch": number, "seat": string }} MemberReady
 */

/**
 * Sent to the other members: what a member sealed for them.
 *
 * @typedef {{ type: 'sealed', "group": string, "generation": string, "seat": string, "message": string }} Sealed
 */

/**
 * `POST /api/link-opened`: a seat link was opened. Always 204, whatever it was.
 *
 * @typedef {{ "meeting": string, "seat-token": string }} LinkOpened
 */

/**
 * `POST /api/enter`: open a credential session for a seat. 200 `Entered` or one and the same 403.
 *
 * Attributes:
 *     link-auth: the authenticator derived from the link secret, base64url; needed in an end-to-end
 *         encrypted session.
 *
 * @typedef {{ "meeting": string, "seat-token": string, "password": string, "link-auth"?: string|null }} EnterBody
 */

/**
 * What the page of a seat needs to go on. The credential itself is a cookie that scripts cannot read.
 *
 * @typedef {{ "meeting": string, "seat": string, "label": string, "kind": 'couple'|'individual', "agreed": boolean, "state": string, "encryption": 'end-to-end'|'transport-only' }} Entered
 */

/**
 * `GET /api/agreement`: the current confidentiality agreement.
 *
 * @typedef {{ "version": string, "title": string, "paragraphs": ReadonlyArray<string> }} Agreement
 */

/**
 * `POST /api/agree`: this seat accepts that version. 204, or 409 when a newer one is current.
 *
 * @typedef {{ "meeting": string, "seat": string, "version": string }} AgreeBody
 */

/**
 * `POST /api/seat`, `/api/seat-ticket`, `/api/seat-leave`: for the seat of this page's cookie.
 *
 * @typedef {{ "meeting": string, "seat": string }} SeatBody
 */

/**
 * A single-use ticket for one WebSocket connection, valid for 30 s.
 *
 * @typedef {{ "ticket": string }} Ticket
 */

/**
 * `POST /api/login`. 200 `Account` or one and the same 403.
 *
 * @typedef {{ "name": string, "password": string }} LoginBody
 */

/**
 * Who is signed in.
 *
 * @typedef {{ "name": string, "role": 'admin'|'therapist' }} Account
 */

/**
 * `POST /api/host-ticket`: a ticket for the host's page. 200 `Ticket`; 404 for all but its hosts.
 *
 * @typedef {{ "meeting": string }} HostTicketBody
 */

/**
 * `POST /api/sessions`: book a session. 201 `Booked`. `Idempotency-Key` is required.
 *
 * Attributes:
 *     kind: individual or couple.
 *     starts, ends: RFC 3339 times with offset; at most 24 hours apart.
 *     host: account name of the therapist; left out, the one who books.
 *     cohost: account name of a second clinician.
 *     password-in-link: put the password into the links' fragment too.
 *     link-authenticator-hash: SHA-256, in hex, of the authenticator of a link secret that the caller drew,
 *         keeps to itself and appends to every link: the session is end-to-end encrypted.
 *     encryption: transport-only for a session without a link secret; only where programs may publish.
 *
 * @typedef {{ "kind": 'couple'|'individual', "starts": string, "ends": string, "host"?: string|null, "cohost"?: string|null, "password-in-link"?: boolean, "link-authenticator-hash"?: string|null, "encryption"?: 'transport-only'|null }} BookBody
 */

/**
 * The credential of one seat: hand each person only their own.
 *
 * @typedef {{ "seat": string, "label": string, "seat-token": string, "link": string }} SeatLink
 */

/**
 * A booked session. The password is shown this once.
 *
 * Of an end-to-end encrypted one the links are not whole: who booked it appends `.` and the link secret to
 * each seat's link, `#` and the secret to the host's.
 *
 * @typedef {{ "meeting": string, "password": string, "kind": 'couple'|'individual', "starts": string, "ends": string, "seats": ReadonlyArray<SeatLink>, "host-link": string, "encryption": 'end-to-end'|'transport-only' }} Booked
 */

/**
 * `GET /api/sessions`: one session of the practice without anything that names a person.
 *
 * @typedef {{ "meeting": string, "kind": 'couple'|'individual', "state": 'ended'|'open', "starts": string, "ends": string, "host-link": string, "encryption": 'end-to-end'|'transport-only' }} SessionSummary
 */

/**
 * One seat on the admin's live board: states, durations and numbers.
 *
 * Attributes:
 *     program: a program that publishes is there, not a page.
 *     suite: how its media is encrypted, an SRTP profile; null while it has no transport.
 *     tls: how its page's own connection is encrypted, protocol and suite; null without a page, and where
 *         a proxy terminates TLS.
 *     loss-in-percent, loss-out-percent: packets lost on the way from and to the seat.
 *     kbps-in, kbps-out: media from and to the seat.
 *
 * @typedef {{ "seat": string, "role": 'host'|'patient', "state": string, "since": number, "presence": 'absent'|'away'|'connected', "waiting-ms": number|null, "program": boolean, "suite": string|null, "tls": string|null, "path": 'tcp'|'turn'|'udp'|null, "quality": 'fair'|'good'|'weak'|null, "loss-in-percent": number|null, "loss-out-percent": number|null, "jitter-ms": number|null, "rtt-ms": number|null, "kbps-in": number|null, "kbps-out": number|null, "receives": 'all'|'screen'|'sound', "sends": 'all'|'screen'|'sound', "locked": boolean }} BoardSeat
 */

/**
 * One room on the board. `code` is the short code of the session; `room` its id for `unlock`.
 *
 * Attributes:
 *     keys: suite of the room's encryption group; null while it has none.
 *     epoch: how often its keys were made anew.
 *     verified: whether the people in it compared their keys aloud; null if they did not.
 *
 * @typedef {{ "room": string, "code": string, "kind": 'couple'|'individual', "state": 'ended'|'live'|'paused'|'scheduled'|'waiting', "clinician-present": boolean, "starts": number, "ends": number, "seats": ReadonlyArray<BoardSeat>, "encryption": 'end-to-end'|'transport-only', "keys": string|null, "epoch": number|null, "verified": boolean|null }} BoardRoom
 */

/**
 * `GET /api/board` and each event of `GET /api/board/stream`.
 *
 * @typedef {{ "now": number, "store-ok": boolean, "rooms": ReadonlyArray<BoardRoom> }} Board
 */

/**
 * One event of the audit stream: `GET /api/audit` and each event of `GET /api/audit/stream`.
 *
 * Attributes:
 *     index: its place in the ledger, from 0 without a gap.
 *     time-us: store time, microseconds since the epoch.
 *     subject-seq: its number among the events of its subject, from 1 without a gap.
 *     actor: a seat or an opaque staff id, never a name.
 *     reason: a code or what a host wrote.
 *
 * @typedef {{ "index": number, "time-us": number, "type": string, "outcome": 'failed'|'ok'|'refused', "actor": string, "subject": string, "subject-seq": number, "session": string|null, "seat": string|null, "reason": string|null, "detail": Readonly<Record<string, string|number|boolean>> }} AuditRecord
 */

/**
 * `GET /api/audit`: a stretch of the audit stream.
 *
 * Attributes:
 *     after: ask for more with this; unchanged when there was nothing more.
 *
 * @typedef {{ "records": ReadonlyArray<AuditRecord>, "after": number }} AuditPage
 */

/**
 * An RFC 9457 problem document: every HTTP error has this body.
 *
 * @typedef {{ "type": string, "title": string, "status": number, "code": string, "detail"?: string|null }} Problem
 */

/** @typedef {Hello|Knock|Enter|Leave|Act|Answer|RestartMedia|DeviceAnswer|SendKeyPackage|SendCommit|SayReady|SendSealed|Resync|OpenPair|Checked} ClientMessage */

/** @typedef {Welcome|Place|Roster|Offer|Reply|ErrorMessage|Bye|Group|Candidate|Drop|Accepted|CommitDiscarded|GroupCommit|GroupWelcome|MemberReady|Sealed} ServerMessage */

/** The subprotocol of the signaling connection. */
export const PROTOCOL = "quietroom.v1";

/** No message may be larger. */
export const MAX_MESSAGE_BYTES = 65536;

/** Bytes of opaque fields, before base64url. */
export const GROUP_BOUNDS = Object.freeze({
  "key-package": 8192,
  "tag": 32,
  "commit": 16384,
  "welcome": 24576,
  "sealed": 8192
});

/** The types a page may send. */
export const CLIENT_MESSAGES = Object.freeze([
  "hello",
  "knock",
  "enter",
  "leave",
  "act",
  "answer",
  "restart-media",
  "device-answer",
  "key-package",
  "commit",
  "ready",
  "sealed",
  "resync",
  "pair",
  "checked"
]);

/** The types a page must know. */
export const SERVER_MESSAGES = Object.freeze([
  "welcome",
  "place",
  "roster",
  "offer",
  "reply",
  "error",
  "bye",
  "group",
  "candidate",
  "drop",
  "accepted",
  "commit-refused",
  "commit",
  "group-welcome",
  "ready",
  "sealed"
]);

/** The WebSocket close code of each `bye`. */
export const CLOSE_CODES = Object.freeze({
  "left": 1000,
  "bad-message": 1008,
  "not-allowed": 1008,
  "bad-ticket": 1008,
  "too-large": 1009,
  "internal": 1011,
  "draining": 1012,
  "moved": 1012,
  "audit-unavailable": 1013,
  "opened-elsewhere": 4001,
  "replaced": 4002,
  "device-refused": 4003,
  "removed": 4004,
  "ended": 4006,
  "too-fast": 4007,
  "too-slow": 4008,
  "gone": 4009,
  "enter-again": 4010,
  "no-session": 4011,
  "sign-in-needed": 4012
});

/** After these a page connects again by itself. */
export const COMES_BACK = Object.freeze([
  "audit-unavailable",
  "bad-ticket",
  "draining",
  "gone",
  "internal",
  "moved",
  "too-slow"
]);

/** What to tell people, by code. */
export const TEXTS = Object.freeze({
  "bad-message": {
    "title": "This could not be read",
    "detail": "Reload the page; if it happens again, tell the practice."
  },
  "bad-window": {
    "title": "These times are not possible",
    "detail": "Choose an end after the start, in the future and at most 24 hours later; write both with an offset, such as 2026-03-01T10:00:00+01:00."
  },
  "bad-host": {
    "title": "These clinicians are not possible",
    "detail": "Name a therapist's account as the host and another one as co-therapist."
  },
  "bad-encryption": {
    "title": "Say how the session is encrypted",
    "detail": "Draw a link secret and send the hash of its authenticator; or book “transport-only”, where programs may publish. Never both."
  },
  "bad-authenticator": {
    "title": "The hash of an authenticator is not one",
    "detail": "It is SHA-256 in hex: 64 digits, lower case."
  },
  "idempotency-key-needed": {
    "title": "Idempotency-Key is missing",
    "detail": "Send an Idempotency-Key of 1 to 128 letters, digits, dashes or underscores, new for each booking."
  },
  "idempotency-conflict": {
    "title": "This Idempotency-Key was used for another booking",
    "detail": "Send a new key for a new booking, or the same booking for the same key."
  },
  "too-large": {
    "title": "This is too large",
    "detail": "Send at most 64 KiB."
  },
  "too-slow": {
    "title": "This took too long to arrive",
    "detail": "Check your connection and try again."
  },
  "unsupported-type": {
    "title": "This kind of content is not read here",
    "detail": "Send uncompressed JSON as application/json."
  },
  "not-sdp": {
    "title": "This kind of content is not read here",
    "detail": "POST an offer as application/sdp, or PATCH a fragment as application/trickle-ice-sdpfrag."
  },
  "bad-sdp": {
    "title": "This offer cannot be taken",
    "detail": "Offer at most one audio and one video, sent over one DTLS-SRTP transport (BUNDLE, rtcp-mux), with their SSRCs announced."
  },
  "bad-group-message": {
    "title": "This key message cannot be used",
    "detail": "Reload the page; if it happens again, tell the practice."
  },
  "no-common-codec": {
    "title": "There is no common codec",
    "detail": "Offer Opus for sound, and VP8 or H.264 (baseline, packetization mode 1) for pictures; others are not taken."
  },
  "if-match-needed": {
    "title": "If-Match is missing",
    "detail": "Send the ETag of the last answer in If-Match, or * to restart ICE."
  },
  "if-match-old": {
    "title": "This was changed meanwhile",
    "detail": "Send the ETag of the last answer, or restart ICE with *."
  },
  "not-found": {
    "title": "There is nothing here",
    "detail": "Check the address, or open your link again."
  },
  "method-not-allowed": {
    "title": "This address does not do that",
    "detail": "See /openapi.json for what it does."
  },
  "wrong-origin": {
    "title": "This request came from another site",
    "detail": "Open Quietroom at its own address and do it there."
  },
  "not-allowed": {
    "title": "You may not do this",
    "detail": "Sign in with an account that may, or ask your practice."
  },
  "sign-in-needed": {
    "title": "Please sign in",
    "detail": "Your sign-in has ended or was never made. Sign in again."
  },
  "enter-again": {
    "title": "Please enter again",
    "detail": "This page is no longer connected to your seat. Open your link again and type the password."
  },
  "cannot-enter": {
    "title": "You cannot enter with this",
    "detail": "Check the meeting ID, the seat code, the room code and the password, and that it is no more than 15 minutes before your visit. After several wrong tries please wait a few minutes. If it still fails, call your practice."
  },
  "cannot-sign-in": {
    "title": "You cannot sign in with this",
    "detail": "Check the name and the password. After several wrong tries please wait a few minutes."
  },
  "bearer-needed": {
    "title": "A seat token is needed",
    "detail": "Send the seat's token as Authorization: Bearer, never the password."
  },
  "wait-for-admission": {
    "title": "Waiting to be let in",
    "detail": "The therapist sees that this seat waits. Ask again in a few seconds; nothing is sent before."
  },
  "denied-for-now": {
    "title": "The therapist did not let you in",
    "detail": "Ask again later, or call your practice."
  },
  "agreement-by-link": {
    "title": "The agreement comes first",
    "detail": "Open the seat's link in a browser, accept the confidentiality agreement there, then ask again."
  },
  "end-to-end-encrypted": {
    "title": "This session is end-to-end encrypted",
    "detail": "Programs that publish by WHIP cannot take part in it. Open the seat's link in a browser."
  },
  "no-session": {
    "title": "There is no such session for you",
    "detail": "Check the meeting ID, or look in your list of sessions."
  },
  "no-seat": {
    "title": "There is no such seat in this session",
    "detail": "Check the seat code."
  },
  "bad-ticket": {
    "title": "This connection's ticket is used or too old",
    "detail": "The page gets a new one by itself; else reload it."
  },
  "not-open": {
    "title": "This session is not open",
    "detail": "It opens 15 minutes before its start and closes at its end."
  },
  "full": {
    "title": "The room is full",
    "detail": "Somebody must leave before another person can come in."
  },
  "wrong-state": {
    "title": "This is no longer possible",
    "detail": "Something changed in the meantime. Look again and decide anew."
  },
  "agreement-needed": {
    "title": "The agreement comes first",
    "detail": "Read and accept the confidentiality agreement, then try again."
  },
  "agreement-outdated": {
    "title": "There is a newer agreement",
    "detail": "Please read the current version and accept that one."
  },
  "seat-in-use": {
    "title": "Another device has this seat",
    "detail": "Leave on that device first, or wait until it is gone; then ask again."
  },
  "clinician-absent": {
    "title": "No clinician is in the room",
    "detail": "A clinician must come in first; nobody is ever in there alone."
  },
  "nobody-there": {
    "title": "Nobody is there to read it",
    "detail": "Send it again when somebody is; nothing is kept for later."
  },
  "keys-changed": {
    "title": "The conversation is being secured anew",
    "detail": "Wait a moment, then send it again."
  },
  "busy": {
    "title": "Many people are coming in at this moment",
    "detail": "Wait a few seconds and try again."
  },
  "too-fast": {
    "title": "That was too much at once",
    "detail": "Wait a few seconds and try again."
  },
  "audit-unavailable": {
    "title": "Nobody can be let in at the moment",
    "detail": "The record that every access needs cannot be written, so nothing was changed. Visits in progress go on. Try again in a moment."
  },
  "draining": {
    "title": "This server is being restarted",
    "detail": "The page connects again by itself in a few seconds and your place is kept."
  },
  "moved": {
    "title": "Your visit goes on elsewhere in this service",
    "detail": "The page connects again by itself at once and your place is kept."
  },
  "internal": {
    "title": "Something went wrong on our side",
    "detail": "Try again. If it happens again, give the practice this reference."
  },
  "opened-elsewhere": {
    "title": "This page was opened again",
    "detail": "Your visit goes on in the other tab or window. You can close this one."
  },
  "replaced": {
    "title": "Another device took over",
    "detail": "Your visit goes on there. To come back to this one, open your link."
  },
  "device-refused": {
    "title": "The other device stays",
    "detail": "Your other device kept the seat. Use that one, or leave there first and open your link here."
  },
  "removed": {
    "title": "You were removed from this session",
    "detail": "Call your practice if you think this was a mistake."
  },
  "left": {
    "title": "You left the session",
    "detail": "To come back, open your link again."
  },
  "ended": {
    "title": "This session has ended",
    "detail": "You can close this page."
  },
  "gone": {
    "title": "The connection was lost",
    "detail": "The page connects again by itself and your place is kept."
  }
});
