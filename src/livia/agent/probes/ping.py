"""PING: ICMP echo (RFC 792) and ICMPv6 echo (RFC 4443, section 4.1)."""

import secrets
import socket
import struct
from collections.abc import Iterator

from livia.agent.probes.channel import MOST_AT_ONCE, Outcome, canonical, internet_checksum
from livia.agent.probes.watch import Target

_ECHO = struct.Struct("!BBHHH")
_REQUEST = {socket.AF_INET: 8, socket.AF_INET6: 128}
_REPLY = {socket.AF_INET: 0, socket.AF_INET6: 129}
#: linux/in.h: it is not in the socket module
_SOL_RAW = 255
#: setsockopt ICMP_FILTER on SOL_RAW (raw(7)), ICMP6_FILTER on IPPROTO_ICMPV6 (RFC 3542, section 3.2): a set bit blocks
_ICMP_FILTER, _ICMP6_FILTER = 1, 1


class PingChannel:
    """One raw socket for all echoes of an address family."""

    silence = False

    def __init__(self, family: socket.AddressFamily) -> None:
        self._family = family
        protocol = socket.IPPROTO_ICMP if family == socket.AF_INET else socket.IPPROTO_ICMPV6
        self._socket = socket.socket(family, socket.SOCK_RAW | socket.SOCK_NONBLOCK, protocol)
        if family == socket.AF_INET:
            self._socket.setsockopt(_SOL_RAW, _ICMP_FILTER, struct.pack("=I", ~(1 << _REPLY[family]) & 0xFFFFFFFF))
        else:
            only = [0xFFFFFFFF] * 8
            only[_REPLY[family] // 32] &= ~(1 << _REPLY[family] % 32)
            self._socket.setsockopt(socket.IPPROTO_ICMPV6, _ICMP6_FILTER, struct.pack("=8I", *only))
        #: tells our echoes from other programs', which have identifiers of their own
        self._identifier = secrets.randbelow(0x10000)
        self._secret = secrets.token_bytes(8)
        self._sequence = 0
        self._awaited: dict[int, Target] = {}
        self._sequences: dict[Target, int] = {}

    def fileno(self) -> int:
        return self._socket.fileno()

    def send(self, target: Target) -> bool | None:
        self._sequence = (self._sequence + 1) & 0xFFFF
        kind, identifier, sequence = _REQUEST[self._family], self._identifier, self._sequence
        packet = _ECHO.pack(kind, 0, 0, identifier, sequence) + self._secret
        if self._family == socket.AF_INET:
            # The kernel computes that of ICMPv6 (RFC 3542, section 3.1).
            packet = _ECHO.pack(kind, 0, internet_checksum(packet), identifier, sequence) + self._secret
        self._awaited[sequence] = target
        self._sequences[target] = sequence
        self._socket.sendto(packet, (target.place.address, 0))
        return None

    def receive(self) -> Iterator[Outcome]:
        for _ in range(MOST_AT_ONCE):
            try:
                data, sender = self._socket.recvfrom(2048)
            except OSError:
                # Empty, or an error that the kernel tells of an earlier packet.
                return
            # IPv4 raw sockets get the IP header, IPv6 ones do not (raw(7), RFC 3542, section 3).
            message = data[(data[0] & 15) * 4 :] if self._family == socket.AF_INET else data
            if len(message) < _ECHO.size:
                continue
            kind, _code, _checksum, identifier, sequence = _ECHO.unpack_from(message)
            if kind != _REPLY[self._family] or identifier != self._identifier or message[8:16] != self._secret:
                continue
            target = self._awaited.get(sequence)
            if target is not None and canonical(sender) == target.place.address:
                yield target, True

    def drop(self, target: Target) -> None:
        sequence = self._sequences.pop(target, None)
        if sequence is not None and self._awaited.get(sequence) is target:
            del self._awaited[sequence]

    def forget(self, target: Target) -> None:
        self.drop(target)

    def close(self) -> None:
        self._socket.close()
