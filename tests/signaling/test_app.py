"""The whole server: drained, killed, its store killed or stalled, and nothing lost."""

from __future__ import annotations

import asyncio
import gzip
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest

from broker.errors import DataDirectoryBusy
from broker.placement import Placement
from broker.private import Private
from broker.seats import SeatState
from rooms.relay_check import Granted, ask
from rooms.turn import Credential
from signaling.app import Server, bury_the_dead
from signaling.neighbours import Neighbours
from signaling.practice import open_practice
from signaling.process import PortBusy, listen
from signaling.settings import Settings
from tests.e2e.practice import free_port
from tests.signaling.visits import Page, Visit, book, browser, hire, settings_for, visiting
from tests.support.waiting import eventually

ALONE = """
import sys
from pathlib import Path
from signaling.app import serve
from signaling.process import run
from signaling.settings import Settings
run(serve(Settings(data_dir=Path(sys.argv[1]), port=int(sys.argv[2]))))
"""


def children(pid: int) -> list[int]:
    """Processes whose parent this is."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            stat = (entry / "stat").read_text()
        except OSError:
            continue
        if int(stat.rsplit(")", 1)[1].split()[1]) == pid:
            found.append(int(entry.name))
    return found


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@dataclass
class Alone:
    """A server in a process of its own, to be stopped or killed."""

    settings: Settings
    process: asyncio.subprocess.Process | None = None
    output: list[bytes] = field(default_factory=list)

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    async def start(self) -> None:
        self.process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            ALONE,
            str(self.settings.data_dir),
            str(self.settings.port),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        async with asyncio.timeout(20), browser() as http:
            while True:
                try:
                    async with http.get(f"{self.settings.public_url}/readyz") as answer:
                        if answer.status == 200:
                            return
                except aiohttp.ClientError:
                    pass
                assert self.process.returncode is None, await self.said()
                await asyncio.sleep(0.02)

    async def stop(self, number: signal.Signals) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        async with asyncio.timeout(5.0):
            return await self.process.wait()

    async def said(self) -> str:
        assert self.process is not None
        assert self.process.stdout is not None
        return (await self.process.stdout.read()).decode()


@asynccontextmanager
async def alone(data_dir: Path) -> AsyncIterator[tuple[Alone, Visit]]:
    """A server of its own with a booked visit; the test speaks to its store as a command would."""
    settings = settings_for(data_dir, port=free_port(), media_port=-1)
    server = Alone(settings)
    try:
        await server.start()
        async with browser() as http:
            visit = await booked(settings, http)
            try:
                yield server, visit
            finally:
                for page in visit.pages:
                    await page.close()
    finally:
        if server.process is not None and server.process.returncode is None:
            server.process.kill()
            await server.process.wait()


async def booked(settings: Settings, http: aiohttp.ClientSession) -> Visit:
    """Book a visit beside the server, as a command does."""
    async with open_practice(settings, command=True) as practice:
        assert practice.beside
        client = Server(settings)  # never started: only its address and its practice are used
        client.practice = practice
        await hire(client)
        return await book(client, http)


async def events(settings: Settings) -> list[tuple[str, str | None]]:
    """Type and seat of everything in the ledger."""
    async with open_practice(settings, command=True) as practice:
        entries = await practice.ledger.read(0, 10_000)
    return [(entry.event.type.value, entry.event.seat) for entry in entries if entry.event is not None]


@pytest.mark.parametrize("numbers", [[signal.SIGTERM, signal.SIGTERM], [signal.SIGINT]])
async def test_a_server_told_to_stop_now_tells_its_pages_and_leaves_nothing(
    tmp_path: Path, numbers: list[signal.Signals]
) -> None:
    async with alone(tmp_path / "data") as (server, visit):
        pages = await visit.all_in()
        (store_pid,) = children(server.pid)
        for number in numbers[1:]:
            os.kill(server.pid, number)
            await red(server)
        assert await server.stop(numbers[0]) == 0
        for page in pages:
            assert await page.ended() == ("draining", 1012)
        assert not alive(store_pid)
        said = await server.said()
        assert "Traceback" not in said
        assert visit.meeting not in said
        recorded = await events(server.settings)
        assert recorded[0] == ("server.started", None)
        assert recorded[-1] == ("server.stopped", None)
        assert ("seat.admitted", "B") in recorded


async def red(server: Alone) -> None:
    """Wait until the server says that it takes nobody new."""

    async def told() -> bool:
        async with browser() as http, http.get(f"{server.settings.public_url}/readyz") as answer:
            return answer.status == 503

    await eventually(told)


async def test_sigterm_lets_the_running_visit_end_and_opens_no_other_room(tmp_path: Path) -> None:
    async with alone(tmp_path / "data") as (server, visit):
        host, first, second = await visit.all_in()
        async with open_practice(server.settings, command=True) as practice:
            visit.server.practice = practice
            other = await book(visit.server, visit.http)
        await other.enter("A")
        os.kill(server.pid, signal.SIGTERM)
        await red(server)
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await other.connect(await other.ticket("A"))
        assert refused.value.status == 503
        await first.close()
        again = await visit.page("A", media_kept=True)
        assert again.state == "admitted"
        assert [*host.of("bye"), *second.of("bye")] == []
        assert server.process is not None
        assert server.process.returncode is None
        assert await host.ask("act", action="end") is None
        assert await second.ended() == ("ended", 4006)
        async with asyncio.timeout(5.0):
            assert await server.process.wait() == 0


async def test_a_killed_server_comes_back_with_every_seat_and_admission(tmp_path: Path) -> None:
    async with alone(tmp_path / "data") as (server, visit):
        host, first, second = await visit.all_in()
        assert await host.ask("act", action="move-back", seats=["A"]) is None
        await first.until("waiting")
        before = await events(server.settings)
        assert server.process is not None
        server.process.kill()
        await server.process.wait()
        for page in (host, first, second):
            assert (await page.ended())[0] is None

        await server.start()
        back = asyncio.get_running_loop().time()
        first, second = await visit.page("A", media_kept=True), await visit.page("B", media_kept=True)
        assert first.state == "waiting"
        assert second.state == "paused"  # let in, and never alone
        host = await visit.page("T", media_kept=True)
        for page in (first, second, host):  # the old transports died with the process
            await offered(page)
        await host.connect_media()
        await second.until("admitted")
        assert asyncio.get_running_loop().time() - back < 5.0
        assert host.view["entered"] is True
        recorded = await events(server.settings)
        assert recorded[: len(before)] == before
        assert [kind for kind, seat in recorded if seat == "A"].count("seat.knocked") == 1


async def test_a_killed_store_costs_nothing(tmp_path: Path) -> None:
    async with visiting(tmp_path / "data") as visit:
        host, first, second = await visit.all_in()
        before = await visit.audit()
        embedded = visit.server.practice.embedded
        assert embedded is not None
        assert embedded.pid is not None
        for _ in range(3):
            os.kill(embedded.pid, signal.SIGKILL)
            assert await host.ask("act", action="hold", seats=["A"]) in {None, "audit-unavailable"}
            await first.until("held")
            await eventually(lambda: visit.server.store.healthy)
            await eventually(lambda: resumed(host))
            await first.until("admitted")
        assert second.state == "admitted"
        assert embedded.restarts == 3
        recorded = await visit.audit()
        assert recorded[: len(before)] == before
        moves = [kind for kind, seat, _, _ in recorded[len(before) :] if seat == "A"]
        assert [kind for kind in moves if kind != "seat.away"] == ["seat.held", "seat.resumed"] * 3
        assert [page.of("bye") for page in (host, first, second)] == [[], [], []]


async def offered(page: Page) -> None:
    """Wait for the one offer of a new transport."""
    await eventually(lambda: [offer["restart"] for offer in page.of("offer")] == [False])


def flowing(visit: Visit) -> frozenset[str]:
    """The seats that exchange media now."""
    runner = visit.server.house.room(visit.meeting)
    return frozenset() if runner is None else frozenset(runner.room.flowing)


async def resumed(host: Page) -> bool:
    return await host.ask("act", action="resume", seats=["A"]) is None


async def test_with_a_stalled_store_nobody_new_is_let_in_and_the_visit_goes_on(tmp_path: Path) -> None:
    async with visiting(tmp_path / "data") as visit:
        host, first, second = await visit.all_in()
        assert await host.ask("act", action="move-back", seats=["A"]) is None
        embedded = visit.server.practice.embedded
        assert embedded is not None
        assert embedded.pid is not None
        assert (await visit.server.house.board()).store_ok is True
        os.kill(embedded.pid, signal.SIGSTOP)
        try:
            assert await host.ask("act", action="admit", seats=["A"]) == "audit-unavailable"
            await eventually(lambda: first.view["store-ok"] is False and host.view["store-ok"] is False)
            assert first.state == "waiting"
            assert second.state == "admitted"
            async with visit.http.get(f"{visit.server.url}/readyz") as answer:
                assert answer.status == 503
            # What closes never waits: B is out of the room before anything can be recorded.
            assert await host.ask("act", action="hold", seats=["B"]) == "audit-unavailable"
            assert flowing(visit) == {"T"}
            assert (await visit.server.house.board()).store_ok is False
        finally:
            os.kill(embedded.pid, signal.SIGCONT)
        await eventually(lambda: first.view["store-ok"] is True)
        await second.until("held")
        assert await host.ask("act", action="admit", seats=["A"]) is None
        held = [(kind, seat) for kind, seat, _, _ in await visit.audit() if kind == "seat.held"]
        assert held == [("seat.held", "B")]


async def test_what_a_command_does_reaches_the_running_room(tmp_path: Path) -> None:
    async with visiting(tmp_path / "data") as visit:
        host, first, _ = await visit.all_in()
        async with open_practice(visit.server.settings, command=True) as beside:
            await beside.booking.end(visit.meeting, "operator", "closed for today")
        assert await first.ended() == ("ended", 4006)
        assert await host.ended() == ("ended", 4006)
        session = await visit.server.practice.booking.load(visit.meeting)
        assert session is not None
        assert {seat.state for seat in session.seats.values()} == {SeatState.ENDED}


async def test_a_draining_server_takes_nobody_new(tmp_path: Path) -> None:
    async with visiting(tmp_path / "data") as visit:
        await visit.enter("A")
        ticket = await visit.ticket("A")
        visit.server.house.draining = True
        async with visit.http.get(f"{visit.server.url}/readyz") as answer:
            assert answer.status == 503
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await visit.connect(ticket)
        assert refused.value.status == 503


async def test_draining_with_a_dead_store_still_ends_in_time(tmp_path: Path) -> None:
    async with visiting(tmp_path / "data") as visit:
        host, first, _ = await visit.all_in()
        loop = asyncio.get_running_loop()
        embedded = visit.server.practice.embedded
        assert embedded is not None
        assert embedded.pid is not None
        store = embedded.pid
        os.kill(store, signal.SIGSTOP)
        await host.say("act", id=99, action="hold", seats=["A"])
        await eventually(lambda: "A" not in flowing(visit))
        began = loop.time()
        await visit.server.__aexit__(None, None, None)
        assert loop.time() - began < 5.0
        assert await first.ended() == ("draining", 1012)
        with pytest.raises(ProcessLookupError):
            os.kill(store, 0)


async def test_an_offer_tells_of_a_way_in_where_udp_is_blocked(tmp_path: Path) -> None:
    async with visiting(tmp_path / "data") as visit:
        page = await visit.page("A")
        assert await page.ask("knock") is None
        await offered(page)
        (offer,) = page.of("offer")
        port = visit.server.settings.port
        assert port != visit.server.media_port
        assert f" tcp 1520435199 127.0.0.1 {port} typ host tcptype passive" in offer["sdp"]
        (server,) = offer["ice-servers"]
        assert server["urls"] == [f"turn:127.0.0.1:{port}?transport=tcp"]
        ends_ms = page.view["ends"]
        assert int(server["username"].partition(":")[0]) == -(-ends_ms // 1000)
        shown = Credential(server["username"], Private(server["credential"]))
        assert await ask("127.0.0.1", port, shown, tls=False, tcp=True) is Granted.YES
        forged = Credential(server["username"], Private("x" + server["credential"]))
        assert await ask("127.0.0.1", port, forged, tls=False, tcp=True) is Granted.REFUSED


PROXIED: Final[dict[str, Any]] = {
    "behind_proxy": True,
    "public_url": "http://localhost:1",
    "media_host": "127.0.0.1",
}


async def test_the_first_page_costs_no_reading_of_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def held_up(*_: object, **__: object) -> bytes:
        raise AssertionError("Media of this process waits while a file is compressed.")

    async with Server(settings_for(tmp_path / "data")) as server, browser() as http:
        monkeypatch.setattr(gzip, "compress", held_up)
        for path in ("/static/js/visit.js", "/static/style.css", "/static/vendor/mls.js"):
            async with http.get(f"{server.url}{path}") as answer:
                assert answer.status == 200


async def test_only_behind_a_proxy_media_has_a_tcp_port_of_its_own(tmp_path: Path) -> None:
    async with Server(settings_for(tmp_path / "data")) as server:
        assert server.media.tcp_port == server.settings.port
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", server.media_port)
    async with Server(settings_for(tmp_path / "data", **PROXIED)) as server:
        assert server.media.tcp_port == server.media_port
        _, writer = await asyncio.open_connection("127.0.0.1", server.media_port)
        writer.close()


async def test_headers_without_end_are_refused_in_our_words(tmp_path: Path) -> None:
    async with Server(settings_for(tmp_path / "data")) as server, asyncio.timeout(10):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.settings.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nX-Long: " + b"a" * 20_000 + b"\r\n\r\n")
        answer = await reader.read()
        assert answer.split(b" ")[1] == b"400"
        assert b"bad-message" in answer
        assert b"aiohttp" not in answer.lower()
        writer.close()


async def test_a_media_port_in_use_for_tcp_is_said_plainly(tmp_path: Path) -> None:
    port = free_port()
    with socket.create_server(("127.0.0.1", port)), pytest.raises(PortBusy) as busy:
        async with Server(settings_for(tmp_path / "data", media_port=port, **PROXIED)):
            raise AssertionError("somebody else has that port")
    assert f"TCP port {port}" in busy.value.text
    assert "--media-port" in busy.value.text


async def test_a_port_or_a_directory_in_use_is_said_plainly(tmp_path: Path) -> None:
    async with Server(settings_for(tmp_path / "data")) as server:
        with pytest.raises(PortBusy) as busy:
            async with Server(settings_for(tmp_path / "other", port=server.settings.port)):
                raise AssertionError("two servers on one port")
        assert "--port" in busy.value.text
        with pytest.raises(DataDirectoryBusy):
            async with Server(settings_for(tmp_path / "data")):
                raise AssertionError("two servers on one directory")
        async with browser() as http, http.get(f"{server.url}/healthz") as answer:
            assert answer.status == 200


async def test_the_living_are_not_buried_however_badly_they_can_be_reached(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with visiting(data) as visit:
        living, dead = Neighbours(data, "n-living"), data / "workers" / "n-dead"
        await living.start()
        (data / "workers" / "n-living.sock").unlink()  # nobody can knock there
        dead.touch(0o600)
        owner = Placement(visit.server.store, "n-living")
        await owner.take(visit.meeting)
        looking = Placement(visit.server.store, "n-looking")
        await bury_the_dead(looking, Neighbours(data, "n-looking"), everybody=False)
        assert (await looking.owners())[visit.meeting] == "n-living"
        assert (data / "workers" / "n-living").exists()
        assert not dead.exists()
        await living.close()


async def test_a_worker_under_a_supervisor_buries_nobody(tmp_path: Path) -> None:
    settings = settings_for(tmp_path / "data")
    mark = tmp_path / "data" / "workers" / "n-sibling"
    mark.parent.mkdir(mode=0o700, parents=True)
    (tmp_path / "data").chmod(0o700)
    mark.touch(0o600)
    async with Server(settings, listening=listen("127.0.0.1", 0)):
        assert mark.exists()
