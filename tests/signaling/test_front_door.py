"""One port for everything: each connection reaches who it is for, and strangers do not stay."""

from __future__ import annotations

import asyncio
import errno
import inspect
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest
import uvloop
from hypothesis import given
from hypothesis import strategies as st

from rooms import streams
from rooms.media import MediaPort
from rooms.streams import Streams
from signaling import front_door as module
from signaling.front_door import FrontDoor, Spoken, recognise
from signaling.tls import Certificate, self_signed
from tests.support.waiting import eventually

COOKIE = b"\x21\x12\xa4\x42"
ALLOCATE = b"\x00\x03\x00\x08" + COOKIE + bytes(12) + b"\x00\x19\x00\x04\x11\x00\x00\x00"
HALF_SIGNED = b"\x00\x03\x00\x18" + COOKIE + bytes(12) + b"\x00\x08\x00\x14" + bytes(20)
CHECK = b"\x00\x01\x00\x00" + COOKIE + bytes(12)
ICE_TCP = len(CHECK).to_bytes(2, "big") + CHECK
HTTP = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"


# ---- recognising -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("head", "spoken"),
    [
        (HTTP, Spoken.HTTP),
        (b"\r\n" + HTTP, Spoken.HTTP),
        (b"\x16\x03\x01", Spoken.HTTP),  # where no certificate is: the HTTP server answers
        (ALLOCATE, Spoken.TURN),
        (ICE_TCP, Spoken.ICE_TCP),
        (b"\x03\xff\x00\x01\x03\xeb" + COOKIE, Spoken.ICE_TCP),
        (b"\x00\x14\x16\xfe\xfd\x00" + COOKIE, Spoken.NOTHING),  # a stream that begins with DTLS
        (bytes(10), Spoken.NOTHING),
    ],
)
def test_what_is_spoken_is_told_by_the_first_bytes(head: bytes, spoken: Spoken) -> None:
    assert recognise(head) is spoken
    # It is never taken for anything else on the way there.
    assert {recognise(head[:size]) for size in range(len(head))} <= {None, spoken}


@given(st.binary(max_size=20))
def test_anything_is_told_by_ten_bytes(head: bytes) -> None:
    assert (recognise(head) is None) == (not head or (head[0] < 4 and len(head) < 10))


# ---- a door ----------------------------------------------------------------------------------------------


class Echo(asyncio.Protocol):
    """Stands in for the HTTP server: says what it was told, and in which voice."""

    def __init__(self) -> None:
        self.lost: list[Exception | None] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        secure = self.transport.get_extra_info("ssl_object") is not None
        self.transport.write((b"tls:" if secure else b"plain:") + data)


@dataclass
class House:
    """A door on a real port, and a media port behind it."""

    door: FrontDoor
    port: int
    streams: Streams
    media: MediaPort

    async def says(self, sent: bytes, *, tls: bool = False, pieces: int = 1000) -> bytes:
        """What comes back for this, sent in pieces; ``b""`` when the connection is closed instead."""
        context = None
        if tls:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, ssl=context)
        try:
            async with asyncio.timeout(5):
                for at in range(0, len(sent), pieces):
                    writer.write(sent[at : at + pieces])
                    await writer.drain()
                    await asyncio.sleep(0)
                return await reader.read(1000)
        except ConnectionError:
            return b""
        finally:
            writer.close()


@asynccontextmanager
async def house(
    certificate: Certificate | None = None,
    *,
    http: Callable[[], asyncio.Protocol] | None = Echo,
    media_too: bool = True,
) -> AsyncIterator[House]:
    media = MediaPort("localhost", 0)
    await media.start()
    taker = Streams(media)
    listening = socket.create_server(("127.0.0.1", 0))
    context = None if certificate is None else certificate.context
    door = FrontDoor(listening, http=http, streams=taker if media_too else None, context=context)
    door.start()
    try:
        yield House(door, listening.getsockname()[1], taker, media)
    finally:
        await door.close()
        await door.close()
        await media.close()
        await taker.close()
        await eventually(lambda: len(taker) == 0)
        assert len(door._undecided) == 0
        assert media.counters["failed"] == 0


LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


def on_both_loops(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run a test on each event loop that a server may run on."""

    def run(*, loop: str, **given: Any) -> None:
        with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
            runner.run(test(**given))

    run.__name__ = test.__name__
    asks = inspect.signature(test)
    loop = inspect.Parameter("loop", inspect.Parameter.KEYWORD_ONLY)
    run.__signature__ = asks.replace(parameters=[*asks.parameters.values(), loop])  # type: ignore[attr-defined]  # as pytest reads it
    parametrized: Callable[..., None] = pytest.mark.parametrize("loop", LOOPS)(run)
    return parametrized


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    return Certificate(*self_signed(tmp_path, ["localhost", "127.0.0.1"]))


@pytest.mark.parametrize("pieces", [1, 7, 1000])
@on_both_loops
async def test_one_port_serves_everything_plain(pieces: int) -> None:
    async with house() as open_house:
        assert await open_house.says(b"GET", pieces=1000) == b"plain:GET"
        assert (await open_house.says(ALLOCATE, pieces=pieces))[:2] == b"\x01\x13"  # Allocate, error: 401
        peer = open_house.media.open_peer("room", "a", 0, lambda state: None)
        from tests.rooms.raw_client import RawClient

        client = RawClient(peer.offer())
        request = client.request()
        answer = await open_house.says(len(request).to_bytes(2, "big") + request, pieces=pieces)
        assert answer[2:4] == b"\x01\x01"  # Binding, response
        await client.close()


@pytest.mark.parametrize("pieces", [1, 1000])
@on_both_loops
async def test_one_port_serves_everything_beside_tls(certificate: Certificate, pieces: int) -> None:
    async with house(certificate) as open_house:
        assert await open_house.says(b"GET", tls=True) == b"tls:GET"
        assert (await open_house.says(ALLOCATE, tls=True, pieces=pieces))[:2] == b"\x01\x13"
        assert (await open_house.says(ALLOCATE, pieces=pieces))[:2] == b"\x01\x13"
        assert await open_house.says(ICE_TCP, tls=True) == b""  # nobody offers that


@pytest.mark.parametrize("tls", [False, True])
@on_both_loops
async def test_a_stream_that_says_much_at_once_is_heard_to_the_end(
    certificate: Certificate, monkeypatch: pytest.MonkeyPatch, *, tls: bool
) -> None:
    monkeypatch.setattr(streams, "FRAMES_AT_ONCE", 2)
    async with house(certificate) as open_house:
        context = None
        if tls:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        reader, writer = await asyncio.open_connection("127.0.0.1", open_house.port, ssl=context)
        answer = len(await open_house.says(HALF_SIGNED, tls=tls))
        async with asyncio.timeout(5):
            for _ in range(2):  # the second time only if it is read again
                writer.write(HALF_SIGNED * 9)
                assert len(await reader.readexactly(9 * answer)) == 9 * answer
        writer.close()


@on_both_loops
async def test_where_there_is_a_certificate_no_page_is_served_without_tls(certificate: Certificate) -> None:
    async with house(certificate) as open_house:
        assert await open_house.says(HTTP) == b""


@on_both_loops
async def test_a_door_for_pages_takes_no_media_and_one_for_media_no_pages(certificate: Certificate) -> None:
    async with house(media_too=False) as pages:
        assert await pages.says(ALLOCATE) == b""
        assert await pages.says(ICE_TCP) == b""
        assert await pages.says(HTTP) == b"plain:" + HTTP
    async with house(certificate, http=None) as media:
        assert await media.says(HTTP) == b""
        assert await media.says(HTTP, tls=True) == b""
        assert (await media.says(ALLOCATE, tls=True))[:2] == b"\x01\x13"


@on_both_loops
async def test_a_renewed_certificate_is_served_at_once(tmp_path: Path, certificate: Certificate) -> None:
    async with house(certificate) as open_house:

        async def shown() -> bytes:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            _, writer = await asyncio.open_connection("127.0.0.1", open_house.port, ssl=context)
            der = cast(bytes, writer.get_extra_info("ssl_object").getpeercert(binary_form=True))
            writer.close()
            return der

        before = await shown()
        for old, new in zip(
            (certificate._cert, certificate._key),
            self_signed(tmp_path / "new", ["localhost", "new.example"]),
            strict=True,
        ):
            old.write_bytes(new.read_bytes())
        assert certificate.reload()
        assert await shown() != before


# ---- strangers -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("said", [b"", b"\x00", b"\x00\x03\x00\x00", b"\x16", b"\x16\x03\x01\x02\x00\x01"])
@on_both_loops
async def test_who_does_not_say_what_they_speak_is_sent_away(
    certificate: Certificate, monkeypatch: pytest.MonkeyPatch, said: bytes
) -> None:
    monkeypatch.setattr(module, "DECIDE_WITHIN", 0.3)
    async with house(certificate) as open_house:
        assert await open_house.says(said) == b""


@on_both_loops
async def test_who_speaks_no_language_of_ours_is_sent_away(certificate: Certificate) -> None:
    async with house(certificate) as open_house:
        for said in (bytes(64), b"\x16" + b"not a handshake" * 20, b"\x01\x02" * 30):
            assert b"plain" not in await open_house.says(said)
        assert await open_house.says(b"GET", tls=True) == b"tls:GET"


@on_both_loops
async def test_only_so_many_may_be_undecided(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_UNDECIDED_OF_ONE", 3)
    async with house() as open_house:
        held = [await asyncio.open_connection("127.0.0.1", open_house.port) for _ in range(3)]
        await eventually(lambda: len(open_house.door._undecided) == 3)
        # The oldest goes, and whoever shares its address is served.
        assert await open_house.says(HTTP) == b"plain:" + HTTP
        assert await _rest(held[0][0]) == b""
        held[1][1].write(b"GET")  # one has made up its mind
        assert await held[1][0].read(100) == b"plain:GET"
        held.append(await asyncio.open_connection("127.0.0.1", open_house.port))
        await eventually(lambda: len(open_house.door._undecided) == 2)
        monkeypatch.setattr(module, "MAX_UNDECIDED_OF_ONE", 9)
        monkeypatch.setattr(module, "MAX_UNDECIDED", 2)
        assert await open_house.says(HTTP) == b"plain:" + HTTP
        assert await _rest(held[2][0]) == b""
        held[1][1].write(b"more")  # who has decided does not make room
        assert await held[1][0].read(100) == b"plain:more"
        for _, writer in held:
            writer.close()
        await eventually(lambda: not open_house.door._undecided)


@on_both_loops
async def test_a_connection_that_goes_at_once_is_forgotten(certificate: Certificate) -> None:
    async with house(certificate) as open_house:
        for said in (b"", b"\x16\x03", b"\x00"):
            _, writer = await asyncio.open_connection("127.0.0.1", open_house.port)
            writer.write(said)
            writer.close()
        assert await open_house.says(b"GET", tls=True) == b"tls:GET"
        await eventually(lambda: not open_house.door._undecided)


@on_both_loops
async def test_closing_drops_those_who_have_not_decided_and_no_others(certificate: Certificate) -> None:
    async with house(certificate) as open_house:
        undecided = await asyncio.open_connection("127.0.0.1", open_house.port)
        handshaking = await asyncio.open_connection("127.0.0.1", open_house.port)
        handshaking[1].write(b"\x16\x03\x01")
        served = await asyncio.open_connection("127.0.0.1", open_house.port)
        served[1].write(HALF_SIGNED)
        assert (await served[0].read(1000))[:2] == b"\x01\x13"
        await eventually(lambda: len(open_house.door._undecided) == 2)
        await open_house.door.close()
        async with asyncio.timeout(5):
            for reader, _ in (undecided, handshaking):
                assert await _rest(reader) == b""
        served[1].write(HALF_SIGNED)
        assert (await served[0].read(1000))[:2] == b"\x01\x13"
        with pytest.raises(OSError, match="onnect"):
            await asyncio.open_connection("127.0.0.1", open_house.port)
        for _, writer in (undecided, handshaking, served):
            writer.close()


async def _rest(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read(100)
    except ConnectionError:
        return b""


@on_both_loops
async def test_without_files_left_it_waits_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSE", 0.1)
    asked = 0

    class Exhausted(socket.socket):
        """A listening socket in a process that has no files left, the first two times."""

        def accept(self) -> tuple[socket.socket, Any]:
            nonlocal asked
            asked += 1
            if asked <= 2:
                raise OSError(errno.EMFILE, "Too many open files")
            return super().accept()

    with socket.create_server(("127.0.0.1", 0)) as plain:
        listening = Exhausted(fileno=plain.detach())
    door = FrontDoor(listening, http=Echo, streams=None, context=None)
    door.start()
    reader, writer = await asyncio.open_connection(*listening.getsockname())
    writer.write(HTTP)
    async with asyncio.timeout(5):
        assert await reader.read(100) == b"plain:" + HTTP
    assert asked >= 3
    writer.close()
    await door.close()
