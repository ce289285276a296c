"""Flows that the kernel follows: how many each member has, and their end.

Netlink by hand (linux/netfilter/nfnetlink_conntrack.h): the kernel itself ends all flows of a mark, which conntrack(8)
has to list first.
"""

import os
import socket
import struct
from collections import Counter
from ipaddress import ip_address

from livia.agent.datagram.service import AWAITED
from livia.agent.plumbing import kernel

_GET, _DELETE, _STATISTICS = 0x101, 0x102, 0x105
_REQUEST, _REQUEST_DUMP, _REQUEST_ACKNOWLEDGED = 0x1, 0x301, 0x5
#: linux/netlink.h
_NETLINK_NETFILTER = 12
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_NESTED = 0x8000
#: parts of a listing, of some hundred flows each
_SHORT = 4
#: attributes of a flow
_TUPLE_ORIGINAL, _MARK, _MARK_MASK, _FILTER = 1, 8, 21, 25
#: attributes of its tuple
_TUPLE_ADDRESS, _TUPLE_PROTOCOL = 1, 2
_DESTINATION = {4: 2, 6: 4}
_PROTOCOL_NUMBER, _DESTINATION_PORT = 1, 3
#: of a filter: which parts of the tuple must be equal (destination, protocol, destination port)
_FILTER_ORIGINAL = 1
_SERVICE = 1 << 1 | 1 << 3 | 1 << 5
#: all of a mark, and what of it is the member's
_WHOLE, _MEMBER = 2**32 - 1, 2**32 - 1 - AWAITED
_FAMILY = {4: socket.AF_INET, 6: socket.AF_INET6}
#: attributes of statistics
_FOLLOWED, _MOST_FOLLOWED = 1, 2

_MESSAGE = struct.Struct("=IHHII")
_SUBJECT = struct.Struct("!BBH")
_ATTRIBUTE = struct.Struct("=HH")


class Conntrack:
    """The flows of one namespace. It keeps the namespace alive until it is closed. Not for two threads at once."""

    def __init__(self, namespace: str) -> None:
        """Raises OSError without the namespace."""
        self._namespace = namespace
        self._socket = kernel.inside(namespace, _open)
        #: for `has`; None until it is asked
        self._listing: socket.socket | None = None

    def close(self) -> None:
        """Let go of the namespace."""
        self._socket.close()
        self._stop_listing()

    def occupied(self) -> tuple[int, int]:
        """How many flows are followed, and how many may be at most. It costs next to nothing. Raises OSError."""
        self._send(_STATISTICS, _REQUEST, socket.AF_UNSPEC, b"")
        message = self._socket.recv(65536)
        if _MESSAGE.unpack_from(message)[1] == _NLMSG_ERROR:
            raise _failure(message)
        start, end = _MESSAGE.size + _SUBJECT.size, len(message)
        return _number(_FOLLOWED, message, start, end), _number(_MOST_FOLLOWED, message, start, end)

    def marks(self, most: int | None = None) -> Counter[int]:
        """How many flows each member's mark has; those without one are left out. Raises OSError.

        Of more flows than `most` only so many are read, and stand for all: the kernel lists them in the order of a
        keyed hash, so that the first ones are a fair sample. What is read costs CPU, 6 microseconds each.
        """
        followed, _most = self.occupied() if most is not None else (0, 0)
        counted: Counter[int] = Counter()
        # Of its own: closing it is the only way to stop a listing.
        with kernel.inside(self._namespace, _open) as listing:
            _send(listing, _GET, _REQUEST_DUMP, socket.AF_UNSPEC, b"")
            while most is None or counted.total() < most:
                data = listing.recv(262144)
                if not _count(data, counted):
                    followed = 0
                    break
        scale = followed / counted.total() if followed and counted else 1.0
        del counted[0]
        return Counter({mark: round(count * scale) for mark, count in counted.items()})

    def has(self, mark: int) -> bool:
        """Whether any flow is the member's of this mark. Raises OSError."""
        if self._listing is None:
            self._listing = kernel.inside(self._namespace, _open)
        _send(self._listing, _GET, _REQUEST_DUMP, socket.AF_UNSPEC, _marked(mark, _MEMBER))
        found: Counter[int] = Counter()
        # Entering the namespace again costs a thread, which a busy machine lets wait: a short listing is read to its
        # end, so that the socket can be asked again.
        if all(_count(self._listing.recv(262144), found) for _ in range(_SHORT)):
            self._stop_listing()
        return bool(found)

    def _stop_listing(self) -> None:
        if self._listing is not None:
            self._listing.close()
            self._listing = None

    def end_marked(self, mark: int) -> None:
        """End all flows of the member of this mark. Raises OSError."""
        self._end(socket.AF_UNSPEC, _marked(mark, _MEMBER))

    def end_answered(self, mark: int) -> None:
        """End those whose client has been answered. The kernel compares and ends in one go. Raises OSError."""
        self._end(socket.AF_UNSPEC, _marked(mark, _WHOLE))

    def end_unmarked(self, address: str, protocol: int, port: int) -> None:
        """End all flows to a service that went to no member. Raises OSError."""
        wanted = ip_address(address)
        place = _attribute(_TUPLE_ADDRESS | _NESTED, _attribute(_DESTINATION[wanted.version], wanted.packed))
        service = _attribute(_PROTOCOL_NUMBER, bytes([protocol])) + _attribute(
            _DESTINATION_PORT, struct.pack("!H", port)
        )
        original = _attribute(_TUPLE_ORIGINAL | _NESTED, place + _attribute(_TUPLE_PROTOCOL | _NESTED, service))
        compared = _attribute(_FILTER | _NESTED, _attribute(_FILTER_ORIGINAL, struct.pack("=I", _SERVICE)))
        self._end(_FAMILY[wanted.version], original + compared + _marked(0, _WHOLE))

    def _end(self, family: int, attributes: bytes) -> None:
        self._send(_DELETE, _REQUEST_ACKNOWLEDGED, family, attributes)
        error = _failure(self._socket.recv(65536))
        if error.errno:
            raise error

    def _send(self, kind: int, flags: int, family: int, attributes: bytes) -> None:
        _send(self._socket, kind, flags, family, attributes)


def _send(to: socket.socket, kind: int, flags: int, family: int, attributes: bytes) -> None:
    length = _MESSAGE.size + _SUBJECT.size + len(attributes)
    to.send(_MESSAGE.pack(length, kind, flags, 1, 0) + _SUBJECT.pack(family, 0, 0) + attributes)


def _open() -> socket.socket:
    opened = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_NETFILTER)
    opened.bind((0, 0))
    opened.settimeout(2.0)
    return opened


def _attribute(kind: int, value: bytes) -> bytes:
    return _ATTRIBUTE.pack(4 + len(value), kind) + value + bytes(-len(value) % 4)


def _marked(mark: int, mask: int) -> bytes:
    return _attribute(_MARK, struct.pack("!I", mark)) + _attribute(_MARK_MASK, struct.pack("!I", mask))


def _count(data: bytes, counted: Counter[int]) -> bool:
    """Count the flows of one part of a listing by their members' marks, 0 without; False when it was the last part.

    Raises OSError for what the kernel reports.
    """
    start = 0
    while start + _MESSAGE.size <= len(data):
        length, kind, _flags, _sequence, _port = _MESSAGE.unpack_from(data, start)
        if kind == _NLMSG_DONE:
            return False
        if kind == _NLMSG_ERROR:
            raise _failure(data[start:])
        counted[_number(_MARK, data, start + _MESSAGE.size + _SUBJECT.size, start + length) & _MEMBER] += 1
        start += (length + 3) & ~3
    return True


def _number(wanted: int, data: bytes, start: int, end: int) -> int:
    """The 32 bits of the attribute of this kind among those that stand there; 0 without."""
    while start + 4 <= end:
        length, kind = _ATTRIBUTE.unpack_from(data, start)
        if kind == wanted:
            return int.from_bytes(data[start + 4 : start + 8], "big")
        start += max(4, (length + 3) & ~3)
    return 0


def _failure(message: bytes) -> OSError:
    """The error of an acknowledgement; its number is 0 when all went well."""
    number: int = -struct.unpack_from("=i", message, _MESSAGE.size)[0]
    return OSError(number, os.strerror(number))
