"""Every message of the signaling connection: the single source of the wire.

One struct per message; the docstring says who sends it, when, and what answers it. ``make schema`` renders
``static/js/messages.js`` and ``protocol.js``, the tables of ``docs/protocol.md`` and the OpenAPI document
from these types.

The connection is a WebSocket at ``/ws`` opened with two subprotocols: ``quietroom.v1`` and
``ticket.<single-use ticket>``. JSON text frames, one message each, ``type`` first, at most 64 KiB. Unknown
keys are ignored; an unknown type gets an ``error``. The server shows a page its whole view each time it
changed, so nothing need be replayed after a reconnect.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from rooms.mls_wire import MAX_COMMIT, MAX_KEY_PACKAGE, MAX_SEALED, MAX_WELCOME

PROTOCOL = "quietroom.v1"
MAX_MESSAGE_BYTES = 65_536

RequestId = Annotated[int, Meta(ge=0, le=2**31)]
Seat = Annotated[str, Meta(pattern="^[A-Z]$", min_length=1, max_length=1)]
Reason = Annotated[str, Meta(max_length=200)]
Sdp = Annotated[str, Meta(min_length=1, max_length=32_768)]

GROUP_BOUNDS = {
    "key-package": MAX_KEY_PACKAGE,
    "tag": 32,
    "commit": MAX_COMMIT,
    "welcome": MAX_WELCOME,
    "sealed": MAX_SEALED,
}
"""Bytes that opaque fields may have. On the wire they are base64url without padding (RFC 4648 §5)."""
KeyPackage = Annotated[str, Meta(pattern="^[A-Za-z0-9_-]+$", max_length=10_923)]
EncryptionWord = Literal["end-to-end", "transport-only"]
Tag = Annotated[str, Meta(pattern="^[A-Za-z0-9_-]{43}$", max_length=43)]
CommitBytes = Annotated[str, Meta(pattern="^[A-Za-z0-9_-]+$", max_length=21_846)]
WelcomeBytes = Annotated[str, Meta(pattern="^[A-Za-z0-9_-]+$", max_length=32_768)]
SealedBytes = Annotated[str, Meta(pattern="^[A-Za-z0-9_-]+$", max_length=10_923)]
GroupName = Annotated[str, Meta(pattern="^(room|[A-Z])$", max_length=4)]
"""``room``, or the seat code of the waiting seat of a pair."""
Generation = Annotated[str, Meta(pattern="^[0-9a-f]{16}$", max_length=16)]
"""Drawn by the server for each new group; the MLS group id is ``<meeting>/<generation>`` and, for a pair,
``<meeting>/<generation>/<seat>``."""
Epoch = Annotated[int, Meta(ge=0, le=2**53 - 1)]
GroupSeats = Annotated[tuple[Seat, ...], Meta(max_length=4)]


class Message(Struct, frozen=True, tag_field="type", rename="kebab"):
    """Base of all messages; field names are kebab-case on the wire."""


# ---- from the page to the server -----------------------------------------------------------------------


class Hello(Message, frozen=True, tag="hello"):
    """Sent by every page, first. Answered by ``welcome`` and the page's view, then an ``offer`` if due.

    Attributes:
        media_kept: the page still has a connected transport from before and wants to keep it.
        generation, epoch: of the room's group that this very page is in and has kept, if it is in one; it
            goes on in it, else its keys are made anew.
    """

    media_kept: bool = False
    generation: Generation | None = None
    epoch: Epoch | None = None


class Knock(Message, frozen=True, tag="knock"):
    """Sent by a patient who accepted the agreement. Answered by ``reply``, then ``place`` and ``offer``."""

    id: RequestId


class Enter(Message, frozen=True, tag="enter"):
    """Sent by a host to come into the room with media. Answered by ``reply``, then ``offer``."""

    id: RequestId


class Leave(Message, frozen=True, tag="leave"):
    """Sent by anyone who leaves on purpose. Answered by ``reply``; the place is given up.

    Attributes:
        quickly: the page is gone by the time of the answer, and ends its cookie with ``/api/seat-leave``.
    """

    id: RequestId
    quickly: bool = False


class Act(Message, frozen=True, tag="act"):
    """Sent by a host. All named seats or none. Answered by ``reply``; everybody's view follows.

    Attributes:
        action: what to do; ``end`` needs no seats.
        reason: shown to the person for ``deny`` and ``remove``; kept in the audit stream.
    """

    id: RequestId
    action: Literal[
        "admit",
        "ask-to-wait",
        "deny",
        "hold",
        "resume",
        "move-back",
        "mute",
        "unmute",
        "remove",
        "readmit",
        "end",
    ]
    seats: Annotated[tuple[Seat, ...], Meta(max_length=4)] = ()
    reason: Reason | None = None


class Answer(Message, frozen=True, tag="answer"):
    """Sent by a page in answer to ``offer``: its SDP answer."""

    sdp: Sdp


class RestartMedia(Message, frozen=True, tag="restart-media"):
    """Sent by a page whose transport was disconnected or failed. Answered by ``offer``.

    Attributes:
        fresh: start over with a new transport instead of an ICE restart.
    """

    fresh: bool = False


class DeviceAnswer(Message, frozen=True, tag="device-answer"):
    """Sent by the first device of a seat that was asked whether another may take its place.

    Attributes:
        asking: the number in ``device-asks`` when the person decided; an older one does nothing.
    """

    allow: bool
    asking: RequestId


class SendKeyPackage(Message, frozen=True, tag="key-package"):
    """Sent once for each ``group`` with role guest: a fresh MLS key package, never used before.

    Kept by the server until the seat is admitted; refused with an ``error`` (``bad-key-package``).

    Attributes:
        key_package: at most 8 KiB, an MLSMessage (RFC 9420 §6).
        tag: 32 bytes, HMAC of group id and key package under a key from the link secret.
    """

    group: GroupName
    generation: Generation
    key_package: KeyPackage
    tag: Tag


class SendCommit(Message, frozen=True, tag="commit"):
    """Sent by the committer. Answered by ``accepted`` or ``commit-refused``; one commit of an epoch wins.

    Attributes:
        epoch: the one it starts from.
        commit: at most 16 KiB, an MLSMessage holding a PrivateMessage.
        welcome: at most 24 KiB; with ``adds`` only. The whole message still fits one frame.
        adds: whom it adds, all of them told by ``candidate``; one named in ``removes`` too is put in anew.
        removes: whom it removes.
    """

    group: GroupName
    generation: Generation
    epoch: Epoch
    commit: CommitBytes
    welcome: WelcomeBytes | None = None
    adds: GroupSeats = ()
    removes: GroupSeats = ()


class SayReady(Message, frozen=True, tag="ready"):
    """Sent by a member that has the keys of this epoch. Told to the other members."""

    group: GroupName
    generation: Generation
    epoch: Epoch


class SendSealed(Message, frozen=True, tag="sealed"):
    """Sent by a member to the other members: a PrivateMessage of at most 8 KiB. Nobody else gets it.

    Attributes:
        id: answered by ``reply``, if given: forwarded to somebody, or why to nobody.
    """

    group: GroupName
    generation: Generation
    message: SealedBytes
    id: RequestId | None = None


class Resync(Message, frozen=True, tag="resync"):
    """Sent by a member whose state is broken. A guest is asked by ``group`` for a fresh key package.

    The committer's own ends the generation: ``group`` with a new one follows.
    """

    group: GroupName
    generation: Generation


class OpenPair(Message, frozen=True, tag="pair"):
    """Sent by the committer that wants to write to a waiting seat. Answered by ``group`` of that pair.

    The waiting page hears of the pair only now, so that until a clinician writes nothing tells it of one.
    """

    seat: Seat


class Checked(Message, frozen=True, tag="checked"):
    """Sent by the committer when a spoken check has ended, and in each epoch in which it still counts.

    For the board and the audit stream. Who comes in makes the server forget it: only pages know who is who.
    """

    generation: Generation
    epoch: Epoch
    verified: bool


ClientMessage = (
    Hello
    | Knock
    | Enter
    | Leave
    | Act
    | Answer
    | RestartMedia
    | DeviceAnswer
    | SendKeyPackage
    | SendCommit
    | SayReady
    | SendSealed
    | Resync
    | OpenPair
    | Checked
)


# ---- from the server to the page -----------------------------------------------------------------------


class Welcome(Message, frozen=True, tag="welcome"):
    """Sent first. ``now`` is server time in milliseconds since the epoch, for showing durations."""

    seat: Seat
    role: Literal["patient", "host"]
    now: int


class Other(Struct, frozen=True, rename="kebab"):
    """Another participant in the room.

    Attributes:
        slot: which received tracks are theirs.
        sends: what of theirs is sent; screen (no camera) or sound while their link is weak.
        camera, screen: pictures of it come from them, or would come were their link not weak.
    """

    seat: Seat
    label: str
    slot: int
    presence: Literal["absent", "connected", "away"]
    muted: bool
    sends: Literal["all", "screen", "sound"]
    camera: bool
    screen: bool


class Place(Message, frozen=True, tag="place"):
    """Sent to a patient: their own place, and who is in the room while they are in it.

    Attributes:
        state: expected, waiting, asked-to-wait, admitted, paused (admitted, no clinician present), held,
            denied, removed, left, ended, or asking-device (another device of this seat is being asked).
        since: milliseconds since the epoch.
        device_asks: number of the asking of another device that wants this place; 0 while none does.
        store_ok: false while nobody can be let in for want of the audit stream.
        receives: what is sent to this page; screen (no cameras) or sound while its link is weak.
        sends: what this page is to send, likewise; both say all outside the room.
        encryption: transport-only where the server could decrypt, because programs publish; a page that
            holds a link secret refuses such a session.
    """

    seat: Seat
    label: str
    state: str
    since: int
    reason: str | None
    muted: bool
    agreed: bool
    others: tuple[Other, ...]
    device_asks: int
    store_ok: bool
    ends: int
    receives: Literal["all", "screen", "sound"]
    sends: Literal["all", "screen", "sound"]
    encryption: EncryptionWord


class RosterSeat(Struct, frozen=True, rename="kebab"):
    """One seat on a host's page; times in milliseconds since the epoch; no ``slot`` for one's own seat.

    Attributes:
        program: a program that publishes is there, not a page.
        unshown: its picture comes in a format that this page's browser does not show.
        unreached: its page is connected, but for seconds no way was found for its sound and picture.
        quality: how well its transport carries; null while it has none. Says what held for seconds.
        path: how its media reaches this server; turn is through our own TURN server, while who comes through
            an external one comes as udp. Null while it has no transport.
        receives: what is sent to its page; screen (no cameras) or sound while its link is weak.
        sends: what its page is to send, likewise.
        camera, screen: in the room, pictures of it come from the seat, or would come were its link not weak.
    """

    seat: Seat
    label: str
    role: Literal["patient", "host"]
    slot: int | None
    state: str
    since: int
    presence: Literal["absent", "connected", "away"]
    presence_since: int
    in_room: bool
    muted: bool
    agreed: bool
    knocks: int
    new_device: bool
    program: bool
    unshown: bool
    unreached: bool
    suite: str | None
    quality: Literal["good", "fair", "weak"] | None
    path: Literal["udp", "tcp", "turn"] | None
    receives: Literal["all", "screen", "sound"]
    sends: Literal["all", "screen", "sound"]
    camera: bool
    screen: bool


class Roster(Message, frozen=True, tag="roster"):
    """Sent to a host: the whole session, as seats.

    Attributes:
        entered: this host's seat is in the room.
        media_here: the seat's media is on this very page, not on another tab.
    """

    me: Seat
    entered: bool
    media_here: bool
    open: bool
    clinician_present: bool
    store_ok: bool
    starts: int
    ends: int
    kind: Literal["individual", "couple"]
    seats: tuple[RosterSeat, ...]
    encryption: EncryptionWord


class IceServer(Struct, frozen=True, rename="kebab"):
    """A TURN server that the page may go through where UDP is blocked, and its short-lived credential."""

    urls: tuple[str, ...]
    username: str
    credential: str

    def __repr__(self) -> str:
        return f"IceServer(urls={self.urls})"


class Offer(Message, frozen=True, tag="offer"):
    """Sent when a transport is to be made (``restart`` false: a new connection) or ICE restarted (true).

    Attributes:
        ice_servers: in place of those of an earlier offer.
    """

    sdp: str
    restart: bool
    ice_servers: tuple[IceServer, ...] = ()


class Reply(Message, frozen=True, tag="reply"):
    """Answers the request with that id. ``code`` is null when done, else why not; ``text`` is for people."""

    id: RequestId
    code: str | None
    text: str | None = None


class ErrorMessage(Message, frozen=True, tag="error"):
    """A message that could not be understood or is not allowed now; the connection stays open."""

    code: str
    text: str


class Bye(Message, frozen=True, tag="bye"):
    """The last message before the server closes the connection, saying why and what to do."""

    code: str
    text: str


class Group(Message, frozen=True, tag="group"):
    """Sent to a page that is to be in a group. In place of what it was told of this group before.

    A host makes the group, once. A guest answers each with a fresh ``key-package``, also when the generation
    is the one it knows: it was out, or its keys are lost, and it is to be put in anew. A guest that waits is
    asked once, at its knock; nothing about others can be told from it.
    """

    group: GroupName
    generation: Generation
    role: Literal["host", "guest"]


class Candidate(Message, frozen=True, tag="candidate"):
    """Sent to the committer when an admission is durable: add this one.

    A seat that is a member already is removed and added in the same commit.
    """

    group: GroupName
    generation: Generation
    seat: Seat
    key_package: KeyPackage
    tag: Tag


class Drop(Message, frozen=True, tag="drop"):
    """Sent to the committer: remove these, or forget them as candidates; their places have changed."""

    group: GroupName
    generation: Generation
    seats: GroupSeats


class Accepted(Message, frozen=True, tag="accepted"):
    """Sent to the committer: its commit made this epoch.

    Also after a reconnect, with the epoch that stands: a pending commit leads to it, or never arrived.
    """

    group: GroupName
    generation: Generation
    epoch: Epoch


class CommitDiscarded(Message, frozen=True, tag="commit-refused"):
    """Sent to the committer: its commit is void, the state is as it was. ``epoch`` is the one that stands.

    The candidates it named are forgotten; each that may still be added follows as ``candidate`` again.
    """

    group: GroupName
    generation: Generation
    epoch: Epoch


class GroupCommit(Message, frozen=True, tag="commit"):
    """Sent to the other members: a commit; ``epoch`` is the one it leads to."""

    group: GroupName
    generation: Generation
    epoch: Epoch
    commit: CommitBytes


class GroupWelcome(Message, frozen=True, tag="group-welcome"):
    """Sent to those a commit added: their way into this epoch."""

    group: GroupName
    generation: Generation
    epoch: Epoch
    welcome: WelcomeBytes


class MemberReady(Message, frozen=True, tag="ready"):
    """Sent to the other members: that seat has the keys of this epoch."""

    group: GroupName
    generation: Generation
    epoch: Epoch
    seat: Seat


class Sealed(Message, frozen=True, tag="sealed"):
    """Sent to the other members: what a member sealed for them."""

    group: GroupName
    generation: Generation
    seat: Seat
    message: SealedBytes


GroupTold = (
    Group | Candidate | Drop | Accepted | CommitDiscarded | GroupCommit | GroupWelcome | MemberReady | Sealed
)
ServerMessage = Welcome | Place | Roster | Offer | Reply | ErrorMessage | Bye | GroupTold


# ---- HTTP bodies ---------------------------------------------------------------------------------------

MeetingId = Annotated[str, Meta(min_length=1, max_length=64)]
SeatToken = Annotated[str, Meta(min_length=1, max_length=64)]
Password = Annotated[str, Meta(min_length=1, max_length=128)]
AccountName = Annotated[str, Meta(min_length=1, max_length=64)]


class Body(Struct, frozen=True, rename="kebab", forbid_unknown_fields=True):
    """Base of request bodies: an unknown field is a mistake worth telling."""


class LinkOpened(Body, frozen=True):
    """``POST /api/link-opened``: a seat link was opened. Always 204, whatever it was."""

    meeting: MeetingId
    seat_token: SeatToken


class EnterBody(Body, frozen=True):
    """``POST /api/enter``: open a credential session for a seat. 200 ``Entered`` or one and the same 403.

    Attributes:
        link_auth: the authenticator derived from the link secret, base64url; needed in an end-to-end
            encrypted session.
    """

    meeting: MeetingId
    seat_token: SeatToken
    password: Password
    link_auth: Annotated[str, Meta(max_length=64)] | None = None


class Entered(Struct, frozen=True, rename="kebab"):
    """What the page of a seat needs to go on. The credential itself is a cookie that scripts cannot read."""

    meeting: str
    seat: Seat
    label: str
    kind: Literal["individual", "couple"]
    agreed: bool
    state: str
    encryption: EncryptionWord


class Agreement(Struct, frozen=True, rename="kebab"):
    """``GET /api/agreement``: the current confidentiality agreement."""

    version: str
    title: str
    paragraphs: tuple[str, ...]


class AgreeBody(Body, frozen=True):
    """``POST /api/agree``: this seat accepts that version. 204, or 409 when a newer one is current."""

    meeting: MeetingId
    seat: Seat
    version: Annotated[str, Meta(max_length=64)]


class SeatBody(Body, frozen=True):
    """``POST /api/seat``, ``/api/seat-ticket``, ``/api/seat-leave``: for the seat of this page's cookie."""

    meeting: MeetingId
    seat: Seat


class Ticket(Struct, frozen=True, rename="kebab"):
    """A single-use ticket for one WebSocket connection, valid for 30 s."""

    ticket: str


class LoginBody(Body, frozen=True):
    """``POST /api/login``. 200 ``Account`` or one and the same 403."""

    name: AccountName
    password: Password


class Account(Struct, frozen=True, rename="kebab"):
    """Who is signed in."""

    name: str
    role: Literal["therapist", "admin"]


class HostTicketBody(Body, frozen=True):
    """``POST /api/host-ticket``: a ticket for the host's page. 200 ``Ticket``; 404 for all but its hosts."""

    meeting: MeetingId


class BookBody(Body, frozen=True):
    """``POST /api/sessions``: book a session. 201 ``Booked``. ``Idempotency-Key`` is required.

    Attributes:
        kind: individual or couple.
        starts, ends: RFC 3339 times with offset; at most 24 hours apart.
        host: account name of the therapist; left out, the one who books.
        cohost: account name of a second clinician.
        password_in_link: put the password into the links' fragment too.
        link_authenticator_hash: SHA-256, in hex, of the authenticator of a link secret that the caller drew,
            keeps to itself and appends to every link: the session is end-to-end encrypted.
        encryption: transport-only for a session without a link secret; only where programs may publish.
    """

    kind: Literal["individual", "couple"]
    starts: Annotated[str, Meta(max_length=40)]
    ends: Annotated[str, Meta(max_length=40)]
    host: AccountName | None = None
    cohost: AccountName | None = None
    password_in_link: bool = False
    link_authenticator_hash: Annotated[str, Meta(pattern="^[0-9a-f]{64}$", max_length=64)] | None = None
    encryption: Literal["transport-only"] | None = None


class SeatLink(Struct, frozen=True, rename="kebab"):
    """The credential of one seat: hand each person only their own."""

    seat: Seat
    label: str
    seat_token: str
    link: str


class Booked(Struct, frozen=True, rename="kebab"):
    """A booked session. The password is shown this once.

    Of an end-to-end encrypted one the links are not whole: who booked it appends ``.`` and the link secret to
    each seat's link, ``#`` and the secret to the host's.
    """

    meeting: str
    password: str
    kind: Literal["individual", "couple"]
    starts: str
    ends: str
    seats: tuple[SeatLink, ...]
    host_link: str
    encryption: EncryptionWord


class SessionSummary(Struct, frozen=True, rename="kebab"):
    """``GET /api/sessions``: one session of the practice without anything that names a person."""

    meeting: str
    kind: Literal["individual", "couple"]
    state: Literal["open", "ended"]
    starts: str
    ends: str
    host_link: str
    encryption: EncryptionWord


class BoardSeat(Struct, frozen=True, rename="kebab"):
    """One seat on the admin's live board: states, durations and numbers.

    Attributes:
        program: a program that publishes is there, not a page.
        suite: how its media is encrypted, an SRTP profile; null while it has no transport.
        tls: how its page's own connection is encrypted, protocol and suite; null without a page, and where
            a proxy terminates TLS.
        path: how its media reaches this server; turn is through our own TURN server, while who comes through
            an external one comes as udp. Null while it has no transport.
        loss_in_percent, loss_out_percent: packets lost on the way from and to the seat.
        kbps_in, kbps_out: media from and to the seat.
    """

    seat: Seat
    role: Literal["patient", "host"]
    state: str
    since: int
    presence: Literal["absent", "connected", "away"]
    waiting_ms: int | None
    program: bool
    suite: str | None
    tls: str | None
    path: Literal["udp", "tcp", "turn"] | None
    quality: Literal["good", "fair", "weak"] | None
    loss_in_percent: float | None
    loss_out_percent: float | None
    jitter_ms: float | None
    rtt_ms: float | None
    kbps_in: int | None
    kbps_out: int | None
    receives: Literal["all", "screen", "sound"]
    sends: Literal["all", "screen", "sound"]
    locked: bool


class BoardRoom(Struct, frozen=True, rename="kebab"):
    """One room on the board. ``code`` is the short code of the session; ``room`` its id for ``unlock``.

    Attributes:
        keys: suite of the room's encryption group; null while it has none.
        epoch: how often its keys were made anew.
        verified: whether the people in it compared their keys aloud; null if they did not.
    """

    room: str
    code: str
    kind: Literal["individual", "couple"]
    state: Literal["scheduled", "waiting", "live", "paused", "ended"]
    clinician_present: bool
    starts: int
    ends: int
    seats: tuple[BoardSeat, ...]
    encryption: EncryptionWord
    keys: str | None
    epoch: int | None
    verified: bool | None


class Board(Struct, frozen=True, rename="kebab"):
    """``GET /api/board`` and each event of ``GET /api/board/stream``."""

    now: int
    store_ok: bool
    rooms: tuple[BoardRoom, ...]


class AuditRecord(Struct, frozen=True, rename="kebab"):
    """One event of the audit stream: ``GET /api/audit`` and each event of ``GET /api/audit/stream``.

    Attributes:
        index: its place in the ledger, from 0 without a gap.
        time_us: store time, microseconds since the epoch.
        subject_seq: its number among the events of its subject, from 1 without a gap.
        actor: a seat or an opaque staff id, never a name.
        reason: a code or what a host wrote.
    """

    index: int
    time_us: int
    type: str
    outcome: Literal["ok", "refused", "failed"]
    actor: str
    subject: str
    subject_seq: int
    session: str | None
    seat: str | None
    reason: str | None
    detail: dict[str, str | int | bool]


class AuditPage(Struct, frozen=True, rename="kebab"):
    """``GET /api/audit``: a stretch of the audit stream.

    Attributes:
        after: ask for more with this; unchanged when there was nothing more.
    """

    records: tuple[AuditRecord, ...]
    after: int


class Problem(Struct, frozen=True, rename="kebab", omit_defaults=True):
    """An RFC 9457 problem document: every HTTP error has this body."""

    type: str
    title: str
    status: int
    code: str
    detail: str | None = None
