"""Asks somebody else's TURN server for an allocation, as a browser would, and gives it back at once.

For ``quietroom doctor``: that a server answers says little, for a wrong shared secret is found only when
it is used. What comes back is a word, never the server's own text.
"""

from __future__ import annotations

import asyncio
import ssl
from enum import Enum
from typing import Final

from aioice import stun, turn

from rooms.turn import Credential

#: Seconds for everything.
WITHIN: Final = 4.0


class Granted(Enum):
    """What became of the request."""

    YES = "yes"
    REFUSED = "refused"
    NO_ANSWER = "no answer"
    BAD_CERTIFICATE = "bad certificate"


async def ask(host: str, port: int, credential: Credential, *, tls: bool, tcp: bool) -> Granted:
    """Ask for one allocation.

    Args:
        host: name or address of the TURN server.
        port: its port.
        credential: to show.
        tls: speak TLS, and trust whom the system trusts.
        tcp: over TCP; else UDP. TLS is over TCP always.
    """
    try:
        async with asyncio.timeout(WITHIN):
            transport, _ = await turn.create_turn_endpoint(
                asyncio.DatagramProtocol,
                (host, port),
                username=credential.name,
                password=credential.password.reveal(),
                ssl=ssl.create_default_context() if tls else None,
                transport="tcp" if tls or tcp else "udp",
            )
            transport.close()
            await asyncio.sleep(0)  # the request to give it back is on its way
    except stun.TransactionFailed:
        return Granted.REFUSED
    except ssl.SSLCertVerificationError:
        return Granted.BAD_CERTIFICATE
    except (OSError, TimeoutError, stun.TransactionError):
        return Granted.NO_ANSWER
    except Exception:
        # Whatever a server says that aioice does not understand is no allocation.
        return Granted.NO_ANSWER
    return Granted.YES
