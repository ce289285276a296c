"""How checks travel. All sockets of one amphora are opened inside its namespace, and none of them ever blocks."""

import errno
import socket
import struct
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any, Protocol, TypeAlias

from livia.agent.probes.watch import Target

#: a check that ended, and whether the member is well
Outcome: TypeAlias = tuple[Target, bool]

#: linux/in.h, linux/in6.h: these two are not in the socket module
IP_RECVERR = 11
IPV6_RECVERR = 25
#: what the agent itself lacks says nothing about a member
_OURS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EAGAIN, errno.ENODEV, errno.ENOENT})
#: answers read at one go, so that a flood on one socket does not keep the others waiting
MOST_AT_ONCE = 256


class Channel(Protocol):
    """One socket that carries the checks of one kind to all members of an amphora."""

    #: what it means when nothing comes back in time
    silence: bool

    def fileno(self) -> int:
        """Its descriptor, to wait on."""

    def send(self, target: Target) -> bool | None:
        """Begin a check. The verdict when there is one already; else `receive` or silence tells. Raises OSError."""

    def receive(self) -> Iterator[Outcome]:
        """Checks that were answered."""

    def drop(self, target: Target) -> None:
        """No answer to the present check is awaited any more."""

    def forget(self, target: Target) -> None:
        """The member is gone."""

    def close(self) -> None:
        """Close the socket."""


def family(address: str) -> socket.AddressFamily:
    """AF_INET or AF_INET6."""
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def ours(error: OSError) -> bool:
    """Whether the failure is the agent's own."""
    return error.errno in _OURS


def canonical(sender: Any) -> str:
    """The address of a packet's sender, in the form that specs have."""
    return str(ip_address(sender[0].partition("%")[0]))


def internet_checksum(data: bytes) -> int:
    """RFC 1071."""
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xFFFF)
    return 0xFFFF - ((total + (total >> 16)) & 0xFFFF)
