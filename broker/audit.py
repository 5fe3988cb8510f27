r"""What the ledger records, and the exact bytes of one record.

A record's bytes are the input of the ledger's hash **verbatim, never re-serialised**: they are written
once, inside the store's script, and every later reader hashes what it reads. All integers big-endian.

    offset  size  field
         0    11  b"qr-audit/1\0"
        11     8  index          0, 1, 2 … in the practice's ledger, without a hole
        19     8  store time     microseconds since 1970, by the store's clock
        27     8  subject seq    1, 2, 3 … per subject tag, without a hole
        35    16  event id       random; the same event written twice is stored once
        51    16  subject tag    HMAC-SHA-256(tag key, subject)[:16]
        67     2  h              length of the header
        69     h  header         canonical ASCII JSON, see `Header`
      69+h    24  nonce          XChaCha20-Poly1305
      93+h     …  ciphertext     the event, sealed; AAD = event id ‖ subject tag ‖ header

Index, time and sequence are given by the store within the script that also makes the change, so two
nodes never disagree about the order. The event id and tag are in the AAD, so that a sealed body cannot be
moved to another subject.

Pure: nothing here knows a key, a socket or the time.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Literal

import msgspec

from broker.errors import BadInput

MAGIC: Final = b"qr-audit/1\0"
MAX_LEAF: Final = 8192
_FIXED: Final = struct.Struct(">QQQ16s16sH")
_NONCE: Final = 24
_MAC: Final = 16
_MAX_HEADER: Final = 512
_MAX_DETAIL: Final = 16
_MAX_TEXT: Final = 200


class EventType(StrEnum):
    """Everything that is recorded. The value is the name on the wire and in the ledger."""

    SESSION_BOOKED = "session.booked"
    SESSION_ENDED = "session.ended"
    LINK_OPENED = "link.opened"
    AUTH_OK = "auth.ok"
    AUTH_FAILED = "auth.failed"
    AUTH_LOCKED = "auth.locked"
    AUTH_UNLOCKED = "auth.unlocked"
    AGREEMENT_ACCEPTED = "agreement.accepted"
    SEAT_KNOCKED = "seat.knocked"
    SEAT_ADMITTED = "seat.admitted"
    SEAT_DENIED = "seat.denied"
    SEAT_HELD = "seat.held"
    SEAT_RESUMED = "seat.resumed"
    SEAT_MOVED_BACK = "seat.moved-back"
    SEAT_MUTED = "seat.muted"
    SEAT_UNMUTED = "seat.unmuted"
    SEAT_REMOVED = "seat.removed"
    SEAT_READMITTED = "seat.readmitted"
    SEAT_LEFT = "seat.left"
    SEAT_AWAY = "seat.away"
    SEAT_RECONNECTED = "seat.reconnected"
    SEAT_ENTERED = "seat.entered"
    SEAT_DEVICE_ASKED = "seat.device-asked"
    SEAT_DEVICE_CHANGED = "seat.device-changed"
    MEDIA_UP = "media.up"
    MEDIA_DOWN = "media.down"
    KEYS_ROTATED = "keys.rotated"
    KEYS_CHECKED = "keys.checked"
    STAFF_ADDED = "staff.added"
    STAFF_LOGIN = "staff.login"
    STAFF_LOGIN_FAILED = "staff.login-failed"
    STAFF_LOGOUT = "staff.logout"
    BOARD_VIEWED = "board.viewed"
    STATUS_VIEWED = "status.viewed"
    ROSTER_VIEWED = "roster.viewed"
    AUDIT_VIEWED = "audit.viewed"
    AUTHZ_DENIED = "authz.denied"
    SERVER_STARTED = "server.started"
    SERVER_STOPPED = "server.stopped"

    @property
    def action(self) -> Literal["C", "R", "U", "D", "E"]:
        """The FHIR AuditEvent action: create, read, update, delete, execute."""
        return _ACTIONS.get(self, "E")


_ACTIONS: Final[dict[EventType, Literal["C", "R", "U", "D", "E"]]] = {
    EventType.SESSION_BOOKED: "C",
    EventType.STAFF_ADDED: "C",
    EventType.BOARD_VIEWED: "R",
    EventType.STATUS_VIEWED: "R",
    EventType.ROSTER_VIEWED: "R",
    EventType.AUDIT_VIEWED: "R",
    EventType.AUTH_UNLOCKED: "U",
    EventType.AGREEMENT_ACCEPTED: "U",
    EventType.SEAT_ADMITTED: "U",
    EventType.SEAT_DENIED: "U",
    EventType.SEAT_HELD: "U",
    EventType.SEAT_RESUMED: "U",
    EventType.SEAT_MOVED_BACK: "U",
    EventType.SEAT_MUTED: "U",
    EventType.SEAT_UNMUTED: "U",
    EventType.SEAT_REMOVED: "U",
    EventType.SEAT_READMITTED: "U",
    EventType.SESSION_ENDED: "U",
}

Outcome = Literal["ok", "refused", "failed"]


class AuditEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened, as it is sealed into the ledger.

    Args:
        type: what happened.
        actor: who did it: a seat (``<meeting id>/A``), a staff id, or ``system``. Never a name.
        subject: whom or what it is about; its records are numbered 1, 2, 3 … Never a name.
        session: the meeting ID, when it belongs to a session.
        seat: the seat it is about.
        reason: a stable code such as ``clinician-lost``.
        outcome: ``ok``, ``refused`` (policy said no) or ``failed`` (tried, and wrong).
        detail: at most 16 small facts; keys and text at most 200 characters. No content of the session.
    """

    type: EventType
    actor: str
    subject: str
    session: str | None = None
    seat: str | None = None
    reason: str | None = None
    outcome: Outcome = "ok"
    detail: dict[str, str | int | bool] = {}


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """The part of a record that stays readable without keys. Written once, as canonical ASCII JSON.

    Canonical: exactly these six keys in alphabetical order, without spaces:
    ``{"a":…,"k":…,"n":…,"o":…,"q":…,"t":…}``.

    Args:
        t: event type.
        a: action, one of C, R, U, D, E.
        o: outcome.
        n: the node (one run of one server process) that wrote it, at most 32 characters.
        q: number of the event within that node, dense from 0: a hole shows that the store lost something.
        k: id of the key that sealed the body.
    """

    t: str
    a: str
    o: str
    n: str
    q: int
    k: str


@dataclass(frozen=True, slots=True)
class Prepared:
    """An event with everything but its place in the ledger: what a script of the store is given.

    Sending the same `Prepared` twice stores it once, so an unanswered attempt may always be repeated.

    Args:
        event_id: 16 bytes.
        subject_tag: 16 bytes.
        header: from `encode_header`.
        sealed: nonce and ciphertext.
        session: meeting ID, or empty.
        node_seq: the number that stands in the header; given back when the event was not needed.
    """

    event_id: bytes
    subject_tag: bytes
    header: bytes
    sealed: bytes
    session: str
    node_seq: int


@dataclass(frozen=True, slots=True)
class Receipt:
    """The store's durable answer: where an event stands.

    Args:
        index: position in the ledger, from 0.
        time_us: store time, microseconds since 1970.
        subject_seq: position among the records of its subject, from 1.
    """

    index: int
    time_us: int
    subject_seq: int


@dataclass(frozen=True, slots=True)
class Leaf:
    """One record, taken apart.

    Args:
        index: position in the ledger, from 0.
        time_us: store time, microseconds since 1970.
        subject_seq: position among the records of its subject, from 1.
        event_id: 16 bytes.
        subject_tag: 16 bytes.
        header: the clear part.
        header_bytes: the clear part exactly as stored.
        sealed: nonce and ciphertext.
        raw: the whole record, which is what is hashed.
    """

    index: int
    time_us: int
    subject_seq: int
    event_id: bytes
    subject_tag: bytes
    header: Header
    header_bytes: bytes
    sealed: bytes
    raw: bytes

    @property
    def aad(self) -> bytes:
        """What the ciphertext is bound to."""
        return associated_data(self.event_id, self.subject_tag, self.header_bytes)


def associated_data(event_id: bytes, subject_tag: bytes, header: bytes) -> bytes:
    """Return the AAD of a record's body: event id ‖ subject tag ‖ header."""
    return event_id + subject_tag + header


def encode_header(event: AuditEvent, node: str, node_seq: int, key_id: str) -> bytes:
    """Write the clear header of an event.

    Args:
        event: the event.
        node: this run of this server, 1 to 32 printable ASCII characters.
        node_seq: dense from 0 within the node.
        key_id: which key seals the body.
    """
    return _canonical(
        {
            "a": event.type.action,
            "k": key_id,
            "n": node,
            "o": event.outcome,
            "q": node_seq,
            "t": event.type.value,
        }
    )


def encode_body(event: AuditEvent) -> bytes:
    """Write what will be sealed.

    Raises:
        BadInput: ``bad-event`` when a field is too long, so that the record would exceed 8 KiB.
    """
    texts = [event.actor, event.subject, event.session, event.seat, event.reason, *event.detail]
    texts += [value for value in event.detail.values() if isinstance(value, str)]
    if len(event.detail) > _MAX_DETAIL or any(text is not None and len(text) > _MAX_TEXT for text in texts):
        raise BadInput("bad-event", "An audit event holds at most 16 details of at most 200 characters.")
    numbers = [value for value in event.detail.values() if isinstance(value, int)]
    if any(abs(number) > 2**53 for number in numbers):
        raise BadInput("bad-event", "A number in an audit event is one that every reader can hold.")
    try:
        body = msgspec.json.encode(event)
    except (UnicodeEncodeError, OverflowError, TypeError, ValueError):
        raise BadInput("bad-event", "An audit event holds text, whole numbers and truth values.") from None
    if len(body) > MAX_LEAF - 1024:
        raise BadInput("bad-event", "An audit event fits into 8 KiB.")
    return body


def decode_body(body: bytes) -> AuditEvent:
    """Read an unsealed body.

    Raises:
        BadInput: ``bad-leaf``.
    """
    try:
        return _BODY.decode(body)
    except (msgspec.DecodeError, RecursionError, ValueError):
        raise BadInput("bad-leaf") from None


def encode_leaf(
    index: int,
    time_us: int,
    subject_seq: int,
    event_id: bytes,
    subject_tag: bytes,
    header: bytes,
    sealed: bytes,
) -> bytes:
    """Write a whole record, exactly as the store's script does; for tests and for restoring.

    Args:
        index: position in the ledger, from 0.
        time_us: microseconds since 1970.
        subject_seq: from 1.
        event_id: 16 bytes.
        subject_tag: 16 bytes.
        header: from `encode_header`.
        sealed: nonce (24 bytes) and ciphertext.
    """
    fixed = _FIXED.pack(index, time_us, subject_seq, event_id, subject_tag, len(header))
    return MAGIC + fixed + header + sealed


def parse_leaf(raw: bytes) -> Leaf:
    """Take a record apart. Total and strict: a record has one spelling only.

    Args:
        raw: at most 8 KiB.

    Raises:
        BadInput: ``bad-leaf``.
    """
    start = len(MAGIC) + _FIXED.size
    if not start <= len(raw) <= MAX_LEAF or not raw.startswith(MAGIC):
        raise BadInput("bad-leaf")
    index, time_us, subject_seq, event_id, tag, size = _FIXED.unpack_from(raw, len(MAGIC))
    header_bytes, sealed = raw[start : start + size], raw[start + size :]
    if size > _MAX_HEADER or len(sealed) < _NONCE + _MAC or subject_seq == 0:
        raise BadInput("bad-leaf")
    try:
        header = _HEADER.decode(header_bytes)
    except (msgspec.DecodeError, RecursionError, ValueError):
        raise BadInput("bad-leaf") from None
    if _canonical(msgspec.structs.asdict(header)) != header_bytes:
        raise BadInput("bad-leaf")
    return Leaf(index, time_us, subject_seq, event_id, tag, header, header_bytes, sealed, raw)


def _canonical(fields: dict[str, Any]) -> bytes:
    return json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode("ascii")


_HEADER: Final = msgspec.json.Decoder(Header)
_BODY: Final = msgspec.json.Decoder(AuditEvent)
