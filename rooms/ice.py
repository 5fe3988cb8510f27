"""The server's side of ICE: the lite agent, which seeks no way and only answers (RFC 8445 §2.5, RFC 8489).

    binding request ──▶ rooms.checks ──▶ LiteAgent.check ──▶ response, and a question where nobody answered
                                     │ integrity verified
                                     ▼
                     this address may send, and is sent to once it is wanted and answered from

    question of ours ──▶ the browser ──▶ response ──▶ LiteAgent.verify ──▶ ``rooms.hearing``, or found

An address enters the server's tables here or nowhere: only a request whose MESSAGE-INTEGRITY fits the seat's
password puts it there. That proves a browser with our offer in hand, so DTLS needs no cookie exchange.
Roaming is the same step, and one more: the seat moves to where it wants to be (``rooms.nomination``) once it
has answered from there (``rooms.proof``). Browsers nominate only what has carried a check already, with which
the question went down, so this costs them no time. Only the first address of all is sent to without an
answer: nothing goes there but a handshake, which its end proves. Each request counts once: whoever recorded
one on its way and sends it again from another address moves nobody.

A seat may ask as often as any browser does, and what it asks more often is dropped. Only what is signed and
new counts towards that: neither a forger nor one who sends again what was recorded uses up anything of it.

Requests that fail are dropped without the error responses of RFC 8489 §9.1.3: to answer strangers would only
tell them that somebody is here.

Pure: datagrams and ``now`` in, datagrams out.
"""

from __future__ import annotations

import re
import secrets
import string
from dataclasses import dataclass, field
from typing import Final, Literal

from rooms.bucket import Bucket
from rooms.checks import BindingRequest, conflict, respond
from rooms.nomination import Nomination, Rank
from rooms.proof import Proofs
from rooms.questions import TRANSACTION, Response, question

#: As the socket reports it: host, port, and for IPv6 flow and scope. Only compared and answered. A stream has
#: a pseudo address instead: its path and a number of its own, such as ``("tcp", 7)``.
Address = tuple[str, int] | tuple[str, int, int, int]

#: Octets of the longest datagram taken in, whichever way it comes: what an Ethernet frame holds.
MAX_DATAGRAM = 1_500

#: How a seat's packets come: datagrams, ICE-TCP (RFC 6544), or our own TURN server (RFC 8656).
Path = Literal["udp", "tcp", "turn"]

#: Addresses one seat may send from at the same time: its candidate pairs.
MAX_ADDRESSES = 8
#: Shelves on which a seat's agent remembers requests, and how many on each; at the 0.4 a second of a browser
#: at rest nearly three hours of them in all.
SHELVES, ON_A_SHELF = 256, 16
#: Checks of one seat that are answered, a second and at once. A browser that seeks a way sends 20 a second,
#: all of its ways together; one at rest 0.4.
CHECKS_PER_SECOND: Final = 30.0
CHECKS_AT_ONCE: Final = 100
#: Questions to addresses where the seat may be, a second and at once: no more octets in all than its checks.
QUESTIONS_PER_SECOND: Final = 5.0
QUESTIONS_AT_ONCE: Final = 2 * MAX_ADDRESSES

_ICE_CHARS = string.ascii_letters + string.digits
_PORT = re.compile(r"[0-9a-f]{4}", re.ASCII)
# What a browser goes through only where the one before is closed to it.
_BEST_LAST: tuple[Path, ...] = ("turn", "tcp", "udp")
# Octets kept of a transaction id.
_ID_KEPT = 8


def path_of(address: Address) -> Path:
    """Which way an address is reached as far as is seen here: over UDP may come a TURN server's relay."""
    return "tcp" if address[0] == "tcp" else "turn" if address[0] == "turn" else "udp"


@dataclass(frozen=True, slots=True)
class Credentials:
    """One generation of ICE credentials of ours (RFC 8445 §5.3: ≥ 24 and ≥ 128 bits of randomness)."""

    ufrag: str = field(repr=False)
    pwd: str = field(repr=False)

    @classmethod
    def fresh(cls, port: int = 0) -> Credentials:
        """Random ones: 12 and 32 ice-chars; the ufrag also addresses the seat on the shared port.

        Args:
            port: UDP port of that media port, which stands before the 12: a check that came to another worker
                over TCP so says where it belongs.
        """
        return cls(f"{port:04x}{_random(12)}", _random(32))


def _random(length: int) -> str:
    return "".join(secrets.choice(_ICE_CHARS) for _ in range(length))


def named_port(ufrag: str) -> int | None:
    """The media port that a fragment of ours names; ``None`` when it is no such fragment."""
    return int(ufrag[:4], 16) if _PORT.fullmatch(ufrag[:4]) else None


@dataclass(frozen=True, slots=True)
class Checked:
    """A request is authentic.

    Args:
        response: to send back to where it came from; ``None``: it was one too many, and no note is taken.
        question: to send there as well: whether it is the seat that is there.
        added: the request's address is new to this seat.
        dropped: an address that is the seat's no more, to make room.
    """

    response: bytes | None
    question: bytes | None = None
    added: bool = False
    dropped: Address | None = None


class LiteAgent:
    """The ICE state of one seat's transport.

    Args:
        port: see ``Credentials.fresh``.

    Attributes:
        address: where media goes; ``None`` until the first authenticated request, and when its stream closed.
    """

    def __init__(self, port: int = 0) -> None:
        self.credentials = Credentials.fresh(port)
        self._port = port
        self.address: Address | None = None
        self._heard_at: dict[Address, float] = {}
        self._previous: Credentials | None = None
        # The browser's credentials; None until its answer, which its first requests may overtake.
        self._remote: Credentials | None = None
        self._previous_remote: Credentials | None = None
        self._tie_breaker = secrets.randbits(64)
        self._seen: dict[int, bytes] = {}
        self._checks, self._again = (Bucket(CHECKS_PER_SECOND, CHECKS_AT_ONCE) for _ in range(2))
        self._questions = Bucket(QUESTIONS_PER_SECOND, QUESTIONS_AT_ONCE)
        self._nomination: Nomination[Address] = Nomination()
        self._proofs: Proofs[Address] = Proofs()
        self._begun = False

    @property
    def addresses(self) -> list[Address]:
        """Every address the seat may send from, in order of arrival."""
        return list(self._heard_at)

    def heard_at(self, address: Address) -> float:
        """Seconds of the last check or answer from there."""
        return self._heard_at.get(address, float("-inf"))

    @property
    def ufrags(self) -> tuple[str, ...]:
        """The fragments under which requests for this seat may come, at most two during a restart."""
        if self._previous is None:
            return (self.credentials.ufrag,)
        return (self.credentials.ufrag, self._previous.ufrag)

    def answered(self, remote_ufrag: str, remote_pwd: str = "") -> None:
        """The browser's answer has come: from now on its requests must carry its fragment.

        Args:
            remote_pwd: what our questions must carry; empty for a program, which is asked none.
        """
        self._remote = Credentials(remote_ufrag, remote_pwd)

    def question(self, transaction: bytes) -> bytes | None:
        """A binding request of our own over the path in use (RFC 8445 §7.2.2, as the controlled agent).

        Returns:
            ``None`` while the browser's password is not known.
        """
        own, remote = self._in_use
        if remote is None or not remote.pwd:
            return None
        return question(transaction, f"{remote.ufrag}:{own.ufrag}", self._tie_breaker, remote.pwd)

    def questions(self, now: float) -> list[tuple[bytes, Address]]:
        """Questions to every address that has not been asked; its checks may have come before the answer."""
        unasked = [each for each in self.addresses if not (self._trusts(each) or self._proofs.asked(each))]
        return [(asked, each) for each in unasked if (asked := self._ask(each, now)) is not None]

    def found(self, response: Response, address: Address, now: float) -> bool:
        """Take in a verified response: the seat is where we asked. Returns whether that was waited for."""
        if not self._proofs.answer(response.transaction, address):
            return False
        if address in self._heard_at:
            self._heard_at[address] = now
        self._settle(address)
        return True

    def verify(self, response: Response) -> bool:
        """Whether a response is the browser's."""
        known = (self._remote, self._previous_remote)
        return any(response.is_by(remote.pwd) for remote in known if remote is not None and remote.pwd)

    @property
    def _in_use(self) -> tuple[Credentials, Credentials | None]:
        """Ours and the browser's; those of before until the first request of a new generation."""
        if self._previous is not None:
            return self._previous, self._previous_remote
        return self.credentials, self._remote

    def restart(self) -> None:
        """Begin a new generation (RFC 8445 §9). The old one serves until the first request of the new."""
        if self._previous is None:
            # A restart upon a restart never confirmed: the generation in use is still the older one.
            self._previous, self._previous_remote = self.credentials, self._remote
        self.credentials = Credentials.fresh(self._port)
        self._remote = None

    def forget(self, address: Address) -> None:
        """An address is no more: its stream has closed. The next request says where to send."""
        self._heard_at.pop(address, None)
        self._nomination.forget(address)
        self._proofs.forget(address)
        if self.address == address:
            self.address = None

    def check(
        self,
        request: BindingRequest,
        address: Address,
        mapped: Address | None = None,
        path: Path | None = None,
        *,
        now: float,
    ) -> Checked | None:
        """Verify a request and take note of where it came from.

        Args:
            address: where it came from and the answer goes.
            mapped: the same as the browser's side of the network knows it, when that is another.
            path: which way it came, where the address does not tell.
            now: monotonic seconds.

        Returns:
            What to answer, or ``None`` when it is not authentic.
        """
        credentials, remote = self.credentials, self._remote
        if self._previous is not None and request.ufrag == self._previous.ufrag:
            credentials, remote = self._previous, self._previous_remote
        if request.ufrag != credentials.ufrag or (
            remote is not None and request.remote_ufrag != remote.ufrag
        ):
            return None
        if not request.is_by(credentials.pwd):
            return None
        if credentials is self.credentials and self._previous is not None:
            self._previous = self._previous_remote = None
            self._nomination = Nomination()
        if request.controlled:
            # RFC 8445 §7.3.1.1: the browser switches its role and asks again.
            spare = self._again.take(now)
            return Checked(conflict(request.transaction, credentials.pwd) if spare else None)
        added = address not in self._heard_at
        repeated = self._repeated(request.transaction)
        if repeated and added:
            return None
        if not (self._again if repeated else self._checks).take(now):
            return Checked(None)
        dropped: Address | None = None
        if added and len(self._heard_at) >= MAX_ADDRESSES:
            dropped = next(known for known in self._heard_at if known != self.address)
            del self._heard_at[dropped]
            self._nomination.forget(dropped)
            self._proofs.forget(dropped)
        if not repeated:
            self._heard_at[address] = now
        path = path or path_of(address)
        if path != "udp":
            self._proofs.add(address)  # nobody can forge the source of a stream
        question = None
        if not repeated:
            rank: Rank = (_BEST_LAST.index(path), request.priority)
            self._nomination.check(address, rank, nominates=request.nominates, now=now)
            question = None if self._trusts(address) else self._ask(address, now)
        self._settle(address)
        host, port = (mapped or address)[:2]
        return Checked(respond(request.transaction, host, port, credentials.pwd), question, added, dropped)

    def _ask(self, address: Address, now: float) -> bytes | None:
        """A question to where the seat may be, unless one went there just now or enough went anywhere."""
        if not self._proofs.due(address, now):
            return None
        transaction = secrets.token_bytes(TRANSACTION)
        if (question := self.question(transaction)) is None or not self._questions.take(now):
            return None
        self._proofs.ask(transaction, address, now)
        return question

    def _trusts(self, address: Address) -> bool:
        """Whether media may go there: the seat has answered from there, or is one that is asked nothing."""
        _, remote = self._in_use
        return address in self._proofs or (remote is not None and not remote.pwd)

    def _settle(self, heard: Address) -> None:
        """Decide anew where media goes, since the seat was heard at this address."""
        wanted = self._nomination.chosen
        if wanted is not None and self._trusts(wanted):
            self._go(wanted)
        elif not self._begun or (
            # Better where it is for certain than where it may be.
            (self.address is None or (not self._trusts(self.address) and self._nomination.nominated(heard)))
            and self._trusts(heard)
        ):
            self._go(heard)

    def _go(self, address: Address) -> None:
        if address != self.address:
            self.address, self._begun = address, True
            self._proofs.only(address)

    def _repeated(self, transaction: bytes) -> bool:
        """Whether this very request has come before; from now on it has."""
        shelf, kept = transaction[0] % SHELVES, transaction[1 : 1 + _ID_KEPT]
        known = self._seen.get(shelf, b"")
        if kept in known:
            return True
        self._seen[shelf] = known[-_ID_KEPT * (ON_A_SHELF - 1) :] + kept
        return False
