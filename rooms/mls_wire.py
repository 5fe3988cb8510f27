"""What MLS messages (RFC 9420) show in the clear, read for the delivery service.

    MLSMessage ── PrivateMessage   group id, epoch, content type; the rest is opaque
              ├── Welcome          for which key packages it is; the rest is opaque
              └── KeyPackage       all of it: keys, credential, lifetime, two signatures

None of it is needed for confidentiality: the pages check what they are sent themselves, with keys that the
server has not. It keeps the rooms in order: what is malformed, stale or in another's name goes nowhere.

Total and bounded: whatever the bytes, the answer is a value or ``BadInput`` (``bad-group-message``), in one
pass over them. Pure: the time and the check of a signature are arguments.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import msgspec

from broker.errors import BadInput

CODE: Final = "bad-group-message"
SUITE: Final = 83
"""MLS_256_XWING_AES256GCM_SHA512_Ed25519, under the number that ts-mls 1.6.4 gives it (a private one)."""
SUITE_NAME: Final = "MLS X-Wing AES-256-GCM SHA-512 Ed25519"
MAX_KEY_PACKAGE: Final = 8_192
MAX_COMMIT: Final = 16_384
MAX_WELCOME: Final = 24_576
"""Bounds in bytes. The most that four members need is 2.7 KB, 12.3 KB and 12.8 KB (X-Wing); a commit and its
Welcome at their bounds go in one message of 64 KiB together."""
MAX_SEALED: Final = 8_192
CLOCKS_DIFFER: Final = 86_400
"""Seconds by which a browser's clock may be wrong."""

_MLS10: Final = 1
_BASIC: Final = 1
_HPKE_KEY: Final = 1_216
"""Bytes of an X-Wing public key."""
_SIGNATURE_KEY: Final = 32
_SIGNATURE: Final = 64
_MAX_MEMBERS: Final = 8

Verify = Callable[[bytes, bytes, bytes], bool]
"""Whether, under this public key (32 bytes, Ed25519), a message carries this signature (64 bytes)."""


class WireFormat(IntEnum):
    """The kinds of MLSMessage used here (RFC 9420 §17.2)."""

    PRIVATE_MESSAGE = 2
    WELCOME = 3
    KEY_PACKAGE = 5


class ContentType(IntEnum):
    """What a PrivateMessage holds (RFC 9420 §6)."""

    APPLICATION = 1
    PROPOSAL = 2
    COMMIT = 3


@dataclass(frozen=True, slots=True)
class PrivateHeader:
    """The clear part of a PrivateMessage (RFC 9420 §6.3)."""

    group_id: bytes
    epoch: int
    content: ContentType


@dataclass(frozen=True, slots=True)
class ReadKeyPackage:
    """A key package whose signatures are good.

    Attributes:
        reference: 64 bytes, the KeyPackageRef by which a Welcome names it (RFC 9420 §5.2).
        pid, name, role: what its credential says.
    """

    reference: bytes
    pid: str
    name: str
    role: str


class _Credential(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pid: str
    name: str
    role: str


_CREDENTIAL: Final = msgspec.json.Decoder(_Credential)


def read_private(raw: bytes, limit: int) -> PrivateHeader:
    """Read the header of a PrivateMessage.

    Args:
        raw: an MLSMessage.
        limit: bytes that it may have.

    Raises:
        BadInput: ``bad-group-message``.
    """
    reader = _message(raw, WireFormat.PRIVATE_MESSAGE, limit)
    group_id, epoch, content = reader.vector(), reader.number(8), reader.number(1)
    for _ in ("authenticated data", "sender data", "ciphertext"):
        reader.vector()
    reader.end()
    if content not in set(ContentType):
        raise BadInput(CODE)
    return PrivateHeader(group_id, epoch, ContentType(content))


def read_welcome(raw: bytes) -> frozenset[bytes]:
    """Read for whom a Welcome is (RFC 9420 §12.4.3.1).

    Returns:
        The references of the key packages that it was made for.

    Raises:
        BadInput: ``bad-group-message``.
    """
    reader = _message(raw, WireFormat.WELCOME, MAX_WELCOME)
    if reader.number(2) != SUITE:
        raise BadInput(CODE)
    secrets, references = _Reader(reader.vector()), list[bytes]()
    while not secrets.done:
        references.append(secrets.vector())
        for _ in ("KEM output", "ciphertext"):
            secrets.vector()
        if len(references) > _MAX_MEMBERS:
            raise BadInput(CODE)
    reader.vector()  # the encrypted GroupInfo
    reader.end()
    if not references or len(set(references)) != len(references):
        raise BadInput(CODE)
    return frozenset(references)


def read_key_package(raw: bytes, now: float, verify: Verify) -> ReadKeyPackage:
    """Read a key package and check what can be checked of it (RFC 9420 §10.1, §7.3).

    Args:
        raw: an MLSMessage.
        now: seconds since 1970.
        verify: checks one signature.

    Raises:
        BadInput: ``bad-group-message``: not ours in version, suite, credential or size of a key, its time is
            not now, two of its keys are one, or a signature is wrong.
    """
    reader = _message(raw, WireFormat.KEY_PACKAGE, MAX_KEY_PACKAGE)
    package_from = reader.at
    version, suite, init_key = reader.number(2), reader.number(2), reader.vector()
    leaf_from = reader.at
    encryption_key, signature_key = reader.vector(), reader.vector()
    credential_type, identity = reader.number(2), reader.vector()
    for _ in ("versions", "suites", "extensions", "proposals", "credentials"):
        reader.vector()
    source, not_before, not_after = reader.number(1), reader.number(8), reader.number(8)
    reader.vector()  # extensions of the leaf
    leaf_signed = raw[leaf_from : reader.at]
    leaf_signature = reader.vector()
    reader.vector()  # extensions of the package
    package_signed = raw[package_from : reader.at]
    package_signature = reader.vector()
    reader.end()

    ours = (version, suite, credential_type, source) == (_MLS10, SUITE, _BASIC, 1)
    sizes = (
        len(init_key),
        len(encryption_key),
        len(signature_key),
        len(leaf_signature),
        len(package_signature),
    )
    fit = sizes == (_HPKE_KEY, _HPKE_KEY, _SIGNATURE_KEY, _SIGNATURE, _SIGNATURE)
    timely = not_before - CLOCKS_DIFFER <= now <= not_after + CLOCKS_DIFFER
    if not (ours and fit and timely) or init_key == encryption_key:
        raise BadInput(CODE)
    signed = verify(signature_key, _labelled("LeafNodeTBS", leaf_signed), leaf_signature)
    if not signed or not verify(signature_key, _labelled("KeyPackageTBS", package_signed), package_signature):
        raise BadInput(CODE)
    who = _credential(identity)
    # RFC 9420 §5.2: RefHash over the KeyPackage itself, without the envelope of an MLSMessage.
    reference = vector(b"MLS 1.0 KeyPackage Reference") + vector(raw[package_from:])
    return ReadKeyPackage(hashlib.sha512(reference).digest(), who.pid, who.name, who.role)


def vector(content: bytes) -> bytes:
    """A variable-size vector (RFC 9420 §2.1.2).

    Args:
        content: less than 2³⁰ bytes.
    """
    size = len(content)
    if size < 1 << 6:
        return bytes((size,)) + content
    if size < 1 << 14:
        return (size | 1 << 14).to_bytes(2, "big") + content
    return (size | 1 << 31).to_bytes(4, "big") + content


def _labelled(label: str, content: bytes) -> bytes:
    """What SignWithLabel signs (RFC 9420 §5.1.2)."""
    return vector(f"MLS 1.0 {label}".encode()) + vector(content)


def _credential(identity: bytes) -> _Credential:
    if len(identity) > 512:
        raise BadInput(CODE)
    try:
        return _CREDENTIAL.decode(identity)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError):
        raise BadInput(CODE) from None


def _message(raw: bytes, wanted: WireFormat, limit: int) -> _Reader:
    if len(raw) > limit:
        raise BadInput(CODE)
    reader = _Reader(raw)
    if reader.number(2) != _MLS10 or reader.number(2) != wanted:
        raise BadInput(CODE)
    return reader


class _Reader:
    """Reads from the front; what is not there is ``BadInput``.

    Attributes:
        at: how many bytes were read.
    """

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self.at = 0

    @property
    def done(self) -> bool:
        """Whether everything was read."""
        return self.at == len(self._raw)

    def end(self) -> None:
        """Nothing may follow.

        Raises:
            BadInput: ``bad-group-message``.
        """
        if not self.done:
            raise BadInput(CODE)

    def take(self, size: int) -> bytes:
        """The next bytes.

        Raises:
            BadInput: ``bad-group-message``.
        """
        taken = self._raw[self.at : self.at + size]
        if len(taken) != size:
            raise BadInput(CODE)
        self.at += size
        return taken

    def number(self, size: int) -> int:
        """The next ``size`` bytes as a number, big-endian.

        Raises:
            BadInput: ``bad-group-message``.
        """
        return int.from_bytes(self.take(size), "big")

    def vector(self) -> bytes:
        """The next vector (RFC 9420 §2.1.2); its length in the shortest form.

        Raises:
            BadInput: ``bad-group-message``.
        """
        first = self.number(1)
        more = (0, 1, 3)[first >> 6] if first >> 6 < 3 else None
        if more is None:
            raise BadInput(CODE)
        size = (first & 0x3F) << (8 * more) | self.number(more)
        if (more == 1 and size < 1 << 6) or (more == 3 and size < 1 << 14):
            raise BadInput(CODE)
        return self.take(size)
