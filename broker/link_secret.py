"""The link secret of a session, and the one thing about it that the server may know.

    S, 26 characters, drawn where a session is booked ──▶ behind the # of every link; the server never has it
      └─ HKDF-SHA-512 ─▶ authenticator (32 bytes), shown to enter ── SHA-256 ─▶ stored with the session
      └─ HKDF-SHA-512 ─▶ two more keys, which only browsers derive (static/js/link-secret.js)

S has 129 bits, so neither hash nor authenticator tells anything of it or of the other keys. The command line
draws S too, where it books; it prints S within the links and keeps it nowhere.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from base64 import urlsafe_b64decode
from typing import Final

from broker.errors import BadInput
from broker.private import Private

LENGTH: Final = 26
_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_SALT: Final = b"quietroom link v1"
_AUTHENTICATOR: Final = b"server authenticator"
_HASH: Final = re.compile(r"[0-9a-f]{64}")


def draw_link_secret() -> Private[str]:
    """A fresh link secret: 26 characters of Crockford's base32, more than 129 bits.

    It begins with no digit below 8, as every meeting ID does: typed into the wrong field, it is not taken
    for one.
    """
    rest = (secrets.choice(_ALPHABET) for _ in range(LENGTH - 1))
    return Private(secrets.choice(_ALPHABET[8:]) + "".join(rest))


def link_auth_of(secret: Private[str]) -> str:
    """What a booking stores of a link secret."""
    return authenticator_hash(authenticator_of(secret))


def authenticator_of(secret: Private[str]) -> Private[bytes]:
    """The 32 bytes by which the server recognises who has the secret.

    Args:
        secret: as `draw_link_secret` writes it.
    """
    # RFC 5869; one block of SHA-512 is more than enough, so expanding is a single step.
    extracted = hmac.digest(_SALT, secret.reveal().encode(), hashlib.sha512)
    return Private(hmac.digest(extracted, _AUTHENTICATOR + b"\1", hashlib.sha512)[:32])


def authenticator_hash(authenticator: Private[bytes]) -> str:
    """What is stored of an authenticator: SHA-256, 64 hex digits. 256 random bits need no slow hash."""
    return hashlib.sha256(authenticator.reveal()).hexdigest()


def parse_authenticator(text: str) -> Private[bytes]:
    """Read an authenticator as a page shows it.

    Args:
        text: base64url without padding; anything at all.

    Raises:
        BadInput: ``bad-authenticator``.
    """
    if not re.fullmatch(r"[A-Za-z0-9_-]{43}", text):
        raise BadInput("bad-authenticator")
    return Private(urlsafe_b64decode(text + "="))


def is_authenticator_hash(text: str) -> bool:
    """Whether this is spelt as `authenticator_hash` spells it."""
    return _HASH.fullmatch(text) is not None


def opens(shown: Private[bytes] | None, stored: str) -> bool:
    """Whether what was shown is what a session asks for; nothing is asked where no hash is stored.

    Takes the same work whatever was shown.

    Args:
        shown: an authenticator, or ``None``.
        stored: hash of the right one; empty where there is none.
    """
    found = authenticator_hash(shown or Private(bytes(32)))
    return hmac.compare_digest(found, stored or found)
