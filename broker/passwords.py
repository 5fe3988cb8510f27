"""Argon2id (RFC 9106), off the event loop and bounded.

Hashing is the one expensive thing a stranger can make us do. It runs in threads of its own, one fewer than
the cores, with a short queue; when that is full the answer is `Refused` ``busy`` at once. So guessing can
neither stall calls nor use more memory than the largest profile times the number of threads. Strangers have
fewer places in the queue than those who have shown something that cannot be guessed (a seat's token): however
many strangers come, the people who are expected still get in.

An unknown account is verified against a made-up record of the same profile: the same work, then ``False``.

The only module that imports argon2.
"""

from __future__ import annotations

import asyncio
import base64
import os
import secrets
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from enum import Enum
from typing import Final, TypeVar

import argon2
from argon2.exceptions import Argon2Error, InvalidHashError, VerificationError

from broker.errors import BadInput, Refused
from broker.private import Private

T = TypeVar("T")

_QUEUE: Final = 8
_STRANGERS: Final = 4
"""Places in the queue for those who have shown nothing yet; the others' are their own."""

_MAX_LENGTH: Final = 256


class Profile(Enum):
    """How much work one guess costs.

    STAFF is for passwords people choose: RFC 9106's second choice with one lane. MEETING is for our own
    50-bit passwords, where the OWASP minimum is already far beyond what guessing can afford.
    """

    STAFF = (64 * 1024, 3)
    MEETING = (19 * 1024, 2)

    @property
    def memory_kib(self) -> int:
        """Memory of one hash, KiB."""
        return self.value[0]

    @property
    def passes(self) -> int:
        """Passes over that memory."""
        return self.value[1]


class Hasher:
    """Hashes and verifies passwords.

    Args:
        workers: threads; by default one fewer than the cores, at least one.
    """

    def __init__(self, workers: int | None = None) -> None:
        workers = workers or max(1, (os.cpu_count() or 1) - 1)
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="argon2")
        self._places = {
            True: threading.BoundedSemaphore(workers + _QUEUE),
            False: threading.BoundedSemaphore(workers + _STRANGERS),
        }
        self._argon = {
            profile: argon2.PasswordHasher(
                time_cost=profile.passes, memory_cost=profile.memory_kib, parallelism=1, type=argon2.Type.ID
            )
            for profile in Profile
        }
        self._dummy = {profile: _made_up(profile) for profile in Profile}
        self.computed: Counter[Profile] = Counter()
        """How often each profile's function ran to its end, for metrics."""

    async def hash(self, password: Private[str], profile: Profile) -> str:
        """Hash a new password.

        Returns:
            A PHC string, which carries the parameters and the salt.

        Raises:
            BadInput: ``bad-password`` when it is empty or longer than 256 bytes.
            Refused: ``busy``.
        """
        raw = _bytes(password)
        if not 0 < len(raw) <= _MAX_LENGTH:
            raise BadInput("bad-password", "A password has 1 to 256 bytes.")
        return await self._run(lambda: self._hash(raw, profile), known=True)

    async def verify(
        self, phc: str | None, password: Private[str], profile: Profile, *, known: bool = False
    ) -> bool:
        """Check a password; always does the work of ``profile``, whatever the answer.

        Args:
            phc: what `hash` returned, or ``None`` for an account that does not exist.
            password: what was typed; one that is too long is simply wrong.
            profile: the profile of accounts of this kind.
            known: the caller has shown a secret already, not only a name; they do not queue with strangers.

        Raises:
            Refused: ``busy``.
        """
        raw = _bytes(password)
        if len(raw) > _MAX_LENGTH:
            phc, raw = None, raw[:_MAX_LENGTH]
        return await self._run(lambda: self._verify(phc, raw, profile), known=known)

    def needs_rehash(self, phc: str, profile: Profile) -> bool:
        """Tell whether a stored hash was made with other parameters than today's."""
        try:
            return self._argon[profile].check_needs_rehash(phc)
        except InvalidHashError:
            return True

    def close(self) -> None:
        """Let the threads finish what they began and go."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _hash(self, raw: bytes, profile: Profile) -> str:
        phc = self._argon[profile].hash(raw)
        self.computed[profile] += 1
        return phc

    def _verify(self, phc: str | None, raw: bytes, profile: Profile) -> bool:
        known = phc is not None
        try:
            self._argon[profile].verify(phc or self._dummy[profile], raw)
        except InvalidHashError:
            # A damaged record must not answer faster than a wrong password.
            return self._verify(None, raw, profile)
        except VerificationError:
            self.computed[profile] += 1
            return False
        except Argon2Error:
            return False
        self.computed[profile] += 1
        return known

    async def _run(self, work: Callable[[], T], *, known: bool) -> T:
        places = self._places[known]
        if not places.acquire(blocking=False):
            raise Refused("busy", "Too many people are logging in at this moment; try again shortly.")
        try:
            job = self._pool.submit(work)
        except RuntimeError:
            places.release()
            raise Refused("busy", "The server is stopping.") from None
        # The place is taken until the thread is done, also when the caller has gone away meanwhile.
        job.add_done_callback(lambda _: places.release())
        return await asyncio.wrap_future(job)


def _bytes(password: Private[str]) -> bytes:
    return password.reveal().encode("utf-8", "surrogatepass")


def _made_up(profile: Profile) -> str:
    """Return a well-formed record that no password opens: its hash is random too."""
    salt, tag = (base64.b64encode(secrets.token_bytes(size)).rstrip(b"=").decode() for size in (16, 32))
    return f"$argon2id$v=19$m={profile.memory_kib},t={profile.passes},p=1${salt}${tag}"
