"""What the documents tell people to type exists: commands, options, make targets, variables, files."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from itertools import pairwise
from typing import get_args

import click
import msgspec
import pytest

from signaling.cli import main
from signaling.messages import ClientMessage, Offer, ServerMessage
from signaling.settings import PREFIX, Settings, read_settings
from tests.architecture.tree import ROOT

DOCUMENTS = (
    "README.md",
    "ARCHITECTURE.md",
    "docs/operations.md",
    "docs/protocol.md",
    "docs/threat-model.md",
    "docs/whip.md",
)


def commands(text: str) -> Iterator[list[str]]:
    """Every ``quietroom …`` command line, in a block or between backquotes."""
    joined = text.replace("\\\n", " ")
    found = re.findall(r"`quietroom ([^`]+)`", joined)
    for block in re.findall(r"^```sh\n(.*?)^```", joined, flags=re.MULTILINE | re.DOTALL):
        found += re.findall(r"^(?:\S+/)?quietroom (.+)$", block, flags=re.MULTILINE)
    return (shlex.split(line) for line in found)


def unknown(words: list[str]) -> str | None:
    """Which word of a command line the command does not know; ``None`` when it knows all."""
    command: click.Command = main
    rest = list(words)
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        word = rest.pop(0)
        child = command.commands.get(word)
        if child is None:
            return word
        command = child
    known = {"--help", "--version"}
    known |= {
        name for parameter in command.params if isinstance(parameter, click.Option) for name in parameter.opts
    }
    return next((word for word in rest if word.startswith("-") and word not in known), None)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_command_that_is_told_is_known(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    assert [words for words in commands(text) if unknown(words)] == []


def test_every_command_stands_in_the_readme() -> None:
    told = {" ".join(words) for words in commands((ROOT / "README.md").read_text(encoding="utf-8"))}

    def walk(command: click.Command, path: str) -> Iterator[str]:
        if isinstance(command, click.Group):
            for name, child in command.commands.items():
                yield from walk(child, f"{path} {name}".strip())
        else:
            yield path

    assert [path for path in walk(main, "") if not any(line.startswith(path) for line in told)] == []


def test_the_container_is_published_on_the_ports_that_media_takes() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8").replace("\\\n", " ")
    words = shlex.split(re.findall(r"^docker run (.+)$", text, flags=re.MULTILINE)[0])
    after = list(pairwise(words))
    published = {
        inside: outside for word, ports in after if word == "-p" for outside, inside in [ports.split(":")]
    }
    environ = dict(pair.split("=", 1) for word, pair in after if word == "-e")
    settings = read_settings({**environ, f"{PREFIX}DATA_DIR": "/data"})
    assert published == {
        f"{settings.port}/tcp": str(settings.tcp_port),
        f"{settings.media_port}/udp": str(settings.media_port),
    }


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_make_target_that_is_told_exists(document: str) -> None:
    targets = set(
        re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    )
    text = (ROOT / document).read_text(encoding="utf-8")
    blocks = "".join(re.findall(r"^```sh\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL))
    told = set(re.findall(r"`make ([a-z-]+)", text))
    told |= set(re.findall(r"^make ([a-z-]+)", blocks, flags=re.MULTILINE))
    assert told - targets == set()


def test_operations_explain_every_setting_and_no_other() -> None:
    told = set(re.findall(rf"{PREFIX}([A-Z_]+)", (ROOT / "docs/operations.md").read_text(encoding="utf-8")))
    assert told == {name.upper() for name in Settings.__dataclass_fields__}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_file_that_is_told_exists(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    here = (ROOT / document).parent
    linked = set(re.findall(r"\]\(([^)#:]+)\)", text))
    assert [path for path in linked if not (here / path).exists()] == []
    named = re.findall(r"`((?:broker|rooms|signaling|static|tests)/[\w/.*-]+)`", text)
    assert [path for path in named if not list(ROOT.glob(path.rstrip("/")))] == []


def examples() -> list[str]:
    """The messages in the protocol's blocks, each of one line or more."""
    text = (ROOT / "docs/protocol.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```json\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    return [example for block in blocks for example in re.split(r"\n(?=\{)", block.strip())]


@pytest.mark.parametrize("example", [pytest.param(e, id=re.sub(r"\W+", "-", e[:40])) for e in examples()])
def test_every_message_that_is_shown_is_whole(example: str) -> None:
    shown = msgspec.json.decode(example)
    known = {member.__struct_config__.tag: member for member in get_args(ServerMessage | ClientMessage)}
    fields = {field.encode_name: field.required for field in msgspec.structs.fields(known[shown["type"]])}
    assert {name for name, required in fields.items() if required} <= set(shown) - {"type"} <= set(fields)
    assert known[shown["type"]] is not Offer or "ice-servers" in shown


def test_what_does_not_exist_is_found() -> None:
    assert unknown(["book", "--kind", "couple", "--host", "dora"]) is None
    assert unknown(["audit", "tail", "-f"]) is None
    assert unknown(["fly"]) == "fly"
    assert unknown(["serve", "--insecure"]) == "--insecure"
    assert list(commands("`quietroom status`\n```sh\na/quietroom serve \\\n  --host x\n```")) == [
        ["status"],
        ["serve", "--host", "x"],
    ]
