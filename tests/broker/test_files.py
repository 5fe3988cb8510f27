"""Private directories are ours alone, or refused."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from broker.errors import UnsafeFiles
from broker.files import private_directory


def test_a_missing_directory_is_made_for_us_alone(tmp_path: Path) -> None:
    private_directory(tmp_path / "a" / "b")
    assert stat.S_IMODE((tmp_path / "a" / "b").stat().st_mode) == 0o700
    private_directory(tmp_path / "a" / "b")


def test_an_open_directory_a_link_and_a_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir(mode=0o755)
    (tmp_path / "good").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "good")
    (tmp_path / "file").touch(mode=0o600)
    for name in ("open", "link", "file"):
        with pytest.raises(UnsafeFiles):
            private_directory(tmp_path / name)
