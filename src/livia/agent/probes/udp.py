"""UDP-CONNECT: an empty datagram. ICMP's "unreachable" means down; an answer or silence means up (contract 40, 10)."""

import socket
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any

from livia.agent.probes.channel import IP_RECVERR, IPV6_RECVERR, MOST_AT_ONCE, Outcome
from livia.agent.probes.watch import Target


class UdpChannel:
    """One socket for all members of an address family.

    It is not connected: its error queue names the address that each ICMP error is about (ip(7), IP_RECVERR), which a
    connected socket per member would tell at the price of a descriptor each.
    """

    silence = True

    def __init__(self, family: socket.AddressFamily) -> None:
        self._socket = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        if family == socket.AF_INET:
            self._socket.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
        else:
            self._socket.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVERR, 1)
        self._members: dict[tuple[str, int], set[Target]] = {}
        self._awaited: set[Target] = set()
        #: refused after their timeout: a neighbour that does not answer is given up after three seconds (arp(7))
        self._late: set[Target] = set()

    def fileno(self) -> int:
        return self._socket.fileno()

    def send(self, target: Target) -> bool | None:
        place = (target.place.address, target.place.port)
        self._members.setdefault(place, set()).add(target)
        self._awaited.add(target)
        try:
            self._socket.sendto(b"", place)
        except OSError:
            # The error may be that of an earlier datagram to another member, which the kernel tells once.
            self._socket.sendto(b"", place)
        if target in self._late:
            self._late.discard(target)
            return False
        return None

    def receive(self) -> Iterator[Outcome]:
        for _ in range(MOST_AT_ONCE):
            try:
                _data, _ancillary, _flags, subject = self._socket.recvmsg(0, 512, socket.MSG_ERRQUEUE)
            except OSError:
                break
            for target in self._at(subject):
                if target in self._awaited:
                    yield target, False
                else:
                    self._late.add(target)
        for _ in range(MOST_AT_ONCE):
            try:
                _data, sender = self._socket.recvfrom(0)
            except BlockingIOError:
                return
            except OSError:
                # Told once more what the error queue has said.
                continue
            for target in self._at(sender):
                self._late.discard(target)
                if target in self._awaited:
                    yield target, True

    def _at(self, place: Any) -> list[Target]:
        if not place:
            return []
        return list(self._members.get((str(ip_address(place[0].partition("%")[0])), place[1]), ()))

    def drop(self, target: Target) -> None:
        self._awaited.discard(target)

    def forget(self, target: Target) -> None:
        self.drop(target)
        self._late.discard(target)
        place = (target.place.address, target.place.port)
        here = self._members.get(place)
        if here is not None:
            here.discard(target)
            if not here:
                del self._members[place]

    def close(self) -> None:
        self._socket.close()
