"""What a page will need, and where it lies."""

from __future__ import annotations

import os
import re
import shutil
import time
from pathlib import Path

import pytest

from broker.errors import Refused
from signaling.pages import PAGES
from signaling.preload import Pages, modules
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
    pages = Pages(root)
    now = pages.version().name
    written = (root / "a.html").read_text()
    shown = (pages.page("a.html").plain or b"").decode()
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
    pages = Pages(root)
    before = pages.version().name
    write(root, g="other();\n")
    now = pages.version().name
    assert now != before
    for version, sent in ((before, b"unused();\n"), (now, b"other();\n")):
        file, forever = pages.file(f"{version}/js/g.js")
        assert (file.plain, forever) == (sent, True)
    write(root, g="unused();\n")
    assert pages.version().name == before


def test_a_file_that_was_changed_and_not_yet_looked_at_is_not_kept_under_the_version_of_before(
    root: Path,
) -> None:
    pages = Pages(root)
    before = pages.version().name
    write(root, g="other();\n")
    assert pages.file(f"{before}/js/g.js")[0].plain == b"unused();\n"
    (root / "js" / "g.js").unlink()
    assert pages.file(f"{before}/js/g.js")[1]


def test_without_a_version_or_under_an_unknown_one_a_file_is_that_of_now(root: Path) -> None:
    pages, other = Pages(root), Pages(root, "as on another node")
    pages.version()
    for name in ("js/g.js", f"{other.version().name}/js/g.js", "0123456789abcdef/js/g.js"):
        for text in ("a();\n", "b();\n"):
            write(root, g=text)
            file, forever = pages.file(name)
            assert (file.plain, forever) == (text.encode(), False)


def test_only_what_a_version_is_made_of_is_kept_for_ever(root: Path) -> None:
    (root / "data.json").write_text("{}")
    (root / "picture.svg").write_text("<svg />")
    (root / "js" / "link.js").symlink_to(root / "js" / "g.js")
    (root / "js" / "deep").mkdir()
    (root / "js" / "deep" / "h.js").write_text("h();\n")
    pages = Pages(root)
    now = pages.version().name
    kept = {
        name: pages.file(f"{now}/{name}")[1]
        for name in ("a.html", "data.json", "picture.svg", "js/link.js", "style.css", "js/deep/h.js")
    }
    assert [name for name, forever in kept.items() if forever] == ["style.css", "js/deep/h.js"]
    (root / "js" / "deep" / "h.js").write_text("i();\n")
    assert pages.version().name != now


def test_files_are_looked_up_for_pages_and_not_for_files(root: Path) -> None:
    pages = Pages(root)
    now = pages.version().name
    shutil.rmtree(root)
    assert pages.file(f"{now}/js/g.js")[0].plain == b"unused();\n"
    with pytest.raises(Refused, match="not-found"):
        pages.page("a.html")


def test_files_that_lie_there_are_read_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time_ns()
    monkeypatch.setattr(time, "time_ns", lambda: now + 60 * 10**9)
    pages = Pages(root)
    assert pages.version() is pages.version()


def test_a_process_keeps_no_more_than_some_versions(root: Path) -> None:
    pages = Pages(root)
    names = []
    for number in range(6):
        write(root, g=f"g({number});\n")
        names.append(pages.version().name)
    kept = [pages.file(f"{name}/js/g.js")[1] for name in names]
    assert kept == [False, False, True, True, True, True]


def test_the_same_files_lie_elsewhere_with_another_salt_and_in_the_same_place_with_the_same(
    root: Path,
) -> None:
    one, again, other = (Pages(root, salt).version() for salt in ("a" * 16, "a" * 16, "b" * 16))
    assert one.name == again.name != other.name
    assert one.files == other.files


def test_links_and_missing_folders_are_no_part_of_the_pages(root: Path) -> None:
    pages = Pages(root)
    before = pages.version().name
    (root / "js" / ".#a.js").symlink_to("somebody@somewhere.1234")
    (root / "js" / "out.js").symlink_to("/etc/hostname")
    assert pages.version().name == before
    (root / "vendor" / "c.js").unlink()
    (root / "vendor").rmdir()
    assert pages.version().name != before


def test_a_file_that_is_no_text_takes_no_other_with_it(root: Path) -> None:
    (root / "js" / "x.js").write_bytes(b"\xff")
    pages = Pages(root)
    assert pages.file(f"{pages.version().name}/js/g.js")[1]


def test_a_version_opens_no_other_way_in(root: Path) -> None:
    pages = Pages(root)
    now = pages.version().name
    for name in (
        f"{now}/{now}/js/g.js",
        f"{now}/../../x.js",
        f"{now}//etc/hostname.txt",
        f"{now}/",
        now,
        f"{now}/js",
    ):
        with pytest.raises(Refused, match="not-found"):
            pages.file(name)


@pytest.mark.parametrize("name", sorted({name for name, _ in PAGES.values()}))
def test_every_page_of_ours_names_all_that_its_modules_import(name: str) -> None:
    """However an import is written: whatever names a file of ours in a module must have been found."""
    shown = (Pages(STATIC).page(name).plain or b"").decode()
    (entry,) = re.findall(r'<script type="module" src="/static/[0-9a-f]{16}/([^"]+)">', shown)
    named = {entry, *(path for _, _, path in HINT.findall(shown))}
    for path in named:
        text = (STATIC / path).read_text() if not path.startswith("vendor/") else ""
        code = re.sub(r"^\s*(//|\*|/\*).*$|/\*\*.*?\*/", "", text, flags=re.MULTILINE)
        for other in re.findall(r"""["'`](?:\.{1,2}/)?((?:vendor/)?[\w-]+\.m?js)["'`]""", code):
            assert (other if other.startswith("vendor/") else f"js/{other}") in named, (path, other)
