"""What is sent of ``static/``: which files, and which bytes of them.

    a module of ours ──▶ without its comments, line by line where it was ─┐
    what others wrote, style, page ──▶ as it is ──────────────────────────┴▶ gzip, for whoever reads that
    picture, font ──▶ as it is

Nothing else is done to a module: what runs is what lies in the tree, under the same names, at the same lines.
A file is read when it is first asked for, and again when it has changed, or so lately that a further change
would not show. Its ETag is made from what is sent.
"""

from __future__ import annotations

import gzip
import hashlib
import re
import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

from broker.errors import Refused

TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".txt": "text/plain; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".woff2": "font/woff2",
    ".wasm": "application/wasm",
}
"""The files that are served at all, and as what."""

TEXT: Final = frozenset({".html", ".css", ".js", ".mjs", ".json", ".svg", ".txt"})
"""Those that are sent in gzip. Nobody's data is in them, so that their sizes tell nothing (BREACH)."""

_TICK: Final = 2_000_000_000
"""Nanoseconds within which two changes of a file may bear the same time: no file system is coarser."""

VENDOR: Final = "vendor"
"""The folder of what others wrote: sent byte for byte, as its manifest says."""

# No parser: a comment is known by where it stands. A test has a real one compare all modules with these.
_COMMENT: Final = re.compile(
    r"""
      ^[ \t]* /\* (?: (?!\*/) . )* \*/ [ \t]*$  # lines of their own
    | ^[ \t]* // [^\n]*$
    | /\*\*[ ] (?: (?!\*/) [^\n] )* \*/ [ ]?      # a type within a line
    | (?<=[;:,={}()\[\]]) [ ]+ //[ ] [^\n]*$        # behind code
    """,
    re.VERBOSE | re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Asset:
    """One file as it is sent.

    Args:
        path: where it lies.
        kind: its media type.
        plain: its bytes; None for what is no text and goes out of the file itself.
        small: the same in gzip (RFC 1952).
        tag: another one whenever ``plain`` is; goes into an ETag.
    """

    path: Path
    kind: str
    plain: bytes | None = None
    small: bytes = b""
    tag: str = ""


def asset(root: Path, name: str) -> Asset:
    """The file below ``root`` that has this name.

    Raises:
        Refused: ``not-found``, also for a type that is not served, a path or link that leads out of ``root``.
    """
    try:
        root = root.resolve()
        path = (root / name).resolve(strict=True)
        kind = TYPES.get(path.suffix)
        if kind is None or not path.is_file() or not path.is_relative_to(root):
            raise Refused("not-found")
        told = path.stat()
        # The time of the inode: that of the contents can be set back, as tools do that copy in place.
        read = _read if settled(told.st_ctime_ns) else _read.__wrapped__
        return read(root, path, kind, (told.st_ctime_ns, told.st_size, told.st_ino))
    except (OSError, ValueError, RuntimeError):  # absent, a null byte, a loop of links
        raise Refused("not-found") from None


def settled(changed: int) -> bool:
    """Whether a file that was changed at this time would show another change by another time.

    Args:
        changed: nanoseconds since 1970. Far in the future means a clock that was set back: that shows too.
    """
    return abs(time.time_ns() - changed) > _TICK


@lru_cache(maxsize=256)
def _read(root: Path, path: Path, kind: str, state: tuple[int, int, int]) -> Asset:
    """A file, for as long as it does not change."""
    if path.suffix not in TEXT:
        return Asset(path, kind)
    plain = path.read_bytes()
    if is_ours(path.relative_to(root)):
        plain = without_comments(plain.decode()).encode()
    return packed(path, kind, plain)


def is_ours(name: Path) -> bool:
    """Whether a file of this name below ``static/`` is a module of ours, sent without its comments."""
    return name.suffix == ".js" and name.parts[0] != VENDOR


def packed(path: Path, kind: str, plain: bytes) -> Asset:
    """These bytes, ready to be sent."""
    return Asset(path, kind, plain, gzip.compress(plain, mtime=0), hashlib.sha256(plain).hexdigest()[:32])


def without_comments(module: str) -> str:
    """A module of ours without its comments; lines keep their numbers, so that an error says where it is."""
    return _COMMENT.sub(lambda comment: "\n" * comment.group().count("\n"), module)
