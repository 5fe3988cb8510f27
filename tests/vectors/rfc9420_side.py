"""What the package rfc9420 makes for freeze_mls_others.py: a group with external PSKs.

An implementation in Python, an alpha version (Apache-2.0). It tells its epoch authenticator. The leaf of an
update path it does not sign anew, which our module refuses as it must (RFC 9420 §7.3): so here are only
commits without a path. They remove nobody and renew no keys.
"""

from __future__ import annotations

import importlib
import secrets
import time
from dataclasses import replace
from typing import Any

PSK_ID = b"quietroom link v1"
WEEK = 7 * 86_400


def scenario(made_by: str, passive: dict[str, str]) -> dict[str, Any]:
    """A group that our module joins by a Welcome with a PSK, in the form of the official ones."""
    psks = {PSK_ID: secrets.token_bytes(64), b"another": secrets.token_bytes(32)}
    group = _Group(psks)
    key_package = group.keys.KeyPackage.deserialize(bytes.fromhex(passive["key_package"])[4:])
    _, _, welcome = group.commit(group.add(key_package), group.psk(PSK_ID))
    initial = group.told()
    epochs = []
    other, _ = group.person(b"another")
    for added, names in (([other], [PSK_ID]), ([], [PSK_ID]), ([], [b"another", PSK_ID])):
        proposals = [group.add(each) for each in added] + [group.psk(name) for name in names]
        told, commit, _ = group.commit(*proposals)
        epochs.append({"proposals": told, "commit": commit, **group.told()})
    return {
        "made_by": made_by,
        "cipher_suite": 1,
        "external_psks": [{"psk_id": name.hex(), "psk": psk.hex()} for name, psk in psks.items()],
        **passive,
        "welcome": welcome,
        "ratchet_tree": None,
        "initial_epoch_authenticator": initial["epoch_authenticator"],
        "initial_messages": initial["messages"],
        "epochs": epochs,
    }


class _Group:
    """Its one founder, who commits all."""

    def __init__(self, psks: dict[bytes, bytes]) -> None:
        self.keys: Any = importlib.import_module("rfc9420.messages.key_packages")
        self._data: Any = importlib.import_module("rfc9420.messages.data_structures")
        self._wire: Any = importlib.import_module("rfc9420.messages.messages")
        self._crypto = importlib.import_module("rfc9420").DefaultCryptoProvider(suite_id=1)
        processing: Any = importlib.import_module("rfc9420.group.mls_group.processing")
        founder, self._signing = self.person(b"founder")
        self._group = processing.MLSGroup.create(b"interop", founder, self._crypto)
        self._group.set_external_psk_provider(lambda psk: psks[psk.psk_id])
        self._commits = 0

    def person(self, name: bytes) -> tuple[Any, bytes]:
        """A key package and what signs it."""
        signing: Any = importlib.import_module("cryptography.hazmat.primitives.asymmetric.ed25519")
        agreement: Any = importlib.import_module("cryptography.hazmat.primitives.asymmetric.x25519")
        extensions: Any = importlib.import_module("rfc9420.extensions.extensions")
        private = signing.Ed25519PrivateKey.generate()
        key, public = private.private_bytes_raw(), private.public_key().public_bytes_raw()
        encryption, init = (
            agreement.X25519PrivateKey.generate().public_key().public_bytes_raw() for _ in range(2)
        )
        now = int(time.time())

        def signed(it: Any, label: bytes) -> Any:
            signature = self._crypto.sign_with_label(key, label, it.tbs_serialize())
            return replace(it, signature=self._data.Signature(signature))

        leaf = self.keys.LeafNode(
            encryption_key=encryption,
            signature_key=public,
            capabilities=extensions.build_capabilities_data([1], [], include_grease=False),
            credential=self._data.Credential(identity=name, public_key=public),
            lifetime_not_before=now - 3600,
            lifetime_not_after=now + 4 * WEEK,
        )
        package = self.keys.KeyPackage(init_key=init, leaf_node=signed(leaf, b"LeafNodeTBS"))
        return signed(package, b"KeyPackageTBS"), key

    def add(self, key_package: Any) -> Any:
        return self._group.create_add_proposal(key_package, self._signing)

    def psk(self, name: bytes) -> Any:
        kind = self._data.PSKType.EXTERNAL
        psk = self._data.PreSharedKeyID(psktype=kind, psk_id=name, psk_nonce=secrets.token_bytes(32))
        return self._group.create_psk_proposal(psk, self._signing)

    def commit(self, *proposals: Any) -> tuple[list[str], str, str | None]:
        """The proposals, the commit that refers to them and the Welcome, in hex."""
        sender = self._data.Sender(0, self._data.SenderType.MEMBER)
        for proposal in proposals:
            self._group.process_proposal(proposal, sender)
        made = self._group.create_commit(self._signing)
        self._group.apply_own_commit(made)
        self._commits += 1
        commit, welcomes = made
        message = self._wire.MLSMessage
        welcome = message.from_welcome(welcomes[0]).serialize().hex() if welcomes else None
        public = [message.from_public_message(each).serialize().hex() for each in (*proposals, commit)]
        return public[:-1], public[-1], welcome

    def told(self) -> dict[str, Any]:
        """The epoch's authenticator, and a message written in it."""
        text = f"after {self._commits} commits".encode()
        sealed = self._group.protect(text, signing_key=self._signing)
        message = self._wire.MLSMessage.from_private_message(sealed).serialize().hex()
        return {
            "epoch_authenticator": self._group.get_epoch_authenticator().hex(),
            "messages": [{"message": message, "text": text.hex()}],
        }
