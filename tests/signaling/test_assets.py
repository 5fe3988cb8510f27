"""What is sent of the browser's half: each module as written, without its comments."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import time
from pathlib import Path

import pytest

from broker.errors import Refused
from signaling.assets import asset, is_ours, without_comments
from tests.architecture.tree import ROOT

STATIC = ROOT / "static"
MODULES = [path for path in sorted(STATIC.rglob("*.js")) if is_ours(path.relative_to(STATIC))]

# Reads [[written, sent], …], each module as text; says which mean the same to a parser. That what was written
# means nothing to it is an error: two such are not the same.
COMPARE = """
import { readFileSync } from "node:fs";
import { transformSync } from "esbuild";
const options = { minifyWhitespace: true, legalComments: "none", target: "esnext", logLevel: "silent" };
const meaning = (text) => transformSync(text, options).code;
const same = ([written, sent]) => {
  const meant = meaning(written);
  try {
    return meaning(sent) === meant;
  } catch {
    return false;
  }
};
console.log(JSON.stringify(JSON.parse(readFileSync(0, "utf8")).map(same)));
"""


def same_meaning(*pairs: tuple[str, str]) -> list[bool]:
    """Whether two modules are the same to a parser, but for their comments and white space."""
    told = subprocess.run(
        ["node", "--input-type=module", "--eval", COMPARE],
        input=json.dumps(pairs), capture_output=True, text=True, check=True, cwd=ROOT, timeout=60,
    )  # fmt: skip
    found: list[bool] = json.loads(told.stdout)
    return found


def test_every_module_means_what_was_written_to_a_real_parser() -> None:
    pairs = [(path.read_text(), without_comments(path.read_text())) for path in MODULES]
    found = dict(zip([path.name for path in MODULES], same_meaning(*pairs), strict=True))
    assert found
    assert [name for name, same in found.items() if not same] == []
    for written, sent in pairs:
        assert written.count("\n") == sent.count("\n")
    assert sum(len(sent) for _, sent in pairs) < 0.7 * sum(len(written) for written, _ in pairs)


@pytest.mark.parametrize(
    "written",
    ["a = `${b}\n  // c\n`;\n", "html`${a && html`<b>/** d */ </b>`}`;\n", 'a = "(; // )";\nb = "";\n'],
)
def test_the_parser_would_see_a_text_that_was_taken_for_a_comment(written: str) -> None:
    assert same_meaning((written, written), (written, without_comments(written))) == [True, False]


def test_what_a_parser_cannot_read_is_not_the_same_as_itself() -> None:
    with pytest.raises(subprocess.CalledProcessError):
        same_meaning(("let let = 1;\n", "let let = 1;\n"))


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("// @ts-check\n/** The seat,\n * so to speak. */\nlet seat = 1;\n", "\n\n\nlet seat = 1;\n"),
        ("  f(); // why\n  // why else\n", "  f();\n\n"),
        (
            "const a = /** @type {A} */ (b);\n/** @type {A} */ ([\n  c,\n]);\n/** end */\n",
            "const a = (b);\n([\n  c,\n]);\n\n",
        ),
        ('get("https://a/b"); // there\n', 'get("https://a/b");\n'),
        ("a = b / c; d = /\\/\\*e/.test(f);\n", "a = b / c; d = /\\/\\*e/.test(f);\n"),
    ],
)
def test_comments_go_and_lines_stay(written: str, sent: str) -> None:
    assert without_comments(written) == sent


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for folder in ("js", "vendor"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.js").write_text("// why\na();\n")
    (tmp_path / "b.css").write_text("/* why */\n")
    (tmp_path / "c.png").write_bytes(b"// why")
    return tmp_path


def test_only_our_modules_lose_their_comments(root: Path) -> None:
    ours, theirs, style, picture = (
        asset(root, name) for name in ("js/a.js", "vendor/a.js", "b.css", "c.png")
    )
    assert ours.plain == b"\na();\n"
    assert theirs.plain == b"// why\na();\n"
    assert style.plain == b"/* why */\n"
    assert picture.plain is None
    assert [gzip.decompress(one.small) for one in (ours, theirs, style)] == [
        ours.plain,
        theirs.plain,
        style.plain,
    ]


def test_the_tag_changes_with_what_is_sent_and_only_then(root: Path) -> None:
    path = root / "js" / "a.js"

    def tag_of(text: str, at: int) -> str:
        path.write_text(text)
        os.utime(path, ns=(at, at))
        return asset(root, "js/a.js").tag

    first = tag_of("// why\na();\n", 1)
    assert tag_of("// because\na();\n", 2) == first
    assert tag_of("// because\nb();\n", 3) != first


def test_a_file_that_was_half_written_is_read_again(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Written in place, within one tick of the file system's clock, at the same length."""
    path = root / "js" / "a.js"
    path.write_text("half();\n")
    at = path.stat()
    assert asset(root, "js/a.js").plain == b"half();\n"
    path.write_text("done();\n")
    same = os.stat_result(at, {"st_ctime_ns": at.st_ctime_ns, "st_mtime_ns": at.st_mtime_ns})
    monkeypatch.setattr(Path, "stat", lambda self, **how: same if self == path else os.stat(self, **how))
    assert asset(root, "js/a.js").plain == b"done();\n"


def test_a_file_that_lies_there_is_read_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time_ns()
    monkeypatch.setattr(time, "time_ns", lambda: now + 60 * 10**9)
    assert asset(root, "js/a.js") is asset(root, "js/a.js")


def test_a_file_whose_time_is_set_back_is_read_again(root: Path) -> None:
    path = root / "js" / "a.js"
    at = path.stat().st_mtime_ns
    first = asset(root, "js/a.js").plain
    path.write_text((first or b"").decode().replace("a", "b"))
    os.utime(path, ns=(at, at))
    assert asset(root, "js/a.js").plain != first


def test_what_is_no_file_of_a_served_type_is_not_found(root: Path) -> None:
    (root / "notes.md").write_text("")
    for name in ("js", "js/", "", "absent.js", "notes.md", "../" + root.name + "/../x.js", "a\0.js"):
        with pytest.raises(Refused, match="not-found"):
            asset(root, name)
