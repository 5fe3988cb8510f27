"""A booked session and its seats, as the store has them.

The store keeps one hash per session: a few fields of the session itself and, for each seat code in
``seats``, fields named ``A.state``, ``A.since`` and so on. Here that hash becomes typed values. Reading is
total: a hash that no script of ours can have written gives one coded error, never a half-read session.

    credentials are good        ┌──────────────────────────┐
    ────────────────────────────┘                          └─────────
                        15 min before start               end

Pure: ``now_ms`` comes in; it should be store time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from broker.errors import QuietroomError
from broker.ids import MeetingId
from broker.link_secret import is_authenticator_hash
from broker.private import Private
from broker.seats import PLANS, SeatCode, SeatRole, SeatState, SessionKind

EARLY_MS: Final = 15 * 60 * 1000
"""How long before the start a credential opens the waiting room."""

MAX_LENGTH_MS: Final = 24 * 3600 * 1000
"""The longest window that may be booked."""

_MAX_NUMBER: Final = 2**53


class DamagedRecord(QuietroomError):
    """A hash in the store is not one that our scripts write."""

    def __init__(self) -> None:
        super().__init__("damaged-record", "A stored session cannot be read; tell the operator.")


@dataclass(frozen=True, slots=True)
class Seat:
    """One seat of a session.

    Attributes:
        place: its number within the session, from 0; fixes which slot its media takes.
        since_ms: since when it is in ``state``, store time.
        epoch: counts removals; a credential session of an earlier epoch is over.
        token_hash: SHA-256 of the seat token in hex; empty for a host's seat, which opens by care relation.
        agreed: version of the agreement this seat accepted last.
        reason: what its person was told at the last closing move.
        arrived_ms: store time of the first knock.
        knocks: how often it knocked.
        device: the credential session opened last.
        holder: the device that has its place, or had it last: to whom it was given, and who took it since.
    """

    code: SeatCode
    role: SeatRole
    label: str
    place: int
    state: SeatState
    since_ms: int
    epoch: int
    token_hash: str
    agreed: str | None
    muted: bool
    reason: str | None
    arrived_ms: int | None
    knocks: int
    device: str | None
    holder: str | None


@dataclass(frozen=True, slots=True)
class Session:
    """One booked session.

    Attributes:
        open: not ended; whether it is within its window is asked of ``admits``.
        host, cohost: staff ids of the clinicians whose session it is.
        starts_ms, ends_ms: milliseconds since 1970.
        capacity: how many seats may be in the room at once.
        rev: raised by every change.
        seats: in the order of their places.
        password: PHC string of the meeting password.
        link_auth: SHA-256 of the link secret's authenticator in hex; empty when there is no link secret and
            the media is encrypted on its transports only.
    """

    meeting: MeetingId
    kind: SessionKind
    open: bool
    host: str
    cohost: str | None
    starts_ms: int
    ends_ms: int
    capacity: int
    rev: int
    seats: dict[SeatCode, Seat]
    password: Private[str]
    link_auth: str

    def admits(self, now_ms: int) -> bool:
        """Whether credentials are good now: open, from 15 minutes before the start until the end."""
        return self.open and self.starts_ms - EARLY_MS <= now_ms < self.ends_ms

    def host_seat(self, staff_id: str) -> SeatCode | None:
        """The seat a clinician has by care relation: ``T`` for the host, ``C`` for the cohost, or none."""
        for code, holder in (("T", self.host), ("C", self.cohost)):
            if holder is not None and holder == staff_id and SeatCode(code) in self.seats:
                return SeatCode(code)
        return None


class Encryption(StrEnum):
    """Between whom a session's media and messages are encrypted; the word on the wire."""

    END_TO_END = "end-to-end"
    TRANSPORT_ONLY = "transport-only"


def session_is_e2ee(session: Session) -> bool:
    """Whether only its people's devices can decrypt this session's media.

    A program whose media the server would decrypt on the way is refused then.
    """
    return session.link_auth != ""


def encryption_of(session: Session) -> Encryption:
    """The word for it."""
    return Encryption.END_TO_END if session_is_e2ee(session) else Encryption.TRANSPORT_ONLY


def parse_session(meeting: MeetingId, raw: Mapping[str, str]) -> Session | None:
    """Read the hash of a session.

    Args:
        meeting: its id.
        raw: fields as the store returned them; empty when there is no such session.

    Returns:
        The session, or ``None`` for an empty hash.

    Raises:
        DamagedRecord: ``damaged-record``.
    """
    if not raw:
        return None
    try:
        codes = [SeatCode(code) for code in raw["seats"].split(",")]
        seats = {code: _seat(code, place, raw) for place, code in enumerate(codes)}
        if len(seats) != len(codes) or raw["state"] not in ("open", "ended") or not raw["host"]:
            raise DamagedRecord
        return Session(
            meeting=meeting,
            kind=SessionKind(raw["kind"]),
            open=raw["state"] == "open",
            host=raw["host"],
            cohost=raw.get("cohost") or None,
            starts_ms=_number(raw["starts"]),
            ends_ms=_number(raw["ends"]),
            capacity=_number(raw["capacity"]),
            rev=_number(raw.get("rev") or "0"),
            seats=seats,
            password=Private(raw["password"]),
            link_auth=_link_auth(raw.get("link-auth", "")),
        )
    except (KeyError, ValueError):
        raise DamagedRecord from None


def _seat(code: SeatCode, place: int, raw: Mapping[str, str]) -> Seat:
    """Read one seat; KeyError or ValueError when it cannot be."""
    plan = PLANS[code]
    arrived = raw.get(f"{code}.arrived")
    return Seat(
        code=code,
        role=plan.role,
        label=plan.label,
        place=place,
        state=SeatState(raw[f"{code}.state"]),
        since_ms=_number(raw.get(f"{code}.since") or "0"),
        epoch=_number(raw.get(f"{code}.epoch") or "0"),
        token_hash=raw.get(f"{code}.token", ""),
        agreed=raw.get(f"{code}.agreed") or None,
        muted=raw.get(f"{code}.muted") == "1",
        reason=raw.get(f"{code}.notice") or None,
        arrived_ms=_number(arrived) if arrived else None,
        knocks=_number(raw.get(f"{code}.knocks") or "0"),
        device=raw.get(f"{code}.device") or None,
        holder=raw.get(f"{code}.holder") or None,
    )


def _link_auth(text: str) -> str:
    """The hash of an authenticator. Damaged it is not none: that would turn encryption off."""
    if text and not is_authenticator_hash(text):
        raise ValueError
    return text


def _number(text: str) -> int:
    """A whole number as the store writes it: digits only, at most 2^53."""
    if not (text.isascii() and text.isdigit() and len(text) <= 16) or int(text) > _MAX_NUMBER:
        raise ValueError
    return int(text)
