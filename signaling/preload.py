"""What a page will need, told to the browser in the page itself.

    visit.html ──▶ its module ──▶ what that imports ──▶ … the worker's module ──▶ what that imports

A browser learns of a module's imports when it has read it: far away, each step costs the way there and back.
So the page names all of them at once, in the order of those steps. Their addresses hold the version of all
files together, which relative imports carry on: what lies there never changes, and is not asked for again.
"""

from __future__ import annotations

import hashlib
import os
import posixpath
import re
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Final

from signaling.assets import Asset, asset, packed

_IMPORT: Final = re.compile(
    r"""^(?:import|export)\b[^;"]*"(\.\.?/[^"]+)";""", re.MULTILINE
)  # as we write them
_WORKER: Final = re.compile(r"""new URL\("([^"]+\.js)", import\.meta\.url\)""")
_ENTRY: Final = re.compile(r"""([ \t]*)<script type="module" src="/static/([^"]+)"></script>\n""")
_OURS: Final = '"/static/'
_VERSION: Final = re.compile(r"([0-9a-f]{16})/(.+)", re.DOTALL)
_FOLDERS: Final = ("", "js", "vendor")
_PARTS: Final = (".css", ".js")


def modules(root: Path, entry: str) -> dict[str, bool]:
    """A module and all that it leads to, nearest first; what only workers load comes last, and is true.

    Args:
        entry: its name below ``root``, which those of the answer are too.

    Raises:
        Refused: ``not-found``, for a module that is imported and not there.
    """
    found: dict[str, bool] = {}
    workers = [entry]
    for start in workers:
        waiting = [start]
        for name in waiting:
            if name in found:
                continue
            found[name] = start != entry
            text = (asset(root, name).plain or b"").decode()
            here = posixpath.dirname(name)
            waiting += [posixpath.normpath(f"{here}/{to}") for to in _IMPORT.findall(text)]
            workers += [posixpath.normpath(f"{here}/{to}") for to in _WORKER.findall(text)]
    return found


def read_all(root: Path) -> None:
    """Read and compress every file of the pages: media must not wait for that when the first is asked for."""
    version(root)


def version(root: Path) -> str:
    """Which files the pages are made of, as 16 hexadecimal digits: others as soon as one of them changes."""
    root = root.resolve()
    files: list[tuple[str, int]] = []
    for folder in _FOLDERS:
        with suppress(FileNotFoundError), os.scandir(root / folder) as entries:
            # Links are left out: an editor's lead nowhere, and others may lead out of the folder.
            parts = (
                one for one in entries if one.name.endswith(_PARTS) and one.is_file(follow_symlinks=False)
            )
            files += [(one.path, one.stat().st_mtime_ns) for one in parts]
    return _version(root, tuple(sorted(files)))


@lru_cache(maxsize=8)
def _version(root: Path, files: tuple[tuple[str, int], ...]) -> str:
    """The version of these files, made from what is sent of them."""
    names = [str(Path(path).relative_to(root)) for path, _ in files]
    sent = "\n".join(f"{name} {asset(root, name).tag}" for name in names)
    return hashlib.sha256(sent.encode()).hexdigest()[:16]


def page(root: Path, name: str) -> Asset:
    """A page, with what it will need and where that lies.

    Raises:
        Refused: ``not-found``.
    """
    return _page(root, asset(root, name), version(root))


@lru_cache(maxsize=32)
def _page(root: Path, written: Asset, now: str) -> Asset:
    def with_imports(script: re.Match[str]) -> str:
        needed = list(modules(root, script[2]).items())[1:]
        # A worker starts later: nothing of its page may wait for that.
        rel = ("modulepreload", "prefetch")
        hints = (f'<link rel="{rel[later]}" href="/static/{name}" />' for name, later in needed)
        return script[0] + "".join(f"{script[1]}{hint}\n" for hint in hints)

    text = _ENTRY.sub(with_imports, (written.plain or b"").decode())
    return packed(written.path, written.kind, text.replace(_OURS, f"{_OURS}{now}/").encode())


def versioned(root: Path, name: str) -> tuple[Asset, bool]:
    """The file that a path below ``/static/`` names, and whether that path will never name another one.

    Raises:
        Refused: ``not-found``.
    """
    named = _VERSION.fullmatch(name)
    if named is None:
        return asset(root, name), False
    return asset(root, named[2]), named[1] == version(root)
