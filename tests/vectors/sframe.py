"""The cases of RFC 9605, Appendix C, for suite 5, computed from their inputs by an implementation of others.

``sframe.json`` beside this is what ``python -m tests.vectors.sframe`` writes; the RFC prints the same values.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from itertools import product
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

FILE: Final = Path(__file__).with_name("sframe.json")
SUITE: Final = 5
_BORDERS: Final = (0, *(edge for octets in range(1, 9) for edge in (256 ** (octets - 1), 256**octets - 1)))
"""The numbers at which a header grows by an octet."""


def vectors() -> dict[str, Any]:
    """Headers as [kid, ctr, encoded] in hexadecimal, and one whole frame."""
    headers = [[f"{kid:x}", f"{ctr:x}", _header(kid, ctr).hex()] for kid, ctr in product(_BORDERS, _BORDERS)]
    return {"source": "RFC 9605, Appendix C", "header": headers, "sframe": [_frame()]}


def _frame() -> dict[str, Any]:
    kid, ctr, base_key = 0x123, 0x4567, bytes(range(16))
    metadata, plain = b"IETF SFrame WG", b"draft-ietf-sframe-enc"
    secret = hmac.digest(b"", base_key, hashlib.sha512)  # HKDF-Extract without a salt (RFC 5869 §2.2)
    bound = kid.to_bytes(8, "big") + SUITE.to_bytes(2, "big")
    key = HKDFExpand(SHA512(), 32, b"SFrame 1.0 Secret key " + bound).derive(secret)
    salt = HKDFExpand(SHA512(), 12, b"SFrame 1.0 Secret salt " + bound).derive(secret)
    nonce = bytes(a ^ b for a, b in zip(salt, ctr.to_bytes(12, "big"), strict=True))
    header = _header(kid, ctr)
    sealed = AESGCM(key).encrypt(nonce, plain, header + metadata)
    texts = {
        "base_key": base_key,
        "sframe_salt": salt,
        "metadata": metadata,
        "pt": plain,
        "ct": header + sealed,
    }
    return {"kid": kid, "ctr": ctr} | {name: value.hex() for name, value in texts.items()}


def _header(kid: int, ctr: int) -> bytes:
    (kid_bits, kid_octets), (ctr_bits, ctr_octets) = _number(kid), _number(ctr)
    return bytes([kid_bits << 4 | ctr_bits]) + kid_octets + ctr_octets


def _number(value: int) -> tuple[int, bytes]:
    """Its four bits in the first octet, and its own octets (§4.3)."""
    if value < 8:
        return value, b""
    octets = value.to_bytes((value.bit_length() + 7) // 8, "big")
    return 8 | len(octets) - 1, octets


if __name__ == "__main__":
    FILE.write_text(json.dumps(vectors(), separators=(",", ":")) + "\n")
