"""Many datagrams per system call: recvmmsg(2) and sendmmsg(2) of the C library already in the process.

cffi's ABI mode calls them without a compiler. The kernel fills and empties ``Ring`` entries, memory laid out
once; what changes per datagram (length, name) is read and written through views, because building a Python
object for each costs more than the rest of the work.

A *name* is an address as the kernel writes it: for IPv4 the first eight octets of ``sockaddr_in`` as a native
integer, for IPv6 the 28 octets of ``sockaddr_in6``.
"""

from __future__ import annotations

import errno
import socket
import struct
import sys
from typing import Any, cast

import cffi

from rooms.ice import MAX_DATAGRAM, Address

#: Octets between two entries: a datagram, room for an SRTP trailer (144 at most), to a power of two.
ENTRY = 2048

#: An address as the kernel writes it.
Name = int | bytes

_NAME_STRIDE = 32
_IPV4 = struct.Struct("=H2s4s")
_IPV6_SIZE = 28
# Words of struct mmsghdr (64 octets) and struct iovec (16): which one holds the length.
_HEADER_WORDS, _LENGTH_WORD = 16, 14
_IOVEC_WORDS, _SIZE_WORD = 2, 1

ffi = cffi.FFI()
ffi.cdef(
    """
    struct iovec { void *iov_base; size_t iov_len; };
    struct msghdr { void *msg_name; unsigned int msg_namelen; struct iovec *msg_iov; size_t msg_iovlen;
                    void *msg_control; size_t msg_controllen; int msg_flags; };
    struct mmsghdr { struct msghdr msg_hdr; unsigned int msg_len; };
    int recvmmsg(int fd, struct mmsghdr *v, unsigned int n, int flags, void *timeout);
    int sendmmsg(int fd, struct mmsghdr *v, unsigned int n, int flags);
    """
)


def system_calls() -> Any:
    """The C library with both calls.

    Raises:
        OSError: there is none here, or it lays its structures out otherwise than told above.
    """
    if (
        sys.platform != "linux"
        or ffi.sizeof("struct mmsghdr") != 4 * _HEADER_WORDS
        or ffi.sizeof("struct iovec") != 8 * _IOVEC_WORDS
    ):
        raise OSError(errno.ENOSYS, "no recvmmsg as expected here")
    library: Any = ffi.dlopen(None)
    if not (hasattr(library, "recvmmsg") and hasattr(library, "sendmmsg")):
        raise OSError(errno.ENOSYS, "no recvmmsg in the C library")
    return library


class Ring:
    """Memory for a batch of datagrams, as the kernel reads and writes it.

    Args:
        entries: datagrams in it.
        family: ``AF_INET`` or ``AF_INET6``.

    Attributes:
        octets: the datagrams, ``ENTRY`` octets apart; a slice of it is ``bytes``.
        view: the same as unsigned octets.
        pointers: where each begins, for C.
        headers: for the system calls.
        lengths: of what was received: entry ``i`` at ``16 * i + 14``.
        sizes: of what to send: entry ``i`` at ``2 * i + 1``.
        names: IPv4 names: entry ``i`` at ``4 * i``.
        long_names: IPv6 names: entry ``i`` from ``32 * i``, 28 octets.
    """

    def __init__(self, entries: int, family: int) -> None:
        self.entries = entries
        self._memory = ffi.new("char[]", entries * ENTRY)
        self._names = ffi.new("char[]", entries * _NAME_STRIDE)
        self._vectors = ffi.new("struct iovec[]", entries)
        self.headers = ffi.new("struct mmsghdr[]", entries)
        self.octets = ffi.buffer(self._memory)
        self.view = memoryview(self.octets).cast("B")
        self.pointers = [self._memory + i * ENTRY for i in range(entries)]
        self.lengths = memoryview(ffi.buffer(self.headers)).cast("B").cast("I")
        self.sizes = memoryview(ffi.buffer(self._vectors)).cast("B").cast("Q")
        self.long_names = ffi.buffer(self._names)
        self.names = memoryview(self.long_names).cast("B").cast("Q")
        for i in range(entries):
            self._vectors[i].iov_base = self.pointers[i]
            # One more than may come: a longer one arrives cut off, and still too long.
            self._vectors[i].iov_len = MAX_DATAGRAM + 1
            header = self.headers[i].msg_hdr
            header.msg_name = self._names + i * _NAME_STRIDE
            header.msg_namelen = 16 if family == socket.AF_INET else _IPV6_SIZE
            header.msg_iov = self._vectors + i
            header.msg_iovlen = 1


def receive(library: Any, fd: int, ring: Ring) -> int:
    """Fill a ring with what has arrived, without waiting.

    Returns:
        How many entries are filled; 0 when there is nothing, or the socket has an error to tell.
    """
    filled: int = library.recvmmsg(fd, ring.headers, ring.entries, socket.MSG_DONTWAIT, ffi.NULL)
    return max(0, filled)


def send(library: Any, fd: int, ring: Ring, count: int) -> int:
    """Send the first entries of a ring, without waiting.

    One that its destination refuses costs itself only; once the socket's buffer is full the rest is dropped,
    because late media is worthless.

    Returns:
        How many the kernel took.
    """
    taken = at = 0
    while at < count:
        sent = library.sendmmsg(fd, ring.headers + at, count - at, socket.MSG_DONTWAIT)
        if sent > 0:
            taken += sent
            at += sent
        elif ffi.errno in (errno.EAGAIN, errno.EWOULDBLOCK, errno.ENOBUFS, errno.EBADF):
            break
        else:
            at += 1
    return taken


def name_of(address: Address, family: int) -> Name | None:
    """An address as the kernel writes it; ``None`` for one that such a socket cannot have."""
    host, port = address[0], address[1]
    try:
        if family == socket.AF_INET:
            raw = _IPV4.pack(family, port.to_bytes(2, "big"), socket.inet_pton(family, host))
            return int.from_bytes(raw, sys.byteorder)
        scope = address[3] if len(address) == 4 else 0
        return (
            struct.pack("=H", family)
            + port.to_bytes(2, "big")
            + bytes(4)
            + socket.inet_pton(family, host.partition("%")[0])
            + struct.pack("=I", scope)
        )
    except (OSError, OverflowError, struct.error):
        return None


def address_of(name: Name) -> Address:
    """The address of a name, as Python's sockets write it."""
    if isinstance(name, int):
        _, port, host = _IPV4.unpack(name.to_bytes(8, sys.byteorder))
        return socket.inet_ntop(socket.AF_INET, host), int.from_bytes(port, "big")
    return (
        socket.inet_ntop(socket.AF_INET6, name[8:24]),
        int.from_bytes(name[2:4], "big"),
        0,
        cast(int, struct.unpack("=I", name[24:28])[0]),
    )
