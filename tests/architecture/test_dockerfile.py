"""The image installs what `make run` installs, does not run as root, and shows one TCP and one UDP port."""

from __future__ import annotations

import re
from typing import NamedTuple

import pytest

from tests.architecture.tree import ROOT


class Step(NamedTuple):
    """One instruction of a Dockerfile."""

    word: str
    rest: str


def steps(text: str) -> list[Step]:
    """The instructions in order, continuation lines joined, comments left out."""
    lines = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    joined = re.sub(r"\\\n\s*", "", lines)
    return [
        Step(word.upper(), rest)
        for word, _, rest in (line.strip().partition(" ") for line in joined.splitlines())
        if word
    ]


@pytest.fixture(scope="module")
def image() -> list[Step]:
    return steps((ROOT / "Dockerfile").read_text())


def _all(image: list[Step], word: str) -> list[str]:
    return [step.rest for step in image if step.word == word]


def test_it_installs_through_the_same_script_and_lock_as_make_run(image: list[Step]) -> None:
    makefile = (ROOT / "Makefile").read_text()
    (of_make,) = re.findall(r"\.ci/install \.venv requirements\.lock", makefile)
    assert _all(image, "RUN")[-1] == of_make
    assert not [rest for rest in _all(image, "RUN") if "pip " in rest]


def test_it_stands_on_the_python_we_support_least(image: list[Step]) -> None:
    assert _all(image, "FROM") == ["python:3.11-slim-bookworm"]


def test_it_does_not_run_as_root(image: list[Step]) -> None:
    words = [step.word for step in image]
    assert _all(image, "USER")[-1] not in {"root", "0"}
    assert words.index("USER") < words.index("CMD")
    assert "RUN" not in words[words.index("USER") :]


def test_it_shows_one_tcp_and_one_udp_port(image: list[Step]) -> None:
    ports = [port.split("/") for rest in _all(image, "EXPOSE") for port in rest.split()]
    assert sorted(protocol for _, protocol in ports) == ["tcp", "udp"]


def test_it_tells_its_health_keeps_its_data_and_serves(image: list[Step]) -> None:
    assert "quietroom" in _all(image, "HEALTHCHECK")[0]
    assert _all(image, "VOLUME") == ["/data"]
    assert _all(image, "CMD") == ['["quietroom", "serve"]']


def test_only_what_runs_goes_to_the_builder() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in lines
    kept = [line.removeprefix("!") for line in lines if line.startswith("!")]
    assert [name for name in kept if not (ROOT / name).exists()] == []
    assert {"tests", ".git", "data", ".venv"}.isdisjoint(kept)


def test_continuation_lines_belong_to_their_instruction() -> None:
    assert steps("# note\nRUN a \\\n    && b\nUSER x\n") == [Step("RUN", "a && b"), Step("USER", "x")]
