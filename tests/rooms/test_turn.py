"""Our TURN server: who gets an allocation, where it leads, and that it leads nowhere else."""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass, field
from typing import Any

import pytest
from aioice import stun
from hypothesis import given
from hypothesis import strategies as st

from broker.private import Private
from rooms.turn import (
    DEFAULT_LIFETIME,
    MAX_LIFETIME,
    MAX_PEERS,
    MAX_STRIKES,
    REALM,
    Allocation,
    Candidate,
    Credential,
    Effect,
    End,
    Say,
    Take,
    mint,
)

SECRET = Private(b"s" * 32)
NONCE = b"nonce-of"
OURS: Candidate = ("192.0.2.1", 4433)
NEIGHBOUR: Candidate = ("192.0.2.1", 4434)
MAPPED: Candidate = ("198.51.100.7", 50_000)
RELAYED: Candidate = ("192.0.2.1", 49_152)
WALL, VISIT = 1_800_000_000.0, 3_000
UDP = 17 << 24


@dataclass
class Client:
    """A browser at the other end of one stream."""

    user: Credential = field(default_factory=lambda: mint(SECRET, int(WALL) + VISIT, "opaque"))
    full: bool = False
    now: float = 100.0
    wall: float = WALL

    def __post_init__(self) -> None:
        self.allocation = Allocation(
            SECRET,
            mapped=MAPPED,
            relayed=RELAYED,
            nonce=NONCE,
            transaction=b"transaction!",
            ours=lambda peer: peer in {OURS, NEIGHBOUR} or peer[0] == "192.0.2.9",
            allows=lambda user: not self.full,
        )

    def say(self, message: bytes) -> list[Effect]:
        return self.allocation.receive(message, self.now, self.wall)

    def ask(self, method: stun.Method, *, signed: bool = True, **attributes: Any) -> list[Effect]:
        """One request, signed with the long-term key as a browser does."""
        message = stun.Message(method, stun.Class.REQUEST)
        message.attributes = {name.replace("_", "-"): value for name, value in attributes.items()}
        if signed:
            given = {"USERNAME": self.user.name, "REALM": REALM, "NONCE": NONCE}
            message.attributes |= {name: v for name, v in given.items() if name not in message.attributes}
            key = f"{self.user.name}:{REALM}:{self.user.password.reveal()}"
            message.add_message_integrity(hashlib.md5(key.encode()).digest())
        return self.say(bytes(message))

    def allocate(self, **attributes: Any) -> list[Effect]:
        return self.ask(stun.Method.ALLOCATE, **({"REQUESTED_TRANSPORT": UDP} | attributes))

    def permit(self, peer: Candidate) -> list[Effect]:
        return self.ask(stun.Method.CREATE_PERMISSION, XOR_PEER_ADDRESS=peer)

    def bind(self, channel: int, peer: Candidate = OURS) -> list[Effect]:
        return self.ask(stun.Method.CHANNEL_BIND, XOR_PEER_ADDRESS=peer, CHANNEL_NUMBER=channel)

    def send(self, data: bytes, peer: Candidate = OURS) -> list[Effect]:
        message = stun.Message(stun.Method.SEND, stun.Class.INDICATION)
        message.attributes = {"XOR-PEER-ADDRESS": peer, "DATA": data}
        return self.say(bytes(message))


@pytest.fixture
def client() -> Client:
    """One that has its allocation."""
    client = Client()
    assert code(client.allocate()) is None
    return client


def answer(effects: list[Effect]) -> stun.Message:
    first = effects[0]
    assert isinstance(first, Say)
    return stun.parse_message(first.message)


def code(effects: list[Effect]) -> int | None:
    """The error code of the answer; ``None`` for success."""
    message = answer(effects)
    assert message.message_class in {stun.Class.RESPONSE, stun.Class.ERROR}
    return message.error_code


# ---- who gets an allocation ------------------------------------------------------------------------------


def test_a_stranger_is_told_realm_and_nonce_and_nothing_else() -> None:
    client = Client()
    message = answer(client.allocate(signed=False))
    assert set(message.attributes) == {"ERROR-CODE", "REALM", "NONCE"}
    assert (message.error_code, message.attributes["NONCE"]) == (401, NONCE)
    assert client.allocation.user is None


def test_a_stranger_is_told_so_once_in_few_octets_and_nothing_else_is_answered() -> None:
    client = Client()
    for method in stun.Method:
        assert client.ask(method, signed=False) == []  # an Allocate that asks for no transport is not whole
    for method in set(stun.Method) - {stun.Method.ALLOCATE}:
        assert client.ask(method, signed=False, REQUESTED_TRANSPORT=UDP) == []
    client = Client()
    (told,) = client.allocate(signed=False)
    # Header 20, error code 8, realm 8, nonce 4 and its octets: a client needs each of them to sign.
    assert isinstance(told, Say)
    assert len(told.message) == 40 + len(NONCE) + -len(NONCE) % 4
    assert client.allocate(signed=False) == []
    assert code(client.allocate()) is None


def test_no_unauthentic_request_but_the_first_yields_more_than_it_cost() -> None:
    forged = mint(Private(b"another secret"), int(WALL) + VISIT, "opaque")
    for attributes in ({}, {"NONCE": b"n" * len(NONCE)}, {"USERNAME": ""}):
        message = stun.Message(stun.Method.ALLOCATE, stun.Class.REQUEST)
        message.attributes = {"USERNAME": forged.name, "REALM": REALM, "NONCE": NONCE} | attributes
        message.add_message_integrity(b"guessed")
        (told,) = Client().say(bytes(message))
        assert isinstance(told, Say)
        assert len(told.message) <= len(bytes(message))
    half = stun.Message(stun.Method.ALLOCATE, stun.Class.REQUEST)
    half.add_message_integrity(b"guessed")
    (told,) = Client().say(bytes(half))
    assert isinstance(told, Say)
    assert len(told.message) <= len(bytes(half))


def test_a_credential_of_ours_gets_an_allocation_and_a_signed_answer() -> None:
    client = Client()
    message = answer(client.allocate())
    assert message.attributes["XOR-RELAYED-ADDRESS"] == RELAYED
    assert message.attributes["XOR-MAPPED-ADDRESS"] == MAPPED
    assert message.attributes["LIFETIME"] == DEFAULT_LIFETIME
    key = f"{client.user.name}:{REALM}:{client.user.password.reveal()}"
    assert message.check_message_integrity(hashlib.md5(key.encode()).digest())
    assert client.allocation.user == client.user.name
    assert client.allocation.deadline == client.now + DEFAULT_LIFETIME


def test_credentials_are_those_of_the_rest_scheme() -> None:
    made = mint(Private(b"north"), 1_800_000_000, "abc")
    assert made.name == "1800000000:abc"
    digest = hmac.new(b"north", b"1800000000:abc", "sha1").digest()
    assert made.password.reveal() == base64.b64encode(digest).decode()
    assert "abc" not in repr(made)


@pytest.mark.parametrize(
    "user",
    [
        mint(Private(b"another secret"), int(WALL) + VISIT, "opaque"),
        mint(SECRET, int(WALL), "opaque"),  # of a visit that is over
        Credential(f"{int(WALL) + 9}:opaque", mint(SECRET, int(WALL) + 8, "opaque").password),
        Credential("opaque", Private("")),
        Credential("9" * 40 + ":opaque", Private("")),
        Credential("²:opaque", Private("")),
        Credential("", Private("")),
    ],
)
def test_no_other_credential_gets_one(user: Credential) -> None:
    client = Client(user)
    assert code(client.allocate()) == 401
    assert client.allocation.user is None
    assert code(client.permit(OURS)) == 401


def test_a_well_signed_name_that_is_not_ours_gets_none() -> None:
    for name in ("forever:opaque", ":opaque", "-1:opaque", "1e12:opaque"):
        digest = hmac.new(SECRET.reveal(), name.encode(), "sha1").digest()
        client = Client(Credential(name, Private(base64.b64encode(digest).decode())))
        assert code(client.allocate()) == 401


def test_a_request_recorded_on_another_stream_gets_none() -> None:
    client = Client()
    stale = answer(client.allocate(NONCE=b"nonce-of-another-stream"))
    assert (stale.error_code, stale.attributes["NONCE"]) == (438, NONCE)
    assert client.allocation.user is None
    assert code(client.allocate()) is None


def test_a_request_that_is_half_signed_is_bad() -> None:
    message = stun.Message(stun.Method.ALLOCATE, stun.Class.REQUEST)
    message.add_message_integrity(b"x")
    assert code(Client().say(bytes(message))) == 400


def test_only_udp_is_relayed_and_only_one_allocation_is_made(client: Client) -> None:
    assert code(client.allocate()) == 437
    assert code(Client().allocate(REQUESTED_TRANSPORT=6 << 24)) == 442
    assert code(Client().ask(stun.Method.ALLOCATE)) == 400
    assert code(Client(full=True).allocate()) == 486


def test_another_credential_cannot_go_on_with_an_allocation(client: Client) -> None:
    client.user = mint(SECRET, int(WALL) + VISIT, "somebody else")
    assert code(client.ask(stun.Method.REFRESH)) == 441
    assert code(client.bind(0x4000)) == 441


@pytest.mark.parametrize(
    "method", [stun.Method.REFRESH, stun.Method.CREATE_PERMISSION, stun.Method.CHANNEL_BIND]
)
def test_nothing_goes_without_an_allocation(method: stun.Method) -> None:
    assert code(Client().ask(method, XOR_PEER_ADDRESS=OURS, CHANNEL_NUMBER=0x4000)) == 437
    assert Client().send(b"data") == []


# ---- how long it lives -----------------------------------------------------------------------------------


def test_an_allocation_lives_as_asked_within_bounds_and_never_beyond_its_credential(client: Client) -> None:
    for asked, granted in ((1, DEFAULT_LIFETIME), (900, 900), (2**32 - 1, VISIT)):
        message = answer(client.ask(stun.Method.REFRESH, LIFETIME=asked))
        assert message.attributes["LIFETIME"] == granted
        assert client.allocation.deadline == client.now + granted
    long = Client(mint(SECRET, int(WALL) + 10 * MAX_LIFETIME, "opaque"))
    assert answer(long.allocate(LIFETIME=2**31)).attributes["LIFETIME"] == MAX_LIFETIME


def test_a_refresh_after_the_visit_is_refused(client: Client) -> None:
    client.wall += VISIT
    assert code(client.ask(stun.Method.REFRESH)) == 401


def test_a_refresh_of_nothing_ends_it(client: Client) -> None:
    effects = client.ask(stun.Method.REFRESH, LIFETIME=0)
    assert answer(effects).attributes["LIFETIME"] == 0
    assert effects[1:] == [End()]


def test_who_only_asks_in_vain_is_cut_off() -> None:
    client = Client()
    heard = [client.ask(stun.Method.REFRESH) for _ in range(MAX_STRIKES)]
    assert [End() in effects for effects in heard] == [False] * (MAX_STRIKES - 1) + [True]


# ---- where it leads --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "peer",
    [
        ("192.0.2.1", 22),
        ("192.0.2.2", 4433),
        ("127.0.0.1", 6379),
        ("169.254.169.254", 80),
        ("::1", 4433),
        RELAYED,
        MAPPED,
    ],
)
def test_it_leads_to_nobody_else(client: Client, peer: Candidate) -> None:
    assert code(client.permit(peer)) == 403
    assert code(client.bind(0x4000, peer)) == 403
    assert client.send(b"data", peer) == []
    assert client.say(b"\x40\x00\x00\x04data") == []
    assert client.allocation.wrap(b"data", peer) is None


def test_indications_go_both_ways_once_permitted(client: Client) -> None:
    assert client.send(b"too early") == []
    assert client.allocation.wrap(b"too early", OURS) is None
    assert code(client.permit(OURS)) is None
    assert client.send(b"datagram") == [Take(b"datagram", OURS)]
    wrapped = client.allocation.wrap(b"datagram!", OURS)
    assert wrapped is not None
    message = stun.parse_message(wrapped)
    assert (message.message_method, message.message_class) == (stun.Method.DATA, stun.Class.INDICATION)
    assert message.attributes == {"XOR-PEER-ADDRESS": OURS, "DATA": b"datagram!"}
    assert client.send(b"") == []


def test_a_channel_carries_data_both_ways(client: Client) -> None:
    assert code(client.bind(0x4000)) is None
    assert client.say(b"\x40\x00\x00\x05datum") == [Take(b"datum", OURS)]
    assert client.allocation.wrap(b"datum", OURS) == b"\x40\x00\x00\x05datum\x00\x00\x00"
    assert client.say(b"\x40\x01\x00\x05datum") == []  # a channel nobody bound
    assert code(client.bind(0x4000)) is None  # once more, to keep it


def test_an_address_of_the_other_family_can_be_ours_too() -> None:
    client = Client()
    client.allocation._ours = lambda peer: True
    client.allocate()
    peer = ("2001:db8::1", 4433)
    assert code(client.permit(peer)) is None
    wrapped = client.allocation.wrap(b"x", peer)
    assert wrapped is not None
    assert stun.parse_message(wrapped).attributes["XOR-PEER-ADDRESS"] == peer


@pytest.mark.parametrize("channel", [0, 0x3FFF, 0x5000, 0x7FFF, 0xFFFF])
def test_a_channel_number_out_of_range_is_bad(client: Client, channel: int) -> None:
    assert code(client.bind(channel)) == 400


def test_neither_channel_nor_peer_is_bound_to_another_than_before(client: Client) -> None:
    assert code(client.bind(0x4000, OURS)) is None
    assert code(client.bind(0x4000, NEIGHBOUR)) == 400
    assert code(client.bind(0x4001, OURS)) == 400
    assert code(client.bind(0x4001, NEIGHBOUR)) is None


def test_permissions_are_bounded_and_need_a_peer(client: Client) -> None:
    assert code(client.ask(stun.Method.CREATE_PERMISSION)) == 400
    assert code(client.ask(stun.Method.CHANNEL_BIND, CHANNEL_NUMBER=0x4000)) == 400
    codes = [code(client.permit(("192.0.2.9", 1000 + n))) for n in range(MAX_PEERS + 1)]
    assert codes == [None] * MAX_PEERS + [508]


def test_a_method_that_is_not_turn_is_bad(client: Client) -> None:
    assert code(client.ask(stun.Method.BINDING)) == 400
    keep_alive = stun.Message(stun.Method.BINDING, stun.Class.INDICATION)
    assert client.say(bytes(keep_alive)) == []


# ---- whatever arrives ------------------------------------------------------------------------------------


@given(st.binary(max_size=400))
def test_any_bytes_are_answered_or_dropped_and_never_let_in(message: bytes) -> None:
    client = Client()
    for effect in client.say(message):
        assert isinstance(effect, Say | End)
    assert client.allocation.user is None


@given(st.data())
def test_a_mangled_request_changes_nothing(data: st.DataObject) -> None:
    client = Client()
    message = stun.Message(stun.Method.ALLOCATE, stun.Class.REQUEST)
    message.attributes = {
        "REQUESTED-TRANSPORT": UDP,
        "USERNAME": client.user.name,
        "REALM": REALM,
        "NONCE": NONCE,
    }
    key = f"{client.user.name}:{REALM}:{client.user.password.reveal()}"
    message.add_message_integrity(hashlib.md5(key.encode()).digest())
    mangled = bytearray(bytes(message))
    at = data.draw(st.integers(0, len(mangled) - 1))
    mangled[at] ^= data.draw(st.integers(1, 255))
    client.say(bytes(mangled[: data.draw(st.integers(0, len(mangled)))]))
    assert client.allocation.user is None
