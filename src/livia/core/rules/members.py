"""Members of a pool (contract 30, part B)."""

from collections.abc import Collection, Hashable, Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TypeVar

from msgspec import Struct

from livia.core.rules.verdict import ACCEPT, Refuse, Verdict

#: RFC 919, section 7
_BROADCAST = IPv4Address("255.255.255.255")
_Item = TypeVar("_Item", bound=Hashable)


def address_allowed(address: str, reserved: Collection[str]) -> Verdict:
    """`reserved`: addresses that no member may have, e.g. a cloud's metadata service."""
    if any(_meant(address) == ip_address(each) for each in reserved):
        return Refuse(400, f"{address} is not a valid option for member address")
    return _one_host(address, "member address")


def monitor_allowed(address: str | None) -> Verdict:
    """Where a member's health is asked for."""
    return ACCEPT if address is None else _one_host(address, "monitor address")


def _meant(address: str) -> IPv4Address | IPv6Address:
    wanted = ip_address(address)
    # A mapped address (RFC 4291, section 2.5.5.2) reaches the same IPv4 host.
    return getattr(wanted, "ipv4_mapped", None) or wanted


def _one_host(address: str, what: str) -> Verdict:
    """An amphora would send to itself, or to its clients' own destination (HAProxy manual, section 5.2, server)."""
    meant = _meant(address)
    if meant.is_loopback:
        why = "from an amphora it is the amphora itself"
    elif meant.is_unspecified:
        why = "it is no host"
    elif meant.is_multicast or meant == _BROADCAST:
        why = "it is more than one host"
    else:
        return ACCEPT
    return Refuse(400, f"{address} is not a valid option for {what}: {why}.")


def unreachable(protocol: str, addresses: Iterable[str], vips: Collection[str]) -> str | None:
    """Part B4, row 10: UDP and SCTP are passed on by NAT, which does not translate between IP versions. `vips`: every
    address of the load balancer; one of the member's version is enough. A sentence about the first member without."""
    if protocol not in ("UDP", "SCTP"):
        return None
    versions = {ip_address(vip).version for vip in vips}
    for address in addresses:
        if ip_address(address).version not in versions:
            return f"{protocol} member {address} IP version incompatible with all VIPs [{', '.join(vips)}] IP version."
    return None


def duplicate(address: str, port: int) -> Refuse:
    """The pool has a member there already."""
    return Refuse(409, f"Another member on this pool is already using ip {address} on protocol_port {port}")


class Batch(Struct, frozen=True):
    """A whole pool's members as asked for: (address, port) of those to create, update and delete."""

    create: tuple[tuple[str, int], ...]
    update: tuple[tuple[str, int], ...]
    delete: tuple[tuple[str, int], ...]

    @property
    def growth(self) -> int:
        """By how many members the pool grows."""
        return len(self.create) - len(self.delete)


def batch(present: Iterable[tuple[str, int]], wanted: Iterable[tuple[str, int]], *, additive: bool) -> Batch | Refuse:
    """Compare what is there with what is wanted (contract 30, section B6)."""
    there = list(present)
    asked = list(wanted)
    twice = _repeated(asked)
    if twice is not None:
        if twice in there:
            return Refuse(400, "Member must be updated only once in the same request.")
        return duplicate(*twice)
    known, kept = set(there), set(asked)
    return Batch(
        create=tuple(key for key in asked if key not in known),
        update=tuple(key for key in asked if key in known),
        delete=() if additive else tuple(key for key in there if key not in kept),
    )


def _repeated(items: Iterable[_Item]) -> _Item | None:
    seen: set[_Item] = set()
    for item in items:
        if item in seen:
            return item
        seen.add(item)
    return None
