"""Asking for an allocation: our own TURN server stands for somebody else's, so each tests the other."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from aioice import stun
from aioice.turn import TurnClientUdpProtocol

from broker.private import Private
from rooms import relay_check
from rooms.media import MediaPort
from rooms.relay_check import Granted, ask
from rooms.streams import Streams
from rooms.turn import mint
from signaling.tls import Certificate, self_signed
from tests.rooms.raw_client import until
from tests.support import coturn

SECRET = Private(b"shared with the other server")


@pytest_asyncio.fixture
async def streams() -> AsyncIterator[Streams]:
    media = MediaPort("localhost", 0)
    await media.start()
    streams = Streams(media, secret=SECRET)
    yield streams
    await streams.close()
    await media.close()


async def test_a_good_credential_is_granted_an_allocation_and_leaves_none(streams: Streams) -> None:
    server = await asyncio.get_running_loop().create_server(streams.turn, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    good = mint(SECRET, int(time.time()) + 60, "doctor")
    assert await ask("127.0.0.1", port, good, tls=False, tcp=True) is Granted.YES
    await until(lambda: len(streams) == 0, "it is given back")
    wrong = mint(Private(b"another secret"), int(time.time()) + 60, "doctor")
    assert await ask("127.0.0.1", port, wrong, tls=False, tcp=True) is Granted.REFUSED
    server.close()


@pytest.mark.skipif(coturn.PROGRAM is None, reason=coturn.MISSING)
@pytest.mark.parametrize("tcp", [False, True])
async def test_a_real_coturn_takes_our_credentials_and_no_others(tmp_path: Path, tcp: bool) -> None:
    async with coturn.running_coturn(tmp_path, "shared with the other server") as port:
        good = mint(SECRET, int(time.time()) + 60, "doctor")
        assert await ask("127.0.0.1", port, good, tls=False, tcp=tcp) is Granted.YES
        for wrong in (mint(Private(b"another"), int(time.time()) + 60, "doctor"), mint(SECRET, 1, "doctor")):
            assert await ask("127.0.0.1", port, wrong, tls=False, tcp=tcp) is Granted.REFUSED


@pytest.mark.skipif(coturn.PROGRAM is None, reason=coturn.MISSING)
async def test_coturn_lets_a_call_go_on_whose_credential_is_void_by_now(tmp_path: Path) -> None:
    """A page's is for minutes, and a visit may last for hours."""

    class Far(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, _: object) -> None:
            arrived.set_result(data)

    loop = asyncio.get_running_loop()
    arrived: asyncio.Future[bytes] = loop.create_future()
    far, _ = await loop.create_datagram_endpoint(Far, local_addr=("127.0.0.1", 0))
    async with coturn.running_coturn(tmp_path, "shared with the other server") as port:
        short = mint(SECRET, int(time.time()) + 3, "page")

        async def refuses() -> bool:
            return await ask("127.0.0.1", port, short, tls=False, tcp=False) is Granted.REFUSED

        client = TurnClientUdpProtocol(("127.0.0.1", port), short.name, short.password.reveal(), 600, 500)
        near, _ = await loop.create_datagram_endpoint(lambda: client, remote_addr=("127.0.0.1", port))
        await client.connect()
        await until(refuses, "the credential is void", every=0.2)
        for method in (stun.Method.REFRESH, stun.Method.CREATE_PERMISSION):
            request = stun.Message(method, stun.Class.REQUEST)
            if method is stun.Method.CREATE_PERMISSION:
                request.attributes["XOR-PEER-ADDRESS"] = far.get_extra_info("sockname")
            answer, _ = await client.request_with_retry(request)
            assert answer.message_class is stun.Class.RESPONSE
        await client.send_data(b"still here", far.get_extra_info("sockname"))  # binds a channel first
        assert await asyncio.wait_for(arrived, 5) == b"still here"
        await client.delete()
        near.close()
    far.close()


async def test_a_certificate_that_nobody_vouches_for_is_told(streams: Streams, tmp_path: Path) -> None:
    context = Certificate(*self_signed(tmp_path, ["localhost"])).context
    server = await asyncio.get_running_loop().create_server(streams.turn, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    good = mint(SECRET, int(time.time()) + 60, "doctor")
    assert await ask("localhost", port, good, tls=True, tcp=True) is Granted.BAD_CERTIFICATE
    server.close()


async def test_who_does_not_answer_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay_check, "WITHIN", 0.2)
    gone = asyncio.Event()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        gone.set()

    silent = await asyncio.start_server(listen, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    credential = mint(SECRET, int(time.time()) + 60, "doctor")
    assert await ask("127.0.0.1", port, credential, tls=False, tcp=True) is Granted.NO_ANSWER
    assert await ask("127.0.0.1", port, credential, tls=False, tcp=False) is Granted.NO_ANSWER
    await asyncio.wait_for(gone.wait(), 5)
    silent.close()
    await silent.wait_closed()
    assert await ask("127.0.0.1", port, credential, tls=False, tcp=True) is Granted.NO_ANSWER
