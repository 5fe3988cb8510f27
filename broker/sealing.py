"""Sealing what the store keeps: XChaCha20-Poly1305, with keys that live elsewhere.

The store, its append-only file, its replicas and its backups hold ciphertext; the keys are small files in
a directory of their own, so destroying a key destroys what it sealed, wherever copies are.

    <keys>/tag-1.key      HMAC-SHA-256: subject → 16-byte tag, so that records of one subject can be
                          found without naming the subject
    <keys>/ledger-1.key   bodies of audit records
    <keys>/answer-1.key   answers kept for a repeated Idempotency-Key
    <keys>/staff-1.key    names of staff accounts

A sealed body names its key by id (``ledger-1``). Keys per subject and quarter, wrapped by the practice's
key, come later under other ids; nothing that is stored then changes.

The only module that imports PyNaCl.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from pathlib import Path
from typing import Final

from nacl import bindings
from nacl.exceptions import CryptoError  # BadSignatureError is one

from broker.errors import BadInput, UnsafeFiles
from broker.files import private_directory
from broker.private import Private

LEDGER_KEY: Final = "ledger-1"
ANSWER_KEY: Final = "answer-1"
STAFF_KEY: Final = "staff-1"
_TAG_KEY: Final = "tag-1"
_KEY_SIZE: Final = 32
_NONCE_SIZE: Final = 24


class Keyring:
    """The practice's keys.

    Args:
        directory: mode 0700, ours, and outside the store's data directory; made when missing, as are
            the keys in it.

    Raises:
        UnsafeFiles: ``unsafe-files`` when others could read the directory or a key, or a key is cut short.
    """

    def __init__(self, directory: Path) -> None:
        private_directory(directory)
        self._keys: dict[str, Private[bytes]] = {}
        for key_id in (_TAG_KEY, LEDGER_KEY, ANSWER_KEY, STAFF_KEY):
            self._keys[key_id] = _load_or_make(directory, key_id)

    def tag(self, subject: str) -> bytes:
        """Return the 16 bytes that stand for a subject: HMAC-SHA-256 under the tag key, truncated."""
        key = self._keys[_TAG_KEY].reveal()
        return hmac.digest(key, subject.encode("utf-8", "surrogatepass"), hashlib.sha256)[:16]

    def seal(self, key_id: str, plain: bytes, aad: bytes) -> bytes:
        """Encrypt and bind.

        Args:
            key_id: `LEDGER_KEY`, `ANSWER_KEY` or `STAFF_KEY`.
            plain: any length.
            aad: stays readable, and cannot be changed without `unseal` noticing.

        Returns:
            24-byte random nonce, then ciphertext (16 bytes longer than ``plain``).
        """
        nonce = secrets.token_bytes(_NONCE_SIZE)
        key = self._keys[key_id].reveal()
        return nonce + bindings.crypto_aead_xchacha20poly1305_ietf_encrypt(plain, aad, nonce, key)

    def unseal(self, key_id: str, sealed: bytes, aad: bytes) -> bytes:
        """Undo `seal`.

        Raises:
            BadInput: ``cannot-unseal``: the key is gone or not ours, or anything was altered.
        """
        key = self._keys.get(key_id)
        if key is None or len(sealed) < _NONCE_SIZE + 16:
            raise BadInput("cannot-unseal")
        try:
            return bindings.crypto_aead_xchacha20poly1305_ietf_decrypt(
                sealed[_NONCE_SIZE:], aad, sealed[:_NONCE_SIZE], key.reveal()
            )
        except CryptoError:
            raise BadInput("cannot-unseal") from None


def is_signed(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether an Ed25519 signature (RFC 8032 §5.1.7) is that of a message under a key.

    Args:
        public_key: 32 bytes, from outside.
        message: any length.
        signature: 64 bytes, from outside.
    """
    if len(public_key) != bindings.crypto_sign_PUBLICKEYBYTES or len(signature) != bindings.crypto_sign_BYTES:
        return False
    try:
        bindings.crypto_sign_open(signature + message, public_key)
    except CryptoError:
        return False
    return True


def _load_or_make(directory: Path, key_id: str) -> Private[bytes]:
    path = directory / f"{key_id}.key"
    if not path.exists():
        _make(directory, path)
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        found = os.fstat(fd)
        key = os.read(fd, _KEY_SIZE + 1)
    finally:
        os.close(fd)
    if found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise UnsafeFiles("A key file must be ours, with mode 0600.")
    if len(key) != _KEY_SIZE:
        # A new key in its place would make everything sealed before unreadable, silently.
        raise UnsafeFiles("A key file does not hold 32 bytes; restore it from your copy.")
    return Private(key)


def _make(directory: Path, path: Path) -> None:
    """Make a key file whole or not at all, and let the first of two processes win."""
    draft = directory / f".{secrets.token_hex(8)}"
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, secrets.token_bytes(_KEY_SIZE))
        os.fsync(fd)
    finally:
        os.close(fd)
    try:
        os.link(draft, path)
    except FileExistsError:
        pass  # another process was first; its key is the key
    finally:
        draft.unlink()
    parent = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(parent)
    finally:
        os.close(parent)
