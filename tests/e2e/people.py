"""The people of a visit, each in a browser of their own: they read, press buttons and look at pictures."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final, Self, TypeVar, cast

from playwright.async_api import Browser, BrowserContext, Page, expect

from tests.e2e.practice import Practice, Visit
from tests.support.impairment import Link
from tests.support.streams import Streams
from tests.support.waiting import eventually

WITHIN: Final = 15_000
"""Milliseconds that anything may take on a slow shared machine."""

# Counts what this page's connections carried, from outside the page's own code: every connection it makes is
# remembered before the page runs.
REMEMBER_CONNECTIONS = """
window.connections = [];
window.RTCPeerConnection = class extends RTCPeerConnection {
  constructor(...args) { super(...args); window.connections.push(this); }
};
"""
CARRIED = """async () => {
  const sum = {framesDecoded: 0, freezes: 0, audioEnergy: 0, packetsReceived: 0, packetsLost: 0,
               packetsSent: 0, tracks: {}, suite: null};
  const pc = window.connections.at(-1);
  if (!pc) return sum;
  for (const entry of (await pc.getStats()).values()) {
    if (entry.type === "inbound-rtp") {
      sum.framesDecoded += entry.framesDecoded ?? 0;
      sum.audioEnergy += entry.totalAudioEnergy ?? 0;
      sum.packetsReceived += entry.packetsReceived ?? 0;
      sum.packetsLost += entry.packetsLost ?? 0;
      sum.freezes += entry.freezeCount ?? 0;
      sum.tracks[entry.mid] = {frames: entry.framesDecoded ?? 0, freezes: entry.freezeCount ?? 0,
                               packets: entry.packetsReceived ?? 0, lost: entry.packetsLost ?? 0,
                               energy: entry.totalAudioEnergy ?? 0, samples: entry.totalSamplesReceived ?? 0,
                               concealed: entry.concealedSamples ?? 0, at: entry.timestamp};
    }
    if (entry.type === "outbound-rtp") {
      sum.packetsSent += entry.packetsSent ?? 0;
      sum.tracks[entry.mid] = {framesSent: entry.framesSent ?? 0, at: entry.timestamp};
    }
    if (entry.type === "transport") sum.suite = entry.srtpCipher ?? null;
  }
  return sum;
}"""


async def flowing(carried: Callable[[], Awaitable[dict[str, Any]]], tracks: int, *, frames: int = 10) -> None:
    """Wait until a page, by what it has carried, sees that many pictures move and hears as many voices."""
    before = (await carried())["tracks"]

    async def moving_and_heard() -> bool:
        more: list[dict[str, float]] = [
            {what: _since(before.get(mid, {}).get(what, 0), count) for what, count in track.items()}
            for mid, track in (await carried())["tracks"].items()
        ]
        moving = sum(track.get("frames", 0) >= frames for track in more)
        heard = sum(track.get("energy", 0) > 0 for track in more)
        return moving >= tracks and heard >= tracks

    # From here and not by `wait_for_function`: that takes the promise of an async function for a yes.
    await eventually(moving_and_heard, WITHIN / 1000, every=0.1)


def _since(before: float, count: float) -> float:
    """How much was counted since; a new transport counts from nothing."""
    return count - before if count >= before else count


PersonType = TypeVar("PersonType", bound="Person")


@dataclass
class Person:
    """Somebody at a browser."""

    practice: Practice
    context: BrowserContext
    page: Page
    errors: list[str] = field(default_factory=list)

    async def sees(self, text: str, *, within: float = WITHIN) -> Self:
        """Wait until the page's main heading says this."""
        await expect(self.page.get_by_role("heading", level=1)).to_have_text(text, timeout=within)
        return self

    async def reads(self, text: str, *, within: float = WITHIN) -> Self:
        """Wait until this can be read somewhere on the page."""
        await expect(self.page.get_by_text(text).first).to_be_visible(timeout=within)
        return self

    async def presses(self, name: str, *, exact: bool = True) -> Self:
        """Press a button by its name, once it can be pressed."""
        await self.page.get_by_role("button", name=name, exact=exact).click(timeout=WITHIN)
        return self

    async def carried(self) -> dict[str, Any]:
        """What the page's current connection has carried so far."""
        return cast("dict[str, Any]", await self.page.evaluate(CARRIED))

    async def sees_and_hears(self, tracks: int, *, frames: int = 10) -> None:
        """Wait until that many pictures move and as many voices are heard, from now on."""
        await flowing(self.carried, tracks, frames=frames)

    async def transports(self) -> int:
        """How many connections this page has made so far."""
        return int(await self.page.evaluate("window.connections.length"))

    async def connects_anew(self, since: int) -> None:
        """Wait until the page has made another connection than those it had, and it is up."""
        await self.page.wait_for_function(
            "(since) => window.connections.length > since"
            " && window.connections.at(-1).connectionState === 'connected'",
            arg=since,
            timeout=WITHIN,
        )

    async def receives_nothing(self, *, during_ms: int = 1000) -> None:
        """See that no media packet arrives for a while."""
        before = (await self.carried())["packetsReceived"]
        await self.page.wait_for_timeout(during_ms)
        assert (await self.carried())["packetsReceived"] == before

    async def receives_no_more(self) -> None:
        """Wait until what was on its way has arrived, at most two seconds; then no media packet may come."""
        seen = [-1]

        async def still() -> bool:
            seen.append((await self.carried())["packetsReceived"])
            await self.page.wait_for_timeout(100)
            return seen[-1] == seen[-2]

        await eventually(still, 2.0)
        await self.receives_nothing()

    async def reload(self) -> Self:
        """Reload the page."""
        await self.page.reload()
        return self

    async def vanishes(self) -> None:
        """The browser is gone without a word, as when a battery dies."""
        await self.context.close()


@dataclass
class Patient(Person):
    """A patient with their link."""

    visit: Visit | None = None
    seat: str = ""

    async def opens_link(self) -> Self:
        """Open the link of one's own seat."""
        assert self.visit is not None
        await self.page.goto(self.visit.links[self.seat])
        return self

    async def enters(self) -> Self:
        """Type the password."""
        assert self.visit is not None
        await self.page.get_by_label("Visit password").fill(self.visit.password)
        return await self.presses("Continue")

    async def checks_devices(self) -> Self:
        """Look at oneself and go on."""
        await self.sees("Camera and microphone")
        await self.presses("Check camera and microphone")
        return self

    async def agrees(self) -> Self:
        """Accept the agreement; this knocks."""
        await self.page.get_by_label("I have read this and agree").check(timeout=WITHIN)
        return await self.presses("Enter the waiting room")

    async def waits(self) -> Self:
        """The whole way from the link into the waiting room."""
        await self.opens_link()
        await self.enters()
        await self.checks_devices()
        await self.presses("Continue")
        await self.agrees()
        await self.sees("You are in the waiting room")
        return self

    async def waits_again(self) -> Self:
        """From the link back into the waiting room, for somebody who agreed before."""
        await self.opens_link()
        await self.enters()
        await self.sees("You are in the waiting room")
        return self

    async def is_in_the_room(self) -> Self:
        """Wait until the page says so."""
        return await self.sees("You are in the room")


@dataclass
class Therapist(Person):
    """The therapist at the host page."""

    visit: Visit | None = None

    async def signs_in(self, name: str = "therapist", *, path: str | None = None) -> Self:
        """Open the host page (or another), and sign in when asked."""
        target = path or (self.visit.host_link if self.visit else "/staff")
        await self.page.goto(target if target.startswith("http") else f"{self.practice.url}{target}")
        await self.page.get_by_label("Account name").fill(name)
        await self.page.get_by_label("Password").fill(self.practice.passwords[name])
        return await self.presses("Sign in")

    async def opens_the_room(self, name: str = "therapist") -> Self:
        """Signed in since this morning, come in with camera and microphone."""
        assert self.visit is not None
        key, _, value = (await self.practice.signed_in(name)).partition("=")
        url = self.practice.url.replace("http:", "https:")  # a browser keeps what is secure of no other
        cookie: Any = {"name": key, "value": value, "url": url, "secure": True, "httpOnly": True}
        await self.context.add_cookies([cookie])
        await self.page.goto(self.visit.host_link)
        await self.presses("Open the room")
        await expect(self.page.get_by_role("heading", name="The room", exact=True)).to_be_visible(
            timeout=WITHIN
        )
        return self

    def card(self, seat: str) -> Any:
        """One seat on the couple's card."""
        return self.page.locator(f'li.seat[data-seat="{seat}"]')

    async def sees_seat(self, seat: str, *, state: str | None = None, presence: str | None = None) -> Self:
        """Wait until the card shows that state or presence."""
        if state is not None:
            await expect(self.card(seat)).to_have_attribute("data-state", state, timeout=WITHIN)
        if presence is not None:
            await expect(self.card(seat)).to_have_attribute("data-presence", presence, timeout=WITHIN)
        return self

    async def ends_for_everyone(self) -> Self:
        """Two steps on the page."""
        await self.presses("End for everyone", exact=False)
        return await self.presses("End the visit now")


class People:
    """Lets people come to one practice, and sends them home after the test."""

    def __init__(self, practice: Practice, browser: Browser) -> None:
        self.practice, self.browser = practice, browser
        self._contexts: list[BrowserContext] = []
        self._links: list[Link] = []
        self._streams: list[Streams] = []
        self.persons: list[Person] = []

    def link(self, *, seed: int = 1) -> Link:
        """A network to the practice that can be made bad; give it to whoever is to have it."""
        link = Link(("127.0.0.1", self.practice.port), seed=seed)
        self._links.append(link)
        return link

    async def _browser_of_their_own(
        self, browser: Browser | None = None, link: Link | None = None, **settings: Any
    ) -> tuple[BrowserContext, Page]:
        # What moves for calm's sake is drawn by the processor here, sixty times a second on every page.
        settings = {"permissions": ["camera", "microphone"], "reduced_motion": "reduce"} | settings
        if link is not None:
            streams = Streams(link)
            self._streams.append(streams)
            await streams.start()
            settings["proxy"] = {"server": f"socks5://{link.host}:{streams.port}"}
        context = await (browser or self.browser).new_context(**settings)
        context.set_default_timeout(WITHIN)
        if link is not None:
            await context.add_init_script(link.init_script)
        await context.add_init_script(REMEMBER_CONNECTIONS)
        self._contexts.append(context)
        return context, await context.new_page()

    def _watch(self, person: PersonType) -> PersonType:
        person.page.on("pageerror", lambda error: person.errors.append(str(error)))
        self.persons.append(person)
        return person

    async def patient(self, visit: Visit, seat: str, **browser: Any) -> Patient:
        """Somebody with the link of that seat; in another ``browser``, with other settings of it, or behind a
        ``link`` of their own."""
        context, page = await self._browser_of_their_own(**browser)
        return self._watch(Patient(self.practice, context, page, visit=visit, seat=seat))

    async def another_tab(self, person: PersonType) -> PersonType:
        """The same person in the same browser, at a second tab."""
        return self._watch(replace(person, page=await person.context.new_page(), errors=[]))

    async def therapist(self, visit: Visit | None = None, **browser: Any) -> Therapist:
        """The therapist, not yet signed in; in another ``browser``, with other settings of it, or behind a
        ``link`` of their own."""
        context, page = await self._browser_of_their_own(**browser)
        return self._watch(Therapist(self.practice, context, page, visit=visit))

    async def go_home(self) -> None:
        """Close every browser; nothing may have failed on any page."""
        for context in self._contexts:
            with contextlib.suppress(Exception):  # it may have vanished as part of the test
                await context.close()
        for streams in self._streams:
            streams.close()
        for link in self._links:
            link.close()
        errors = [error for person in self.persons for error in person.errors]
        assert not errors, errors
