"""Made mls-others.json, once: scenarios in the form of the official ones, of groups that other programs made.

By hand, never in CI; FOLDER is a scratch one, nothing of it belongs to the project:

    pip install --target FOLDER/python agentvault-mls-rs-uniffi==0.1.1 rfc9420==1.3.0
    npm install --prefix FOLDER @wireapp/core-crypto@10.3.0
    PYTHONPATH=. python -m tests.vectors.freeze_mls_others FOLDER > tests/vectors/mls-others.json

- mls-rs, by a Python binding (Apache-2.0 or MIT): a proposal by reference, the tree in the Welcome or apart.
- OpenMLS, in Wire's core-crypto (OpenMLS is MIT, core-crypto GPL-3.0): WebAssembly, in Debian's Chromium.

What is frozen is only what a run of them wrote, nothing of theirs. Our module draws the key package of the
one who follows; all others are theirs: they make the group, commit by turns, write a message in each epoch.
Neither tells its epoch authenticator, so a secret exported from each epoch stands for it; neither offers
external PSKs, which are in what rfc9420_side.py makes. Then the other way round: members of both join a group
of ours and commit in it. What came of that is told on standard error.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from playwright.async_api import Page, Route, async_playwright

from tests.vectors import rfc9420_side

HERE = Path(__file__).parent
GROUP = b"interop".hex()
HOW = "tests/vectors/freeze_mls_others.py says how this was made, and by what"


@dataclass
class Committed:
    """What a commit sends, in hex: proposals that it refers to, the commit, and for whom it adds."""

    commit: str
    welcome: str | None = None
    tree: str | None = None
    proposals: tuple[str, ...] = ()


class Member(Protocol):
    """Somebody of another implementation. Messages are in hex."""

    async def key_package(self) -> str: ...
    async def create(self) -> None: ...
    async def join(self, welcome: str) -> None: ...
    async def add(self, key_package: str) -> Committed: ...
    async def remove(self, other: Any) -> Committed: ...
    async def renew(self) -> Committed: ...
    async def apply(self, message: str) -> str: ...
    async def say(self, text: str) -> str: ...
    async def exporter(self) -> dict[str, Any]: ...


class Ours:
    """The vendored module in Node."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def ask(self, what: str, **more: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"ask": what, **more}).encode() + b"\n")
        return json.loads(await self._process.stdout.readline())


class MlsRs:
    """A member in mls-rs. Keeps the tree out of the Welcome or in it."""

    def __init__(self, name: str, *, tree_apart: bool) -> None:
        self._lib: Any = importlib.import_module("mls_rs_uniffi")
        config = self._lib.client_config_default()
        config.use_ratchet_tree_extension = not tree_apart
        keys = self._lib.generate_signature_keypair(self._lib.CipherSuite.CURVE25519_AES128)
        self._client = self._lib.Client(name.encode(), keys, config)
        self._tree: Any = None
        self._group: Any = None

    async def key_package(self) -> str:
        return self._hex(self._client.generate_key_package_message())

    async def create(self) -> None:
        self._group = self._client.create_group(bytes.fromhex(GROUP))

    async def join(self, welcome: str, tree: str | None = None) -> None:
        there = None if tree is None else self._lib.RatchetTree(bytes=bytes.fromhex(tree))
        self._group = self._client.join_group(there, self._message(welcome)).group

    async def add(self, key_package: str) -> Committed:
        return self._merged(self._group.add_members([self._message(key_package)]))

    async def remove(self, other: MlsRs) -> Committed:
        return self._merged(self._group.remove_members([other._client.signing_identity()]))

    async def propose_to_remove(self, other: MlsRs) -> str:
        [proposal] = self._group.propose_remove_members([other._client.signing_identity()])
        return self._hex(proposal)

    async def renew(self) -> Committed:
        return self._merged(self._group.commit())

    async def apply(self, message: str) -> str:
        received = self._group.process_incoming_message(self._message(message))
        return received.data.hex() if received.is_application_message() else ""

    async def say(self, text: str) -> str:
        return self._hex(self._group.encrypt_application_message(bytes.fromhex(text)))

    async def exporter(self) -> dict[str, Any]:
        secret = self._group.export_secret(b"interop", b"context", 32)
        return {"label": "interop", "context": b"context".hex(), "length": 32, "secret": secret.hex()}

    def _merged(self, made: Any) -> Committed:
        self._group.process_incoming_message(made.commit_message)
        welcome = None if made.welcome_message is None else self._hex(made.welcome_message)
        tree = None if made.ratchet_tree is None else made.ratchet_tree.bytes.hex()
        return Committed(self._hex(made.commit_message), welcome, tree)

    def _message(self, text: str) -> Any:
        return self._lib.Message.from_bytes(bytes.fromhex(text))

    @staticmethod
    def _hex(message: Any) -> str:
        return str(message.to_bytes().hex())


KEY_PACKAGE = (
    "00010005"  # how an MLSMessage of version 1.0 with a key package begins: core-crypto has them without
)


class OpenMls:
    """A member in OpenMLS, in a page."""

    def __init__(self, page: Page, at: int) -> None:
        self._page = page
        self._at = at

    async def key_package(self) -> str:
        return KEY_PACKAGE + str(await self._act("key_package"))

    async def create(self) -> None:
        await self._act("create", GROUP)

    async def join(self, welcome: str, tree: str | None = None) -> None:
        await self._act("join", welcome)

    async def add(self, key_package: str) -> Committed:
        return Committed(**await self._act("add", GROUP, key_package.removeprefix(KEY_PACKAGE)))

    async def remove(self, other: OpenMls) -> Committed:
        return Committed(**await self._act("remove", GROUP, other._at))

    async def renew(self) -> Committed:
        return Committed(**await self._act("renew", GROUP))

    async def apply(self, message: str) -> str:
        return str(await self._act("apply", GROUP, message))

    async def say(self, text: str) -> str:
        return str(await self._act("say", GROUP, text))

    async def exporter(self) -> dict[str, Any]:
        # core-crypto exports under this label alone.
        return {
            "label": "exporter",
            "context": "",
            "length": 32,
            "secret": await self._act("exporter", GROUP),
        }

    async def _act(self, what: str, *more: Any) -> Any:
        return await self._page.evaluate("window.act", [self._at, what, *more])


async def scenario(made_by: str, ours: Ours, people: list[Any]) -> dict[str, Any]:
    """A group of three of theirs and our module, in which all of theirs commit.

    The last commit is told apart, as `lone_half`: ts-mls 1.6.4 cannot follow it (docs/decisions/0013).
    """
    first, second, third = people  # leaves 0, 1 and 3; our module is leaf 2
    passive = await ours.ask("person", identity=b"00000000-0000-4000-8000-000000000009:9@ours.test".hex())
    await first.create()
    made = await first.add(await second.key_package())
    await second.join(made.welcome, made.tree)
    made = await first.add(passive["key_package"])
    await second.apply(made.commit)
    inside, epochs = [first, second], []

    async def seen(committer: Any, said_by: Any, made: Committed) -> None:
        epoch: dict[str, Any] = {"proposals": list(made.proposals), "commit": made.commit}
        epochs.append(epoch)
        for member in inside:
            if member is not committer:
                await member.apply(made.commit)
        await tell(epoch, said_by)

    async def tell(epoch: dict[str, Any], said_by: Any) -> None:
        told = [await member.exporter() for member in inside]
        assert all(each == told[0] for each in told)
        text = f"after {len(epochs)} commits".encode().hex()
        epoch |= {"exporter": told[0], "messages": [{"message": await said_by.say(text), "text": text}]}

    initial: dict[str, Any] = {}
    await tell(initial, second)
    joined = made
    await seen(second, first, await second.renew())
    made = await first.add(await third.key_package())
    await third.join(made.welcome, made.tree)
    await seen(first, third, made)
    inside.append(third)
    await seen(third, second, await third.renew())
    if isinstance(third, MlsRs):
        proposal = await third.propose_to_remove(second)
        await first.apply(proposal)
        made = await first.renew()
        made.proposals = (proposal,)
        inside.remove(second)
        await seen(first, third, made)
    else:
        inside.remove(second)
        await seen(first, third, await first.remove(second))
    await seen(third, first, await third.renew())
    made = await third.remove(first)
    inside.remove(first)
    await seen(third, third, made)
    lone_half = epochs.pop()
    return {
        "made_by": made_by,
        "cipher_suite": 1,
        "external_psks": [],
        **passive,
        "welcome": joined.welcome,
        "ratchet_tree": joined.tree,
        "initial_epoch_authenticator": None,
        "initial_exporter": initial["exporter"],
        "initial_messages": initial["messages"],
        "epochs": epochs,
        "lone_half": lone_half,
    }


async def other_way_round(made_by: str, ours: Ours, people: list[Any], *, public: bool) -> None:
    """They join a group of ours, and everybody commits and writes. `public`: how our commits go."""
    member, other, _ = people
    await ours.ask("person", identity=b"00000000-0000-4000-8000-000000000008:8@ours.test".hex())
    await ours.ask("group", id=GROUP)
    await member.join((await ours.ask("commit", add=[await member.key_package()]))["welcome"])
    made = await ours.ask("commit", add=[await other.key_package()], public=public)
    await member.apply(made["commit"])
    await other.join(made["welcome"])
    checked = 0

    async def all_are_in(*inside: Any) -> None:
        nonlocal checked
        hello = b"hello".hex()
        for each in inside:
            told = await each.exporter()
            secret = told.pop("secret")
            assert (await ours.ask("exported", **told))["secret"] == secret
            assert (await ours.ask("apply", message=await each.say(hello)))["text"] == hello
        said = (await ours.ask("say", text=hello))["message"]
        assert [await each.apply(said) for each in inside] == [hello] * len(inside)
        checked += 1

    await all_are_in(member, other)
    renewed = (await ours.ask("commit", public=public))["commit"]
    for each in (member, other):
        await each.apply(renewed)
    await all_are_in(member, other)
    renewed = (await member.renew()).commit
    await ours.ask("apply", message=renewed)
    await other.apply(renewed)
    await all_are_in(member, other)
    await member.apply((await ours.ask("commit", remove=[2], public=public))["commit"])
    await all_are_in(member)
    print(f"{made_by}: in a group of ours, {checked} epochs, everybody reads everybody", file=sys.stderr)


async def main(folder: Path) -> None:
    """Run every other implementation and print what is to be frozen."""
    sys.path.append(str(folder / "python"))
    pipe = asyncio.subprocess.PIPE
    node = await asyncio.create_subprocess_exec(
        "node", str(HERE / "mls-side.mjs"), stdin=pipe, stdout=pipe, limit=1 << 20
    )
    ours = Ours(node)
    passive = await ours.ask("person", identity=b"passive".hex())
    scenarios = [rfc9420_side.scenario("rfc9420 1.3.0", passive)]
    mls_rs = "mls-rs, agentvault-mls-rs-uniffi 0.1.1"
    for tree_apart in (False, True):
        people = [MlsRs(name, tree_apart=tree_apart) for name in "ABC"]
        scenarios.append(await scenario(mls_rs, ours, people))
    await other_way_round(mls_rs, ours, [MlsRs(name, tree_apart=False) for name in "ABC"], public=False)

    files = folder / "node_modules/@wireapp/core-crypto/dist/browser"

    async def serve(route: Route) -> None:
        name = route.request.url.removeprefix("https://other.test/")
        if name == "":
            await route.fulfill(body="<title>other</title>", content_type="text/html")
        elif name == "openmls-side.mjs":
            await route.fulfill(path=HERE / name, content_type="text/javascript")
        else:
            kind = "application/wasm" if name.endswith(".wasm") else "text/javascript"
            await route.fulfill(path=files / name, content_type=kind)

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path="/usr/bin/chromium")
        page = await browser.new_page()
        await page.route("https://other.test/**", serve)
        await page.goto("https://other.test/")
        await page.evaluate("import('/openmls-side.mjs')")

        async def three() -> list[OpenMls]:
            return [OpenMls(page, await page.evaluate("window.person()")) for _ in range(3)]

        openmls = "OpenMLS, @wireapp/core-crypto 10.3.0"
        scenarios.append(await scenario(openmls, ours, await three()))
        await other_way_round(openmls, ours, await three(), public=True)
        await browser.close()
    print(await ours.ask("follow", scenarios=scenarios), file=sys.stderr)
    print(json.dumps({"how": HOW, "scenarios": scenarios}, indent=1))
    assert node.stdin is not None
    node.stdin.close()
    await node.wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
