"""A malicious server: the real one, and before it somebody who changes, withholds and invents messages.

    page ──▶ Wire ──▶ the real server         what is sealed passes through the media port as ever

Media is forwarded to whoever the real server believes to be in the room. So it is made to believe what the
page is not shown: acts are invented in the therapist's name, and what the page is told of them is changed.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Callable
from typing import Any, Final

from playwright.async_api import WebSocketRoute

from tests.e2e.people import Person
from tests.support.waiting import eventually

Message = dict[str, Any]
Lie = Callable[[Message], Message]

VIEWS: Final = ("roster", "place")
UP, DOWN = "up", "down"
WITHIN: Final = 15.0
"""Seconds that anything may take on a slow shared machine."""
LATE: Final = 5.0
"""Seconds for which a busy page may still work on what came before."""
SOUNDS, PICTURES = 50, 10
"""Packets of each seat that are enough to tell: of sound, a second."""


class Wire:
    """The signaling connection of one page.

    Args:
        person: whose page it is.

    Attributes:
        said: what the page has said, in its order.
        told: what the real server has said.
    """

    def __init__(self, person: Person) -> None:
        self.person = person
        self.said: list[Message] = []
        self.told: list[Message] = []
        self._page: WebSocketRoute | None = None
        self._server: WebSocketRoute | None = None
        self._lie: Lie = lambda view: view
        self._kept: dict[tuple[str, str], list[tuple[WebSocketRoute, str]]] = {}
        self._numbers = itertools.count(1_000_000)

    @classmethod
    async def of(cls, person: Person) -> Wire:
        """Sit between this person's page and the server; before the page is opened."""
        wire = cls(person)
        await person.page.route_web_socket("**/ws", wire._opened)
        return wire

    # ---- what the page is shown --------------------------------------------------------------------------

    def shows(self, lie: Lie) -> None:
        """Show the page another view than the server's, now and from now on."""
        self._lie = lie
        self.tells_page(lie(self.view))

    def is_honest(self) -> None:
        """Show the page the server's own view."""
        self.shows(lambda view: view)

    @property
    def view(self) -> Message:
        """The real view that was last sent to the page."""
        return next(message for message in reversed(self.told) if message["type"] in VIEWS)

    def slot(self, seat: str) -> int:
        """Where sound and picture of this seat come, as the server says."""
        others = self.view["seats" if self.view["type"] == "roster" else "others"]
        return int(next(one["slot"] for one in others if one["seat"] == seat))

    # ---- what is invented, withheld, played again --------------------------------------------------------

    def tells_page(self, message: Message) -> None:
        """Say this to the page as if it were the server."""
        assert self._page is not None
        self._page.send(json.dumps(message))

    async def invents(self, action: str, *seats: str) -> None:
        """Act in the name of the page, which is told nothing of it."""
        number = next(self._numbers)
        request = {"type": "act", "id": number, "action": action, "seats": seats}
        assert self._server is not None
        self._server.send(json.dumps(request))
        reply = await eventually(lambda: self._reply(number), WITHIN)
        assert reply["code"] is None, reply

    def keeps_from_server(self, *kinds: str) -> None:
        """Withhold what the page says of these types."""
        self._kept |= {(UP, kind): [] for kind in kinds}

    def keeps_from_page(self, *kinds: str) -> None:
        """Withhold what the server says of these types."""
        self._kept |= {(DOWN, kind): [] for kind in kinds}

    async def kept(self, kind: str, number: int = 1) -> Message:
        """Wait for so many messages of this type that are kept from the server; returns the last of them."""
        await eventually(lambda: len(self._kept[UP, kind]) >= number, WITHIN)
        message: Message = json.loads(self._kept[UP, kind][-1][1])
        return message

    def lets_through(self, *kinds: str, late: bool = True) -> None:
        """Withhold these types no more, in either direction.

        Args:
            late: what was withheld arrives now, or else never.
        """
        for way, kind in [key for key in self._kept if key[1] in kinds]:
            for to, raw in self._kept.pop((way, kind)):
                if late:
                    to.send(raw)

    def adds(self, seat: str) -> int:
        """How many commits of the page put this seat into the room."""
        return sum(message["type"] == "commit" and seat in message["adds"] for message in self.said)

    def candidates(self, seat: str) -> list[Message]:
        """What the server has handed over for this seat, each once."""
        told = (message for message in self.told if message["type"] == "candidate")
        return list({message["key-package"]: message for message in told if message["seat"] == seat}.values())

    def _reply(self, number: int) -> Message | None:
        replies = (message for message in self.told if message["type"] == "reply")
        return next((message for message in replies if message["id"] == number), None)

    def _opened(self, page: WebSocketRoute) -> None:
        server = page.connect_to_server()
        self._page, self._server = page, server
        page.on_message(lambda raw: self._pass_up(server, str(raw)))
        server.on_message(lambda raw: self._pass_down(page, str(raw)))

    def _pass_up(self, server: WebSocketRoute, raw: str) -> None:
        message = json.loads(raw)
        self.said.append(message)
        self._pass(server, UP, message)

    def _pass_down(self, page: WebSocketRoute, raw: str) -> None:
        message = json.loads(raw)
        self.told.append(message)
        self._pass(page, DOWN, self._lie(message) if message["type"] in VIEWS else message)

    def _pass(self, to: WebSocketRoute, way: str, message: Message) -> None:
        kept = self._kept.get((way, message["type"]))
        if kept is None:
            to.send(json.dumps(message))
        else:
            kept.append((to, json.dumps(message)))


def as_if(seat: str, **shown: Any) -> Lie:
    """A therapist's view in which this seat stands otherwise."""
    more = {name.replace("_", "-"): value for name, value in shown.items()}
    return lambda view: (
        view | {"seats": [one | (more if one["seat"] == seat else {}) for one in view["seats"]]}
    )


def without(seat: str) -> Lie:
    """A patient's view in which this seat is not in the room."""
    return lambda view: view | {"others": [one for one in view["others"] if one["seat"] != seat]}


FORGE: Final = """async ([group, seat, name]) => {
  const [{ prepare }, { drawSigner }, { toBase64url }] = await Promise.all(
    ["group-entry", "group-suite", "bytes"].map((module) => import(`/static/js/${module}.js`)));
  const drawn = (size) => crypto.getRandomValues(new Uint8Array(size));
  const keys = { psk: drawn(64), kpKey: drawn(32) };
  const signer = await drawSigner();
  const { offer } = await prepare({ id: group, me: { pid: seat, name }, keys, signer });
  return { "key-package": toBase64url(offer.keyPackage), tag: toBase64url(offer.tag) };
}"""
"""A key package of the server's own, right in all but the link secret, which no server has."""


NOTHING: Final = {"packets": 0, "frames": 0, "samples": 0, "concealed": 0}


async def opens_nothing(wire: Wire, *seats: str, within: float = LATE) -> None:
    """See that much is forwarded to a page of these seats, and that nothing comes out of it.

    Not one picture is decoded, and not one sample of sound is of a frame: all are made up.

    Args:
        within: seconds in which what was on its way may still be seen and heard.
    """
    wanted = {3 + 2 * wire.slot(seat): SOUNDS for seat in seats}
    wanted |= {4 + 2 * wire.slot(seat): PICTURES for seat in seats}
    clock = asyncio.get_running_loop().time

    async def tracks() -> dict[int, dict[str, float]]:
        found = (await wire.person.carried())["tracks"]
        return {mid: found.get(str(mid), NOTHING) for mid in wanted}

    began, last = clock(), await tracks()
    while clock() - began < within + WITHIN:
        now = await tracks()
        if any(_opened(now[mid]) != _opened(last[mid]) for mid in wanted):
            assert clock() - began < within, "something is opened still"
            last = now
        elif all(now[mid]["packets"] - last[mid]["packets"] >= more for mid, more in wanted.items()):
            return
        await asyncio.sleep(0.05)
    raise AssertionError("Too little is forwarded for anything to be told.")


def _opened(track: dict[str, float]) -> tuple[float, float]:
    """Pictures that were decoded, and samples of sound that came out of frames."""
    return track["frames"], track["samples"] - track["concealed"]
