"""Directories that only we may enter."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

from broker.errors import UnsafeFiles


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
