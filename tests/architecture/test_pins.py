"""What is installed is what is pinned, and what is pinned is what we ask for."""

from __future__ import annotations

import importlib.metadata
import re
import tomllib

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.architecture.tree import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def _pins(name: str) -> dict[str, str]:
    lines = (ROOT / name).read_text().splitlines()
    assert lines, f"{name} is empty"
    pins: dict[str, str] = {}
    for line in lines:
        pin = re.fullmatch(r"([\w.-]+)==([\w.+!-]+)", line)
        assert pin, f"{name}: {line!r} is not an exact pin"
        pins[canonicalize_name(pin[1])] = pin[2]
    return pins


RUN = _pins("requirements.lock")
ALL = _pins("requirements-dev.lock")


def _unmet(asked: list[str], pins: dict[str, str]) -> list[str]:
    wanted = [Requirement(text) for text in asked]
    return [
        str(one) for one in wanted if not one.specifier.contains(pins.get(canonicalize_name(one.name), "0"))
    ]


def test_what_tests_install_contains_what_runs() -> None:
    assert {name: version for name, version in RUN.items() if ALL.get(name) != version} == {}


def test_the_locks_meet_what_the_project_asks_for() -> None:
    asked = PROJECT["project"]
    assert _unmet(asked["dependencies"], RUN) == []
    assert _unmet(asked["optional-dependencies"]["dev"], ALL) == []
    assert _unmet(["aiohttp>=999"], RUN) == ["aiohttp>=999"]


def test_the_locks_are_closed_under_dependencies() -> None:
    for pins in (RUN, ALL):
        for name in pins:
            asked = [Requirement(text) for text in importlib.metadata.requires(name) or []]
            plain = [str(one) for one in asked if one.marker is None or one.marker.evaluate({"extra": ""})]
            assert _unmet([text.split(";")[0] for text in plain], pins) == [], name


def test_what_is_installed_is_what_is_pinned() -> None:
    installed = {name: importlib.metadata.version(name) for name in ALL}
    assert installed == ALL


def test_the_build_backend_is_pinned() -> None:
    assert all("==" in one for one in PROJECT["build-system"]["requires"])
