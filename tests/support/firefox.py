"""Debian's Firefox, driven over Marionette, its own TCP protocol: nothing more needs to be installed.

A message is its length, a colon and JSON: ``[0, id, command, parameters]``, which is answered by
``[1, id, error, result]``.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final, Self

from tests.support.waiting import eventually

FIREFOX: Final = "/usr/bin/firefox-esr"
WITHIN: Final = 20.0
"""Seconds that anything may take on a slow shared machine."""

_ELEMENT: Final = "element-6066-11e4-a52e-4f735466cecf"

# A camera and a microphone that need no question, and a browser that keeps to itself. Autoplay stays as
# people have it.
_PREFERENCES: Final = {
    "marionette.port": 0,
    "media.navigator.streams.fake": True,
    "media.navigator.permission.disabled": True,
    "permissions.default.camera": 1,
    "permissions.default.microphone": 1,
    "app.update.enabled": False,
    "browser.aboutwelcome.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "toolkit.telemetry.enabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "services.settings.server": "data:,",
    "extensions.getAddons.cache.enabled": False,
}


class FirefoxError(Exception):
    """A command was refused; the text is Firefox's."""


class Firefox:
    """One Firefox with one window."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._count = itertools.count(1)
        self._turn = asyncio.Lock()

    async def tell(self, command: str, **parameters: Any) -> Any:
        """Carry out one WebDriver command.

        Raises:
            FirefoxError: it was refused.
        """
        async with self._turn, asyncio.timeout(WITHIN):
            number = next(self._count)
            message = json.dumps([0, number, f"WebDriver:{command}", parameters])
            self._writer.write(f"{len(message.encode())}:{message}".encode())
            _, answered, error, result = await self.read()
        assert answered == number
        if error is not None:
            raise FirefoxError(f"{error['error']}: {error['message']}")
        return result

    async def read(self) -> Any:
        """The next message."""
        size = await self._reader.readuntil(b":")
        return json.loads(await self._reader.readexactly(int(size[:-1])))

    async def opens(self, url: str) -> Self:
        """Go to a page."""
        await self.tell("Navigate", url=url)
        return self

    async def evaluate(self, function: str) -> Any:
        """Call an ``async () => …`` of JavaScript on the page; returns what it resolves to."""
        script = f"const [done] = arguments; ({function})().then(done);"
        return (
            await self.tell("ExecuteAsyncScript", script=script, args=[], scriptTimeout=int(1000 * WITHIN))
        )["value"]

    async def runs(self, script: str) -> Self:
        """Run statements of JavaScript on the page."""
        await self.tell("ExecuteScript", script=script, args=[])
        return self

    async def sees(self, text: str) -> Self:
        """Wait until the page's main heading says this."""

        async def said() -> bool:
            heading = await self.evaluate("async () => document.querySelector('h1')?.textContent.trim()")
            return bool(heading == text)

        await eventually(said, WITHIN)
        return self

    async def presses(self, name: str) -> Self:
        """Press a button by its text, once it can be pressed."""
        return await self._does("ElementClick", f"//button[normalize-space()='{name}'][not(@disabled)]")

    async def ticks(self, label: str) -> Self:
        """Tick the box with that label."""
        return await self._does("ElementClick", f"//input[@id=//label[contains(., '{label}')]/@for]")

    async def types(self, label: str, text: str) -> Self:
        """Type into the field with that label."""
        field = f"//*[self::input or self::textarea][@id=//label[contains(., '{label}')]/@for]"
        return await self._does("ElementSendKeys", field, text=text)

    async def reads(self, text: str) -> Self:
        """Wait until this can be read somewhere on the page."""

        async def said() -> bool:
            return text in await self.evaluate("async () => document.body.innerText")

        await eventually(said, WITHIN)
        return self

    async def picture(self) -> bytes:
        """What the window shows, PNG."""
        shown = await self.tell("TakeScreenshot", full=False)
        return base64.b64decode(shown["value"])

    async def _does(self, command: str, xpath: str, **more: str) -> Self:
        async def done() -> bool:
            try:
                found = await self.tell("FindElement", using="xpath", value=xpath)
                await self.tell(command, id=found["value"][_ELEMENT], **more)
            except FirefoxError:
                return False  # not there yet, or just replaced by another
            return True

        await eventually(done, WITHIN)
        return self


@contextlib.asynccontextmanager
async def running_firefox(profile: Path) -> AsyncIterator[Firefox]:
    """Debian's Firefox with a fake camera and microphone, without a window to be seen.

    Args:
        profile: an empty folder to fill.
    """
    lines = [f'user_pref("{name}", {json.dumps(value)});' for name, value in _PREFERENCES.items()]
    (profile / "user.js").write_text("\n".join(lines))
    process = await asyncio.create_subprocess_exec(
        FIREFOX,
        "--marionette",
        "--headless",
        "--no-remote",
        "--profile",
        str(profile),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        told = profile / "MarionetteActivePort"
        await eventually(lambda: told.exists() and told.read_text().strip(), 2 * WITHIN)
        reader, writer = await asyncio.open_connection("127.0.0.1", int(told.read_text()))
        firefox = Firefox(reader, writer)
        await firefox.read()  # it greets
        await firefox.tell("NewSession", capabilities={"alwaysMatch": {"acceptInsecureCerts": True}})
        yield firefox
        writer.close()
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()
