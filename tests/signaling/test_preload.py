"""What a page will need, and where it lies."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from broker.errors import Refused
from signaling.pages import PAGES
from signaling.preload import modules, page, version, versioned
from tests.architecture.tree import ROOT

STATIC = ROOT / "static"
HINT = re.compile(r'<link rel="(modulepreload|prefetch)" href="/static/([0-9a-f]{16})/([^"]+)" />')


def write(root: Path, **files: str) -> None:
    for name, text in files.items():
        path = root / "js" / f"{name}.js"
        path.parent.mkdir(exist_ok=True)
        before = path.stat().st_mtime_ns if path.exists() else 0
        path.write_text(text)
        os.utime(path, ns=(before + 1, before + 1))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "a.html").write_text(
        '<link href="/static/style.css" />\n  <script type="module" src="/static/js/a.js"></script>\n'
    )
    (tmp_path / "style.css").write_text("")
    (tmp_path / "vendor").mkdir()
    (tmp_path / "vendor" / "c.js").write_text("export const c = 1;\n")
    write(
        tmp_path,
        a='import { b } from "./b.js";\nimport "./d.js";\n// import "./comment.js";\n',
        b='import {\n  c,\n} from "../vendor/c.js";\nexport { e } from "./e.js";\nimport "./a.js";\n',
        d='start(new URL("w.js", import.meta.url).href);\n',
        e="export const e = 1;\n",
        w='import { e } from "./e.js";\nimport { f } from "./f.js";\n',
        f="export const f = 1;\n",
        g="unused();\n",
    )
    return tmp_path


def test_all_that_a_module_leads_to_is_found_nearest_first_and_workers_last(root: Path) -> None:
    assert list(modules(root, "js/a.js").items()) == [
        ("js/a.js", False),
        ("js/b.js", False),
        ("js/d.js", False),
        ("vendor/c.js", False),
        ("js/e.js", False),
        ("js/w.js", True),
        ("js/f.js", True),
    ]


def test_an_import_of_what_is_not_there_is_found(root: Path) -> None:
    write(root, e='import "./gone.js";\n')
    with pytest.raises(Refused, match="not-found"):
        modules(root, "js/a.js")


def test_a_page_names_what_it_will_need_under_the_version_of_all_files(root: Path) -> None:
    now = version(root)
    written = (root / "a.html").read_text()
    shown = (page(root, "a.html").plain or b"").decode()
    assert HINT.findall(shown) == [
        ("modulepreload", now, "js/b.js"),
        ("modulepreload", now, "js/d.js"),
        ("modulepreload", now, "vendor/c.js"),
        ("modulepreload", now, "js/e.js"),
        ("prefetch", now, "js/w.js"),
        ("prefetch", now, "js/f.js"),
    ]
    assert re.sub(r" *<link rel=.(modulepreload|prefetch).*\n", "", shown).replace(f"/{now}/", "/") == written


def test_what_lies_at_a_version_never_changes(root: Path) -> None:
    before = version(root)
    file, forever = versioned(root, f"{before}/js/g.js")
    assert (file.plain, forever) == (b"unused();\n", True)
    write(root, g="other();\n")
    assert version(root) != before
    file, forever = versioned(root, f"{before}/js/g.js")
    assert (file.plain, forever) == (b"other();\n", False)
    assert versioned(root, f"{version(root)}/js/g.js")[1]
    assert not versioned(root, "js/g.js")[1]
    write(root, g="unused();\n")
    assert version(root) == before


def test_links_and_missing_folders_are_no_part_of_the_pages(root: Path) -> None:
    before = version(root)
    (root / "js" / ".#a.js").symlink_to("somebody@somewhere.1234")
    (root / "js" / "out.js").symlink_to("/etc/hostname")
    assert version(root) == before
    (root / "vendor" / "c.js").unlink()
    (root / "vendor").rmdir()
    assert version(root) != before


def test_a_version_opens_no_other_way_in(root: Path) -> None:
    now = version(root)
    for name in (
        f"{now}/{now}/js/g.js",
        f"{now}/../../x.js",
        f"{now}//etc/hostname.txt",
        f"{now}/",
        now,
        f"{now}/js",
    ):
        with pytest.raises(Refused, match="not-found"):
            versioned(root, name)


@pytest.mark.parametrize("name", sorted({name for name, _ in PAGES.values()}))
def test_every_page_of_ours_names_all_that_its_modules_import(name: str) -> None:
    """However an import is written: whatever names a file of ours in a module must have been found."""
    shown = (page(STATIC, name).plain or b"").decode()
    (entry,) = re.findall(r'<script type="module" src="/static/[0-9a-f]{16}/([^"]+)">', shown)
    named = {entry, *(path for _, _, path in HINT.findall(shown))}
    for path in named:
        text = (STATIC / path).read_text() if not path.startswith("vendor/") else ""
        code = re.sub(r"^\s*(//|\*|/\*).*$|/\*\*.*?\*/", "", text, flags=re.MULTILINE)
        for other in re.findall(r"""["'`](?:\.{1,2}/)?((?:vendor/)?[\w-]+\.m?js)["'`]""", code):
            assert (other if other.startswith("vendor/") else f"js/{other}") in named, (path, other)
