"""The link secret of a session, and the one thing about it that the server may know.

    S, 26 characters, drawn where a session is booked ──▶ behind the # of every link; the server never has it
      └─ HKDF-SHA-512 ─▶ authenticator (32 bytes), shown to enter ── SHA-256 ─▶ stored with the session
      └─ HKDF-SHA-512 ─▶ two more keys, which only browsers derive (static/js/link-secret.js)

S has 130 bits, so neither hash nor authenticator tells anything of it or of the other keys. The command line
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

ENCRYPTED_BY_DEFAULT: Final[bool] = False
"""Whether every booking is end-to-end encrypted unless it says otherwise.

While this is false the way is open but not taken: staff pages, the command line and the demo draw no secret,
and a booking without an authenticator is taken. To be deleted, with the branches that ask it, once the pages
encrypt.
"""

LENGTH: Final = 26
_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_SALT: Final = b"quietroom link v1"
_AUTHENTICATOR: Final = b"server authenticator"
_HASH: Final = re.compile(r"[0-9a-f]{64}")


def draw_link_secret() -> Private[str]:
    """A fresh link secret: 26 characters of Crockford's base32, 130 bits."""
    return Private("".join(secrets.choice(_ALPHABET) for _ in range(LENGTH)))


def drawn_by_default() -> Private[str] | None:
    """A fresh link secret for a session booked on this machine; ``None`` while none is drawn by default."""
    return draw_link_secret() if ENCRYPTED_BY_DEFAULT else None


def link_auth_of(secret: Private[str] | None) -> str | None:
    """What a booking stores of a link secret, if it has one."""
    return None if secret is None else authenticator_hash(authenticator_of(secret))


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
