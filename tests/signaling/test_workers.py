"""Several workers on one machine, as real processes: one owner per room, killed, told to leave, stopped."""

from __future__ import annotations

import asyncio
import errno
import os
import re
import signal
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aioice import stun
from cryptography import x509

from broker.placement import Placement
from broker.private import Private
from rooms.framing import Deframer, measure_ice_tcp, measure_turn
from rooms.ice import Credentials
from rooms.turn import Credential
from signaling import workers
from signaling.app import Server
from signaling.practice import Practice, open_practice
from signaling.process import PortBusy
from signaling.settings import Settings
from signaling.tenancy import COME_BACK_WITHIN
from signaling.tls import self_signed, try_pair
from signaling.workers import Supervisor, WorkerFailed, decode_settings, encode_settings
from tests.e2e.practice import QUIETROOM, free_port
from tests.rooms.test_streams import IceTcpClient, TurnClient, Wire
from tests.signaling.test_app import alive, booked, children, events
from tests.signaling.visits import Page, Visit, book, browser, hire, settings_for
from tests.support.heard import Heard
from tests.support.waiting import eventually


@dataclass
class Node:
    """A running supervisor, and what a test looks at."""

    supervisor: Supervisor
    practice: Practice
    client: Server
    placement: Placement

    @property
    def pids(self) -> dict[str, int]:
        """The process of each worker, by name."""
        return {w.name: w.process.pid for w in self.supervisor._workers.values()}

    async def owner(self, visit: Visit) -> str:
        """The worker that runs a visit's room."""

        async def found() -> str | None:
            return (await self.placement.owners()).get(visit.meeting)

        return str(await eventually(found))

    async def serving(self, former: str) -> None:
        """Wait until all workers take rooms and this one is not among them."""
        workers = self.supervisor._workers
        await eventually(
            lambda: (
                all(w.taking for w in workers.values()) and former not in {w.name for w in workers.values()}
            ),
            timeout=20,
        )


@asynccontextmanager
async def node(data_dir: Path, visits: int = 1, **more: Any) -> AsyncIterator[tuple[Node, list[Visit]]]:
    """Two workers and some booked visits."""
    settings = settings_for(data_dir, workers=2, **more)
    async with (
        Supervisor(settings) as supervisor,
        open_practice(settings, command=True) as practice,
        browser() as http,
    ):
        client = Server(supervisor.settings)  # never started: only its address and its practice are used
        client.practice = practice
        await hire(client)
        booked = [await book(client, http) for _ in range(visits)]
        try:
            yield Node(supervisor, practice, client, Placement(practice.store, "looking-on")), booked
        finally:
            for visit in booked:
                for page in visit.pages:
                    await page.close()


async def audit(node: Node, visit: Visit) -> list[tuple[str, str | None]]:
    """Type and seat of the visit's events."""
    entries = await node.practice.ledger.read(0, 10_000)
    return [(e.event.type.value, e.event.seat) for e in entries if e.event and e.session == visit.meeting]


async def all_back(visit: Visit) -> tuple[Page, Page, Page]:
    """Everybody connects again, as their pages do by themselves, and the clinician is heard."""
    first, second = await visit.page("A", media_kept=True), await visit.page("B", media_kept=True)
    host = await visit.page("T", media_kept=True)
    assert {first.state, second.state} == {"paused"}  # never alone, in whichever worker
    await host.connect_media()
    await first.until("admitted")
    await second.until("admitted")
    return host, first, second


async def test_every_room_has_one_owner_whichever_worker_its_pages_reach(tmp_path: Path) -> None:
    async with node(tmp_path / "data", visits=2) as (running, visits):
        for visit in visits:
            await visit.all_in()
        owners = [await running.owner(visit) for visit in visits]
        assert set(owners) == set(running.pids)  # spread evenly
        # Every page is answered by its room, so whichever worker holds its connection, the owner has it.
        for visit in visits:
            for seat in ("A", "B"):
                page = await visit.page(seat, media_kept=True)
                assert page.state == "admitted"
        http, url = visits[0].http, running.client.url
        for _ in range(6):
            async with http.get(f"{url}/metrics") as answer:
                text = await answer.text()
            assert 'quietroom_rooms{worker="0"} 1.0' in text
            assert 'quietroom_rooms{worker="1"} 1.0' in text


async def test_a_device_that_is_not_in_the_seat_gives_nothing_up_through_any_worker(tmp_path: Path) -> None:
    async with node(tmp_path / "data") as (_, (visit,)):
        _, first, _ = await visit.all_in()
        for number in range(6):  # new connections, so that both workers are asked
            await visit.enter("A", device=f"other-{number}")
            body = {"meeting": visit.meeting, "seat": "A"}
            headers = {"Origin": visit.server.url, "Cookie": visit.cookies[f"other-{number}"]}
            async with browser() as http:
                leaving = http.post(f"{visit.server.url}/api/seat-leave", json=body, headers=headers)
                async with leaving as answer:
                    assert answer.status == 204
        assert first.state == "admitted"
        assert first.of("bye") == []


async def test_a_killed_workers_room_comes_back_on_another_in_the_same_seats(tmp_path: Path) -> None:
    async with node(tmp_path / "data") as (running, (visit,)):
        pages = await visit.all_in()
        before, owner = await audit(running, visit), await running.owner(visit)
        pids = set(running.pids.values())
        os.kill(running.pids[owner], signal.SIGKILL)
        began = asyncio.get_running_loop().time()
        (replacing,) = await eventually(lambda: set(running.pids.values()) - pids)
        os.kill(replacing, signal.SIGHUP)  # a renewed certificate is no reason to end while starting
        for page in pages:  # relayed by the other worker, or cut off
            assert await page.ended() in {("moved", 1012), (None, 1006)}
        await all_back(visit)
        assert asyncio.get_running_loop().time() - began < 5.0
        assert await running.owner(visit) != owner
        after = await audit(running, visit)
        assert after[: len(before)] == before
        assert [kind for kind, _ in after].count("seat.knocked") == 2
        assert [kind for kind, _ in after].count("seat.admitted") == 2
        await running.serving(owner)
        assert len(running.pids) == 2
        assert replacing in running.pids.values()


@pytest.mark.parametrize("refused", ["fork", "socketpair"])
async def test_a_worker_that_the_system_refuses_is_started_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: str
) -> None:
    async with node(tmp_path / "data") as (running, (visit,)):
        first = min(running.pids)
        opened = len(os.listdir("/proc/self/fd"))
        asked = 0

        def only_later(real: Callable[..., Any], *given: Any, **named: Any) -> Any:
            nonlocal asked
            asked += 1
            if asked <= 3:
                raise OSError(errno.EAGAIN if refused == "fork" else errno.EMFILE, "not now")
            return real(*given, **named)

        with monkeypatch.context() as patch:
            if refused == "fork":
                patch.setattr(subprocess, "Popen", partial(only_later, subprocess.Popen))
            else:
                patch.setattr(socket, "socketpair", partial(only_later, socket.socketpair))
            os.kill(running.pids[first], signal.SIGKILL)
            await running.serving(first)
        assert asked == 4
        assert running.supervisor.failure is None
        assert len(os.listdir("/proc/self/fd")) <= opened
        await visit.all_in()


async def test_a_node_ends_when_nobody_looks_after_its_workers_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pids: list[int] = []
    asked = 0
    bury = Supervisor._bury

    async def failing_once(self: Supervisor, worker: Any) -> None:
        nonlocal asked
        asked += 1
        if asked == 1:
            raise LookupError("nobody foresaw this")
        await bury(self, worker)

    def kill_one(node: Supervisor) -> None:
        pids.extend(worker.process.pid for worker in node._workers.values())
        os.kill(pids[0], signal.SIGKILL)

    monkeypatch.setattr(Supervisor, "_bury", failing_once)
    with pytest.raises(LookupError):  # for which the command's exit code is 1
        async with asyncio.timeout(30):
            await workers.serve(settings_for(tmp_path / "data", workers=2), kill_one)
    assert not any(map(alive, pids))


async def test_a_worker_told_to_end_hands_its_rooms_over_and_is_replaced(tmp_path: Path) -> None:
    async with node(tmp_path / "data") as (running, (visit,)):
        pages = await visit.all_in()
        owner = await running.owner(visit)
        pid = running.pids[owner]
        os.kill(pid, signal.SIGTERM)
        for page in pages:
            assert await page.ended() == ("moved", 1012)
        await all_back(visit)
        assert await running.owner(visit) != owner
        await running.serving(owner)
        assert not alive(pid)

        async def recorded() -> tuple[int, int]:
            kinds = [kind for kind, _ in await events(running.practice.settings)]
            return kinds.count("server.started"), kinds.count("server.stopped")

        async def replaced() -> bool:
            return await recorded() == (3, 1)

        await eventually(replaced)


def shown_of(pid: int) -> bytes:
    """Arguments and environment of a process, which others may read without asking it."""
    return Path(f"/proc/{pid}/cmdline").read_bytes() + Path(f"/proc/{pid}/environ").read_bytes()


@contextmanager
def asleep(pid: int) -> Iterator[None]:
    """A process accepts nobody meanwhile."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


Answers = Callable[[str], Awaitable[None]]


class ByStream:
    """One page's media over a stream that may be replaced by another.

    Args:
        path: ``tcp`` or ``turn``.
    """

    def __init__(self, running: Node, path: str) -> None:
        self._port = running.supervisor.settings.port
        self._path = path
        self._reading: asyncio.Task[None] | None = None
        self.client: IceTcpClient | TurnClient | None = None

    async def comes(self, offer: dict[str, Any]) -> IceTcpClient | TurnClient:
        """A client of an offer, on a stream that some worker has taken."""
        wire = await self._wire()
        (server,) = offer["ice-servers"]
        user = Credential(server["username"], Private(server["credential"]))
        if self._path == "tcp":
            self.client = IceTcpClient(offer["sdp"], wire)
        else:
            self.client = TurnClient(offer["sdp"], wire, user, ("", 0))
            self.client.peer = self.client.address
            await self._allocate(self.client)
        return self.client

    async def comes_again(self, offer: dict[str, Any], answers: Answers) -> None:
        """The same client restarts ICE, over a new stream."""
        client = self.client
        assert client is not None
        await self.ends()
        client.take(offer["sdp"])
        client.credentials = Credentials.fresh()
        await answers(client.answer())
        wire = client.wire = await self._wire()
        if isinstance(client, TurnClient):
            client.answers, wire.on_frame = [], client._unwrapped
            await self._allocate(client)
        else:
            wire.on_frame = client._arrived
        await client.check()  # by ICE-TCP at once: what a stream begins with tells what it is

    async def ends(self) -> None:
        """The page closes its stream."""
        assert self.client is not None
        assert self._reading is not None
        self.client.wire.writer.close()
        await self._reading

    async def _wire(self) -> Wire:
        measure = measure_turn if self._path == "turn" else measure_ice_tcp
        wire = Wire(*await asyncio.open_connection("127.0.0.1", self._port), Deframer(measure))
        self._reading = asyncio.create_task(wire.read())
        return wire

    async def _allocate(self, client: TurnClient) -> None:
        assert (await client.allocate()).error_code is None
        permitted = await client.ask(stun.Method.CREATE_PERMISSION, XOR_PEER_ADDRESS=client.peer)
        assert permitted.error_code is None


async def test_one_port_carries_media_whichever_worker_its_stream_reaches(tmp_path: Path) -> None:
    async with node(tmp_path / "data") as (running, (visit,)):
        host = await visit.page("T")
        assert await host.ask("enter") is None
        offer = (await eventually(lambda: host.of("offer")))[-1]
        owner = await running.owner(visit)
        assert offer["ice-servers"][0]["urls"] == [
            f"turn:127.0.0.1:{running.supervisor.settings.port}?transport=tcp"
        ]
        way = ByStream(running, "turn")
        with asleep(running.pids[owner]):
            client = await way.comes(offer)
        assert isinstance(client, TurnClient)
        secret = running.supervisor._secret.reveal()
        for pid in running.pids.values():
            assert b"signaling.worker" in shown_of(pid)
            assert secret not in shown_of(pid)
            assert secret.hex().encode() not in shown_of(pid)
        (port,) = [w.media_port for w in running.supervisor._workers.values() if w.name == owner]
        assert client.peer == ("127.0.0.1", port)
        await host.say("answer", sdp=client.answer())
        assert await host.ask("act", action="hold") == "no-seat"  # so the answer has been taken
        await client.connect()
        host.heard = Heard(offer["sdp"], lambda sdp: None)
        unused, host.heard.client = host.heard.client, client
        await unused.close()
        host.heard.talk()
        await eventually(lambda: host.view["clinician-present"])
        await eventually(
            lambda: {seat["path"] for seat in host.view["seats"] if seat["seat"] == "T"} == {"turn"}
        )
        # Nothing else on this host is reached.
        for other in (port + 1, running.supervisor.settings.port):
            if other not in running.supervisor.media_ports:
                peer = ("127.0.0.1", other)
                refused = await client.ask(stun.Method.CREATE_PERMISSION, XOR_PEER_ADDRESS=peer)
                assert refused.attributes["ERROR-CODE"][0] == 403

        os.kill(running.pids[owner], signal.SIGKILL)
        await host.ended()

        async def forgotten() -> bool:
            asked = await client.ask(stun.Method.CREATE_PERMISSION, XOR_PEER_ADDRESS=client.peer)
            return bool(asked.attributes.get("ERROR-CODE", (0,))[0] == 403)

        await eventually(forgotten)  # its port may be anybody's now
        await way.ends()


@pytest.mark.parametrize("path", ["tcp", "turn"])
async def test_a_visit_comes_back_when_the_worker_that_held_its_stream_is_renewed(
    tmp_path: Path, path: str
) -> None:
    async with node(tmp_path / "data") as (running, (visit,)):
        way = ByStream(running, path)
        host = await visit.page("T")

        async def answers(sdp: str) -> None:
            await host.say("answer", sdp=sdp)
            assert await host.ask("act", action="hold") == "no-seat"  # so the answer has been taken

        assert await host.ask("enter") is None
        offer = (await eventually(lambda: host.of("offer")))[-1]
        owner = await running.owner(visit)
        (holder,) = set(running.pids) - {owner}
        with asleep(running.pids[owner]):
            client = await way.comes(offer)
            # Connections are accepted in order, so once this is answered the other worker has the stream.
            async with visit.http.get(f"{visit.server.url}/healthz", headers={"Connection": "close"}):
                pass
        host.heard = Heard(offer["sdp"], answers)
        unused, host.heard.client = host.heard.client, client
        await unused.close()
        await host.heard.connect()
        await eventually(lambda: host.view["clinician-present"])
        pages = {seat: await visit.page(seat) for seat in ("A", "B")}
        for page in pages.values():
            assert await page.ask("knock") is None
        assert await host.ask("act", action="admit", seats=["A", "B"]) is None
        for page in pages.values():
            await page.until("admitted")
        before = await audit(running, visit)

        os.kill(running.pids[holder], signal.SIGTERM)
        await eventually(lambda: client.wire.ended, timeout=15.0)
        # As pages do by themselves: whose connection that worker held connects again, and ICE begins anew.
        for seat, page in pages.items():
            if page.socket.closed:
                pages[seat] = await visit.page(seat, media_kept=True)
        if host.socket.closed:
            heard, host.heard = host.heard, None
            host = await visit.page("T", media_kept=True)
            host.heard = heard
        told = len(host.of("offer"))
        await host.say("restart-media")
        offer = (await eventually(lambda: host.of("offer")[told:]))[-1]
        assert offer["restart"]
        await way.comes_again(offer, answers)
        await eventually(lambda: host.view["clinician-present"])
        await eventually(
            lambda: {seat["path"] for seat in host.view["seats"] if seat["seat"] == "T"} == {path}
        )
        for page in pages.values():
            await page.until("admitted")
        assert await running.owner(visit) == owner
        after = await audit(running, visit)
        assert after[: len(before)] == before
        for once in ("seat.knocked", "seat.admitted"):
            assert [kind for kind, _ in after].count(once) == 2, "nobody came anew"
        assert "seat.left" not in {kind for kind, _ in after}
        await running.serving(holder)
        await way.ends()


async def test_a_node_that_stops_leaves_no_process(tmp_path: Path) -> None:
    settings = settings_for(tmp_path / "data", workers=2)
    async with Supervisor(settings) as supervisor:
        pids = [worker.process.pid for worker in supervisor._workers.values()]
        began = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - began < 5.0
    assert not any(map(alive, pids))
    assert list((settings.data_dir / "workers").iterdir()) == []
    kinds = [kind for kind, _ in await events(settings)]
    assert sorted(kinds) == ["server.started"] * 2 + ["server.stopped"] * 2


async def test_no_worker_outlives_a_killed_supervisor(tmp_path: Path) -> None:
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        *(QUIETROOM, "serve", "--workers", "2", "--data-dir", str(tmp_path / "data"), "--port", str(port)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(30):
            while b"Quietroom is at" not in (said := await process.stdout.readline()):
                assert said, "it did not start"
        started = children(process.pid)
        assert len(started) == 3  # and the store
    finally:
        process.kill()
        await process.wait()
    await eventually(lambda: not any(map(alive, started)))
    # Its ports are free again, and its dead are buried by whoever comes next.
    async with Supervisor(settings_for(tmp_path / "data", port=port, workers=2)):
        pass


# ---- the whole node is told to stop ----------------------------------------------------------------------


@asynccontextmanager
async def commanded(
    tmp_path: Path, *options: str
) -> AsyncIterator[tuple[asyncio.subprocess.Process, Visit, Visit]]:
    """``quietroom serve --workers 2`` as an operator runs it, with two booked visits."""
    settings = settings_for(tmp_path / "data", port=free_port())
    process = await asyncio.create_subprocess_exec(
        *(QUIETROOM, "serve", "--workers", "2", "--data-dir", str(settings.data_dir)),
        *("--port", str(settings.port), *options),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    visits: list[Visit] = []
    async with browser() as http:
        try:
            await eventually(partial(readiness, http, settings.public_url, 200), 30)
            visits += [await booked(settings, http), await booked(settings, http)]
            yield process, visits[0], visits[1]
        finally:
            for visit in visits:
                for page in visit.pages:
                    await page.close()
            if process.returncode is None:
                process.kill()
                await process.wait()


async def readiness(http: aiohttp.ClientSession, url: str, status: int) -> bool:
    """Whether every worker says that; of several new connections each is likely to have had one."""
    try:
        for _ in range(8):
            async with http.get(f"{url}/readyz", headers={"Connection": "close"}) as answer:
                if answer.status != status:
                    return False
    except aiohttp.ClientError:
        return False
    return True


async def test_a_node_told_to_stop_takes_no_new_room_and_lets_its_visit_end(tmp_path: Path) -> None:
    async with commanded(tmp_path) as (process, visit, other):
        host, first, second = await visit.all_in()
        await other.enter("A")
        started = children(process.pid)
        process.send_signal(signal.SIGTERM)
        await eventually(partial(readiness, visit.http, visit.server.url, 503))
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await other.connect(await other.ticket("A"))
        assert refused.value.status == 503
        for _ in range(4):  # a lost connection comes back, whichever worker it reaches
            await first.close()
            first = await visit.page("A", media_kept=True)
            assert first.state == "admitted"
        assert [*host.of("bye"), *second.of("bye")] == []
        assert process.returncode is None
        assert await host.ask("act", action="end") is None
        assert await second.ended() == ("ended", 4006)
        async with asyncio.timeout(8.0):
            assert await process.wait() == 0
        await eventually(lambda: not any(map(alive, started)))


async def test_a_node_that_finishes_is_seen_whole_and_a_worker_that_dies_then_loses_no_visit(
    tmp_path: Path,
) -> None:
    async with node(tmp_path / "data", visits=2) as (running, (visit, other)):
        await visit.all_in()
        owner = await running.owner(visit)
        (idle,) = set(running.pids) - {owner}
        os.kill(running.pids[idle], signal.SIGKILL)
        await eventually(lambda: idle not in running.pids)
        running.supervisor.finish()  # which the one that is starting cannot hear yet
        await eventually(lambda: all(running.supervisor.media_ports), timeout=20.0)
        await eventually(partial(readiness, visit.http, visit.server.url, 503))
        for _ in range(6):
            async with visit.http.get(
                f"{visit.server.url}/metrics", headers={"Connection": "close"}
            ) as answer:
                text = await answer.text()
            assert sorted(re.findall(r'quietroom_rooms{worker="."} ([.0-9]+)', text)) == ["0.0", "1.0"]
        os.kill(running.pids[owner], signal.SIGKILL)
        lives: list[int] = []
        watching = asyncio.create_task(watch(lambda: lives.append(running.supervisor.live)))
        for page in visit.pages:
            await page.ended()
        host, _, _ = await all_back(visit)
        watching.cancel()
        assert min(lives) > 0, "nobody must take the node for empty meanwhile"
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await other.page("A")
        assert await host.ask("act", action="end") is None
        await eventually(lambda: running.supervisor.live == 0, timeout=COME_BACK_WITHIN + 2.0)


async def test_a_worker_told_to_end_while_its_node_finishes_drops_no_visit(tmp_path: Path) -> None:
    async with node(tmp_path / "data") as (running, (visit,)):
        pages = await visit.all_in()
        owner = await running.owner(visit)
        running.supervisor.finish()
        await eventually(partial(readiness, visit.http, visit.server.url, 503))
        os.kill(running.pids[owner], signal.SIGTERM)
        for page in pages:
            assert await page.ended() == ("moved", 1012)
        host, first, second = await all_back(visit)
        last = await running.owner(visit)
        assert last != owner
        await eventually(lambda: not alive(running.pids[owner]), timeout=15.0)
        await eventually(lambda: running.supervisor.live == 1)
        os.kill(running.pids[last], signal.SIGTERM)  # and there is nobody now who could take the visit
        for action in ("hold", "resume", "hold", "resume"):
            assert await host.ask("act", action=action, seats=["A"]) is None
            await second.close()
            second = await visit.page("B", media_kept=True)
            assert second.state == "admitted"
        assert [*host.of("bye"), *first.of("bye")] == []
        assert await host.ask("act", action="end") is None
        await eventually(lambda: running.supervisor.live == 0, timeout=COME_BACK_WITHIN + 2.0)


async def watch(look: Callable[[], None]) -> None:
    """Look again and again, until cancelled."""
    while True:
        look()
        await asyncio.sleep(0.01)


async def test_a_node_told_to_stop_while_a_worker_is_being_replaced_stops(tmp_path: Path) -> None:
    async with commanded(tmp_path) as (process, _, _):
        before = workers_of(process)
        os.kill(min(before), signal.SIGKILL)
        await eventually(lambda: workers_of(process) - before)
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(15.0):
            assert await process.wait() == 0


def workers_of(process: asyncio.subprocess.Process) -> set[int]:
    """The worker processes of a node."""
    found = set()
    for pid in children(process.pid):
        with suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
            if b"signaling.worker" in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.add(pid)
    return found


async def test_a_node_waits_no_longer_than_its_drain_time(tmp_path: Path) -> None:
    async with commanded(tmp_path, "--drain", "2") as (process, visit, _):
        host, first, second = await visit.all_in()
        began = asyncio.get_running_loop().time()
        process.send_signal(signal.SIGTERM)
        for page in (first, second, host):
            assert await page.ended() == ("draining", 1012)
        assert asyncio.get_running_loop().time() - began >= 2.0
        async with asyncio.timeout(8.0):
            assert await process.wait() == 0
        kinds = [kind for kind, _ in await events(settings_for(tmp_path / "data"))]
        assert kinds.count("server.started") == kinds.count("server.stopped") == 2


async def test_a_renewed_certificate_reaches_every_worker_at_once(tmp_path: Path) -> None:
    old, new = (self_signed(tmp_path / name, [name, "127.0.0.1"]) for name in ("old.example", "new.example"))
    settings = settings_for(tmp_path / "data", workers=2, tls_cert=old[0], tls_key=old[1])
    async with Supervisor(settings) as supervisor:
        port = supervisor.settings.port
        pids = [worker.process.pid for worker in supervisor._workers.values()]
        former = [await shown_by(pid, pids, port) for pid in pids]
        assert former == [try_pair(*old)] * 2
        for mine, renewed in zip(old, new, strict=True):
            renewed.replace(mine)
        supervisor.renew_certificates()

        async def all_renewed() -> bool:
            return [await shown_by(pid, pids, port) for pid in pids] == [try_pair(*old)] * 2

        await eventually(all_renewed, 2.5)  # by itself a worker takes twice three seconds to see it


async def shown_by(pid: int, pids: list[int], port: int) -> x509.Certificate:
    """The certificate that one worker shows; the others accept nobody meanwhile."""
    for other in pids:
        if other != pid:
            os.kill(other, signal.SIGSTOP)
    try:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
        der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.close()
        return x509.load_der_x509_certificate(der)
    finally:
        for other in pids:
            os.kill(other, signal.SIGCONT)


async def test_a_node_whose_ports_are_taken_says_which(tmp_path: Path) -> None:
    async with Supervisor(settings_for(tmp_path / "data", workers=2)) as running:
        with pytest.raises(PortBusy):
            await Supervisor(settings_for(tmp_path / "b", port=running.settings.port)).__aenter__()
        taken = running.media_ports[0]
        with pytest.raises(WorkerFailed) as failed:
            await Supervisor(settings_for(tmp_path / "c", media_port=taken, workers=2)).__aenter__()
        assert failed.value.code == "port-busy"
        assert str(taken) in failed.value.text


def test_settings_reach_a_worker_as_they_are() -> None:
    settings = Settings(
        data_dir=Path("/d"),
        port=1,
        redis_url="redis://:secret@h",
        behind_proxy=True,
        public_url="https://v.example",
    )
    assert decode_settings(encode_settings(settings)) == settings
