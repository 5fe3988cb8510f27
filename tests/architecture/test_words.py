"""Words, names and places that stay out of the tree."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from tests.architecture.tree import ROOT, written_files

# Spelled so that this file does not contain what it looks for.
SAID_OTHERWISE = re.compile(r"\blob(?:by|bies)\b", re.IGNORECASE)  # we say: waiting room
CLAIMS = re.compile(r"\bHIPAA[- ](?:compliant|certified)\b|\bmilitary[- ]grade\b", re.IGNORECASE)
REGISTRIES = re.compile(
    r"\b(?:pypi\.(?:org|python\.org)|pythonhosted\.org|registry\.(?:npmjs|yarnpkg)\.|npmjs\.(?:com|org)|deb\.debian\.org)",
    re.IGNORECASE,
)
MACHINE_PATHS = re.compile(r"(?<![\w.])/(?:work|root|Users|home/(?!quietroom\b)\w+)/")
MARKUP = re.compile(
    r"\binnerHTML\b|\bouterHTML\b|\binsertAdjacentHTML\b|\bdangerouslySetInnerHTML\b|\bdocument\.write\b"
)
SILENCED = re.compile(
    r"#\s*(?:type:\s*ignore|noqa)\b(?P<code>\[[\w, -]+\]|:\s*[A-Z]+\d+(?:,\s*[A-Z]+\d+)*)?(?P<reason>.*)"
)

CODE = {".py", ".js", ".mjs", ".ts", ".html", ".css", ".json", ".lua", ".toml", ".sh", ""}
TEXT = CODE | {".md", ".yml", ".yaml", ".cfg", ".txt", ".lock", ".ftl", ".svg"}
PUBLISHED_BY_OTHERS = ROOT / "static" / "vendor"


def matches(pattern: re.Pattern[str], suffixes: set[str], root: Path = ROOT) -> Iterator[str]:
    """Where a pattern stands in our own files, as ``path:line words``."""
    for path in written_files(root):
        ours = not (path.is_relative_to(PUBLISHED_BY_OTHERS) and path.suffix in {".js", ".txt"})
        if ours and path.suffix in suffixes and path != Path(__file__).resolve():
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
                if found := pattern.search(line):
                    yield f"{path.relative_to(root)}:{number} {found[0]}"


def unexplained(line: str) -> bool:
    """Whether a line silences a checker without a code and a reason: ``# noqa: S101 - why`` has both."""
    found = SILENCED.search(line)
    return found is not None and (found["code"] is None or len(found["reason"].strip(" #-–—")) < 8)


def test_the_waiting_room_has_one_name() -> None:
    assert list(matches(SAID_OTHERWISE, TEXT)) == []


def test_nothing_is_claimed_that_cannot_be_shown() -> None:
    assert list(matches(CLAIMS, TEXT)) == []


def test_no_package_index_is_named() -> None:
    assert list(matches(REGISTRIES, TEXT)) == []


def test_no_path_of_one_machine_is_written_down() -> None:
    assert list(matches(MACHINE_PATHS, TEXT)) == []


def test_pages_write_text_never_markup() -> None:
    assert list(matches(MARKUP, {".js", ".html"}, ROOT / "static")) == []


def test_whoever_silences_a_checker_says_why() -> None:
    lines = [
        f"{path.relative_to(ROOT)}:{number} {line.strip()}"
        for path in written_files()
        if path.suffix == ".py" and path != Path(__file__).resolve()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if unexplained(line)
    ]
    assert lines == []


def test_each_pattern_finds_what_it_is_for() -> None:
    assert SAID_OTHERWISE.search("the muted Lobby")
    assert not SAID_OTHERWISE.search("lobbying")
    assert CLAIMS.search("fully HIPAA compliant")
    assert CLAIMS.search("military-grade")
    assert not CLAIMS.search("maps HIPAA safeguards to tests")
    assert REGISTRIES.search('"https://registry.npmjs.org/htm"')
    assert MACHINE_PATHS.search("see /root/shared/x")
    assert MACHINE_PATHS.search("in /home/anna/q")
    assert not MACHINE_PATHS.search("GET /api/work/1")
    assert MARKUP.search("node.innerHTML = x")
    assert unexplained("x()  # type: ignore")
    assert unexplained("x()  # noqa: S101")
    assert unexplained("x()  # noqa: S101, S102")
    assert not unexplained("x()  # noqa: S101 - the argument list is fixed")
    assert not unexplained("x()  # type: ignore[misc]  # ships without types")
