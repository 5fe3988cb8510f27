"""The MLS module and our groups held to frozen scenarios in a real browser, with its own cryptography."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from playwright.async_api import Route

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


async def test_frozen_scenarios_of_both_suites_are_followed_in_chromium(people: People) -> None:
    async def checker(route: Route) -> None:
        await route.fulfill(path=VECTORS / "mls.mjs", content_type="text/javascript")

    person = await people.therapist()
    await person.page.route("**/static/mls-check.mjs", checker)
    await person.page.goto(people.practice.url)
    found = await person.page.evaluate(
        """async (scenarios) => {
          const {check} = await import("/static/mls-check.mjs");
          const suites = await import("/static/js/group-suite.js");
          return await check(await import("/static/vendor/mls.js"), suites, scenarios);
        }""",
        json.loads((VECTORS / "mls.json").read_text()),
    )
    assert found == {"faults": [], "scenarios": 2, "epochs": 8}


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
