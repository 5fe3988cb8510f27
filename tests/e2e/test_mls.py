"""The MLS module and our groups held to frozen scenarios in a real browser, with its own cryptography."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from playwright.async_api import Route

from tests.architecture.tree import ROOT
from tests.e2e.people import People
from tests.e2e.practice import Practice
from tests.support.firefox import running_firefox

VECTORS = Path(__file__).parents[1] / "vectors"

pytestmark = pytest.mark.asyncio(loop_scope="session")

GROUP = """async () => {
  const {openGroup, prepare} = await import("/static/js/group-entry.js");
  const {drawSigner} = await import("/static/js/group-suite.js");
  const {drawLinkSecret, linkKeys} = await import("/static/js/link-secret.js");
  const keys = await linkKeys(drawLinkSecret());
  const id = "7k2mabcd/0123456789abcdef";
  const host = await openGroup({id, me: {pid: "T", name: "Host"}, keys, signer: await drawSigner()});
  const ways = {};
  for (const pid of ["A", "B"]) {
    ways[pid] = await prepare({id, me: {pid, name: pid}, keys, signer: await drawSigner()});
  }
  const add = ["A", "B"].map((pid) => ({pid, ...ways[pid].offer}));
  const {welcome} = await host.commit({add});
  await host.merge();
  const a = await ways.A.join(welcome);
  const b = await ways.B.join(welcome);
  const {commit} = await host.commit({remove: ["B"]});
  await host.merge();
  const out = [await a.apply(commit), await b.apply(commit)].map(({removed}) => removed);
  const {payload, from} = await a.open(await host.seal(new TextEncoder().encode("hello")));
  const keysNow = [];
  for (const group of [host, a]) keysNow.push((await group.epochKey()).baseKey.join());
  return {out, same: keysNow[0] === keysNow[1], heard: new TextDecoder().decode(payload), from: from.name};
}"""

LIVED = {"out": [False, True], "same": True, "heard": "hello", "from": "Host"}


def bundled(module: Path) -> str:
    """A module of the tests with the packages that it imports."""
    esbuild = str(ROOT / "node_modules" / ".bin" / "esbuild")
    command = [esbuild, str(module), "--bundle", "--format=esm", "--external:crypto"]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


def with_last_bit_flipped(text: str) -> str:
    return f"{int(text, 16) ^ 1:0{len(text)}x}"


async def test_frozen_scenarios_of_ours_and_of_others_are_followed_in_chromium(people: People) -> None:
    ours = json.loads((VECTORS / "mls.json").read_text())
    others = json.loads((VECTORS / "mls-others.json").read_text())["scenarios"]
    altered = [{**each, "welcome": with_last_bit_flipped(each["welcome"])} for each in others]

    async def checker(route: Route) -> None:
        await route.fulfill(path=VECTORS / "mls.mjs", content_type="text/javascript")

    async def other_suite(route: Route) -> None:
        await route.fulfill(body=bundled(VECTORS / "suites.mjs"), content_type="text/javascript")

    person = await people.therapist()
    await person.page.route("**/static/mls-check.mjs", checker)
    await person.page.route("**/static/mls-suites.mjs", other_suite)
    await person.page.goto(people.practice.url)
    found = await person.page.evaluate(
        """async (each) => {
          const {check} = await import("/static/mls-check.mjs");
          const {suitesBeside} = await import("/static/mls-suites.mjs");
          const suites = suitesBeside(await import("/static/js/group-suite.js"));
          const mls = await import("/static/vendor/mls.js");
          return await Promise.all(each.map((scenarios) => check(mls, suites, scenarios)));
        }""",
        [ours, others, altered],
    )
    assert found[0] == {"faults": [], "scenarios": 2, "epochs": 8, "messages": 0}
    assert found[1] == {"faults": [], "scenarios": 4, "epochs": 22, "messages": 22}
    assert len(found[2]["faults"]) == 4


async def test_a_group_lives_in_chromium_under_our_content_security_policy(people: People) -> None:
    person = await people.therapist()
    await person.page.goto(people.practice.url)
    assert await person.page.evaluate(GROUP) == LIVED


async def test_a_group_lives_in_firefox_under_our_content_security_policy(
    practice: Practice, tmp_path: Path
) -> None:
    async with running_firefox(tmp_path) as firefox:
        await firefox.opens(practice.url)
        assert await firefox.evaluate(GROUP) == LIVED
