"""Sealing: only whole, only with the key, only with the header it was made with."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broker.errors import BadInput, UnsafeFiles
from broker.sealing import ANSWER_KEY, LEDGER_KEY, Keyring, is_signed


def test_what_is_sealed_comes_back(keys: Keyring) -> None:
    sealed = keys.seal(LEDGER_KEY, b"body", b"header")
    assert len(sealed) == 24 + 4 + 16
    assert b"body" not in sealed
    assert keys.unseal(LEDGER_KEY, sealed, b"header") == b"body"
    assert keys.seal(LEDGER_KEY, b"body", b"header") != sealed


def test_another_header_or_key_opens_nothing(keys: Keyring) -> None:
    sealed = keys.seal(LEDGER_KEY, b"body", b"header")
    for key, aad in ((LEDGER_KEY, b"other"), (ANSWER_KEY, b"header"), ("ledger-9", b"header")):
        with pytest.raises(BadInput, match="cannot-unseal"):
            keys.unseal(key, sealed, aad)


# hypothesis calls a test many times with the same fixture; a keyring does not change.
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 43), bit=st.integers(0, 7))
def test_a_single_changed_bit_is_noticed(keys: Keyring, at: int, bit: int) -> None:
    sealed = bytearray(keys.seal(LEDGER_KEY, b"body", b""))
    sealed[at] ^= 1 << bit
    with pytest.raises(BadInput):
        keys.unseal(LEDGER_KEY, bytes(sealed), b"")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=100))
def test_garbage_is_refused(keys: Keyring, garbage: bytes) -> None:
    with pytest.raises(BadInput):
        keys.unseal(LEDGER_KEY, garbage, b"")


def test_keys_are_found_again_and_are_ours_alone(tmp_path: Path) -> None:
    first, second = Keyring(tmp_path / "keys"), Keyring(tmp_path / "keys")
    assert second.unseal(LEDGER_KEY, first.seal(LEDGER_KEY, b"body", b""), b"") == b"body"
    assert first.tag("m/A") == second.tag("m/A") != first.tag("m/B")
    assert len(first.tag("m/A")) == 16
    files = list((tmp_path / "keys").iterdir())
    assert {file.name for file in files} >= {"answer-1.key", "ledger-1.key", "tag-1.key"}
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert len({file.read_bytes() for file in files}) == len(files)


def test_unsafe_or_damaged_keys_are_refused(tmp_path: Path) -> None:
    Keyring(tmp_path / "keys")
    key = tmp_path / "keys" / "ledger-1.key"
    key.chmod(0o644)
    with pytest.raises(UnsafeFiles):
        Keyring(tmp_path / "keys")
    key.chmod(0o600)
    key.write_bytes(b"short")
    with pytest.raises(UnsafeFiles):
        Keyring(tmp_path / "keys")


def test_a_keyring_shows_no_key(keys: Keyring) -> None:
    assert "<private>" in str(vars(keys))


def test_a_signature_is_of_one_message_and_one_key() -> None:
    # RFC 8032 §7.1, test 2.
    key = bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
    signature = bytes.fromhex(
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )
    assert is_signed(key, b"\x72", signature)
    assert not is_signed(key, b"\x73", signature)
    assert not is_signed(key, b"\x72", signature[:-1] + b"\1")
    assert not is_signed(bytes(32), b"\x72", signature)
    assert not is_signed(key[:-1], b"\x72", signature)
    assert not is_signed(key, b"\x72", b"")
