"""What a page will need, told to the browser in the page itself.

    visit.html ──▶ its module ──▶ what that imports ──▶ … the worker's module ──▶ what that imports

A browser learns of a module's imports when it has read it: far away, each step costs the way there and back.
So the page names all of them at once, in the order of those steps. Their addresses hold the version of all
files together, which relative imports carry on: what lies there never changes, and is not asked for again.

Whether a file has changed is looked up when a page is asked for. What a version is made of is kept as it was
read then: at its addresses these bytes are sent and no others, whatever lies in the folder by now.
"""

from __future__ import annotations

import hashlib
import os
import posixpath
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

from broker.errors import Refused
from signaling.assets import Asset, asset, packed, settled

_IMPORT: Final = re.compile(
    r"""^(?:import|export)\b[^;"]*"(\.\.?/[^"]+)";""", re.MULTILINE
)  # as we write them
_WORKER: Final = re.compile(r"""new URL\("([^"]+\.js)", import\.meta\.url\)""")
_ENTRY: Final = re.compile(r"""([ \t]*)<script type="module" src="/static/([^"]+)"></script>\n""")
_OURS: Final = '"/static/'
_VERSION: Final = re.compile(r"([0-9a-f]{16})/(.+)", re.DOTALL)
_PARTS: Final = (".css", ".js")
_KEPT: Final = 4
"""Versions of which a process keeps the files: pages that were opened before still ask for theirs."""


@dataclass(frozen=True, slots=True)
class Version:
    """The files that pages load, as they were at one time.

    Args:
        name: 16 hexadecimal digits; others as soon as anything else is sent.
        files: all of them, by their names below ``/static/``.
    """

    name: str
    files: Mapping[str, Asset]


class Pages:
    """The pages and their files.

    Args:
        root: the folder of the browser's half.
        salt: goes into every version. Whoever does not know it cannot know at which addresses files will lie.
    """

    def __init__(self, root: Path, salt: str = "") -> None:
        self._root = root.resolve()
        self._salt = salt
        self._seen: list[tuple[str, int, int, int]] | None = None
        self._kept: dict[str, Version] = {}
        self._now = Version("", {})

    def version(self) -> Version:
        """The version of now.

        The first call reads and compresses every file, a later one those that have changed since.
        """
        seen = sorted(_parts(self._root))
        if seen == self._seen:
            return self._now
        certain = all(settled(changed) for _, changed, _, _ in seen)
        files: dict[str, Asset] = {}
        for path, *_ in seen:
            name = Path(path).relative_to(self._root).as_posix()
            with suppress(Refused):  # gone meanwhile
                files[name] = asset(self._root, name)
        sent = "\n".join([self._salt, *(f"{name} {file.tag}" for name, file in files.items())])
        self._now = Version(hashlib.sha256(sent.encode()).hexdigest()[:16], files)
        self._kept.pop(self._now.name, None)
        self._kept[self._now.name] = self._now
        if len(self._kept) > _KEPT:
            del self._kept[next(iter(self._kept))]
        self._seen = seen if certain else None
        return self._now

    def page(self, name: str) -> Asset:
        """A page, with what it will need and where that lies.

        Raises:
            Refused: ``not-found``.
        """
        now = self.version()
        return _page(self._root, asset(self._root, name), now.name)

    def file(self, name: str) -> tuple[Asset, bool]:
        """The file that a path below ``/static/`` names, and whether that path will never name other bytes.

        Raises:
            Refused: ``not-found``.
        """
        named = _VERSION.fullmatch(name)
        if named is None:
            return asset(self._root, name), False
        of = self._kept.get(named[1])
        if of is not None and named[2] in of.files:
            return of.files[named[2]], True
        return asset(self._root, named[2]), False


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


def _parts(folder: Path | str) -> list[tuple[str, int, int, int]]:
    """Path, time of the last change, size and inode of each file that pages may load, folders within too."""
    found = []
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for one in entries:
            # Links are left out: an editor's lead nowhere, and others may lead out of the folder.
            if one.is_dir(follow_symlinks=False):
                found += _parts(one.path)
            elif one.name.endswith(_PARTS) and one.is_file(follow_symlinks=False):
                with suppress(FileNotFoundError):
                    told = one.stat(follow_symlinks=False)
                    found.append((one.path, told.st_ctime_ns, told.st_size, told.st_ino))
    return found


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
