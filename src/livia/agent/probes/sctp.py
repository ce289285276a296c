"""SCTP: INIT, and what comes back (RFC 9260, sections 3.3.2, 3.3.3, 5.1 and 8.4), by a raw socket.

An INIT ACK makes the member keep nothing (section 5.1.3), so the handshake is not ended by anything either.
"""

import secrets
import socket
import struct
from collections.abc import Iterator

from livia.agent.probes.channel import MOST_AT_ONCE, Outcome, canonical
from livia.agent.probes.watch import Target

_PROTOCOL = 132
#: source port, destination port, verification tag, checksum
_HEADER = struct.Struct("!HHI4s")
#: type, flags, length
_CHUNK = struct.Struct("!BBH")
#: initiate tag, a_rwnd, outbound streams, inbound streams, initial TSN
_INIT = struct.Struct("!IIHHI")
_INIT_TYPE, _INIT_ACK_TYPE, _ABORT_TYPE = 1, 2, 6
_WINDOW, _STREAMS = 65536, 1


def _table() -> tuple[int, ...]:
    """CRC32c's polynomial, reflected (RFC 9260, appendix A)."""
    rows = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        rows.append(value)
    return tuple(rows)


_CRC = _table()


def crc32c(data: bytes) -> bytes:
    """The checksum as it is sent: the low byte first."""
    value = 0xFFFFFFFF
    for byte in data:
        value = value >> 8 ^ _CRC[(value ^ byte) & 0xFF]
    return struct.pack("<I", value ^ 0xFFFFFFFF)


def packet(source: int, destination: int, tag: int, chunk: bytes) -> bytes:
    """An SCTP packet of one chunk."""
    blank = _HEADER.pack(source, destination, tag, bytes(4)) + chunk
    return _HEADER.pack(source, destination, tag, crc32c(blank)) + chunk


def init(tag: int) -> bytes:
    """The INIT chunk of an association whose packets to us shall carry `tag`."""
    body = _INIT.pack(tag, _WINDOW, _STREAMS, _STREAMS, tag)
    return _CHUNK.pack(_INIT_TYPE, 0, _CHUNK.size + len(body)) + body


def answer(data: bytes) -> tuple[int, int, bool] | None:
    """(destination port, verification tag, whether it is an INIT ACK) of a valid packet; None for any other."""
    if len(data) < _HEADER.size + _CHUNK.size:
        return None
    source, destination, tag, checksum = _HEADER.unpack_from(data)
    kind, _flags, _length = _CHUNK.unpack_from(data, _HEADER.size)
    if kind not in (_INIT_ACK_TYPE, _ABORT_TYPE):
        return None
    if crc32c(_HEADER.pack(source, destination, tag, bytes(4)) + data[_HEADER.size :]) != checksum:
        return None
    return destination, tag, kind == _INIT_ACK_TYPE


class SctpChannel:
    """One raw socket for all members of an address family."""

    silence = False

    def __init__(self, family: socket.AddressFamily) -> None:
        self._family = family
        self._socket = socket.socket(family, socket.SOCK_RAW | socket.SOCK_NONBLOCK, _PROTOCOL)
        #: of the dynamic range (RFC 6335, section 6)
        self._port = 49152 + secrets.randbelow(16384)
        self._awaited: dict[int, Target] = {}
        self._tags: dict[Target, int] = {}

    def fileno(self) -> int:
        return self._socket.fileno()

    def send(self, target: Target) -> bool | None:
        # Any but 0 (RFC 9260, section 3.3.2).
        tag = 1 + secrets.randbelow(0xFFFFFFFF)
        self._awaited[tag] = target
        self._tags[target] = tag
        self._socket.sendto(packet(self._port, target.place.port, 0, init(tag)), (target.place.address, 0))
        return None

    def receive(self) -> Iterator[Outcome]:
        for _ in range(MOST_AT_ONCE):
            try:
                data, sender = self._socket.recvfrom(65536)
            except OSError:
                return
            found = answer(data[(data[0] & 15) * 4 :] if self._family == socket.AF_INET else data)
            if found is None or found[0] != self._port:
                continue
            target = self._awaited.get(found[1])
            if target is not None and canonical(sender) == target.place.address:
                yield target, found[2]

    def drop(self, target: Target) -> None:
        tag = self._tags.pop(target, None)
        if tag is not None:
            del self._awaited[tag]

    def forget(self, target: Target) -> None:
        self.drop(target)

    def close(self) -> None:
        self._socket.close()
