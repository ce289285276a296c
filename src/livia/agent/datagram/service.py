"""What the rules are about: a listener at the VIPs of one IP version, and the members that it may choose. Pure."""

import hashlib
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Protocol

from msgspec import Struct

from livia.core.model.listener import ListenerProtocol
from livia.core.spec import ListenerSpec, MemberSpec, PoolSpec, Spec

#: the bit of a flow's mark that says that what its client sent last is not answered yet
AWAITED = 0x1


class Verdicts(Protocol):
    """What health checks say."""

    def up(self, pool_id: str, member_id: str) -> bool:
        """Whether a member may get traffic; True where nobody checks."""

    def text(self, pool_id: str, member_id: str) -> str | None:
        """The verdict as heartbeats tell it, e.g. `UP 1/3` (contract 95, section 2.1); None where nobody checks."""


class Family(Struct, frozen=True):
    """An IP version, in nft's words. `header`: bytes of an IP header without options."""

    version: int
    word: str
    type: str
    header: int
    #: bits from the start of the header to the source address
    source: int


class Transport(Struct, frozen=True):
    """A protocol above IP. `header`: bytes before what the sender sent; for SCTP the common header (RFC 9260)."""

    word: str
    number: int
    header: int


FAMILIES = (Family(4, "ip", "ipv4_addr", 20, 96), Family(6, "ip6", "ipv6_addr", 40, 64))
_TRANSPORTS = {
    ListenerProtocol.UDP: Transport("udp", 17, 8),
    ListenerProtocol.SCTP: Transport("sctp", 132, 12),
}


class Service(Struct, frozen=True):
    """A UDP or SCTP listener at all VIPs of a family, and its pool's members of that family."""

    listener: ListenerSpec
    pool: PoolSpec | None
    family: Family
    transport: Transport
    vips: tuple[str, ...]
    members: tuple[MemberSpec, ...]

    def name(self, what: str) -> str:
        """Of an nft object that it has for itself."""
        return f"{what}{self.family.version}-{self.listener.id}"


def transport(listener: ListenerSpec) -> Transport:
    """What a UDP or SCTP listener takes."""
    return _TRANSPORTS[listener.protocol]


def families(spec: Spec) -> Iterator[tuple[Family, tuple[str, ...]]]:
    """Each IP version that the load balancer has VIPs of, with those."""
    for family in FAMILIES:
        vips = tuple(vip.address for vip in spec.vips if ip_address(vip.address).version == family.version)
        if vips:
            yield family, vips


def services(spec: Spec) -> Iterator[Service]:
    """All of them. NAT does not translate between IP versions: a member is reached from VIPs of its own."""
    pools = {pool.id: pool for pool in spec.pools}
    for listener in spec.listeners:
        if not listener.datagram:
            continue
        pool = pools.get(listener.default_pool_id or "")
        for family, vips in families(spec):
            yield Service(
                listener,
                pool,
                family,
                transport(listener),
                vips,
                tuple(
                    member
                    for member in (pool.members if pool is not None else ())
                    if ip_address(member.address).version == family.version
                ),
            )


def mark_of(listener: ListenerSpec, member: MemberSpec) -> int:
    """The mark of packets and flows that go from the listener to the member: 32 bits without AWAITED, never 0.

    It is the same on both amphorae of a pair, and another one once the member is somewhere else. Two that meet (one
    in two billion) share their flows' fate, and nothing worse.
    """
    text = f"{listener.id} {member.id} {member.address} {member.port}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4]) & ~AWAITED or 2
