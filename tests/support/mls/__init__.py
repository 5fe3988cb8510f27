"""MLS bytes for tests: a small visit made by the vendored module, and messages built here as a page would.

``real()`` reads what ``make.mjs`` wrote. The functions build the clear parts of messages around made-up
secrets: enough for a server, which never sees more.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from rooms.mls_wire import SUITE, WireFormat, vector

_KEY = Ed25519PrivateKey.from_private_bytes(b"a page's own signature key .....")


def real() -> dict[str, Any]:
    """A visit in bytes: base64url strings by what they are."""
    found: dict[str, Any] = json.loads((Path(__file__).parent / "messages.json").read_text("utf-8"))
    return found


def unb64(text: str) -> bytes:
    """Bytes from base64url without padding."""
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def private_message(group_id: str, epoch: int, content: int = 3, body: bytes = b"?") -> bytes:
    """A PrivateMessage whose opaque parts are made up."""
    head = vector(group_id.encode()) + epoch.to_bytes(8, "big") + bytes((content,))
    return _message(WireFormat.PRIVATE_MESSAGE, head + vector(b"") + vector(b"sender") + vector(body))


def welcome(*references: bytes) -> bytes:
    """A Welcome for these key packages."""
    secrets = b"".join(vector(ref) + vector(b"kem output") + vector(b"secrets") for ref in references)
    return _message(WireFormat.WELCOME, SUITE.to_bytes(2, "big") + vector(secrets) + vector(b"group info"))


def key_package(
    pid: str,
    name: str,
    role: str = "guest",
    *,
    number: int = 0,
    suite: int = SUITE,
    not_after: int = 4_102_444_800,
    key_size: int = 1_216,
    same_keys: bool = False,
    key: Ed25519PrivateKey = _KEY,
) -> bytes:
    """A signed key package.

    Args:
        number: what makes it different from another of the same person.
    """
    init, encryption = bytes((1, number)).ljust(key_size, b"i"), bytes((2, number)).ljust(key_size, b"e")
    public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    identity = json.dumps({"pid": pid, "name": name, "role": role}).encode()
    leaf = vector(init if same_keys else encryption) + vector(public)
    leaf += (1).to_bytes(2, "big") + vector(identity) + 5 * vector(b"\0\1")
    leaf += b"\1" + bytes(8) + not_after.to_bytes(8, "big") + vector(b"")
    leaf += vector(_sign(key, "LeafNodeTBS", leaf))
    package = (1).to_bytes(2, "big") + suite.to_bytes(2, "big") + vector(init) + leaf + vector(b"")
    return _message(WireFormat.KEY_PACKAGE, package + vector(_sign(key, "KeyPackageTBS", package)))


def _sign(key: Ed25519PrivateKey, label: str, content: bytes) -> bytes:
    return key.sign(vector(f"MLS 1.0 {label}".encode()) + vector(content))


def _message(wire_format: WireFormat, body: bytes) -> bytes:
    return (1).to_bytes(2, "big") + wire_format.to_bytes(2, "big") + body
