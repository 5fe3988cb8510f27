"""A real media port with raw clients in one room, for tests of what the port does."""

from __future__ import annotations

from dataclasses import dataclass

from rooms.media import MediaPort, Peer, PeerState
from tests.rooms.raw_client import RawClient, until

ROOM = "room-1"


class Clocked(MediaPort):
    """A media port whose clock can be put forward."""

    ahead = 0.0

    def now(self) -> float:
        return super().now() + self.ahead

    def beat(self, late: float = 0.0) -> None:
        """Do at once what is otherwise done twice a second, or what is done so many seconds late."""
        self._beat.once(late)


@dataclass
class Seat:
    peer: Peer
    client: RawClient
    states: list[PeerState]


class Room:
    """A media port with raw clients in one room."""

    def __init__(self, port: Clocked, host: str = "127.0.0.1") -> None:
        self.port = port
        self.host = host
        self.clients: list[RawClient] = []

    def open(self, name: str, place: int) -> Seat:
        """A seat with its offer, and nothing more."""
        states: list[PeerState] = []
        peer = self.port.open_peer(ROOM, name, place, states.append)
        client = RawClient(peer.offer(), self.host)
        self.clients.append(client)
        return Seat(peer, client, states)

    async def seat(self, name: str, place: int) -> Seat:
        """A connected seat."""
        seat = self.open(name, place)
        seat.peer.answer(seat.client.answer())
        await seat.client.connect()
        await until(lambda: seat.peer.state is PeerState.CONNECTED, "connected")
        return seat

    def gate(self, seats: str, muted: str = "") -> None:
        self.port.set_gate(ROOM, frozenset(seats), frozenset(muted))

    async def moves(self, seat: Seat) -> None:
        """This client changes networks, and is sent to where it is now."""
        seat.client.move()
        await seat.client.check()
        here = seat.client.sock.getsockname()
        await until(lambda: seat.peer.agent.address == here, "it has answered from there")

    async def settled(self, seat: Seat) -> None:
        """Everything this client sent has been dealt with: the port answers in order."""
        await seat.client.check()
