"""Meeting IDs, seat tokens, passwords, event ids: made from the operating system's randomness.

People read, type and dictate some of these, so they use Crockford's base 32 (no i, l, o, u), and
reading them back forgives what people do: case, spaces, dashes, o for 0, i and l for 1.

    meeting ID   128 bits   26 characters, lower case      names a session; not a secret by itself
    seat token    80 bits   A-XXXX-XXXX-XXXX-XXXX          the credential of one seat
    password      50 bits   XXXXX-XXXXX                    opens the waiting room, never the room
    secret       256 bits   43 characters, base64url       cookies, tickets, link secrets
    event id     128 bits   16 bytes                       makes writing an event twice harmless
    code         5 bits a character                        names an account or a device; no secret

Every reader here is total: whatever comes in, either a value or one `BadInput` comes out.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from typing import Final, NewType

from broker.errors import BadInput
from broker.private import Private

MeetingId = NewType("MeetingId", str)
"""26 lower-case Crockford characters; the first is 0 to 7, since 26 x 5 bits are two more than 128."""

_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_FORGIVE: Final = str.maketrans("oil", "011", "- \t")
_MEETING: Final = re.compile(r"[0-7][0-9a-hjkmnp-tv-z]{25}")
_SEAT: Final = re.compile(r"[A-Z][A-Z0-9]{0,3}")
_MAX_TYPED: Final = 128


def _crockford(bits: int) -> str:
    number = secrets.randbits(bits)
    return "".join(_ALPHABET[number >> shift & 31] for shift in range((bits + 4) // 5 * 5 - 5, -5, -5))


def _typed(text: str, length: int, code: str) -> str:
    """Undo what typing does to a Crockford string; ``length`` characters must remain."""
    if len(text) <= _MAX_TYPED and text.isascii():
        plain = text.lower().translate(_FORGIVE)
        if len(plain) == length and all(letter in _ALPHABET for letter in plain):
            return plain
    raise BadInput(code)


def _grouped(plain: str, size: int) -> str:
    return "-".join(plain[at : at + size] for at in range(0, len(plain), size))


def new_meeting_id() -> MeetingId:
    """Make a meeting ID: 128 random bits, never issued twice (the store refuses a used one)."""
    return MeetingId(_crockford(128))


def parse_meeting_id(text: str) -> MeetingId:
    """Read a meeting ID as a person may have typed it.

    Raises:
        BadInput: ``bad-meeting-id``.
    """
    plain = _typed(text, 26, "bad-meeting-id")
    if not _MEETING.fullmatch(plain):
        raise BadInput("bad-meeting-id")
    return MeetingId(plain)


def is_meeting_id(text: object) -> bool:
    """Tell whether ``text`` is a meeting ID exactly as we write it."""
    return isinstance(text, str) and _MEETING.fullmatch(text) is not None


def short_code(meeting_id: str) -> str:
    """Return the first six characters, which are enough to tell sessions apart on a screen or in a log."""
    return meeting_id[:6]


def parse_seat(text: str) -> str:
    """Read a seat code (a letter, then at most three letters or digits); case is forgiven.

    Raises:
        BadInput: ``bad-seat``.
    """
    if len(text) <= _MAX_TYPED and text.isascii() and _SEAT.fullmatch(text.upper()):
        return text.upper()
    raise BadInput("bad-seat")


def new_event_id() -> bytes:
    """Make the id of one audit event: 16 random bytes."""
    return secrets.token_bytes(16)


def new_code(length: int) -> str:
    """Make an opaque code that names something without telling anything, such as a staff account.

    Args:
        length: Crockford characters of 5 random bits each.
    """
    return _crockford(5 * length)


def new_secret() -> Private[str]:
    """Make a secret of 256 bits in base64url without padding (43 characters)."""
    return Private(secrets.token_urlsafe(32))


def parse_secret(text: str) -> Private[str]:
    """Read a secret made by `new_secret`.

    Raises:
        BadInput: ``bad-secret``.
    """
    if re.fullmatch(r"[A-Za-z0-9_-]{43}", text):
        raw = base64.urlsafe_b64decode(text + "=")
        # 43 characters carry 258 bits; a second spelling of the same 256 must not be accepted.
        if base64.urlsafe_b64encode(raw).rstrip(b"=") == text.encode():
            return Private(text)
    raise BadInput("bad-secret")


def new_password() -> Private[str]:
    """Make a meeting password: 50 bits, ``XXXXX-XXXXX``, in capitals for reading aloud."""
    return Private(_grouped(_crockford(50), 5).upper())


def parse_password(text: str) -> Private[str]:
    """Read a meeting password as typed; returns it exactly as `new_password` wrote it.

    Raises:
        BadInput: ``bad-password``.
    """
    return Private(_grouped(_typed(text, 10, "bad-password"), 5).upper())


def new_seat_token(seat: str) -> Private[str]:
    """Make the credential of one seat: its code, then 80 random bits.

    Args:
        seat: seat code, as on the roster.

    Raises:
        BadInput: ``bad-seat``.
    """
    return Private(f"{parse_seat(seat)}-{_grouped(_crockford(80), 4).upper()}")


def parse_seat_token(text: str) -> tuple[str, Private[str]]:
    """Read a seat token as typed.

    Returns:
        The seat it claims, and the whole token exactly as `new_seat_token` wrote it, which is what
        `digest` is taken of: so the seat is part of the secret and cannot be exchanged.

    Raises:
        BadInput: ``bad-seat-token``.
    """
    if len(text) > _MAX_TYPED:
        raise BadInput("bad-seat-token")
    # Dashes may be left out or typed as blanks, so the seat is what stands before the last 16 characters.
    plain = "".join(text.replace("-", " ").split())
    try:
        seat = parse_seat(plain[:-16])
    except BadInput:
        raise BadInput("bad-seat-token") from None
    return seat, Private(f"{seat}-{_grouped(_typed(plain[-16:], 16, 'bad-seat-token'), 4).upper()}")


def digest(secret: Private[str]) -> str:
    """Return the SHA-256 of a token or secret in lower-case hex, the only form the store keeps.

    Plain SHA-256 is right here and only here: these carry 80 bits or more, so there is nothing to
    guess. Passwords go through `broker.passwords`.
    """
    return hashlib.sha256(secret.reveal().encode("utf-8", "surrogatepass")).hexdigest()
