from __future__ import annotations

import ipaddress
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rooms import mmsg
from rooms.ice import MAX_DATAGRAM, Address
from rooms.mmsg import ENTRY, Name, Ring

ports = st.integers(1, 0xFFFF)


def pair(family: int) -> tuple[socket.socket, socket.socket]:
    host = "127.0.0.1" if family == socket.AF_INET else "::1"
    ends = []
    for _ in range(2):
        sock = socket.socket(family, socket.SOCK_DGRAM)
        sock.bind((host, 0))
        sock.settimeout(5)
        ends.append(sock)
    return ends[0], ends[1]


def put(ring: Ring, entry: int, datagram: bytes, name: Name) -> None:
    ring.octets[entry * ENTRY : entry * ENTRY + len(datagram)] = datagram
    ring.sizes[2 * entry + 1] = len(datagram)
    if isinstance(name, int):
        ring.names[4 * entry] = name
    else:
        ring.long_names[32 * entry : 32 * entry + 28] = name


def named(address: Address, family: int) -> Name:
    name = mmsg.name_of(address, family)
    assert name is not None
    return name


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_a_batch_goes_out_and_comes_in_with_its_names(family: int) -> None:
    system = mmsg.system_calls()
    ours, theirs = pair(family)
    with ours, theirs:
        out, back = Ring(8, family), Ring(8, family)
        for entry in range(5):
            put(out, entry, bytes([entry]) * (entry + 1), named(theirs.getsockname(), family))
        assert mmsg.send(system, ours.fileno(), out, 5) == 5
        theirs.recv(1, socket.MSG_PEEK)
        assert mmsg.receive(system, theirs.fileno(), back) == 5
        for entry in range(5):
            length = back.lengths[16 * entry + 14]
            assert back.octets[entry * ENTRY : entry * ENTRY + length] == bytes([entry]) * (entry + 1)
            name = (
                back.names[4 * entry]
                if family == socket.AF_INET
                else back.long_names[32 * entry : 32 * entry + 28]
            )
            assert mmsg.address_of(name) == ours.getsockname()
        assert mmsg.receive(system, theirs.fileno(), back) == 0


def test_one_that_cannot_be_sent_costs_itself_only() -> None:
    system = mmsg.system_calls()
    ours, theirs = pair(socket.AF_INET)
    with ours, theirs:
        out = Ring(8, socket.AF_INET)
        good = named(theirs.getsockname(), socket.AF_INET)
        # The kernel refuses port 0, and a broadcast that nobody asked for.
        bad = [named(("127.0.0.1", 0), socket.AF_INET), named(("255.255.255.255", 9), socket.AF_INET)]
        for entry, name in enumerate([bad[0], good, bad[1], good, good, bad[0]]):
            put(out, entry, bytes([entry]), name)
        assert mmsg.send(system, ours.fileno(), out, 6) == 3
        assert [theirs.recv(10) for _ in range(3)] == [b"\x01", b"\x03", b"\x04"]


def test_a_full_socket_drops_the_rest_and_never_waits() -> None:
    system = mmsg.system_calls()
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours, theirs:
        out = Ring(64, socket.AF_INET)
        for entry in range(64):
            put(out, entry, bytes(1_400), 0)
            out.headers[entry].msg_hdr.msg_namelen = 0  # a connected pair: nobody reads, so it fills up
        taken = [mmsg.send(system, ours.fileno(), out, 64) for _ in range(20)]
        assert taken[-1] == 0
        assert 0 < sum(taken) < 64 * 20


def test_a_closed_socket_takes_nothing() -> None:
    system = mmsg.system_calls()
    ring = Ring(4, socket.AF_INET)
    assert mmsg.send(system, -1, ring, 4) == 0
    assert mmsg.receive(system, -1, ring) == 0


def test_a_longer_datagram_arrives_cut_off_within_its_entry() -> None:
    system = mmsg.system_calls()
    ours, theirs = pair(socket.AF_INET)
    with ours, theirs:
        ours.sendto(b"\xff" * 9_000, theirs.getsockname())
        ours.sendto(b"next", theirs.getsockname())
        theirs.recv(1, socket.MSG_PEEK)
        ring = Ring(4, socket.AF_INET)
        assert mmsg.receive(system, theirs.fileno(), ring) == 2
        assert ring.lengths[14] == MAX_DATAGRAM + 1
        assert ring.octets[MAX_DATAGRAM + 1 : ENTRY] == bytes(ENTRY - MAX_DATAGRAM - 1)
        assert ring.octets[ENTRY : ENTRY + 4] == b"next"


@given(st.ip_addresses(v=4), ports)
def test_an_ipv4_name_is_its_address(host: ipaddress.IPv4Address, port: int) -> None:
    name = mmsg.name_of((str(host), port), socket.AF_INET)
    assert isinstance(name, int)
    assert mmsg.address_of(name) == (str(host), port)


@given(st.ip_addresses(v=6), ports, st.integers(0, 0xFFFFFFFF))
def test_an_ipv6_name_is_its_address(host: ipaddress.IPv6Address, port: int, scope: int) -> None:
    name = mmsg.name_of((str(host), port, 0, scope), socket.AF_INET6)
    assert isinstance(name, bytes)
    found = mmsg.address_of(name)
    assert ipaddress.ip_address(found[0]).packed == host.packed
    assert found[1:] == (port, 0, scope)


@pytest.mark.parametrize(
    ("address", "family"),
    [
        (("tcp", 7), socket.AF_INET),
        (("turn", 7), socket.AF_INET6),
        (("::1", 7, 0, 0), socket.AF_INET),
        (("127.0.0.1", 7), socket.AF_INET6),
        (("127.0.0.1", 70_000), socket.AF_INET),
    ],
)
def test_what_such_a_socket_cannot_have_has_no_name(address: Address, family: int) -> None:
    assert mmsg.name_of(address, family) is None
