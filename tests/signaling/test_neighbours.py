"""Doors between workers: who may come in, and what a dead one leaves."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import stat
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from broker.errors import Refused
from broker.ids import new_meeting_id
from broker.seats import SeatCode, SeatRole
from broker.tickets import Grant
from signaling import neighbours
from signaling.neighbours import NameTaken, Neighbours, Unreachable, door
from signaling.relay import Line, LineKind

GRANT = Grant(new_meeting_id(), SeatCode("A"), SeatRole.PATIENT, "device", "seat:A")


ALONE = """
import asyncio, sys
from pathlib import Path
from signaling.neighbours import Neighbours

async def live():
    await Neighbours(Path(sys.argv[1]), sys.argv[2]).start()
    print("open", flush=True)
    await asyncio.Event().wait()

asyncio.run(live())
"""


async def told(values: Mapping[str, str]) -> bytes:
    return values.get("word", "nothing").encode()


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[tuple[Neighbours, Neighbours]]:
    """Two workers of one node that know each other."""
    ours = Neighbours(tmp_path, "n-w0-aa", alive=frozenset({"n-w1-bb"}))  # which takes no rooms now
    others = Neighbours(tmp_path, "n-w1-bb", frozenset({"n-w0-aa"}))
    others.calls["echo"] = told
    for each in (ours, others):
        await each.start()
    yield ours, others
    for each in (ours, others):
        await each.close()
        await each.closed(0.1)


async def test_a_question_is_answered(pair: tuple[Neighbours, Neighbours]) -> None:
    ours, _ = pair
    assert await ours.ask("n-w1-bb", "echo", {"word": "yes"}) == b"yes"
    assert await ours.ask_all("echo") == {"n-w1-bb": b"nothing"}
    with pytest.raises(Unreachable):
        await ours.ask("n-w1-bb", "no such question")
    assert await ours.ask_all("no such question") == {}


@pytest.mark.parametrize("name", ["n-w9-xx", "../../etc/passwd", "", "N", "a" * 33])
async def test_whoever_is_not_there_is_unreachable(pair: tuple[Neighbours, Neighbours], name: str) -> None:
    with pytest.raises(Unreachable):
        await pair[0].page(name, GRANT)


async def test_a_door_is_for_our_own_user(
    pair: tuple[Neighbours, Neighbours], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, _ = pair
    path = door(tmp_path, "n-w1-bb")
    assert stat.S_IMODE(path.lstat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.lstat().st_mode) == 0o700
    us = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: us + 1)
    with pytest.raises(Unreachable):
        await ours.ask("n-w1-bb", "echo")


async def test_a_page_is_handed_over_or_refused(pair: tuple[Neighbours, Neighbours]) -> None:
    ours, others = pair

    async def serve(grant: Grant, line: Line) -> None:
        assert grant == GRANT
        await line.send(LineKind.READY)
        await line.send(*(await line.receive() or (LineKind.CLOSE, b"")))

    others.serve_page = serve
    line = await ours.page("n-w1-bb", GRANT)
    await line.send(LineKind.TEXT, b"hello")
    assert await line.receive() == (LineKind.TEXT, b"hello")
    line.close()

    async def refuse(grant: Grant, line: Line) -> None:
        await line.send(LineKind.REFUSED, b"too-fast")

    others.serve_page = refuse
    with pytest.raises(Refused) as refused:
        await ours.page("n-w1-bb", GRANT)
    assert refused.value.code == "too-fast"


async def test_one_that_hangs_is_unreachable(
    pair: tuple[Neighbours, Neighbours], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(neighbours, "REACHED_WITHIN", 0.1)
    ours, others = pair

    async def hang(grant: Grant, line: Line) -> None:
        await asyncio.Event().wait()

    others.serve_page = hang
    with pytest.raises(Unreachable):
        await ours.page("n-w1-bb", GRANT)


async def test_only_a_process_that_has_ended_is_dead(
    pair: tuple[Neighbours, Neighbours], tmp_path: Path
) -> None:
    ours, _ = pair
    assert ours.dead() == []
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", ALONE, str(tmp_path), "n-w2-cc"), stdout=asyncio.subprocess.PIPE
    )
    waiting: list[socket.socket] = []
    try:
        assert process.stdout is not None
        async with asyncio.timeout(20):
            assert await process.stdout.readline() == b"open\n"
        process.send_signal(signal.SIGSTOP)
        while True:  # until its door is so full that nobody can even knock
            assert len(waiting) < 600, "the door takes more than its backlog"
            waiting.append(socket.socket(socket.AF_UNIX))
            waiting[-1].setblocking(False)
            try:
                waiting[-1].connect(str(door(tmp_path, "n-w2-cc")))
            except BlockingIOError:
                break
        with pytest.raises(Unreachable):
            await ours.ask("n-w2-cc", "echo")
        assert ours.dead() == []
        process.kill()
        await process.wait()
        assert ours.dead() == ["n-w2-cc"]
    finally:
        for end in waiting:
            end.close()
        if process.returncode is None:
            process.kill()
            await process.wait()
    ours.forget("n-w2-cc")
    assert ours.dead() == []


async def test_one_whose_door_is_gone_or_that_is_closing_is_not_dead(
    pair: tuple[Neighbours, Neighbours], tmp_path: Path
) -> None:
    ours, others = pair
    door(tmp_path, others.name).unlink()  # a cleaner of old files was here
    assert ours.dead() == []
    await others.close()  # it drains
    assert ours.dead() == []


async def test_a_name_is_for_one_living_process(pair: tuple[Neighbours, Neighbours], tmp_path: Path) -> None:
    ours, others = pair
    with pytest.raises(NameTaken):
        await Neighbours(tmp_path, others.name).start()
    assert await ours.ask(others.name, "echo") == b"nothing"
    await others.close()
    again = Neighbours(tmp_path, others.name)
    await again.start()
    assert ours.dead() == []
    await again.close()


async def test_a_door_far_down_stands_nearby(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = tmp_path_factory.getbasetemp() / "r"  # the path of a socket has 107 characters at most
    runtime.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    deep = tmp_path / ("d" * 120)
    deep.mkdir()
    far, near = Neighbours(deep, "n-w0-aa"), Neighbours(deep, "n-w1-bb")
    far.calls["echo"] = told
    await far.start()
    assert await near.ask("n-w0-aa", "echo") == b"nothing"
    assert near.dead() == []
    await far.close()
    await far.closed(1.0)
    assert list((deep / "workers").iterdir()) == []
