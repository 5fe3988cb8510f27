"""Which TURN servers a page is told of, each with a credential of its own that soon is void.

Our own is this very server, spoken to over its TCP port: it costs nothing and tells nobody. An external one
is named by the operator (``QUIETROOM_TURN_URLS``) and shares a secret with us, coturn's
``static-auth-secret``. A credential names nobody and is void when the session ends. Ours is
the same for all offers of a seat, which so has only so many streams, and leads nowhere else. An external
server relays to anywhere and knows of nobody's removal, so its credentials are for the next minutes: they are
looked at when a way through it is made (coturn lets it be refreshed afterwards), and each ICE restart brings
new ones.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from broker.private import Private
from rooms.turn import Credential, mint
from signaling.messages import IceServer
from signaling.settings import Settings

EXTERNAL_FOR: Final = 900
"""Seconds for which an external server takes a credential; its clock may differ by some."""


@dataclass(frozen=True, slots=True)
class IceServers:
    """Makes the ICE servers of each offer.

    Args:
        own: URLs of our own TURN server; none when it cannot be reached.
        credential: makes a credential for it, good until then (seconds since 1970), of that seat.
        external: URLs of the operator's.
        secret: shared with it.
        clock: seconds since 1970.
    """

    own: tuple[str, ...]
    credential: Callable[[int, str], Credential]
    external: tuple[str, ...] = ()
    secret: Private[str] | None = None
    clock: Callable[[], float] = time.time

    def until(self, ends_ms: int, whose: str) -> tuple[IceServer, ...]:
        """The ICE servers of one offer.

        Args:
            ends_ms: when the session ends, milliseconds since 1970.
            whose: names a seat of a session; no credential tells which.
        """
        until = -(-ends_ms // 1000)
        found = []
        if self.own:
            found.append(_server(self.own, self.credential(until, whose)))
        if self.external and self.secret is not None:
            key = Private(self.secret.reveal().encode())
            soon = min(until, int(self.clock()) + EXTERNAL_FOR)
            found.append(_server(self.external, mint(key, soon, secrets.token_hex(8))))
        return tuple(found)


def own_urls(settings: Settings) -> tuple[str, ...]:
    """Where browsers find our own TURN server.

    Args:
        settings: with the real ports.
    """
    if settings.tcp_port is None:
        return ()
    if settings.secure:
        # By the name that the certificate has, on the port that every page has reached already.
        name = urlsplit(settings.public_url).hostname
        return (_url("turns", name or settings.media_host, settings.tcp_port),)
    return (_url("turn", settings.media_host, settings.tcp_port),)


def _url(scheme: str, host: str, port: int) -> str:
    return f"{scheme}:{f'[{host}]' if ':' in host else host}:{port}?transport=tcp"


def _server(urls: tuple[str, ...], credential: Credential) -> IceServer:
    return IceServer(urls, credential.name, credential.password.reveal())
