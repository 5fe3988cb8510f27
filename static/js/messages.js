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
 * Sent by the committer when a spoken check has ended, and in each epoch in which it still counts.
 *
 * For the board and the audit stream. Who comes in makes the server forget it: only pages know who is who.
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
 *     unreached: its page is connected, but for seconds no way was found for its sound and picture.
 *     quality: how well its transport carries; null while it has none. Says what held for seconds.
 *     path: how its media reaches this server; turn is through our own TURN server, while who comes through
 *         an external one comes as udp. Null while it has no transport.
 *     receives: what is sent to its page; screen (no cameras) or sound while its link is weak.
 *     sends: what its page is to send, likewise.
 *     camera, screen: in the room, pictures of it come from the seat, or would come were its link not weak.
 *
 * @typedef {{ "seat": string, "label": string, "role": 'host'|'patient', "slot": number|null, "state": string, "since": number, "presence": 'absent'|'away'|'connected', "presence-since": number, "in-room": boolean, "muted": boolean, "agreed": boolean, "knocks": number, "new-device": boolean, "program": boolean, "unshown": boolean, "unreached": boolean, "suite": string|null, "quality": 'fair'|'good'|'weak'|null, "path": 'tcp'|'turn'|'udp'|null, "receives": 'all'|'screen'|'sound', "sends": 'all'|'screen'|'sound', "camera": boolean, "screen": boolean }} RosterSeat
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
 *     path: how its media reaches this server; turn is through our own TURN server, while who comes through
 *         an external one comes as udp. Null while it has no transport.
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

export {};
