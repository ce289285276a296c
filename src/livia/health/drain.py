"""Takes many datagrams from a socket at once, without letting other threads run in between.

`socket.recv` lets go of Python's lock for each datagram. Whoever computes meanwhile keeps it for milliseconds: while
the writer works, the receiver would be down to a few hundred datagrams a second. recvmmsg(2), called with the lock
held, takes all that wait in one turn; it never blocks.
"""

import ctypes
import errno
import os
import socket

_AT_ONCE = 128
#: UDP's own limit, bytes
_LARGEST = 65536


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


class Drain:
    """For one socket and one thread."""

    def __init__(self, source: socket.socket) -> None:
        self._descriptor = source.fileno()
        # PyDLL keeps Python's lock during the call.
        self._call = ctypes.PyDLL(None, use_errno=True).recvmmsg
        self._buffer = bytearray(_AT_ONCE * _LARGEST)
        self._view = memoryview(self._buffer)
        base = ctypes.addressof((ctypes.c_char * len(self._buffer)).from_buffer(self._buffer))
        self._vectors = (_Vector * _AT_ONCE)(*(_Vector(base + index * _LARGEST, _LARGEST) for index in range(_AT_ONCE)))
        self._headers = (_Header * _AT_ONCE)()
        for index, header in enumerate(self._headers):
            header.message.vectors = ctypes.pointer(self._vectors[index])
            header.message.vector_count = 1

    def take(self) -> list[bytes]:
        """Datagrams that wait, 128 at most; empty when none does. Raises OSError."""
        count = self._call(self._descriptor, self._headers, _AT_ONCE, socket.MSG_DONTWAIT, None)
        if count < 0:
            code = ctypes.get_errno()
            if code in (errno.EAGAIN, errno.EINTR):
                return []
            raise OSError(code, os.strerror(code))
        view, headers = self._view, self._headers
        return [bytes(view[index * _LARGEST : index * _LARGEST + headers[index].received]) for index in range(count)]
