"""Directories that only we may enter, and sockets in them."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from pathlib import Path
from typing import Final

from broker.errors import UnsafeFiles

_SOCKET_PATH_MAX: Final = 107
"""``sun_path`` holds 108 bytes with the final zero (unix(7))."""


def private_directory(directory: Path) -> None:
    """Make sure of a directory that only we can enter; make it when missing.

    Raises:
        UnsafeFiles: ``unsafe-files`` when it belongs to somebody else, is a link, or is open to others.
    """
    directory.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        directory.mkdir(mode=0o700)
    found = directory.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise UnsafeFiles("A directory for private files must be ours, with mode 0700.")


def socket_place(inside: Path) -> Path:
    """Return where a socket really is: inside our directory, or nearby when that path is too long.

    Args:
        inside: absolute path of its place.
    """
    if len(os.fsencode(inside)) <= _SOCKET_PATH_MAX:
        return inside
    name = hashlib.sha256(os.fsencode(inside)).hexdigest()[:16]
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    base = Path(runtime) / "quietroom" if runtime else Path("/tmp") / f"quietroom-{os.geteuid()}"  # noqa: S108 -- made 0700 and checked
    return base / f"{name}.sock"
