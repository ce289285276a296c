"""Takes many datagrams from a socket at once, without letting other threads run in between, and tells since when they
waited there.

`socket.recv` lets go of Python's lock for each datagram. Whoever computes meanwhile keeps it for milliseconds: while
the writer works, the receiver would be down to a few hundred datagrams a second. recvmmsg(2), called with the lock
held, takes all that wait in one turn; it never blocks.
"""

import ctypes
import errno
import os
import socket

#: datagrams that are taken at once, at most
AT_ONCE = 128
#: UDP's own limit, bytes
_LARGEST = 65536
#: where each datagram begins in the buffer
_STARTS = range(0, AT_ONCE * _LARGEST, _LARGEST)
#: SO_TIMESTAMPNS of linux/asm-generic/socket.h, which the socket module does not name: the kernel's time of arrival
_SO_TIMESTAMPNS = 35


class _Vector(ctypes.Structure):
    """struct iovec, of readv(2)."""

    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class _Message(ctypes.Structure):
    """struct msghdr, of recvmsg(2)."""

    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint32),
        ("vectors", ctypes.POINTER(_Vector)),
        ("vector_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class _Header(ctypes.Structure):
    """struct mmsghdr: a message, and how many bytes came."""

    _fields_ = (("message", _Message), ("received", ctypes.c_uint))


class _Stamp(ctypes.Structure):
    """struct cmsghdr, of cmsg(3), and the struct timespec that follows it."""

    _fields_ = (
        ("length", ctypes.c_size_t),
        ("level", ctypes.c_int),
        ("kind", ctypes.c_int),
        ("seconds", ctypes.c_long),
        ("nanoseconds", ctypes.c_long),
    )


class Drain:
    """For one socket and one thread."""

    def __init__(self, source: socket.socket) -> None:
        source.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self._descriptor = source.fileno()
        # PyDLL keeps Python's lock during the call.
        self._call = ctypes.PyDLL(None, use_errno=True).recvmmsg
        self._buffer = bytearray(AT_ONCE * _LARGEST)
        self._view = memoryview(self._buffer)
        base = ctypes.addressof((ctypes.c_char * len(self._buffer)).from_buffer(self._buffer))
        self._vectors = (_Vector * AT_ONCE)(*(_Vector(base + index * _LARGEST, _LARGEST) for index in range(AT_ONCE)))
        self._headers = (_Header * AT_ONCE)()
        # Of each header the last field: ctypes would make an object of a header to read it.
        every = memoryview(self._headers).cast("B").cast("I")
        self._received = every[_Header.received.offset // every.itemsize :: ctypes.sizeof(_Header) // every.itemsize]
        for index, header in enumerate(self._headers):
            header.message.vectors = ctypes.pointer(self._vectors[index])
            header.message.vector_count = 1
        # To read the stamp of each would cost as much as to receive it: the first waited longest.
        self._stamp = _Stamp()
        self._first = self._headers[0].message
        self._first.control = ctypes.addressof(self._stamp)

    def take(self) -> list[bytes]:
        """Datagrams that wait, in order of arrival, `AT_ONCE` at most; empty when none does. Raises OSError."""
        self._first.control_length = ctypes.sizeof(_Stamp)
        count = self._call(self._descriptor, self._headers, AT_ONCE, socket.MSG_DONTWAIT, None)
        if count < 0:
            code = ctypes.get_errno()
            if code in (errno.EAGAIN, errno.EINTR):
                return []
            raise OSError(code, os.strerror(code))
        view = self._view
        return [
            bytes(view[start : start + size])
            for start, size in zip(_STARTS, self._received[:count].tolist(), strict=False)
        ]

    @property
    def arrived(self) -> float:
        """When the first of the datagrams that were taken last had arrived, in seconds since the epoch."""
        arrived: float = self._stamp.seconds + self._stamp.nanoseconds / 1e9
        return arrived
