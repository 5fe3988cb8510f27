"""Pages, files, health."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from signaling.pages import PAGES
from tests.architecture.tree import ROOT
from tests.signaling.front import Front
from tests.support.stores import Server
from tests.support.waiting import eventually


@pytest.mark.parametrize(("path", "name"), [(path, name) for path, (name, _) in PAGES.items()])
async def test_a_page_is_one_file_whatever_its_address_says(front: Front, path: str, name: str) -> None:
    answers = [await front.get(path.format(meeting=meeting)) for meeting in ("0" * 26, "nonsense", "%00..")]
    assert {answer.status for answer in answers} == {200}
    assert {answer.body for answer in answers} == {f"<!doctype html><title>{name}</title>".encode()}
    assert answers[0].headers["Content-Type"] == "text/html; charset=utf-8"
    assert answers[0].headers["Cache-Control"] == "no-store"


async def test_a_file_is_kept_by_its_etag(front: Front) -> None:
    script = await front.get("/static/js/page.js")
    assert script.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert script.headers["X-Content-Type-Options"] == "nosniff"
    assert script.headers["Cache-Control"] == "no-cache"
    again = await front.get("/static/js/page.js", headers={"If-None-Match": script.headers["ETag"]})
    assert (again.status, again.body) == (304, b"")


async def test_a_file_is_kept_where_a_page_says_it_lies(front: Front, tmp_path: Path) -> None:
    (tmp_path / "static" / "login.html").write_text('<script src="/static/js/page.js"></script>')
    address = (await front.get("/login")).body.decode().split('"')[1]
    assert address != "/static/js/page.js"
    script = await front.get(address)
    assert script.body == (await front.get("/static/js/page.js")).body == b"export {};\n"
    assert script.headers["Cache-Control"] == "public, max-age=2592000, immutable"
    elsewhere = await front.get("/static/0123456789abcdef/js/page.js")  # of another version, before or after
    assert elsewhere.body == script.body
    assert elsewhere.headers["Cache-Control"] == "no-cache"


async def test_text_is_compressed_for_who_can_read_that_and_kept_under_another_etag(
    front: Front, tmp_path: Path
) -> None:
    script = tmp_path / "static" / "js" / "page.js"
    script.write_text("theSameAgain();\n" * 100)
    plain = await front.get("/static/js/page.js", headers={"Accept-Encoding": "br, gzip;q=0"})
    assert plain.body == script.read_bytes()
    assert "Content-Encoding" not in plain.headers
    async with front.http.get(front.url + "/static/js/page.js", headers={"Accept-Encoding": "gzip"}) as small:
        assert small.headers["Content-Encoding"] == "gzip"
        assert int(small.headers["Content-Length"]) < 200
        assert await small.read() == script.read_bytes()
        etag = small.headers["ETag"]
    assert small.headers["Vary"] == plain.headers["Vary"] == "Accept-Encoding"
    assert etag != plain.headers["ETag"]
    known = {"Accept-Encoding": "gzip", "If-None-Match": etag}
    again = await front.get("/static/js/page.js", headers=known)
    assert (again.status, again.body) == (304, b"")
    script.write_text("anew();\n")
    changed = await front.get("/static/js/page.js", headers=known)
    assert (changed.status, changed.body) == (200, b"anew();\n")


async def test_a_module_is_sent_without_its_comments_to_everybody_alike(front: Front, tmp_path: Path) -> None:
    (tmp_path / "static" / "js" / "page.js").write_text("// why\na(); // how\n")
    for encoding in ("gzip", "identity"):
        sent = await front.get("/static/js/page.js", headers={"Accept-Encoding": encoding})
        assert sent.body == b"\na();\n"


async def test_comparing_a_server_with_a_tree_looks_where_browsers_look(front: Front, tmp_path: Path) -> None:
    served, tree = tmp_path / "static", tmp_path / "tree" / "static"
    (served / "login.html").write_text('  <script type="module" src="/static/js/page.js"></script>\n')
    (served / "js" / "page.js").write_text('import { a } from "./a.js"; // why\n')
    (served / "js" / "a.js").write_text("export const a = 1;\n")
    for name in ("neutral.html", "neutral.css"):
        (served / name).write_text("")
    shutil.copytree(served, tree)
    written = (ROOT / "docs/decisions/0015-modules-go-out-as-written-but-for-comments.md").read_text()
    (program,) = re.findall(r"```python\n(.*?)```", written, re.DOTALL)

    async def differs() -> list[str]:
        run = await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, front.url, cwd=tree.parent,
            env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE,
        )  # fmt: skip
        told, _ = await run.communicate()
        assert run.returncode == 0
        return told.decode().splitlines()

    assert await differs() == []
    address = re.findall(r'"(/static/\w{16}/js/a.js)"', (await front.get("/login")).body.decode())[0]
    (tree / "js" / "a.js").write_text("export const a = 2;\n")
    (tree / "neutral.css").write_text("a {}\n")
    assert await differs() == [f"differs: {address}", "differs: /static/neutral.css"]
    (tree / "login.html").write_text("")
    assert await differs() == ["differs: /login", "differs: /static/neutral.css"]


@pytest.mark.parametrize(
    "path",
    [
        "/static/absent.js",
        "/static/notes.md",
        "/static/js",
        "/static/js/",
        "/static/../front.py",
        "/static/%2e%2e/secret.js",
        "/static/..%2fsecret.js",
        "/static//etc/hostname.txt",
        "/static/%2fetc/hostname",
        "/static/js/page.js%00.png",
        "/static/out.js",
        "/static/loop.js",
        "/static/" + "x" * 5000 + ".js",
    ],
)
async def test_nothing_outside_the_folder_or_of_another_kind_is_served(
    front: Front, path: str, tmp_path: Path
) -> None:
    (tmp_path / "secret.js").write_text("secret")
    (tmp_path / "static" / "out.js").symlink_to(tmp_path / "secret.js")
    (tmp_path / "static" / "loop.js").symlink_to(tmp_path / "static" / "loop.js")
    async with front.http.get(front.url + path) as response:
        assert response.status == 404
        assert b"secret" not in await response.read()


async def test_head_answers_like_get_without_a_body(front: Front) -> None:
    for path in ("/", "/static/js/page.js", "/healthz"):
        answer = await front.ask("HEAD", path)
        assert (answer.status, answer.body) == (200, b"")


async def test_ready_means_that_somebody_new_can_be_served(front: Front, server: Server) -> None:
    assert (await front.get("/readyz")).body == b"ready\n"
    front.draining = True
    assert (await front.get("/readyz")).code == "draining"
    assert (await front.get("/healthz")).status == 200


async def test_ready_is_red_while_the_store_is_away(front: Front, server: Server) -> None:
    os.kill(server.pid, signal.SIGSTOP)
    try:
        # The store is found to be away by using it.
        await front.post("/api/link-opened", {"meeting": "m", "seat-token": "t"})
        await eventually(lambda: not front.services.store_ok(), timeout=10)
        answer = await front.get("/readyz")
        assert (answer.status, answer.code) == (503, "audit-unavailable")
    finally:
        os.kill(server.pid, signal.SIGCONT)
    await eventually(front.services.store_ok, timeout=10)


async def test_the_description_is_served(front: Front) -> None:
    described = await front.get("/openapi.json")
    assert described.json["openapi"] == "3.1.0"
    assert "/api/enter" in described.json["paths"]
